/* SPDX-License-Identifier: MIT */
/*
 * What makes the cache unable to lie is one counter, the clock, which goes up with every load, question and change.
 *
 * - A load takes its number when it begins. Notes with a lower number were made before: the listing knows better, they
 *   are dropped. Notes with a higher one were made while it ran: they are put over the listing.
 * - An answer about one name carries the number that the clock had before the question. When the directory was changed
 *   by us since (dir->changed), or something above it was renamed, removed or forgotten (barrier), it is thrown away.
 * - A load whose directory is renamed, removed or forgotten loses its directory: those who wait get what it found, but
 *   it is not stored.
 *
 * A note is put into the listing when the listing is asked for (dir_table_merge), so that a directory in which a
 * thousand files were made costs no more than one that was listed.
 *
 * Locks: `lock` guards everything but the configuration. It is never held while the load function runs.
 */
#include "fs/dir_cache.h"

#include "dir_listing.h"
#include "dir_table.h"

#include <errno.h>

#define RESIZED_MAX 1000 /* names; then all are forgotten but the last */

struct DirCache {
    DirCacheConfig config;
    DirLoadFunc load;
    gpointer data;
    Stats *stats;
    GMutex lock;
    DirTable *table;
    guint64 clock;
    guint64 barrier;
    GHashTable *resized; /* path → gint64*: when the server told another size of it than before; monotonic, µs */
};

DirCache *dir_cache_new(const DirCacheConfig *config, DirLoadFunc load, gpointer data, Stats *stats)
{
    DirCache *cache = g_new0(DirCache, 1);

    cache->config = *config;
    cache->load = load;
    cache->data = data;
    cache->stats = stats;
    g_mutex_init(&cache->lock);
    cache->table = dir_table_new();
    cache->clock = 1;
    cache->resized = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return cache;
}

void dir_cache_free(DirCache *cache)
{
    if (!cache)
        return;
    dir_table_free(cache->table);
    g_hash_table_unref(cache->resized);
    g_mutex_clear(&cache->lock);
    g_free(cache);
}

gsize dir_cache_bytes(DirCache *cache)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache->lock);

    return dir_table_bytes(cache->table);
}

/* ---- Listings ---- */

static gboolean is_fresh(const DirCache *cache, const Dir *dir, gint64 max_age, gint64 now)
{
    if (!dir->listing || dir->stale || dir->unknown > 0)
        return FALSE;
    return max_age >= 0 ? now - dir->began <= max_age : now - dir->ended < cache->config.ttl;
}

static Flight *flight_new(DirCache *cache, Dir *dir, gint64 now)
{
    Flight *flight = g_new0(Flight, 1);

    flight->refs = 1;
    g_cond_init(&flight->done_cond);
    flight->dir = dir;
    flight->seq = ++cache->clock;
    flight->began = now;
    dir->flight = flight;
    return flight;
}

/* With the lock held. */
static void flight_unref(Flight *flight)
{
    if (--flight->refs > 0)
        return;
    dir_listing_unref(flight->listing);
    g_cond_clear(&flight->done_cond);
    g_free(flight);
}

/* Times that are known to the second and that the coarser new listing agrees with. */
static void keep_exact_times(const Dir *dir, DirListing *listing)
{
    for (guint i = 0; i < dir_listing_size(listing); i++) {
        ListEntry entry, old;
        dir_listing_entry(listing, i, &entry);
        if (entry.attr.mtime_precision <= 1)
            continue;
        const Note *note = dir_table_note(dir, entry.name);
        if (note && note->kind == NOTE_KNOWN)
            dir_attr_keep_exact_time(dir_listing_attr(listing, i), &note->attr);
        else if (dir->listing && dir_listing_find(dir->listing, entry.name, &old))
            dir_attr_keep_exact_time(dir_listing_attr(listing, i), &old.attr);
    }
}

