/* SPDX-License-Identifier: MIT */
/* Known cases, and a random walk against an array of booleans. */
#include "base/range_set.h"

#define SPACE 64
#define STEPS 20000

static void test_basic(void)
{
    g_autoptr(RangeSet) set = range_set_new();
    gint64 start = -1;
    gint64 end = -1;
    g_assert_cmpuint(range_set_count(set), ==, 0);
    g_assert_true(range_set_has(set, 5, 5));
    g_assert_false(range_set_has(set, 5, 6));
    g_assert_true(range_set_gap(set, 5, 9, &start, &end));
    g_assert_cmpint(start, ==, 5);
    g_assert_cmpint(end, ==, 9);

    range_set_add(set, 10, 20);
    range_set_add(set, 30, 40);
    g_assert_cmpuint(range_set_count(set), ==, 2);
    range_set_add(set, 20, 25); /* touches the first */
    g_assert_cmpuint(range_set_count(set), ==, 2);
    g_assert_true(range_set_has(set, 10, 25));
    g_assert_false(range_set_has(set, 10, 26));
    g_assert_cmpint(range_set_bytes(set), ==, 25);
    range_set_add(set, 25, 30); /* closes the hole */
    g_assert_cmpuint(range_set_count(set), ==, 1);
    g_assert_true(range_set_has(set, 10, 40));
    range_set_remove(set, 15, 16);
    g_assert_cmpuint(range_set_count(set), ==, 2);
    g_assert_true(range_set_gap(set, 0, 100, &start, &end));
    g_assert_cmpint(start, ==, 0);
    g_assert_cmpint(end, ==, 10);
    g_assert_true(range_set_gap(set, 10, 100, &start, &end));
    g_assert_cmpint(start, ==, 15);
    g_assert_cmpint(end, ==, 16);

    start = end = 77;
    g_assert_false(range_set_gap(set, 16, 40, &start, &end));
    g_assert_cmpint(start, ==, 77); /* untouched */
    g_assert_cmpint(end, ==, 77);
    range_set_add(set, 50, 50);
    range_set_add(set, 50, 40);
    range_set_remove(set, 20, 20);
    g_assert_cmpuint(range_set_count(set), ==, 2);
    range_set_remove(set, G_MININT64, G_MAXINT64);
    g_assert_cmpuint(range_set_count(set), ==, 0);
    g_assert_cmpint(range_set_bytes(set), ==, 0);
}

static void test_large(void)
{
    g_autoptr(RangeSet) set = range_set_new();
    gint64 base = G_GINT64_CONSTANT(1) << 50;
    for (gint64 i = 0; i < 1000; i++)
        range_set_add(set, base + i * 10, base + i * 10 + 5);
    g_assert_cmpuint(range_set_count(set), ==, 1000);
    g_assert_cmpint(range_set_bytes(set), ==, 5000);
    range_set_add(set, base, base + 10000);
    g_assert_cmpuint(range_set_count(set), ==, 1);
}

static void compare(const RangeSet *set, const gboolean *model)
{
    guint count = 0;
    gint64 bytes = 0;
    for (int i = 0; i < SPACE; i++) {
        bytes += model[i];
        count += model[i] && (i == 0 || !model[i - 1]);
    }
    g_assert_cmpuint(range_set_count(set), ==, count);
    g_assert_cmpint(range_set_bytes(set), ==, bytes);
}

static void compare_gap(const RangeSet *set, const gboolean *model, int start, int end)
{
    int first = start;
    while (first < end && model[first])
        first++;
    int last = first;
    while (last < end && !model[last])
        last++;
    gint64 gap_start = -1;
    gint64 gap_end = -1;
    gboolean gap = range_set_gap(set, start, end, &gap_start, &gap_end);
    g_assert_cmpint(gap, ==, first < end);
    g_assert_cmpint(range_set_has(set, start, end), ==, !gap);
    if (gap) {
        g_assert_cmpint(gap_start, ==, first);
        g_assert_cmpint(gap_end, ==, last);
    }
}

static void test_random(void)
{
    g_autoptr(RangeSet) set = range_set_new();
    gboolean model[SPACE] = {FALSE};
    for (int step = 0; step < STEPS; step++) {
        int start = g_test_rand_int_range(0, SPACE);
        int end = g_test_rand_int_range(start, MIN(SPACE, start + 12) + 1);
        gboolean add = g_test_rand_bit();
        if (add)
            range_set_add(set, start, end);
        else
            range_set_remove(set, start, end);
        for (int i = start; i < end; i++)
            model[i] = add;
        compare(set, model);
        start = g_test_rand_int_range(0, SPACE);
        compare_gap(set, model, start, g_test_rand_int_range(start, SPACE + 1));
    }
}

static void test_walk(void)
{
    g_autoptr(RangeSet) set = range_set_new(), copy = range_set_new();
    gint64 start = -1, end = -1;
    g_assert_false(range_set_next(set, 0, 100, &start, &end));
    g_assert_cmpint(range_set_end(set), ==, 0);
    range_set_add(set, 10, 20);
    range_set_add(set, 30, 40);
    g_assert_true(range_set_next(set, 0, 100, &start, &end));
    g_assert_cmpint(start, ==, 10);
    g_assert_cmpint(end, ==, 20);
    g_assert_true(range_set_next(set, end, 35, &start, &end));
    g_assert_cmpint(start, ==, 30);
    g_assert_cmpint(end, ==, 35);
    g_assert_true(range_set_next(set, 15, 100, &start, &end));
    g_assert_cmpint(start, ==, 15);
    g_assert_cmpint(end, ==, 20);
    g_assert_false(range_set_next(set, 40, 100, &start, &end));
    g_assert_false(range_set_next(set, 20, 30, &start, &end));
    g_assert_false(range_set_next(set, 35, 35, &start, &end));
    g_assert_cmpint(range_set_end(set), ==, 40);
    range_set_add(copy, 20, 30);
    range_set_add_all(copy, set);
    g_assert_cmpuint(range_set_count(copy), ==, 1);
    g_assert_cmpint(range_set_bytes(copy), ==, 30);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/range-set/basic", test_basic);
    g_test_add_func("/range-set/walk", test_walk);
    g_test_add_func("/range-set/large", test_large);
    g_test_add_func("/range-set/random", test_random);
    return g_test_run();
}
