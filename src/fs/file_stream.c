/* SPDX-License-Identifier: MIT */
/*
 * The life of a stream
 *
 * Its thread runs ftp_client_retrieve() again and again, each time from where the last one stopped, until the file's
 * end is proven, until trying again is of no use, or until it is told to stop. The end is proven when as many bytes
 * came as the file is known to have; or when the server says "complete" twice at the same place and a look at its size
 * says the same. An end that is not proven is an error, never a short read.
 *
 * A stream holds a session of the pool as long as it runs. It gives it back early in three cases:
 *   - It is `random`, its first window is in, and no other read has come here: a read somewhere in a file asks for a
 *     little, and the session is of more use elsewhere. The first read that follows makes the stream sequential.
 *   - Somebody else wants the session and no read is under way here. A read that is under way is answered first, with a
 *     limit (FAIR_BYTES) so that many reads in a row can't hold the session for ever; but never before the read that
 *     the stream was opened for has all its bytes, so that with one connection two readers both go on.
 *   - The reader closes it.
 * In each the transfer is cut politely, what is in the window stays readable, and the reader opens another stream
 * where reading goes on.
 *
 * The window grows with the run: twice of what was read in sequence so far, at most read_ahead. So the bytes that are
 * fetched in vain are never many more than those that were of use.
 *
 * A stream that is `ahead` fetches a part of the file that reading will come to, beside the stream that is read. Nobody
 * waits for it: it takes only what is to spare, logs in one more session where there may be one, and ends at the first
 * trouble. What it has by then is good, and the reader opens another stream for the rest. Once it is read it is a
 * stream like any other.
 */
#include "file_stream.h"

#include <errno.h>

#define WINDOW_RANDOM  ((gsize)64 * 1024)
#define WINDOW_FIRST   ((gsize)384 * 1024)
#define KEEP           ((gsize)512 * 1024) /* behind the furthest read: the kernel's read-ahead comes out of order */
#define AHEAD          ((gsize)256 * 1024) /* a read so far beyond the end of the window waits */
#define PIECE          ((gsize)64 * 1024)
#define FAIR_BYTES     (512 * 1024)
#define POLITE         G_USEC_PER_SEC /* a cut may take so long before the transfer is aborted */
#define BACK_OFF_FIRST (G_USEC_PER_SEC / 5)
#define BACK_OFF_MOST  G_USEC_PER_SEC /* the client has a back-off of its own while the server is away */
#define STREAM_STOPPED 1

struct FileStream {
    gint refs; /* atomic */
    FileStreamConfig config;
    gint64 first_end;  /* of the read that it was opened for */
    gint64 random_end; /* where a random stream ends when no other read comes */
    BlockBuffer *buffer;

    GMutex lock;
    GCond wake; /* it is to stop */
    /* lock guards all up to the next comment */
    RemotePath *path;
    FtpTransfer *transfer; /* NULL between two tries */
    gboolean random;
    gboolean stopped;
    gint64 closed_at; /* µs; when it was told to stop; 0: never */
    gint64 furthest;  /* end of the furthest read */
    gint64 limit;     /* where the next stream begins */
    gboolean read;    /* some read has begun */
    gsize capacity;
    guint users;
    gint64 used_at;

    /* of the thread only */
    gint64 position;    /* of the next byte that goes into the buffer */
    gint64 wanted_from; /* position at which the session was found wanted; -1 */
};

FileStream *file_stream_ref(FileStream *stream)
{
    g_atomic_int_inc(&stream->refs);
    return stream;
}

void file_stream_unref(FileStream *stream)
{
    if (!stream || !g_atomic_int_dec_and_test(&stream->refs))
        return;
    block_buffer_unref(stream->buffer);
    remote_path_unref(stream->path);
    g_mutex_clear(&stream->lock);
    g_cond_clear(&stream->wake);
    g_free(stream);
}

/* ---- Stopping ---- */

static gboolean file_stream_is_stopped(FileStream *stream)
{
    g_mutex_lock(&stream->lock);
    gboolean stopped = stream->stopped;
    g_mutex_unlock(&stream->lock);
    return stopped;
}

