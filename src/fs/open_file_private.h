/* SPDX-License-Identifier: MIT */
/*
 * The inside of an OpenFile and of the table of them; shared by open_file.c, open_files.c and file_upload.c.
 *
 * Locks: OpenFiles.lock before OpenFile.lock, both short; neither is held while the server, or a thread that talks to
 * it, is waited for. What may take long and must not happen twice at once to one file (an upload, a rename, an unlink)
 * is kept apart by a claim: open_file_claim() waits for it with a bound. FileBack.lock, which is held while the journal
 * is written, comes before both.
 */
#pragma once

#include "file_ahead.h"
#include "fs/file_reader.h"
#include "fs/open_file.h"
#include "kernel_pages.h"
#include "open_file_back.h"
#include "spool.h"
#include "upload_queue.h"

/* O_EXCL, RENAME_NOREPLACE: programs make lock files by it, so the server is asked. The age of an answer, in µs. */
#define EXCLUSIVE_AGE 0

/* A FileReader with a reference count: a read that is under way holds it while the file gets another one. */
typedef struct BaseReader BaseReader;

typedef struct UploadAhead UploadAhead;

struct OpenFiles {
    const Options *options;
    FtpClient *client;
    Tree *tree;
    Stats *stats;
    Spool *spool;
    FileAhead *ahead;
    Journal *journal;   /* NULL: files are sent when they are closed. Set before the first operation */
    UploadQueue *queue; /* likewise */
    gint ending;        /* atomic: what is in the queue is left to the next mount */
    gint hurried;       /* atomic; 1 by open_files_hurry(), 2 when it is to be at once */
    FileReaderShared readers;
    gint append_refused; /* atomic: the server does not let files be appended to */

    GMutex lock;
    GCond ahead_ended; /* one of ahead_threads */
    /* lock guards all below */
    GHashTable *by_path; /* OpenFile.path → OpenFile, not owned: an OpenFile is there while it has handles and a name */
    GHashTable *all;     /* set of OpenFile, not owned: all that there are */
    KernelPages *pages;
    guint pending;           /* files that the queue has */
    guint large, large_most; /* of them, large ones that are being sent */
    guint ahead_threads;     /* uploads of files that are still written */
};

struct OpenFile {
    OpenFiles *files;
    guint refs;    /* OpenFiles.lock */
    guint handles; /* OpenFiles.lock; each holds a reference */

    GMutex lock;
    GCond changed; /* the claim was given back; something happened that an upload waits for */
    /* lock guards all below; `path` is written with both locks held */
    char *path;
    FtpAttr attr;        /* what the server told last */
    gint64 attr_at;      /* seconds since 1970: when it did, or later (but not after an upload) */
    guint64 bases;       /* counts up with every other file that the server has in its place */
    BaseReader *reader;  /* of the file on the server; NULL until it is needed */
    SpoolFile *spool;    /* NULL until something is written */
    gint64 reserved;     /* bytes counted in the Spool */
    UploadAhead *ahead;  /* the upload while it is being written, or NULL */
    guint ahead_threads; /* of it, and of such ones that were dropped */
    gint64 released;     /* bytes at its front that the spool has forgotten: they are at base_path */
    char *base_path;     /* a private name of ours, which holds the base; or NULL: the file itself does */
    gboolean claimed;    /* somebody uploads, renames or removes it */
    gboolean on_server;  /* the server has a file of this name */
    gboolean dirty;      /* the server has not seen all changes */
    gboolean gone;       /* removed or replaced: it has no name any more and is not sent */
    guint64 changes;     /* counts up with every write and truncate */
    gint64 written_at;   /* seconds since 1970 */

    /* to be done after the upload */
    gboolean has_mtime;
    gint64 mtime;
    gboolean has_mode;
    gboolean mode_asked; /* by chmod; else by the mode of create, where a server that can't is no error */
    mode_t mode;

    FileBack back;
};

/* A new one has one reference and no handle. `attr` is copied. With OpenFiles.lock held. */
OpenFile *open_file_new(OpenFiles *files, const char *path, const FtpAttr *attr, gboolean on_server);
OpenFile *open_file_ref(OpenFile *file); /* with OpenFiles.lock held */
void open_file_unref(OpenFile *file);    /* with no lock held: may wait for the end of streams */

/* A reference, or NULL when nobody has it open. With no lock held. */
OpenFile *open_files_get(OpenFiles *files, const char *path);

/* 0, or what the bound says. Each claim is given back by open_file_unclaim(). */
int open_file_claim(OpenFile *file, const Bound *bound);
void open_file_unclaim(OpenFile *file);

/* Fetches the bytes [start, end) of the base that the spool file `into` (NULL: the file's own, whichever that is then)
 * lacks into it. */
int open_file_fetch(OpenFile *file, SpoolFile *into, const Bound *bound, gint64 start, gint64 end);

/* The server has another file now: what was read or uploaded before is not used any more. With the file's lock held;
 * returns what is to be given to base_reader_unref() after the lock was given back. Not of a dirty file. */
BaseReader *open_file_replace_base(OpenFile *file, const FtpAttr *attr);
void base_reader_unref(BaseReader *reader);

/* A new file, which nobody else knows yet, is read from these contents. Takes a reference. */
void open_file_set_contents(OpenFile *file, FileContents *contents);

/* The file has another path. With both locks held. */
void open_file_set_path(OpenFile *file, const char *path);

/* Size and times as they are now into `attr`. With the file's lock held. */
void open_file_live_attr(const OpenFile *file, FtpAttr *attr);

/* Marks a new or truncated file as one that is to be sent. With the file's lock held. */
int open_file_start_empty(OpenFile *file);

/* What can't be sent is kept in lost+found, for `reason`: 0, or -errno. Logged. */
int open_file_keep(OpenFile *file, int reason);

/* After open_files_finish(): the queue, its references, and the journal. */
void open_files_back_free(OpenFiles *files);

/* Lines "name: value" for --status. */
void open_files_back_status(OpenFiles *files, GString *text);

/* libfuse's name for a file that was removed while it is open: it is going to be removed, so it is never sent. */
gboolean open_file_is_hidden(const char *path);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(OpenFile, open_file_unref)
