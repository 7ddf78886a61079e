/* SPDX-License-Identifier: MIT */
/*
 * Looking at one name: MLST where the server has it; where it has not, STAT, whose reply for a file is the line that
 * LIST has for it, and for a directory the lines of what is in it; SIZE and MDTM.
 */
#include "ftp_client_private.h"

#include <errno.h>
#include <string.h>

typedef struct {
    const char *name;
    gboolean found;
    FtpAttr attr;
} Search;

static int search_entry(const ListEntry *entry, gpointer data)
{
    Search *search = data;
    if (g_str_equal(entry->name, search->name)) {
        search->found = TRUE;
        search->attr = entry->attr;
    }
    return 0;
}

typedef struct {
    FtpAttr *attr;
    char *name, *target;
    guint found;
} StatEntry;

static int stat_entry(const ListEntry *entry, gpointer data)
{
    StatEntry *stat = data;
    if (stat->found++ == 0) {
        *stat->attr = entry->attr;
        stat->name = g_strdup(entry->name);
        stat->target = g_strdup(entry->target);
    }
    return 0;
}

static void give_entry(const FtpClient *client, const StatEntry *stat, FtpAttr *ret, char **ret_target)
{
    *ret = *stat->attr;
    if (ret_target)
        *ret_target = stat->target ? name_codec_to_local(client->codec, stat->target) : NULL;
}

int ftp_client_stat(FtpClient *client, const FtpCall *call, const RemotePath *path, FtpAttr *ret, char **ret_target)
{
    if (!ftp_features_has(client->server->features, FTP_FEATURE_MLST) ||
        g_atomic_int_get(&client->server->mlsd_refused) || client->config->listing == FTP_LISTING_LIST ||
        client->config->listing == FTP_LISTING_STAT)
        return -EOPNOTSUPP;

    g_autofree char *command = ftp_command("MLST", path);
    g_autofree char *reply = NULL;
    int error = ftp_client_command(client, call, command, &reply, NULL);
    if (error == -EOPNOTSUPP && reply && g_str_has_prefix(reply, "501"))
        return -ENOENT; /* some say 501 of a path that is not there (DESIGN section 6) */
    if (error == -EREMOTEIO || error == -EAGAIN)
        return -ENOENT;
    if (error < 0)
        return error;

    FtpAttr attr = {0};
    StatEntry stat = {.attr = &attr};
    g_autoptr(ListParser) parser =
        list_parser_new(LIST_FORMAT_MLST, g_get_real_time() / G_USEC_PER_SEC, client->zone, stat_entry, &stat);
    g_auto(GStrv) lines = g_strsplit(reply, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        if (g_str_has_prefix(lines[i], "250"))
            continue;
        list_parser_feed(parser, lines[i], strlen(lines[i]));
        list_parser_feed(parser, "\n", 1);
    }
    list_parser_finish(parser);
    if (stat.found > 0)
        give_entry(client, &stat, ret, ret_target);
    g_free(stat.name);
    g_free(stat.target);
    return stat.found > 0 ? 0 : -EOPNOTSUPP; /* not understood: a listing may tell */
}

int ftp_client_stat_line(FtpClient *client, const FtpCall *call, const RemotePath *path, FtpAttr *ret,
                         char **ret_target)
{
    if (!ftp_client_may_list_by_stat(client, path) || !g_atomic_int_get(&client->server->lists_self))
        return -EOPNOTSUPP;

    FtpAttr attr = {0};
    StatEntry stat = {.attr = &attr};
    gboolean saw_self = FALSE;
    int error = ftp_client_list_by_stat(client, call, path, stat_entry, &stat, &saw_self);
    if (error == -EREMOTEIO || error == -EFBIG)
        error = -EOPNOTSUPP;
    else if (error == 0 && stat.found == 0 && !saw_self)
        error = -ENOENT;
    else if (error == 0 && stat.found == 1 && !saw_self && g_str_equal(stat.name, remote_path_name(path)))
        give_entry(client, &stat, ret, ret_target);
    else if (error == 0) /* what is in a directory, or in one that a link points to: it does not tell which */
        error = -EOPNOTSUPP;
    g_free(stat.name);
    g_free(stat.target);
    return error;
}

