/* SPDX-License-Identifier: MIT */
#include "base/stats.h"

#include "base/log.h"

#include <stdatomic.h>

#define LAST_ERROR_MAX 1000 /* bytes */

struct Stats {
    _Atomic gint64 counters[STATS_N];
    GMutex lock;
    char *last_error; /* lock; printable, or NULL */
};

static const char *const counter_names[STATS_N] = {
    [STATS_LOGINS] = "logins",
    [STATS_COMMANDS] = "commands",
    [STATS_DATA_CONNECTIONS] = "data_connections",
    [STATS_BYTES_IN] = "bytes_in",
    [STATS_BYTES_OUT] = "bytes_out",
    [STATS_LISTINGS] = "listings",
    [STATS_CACHE_HITS] = "cache_hits",
    [STATS_CACHE_MISSES] = "cache_misses",
    [STATS_UPLOADS] = "uploads",
    [STATS_RETRIES] = "retries",
    [STATS_PREFETCHED_LISTINGS] = "prefetched_listings",
    [STATS_PREFETCHED_LISTINGS_USED] = "prefetched_listings_used",
    [STATS_PREFETCHED_FILES] = "prefetched_files",
    [STATS_PREFETCHED_FILES_USED] = "prefetched_files_used",
    [STATS_PREFETCHED_BYTES] = "prefetched_bytes",
    [STATS_ERRORS] = "errors",
};

Stats *stats_new(void)
{
    Stats *stats = g_new0(Stats, 1);
    g_mutex_init(&stats->lock);
    return stats;
}

void stats_free(Stats *stats)
{
    if (stats == NULL)
        return;
    g_mutex_clear(&stats->lock);
    g_free(stats->last_error);
    g_free(stats);
}

void stats_add(Stats *stats, StatsCounter counter, gint64 n)
{
    g_return_if_fail((guint)counter < STATS_N);
    atomic_fetch_add_explicit(&stats->counters[counter], n, memory_order_relaxed);
}

gint64 stats_get(const Stats *stats, StatsCounter counter)
{
    g_return_val_if_fail((guint)counter < STATS_N, 0);
    return atomic_load_explicit(&stats->counters[counter], memory_order_relaxed);
}

const char *stats_name(StatsCounter counter)
{
    g_return_val_if_fail((guint)counter < STATS_N, "");
    return counter_names[counter];
}

void stats_set_last_error(Stats *stats, const char *text)
{
    char *printable = text != NULL ? log_printable(text, LAST_ERROR_MAX) : NULL;
    g_mutex_lock(&stats->lock);
    char *old = stats->last_error;
    stats->last_error = printable;
    g_mutex_unlock(&stats->lock);
    g_free(old);
}

char *stats_last_error(const Stats *stats)
{
    GMutex *lock = (GMutex *)&stats->lock; /* the counters are what is const */
    g_mutex_lock(lock);
    char *copy = g_strdup(stats->last_error);
    g_mutex_unlock(lock);
    return copy;
}
