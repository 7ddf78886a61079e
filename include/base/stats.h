/* SPDX-License-Identifier: MIT */
/* Counters of a mount, for --status and for tests. All functions are thread-safe and never block for long. */
#pragma once

#include <glib.h>

typedef enum {
    STATS_LOGINS,   /* control connections that logged in */
    STATS_COMMANDS, /* commands sent on control connections */
    STATS_DATA_CONNECTIONS,
    STATS_BYTES_IN, /* of files and listings */
    STATS_BYTES_OUT,
    STATS_LISTINGS,   /* directories listed */
    STATS_CACHE_HITS, /* lookups answered without the network */
    STATS_CACHE_MISSES,
    STATS_UPLOADS, /* files that the server acknowledged */
    STATS_RETRIES,
    STATS_PREFETCHED_LISTINGS, /* directories listed before anybody asked; of them used */
    STATS_PREFETCHED_LISTINGS_USED,
    STATS_PREFETCHED_FILES, /* small files likewise */
    STATS_PREFETCHED_FILES_USED,
    STATS_PREFETCHED_BYTES, /* of these files */
    STATS_ERRORS,
    STATS_N
} StatsCounter;

typedef struct Stats Stats;

Stats *stats_new(void);
void stats_free(Stats *stats);
void stats_add(Stats *stats, StatsCounter counter, gint64 n);
gint64 stats_get(const Stats *stats, StatsCounter counter);
const char *stats_name(StatsCounter counter); /* "logins", "commands", ... */

/* The last failure, as a sentence with the server's own words; made printable here. NULL forgets it. */
void stats_set_last_error(Stats *stats, const char *text);
char *stats_last_error(const Stats *stats); /* owned by the caller; NULL when there was none */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Stats, stats_free)
