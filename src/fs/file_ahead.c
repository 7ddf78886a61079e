/* SPDX-License-Identifier: MIT */
/*
 * The table has an entry for each file that waits to be fetched, is being fetched, or waits to be opened. Whoever opens
 * the file takes the entry out: one that waits to be fetched is then fetched by himself, one that is being fetched he
 * waits for. A change of ours takes it out, too, and what is still fetched of it is thrown away. So that a fetch that
 * begins while the file is open for writing is not kept, the worker asks (`skip`) after the entry says "fetching": the
 * one who opens the file enters it into the table of open files first and drops the entry then.
 *
 * Entries that nobody comes for are dropped after a while, when the next file is opened.
 */
#include "file_ahead.h"

#include "dir_table.h"
#include "walk_order.h"

#include <errno.h>
#include <string.h>

#define FILE_MAX       ((gint64)256 << 10)
#define BYTES_MAX      ((gint64)8 << 20)
#define AHEAD_FOR_EACH 3 /* files that wait, for each thread */
#define UNUSED_FOR     (10 * G_USEC_PER_SEC)
#define EAGER_FOR      (2 * G_USEC_PER_SEC) /* after a sequence in a directory one begins at once in its neighbour */

typedef enum { WAITING, FETCHING, READY } State;

typedef struct {
    guint refs; /* the table's, the task's, those who wait */
    State state;
    gboolean dropped;
    char *path;
    FtpAttr attr;
    FileContents *contents; /* when READY; NULL: it could not be fetched */
    gint64 made_at;         /* monotonic, µs */
} Entry;

struct FileAhead {
    FileAheadConfig config;

    GMutex lock; /* guards all below, and the entries */
    GCond changed;
    WalkOrders *orders;
    GHashTable *entries; /* path → Entry */
    gint64 bytes;        /* of the files in the table */
    char *walked;        /* parent of the directory that was last gone through */
    gint64 walked_at;
};

typedef struct {
    FileAhead *ahead;
    Entry *entry;
} Task;

static gboolean is_file(const ListEntry *entry)
{
    return entry->attr.type == FTP_TYPE_FILE;
}

FileAhead *file_ahead_new(const FileAheadConfig *config)
{
    FileAhead *ahead = g_new0(FileAhead, 1);
    ahead->config = *config;
    g_mutex_init(&ahead->lock);
    g_cond_init(&ahead->changed);
    ahead->orders = walk_orders_new(is_file);
    ahead->entries = g_hash_table_new(g_str_hash, g_str_equal);
    ahead->walked = g_strdup("");
    return ahead;
}

/* ---- Entries; with the lock held ---- */

static void entry_unref(Entry *entry)
{
    if (--entry->refs > 0)
        return;
    file_contents_unref(entry->contents);
    g_free(entry->path);
    g_free(entry);
}

static void take_out(FileAhead *ahead, Entry *entry)
{
    if (entry->dropped)
        return;
    entry->dropped = TRUE;
    ahead->bytes -= entry->attr.size;
    g_hash_table_remove(ahead->entries, entry->path);
    entry_unref(entry);
}

static void take_out_all(FileAhead *ahead, gboolean (*which)(const Entry *entry, gconstpointer data),
                         gconstpointer data)
{
    g_autoptr(GList) entries = g_hash_table_get_values(ahead->entries);
    for (GList *item = entries; item; item = item->next)
        if (which(item->data, data))
            take_out(ahead, item->data);
}

static gboolean is_any(const Entry *entry, gconstpointer data)
{
    return TRUE;
}

static gboolean is_old(const Entry *entry, gconstpointer now)
{
    return entry->state == READY && *(const gint64 *)now - entry->made_at >= UNUSED_FOR;
}

static gboolean is_at_or_below(const Entry *entry, gconstpointer top)
{
    gsize length = strlen(top);
    return strncmp(entry->path, top, length) == 0 && (entry->path[length] == '\0' || entry->path[length] == '/');
}

void file_ahead_free(FileAhead *ahead)
{
    if (!ahead)
        return;
    take_out_all(ahead, is_any, NULL);
    walk_orders_free(ahead->orders);
    g_hash_table_unref(ahead->entries);
    g_free(ahead->walked);
    g_mutex_clear(&ahead->lock);
    g_cond_clear(&ahead->changed);
    g_free(ahead);
}

void file_ahead_drop(FileAhead *ahead, const char *path)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&ahead->lock);
    if (g_hash_table_size(ahead->entries) > 0)
        take_out_all(ahead, is_at_or_below, path);
}

/* ---- The work, on a thread of the queue ---- */

static int fetch_entry(FileAhead *ahead, const Bound *bound, Entry *entry, FileContents **ret)
{
    const FileAheadConfig *config = &ahead->config;
    g_autoptr(RemotePath) remote = NULL;
    if (config->skip(entry->path, &entry->attr, config->data))
        return -EEXIST;
    int error = ftp_client_path(config->client, entry->path, &remote);
    if (error < 0)
        return error;
    return file_contents_fetch(config->client, bound, FTP_PRIORITY_AHEAD, remote, &entry->attr, ret);
}

