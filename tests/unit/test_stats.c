/* SPDX-License-Identifier: MIT */
#include "base/stats.h"

#define THREADS 4
#define ROUNDS  2000

static void test_counters(void)
{
    g_autoptr(Stats) stats = stats_new();
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
    for (int i = 0; i < STATS_N; i++) {
        StatsCounter counter = (StatsCounter)i;
        g_assert_cmpint(stats_get(stats, counter), ==, 0);
        stats_add(stats, counter, i + 1);
        stats_add(stats, counter, G_GINT64_CONSTANT(1) << 40);
        const char *name = stats_name(counter);
        g_assert_nonnull(name);
        g_assert_cmpstr(name, !=, "");
        g_assert_true(g_hash_table_add(names, (gpointer)name)); /* each its own */
    }
    for (int i = 0; i < STATS_N; i++)
        g_assert_cmpint(stats_get(stats, (StatsCounter)i), ==, (G_GINT64_CONSTANT(1) << 40) + i + 1);
    g_assert_cmpstr(stats_name(STATS_LOGINS), ==, "logins");
    g_assert_cmpstr(stats_name(STATS_COMMANDS), ==, "commands");
    g_assert_cmpstr(stats_name(STATS_ERRORS), ==, "errors");
}

static void test_last_error(void)
{
    g_autoptr(Stats) stats = stats_new();
    g_assert_null(stats_last_error(stats));
    stats_set_last_error(stats, "550 no such\r\nfile \033[2J");
    g_autofree char *first = stats_last_error(stats);
    g_assert_cmpstr(first, ==, "550 no such\\015\\012file \\033[2J");
    stats_set_last_error(stats, "another");
    g_autofree char *second = stats_last_error(stats);
    g_assert_cmpstr(second, ==, "another");
    stats_set_last_error(stats, NULL);
    g_assert_null(stats_last_error(stats));
}

static gpointer count(gpointer data)
{
    Stats *stats = data;
    for (int i = 0; i < ROUNDS; i++) {
        stats_add(stats, STATS_BYTES_IN, 3);
        stats_set_last_error(stats, "one and the same");
        g_autofree char *text = stats_last_error(stats);
        g_assert_cmpstr(text, ==, "one and the same");
    }
    return NULL;
}

static void test_threads(void)
{
    g_autoptr(Stats) stats = stats_new();
    GThread *threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = g_thread_new("count", count, stats);
    for (int i = 0; i < THREADS; i++)
        g_thread_join(threads[i]);
    g_assert_cmpint(stats_get(stats, STATS_BYTES_IN), ==, 3 * THREADS * ROUNDS);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stats/counters", test_counters);
    g_test_add_func("/stats/last-error", test_last_error);
    g_test_add_func("/stats/threads", test_threads);
    return g_test_run();
}
