/* SPDX-License-Identifier: MIT */
/*
 * What changes names that may be open: rename, unlink, rmdir.
 *
 * A file that was made here and never sent has no name on the server: renaming and removing it are ours alone. That is
 * also what happens to ".fuse_hidden" names, which libfuse gives to open files that are removed.
 */
#include "open_file_private.h"
#include "upload_ahead.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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
    if (private_names_is_like(tree_name(to)))
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
