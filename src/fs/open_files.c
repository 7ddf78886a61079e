/* SPDX-License-Identifier: MIT */
/* The table of open files by path: opening and making them, and what is put off until they are sent. */
#include "file_same.h"
#include "open_file_private.h"
#include "open_small.h"
#include "upload_ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define PAGES_MOST 10000
#define KERNEL_TTL (2 * G_USEC_PER_SEC) /* longer than the kernel believes a size that it was told */

/* Of what earlier mounts could not send somebody should know. */
static void open_files_tell_lost(OpenFiles *files, const char *source)
{
    g_autoptr(GString) lines = g_string_new(NULL);
    guint n = spool_lost(files->spool, source, lines);
    if (n > 0)
        g_message("files that could not be sent: %u, kept in %s/lost+found; --status lists them", n,
                  spool_directory(files->spool));
}

OpenFiles *open_files_new(const Options *options, FtpClient *client, Tree *tree, AheadQueue *queue, Stats *stats,
                          GError **error)
{
    g_autoptr(Spool) spool = spool_new(options, error);
    if (!spool)
        return NULL;
    OpenFiles *files = g_new0(OpenFiles, 1);
    files->options = options;
    files->client = client;
    files->tree = tree;
    files->stats = stats;
    files->spool = g_steal_pointer(&spool);
    g_autofree char *source = ftp_config_source(options->ftp);
    if (!options->read_only)
        private_names_open(tree_names(tree), spool_directory(files->spool), source);
    open_files_tell_lost(files, source);
    g_mutex_init(&files->lock);
    g_cond_init(&files->ahead_ended);
    files->by_path = g_hash_table_new(g_str_hash, g_str_equal);
    files->all = g_hash_table_new(NULL, NULL);
    files->pages = kernel_pages_new(PAGES_MOST);
    FileAheadConfig ahead = {.queue = queue,
                             .client = client,
                             .cache = tree_cache(tree),
                             .stats = stats,
                             .skip = open_small_skip,
                             .data = files};
    files->ahead = file_ahead_new(&ahead);
    return files;
}

void open_files_hurry(OpenFiles *files, gboolean at_once)
{
    g_atomic_int_set(&files->hurried, at_once ? 2 : 1);
}

void open_files_free(OpenFiles *files)
{
    if (!files)
        return;
    if (!g_atomic_int_get(&files->ending))
        open_files_finish(files);
    open_files_back_free(files);
    upload_ahead_wait_all(files);
    g_hash_table_unref(files->all);
    g_hash_table_unref(files->by_path);
    kernel_pages_free(files->pages);
    file_ahead_free(files->ahead);
    spool_free(files->spool);
    g_mutex_clear(&files->lock);
    g_cond_clear(&files->ahead_ended);
    g_free(files);
}

OpenFile *open_files_get(OpenFiles *files, const char *path)
{
    g_mutex_lock(&files->lock);
    OpenFile *file = g_hash_table_lookup(files->by_path, path);
    if (file)
        open_file_ref(file);
    g_mutex_unlock(&files->lock);
    return file;
}

/* ---- Opening ---- */

/* One more handle of a file whose contents are here and not on the server; NULL when it is not such a one. */
static OpenFile *open_files_join_dirty(OpenFiles *files, const char *path)
{
    g_mutex_lock(&files->lock);
    OpenFile *file = g_hash_table_lookup(files->by_path, path);
    gboolean dirty = FALSE;
    if (file) {
        g_mutex_lock(&file->lock);
        dirty = file->dirty;
        g_mutex_unlock(&file->lock);
    }
    if (dirty) {
        file->handles++;
        open_file_ref(file);
    }
    g_mutex_unlock(&files->lock);
    return dirty ? file : NULL;
}

/* Another file on the server than the one that was opened before? With the lock held. */
static gboolean is_other(const OpenFile *file, const FtpAttr *is)
{
    if (file_is_other(&file->attr, is))
        return TRUE;
    return file->attr.mtime_precision != is->mtime_precision && !file_is_unchanged(&file->attr, file->attr_at, is);
}

/* One more handle of a file that the server tells `attr` of. `contents` (may be NULL) are all of its bytes: NULL is
 * returned when the file is open already, and they are not used. */
