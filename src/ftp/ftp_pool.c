/* SPDX-License-Identifier: MIT */
#include "ftp_pool.h"

#include <errno.h>

#define TRY_UPWARD_AFTER (60 * G_USEC_PER_SEC)

typedef struct {
    FtpSession *session;
    FtpPriority priority;
    FtpTransfer *transfer; /* referenced, or NULL */
} Lease;

typedef struct {
    FtpPriority priority;
} Waiter;

struct FtpPool {
    const FtpConfig *config;
    FtpServer *server;
    Stats *stats;

    GMutex lock; /* guards all below; never held while a session is used */
    GCond changed;
    GQueue idle;    /* FtpSession*, used last first */
    GQueue leases;  /* Lease*, oldest first */
    GQueue waiters; /* Waiter*, on their owners' stacks; by priority, then in order of coming */
    guint limit;
    gint64 limit_learned_at;
    gboolean stopped;
};

FtpPool *ftp_pool_new(const FtpConfig *config, FtpServer *server, Stats *stats)
{
    FtpPool *pool = g_new0(FtpPool, 1);
    pool->config = config;
    pool->server = server;
    pool->stats = stats;
    pool->limit = config->connections;
    g_mutex_init(&pool->lock);
    g_cond_init(&pool->changed);
    g_queue_init(&pool->idle);
    g_queue_init(&pool->leases);
    g_queue_init(&pool->waiters);
    return pool;
}

void ftp_pool_stop(FtpPool *pool)
{
    g_mutex_lock(&pool->lock);
    gboolean all_idle = g_queue_is_empty(&pool->leases);
    pool->stopped = TRUE;
    for (GList *item = pool->leases.head; item; item = item->next)
        ftp_session_stop(((Lease *)item->data)->session);
    g_cond_broadcast(&pool->changed);
    GQueue idle = pool->idle;
    g_queue_init(&pool->idle);
    g_mutex_unlock(&pool->lock);

    gint64 end = g_get_monotonic_time() + G_USEC_PER_SEC;
    FtpSession *session;
    while ((session = g_queue_pop_head(&idle)) != NULL)
        ftp_session_free(session, all_idle && g_get_monotonic_time() < end);
}

void ftp_pool_free(FtpPool *pool)
{
    if (!pool)
        return;
    g_assert(g_queue_is_empty(&pool->leases));
    FtpSession *session;
    while ((session = g_queue_pop_head(&pool->idle)) != NULL)
        ftp_session_free(session, FALSE);
    g_cond_clear(&pool->changed);
    g_mutex_clear(&pool->lock);
    g_free(pool);
}

/* ---- Taking; the lock is held ---- */

static guint open_sessions(const FtpPool *pool)
{
    return pool->idle.length + pool->leases.length;
}

/* How many sessions may be in use for one of this priority to be taken, too. */
static guint share(const FtpPool *pool, FtpPriority priority)
{
    if (priority == FTP_PRIORITY_PERSON || pool->limit < 2)
        return pool->limit;
    if (priority == FTP_PRIORITY_TRANSFER || pool->limit < 3)
        return pool->limit - 1;
    return pool->limit - 2;
}

/* What nobody asked for yet takes what is idle, and never the last session that is left to persons. */
static gboolean may_take_ahead(const FtpPool *pool)
{
    guint left = open_sessions(pool);
    for (GList *item = pool->leases.head; item; item = item->next)
        if (((Lease *)item->data)->priority == FTP_PRIORITY_AHEAD)
            left--;
    return pool->waiters.length == 0 && left >= 2;
}

