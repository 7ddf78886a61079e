/* SPDX-License-Identifier: MIT */
/*
 * What is listed ahead is bounded by what was of use: at most a few directories (AHEAD_FOR_EACH for each thread) may be
 * listed, or wait to be, that nobody has come to yet. A walk that stops leaves no more than these behind; they count as
 * unused for UNUSED_FOR, after which another walk may begin. The listings themselves are in the directory cache.
 *
 * A walk that goes down (find, cp -r) has the subdirectories of the directory that it comes to listed before its next
 * siblings. It is known by a visit to a child of a directory that belongs to a walk.
 */
#include "dir_ahead.h"

#include "dir_table.h"
#include "walk_order.h"

#include <errno.h>
#include <string.h>

#define AHEAD_FOR_EACH 3
#define UNUSED_FOR     (10 * G_USEC_PER_SEC)
#define DEEP_FOR       (5 * G_USEC_PER_SEC) /* after a visit to a child a walk counts as one that goes down */
#define AT_ONCE        G_USEC_PER_SEC       /* from a directory to its first subdirectory: it is a program that walks */
#define WALKED_MAX     256

struct DirAhead {
    AheadQueue *queue;
    DirCache *cache;
    Stats *stats;

    GMutex lock; /* guards all below */
    WalkOrders *orders;
    GHashTable *unused; /* path → gint64*, when it was given to the queue: nobody has come there yet */
    GHashTable *walked; /* path → WalkOrder: directories that somebody came to in order */
    gint64 deep_at;     /* monotonic, µs; 0: never */
    char *last;         /* the directory that somebody came to last, and when */
    gint64 last_at;
};

typedef struct {
    DirAhead *ahead;
    char *path;
} Task;

static gboolean is_directory(const ListEntry *entry)
{
    return entry->attr.type == FTP_TYPE_DIR;
}

DirAhead *dir_ahead_new(AheadQueue *queue, DirCache *cache, Stats *stats)
{
    DirAhead *ahead = g_new0(DirAhead, 1);
    ahead->queue = queue;
    ahead->cache = cache;
    ahead->stats = stats;
    g_mutex_init(&ahead->lock);
    ahead->orders = walk_orders_new(is_directory);
    ahead->last = g_strdup("");
    ahead->unused = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    ahead->walked = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return ahead;
}

void dir_ahead_free(DirAhead *ahead)
{
    if (!ahead)
        return;
    walk_orders_free(ahead->orders);
    g_hash_table_unref(ahead->unused);
    g_hash_table_unref(ahead->walked);
    g_free(ahead->last);
    g_mutex_clear(&ahead->lock);
    g_free(ahead);
}

/* ---- The work, on a thread of the queue ---- */

static int run_task(const Bound *bound, gpointer data)
{
    Task *task = data;
    DirAhead *ahead = task->ahead;
    g_mutex_lock(&ahead->lock);
    gboolean wanted = g_hash_table_contains(ahead->unused, task->path); /* nobody was quicker */
    g_mutex_unlock(&ahead->lock);
    int error = wanted ? dir_cache_load_ahead(ahead->cache, bound, task->path) : 0;
    if (wanted && error == 0)
        stats_add(ahead->stats, STATS_PREFETCHED_LISTINGS, 1);
    return error;
}

static void free_task(gpointer data)
{
    Task *task = data;
    DirAhead *ahead = task->ahead;
    if (!dir_cache_has_listing(ahead->cache, task->path)) {
        g_mutex_lock(&ahead->lock);
        g_hash_table_remove(ahead->unused, task->path);
        g_mutex_unlock(&ahead->lock);
    }
    g_free(task->path);
    g_free(task);
}

/* ---- With the lock held ---- */

static gboolean is_old(gpointer path, gpointer when, gpointer now)
{
    return *(gint64 *)now - *(gint64 *)when >= UNUSED_FOR;
}

/* Sorts out which of the names are worth it; their paths go to `ret`. */
static void choose(DirAhead *ahead, const char *parent, const GPtrArray *names, GPtrArray *ret)
{
    gint64 now = g_get_monotonic_time();
    guint most = AHEAD_FOR_EACH * ahead_queue_threads(ahead->queue);
    g_hash_table_foreach_remove(ahead->unused, is_old, &now);
    for (guint i = 0; i < names->len && g_hash_table_size(ahead->unused) < most; i++) {
        char *path = g_build_path("/", parent, names->pdata[i], NULL);
        if (g_hash_table_contains(ahead->unused, path) || dir_cache_has_listing(ahead->cache, path)) {
            g_free(path);
            continue;
        }
        gint64 *when = g_new(gint64, 1);
        *when = now;
        g_hash_table_insert(ahead->unused, g_strdup(path), when);
        g_ptr_array_add(ret, path);
    }
}

static void remember_walked(DirAhead *ahead, const char *path, WalkOrder order)
{
    if (g_hash_table_size(ahead->walked) >= WALKED_MAX)
        g_hash_table_remove_all(ahead->walked);
    g_hash_table_replace(ahead->walked, g_strdup(path), GUINT_TO_POINTER(order));
}

static void see_visit(DirAhead *ahead, const char *path, const char *parent, const char *name, DirListing *above,
                      DirListing *own, GPtrArray *ret)
{
    guint most = AHEAD_FOR_EACH * ahead_queue_threads(ahead->queue);
    g_autoptr(GPtrArray) next = g_ptr_array_new_with_free_func(g_free);
    gint64 now = g_get_monotonic_time();
    WalkOrder order = WALK_AS_LISTED;
    gboolean deep = g_hash_table_contains(ahead->walked, parent);
    gboolean eager = deep || (g_str_equal(ahead->last, parent) && now - ahead->last_at < AT_ONCE);

    if (g_hash_table_remove(ahead->unused, path))
        stats_add(ahead->stats, STATS_PREFETCHED_LISTINGS_USED, 1);
    if (deep)
        ahead->deep_at = now;
    if (!walk_orders_use(ahead->orders, parent, above, name, eager, most, &order, next))
        return;
    remember_walked(ahead, path, order);
    if (own && ahead->deep_at != 0 && now - ahead->deep_at < DEEP_FOR) {
        g_autoptr(GPtrArray) below = g_ptr_array_new_with_free_func(g_free);
        walk_orders_first(ahead->orders, path, own, order, most, below);
        choose(ahead, path, below, ret);
    }
    choose(ahead, parent, next, ret);
}

/* After see_visit(). */
static void remember_last(DirAhead *ahead, const char *path)
{
    g_free(ahead->last);
    ahead->last = g_strdup(path);
    ahead->last_at = g_get_monotonic_time();
}

void dir_ahead_visit(DirAhead *ahead, const char *path)
{
    g_autofree char *parent = NULL;
    const char *name;
    if (ahead_queue_threads(ahead->queue) == 0)
        return;
    gboolean inner = dir_path_split(path, &parent, &name); /* the root has no siblings */
    g_autoptr(DirListing) above = inner ? dir_cache_peek(ahead->cache, parent) : NULL;
    g_autoptr(DirListing) own = dir_cache_peek(ahead->cache, path);
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    g_mutex_lock(&ahead->lock);
    if (above)
        see_visit(ahead, path, parent, name, above, own, paths);
    remember_last(ahead, path);
    g_mutex_unlock(&ahead->lock);
    for (guint i = 0; i < paths->len; i++) {
        Task *task = g_new0(Task, 1);
        task->ahead = ahead;
        task->path = g_strdup(paths->pdata[i]);
        ahead_queue_push(ahead->queue, run_task, task, free_task);
    }
    ahead_queue_kick(ahead->queue);
}
