/* SPDX-License-Identifier: MIT */
/*
 * Work that nobody has asked for yet, done on a few threads of its own on sessions that are idle (FTP_PRIORITY_AHEAD).
 * The threads are there only while there is work. Thread-safe.
 */
#pragma once

#include "ftp/ftp_client.h"

typedef struct AheadQueue AheadQueue;

/* At most `threads` at a time; 0: nothing is ever done. */
AheadQueue *ahead_queue_new(FtpClient *client, guint threads);

/* Ends what is under way, drops what is not, and waits for the threads: a moment. */
void ahead_queue_stop(AheadQueue *queue);
void ahead_queue_free(AheadQueue *queue);

guint ahead_queue_threads(const AheadQueue *queue);

/* Does the work on the calling thread, within the bound: 0; -EBUSY: no session can be spared now, to be called again;
 * another -errno: it could not be done. */
typedef int (*AheadFunc)(const Bound *bound, gpointer data);

/* Takes the data; `free` is called when the work was done, could not be done, or was dropped, on any thread, without a
 * lock. Work is begun in the order of coming. */
void ahead_queue_push(AheadQueue *queue, AheadFunc func, gpointer data, GDestroyNotify free);

/* Somebody's own operation is over, or about to begin: sessions may be idle that were not before. */
void ahead_queue_kick(AheadQueue *queue);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(AheadQueue, ahead_queue_free)
