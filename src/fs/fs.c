/* SPDX-License-Identifier: MIT */
/* Puts the parts of a mount together, and tells about it: status and free space. */
#include "fs_private.h"

#include "base/log.h"
#include "fs/status.h"
#include "status_json.h"

#include <string.h>
#include <unistd.h>

#define STATFS_BLOCK 4096
#define STATFS_FIXED ((gint64)1 << 40) /* bytes: what is shown when the server does not tell */
#define STATFS_TTL   (60 * G_USEC_PER_SEC)
#define STATFS_BOUND 2.0 /* seconds */

/* One session is left to persons and one to transfers. With a single one there is nothing to spare; without a cache
 * there is nothing to know before it is asked for. */
static guint ahead_threads(const Options *options)
{
    guint connections = options->ftp->connections;

    if (!options->prefetch || !options->cache || options->cache_ttl <= 0 || connections < 2)
        return 0;
    return MAX(connections, 3) - 2;
}

Fs *fs_new(const Options *options, FtpClient *client, Stats *stats, GError **error)
{
    g_autoptr(Fs) fs = g_new0(Fs, 1);

    fs->options = options;
    fs->client = client;
    fs->stats = stats;
    fs->available = -1;
    fs->began = g_get_monotonic_time();
    fs->dirs = g_hash_table_new_full(NULL, NULL, (GDestroyNotify)open_dir_free, NULL);
    g_mutex_init(&fs->lock);
    fs->tree = tree_new(options, client, stats);
    fs->queue = ahead_queue_new(client, ahead_threads(options));
    fs->dir_ahead = dir_ahead_new(fs->queue, tree_cache(fs->tree), stats);
    fs->files = open_files_new(options, client, fs->tree, fs->queue, stats, error);
    return fs->files ? g_steal_pointer(&fs) : NULL;
}

static gboolean is_ending(gpointer data)
{
    return g_atomic_int_get(&((Fs *)data)->ending);
}

static gpointer tidy(gpointer data)
{
    Fs *fs = data;
    Bound bound = {.deadline = G_MAXINT64, .interrupted = is_ending, .data = fs};

    tree_clear_leftovers(fs->tree, &bound);
    return NULL;
}

void fs_start(Fs *fs)
{
    g_autoptr(GPtrArray) leftovers = private_names_leftovers(tree_names(fs->tree));

    if (leftovers->len > 0 && !fs->options->read_only)
        fs->tidy = g_thread_try_new("ftpfs-tidy", tidy, fs, NULL);
    open_files_back_start(fs->files);
}

void fs_finish(Fs *fs)
{
    g_atomic_int_set(&fs->settled, TRUE);
    open_files_finish(fs->files);
}

void fs_hurry(Fs *fs, gboolean at_once)
{
    g_atomic_int_set(&fs->ending, TRUE);
    g_atomic_int_set(&fs->hurried, TRUE);
    open_files_hurry(fs->files, at_once);
}

void open_dir_free(OpenDir *dir)
{
    dir_listing_unref(dir->listing);
    g_free(dir);
}

void fs_free(Fs *fs)
{
    if (!fs)
        return;
    g_atomic_int_set(&fs->ending, TRUE);
    if (fs->tidy)
        g_thread_join(fs->tidy);
    ahead_queue_stop(fs->queue);
    if (fs->files)
        open_files_free(fs->files);
    g_hash_table_unref(fs->dirs); /* an unmount may overtake the kernel's last releasedir */
    dir_ahead_free(fs->dir_ahead);
    ahead_queue_free(fs->queue);
    tree_free(fs->tree);
    g_mutex_clear(&fs->lock);
    g_free(fs);
}

/* ---- Free space ---- */

/* Free bytes by AVBL, asked for at most once a minute; -1 when the server does not tell. */
static gint64 available_bytes(Fs *fs)
{
    gint64 now = g_get_monotonic_time(), bytes;
    g_autoptr(RemotePath) root = NULL;
    Bound bound = bound_within(NULL, STATFS_BOUND);
    FtpCall call = {.bound = &bound, .priority = FTP_PRIORITY_PERSON};

    g_mutex_lock(&fs->lock);
    gboolean ask = (fs->asked == 0 || now - fs->asked >= STATFS_TTL) &&
                   ftp_features_has(ftp_client_features(fs->client), FTP_FEATURE_AVBL);
    if (ask)
        fs->asked = now;
    bytes = fs->available;
    g_mutex_unlock(&fs->lock);

    if (!ask || ftp_client_path(fs->client, "/", &root) < 0 ||
        ftp_client_available(fs->client, &call, root, &bytes) < 0)
        return bytes;
    g_mutex_lock(&fs->lock);
    fs->available = bytes;
    g_mutex_unlock(&fs->lock);
    return bytes;
}

void fs_fill_statvfs(Fs *fs, struct statvfs *ret)
{
    gint64 free_bytes = available_bytes(fs);
    gint64 total = MAX(free_bytes, STATFS_FIXED);

    if (free_bytes < 0)
        free_bytes = STATFS_FIXED;
    memset(ret, 0, sizeof *ret);
    ret->f_bsize = ret->f_frsize = STATFS_BLOCK;
    ret->f_blocks = (fsblkcnt_t)(total / STATFS_BLOCK);
    ret->f_bfree = ret->f_bavail = (fsblkcnt_t)(free_bytes / STATFS_BLOCK);
    ret->f_namemax = 255;
}

