/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a listing. The first byte chooses the format, the zone and the size of the pieces; the rest is fed. What
 * comes out must be names that can stand in a directory.
 */
#include "ftp/list_parser.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            __builtin_trap();                                                                                          \
    } while (0)

static int check(const ListEntry *entry, gpointer data)
{
    const ListFormat *format = data;

    CHECK(entry->name[0] != '\0' && strpbrk(entry->name, "/\r\n") == NULL && strcmp(entry->name, "..") != 0);
    CHECK(*format == LIST_FORMAT_MLST || strcmp(entry->name, ".") != 0);
    CHECK(entry->target == NULL || (entry->target[0] != '\0' && strpbrk(entry->target, "\r\n") == NULL));
    CHECK(entry->attr.type <= FTP_TYPE_OTHER && entry->attr.mode <= 07777 && entry->attr.size >= 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    g_autoptr(GTimeZone) zone = NULL;
    g_autoptr(ListParser) parser = NULL;
    ListFormat format;
    gsize piece;

    if (size < 1)
        return 0;
    format = (ListFormat)(data[0] % 3);
    zone = (data[0] & 0x40) != 0 ? g_time_zone_new_offset(-18000) : NULL;
    piece = (data[0] & 0x80) != 0 ? 3 : size;
    parser = list_parser_new(format, G_GINT64_CONSTANT(1709251200), zone, check, &format);
    for (gsize offset = 1; offset < size; offset += piece)
        CHECK(list_parser_feed(parser, (const char *)data + offset, MIN(piece, size - offset)) == 0);
    CHECK(list_parser_finish(parser) == 0);
    return 0;
}
