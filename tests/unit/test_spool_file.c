/* SPDX-License-Identifier: MIT */
#include "fs/spool_file.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    char *directory;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data)
{
    fixture->directory = g_dir_make_tmp("spool.XXXXXX", NULL);
    g_assert_nonnull(fixture->directory);
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
    g_assert_cmpint(g_rmdir(fixture->directory), ==, 0); /* nothing may be left in it */
    g_free(fixture->directory);
}

static SpoolFile *new_spool(Fixture *fixture, gint64 base_size)
{
    SpoolFile *spool = NULL;
    g_assert_cmpint(spool_file_new(fixture->directory, base_size, &spool), ==, 0);
    return spool;
}

static void assert_missing(const SpoolFile *spool, gint64 offset, gint64 size, gint64 start, gint64 end)
{
    gint64 from = -1, to = -1;
    g_assert_true(spool_file_missing(spool, offset, size, &from, &to));
    g_assert_cmpint(from, ==, start);
    g_assert_cmpint(to, ==, end);
}

static void assert_whole(const SpoolFile *spool)
{
    gint64 from, to;
    g_assert_false(spool_file_missing(spool, 0, G_MAXINT64, &from, &to));
}

static void assert_bytes(const SpoolFile *spool, const char *expected, gsize size)
{
    g_autofree char *bytes = g_malloc(size + 10);
    g_assert_cmpint(spool_file_size(spool), ==, size);
    gssize n = spool_file_read(spool, bytes, size + 10, 0);
    g_assert_cmpint(n, ==, size);
    g_assert_cmpmem(bytes, n, expected, size);
}

static void test_new_file(Fixture *fixture, gconstpointer data)
{
    g_autoptr(SpoolFile) spool = new_spool(fixture, 0);
    char byte;
    g_assert_cmpint(spool_file_read(spool, &byte, 1, 0), ==, 0);
    g_assert_cmpint(spool_file_write(spool, "world", 5, 6), ==, 0);
    assert_whole(spool);
    assert_bytes(spool, "\0\0\0\0\0\0world", 11);
    g_assert_cmpint(spool_file_write(spool, "hello ", 6, 0), ==, 0);
    assert_bytes(spool, "hello world", 11);
    g_assert_cmpint(spool_file_read(spool, &byte, 1, 11), ==, 0);
    g_assert_cmpint(spool_file_write(spool, "", 0, 100), ==, 0);
    g_assert_cmpint(spool_file_size(spool), ==, 11);
}

static void test_base(Fixture *fixture, gconstpointer data)
{
    g_autoptr(SpoolFile) spool = new_spool(fixture, 10);
    g_assert_cmpint(spool_file_size(spool), ==, 10);
    assert_missing(spool, 0, 10, 0, 10);
    assert_missing(spool, 8, G_MAXINT64, 8, 10);
    g_assert_cmpint(spool_file_write(spool, "XY", 2, 4), ==, 0);
    assert_missing(spool, 0, 10, 0, 4);
    assert_missing(spool, 4, 10, 6, 10);
    /* what was written is not filled over, what lies beyond the base is not taken */
    g_assert_cmpint(spool_file_fill(spool, "0123456789abc", 13, 0), ==, 0);
    assert_whole(spool);
    assert_bytes(spool, "0123XY6789", 10);
}

static void test_truncate(Fixture *fixture, gconstpointer data)
{
    g_autoptr(SpoolFile) spool = new_spool(fixture, 10);
    g_assert_cmpint(spool_file_fill(spool, "0123", 4, 0), ==, 0);
    g_assert_cmpint(spool_file_truncate(spool, 6), ==, 0);
    assert_missing(spool, 0, 100, 4, 6);
    g_assert_cmpint(spool_file_truncate(spool, 12), ==, 0);
    assert_missing(spool, 0, 100, 4, 6); /* the base's bytes from 6 on are gone for good */
    g_assert_cmpint(spool_file_fill(spool, "456789", 6, 4), ==, 0);
    assert_whole(spool);
    assert_bytes(spool, "012345\0\0\0\0\0\0", 12);
    g_assert_cmpint(spool_file_truncate(spool, 3), ==, 0);
    g_assert_cmpint(spool_file_truncate(spool, 5), ==, 0);
    assert_bytes(spool, "012\0\0", 5);
    g_assert_cmpint(spool_file_truncate(spool, 0), ==, 0);
    g_assert_cmpint(spool_file_write(spool, "z", 1, 1), ==, 0);
    assert_whole(spool);
    assert_bytes(spool, "\0z", 2);
    g_assert_cmpint(spool_file_truncate(spool, -1), ==, -EINVAL);
}