/* ---- Status ---- */

static const char *tls_text(const Fs *fs, const FtpClientState *state)
{
    if (!state->tls)
        return "no";
    return fs->options->ftp->tls == FTP_TLS_IMPLICIT ? "implicit" : "explicit";
}

/* What programs want to know beyond the text for people. */
static char *status_json(Fs *fs)
{
    g_autofree char *text = fs_status_text(fs);
    g_autoptr(GString) more = g_string_new(text);
    FtpClientState state;

    ftp_client_state(fs->client, &state);
    g_string_append_printf(more, "sessions_open: %u\nsessions_busy: %u\nsessions_limit: %u\n", state.open, state.busy,
                           state.limit);
    g_string_append_printf(more, "version: %s\npid: %d\n", FTPFS_VERSION, (int)getpid());
    return status_to_json(more->str);
}

char *fs_status_text(Fs *fs)
{
    GString *text = g_string_new(NULL);
    g_autofree char *source = ftp_config_source(fs->options->ftp);
    g_autofree char *mountpoint = log_printable(fs->options->mountpoint, 4096);
    g_autofree char *greeting = log_printable(ftp_client_greeting(fs->client), 200);
    g_autofree char *root = log_printable(ftp_client_root(fs->client), 1000);
    g_autofree char *last = stats_last_error(fs->stats);
    g_autofree char *mode_note = ftp_client_mode_note(fs->client);
    FtpClientState state;

    ftp_client_state(fs->client, &state);
    g_string_append_printf(text, "source: %s\n", source);
    g_string_append_printf(text, "mountpoint: %s\n", mountpoint);
    g_string_append_printf(text, "server: %s\n", greeting);
    g_string_append_printf(text, "root: %s\n", root);
    g_string_append_printf(text, "state: %s\n", state.away ? "away" : "connected");
    g_string_append_printf(text, "sessions: %u open, %u busy, at most %u\n", state.open, state.busy, state.limit);
    g_string_append_printf(text, "mode: %s\n", state.active ? "active" : "passive");
    if (mode_note)
        g_string_append_printf(text, "mode_note: %s\n", mode_note);
    g_string_append_printf(text, "tls: %s\n", tls_text(fs, &state));
    if (state.tls && state.data_resumed >= 0)
        g_string_append_printf(text, "tls_resumed: %s\n", state.data_resumed ? "yes" : "no");
    g_string_append_printf(text, "up_seconds: %" G_GINT64_FORMAT "\n",
                           (g_get_monotonic_time() - fs->began) / G_USEC_PER_SEC);
    g_string_append_printf(text, "listing: %s\n", state.listing);
    g_string_append_printf(text, "cache_bytes: %" G_GSIZE_FORMAT "\n", dir_cache_bytes(tree_cache(fs->tree)));
    for (guint i = 0; i < STATS_N; i++)
        g_string_append_printf(text, "%s: %" G_GINT64_FORMAT "\n", stats_name(i), stats_get(fs->stats, i));
    if (last)
        g_string_append_printf(text, "last_error: %s\n", last);
    open_files_status(fs->files, text);
    return g_string_free(text, FALSE);
}

/* pending, percent, rate: of one file. */
static char *progress_attribute(Fs *fs, const char *path, const char *name)
{
    gint64 size = 0, rate = 0;
    guint percent = 0;
    gboolean pending = open_files_progress(fs->files, path, &size, &percent, &rate);

    if (g_str_equal(name, "user.ftpfs.pending"))
        return g_strdup_printf("%" G_GINT64_FORMAT, pending ? size : 0);
    if (g_str_equal(name, "user.ftpfs.percent"))
        return g_strdup_printf("%u", pending ? percent : 100);
    if (g_str_equal(name, "user.ftpfs.rate"))
        return g_strdup_printf("%" G_GINT64_FORMAT, pending ? rate : 0);
    return NULL;
}

/* The URL of one file, to be given to another program: from the server's root, as where a login leads may differ there.
 * In the bytes of the server, whatever its charset. */
static char *url_attribute(Fs *fs, const char *path)
{
    g_autoptr(RemotePath) remote = NULL;

    if (ftp_client_path(fs->client, path, &remote) < 0)
        return NULL;
    g_autofree char *source = ftp_config_source(fs->options->ftp);
    const char *host = strstr(source, "://") + strlen("://");
    GString *url = g_string_new_len(source, host + strcspn(host, "/") - source);
    g_string_append_c(url, '/');
    g_autofree char *below = remote_path_url(remote);
    g_string_append(url, below);
    return g_string_free(url, FALSE);
}

char *fs_attribute(Fs *fs, const char *path, const char *name)
{
    FtpClientState state;

    if (g_str_equal(name, STATUS_ATTRIBUTE))
        return fs_status_text(fs);
    if (g_str_equal(name, STATUS_ATTRIBUTE_JSON))
        return status_json(fs);
    if (g_str_equal(name, "user.ftpfs.url"))
        return url_attribute(fs, path);
    ftp_client_state(fs->client, &state);
    if (g_str_equal(name, "user.ftpfs.mode"))
        return g_strdup(state.active ? "active" : "passive");
    if (g_str_equal(name, "user.ftpfs.tls"))
        return g_strdup(tls_text(fs, &state));
    if (g_str_equal(name, "user.ftpfs.sessions"))
        return g_strdup_printf("%u", state.open);
    return progress_attribute(fs, path, name);
}