static void mark_resized(DirCache *cache, const char *path)
{
    gint64 *when = g_new(gint64, 1);

    *when = g_get_monotonic_time();
    if (g_hash_table_size(cache->resized) >= RESIZED_MAX)
        g_hash_table_remove_all(cache->resized);
    g_hash_table_replace(cache->resized, g_strdup(path), when);
}

/* What was known of a name, be it old. */
static gboolean known_size(const Dir *dir, const char *name, gint64 *ret)
{
    const Note *note = dir_table_note(dir, name);
    FtpAttr attr = {0};
    ListEntry entry;

    if (note && note->kind == NOTE_KNOWN)
        attr = note->attr;
    else if (!note && dir->listing && dir_listing_find(dir->listing, name, &entry))
        attr = entry.attr;
    *ret = attr.size;
    return attr.type == FTP_TYPE_FILE && (attr.has & FTP_HAS_SIZE) != 0;
}

static void compare_size(DirCache *cache, const Dir *dir, const char *name, const FtpAttr *attr)
{
    gint64 size;

    if (attr->type != FTP_TYPE_FILE || (attr->has & FTP_HAS_SIZE) == 0 || !known_size(dir, name, &size) ||
        size == attr->size)
        return;
    g_autofree char *path = g_build_path("/", dir->path, name, NULL);
    mark_resized(cache, path);
}

static void compare_sizes(DirCache *cache, const Dir *dir, const DirListing *listing)
{
    if (!dir->listing && !dir->notes)
        return;
    for (guint i = 0; i < dir_listing_size(listing); i++) {
        ListEntry entry;
        dir_listing_entry(listing, i, &entry);
        compare_size(cache, dir, entry.name, &entry.attr);
    }
}

gboolean dir_cache_resized(DirCache *cache, const char *path, gint64 within)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache->lock);
    const gint64 *when = g_hash_table_lookup(cache->resized, path);

    return when && g_get_monotonic_time() - *when < within;
}

static void store_listing(DirCache *cache, Dir *dir, const Flight *flight, DirListing *listing)
{
    if (cache->config.exact_times)
        keep_exact_times(dir, listing);
    compare_sizes(cache, dir, listing);
    dir_listing_unref(dir->listing);
    dir->listing = listing;
    dir->began = flight->began;
    dir->ended = g_get_monotonic_time();
    dir->stale = FALSE;
    dir_table_drop_notes(dir, flight->seq);
    dir->merged = FALSE;
    dir_table_merge(dir);
    dir_table_touch(cache->table, dir);
    dir_table_trim(cache->table, cache->config.max_bytes, dir);
}

/* Runs the load function on this thread; the lock is held before and after it. */
static int run_load(DirCache *cache, const Bound *bound, const char *path, gboolean ahead, Flight *flight,
                    DirListing **ret)
{
    g_autoptr(DirBuilder) builder = dir_builder_new(cache->config.max_bytes);

    g_mutex_unlock(&cache->lock);
    if (ahead)
        dir_builder_set_ahead(builder);
    int r = cache->load(path, bound, builder, cache->data);
    gboolean abandoned = r < 0 && (ahead || bound_check(bound) != 0);
    g_autoptr(DirListing) listing = r < 0 ? NULL : dir_builder_finish(builder);
    g_mutex_lock(&cache->lock);

    Dir *dir = flight->dir;
    if (dir)
        dir_table_detach_flight(dir);
    flight->done = TRUE;
    flight->error = r;
    flight->abandoned = abandoned;
    if (r >= 0 && dir) {
        store_listing(cache, dir, flight, g_steal_pointer(&listing));
        flight->listing = dir_listing_ref(dir->listing);
    } else if (r >= 0) {
        flight->listing = g_steal_pointer(&listing);
    } else if (dir) {
        dir_table_tidy(cache->table, dir);
    }
    g_cond_broadcast(&flight->done_cond);
    if (r >= 0)
        *ret = dir_listing_ref(flight->listing);
    flight_unref(flight);
    return r;
}

/* Waits for the load of another thread. */
static int await_flight(DirCache *cache, const Bound *bound, Flight *flight)
{
    while (!flight->done) {
        int r = bound_wait(bound, &flight->done_cond, &cache->lock);
        if (r < 0 && !flight->done)
            return r;
    }
    return 0;
}

