/* SPDX-License-Identifier: MIT */
/*
 * Open files: one OpenFile for each path that is open, shared by all its handles, so that they see each other's writes.
 *
 * While nothing was written an OpenFile is a FileReader. The first write or truncate makes a spool file: unlinked,
 * sparse, with the set of ranges that it holds; the other ranges are still the server's and are read from there, and
 * are fetched when the whole is uploaded. Upload happens at flush (close), fsync and release, when there are changes.
 * Thread-safe; no lock is held across the network.
 */
#pragma once

#include "base/bound.h"
#include "fs/options.h"
#include "fs/tree.h"

typedef struct AheadQueue AheadQueue;
typedef struct OpenFiles OpenFiles;
typedef struct OpenFile OpenFile;

/* NULL with `error` set when the spool directory can't be made or written to (it is made with mode 0700). */
OpenFiles *open_files_new(const Options *options, FtpClient *client, Tree *tree, AheadQueue *queue, Stats *stats,
                          GError **error);

/* From now on the end of a file does not wait for the server: what is not sent is kept. `at_once`: nor does
 * open_files_finish(). Any thread. */
void open_files_hurry(OpenFiles *files, gboolean at_once);

/* After open_files_finish(), or when nothing was ever opened. */
void open_files_free(OpenFiles *files);

/* Before the first operation, when threads may be started: with write=back, and when an earlier mount of the same
 * source has left files, these are there at once, and are sent. */
void open_files_back_start(OpenFiles *files);

/* After the last operation: closes what is open, and waits until the server has everything; with lines of progress, and
 * no longer than `retry` when nothing goes on. What is left is in the journal. */
void open_files_finish(OpenFiles *files);

/* fsync(2) of a directory: waits for the files below it. */
int open_files_sync(OpenFiles *files, const Bound *bound, const char *path);

/* TRUE when the server has not got the file yet: its size, how many per cent of it were sent, and bytes a second. */
gboolean open_files_progress(OpenFiles *files, const char *path, gint64 *ret_size, guint *ret_percent,
                             gint64 *ret_rate);

/* open(2): `flags` O_RDONLY, O_WRONLY, O_RDWR, with O_TRUNC, O_APPEND. -ENOENT, -EISDIR, -EACCES... `ret_keep_cache`:
 * the kernel's pages of the last open are still right; `ret_changed`: the file is not what the kernel was last told
 * (invalidate it). A handle that may write is counted. */
int open_files_open(OpenFiles *files, const Bound *bound, const char *path, int flags, gboolean *ret_keep_cache,
                    gboolean *ret_changed, OpenFile **ret);

/* open(2) with O_CREAT of a name that is not there (-EEXIST with O_EXCL when it is; without it opens that). Nothing is
 * sent until there is something to upload or the file is closed. */
int open_files_create(OpenFiles *files, const Bound *bound, const char *path, mode_t mode, int flags, OpenFile **ret);

gssize open_file_read(OpenFile *file, const Bound *bound, void *bytes, gsize size, gint64 offset);

/* `append`: at the end of the file, wherever that is (the kernel gives an offset that may be old). */
gssize open_file_write(OpenFile *file, const Bound *bound, const void *bytes, gsize size, gint64 offset,
                       gboolean append);
int open_file_truncate(OpenFile *file, const Bound *bound, gint64 size);

/* Uploads what was changed and returns when the server has it and its size was checked: 0 or the true errno. */
int open_file_flush(OpenFile *file, const Bound *bound);

/* close(2): with write=back the contents and a record of them are on the disk when it returns, and the server gets them
 * in the background. Else, and where that can't be done, as open_file_flush(). */
int open_file_close(OpenFile *file, const Bound *bound);

/* TRUE when the server is still to be told that the file is empty, and nothing else: it was made or cut to nothing, and
 * not written to since. */
gboolean open_file_is_blank(OpenFile *file);

/* The end of one handle opened with `flags`. The last one uploads what is still unsent (nobody can be told of an error
 * any more: it is logged, and the bytes are kept in spool/lost+found) and frees the file. */
void open_file_release(OpenFile *file, int flags);

/* truncate(2) without a handle: opens, truncates, flushes. */
int open_files_truncate(OpenFiles *files, const Bound *bound, const char *path, gint64 size);

/* When the file is open and has changes that the server has not seen: TRUE, and size and mtime in `attr` are made
 * those of the open file. */
gboolean open_files_attr(OpenFiles *files, const char *path, FtpAttr *attr);

/* utimens and chmod of a file with unsent changes: done after the upload. FALSE when the file has none: the caller
 * does it at the server. */
gboolean open_files_defer_mtime(OpenFiles *files, const char *path, gint64 mtime);
gboolean open_files_defer_mode(OpenFiles *files, const char *path, mode_t mode);

/* rename(2) and unlink(2) of names that may be open, at the server (where it knows the name), in the cache, and in the
 * table. Waits (bounded) for an upload of that file that is under way. */
int open_files_rename(OpenFiles *files, const Bound *bound, const char *from, const char *to, unsigned int flags);
int open_files_unlink(OpenFiles *files, const Bound *bound, const char *path);

/* rmdir(2): -ENOTEMPTY also for names that the server does not know yet. */
int open_files_rmdir(OpenFiles *files, const Bound *bound, const char *path);

/* Lines "name: value" about files with unsent changes, appended for --status. */
void open_files_status(OpenFiles *files, GString *text);
