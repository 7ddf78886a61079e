/* SPDX-License-Identifier: MIT */
/* Shared by journal.c (writing) and journal_recover.c (what a mount finds that comes after). */
#pragma once

#include "journal.h"

#define JOURNAL_DATA   ".data"
#define JOURNAL_RECORD ".record"
#define JOURNAL_NEW    ".new"
#define JOURNAL_DIGITS 16

struct Journal {
    char *spool, *source;
    char *directory;
    int fd; /* of the directory; has the lock */

    GMutex lock;
    /* lock guards all below */
    guint64 number;  /* the last one that was given to a record, a data file or as `seq` */
    GTree *seqs;     /* set of guint64*: of the files' records that are there or being written */
    GHashTable *ids; /* id → seq of the files' records, both guint64* */
    GQueue renames;  /* of RenameRecord, in the order of seq */
};

/* "<directory>/<number><ending>"; owned by the caller. */
char *journal_path(const char *directory, guint64 number, const char *ending);

/* The number in "<number><ending>"; 0: it is another name. */
guint64 journal_number(const char *name, const char *ending);

/* Locks a directory of the source: its descriptor, -EWOULDBLOCK when somebody else has it, or -errno. */
int journal_lock_directory(const char *directory);

/* The directories of the source that are there, whoever has them; char*, owned by the array. */
GPtrArray *journal_directories(const char *spool, const char *source);

/* The record is in the directory, whoever wrote it. */
void journal_know(Journal *journal, guint64 id, guint64 seq);
