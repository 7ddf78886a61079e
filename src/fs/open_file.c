/* SPDX-License-Identifier: MIT */
/* One open file: reading, writing, truncating, and the end of a handle. The table of them is in open_files.c. */
#include "file_upload.h"
#include "open_file_private.h"
#include "upload_ahead.h"
#include "upload_append.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define FETCH_PIECE  ((gint64)256 * 1024)
#define KEEP_SECONDS 60 /* for fetching what the spool lacks of a file that is to be kept */

struct BaseReader {
    gint refs;              /* atomic */
    FileReader *reader;     /* NULL where there are */
    FileContents *contents; /* all of the file */
};

void base_reader_unref(BaseReader *reader)
{
    if (!reader || !g_atomic_int_dec_and_test(&reader->refs))
        return;
    file_reader_free(reader->reader);
    file_contents_unref(reader->contents);
    g_free(reader);
}

static BaseReader *base_reader_ref(BaseReader *reader)
{
    g_atomic_int_inc(&reader->refs);
    return reader;
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BaseReader, base_reader_unref)

OpenFile *open_file_new(OpenFiles *files, const char *path, const FtpAttr *attr, gboolean on_server)
{
    OpenFile *file = g_new0(OpenFile, 1);
    file->files = files;
    file->refs = 1;
    g_mutex_init(&file->lock);
    g_cond_init(&file->changed);
    file->path = g_strdup(path);
    file->attr = *attr;
    file->attr_at = g_get_real_time() / G_USEC_PER_SEC;
    file->on_server = on_server;
    file->written_at = attr->mtime;
    open_file_back_init(file);
    open_file_set_base(file, on_server ? attr : NULL);
    g_hash_table_add(files->all, file);
    return file;
}

OpenFile *open_file_ref(OpenFile *file)
{
    file->refs++;
    return file;
}

void open_file_unref(OpenFile *file)
{
    if (!file)
        return;
    OpenFiles *files = file->files;
    g_mutex_lock(&files->lock);
    gboolean last = --file->refs == 0;
    if (last)
        g_hash_table_remove(files->all, file);
    g_mutex_unlock(&files->lock);
    if (!last)
        return;
    base_reader_unref(file->reader);
    spool_file_unref(file->spool);
    spool_reserve(files->spool, -file->reserved);
    open_file_back_clear(file);
    g_free(file->path);
    g_mutex_clear(&file->lock);
    g_cond_clear(&file->changed);
    g_free(file);
}

int open_file_claim(OpenFile *file, const Bound *bound)
{
    int error = 0;
    g_mutex_lock(&file->lock);
    while (file->claimed && error == 0)
        error = bound_wait(bound, &file->changed, &file->lock);
    if (error == 0)
        file->claimed = TRUE;
    g_mutex_unlock(&file->lock);
    return error;
}

void open_file_unclaim(OpenFile *file)
{
    g_mutex_lock(&file->lock);
    file->claimed = FALSE;
    g_cond_broadcast(&file->changed);
    g_mutex_unlock(&file->lock);
}

gboolean open_file_is_hidden(const char *path)
{
    const char *slash = strrchr(path, '/');
    return g_str_has_prefix(slash ? slash + 1 : path, ".fuse_hidden");
}

void open_file_live_attr(const OpenFile *file, FtpAttr *attr)
{
    if (file->spool) {
        attr->size = spool_file_size(file->spool);
        attr->has |= FTP_HAS_SIZE;
    }
    if (file->dirty) {
        attr->mtime = file->has_mtime ? file->mtime : file->written_at;
        attr->mtime_precision = 1;
        attr->has |= FTP_HAS_MTIME;
    }
    if (file->has_mode) {
        attr->mode = file->mode & 07777;
        attr->has |= FTP_HAS_MODE;
    }
}

void open_file_set_path(OpenFile *file, const char *path)
{
    g_free(file->path);
    file->path = g_strdup(path);
    g_autoptr(RemotePath) remote = NULL;
    if (file->reader && file->reader->reader && !file->base_path &&
        ftp_client_path(file->files->client, path, &remote) == 0)
        file_reader_set_path(file->reader->reader, remote);
}

/* ---- The base: the file on the server ---- */

