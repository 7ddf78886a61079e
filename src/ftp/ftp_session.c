/* SPDX-License-Identifier: MIT */
/*
 * The loop. libcurl's multi interface runs one operation; between its steps, and from its progress callback where it
 * blocks (the reply after a transfer), three things are looked at: the caller's bound, the time since bytes last moved
 * (`timeout`), and whether the mount ends. When our own side ends an operation, the control connection is in an unknown
 * state: it is shut down first, so that libcurl's QUIT can't wait on a dead wire, and the session connects anew.
 */
#include "ftp_session_private.h"

#include "base/log.h"
#include "ftp_transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

FtpSession *ftp_session_new(const FtpConfig *config, FtpServer *server, Stats *stats)
{
    FtpSession *session = g_new0(FtpSession, 1);
    session->config = config;
    session->server = server;
    session->stats = stats;
    session->transcript = ftp_transcript_new();
    session->connecting = g_array_new(FALSE, FALSE, sizeof(curl_socket_t));
    session->control_fd = session->data_fd = session->listen_fd = session->wire.fd = -1;
    g_mutex_init(&session->wake_lock);
    return session;
}

/* Ends the connection without waiting for anybody. */
static void tear_down(FtpSession *session)
{
    if (session->control_fd >= 0)
        shutdown(session->control_fd, SHUT_RDWR);
    g_mutex_lock(&session->wake_lock);
    CURLM *multi = session->multi;
    session->multi = NULL;
    g_mutex_unlock(&session->wake_lock);
    if (session->easy)
        curl_easy_cleanup(session->easy);
    if (multi)
        curl_multi_cleanup(multi);
    session->easy = NULL;
    session->control_fd = session->data_fd = session->listen_fd = -1;
    session->received = session->consumed = 0;
    session->records = (FtpRecords){0};
    g_array_set_size(session->connecting, 0);
    session->connected = FALSE;
    session->prot_p = FALSE;
    session->type = 0; /* awaiting_reply stays: ftp_session_unanswered() is asked after a failure */
}

void ftp_session_drop(FtpSession *session)
{
    tear_down(session);
}

void ftp_session_free(FtpSession *session, gboolean polite)
{
    if (!session)
        return;
    if (polite && session->connected && !g_atomic_int_get(&session->stopped)) {
        Bound bound = bound_seconds(1);
        const char *const quit[] = {"QUIT"};
        ftp_session_commands(session, &bound, quit, 1);
    }
    tear_down(session);
    ftp_transcript_free(session->transcript);
    g_array_unref(session->connecting);
    g_mutex_clear(&session->wake_lock);
    g_free(session);
}

void ftp_session_wake(FtpSession *session)
{
    g_mutex_lock(&session->wake_lock);
    if (session->multi)
        curl_multi_wakeup(session->multi);
    g_mutex_unlock(&session->wake_lock);
}

void ftp_session_stop(FtpSession *session)
{
    g_atomic_int_set(&session->stopped, TRUE);
    ftp_session_wake(session);
}

gboolean ftp_session_connected(const FtpSession *session)
{
    return session->connected;
}

gboolean ftp_session_was_reused(const FtpSession *session)
{
    return session->reused;
}

char ftp_session_type(const FtpSession *session)
{
    return session->type;
}

FtpStep ftp_session_step(const FtpSession *session)
{
    if (session->config->tls != FTP_TLS_OFF && g_atomic_int_get(&session->server->tls_in_use))
        return ftp_records_step(&session->records);
    return session->received > session->consumed ? FTP_STEP_OUT : FTP_STEP_IN;
}

FtpFailure ftp_session_failure(const FtpSession *session)
{
    return session->failure;
}

const FtpTranscript *ftp_session_transcript(const FtpSession *session)
{
    return session->transcript;
}

gboolean ftp_session_unanswered(const FtpSession *session)
{
    return session->awaiting_reply;
}

