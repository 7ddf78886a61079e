/* SPDX-License-Identifier: MIT */
/*
 * Name and TCP connection are looked at here and not by libcurl, because this tells apart what libcurl's one error
 * can't: an unknown name, a refused port, a firewall that drops.
 */
#include "check_private.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GOODBYE_MS 2000

/* ---- The name ---- */

/* getaddrinfo(3) knows no bound. It runs on a thread of its own, which is left behind when it takes too long; whoever
 * comes last frees. */
typedef struct {
    GMutex lock;
    GCond done_cond;
    gboolean done;
    gatomicrefcount references;
    char *host, *port;
    int family;
    int problem;
    struct addrinfo *addresses;
} Lookup;

static void lookup_unref(Lookup *lookup)
{
    if (!g_atomic_ref_count_dec(&lookup->references))
        return;
    if (lookup->addresses != NULL)
        freeaddrinfo(lookup->addresses);
    g_mutex_clear(&lookup->lock);
    g_cond_clear(&lookup->done_cond);
    g_free(lookup->host);
    g_free(lookup->port);
    g_free(lookup);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Lookup, lookup_unref)

static gpointer lookup_thread(gpointer data)
{
    Lookup *lookup = data;
    struct addrinfo hints = {.ai_family = lookup->family, .ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    int problem = getaddrinfo(lookup->host, lookup->port, &hints, &addresses);

    g_mutex_lock(&lookup->lock);
    lookup->problem = problem;
    lookup->addresses = problem == 0 ? addresses : NULL;
    lookup->done = TRUE;
    g_cond_signal(&lookup->done_cond);
    g_mutex_unlock(&lookup->lock);
    lookup_unref(lookup);
    return NULL;
}

static char *address_text(const struct addrinfo *address)
{
    char host[256], port[16];

    if (getnameinfo(address->ai_addr, address->ai_addrlen, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return g_strdup("an address");
    return g_strdup_printf(strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host, port);
}

static Lookup *resolve(const FtpConfig *ftp, CheckReport *report)
{
    g_autoptr(Lookup) lookup = g_new0(Lookup, 1);
    gint64 deadline = g_get_monotonic_time() + (gint64)ftp->connect_timeout * G_TIME_SPAN_SECOND;

    g_atomic_ref_count_init(&lookup->references);
    g_mutex_init(&lookup->lock);
    g_cond_init(&lookup->done_cond);
    lookup->host = g_strdup(ftp->host);
    lookup->port = g_strdup_printf("%u", ftp_config_port(ftp));
    lookup->family = ftp->family == FTP_FAMILY_IPV4 ? AF_INET : ftp->family == FTP_FAMILY_IPV6 ? AF_INET6 : AF_UNSPEC;
    g_atomic_ref_count_inc(&lookup->references);
    g_thread_unref(g_thread_new("lookup", lookup_thread, lookup));

    g_mutex_lock(&lookup->lock);
    while (!lookup->done && g_cond_wait_until(&lookup->done_cond, &lookup->lock, deadline))
        ;
    gboolean done = lookup->done;
    g_mutex_unlock(&lookup->lock);

    if (!done) {
        check_report_step(report, "name", CHECK_FAILED,
                          "no answer for the name %s within %u seconds; is the DNS server reachable?", ftp->host,
                          ftp->connect_timeout);
        return NULL;
    }
    if (lookup->problem != 0) {
        check_report_step(report, "name", CHECK_FAILED, "%s: %s", ftp->host, gai_strerror(lookup->problem));
        return NULL;
    }
    g_autoptr(GString) all = g_string_new(ftp->host);
    guint n = 0;
    for (const struct addrinfo *a = lookup->addresses; a != NULL && n < 4; a = a->ai_next, n++) {
        g_autofree char *one = address_text(a);
        g_string_append_printf(all, "%s%s", n == 0 ? " is " : ", ", one);
    }
    check_report_step(report, "name", CHECK_OK, "%s", all->str);
    return g_steal_pointer(&lookup);
}

/* ---- The connection ---- */

/* Ends a connection so that the server does not count it any more when it is closed: a server may allow one only. */
static void say_goodbye(int fd, gboolean says_greeting)
{
    static const char quit[] = "QUIT\r\n";
    gint64 end = g_get_monotonic_time() + GOODBYE_MS * G_TIME_SPAN_MILLISECOND, now;
    gboolean said = FALSE;
    char bytes[512];

    if (!says_greeting)
        shutdown(fd, SHUT_WR); /* in TLS it is for us to speak first */
    while ((now = g_get_monotonic_time()) < end) {
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        if (poll(&poller, 1, (int)((end - now) / G_TIME_SPAN_MILLISECOND) + 1) != 1)
            return;
        gssize size = recv(fd, bytes, sizeof bytes, 0);
        if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
            return;
        if (says_greeting && !said && size > 0)
            said = send(fd, quit, strlen(quit), MSG_NOSIGNAL) > 0;
    }
}

/* 0 or -errno, within `ms`. */
static int connect_bounded(const struct addrinfo *address, int ms, gboolean says_greeting)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int problem = 0;

    if (fd < 0)
        return -errno;
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        problem = errno;
        if (problem == EINPROGRESS) {
            struct pollfd poller = {.fd = fd, .events = POLLOUT};
            socklen_t size = sizeof problem;
            if (poll(&poller, 1, ms) != 1)
                problem = ETIMEDOUT;
            else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size) != 0)
                problem = errno;
        }
    }
    if (problem == 0)
        say_goodbye(fd, says_greeting);
    close(fd);
    return -problem;
}

gboolean check_connect(const FtpConfig *ftp, CheckReport *report, FtpFamily *ret_family)
{
    g_autoptr(GString) tried = g_string_new(NULL);
    g_autoptr(Lookup) lookup = resolve(ftp, report);

    if (lookup == NULL)
        return FALSE;
    for (const struct addrinfo *a = lookup->addresses; a != NULL; a = a->ai_next) {
        g_autofree char *text = address_text(a);
        int result = connect_bounded(a, (int)MIN(ftp->connect_timeout, 60) * 1000, ftp->tls != FTP_TLS_IMPLICIT);
        if (result == 0) {
            check_report_step(report, "connection", CHECK_OK, "%s", text);
            *ret_family = a->ai_family == AF_INET6 ? FTP_FAMILY_IPV6 : FTP_FAMILY_IPV4;
            return TRUE;
        }
        g_string_append_printf(tried, "%s%s: %s", tried->len > 0 ? "; " : "", text, g_strerror(-result));
    }
    check_report_step(report, "connection", CHECK_FAILED, "%s", tried->str);
    return FALSE;
}
