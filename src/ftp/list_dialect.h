/* SPDX-License-Identifier: MIT */
/*
 * What the listing dialects share; internal to the parser. A dialect is a pure function from one line to one entry. It
 * may cut the line with NUL bytes (a name from its target), but only when it returns TRUE: a line that did not match is
 * handed to the next dialect unchanged. The lines are NUL-terminated and hold no other NUL, no CR and no LF.
 */
#pragma once

#include "ftp/ftp_entry.h"

#include <glib.h>

/* What completes the times of LIST: see list_parser_new(). */
typedef struct {
    gint64 now;      /* seconds since 1970 */
    GTimeZone *zone; /* NULL: UTC */
} ListClock;

typedef enum {
    LIST_LINE_ENTRY,
    LIST_LINE_SELF,   /* the fact type=cdir (RFC 3659, 7.5.1.3) */
    LIST_LINE_PARENT, /* the fact type=pdir */
} ListLineKind;

/* The strings point into the line. The name is as the server sent it, not yet checked. */
typedef struct {
    ListLineKind kind;
    char *name;
    char *target; /* NULL where the line does not tell it */
    FtpAttr attr;
} ListLine;

/* TRUE when the line is of this dialect; else `ret_line` and the line are untouched. */
typedef gboolean (*ListDialect)(char *line, const ListClock *clock, ListLine *ret_line);

gboolean list_mlsd_parse(char *line, const ListClock *clock, ListLine *ret_line);
gboolean list_unix_parse(char *line, const ListClock *clock, ListLine *ret_line);
gboolean list_dos_parse(char *line, const ListClock *clock, ListLine *ret_line);
gboolean list_eplf_parse(char *line, const ListClock *clock, ListLine *ret_line);

/* The scanners move the cursor behind what they read, or leave it where it was and return FALSE. */

/* From `min` to `max` (at most 9) decimal digits, and no further digit behind them. */
gboolean list_scan_digits(const char **cursor, guint min, guint max, guint *ret_value);

/* A decimal number of any length. It is -1 when it is above 2^63 - 1: such a size is no size. */
gboolean list_scan_number(const char **cursor, gint64 *ret_value);

/* H:MM or HH:MM, with :SS and a fraction if they are there. `ret_seconds` tells whether seconds were. */
gboolean list_scan_time(const char **cursor, guint *ret_hour, guint *ret_minute, guint *ret_second,
                        gboolean *ret_seconds);

/* A date as it stands in a listing. */
typedef struct {
    guint year; /* 1 to 9999; 0: not told */
    guint month;
    guint day;
    guint hour;
    guint minute;
    guint second;
    gboolean has_offset; /* the line names the offset from UTC: the clock's zone does not matter */
    gint offset;         /* seconds east of UTC */
    guint precision;     /* seconds: 1, 60 or 86400 */
} ListTime;

/* Sets mtime, its precision and FTP_HAS_MTIME when there is such a day; else the attributes stay as they are. */
void list_time_apply(const ListTime *time, const ListClock *clock, FtpAttr *attr);

static inline const char *list_skip_blanks(const char *text)
{
    while (*text == ' ' || *text == '\t')
        text++;
    return text;
}
