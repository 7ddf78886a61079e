/* SPDX-License-Identifier: MIT */
/* What can be known of the program that called. */
#include "fs_private.h"

#include <fcntl.h>
#include <string.h>

#define DESCRIPTORS_MOST 1024 /* that are looked at */

/* Was the descriptor opened for writing? By the line "flags:" of proc(5), octal. */
static gboolean may_write(pid_t pid, const char *descriptor)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/fdinfo/%s", (int)pid, descriptor);
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return FALSE;
    const char *flags = strstr(text, "flags:");
    return flags && (g_ascii_strtoull(flags + strlen("flags:"), NULL, 8) & O_ACCMODE) != O_RDONLY;
}

gboolean fs_caller_holds(const Fs *fs, pid_t pid, const char *path)
{
    g_autofree char *directory = g_strdup_printf("/proc/%d/fd", (int)pid);
    g_autofree char *whole = g_build_path("/", fs->options->mountpoint, path, NULL);
    g_autoptr(GDir) dir = pid > 0 ? g_dir_open(directory, 0, NULL) : NULL;
    const char *name;

    for (guint i = 0; dir && i < DESCRIPTORS_MOST && (name = g_dir_read_name(dir)) != NULL; i++) {
        g_autofree char *link = g_build_filename(directory, name, NULL);
        g_autofree char *target =
            g_file_read_link(link, NULL); /* of the kernel's own knowledge: does not come back to us */
        if (g_strcmp0(target, whole) == 0 && may_write(pid, name))
            return TRUE;
    }
    return FALSE;
}
