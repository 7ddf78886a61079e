/* SPDX-License-Identifier: MIT */
/*
 * How an operation gets through: a session is taken and opened, the work is done there; a failure is looked at.
 *
 *  - The server said no: that is the answer.
 *  - The session had been idle and is gone: at once on a new one.
 *  - No data connection: in mode=auto the other mode, and one sentence in the log.
 *  - Too many sessions: the limit is lowered, and one waits for a session of our own.
 *  - Nobody can log in: the server is away, and all wait together (ftp_reach).
 *  - The connection is lost in the middle: again with growing pauses, until `retry` is over.
 */
#include "ftp_client_private.h"

#include "base/log.h"
#include "ftp_hint.h"
#include "ftp_mode.h"

#include <errno.h>
#include <string.h>

FtpClient *ftp_client_new(const FtpConfig *config, Stats *stats, GError **error)
{
    g_autoptr(NameCodec) codec = name_codec_new(config->charset, error);
    if (!codec)
        return NULL;
    g_autoptr(GTimeZone) zone = NULL;
    if (config->timezone) {
        zone = g_time_zone_new_identifier(config->timezone);
        if (!zone) {
            g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "timezone=%s: there is no such time zone",
                        config->timezone);
            return NULL;
        }
    }
    FtpClient *client = g_new0(FtpClient, 1);
    client->config = config;
    client->stats = stats;
    client->codec = g_steal_pointer(&codec);
    client->zone = g_steal_pointer(&zone);
    client->server = ftp_server_new(config);
    client->pool = ftp_pool_new(config, client->server, stats);
    client->reach = ftp_reach_new(config, client->server, stats, client->pool);
    return client;
}

void ftp_client_stop(FtpClient *client)
{
    ftp_reach_stop(client->reach);
    ftp_pool_stop(client->pool);
}

void ftp_client_free(FtpClient *client)
{
    if (!client)
        return;
    ftp_reach_free(client->reach);
    ftp_pool_free(client->pool);
    ftp_server_free(client->server);
    name_codec_free(client->codec);
    if (client->zone)
        g_time_zone_unref(client->zone);
    g_free(client);
}

const FtpFeatures *ftp_client_features(const FtpClient *client)
{
    return client->server->features;
}

const char *ftp_client_root(const FtpClient *client)
{
    return client->server->root;
}

const char *ftp_client_greeting(const FtpClient *client)
{
    return client->server->greeting;
}

char *ftp_client_mode_note(FtpClient *client)
{
    return ftp_server_mode_note(client->server);
}

void ftp_client_set_quiet(FtpClient *client)
{
    client->server->quiet = TRUE;
}

int ftp_client_path(const FtpClient *client, const char *local, RemotePath **ret)
{
    g_autofree char *remote = name_codec_to_remote(client->codec, local);
    if (!remote)
        return -EILSEQ;
    return remote_path_new(client->server->root, remote, ret);
}

gboolean ftp_client_may_make(const FtpClient *client, const RemotePath *path)
{
    return !g_atomic_int_get(&client->server->changes_blanks) || !g_str_has_suffix(remote_path_bytes(path), " ");
}

void ftp_client_state(FtpClient *client, FtpClientState *ret)
{
    ftp_pool_state(client->pool, &ret->open, &ret->busy, &ret->limit);
    ret->away = ftp_reach_is_away(client->reach);
    ret->active = g_atomic_int_get(&client->server->active);
    ret->tls = g_atomic_int_get(&client->server->tls_in_use);
    gint handshakes = g_atomic_int_get(&client->server->data_handshakes);
    ret->data_resumed = handshakes == 0 ? -1 : handshakes == 1;
    gboolean mlsd = ftp_features_has(client->server->features, FTP_FEATURE_MLST) &&
                    !g_atomic_int_get(&client->server->mlsd_refused);
    gboolean stat = client->config->listing == FTP_LISTING_AUTO && !client->config->list_command &&
                    !g_atomic_int_get(&client->server->stat_refused);
    ret->listing = client->config->listing == FTP_LISTING_LIST           ? "LIST"
                   : client->config->listing == FTP_LISTING_STAT         ? "STAT"
                   : client->config->listing == FTP_LISTING_MLSD || mlsd ? "MLSD"
                   : stat                                                ? "STAT"
                                                                         : "LIST";
}

