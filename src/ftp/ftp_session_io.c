/* SPDX-License-Identifier: MIT */
/* Operations of a session that need a data connection: listings, RETR, STOR and APPE. */
#include "ftp_session_private.h"

#include "ftp_transfer.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define TICKETS_WAIT (5 * G_USEC_PER_SEC)

/* vsftpd (require_ssl_reuse) and FileZilla Server refuse a data connection that did not resume the TLS session of the
 * control connection. With TLS 1.3 a session ticket may count only once (RFC 8446, C.4), and an upload that ends before
 * the server's new tickets have come leaves the used one behind: then a new control connection brings new ones, and
 * from then on uploads wait for them (await_tickets()). */
static gboolean wants_resumption(const FtpSession *session, const FtpExchange *last)
{
    if (session->config->tls == FTP_TLS_OFF || !last || (last->code != 522 && last->code != 425))
        return FALSE;
    g_autofree char *text = g_ascii_strdown(last->lines->str, -1);
    return strstr(text, "session") && (strstr(text, "reuse") || strstr(text, "resum"));
}

/* After an operation with a data connection: was the server's last word an error? libcurl takes a 450 to a listing for
 * an empty one, and a transfer that was cut has an error for its reply by design. */
static int conclude(FtpSession *session, int error)
{
    const FtpExchange *last = ftp_transcript_last(session->transcript);
    /* libcurl knows 226 and 250; with any other 2xx it says that the file is not whole (RFC 959, 4.2). */
    if (session->result == CURLE_PARTIAL_FILE && last && last->preliminary != 0 && last->code / 100 == 2) {
        session->failure = FTP_FAILURE_NONE;
        error = session->error = 0;
    }
    if (error == 0 && last && last->code >= 400) {
        session->failure = ftp_failure_from_reply(last->code);
        error = session->error = ftp_error_from_reply(last->code);
    }
    if (error < 0 && wants_resumption(session, last)) {
        g_atomic_int_set(&session->server->tickets_needed, TRUE);
        session->failure = FTP_FAILURE_TRANSIENT;
        error = session->error = -EIO;
    }
    if (error == 0)
        ftp_session_data_learn(session);
    /* What is left of the connection is used again only when libcurl kept it after a reply that was understood. */
    if (session->failure != FTP_FAILURE_NONE && session->failure != FTP_FAILURE_PERMANENT)
        ftp_session_drop(session);
    else if (session->control_fd < 0)
        session->connected = FALSE;
    return error;
}

/* ---- Listings ---- */

typedef struct {
    FtpSession *session;
    FtpBytesFunc func;
    gpointer data;
    int error;
} ListWork;

static size_t list_write(char *bytes, size_t size, size_t n, void *data)
{
    ListWork *work = data;
    stats_add(work->session->stats, STATS_BYTES_IN, (gint64)(size * n));
    work->error = work->func(bytes, size * n, work->data);
    return work->error == 0 ? size * n : 0;
}