/* An upload whose bytes are all in the kernel moves on while the send queue shrinks. */
static void look_at_send_queue(FtpSession *session, gint64 now)
{
    int outstanding = 0;
    if (session->data_fd >= 0 && ioctl(session->data_fd, SIOCOUTQ, &outstanding) == 0 &&
        outstanding != session->outstanding) {
        session->outstanding = outstanding;
        session->progress_at = now;
    }
}

gboolean ftp_session_should_stop(FtpSession *session)
{
    if (session->stop_error != 0)
        return TRUE;
    if (session->out_of_step) {
        session->stop_error = -EPROTO;
    } else if (g_atomic_int_get(&session->stopped)) {
        session->stop_error = -EIO;
    } else {
        session->stop_error = bound_check(session->bound);
        gint64 now = g_get_monotonic_time();
        look_at_send_queue(session, now);
        if (session->stop_error == 0 && now - session->progress_at > (gint64)session->config->timeout * G_USEC_PER_SEC)
            session->stop_error = -ETIMEDOUT;
        if (session->stop_error == 0)
            session->stop_error = ftp_session_wire_watch(session, now);
    }
    return session->stop_error != 0;
}

void ftp_session_apply_cut(FtpSession *session)
{
    if (session->was_cut || session->data_fd < 0 || !ftp_transfer_is_cut(session->transfer))
        return;
    const FtpExchange *last = ftp_transcript_last(session->transcript);
    if (!last || last->preliminary == 0 || last->code != 0)
        return; /* the transfer has not begun, or is over */
    session->was_cut = TRUE;
    /* libcurl is left with a socket at its end of file, so that it closes it and reads the reply. The real one is
     * closed with bytes unread, and TCP resets it: the server stops at once. Only shut down for reading, it would go on
     * as long as libcurl empties the socket as fast as the server fills it. */
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        shutdown(session->data_fd, SHUT_RD);
        return;
    }
    close(pair[1]);
    if (dup3(pair[0], session->data_fd, O_CLOEXEC) < 0)
        shutdown(session->data_fd, SHUT_RD);
    close(pair[0]);
}

/* How long to wait for the sockets. libcurl 7.88, over TLS, starts the connection to the address of an EPSV or PASV
 * reply only when it is called again, and has no socket to wait for until then: its own loop loses a second there. */
static int wait_ms(const FtpSession *session)
{
    const FtpExchange *last = ftp_transcript_last(session->transcript);
    gboolean announced =
        last && last->code / 100 == 2 && (ftp_exchange_is(last, "EPSV") || ftp_exchange_is(last, "PASV"));
    if (announced && session->data_fd < 0)
        return 1;
    gboolean watching = session->data_deadline != 0 || session->wire.hasty != 0 || session->wire.next != 0;
    return bound_slice(session->bound, watching ? 100 : 1000);
}

/* Waits for the sockets, or for a wake. While the TLS handshake of a data connection is under way, libcurl 7.88 asks
 * for that socket only; but a server begins its part of the handshake when it has been sent the command of the
 * transfer, and before that replies are to come on the control connection. They wake us, too: unless the last one that
 * did so was not read, which would make this loop spin. */
static void wait_for_sockets(FtpSession *session)
{
    const FtpExchange *last = ftp_transcript_last(session->transcript);
    gboolean expects = session->config->tls != FTP_TLS_OFF && session->data_fd >= 0 && session->control_fd >= 0 &&
                       last && last->code == 0 && last->preliminary == 0;
    gboolean look = expects && !(session->reply_seen && session->reply_seen_at == session->consumed);
    struct curl_waitfd control = {.fd = session->control_fd, .events = CURL_WAIT_POLLIN};
    curl_multi_poll(session->multi, &control, look ? 1 : 0, wait_ms(session), NULL);
    session->reply_seen = look && control.revents != 0;
    session->reply_seen_at = session->consumed;
}