/* With the lock held; returns the transfer to be cut after it was given back. */
static FtpTransfer *file_stream_mark_stopped(FileStream *stream)
{
    stream->stopped = TRUE;
    if (stream->closed_at == 0)
        stream->closed_at = g_get_monotonic_time();
    g_cond_broadcast(&stream->wake);
    block_buffer_stop(stream->buffer);
    return stream->transfer ? ftp_transfer_ref(stream->transfer) : NULL;
}

void file_stream_close(FileStream *stream)
{
    g_mutex_lock(&stream->lock);
    g_autoptr(FtpTransfer) transfer = file_stream_mark_stopped(stream);
    g_mutex_unlock(&stream->lock);
    if (transfer)
        ftp_transfer_cut(transfer);
}

/* Somebody wants the session: it is given up when no read is under way. */
static void file_stream_yield(FileStream *stream)
{
    g_autoptr(FtpTransfer) transfer = NULL;
    g_mutex_lock(&stream->lock);
    if (stream->users == 0 && !stream->stopped)
        transfer = file_stream_mark_stopped(stream);
    g_mutex_unlock(&stream->lock);
    if (transfer)
        ftp_transfer_cut(transfer);
}

static void file_stream_on_wanted(gpointer data)
{
    file_stream_yield(data);
}

static gboolean file_stream_interrupted(gpointer data)
{
    FileStream *stream = data;
    g_mutex_lock(&stream->lock);
    gboolean over = stream->stopped && g_get_monotonic_time() >= stream->closed_at + POLITE;
    g_mutex_unlock(&stream->lock);
    return over;
}

/* ---- The thread ---- */

/* TRUE when the session has better things to do; see the top. */
static gboolean file_stream_enough(FileStream *stream)
{
    FtpTransfer *transfer = stream->transfer; /* this thread set it */
    gboolean wanted = ftp_transfer_wanted(transfer);
    if (!wanted)
        stream->wanted_from = -1;
    else if (stream->wanted_from < 0)
        stream->wanted_from = stream->position;

    g_mutex_lock(&stream->lock);
    gboolean enough = stream->stopped;
    if (stream->random && stream->position >= stream->random_end)
        enough = TRUE;
    if (stream->position >= stream->limit)
        enough = TRUE;
    if (wanted && stream->users == 0)
        enough = TRUE;
    if (wanted && stream->position >= MAX(stream->first_end, stream->wanted_from + FAIR_BYTES))
        enough = TRUE;
    if (enough) {
        FtpTransfer *unused = file_stream_mark_stopped(stream);
        ftp_transfer_unref(unused);
    }
    g_mutex_unlock(&stream->lock);
    return enough;
}

static int file_stream_sink(const void *bytes, gsize size, gpointer data)
{
    FileStream *stream = data;
    const char *from = bytes;
    while (size > 0) {
        gsize n = MIN(size, PIECE);
        if (stream->config.size >= 0)
            n = MIN((gint64)n, stream->config.size - stream->position);
        if (n == 0)
            return 1; /* the file has grown; nobody asks for what lies beyond the size that is known */
        if (block_buffer_put(stream->buffer, from, n) < 0)
            return 1;
        stream->position += n;
        from += n;
        size -= n;
        if (file_stream_enough(stream) && stream->position != stream->config.size)
            return 1;
    }
    return 0;
}

gboolean file_stream_is_ahead(FileStream *stream)
{
    g_mutex_lock(&stream->lock);
    gboolean ahead = stream->config.ahead && !stream->read;
    g_mutex_unlock(&stream->lock);
    return ahead;
}

