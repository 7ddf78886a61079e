/* SPDX-License-Identifier: MIT */
/*
 * Uploading while a file is being written
 *
 * From START bytes on a file is sent while the program goes on writing, to a private name, so that its close has only
 * to wait for the rest and to move it into its place. What is sent is the front of the file as far as it was written
 * without a gap; holes wait for the close, since they may still be filled.
 *
 * It goes in pieces: a STOR, then APPEs. A piece is one transfer, on a thread of its own that ends with it. A piece
 * ends when the program writes nothing for a while, or when somebody else needs the session: so a program that is slow,
 * or that stops, holds none, and everything works with connections=1. It also ends when the spool is full: then the
 * server is asked for the size, and what it has is forgotten here (upload_ahead_make_room), so that a file may be
 * larger than the spool. What was forgotten is read from the private name, as the "base" of the file, if anybody wants
 * it.
 *
 * A write behind what was sent makes it worth nothing: it begins anew, under the same name, a few times at most, or at
 * the close. So does an error. An APPE to which no reply came is not sent again: nobody knows what it has done.
 *
 * The pieces run beside the open file's claim, and need none: nobody else knows the private name. All fields are
 * guarded by the lock of the file; its condition tells of changes.
 */
#include "upload_ahead.h"

#include "file_upload.h"

#include <errno.h>
#include <string.h>

#define START           ((gint64)1 << 20)    /* bytes that are there when a piece begins */
#define TRIES           3                    /* times that it begins */
#define STALL           (3 * G_USEC_PER_SEC) /* without a byte to send, after which a piece ends */
#define SLICE           (1 * G_USEC_PER_SEC) /* of sending, after which a piece ends when the session is wanted */
#define SLICE_BYTES     ((gint64)1 << 20)    /* that were sent by then, at least */
#define DROPPED_SECONDS 5.0
#define THREADS         8 /* at a time */

struct UploadAhead {
    OpenFile *file;   /* referenced by the thread, while there is one */
    SpoolFile *spool; /* referenced: the file's own at the beginning */
    char *path;       /* private, in use */
    gboolean running; /* a piece is under way, or about to be */
    gboolean making;  /* room is being made */
    gboolean broken;  /* what was sent is not what the file holds */
    gboolean cut;     /* the piece is to end */
    gboolean keep;    /* the name is not to be deleted with it */
    gint stop;        /* atomic: it was dropped; whoever works at it frees it */
    gint64 acked;     /* bytes that the server has acknowledged */
    gint64 sent;      /* bytes that were given away, at least as much */
    gint64 end;       /* where the file ends; -1 while it grows */
    int error;        /* of the last piece, or 0 */
    guint tries;
    FtpTransfer *transfer;  /* of the piece */
    gint64 began, given_at; /* of the piece, and of its last byte; monotonic, µs */
};

static void ahead_free(UploadAhead *ahead)
{
    spool_file_unref(ahead->spool);
    g_free(ahead->path);
    g_free(ahead);
}

static gboolean ahead_is_dropped(gpointer data)
{
    return g_atomic_int_get(&((UploadAhead *)data)->stop);
}

/* How far the file was written without a gap from `offset` on. With the lock held. */
static gint64 written_until(const UploadAhead *ahead, gint64 offset)
{
    gint64 size = spool_file_size(ahead->spool), start = size, end;
    if (offset >= size)
        return offset;
    return range_set_gap(spool_file_held(ahead->spool), offset, size, &start, &end) ? start : size;
}

/* ---- A piece ---- */

/* What the piece may send from `position` on: -1 to wait for more, 0 when it ends. With the lock held. */
static gint64 ahead_available(UploadAhead *ahead, gint64 base, gint64 position)
{
    OpenFile *file = ahead->file;
    gint64 now = g_get_monotonic_time();
    if (ahead_is_dropped(ahead) || ahead->broken || ahead->cut || file->spool != ahead->spool)
        return 0;
    gboolean wanted = ftp_transfer_wanted(ahead->transfer);
    gint64 until = ahead->end >= 0 ? ahead->end : written_until(ahead, position);
    if (until > position) {
        gboolean fair = now - ahead->began < SLICE || position - base < SLICE_BYTES;
        return !wanted || fair || g_atomic_int_get(&file->files->append_refused) ? until - position : 0;
    }
    return ahead->end >= 0 || wanted || now - ahead->given_at >= STALL ? 0 : -1;
}