/* With the lock held. The reader is the file's; the caller gets a reference. */
static int open_file_take_reader(OpenFile *file, BaseReader **ret)
{
    OpenFiles *files = file->files;
    if (!file->reader) {
        g_autoptr(RemotePath) remote = NULL;
        int error = ftp_client_path(files->client, file->base_path ? file->base_path : file->path, &remote);
        if (error < 0)
            return error;
        gint64 size = file->base_path ? file->released : file->attr.has & FTP_HAS_SIZE ? file->attr.size : -1;
        FileReaderConfig config = {
            .shared = &files->readers,
            .streams = files->options->streams,
            .read_ahead = files->options->read_ahead,
            .retry = files->options->ftp->retry,
        };
        file->reader = g_new0(BaseReader, 1);
        file->reader->refs = 1;
        file->reader->reader = file_reader_new(files->client, remote, size, &config);
    }
    *ret = base_reader_ref(file->reader);
    return 0;
}

void open_file_set_contents(OpenFile *file, FileContents *contents)
{
    file->reader = g_new0(BaseReader, 1);
    file->reader->refs = 1;
    file->reader->contents = file_contents_ref(contents);
}

BaseReader *open_file_replace_base(OpenFile *file, const FtpAttr *attr)
{
    BaseReader *old = g_steal_pointer(&file->reader);
    file->bases++;
    g_clear_pointer(&file->spool, spool_file_unref);
    spool_reserve(file->files->spool, -file->reserved);
    file->reserved = 0;
    file->attr = *attr;
    file->attr_at = g_get_real_time() / G_USEC_PER_SEC;
    return old;
}

/* Reads from the server. With no lock held. */
static gssize open_file_read_base(OpenFile *file, BaseReader *reader, const Bound *bound, void *bytes, gsize size,
                                  gint64 offset)
{
    if (reader->contents)
        return (gssize)file_contents_read(reader->contents, bytes, size, offset);
    gssize n = file_reader_read(reader->reader, bound, bytes, size, offset);
    if (n != -EREMOTEIO && n != -EOPNOTSUPP)
        return n;

    g_mutex_lock(&file->lock);
    g_autofree char *path = g_strdup(file->path);
    g_mutex_unlock(&file->lock);
    return tree_explain(file->files->tree, bound, path, FALSE, (int)n);
}

int open_file_fetch(OpenFile *file, SpoolFile *into, const Bound *bound, gint64 start, gint64 end)
{
    g_autofree char *piece = NULL;
    while (TRUE) {
        g_autoptr(BaseReader) reader = NULL;
        gint64 from, to;
        int error = 0;
        g_mutex_lock(&file->lock);
        SpoolFile *spool = into ? into : file->spool;
        gboolean missing = spool && spool_file_missing(spool, start, end - start, &from, &to);
        if (missing)
            error = open_file_take_reader(file, &reader);
        g_mutex_unlock(&file->lock);
        if (!missing || error < 0)
            return error;

        gsize size = MIN(to - from, FETCH_PIECE);
        if (!piece)
            piece = g_malloc(FETCH_PIECE);
        gssize n = open_file_read_base(file, reader, bound, piece, size, from);
        if (n < 0)
            return (int)n;
        if (n == 0)
            return -EIO; /* the server's file has become shorter: what is missing can't be had any more */

        g_mutex_lock(&file->lock);
        spool = into ? into : file->spool;
        if (spool)
            error = spool_file_fill(spool, piece, n, from);
        g_mutex_unlock(&file->lock);
        if (error < 0)
            return error;
    }
}

/* ---- Reading ---- */

/* From the spool: bytes; -EAGAIN when the range in *ret_from, *ret_to has to be fetched first. With the lock held. */
static gssize open_file_read_spool(OpenFile *file, void *bytes, gsize size, gint64 offset, gint64 *ret_from,
                                   gint64 *ret_to)
{
    if (spool_file_missing(file->spool, offset, MIN((gint64)size, G_MAXINT64 - offset), ret_from, ret_to))
        return -EAGAIN;
    return spool_file_read(file->spool, bytes, size, offset);
}

gssize open_file_read(OpenFile *file, const Bound *bound, void *bytes, gsize size, gint64 offset)
{
    if (offset < 0)
        return -EINVAL;
    size = MIN(size, (gsize)G_MAXINT);
    while (TRUE) {
        g_autoptr(BaseReader) reader = NULL;
        gint64 from = 0, to = 0;
        g_mutex_lock(&file->lock);
        gssize n = file->spool ? open_file_read_spool(file, bytes, size, offset, &from, &to)
                               : open_file_take_reader(file, &reader);
        g_mutex_unlock(&file->lock);
        if (reader)
            return open_file_read_base(file, reader, bound, bytes, size, offset);
        if (n != -EAGAIN)
            return n;
        int error = open_file_fetch(file, NULL, bound, from, to);
        if (error < 0)
            return error;
    }
}