static CURLcode run(FtpSession *session)
{
    int running = 0;
    CURLcode result = CURLE_FAILED_INIT;
    if (curl_multi_add_handle(session->multi, session->easy) != CURLM_OK)
        return result;
    for (;;) {
        CURLMcode code = curl_multi_perform(session->multi, &running);
        if (code != CURLM_OK) {
            result = CURLE_FAILED_INIT;
            break;
        }
        if (running == 0) {
            int left = 0;
            CURLMsg *message = curl_multi_info_read(session->multi, &left);
            if (message && message->msg == CURLMSG_DONE)
                result = message->data.result;
            break;
        }
        ftp_session_data_watch(session);
        if (ftp_session_should_stop(session)) {
            result = CURLE_ABORTED_BY_CALLBACK;
            break;
        }
        ftp_session_apply_cut(session);
        wait_for_sockets(session);
    }
    if (result != CURLE_OK && session->stop_error != 0 && session->control_fd >= 0)
        shutdown(session->control_fd, SHUT_RDWR);
    curl_multi_remove_handle(session->multi, session->easy);
    return result;
}

/* The reply that came when libcurl did not read any more, such as a 552 after a data connection that was reset. */
static void take_control_tail(FtpSession *session)
{
    const char *line = session->control_tail;
    for (const char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) /* a line without an end is none */
        ftp_transcript_received(session->transcript, line, (gsize)(end - line + 1));
    const FtpExchange *last = ftp_transcript_last(session->transcript);
    if (last && last->code != 0)
        session->awaiting_reply = FALSE;
    session->control_tail[0] = '\0';
}

int ftp_session_perform(FtpSession *session, const Bound *bound)
{
    session->bound = bound;
    session->progress_at = g_get_monotonic_time();
    session->stop_error = g_atomic_int_get(&session->stopped) ? -EIO : 0;
    session->outstanding = 0;
    session->was_cut = FALSE;
    session->awaiting_reply = FALSE;
    session->out_of_step = FALSE;
    session->control_tail[0] = '\0';
    session->error_text[0] = '\0';
    ftp_session_data_begin(session);
    ftp_session_wire_reset(session);
    session->failure = FTP_FAILURE_NONE;
    if (session->stop_error != 0) {
        session->result = CURLE_ABORTED_BY_CALLBACK;
        session->failure = FTP_FAILURE_STOPPED;
        return session->error = session->stop_error;
    }
    session->result = run(session);
    session->bound = NULL;
    gboolean wire_broken = session->wire.broken;
    ftp_session_wire_reset(session);
    gboolean relayed = tls_relay_end(g_steal_pointer(&session->relay));
    session->data_fd = -1;
    if (!session->out_of_step)
        take_control_tail(session);
    if (session->out_of_step) { /* the command that was sent stays unanswered */
        session->failure = FTP_FAILURE_TRANSIENT;
        tear_down(session);
        return session->error = -EPROTO;
    }
    if (session->stop_error != 0 && session->result != CURLE_OK) {
        gboolean data = session->used_active && (session->data_late || session->stop_error == -EOPNOTSUPP);
        session->failure = data ? FTP_FAILURE_DATA
                           : wire_broken || (session->stop_error == -ETIMEDOUT && bound_check(bound) == 0 &&
                                             !g_atomic_int_get(&session->stopped))
                               ? FTP_FAILURE_TRANSIENT
                               : FTP_FAILURE_STOPPED;
        session->error = session->stop_error;
        tear_down(session);
        return session->error;
    }
    session->error = ftp_error_from_curl(session->result, ftp_transcript_last(session->transcript), &session->failure);
    if (!relayed && session->error == 0) {
        g_strlcpy(session->error_text, "TLS on the active data connection failed", sizeof session->error_text);
        session->failure = FTP_FAILURE_TRANSIENT;
        session->error = -EIO;
    }
    return session->error;
}