static int run_task(const Bound *bound, gpointer data)
{
    Task *task = data;
    FileAhead *ahead = task->ahead;
    Entry *entry = task->entry;
    FileContents *contents = NULL;

    g_mutex_lock(&ahead->lock);
    gboolean wanted = !entry->dropped;
    if (wanted)
        entry->state = FETCHING;
    g_mutex_unlock(&ahead->lock);
    if (!wanted)
        return 0;
    int error = fetch_entry(ahead, bound, entry, &contents);

    g_mutex_lock(&ahead->lock);
    entry->state = error == -EBUSY ? WAITING : READY;
    entry->contents = contents;
    gboolean stale = error == -ESTALE && !entry->dropped;
    if (error < 0 && error != -EBUSY)
        take_out(ahead, entry);
    g_cond_broadcast(&ahead->changed);
    g_mutex_unlock(&ahead->lock);
    if (error == 0) {
        stats_add(ahead->config.stats, STATS_PREFETCHED_FILES, 1);
        stats_add(ahead->config.stats, STATS_PREFETCHED_BYTES, (gint64)file_contents_size(contents));
    }
    if (stale)
        dir_cache_forget(ahead->config.cache, entry->path);
    /* A transfer that broke, or was ended for somebody else, is no reason to drop what waits. */
    return error == -ESTALE || error == -EIO ? -ECANCELED : error;
}

static void free_task(gpointer data)
{
    Task *task = data;
    g_mutex_lock(&task->ahead->lock);
    if (task->entry->state == WAITING) {
        take_out(task->ahead, task->entry);
        g_cond_broadcast(&task->ahead->changed);
    }
    entry_unref(task->entry);
    g_mutex_unlock(&task->ahead->lock);
    g_free(task);
}

/* ---- Choosing ---- */

static Task *new_task(FileAhead *ahead, const char *path, const FtpAttr *attr)
{
    Task *task = g_new0(Task, 1);
    Entry *entry = g_new0(Entry, 1);
    entry->refs = 2;
    entry->path = g_strdup(path);
    entry->attr = *attr;
    entry->made_at = g_get_monotonic_time();
    g_hash_table_insert(ahead->entries, entry->path, entry);
    ahead->bytes += attr->size;
    task->ahead = ahead;
    task->entry = entry;
    return task;
}

static gboolean has_room(const FileAhead *ahead, gint64 size)
{
    return g_hash_table_size(ahead->entries) < AHEAD_FOR_EACH * ahead_queue_threads(ahead->config.queue) &&
           ahead->bytes + size <= BYTES_MAX;
}

/* A small file that is not fetched yet: its path, and a task for it when there is room. */
static void choose(FileAhead *ahead, const char *dir, DirListing *listing, const char *name, GPtrArray *ret)
{
    const guint8 needed = FTP_HAS_SIZE | FTP_HAS_MTIME;
    g_autofree char *path = g_build_path("/", dir, name, NULL);
    ListEntry entry;
    if (!dir_listing_find(listing, name, &entry) || (entry.attr.has & needed) != needed || entry.attr.size == 0 ||
        entry.attr.size > FILE_MAX)
        return;
    if (ahead->config.skip(path, &entry.attr, ahead->config.data))
        return;
    g_mutex_lock(&ahead->lock);
    if (!g_hash_table_contains(ahead->entries, path) && has_room(ahead, entry.attr.size))
        g_ptr_array_add(ret, new_task(ahead, path, &entry.attr));
    g_mutex_unlock(&ahead->lock);
}

/* With the lock held. */
static gboolean see_use(FileAhead *ahead, const char *dir, DirListing *listing, const char *name, GPtrArray *ret_names)
{
    g_autofree char *above = NULL;
    const char *dir_name;
    gint64 now = g_get_monotonic_time();
    WalkOrder order;
    guint most = AHEAD_FOR_EACH * ahead_queue_threads(ahead->config.queue);

    take_out_all(ahead, is_old, &now);
    if (!dir_path_split(dir, &above, &dir_name))
        above = g_strdup("/");
    gboolean eager = now - ahead->walked_at < EAGER_FOR && g_str_equal(above, ahead->walked);
    if (!walk_orders_use(ahead->orders, dir, listing, name, eager, most, &order, ret_names))
        return FALSE;
    g_free(ahead->walked);
    ahead->walked = g_steal_pointer(&above);
    ahead->walked_at = now;
    return TRUE;
}

gboolean file_ahead_use(FileAhead *ahead, const char *path)
{
    g_autofree char *dir = NULL;
    const char *name;
    if (!dir_path_split(path, &dir, &name))
        return FALSE;
    g_autoptr(DirListing) listing = dir_cache_peek(ahead->config.cache, dir);
    if (!listing)
        return FALSE;
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) tasks = g_ptr_array_new();
    g_mutex_lock(&ahead->lock);
    gboolean walks = see_use(ahead, dir, listing, name, names);
    g_mutex_unlock(&ahead->lock);
    if (ahead_queue_threads(ahead->config.queue) == 0)
        return walks;
    for (guint i = 0; i < names->len; i++)
        choose(ahead, dir, listing, names->pdata[i], tasks);
    for (guint i = 0; i < tasks->len; i++)
        ahead_queue_push(ahead->config.queue, run_task, tasks->pdata[i], free_task);
    ahead_queue_kick(ahead->config.queue);
    return walks;
}

/* ---- Taking ---- */

FileContents *file_ahead_take(FileAhead *ahead, const Bound *bound, const char *path)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&ahead->lock);
    Entry *entry = g_hash_table_lookup(ahead->entries, path);
    FileContents *contents = NULL;
    if (!entry)
        return NULL;
    entry->refs++;
    while (entry->state == FETCHING && !entry->dropped && bound_wait(bound, &ahead->changed, &ahead->lock) == 0)
        ;
    if (entry->state == READY && entry->contents) {
        contents = file_contents_ref(entry->contents);
        if (!entry->dropped)
            stats_add(ahead->config.stats, STATS_PREFETCHED_FILES_USED, 1);
    }
    take_out(ahead, entry);
    entry_unref(entry);
    return contents;
}
