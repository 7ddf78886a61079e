/* SPDX-License-Identifier: MIT */
/*
 * How a data connection comes to stand, and what is wrong when it does not.
 *
 * libcurl does the steps: EPSV and, where that is refused or its connection fails, PASV in the same operation (IPv4
 * only); or EPRT and, where that is refused, PORT. What it lacks is time: all data connections of one operation have to
 * come to stand within one connect_timeout. While PASV may follow, the connection of EPSV gets half of it. One whose
 * time is over is shut down here, which libcurl takes for a connection that failed, and goes on. In active mode a
 * server that can't reach us often says nothing for a minute: it has connect_timeout from each command of the data
 * connection on.
 *
 * The address in a PASV reply (RFC 959, 4.1.2) is often a lie: servers behind NAT announce their inner one, some
 * 0.0.0.0, and a hostile one could send us to a third host. With pasv_address=auto any other is replaced by the control
 * connection's, here, where libcurl asks for the socket.
 */
#include "ftp_session_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

static void address_text(const struct sockaddr *address, gboolean with_port, char *text, gsize size)
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        inet_ntop(AF_INET, &in.sin_addr, host, sizeof host);
        if (with_port)
            g_snprintf(text, size, "%s:%u", host, ntohs(in.sin_port));
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, address, sizeof in);
        inet_ntop(AF_INET6, &in.sin6_addr, host, sizeof host);
        if (with_port)
            g_snprintf(text, size, "[%s]:%u", host, ntohs(in.sin6_port));
    }
    if (!with_port)
        g_strlcpy(text, host, size);
}

void ftp_session_data_begin(FtpSession *session)
{
    session->data_up = session->data_late = FALSE;
    session->data_deadline = 0;
    session->n_tries = 0;
    session->here[0] = '\0';
    session->listen_fd = -1;
}

static gint64 after(const FtpSession *session, guint part)
{
    return g_get_monotonic_time() + (gint64)session->config->connect_timeout * G_USEC_PER_SEC / part;
}

/* ---- The address in a PASV reply ---- */

/* Addresses at which nobody outside of a private network can be: RFC 1122, 1918, 3927, 6598, and no unicast at all. */
static gboolean is_inner(guint32 address)
{
    static const struct {
        guint32 network;
        guint bits;
    } inner[] = {{0x00000000, 8},  {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},
                 {0xa9fe0000, 16}, {0xac100000, 12}, {0xc0a80000, 16}, {0xe0000000, 3}};
    for (gsize i = 0; i < G_N_ELEMENTS(inner); i++)
        if ((address ^ inner[i].network) >> (32 - inner[i].bits) == 0)
            return TRUE;
    return FALSE;
}

static void check_pasv_address(FtpSession *session, struct sockaddr *address)
{
    struct sockaddr_in announced, control = {0};
    socklen_t size = sizeof control;
    FtpServer *server = session->server;

    if (address->sa_family != AF_INET || session->config->proxy ||
        getpeername(session->control_fd, (struct sockaddr *)&control, &size) != 0 || control.sin_family != AF_INET)
        return;
    memcpy(&announced, address, sizeof announced);
    if (announced.sin_addr.s_addr == control.sin_addr.s_addr)
        return;
    if (g_atomic_int_compare_and_exchange(&server->pasv_told, FALSE, TRUE)) {
        char lie[64], truth[64];
        address_text((struct sockaddr *)&announced, FALSE, lie, sizeof lie);
        address_text((struct sockaddr *)&control, FALSE, truth, sizeof truth);
        g_autofree char *text =
            g_strdup_printf("the server announces %s for passive data connections; using %s, where the "
                            "control connection goes (%s)",
                            lie, truth,
                            is_inner(ntohl(announced.sin_addr.s_addr)) ? "pasv_address=control forces it"
                                                                       : "pasv_address=server believes the server");
        ftp_server_note_mode(server, text);
    }
    announced.sin_addr = control.sin_addr;
    memcpy(address, &announced, sizeof announced);
}

/* ---- From the callbacks ---- */

