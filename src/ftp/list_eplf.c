/* SPDX-License-Identifier: MIT */
/*
 * EPLF, the Easily Parsed LIST Format of anonftpd and publicfile:
 *
 *     "+" *( fact "," ) TAB name         "/" can be entered, "r" can be retrieved, "s" size, "m" time, "up" mode
 */
#include "list_dialect.h"

#include <string.h>

static void read_mode(const char *text, const char *end, FtpAttr *attr)
{
    guint mode = 0;

    if (text == end || end - text > 6)
        return;
    for (; text < end; text++) {
        if (*text < '0' || *text > '7')
            return;
        mode = mode * 8 + (guint)(*text - '0');
    }
    attr->mode = (guint16)(mode & 07777);
    attr->has |= FTP_HAS_MODE;
}

static void read_fact(const char *text, const char *end, FtpAttr *attr)
{
    const char *cursor = text + 1;
    gint64 number;

    switch (*text) {
    case '/':
        attr->type = FTP_TYPE_DIR;
        break;
    case 'r':
        if (attr->type != FTP_TYPE_DIR)
            attr->type = FTP_TYPE_FILE;
        break;
    case 's':
        if (list_scan_number(&cursor, &number) && cursor == end && number >= 0) {
            attr->size = number;
            attr->has |= FTP_HAS_SIZE;
        }
        break;
    case 'm':
        if (list_scan_number(&cursor, &number) && cursor == end && number >= 0) {
            attr->mtime = number;
            attr->mtime_precision = 1;
            attr->has |= FTP_HAS_MTIME;
        }
        break;
    case 'u':
        if (*cursor == 'p')
            read_mode(cursor + 1, end, attr);
        break;
    default:
        break;
    }
}

gboolean list_eplf_parse(char *line, const ListClock *clock, ListLine *ret_line)
{
    FtpAttr attr = {.type = FTP_TYPE_OTHER};
    char *tab;

    if (line[0] != '+' || (tab = strchr(line, '\t')) == NULL)
        return FALSE;
    for (const char *fact = line + 1; fact < tab;) {
        const char *end = fact + strcspn(fact, ",\t");

        if (end > fact)
            read_fact(fact, end, &attr);
        fact = end + 1;
    }
    ret_line->kind = LIST_LINE_ENTRY;
    ret_line->name = tab + 1;
    ret_line->target = NULL;
    ret_line->attr = attr;
    return TRUE;
}
