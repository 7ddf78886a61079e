/* SPDX-License-Identifier: MIT */
/* file_same: when bytes that were read are still the file's. */
#include "fs/file_same.h"

#define NOW 1600000000
#define DAY 86400

static FtpAttr attr(gint64 size, gint64 mtime, guint32 precision)
{
    return (FtpAttr){.has = FTP_HAS_SIZE | FTP_HAS_MTIME, .size = size, .mtime = mtime, .mtime_precision = precision};
}

static gboolean unchanged(FtpAttr was, FtpAttr is)
{
    return file_is_unchanged(&was, NOW, &is);
}

static void test_exact(void)
{
    g_assert_true(unchanged(attr(5, NOW - 3, 1), attr(5, NOW - 3, 1)));
    g_assert_false(unchanged(attr(5, NOW - 3, 1), attr(6, NOW - 3, 1)));
    g_assert_false(unchanged(attr(5, NOW - 4, 1), attr(5, NOW - 3, 1)));
    g_assert_false(unchanged(attr(5, NOW - 2, 1), attr(5, NOW - 2, 1))); /* may have changed again in that second */
    g_assert_false(unchanged(attr(5, NOW + 9, 1), attr(5, NOW + 9, 1)));
}

static void test_coarse(void)
{
    gint64 old = NOW - 10 * DAY;

    g_assert_true(unchanged(attr(5, old, 60), attr(5, old, 60)));
    g_assert_true(unchanged(attr(5, old, 60), attr(5, old + 59, 1)));
    g_assert_true(unchanged(attr(5, old + 59, 1), attr(5, old, 60)));
    g_assert_true(unchanged(attr(5, old, DAY), attr(5, old + 600, 60)));
    g_assert_false(unchanged(attr(5, old, 60), attr(5, old + 60, 1)));
    g_assert_false(unchanged(attr(5, old, 60), attr(5, old - 1, 1)));
    g_assert_false(unchanged(attr(5, NOW - 3600, 60), attr(5, NOW - 3600, 60))); /* the time zone may be another */
    g_assert_false(unchanged(attr(5, NOW - DAY, DAY), attr(5, NOW - DAY, DAY)));
}

static void test_unknown(void)
{
    FtpAttr known = attr(5, NOW - 100, 1), timeless = known, sizeless = known;

    timeless.has = FTP_HAS_SIZE;
    sizeless.has = FTP_HAS_MTIME;
    g_assert_false(unchanged(known, timeless));
    g_assert_false(unchanged(timeless, known));
    g_assert_false(unchanged(sizeless, sizeless));
    g_assert_false(file_is_other(&known, &timeless)); /* nothing says so */
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/file_same/exact", test_exact);
    g_test_add_func("/file_same/coarse", test_coarse);
    g_test_add_func("/file_same/unknown", test_unknown);
    return g_test_run();
}
