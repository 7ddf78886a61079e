/* SPDX-License-Identifier: MIT */
/*
 * How long an operation waits
 *
 * The kernel sends operations on one directory one after the other, and a program like `ls` makes several. So a time to
 * wait that each operation counts for itself would add up: here it counts from the moment when the server went away.
 * All that wait end together `retry` later, those that come after that fail at once, and the longest time that a
 * program can see is one `timeout` (the silence that shows that something is wrong), one `connect_timeout` (the login
 * that shows that it is the server) and one `retry`.
 *
 * An operation that comes when that time is over may still be the first one for minutes: the server may be back, and
 * the pause between two tries long. It asks for a try and waits for it a moment (QUICK), but not when the last one has
 * just hung: then the next will, too, and a hundred operations in a row would each wait a moment.
 *
 * The tries
 *
 * A thread makes them, as long as the server is away: with short pauses while somebody waits or asked not long ago,
 * longer and longer ones else. A connection that is not there after HASTY is tried anew at once, because the kernel
 * repeats its question at longer and longer intervals, and the wire may be back. A session that is logged in goes to
 * the pool. After a lasting failure the pauses are long: servers lock out who comes again and again with a wrong
 * password.
 */
#include "ftp_reach.h"

#include "base/log.h"

#include <errno.h>

#define QUICK         (G_USEC_PER_SEC * 7 / 10)
#define HUNG          (G_USEC_PER_SEC / 2) /* a try that took so long was not refused, it got no answer */
#define HUNG_LATELY   (3 * G_USEC_PER_SEC)
#define HASTY         (2 * G_USEC_PER_SEC)
#define PAUSE_FIRST   (G_USEC_PER_SEC / 10)
#define PAUSE_ASKED   G_USEC_PER_SEC /* the longest while somebody waits, or has asked within ... */
#define ASKED_LATELY  (30 * G_USEC_PER_SEC)
#define PAUSE_MOST    (30 * G_USEC_PER_SEC)
#define PAUSE_LEAST   (G_USEC_PER_SEC / 20) /* also when somebody asks */
#define PAUSE_LASTING (5 * G_USEC_PER_SEC)

struct FtpReach {
    const FtpConfig *config;
    FtpServer *server;
    Stats *stats;
    FtpPool *pool;

    GMutex lock; /* guards all below; never held while a session is used */
    GCond changed;
    gboolean away;
    gboolean lasting;
    int error;            /* of the last try; < 0 while away */
    gint64 away_since;    /* µs, monotonic */
    gint64 back_since;    /* ... or when somebody logged in last */
    gint64 asked_at;      /* when an operation last waited or came */
    guint waiting;        /* operations */
    gboolean wished;      /* that a try begins as soon as possible */
    guint64 tries;        /* that were begun */
    guint64 tries_ended;  /* ... and are over */
    gint64 try_began;     /* of the last one */
    gint64 try_ended;     /* ... or 0 while it runs */
    gint64 hung_at;       /* the end of the last one, when it hung; else 0 */
    FtpSession *session;  /* that tries, or NULL */
    GThread *thread;      /* the last one, or NULL; joined before another is started */
    gboolean thread_runs; /* it looks at `away` once more */
    gboolean stopped;
};

FtpReach *ftp_reach_new(const FtpConfig *config, FtpServer *server, Stats *stats, FtpPool *pool)
{
    FtpReach *reach = g_new0(FtpReach, 1);
    reach->config = config;
    reach->server = server;
    reach->stats = stats;
    reach->pool = pool;
    g_mutex_init(&reach->lock);
    g_cond_init(&reach->changed);
    return reach;
}

void ftp_reach_stop(FtpReach *reach)
{
    g_mutex_lock(&reach->lock);
    reach->stopped = TRUE;
    if (reach->session)
        ftp_session_stop(reach->session);
    g_cond_broadcast(&reach->changed);
    g_mutex_unlock(&reach->lock);
}

void ftp_reach_free(FtpReach *reach)
{
    if (!reach)
        return;
    ftp_reach_stop(reach);
    if (reach->thread)
        g_thread_join(reach->thread);
    g_mutex_clear(&reach->lock);
    g_cond_clear(&reach->changed);
    g_free(reach);
}

gboolean ftp_reach_is_away(FtpReach *reach)
{
    g_mutex_lock(&reach->lock);
    gboolean away = reach->away;
    g_mutex_unlock(&reach->lock);
    return away;
}

/* ---- The thread ---- */

/* With the lock held. */
static void note_back(FtpReach *reach)
{
    reach->back_since = g_get_monotonic_time();
    if (!reach->away)
        return;
    reach->away = FALSE;
    reach->error = 0;
    if (!reach->server->quiet)
        g_message("the server can be reached again");
    g_cond_broadcast(&reach->changed);
}

