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

static void assert_bytes(SpoolFile *spool, const char *expected, gsize size)
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

static void assert_content(const char *path, const char *expected, gsize size)
{
    g_autofree char *bytes = NULL;
    gsize length = 0;
    g_assert_true(g_file_get_contents(path, &bytes, &length, NULL));
    g_assert_cmpmem(bytes, length, expected, size);
}

static void test_link(Fixture *fixture, gconstpointer data)
{
    g_autofree char *path = g_build_filename(fixture->directory, "name", NULL);
    g_autoptr(SpoolFile) spool = new_spool(fixture, 0);
    g_assert_cmpint(spool_file_write(spool, "hello", 5, 0), ==, 0);
    spool_file_park(spool); /* nothing to park: it has no name */
    g_assert_null(spool_file_path(spool));
    g_assert_cmpint(spool_file_link(spool, path), ==, 0);
    g_assert_cmpstr(spool_file_path(spool), ==, path);
    assert_content(path, "hello", 5);
    spool_file_park(spool);
    assert_bytes(spool, "hello", 5);
    spool_file_park(spool);
    g_assert_cmpint(spool_file_write(spool, "HE", 2, 0), ==, 0);
    spool_file_park(spool);
    g_assert_cmpint(spool_file_truncate(spool, 7), ==, 0);
    assert_content(path, "HEllo\0\0", 7);

    g_autoptr(SpoolFile) other = new_spool(fixture, 0);
    g_assert_cmpint(spool_file_link(other, path), ==, -EEXIST);
    g_assert_null(spool_file_path(other));

    spool_file_park(spool);
    int fd = spool_file_dup(spool);
    g_assert_cmpint(fd, >=, 0);
    close(fd);
    spool_file_park(spool);
    spool_file_unlink(spool);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    assert_bytes(spool, "HEllo\0\0", 7); /* the bytes are there as long as it is */
}

static void test_seal(Fixture *fixture, gconstpointer data)
{
    g_autofree char *path = g_build_filename(fixture->directory, "name", NULL);
    g_autoptr(SpoolFile) spool = new_spool(fixture, 10), copy = NULL, cut = NULL;
    g_assert_false(spool_file_is_sealed_at(spool, 0));
    g_assert_cmpint(spool_file_write(spool, "XY", 2, 4), ==, 0);
    g_assert_cmpint(spool_file_link(spool, path), ==, 0);
    spool_file_seal(spool);
    g_assert_true(spool_file_is_sealed_at(spool, 0));
    g_assert_true(spool_file_is_sealed_at(spool, 9));
    g_assert_false(spool_file_is_sealed_at(spool, 10)); /* an append changes nothing that is sealed */

    g_assert_cmpint(spool_file_copy(spool, fixture->directory, G_MAXINT64, &copy), ==, 0);
    g_assert_false(spool_file_is_sealed_at(copy, 0));
    g_assert_null(spool_file_path(copy));
    assert_missing(copy, 0, 10, 0, 4);
    assert_missing(copy, 4, 10, 6, 10);
    g_assert_cmpint(spool_file_fill(copy, "0123456789", 10, 0), ==, 0);
    assert_bytes(copy, "0123XY6789", 10);

    g_assert_cmpint(spool_file_copy(spool, fixture->directory, 5, &cut), ==, 0);
    g_assert_cmpint(spool_file_fill(cut, "0123456789", 10, 0), ==, 0);
    assert_bytes(cut, "0123X", 5);
    assert_missing(spool, 0, 10, 0, 4); /* the first one is as it was */
    spool_file_unlink(spool);
    g_assert_false(spool_file_is_sealed_at(spool, 0));
}

static void test_adopt(Fixture *fixture, gconstpointer data)
{
    g_autofree char *path = g_build_filename(fixture->directory, "name", NULL);
    g_autoptr(SpoolFile) spool = new_spool(fixture, 4), adopted = NULL, none = NULL;
    g_autoptr(RangeSet) held = range_set_new();
    g_assert_cmpint(spool_file_write(spool, "end", 3, 8), ==, 0);
    g_assert_cmpint(spool_file_link(spool, path), ==, 0);
    spool_file_seal(spool);
    range_set_add_all(held, spool_file_held(spool));
    /* what was appended after the record was written is not part of it */
    g_assert_cmpint(spool_file_write(spool, "more", 4, 11), ==, 0);
    g_clear_pointer(&spool, spool_file_unref);

    g_assert_cmpint(spool_file_adopt(path, 11, 4, held, &adopted), ==, 0);
    g_assert_true(spool_file_is_sealed_at(adopted, 10));
    g_assert_cmpint(spool_file_base_size(adopted), ==, 4);
    assert_missing(adopted, 0, 11, 0, 4);
    g_assert_cmpint(spool_file_fill(adopted, "base", 4, 0), ==, 0);
    assert_bytes(adopted, "base\0\0\0\0end", 11);
    g_assert_cmpint(spool_file_truncate(adopted, 20), ==, 0);
    assert_bytes(adopted, "base\0\0\0\0end\0\0\0\0\0\0\0\0\0", 20);

    range_set_add(held, 30, 31);
    g_assert_cmpint(spool_file_adopt(path, 31, 0, held, &none), ==, -EIO); /* bytes that are not there */
    g_assert_cmpint(spool_file_adopt(path, 11, 0, held, &none), ==, -EIO);
    range_set_remove(held, 0, 100);
    g_assert_cmpint(spool_file_adopt(path, 4, 5, held, &none), ==, -EIO);
    spool_file_unlink(adopted);
    g_assert_cmpint(spool_file_adopt(path, 4, 4, held, &none), ==, -ENOENT);
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
    g_test_add("/spool_file/link", Fixture, NULL, set_up, test_link, tear_down);
    g_test_add("/spool_file/seal", Fixture, NULL, set_up, test_seal, tear_down);
    g_test_add("/spool_file/adopt", Fixture, NULL, set_up, test_adopt, tear_down);
    g_test_add_func("/spool_file/no-directory", test_no_directory);
    g_test_add("/spool_file/model", Fixture, NULL, set_up, test_model, tear_down);
    return g_test_run();
}
