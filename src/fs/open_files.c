/* SPDX-License-Identifier: MIT */
/*
 * The table of open files by path, and what changes names that may be open: create, rename, unlink.
 *
 * A file that was made here and never sent has no name on the server: renaming and removing it are ours alone. That is
 * also what happens to ".fuse_hidden" names, which libfuse gives to open files that are removed.
 */
#include "file_same.h"
#include "open_file_private.h"
#include "open_small.h"
#include "upload_ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define PAGES_MOST    10000
#define KERNEL_TTL    (2 * G_USEC_PER_SEC) /* longer than the kernel believes a size that it was told */
#define EXCLUSIVE_AGE 0 /* O_EXCL, RENAME_NOREPLACE: programs make lock files by it, so the server is asked */

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

/* A reference, or NULL when nobody has it open. */
static OpenFile *open_files_get(OpenFiles *files, const char *path)
{
    g_mutex_lock(&files->lock);
    OpenFile *file = g_hash_table_lookup(files->by_path, path);
    if (file)
        open_file_ref(file);
    g_mutex_unlock(&files->lock);
    return file;
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(OpenFile, open_file_unref)

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
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
    if (private_names_is_like(base_name(path)))
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

gboolean open_files_defer_mtime(OpenFiles *files, const char *path, gint64 mtime)
{
    g_autoptr(OpenFile) file = open_files_get(files, path);
    if (!file)
        return FALSE;
    g_mutex_lock(&file->lock);
    gboolean dirty = file->dirty;
    if (dirty) {
        file->has_mtime = TRUE;
        file->mtime = mtime;
    }
    g_mutex_unlock(&file->lock);
    if (dirty)
        open_file_record_again(file);
    return dirty;
}

gboolean open_files_defer_mode(OpenFiles *files, const char *path, mode_t mode)
{
    g_autoptr(OpenFile) file = open_files_get(files, path);
    if (!file)
        return FALSE;
    g_mutex_lock(&file->lock);
    gboolean dirty = file->dirty;
    if (dirty) {
        file->has_mode = TRUE;
        file->mode_asked = TRUE;
        file->mode = mode & 07777;
    }
    g_mutex_unlock(&file->lock);
    if (dirty)
        open_file_record_again(file);
    return dirty;
}

/* What a try to send a file that the server did not have may have left there. 0 when there is nothing of ours now. */
static int open_files_delete_remains(OpenFiles *files, const Bound *bound, OpenFile *file, const char *path)
{
    g_autoptr(RemotePath) remote = NULL;
    FtpCall call = {.bound = bound, .priority = FTP_PRIORITY_PERSON};
    BackVerdict verdict;
    int error = open_file_check(file, bound, &verdict);
    if (error < 0 || verdict == BACK_CONFLICT || verdict == BACK_USELESS)
        return error; /* what is there is somebody else's */
    error = ftp_client_path(files->client, path, &remote);
    if (error == 0)
        error = ftp_client_delete(files->client, &call, remote);
    return error == -EREMOTEIO || error == -ENOENT ? 0 : error;
}

/* ---- Renaming ---- */

static gboolean is_below(const char *path, const char *top)
{
    gsize length = strlen(top);
    return strncmp(path, top, length) == 0 && path[length] == '/';
}

static int compare_address(gconstpointer a, gconstpointer b)
{
    const OpenFile *const *one = a, *const *other = b;
    return *one < *other ? -1 : *one > *other;
}

static void unref_file(gpointer file)
{
    open_file_unref(file);
}

/* The open files that a rename touches: both names, and all below them; in the order in which they are claimed. */
static GPtrArray *open_files_touched(OpenFiles *files, const char *from, const char *to)
{
    GPtrArray *touched = g_ptr_array_new_with_free_func(unref_file);
    GHashTableIter iter;
    gpointer key, value;
    g_mutex_lock(&files->lock);
    g_hash_table_iter_init(&iter, files->by_path);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        if (g_str_equal(key, from) || g_str_equal(key, to) || is_below(key, from) || is_below(key, to))
            g_ptr_array_add(touched, open_file_ref(value));
    }
    g_mutex_unlock(&files->lock);
    g_ptr_array_sort(touched, compare_address);
    return touched;
}

static void open_files_unclaim(GPtrArray *touched, guint n)
{
    for (guint i = 0; i < n; i++)
        open_file_unclaim(touched->pdata[i]);
}

static int open_files_claim(GPtrArray *touched, const Bound *bound)
{
    for (guint i = 0; i < touched->len; i++) {
        int error = open_file_claim_from_queue(touched->pdata[i], bound);
        if (error < 0) {
            open_files_unclaim(touched, i);
            return error;
        }
    }
    return 0;
}

/* Takes a file out of the table; its handles go on without a name. With both locks held. */
static void open_files_drop(OpenFiles *files, OpenFile *file)
{
    if (g_hash_table_lookup(files->by_path, file->path) == file)
        g_hash_table_remove(files->by_path, file->path);
    file->gone = TRUE;
}

