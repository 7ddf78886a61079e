/* SPDX-License-Identifier: MIT */
/* A mounted server: what FUSE calls its private data. The parts of the fs floor are put together here. */
#pragma once

#include "base/stats.h"
#include "fs/options.h"
#include "ftp/ftp_client.h"

typedef struct Fs Fs;

/* `options` and `client` must outlive it; both are the caller's. NULL with `error` set when the spool can't be made. */
Fs *fs_new(const Options *options, FtpClient *client, Stats *stats, GError **error);
void fs_free(Fs *fs);

/* After FUSE's loop and the unmount: sends what is open, waits until the server has what was written (write=back),
 * within bounds. Operations that libfuse still asks for after it have no caller any more, and some seconds. */
void fs_finish(Fs *fs);

/* The mount is to end soon: what waits for the server ends with -EIO, and nothing waits any more, but for the queue of
 * write=back; `at_once`: nor for that. Any thread. */
void fs_hurry(Fs *fs, gboolean at_once);

/* A text of lines "name: value" for --status and the attribute user.ftpfs.status. Owned by the caller. */
char *fs_status_text(Fs *fs);

struct fuse_operations;
/* The table that fuse_new() is given, with the Fs as user data. */
const struct fuse_operations *fs_operations(void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Fs, fs_free)
