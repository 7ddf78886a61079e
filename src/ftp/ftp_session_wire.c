/* SPDX-License-Identifier: MIT */
/*
 * A wire that was dead for a while
 *
 * TCP sends again what got no answer, after 0.2, 0.4, 0.8, ... seconds: when a wire was dead for twenty seconds, an
 * operation may wait for another five after it is back, and one whose request arrived may wait as long for the server
 * to say its answer again. Nobody can tell such a silence from that of a slow server, but somebody who asks: a bare
 * connection to the server's port is answered by its kernel, however slow the server is. So an operation without
 * progress for SUSPECT asks, and, while there is no answer, again and again. When there was none and then one, and
 * bytes still do not move, the connection is given up and the operation is done again on another (a request that may
 * have been carried out is looked up first, see ftp_client_run()).
 *
 * The address that a connection comes from may have gone, too (another network after a suspend): then no answer will
 * ever find it.
 *
 * A wire that is dead and stays so is no business of ours: `timeout` ends the wait.
 */
#include "ftp_session_private.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define SUSPECT     (3 * G_USEC_PER_SEC)
#define ANSWER      G_USEC_PER_SEC /* a question that gets none in this time is asked anew */
#define GRACE       G_USEC_PER_SEC /* bytes have so long to move when the wire is back */
#define PAUSE_FIRST (3 * G_USEC_PER_SEC)

void ftp_session_set_hasty(FtpSession *session, gint64 usec)
{
    session->wire.hasty = usec;
}

static gboolean is_connected(int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    return getpeername(fd, (struct sockaddr *)&address, &size) == 0;
}

/* A login whose connection should have come to stand long ago. */
static gboolean is_late(const FtpSession *session, gint64 now)
{
    const WireWatch *wire = &session->wire;
    if (wire->hasty == 0 || session->control_fd >= 0 || session->connecting->len == 0 ||
        now - wire->connecting_at < wire->hasty)
        return FALSE;
    for (guint i = 0; i < session->connecting->len; i++)
        if (is_connected(g_array_index(session->connecting, curl_socket_t, i)))
            return FALSE;
    return TRUE;
}

static void hang_up(WireWatch *wire)
{
    if (wire->fd >= 0)
        close(wire->fd);
    wire->fd = -1;
}

void ftp_session_wire_reset(FtpSession *session)
{
    WireWatch *wire = &session->wire;
    hang_up(wire);
    wire->next = wire->back_at = 0;
    wire->pause = PAUSE_FIRST;
    wire->dead = wire->broken = FALSE;
}

/* A connection from the address of the control connection to the other end's. 0, or -errno. */
static int ask(FtpSession *session, gint64 now)
{
    WireWatch *wire = &session->wire;
    struct sockaddr_storage here, there;
    socklen_t here_size = sizeof here, there_size = sizeof there;

    wire->asked_at = now;
    if (getsockname(session->control_fd, (struct sockaddr *)&here, &here_size) < 0 ||
        getpeername(session->control_fd, (struct sockaddr *)&there, &there_size) < 0)
        return -errno;
    if (here.ss_family == AF_INET)
        ((struct sockaddr_in *)&here)->sin_port = 0;
    else if (here.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&here)->sin6_port = 0;
    wire->fd = socket(here.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (wire->fd < 0 || bind(wire->fd, (struct sockaddr *)&here, here_size) < 0)
        return -errno;
    if (connect(wire->fd, (struct sockaddr *)&there, there_size) < 0 && errno != EINPROGRESS)
        return -errno;
    return 0;
}

/* TRUE when the other end has answered, be it by a refusal. */
static gboolean is_answered(const WireWatch *wire)
{
    struct pollfd poll_fd = {.fd = wire->fd, .events = POLLOUT};
    int error = 0;
    socklen_t size = sizeof error;
    return poll(&poll_fd, 1, 0) == 1 && getsockopt(wire->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 &&
           (error == 0 || error == ECONNREFUSED || error == ECONNRESET);
}

static void take_answer(WireWatch *wire, gint64 now)
{
    hang_up(wire);
    if (wire->dead) {
        if (wire->back_at == 0)
            wire->back_at = now;
        wire->next = G_MAXINT64;
    } else {
        wire->next = now + wire->pause;
        wire->pause *= 2;
    }
}

static int watch_wire(FtpSession *session, gint64 now)
{
    WireWatch *wire = &session->wire;
    if (wire->back_at != 0)
        return now - wire->back_at > GRACE ? -ECONNRESET : 0;
    if (wire->fd >= 0) {
        if (is_answered(wire)) {
            take_answer(wire, now);
        } else if (now - wire->asked_at > ANSWER) {
            hang_up(wire);
            wire->dead = TRUE;
            wire->next = now;
        }
    }
    if (wire->fd < 0 && wire->back_at == 0 && now >= wire->next) {
        int error = ask(session, now);
        if (error == -EADDRNOTAVAIL)
            return -ECONNRESET;
        if (error < 0) { /* no route, no network: as dead as it can be */
            hang_up(wire);
            wire->dead = TRUE;
            wire->next = now + ANSWER;
        }
    }
    return 0;
}

int ftp_session_wire_watch(FtpSession *session, gint64 now)
{
    WireWatch *wire = &session->wire;
    if (is_late(session, now))
        return -ETIMEDOUT;
    if (session->control_fd < 0 || session->config->proxy)
        return 0;
    if (now - session->progress_at < SUSPECT) {
        if (wire->next != 0)
            ftp_session_wire_reset(session);
        return 0;
    }
    int error = watch_wire(session, now);
    wire->broken = error < 0;
    return error;
}