int ftp_client_look(FtpClient *client, const FtpCall *call, const RemotePath *path, FtpAttr *ret)
{
    int error = ftp_client_stat(client, call, path, ret, NULL);
    if (error == -EOPNOTSUPP)
        error = ftp_client_stat_line(client, call, path, ret, NULL);
    if (error != -EOPNOTSUPP)
        return error;
    g_autoptr(RemotePath) parent = remote_path_parent(path);
    if (!parent)
        return -EOPNOTSUPP;
    g_autofree char *name = name_codec_to_local(client->codec, remote_path_name(path));
    Search search = {.name = name};
    error = ftp_client_list(client, call, parent, search_entry, NULL, &search);
    if (error < 0)
        return error;
    if (!search.found)
        return -ENOENT;
    *ret = search.attr;
    return 0;
}

const char *ftp_reply_value(const char *reply)
{
    return reply && g_str_has_prefix(reply, "213 ") ? reply + 4 : NULL;
}

/* YYYYMMDDhhmmss[.sss], UTC (RFC 3659, 2.3). */
static gboolean parse_time(const char *text, gint64 *ret)
{
    int parts[6];
    static const int widths[] = {4, 2, 2, 2, 2, 2};
    for (int i = 0; i < 6; i++) {
        parts[i] = 0;
        for (int k = 0; k < widths[i]; k++, text++) {
            if (!g_ascii_isdigit(*text))
                return FALSE;
            parts[i] = parts[i] * 10 + (*text - '0');
        }
    }
    g_autoptr(GDateTime) time =
        g_date_time_new_utc(parts[0], parts[1], parts[2], parts[3], parts[4], MIN(parts[5], 59));
    if (!time)
        return FALSE;
    *ret = g_date_time_to_unix(time);
    return TRUE;
}

typedef struct {
    FtpWork work;
    const RemotePath *path;
    FtpAttr attr;
    int size_code, time_code;
} SizeWork;

/* SIZE means bytes only in TYPE I (RFC 3659, 4.3). libcurl does not learn of the type that is set here, and sets it
 * once more before it fetches the file. */
static int run_size(FtpSession *session, FtpWork *base)
{
    SizeWork *work = (SizeWork *)base;
    const char *commands[3];
    guint n = 0;
    g_autofree char *size = ftp_command("SIZE", work->path);
    g_autofree char *time = ftp_command("MDTM", work->path);
    if (work->work.type == 'I' && ftp_session_type(session) != 'I')
        commands[n++] = "TYPE I";
    commands[n++] = size;
    commands[n++] = time;
    int error = ftp_session_commands(session, base->bound, commands, n);
    if (error < 0)
        return error;
    work->attr = (FtpAttr){.type = FTP_TYPE_FILE};
    work->size_code = ftp_session_reply(session, n - 2)->code;
    work->time_code = ftp_session_reply(session, n - 1)->code;
    const char *value = ftp_reply_value(ftp_session_reply(session, n - 2)->lines->str);
    guint64 bytes;
    g_autofree char *digits = value ? g_strndup(value, strspn(value, "0123456789")) : NULL;
    if (digits && g_ascii_string_to_unsigned(digits, 10, 0, G_MAXINT64, &bytes, NULL)) {
        work->attr.size = (gint64)bytes;
        work->attr.has |= FTP_HAS_SIZE;
    }
    value = ftp_reply_value(ftp_session_reply(session, n - 1)->lines->str);
    if (value && parse_time(value, &work->attr.mtime)) {
        work->attr.mtime_precision = 1;
        work->attr.has |= FTP_HAS_MTIME;
    }
    return 0;
}

int ftp_client_size_and_time(FtpClient *client, const FtpCall *call, const RemotePath *path, FtpAttr *ret)
{
    SizeWork work = {.work = {.func = run_size, .type = 'I'}, .path = path};
    if (g_atomic_int_get(&client->server->is_vsftpd)) /* counts bytes in either type */
        work.work.type = 0;
    int error = ftp_client_run(client, call, &work.work);
    if (error < 0)
        return error;
    if (work.attr.has == 0)
        return ftp_error_from_reply(work.size_code) == -EOPNOTSUPP ? -EOPNOTSUPP : -EREMOTEIO;
    *ret = work.attr;
    return 0;
}
