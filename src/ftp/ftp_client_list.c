/* SPDX-License-Identifier: MIT */
/*
 * Listing a directory: MLSD where the server has it, since only that is exact; else STAT or LIST, which say the same.
 *
 * STAT needs no data connection: one round trip instead of four or more (DESIGN fact 6). With listing=auto it is used
 * where it can do no harm:
 *   - The path has no character that a server might take for a pattern, or for the end of the path.
 *   - The reply has to list ".", as that to "STAT -a DIR" does where STAT lists directories. It may as well be the
 *     server's status, or the directory's own line (where it may not be read), or nothing.
 *   - The directory is small: libcurl ends the session when a reply passes some 300 KiB. Its size in the listing above
 *     it tells before; one that overflowed is remembered.
 *   - Nothing is left behind the reply. A name that holds a line end and "213 End" ends it early, and what follows
 *     would be taken for the next command's reply (ftp_session_step()).
 * Else LIST is used.
 *
 * `LIST -a` shows dot files on most servers; some take "-a" for a name. A listing by LIST that comes back empty proves
 * nothing (some servers list a missing directory as an empty one), so then the directory itself is asked for.
 */
#include "ftp_client_private.h"

#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define FRUITLESS_MAX ((gsize)16 << 20) /* bytes without an entry */

/* A directory of this size may have more lines than STAT can bring: entries of 16 bytes, lines of 68, on ext4. */
#define STAT_DIR_MAX  (64 * 1024)
#define STAT_LIST_MAX (200 * 1024) /* bytes of a listing by LIST; after a larger one the next goes by LIST, too */

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
    gboolean saw_name; /* an entry has the name of the directory */
    guint tries;
    gsize bytes; /* of a listing over a data connection */
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
    if (work->entries++ == 0)
        work->saw_name = g_str_equal(entry->name, remote_path_name(work->dir));
    return work->entry(&local, work->data);
}

/* A server that sends lines, or one line, without end, and no entries, is not listened to for ever. */
static int feed(const char *bytes, gsize size, gpointer data)
{
    ListWork *work = data;
    guint64 before = list_parser_entries(work->parser);
    int error = list_parser_feed(work->parser, bytes, size);
    work->bytes += size;
    work->fruitless = list_parser_entries(work->parser) == before ? work->fruitless + size : 0;
    return error == 0 && work->fruitless > FRUITLESS_MAX ? -EFBIG : error;
}

static int list_by_stat(FtpSession *session, ListWork *work, ListParser *parser)
{
    g_autofree char *command = ftp_command(work->command, work->dir);
    if (ftp_session_step(session) == FTP_STEP_UNKNOWN && work->client->config->listing == FTP_LISTING_AUTO) {
        work->work.final = TRUE;
        return -EOPNOTSUPP;
    }
    stats_add(work->client->stats, STATS_LISTINGS, 1);
    int error = ftp_session_command(session, work->work.bound, command);
    if (error < 0) {
        g_autofree char *why = ftp_session_explain(session);
        work->work.final = strstr(why, "Too large response headers") != NULL; /* libcurl takes some 300 KiB */
        return work->work.final ? -EFBIG : error;
    }
    const FtpExchange *reply = ftp_session_reply(session, 0);
    gboolean whole = ftp_session_step(session) != FTP_STEP_OUT && !reply->truncated;
    if (whole)
        return list_parser_feed(parser, reply->lines->str, reply->lines->len);
    ftp_session_drop(session);
    work->work.final = TRUE;
    return -EFBIG;
}

static int run_list(FtpSession *session, FtpWork *base)
{
    ListWork *work = (ListWork *)base;
    if (work->tries++ > 0 && work->restart)
        work->restart(work->data);
    g_autoptr(ListParser) parser =
        list_parser_new(work->format, g_get_real_time() / G_USEC_PER_SEC, work->client->zone, give_entry, work);
    work->parser = parser;
    work->fruitless = work->bytes = 0;
    work->too_long = work->entries = 0;
    work->saw_name = FALSE;
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
    FtpServer *server = work->client->server;
    gboolean stat = g_str_has_prefix(command, "STAT");
    work->command = command;
    work->format = g_str_has_prefix(command, "MLSD") ? LIST_FORMAT_MLSD : LIST_FORMAT_LIST;
    work->work.type = stat ? 0 : 'A';
    work->work.unsure = work->work.final = FALSE;
    int error = ftp_client_run(work->client, call, &work->work);
    if (error == 0 && work->saw_self && g_str_has_suffix(command, " -a"))
        g_atomic_int_set(&server->lists_self, TRUE);
    if (stat && error == -EFBIG)
        ftp_server_set_large(server, remote_path_bytes(work->dir), TRUE);
    else if (!stat && error == 0 && work->format == LIST_FORMAT_LIST)
        ftp_server_set_large(server, remote_path_bytes(work->dir), work->bytes > STAT_LIST_MAX);
    return error;
}

/* A reply that can mean "no such directory", "it is empty", or "I don't know this option". */
static gboolean is_doubtful(int error)
{
    return error == -EREMOTEIO || error == -EAGAIN || error == -EOPNOTSUPP;
}

/* TRUE when the listing is that of a directory that may be read. A file, or a directory that may not be, is listed as
 * one line with its own name; where others show "." in their place, it is such a line and not what is in it. */
