/* SPDX-License-Identifier: MIT */
/* libcurl's options: what the configuration says, put once on a new handle. A setopt that fails is never fatal: what
 * the libcurl at hand can't do was said by the options' check or does no harm. */
#include "ftp_session_private.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_OPENSSL
#include <openssl/ssl.h>
#endif

static curl_socket_t open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
    FtpSession *session = data;
    curl_socket_t fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    if (session->control_fd >= 0) { /* the control connection is there: this is for data */
        if (!ftp_session_data_opened(session, fd, &address->addr)) {
            close(fd);
            return CURL_SOCKET_BAD;
        }
    } else {
        if (session->connecting->len == 0)
            session->wire.connecting_at = g_get_monotonic_time();
        g_array_append_val(session->connecting, fd);
    }
    return fd;
}

/* In active mode libcurl accepts the data connection itself and tells us here. */
static int new_socket(void *data, curl_socket_t fd, curlsocktype purpose)
{
    FtpSession *session = data;
    if (purpose == CURLSOCKTYPE_ACCEPT && !ftp_session_data_accepted(session, fd))
        return CURL_SOCKOPT_ERROR;
    return CURL_SOCKOPT_OK;
}

/* The end of an upload over TLS. Session tickets that the server sends and nobody reads would make close(2) reset the
 * connection, and a server that has not read all by then loses the rest of the file (and says 226): so the bytes are
 * given time to arrive, until the server closes its end. Not after a refusal: the server may have nobody at that end.
 */
static void let_arrive(FtpSession *session, int fd)
{
    const FtpExchange *last = ftp_transcript_last(session->transcript);
    if (!last || last->preliminary == 0 || last->code != 0)
        return;
    char bytes[1024];
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    shutdown(fd, SHUT_WR);
    while (!ftp_session_should_stop(session)) {
        if (poll(&poll_fd, 1, bound_slice(session->bound, 1000)) <= 0)
            continue;
        gssize size = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
            return;
    }
}

static int close_socket(void *data, curl_socket_t fd)
{
    FtpSession *session = data;
    if (fd == session->data_fd && session->uploading && session->config->tls != FTP_TLS_OFF)
        let_arrive(session, fd);
    ftp_session_data_closed(session, fd);
    for (guint i = 0; i < session->connecting->len; i++) {
        if (g_array_index(session->connecting, curl_socket_t, i) == fd) {
            g_array_remove_index_fast(session->connecting, i);
            break;
        }
    }
    if (fd == session->control_fd) {
        /* A refused upload ends with an error on the data connection, and libcurl closes the control connection
         * without reading what the server had to say of it. On plain FTP it can still be read here. */
        if (session->config->tls == FTP_TLS_OFF && session->awaiting_reply) {
            gssize size = recv(fd, session->control_tail, sizeof session->control_tail - 1, MSG_DONTWAIT);
            session->control_tail[size > 0 ? size : 0] = '\0';
        }
        session->control_fd = -1;
        session->received = session->consumed = 0;
        session->connected = FALSE;
    }
    return close(fd);
}

/* What has come on a connection in all; 0 where the kernel does not tell. */
static guint64 bytes_received(int fd)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    if (fd < 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0 ||
        size < G_STRUCT_OFFSET(struct tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received)
        return 0;
    return info.tcpi_bytes_received;
}

/* A server that resumes a session sends no certificate (RFC 5246, 7.3; RFC 8446, 2.2). libcurl tells of the handshake's
 * messages in words, and of nothing else. */
static void watch_handshake(FtpSession *session, const char *text, gsize size)
{
    const gssize length = (gssize)size;
    if (!g_strstr_len(text, length, "(IN), TLS handshake, "))
        return;
    if (g_strstr_len(text, length, "Server hello"))
        session->certificate_seen = FALSE;
    else if (g_strstr_len(text, length, "Certificate ("))
        session->certificate_seen = TRUE;
    else if (g_strstr_len(text, length, "Finished"))
        g_atomic_int_set(&session->server->data_handshakes, session->certificate_seen ? 2 : 1);
}

