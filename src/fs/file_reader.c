/* SPDX-License-Identifier: MIT */
/*
 * A reader keeps a list of at most `streams` streams, running or ended: an ended one holds no session, but what is
 * in its window still answers reads. The least recently used one that no read is using makes room for a new one.
 *
 * A read takes its bytes from the first stream that reaches its offset and, where that stream was cut, goes on with
 * another one. A stream can lose what a read wants only between the moment when the read chose it and the moment when
 * it asks the buffer; a read to which that happens again and again gets a stream of its own that no other read joins.
 *
 * Several streams for one reader. Where reads go forward, wait most of the time, and there is much left, another stream
 * is opened a segment further on, ahead of the reading, on a session that is to spare; and one more behind that, up to
 * `streams`. Each ends where the next begins (its limit), so they form a chain, whose last one has no limit. When
 * reading has come to the end of a stream, it goes on in the next, whose segment is in by then or nearly so, and the
 * session that has become free takes the segment at the end of the chain. A stream ahead that could not be had lets the
 * one before it go on. read_pace says when.
 *
 * A small file in which somebody reads here and there is fetched whole, by a stream ahead that begins at its start.
 *
 * A read that has waited for a server that is away, and failed, is asked again by the kernel at once, page by page.
 * Such reads get the same error without waiting anew (`failed_until`).
 *
 * Threads are not joined: they count themselves out (`running`) when they no longer use the client, and hold a
 * reference, so that file_reader_free() waits for the network at most as long as a cut takes. The references are an
 * atomic integer and not a GRefCount so that ThreadSanitizer sees them.
 */
#include "fs/file_reader.h"

#include "file_stream.h"
#include "read_pace.h"

#include <errno.h>

#define FAILED_AFTER  G_USEC_PER_SEC            /* a read that waited so long before it failed ... */
#define FAILED_FOR    G_USEC_PER_SEC            /* ... makes those fail that begin within this time */
#define SEGMENT       2                         /* times read_ahead is what a stream fetches ahead of the reading */
#define SEGMENT_LEAST ((gint64)2 * 1024 * 1024) /* less than that is left to the stream that is there */
#define RUN_LEAST     ((gint64)256 * 1024)      /* bytes in sequence before a second stream */
#define REFUSED_FOR   (5 * G_USEC_PER_SEC)      /* after a stream ahead got nothing, none is tried again so long */
#define ALONE_FOR     60                        /* seconds: what was learned of several streams counts so long */
#define WHOLE_MOST    ((gint64)4 * 1024 * 1024) /* a file of this size is fetched whole ... */
#define WHOLE_AFTER   2                         /* ... at its second read somewhere */
#define BEHIND        ((gint64)1024 * 1024)     /* a read may come so late: windows that lie further back are dropped */
#define ROUNDS_SHARED 3 /* tries on shared streams without a byte before a read gets one of its own */

struct FileReader {
    gint refs; /* atomic */
    FtpClient *client;
    FileReaderConfig config;
    gint64 size;

    GMutex lock;
    GCond changed; /* a stream ended, or a read did */
    /* lock guards all below */
    RemotePath *path;
    GPtrArray *streams;  /* FileStream */
    guint running;       /* threads */
    int failed;          /* -errno of a read that had waited */
    gint64 failed_until; /* µs, monotonic: until then other reads get the same */
    ReadPace pace;
    gint64 refused_until; /* µs, monotonic: until then no stream ahead is tried */
    gboolean told;        /* to the other readers, that several streams are no faster */
    guint elsewhere;      /* streams that were opened for reads here and there */
};

static void file_reader_unref(FileReader *reader)
{
    if (!g_atomic_int_dec_and_test(&reader->refs))
        return;
    g_ptr_array_unref(reader->streams);
    remote_path_unref(reader->path);
    g_mutex_clear(&reader->lock);
    g_cond_clear(&reader->changed);
    g_free(reader);
}

