/* SPDX-License-Identifier: MIT */
/*
 * One stream of a FileReader: a RETR from an offset, on a thread of its own, into a block_buffer. Reference-counted
 * (the reader, each read that is under way and the thread hold it); thread-safe.
 */
#pragma once

#include "base/block_buffer.h"
#include "ftp/ftp_client.h"

typedef struct FileStream FileStream;

typedef struct {
    FtpClient *client;
    gint64 size;      /* of the file as it is known, bytes; -1: not known */
    gsize read_ahead; /* bytes, the most that the window holds */
    guint retry;      /* seconds without progress that a broken stream is tried again */

    gint64 offset;    /* where it begins */
    gint64 run_start; /* where the sequential run began that it goes on with; `offset` for a new one */
    gsize first;      /* bytes that the read wants that it is opened for */
    gboolean random;  /* nothing says that reading goes on here: end after the first window if no read follows */
    gboolean ahead;   /* no read wants it yet: it takes only a session that is to spare, and gives up when it fails */
    gsize window;     /* bytes that one that is `ahead` may hold */
    gboolean whole;   /* it is ahead, and what was read stays in its window */

    /* called once on the stream's thread when it no longer uses the client */
    void (*ended)(FileStream *stream, gpointer data);
    gpointer data;
} FileStreamConfig;

/* Starts the thread; unless it is `ahead`, a read of `first` bytes at the offset is under way then, as by
 * file_stream_begin(). 0, or -EAGAIN when there can't be one more thread (`ended` is not called then). */
int file_stream_open(const FileStreamConfig *config, const RemotePath *path, FileStream **ret);
FileStream *file_stream_ref(FileStream *stream);
void file_stream_unref(FileStream *stream);

/* No more bytes; waits for nothing. What is in the window stays readable. After a second the transfer is aborted. */
void file_stream_close(FileStream *stream);

void file_stream_set_path(FileStream *stream, const RemotePath *path);

/* TRUE when a read at `offset` is better served here than by a new stream. */
gboolean file_stream_reaches(FileStream *stream, gint64 offset);

/* TRUE when `offset` is where this stream is, or was, about to go: a read there goes on with its run. */
gboolean file_stream_continues(FileStream *stream, gint64 offset, gint64 *ret_run_start);

/* A read, in two steps: begin (which keeps the stream from being cut or thrown away, and lets its window grow), then
 * read, which ends it whatever it returns. Returns bytes; fewer than `size` where the stream was cut (another one has
 * to go on) or, with *ret_end set, at the end of the file. -ENODATA when none of it can come from this stream; the
 * -errno of the bound, or of the stream, which is then good for nothing more (*ret_end is set). */
void file_stream_begin(FileStream *stream, gint64 offset, gsize size);
gssize file_stream_read(FileStream *stream, const Bound *bound, void *bytes, gsize size, gint64 offset,
                        gboolean *ret_end);

/* Another stream begins at `limit`, so this one ends there, or soon behind; G_MAXINT64: none does any more. */
void file_stream_set_limit(FileStream *stream, gint64 limit);
gint64 file_stream_limit(FileStream *stream);

/* Where it begins, and the end of what it has fetched so far. */
gint64 file_stream_offset(const FileStream *stream);
gint64 file_stream_end(FileStream *stream);

/* Bytes that were read in sequence up to here, by this stream and those that it goes on with. */
gint64 file_stream_run(FileStream *stream);

/* TRUE of one that is ahead while no read has come to it. */
gboolean file_stream_is_ahead(FileStream *stream);

/* TRUE of one that fetches, or has fetched, the whole file: all that is ever read of it. */
gboolean file_stream_is_whole(FileStream *stream);

/* TRUE when no more bytes come. */
gboolean file_stream_is_over(FileStream *stream);

/* Reads under way, and when the last one ended (µs, monotonic). */
guint file_stream_users(FileStream *stream);
gint64 file_stream_used_at(FileStream *stream);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(FileStream, file_stream_unref)