static void test_write_beyond_base(Fixture *fixture, gconstpointer data)
{
    g_autoptr(SpoolFile) spool = new_spool(fixture, 4);
    g_assert_cmpint(spool_file_write(spool, "end", 3, 8), ==, 0);
    assert_missing(spool, 0, 11, 0, 4);
    g_assert_cmpint(spool_file_fill(spool, "base", 4, 0), ==, 0);
    assert_bytes(spool, "base\0\0\0\0end", 11);
}

static void test_too_far(Fixture *fixture, gconstpointer data)
{
    g_autoptr(SpoolFile) spool = new_spool(fixture, 0);
    g_assert_cmpint(spool_file_write(spool, "ab", 2, G_MAXINT64 - 1), ==, -EFBIG);
    g_assert_cmpint(spool_file_write(spool, "ab", 2, -1), ==, -EFBIG);
    g_assert_cmpint(spool_file_size(spool), ==, 0);
}

static void test_keep(Fixture *fixture, gconstpointer data)
{
    g_autoptr(SpoolFile) spool = new_spool(fixture, 6);
    g_assert_cmpint(spool_file_write(spool, "kept", 4, 0), ==, 0);
    g_autofree char *path = g_build_filename(fixture->directory, "kept", NULL);
    g_assert_cmpint(spool_file_keep(spool, path), ==, 0);
    g_autofree char *other = g_build_filename(fixture->directory, "kept", NULL);
    g_assert_cmpint(spool_file_keep(spool, other), ==, -EEXIST);

    g_autofree char *bytes = NULL;
    gsize size = 0;
    g_assert_true(g_file_get_contents(path, &bytes, &size, NULL));
    g_assert_cmpmem(bytes, size, "kept\0\0", 6);
    g_assert_cmpint(g_unlink(path), ==, 0);
}

static void test_no_directory(void)
{
    SpoolFile *spool = NULL;
    g_assert_cmpint(spool_file_new("/nowhere/at/all", 0, &spool), ==, -ENOENT);
    g_assert_null(spool);
}

/* Random writes, truncations and fills against a model in memory. */
static void test_model(Fixture *fixture, gconstpointer data)
{
    enum { MOST = 3000, STEPS = 4000 };
    g_autofree guint8 *base = g_malloc(MOST);
    g_autofree guint8 *model = g_malloc0(MOST);
    g_autofree guint8 *piece = g_malloc(MOST);
    gint64 base_size = g_test_rand_int_range(1, MOST), size = base_size;
    for (int i = 0; i < MOST; i++)
        base[i] = (guint8)g_test_rand_int();
    memcpy(model, base, base_size);

    g_autoptr(SpoolFile) spool = new_spool(fixture, base_size);
    for (int step = 0; step < STEPS; step++) {
        gint64 offset = g_test_rand_int_range(0, MOST);
        gint64 n = g_test_rand_int_range(0, MIN(200, MOST - (int)offset) + 1);
        switch (g_test_rand_int_range(0, 10)) {
        case 0:
            g_assert_cmpint(spool_file_truncate(spool, offset), ==, 0);
            if (offset < size)
                memset(model + offset, 0, size - offset);
            size = offset;
            break;
        case 1:
        case 2:
        case 3:
            memset(piece, step, n);
            g_assert_cmpint(spool_file_write(spool, piece, n, offset), ==, 0);
            memcpy(model + offset, piece, n);
            size = n > 0 ? MAX(size, offset + n) : size;
            break;
        default: {
            gint64 from, to;
            while (spool_file_missing(spool, offset, n, &from, &to))
                g_assert_cmpint(spool_file_fill(spool, base + from, to - from, from), ==, 0);
            gssize got = spool_file_read(spool, piece, n, offset);
            gint64 expected = CLAMP(size - offset, 0, n);
            g_assert_cmpint(got, ==, expected);
            g_assert_cmpmem(piece, got, model + offset, expected);
        }
        }
        g_assert_cmpint(spool_file_size(spool), ==, size);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/spool_file/new-file", Fixture, NULL, set_up, test_new_file, tear_down);
    g_test_add("/spool_file/base", Fixture, NULL, set_up, test_base, tear_down);
    g_test_add("/spool_file/truncate", Fixture, NULL, set_up, test_truncate, tear_down);
    g_test_add("/spool_file/write-beyond-base", Fixture, NULL, set_up, test_write_beyond_base, tear_down);
    g_test_add("/spool_file/too-far", Fixture, NULL, set_up, test_too_far, tear_down);
    g_test_add("/spool_file/keep", Fixture, NULL, set_up, test_keep, tear_down);
    g_test_add_func("/spool_file/no-directory", test_no_directory);
    g_test_add("/spool_file/model", Fixture, NULL, set_up, test_model, tear_down);
    return g_test_run();
}
