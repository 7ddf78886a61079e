/* SPDX-License-Identifier: MIT */
/*
 * The format of `dir`, as IIS and its imitators send it:
 *
 *     02-15-99  01:05PM       <DIR>          name            01-15-2023  13:05                 1234 name
 *
 * Years have two or four digits, clocks 12 or 24 hours; other orders of the date are known by their separator
 * (15.01.2023), by four digits in front (2023-01-15), or by a month above 12. A file's name starts one space after its
 * size. After <DIR> the padding differs between servers, so that all of it is skipped.
 */
#include "list_dialect.h"

#include <string.h>

static gboolean scan_date(const char **cursor, ListTime *time)
{
    const char *text = *cursor;
    guint first, second, third;
    char separator;
    gboolean year_first;

    if (!list_scan_digits(&text, 1, 4, &first))
        return FALSE;
    year_first = text - *cursor == 4;
    if (text - *cursor == 3)
        return FALSE;
    separator = *text;
    if (separator != '-' && separator != '/' && separator != '.')
        return FALSE;
    text++;
    if (!list_scan_digits(&text, 1, 2, &second) || *text++ != separator)
        return FALSE;
    if (year_first) {
        if (!list_scan_digits(&text, 1, 2, &third))
            return FALSE;
        time->year = first;
        time->month = second;
        time->day = third;
    } else {
        const char *year = text;

        if (!list_scan_digits(&text, 2, 4, &third) || text - year == 3)
            return FALSE;
        if (text - year == 2)
            third += third < 70 ? 2000 : 1900;
        time->year = third;
        time->month = separator == '.' || first > 12 ? second : first;
        time->day = separator == '.' || first > 12 ? first : second;
    }
    if (time->year == 0 || time->month < 1 || time->month > 12 || time->day < 1 || time->day > 31)
        return FALSE;
    *cursor = text;
    return TRUE;
}

/* "01:05PM", "1:05 pm", "01:05p", "13:05", "13:05:59". */
static gboolean scan_clock(const char **cursor, ListTime *time)
{
    const char *text = *cursor, *half;
    gboolean seconds;
    char letter;

    if (!list_scan_time(&text, &time->hour, &time->minute, &time->second, &seconds))
        return FALSE;
    time->precision = seconds ? 1 : 60;
    half = *text == ' ' ? text + 1 : text;
    letter = g_ascii_tolower(*half);
    if (letter == 'a' || letter == 'p') {
        half++;
        if (g_ascii_tolower(*half) == 'm')
            half++;
        if (*half == ' ' && time->hour >= 1 && time->hour <= 12) {
            time->hour = time->hour % 12 + (letter == 'p' ? 12 : 0);
            text = half;
        }
    }
    *cursor = text;
    return TRUE;
}

/* "<DIR>" and its kin: the type, or -1. A junction or a link to a directory can be entered like one. */
static int scan_marker(const char **cursor)
{
    static const struct {
        const char *text;
        int type;
    } markers[] = {
        {"<DIR>", FTP_TYPE_DIR},      {"<JUNCTION>", FTP_TYPE_DIR}, {"<SYMLINKD>", FTP_TYPE_DIR},
        {"<SYMLINK>", FTP_TYPE_FILE}, {"<LINK>", FTP_TYPE_DIR},
    };

    for (guint i = 0; i < G_N_ELEMENTS(markers); i++) {
        gsize length = strlen(markers[i].text);

        if (g_ascii_strncasecmp(*cursor, markers[i].text, length) == 0) {
            *cursor += length;
            return markers[i].type;
        }
    }
    return -1;
}

/* "name [C:\target]": `dir` adds what a junction or a link leads to. */
static void cut_target(char *name)
{
    gsize length = strlen(name);
    char *start = g_strrstr(name, " [");

    if (start != NULL && start != name && length > 0 && name[length - 1] == ']' && strpbrk(start, ":\\") != NULL)
        *start = '\0';
}

/* Bytes, perhaps grouped as "1,234,567". */
static gboolean scan_size(const char **cursor, FtpAttr *attr)
{
    const char *text = *cursor;
    gint64 size;

    if (!list_scan_number(&text, &size))
        return FALSE;
    while ((*text == ',' || *text == '.') && g_ascii_isdigit(text[1]) && g_ascii_isdigit(text[2]) &&
           g_ascii_isdigit(text[3]) && !g_ascii_isdigit(text[4])) {
        gint64 group = (text[1] - '0') * 100 + (text[2] - '0') * 10 + (text[3] - '0');

        size = size < 0 || size > (G_MAXINT64 - group) / 1000 ? -1 : size * 1000 + group;
        text += 4;
    }
    if (*text != ' ')
        return FALSE;
    if (size >= 0) {
        attr->size = size;
        attr->has |= FTP_HAS_SIZE;
    }
    *cursor = text;
    return TRUE;
}

gboolean list_dos_parse(char *line, const ListClock *clock, ListLine *ret_line)
{
    const char *cursor = line;
    FtpAttr attr = {0};
    ListTime time = {0};
    char *name;
    int type;

    if (!scan_date(&cursor, &time) || *cursor != ' ')
        return FALSE;
    cursor = list_skip_blanks(cursor);
    if (!scan_clock(&cursor, &time) || *cursor != ' ')
        return FALSE;
    cursor = list_skip_blanks(cursor);
    type = scan_marker(&cursor);
    if (type >= 0) {
        if (*cursor != ' ')
            return FALSE;
        name = line + (list_skip_blanks(cursor) - line);
        cut_target(name);
        attr.type = (guint8)type;
    } else {
        if (!scan_size(&cursor, &attr))
            return FALSE;
        name = line + (cursor + 1 - line);
        attr.type = FTP_TYPE_FILE;
    }
    list_time_apply(&time, clock, &attr);
    ret_line->kind = LIST_LINE_ENTRY;
    ret_line->name = name;
    ret_line->target = NULL;
    ret_line->attr = attr;
    return TRUE;
}
