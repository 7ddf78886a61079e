/* SPDX-License-Identifier: MIT */
#include "fs/mount_table.h"

#include <string.h>

/* proc(5): blank, tab, line end and backslash stand as \ and three octal digits. */
static void unescape(char *text)
{
    char *to = text;

    for (const char *from = text; *from != '\0'; from++) {
        if (from[0] == '\\' && strspn(from + 1, "01234567") >= 3) {
            *to++ = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
            from += 3;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
}

gboolean mount_table_has(const char *table, const char *source, const char *mountpoint)
{
    g_autofree char *text = NULL;
    gboolean found = FALSE;

    if (!g_file_get_contents(table, &text, NULL, NULL))
        return FALSE;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (gsize i = 0; lines[i] != NULL; i++) {
        /* 36 35 98:0 / MOUNTPOINT rw,noatime [tag]... - fuse.ftpfs SOURCE rw */
        char *dash = strstr(lines[i], " - ");
        if (dash == NULL)
            continue;
        *dash = '\0';
        g_auto(GStrv) left = g_strsplit(lines[i], " ", -1), right = g_strsplit(dash + 3, " ", -1);
        if (g_strv_length(left) < 5 || g_strv_length(right) < 2)
            continue;
        unescape(left[4]);
        unescape(right[1]);
        /* the last one lies on top */
        if (strcmp(left[4], mountpoint) == 0)
            found = strcmp(right[0], "fuse.ftpfs") == 0 && strcmp(right[1], source) == 0;
    }
    return found;
}