static FtpSession *find_idle(FtpPool *pool, FtpPriority priority, char type)
{
    GList *found = NULL;
    if (priority == FTP_PRIORITY_AHEAD && !may_take_ahead(pool))
        return NULL;
    for (GList *item = pool->idle.head; item && !found; item = item->next)
        if (type == 0 || ftp_session_type(item->data) == type || ftp_session_type(item->data) == 0)
            found = item;
    /* Listings and files switch the transfer type, a round trip each time: they get sessions of their own. */
    guint enough = priority == FTP_PRIORITY_AHEAD ? pool->limit : MIN(pool->limit, 2);
    if (!found && open_sessions(pool) >= enough)
        found = pool->idle.head;
    if (!found)
        return NULL;
    FtpSession *session = found->data;
    g_queue_delete_link(&pool->idle, found);
    return session;
}

static FtpSession *lease(FtpPool *pool, FtpSession *session, FtpPriority priority, FtpTransfer *transfer)
{
    Lease *lease = g_new0(Lease, 1);
    lease->session = session;
    lease->priority = priority;
    lease->transfer = transfer ? ftp_transfer_ref(transfer) : NULL;
    if (transfer)
        ftp_transfer_unwant(transfer);
    g_queue_push_tail(&pool->leases, lease);
    return session;
}

static FtpSession *try_take(FtpPool *pool, FtpPriority priority, char type, FtpTransfer *transfer)
{
    if (pool->limit < pool->config->connections && g_get_monotonic_time() - pool->limit_learned_at > TRY_UPWARD_AFTER) {
        pool->limit++;
        pool->limit_learned_at = g_get_monotonic_time();
    }
    if (pool->leases.length >= share(pool, priority))
        return NULL;
    FtpSession *session = find_idle(pool, priority, type);
    if (!session && priority != FTP_PRIORITY_AHEAD)
        session = ftp_session_new(pool->config, pool->server, pool->stats);
    return session ? lease(pool, session, priority, transfer) : NULL;
}

static int take_ahead(FtpPool *pool, char type, FtpTransfer *transfer, FtpSession **ret)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&pool->lock);
    FtpSession *session = pool->stopped ? NULL : try_take(pool, FTP_PRIORITY_AHEAD, type, transfer);
    if (!session)
        return -EBUSY;
    *ret = session;
    return 0;
}

int ftp_pool_take_new(FtpPool *pool, FtpSession **ret)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&pool->lock);
    if (pool->stopped || !g_queue_is_empty(&pool->waiters) || open_sessions(pool) >= pool->limit ||
        pool->leases.length >= share(pool, FTP_PRIORITY_AHEAD))
        return -EBUSY;
    *ret = lease(pool, ftp_session_new(pool->config, pool->server, pool->stats), FTP_PRIORITY_AHEAD, NULL);
    return 0;
}

static FtpTransfer *find_victim(FtpPool *pool, FtpPriority priority)
{
    Lease *found = NULL;
    for (GList *item = pool->leases.head; item; item = item->next) {
        Lease *lease = item->data;
        if (lease->transfer && lease->priority >= priority && !ftp_transfer_wanted(lease->transfer) &&
            (!found || lease->priority > found->priority))
            found = lease;
    }
    return found ? ftp_transfer_ref(found->transfer) : NULL;
}

static gint compare_waiters(gconstpointer a, gconstpointer b, gpointer data)
{
    const Waiter *first = a, *second = b;
    return first->priority <= second->priority ? -1 : 1; /* the new one goes behind its equals */
}

static void queue_waiter(FtpPool *pool, Waiter *waiter)
{
    GList *item = pool->waiters.head;
    while (item && compare_waiters(item->data, waiter, NULL) < 0)
        item = item->next;
    g_queue_insert_before(&pool->waiters, item, waiter);
}

