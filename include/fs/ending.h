/* SPDX-License-Identifier: MIT */
/*
 * How a mount ends by a signal: SIGTERM, SIGINT and SIGHUP (where they are not ignored) end FUSE's loop, and what waits
 * for the server then has some seconds to finish; a second signal ends it at once.
 */
#pragma once

#include "fs/fs.h"

typedef struct Ending Ending;

struct fuse_session;

/* The signals wait from now on, so that none ends the process while something is mounted; before any thread is made. */
void ending_block_signals(void);

/* Starts the thread that takes the signals. To be called by the thread that will run the loop, after the process went
 * to the background. NULL with `error` set. */
Ending *ending_new(struct fuse_session *session, Fs *fs, FtpClient *client, GError **error);

/* The loop is over: it need not be woken any more. */
void ending_loop_is_over(Ending *ending);

/* Ends the thread. The signals stay blocked: the process is about to end. */
void ending_free(Ending *ending);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ending, ending_free)
