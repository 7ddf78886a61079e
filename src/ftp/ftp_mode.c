/* SPDX-License-Identifier: MIT */
/*
 * Passive or active. A mount starts with passive mode (mode=auto, passive). When no data connection can be made in the
 * mode in use, mode=auto takes the other one for all sessions, unless another session has done so meanwhile; when
 * neither works in one operation, that operation fails, or, if data connections had worked before, goes on trying while
 * `retry` lasts: a firewall that was reloaded is no reason to break a copy.
 */
#include "ftp_mode.h"

#define MAX_TRIES 12 /* of one operation at once; only sessions that change the mode to and fro come near it */

static const char *const names[] = {"passive", "active"};

static void tell_failure(FtpServer *server, const FtpConfig *config, gboolean active, const char *why)
{
    if (!g_atomic_int_compare_and_exchange(&server->mode_failed_told, FALSE, TRUE))
        return;
    g_autofree char *text = config->mode == FTP_MODE_AUTO
                                ? g_strdup_printf("%s; neither passive nor active data connections can be made", why)
                                : g_strdup_printf("%s; mode=%s allows nothing else (mode=auto would try %s mode)", why,
                                                  names[active], names[!active]);
    ftp_server_note_mode(server, text);
}

/* mode=auto: from the mode `active` to the other one. FALSE when another session has done it. */
static gboolean change(FtpServer *server, gboolean active)
{
    g_mutex_lock(&server->mode_lock);
    gboolean mine = (g_atomic_int_get(&server->active) != 0) == active;
    if (mine) {
        g_atomic_int_set(&server->active, !active);
        g_atomic_int_set(&server->data_works, FALSE);
    }
    g_mutex_unlock(&server->mode_lock);
    return mine;
}

FtpModeVerdict ftp_mode_after_failure(FtpServer *server, const FtpConfig *config, FtpModeTrouble *trouble,
                                      const FtpSession *session, const char *why)
{
    gboolean active = ftp_session_used_active(session);
    FtpDataTrouble kind = ftp_session_data_trouble(session);
    gboolean current = (g_atomic_int_get(&server->active) != 0) == active;
    gboolean works = current && g_atomic_int_get(&server->data_works);

    if (trouble->tries++ >= MAX_TRIES) {
        *trouble = (FtpModeTrouble){0};
        return FTP_MODE_TRY_LATER;
    }
    if (kind == FTP_DATA_SHORT && (works || config->mode != FTP_MODE_AUTO || g_atomic_int_get(&server->data_worked)))
        return FTP_MODE_TRY_SOON;
    if (works && kind == FTP_DATA_REFUSED && trouble->again++ < 2)
        return FTP_MODE_TRY_NOW; /* a server may be short of ports or processes for a moment */
    trouble->failed[active] = TRUE;
    if (config->mode == FTP_MODE_AUTO && !trouble->failed[!active]) {
        if (change(server, active)) {
            g_autofree char *text =
                g_strdup_printf("%s; using %s mode (mode=%s forces it)", why, names[!active], names[!active]);
            ftp_server_note_mode(server, text);
        }
        return FTP_MODE_TRY_NOW;
    }
    tell_failure(server, config, active, why);
    if (config->mode == FTP_MODE_AUTO && active)
        change(server, active); /* the next operation begins with passive mode again */
    if (!g_atomic_int_get(&server->data_worked))
        return FTP_MODE_GIVE_UP;
    *trouble = (FtpModeTrouble){0};
    return FTP_MODE_TRY_LATER;
}
