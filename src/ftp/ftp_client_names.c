/* SPDX-License-Identifier: MIT */
/*
 * Operations of the control connection: names and attributes. A command that changes something and to which no reply
 * came may have been carried out: a look at the name tells, and only when it was not done is the command sent again.
 */
#include "ftp_client_private.h"

#include <errno.h>
#include <string.h>

typedef struct {
    FtpWork work;
    const char *const *commands;
    guint n;
    char **ret_reply; /* all lines of the last reply, or NULL */
    guint codes[4];   /* of each command */
} CommandWork;

static int run_commands(FtpSession *session, FtpWork *base)
{
    CommandWork *work = (CommandWork *)base;
    int error = ftp_session_commands(session, base->bound, work->commands, work->n);
    if (error < 0)
        return error;
    for (guint i = 0; i < work->n && i < G_N_ELEMENTS(work->codes); i++)
        work->codes[i] = (guint)ftp_session_reply(session, i)->code;
    const FtpExchange *last = ftp_session_reply(session, work->n - 1);
    if (work->ret_reply) {
        g_free(*work->ret_reply);
        *work->ret_reply = g_strdup(last->lines->str);
    }
    return 0;
}

/* Sends all; 0 when all got a reply. The codes are in work->codes. */
static int send_commands(FtpClient *client, const FtpCall *call, CommandWork *work, const char *const *commands,
                         guint n, gboolean ask_first)
{
    *work = (CommandWork){.work = {.func = run_commands, .ask_first = ask_first},
                          .commands = commands,
                          .n = n,
                          .ret_reply = work->ret_reply};
    return ftp_client_run(client, call, &work->work);
}

int ftp_client_command(FtpClient *client, const FtpCall *call, const char *command, char **ret_reply,
                       gboolean *ret_unsure)
{
    CommandWork work = {.ret_reply = ret_reply};
    int error = send_commands(client, call, &work, &command, 1, ret_unsure != NULL);
    if (ret_unsure)
        *ret_unsure = work.work.unsure;
    return error < 0 ? error : ftp_error_from_reply((int)work.codes[0]);
}

/* ---- Changing ---- */

#define UNSURE_TRIES 3 /* times that a command is sent to which no reply comes and which is not carried out */

/* Whether a change was carried out: 1 or 0, or -errno. */
typedef int (*DoneFunc)(FtpClient *client, const FtpCall *call, const RemotePath *path, const RemotePath *other);

/* 451 ("local error") is what Pure-FTPd says of every change that the system refuses: a 550 by another number. */
static int change_error(guint code)
{
    return code == 451 ? -EREMOTEIO : ftp_error_from_reply((int)code);
}

/* For --status: a change that the server refused, in its own words. */
static void tell_refusal(FtpClient *client, const char *command, const char *reply)
{
    g_autofree char *text = g_strdup_printf("%s: %s", command, reply);
    g_strdelimit(g_strchomp(text), "\r\n", ' ');
    stats_set_last_error(client->stats, text);
}

/* Sends the commands; the last one's reply counts, or the first refusal. */
static int change(FtpClient *client, const FtpCall *call, const char *const *commands, guint n, DoneFunc is_done,
                  const RemotePath *path, const RemotePath *other)
{
    gboolean unsure = FALSE;
    for (guint tries = 1;; tries++) {
        g_autofree char *reply = NULL;
        CommandWork work = {.ret_reply = &reply};
        int error = send_commands(client, call, &work, commands, n, TRUE);
        for (guint i = 0; error == 0 && i < n; i++)
            if (i == n - 1 || work.codes[i] >= 400)
                error = change_error(work.codes[i]);
        if (error < 0 && reply)
            tell_refusal(client, commands[n - 1], reply);
        unsure |= work.work.unsure;
        if (error == 0 || !unsure || bound_check(call->bound) < 0)
            return error;
        int done = is_done(client, call, path, other);
        if (done > 0)
            return 0; /* also when it is refused now: the first one was carried out after we had looked */
        if (done < 0 || !work.work.unsure || tries == UNSURE_TRIES)
            return error;
    }
}

static int is_dir_there(FtpClient *client, const FtpCall *call, const RemotePath *path, const RemotePath *other)
{
    FtpAttr attr;
    int error = ftp_client_look(client, call, path, &attr);
    return error == -ENOENT ? 0 : error < 0 ? error : attr.type == FTP_TYPE_DIR;
}

static int is_gone(FtpClient *client, const FtpCall *call, const RemotePath *path, const RemotePath *other)
{
    FtpAttr attr;
    int error = ftp_client_look(client, call, path, &attr);
    return error == -ENOENT ? 1 : MIN(error, 0);
}

static int is_renamed(FtpClient *client, const FtpCall *call, const RemotePath *path, const RemotePath *other)
{
    FtpAttr attr;
    int gone = is_gone(client, call, path, NULL);
    if (gone <= 0)
        return gone;
    int error = ftp_client_look(client, call, other, &attr);
    return error < 0 ? error : 1;
}

static int change_name(FtpClient *client, const FtpCall *call, const char *verb, const RemotePath *path,
                       DoneFunc is_done)
{
    g_autofree char *command = ftp_command(verb, path);
    const char *const commands[] = {command};
    return change(client, call, commands, 1, is_done, path, NULL);
}

int ftp_client_mkdir(FtpClient *client, const FtpCall *call, const RemotePath *path)
{
    return ftp_client_may_make(client, path) ? change_name(client, call, "MKD", path, is_dir_there) : -EINVAL;
}