gboolean ftp_client_is_away(FtpClient *client)
{
    return ftp_reach_is_away(client->reach);
}

/* ---- Running ---- */

/* What one operation has been through. */
typedef struct {
    gint64 first_failure; /* monotonic, or 0 */
    guint tries;
    FtpModeTrouble mode;
} Trouble;

static gboolean may_have_been_done(const FtpSession *session)
{
    static const char *const verbs[] = {"DELE", "RMD", "MKD", "RNTO", "APPE", "SITE"};
    const FtpExchange *last = ftp_transcript_last(ftp_session_transcript(session));
    if (!last || !ftp_session_unanswered(session))
        return FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(verbs); i++)
        if (ftp_exchange_is(last, verbs[i]))
            return TRUE;
    return FALSE;
}

/* What to do after a failure of the work: 0 to try again, else the -errno that the operation ends with. */
static int after_failure(FtpClient *client, const FtpCall *call, FtpWork *work, Trouble *trouble, FtpFailure failure,
                         FtpModeVerdict verdict, gboolean reused, gboolean others, int error)
{
    gint64 now = g_get_monotonic_time();

    if (failure == FTP_FAILURE_PERMANENT || failure == FTP_FAILURE_STOPPED || failure == FTP_FAILURE_NONE ||
        work->final || call->priority == FTP_PRIORITY_AHEAD)
        return error;
    if (trouble->first_failure == 0)
        trouble->first_failure = now;
    if (failure == FTP_FAILURE_DATA && verdict == FTP_MODE_TRY_NOW)
        return bound_check(call->bound);
    if (failure == FTP_FAILURE_DATA)
        error = error == -ETIMEDOUT ? -ETIMEDOUT : -EIO;
    if (failure == FTP_FAILURE_DATA && verdict == FTP_MODE_GIVE_UP)
        return -ENETUNREACH; /* not to be tried again by anybody */
    stats_add(client->stats, STATS_RETRIES, 1);
    trouble->tries++;
    if (reused && error != -ETIMEDOUT && failure != FTP_FAILURE_DATA &&
        trouble->tries <= client->config->connections + 1)
        return bound_check(call->bound); /* an idle session that the server had closed: others may be like it */
    gint64 end = trouble->first_failure + (gint64)client->config->retry * G_USEC_PER_SEC;
    if (now >= end)
        return failure == FTP_FAILURE_BUSY ? -EBUSY : error;
    gint64 pause = (G_USEC_PER_SEC / 10) << MIN(trouble->tries, 6);
    if ((failure == FTP_FAILURE_BUSY && others) || (failure == FTP_FAILURE_DATA && verdict == FTP_MODE_TRY_SOON))
        pause = G_USEC_PER_SEC / 20; /* a session of our own will come free */
    return ftp_pool_pause(client->pool, call->bound, MIN(pause, end - now));
}

/* After a login that failed: as above. The waiting for a server that is away is ftp_reach_wait()'s. */
static int after_refusal(FtpClient *client, const FtpCall *call, Trouble *trouble, FtpFailure failure, gboolean others,
                         gint64 began, int error, const char *why)
{
    gint64 now = g_get_monotonic_time();

    if (failure == FTP_FAILURE_STOPPED)
        return error;
    if (trouble->first_failure == 0)
        trouble->first_failure = now;
    if (failure == FTP_FAILURE_PERMANENT) {
        ftp_reach_failed(client->reach, began, error, TRUE, why);
        return error;
    }
    stats_add(client->stats, STATS_RETRIES, 1);
    if (failure == FTP_FAILURE_BUSY && others) { /* a session of our own will come free */
        if (now >= trouble->first_failure + (gint64)client->config->retry * G_USEC_PER_SEC)
            return -EBUSY;
        return ftp_pool_pause(client->pool, call->bound, G_USEC_PER_SEC / 20);
    }
    if (error == -ETIMEDOUT || error == -EHOSTUNREACH)
        ftp_pool_distrust(client->pool);
    ftp_reach_failed(client->reach, began, failure == FTP_FAILURE_BUSY ? -EBUSY : error, FALSE, why);
    return 0;
}