static int trace(CURL *easy, curl_infotype type, char *bytes, size_t size, void *data)
{
    FtpSession *session = data;
    const FtpExchange *last;

    switch (type) {
    case CURLINFO_HEADER_OUT:
        if (session->config->proxy && !session->connected) /* what the proxy said is not counted */
            session->consumed = session->received;
        /* Something was left behind the last reply when that was read: libcurl will take it for the reply to this. */
        if (session->received > session->consumed && session->config->tls == FTP_TLS_OFF)
            session->out_of_step = TRUE;
        ftp_records_begin(&session->records);
        ftp_transcript_sent(session->transcript, bytes, size);
        session->awaiting_reply = TRUE;
        stats_add(session->stats, STATS_COMMANDS, 1);
        last = ftp_transcript_last(session->transcript);
        if (ftp_exchange_is(last, "TYPE"))
            session->type = g_ascii_toupper(last->command[5]);
        ftp_session_data_sent(session, last);
        if (session->config->verbose)
            g_info("> %s", last->command);
        break;
    case CURLINFO_HEADER_IN:
        session->consumed += size;
        session->received = bytes_received(session->control_fd);
        if (session->out_of_step)
            break;
        ftp_transcript_received(session->transcript, bytes, size);
        session->progress_at = g_get_monotonic_time();
        last = ftp_transcript_last(session->transcript);
        if (last->code != 0)
            session->awaiting_reply = FALSE;
        ftp_records_line(&session->records, size, last->code != 0 && last->preliminary == 0 && session->data_fd < 0);
        if (ftp_exchange_is(last, "PROT") && last->code / 100 == 2)
            session->prot_p = g_str_has_suffix(last->command, "P");
        if (session->config->verbose)
            g_info("< %.*s", (int)(size > 0 && bytes[size - 1] == '\n' ? size - 1 : size), bytes);
        if (session->control_fd < 0 && session->connecting->len > 0) { /* the greeting: of the addresses that were
                                                                        tried, one is left */
            session->control_fd = g_array_index(session->connecting, curl_socket_t, session->connecting->len - 1);
            g_array_set_size(session->connecting, 0);
        }
        break;
    case CURLINFO_SSL_DATA_IN:
        if (session->data_fd < 0)
            ftp_records_seen(&session->records, bytes, size);
        break;
    case CURLINFO_DATA_IN:
    case CURLINFO_DATA_OUT:
        session->progress_at = g_get_monotonic_time();
        break;
    case CURLINFO_TEXT:
        if (session->data_fd >= 0)
            watch_handshake(session, bytes, size);
        if (session->config->verbose)
            g_debug("* %.*s", (int)(size > 0 && bytes[size - 1] == '\n' ? size - 1 : size), bytes);
        break;
    default:
        break;
    }
    return 0;
}

static int xferinfo(void *data, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
    return ftp_session_should_stop(data) ? 1 : 0;
}

#ifdef HAVE_OPENSSL
/* A data connection that is cut, or that a server ends without close_notify, is an end of file and no error (DESIGN
 * fact 3); that nothing is missing is found out by the size and by the reply. */
static CURLcode ssl_ctx(CURL *easy, void *ctx, void *data)
{
#ifdef SSL_OP_IGNORE_UNEXPECTED_EOF
    SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
#endif
    return CURLE_OK;
}
#endif

static long tls_max(const char *version)
{
    if (!version)
        return CURL_SSLVERSION_DEFAULT;
    if (g_str_equal(version, "1.0"))
        return CURL_SSLVERSION_TLSv1_0 | CURL_SSLVERSION_MAX_TLSv1_0;
    if (g_str_equal(version, "1.1"))
        return CURL_SSLVERSION_TLSv1_0 | CURL_SSLVERSION_MAX_TLSv1_1;
    if (g_str_equal(version, "1.2"))
        return CURL_SSLVERSION_TLSv1_2 | CURL_SSLVERSION_MAX_TLSv1_2;
    return CURL_SSLVERSION_TLSv1_2 | CURL_SSLVERSION_MAX_TLSv1_3;
}

