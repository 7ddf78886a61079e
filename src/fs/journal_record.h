/* SPDX-License-Identifier: MIT */
/*
 * One record of the journal: a file whose contents the server has not got yet, or the renaming of names that records
 * may lie below. As bytes it is a few lines of text behind a line with their SHA-256, so that a record that was written
 * half, or that something else has written to, is known as such.
 */
#pragma once

#include "base/range_set.h"

#include <sys/types.h>

/* What the server had of that name when the file was opened: a file that is another one when the new one is to be sent
 * was changed by somebody else. */
typedef struct {
    gboolean there;
    gboolean has_size, has_mtime;
    gint64 size;
    gint64 mtime;    /* seconds since 1970 */
    guint precision; /* of it, in seconds */
} JournalBase;

typedef struct {
    guint64 seq;     /* the order of all records of a journal */
    gboolean rename; /* a renaming; else a file */
    char *path;      /* in the mount, "/a/b" */

    /* of a file */
    char *maybe;      /* or it is there: a renaming was under way; NULL: no question */
    guint64 data;     /* the number of the file that has its bytes */
    gint64 size;      /* of the file as it will be */
    gint64 base_size; /* how far the bytes reach that only the server has */
    RangeSet *held;   /* the ranges that are here */
    JournalBase base;
    gboolean in_place; /* what the server has may be half ours: it was being written over */
    gint64 written_at; /* seconds since 1970 */
    gboolean has_mtime, has_mode, mode_asked;
    gint64 mtime;
    mode_t mode;

    /* of a renaming */
    char *to;
    gboolean done; /* else it may have happened or not */
} JournalRecord;

JournalRecord *journal_record_new(void);
void journal_record_free(JournalRecord *record);

/* The bytes of the record; owned by the caller. */
char *journal_record_format(const JournalRecord *record);

/* NULL when they are not what journal_record_format() gives for a record that makes sense: paths without "." and "..",
 * ranges within the size. */
JournalRecord *journal_record_parse(const char *bytes, gsize size);

/* What became of the files, after all renamings in the order of their `seq`. `records` (JournalRecord, owned by the
 * array) loses the renamings, and the files that were replaced by one that was renamed to their name or written later.
 * A renaming that may have happened sets `maybe`. Returns the files whose path or `maybe` was changed, not owned. */
GPtrArray *journal_records_replay(GPtrArray *records);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(JournalRecord, journal_record_free)
