/* SPDX-License-Identifier: MIT */
/*
 * Reads one file of the server at any offset, by streams: a stream is one RETR from an offset on a thread of its own,
 * into a block_buffer. A read that a stream reaches waits for it; a read elsewhere opens another stream (up to
 * `streams`), with a small window that grows while reading goes on there. Streams that nobody reads are cut when
 * somebody needs their session. A stream that breaks goes on where it stopped. A large file that comes more slowly than
 * it is read is fetched by several streams at once, each a segment of it. Thread-safe.
 */
#pragma once

#include "base/bound.h"
#include "ftp/ftp_client.h"

typedef struct FileReader FileReader;

/* What the readers of a mount learn from each other; zero at first, and outlives them. */
typedef struct {
    gint alone_until; /* atomic; seconds, monotonic: several streams were no faster than one, so one it is until then */
} FileReaderShared;

typedef struct {
    FileReaderShared *shared;
    guint streams;    /* most at a time */
    gsize read_ahead; /* bytes, most that one stream's window holds */
    guint retry;      /* seconds without progress after which a broken stream is given up */
} FileReaderConfig;

/* `size`: what the file's attributes say, -1 when they don't; reads end there or at the true end of the file, whichever
 * the server proves. The path is referenced. */
FileReader *file_reader_new(FtpClient *client, const RemotePath *path, gint64 size, const FileReaderConfig *config);

/* Ends the streams; waits for their threads (a second or so). */
void file_reader_free(FileReader *reader);

/* As pread(2): short only at the end of the file. -EIO when the server's data ends before `size` twice, although the
 * server says that the file is that long: never short silently. -EREMOTEIO when it refuses the file (550). */
gssize file_reader_read(FileReader *reader, const Bound *bound, void *bytes, gsize size, gint64 offset);

/* The file has another name now; streams under way go on. */
void file_reader_set_path(FileReader *reader, const RemotePath *path);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(FileReader, file_reader_free)