/* `record`: it is written into the journal; over what announced it, `rename`, or 0. */
static void open_files_move(OpenFiles *files, const char *from, const char *to, gboolean record, guint64 rename)
{
    g_autoptr(GPtrArray) touched = open_files_touched(files, from, to);
    g_mutex_lock(&files->lock);
    /* first the old ones away, so that the new ones find their places free */
    for (guint i = 0; i < touched->len; i++) {
        OpenFile *file = touched->pdata[i];
        g_mutex_lock(&file->lock);
        if (g_str_equal(file->path, to) || is_below(file->path, to))
            open_files_drop(files, file);
        g_mutex_unlock(&file->lock);
    }
    for (guint i = 0; i < touched->len; i++) {
        OpenFile *file = touched->pdata[i];
        g_mutex_lock(&file->lock);
        if (!file->gone && (g_str_equal(file->path, from) || is_below(file->path, from)) &&
            g_hash_table_lookup(files->by_path, file->path) == file) {
            g_autofree char *path = g_strconcat(to, file->path + strlen(from), NULL);
            g_hash_table_remove(files->by_path, file->path);
            open_file_set_path(file, path);
            upload_ahead_moved(file, from, to);
            g_hash_table_insert(files->by_path, file->path, file);
        }
        g_mutex_unlock(&file->lock);
    }
    kernel_pages_renamed(files->pages, from, to);
    guint64 seq = files->journal && record ? journal_take_seq(files->journal) : 0;
    g_mutex_unlock(&files->lock);

    int error = seq != 0 ? journal_write_rename(files->journal, from, to, TRUE, seq, &rename) : 0;
    if (error < 0)
        g_warning("the journal can't be written: %s", g_strerror(-error));
    for (guint i = 0; i < touched->len; i++) {
        OpenFile *file = touched->pdata[i];
        g_mutex_lock(&file->lock);
        gboolean gone = file->gone;
        g_mutex_unlock(&file->lock);
        if (gone) {
            open_file_forget(file);
            upload_ahead_forget(file);
        }
    }
}

/* Writes down that a renaming is going to be tried, where a file that waits to be sent has to do with it. */
static int open_files_announce_rename(OpenFiles *files, const char *from, const char *to, guint64 *ret)
{
    g_autoptr(GPtrArray) touched = open_files_touched(files, from, to);
    gboolean matters = FALSE;
    *ret = 0;
    for (guint i = 0; files->journal && i < touched->len; i++) {
        OpenFile *file = touched->pdata[i];
        g_mutex_lock(&file->lock);
        matters |= file->dirty;
        g_mutex_unlock(&file->lock);
    }
    return matters ? journal_write_rename(files->journal, from, to, FALSE, journal_take_seq(files->journal), ret) : 0;
}

/* Renames a file that the server does not know. */
static int open_files_rename_unsent(OpenFiles *files, const Bound *bound, OpenFile *file, const char *from,
                                    const char *to, unsigned int flags)
{
    DirCache *cache = tree_cache(files->tree);
    FtpAttr target, attr;
    int error = tree_lookup(files->tree, bound, to, flags & RENAME_NOREPLACE ? EXCLUSIVE_AGE : -1, &target, NULL);
    if (error < 0 && error != -ENOENT)
        return error;
    if (error == 0 && (flags & RENAME_NOREPLACE))
        return -EEXIST;
    if (error == 0 && target.type == FTP_TYPE_DIR)
        return -EISDIR;

    gboolean there = error == 0, in_doubt;
    g_mutex_lock(&file->lock);
    in_doubt = file->back.in_doubt;
    g_mutex_unlock(&file->lock);
    error = in_doubt ? open_files_delete_remains(files, bound, file, from) : 0;
    if (error < 0)
        return error;

    gboolean on_server = there;
    g_autoptr(OpenFile) replaced = open_files_get(files, to);
    FileBack base = {0};
    if (replaced) {
        g_mutex_lock(&replaced->lock);
        on_server = replaced->on_server;
        base.base = replaced->back.base;
        base.in_doubt = replaced->back.in_doubt;
        base.in_place = replaced->back.in_place;
        base.check = replaced->back.check;
        base.based_at = replaced->back.based_at;
        g_mutex_unlock(&replaced->lock);
    }
    dir_cache_rename(cache, from, to);
    open_files_move(files, from, to, TRUE, 0);

    g_mutex_lock(&file->lock);
    file->on_server = on_server;
    open_file_set_base(file, there ? &target : NULL);
    if (replaced) { /* `target` is what the mount shows of it */
        file->back.base = base.base;
        file->back.in_doubt = base.in_doubt;
        file->back.in_place = base.in_place;
        file->back.check = base.check;
        file->back.based_at = base.based_at;
    } else {
        file->back.in_doubt = FALSE;
    }
    attr = file->attr;
    open_file_live_attr(file, &attr);
    g_mutex_unlock(&file->lock);
    dir_cache_put(cache, to, &attr, NULL, TRUE);
    open_file_record_again(file);
    return 0;
}