FileReader *file_reader_new(FtpClient *client, const RemotePath *path, gint64 size, const FileReaderConfig *config)
{
    FileReader *reader = g_new0(FileReader, 1);
    reader->refs = 1;
    reader->client = client;
    reader->config = *config;
    reader->config.streams = MAX(config->streams, 1);
    reader->size = size;
    reader->path = remote_path_ref((RemotePath *)path);
    reader->streams = g_ptr_array_new_with_free_func((GDestroyNotify)file_stream_unref);
    g_mutex_init(&reader->lock);
    g_cond_init(&reader->changed);
    return reader;
}

void file_reader_free(FileReader *reader)
{
    if (!reader)
        return;
    g_mutex_lock(&reader->lock);
    for (guint i = 0; i < reader->streams->len; i++)
        file_stream_close(reader->streams->pdata[i]);
    while (reader->running > 0)
        g_cond_wait(&reader->changed, &reader->lock);
    g_mutex_unlock(&reader->lock);
    file_reader_unref(reader);
}

void file_reader_set_path(FileReader *reader, const RemotePath *path)
{
    g_mutex_lock(&reader->lock);
    RemotePath *old = reader->path;
    reader->path = remote_path_ref((RemotePath *)path);
    for (guint i = 0; i < reader->streams->len; i++)
        file_stream_set_path(reader->streams->pdata[i], path);
    g_mutex_unlock(&reader->lock);
    remote_path_unref(old);
}

/* The stream that begins where this one is to end, and the other way round. With the lock held. */
static FileStream *file_reader_next(FileReader *reader, FileStream *stream)
{
    gint64 limit = file_stream_limit(stream);
    for (guint i = 0; i < reader->streams->len; i++) {
        if (file_stream_offset(reader->streams->pdata[i]) == limit)
            return reader->streams->pdata[i];
    }
    return NULL;
}

static FileStream *file_reader_previous(FileReader *reader, FileStream *stream)
{
    for (guint i = 0; i < reader->streams->len; i++) {
        if (file_stream_limit(reader->streams->pdata[i]) == file_stream_offset(stream))
            return reader->streams->pdata[i];
    }
    return NULL;
}

/* A stream ahead that got nothing leaves the chain. With the lock held. */
static void file_reader_unchain(FileReader *reader, FileStream *stream)
{
    FileStream *previous = file_reader_previous(reader, stream);
    if (previous)
        file_stream_set_limit(previous, file_stream_limit(stream));
    reader->refused_until = g_get_monotonic_time() + REFUSED_FOR;
    g_ptr_array_remove(reader->streams, stream);
}

/* On a stream's thread, the last thing but one that it does. */
static void file_reader_on_ended(FileStream *stream, gpointer data)
{
    FileReader *reader = data;
    g_mutex_lock(&reader->lock);
    reader->running--;
    if (file_stream_is_ahead(stream) && file_stream_end(stream) == file_stream_offset(stream))
        file_reader_unchain(reader, stream);
    g_cond_broadcast(&reader->changed);
    g_mutex_unlock(&reader->lock);
    file_reader_unref(reader);
}

/* ---- With the lock held ---- */

static FileStream *file_reader_find(FileReader *reader, gint64 offset)
{
    for (guint i = reader->streams->len; i > 0; i--) {
        FileStream *stream = reader->streams->pdata[i - 1];
        if (file_stream_reaches(stream, offset))
            return stream;
    }
    return NULL;
}

/* Makes room for one more stream; FALSE when all are in use. */
static gboolean file_reader_make_room(FileReader *reader)
{
    if (reader->running >= 2 * reader->config.streams)
        return FALSE; /* cut ones that have not ended yet count, too */
    if (reader->streams->len < reader->config.streams)
        return TRUE;

    FileStream *oldest = NULL;
    for (guint i = 0; i < reader->streams->len; i++) {
        FileStream *stream = reader->streams->pdata[i];
        if (file_stream_users(stream) == 0 && !file_stream_is_whole(stream) &&
            (!oldest || file_stream_used_at(stream) < file_stream_used_at(oldest)))
            oldest = stream;
    }
    if (!oldest)
        return FALSE;
    file_stream_close(oldest);
    g_ptr_array_remove(reader->streams, oldest);
    return TRUE;
}

