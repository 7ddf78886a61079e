/* SPDX-License-Identifier: MIT */
/* The record of private names: what the next mount takes over from a dead one. */
#include "fs/private_names.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOURCE "ftp://user@host/a b\tc"

static void remove_all(const char *spool)
{
    g_autofree char *directory = g_build_filename(spool, "names", NULL);
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *path = g_build_filename(directory, name, NULL);
        g_unlink(path);
    }
    g_rmdir(directory);
    g_rmdir(spool);
}

static guint count_records(const char *spool)
{
    g_autofree char *directory = g_build_filename(spool, "names", NULL);
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    guint n = 0;
    while (dir && g_dir_read_name(dir))
        n++;
    return n;
}

/* Runs a mount that ends without a word, in a process of its own. */
static void dying_mount(const char *spool, void (*work)(PrivateNames *names))
{
    pid_t child = fork();
    if (child == 0) {
        g_random_set_seed((guint32)getpid());
        PrivateNames *names = private_names_new();
        if (!private_names_open(names, spool, SOURCE))
            _exit(1);
        work(names);
        _exit(0);
    }
    int status = -1;
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_cmpint(status, ==, 0);
}

static void leave_three(PrivateNames *names)
{
    g_autofree char *done = private_names_make(names, "/d/done", NULL);
    g_autofree char *half = private_names_make(names, "/d/half", NULL);
    g_autofree char *aside = private_names_make(names, "/x\n y/old", "/x\n y/old");
    private_names_done(names, done);
    private_names_hide(names, "/d/.fuse_hidden1");
}

static void leave_nothing(PrivateNames *names)
{
    for (guint i = 0; i < 20000; i++) { /* a long life, with one name that stays */
        g_autofree char *name = private_names_make(names, "/d/some/directory/with/a/long/name/file", NULL);
        private_names_done(names, name);
    }
}

static void test_take_over(void)
{
    g_autofree char *spool = g_dir_make_tmp("ftpfs-test-XXXXXX", NULL);
    dying_mount(spool, leave_three);
    dying_mount(spool, leave_nothing); /* hands on what it has taken over */
    g_assert_cmpuint(count_records(spool), ==, 1);

    g_autoptr(PrivateNames) other = private_names_new();
    g_assert_true(private_names_open(other, spool, "ftp://host/"));
    g_autoptr(GPtrArray) none = private_names_leftovers(other);
    g_assert_cmpuint(none->len, ==, 0);

    g_autoptr(PrivateNames) names = private_names_new();
    g_assert_true(private_names_open(names, spool, SOURCE));
    g_autoptr(GPtrArray) left = private_names_leftovers(names);
    g_assert_cmpuint(left->len, ==, 3);
    guint asides = 0, halves = 0;
    for (guint i = 0; i < left->len; i++) {
        const PrivateLeftover *leftover = left->pdata[i];
        const char *name = strrchr(leftover->path, '/') + 1;
        if (leftover->aside_of) {
            asides++;
            g_assert_cmpstr(leftover->aside_of, ==, "/x\n y/old");
            g_assert_false(private_names_may_delete(names, leftover->path)); /* it may be the only copy */
        } else {
            halves++;
            g_assert_true(g_str_has_prefix(leftover->path, "/d/"));
            g_assert_true(private_names_may_delete(names, leftover->path));
        }
        g_assert_true(private_names_has(names, name));
        g_assert_false(private_names_has(other, name));
    }
    g_assert_cmpuint(asides, ==, 1);
    g_assert_cmpuint(halves, ==, 2);

    /* one that lives is left alone, and what was tidied up is not handed on */
    g_autoptr(PrivateNames) third = private_names_new();
    g_assert_true(private_names_open(third, spool, SOURCE));
    g_autoptr(GPtrArray) alive = private_names_leftovers(third);
    g_assert_cmpuint(alive->len, ==, 0);
    for (guint i = 0; i < left->len; i++)
        private_names_done(names, ((const PrivateLeftover *)left->pdata[i])->path);
    g_clear_pointer(&names, private_names_free);
    g_clear_pointer(&third, private_names_free);
    g_clear_pointer(&other, private_names_free);
    g_assert_cmpuint(count_records(spool), ==, 0);
    remove_all(spool);
}

static void test_garbage(void)
{
    static const char *const records[] = {
        "",
        "ftpfs names 1\n",
        "ftpfs names 2\nX\n+\t/a\n",
        "ftpfs names 1\nX\n+\n-\n+\t\n\t\t\t\n+\tno/slash\n+\t%zz\n+\t/cut",
    };
    g_autofree char *spool = g_dir_make_tmp("ftpfs-test-XXXXXX", NULL);
    g_autofree char *directory = g_build_filename(spool, "names", NULL);
    g_assert_cmpint(g_mkdir(directory, 0700), ==, 0);
    for (guint i = 0; i < G_N_ELEMENTS(records); i++) {
        g_autofree char *name = g_strdup_printf("%08x", i);
        g_autofree char *path = g_build_filename(directory, name, NULL);
        g_assert_true(g_file_set_contents(path, records[i], -1, NULL));
    }
    g_autoptr(PrivateNames) names = private_names_new();
    g_assert_true(private_names_open(names, spool, "X"));
    g_autoptr(GPtrArray) left = private_names_leftovers(names);
    g_assert_cmpuint(left->len, ==, 0);
    g_clear_pointer(&names, private_names_free);
    remove_all(spool);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/private_names/take_over", test_take_over);
    g_test_add_func("/private_names/garbage", test_garbage);
    return g_test_run();
}