int ftp_pool_take(FtpPool *pool, const FtpCall *call, char type, FtpTransfer *transfer, FtpSession **ret)
{
    Waiter waiter = {.priority = call->priority};
    FtpSession *session = NULL;
    int error = 0;

    if (call->priority == FTP_PRIORITY_AHEAD)
        return take_ahead(pool, type, transfer, ret);
    g_mutex_lock(&pool->lock);
    queue_waiter(pool, &waiter);
    while (error == 0) {
        if (pool->stopped) {
            error = -EIO;
            break;
        }
        if (g_queue_peek_head(&pool->waiters) == &waiter) {
            session = try_take(pool, waiter.priority, type, transfer);
            if (session)
                break;
        }
        FtpTransfer *victim = find_victim(pool, waiter.priority);
        if (victim) {
            g_mutex_unlock(&pool->lock);
            ftp_transfer_want(victim);
            ftp_transfer_unref(victim);
            g_mutex_lock(&pool->lock);
            continue;
        }
        error = bound_wait(call->bound, &pool->changed, &pool->lock);
    }
    g_queue_remove(&pool->waiters, &waiter);
    g_cond_broadcast(&pool->changed); /* the next one is the head now */
    g_mutex_unlock(&pool->lock);
    if (session)
        *ret = session;
    return error;
}

void ftp_pool_give(FtpPool *pool, FtpSession *session)
{
    FtpTransfer *transfer = NULL;
    g_mutex_lock(&pool->lock);
    for (GList *item = pool->leases.head; item; item = item->next) {
        Lease *lease = item->data;
        if (lease->session == session) {
            transfer = lease->transfer;
            g_free(lease);
            g_queue_delete_link(&pool->leases, item);
            break;
        }
    }
    gboolean keep = ftp_session_connected(session) && !pool->stopped && open_sessions(pool) < pool->limit;
    if (keep)
        g_queue_push_head(&pool->idle, session);
    g_cond_broadcast(&pool->changed);
    g_mutex_unlock(&pool->lock);
    if (!keep)
        ftp_session_free(session, FALSE);
    ftp_transfer_unref(transfer);
}

void ftp_pool_adopt(FtpPool *pool, FtpSession *session)
{
    g_mutex_lock(&pool->lock);
    gboolean keep = !pool->stopped && open_sessions(pool) < pool->limit;
    if (keep)
        g_queue_push_head(&pool->idle, session);
    g_cond_broadcast(&pool->changed);
    g_mutex_unlock(&pool->lock);
    if (!keep)
        ftp_session_free(session, TRUE);
}

void ftp_pool_distrust(FtpPool *pool)
{
    g_mutex_lock(&pool->lock);
    GQueue idle = pool->idle;
    g_queue_init(&pool->idle);
    g_mutex_unlock(&pool->lock);
    FtpSession *session;
    while ((session = g_queue_pop_head(&idle)) != NULL)
        ftp_session_free(session, FALSE);
}

gboolean ftp_pool_learn_busy(FtpPool *pool)
{
    g_mutex_lock(&pool->lock);
    guint others = open_sessions(pool) - 1; /* the one that was refused is still in its lease */
    if (others > 0 && others < pool->limit)
        pool->limit = others;
    pool->limit_learned_at = g_get_monotonic_time();
    g_mutex_unlock(&pool->lock);
    return others > 0;
}

int ftp_pool_pause(FtpPool *pool, const Bound *bound, gint64 usec)
{
    gint64 end = g_get_monotonic_time() + usec;
    int error = 0;
    g_mutex_lock(&pool->lock);
    while (error == 0 && !pool->stopped && g_get_monotonic_time() < end) {
        Bound slice = bound_within(bound, (double)(end - g_get_monotonic_time()) / G_USEC_PER_SEC);
        error = bound_wait(&slice, &pool->changed, &pool->lock);
        if (error == -ETIMEDOUT && bound_check(bound) == 0)
            error = 0; /* the pause is over, not the bound */
    }
    if (pool->stopped)
        error = -EIO;
    g_mutex_unlock(&pool->lock);
    return error;
}

void ftp_pool_state(FtpPool *pool, guint *ret_open, guint *ret_busy, guint *ret_limit)
{
    g_mutex_lock(&pool->lock);
    *ret_open = open_sessions(pool);
    *ret_busy = pool->leases.length;
    *ret_limit = pool->limit;
    g_mutex_unlock(&pool->lock);
}
