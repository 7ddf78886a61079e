/* SPDX-License-Identifier: MIT */
#include "upload_queue.h"

#include <errno.h>

typedef struct {
    gpointer item;
    gint64 due; /* monotonic, µs */
    guint64 order;
} Entry;

struct UploadQueue {
    UploadQueueFunc run;
    gpointer data;
    guint most; /* threads */

    GMutex lock;
    GCond changed; /* something was added, or was run, or a thread has ended */
    /* lock guards all below */
    GSequence *entries;  /* Entry, by due and order */
    GHashTable *waiting; /* item → GSequenceIter */
    GHashTable *running; /* item → gint64*: when it is due again; -1: not */
    guint threads, idle;
    guint64 order;
    guint64 ended; /* counts what was run to its end */
    gboolean stopped;
};

UploadQueue *upload_queue_new(guint threads, UploadQueueFunc run, gpointer data)
{
    UploadQueue *queue = g_new0(UploadQueue, 1);
    queue->run = run;
    queue->data = data;
    queue->most = MAX(threads, 1);
    g_mutex_init(&queue->lock);
    g_cond_init(&queue->changed);
    queue->entries = g_sequence_new(g_free);
    queue->waiting = g_hash_table_new(NULL, NULL);
    queue->running = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    return queue;
}

void upload_queue_free(UploadQueue *queue)
{
    if (!queue)
        return;
    g_assert(queue->threads == 0);
    g_sequence_free(queue->entries);
    g_hash_table_unref(queue->waiting);
    g_hash_table_unref(queue->running);
    g_cond_clear(&queue->changed);
    g_mutex_clear(&queue->lock);
    g_free(queue);
}

/* ---- With the lock held ---- */

static gint compare_entries(gconstpointer a, gconstpointer b, gpointer data)
{
    const Entry *one = a, *other = b;
    if (one->due != other->due)
        return one->due < other->due ? -1 : 1;
    return one->order < other->order ? -1 : one->order > other->order;
}

static void queue_insert(UploadQueue *queue, gpointer item, gint64 due)
{
    GSequenceIter *old = g_hash_table_lookup(queue->waiting, item);
    if (old) {
        if (((Entry *)g_sequence_get(old))->due <= due)
            return;
        g_sequence_remove(old);
    }
    Entry *entry = g_new0(Entry, 1);
    *entry = (Entry){.item = item, .due = due, .order = ++queue->order};
    g_hash_table_insert(queue->waiting, item, g_sequence_insert_sorted(queue->entries, entry, compare_entries, NULL));
}

/* The item that is due, NULL when there is none; *ret_due is when the next one is (G_MAXINT64: there is none). */
static gpointer queue_take(UploadQueue *queue, gint64 *ret_due)
{
    *ret_due = G_MAXINT64;
    if (queue->stopped || g_sequence_is_empty(queue->entries))
        return NULL;
    GSequenceIter *first = g_sequence_get_begin_iter(queue->entries);
    Entry *entry = g_sequence_get(first);
    gpointer item = entry->item;
    *ret_due = entry->due;
    if (entry->due > g_get_monotonic_time())
        return NULL;
    g_hash_table_remove(queue->waiting, item);
    g_sequence_remove(first);
    return item;
}

static void queue_run(UploadQueue *queue, gpointer item)
{
    gint64 *again = g_new(gint64, 1);
    *again = -1;
    g_hash_table_insert(queue->running, item, again);
    g_mutex_unlock(&queue->lock);
    queue->run(item, queue->data);
    g_mutex_lock(&queue->lock);
    gint64 due = *(gint64 *)g_hash_table_lookup(queue->running, item);
    g_hash_table_remove(queue->running, item);
    if (due >= 0)
        queue_insert(queue, item, due);
    queue->ended++;
    g_cond_broadcast(&queue->changed);
}

/* ---- Threads ---- */

static void queue_start(UploadQueue *queue);

static gpointer queue_thread(gpointer data)
{
    UploadQueue *queue = data;
    gint64 due;

    g_mutex_lock(&queue->lock);
    while (TRUE) {
        gpointer item = queue_take(queue, &due);
        if (item) {
            if (!g_sequence_is_empty(queue->entries))
                queue_start(queue);
            queue_run(queue, item);
            continue;
        }
        if (due == G_MAXINT64 || queue->idle > 0)
            break; /* nothing to do, or somebody else waits for the time to come */
        queue->idle++;
        g_cond_wait_until(&queue->changed, &queue->lock, due);
        queue->idle--;
    }
    queue->threads--;
    g_cond_broadcast(&queue->changed);
    g_mutex_unlock(&queue->lock);
    return NULL;
}

/* Starts one more thread where there is work for it. With the lock held. */
static void queue_start(UploadQueue *queue)
{
    if (queue->stopped || queue->idle > 0 || queue->threads >= queue->most)
        return;
    GThread *thread = g_thread_try_new("ftpfs-upload", queue_thread, queue, NULL);
    if (!thread)
        return; /* those that run do it, or the next one that is added tries again */
    g_thread_unref(thread);
    queue->threads++;
}

void upload_queue_add(UploadQueue *queue, gpointer item, gint64 delay)
{
    gint64 due = g_get_monotonic_time() + delay;
    g_mutex_lock(&queue->lock);
    gint64 *again = g_hash_table_lookup(queue->running, item);
    if (again)
        *again = *again < 0 ? due : MIN(*again, due);
    else
        queue_insert(queue, item, due);
    queue_start(queue);
    g_cond_broadcast(&queue->changed);
    g_mutex_unlock(&queue->lock);
}

void upload_queue_drop(UploadQueue *queue, gpointer item)
{
    g_mutex_lock(&queue->lock);
    GSequenceIter *waiting = g_hash_table_lookup(queue->waiting, item);
    gint64 *again = g_hash_table_lookup(queue->running, item);
    if (waiting) {
        g_hash_table_remove(queue->waiting, item);
        g_sequence_remove(waiting);
    }
    if (again)
        *again = -1;
    g_cond_broadcast(&queue->changed);
    g_mutex_unlock(&queue->lock);
}

static void hurry_entry(gpointer data, gpointer order)
{
    ((Entry *)data)->due = 0; /* keeps the order: `order` decides */
}

void upload_queue_hurry(UploadQueue *queue)
{
    g_mutex_lock(&queue->lock);
    g_sequence_foreach(queue->entries, hurry_entry, NULL);
    g_sequence_sort(queue->entries, compare_entries, NULL);
    g_cond_broadcast(&queue->changed);
    g_mutex_unlock(&queue->lock);
}

int upload_queue_wait(UploadQueue *queue, const Bound *bound)
{
    int error = 0;
    g_mutex_lock(&queue->lock);
    guint64 ended = queue->ended;
    while (error == 0 && ended == queue->ended) {
        if (g_sequence_is_empty(queue->entries) && g_hash_table_size(queue->running) == 0)
            error = -ENODATA;
        else
            error = bound_wait(bound, &queue->changed, &queue->lock);
    }
    g_mutex_unlock(&queue->lock);
    return error;
}

void upload_queue_stop(UploadQueue *queue)
{
    g_mutex_lock(&queue->lock);
    queue->stopped = TRUE;
    g_cond_broadcast(&queue->changed);
    while (queue->threads > 0)
        g_cond_wait(&queue->changed, &queue->lock);
    g_mutex_unlock(&queue->lock);
}
