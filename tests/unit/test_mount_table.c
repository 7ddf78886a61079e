/* SPDX-License-Identifier: MIT */
#include "fs/mount_table.h"

#include <glib/gstdio.h>

static void test_lines(void)
{
    g_autofree char *dir = g_dir_make_tmp("ftpfs-test-XXXXXX", NULL), *path = g_build_filename(dir, "mountinfo", NULL);
    const char *text = "22 1 254:0 / / rw - ext4 /dev/vda rw\n"
                       "40 22 0:40 / /mnt/a\\040b rw,nosuid shared:1 - fuse.ftpfs ftp://h/c\\134d rw,user_id=0\n"
                       "41 22 0:41 / /mnt/two rw - fuse.ftpfs ftp://h/ rw\n"
                       "42 41 0:42 / /mnt/two rw - tmpfs none rw\n"
                       "43 22 0:43 / /mnt/other rw - fuse.sshfs ftp://h/ rw\n"
                       "44 22 0:43 / /mnt/short rw -\n"
                       "garbage\n";

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_assert_true(mount_table_has(path, "ftp://h/c\\d", "/mnt/a b"));
    g_assert_false(mount_table_has(path, "ftp://h/c", "/mnt/a b"));
    g_assert_false(mount_table_has(path, "ftp://h/", "/mnt/two")); /* something else lies on top of it */
    g_assert_false(mount_table_has(path, "ftp://h/", "/mnt/other"));
    g_assert_false(mount_table_has(path, "ftp://h/", "/mnt/short"));
    g_assert_false(mount_table_has(path, "ftp://h/", "/mnt"));
    g_unlink(path);
    g_assert_false(mount_table_has(path, "ftp://h/", "/mnt"));
    g_rmdir(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/mount_table/lines", test_lines);
    return g_test_run();
}