/* A session that is open, or -errno. */
static int take_open(FtpClient *client, const FtpCall *call, const FtpWork *work, Trouble *trouble, FtpSession **ret)
{
    for (;;) {
        FtpSession *session = NULL;
        int error = ftp_pool_take(client->pool, call, work->type, work->transfer, &session);
        if (error < 0)
            return error;
        if (!ftp_session_connected(session) && ftp_reach_is_away(client->reach)) {
            ftp_pool_give(client->pool, session);
            if (call->priority == FTP_PRIORITY_AHEAD)
                return -EBUSY;
            error = ftp_reach_wait(client->reach, call->bound, trouble->first_failure);
            if (error < 0)
                return error;
            continue;
        }
        gint64 began = g_get_monotonic_time();
        error = ftp_session_open(session, call->bound);
        if (error == 0) {
            if (!ftp_session_was_reused(session))
                ftp_reach_worked(client->reach);
            *ret = session;
            return 0;
        }
        FtpFailure failure = ftp_session_failure(session);
        gboolean others = failure == FTP_FAILURE_BUSY && ftp_pool_learn_busy(client->pool);
        g_autofree char *why = ftp_session_explain(session);
        ftp_pool_give(client->pool, session);
        if (failure != FTP_FAILURE_PERMANENT && failure != FTP_FAILURE_STOPPED)
            stats_set_last_error(client->stats, why);
        int verdict = after_refusal(client, call, trouble, failure, others, began, error, why);
        if (verdict < 0 || call->priority == FTP_PRIORITY_AHEAD)
            return verdict < 0 ? verdict : error;
    }
}

int ftp_client_run(FtpClient *client, const FtpCall *call, FtpWork *work)
{
    Trouble trouble = {0};

    work->bound = call->bound;
    for (;;) {
        FtpSession *session = NULL;
        int error = take_open(client, call, work, &trouble, &session);
        if (error < 0)
            return error;
        error = work->func(session, work);
        if (error == 0) {
            ftp_pool_give(client->pool, session);
            return 0;
        }
        FtpFailure failure = ftp_session_failure(session);
        gboolean reused = ftp_session_was_reused(session);
        gboolean others = failure == FTP_FAILURE_BUSY && ftp_pool_learn_busy(client->pool); /* libcurl logged in anew */
        g_autofree char *why = ftp_session_explain(session);
        if (may_have_been_done(session)) {
            work->unsure = TRUE;
            work->final |= work->ask_first;
        }
        FtpModeVerdict verdict = FTP_MODE_GIVE_UP;
        if (failure == FTP_FAILURE_DATA)
            verdict = ftp_mode_after_failure(client->server, client->config, &trouble.mode, session, why);
        ftp_pool_give(client->pool, session);
        if (failure == FTP_FAILURE_TRANSIENT && error == -ETIMEDOUT)
            ftp_pool_distrust(client->pool); /* what is idle would be as silent, and cost as much time again */
        if (failure != FTP_FAILURE_PERMANENT && failure != FTP_FAILURE_STOPPED && call->priority != FTP_PRIORITY_AHEAD)
            stats_set_last_error(client->stats, why);
        error = after_failure(client, call, work, &trouble, failure, verdict, reused, others, error);
        if (error < 0)
            return error;
    }
}