gboolean ftp_session_data_opened(FtpSession *session, int fd, struct sockaddr *address)
{
    const FtpExchange *last = ftp_transcript_last(session->transcript);
    stats_add(session->stats, STATS_DATA_CONNECTIONS, 1);
    if (session->used_active) {
        if (session->prot_p && tls_relay_needed() && !tls_relay_possible())
            return FALSE; /* rather none than one in plain text */
        /* A port whose last connection is closed, or still there, can be listened on again at once. */
        int on = 1;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        session->listen_fd = fd;
        return TRUE;
    }
    gboolean pasv = last && ftp_exchange_is(last, "PASV");
    if (pasv && session->config->epsv == FTP_SWITCH_ON)
        return FALSE;
    if (pasv && session->config->pasv_address == FTP_PASV_ADDRESS_AUTO)
        check_pasv_address(session, address);
    if (session->n_tries == G_N_ELEMENTS(session->tries))
        session->n_tries--;
    FtpDataTry *this = &session->tries[session->n_tries++];
    g_strlcpy(this->verb, pasv ? "PASV" : "EPSV", sizeof this->verb);
    address_text(address, TRUE, this->peer, sizeof this->peer);
    this->error = 0;
    gboolean more =
        (!pasv && session->config->epsv == FTP_SWITCH_AUTO && address->sa_family == AF_INET) || session->n_tries > 1;
    session->data_deadline = after(session, more ? 2 : 1);
    session->data_fd = fd;
    return TRUE;
}

/* In active mode anybody can connect to our port before the server does, and give us bytes, or get ours: it must be the
 * host of the control connection, unless the user lets the server name others. */
static gboolean is_the_server(const FtpSession *session, int fd)
{
    struct sockaddr_storage peer, control;
    socklen_t peer_size = sizeof peer, control_size = sizeof control;
    if (session->config->pasv_address == FTP_PASV_ADDRESS_SERVER)
        return TRUE;
    if (getpeername(fd, (struct sockaddr *)&peer, &peer_size) < 0 ||
        getpeername(session->control_fd, (struct sockaddr *)&control, &control_size) < 0 ||
        peer.ss_family != control.ss_family)
        return FALSE;
    if (peer.ss_family == AF_INET)
        return ((struct sockaddr_in *)&peer)->sin_addr.s_addr == ((struct sockaddr_in *)&control)->sin_addr.s_addr;
    return memcmp(&((struct sockaddr_in6 *)&peer)->sin6_addr, &((struct sockaddr_in6 *)&control)->sin6_addr,
                  sizeof(struct in6_addr)) == 0;
}

gboolean ftp_session_data_accepted(FtpSession *session, int fd)
{
    if (!is_the_server(session, fd)) {
        struct sockaddr_storage peer;
        socklen_t size = sizeof peer;
        char text[64] = "?";
        if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0)
            address_text((struct sockaddr *)&peer, FALSE, text, sizeof text);
        g_warning("%s has connected to the port of an active data connection, and is not the server; it is refused "
                  "(pasv_address=server lets the server use other hosts)",
                  text);
        return FALSE;
    }
    if (session->prot_p && tls_relay_needed() && !(session->relay = tls_relay_new(session->easy, fd)))
        return FALSE;
    session->data_fd = fd;
    session->data_up = TRUE;
    session->data_deadline = 0;
    return TRUE;
}

void ftp_session_data_closed(FtpSession *session, int fd)
{
    if (fd == session->listen_fd)
        session->listen_fd = -1;
    if (fd != session->data_fd)
        return;
    session->data_fd = -1;
    session->data_deadline = 0;
    if (session->used_active || session->data_up || session->n_tries == 0)
        return;
    FtpDataTry *this = &session->tries[session->n_tries - 1];
    long number = 0;
    if (this->error == 0 && curl_easy_getinfo(session->easy, CURLINFO_OS_ERRNO, &number) == CURLE_OK)
        this->error = (int)number;
}

void ftp_session_data_sent(FtpSession *session, const FtpExchange *exchange)
{
    static const char *const verbs[] = {"RETR", "STOR", "APPE", "MLSD", "LIST"};
    gboolean transfer = FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(verbs); i++)
        transfer |= ftp_exchange_is(exchange, verbs[i]);
    if (!session->used_active) {
        if (transfer) { /* libcurl says it when the connection stands, and not before */
            session->data_up = TRUE;
            session->data_deadline = 0;
        }
        return;
    }
    if (session->config->eprt == FTP_SWITCH_ON && ftp_exchange_is(exchange, "PORT"))
        session->stop_error = -EOPNOTSUPP; /* EPRT was refused, and libcurl knows no other way to leave PORT out */
    if (ftp_exchange_is(exchange, "EPRT") || ftp_exchange_is(exchange, "PORT")) {
        struct sockaddr_storage address;
        socklen_t size = sizeof address;
        transfer = TRUE;
        if (session->listen_fd >= 0 && getsockname(session->listen_fd, (struct sockaddr *)&address, &size) == 0)
            address_text((struct sockaddr *)&address, TRUE, session->here, sizeof session->here);
    }
    if (transfer && !session->data_up)
        session->data_deadline = after(session, 1);
}

