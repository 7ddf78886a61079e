/* SPDX-License-Identifier: MIT */
/*
 * The thread has two directions, each with a buffer: from the plain end to TLS, and back. It sleeps in poll() until one
 * of them can go on. The end of the plain side becomes close_notify and the end of our direction, the end of TLS
 * becomes the end of the plain one. tls_relay_end() shuts the real socket down, which wakes the thread and ends it,
 * whatever it waits for; by then the server has sent its last reply, so nothing is on its way that anybody needs.
 */
#include "tls_relay.h"

#ifdef HAVE_OPENSSL

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RELAY_BUFFER 65536

struct TlsRelay {
    int plain;  /* our end of the pair */
    int secure; /* the connection to the server */
    SSL *ssl;
    X509 *certificate; /* of the control connection's server */
    GThread *thread;
    gint ending; /* atomic */
    gint failed; /* atomic */
};

typedef struct {
    char bytes[RELAY_BUFFER];
    size_t begin, end;
    gboolean closed; /* nothing more comes in */
    gboolean done;   /* ... and the end was passed on */
} Flow;

gboolean tls_relay_possible(void)
{
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    return info->ssl_version && g_str_has_prefix(info->ssl_version, "OpenSSL/");
}

/* What SSL_*() waits for, as poll() events; 0: it has failed or is over. */
static short wanted(SSL *ssl, int result)
{
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return POLLIN;
    case SSL_ERROR_WANT_WRITE:
        return POLLOUT;
    default:
        return 0;
    }
}

static gboolean shake_hands(TlsRelay *relay)
{
    int result;
    while ((result = SSL_connect(relay->ssl)) != 1) {
        struct pollfd fd = {.fd = relay->secure, .events = wanted(relay->ssl, result)};
        if (fd.events == 0 || g_atomic_int_get(&relay->ending))
            return FALSE;
        if (poll(&fd, 1, 1000) < 0 && errno != EINTR)
            return FALSE;
    }
    X509 *certificate = SSL_get1_peer_certificate(relay->ssl);
    gboolean same = certificate && relay->certificate && X509_cmp(certificate, relay->certificate) == 0;
    X509_free(certificate);
    return same;
}

/* One step from the plain end to TLS; the events that it waits for on each side are added. FALSE on an error. */
static gboolean step_out(TlsRelay *relay, Flow *flow, struct pollfd *plain, struct pollfd *secure)
{
    if (flow->begin == flow->end && !flow->closed) {
        ssize_t got = read(relay->plain, flow->bytes, sizeof flow->bytes);
        flow->begin = 0;
        flow->end = got > 0 ? (size_t)got : 0;
        flow->closed = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
        if (got < 0 && !flow->closed)
            plain->events |= POLLIN;
    }
    while (flow->begin < flow->end) {
        ERR_clear_error();
        int put = SSL_write(relay->ssl, flow->bytes + flow->begin, (int)(flow->end - flow->begin));
        if (put <= 0) {
            short events = wanted(relay->ssl, put);
            secure->events |= events;
            return events != 0;
        }
        flow->begin += (size_t)put;
    }
    if (flow->closed && !flow->done) {
        SSL_shutdown(relay->ssl);
        shutdown(relay->secure, SHUT_WR);
        flow->done = TRUE;
    } else if (!flow->closed) {
        plain->events |= POLLIN;
    }
    return TRUE;
}

/* One step back. TRUE when there may be more at once. */
static gboolean step_in(TlsRelay *relay, Flow *flow, struct pollfd *plain, struct pollfd *secure)
{
    short waits = 0;
    if (flow->begin == flow->end && !flow->closed) {
        ERR_clear_error();
        int got = SSL_read(relay->ssl, flow->bytes, sizeof flow->bytes);
        short events = got > 0 ? 0 : wanted(relay->ssl, got);
        flow->begin = 0;
        flow->end = got > 0 ? (size_t)got : 0;
        flow->closed = got <= 0 && events == 0;
        secure->events |= waits = events;
    }
    while (flow->begin < flow->end) {
        ssize_t put = send(relay->plain, flow->bytes + flow->begin, flow->end - flow->begin, MSG_NOSIGNAL);
        if (put < 0 && (errno == EAGAIN || errno == EINTR)) {
            plain->events |= POLLOUT;
            return FALSE;
        }
        if (put < 0) { /* nobody reads any more: the transfer was cut */
            flow->begin = flow->end = 0;
            flow->closed = flow->done = TRUE;
            return FALSE;
        }
        flow->begin += (size_t)put;
    }
    if (flow->closed && !flow->done) {
        shutdown(relay->plain, SHUT_WR);
        flow->done = TRUE;
    }
    return !flow->closed && waits == 0;
}

