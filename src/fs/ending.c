/* SPDX-License-Identifier: MIT */
/*
 * libfuse ends its loop by a flag, and then waits for its workers, each of which first finishes the operation that it
 * is at. With a server that does not answer that would take as long as `retry` lets it, and a service manager would
 * kill us with files unsent. So a thread of our own takes the signals: it sets the flag, wakes the loop (which looks at
 * the flag when a signal interrupts it), and some seconds later, or at once when the server is away anyway, tells the
 * file system that whatever waits is to end. What could not be sent is then kept, as always. After a second signal
 * nothing is asked of the server any more.
 */
#include "fs/ending.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define GRACE_S   10
#define GRACE     (GRACE_S * G_USEC_PER_SEC)
#define TELL      (G_USEC_PER_SEC / 2)
#define WAKE_MS   100 /* a wake-up that comes just before the loop falls asleep is lost, so there are more */
#define WAKE_SIGN SIGUSR2

struct Ending {
    struct fuse_session *session;
    Fs *fs;
    FtpClient *client;
    pthread_t loop;
    gint loop_is_over; /* atomic */
    int signals;       /* a signalfd */
    int end;           /* an eventfd: the thread is to end */
    GThread *thread;
};

static void do_nothing(int number)
{
}

static gboolean take_signal(const Ending *ending)
{
    struct signalfd_siginfo info;
    return read(ending->signals, &info, sizeof info) == (gssize)sizeof info;
}

static gpointer ending_thread(gpointer data)
{
    Ending *ending = data;
    struct pollfd fds[] = {{.fd = ending->signals, .events = POLLIN}, {.fd = ending->end, .events = POLLIN}};
    guint taken = 0;
    gboolean hurried = FALSE;
    gint64 hurry_at = G_MAXINT64, tell_at = G_MAXINT64;

    for (;;) {
        poll(fds, G_N_ELEMENTS(fds), taken > 0 ? WAKE_MS : -1);
        if (fds[1].revents != 0)
            return NULL;
        if (fds[0].revents != 0 && take_signal(ending)) {
            if (taken++ == 0) {
                tell_at = g_get_monotonic_time() + TELL;
                hurry_at = g_get_monotonic_time() + GRACE;
                fuse_session_exit(ending->session);
            } else {
                fs_hurry(ending->fs, TRUE);
                ftp_client_stop(ending->client);
                hurried = TRUE;
            }
        }
        if (taken > 0 && !g_atomic_int_get(&ending->loop_is_over))
            pthread_kill(ending->loop, WAKE_SIGN);
        if (!hurried && g_get_monotonic_time() >= tell_at) {
            g_message("ending: what is under way has %d seconds; a second signal ends it at once", GRACE_S);
            tell_at = G_MAXINT64;
        }
        if (taken > 0 && !hurried && (g_get_monotonic_time() >= hurry_at || ftp_client_is_away(ending->client))) {
            fs_hurry(ending->fs, FALSE);
            hurried = TRUE;
        }
    }
}

/* The signals that end a mount, but not those that the one who started us had ignored (nohup). */
static void ending_signals(sigset_t *set)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    sigemptyset(set);
    for (gsize i = 0; i < G_N_ELEMENTS(numbers); i++) {
        struct sigaction action;
        if (sigaction(numbers[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(set, numbers[i]);
    }
}

void ending_block_signals(void)
{
    sigset_t set;
    ending_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

Ending *ending_new(struct fuse_session *session, Fs *fs, FtpClient *client, GError **error)
{
    g_autoptr(Ending) ending = g_new0(Ending, 1);
    struct sigaction action = {.sa_handler = do_nothing};
    sigset_t set;

    ending->session = session;
    ending->fs = fs;
    ending->client = client;
    ending->loop = pthread_self();
    ending_signals(&set);
    ending->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    ending->end = eventfd(0, EFD_CLOEXEC);
    if (ending->signals < 0 || ending->end < 0 || sigaction(WAKE_SIGN, &action, NULL) < 0) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "signals can't be taken: %s", g_strerror(errno));
        return NULL;
    }
    ending->thread = g_thread_try_new("ftpfs-ending", ending_thread, ending, error);
    return ending->thread ? g_steal_pointer(&ending) : NULL;
}

void ending_loop_is_over(Ending *ending)
{
    g_atomic_int_set(&ending->loop_is_over, TRUE);
}

void ending_free(Ending *ending)
{
    if (!ending)
        return;
    if (ending->thread) {
        eventfd_write(ending->end, 1);
        g_thread_join(ending->thread);
    }
    if (ending->signals >= 0)
        close(ending->signals);
    if (ending->end >= 0)
        close(ending->end);
    g_free(ending);
}