/* Starts the stream's thread; fills in what is the same for all streams. With the lock held. */
static int file_reader_start(FileReader *reader, FileStreamConfig *config, gboolean shared, FileStream **ret)
{
    config->client = reader->client;
    config->size = reader->size;
    config->read_ahead = reader->config.read_ahead;
    config->retry = reader->config.retry;
    config->ended = file_reader_on_ended;
    config->data = reader;
    g_atomic_int_inc(&reader->refs);
    reader->running++;
    int error = file_stream_open(config, reader->path, ret);
    if (error < 0) {
        reader->running--;
        g_atomic_int_add(&reader->refs, -1); /* never the last one: the caller's is left */
        return error;
    }
    if (shared)
        g_ptr_array_add(reader->streams, file_stream_ref(*ret));
    return 0;
}

/* Opens a stream that nobody waits for, when there may be one more. With the lock held. */
static gboolean file_reader_start_ahead(FileReader *reader, gint64 offset, gint64 run_start, gsize window,
                                        gboolean whole)
{
    if (reader->running >= reader->config.streams || reader->streams->len >= reader->config.streams ||
        g_get_monotonic_time() < reader->refused_until)
        return FALSE;
    FileStreamConfig config = {
        .offset = offset,
        .run_start = run_start,
        .ahead = TRUE,
        .window = window,
        .whole = whole,
    };
    g_autoptr(FileStream) stream = NULL;
    return file_reader_start(reader, &config, TRUE, &stream) == 0;
}

/* Makes the chain of streams from this one, which is read, on longer where that helps. With the lock held. */
static void file_reader_look_ahead(FileReader *reader, FileStream *stream)
{
    gint64 run = file_stream_run(stream);
    gint seconds = (gint)(g_get_monotonic_time() / G_USEC_PER_SEC);
    if (reader->pace.useless && !reader->told) {
        reader->told = TRUE;
        g_atomic_int_set(&reader->config.shared->alone_until, seconds + ALONE_FOR);
    }
    if (reader->size < 0 || run < RUN_LEAST || !read_pace_wants_stream(&reader->pace) ||
        seconds < g_atomic_int_get(&reader->config.shared->alone_until))
        return;
    gint64 segment = SEGMENT * (gint64)reader->config.read_ahead;
    FileStream *tail = stream, *next;
    while ((next = file_reader_next(reader, tail)) != NULL)
        tail = next; /* each lies behind the one before it */
    gint64 end = file_stream_end(tail);
    gint64 start = tail == stream ? end + segment : MAX(end, file_stream_offset(tail) + segment);
    if (reader->size - start < SEGMENT_LEAST)
        return;
    if (file_reader_start_ahead(reader, start, file_stream_offset(stream), (gsize)segment, FALSE))
        file_stream_set_limit(tail, start);
}

/* Streams of the chain that reading has left behind. With the lock held. */
static void file_reader_retire(FileReader *reader, gint64 offset)
{
    for (guint i = reader->streams->len; i > 0; i--) {
        FileStream *stream = reader->streams->pdata[i - 1];
        gint64 limit = file_stream_limit(stream);
        if (limit != G_MAXINT64 && file_stream_users(stream) == 0 && limit < offset && offset - limit >= BEHIND &&
            file_stream_is_over(stream))
            g_ptr_array_remove_index(reader->streams, i - 1);
    }
}

