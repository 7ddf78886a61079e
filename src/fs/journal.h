/* SPDX-License-Identifier: MIT */
/*
 * The journal of a mount with write=back: which files the server has not got yet, so that they survive the end of the
 * program, however it ends.
 *
 * It is a directory of its own below the spool, "journal/<hash of the source>.<n>", mode 0700, locked (flock) by the
 * mount that has it; the next mount of the same source takes it over when the lock is free, and a second one at the
 * same time makes another. In it, for each file: "<number>.data", the spool file under a name, and "<number>.record",
 * which tells what to do with it. A record is written under another name or none, brought to disk, and given its name,
 * and the directory is brought to disk; so it is there as a whole or not at all.
 *
 * A renaming of names is a record of its own: what is below may be thousands of files. All records have numbers in the
 * order of what happened (`seq`), which are taken while the locks are held under which the path changes; the recovery
 * replays them. Thread-safe. Blocks on the disk, never on the network.
 */
#pragma once

#include "journal_record.h"

typedef struct Journal Journal;

/* TRUE when a mount of `source` that is not running any more has left something. */
gboolean journal_is_left(const char *spool, const char *source);

/* The first journal of `source` that nobody else has, made where there is none. 0 or -errno. */
int journal_open(const char *spool, const char *source, Journal **ret);

/* Gives it back; the directory is removed when it is empty. */
void journal_close(Journal *journal);

/* A path for a new data file; *ret_data is its number. Owned by the caller. */
char *journal_data_path(Journal *journal, guint64 *ret_data);

/* The next number in the order of all records; counts as one that is there until it is written or given back. */
guint64 journal_take_seq(Journal *journal);
void journal_give_seq(Journal *journal, guint64 seq);

/* Writes a file's record, whose `seq` was taken before; *id is 0 for a new one and set then, else that one is replaced.
 * It is on disk when this returns 0; on an error the old one is as it was, and `seq` was given back. */
int journal_write(Journal *journal, const JournalRecord *record, guint64 *id);

/* The server has it, or nobody wants it any more. */
void journal_remove(Journal *journal, guint64 id);

/* TRUE when there is a file's record. */
gboolean journal_has_files(Journal *journal);

/* A renaming that is going to be tried at the server (`done` FALSE), or has been done; *id as in journal_write(). With
 * nothing to rename nothing is written. */
int journal_write_rename(Journal *journal, const char *from, const char *to, gboolean done, guint64 seq, guint64 *id);

/* The renaming did not happen. */
void journal_remove_rename(Journal *journal, guint64 id);

/* Called for each file that was left; takes the record. `data` is the path of its bytes. */
typedef void (*JournalFoundFunc)(guint64 id, JournalRecord *record, const char *data_path, gpointer data);

/* What is in the journal, and in those of the same source that nobody has any more (their files come into this one).
 * Records that can't be read are put, with their data, into `lost` (lost+found of the spool; made when needed). Once,
 * before anything is written. Returns 0 or -errno: what could be recovered was given to `found` all the same. */
int journal_recover(Journal *journal, const char *lost, JournalFoundFunc found, gpointer data);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Journal, journal_close)
