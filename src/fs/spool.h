/* SPDX-License-Identifier: MIT */
/* The directory that spool files are made in, and how many bytes they may take together. Thread-safe. */
#pragma once

#include "fs/options.h"
#include "fs/spool_file.h"

typedef struct Spool Spool;

/* Makes the directory (mode 0700) where it is not there. NULL with `error` set when it can't be made, is not ours, or
 * may be written to by others. */
Spool *spool_new(const Options *options, GError **error);
void spool_free(Spool *spool);

const char *spool_directory(const Spool *spool);

/* Counts `bytes` (negative: gives back) against spool_max; -ENOSPC when they don't fit, nothing is counted then. */
int spool_reserve(Spool *spool, gint64 bytes);

/* Keeps what could not be sent in lost+found, under a name made of `remote` (a path of the mount), and beside it a file
 * NAME.info that tells what it is: the source, the remote name, when and why. 0 and the file's path, owned by the
 * caller, or -errno. */
int spool_keep(Spool *spool, SpoolFile *file, const char *source, const char *remote, const char *why, char **ret_path);

/* A line "kept: REMOTE in PATH (WHY)" for each file of `source` in lost+found, appended to `text`; their
 * number. */
guint spool_lost(const Spool *spool, const char *source, GString *text);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Spool, spool_free)