static OpenFile *open_files_join(OpenFiles *files, const char *path, const FtpAttr *attr, FileContents *contents,
                                 gboolean *ret_keep_cache, gboolean *ret_changed)
{
    BaseReader *old = NULL;
    gboolean dirty = FALSE;
    g_mutex_lock(&files->lock);
    OpenFile *file = g_hash_table_lookup(files->by_path, path);
    if (file && contents) {
        g_mutex_unlock(&files->lock);
        return NULL;
    }
    if (!file) {
        file = open_file_new(files, path, attr, TRUE);
        if (contents)
            open_file_set_contents(file, contents);
        g_hash_table_insert(files->by_path, file->path, file);
    } else {
        open_file_ref(file);
        g_mutex_lock(&file->lock);
        dirty = file->dirty;
        if (!dirty && is_other(file, attr))
            old = open_file_replace_base(file, attr);
        if (!dirty)
            open_file_set_base(file, attr);
        g_mutex_unlock(&file->lock);
    }
    file->handles++;
    if (dirty) {
        *ret_keep_cache = TRUE;
        *ret_changed = FALSE;
    } else {
        kernel_pages_opened(files->pages, path, attr, ret_keep_cache, ret_changed);
        *ret_changed |= dir_cache_resized(tree_cache(files->tree), path, KERNEL_TTL);
        if (contents) /* of the kernel's pages nothing is known but that these are as new */
            *ret_keep_cache = FALSE;
    }
    g_mutex_unlock(&files->lock);
    base_reader_unref(old);
    return file;
}

static int open_files_enter(OpenFiles *files, const Bound *bound, const char *path, gboolean writes,
                            gboolean *ret_keep_cache, gboolean *ret_changed, OpenFile **ret)
{
    OpenFile *file = open_files_join_dirty(files, path);
    if (file) {
        *ret_keep_cache = TRUE;
        *ret_changed = FALSE;
        *ret = file;
        return 0;
    }
    g_autoptr(FileContents) contents = NULL;
    FtpAttr attr;
    int known = writes ? 0 : open_small(files, bound, path, &attr, &contents);
    if (known < 0)
        return known;
    if (known) {
        *ret = open_files_join(files, path, &attr, contents, ret_keep_cache, ret_changed);
        if (*ret)
            return 0;
    }
    int error = tree_lookup_for_open(files->tree, bound, path, &attr);
    if (error < 0)
        return error;
    if (attr.type == FTP_TYPE_DIR)
        return -EISDIR;
    if (attr.type == FTP_TYPE_LINK)
        return -ELOOP;
    if (attr.type == FTP_TYPE_OTHER)
        return -EACCES; /* a device or the like: FTP has nothing to read there */
    *ret = open_files_join(files, path, &attr, NULL, ret_keep_cache, ret_changed);
    return 0;
}

int open_files_open(OpenFiles *files, const Bound *bound, const char *path, int flags, gboolean *ret_keep_cache,
                    gboolean *ret_changed, OpenFile **ret)
{
    gboolean writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
    if (writes && files->options->read_only)
        return -EROFS;

    gboolean keep_cache = FALSE, changed = FALSE;
    OpenFile *file;
    int error = open_files_enter(files, bound, path, writes, &keep_cache, &changed, &file);
    if (error < 0)
        return error;
    if (writes)
        file_ahead_drop(files->ahead, path);
    if (flags & O_TRUNC) {
        error = open_file_truncate(file, bound, 0);
        if (error < 0) {
            open_file_release(file, flags);
            return error;
        }
    }
    *ret_keep_cache = keep_cache;
    *ret_changed = changed;
    *ret = file;
    return 0;
}

/* ---- Creating ---- */

/* The mode that create asked for is set after the upload where it says more than the usual: that it can be executed, or
 * is not for everybody. For all others the server's own default is as good, and costs no command. */
static gboolean is_special_mode(mode_t mode)
{
    return (mode & 0111) || !(mode & 0044);
}

static int open_files_make(OpenFiles *files, const char *path, mode_t mode, gboolean exclusive, OpenFile **ret)
{
    FtpAttr attr = {
        .type = FTP_TYPE_FILE,
        .has = FTP_HAS_SIZE | FTP_HAS_MTIME | FTP_HAS_MODE,
        .mtime = g_get_real_time() / G_USEC_PER_SEC,
        .mtime_precision = 1,
        .mode = mode & 0777,
    };
    int error = 0;
    g_mutex_lock(&files->lock);
    OpenFile *file = g_hash_table_lookup(files->by_path, path);
    gboolean made = !file;
    if (made) {
        file = open_file_new(files, path, &attr, FALSE);
        g_mutex_lock(&file->lock);
        error = open_file_start_empty(file);
        file->has_mode = is_special_mode(mode);
        file->mode = mode & 0777;
        g_mutex_unlock(&file->lock);
        if (error == 0)
            g_hash_table_insert(files->by_path, file->path, file);
    } else if (exclusive) {
        error = -EEXIST;
    } else {
        open_file_ref(file);
    }
    if (error == 0)
        file->handles++;
    g_mutex_unlock(&files->lock);

    if (error < 0) {
        if (made)
            open_file_unref(file);
        return error;
    }
    if (made)
        dir_cache_put(tree_cache(files->tree), path, &attr, NULL, TRUE);
    file_ahead_drop(files->ahead, path);
    *ret = file;
    return 0;
}