typedef struct {
    UploadAhead *ahead;
    gint64 base; /* where the piece begins in the file */
} Piece;

static gssize ahead_source(void *bytes, gsize size, gint64 offset, gpointer data)
{
    const Piece *piece = data;
    UploadAhead *ahead = piece->ahead;
    OpenFile *file = ahead->file;
    gint64 position = piece->base + offset, available;

    g_mutex_lock(&file->lock);
    while ((available = ahead_available(ahead, piece->base, position)) < 0) {
        Bound bound = bound_seconds((double)STALL / G_USEC_PER_SEC);
        bound_wait(&bound, &file->changed, &file->lock);
    }
    gssize n = 0;
    if (available > 0) {
        n = spool_file_read(ahead->spool, bytes, (gsize)MIN((gint64)MIN(size, (gsize)G_MAXINT), available), position);
        ahead->given_at = g_get_monotonic_time();
    }
    if (n > 0) {
        ahead->sent = MAX(ahead->sent, position + n);
        file->back.sent = position + n;
    }
    if (n == 0) /* what this piece has given in its last try */
        ahead->sent = position;
    g_mutex_unlock(&file->lock);
    return n;
}

static void ahead_wanted(gpointer data)
{
    OpenFile *file = data;
    g_mutex_lock(&file->lock);
    g_cond_broadcast(&file->changed);
    g_mutex_unlock(&file->lock);
}

static gboolean is_refused(int error)
{
    return error == -EREMOTEIO || error == -EACCES || error == -EPERM || error == -EOPNOTSUPP || error == -EEXIST;
}

/* Sends one piece; `running` was set by the caller. Returns whether it was dropped meanwhile: it is then the caller's.
 * Else, unless something holds others off, somebody may free it at once. */
static gboolean ahead_run(UploadAhead *ahead, const Bound *bound)
{
    OpenFile *file = ahead->file;
    OpenFiles *files = file->files;
    g_autoptr(FtpTransfer) transfer = ftp_transfer_new();
    g_autoptr(RemotePath) remote = NULL;
    FtpCall call = {.bound = bound, .priority = FTP_PRIORITY_TRANSFER};
    Piece piece = {.ahead = ahead};

    g_mutex_lock(&file->lock);
    gboolean anew = ahead->broken && file->released == 0;
    if (anew) {
        ahead->broken = FALSE;
        ahead->acked = 0;
    }
    piece.base = ahead->sent = ahead->acked;
    ahead->tries += piece.base == 0 ? 1 : 0;
    ahead->transfer = transfer;
    ahead->cut = FALSE;
    ahead->began = ahead->given_at = g_get_monotonic_time();
    int error = ahead->broken ? -ECANCELED : ftp_client_path(files->client, ahead->path, &remote);
    g_mutex_unlock(&file->lock);

    ftp_transfer_set_wanted_func(transfer, ahead_wanted, file);
    if (error == 0)
        error = ftp_client_store(files->client, &call, remote, piece.base > 0 ? FTP_STORE_APPEND : FTP_STORE_WHOLE, -1,
                                 transfer, ahead_source, &piece);
    ftp_transfer_set_wanted_func(transfer, NULL, NULL);
    if (piece.base > 0 && is_refused(error))
        g_atomic_int_set(&files->append_refused, TRUE);

    g_mutex_lock(&file->lock);
    if (error == 0)
        ahead->acked = ahead->sent;
    ahead->error = error;
    ahead->transfer = NULL;
    ahead->running = FALSE;
    gboolean dropped = ahead_is_dropped(ahead);
    if (!dropped && error < 0 && error != -EINTR)
        g_info("sending %s while it is written has failed: %s", file->path, g_strerror(-error));
    g_cond_broadcast(&file->changed);
    g_mutex_unlock(&file->lock);
    return dropped;
}