int ftp_client_rmdir(FtpClient *client, const FtpCall *call, const RemotePath *path)
{
    return change_name(client, call, "RMD", path, is_gone);
}

int ftp_client_delete(FtpClient *client, const FtpCall *call, const RemotePath *path)
{
    return change_name(client, call, "DELE", path, is_gone);
}

int ftp_client_rename(FtpClient *client, const FtpCall *call, const RemotePath *from, const RemotePath *to)
{
    g_autofree char *rnfr = ftp_command("RNFR", from);
    g_autofree char *rnto = ftp_command("RNTO", to);
    const char *const commands[] = {rnfr, rnto};
    return ftp_client_may_make(client, to) ? change(client, call, commands, 2, is_renamed, from, to) : -EINVAL;
}

static gboolean is_unknown(int error)
{
    return error == -EOPNOTSUPP;
}

int ftp_client_set_mtime(FtpClient *client, const FtpCall *call, const RemotePath *path, gint64 mtime)
{
    FtpServer *server = client->server;
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(mtime);
    if (!time)
        return -EINVAL;
    g_autofree char *stamp = g_date_time_format(time, "%Y%m%d%H%M%S");
    int error = -EOPNOTSUPP;

    if (strlen(stamp) != 14)
        return -EINVAL; /* a year that the format has no room for */
    if (ftp_features_may_try(server->features, FTP_FEATURE_MFMT)) {
        g_autofree char *command = ftp_command_with("MFMT", stamp, path);
        error = ftp_client_command(client, call, command, NULL, NULL);
        if (!is_unknown(error))
            return error;
        ftp_features_learn(server->features, FTP_FEATURE_MFMT, FALSE);
    }
    if (!g_atomic_int_get(&server->mdtm_set_refused)) {
        g_autofree char *command = ftp_command_with("MDTM", stamp, path);
        g_autofree char *reply = NULL;
        error = ftp_client_command(client, call, command, &reply, NULL);
        if (error == 0)
            return 0;
        if (is_unknown(error))
            g_atomic_int_set(&server->mdtm_set_refused, TRUE);
        else if (error != -EREMOTEIO) /* 550: it may have taken the time for a part of the name */
            return error;
    }
    if (ftp_features_may_try(server->features, FTP_FEATURE_SITE_UTIME)) {
        g_autofree char *times = g_strdup_printf("%s %s %s UTC", stamp, stamp, stamp);
        g_autofree char *site = ftp_command("SITE UTIME", path);
        g_autofree char *command = g_strconcat(site, " ", times, NULL);
        error = ftp_client_command(client, call, command, NULL, NULL);
        if (is_unknown(error))
            ftp_features_learn(server->features, FTP_FEATURE_SITE_UTIME, FALSE);
    }
    return error;
}

int ftp_client_set_mode(FtpClient *client, const FtpCall *call, const RemotePath *path, guint mode)
{
    FtpFeatures *features = client->server->features;
    int error = -EOPNOTSUPP;

    /* MFF first: its path ends with the line, where ProFTPD's SITE CHMOD splits its arguments at blanks. */
    if (ftp_features_has(features, FTP_FEATURE_MFF_UNIX_MODE)) {
        g_autofree char *fact = g_strdup_printf("UNIX.mode=0%03o;", mode & 07777);
        g_autofree char *command = ftp_command_with("MFF", fact, path);
        error = ftp_client_command(client, call, command, NULL, NULL);
        if (!is_unknown(error))
            return error;
    }
    if (ftp_features_may_try(features, FTP_FEATURE_SITE_CHMOD)) {
        g_autofree char *octal = g_strdup_printf("%03o", mode & 07777);
        g_autofree char *command = ftp_command_with("SITE CHMOD", octal, path);
        error = ftp_client_command(client, call, command, NULL, NULL);
        if (is_unknown(error))
            ftp_features_learn(features, FTP_FEATURE_SITE_CHMOD, FALSE);
    }
    return error;
}

int ftp_client_symlink(FtpClient *client, const FtpCall *call, const char *target, const RemotePath *path)
{
    FtpFeatures *features = client->server->features;
    if (!ftp_features_may_try(features, FTP_FEATURE_SITE_SYMLINK))
        return -EOPNOTSUPP;
    if (target[0] == '\0' || strpbrk(target, " \t\r\n"))
        return -EINVAL;
    g_autofree char *command = ftp_command_with("SITE SYMLINK", target, path);
    gboolean unsure = FALSE;
    int error = ftp_client_command(client, call, command, NULL, &unsure);
    if (is_unknown(error))
        ftp_features_learn(features, FTP_FEATURE_SITE_SYMLINK, FALSE);
    FtpAttr attr;
    if (error < 0 && unsure && ftp_client_look(client, call, path, &attr) == 0)
        return 0;
    return error;
}

int ftp_client_available(FtpClient *client, const FtpCall *call, const RemotePath *dir, gint64 *ret_bytes)
{
    if (!ftp_features_has(client->server->features, FTP_FEATURE_AVBL))
        return -EOPNOTSUPP;
    g_autofree char *command = ftp_command("AVBL", dir);
    g_autofree char *reply = NULL;
    int error = ftp_client_command(client, call, command, &reply, NULL);
    if (error < 0)
        return error;
    const char *value = ftp_reply_value(reply);
    g_autofree char *digits = value ? g_strndup(value, strspn(value, "0123456789")) : NULL;
    guint64 bytes;
    if (!digits || !g_ascii_string_to_unsigned(digits, 10, 0, G_MAXINT64, &bytes, NULL))
        return -EPROTO;
    *ret_bytes = (gint64)bytes;
    return 0;
}
