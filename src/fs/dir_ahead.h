/* SPDX-License-Identifier: MIT */
/*
 * Directories listed ahead of a program that walks the tree (find, ls -R, cp -r, a file manager): from the second
 * subdirectory on that is listed in the order of its parent, or from the first one where that follows at once on its
 * parent, the next ones are listed on idle sessions. Thread-safe.
 */
#pragma once

#include "ahead_queue.h"
#include "fs/dir_cache.h"

typedef struct DirAhead DirAhead;

/* The queue and the cache must outlive it, and the queue must have been stopped before it is freed. */
DirAhead *dir_ahead_new(AheadQueue *queue, DirCache *cache, Stats *stats);
void dir_ahead_free(DirAhead *ahead);

/* Somebody is about to list the directory. Waits for nothing. */
void dir_ahead_visit(DirAhead *ahead, const char *path);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DirAhead, dir_ahead_free)