static void ahead_delete(OpenFiles *files, UploadAhead *ahead)
{
    if (!ahead->keep && file_upload_delete(files, ahead->path))
        private_names_done(tree_names(files->tree), ahead->path);
    ahead_free(ahead);
}

static gpointer ahead_thread(gpointer data)
{
    UploadAhead *ahead = data;
    OpenFile *file = ahead->file;
    OpenFiles *files = file->files;
    Bound bound = {.deadline = G_MAXINT64, .interrupted = ahead_is_dropped, .data = ahead};

    if (ahead_run(ahead, &bound))
        ahead_delete(files, ahead);
    g_mutex_lock(&file->lock);
    file->ahead_threads--;
    g_cond_broadcast(&file->changed);
    g_mutex_unlock(&file->lock);
    open_file_unref(file);
    g_mutex_lock(&files->lock);
    files->ahead_threads--;
    g_cond_broadcast(&files->ahead_ended);
    g_mutex_unlock(&files->lock);
    return NULL;
}

void upload_ahead_wait_all(OpenFiles *files)
{
    g_mutex_lock(&files->lock);
    while (files->ahead_threads > 0)
        g_cond_wait(&files->ahead_ended, &files->lock);
    g_mutex_unlock(&files->lock);
}

/* ---- Beginning ---- */

static gboolean ahead_may_begin(const OpenFile *file)
{
    const Options *options = file->files->options;
    return options->write == WRITE_SYNC && options->upload != UPLOAD_DIRECT && file->spool && !file->gone &&
           !open_file_is_hidden(file->path);
}

static UploadAhead *ahead_new(OpenFile *file)
{
    UploadAhead *ahead = g_new0(UploadAhead, 1);
    ahead->file = file;
    ahead->spool = spool_file_ref(file->spool);
    ahead->path = private_names_make(tree_names(file->files->tree), file->path, NULL);
    ahead->end = -1;
    return ahead;
}

UploadAhead *upload_ahead_changed(OpenFile *file, gint64 offset)
{
    UploadAhead *ahead = file->ahead;
    if (ahead) {
        if (offset < ahead->sent)
            ahead->broken = TRUE;
        g_cond_broadcast(&file->changed);
        if (ahead->running || ahead->making || ahead->end >= 0 || ahead->error < 0 || file->spool != ahead->spool)
            return NULL;
        gint64 from = ahead->broken ? 0 : ahead->acked;
        if ((from == 0 && ahead->tries >= TRIES) || file->released > from ||
            (from > 0 && g_atomic_int_get(&file->files->append_refused)) || written_until(ahead, from) - from < START)
            return NULL;
    } else {
        gint64 start = 0, end;
        if (!ahead_may_begin(file) || file->released > 0 || spool_file_size(file->spool) < START ||
            (range_set_gap(spool_file_held(file->spool), 0, START, &start, &end) && start < START))
            return NULL;
        ahead = file->ahead = ahead_new(file);
    }
    ahead->running = TRUE;
    return ahead;
}

void upload_ahead_go(OpenFile *file, UploadAhead *ahead)
{
    OpenFiles *files = file->files;
    GThread *thread = NULL;
    g_mutex_lock(&files->lock);
    gboolean room = files->ahead_threads < THREADS;
    if (room) {
        files->ahead_threads++;
        open_file_ref(file);
    }
    g_mutex_unlock(&files->lock);
    if (room) {
        g_mutex_lock(&file->lock);
        file->ahead_threads++;
        g_mutex_unlock(&file->lock);
        thread = g_thread_try_new("ftpfs-upload", ahead_thread, ahead, NULL);
    }
    if (thread) {
        g_thread_unref(thread);
        return;
    }
    if (room) {
        g_mutex_lock(&files->lock);
        files->ahead_threads--;
        g_mutex_unlock(&files->lock);
    }
    g_mutex_lock(&file->lock);
    if (room)
        file->ahead_threads--;
    ahead->running = FALSE;
    gboolean dropped = ahead_is_dropped(ahead);
    g_cond_broadcast(&file->changed);
    g_mutex_unlock(&file->lock);
    if (dropped)
        ahead_delete(files, ahead);
    if (room)
        open_file_unref(file);
}