static void block_sigpipe(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static gpointer run(gpointer data)
{
    TlsRelay *relay = data;
    block_sigpipe();
    if (!shake_hands(relay)) {
        g_atomic_int_set(&relay->failed, TRUE);
        shutdown(relay->secure, SHUT_RDWR);
        shutdown(relay->plain, SHUT_RDWR);
        return NULL;
    }
    g_autofree Flow *out = g_new0(Flow, 1), *in = g_new0(Flow, 1);
    while (!g_atomic_int_get(&relay->ending) && !(out->done && in->done)) {
        struct pollfd fds[2] = {{.fd = relay->plain}, {.fd = relay->secure}};
        if (!step_out(relay, out, &fds[0], &fds[1])) {
            g_atomic_int_set(&relay->failed, !in->closed);
            break;
        }
        if (step_in(relay, in, &fds[0], &fds[1]) || (out->done && in->done))
            continue;
        for (int i = 0; i < 2; i++) /* a side that has nothing to wait for must not wake us by its hang-up */
            if (fds[i].events == 0)
                fds[i].fd = -1;
        poll(fds, 2, 200);
    }
    /* libcurl sees the end at once; the real socket stays until its owner has the reply. */
    shutdown(relay->plain, SHUT_RDWR);
    shutdown(relay->secure, SHUT_RDWR);
    return NULL;
}

static SSL *control_ssl(CURL *easy)
{
    struct curl_tlssessioninfo *info = NULL;
    if (curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &info) != CURLE_OK || !info ||
        info->backend != CURLSSLBACKEND_OPENSSL)
        return NULL;
    return info->internals;
}

static SSL *new_ssl(SSL *control, int fd)
{
    SSL *ssl = SSL_new(SSL_get_SSL_CTX(control));
    if (!ssl)
        return NULL;
    SSL_set_msg_callback(ssl, NULL); /* libcurl's belong to its thread */
    SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_SESSION *session = SSL_get1_session(control);
    if (session)
        SSL_set_session(ssl, session); /* many servers want data connections to resume it */
    SSL_SESSION_free(session);
    if (SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    return ssl;
}

TlsRelay *tls_relay_new(CURL *easy, int fd)
{
    int pair[2];
    SSL *control = control_ssl(easy);
    if (!control || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return NULL;
    TlsRelay *relay = g_new0(TlsRelay, 1);
    relay->plain = pair[1];
    relay->secure = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    relay->certificate = SSL_get1_peer_certificate(control);
    relay->ssl = relay->secure >= 0 ? new_ssl(control, relay->secure) : NULL;
    gboolean good = relay->ssl && dup3(pair[0], fd, O_CLOEXEC) >= 0;
    close(pair[0]);
    if (good)
        relay->thread = g_thread_try_new("tls-relay", run, relay, NULL);
    if (!good || !relay->thread) {
        g_atomic_int_set(&relay->failed, TRUE);
        tls_relay_end(relay);
        return NULL;
    }
    return relay;
}

gboolean tls_relay_end(TlsRelay *relay)
{
    if (!relay)
        return TRUE;
    g_atomic_int_set(&relay->ending, TRUE);
    if (relay->secure >= 0)
        shutdown(relay->secure, SHUT_RDWR);
    shutdown(relay->plain, SHUT_RDWR);
    if (relay->thread)
        g_thread_join(relay->thread);
    gboolean good = !g_atomic_int_get(&relay->failed);
    SSL_free(relay->ssl);
    X509_free(relay->certificate);
    if (relay->secure >= 0)
        close(relay->secure);
    close(relay->plain);
    g_free(relay);
    return good;
}

#else

gboolean tls_relay_possible(void)
{
    return FALSE;
}

TlsRelay *tls_relay_new(CURL *easy, int fd)
{
    return NULL;
}

gboolean tls_relay_end(TlsRelay *relay)
{
    return TRUE;
}

#endif

gboolean tls_relay_needed(void)
{
    guint version = curl_version_info(CURLVERSION_NOW)->version_num;
    return version >= 0x075700 && version < 0x080000;
}