static void set_tls(FtpSession *session)
{
    const FtpConfig *config = session->config;
    CURL *easy = session->easy;
    if (config->tls == FTP_TLS_OFF)
        return;
    long level = config->tls == FTP_TLS_TRY ? CURLUSESSL_TRY : CURLUSESSL_ALL;
    if (!config->tls_data && config->tls == FTP_TLS_ON)
        level = CURLUSESSL_CONTROL;
    curl_easy_setopt(easy, CURLOPT_USE_SSL, level);
    curl_easy_setopt(easy, CURLOPT_FTPSSLAUTH, (long)CURLFTPAUTH_TLS);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, config->tls_verify_peer ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, config->tls_verify_host ? 2L : 0L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, tls_max(config->tls_max));
    if (config->tls_pin)
        curl_easy_setopt(easy, CURLOPT_PINNEDPUBLICKEY, config->tls_pin);
    if (config->cacert)
        curl_easy_setopt(easy, CURLOPT_CAINFO, config->cacert);
    if (config->capath)
        curl_easy_setopt(easy, CURLOPT_CAPATH, config->capath);
    if (config->cert)
        curl_easy_setopt(easy, CURLOPT_SSLCERT, config->cert);
    if (config->key)
        curl_easy_setopt(easy, CURLOPT_SSLKEY, config->key);
    if (config->key_password)
        curl_easy_setopt(easy, CURLOPT_KEYPASSWD, config->key_password);
    if (config->ciphers)
        curl_easy_setopt(easy, CURLOPT_SSL_CIPHER_LIST, config->ciphers);
#ifdef HAVE_OPENSSL
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, ssl_ctx);
#endif
}

/* libcurl does not look into netrc when CURLOPT_USERNAME is set, but does for a user that stands in the URL. */
static gboolean user_in_url(const FtpConfig *config)
{
    return config->netrc && config->user && !config->password;
}

static void set_who(FtpSession *session)
{
    const FtpConfig *config = session->config;
    CURL *easy = session->easy;
    if (config->netrc) {
        curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
        if (config->netrc_file)
            curl_easy_setopt(easy, CURLOPT_NETRC_FILE, config->netrc_file);
    }
    if (config->user && !user_in_url(config))
        curl_easy_setopt(easy, CURLOPT_USERNAME, config->user);
    if (config->password)
        curl_easy_setopt(easy, CURLOPT_PASSWORD, config->password);
}

static void set_timeouts(FtpSession *session)
{
    const FtpConfig *config = session->config;
    CURL *easy = session->easy;
    curl_easy_setopt(easy, CURLOPT_ACCEPTTIMEOUT_MS, (long)config->connect_timeout * 1000);
    curl_easy_setopt(easy, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)config->timeout);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, 365L * 86400);
    curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, 0L);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, config->tcp_nodelay ? 1L : 0L);
    if (config->keepalive > 0) {
        curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
        curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)config->keepalive);
        curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)MAX(config->keepalive / 4, 1));
    }
}

gboolean ftp_session_set_up(FtpSession *session)
{
    const FtpConfig *config = session->config;
    CURL *easy = curl_easy_init();
    CURLM *multi = curl_multi_init();
    if (!easy || !multi) {
        curl_easy_cleanup(easy);
        curl_multi_cleanup(multi);
        return FALSE;
    }
    session->easy = easy;
    g_mutex_lock(&session->wake_lock);
    session->multi = multi;
    g_mutex_unlock(&session->wake_lock);

    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 1L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "ftp,ftps");
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_FTP_FILEMETHOD, (long)CURLFTPMETHOD_NOCWD);
    curl_easy_setopt(easy, CURLOPT_FTP_CREATE_MISSING_DIRS, 0L);
    curl_easy_setopt(easy, CURLOPT_IGNORE_CONTENT_LENGTH, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256L * 1024);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 256L * 1024);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, session->error_text);
    curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L);
    curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, trace);
    curl_easy_setopt(easy, CURLOPT_DEBUGDATA, session);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, xferinfo);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, session);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, session);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, new_socket);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, session);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, session);

    /* The address in a PASV reply is looked at when the socket is made. */
    curl_easy_setopt(easy, CURLOPT_FTP_SKIP_PASV_IP,
                     config->pasv_address == FTP_PASV_ADDRESS_CONTROL ||
                             (config->proxy && config->pasv_address != FTP_PASV_ADDRESS_SERVER)
                         ? 1L
                         : 0L);
    if (config->family != FTP_FAMILY_ANY)
        curl_easy_setopt(easy, CURLOPT_IPRESOLVE,
                         config->family == FTP_FAMILY_IPV4 ? (long)CURL_IPRESOLVE_V4 : (long)CURL_IPRESOLVE_V6);
    if (config->bind)
        curl_easy_setopt(easy, CURLOPT_INTERFACE, config->bind);
    if (config->proxy) { /* a tunnel (CONNECT), never FTP by way of HTTP requests: those would hold the password in
                            clear */
        curl_easy_setopt(easy, CURLOPT_PROXY, config->proxy);
        curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
    } else
        curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* not what an environment variable says */
    set_timeouts(session);
    set_tls(session);
    set_who(session);
    return TRUE;
}

