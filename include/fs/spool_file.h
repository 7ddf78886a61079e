/* SPDX-License-Identifier: MIT */
/*
 * The local copy of a file that is being written: an unlinked sparse file in the spool directory, and the set of
 * ranges that it holds. What it does not hold is the base's (the file on the server) as far as that reaches, else
 * zeros. Not thread-safe but for pread/pwrite on disjoint ranges: its owner's lock guards it.
 */
#pragma once

#include <glib.h>

typedef struct SpoolFile SpoolFile;

/* `directory` exists; the file is made with O_TMPFILE (else mkstemp and unlink), mode 0600. `base_size`: length of the
 * file on the server whose bytes it starts from; 0: a new or truncated file. */
int spool_file_new(const char *directory, gint64 base_size, SpoolFile **ret);
void spool_file_free(SpoolFile *spool);

gint64 spool_file_size(const SpoolFile *spool); /* of the file as it will be */

/* As pwrite(2), all or -errno; a hole that it makes beyond the end is zeros. */
int spool_file_write(SpoolFile *spool, const void *bytes, gsize size, gint64 offset);
int spool_file_truncate(SpoolFile *spool, gint64 size);

/* The first part of [offset, offset + size) that only the base has; FALSE when the spool can answer it all. */
gboolean spool_file_missing(const SpoolFile *spool, gint64 offset, gint64 size, gint64 *ret_start, gint64 *ret_end);

/* Bytes of the base that were fetched: fill what is missing in their range, never over what was written. */
int spool_file_fill(SpoolFile *spool, const void *bytes, gsize size, gint64 offset);

/* As pread(2), of ranges that are not missing; short at the end of the file. */
gssize spool_file_read(const SpoolFile *spool, void *bytes, gsize size, gint64 offset);

/* Names it into `path` (linkat, else a copy): for lost+found. The missing ranges are zeros. */
int spool_file_keep(SpoolFile *spool, const char *path);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(SpoolFile, spool_file_free)