/* ---- Writing ---- */

/* With the lock held. `empty`: of the base nothing is wanted. */
static int open_file_need_spool(OpenFile *file, gboolean empty)
{
    if (file->spool)
        return 0;
    gint64 base_size = 0;
    if (!empty && file->on_server) {
        if (!(file->attr.has & FTP_HAS_SIZE))
            return -EIO;
        base_size = file->attr.size;
    }
    return spool_file_new(spool_directory(file->files->spool), base_size, &file->spool);
}

/* Counts the file as one of `size` bytes in the spool. With the lock held. */
static int open_file_reserve(OpenFile *file, gint64 size)
{
    gint64 here = MAX(0, size - file->released);
    if (upload_append_fits(file, file->spool))
        here -= spool_file_base_size(file->spool); /* which need not be here */
    int error = spool_reserve(file->files->spool, here - file->reserved);
    if (error == 0)
        file->reserved = here;
    return error;
}

static void open_file_touch(OpenFile *file)
{
    file->dirty = TRUE;
    file->changes++;
    file->written_at = g_get_real_time() / G_USEC_PER_SEC;
    file->has_mtime = FALSE;
}

int open_file_start_empty(OpenFile *file)
{
    int error = open_file_need_spool(file, TRUE);
    if (error == 0)
        open_file_touch(file);
    return error;
}

/* With the lock held. *offset is moved to the end when `append`. */
static int open_file_write_locked(OpenFile *file, const void *bytes, gsize size, gint64 *offset, gboolean append)
{
    int error = open_file_need_spool(file, FALSE);
    if (error < 0)
        return error;
    gint64 now = spool_file_size(file->spool);
    if (append)
        *offset = now;
    if (*offset < 0 || size > (gsize)(G_MAXINT64 - *offset))
        return -EFBIG;
    error = open_file_reserve(file, MAX(now, *offset + (gint64)size));
    if (error == 0 && size > 0)
        error = open_file_own_spool(file, *offset);
    if (error == 0)
        error = spool_file_write(file->spool, bytes, size, *offset);
    if (error == 0 && size > 0)
        open_file_touch(file);
    return error;
}

/* The spool is full. 0 when there is room again, -ENOSPC when nothing of this file can be done without. */
static int open_file_make_room(OpenFile *file, const Bound *bound)
{
    g_mutex_lock(&file->lock);
    gboolean appends = file->dirty && file->spool && upload_append_fits(file, file->spool) &&
                       spool_file_size(file->spool) > spool_file_base_size(file->spool);
    g_mutex_unlock(&file->lock);
    if (file->files->options->write != WRITE_SYNC)
        return open_files_back_wait_for_room(file->files, bound) ? 0 : -ENOSPC;
    if (!appends)
        return upload_ahead_make_room(file, bound);
    int error = open_file_flush(file, bound);
    g_mutex_lock(&file->lock);
    gboolean made = !file->dirty && !file->spool;
    g_mutex_unlock(&file->lock);
    return error < 0 ? error : made ? 0 : -ENOSPC;
}

gssize open_file_write(OpenFile *file, const Bound *bound, const void *bytes, gsize size, gint64 offset,
                       gboolean append)
{
    while (TRUE) {
        UploadAhead *ahead = NULL;
        g_mutex_lock(&file->lock);
        int error = open_file_write_locked(file, bytes, size, &offset, append);
        if (error == 0 && size > 0)
            ahead = upload_ahead_changed(file, offset);
        g_mutex_unlock(&file->lock);
        if (ahead)
            upload_ahead_go(file, ahead);
        if (error == -ENOSPC) {
            error = open_file_make_room(file, bound);
            if (error == 0)
                continue;
        }
        return error < 0 ? error : (gssize)size;
    }
}

int open_file_truncate(OpenFile *file, const Bound *bound, gint64 size)
{
    if (size < 0)
        return -EINVAL;
    int error = 0;
    UploadAhead *ahead = NULL;
    g_mutex_lock(&file->lock);
    gboolean same =
        file->spool ? spool_file_size(file->spool) == size : (file->attr.has & FTP_HAS_SIZE) && file->attr.size == size;
    if (!same || size == 0) { /* an empty file that is emptied again gets a new time: make and lock files rely on it */
        error = open_file_need_spool(file, size == 0);
        if (error == 0)
            error = open_file_reserve(file, size);
        if (error == 0)
            error = open_file_own_spool(file, size);
        if (error == 0)
            error = spool_file_truncate(file->spool, size);
        if (error == 0) {
            open_file_touch(file);
            ahead = upload_ahead_changed(file, size);
        }
    }
    g_mutex_unlock(&file->lock);
    if (ahead)
        upload_ahead_go(file, ahead);
    return error;
}