/* ---- From the loop ---- */

static gboolean has_connected(int listen_fd)
{
    struct pollfd poll_fd = {.fd = listen_fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 1;
}

void ftp_session_data_watch(FtpSession *session)
{
    if (session->data_deadline == 0 || session->data_up)
        return;
    if (session->used_active) {
        if (session->listen_fd >= 0 && has_connected(session->listen_fd)) {
            session->data_deadline = 0; /* libcurl accepts it when the server's reply has come */
        } else if (g_get_monotonic_time() > session->data_deadline) {
            session->data_late = TRUE;
            session->stop_error = -ETIMEDOUT;
        }
        return;
    }
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (session->data_fd < 0)
        return;
    if (getpeername(session->data_fd, (struct sockaddr *)&address, &size) == 0) {
        session->data_deadline = 0;
    } else if (g_get_monotonic_time() > session->data_deadline) {
        session->data_deadline = 0;
        session->tries[session->n_tries - 1].error = ETIMEDOUT;
        shutdown(session->data_fd, SHUT_RDWR);
    }
}

/* ---- After the operation ---- */

static const FtpExchange *refused(const FtpSession *session, const char *verb)
{
    const FtpExchange *exchange = ftp_transcript_find(session->transcript, verb);
    return exchange && exchange->code >= 400 ? exchange : NULL;
}

static char *explain_try(const FtpSession *session, const FtpDataTry *this)
{
    guint seconds = session->config->connect_timeout;
    gboolean half = session->config->epsv == FTP_SWITCH_AUTO && (session->n_tries > 1);
    if (this->error == ECONNREFUSED)
        return g_strdup_printf("to %s (%s) was refused", this->peer, this->verb);
    if (this->error == ETIMEDOUT || this->error == 0)
        return g_strdup_printf("to %s (%s) got no answer in %g s", this->peer, this->verb,
                               half ? seconds / 2.0 : seconds);
    return g_strdup_printf("to %s (%s) failed: %s", this->peer, this->verb, g_strerror(this->error));
}

void ftp_session_data_learn(FtpSession *session)
{
    FtpServer *server = session->server;
    const FtpExchange *pasv = ftp_transcript_find(session->transcript, "PASV");
    const FtpExchange *port = ftp_transcript_find(session->transcript, "PORT");
    const FtpExchange *no_epsv = refused(session, "EPSV"), *no_eprt = refused(session, "EPRT");

    g_atomic_int_set(&server->data_works, TRUE);
    g_atomic_int_set(&server->data_worked, TRUE);
    g_atomic_int_set(&server->mode_failed_told, FALSE);
    if (pasv && pasv->code == 227 && (no_epsv || session->n_tries > 1)) {
        session->epsv_on = FALSE;
        if (g_atomic_int_compare_and_exchange(&server->epsv_refused, FALSE, TRUE)) {
            g_autofree char *reply = no_epsv ? ftp_exchange_reply(no_epsv) : NULL;
            g_autofree char *why = no_epsv ? NULL : explain_try(session, &session->tries[0]);
            g_autofree char *text =
                g_strdup_printf(no_epsv ? "the server refuses EPSV (%s%s); using PASV (epsv=off forces it)"
                                        : "the passive data connection %s%s; using PASV (epsv=off forces it)",
                                reply ? reply : "", why ? why : "");
            ftp_server_note_mode(server, text);
        }
    }
    if (port && port->code / 100 == 2 && no_eprt) {
        session->eprt_on = FALSE;
        if (g_atomic_int_compare_and_exchange(&server->eprt_refused, FALSE, TRUE)) {
            g_autofree char *reply = ftp_exchange_reply(no_eprt);
            g_autofree char *text =
                g_strdup_printf("the server refuses EPRT (%s); using PORT (eprt=off forces it)", reply);
            ftp_server_note_mode(server, text);
        }
    }
}

static char *explain_passive(const FtpSession *session)
{
    const FtpExchange *no = refused(session, "PASV");
    const FtpExchange *last = ftp_transcript_last(session->transcript);
    no = no ? no : refused(session, "EPSV");
    if (session->n_tries == 0) {
        g_autofree char *reply = no ? ftp_exchange_reply(no) : NULL;
        return reply ? g_strdup_printf("the server refuses passive mode (%s: %s)", no->command, reply)
                     : g_strdup_printf("no passive data connection can be made: %s", session->error_text);
    }
    const FtpDataTry *this = &session->tries[session->n_tries - 1];
    if (session->data_up && last) { /* it stood, and the server had a word against it (425) */
        g_autofree char *reply = ftp_exchange_reply(last);
        return g_strdup_printf("the passive data connection to %s failed: %s", this->peer, reply);
    }
    GString *text = g_string_new("the passive data connection ");
    for (guint i = 0; i < session->n_tries; i++) {
        g_autofree char *one = explain_try(session, &session->tries[i]);
        g_string_append_printf(text, "%s%s", i > 0 ? ", the one " : "", one);
    }
    if (session->n_tries == 1 && no) {
        g_autofree char *reply = ftp_exchange_reply(no);
        g_string_append_printf(text, " (and %s: %s)", no->command, reply);
    }
    if (session->n_tries == 1 && g_str_equal(session->tries[0].verb, "PASV") &&
        session->config->pasv_address == FTP_PASV_ADDRESS_SERVER)
        g_string_append(text, "; the server had announced that address, and pasv_address=control does not believe it");
    return g_string_free(text, FALSE);
}

static char *explain_active(const FtpSession *session)
{
    const FtpConfig *config = session->config;
    const FtpExchange *last = ftp_transcript_last(session->transcript);
    const char *here = session->here[0] ? session->here : "us";
    if (session->prot_p && tls_relay_needed() && !tls_relay_possible())
        return g_strdup_printf("libcurl %s can't encrypt active data connections (without them: tls_data=off)",
                               curl_version_info(CURLVERSION_NOW)->version);
    if (session->data_late)
        return g_strdup_printf("the server did not connect to %s for the active data connection in %u s", here,
                               config->connect_timeout);
    if (ftp_session_data_trouble(session) == FTP_DATA_SHORT && config->active_port_low > 0 && !session->here[0])
        return g_strdup_printf("no port of active_ports=%u-%u is free", config->active_port_low,
                               config->active_port_high);
    const FtpExchange *no_eprt = refused(session, "EPRT");
    /* With eprt=on it ends there, although libcurl sends PORT and may even get its reply before we stop it. */
    if (no_eprt && (last->code == 0 || config->eprt == FTP_SWITCH_ON))
        last = no_eprt;
    if (last && last->code >= 400) {
        g_autofree char *reply = ftp_exchange_reply(last);
        if (ftp_exchange_is(last, "EPRT") || ftp_exchange_is(last, "PORT"))
            return g_strdup_printf("the server refuses active mode (%s: %s)", last->command, reply);
        return g_strdup_printf("the active data connection to %s failed: %s", here, reply);
    }
    return g_strdup_printf("no active data connection can be made: %s",
                           session->error_text[0] ? session->error_text : curl_easy_strerror(session->result));
}

char *ftp_session_data_explain(const FtpSession *session)
{
    return session->used_active ? explain_active(session) : explain_passive(session);
}

FtpDataTrouble ftp_session_data_trouble(const FtpSession *session)
{
    const FtpExchange *last = ftp_transcript_last(session->transcript);
    gboolean port = last && (ftp_exchange_is(last, "EPRT") || ftp_exchange_is(last, "PORT"));
    gboolean pasv = last && (ftp_exchange_is(last, "EPSV") || ftp_exchange_is(last, "PASV"));
    if (session->used_active && session->result == CURLE_FTP_PORT_FAILED && !port &&
        session->config->active_port_low > 0)
        return FTP_DATA_SHORT;
    if (pasv && last->code / 100 == 4)
        return FTP_DATA_SHORT;
    if (session->data_late || session->result == CURLE_FTP_ACCEPT_TIMEOUT ||
        session->result == CURLE_OPERATION_TIMEDOUT)
        return FTP_DATA_LATE;
    return session->n_tries > 0 && session->tries[session->n_tries - 1].error == ETIMEDOUT ? FTP_DATA_LATE
                                                                                           : FTP_DATA_REFUSED;
}

gboolean ftp_session_used_active(const FtpSession *session)
{
    return session->used_active;
}
