/* SPDX-License-Identifier: MIT */
/*
 * Listings to entries: MLSD (RFC 3659, 7), and the formats that LIST and STAT are answered in: unix `ls -l`, DOS, and
 * EPLF. Pure: bytes in, entries out; the time and the zone are given, no locale, no clock, no network. Bytes may come
 * in pieces of any size. Lines that are no entry ("total 12", "213-Status follows") are passed over; a name that a
 * hostile server sends (empty, with '/', NUL, or CR, which can't be part of a name in FTP) is refused and counted.
 * Other control characters are allowed. "." and ".." (cdir, pdir) are not entries. LIST_FORMAT_LIST also reads the
 * reply to STAT as it came, with its codes and its indentation. A parser belongs to one thread at a time.
 */
#pragma once

#include "ftp/ftp_entry.h"

#include <glib.h>

typedef enum {
    LIST_FORMAT_MLSD, /* one fact line for each name */
    LIST_FORMAT_MLST, /* the same in a 250 reply, whose other lines are passed over; the name may be a path, of which
                       * the last part is given, "." for the root and for the directory itself */
    LIST_FORMAT_LIST, /* unix, DOS or EPLF: found out line by line, what was found first is tried first */
} ListFormat;

typedef struct {
    const char *name;   /* the server's bytes */
    const char *target; /* of a symbolic link where the listing tells, else NULL */
    FtpAttr attr;
} ListEntry;

/* Called for each entry; the strings live until it returns. A return other than 0 (a -errno) stops the parser. */
typedef int (*ListEntryFunc)(const ListEntry *entry, gpointer data);

typedef struct ListParser ListParser;

#define LIST_LINE_MAX 16384 /* bytes; a longer line is refused and counted */

/* `now` (seconds since 1970) completes dates without a year: such a date is the latest one that is at most one day
 * ahead of `now`. `zone` is that of LIST times (NULL: UTC) and is kept by reference; MLSD times are UTC by the RFC.
 */
ListParser *list_parser_new(ListFormat format, gint64 now, GTimeZone *zone, ListEntryFunc func, gpointer data);
void list_parser_free(ListParser *parser);

/* 0, or what the function returned. After an error every further call returns it again. */
int list_parser_feed(ListParser *parser, const char *bytes, gsize size);
int list_parser_finish(ListParser *parser); /* a last line without an end is parsed, too */

/* Entries given to the function; lines refused (a bad name, too long); lines that were neither entry nor known noise;
 * TRUE when "." or cdir was seen (so an empty listing is of an existing directory). */
guint64 list_parser_entries(const ListParser *parser);
guint64 list_parser_refused(const ListParser *parser);
guint64 list_parser_unknown(const ListParser *parser);
gboolean list_parser_saw_self(const ListParser *parser);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ListParser, list_parser_free)
