/* SPDX-License-Identifier: MIT */
/*
 * A thread takes work until there is none. When no session can be spared it logs one more in; when there may be no more
 * it puts the work back and ends: the next operation of a person, or the end of other work, starts a thread again
 * (nothing waits, and nothing polls). A failure of the connection drops all the work: whatever is wrong, what nobody
 * has asked for is no reason to try again.
 */
#include "ahead_queue.h"

#include <errno.h>

#define PATIENCE 10.0 /* seconds that one piece of work may take */

typedef struct {
    AheadFunc func;
    gpointer data;
    GDestroyNotify free;
} Work;

struct AheadQueue {
    FtpClient *client;
    guint most;

    GMutex lock; /* guards all below */
    GCond ended; /* a thread has */
    GQueue works;
    guint running;   /* threads */
    GQueue finished; /* GThread, to be joined: they do nothing more but end */
    gint stopped;    /* atomic, so that a bound can look at it */
};

AheadQueue *ahead_queue_new(FtpClient *client, guint threads)
{
    AheadQueue *queue = g_new0(AheadQueue, 1);
    queue->client = client;
    queue->most = threads;
    g_mutex_init(&queue->lock);
    g_cond_init(&queue->ended);
    g_queue_init(&queue->works);
    g_queue_init(&queue->finished);
    return queue;
}

guint ahead_queue_threads(const AheadQueue *queue)
{
    return queue->most;
}

static void work_free(gpointer data)
{
    Work *work = data;
    work->free(work->data);
    g_free(work);
}

/* Without the lock: what is freed may belong to somebody with a lock of his own. */
static void ahead_queue_drop(AheadQueue *queue)
{
    g_mutex_lock(&queue->lock);
    GQueue works = queue->works;
    g_queue_init(&queue->works);
    g_mutex_unlock(&queue->lock);
    g_queue_clear_full(&works, work_free);
}

/* With the lock held. A thread that still frees what libraries keep for it must not be overtaken by the end of the
 * program. */
static void ahead_queue_join(AheadQueue *queue)
{
    GThread *thread;
    while ((thread = g_queue_pop_head(&queue->finished)) != NULL)
        g_thread_join(thread);
}

void ahead_queue_stop(AheadQueue *queue)
{
    g_atomic_int_set(&queue->stopped, TRUE);
    g_mutex_lock(&queue->lock);
    while (queue->running > 0)
        g_cond_wait(&queue->ended, &queue->lock);
    ahead_queue_join(queue);
    g_mutex_unlock(&queue->lock);
    ahead_queue_drop(queue);
}

void ahead_queue_free(AheadQueue *queue)
{
    if (!queue)
        return;
    ahead_queue_stop(queue);
    g_mutex_clear(&queue->lock);
    g_cond_clear(&queue->ended);
    g_free(queue);
}

static gboolean is_stopped(gpointer data)
{
    AheadQueue *queue = data;
    return g_atomic_int_get(&queue->stopped);
}

static Bound ahead_bound(AheadQueue *queue)
{
    Bound bound = bound_seconds(PATIENCE);
    bound.interrupted = is_stopped;
    bound.data = queue;
    return bound;
}

/* What the server said of this one file or directory, or what there is no session for: says nothing of the next. */
static gboolean is_of_one(int error)
{
    return error == -EREMOTEIO || error == -ENOENT || error == -EACCES || error == -EAGAIN || error == -EEXIST ||
           error == -ECANCELED || error == -EFBIG || error == -EBUSY || error == -EOPNOTSUPP;
}

static int ahead_queue_run(AheadQueue *queue, const Work *work)
{
    Bound bound = ahead_bound(queue);
    int error = work->func(&bound, work->data);
    if (error != -EBUSY)
        return error;
    bound = ahead_bound(queue);
    error = ftp_client_open_ahead(queue->client, &bound);
    return error == 0 ? work->func(&bound, work->data) : error;
}

static gpointer ahead_queue_thread(gpointer data)
{
    AheadQueue *queue = data;
    gboolean parked = FALSE;
    g_mutex_lock(&queue->lock);
    while (!parked && !g_atomic_int_get(&queue->stopped)) {
        Work *work = g_queue_pop_head(&queue->works);
        if (!work)
            break;
        g_mutex_unlock(&queue->lock);
        int error = ahead_queue_run(queue, work);
        parked = error == -EBUSY;
        if (!parked)
            work_free(work);
        if (error < 0 && !is_of_one(error))
            ahead_queue_drop(queue);
        g_mutex_lock(&queue->lock);
        if (parked)
            g_queue_push_head(&queue->works, work);
    }
    queue->running--;
    g_queue_push_tail(&queue->finished, g_thread_self());
    g_cond_broadcast(&queue->ended);
    g_mutex_unlock(&queue->lock);
    return NULL;
}

/* With the lock held: as many threads as there is work. */
static void ahead_queue_start(AheadQueue *queue)
{
    guint wanted = MIN(queue->most, queue->works.length);
    ahead_queue_join(queue);
    while (queue->running < wanted && !g_atomic_int_get(&queue->stopped)) {
        GThread *thread = g_thread_try_new("ftpfs-ahead", ahead_queue_thread, queue, NULL);
        if (!thread)
            return;
        queue->running++;
    }
}

void ahead_queue_push(AheadQueue *queue, AheadFunc func, gpointer data, GDestroyNotify free)
{
    Work *work = g_new0(Work, 1);
    work->func = func;
    work->data = data;
    work->free = free;
    g_mutex_lock(&queue->lock);
    g_queue_push_tail(&queue->works, work);
    ahead_queue_start(queue);
    g_mutex_unlock(&queue->lock);
}

void ahead_queue_kick(AheadQueue *queue)
{
    g_mutex_lock(&queue->lock);
    ahead_queue_start(queue);
    g_mutex_unlock(&queue->lock);
}