int open_file_flush(OpenFile *file, const Bound *bound)
{
    g_mutex_lock(&file->lock);
    gboolean dirty = file->dirty;
    g_mutex_unlock(&file->lock);
    if (!dirty)
        return 0;

    int error = open_file_claim(file, bound);
    if (error < 0)
        return error;
    error = open_file_send(file, bound);
    open_file_unclaim(file);
    return error;
}

gboolean open_file_is_blank(OpenFile *file)
{
    g_mutex_lock(&file->lock);
    gboolean blank = file->dirty && file->spool && spool_file_size(file->spool) == 0;
    g_mutex_unlock(&file->lock);
    return blank;
}

/* ---- The end ---- */

/* Nobody can be told any more that the changes can't be sent: they are kept where a person finds them. */
int open_file_keep(OpenFile *file, int reason)
{
    OpenFiles *files = file->files;
    g_autofree char *kept = NULL;
    g_autofree char *source = ftp_config_source(files->options->ftp);
    Bound patience = bound_seconds(KEEP_SECONDS);
    FtpClientState state;
    ftp_client_state(files->client, &state);
    g_mutex_lock(&file->lock);
    gboolean fetch = file->base_path && !state.away; /* what the spool has forgotten is ours, and nobody else's */
    g_mutex_unlock(&file->lock);
    if (fetch)
        open_file_fetch(file, NULL, &patience, 0, G_MAXINT64);
    g_mutex_lock(&file->lock);
    g_autofree char *path = g_strdup(file->path);
    gboolean on_server = file->on_server;
    int error =
        file->spool ? spool_keep(files->spool, file->spool, source, path, g_strerror(-reason), &kept) : -ENODATA;
    g_mutex_unlock(&file->lock);

    if (error == 0)
        g_warning("%s could not be sent to the server (%s); its contents are kept in %s", path, g_strerror(-reason),
                  kept);
    else
        g_warning("%s could not be sent to the server (%s), nor be kept in %s (%s): its changes are lost", path,
                  g_strerror(-reason), spool_directory(files->spool), g_strerror(-error));

    DirCache *cache = tree_cache(files->tree);
    if (!on_server)
        dir_cache_remove(cache, path);
    dir_cache_forget(cache, path);
    return error;
}

/* TRUE when the changes are to be sent, or kept: not those of a file that is going away. */
static gboolean open_file_is_unsent(OpenFile *file)
{
    g_mutex_lock(&file->lock);
    gboolean unsent = file->dirty && !file->gone && !open_file_is_hidden(file->path);
    g_mutex_unlock(&file->lock);
    return unsent;
}

static gboolean is_hurried(gpointer data)
{
    return g_atomic_int_get(&((OpenFiles *)data)->hurried);
}

void open_file_release(OpenFile *file, int flags)
{
    OpenFiles *files = file->files;
    g_mutex_lock(&files->lock);
    gboolean last = file->handles == 1;
    if (!last)
        file->handles--;
    g_mutex_unlock(&files->lock);
    if (!last) {
        open_file_unref(file);
        return;
    }

    Bound bound = {.deadline = G_MAXINT64, .interrupted = is_hurried, .data = files};
    /* The handle is counted until the upload is over, so that an open meanwhile gets this file. */
    int error = open_file_is_unsent(file) ? open_file_close(file, &bound) : 0;

    g_mutex_lock(&files->lock);
    last = --file->handles == 0;
    g_mutex_lock(&file->lock);
    gboolean never_sent = !file->on_server && !file->gone && open_file_is_hidden(file->path);
    g_autofree char *path = g_strdup(file->path);
    gboolean kept = file->back.kept;
    if (last && !kept && g_hash_table_lookup(files->by_path, file->path) == file)
        g_hash_table_remove(files->by_path, file->path);
    if (last && kept && file->spool)
        spool_file_park(file->spool);
    g_mutex_unlock(&file->lock);
    g_mutex_unlock(&files->lock);

    if (last && !kept && open_file_is_unsent(file))
        open_file_keep(file, error < 0 ? error : -EIO);
    else if (last && never_sent)
        dir_cache_remove(tree_cache(files->tree), path);
    if (last)
        upload_ahead_forget(file);
    open_file_unref(file);
}