/* Bytes that some server might take for a pattern, an option or two arguments, when they stand behind LIST. */
gboolean ftp_path_is_plain(const RemotePath *dir)
{
    const char *path = remote_path_bytes(dir);
    return path[strspn(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-+=@:,")] == '\0';
}

int ftp_session_list(FtpSession *session, const Bound *bound, const char *command, const RemotePath *dir,
                     FtpBytesFunc func, gpointer data)
{
    ListWork work = {.session = session, .func = func, .data = data};
    g_autofree char *path = remote_path_url(dir);
    g_autofree char *with_slash =
        g_str_equal(path, "") || g_str_equal(path, "%2F") ? g_strdup(path) : g_strconcat(path, "/", NULL);
    g_autofree char *url = ftp_session_url(session, with_slash);

    ftp_session_reset_operation(session);
    curl_easy_setopt(session->easy, CURLOPT_NOBODY, 0L);
    curl_easy_setopt(session->easy, CURLOPT_URL, url);
    curl_easy_setopt(session->easy, CURLOPT_CUSTOMREQUEST, command);
    if (g_str_has_prefix(command, "LIST") && !ftp_path_is_plain(dir))
        curl_easy_setopt(session->easy, CURLOPT_FTP_FILEMETHOD, (long)CURLFTPMETHOD_SINGLECWD);
    curl_easy_setopt(session->easy, CURLOPT_WRITEFUNCTION, list_write);
    curl_easy_setopt(session->easy, CURLOPT_WRITEDATA, &work);
    ftp_transcript_clear(session->transcript);
    stats_add(session->stats, STATS_LISTINGS, 1);
    int error = ftp_session_perform(session, bound);
    if (work.error != 0) {
        ftp_session_drop(session);
        session->failure = FTP_FAILURE_PERMANENT;
        return session->error = work.error;
    }
    return conclude(session, error);
}

/* ---- RETR ---- */

typedef struct {
    FtpSession *session;
    FtpSinkFunc sink;
    gpointer data;
    gint64 skip; /* bytes to throw away first, where the server has no REST */
    gint64 bytes;
    gboolean enough;
    int error;
} RetrieveWork;

static size_t retrieve_write(char *bytes, size_t size, size_t n, void *data)
{
    RetrieveWork *work = data;
    FtpSession *session = work->session;
    gsize length = size * n;
    gsize skipped = (gsize)MIN(work->skip, (gint64)length);

    stats_add(session->stats, STATS_BYTES_IN, (gint64)length);
    work->skip -= (gint64)skipped;
    if (work->enough || ftp_transfer_is_cut(session->transfer)) {
        work->enough = TRUE;
        ftp_session_apply_cut(session);
        return length; /* what libcurl had read already when we cut */
    }
    if (length > skipped) {
        int answer = work->sink(bytes + skipped, length - skipped, work->data);
        session->progress_at = g_get_monotonic_time(); /* the time in the sink does not count */
        if (answer < 0) {
            work->error = answer;
            return 0;
        }
        work->bytes += (gint64)(length - skipped);
        if (answer > 0) {
            work->enough = TRUE;
            ftp_transfer_cut(session->transfer);
            ftp_session_apply_cut(session);
        }
    }
    return length;
}

/* "150 Opening BINARY mode data connection for x (1234 bytes)": the number, or -1. */
static gint64 announced_size(const FtpExchange *exchange)
{
    const char *end = exchange ? strstr(exchange->lines->str, " bytes)") : NULL;
    if (!end)
        return -1;
    const char *begin = end;
    while (begin > exchange->lines->str && g_ascii_isdigit(begin[-1]))
        begin--;
    if (begin == end || begin == exchange->lines->str || begin[-1] != '(' || end - begin > 18)
        return -1;
    return g_ascii_strtoll(begin, NULL, 10);
}

static gboolean is_unknown_command(int code)
{
    return code == 500 || code == 501 || code == 502 || code == 504;
}

int ftp_session_retrieve(FtpSession *session, const Bound *bound, const RemotePath *path, gint64 offset,
                         FtpTransfer *transfer, FtpSinkFunc sink, gpointer data, FtpRetrieved *ret)
{
    RetrieveWork work = {.session = session, .sink = sink, .data = data};
    gboolean control = remote_path_has_control(path);
    g_autofree char *encoded = control ? g_strdup("") : remote_path_url(path);
    g_autofree char *url = ftp_session_url(session, encoded);
    g_autofree char *command = ftp_command("RETR", path);
    /* A name that libcurl does not take in a URL is fetched as if it were a listing, by a command of our own. */
    struct curl_slist *prequote = control ? curl_slist_append(NULL, "TYPE I") : NULL;

    *ret = (FtpRetrieved){.announced = -1};
    if (offset > 0 && g_atomic_int_get(&session->server->rest_refused)) {
        work.skip = offset;
    } else if (offset > 0) {
        g_autofree char *rest = g_strdup_printf("REST %" G_GINT64_FORMAT, offset);
        prequote = curl_slist_append(prequote, rest);
    }
    ftp_session_reset_operation(session);
    curl_easy_setopt(session->easy, CURLOPT_NOBODY, 0L);
    curl_easy_setopt(session->easy, CURLOPT_URL, url);
    curl_easy_setopt(session->easy, CURLOPT_PREQUOTE, prequote);
    curl_easy_setopt(session->easy, CURLOPT_CUSTOMREQUEST, control ? command : NULL);
    curl_easy_setopt(session->easy, CURLOPT_WRITEFUNCTION, retrieve_write);
    curl_easy_setopt(session->easy, CURLOPT_WRITEDATA, &work);
    ftp_transcript_clear(session->transcript);
    session->transfer = transfer;
    ftp_transfer_bind(transfer, session);
    int error = ftp_session_perform(session, bound);
    ftp_transfer_bind(transfer, NULL);
    session->transfer = NULL;
    curl_slist_free_all(prequote);

    const FtpExchange *retr = ftp_transcript_find(session->transcript, "RETR");
    const FtpExchange *rest = ftp_transcript_find(session->transcript, "REST");
    ret->bytes = work.bytes;
    ret->announced = announced_size(retr);
    ret->complete = !session->was_cut && retr && retr->code / 100 == 2 && error == 0;
    if (work.error != 0) {
        ftp_session_drop(session);
        session->failure = FTP_FAILURE_STOPPED;
        return session->error = work.error;
    }
    if (rest && is_unknown_command(rest->code)) {
        g_atomic_int_set(&session->server->rest_refused, TRUE);
        ftp_session_drop(session);
        session->failure = FTP_FAILURE_TRANSIENT; /* again, from the beginning */
        return session->error = -EIO;
    }
    if (session->was_cut) {
        /* One reply is one reply, whatever its code (DESIGN fact 3); without one the session is in doubt. */
        if (session->result != CURLE_OK && session->result != CURLE_PARTIAL_FILE)
            ftp_session_drop(session);
        if (session->failure == FTP_FAILURE_STOPPED)
            return session->error;
        ftp_session_data_learn(session);
        session->failure = FTP_FAILURE_NONE;
        return session->error = 0;
    }
    return conclude(session, error);
}

/* ---- STOR, APPE ---- */

typedef struct {
    FtpSession *session;
    FtpSourceFunc source;
    gpointer data;
    gint64 size; /* -1: not known */
    gint64 bytes;
    gboolean refused; /* the server ended the data connection before we did */
    int error;
} StoreWork;

static gboolean hung_up(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLRDHUP};
    return fd >= 0 && poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/* Before the end of an upload: libcurl reads the tickets when it closes the data connection, if they are there. */
static void await_tickets(FtpSession *session)
{
    struct pollfd poll_fd = {.fd = session->data_fd, .events = POLLIN};
    gint64 end = g_get_monotonic_time() + TICKETS_WAIT;

    if (session->config->tls == FTP_TLS_OFF || !g_atomic_int_get(&session->server->tickets_needed) || poll_fd.fd < 0)
        return;
    while (g_get_monotonic_time() < end && !ftp_session_should_stop(session)) {
        if (poll(&poll_fd, 1, bound_slice(session->bound, 100)) != 0)
            break;
    }
    session->progress_at = g_get_monotonic_time();
}

static size_t store_read(char *bytes, size_t size, size_t n, void *data)
{
    StoreWork *work = data;
    FtpSession *session = work->session;
    gsize room = size * n;

    /* A server that refuses the rest (disk full) closes its end and says why: an end of file here lets libcurl read
     * that reply, where an error from send() would not. */
    if (hung_up(session->data_fd)) {
        work->refused = TRUE;
        return 0;
    }
    if (work->size >= 0)
        room = (gsize)MIN((gint64)room, work->size - work->bytes);
    if (room == 0) {
        await_tickets(session);
        return 0;
    }
    gssize got = work->source(bytes, room, work->bytes, work->data);
    session->progress_at = g_get_monotonic_time();
    if (got < 0) {
        work->error = (int)got;
        return CURL_READFUNC_ABORT;
    }
    if (got == 0 && work->size >= 0) {
        work->error = -EIO; /* less than was promised */
        return CURL_READFUNC_ABORT;
    }
    if (got == 0)
        await_tickets(session);
    work->bytes += got;
    stats_add(session->stats, STATS_BYTES_OUT, got);
    return (size_t)got;
}

int ftp_session_store(FtpSession *session, const Bound *bound, const RemotePath *path, FtpStore how, gint64 size,
                      FtpSourceFunc source, gpointer data)
{
    StoreWork work = {.session = session, .source = source, .data = data, .size = size};
    if (remote_path_has_control(path)) {
        session->failure = FTP_FAILURE_PERMANENT;
        return session->error = -EINVAL;
    }
    g_autofree char *encoded = remote_path_url(path);
    g_autofree char *url = ftp_session_url(session, encoded);

    ftp_session_reset_operation(session);
    curl_easy_setopt(session->easy, CURLOPT_NOBODY, 0L);
    curl_easy_setopt(session->easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(session->easy, CURLOPT_APPEND, how == FTP_STORE_APPEND ? 1L : 0L);
    curl_easy_setopt(session->easy, CURLOPT_URL, url);
    curl_easy_setopt(session->easy, CURLOPT_READFUNCTION, store_read);
    curl_easy_setopt(session->easy, CURLOPT_READDATA, &work);
    ftp_transcript_clear(session->transcript);
    session->uploading = TRUE;
    int error = ftp_session_perform(session, bound);
    session->uploading = FALSE;
    if (work.error != 0) {
        ftp_session_drop(session);
        session->failure = FTP_FAILURE_STOPPED;
        return session->error = work.error;
    }
    error = conclude(session, error);
    if (error == 0 && work.refused) { /* a 226 although it did not take everything */
        session->failure = FTP_FAILURE_TRANSIENT;
        error = session->error = -EIO;
    }
    return error;
}