static int list_locked(DirCache *cache, const Bound *bound, const char *path, gint64 max_age, DirListing **ret)
{
    const gint64 asked = g_get_monotonic_time();

    for (;;) {
        gint64 now = g_get_monotonic_time();
        Dir *dir = dir_table_get(cache->table, path);
        if (is_fresh(cache, dir, max_age < 0 ? -1 : max_age + (now - asked), now)) {
            dir_table_merge(dir);
            dir_table_touch(cache->table, dir);
            *ret = dir_listing_ref(dir->listing);
            return 0;
        }
        Flight *flight = dir->flight;
        if (!flight)
            return run_load(cache, bound, path, FALSE, flight_new(cache, dir, now), ret);
        flight->refs++;
        int r = await_flight(cache, bound, flight);
        gboolean good = r < 0 || (!flight->abandoned && (max_age < 0 || asked - flight->began <= max_age));
        if (r == 0)
            r = flight->error;
        if (good && r >= 0)
            *ret = dir_listing_ref(flight->listing);
        flight_unref(flight);
        if (good)
            return r;
    }
}

int dir_cache_list_since(DirCache *cache, const Bound *bound, const char *path, gint64 max_age, DirListing **ret)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache->lock);

    return list_locked(cache, bound, path, max_age, ret);
}

int dir_cache_list(DirCache *cache, const Bound *bound, const char *path, DirListing **ret)
{
    return dir_cache_list_since(cache, bound, path, -1, ret);
}

int dir_cache_load_ahead(DirCache *cache, const Bound *bound, const char *path)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache->lock);
    g_autoptr(DirListing) listing = NULL;
    gint64 now = g_get_monotonic_time();
    Dir *dir = dir_table_find(cache->table, path);

    if (dir && (dir->flight || is_fresh(cache, dir, -1, now)))
        return -EEXIST;
    dir = dir_table_get(cache->table, path);
    return run_load(cache, bound, path, TRUE, flight_new(cache, dir, now), &listing);
}

DirListing *dir_cache_peek(DirCache *cache, const char *path)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache->lock);
    Dir *dir = dir_table_find(cache->table, path);

    return dir && is_fresh(cache, dir, -1, g_get_monotonic_time()) ? dir_listing_ref(dir->listing) : NULL;
}

gboolean dir_cache_has_listing(DirCache *cache, const char *path)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache->lock);
    Dir *dir = dir_table_find(cache->table, path);

    return dir && is_fresh(cache, dir, -1, g_get_monotonic_time());
}

/* ---- Single names ---- */

typedef struct {
    FtpAttr *attr;
    char **target;
    gint64 *age;
} Found;

static int found(Found *ret, const FtpAttr *attr, const char *target, gint64 age)
{
    *ret->attr = *attr;
    if (ret->target)
        *ret->target = g_strdup(target);
    if (ret->age)
        *ret->age = age;
    return 0;
}

static int lookup_note(const DirCache *cache, const Note *note, gint64 max_age, gint64 now, Found *ret)
{
    gint64 limit = cache->config.ttl;

    if (note->kind == NOTE_KNOWN && note->pinned)
        return found(ret, &note->attr, note->target, 0);
    if (note->kind == NOTE_ABSENT && !note->own)
        limit = MIN(limit, cache->config.negative_ttl);
    if (max_age >= 0)
        limit = MIN(limit, max_age);
    if (note->kind == NOTE_UNKNOWN || now - note->time >= limit)
        return -EAGAIN;
    return note->kind == NOTE_ABSENT ? -ENOENT : found(ret, &note->attr, note->target, now - note->time);
}

