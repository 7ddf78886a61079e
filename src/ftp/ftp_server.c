/* SPDX-License-Identifier: MIT */
#include "ftp_server.h"

#include "base/log.h"

#define LARGE_MAX 4096 /* directories that are remembered; then all are forgotten */

FtpServer *ftp_server_new(const FtpConfig *config)
{
    FtpServer *server = g_new0(FtpServer, 1);
    server->features = ftp_features_new();
    server->active = config->mode == FTP_MODE_ACTIVE;
    server->epsv_refused = config->epsv == FTP_SWITCH_OFF;
    server->eprt_refused = config->eprt == FTP_SWITCH_OFF;
    server->home = g_strdup("");
    server->root = g_strdup("");
    server->greeting = g_strdup("");
    g_mutex_init(&server->lock);
    g_mutex_init(&server->mode_lock);
    g_mutex_init(&server->large_lock);
    server->large = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return server;
}

void ftp_server_free(FtpServer *server)
{
    if (!server)
        return;
    ftp_features_free(server->features);
    g_free(server->home);
    g_free(server->root);
    g_free(server->greeting);
    g_free(server->mode_note);
    g_mutex_clear(&server->lock);
    g_mutex_clear(&server->mode_lock);
    g_hash_table_unref(server->large);
    g_mutex_clear(&server->large_lock);
    g_free(server);
}

/* The mount's root by the path of the source: absolute from the server's root, or below the login directory, which is
 * made absolute when the server told it, so that no command depends on a working directory. */
static char *root_of(const char *home, const char *path)
{
    if (!path || path[0] == '\0')
        return g_strdup(home);
    if (path[0] == '/')
        return g_strdup(path);
    if (home[0] == '\0')
        return g_strdup(path);
    return g_strconcat(home, g_str_has_suffix(home, "/") ? "" : "/", path, NULL);
}

void ftp_server_learn(FtpServer *server, const FtpConfig *config, const char *home, const char *greeting)
{
    g_mutex_lock(&server->lock);
    if (!g_atomic_int_get(&server->features_known)) {
        g_free(server->home);
        g_free(server->root);
        g_free(server->greeting);
        server->home = g_strdup(home && home[0] == '/' ? home : "");
        server->root = root_of(server->home, config->path);
        server->greeting = g_strdup(greeting ? greeting : "");
        g_atomic_int_set(&server->features_known, TRUE);
    }
    g_mutex_unlock(&server->lock);
}

void ftp_server_note_mode(FtpServer *server, const char *sentence)
{
    if (!server->quiet)
        g_message("%s", sentence);
    g_mutex_lock(&server->mode_lock);
    g_free(server->mode_note);
    server->mode_note = g_strdup(sentence);
    g_mutex_unlock(&server->mode_lock);
}

char *ftp_server_mode_note(FtpServer *server)
{
    g_mutex_lock(&server->mode_lock);
    char *note = g_strdup(server->mode_note);
    g_mutex_unlock(&server->mode_lock);
    return note;
}

void ftp_server_set_large(FtpServer *server, const char *path, gboolean large)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&server->large_lock);

    if (!large) {
        g_hash_table_remove(server->large, path);
        return;
    }
    if (g_hash_table_size(server->large) >= LARGE_MAX)
        g_hash_table_remove_all(server->large);
    g_hash_table_add(server->large, g_strdup(path));
}

gboolean ftp_server_is_large(FtpServer *server, const char *path)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&server->large_lock);

    return g_hash_table_contains(server->large, path);
}
