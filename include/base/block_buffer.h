/* SPDX-License-Identifier: MIT */
/*
 * A bounded window over a stream of bytes: one producer (the thread of a transfer) puts at its end, any number of
 * consumers get at any offset inside it. The window slides: what lies more than `keep` bytes behind the furthest byte
 * that was read is dropped to make room; when there is no room the producer waits. Reference-counted; thread-safe.
 */
#pragma once

#include "base/bound.h"

#include <glib.h>

typedef struct BlockBuffer BlockBuffer;

/* A window that begins at `start` (bytes from the beginning of the file, >= 0), holds at most `capacity` bytes and
 * keeps `keep` of them (< capacity, else half of it) behind the furthest read. Memory is taken as it fills. */
BlockBuffer *block_buffer_new(gint64 start, gsize capacity, gsize keep);
BlockBuffer *block_buffer_ref(BlockBuffer *buffer);
void block_buffer_unref(BlockBuffer *buffer);

/* Producer. Waits while the window is full. Returns `size`, or -ECANCELED after block_buffer_stop() or
 * block_buffer_end(). Bytes that do not fit at once are taken in pieces; when it is stopped between two of them, the
 * window's end says how many were taken. */
gssize block_buffer_put(BlockBuffer *buffer, const void *bytes, gsize size);

/* Producer: nothing more comes. `error` is 0 at the end of the file, else a -errno that a reader gets who wants more.
 * The first call counts. */
void block_buffer_end(BlockBuffer *buffer, int error);

/* From any thread: the producer's next (or waiting) put returns -ECANCELED; what is in the window stays readable. What
 * would have followed is unknown unless block_buffer_end() came first: a get that wants it is -ENODATA, whatever the
 * producer says afterwards. */
void block_buffer_stop(BlockBuffer *buffer);

/* Copies bytes [offset, offset + size), waiting for those that are still to come; `size` may be more than the capacity.
 * Returns the number of bytes, which is short only at the end of the file; 0 at the end; -ENODATA when `offset` lies
 * before the window or when the bytes will not come because of a stop; -EINVAL for a negative `offset`; or the -errno
 * of block_buffer_end() or of `bound` (NULL: no bound). A partial count is returned only when the end of the file
 * follows it. A get that has begun inside the window, or waits for its end, is never overtaken by a drop; one that is
 * further ahead makes the window move towards it. On failure `bytes` may hold a part. */
gssize block_buffer_get(BlockBuffer *buffer, gint64 offset, void *bytes, gsize size, const Bound *bound);

/* Where the window begins and ends now (end: the next byte to be put). */
void block_buffer_window(BlockBuffer *buffer, gint64 *ret_start, gint64 *ret_end);

/* TRUE when a get at `offset` can be answered by this stream: in the window, or at most `ahead` bytes beyond its end
 * while bytes are still coming. */
gboolean block_buffer_reaches(BlockBuffer *buffer, gint64 offset, gsize ahead);

/* TRUE while a get waits for bytes that have not come. */
gboolean block_buffer_wanted(BlockBuffer *buffer);

/* TRUE while a put waits for room. */
gboolean block_buffer_full(BlockBuffer *buffer);

/* TRUE after block_buffer_end() or block_buffer_stop(). */
gboolean block_buffer_ended(BlockBuffer *buffer);

/* A smaller capacity drops nothing at once: the producer waits until the window has shrunk to it. */
void block_buffer_set_capacity(BlockBuffer *buffer, gsize capacity);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlockBuffer, block_buffer_unref)