static int file_stream_retrieve(FileStream *stream, FtpPriority priority, FtpRetrieved *ret)
{
    FtpTransfer *transfer = ftp_transfer_new();
    ftp_transfer_set_wanted_func(transfer, file_stream_on_wanted, stream);

    g_mutex_lock(&stream->lock);
    stream->transfer = transfer;
    gboolean stopped = stream->stopped;
    g_autoptr(RemotePath) path = remote_path_ref(stream->path);
    g_mutex_unlock(&stream->lock);

    Bound bound = {.deadline = G_MAXINT64, .interrupted = file_stream_interrupted, .data = stream};
    FtpCall call = {.bound = &bound, .priority = priority};
    stream->wanted_from = -1;
    int error = -ECANCELED;
    if (!stopped)
        error = ftp_client_retrieve(stream->config.client, &call, path, stream->position, transfer, file_stream_sink,
                                    stream, ret);

    g_mutex_lock(&stream->lock);
    stream->transfer = NULL;
    g_mutex_unlock(&stream->lock);
    ftp_transfer_set_wanted_func(transfer, NULL, NULL);
    ftp_transfer_unref(transfer);
    return error;
}

/* The server says "complete" before the known size: 0 when a look says that the file is not longer than that now. */
static int file_stream_prove_end(FileStream *stream)
{
    g_mutex_lock(&stream->lock);
    g_autoptr(RemotePath) path = remote_path_ref(stream->path);
    g_mutex_unlock(&stream->lock);

    Bound bound = {.deadline = G_MAXINT64, .interrupted = file_stream_interrupted, .data = stream};
    FtpCall call = {.bound = &bound, .priority = FTP_PRIORITY_TRANSFER};
    FtpAttr attr = {0};
    int error = ftp_client_size_and_time(stream->config.client, &call, path, &attr);
    if (error < 0 || !(attr.has & FTP_HAS_SIZE))
        error = ftp_client_stat(stream->config.client, &call, path, &attr, NULL);
    if (error < 0 && error != -EOPNOTSUPP)
        return error;
    return error == 0 && (attr.has & FTP_HAS_SIZE) && attr.size == stream->position ? 0 : -EIO;
}

static gboolean is_permanent(int error)
{
    switch (error) {
    case -ENOENT:
    case -EACCES:
    case -EPERM:
    case -EREMOTEIO:
    case -ENETUNREACH: /* no data connection can be made here */
    case -EOPNOTSUPP:
    case -EINVAL:
    case -EILSEQ:
        return TRUE;
    default:
        return FALSE;
    }
}

static void file_stream_back_off(FileStream *stream, guint tries)
{
    gint64 pause = MIN(BACK_OFF_FIRST << MIN(tries, 10), BACK_OFF_MOST);
    gint64 until = g_get_monotonic_time() + pause;
    g_mutex_lock(&stream->lock);
    while (!stream->stopped && g_cond_wait_until(&stream->wake, &stream->lock, until))
        ;
    g_mutex_unlock(&stream->lock);
}

/* A stream that is ahead ends when its try has failed, unless a read waits for it by now. */
static gboolean file_stream_give_up(FileStream *stream)
{
    g_mutex_lock(&stream->lock);
    gboolean give_up = stream->config.ahead && !stream->read;
    if (give_up)
        stream->stopped = TRUE;
    g_mutex_unlock(&stream->lock);
    return give_up;
}

/* The one try of a stream that is ahead. */
static int file_stream_try_ahead(FileStream *stream, FtpRetrieved *ret)
{
    int error = file_stream_retrieve(stream, FTP_PRIORITY_AHEAD, ret);
    if (error != -EBUSY)
        return error;
    Bound bound = {.deadline = G_MAXINT64, .interrupted = file_stream_interrupted, .data = stream};
    error = ftp_client_open_ahead(stream->config.client, &bound);
    return error < 0 ? error : file_stream_retrieve(stream, FTP_PRIORITY_AHEAD, ret);
}

