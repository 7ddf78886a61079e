/* SPDX-License-Identifier: MIT */
/*
 * Listing a directory: MLSD where the server has it, else LIST (or STAT, which needs no data connection, on request).
 * `LIST -a` shows dot files on most servers; some take "-a" for a name. A listing by LIST that comes back empty proves
 * nothing (some servers list a missing directory as an empty one), so then the directory itself is asked for.
 */
#include "ftp_client_private.h"

#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define FRUITLESS_MAX ((gsize)16 << 20) /* bytes without an entry */

typedef struct {
    FtpWork work;
    FtpClient *client;
    const RemotePath *dir;
    ListFormat format;
    const char *command; /* "MLSD", "LIST -a", "STAT -a", ... */
    ListEntryFunc entry;
    void (*restart)(gpointer data);
    gpointer data;
    /* results */
    guint64 entries;
    guint64 refused;
    guint64 too_long;
    gboolean saw_self;
    guint tries;
    /* while it runs */
    ListParser *parser;
    gsize fruitless; /* bytes since the last entry */
} ListWork;

/* The caller's function gets names in our charset. A name that no file can have here would end the whole readdir(3). */
static int give_entry(const ListEntry *entry, gpointer data)
{
    ListWork *work = data;
    g_autofree char *name = name_codec_to_local(work->client->codec, entry->name);
    if (strlen(name) > NAME_MAX) {
        work->too_long++;
        return 0;
    }
    g_autofree char *target = entry->target ? name_codec_to_local(work->client->codec, entry->target) : NULL;
    ListEntry local = {.name = name, .target = target, .attr = entry->attr};
    return work->entry(&local, work->data);
}

/* A server that sends lines, or one line, without end, and no entries, is not listened to for ever. */
static int feed(const char *bytes, gsize size, gpointer data)
{
    ListWork *work = data;
    guint64 before = list_parser_entries(work->parser);
    int error = list_parser_feed(work->parser, bytes, size);
    work->fruitless = list_parser_entries(work->parser) == before ? work->fruitless + size : 0;
    return error == 0 && work->fruitless > FRUITLESS_MAX ? -EFBIG : error;
}

/* STAT on the control connection: one exchange, its lines are the listing (DESIGN fact 6). */
static int list_by_stat(FtpSession *session, ListWork *work, ListParser *parser)
{
    g_autofree char *command = ftp_command(work->command, work->dir);
    int error = ftp_session_command(session, work->work.bound, command);
    if (error < 0) {
        g_autofree char *why = ftp_session_explain(session);
        work->work.final = strstr(why, "Too large response headers") != NULL; /* libcurl takes some 300 KiB */
        return work->work.final ? -EFBIG : error;
    }
    const FtpExchange *reply = ftp_session_reply(session, 0);
    return list_parser_feed(parser, reply->lines->str, reply->lines->len);
}

static int run_list(FtpSession *session, FtpWork *base)
{
    ListWork *work = (ListWork *)base;
    if (work->tries++ > 0 && work->restart)
        work->restart(work->data);
    g_autoptr(ListParser) parser =
        list_parser_new(work->format, g_get_real_time() / G_USEC_PER_SEC, work->client->zone, give_entry, work);
    work->parser = parser;
    work->fruitless = work->too_long = 0;
    int error = g_str_has_prefix(work->command, "STAT")
                    ? list_by_stat(session, work, parser)
                    : ftp_session_list(session, base->bound, work->command, work->dir, feed, work);
    if (error == 0)
        error = list_parser_finish(parser);
    work->entries = list_parser_entries(parser);
    work->refused = list_parser_refused(parser) + work->too_long;
    work->saw_self = list_parser_saw_self(parser);
    return error;
}

static int list_with(ListWork *work, const FtpCall *call, const char *command)
{
    work->command = command;
    work->format = g_str_has_prefix(command, "MLSD") ? LIST_FORMAT_MLSD : LIST_FORMAT_LIST;
    work->work.unsure = work->work.final = FALSE;
    return ftp_client_run(work->client, call, &work->work);
}

