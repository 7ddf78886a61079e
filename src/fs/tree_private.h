/* SPDX-License-Identifier: MIT */
/* Shared by the rooms of tree: tree.c (building, attributes), tree_lookup.c (asking), tree_change.c, tree_rename.c. */
#pragma once

#include "base/name_codec.h"
#include "fs/tree.h"

#define TREE_SECOND G_USEC_PER_SEC

struct Tree {
    const Options *options;
    FtpClient *client;
    DirCache *cache;
    NameCodec *codec; /* of link targets; NULL: as they are */
    PrivateNames *names;
    gint64 mounted; /* seconds since 1970: the time that the root shows */
    GMutex lock;
    GHashTable *misses; /* directory -> gint64*, when a name in it was asked for alone; under `lock` */
};

/* The load function of the cache; `data` is the Tree. */
int tree_load(const char *path, const Bound *bound, DirBuilder *builder, gpointer data);

/* A call of a person's operation. */
FtpCall tree_call(const Bound *bound);

/* Asks the server, whatever the cache holds. */
int tree_look(Tree *tree, const Bound *bound, const char *path, FtpAttr *ret, char **ret_target);

/* -EACCES when the name is one of ftpfs's own and nobody may make it, -ENAMETOOLONG, else 0. */
int tree_may_make(const char *path);

/* 0 when the server's directory, asked now, has nothing in it (private names of ours count unless `ret_private` is
 * given: then the list of them), -ENOTEMPTY, or -errno. */
int tree_check_empty(Tree *tree, const Bound *bound, const char *path, GPtrArray **ret_private);

/* Removes an empty directory on the server, with names in it that this mount, or a dead one that it has taken over, has
 * left. Not in the cache. */
int tree_remove_dir(Tree *tree, const Bound *bound, const char *path);
