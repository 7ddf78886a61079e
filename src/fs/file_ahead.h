/* SPDX-License-Identifier: MIT */
/*
 * Small files fetched ahead of a program that opens the files of a directory in order (cat *, cp -r, grep -r,
 * thumbnailers): from the second file in a row on the next ones are fetched on idle sessions, into memory, and wait
 * there for their open. Bounded in files and bytes; thread-safe.
 */
#pragma once

#include "ahead_queue.h"
#include "file_contents.h"
#include "fs/dir_cache.h"

typedef struct FileAhead FileAhead;

/* TRUE when the file is of no use ahead: it is open, or the kernel has its pages. Called without a lock. */
typedef gboolean (*FileAheadSkip)(const char *path, const FtpAttr *attr, gpointer data);

typedef struct {
    AheadQueue *queue;
    FtpClient *client;
    DirCache *cache;
    Stats *stats;
    FileAheadSkip skip;
    gpointer data;
} FileAheadConfig;

/* All of the configuration must outlive it, and the queue must have been stopped before it is freed. */
FileAhead *file_ahead_new(const FileAheadConfig *config);
void file_ahead_free(FileAhead *ahead);

/* Somebody is about to open the file for reading. Waits for nothing. TRUE when that is one of a sequence. */
gboolean file_ahead_use(FileAhead *ahead, const char *path);

/* What was fetched of it, owned by the caller; NULL when there is nothing. Waits, within the bound, for what is under
 * way. */
FileContents *file_ahead_take(FileAhead *ahead, const Bound *bound, const char *path);

/* The path, and all below it, is another one now: after it was renamed, removed, or opened for writing. */
void file_ahead_drop(FileAhead *ahead, const char *path);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(FileAhead, file_ahead_free)