/* ---- Ending ---- */

void upload_ahead_drop(OpenFile *file)
{
    g_mutex_lock(&file->lock);
    UploadAhead *ahead = g_steal_pointer(&file->ahead);
    if (ahead)
        g_atomic_int_set(&ahead->stop, TRUE);
    gboolean running = ahead && (ahead->running || ahead->making);
    if (ahead && file->released > 0)
        ahead->keep = TRUE; /* it goes on as the file's base */
    g_cond_broadcast(&file->changed);
    g_mutex_unlock(&file->lock);
    if (ahead && !running)
        ahead_delete(file->files, ahead);
}

void upload_ahead_forget(OpenFile *file)
{
    upload_ahead_drop(file);
    /* An APPE that the server begins after the DELE would make the name anew. A dropped one ends at once. */
    Bound bound = bound_seconds(DROPPED_SECONDS);
    int error = 0;
    g_mutex_lock(&file->lock);
    while (error == 0 && file->ahead_threads > 0)
        error = bound_wait(&bound, &file->changed, &file->lock);
    g_autofree char *base_path = g_steal_pointer(&file->base_path);
    file->released = 0;
    g_mutex_unlock(&file->lock);
    if (base_path && file_upload_delete(file->files, base_path))
        private_names_done(tree_names(file->files->tree), base_path);
}

static void move_path(OpenFile *file, char **path, const char *from, const char *to)
{
    gsize length = strlen(from);
    if (!*path || strncmp(*path, from, length) != 0 || (*path)[length] != '/')
        return;
    g_autofree char *old = *path;
    *path = g_strconcat(to, old + length, NULL);
    private_names_move(tree_names(file->files->tree), old, *path);
}

void upload_ahead_moved(OpenFile *file, const char *from, const char *to)
{
    if (file->ahead)
        move_path(file, &file->ahead->path, from, to);
    move_path(file, &file->base_path, from, to);
}

/* Waits until nothing of it is under way. With the lock held. */
static int ahead_settle(OpenFile *file, const Bound *bound)
{
    int error = 0;
    while (error == 0 && file->ahead && (file->ahead->running || file->ahead->making))
        error = bound_wait(bound, &file->changed, &file->lock);
    return error;
}

int upload_ahead_finish(OpenFile *file, SpoolFile *spool, const Bound *bound, gint64 size, char **ret_path)
{
    g_mutex_lock(&file->lock);
    UploadAhead *ahead = file->ahead;
    if (!ahead) {
        g_mutex_unlock(&file->lock);
        return -EAGAIN;
    }
    if (ahead->spool != spool || ahead->sent > size)
        ahead->broken = TRUE;
    ahead->end = size;
    g_cond_broadcast(&file->changed);
    int error = ahead_settle(file, bound);
    if (error < 0) {
        ahead->end = -1;
        g_mutex_unlock(&file->lock);
        return error;
    }
    gboolean good = !ahead->broken && ahead->error == 0 && ahead->acked <= size;
    gboolean rest =
        good && ahead->acked < size && (ahead->acked == 0 || !g_atomic_int_get(&file->files->append_refused));
    ahead->running = rest;
    g_mutex_unlock(&file->lock);
    if (rest)
        ahead_run(ahead, bound);

    g_mutex_lock(&file->lock);
    error = ahead->error;
    good = !ahead->broken && error == 0 && ahead->acked == size && size > 0;
    if (good) {
        *ret_path = g_steal_pointer(&ahead->path);
        file->ahead = NULL;
    }
    g_mutex_unlock(&file->lock);
    if (good) {
        ahead_free(ahead);
        return 0;
    }
    upload_ahead_drop(file);
    if (bound_check(bound) < 0)
        return bound_check(bound);
    return error == -ENOSPC || error == -EDQUOT ? error : -EAGAIN;
}

