/* SPDX-License-Identifier: MIT */
/*
 * write=back: what an open file and the table of them need for it. A file that was closed is "kept": its record is in
 * the journal, its contents are in the spool under a name, and the queue has a reference, so that it stays in the table
 * (and is what everybody sees under its path) until the server has it.
 */
#pragma once

#include "base/bound.h"
#include "fs/spool_file.h"
#include "ftp/ftp_entry.h"
#include "journal.h"

typedef struct OpenFile OpenFile;
typedef struct OpenFiles OpenFiles;

/* A part of OpenFile. */
typedef struct {
    GMutex lock; /* before all other locks; held while the journal is written */
    /* `lock` guards these */
    guint64 record;   /* its number in the journal; 0: there is none */
    guint64 recorded; /* OpenFile.changes that the record tells of */
    SpoolFile *data;  /* referenced: the one that the record tells of */
    guint64 data_number;

    gboolean kept; /* OpenFiles.lock: the queue has a reference */

    /* OpenFile.lock guards these */
    JournalBase base;  /* what the server had when the file was opened, or was sent the last time */
    gint64 based_at;   /* monotonic, µs */
    char *maybe;       /* a renaming that may have happened: or it has this path */
    gboolean in_place; /* what the server has may be half ours */
    gboolean in_doubt; /* an upload of a new name failed: there may be something of it */
    gboolean check;    /* what the server has is to be looked at before it is sent */
    guint64 tried;     /* OpenFile.changes that was being sent, and may be what the server has; 0: none */
    guint failures;    /* of tries to send it, in a row */
    gint64 failing_since;
    gint64 sent;  /* bytes, of the upload that is under way */
    gint64 began; /* monotonic, µs: that upload; 0: there is none */

    gint cancel; /* atomic: somebody waits for the claim, and what is being sent is of no use any more */
} FileBack;

void open_file_back_init(OpenFile *file);
void open_file_back_clear(OpenFile *file);

/* ---- One file (open_file_back.c) ---- */

/* Writes the record of what is unsent, and gives the file to the queue. `force`: also when only what is beside the
 * contents has changed. 0 also when there is nothing to do. */
int open_file_record(OpenFile *file, gboolean force);

/* The same when there is a record already: a time, a mode or a path has changed. A failure is logged. */
void open_file_record_again(OpenFile *file);

/* Sends it to the server, as file_upload() does, after a look at what is there where that is called for; what has
 * arrived leaves the journal. The caller has the claim. -ESTALE: what the server has is another file, and what is here
 * is only a part that makes no whole without it. */
int open_file_send(OpenFile *file, const Bound *bound);

/* It was removed, or replaced: nothing of it is wanted any more. */
void open_file_forget(OpenFile *file);

/* TRUE when what the server has may be an older one of ours, whole or half: it says nothing of others then. With the
 * file's lock held. */
gboolean open_file_may_be_half_sent(const OpenFile *file);

/* Before the spool is changed at `offset` and behind it: what a record tells of stays as it is, the file goes on with a
 * copy. With the file's lock held. */
int open_file_own_spool(OpenFile *file, gint64 offset);

/* The server has `attr` now; NULL: it has no such file. With the file's lock held. */
void open_file_set_base(OpenFile *file, const FtpAttr *attr);

/* Is called before what the server has is changed in place. With no lock held. */
int open_file_will_change_in_place(OpenFile *file);

/* The claim for somebody who renames or removes it: an upload that takes long is given up. */
int open_file_claim_from_queue(OpenFile *file, const Bound *bound);

/* ---- The look at the server (open_file_check.c) ---- */

typedef enum {
    BACK_SEND,
    BACK_ARRIVED,  /* the server has it */
    BACK_CONFLICT, /* somebody else has changed it */
    BACK_USELESS,  /* likewise, and we have only a part of ours */
} BackVerdict;

/* What to do with a file that waits; the caller has the claim. */
int open_file_check(OpenFile *file, const Bound *bound, BackVerdict *ret);

/* ---- The table (open_files_back.c) ---- */

/* Gives the file to the queue, where it is dirty. With back.lock of the file held. */
void open_files_back_add(OpenFiles *files, OpenFile *file, gint64 delay);

/* Waits until the queue has made room in the spool; FALSE when that can't be hoped for. */
gboolean open_files_back_wait_for_room(OpenFiles *files, const Bound *bound);
