/* SPDX-License-Identifier: MIT */
/*
 * A file waits, and time has passed: the program was ended and started again, a try to send it has failed, or others
 * were sent first. What does the server have under its name now?
 *
 *   - what it had when the file was opened (size and time), or nothing where it had nothing: ours is sent;
 *   - the same bytes as ours: an upload had arrived, and nobody was told;
 *   - the beginning of ours: an upload that was broken off; ours is sent;
 *   - anything else: somebody has changed it, and both are kept. Where we hold only a part of ours (the rest was the
 *     server's old one's) ours can't be put together any more.
 *
 * The cache is not asked: it shows ours. The bytes are fetched and compared only when size and time do not tell.
 */
#include "open_file_back.h"
#include "open_file_private.h"

#include <errno.h>
#include <string.h>

/* What is compared; a copy of what the file is when it begins. */
typedef struct {
    OpenFile *file;
    char *path;
    SpoolFile *spool; /* referenced */
    gint64 size;
    gboolean whole; /* it holds all bytes */
    gint64 matched; /* bytes that are the same on the server */
    gboolean differs;
} Comparison;

static gboolean is_no(int error)
{
    return error == -ENOENT || error == -EREMOTEIO;
}

/* The name at the server as it is now: 0, -ENOENT, or another -errno. */
static int ask(OpenFiles *files, const Bound *bound, const char *path, FtpAttr *ret)
{
    g_autoptr(RemotePath) remote = NULL;
    FtpCall call = {.bound = bound, .priority = FTP_PRIORITY_TRANSFER};
    int error = ftp_client_path(files->client, path, &remote);
    if (error < 0)
        return error;
    error = ftp_client_stat(files->client, &call, remote, ret, NULL);
    if (error != -EOPNOTSUPP && error != -EREMOTEIO)
        return error;
    *ret = (FtpAttr){.type = FTP_TYPE_FILE};
    error = ftp_client_size_and_time(files->client, &call, remote, ret);
    if (error == 0 && (ret->has & FTP_HAS_SIZE))
        return 0;
    if (error == -EREMOTEIO)
        return -ENOENT;
    if (error < 0 && error != -EOPNOTSUPP)
        return error;
    error = ftp_client_look(files->client, &call, remote, ret);
    return is_no(error) ? -ENOENT : error;
}

static int ignore_entry(const ListEntry *entry, gpointer data)
{
    return 0;
}

/* 0 when the directory is there, -ENOENT, or another -errno. */
static int ask_directory(OpenFiles *files, const Bound *bound, const char *path)
{
    g_autoptr(RemotePath) remote = NULL;
    FtpCall call = {.bound = bound, .priority = FTP_PRIORITY_TRANSFER};
    FtpAttr attr;
    int error = ftp_client_path(files->client, path, &remote);
    if (error == 0)
        error = ftp_client_stat(files->client, &call, remote, &attr, NULL);
    if (error == -EOPNOTSUPP || error == -EREMOTEIO)
        error = ftp_client_list(files->client, &call, remote, ignore_entry, NULL, NULL);
    return is_no(error) ? -ENOENT : error;
}

static gboolean is_base(const JournalBase *base, const FtpAttr *attr)
{
    if (!base->there || attr->type == FTP_TYPE_DIR)
        return FALSE;
    if (base->has_size && (attr->has & FTP_HAS_SIZE) && base->size != attr->size)
        return FALSE;
    if (!base->has_mtime || !(attr->has & FTP_HAS_MTIME))
        return TRUE;
    gint64 between = base->mtime > attr->mtime ? base->mtime - attr->mtime : attr->mtime - base->mtime;
    gint64 least = MAX(MAX(base->precision, attr->mtime_precision), 1);
    return between < least;
}

/* ---- The bytes ---- */

static int compare_bytes(const void *bytes, gsize size, gpointer data)
{
    Comparison *comparison = data;
    g_autofree char *ours = g_malloc(size);
    g_mutex_lock(&comparison->file->lock);
    gssize n = spool_file_read(comparison->spool, ours, size, comparison->matched);
    g_mutex_unlock(&comparison->file->lock);
    if (n < 0)
        return (int)n;
    if ((gsize)n < size || memcmp(ours, bytes, size) != 0) {
        comparison->differs = TRUE;
        return 1;
    }
    comparison->matched += n;
    return 0;
}

/* 0: *ret_same tells whether the server's file is the first `size` bytes of ours. */
static int has_beginning(Comparison *comparison, const Bound *bound, gint64 size, gboolean *ret_same)
{
    OpenFiles *files = comparison->file->files;
    g_autoptr(RemotePath) remote = NULL;
    g_autoptr(FtpTransfer) transfer = ftp_transfer_new();
    FtpCall call = {.bound = bound, .priority = FTP_PRIORITY_TRANSFER};
    FtpRetrieved retrieved;
    if (size == 0) {
        *ret_same = TRUE;
        return 0;
    }
    int error = ftp_client_path(files->client, comparison->path, &remote);
    if (error == 0)
        error = ftp_client_retrieve(files->client, &call, remote, 0, transfer, compare_bytes, comparison, &retrieved);
    if (error < 0 && !comparison->differs)
        return is_no(error) ? -EACCES : error;
    *ret_same = !comparison->differs && comparison->matched == size;
    return !comparison->differs && comparison->matched != size ? -EIO : 0;
}

