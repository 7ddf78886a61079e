/* SPDX-License-Identifier: MIT */
#include "spool.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEPT_NAME_MAX 200 /* bytes of the remote name in a kept file's name; NAME_MAX is 255 */

struct Spool {
    char *directory;
    gint64 max; /* 0: no limit */
    GMutex lock;
    gint64 used; /* guarded by lock */
};

/* $XDG_CACHE_HOME/ftpfs, ~/.cache/ftpfs; for root without a home (a mount at boot) /var/cache/ftpfs. */
static char *spool_default_directory(void)
{
    const char *cache = g_getenv("XDG_CACHE_HOME");
    if (cache && g_path_is_absolute(cache))
        return g_build_filename(cache, "ftpfs", NULL);
    const char *home = g_getenv("HOME");
    if (home && g_path_is_absolute(home) && g_str_equal(home, "/") == FALSE)
        return g_build_filename(home, ".cache", "ftpfs", NULL);
    if (geteuid() == 0)
        return g_strdup("/var/cache/ftpfs");
    return g_build_filename(g_get_home_dir(), ".cache", "ftpfs", NULL);
}

static gboolean spool_directory_check(const char *directory, GError **error)
{
    GStatBuf info;
    if (g_mkdir_with_parents(directory, 0700) < 0 || g_stat(directory, &info) < 0) {
        int number = errno;
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(number),
                    "can't make the spool directory %s: %s\nname another one with -o spool=DIR", directory,
                    g_strerror(number));
        return FALSE;
    }
    const char *wrong = NULL;
    if (!S_ISDIR(info.st_mode))
        wrong = "it is not a directory";
    else if (info.st_uid != geteuid())
        wrong = "it belongs to somebody else";
    else if (info.st_mode & 022)
        wrong = "others may write to it";
    else if (g_access(directory, W_OK | X_OK) < 0)
        wrong = "it can't be written to";
    if (wrong) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_ACCES,
                    "can't use the spool directory %s: %s\nname another one with -o spool=DIR", directory, wrong);
        return FALSE;
    }
    return TRUE;
}

Spool *spool_new(const Options *options, GError **error)
{
    g_autofree char *directory = options->spool ? g_strdup(options->spool) : spool_default_directory();
    if (!options->read_only && !spool_directory_check(directory, error))
        return NULL;

    Spool *spool = g_new0(Spool, 1);
    spool->directory = g_steal_pointer(&directory);
    spool->max = options->spool_max;
    g_mutex_init(&spool->lock);
    return spool;
}

void spool_free(Spool *spool)
{
    if (!spool)
        return;
    g_mutex_clear(&spool->lock);
    g_free(spool->directory);
    g_free(spool);
}

const char *spool_directory(const Spool *spool)
{
    return spool->directory;
}

int spool_reserve(Spool *spool, gint64 bytes)
{
    int error = 0;
    g_mutex_lock(&spool->lock);
    if (bytes > 0 && spool->max > 0 && bytes > spool->max - spool->used)
        error = -ENOSPC;
    else
        spool->used += bytes;
    g_mutex_unlock(&spool->lock);
    return error;
}

/* ---- What could not be sent ---- */

#define INFO_SUFFIX ".info"
#define INFO_GROUP  "ftpfs"

static void spool_write_info(const char *kept, const char *source, const char *remote, const char *why)
{
    g_autoptr(GKeyFile) info = g_key_file_new();
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *when = g_date_time_format_iso8601(now);
    g_autofree char *path = g_strconcat(kept, INFO_SUFFIX, NULL);
    g_autoptr(GError) error = NULL;
    gsize length;
    g_key_file_set_string(info, INFO_GROUP, "source", source);
    g_key_file_set_string(info, INFO_GROUP, "remote", remote);
    g_key_file_set_string(info, INFO_GROUP, "time", when);
    g_key_file_set_string(info, INFO_GROUP, "why", why);
    g_autofree char *text = g_key_file_to_data(info, &length, NULL);
    if (!g_file_set_contents_full(path, text, (gssize)length, G_FILE_SET_CONTENTS_CONSISTENT, 0600, &error))
        g_warning("%s", error->message);
}

guint spool_lost(const Spool *spool, const char *source, GString *text)
{
    g_autofree char *directory = g_build_filename(spool->directory, "lost+found", NULL);
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    guint n = 0;
    for (const char *name; dir && (name = g_dir_read_name(dir)) != NULL;) {
        if (!g_str_has_suffix(name, INFO_SUFFIX))
            continue;
        g_autofree char *path = g_build_filename(directory, name, NULL);
        g_autofree char *kept = g_strndup(path, strlen(path) - strlen(INFO_SUFFIX));
        g_autoptr(GKeyFile) info = g_key_file_new();
        if (!g_file_test(kept, G_FILE_TEST_IS_REGULAR) || !g_key_file_load_from_file(info, path, 0, NULL))
            continue; /* whoever has taken the bytes away need not take the rest */
        g_autofree char *from = g_key_file_get_string(info, INFO_GROUP, "source", NULL);
        g_autofree char *remote = g_key_file_get_string(info, INFO_GROUP, "remote", NULL);
        g_autofree char *why = g_key_file_get_string(info, INFO_GROUP, "why", NULL);
        if (!remote || g_strcmp0(from, source) != 0)
            continue;
        n++;
        g_string_append_printf(text, "kept: %s in %s (%s)\n", remote, kept, why ? why : "?");
    }
    return n;
}

int spool_keep(Spool *spool, SpoolFile *file, const char *source, const char *remote, const char *why, char **ret_path)
{
    g_autofree char *directory = g_build_filename(spool->directory, "lost+found", NULL);
    if (g_mkdir_with_parents(directory, 0700) < 0)
        return -errno;

    g_autofree char *name =
        g_uri_escape_bytes((const guint8 *)remote + (*remote == '/'), strlen(remote) - (*remote == '/'), " +,=@");
    if (strlen(name) > KEPT_NAME_MAX)
        name[KEPT_NAME_MAX] = '\0';
    for (int tries = 0; tries < 10; tries++) {
        g_autofree char *base = g_strdup_printf("%s.%08x", name, g_random_int());
        g_autofree char *path = g_build_filename(directory, base, NULL);
        int error = spool_file_keep(file, path);
        if (error == 0) {
            spool_write_info(path, source, remote, why);
            *ret_path = g_steal_pointer(&path);
        }
        if (error != -EEXIST)
            return error;
    }
    return -EEXIST;
}