static int file_reader_open_stream(FileReader *reader, gint64 offset, gsize size, gboolean shared, FileStream **ret)
{
    FileStreamConfig config = {
        .offset = offset,
        .run_start = offset,
        .first = size,
        .random = offset != 0,
    };
    for (guint i = 0; i < reader->streams->len && config.random; i++)
        config.random = !file_stream_continues(reader->streams->pdata[i], offset, &config.run_start);

    int error = file_reader_start(reader, &config, shared, ret);
    if (error == 0 && config.random && ++reader->elsewhere == WHOLE_AFTER && reader->size > 0 &&
        reader->size <= WHOLE_MOST)
        file_reader_start_ahead(reader, 0, 0, (gsize)reader->size, TRUE);
    return error;
}

/* A stream for a read at `offset`, begun; waits while all are in use. The caller unrefs it. */
static int file_reader_take(FileReader *reader, const Bound *bound, gint64 offset, gsize size, gboolean shared,
                            FileStream **ret)
{
    while (TRUE) {
        FileStream *stream = shared ? file_reader_find(reader, offset) : NULL;
        if (stream) {
            file_stream_begin(stream, offset, size);
            *ret = file_stream_ref(stream);
            return 0;
        }
        if (g_get_monotonic_time() < reader->failed_until)
            return reader->failed;
        if (file_reader_make_room(reader))
            return file_reader_open_stream(reader, offset, size, shared, ret);
        int error = bound_wait(bound, &reader->changed, &reader->lock);
        if (error < 0)
            return error;
    }
}

/* ---- Reading ---- */

/* One step of a read: some bytes of it, 0 at the end of the file, or -ENODATA: nothing came, try again. */
static gssize file_reader_step(FileReader *reader, const Bound *bound, void *bytes, gsize size, gint64 offset,
                               gboolean shared, gboolean *ret_end)
{
    g_autoptr(FileStream) stream = NULL;
    gint64 begun = g_get_monotonic_time();
    g_mutex_lock(&reader->lock);
    read_pace_begin(&reader->pace, begun);
    int error = file_reader_take(reader, bound, offset, size, shared, &stream);
    if (error < 0)
        read_pace_end(&reader->pace, g_get_monotonic_time(), 0, reader->running);
    g_mutex_unlock(&reader->lock);
    if (error < 0)
        return error == -EAGAIN ? -EIO : error;

    gboolean end = FALSE;
    gssize n = file_stream_read(stream, bound, bytes, size, offset, &end);
    gint64 now = g_get_monotonic_time();

    g_mutex_lock(&reader->lock);
    read_pace_end(&reader->pace, now, MAX(n, 0), reader->running);
    if (n > 0 && !end && shared) {
        file_reader_retire(reader, offset);
        file_reader_look_ahead(reader, stream);
    }
    if (n < 0 && n != -ENODATA && n != -EINTR && end) {
        g_ptr_array_remove(reader->streams, stream); /* the next read tries anew */
        if (now - begun >= FAILED_AFTER) {
            reader->failed = (int)n;
            reader->failed_until = now + FAILED_FOR;
        }
    }
    g_cond_broadcast(&reader->changed);
    g_mutex_unlock(&reader->lock);
    if (!shared)
        file_stream_close(stream);
    *ret_end = end;
    return n;
}

gssize file_reader_read(FileReader *reader, const Bound *bound, void *bytes, gsize size, gint64 offset)
{
    if (offset < 0)
        return -EINVAL;
    if (reader->size >= 0)
        size = offset < reader->size ? MIN((gint64)MIN(size, (gsize)G_MAXSSIZE), reader->size - offset) : 0;

    gsize done = 0;
    gboolean end = FALSE;
    guint rounds = 0;
    while (done < size && !end) {
        gssize n = file_reader_step(reader, bound, (char *)bytes + done, size - done, offset + (gint64)done,
                                    rounds < ROUNDS_SHARED, &end);
        if (n == -ENODATA) {
            rounds++;
            end = FALSE;
            continue;
        }
        if (n < 0)
            return n;
        done += n;
        rounds = 0;
    }
    return done;
}
