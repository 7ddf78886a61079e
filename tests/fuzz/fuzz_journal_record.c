/* SPDX-License-Identifier: MIT */
/* Any bytes as a record of the journal, and the same behind a right checksum. What is taken must come out as it went
 * in, with paths that stay in the mount. */
#include "journal_record.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

static void check(const char *bytes, gsize size)
{
    g_autoptr(JournalRecord) record = journal_record_parse(bytes, size);
    if (!record)
        return;
    g_autofree char *text = journal_record_format(record);
    g_autoptr(JournalRecord) again = journal_record_parse(text, strlen(text));
    if (!again || record->path[0] != '/' || strstr(record->path, "/../") || g_str_has_suffix(record->path, "/.."))
        __builtin_trap();
    g_autofree char *second = journal_record_format(again);
    if (!g_str_equal(text, second) || record->base_size > record->size || range_set_end(record->held) > record->size)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    g_autofree char *digest = g_compute_checksum_for_data(G_CHECKSUM_SHA256, data, size);
    g_autoptr(GString) text = g_string_new("ftpfs-journal 1 ");
    check((const char *)data, size);
    g_string_append_printf(text, "%s\n", digest);
    g_string_append_len(text, (const char *)data, (gssize)size);
    check(text->str, text->len);
    return 0;
}