/* ---- A renaming that may have happened ---- */

/* The file goes to the path that it has after the renaming. */
static void take_maybe(OpenFile *file, const char *path)
{
    OpenFiles *files = file->files;
    OpenFile *replaced = NULL;
    g_mutex_lock(&files->lock);
    replaced = g_hash_table_lookup(files->by_path, path);
    if (replaced)
        open_file_ref(replaced);
    g_mutex_lock(&file->lock);
    g_autofree char *old = g_strdup(file->path);
    if (g_hash_table_lookup(files->by_path, old) == file)
        g_hash_table_remove(files->by_path, old);
    open_file_set_path(file, path);
    g_hash_table_replace(files->by_path, file->path, file);
    FtpAttr attr = file->attr;
    open_file_live_attr(file, &attr);
    g_mutex_unlock(&file->lock);
    if (replaced) {
        g_mutex_lock(&replaced->lock);
        replaced->gone = TRUE;
        g_mutex_unlock(&replaced->lock);
    }
    g_mutex_unlock(&files->lock);

    DirCache *cache = tree_cache(files->tree);
    dir_cache_remove(cache, old);
    dir_cache_put(cache, path, &attr, NULL, TRUE);
    if (replaced) {
        open_file_forget(replaced);
        open_file_unref(replaced);
    }
}

static int resolve_maybe(OpenFile *file, const Bound *bound, const char *path, const char *maybe,
                         const JournalBase *base)
{
    OpenFiles *files = file->files;
    FtpAttr attr;
    gboolean moved = FALSE;
    int error;
    if (base->there) {
        error = ask(files, bound, path, &attr);
        if (error == -ENOENT) {
            error = ask(files, bound, maybe, &attr);
            moved = error == 0 && is_base(base, &attr);
        }
    } else {
        g_autofree char *parent = g_path_get_dirname(path), *other = g_path_get_dirname(maybe);
        error = ask_directory(files, bound, parent);
        if (error == -ENOENT) {
            error = ask_directory(files, bound, other);
            moved = error == 0;
        }
    }
    if (error < 0 && error != -ENOENT)
        return error;
    if (moved)
        take_maybe(file, maybe);
    g_mutex_lock(&file->lock);
    g_clear_pointer(&file->back.maybe, g_free);
    g_mutex_unlock(&file->lock);
    open_file_record_again(file);
    return 0;
}

/* ---- The verdict ---- */

static int judge_absent(Comparison *comparison, const JournalBase *base, BackVerdict *ret)
{
    OpenFile *file = comparison->file;
    if (base->there && !comparison->whole) {
        *ret = BACK_USELESS;
        return 0;
    }
    g_mutex_lock(&file->lock);
    file->on_server = FALSE;
    open_file_set_base(file, NULL);
    g_mutex_unlock(&file->lock);
    *ret = BACK_SEND;
    return 0;
}

static int judge_there(Comparison *comparison, const Bound *bound, const JournalBase *base, const FtpAttr *attr,
                       BackVerdict *ret)
{
    OpenFile *file = comparison->file;
    gboolean same = is_base(base, attr);
    gint64 size = attr->has & FTP_HAS_SIZE ? attr->size : -1;
    *ret = BACK_SEND;
    if (!same && attr->type == FTP_TYPE_FILE && comparison->whole && size >= 0 && size <= comparison->size) {
        int error = has_beginning(comparison, bound, size, &same);
        if (error < 0)
            return error;
        if (same && size == comparison->size)
            *ret = BACK_ARRIVED;
    }
    if (!same)
        *ret = comparison->whole ? BACK_CONFLICT : BACK_USELESS;
    if (same) {
        g_mutex_lock(&file->lock);
        file->on_server = TRUE;
        g_mutex_unlock(&file->lock);
    }
    return 0;
}

static void comparison_clear(Comparison *comparison)
{
    g_free(comparison->path);
    spool_file_unref(comparison->spool);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Comparison, comparison_clear)

int open_file_check(OpenFile *file, const Bound *bound, BackVerdict *ret)
{
    FtpAttr attr = {0};
    gint64 from, to;

    g_mutex_lock(&file->lock);
    g_autofree char *maybe = g_strdup(file->back.maybe), *path = g_strdup(file->path);
    JournalBase base = file->back.base;
    g_mutex_unlock(&file->lock);
    int error = maybe ? resolve_maybe(file, bound, path, maybe, &base) : 0;
    if (error < 0)
        return error;

    g_auto(Comparison) comparison = {.file = file};
    g_mutex_lock(&file->lock);
    comparison.path = g_strdup(file->path);
    comparison.spool = spool_file_ref(file->spool);
    comparison.size = spool_file_size(file->spool);
    comparison.whole = !spool_file_missing(file->spool, 0, comparison.size, &from, &to);
    gboolean in_place = open_file_may_be_half_sent(file);
    g_mutex_unlock(&file->lock);
    if (in_place) {
        *ret = BACK_SEND;
        return 0;
    }
    error = ask(file->files, bound, comparison.path, &attr);
    if (error == -ENOENT)
        return judge_absent(&comparison, &base, ret);
    return error < 0 ? error : judge_there(&comparison, bound, &base, &attr, ret);
}