/* Returns 0 at the end of the file, -errno, or STREAM_STOPPED. */
static int file_stream_fetch(FileStream *stream)
{
    gint64 progress_at = g_get_monotonic_time();
    guint tries = 0;
    gboolean ended_once = FALSE; /* the server said "complete" at `position`, before the known size */

    while (TRUE) {
        FtpRetrieved got = {0};
        gint64 before = stream->position;
        gboolean ahead = file_stream_is_ahead(stream);
        int error =
            ahead ? file_stream_try_ahead(stream, &got) : file_stream_retrieve(stream, FTP_PRIORITY_TRANSFER, &got);
        if (stream->position == stream->config.size)
            return 0;
        if (file_stream_is_stopped(stream) || file_stream_give_up(stream))
            return STREAM_STOPPED;
        if (ahead)
            continue; /* a read has come meanwhile */
        if (stream->position > before) {
            progress_at = g_get_monotonic_time();
            tries = 0;
            ended_once = FALSE;
        }
        if (error == 0 && got.complete) {
            if (stream->config.size < 0)
                return 0;
            if (ended_once)
                return file_stream_prove_end(stream);
            ended_once = TRUE;
            continue;
        }
        if (is_permanent(error))
            return ended_once ? file_stream_prove_end(stream) : error;
        if (stream->position == before) {
            if (g_get_monotonic_time() - progress_at >= (gint64)stream->config.retry * G_USEC_PER_SEC ||
                (error < 0 && ftp_client_is_away(stream->config.client)))
                return error < 0 ? error : -EIO;
            file_stream_back_off(stream, tries++);
        }
        if (file_stream_is_stopped(stream))
            return STREAM_STOPPED;
    }
}

static gpointer file_stream_thread(gpointer data)
{
    FileStream *stream = data;
    int result = file_stream_fetch(stream);
    if (result == STREAM_STOPPED)
        block_buffer_stop(stream->buffer);
    else
        block_buffer_end(stream->buffer, result);
    stream->config.ended(stream, stream->config.data);
    file_stream_unref(stream);
    return NULL;
}

int file_stream_open(const FileStreamConfig *config, const RemotePath *path, FileStream **ret)
{
    FileStream *stream = g_new0(FileStream, 1);
    stream->refs = 1;
    g_mutex_init(&stream->lock);
    g_cond_init(&stream->wake);
    stream->config = *config;
    stream->path = remote_path_ref((RemotePath *)path);
    stream->position = config->offset;
    stream->first_end = config->offset + (gint64)config->first;
    stream->furthest = config->offset;
    stream->random = config->random;
    gsize window = (config->first + WINDOW_RANDOM - 1) / WINDOW_RANDOM * WINDOW_RANDOM;
    stream->random_end = config->offset + (gint64)window;
    stream->capacity = config->ahead    ? config->window + KEEP
                       : config->random ? window + KEEP
                                        : MIN(WINDOW_FIRST, MAX(config->read_ahead, WINDOW_RANDOM));
    stream->buffer = block_buffer_new(config->offset, stream->capacity, config->whole ? config->window : KEEP);
    stream->limit = G_MAXINT64;
    if (!config->ahead)
        file_stream_begin(stream, config->offset, config->first);

    g_autoptr(GError) error = NULL;
    file_stream_ref(stream);
    GThread *thread = g_thread_try_new("ftpfs-stream", file_stream_thread, stream, &error);
    if (!thread) {
        file_stream_unref(stream);
        file_stream_unref(stream);
        return -EAGAIN;
    }
    g_thread_unref(thread);
    *ret = stream;
    return 0;
}

void file_stream_set_path(FileStream *stream, const RemotePath *path)
{
    g_mutex_lock(&stream->lock);
    RemotePath *old = stream->path;
    stream->path = remote_path_ref((RemotePath *)path);
    g_mutex_unlock(&stream->lock);
    remote_path_unref(old);
}

/* ---- Reading ---- */

gboolean file_stream_reaches(FileStream *stream, gint64 offset)
{
    g_mutex_lock(&stream->lock);
    gsize ahead = stream->random ? WINDOW_RANDOM : AHEAD;
    gboolean beyond = offset >= stream->limit;
    g_mutex_unlock(&stream->lock);
    return !beyond && block_buffer_reaches(stream->buffer, offset, ahead);
}

gboolean file_stream_continues(FileStream *stream, gint64 offset, gint64 *ret_run_start)
{
    gint64 start, end;
    block_buffer_window(stream->buffer, &start, &end);
    if (offset < start || offset > end + (gint64)AHEAD)
        return FALSE;
    *ret_run_start = stream->config.run_start;
    return TRUE;
}

