/* SPDX-License-Identifier: MIT */
/* What can be known of the program that called. */
#include "fs_private.h"

#include <stdlib.h>
#include <unistd.h>

#define DESCRIPTORS_MOST 1024 /* that are looked at */

gboolean fs_caller_holds(const Fs *fs, pid_t pid, const char *path)
{
    g_autofree char *directory = g_strdup_printf("/proc/%d/fd", (int)pid);
    g_autofree char *whole = g_build_path("/", fs->options->mountpoint, path, NULL);
    g_autoptr(GDir) dir = pid > 0 ? g_dir_open(directory, 0, NULL) : NULL;
    const char *name;

    for (guint i = 0; dir && i < DESCRIPTORS_MOST && (name = g_dir_read_name(dir)) != NULL; i++) {
        g_autofree char *link = g_build_filename(directory, name, NULL);
        g_autofree char *target = g_file_read_link(link, NULL); /* of the kernel's own knowledge: does not come back to us */
        if (g_strcmp0(target, whole) == 0)
            return TRUE;
    }
    return FALSE;
}
