/* SPDX-License-Identifier: MIT */
/*
 * The names of the mount: looking up, listing, making, removing, renaming, and the attributes that stat(2) shows.
 * Between the directory cache and the server; knows nothing of open files. Paths are FUSE's ("/", "/a/b"). All
 * functions return 0 or -errno and are thread-safe.
 *
 * A reply 550 (-EREMOTEIO from the client) becomes the errno that fits by what the cache or one more look tells.
 */
#pragma once

#include "fs/dir_cache.h"
#include "fs/options.h"
#include "fs/private_names.h"
#include "ftp/ftp_client.h"

#include <sys/stat.h>

typedef struct Tree Tree;

Tree *tree_new(const Options *options, FtpClient *client, Stats *stats);
void tree_free(Tree *tree);

/* "b" of "/a/b", in that string. */
const char *tree_name(const char *path);

DirCache *tree_cache(Tree *tree);
PrivateNames *tree_names(Tree *tree);

/* Attributes of a name that are at most `max_age` µs old (-1: as old as cache_ttl allows; 0: asked for now). -ENOENT,
 * -ENOTDIR. `ret_target` may be NULL. The root needs no network. */
int tree_lookup(Tree *tree, const Bound *bound, const char *path, gint64 max_age, FtpAttr *ret, char **ret_target);

/* The same as lookup for a file that is about to be opened: size and time as exact as the server tells (MLST, or SIZE
 * and MDTM), unless they are known exactly and are at most a second old. */
int tree_lookup_for_open(Tree *tree, const Bound *bound, const char *path, FtpAttr *ret);

/* After an upload: asks the server for size and time and puts them into the cache; the time falls back to now, the
 * size to `size`. -EIO when the server's size differs from `size`. */
int tree_uploaded(Tree *tree, const Bound *bound, const char *path, gint64 size);

/* FtpAttr to struct stat by the view options (uid=, gid=, umask= ...) */
void tree_fill_stat(const Tree *tree, const FtpAttr *attr, struct stat *ret);

int tree_list(Tree *tree, const Bound *bound, const char *path, DirListing **ret);
int tree_mkdir(Tree *tree, const Bound *bound, const char *path, mode_t mode);
int tree_rmdir(Tree *tree, const Bound *bound, const char *path);
int tree_unlink(Tree *tree, const Bound *bound, const char *path);

/* On the server and in the cache, replacing a file or an empty directory as rename(2) asks, also where the server
 * refuses that. `flags`: 0 or RENAME_NOREPLACE. */
int tree_rename(Tree *tree, const Bound *bound, const char *from, const char *to, unsigned int flags);

/* On the server only, without a look at the cache or a change of it: for an upload's private name that takes its
 * place. Replaces an existing file. */
int tree_move_into_place(Tree *tree, const Bound *bound, const char *from, const char *to);

int tree_set_mtime(Tree *tree, const Bound *bound, const char *path, gint64 mtime);
int tree_chmod(Tree *tree, const Bound *bound, const char *path, mode_t mode);
int tree_symlink(Tree *tree, const Bound *bound, const char *target, const char *path);
int tree_readlink(Tree *tree, const Bound *bound, const char *path, char **ret);

/* -EREMOTEIO and the like on `path` to the errno that fits. `error` is what the client returned for an operation that
 * wanted `path` to exist (or not to: `creates`). */
int tree_explain(Tree *tree, const Bound *bound, const char *path, gboolean creates, int error);

/* Deletes, or puts back, what dead mounts have left on the server (see private_names.h). What can't be done now is left
 * for the next mount. */
void tree_clear_leftovers(Tree *tree, const Bound *bound);

/* TRUE for a name that a listing shows: none of our private ones and, with hidden=off, none that begins with a dot. The
 * kernel tells of the last close of a file only after close(2) has returned, so one that is removed at once has a name
 * of libfuse's (".fuse_hidden...") for a moment: those are private, too. */
gboolean tree_shows(const Tree *tree, const char *name);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Tree, tree_free)
