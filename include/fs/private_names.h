/* SPDX-License-Identifier: MIT */
/*
 * The names on the server that a mount makes for itself: of uploads that are to take a file's place, of old files that
 * stepped aside, and those that libfuse gives to files that are removed while they are open.
 *
 * Ours is what carries our mark: ".ftpfs-<mark>-<number>~". Another client's names are files like others, which are
 * shown, and which nobody but a person removes. The names in use are written down in the spool, so that the next mount
 * of the same source can tidy up after one that was killed; it takes over the marks of the dead. Thread-safe; nothing
 * here waits for the server.
 */
#pragma once

#include <glib.h>

typedef struct PrivateNames PrivateNames;

PrivateNames *private_names_new(void);
void private_names_free(PrivateNames *names);

/* Writes down from now on, below the directory `spool`, and takes over what dead mounts of the same source have left.
 * FALSE, logged, when that can't be done: names are then known to this process only. */
gboolean private_names_open(PrivateNames *names, const char *spool, const char *source);

/* A new name beside `path` (FUSE's, "/a/b"), in use until private_names_done(). `aside_of`: NULL, or the path of the
 * file whose content is to lie there: it must be put back when it has no other. Owned by the caller. */
char *private_names_make(PrivateNames *names, const char *path, const char *aside_of);

/* libfuse's name for an open file that was removed is in use. */
void private_names_hide(PrivateNames *names, const char *path);

/* It has another path now: a directory above it was renamed. */
void private_names_move(PrivateNames *names, const char *from, const char *to);

void private_names_done(PrivateNames *names, const char *path);

/* TRUE for names (without directory) that look like one of ftpfs's, whoever made it: nobody may make one. */
gboolean private_names_is_like(const char *name);

/* TRUE for a name (without directory) of this mount, or of a dead one that it has taken over. */
gboolean private_names_has(PrivateNames *names, const char *name);

/* TRUE for one of them that may be deleted with its directory: not while it is in use here, nor when it may be the only
 * copy of a file. */
gboolean private_names_may_delete(PrivateNames *names, const char *path);

/* What dead mounts have left. Each is to be ended by private_names_done(). */
typedef struct {
    char *path;
    char *aside_of; /* or NULL */
} PrivateLeftover;

/* Array of PrivateLeftover*, owned by the caller. */
GPtrArray *private_names_leftovers(PrivateNames *names);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(PrivateNames, private_names_free)