static gboolean is_listed(const ListWork *work)
{
    if (work->saw_self || work->entries > 1)
        return TRUE;
    return work->entries == 1 && !(work->saw_name && g_atomic_int_get(&work->client->server->lists_self));
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
        listed = error == 0 && is_listed(work);
        if (error < 0 && !is_doubtful(error))
            return error;
        if (!own && g_atomic_int_get(&server->lists_self))
            may_fall_back = FALSE;
    }
    if (!listed && may_fall_back) {
        error = list_with(work, call, verb);
        if (error == -EFBIG && g_str_equal(verb, "STAT"))
            return list_unix(work, call, "LIST");
        if (error < 0 && !is_doubtful(error))
            return error;
        listed = error == 0 && is_listed(work);
        if (listed)
            g_atomic_int_set(&server->list_a_refused, TRUE);
    }
    if (listed)
        return 0;
    int exists = ask_for_directory(work, call);
    if (exists < 0)
        return exists;
    return work->entries > 0 ? -EACCES : 0; /* its own line: it is there, and may not be read */
}

/* FALSE where the server might take the path for another one. vsftpd looks for a directory of that name before it
 * thinks of anything else, and takes all behind the options for the path. */
static gboolean is_fit_for_stat(const FtpClient *client, const RemotePath *dir)
{
    if (ftp_path_is_plain(dir))
        return TRUE;
    if (!g_atomic_int_get(&client->server->is_vsftpd))
        return FALSE;
    for (const guint8 *p = (const guint8 *)remote_path_bytes(dir); *p; p++)
        if (*p < 0x20 || *p == 0x7f || *p == 0xff || strchr("*?[]{}\\", *p))
            return FALSE;
    return TRUE;
}

gboolean ftp_client_may_list_by_stat(const FtpClient *client, const RemotePath *path)
{
    return client->config->listing == FTP_LISTING_AUTO && !client->config->list_command &&
           !g_atomic_int_get(&client->server->stat_refused) && is_fit_for_stat(client, path) &&
           !ftp_server_is_large(client->server, remote_path_bytes(path));
}

int ftp_client_list_by_stat(FtpClient *client, const FtpCall *call, const RemotePath *path, ListEntryFunc entry,
                            gpointer data, gboolean *ret_saw_self)
{
    ListWork work = {.work = {.func = run_list}, .client = client, .dir = path, .entry = entry, .data = data};
    int error = list_with(&work, call, "STAT -a");
    *ret_saw_self = work.saw_self;
    return error;
}

/* Without MLSD: STAT where it can be believed, else LIST. */
static int list_without_facts(ListWork *work, const FtpCall *call)
{
    FtpServer *server = work->client->server;
    int error = -EFBIG;
    gboolean tried = call->dir_size < STAT_DIR_MAX && ftp_client_may_list_by_stat(work->client, work->dir);

    if (tried) {
        error = list_with(work, call, "STAT -a");
        if (error == 0 && work->saw_self)
            return 0;
        if (error < 0 && error != -EFBIG && !is_doubtful(error))
            return error;
        if (error != -EFBIG && g_atomic_int_get(&server->lists_self)) {
            int exists = ask_for_directory(work, call);
            if (exists < 0)
                return exists;
        }
    }
    gboolean doubted = tried && error != -EFBIG;
    error = list_unix(work, call, "LIST");
    if (error == 0 && doubted && is_listed(work))
        g_atomic_int_set(&server->stat_refused, TRUE); /* LIST tells what STAT does not */
    return error;
}

static int list_by_mlsd(ListWork *work, const FtpCall *call, gboolean *ret_unknown)
{
    int error = list_with(work, call, "MLSD");
    if (error == -EAGAIN) /* 450: nothing there, or no such directory */
        error = ask_for_directory(work, call);
    if (error == -EOPNOTSUPP && work->client->config->listing == FTP_LISTING_AUTO) {
        error = ask_for_directory(work, call); /* unknown after all, or 501 for a missing path */
        *ret_unknown = error == 0;
        if (*ret_unknown)
            g_atomic_int_set(&work->client->server->mlsd_refused, TRUE);
    }
    return error;
}

int ftp_client_list(FtpClient *client, const FtpCall *call, const RemotePath *dir, ListEntryFunc entry,
                    void (*restart)(gpointer data), gpointer data)
{
    FtpServer *server = client->server;
    FtpListing listing = client->config->listing;
    ListWork work = {
        .work = {.func = run_list}, .client = client, .dir = dir, .entry = entry, .restart = restart, .data = data};
    int error = 0;
    gboolean mlsd = listing == FTP_LISTING_MLSD ||
                    (listing == FTP_LISTING_AUTO && ftp_features_has(server->features, FTP_FEATURE_MLST) &&
                     !g_atomic_int_get(&server->mlsd_refused) && !client->config->list_command);
    gboolean stat = listing == FTP_LISTING_STAT && ftp_path_is_plain(dir) && call->dir_size < STAT_DIR_MAX &&
                    !ftp_server_is_large(server, remote_path_bytes(dir));
    gboolean unknown = !mlsd;

    if (mlsd)
        error = list_by_mlsd(&work, call, &unknown);
    if (unknown && listing == FTP_LISTING_AUTO)
        error = list_without_facts(&work, call);
    else if (unknown)
        error = list_unix(&work, call, stat ? "STAT" : "LIST");
    if (error == 0 && work.refused > 0 && g_atomic_int_compare_and_exchange(&server->bad_names_told, FALSE, TRUE)) {
        g_autofree char *path = log_printable(remote_path_bytes(dir), 300);
        g_warning("%" G_GUINT64_FORMAT " names in the listing of \"%s\" can't be names of files and are left out "
                  "(said once)",
                  work.refused, path);
    }
    return error;
}