/* ---- Making room ---- */

/* The spool forgets what the server has. With the lock held; returns the reader to be given back. */
static BaseReader *ahead_release(OpenFile *file, UploadAhead *ahead)
{
    BaseReader *reader = NULL;
    if (spool_file_release(ahead->spool, ahead->acked) < 0)
        return NULL;
    if (!file->base_path)
        file->base_path = g_strdup(ahead->path);
    reader = g_steal_pointer(&file->reader);
    gint64 room = MIN(ahead->acked - file->released, file->reserved);
    spool_reserve(file->files->spool, -room);
    file->reserved -= room;
    file->released = ahead->acked;
    return reader;
}

/* One more piece, of all that there is; then what the server has is forgotten. Nothing else is under way. */
static int ahead_make_room(OpenFile *file, UploadAhead *ahead, const Bound *bound)
{
    BaseReader *reader = NULL;
    g_mutex_lock(&file->lock);
    gint64 until = written_until(ahead, ahead->acked);
    gboolean more = ahead->acked == file->released && until > ahead->acked &&
                    (ahead->acked == 0 || !g_atomic_int_get(&file->files->append_refused));
    ahead->end = more ? until : -1;
    g_mutex_unlock(&file->lock);
    if (more)
        ahead_run(ahead, bound); /* says at its end that nothing runs; `making` still holds others off */

    g_mutex_lock(&file->lock);
    ahead->end = -1;
    gboolean good = ahead->error == 0 && !ahead->broken && ahead->acked > file->released &&
                    spool_file_base_size(ahead->spool) <= ahead->acked && !ahead_is_dropped(ahead);
    gint64 acked = ahead->acked;
    g_mutex_unlock(&file->lock);
    if (!good)
        return bound_check(bound) < 0 ? bound_check(bound) : -ENOSPC;
    if (file_upload_check(file->files, bound, ahead->path, acked) < 0)
        return -ENOSPC;

    g_mutex_lock(&file->lock);
    gint64 before = file->released;
    if (!ahead->broken && file->spool == ahead->spool)
        reader = ahead_release(file, ahead);
    gboolean made = file->released > before;
    g_mutex_unlock(&file->lock);
    base_reader_unref(reader);
    return made ? 0 : -ENOSPC;
}

int upload_ahead_make_room(OpenFile *file, const Bound *bound)
{
    g_mutex_lock(&file->lock);
    if (file->ahead && file->ahead->making) { /* somebody else does */
        int waited = ahead_settle(file, bound);
        g_mutex_unlock(&file->lock);
        return waited;
    }
    if (!file->ahead && ahead_may_begin(file))
        file->ahead = ahead_new(file);
    UploadAhead *ahead = file->ahead;
    if (!ahead || ahead->broken || ahead->error < 0 || ahead->end >= 0 || ahead->spool != file->spool) {
        g_mutex_unlock(&file->lock);
        return -ENOSPC;
    }
    ahead->making = TRUE;
    ahead->cut = TRUE;
    g_cond_broadcast(&file->changed);
    int error = 0;
    while (error == 0 && ahead->running)
        error = bound_wait(bound, &file->changed, &file->lock);
    g_mutex_unlock(&file->lock);
    if (error == 0)
        error = ahead_make_room(file, ahead, bound);

    g_mutex_lock(&file->lock);
    ahead->making = FALSE;
    gboolean dropped = ahead_is_dropped(ahead) && !ahead->running;
    g_cond_broadcast(&file->changed);
    g_mutex_unlock(&file->lock);
    if (dropped)
        ahead_delete(file->files, ahead);
    return error;
}