/* A reply that can mean "no such directory", "it is empty", or "I don't know this option". */
static gboolean is_doubtful(int error)
{
    return error == -EREMOTEIO || error == -EAGAIN || error == -EOPNOTSUPP;
}

/* Does the directory exist? 0, or -errno of CWD. */
static int run_cwd(FtpSession *session, FtpWork *base)
{
    ListWork *work = (ListWork *)base;
    g_autofree char *command = ftp_command("CWD", work->dir);
    int error = ftp_session_command(session, base->bound, command);
    if (remote_path_bytes(work->dir)[0] != '/')
        ftp_session_drop(session); /* relative paths need the login directory */
    return error;
}

static int ask_for_directory(ListWork *list, const FtpCall *call)
{
    ListWork work = {.work = {.func = run_cwd}, .client = list->client, .dir = list->dir};
    return ftp_client_run(list->client, call, &work.work);
}

/* LIST or STAT, with -a and, where that does not work, without. */
static int list_unix(ListWork *work, const FtpCall *call, const char *verb)
{
    FtpServer *server = work->client->server;
    const char *own = work->client->config->list_command;
    g_autofree char *with_option = own ? g_strdup(own) : g_strconcat(verb, " -a", NULL);
    gboolean may_fall_back = !own;
    int error = -EREMOTEIO;
    gboolean listed = FALSE;

    if (own || !g_atomic_int_get(&server->list_a_refused)) {
        error = list_with(work, call, with_option);
        if (error == -EFBIG && g_str_equal(verb, "STAT"))
            return list_unix(work, call, "LIST");
        listed = error == 0 && (work->entries > 0 || work->saw_self);
        if (error < 0 && !is_doubtful(error))
            return error;
    }
    if (!listed && may_fall_back) {
        error = list_with(work, call, verb);
        if (error == -EFBIG && g_str_equal(verb, "STAT"))
            return list_unix(work, call, "LIST");
        if (error < 0 && !is_doubtful(error))
            return error;
        listed = error == 0 && (work->entries > 0 || work->saw_self);
        if (listed)
            g_atomic_int_set(&server->list_a_refused, TRUE);
    }
    if (listed)
        return 0;
    int exists = ask_for_directory(work, call);
    return exists < 0 ? exists : 0;
}

int ftp_client_list(FtpClient *client, const FtpCall *call, const RemotePath *dir, ListEntryFunc entry,
                    void (*restart)(gpointer data), gpointer data)
{
    FtpServer *server = client->server;
    FtpListing listing = client->config->listing;
    ListWork work = {.work = {.func = run_list, .type = 'A'},
                     .client = client,
                     .dir = dir,
                     .entry = entry,
                     .restart = restart,
                     .data = data};
    int error;

    gboolean mlsd = listing == FTP_LISTING_MLSD ||
                    (listing == FTP_LISTING_AUTO && ftp_features_has(server->features, FTP_FEATURE_MLST) &&
                     !g_atomic_int_get(&server->mlsd_refused) && !client->config->list_command);
    if (mlsd) {
        error = list_with(&work, call, "MLSD");
        if (error == -EAGAIN) /* 450: nothing there, or no such directory */
            error = ask_for_directory(&work, call);
        if (error == -EOPNOTSUPP && listing == FTP_LISTING_AUTO) { /* unknown after all, or 501 for a missing path */
            error = ask_for_directory(&work, call);
            if (error == 0) {
                g_atomic_int_set(&server->mlsd_refused, TRUE);
                mlsd = FALSE;
            }
        }
    }
    if (!mlsd)
        error = list_unix(&work, call, listing == FTP_LISTING_STAT && ftp_path_is_plain(dir) ? "STAT" : "LIST");
    if (error == 0 && work.refused > 0 && g_atomic_int_compare_and_exchange(&server->bad_names_told, FALSE, TRUE)) {
        g_autofree char *path = log_printable(remote_path_bytes(dir), 300);
        g_warning("%" G_GUINT64_FORMAT " names in the listing of \"%s\" can't be names of files and are left out "
                  "(said once)",
                  work.refused, path);
    }
    return error;
}
