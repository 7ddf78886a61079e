/* SPDX-License-Identifier: MIT */
#include "fs/status_watch.h"

#include "fs_private.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define REFRESH_MS 500
#define MIB        1048576.0

struct StatusWatch {
    Fs *fs;
    Log *log;
    gboolean progress;
    int signals; /* a signalfd */
    int end;     /* an eventfd */
    GThread *thread;
    gint64 seen_at, in, out; /* of the thread: what the line was made from last */
};

static void own_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGUSR1);
}

void status_watch_block(void)
{
    sigset_t set;

    own_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void log_status(Fs *fs)
{
    g_autofree char *text = fs_status_text(fs);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (gsize i = 0; lines[i] != NULL; i++) {
        if (lines[i][0] != '\0')
            g_message("%s", lines[i]);
    }
}

/* "down 3.1 MiB/s, up 0.0 MiB/s; 2 of 3 sessions busy"; nothing while nothing is transferred. */
static void show_progress(StatusWatch *watch)
{
    gint64 now = g_get_monotonic_time();
    gint64 in = stats_get(watch->fs->stats, STATS_BYTES_IN), out = stats_get(watch->fs->stats, STATS_BYTES_OUT);
    double seconds = MAX((double)(now - watch->seen_at) / G_USEC_PER_SEC, 0.001);
    FtpClientState state;

    ftp_client_state(watch->fs->client, &state);
    if (state.away) {
        log_set_progress(watch->log, "the server is away");
    } else if (in == watch->in && out == watch->out) {
        log_set_progress(watch->log, NULL);
    } else {
        g_autofree char *line = g_strdup_printf("down %.1f MiB/s, up %.1f MiB/s; %u of %u sessions busy",
                                                (double)(in - watch->in) / seconds / MIB,
                                                (double)(out - watch->out) / seconds / MIB, state.busy, state.open);
        log_set_progress(watch->log, line);
    }
    watch->seen_at = now;
    watch->in = in;
    watch->out = out;
}

static gpointer status_watch_thread(gpointer data)
{
    StatusWatch *watch = data;
    struct pollfd fds[] = {{.fd = watch->signals, .events = POLLIN}, {.fd = watch->end, .events = POLLIN}};

    for (;;) {
        poll(fds, G_N_ELEMENTS(fds), watch->progress ? REFRESH_MS : -1);
        if (fds[1].revents != 0)
            return NULL;
        struct signalfd_siginfo info;
        if (fds[0].revents != 0 && read(watch->signals, &info, sizeof info) == (gssize)sizeof info)
            log_status(watch->fs);
        if (watch->progress)
            show_progress(watch);
    }
}

StatusWatch *status_watch_new(Fs *fs, Log *log, gboolean progress)
{
    g_autoptr(StatusWatch) watch = g_new0(StatusWatch, 1);
    sigset_t set;

    watch->fs = fs;
    watch->log = log;
    watch->progress = progress;
    watch->seen_at = g_get_monotonic_time();
    own_signals(&set);
    watch->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    watch->end = eventfd(0, EFD_CLOEXEC);
    if (watch->signals >= 0 && watch->end >= 0)
        watch->thread = g_thread_try_new("ftpfs-status", status_watch_thread, watch, NULL);
    return watch->thread ? g_steal_pointer(&watch) : NULL;
}

void status_watch_free(StatusWatch *watch)
{
    if (!watch)
        return;
    if (watch->thread) {
        eventfd_write(watch->end, 1);
        g_thread_join(watch->thread);
    }
    if (watch->progress)
        log_set_progress(watch->log, NULL);
    if (watch->signals >= 0)
        close(watch->signals);
    if (watch->end >= 0)
        close(watch->end);
    g_free(watch);
}
