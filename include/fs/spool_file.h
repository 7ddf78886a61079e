/* SPDX-License-Identifier: MIT */
/*
 * The local copy of a file that is being written: an unlinked sparse file in the spool directory, and the set of
 * ranges that it holds. What it does not hold is the base's (the file on the server) as far as that reaches, else
 * zeros. Not thread-safe but for pread/pwrite on disjoint ranges: its owner's lock guards it.
 *
 * With write=back it gets a name in the journal (spool_file_link). Its descriptor is then closed while nobody uses it
 * (spool_file_park) and opened again by the next call that needs it. What a record of the journal tells of must not
 * change afterwards: the bytes below the seal are not written to or cut away; spool_file_copy() makes a file for that.
 */
#pragma once

#include "base/range_set.h"

#include <glib.h>

typedef struct SpoolFile SpoolFile;

/* `directory` exists; the file is made with O_TMPFILE (else mkstemp and unlink), mode 0600. `base_size`: length of the
 * file on the server whose bytes it starts from; 0: a new or truncated file. */
int spool_file_new(const char *directory, gint64 base_size, SpoolFile **ret);
SpoolFile *spool_file_ref(SpoolFile *spool); /* the count is atomic */
void spool_file_unref(SpoolFile *spool);     /* may be NULL */

gint64 spool_file_size(const SpoolFile *spool); /* of the file as it will be */

/* As pwrite(2), all or -errno; a hole that it makes beyond the end is zeros. */
int spool_file_write(SpoolFile *spool, const void *bytes, gsize size, gint64 offset);
int spool_file_truncate(SpoolFile *spool, gint64 size);

/* The first part of [offset, offset + size) that only the base has; FALSE when the spool can answer it all. */
gboolean spool_file_missing(const SpoolFile *spool, gint64 offset, gint64 size, gint64 *ret_start, gint64 *ret_end);

/* Bytes of the base that were fetched: fill what is missing in their range, never over what was written. */
int spool_file_fill(SpoolFile *spool, const void *bytes, gsize size, gint64 offset);

/* The first `size` bytes are the base's from now on, and their space is given back: as if they had not been written.
 * Only when nothing of the base behind them is wanted. Not of a sealed one. */
int spool_file_release(SpoolFile *spool, gint64 size);

/* As pread(2), of ranges that are not missing; short at the end of the file. */
gssize spool_file_read(SpoolFile *spool, void *bytes, gsize size, gint64 offset);

/* Names it into `path` (linkat, else a copy): for lost+found. The missing ranges are zeros. */
int spool_file_keep(SpoolFile *spool, const char *path);

/* ---- In the journal ---- */

/* The ranges that it holds; owned by it. And how far the base still reaches. */
const RangeSet *spool_file_held(const SpoolFile *spool);
gint64 spool_file_base_size(const SpoolFile *spool);

/* Gives it the name `path` for good (linkat, else it becomes a copy of that name). Nothing is on disk for sure before
 * spool_file_dup() was fsync'ed, and the directory. -EEXIST. */
int spool_file_link(SpoolFile *spool, const char *path);
const char *spool_file_path(const SpoolFile *spool); /* NULL while it has no name */

/* Removes the name; the seal is broken, and the bytes go with the last reference. */
void spool_file_unlink(SpoolFile *spool);

/* The file `path` of the journal, as a record tells of it: sealed and parked. -EIO when bytes are missing that it
 * should hold. `held` is copied. */
int spool_file_adopt(const char *path, gint64 size, gint64 base_size, const RangeSet *held, SpoolFile **ret);

/* A descriptor of the caller's own, or -errno. */
int spool_file_dup(SpoolFile *spool);

/* Closes the descriptor of one that has a name, until it is needed again. */
void spool_file_park(SpoolFile *spool);

/* All that it holds now is not to be changed any more. */
void spool_file_seal(SpoolFile *spool);

/* TRUE when a change at `offset` and behind it (a write, or a truncation to that size) would break the seal. */
gboolean spool_file_is_sealed_at(const SpoolFile *spool, gint64 offset);

/* The first `size` bytes of it as a new file without a name and a seal. */
int spool_file_copy(SpoolFile *spool, const char *directory, gint64 size, SpoolFile **ret);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpoolFile, spool_file_unref)
