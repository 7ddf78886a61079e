/* SPDX-License-Identifier: MIT */
/* The parts of a mount, for fs.c and fs_ops.c. */
#pragma once

#include "dir_ahead.h"
#include "fs/fs.h"
#include "fs/open_file.h"
#include "fs/tree.h"

#include <sys/statvfs.h>

struct Fs {
    const Options *options;
    FtpClient *client;
    Stats *stats;
    gint64 began; /* monotonic, µs: when it was mounted */
    Tree *tree;
    OpenFiles *files;
    AheadQueue *queue;
    DirAhead *dir_ahead;
    gint invalidating; /* atomic: invalidations that wait for the kernel now */
    GMutex lock;       /* guards what follows */
    gint64 available;  /* bytes free on the server, or -1 */
    GHashTable *dirs;  /* set of the directories' handles that are open; owned */
    gint64 asked;      /* monotonic, µs: when that was last asked for; 0: never */
    GThread *tidy;     /* clears what dead mounts have left, once; or NULL */
    gint ending;       /* atomic: it is to end */
    gint hurried;      /* atomic: ... and nothing is to wait any more */
    gint settled;      /* atomic: FUSE's loop is over */
};

/* What fi->fh of a directory is. libfuse calls one operation at a time on it. */
typedef struct {
    DirListing *listing;
    gboolean begun; /* it was read already */
} OpenDir;

/* Starts what runs beside FUSE's threads; called when the program is where it stays (after a fork). */
void fs_start(Fs *fs);

void open_dir_free(OpenDir *dir);

/* statfs(2) of the mount, from what is known: never waits for more than a moment. */
void fs_fill_statvfs(Fs *fs, struct statvfs *ret);

/* TRUE when the program `pid` has the file `path` of the mount open for writing at the moment. FALSE also when that
 * can't be found out (a process of somebody else, or of another name space). */
gboolean fs_caller_holds(const Fs *fs, pid_t pid, const char *path);

/* The value of an attribute "user.ftpfs.NAME" of the file `path`; NULL when there is none. Owned by the caller. */
char *fs_attribute(Fs *fs, const char *path, const char *name);