/* What CURLOPT_FTPPORT wants: an address, an interface or nothing, and the ports. The search for a free port starts
 * each time at another, so that sessions do not meet, and a server that always connects from its port 20 does not find
 * the last connection's pair of ports still waiting (TIME-WAIT). */
static char *active_where(FtpSession *session)
{
    const FtpConfig *config = session->config;
    const char *where = config->active_address ? config->active_address : "";
    gboolean six = strchr(where, ':') && where[0] != '[';
    g_autofree char *address = six ? g_strdup_printf("[%s]", where) : g_strdup(where);
    if (config->active_port_low == 0)
        return g_strdup(address[0] ? address : "-");
    guint size = config->active_port_high - config->active_port_low + 1;
    guint start = (guint)g_atomic_int_add(&session->server->next_active_port, 1) % size;
    return g_strdup_printf("%s:%u-%u", address, config->active_port_low + start, config->active_port_high);
}

/* The mode may change while mounted (mode=auto), so it is set before each operation. Whether EPSV and EPRT are used
 * libcurl takes when it connects; what has been learned since makes ftp_session_open() connect anew. */
static void set_mode(FtpSession *session)
{
    CURL *easy = session->easy;
    session->used_active = g_atomic_int_get(&session->server->active) != 0;
    g_autofree char *where = session->used_active ? active_where(session) : NULL;
    curl_easy_setopt(easy, CURLOPT_FTPPORT, where);
    if (!session->connected) {
        session->epsv_on = !g_atomic_int_get(&session->server->epsv_refused);
        session->eprt_on = !g_atomic_int_get(&session->server->eprt_refused);
        curl_easy_setopt(easy, CURLOPT_FTP_USE_EPSV, session->epsv_on ? 1L : 0L);
        curl_easy_setopt(easy, CURLOPT_FTP_USE_EPRT, session->eprt_on ? 1L : 0L);
    }
    /* For data connections libcurl counts from the beginning of the operation; they have deadlines of ours. */
    long seconds = session->config->connect_timeout + (session->connected ? 2L * session->config->timeout : 0L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, seconds * 1000);
}

char *ftp_session_url(const FtpSession *session, const char *path)
{
    const FtpConfig *config = session->config;
    gboolean six = strchr(config->host, ':') != NULL;
    g_autofree char *user = user_in_url(config) ? g_uri_escape_string(config->user, NULL, FALSE) : NULL;

    return g_strdup_printf("%s://%s%s%s%s%s:%u/%s", config->tls == FTP_TLS_IMPLICIT ? "ftps" : "ftp", user ? user : "",
                           user ? "@" : "", six ? "[" : "", config->host, six ? "]" : "", ftp_config_port(config),
                           path);
}

void ftp_session_reset_operation(FtpSession *session)
{
    CURL *easy = session->easy;
    curl_easy_setopt(easy, CURLOPT_QUOTE, NULL);
    curl_easy_setopt(easy, CURLOPT_PREQUOTE, NULL);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, NULL);
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 0L);
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(easy, CURLOPT_APPEND, 0L);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)-1);
    curl_easy_setopt(easy, CURLOPT_FTP_FILEMETHOD, (long)CURLFTPMETHOD_NOCWD);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, NULL);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, NULL);
    set_mode(session);
}