/* TRUE when something came on an idle control connection: an end of file, a 421 that says goodbye. Whatever it is, it
 * would be taken for the reply to our next command. */
static gboolean has_news(const FtpSession *session)
{
    char byte;
    return session->control_fd < 0 || recv(session->control_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
           (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

static int log_in(FtpSession *session, const Bound *bound)
{
    gboolean first = !g_atomic_int_get(&session->server->features_known);
    g_autofree char *url = ftp_session_url(session, "");
    struct curl_slist *quote = first ? curl_slist_append(NULL, "*FEAT") : NULL;

    ftp_session_reset_operation(session);
    curl_easy_setopt(session->easy, CURLOPT_URL, url);
    curl_easy_setopt(session->easy, CURLOPT_QUOTE, quote);
    ftp_transcript_clear(session->transcript);
    int error = ftp_session_perform(session, bound);
    curl_slist_free_all(quote);
    if (error < 0)
        return error;
    if (session->control_fd < 0) { /* no greeting was seen: not possible with FTP */
        session->failure = FTP_FAILURE_TRANSIENT;
        return session->error = -EPROTO;
    }
    session->connected = TRUE;
    stats_add(session->stats, STATS_LOGINS, 1);
    if (!first)
        return 0;

    const FtpExchange *feat = ftp_transcript_find(session->transcript, "FEAT");
    if (feat && feat->code == 211) {
        g_auto(GStrv) lines = g_strsplit(feat->lines->str, "\n", -1);
        for (guint i = 0; lines[i]; i++)
            ftp_features_parse_line(session->server->features, lines[i]);
    }
    if (session->config->tls == FTP_TLS_OFF && session->config->user && !session->server->quiet &&
        ftp_features_has(session->server->features, FTP_FEATURE_AUTH_TLS))
        g_warning("the password was sent in plain text, although the server offers TLS: tls=on");
    const char *home = NULL;
    curl_easy_getinfo(session->easy, CURLINFO_FTP_ENTRY_PATH, &home);
    const FtpExchange *greeting = ftp_transcript_get(session->transcript, 0);
    g_atomic_int_set(&session->server->changes_blanks, strstr(greeting->lines->str, "Pure-FTPd") != NULL);
    g_atomic_int_set(&session->server->is_vsftpd, strstr(greeting->lines->str, "vsFTPd") != NULL);
    g_autofree char *text = greeting->command[0] == '\0' ? ftp_exchange_reply(greeting) : NULL;
    ftp_server_learn(session->server, session->config, home, text && strlen(text) > 4 ? text + 4 : "");
    g_atomic_int_set(&session->server->tls_in_use, ftp_transcript_find(session->transcript, "PBSZ") != NULL ||
                                                       session->config->tls == FTP_TLS_IMPLICIT);
    return 0;
}

/* What every session has to be told: names in UTF-8 (RFC 2640; some servers want OPTS), and which facts MLSD is to
 * send. A refusal does no harm. */
static int greet(FtpSession *session, const Bound *bound)
{
    const FtpFeatures *features = session->server->features;
    const char *commands[2];
    guint n = 0;
    g_autofree char *opts = NULL;

    if (ftp_features_has(features, FTP_FEATURE_UTF8) && !session->config->charset)
        commands[n++] = "OPTS UTF8 ON";
    const char *facts = ftp_features_mlst_opts(features);
    if (facts)
        commands[n++] = opts = g_strconcat("OPTS MLST ", facts, NULL);
    return n > 0 ? ftp_session_commands(session, bound, commands, n) : 0;
}

int ftp_session_open(FtpSession *session, const Bound *bound)
{
    session->reused = FALSE;
    /* libcurl knows for each connection whether it is to use EPSV and EPRT: not what other sessions have learned since.
     */
    gboolean outdated = (session->epsv_on && g_atomic_int_get(&session->server->epsv_refused)) ||
                        (session->eprt_on && g_atomic_int_get(&session->server->eprt_refused));
    if (session->connected && !outdated && !has_news(session)) {
        session->reused = TRUE;
        return 0;
    }
    tear_down(session);
    if (!ftp_session_set_up(session)) {
        session->failure = FTP_FAILURE_PERMANENT;
        return session->error = -ENOMEM;
    }
    int error = log_in(session, bound);
    if (error == 0)
        error = greet(session, bound);
    if (error < 0) {
        FtpFailure failure = session->failure;
        tear_down(session);
        session->failure = failure;
    }
    return error;
}

char *ftp_command(const char *verb, const RemotePath *path)
{
    return g_strconcat(verb, " ", remote_path_bytes(path), NULL);
}

char *ftp_command_with(const char *verb, const char *argument, const RemotePath *path)
{
    return g_strconcat(verb, " ", argument, " ", remote_path_bytes(path), NULL);
}

int ftp_session_commands(FtpSession *session, const Bound *bound, const char *const *commands, guint n)
{
    struct curl_slist *quote = NULL;
    for (guint i = 0; i < n; i++) {
        g_autofree char *lenient = g_strconcat("*", commands[i], NULL); /* a refusal does not end the session */
        quote = curl_slist_append(quote, lenient);
    }
    g_autofree char *url = ftp_session_url(session, "");
    ftp_session_reset_operation(session);
    curl_easy_setopt(session->easy, CURLOPT_URL, url);
    curl_easy_setopt(session->easy, CURLOPT_QUOTE, quote);
    ftp_transcript_clear(session->transcript);
    int error = ftp_session_perform(session, bound);
    curl_slist_free_all(quote);

    guint size = ftp_transcript_size(session->transcript);
    session->first_exchange = size >= n ? size - n : 0;
    if (error == 0 && (size < n || ftp_session_reply(session, n - 1)->code == 0)) {
        session->failure = FTP_FAILURE_TRANSIENT;
        error = session->error = -EPROTO;
    }
    if (error == 0 && ftp_session_reply(session, n - 1)->code == 421) { /* it says goodbye */
        session->failure = FTP_FAILURE_TRANSIENT;
        error = session->error = -EIO;
    }
    if (error < 0)
        ftp_session_drop(session);
    return error;
}

const FtpExchange *ftp_session_reply(const FtpSession *session, guint n)
{
    return ftp_transcript_get(session->transcript, session->first_exchange + n);
}

int ftp_session_command(FtpSession *session, const Bound *bound, const char *command)
{
    int error = ftp_session_commands(session, bound, &command, 1);
    if (error < 0)
        return error;
    int code = ftp_session_reply(session, 0)->code;
    session->failure = ftp_failure_from_reply(code);
    return session->error = ftp_error_from_reply(code);
}

char *ftp_session_explain(const FtpSession *session)
{
    const FtpExchange *last = ftp_transcript_last(session->transcript);
    g_autofree char *reply = last && last->lines->len > 0 ? ftp_exchange_reply(last) : NULL;
    const char *own = session->result == CURLE_ABORTED_BY_CALLBACK ? g_strerror(-session->error)
                      : session->error_text[0] != '\0'             ? session->error_text
                      : session->result != CURLE_OK                ? curl_easy_strerror(session->result)
                                                                   : g_strerror(-session->error);
    g_autofree char *printable = log_printable(own, 300);
    if (session->failure == FTP_FAILURE_DATA)
        return ftp_session_data_explain(session);
    if (reply && last->code >= 400)
        return g_strdup_printf("%s: %s", last->command[0] ? last->command : "greeting", reply);
    if (reply && session->result != CURLE_OK)
        return g_strdup_printf("%s (the last reply was \"%s\")", printable, reply);
    return g_steal_pointer(&printable);
}

CURLcode ftp_session_result(const FtpSession *session)
{
    return session->result;
}