/* One try, with the lock held, which is given back while it runs. */
static void try_once(FtpReach *reach)
{
    FtpSession *session = ftp_session_new(reach->config, reach->server, reach->stats);
    ftp_session_set_hasty(session, HASTY);
    reach->session = session;
    reach->wished = FALSE;
    reach->tries++;
    reach->try_began = g_get_monotonic_time();
    reach->try_ended = 0;
    g_mutex_unlock(&reach->lock);

    Bound bound = bound_seconds(reach->config->connect_timeout + (double)reach->config->timeout);
    int error = ftp_session_open(session, &bound);
    FtpFailure failure = ftp_session_failure(session);

    g_mutex_lock(&reach->lock);
    reach->session = NULL; /* from here on nobody stops it */
    g_mutex_unlock(&reach->lock);
    ftp_session_set_hasty(session, 0);
    if (error == 0)
        ftp_pool_adopt(reach->pool, session); /* before the operations that wait look for one */
    else
        ftp_session_free(session, FALSE);

    g_mutex_lock(&reach->lock);
    reach->tries_ended++;
    reach->try_ended = g_get_monotonic_time();
    if (error == 0) {
        note_back(reach);
    } else {
        reach->hung_at = reach->try_ended - reach->try_began > HUNG ? reach->try_ended : 0;
        reach->error = error;
        reach->lasting = failure == FTP_FAILURE_PERMANENT;
    }
    g_cond_broadcast(&reach->changed);
}

/* How long until the next try, with the lock held. */
static gint64 pause_after(const FtpReach *reach, guint failures, gint64 now)
{
    gint64 pause = MIN((gint64)PAUSE_FIRST << MIN(failures, 20), PAUSE_MOST);
    if (reach->lasting)
        return MAX(pause, PAUSE_LASTING);
    gboolean asked = reach->waiting > 0 || now - reach->asked_at < ASKED_LATELY;
    return reach->wished ? PAUSE_LEAST : asked ? MIN(pause, PAUSE_ASKED) : pause;
}

static gpointer reach_thread(gpointer data)
{
    FtpReach *reach = data;
    guint failures = 0;

    g_mutex_lock(&reach->lock);
    while (reach->away && !reach->stopped) {
        gint64 now = g_get_monotonic_time();
        gint64 next = MAX(reach->try_ended, reach->away_since) + pause_after(reach, failures, now);
        if (now < next) {
            g_cond_wait_until(&reach->changed, &reach->lock, next);
            continue;
        }
        try_once(reach);
        failures++;
    }
    reach->thread_runs = FALSE;
    g_mutex_unlock(&reach->lock);
    return NULL;
}

/* With the lock held. Where no thread can be made the operations try themselves. */
static void start_thread(FtpReach *reach)
{
    if (reach->thread_runs)
        return;
    if (reach->thread)
        g_thread_join(reach->thread); /* it does not need the lock any more */
    g_autoptr(GError) error = NULL;
    reach->try_ended = 0;
    reach->thread = g_thread_try_new("ftpfs-reach", reach_thread, reach, &error);
    reach->thread_runs = reach->thread != NULL;
    reach->away = reach->thread_runs;
}

/* ---- What operations tell ---- */

void ftp_reach_failed(FtpReach *reach, gint64 began, int error, gboolean lasting, const char *why)
{
    g_mutex_lock(&reach->lock);
    if (!reach->stopped && began > reach->back_since) {
        reach->error = error;
        reach->lasting = lasting;
        if (!reach->away) {
            reach->away = TRUE;
            reach->away_since = g_get_monotonic_time();
            if (!reach->server->quiet)
                g_message("nobody can log in to the server: %s", why);
            start_thread(reach);
            g_cond_broadcast(&reach->changed);
        }
    }
    g_mutex_unlock(&reach->lock);
}

void ftp_reach_worked(FtpReach *reach)
{
    g_mutex_lock(&reach->lock);
    note_back(reach);
    g_mutex_unlock(&reach->lock);
}

/* ---- Waiting ---- */

/* Whether a try would only hang, or come too soon: with the lock held. */
static gboolean is_hopeless(const FtpReach *reach, gint64 now)
{
    if (reach->lasting && reach->try_ended != 0 && now - reach->try_ended < PAUSE_LASTING)
        return TRUE;
    if (reach->tries > reach->tries_ended && now - reach->try_began > HUNG)
        return TRUE;
    return reach->hung_at != 0 && now - reach->hung_at < HUNG_LATELY;
}

int ftp_reach_wait(FtpReach *reach, const Bound *bound, gint64 first_failure)
{
    const gint64 retry = (gint64)reach->config->retry * G_USEC_PER_SEC;
    int error = 0;

    g_mutex_lock(&reach->lock);
    const gint64 came = g_get_monotonic_time();
    const guint64 after_try = reach->tries; /* a try that is under way may be one that hangs since before the return */
    gboolean patient = first_failure != 0 || (!reach->lasting && came < reach->away_since + retry);
    reach->waiting++;
    while (reach->away && error == 0) {
        gint64 now = reach->asked_at = g_get_monotonic_time();
        gint64 end = came + QUICK;
        if (reach->stopped) {
            error = -EIO;
            break;
        }
        if (patient)
            end = reach->lasting ? 0 : MIN(reach->away_since, first_failure ? first_failure : G_MAXINT64) + retry;
        else if (reach->tries_ended > after_try || is_hopeless(reach, now))
            end = 0;
        if (now >= end) {
            error = reach->error;
            break;
        }
        if (!patient && !reach->wished) {
            reach->wished = TRUE;
            g_cond_broadcast(&reach->changed);
        }
        Bound slice = bound_within(bound, (double)(end - now) / G_USEC_PER_SEC);
        error = bound_wait(&slice, &reach->changed, &reach->lock);
        if (error == -ETIMEDOUT && bound_check(bound) == 0)
            error = 0; /* the time is over, not the bound: looked at above */
    }
    reach->waiting--;
    g_mutex_unlock(&reach->lock);
    return error;
}