static int lookup_name(const DirCache *cache, const char *dir_path, const char *name, gint64 max_age, gint64 now,
                       Found *ret)
{
    Dir *dir = dir_table_find(cache->table, dir_path);
    const Note *note = dir ? dir_table_note(dir, name) : NULL;
    ListEntry entry;

    if (!dir)
        return -EAGAIN;
    if (note)
        return lookup_note(cache, note, max_age, now, ret);
    if (!dir->listing || dir->stale)
        return -EAGAIN;
    if (max_age >= 0 ? now - dir->began >= max_age : now - dir->ended >= cache->config.ttl)
        return -EAGAIN;
    if (!dir_listing_find(dir->listing, name, &entry))
        return -ENOENT;
    return found(ret, &entry.attr, entry.target, now - dir->began);
}

static int lookup_locked(const DirCache *cache, const char *path, gint64 max_age, Found *ret)
{
    g_autofree char *parent = NULL, *above = NULL;
    const char *name, *parent_name;
    gint64 now = g_get_monotonic_time();
    FtpAttr attr;
    Found ignored = {&attr, NULL, NULL};

    if (!dir_path_split(path, &parent, &name))
        return -EAGAIN;
    int r = lookup_name(cache, parent, name, max_age, now, ret);
    if (r == -EAGAIN && dir_path_split(parent, &above, &parent_name) &&
        lookup_name(cache, above, parent_name, max_age, now, &ignored) == -ENOENT)
        r = -ENOENT;
    return r;
}

int dir_cache_lookup(DirCache *cache, const char *path, gint64 max_age, FtpAttr *ret, char **ret_target,
                     gint64 *ret_age)
{
    Found result = {ret, ret_target, ret_age};

    g_mutex_lock(&cache->lock);
    int r = lookup_locked(cache, path, max_age, &result);
    g_mutex_unlock(&cache->lock);
    if (cache->stats)
        stats_add(cache->stats, r == -EAGAIN ? STATS_CACHE_MISSES : STATS_CACHE_HITS, 1);
    return r;
}

guint64 dir_cache_stamp(DirCache *cache)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache->lock);

    return ++cache->clock;
}

static void changed(DirCache *cache, Dir *dir)
{
    dir_table_touch(cache->table, dir);
    dir_table_trim(cache->table, cache->config.max_bytes, dir);
}

static void note_answer(DirCache *cache, const char *path, const Note *note)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache->lock);
    g_autofree char *parent = NULL;
    const char *name;

    if (!dir_path_split(path, &parent, &name) || note->seq < MAX(cache->barrier, dir_table_lost(cache->table)))
        return;
    Dir *dir = dir_table_get(cache->table, parent);
    const Note *old = dir_table_note(dir, name);
    if (note->seq > dir->changed && !(old && (old->pinned || old->seq > note->seq))) {
        compare_size(cache, dir, name, &note->attr);
        dir_table_set_note(dir, name, note);
        changed(cache, dir);
    } else {
        dir_table_tidy(cache->table, dir);
    }
}

void dir_cache_note(DirCache *cache, const char *path, const FtpAttr *attr, const char *target, guint64 stamp)
{
    Note note = {.kind = NOTE_KNOWN, .seq = stamp, .time = g_get_monotonic_time(), .attr = *attr, .target = target};
    FtpAttr known;

    if (cache->config.exact_times && dir_cache_attr(cache, path, &known))
        dir_attr_keep_exact_time(&note.attr, &known);
    note_answer(cache, path, &note);
}

void dir_cache_note_absent(DirCache *cache, const char *path, guint64 stamp)
{
    Note note = {.kind = NOTE_ABSENT, .seq = stamp, .time = g_get_monotonic_time()};

    note_answer(cache, path, &note);
}

/* ---- Our own changes; with the lock held ---- */

static void set_own(DirCache *cache, const char *path, Note *note)
{
    g_autofree char *parent = NULL;
    const char *name;

    if (!dir_path_split(path, &parent, &name))
        return;
    Dir *dir = dir_table_get(cache->table, parent);
    note->own = TRUE;
    note->seq = dir->changed = ++cache->clock;
    dir_table_set_note(dir, name, note);
    changed(cache, dir);
}