int open_files_create(OpenFiles *files, const Bound *bound, const char *path, mode_t mode, int flags, OpenFile **ret)
{
    if (files->options->read_only)
        return -EROFS;
    if (private_names_is_like(tree_name(path)))
        return -EACCES;

    g_autoptr(RemotePath) remote = NULL;
    int error = ftp_client_path(files->client, path, &remote);
    if (error < 0)
        return error;

    FtpAttr attr;
    error = tree_lookup(files->tree, bound, path, flags & O_EXCL ? EXCLUSIVE_AGE : -1, &attr, NULL);
    if (error == 0) {
        gboolean keep_cache, changed;
        return flags & O_EXCL ? -EEXIST : open_files_open(files, bound, path, flags, &keep_cache, &changed, ret);
    }
    if (error != -ENOENT)
        return error;
    return open_files_make(files, path, mode, (flags & O_EXCL) != 0, ret);
}

/* ---- Without a handle ---- */

int open_files_truncate(OpenFiles *files, const Bound *bound, const char *path, gint64 size)
{
    gboolean keep_cache, changed;
    OpenFile *file;
    int flags = O_WRONLY | (size == 0 ? O_TRUNC : 0);
    int error = open_files_open(files, bound, path, flags, &keep_cache, &changed, &file);
    if (error < 0)
        return error;
    error = open_file_truncate(file, bound, size);

    g_mutex_lock(&files->lock);
    gboolean alone = file->handles == 1 && !file->back.kept;
    g_mutex_unlock(&files->lock);
    if (error == 0)
        error = open_file_close(file, bound);
    if (alone) {
        if (error < 0) {
            /* the caller is told: nothing is left to be sent later */
            g_mutex_lock(&file->lock);
            file->dirty = FALSE;
            BaseReader *old = open_file_replace_base(file, &file->attr);
            g_mutex_unlock(&file->lock);
            base_reader_unref(old);
            dir_cache_put(tree_cache(files->tree), path, &file->attr, NULL, FALSE);
            dir_cache_forget(tree_cache(files->tree), path);
        }
    }
    open_file_release(file, flags);
    return error;
}

gboolean open_files_attr(OpenFiles *files, const char *path, FtpAttr *attr)
{
    g_autoptr(OpenFile) file = open_files_get(files, path);
    if (!file)
        return FALSE;
    g_mutex_lock(&file->lock);
    gboolean dirty = file->dirty;
    if (dirty)
        open_file_live_attr(file, attr);
    g_mutex_unlock(&file->lock);
    return dirty;
}

/* The file when it is to be sent, locked; NULL when there is nothing to put off to. */
static OpenFile *open_files_lock_dirty(OpenFiles *files, const char *path)
{
    g_autoptr(OpenFile) file = open_files_get(files, path);
    if (!file)
        return NULL;
    g_mutex_lock(&file->lock);
    if (file->dirty)
        return g_steal_pointer(&file);
    g_mutex_unlock(&file->lock);
    return NULL;
}

static void open_files_deferred(OpenFile *file)
{
    g_mutex_unlock(&file->lock);
    open_file_record_again(file);
}

gboolean open_files_defer_mtime(OpenFiles *files, const char *path, gint64 mtime)
{
    g_autoptr(OpenFile) file = open_files_lock_dirty(files, path);
    if (!file)
        return FALSE;
    file->has_mtime = TRUE;
    file->mtime = mtime;
    open_files_deferred(file);
    return TRUE;
}

gboolean open_files_defer_mode(OpenFiles *files, const char *path, mode_t mode)
{
    g_autoptr(OpenFile) file = open_files_lock_dirty(files, path);
    if (!file)
        return FALSE;
    file->has_mode = TRUE;
    file->mode_asked = TRUE;
    file->mode = mode & 07777;
    open_files_deferred(file);
    return TRUE;
}

/* ---- Status ---- */

void open_files_status(OpenFiles *files, GString *text)
{
    GHashTableIter iter;
    gpointer key, value;
    guint unsent = 0;
    g_autoptr(GString) lines = g_string_new(NULL);
    g_mutex_lock(&files->lock);
    guint open = g_hash_table_size(files->by_path);
    g_hash_table_iter_init(&iter, files->by_path);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        OpenFile *file = value;
        g_mutex_lock(&file->lock);
        if (file->dirty && file->spool && !file->back.kept) {
            unsent++;
            g_string_append_printf(lines, "unsent: %" G_GINT64_FORMAT " bytes of %s\n", spool_file_size(file->spool),
                                   file->path);
        }
        g_mutex_unlock(&file->lock);
    }
    g_mutex_unlock(&files->lock);
    g_string_append_printf(text, "open_files: %u\nunsent_files: %u\n%s", open, unsent, lines->str);
    g_autofree char *source = ftp_config_source(files->options->ftp);
    spool_lost(files->spool, source, text);
    open_files_back_status(files, text);
}
