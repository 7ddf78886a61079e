/* SPDX-License-Identifier: MIT */
#include "fs/read_pace.h"

#define MS  ((gint64)1000)
#define KIB ((gsize)1024)

/* Reads of `size` bytes that wait for `wait` µs each, and begin `pause` µs after the one before, for `time` µs. */
static void reads(ReadPace *pace, gint64 *now, gint64 time, gint64 wait, gint64 pause, gsize size, guint streams)
{
    for (gint64 end = *now + time; *now < end;) {
        read_pace_begin(pace, *now);
        *now += wait;
        read_pace_end(pace, *now, size, streams);
        *now += pause;
    }
}

static void test_far(void)
{
    ReadPace pace = {0};
    gint64 now = 1;
    g_assert_false(read_pace_wants_stream(&pace));
    reads(&pace, &now, 1, 400 * MS, 0, 64 * KIB, 1);
    g_assert_true(read_pace_wants_stream(&pace)); /* before the rate is known */
}

static void test_near(void)
{
    ReadPace pace = {0};
    gint64 now = 1;
    reads(&pace, &now, 200 * MS, 10 * MS, 0, 16 * KIB, 1);
    g_assert_false(read_pace_wants_stream(&pace)); /* it may grow */
    reads(&pace, &now, 200 * MS, 10 * MS, 0, 64 * KIB, 1);
    g_assert_false(read_pace_wants_stream(&pace)); /* it does */
    reads(&pace, &now, 400 * MS, 10 * MS, 0, 64 * KIB, 1);
    g_assert_true(read_pace_wants_stream(&pace));
}

static void test_fast(void)
{
    ReadPace pace = {0};
    gint64 now = 1;
    reads(&pace, &now, 1000 * MS, 1 * MS, 0, 128 * KIB, 1);
    g_assert_false(read_pace_wants_stream(&pace));
}

/* A reader that takes its time waits for nothing. */
static void test_slow_reader(void)
{
    ReadPace pace = {0};
    gint64 now = 1;
    reads(&pace, &now, 1, 400 * MS, 0, 64 * KIB, 1);
    reads(&pace, &now, 1000 * MS, 1 * MS, 50 * MS, 64 * KIB, 1);
    g_assert_false(read_pace_wants_stream(&pace));
}

static void judge(ReadPace *pace, gint64 *now, gsize together, gsize alone)
{
    reads(pace, now, 1, 400 * MS, 0, 64 * KIB, 1);
    for (guint i = 0; i < 1000 && !pace->control; i++)
        reads(pace, now, 100 * MS, 10 * MS, 0, together, 3);
    g_assert_true(pace->control);
    g_assert_false(read_pace_wants_stream(pace));
    reads(pace, now, 2000 * MS, 10 * MS, 0, alone, 1);
    g_assert_true(pace->settled);
}

static void test_useful(void)
{
    ReadPace pace = {0};
    gint64 now = 1;
    judge(&pace, &now, 300 * KIB, 100 * KIB);
    g_assert_false(pace.useless);
    g_assert_true(read_pace_wants_stream(&pace));
}

static void test_useless(void)
{
    ReadPace pace = {0};
    gint64 now = 1;
    judge(&pace, &now, 100 * KIB, 95 * KIB);
    g_assert_true(pace.useless);
    g_assert_false(read_pace_wants_stream(&pace));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/read_pace/far", test_far);
    g_test_add_func("/read_pace/near", test_near);
    g_test_add_func("/read_pace/fast", test_fast);
    g_test_add_func("/read_pace/slow-reader", test_slow_reader);
    g_test_add_func("/read_pace/useful", test_useful);
    g_test_add_func("/read_pace/useless", test_useless);
    return g_test_run();
}