int ftp_client_open_ahead(FtpClient *client, const Bound *bound)
{
    FtpSession *session = NULL;
    if (ftp_reach_is_away(client->reach))
        return -EBUSY;
    int error = ftp_pool_take_new(client->pool, &session);
    if (error < 0)
        return error;
    error = ftp_session_open(session, bound);
    if (error < 0 && ftp_session_failure(session) == FTP_FAILURE_BUSY) {
        ftp_pool_learn_busy(client->pool);
        error = -EBUSY;
    }
    ftp_pool_give(client->pool, session);
    return error;
}

/* ---- The login at the start ---- */

static void explain_probe(FtpClient *client, const FtpSession *session, CURLcode result, GError **error)
{
    const FtpConfig *config = client->config;
    g_autofree char *source = ftp_config_source(config);
    g_autofree char *why = ftp_session_explain(session);
    g_autofree char *advice = ftp_hint(result, session, config);
    const FtpExchange *last = ftp_transcript_last(ftp_session_transcript(session));
    if (last && last->command[0] == '\0' && last->replies == 0) {
        g_free(why);
        g_autofree char *said = ftp_exchange_reply(last);
        why = g_strdup_printf("it said \"%s\"", said);
    }
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "can't log in to %s (%s port %u): %s\n(%s)", source,
                config->host, ftp_config_port(config), why, advice);
}

/* TLS protects less than it could, because somebody wanted it so: it shall be known. */
static void warn_of_weak_tls(const FtpConfig *config)
{
    if (config->tls == FTP_TLS_OFF)
        return;
    if (config->tls == FTP_TLS_TRY)
        g_warning("tls=try: whoever can change the connection can make it plain text; tls=on does without");
    if (!config->tls_verify_peer || !config->tls_verify_host)
        g_warning("the server's certificate is not verified (%s): anybody can pretend to be the server",
                  config->tls_verify_peer ? "no_verify_hostname" : "tls_verify=off");
    if (!config->tls_data)
        g_warning("tls_data=off: names and contents of files are sent in plain text");
    if (config->tls_max && (g_str_equal(config->tls_max, "1.0") || g_str_equal(config->tls_max, "1.1")))
        g_warning("tls_max=%s: TLS 1.0 and 1.1 are old and weak", config->tls_max);
}

gboolean ftp_client_probe(FtpClient *client, GError **error)
{
    if (!client->server->quiet)
        warn_of_weak_tls(client->config);
    FtpCall call = {.priority = FTP_PRIORITY_PERSON};
    FtpSession *session = NULL;
    if (ftp_pool_take(client->pool, &call, 0, NULL, &session) < 0) {
        g_set_error_literal(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "the program is ending");
        return FALSE;
    }
    Bound bound = bound_seconds(client->config->connect_timeout + (double)client->config->timeout);
    if (ftp_session_open(session, &bound) < 0) {
        explain_probe(client, session, ftp_session_result(session), error);
        ftp_pool_give(client->pool, session);
        return FALSE;
    }
    g_autoptr(RemotePath) root = NULL;
    gboolean good = ftp_client_path(client, "/", &root) == 0;
    if (good && client->config->path && client->config->path[0] != '\0') {
        g_autofree char *command = ftp_command("CWD", root);
        if (ftp_session_command(session, &bound, command) < 0) {
            g_autofree char *why = ftp_session_explain(session);
            g_autofree char *source = ftp_config_source(client->config);
            g_autofree char *path = log_printable(remote_path_bytes(root), 300);
            g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                        "can't mount %s: the server does not go to the directory \"%s\" (%s)\n"
                        "(a path is below the login directory; //path is from the server's root)",
                        source, path, why);
            ftp_pool_give(client->pool, session);
            return FALSE;
        }
        if (remote_path_bytes(root)[0] != '/')
            ftp_session_drop(session); /* relative paths start at the login directory, and we have left it */
    }
    if (!good) {
        g_set_error_literal(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "the path of the source can't be used");
        ftp_pool_give(client->pool, session);
        return FALSE;
    }
    ftp_pool_give(client->pool, session);
    return TRUE;
}
