/* SPDX-License-Identifier: MIT */
/*
 * Tells what a mount is doing without being asked over the mount: SIGUSR1 writes the status to the log, and in the
 * foreground on a terminal one line shows what is being transferred.
 */
#pragma once

#include "base/log.h"
#include "fs/fs.h"

typedef struct StatusWatch StatusWatch;

/* Blocks SIGUSR1 on this thread, and so on all that it starts. Before the first thread. */
void status_watch_block(void);

/* Starts the thread. `progress`: with the line on the terminal. NULL when it can't be started: nothing is told then. */
StatusWatch *status_watch_new(Fs *fs, Log *log, gboolean progress);

/* Ends the thread and clears the line. NULL is allowed. */
void status_watch_free(StatusWatch *watch);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(StatusWatch, status_watch_free)