static int open_files_rename_claimed(OpenFiles *files, const Bound *bound, const char *from, const char *to,
                                     unsigned int flags)
{
    g_autoptr(OpenFile) file = open_files_get(files, from);
    g_autoptr(OpenFile) target = open_files_get(files, to);
    if (target && (flags & RENAME_NOREPLACE))
        return -EEXIST;
    gboolean unsent = FALSE;
    if (file) {
        g_mutex_lock(&file->lock);
        unsent = !file->on_server;
        g_mutex_unlock(&file->lock);
    }
    if (unsent)
        return open_files_rename_unsent(files, bound, file, from, to, flags);

    guint64 rename = 0;
    int error = open_files_announce_rename(files, from, to, &rename);
    if (error == 0)
        error = tree_rename(files->tree, bound, from, to, flags);
    if (error == 0)
        open_files_move(files, from, to, rename != 0, rename);
    else if (rename != 0)
        journal_remove_rename(files->journal, rename);
    return error;
}

/* It was removed while it is open: what was to be sent is not wanted any more. */
static void open_files_forget_hidden(OpenFiles *files, const char *path)
{
    g_autoptr(OpenFile) file = open_files_get(files, path);
    if (file)
        open_file_forget(file);
}

int open_files_rename(OpenFiles *files, const Bound *bound, const char *from, const char *to, unsigned int flags)
{
    if (flags & ~(unsigned int)RENAME_NOREPLACE)
        return -EINVAL;
    if (private_names_is_like(base_name(to)))
        return -EACCES;
    if (g_str_equal(from, to))
        return flags & RENAME_NOREPLACE ? -EEXIST : 0;
    g_autoptr(GPtrArray) touched = open_files_touched(files, from, to);
    int error = open_files_claim(touched, bound);
    if (error < 0)
        return error;
    gboolean hides = open_file_is_hidden(to);
    if (hides)
        private_names_hide(tree_names(files->tree), to);
    error = open_files_rename_claimed(files, bound, from, to, flags);
    file_ahead_drop(files->ahead, from);
    file_ahead_drop(files->ahead, to);
    if (hides && error < 0)
        private_names_done(tree_names(files->tree), to);
    if (hides && error == 0)
        open_files_forget_hidden(files, to);
    open_files_unclaim(touched, touched->len);
    return error;
}

/* ---- Removing ---- */

static int open_files_unlink_open(OpenFiles *files, const Bound *bound, OpenFile *file, const char *path)
{
    int error = open_file_claim_from_queue(file, bound);
    if (error < 0)
        return error;
    g_mutex_lock(&file->lock);
    gboolean on_server = file->on_server, dirty = file->dirty, in_doubt = !on_server && file->back.in_doubt;
    g_mutex_unlock(&file->lock);

    if (on_server)
        error = tree_unlink(files->tree, bound, path);
    else if (in_doubt)
        error = open_files_delete_remains(files, bound, file, path);
    if ((!on_server && error == 0) || (error == -ENOENT && dirty)) {
        dir_cache_remove(tree_cache(files->tree), path);
        error = 0;
    }
    if (error == 0) {
        g_mutex_lock(&files->lock);
        g_mutex_lock(&file->lock);
        open_files_drop(files, file);
        g_mutex_unlock(&file->lock);
        g_mutex_unlock(&files->lock);
        open_file_forget(file);
        upload_ahead_forget(file);
    }
    open_file_unclaim(file);
    return error;
}

static int open_files_unlink_name(OpenFiles *files, const Bound *bound, const char *path)
{
    g_autoptr(OpenFile) file = open_files_get(files, path);
    if (file)
        return open_files_unlink_open(files, bound, file, path);
    FtpAttr attr;
    if (open_file_is_hidden(path) && dir_cache_lookup(tree_cache(files->tree), path, -1, &attr, NULL, NULL) == -ENOENT)
        return 0; /* it was never sent, and went with its last handle */
    return tree_unlink(files->tree, bound, path);
}

int open_files_unlink(OpenFiles *files, const Bound *bound, const char *path)
{
    int error = open_files_unlink_name(files, bound, path);
    file_ahead_drop(files->ahead, path);
    if ((error == 0 || error == -ENOENT) && open_file_is_hidden(path))
        private_names_done(tree_names(files->tree), path);
    return error;
}

/* A directory that is empty on the server, and not here, where files wait to be sent into it. */
int open_files_rmdir(OpenFiles *files, const Bound *bound, const char *path)
{
    g_autoptr(GPtrArray) below = open_files_touched(files, path, path);
    gboolean full = FALSE;
    for (guint i = 0; i < below->len; i++) {
        OpenFile *file = below->pdata[i];
        g_mutex_lock(&file->lock);
        full |= file->dirty && !file->gone && !open_file_is_hidden(file->path) && is_below(file->path, path);
        g_mutex_unlock(&file->lock);
    }
    return full ? -ENOTEMPTY : tree_rmdir(files->tree, bound, path);
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