void file_stream_begin(FileStream *stream, gint64 offset, gsize size)
{
    gint64 end = offset + (gint64)size;
    g_mutex_lock(&stream->lock);
    stream->users++;
    stream->read = TRUE;
    stream->furthest = MAX(stream->furthest, end);
    if (end > stream->first_end)
        stream->random = FALSE;
    if (!stream->random) {
        gsize run = stream->furthest - stream->config.run_start;
        gsize capacity = MIN(2 * run + KEEP, stream->config.read_ahead);
        if (capacity > stream->capacity) {
            stream->capacity = capacity;
            block_buffer_set_capacity(stream->buffer, capacity);
        }
    }
    g_mutex_unlock(&stream->lock);
}

static void file_stream_finish(FileStream *stream)
{
    g_autoptr(FtpTransfer) transfer = NULL;
    g_mutex_lock(&stream->lock);
    stream->users--;
    stream->used_at = g_get_monotonic_time();
    if (stream->users == 0 && stream->transfer)
        transfer = ftp_transfer_ref(stream->transfer);
    g_mutex_unlock(&stream->lock);
    if (transfer && ftp_transfer_wanted(transfer))
        file_stream_yield(stream);
}

gssize file_stream_read(FileStream *stream, const Bound *bound, void *bytes, gsize size, gint64 offset,
                        gboolean *ret_end)
{
    gboolean end = FALSE;
    gssize n = block_buffer_get(stream->buffer, offset, bytes, size, bound);
    if (n == -ENODATA) {
        /* cut: what is left in the window is good */
        gint64 from, to;
        block_buffer_window(stream->buffer, &from, &to);
        if (offset >= from && offset < to)
            n = block_buffer_get(stream->buffer, offset, bytes, MIN((gint64)size, to - offset), bound);
    } else if (n < 0) {
        end = block_buffer_ended(stream->buffer);
    } else {
        end = (gsize)n < size;
    }
    file_stream_finish(stream);
    *ret_end = end;
    return n;
}

void file_stream_set_limit(FileStream *stream, gint64 limit)
{
    g_autoptr(FtpTransfer) transfer = NULL;
    gint64 start, end;
    g_mutex_lock(&stream->lock);
    stream->limit = limit;
    block_buffer_window(stream->buffer, &start, &end);
    if (end >= limit && !stream->stopped)
        transfer = file_stream_mark_stopped(stream);
    g_mutex_unlock(&stream->lock);
    if (transfer)
        ftp_transfer_cut(transfer);
}

gint64 file_stream_limit(FileStream *stream)
{
    g_mutex_lock(&stream->lock);
    gint64 limit = stream->limit;
    g_mutex_unlock(&stream->lock);
    return limit;
}

gboolean file_stream_is_whole(FileStream *stream)
{
    return stream->config.whole && (!file_stream_is_over(stream) || file_stream_end(stream) == stream->config.size);
}

gint64 file_stream_offset(const FileStream *stream)
{
    return stream->config.offset;
}

gint64 file_stream_end(FileStream *stream)
{
    gint64 start, end;
    block_buffer_window(stream->buffer, &start, &end);
    return end;
}

gint64 file_stream_run(FileStream *stream)
{
    g_mutex_lock(&stream->lock);
    gint64 run = stream->random ? 0 : stream->furthest - stream->config.run_start;
    g_mutex_unlock(&stream->lock);
    return run;
}

gboolean file_stream_is_over(FileStream *stream)
{
    return block_buffer_ended(stream->buffer);
}

guint file_stream_users(FileStream *stream)
{
    g_mutex_lock(&stream->lock);
    guint users = stream->users;
    g_mutex_unlock(&stream->lock);
    return users;
}

gint64 file_stream_used_at(FileStream *stream)
{
    g_mutex_lock(&stream->lock);
    gint64 used_at = stream->used_at;
    g_mutex_unlock(&stream->lock);
    return used_at;
}