static void drop_below(DirCache *cache, const char *path)
{
    Dir *dir = dir_table_find(cache->table, path);

    if (!dir)
        return;
    dir_table_drop(cache->table, dir);
    cache->barrier = ++cache->clock;
}

void dir_cache_put(DirCache *cache, const char *path, const FtpAttr *attr, const char *target, gboolean pinned)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache->lock);
    Note note = {.kind = NOTE_KNOWN, .pinned = pinned, .time = g_get_monotonic_time(), .attr = *attr, .target = target};

    if (attr->type != FTP_TYPE_DIR)
        drop_below(cache, path);
    set_own(cache, path, &note);
}

void dir_cache_remove(DirCache *cache, const char *path)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache->lock);
    Note note = {.kind = NOTE_ABSENT, .time = g_get_monotonic_time()};

    drop_below(cache, path);
    set_own(cache, path, &note);
}

/* What is known of a name, be it old: it is moved with its age. */
static Note snapshot(DirCache *cache, const char *path)
{
    g_autofree char *parent = NULL;
    const char *name = NULL;
    Note unknown = {.kind = NOTE_UNKNOWN, .time = g_get_monotonic_time()};
    ListEntry entry;

    Dir *dir = dir_path_split(path, &parent, &name) ? dir_table_find(cache->table, parent) : NULL;
    if (!dir)
        return unknown;
    const Note *note = dir_table_note(dir, name);
    if (note)
        return note->kind == NOTE_KNOWN ? *note : unknown;
    if (!dir->listing || dir->stale || !dir_listing_find(dir->listing, name, &entry))
        return unknown;
    return (Note){.kind = NOTE_KNOWN, .time = dir->ended, .attr = entry.attr, .target = entry.target};
}

gboolean dir_cache_attr(DirCache *cache, const char *path, FtpAttr *ret)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache->lock);
    Note note = snapshot(cache, path);

    if (note.kind == NOTE_KNOWN)
        *ret = note.attr;
    return note.kind == NOTE_KNOWN;
}

void dir_cache_rename(DirCache *cache, const char *from, const char *to)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache->lock);
    Note note = snapshot(cache, from);
    Note gone = {.kind = NOTE_ABSENT, .time = g_get_monotonic_time()};
    g_autofree char *target = g_strdup(note.target);

    if (g_str_equal(from, to))
        return;
    note.target = target;
    drop_below(cache, to);
    Dir *dir = dir_table_find(cache->table, from);
    if (dir)
        dir_table_move(cache->table, dir, to);
    cache->barrier = ++cache->clock;
    set_own(cache, from, &gone);
    set_own(cache, to, &note);
}

void dir_cache_put_empty_dir(DirCache *cache, const char *path, const FtpAttr *attr)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache->lock);
    g_autoptr(DirBuilder) builder = dir_builder_new(0);
    Note note = {.kind = NOTE_KNOWN, .time = g_get_monotonic_time(), .attr = *attr};

    drop_below(cache, path);
    set_own(cache, path, &note);
    Dir *dir = dir_table_get(cache->table, path);
    dir->listing = dir_builder_finish(builder);
    dir->began = dir->ended = note.time;
    dir->changed = ++cache->clock;
    changed(cache, dir);
}

/* ---- Forgetting ---- */

void dir_cache_forget(DirCache *cache, const char *path)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache->lock);
    g_autofree char *parent = NULL;
    const char *name;
    Dir *dir = dir_table_find(cache->table, path);

    if (dir) {
        dir->stale = TRUE;
        dir_table_detach_flight(dir);
    }
    dir = dir_path_split(path, &parent, &name) ? dir_table_find(cache->table, parent) : NULL;
    if (!dir)
        return;
    Note note = {.kind = NOTE_UNKNOWN, .time = g_get_monotonic_time()};
    mark_resized(cache, path);
    set_own(cache, path, &note);
}

void dir_cache_forget_all(DirCache *cache)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache->lock);

    dir_table_forget_all(cache->table);
    cache->barrier = ++cache->clock;
}
