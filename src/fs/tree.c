/* SPDX-License-Identifier: MIT */
/*
 * Building the tree, loading directories for the cache, and what stat(2) shows.
 *
 * The cache holds what the server says, private and dot names included; what a listing does not show is left out when
 * it is shown (tree_shows), so that "empty" always means empty on the server.
 */
#include "tree_private.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* What all listings together may take: about a million names. */
#define CACHE_MAX_BYTES ((gsize)96 << 20)

#define BLOCK_SIZE        4096
#define AHEAD_MAX_ENTRIES 10000

Tree *tree_new(const Options *options, FtpClient *client, Stats *stats)
{
    Tree *tree = g_new0(Tree, 1);
    DirCacheConfig config = {
        .ttl = options->cache ? options->cache_ttl * (gint64)TREE_SECOND : 0,
        .negative_ttl = options->cache ? options->negative_ttl * (gint64)TREE_SECOND : 0,
        .max_bytes = CACHE_MAX_BYTES,
        .exact_times = TRUE,
    };

    tree->options = options;
    tree->client = client;
    tree->cache = dir_cache_new(&config, tree_load, tree, stats);
    if (options->ftp->charset)
        tree->codec = name_codec_new(options->ftp->charset, NULL);
    tree->names = private_names_new();
    tree->mounted = g_get_real_time() / TREE_SECOND;
    tree->misses = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_mutex_init(&tree->lock);
    return tree;
}

void tree_free(Tree *tree)
{
    if (!tree)
        return;
    dir_cache_free(tree->cache);
    name_codec_free(tree->codec);
    g_hash_table_unref(tree->misses);
    private_names_free(tree->names);
    g_mutex_clear(&tree->lock);
    g_free(tree);
}

DirCache *tree_cache(Tree *tree)
{
    return tree->cache;
}

PrivateNames *tree_names(Tree *tree)
{
    return tree->names;
}

FtpCall tree_call(const Bound *bound)
{
    return (FtpCall){.bound = bound, .priority = FTP_PRIORITY_PERSON};
}

const char *tree_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

gboolean tree_shows(const Tree *tree, const char *name)
{
    return !private_names_has(tree->names, name) && (tree->options->hidden || name[0] != '.');
}

int tree_may_make(const char *path)
{
    const char *name = tree_name(path);

    if (strlen(name) > NAME_MAX)
        return -ENAMETOOLONG;
    return private_names_is_like(name) ? -EACCES : 0;
}

/* ---- Loading ---- */

static int load_entry(const ListEntry *entry, gpointer data)
{
    /* A huge directory is not listed before somebody wants it: he would wait for it with other things. */
    if (dir_builder_is_ahead(data) && dir_builder_size(data) >= AHEAD_MAX_ENTRIES)
        return -ECANCELED;
    return dir_builder_add(data, entry);
}

static void load_restart(gpointer data)
{
    dir_builder_restart(data);
}

/* A refused listing: there is no such directory, it is none, or it may not be read. Looks at the name, which never
 * waits for a load of this directory: only those above it are asked for. */
static int explain_refused_load(Tree *tree, const Bound *bound, const char *path)
{
    FtpAttr attr;

    if (g_str_equal(path, "/"))
        return -EACCES;
    int r = tree_look(tree, bound, path, &attr, NULL);
    if (r == 0)
        r = attr.type == FTP_TYPE_FILE ? -ENOTDIR : -EACCES;
    return r == -EREMOTEIO ? -EACCES : r;
}

int tree_load(const char *path, const Bound *bound, DirBuilder *builder, gpointer data)
{
    Tree *tree = data;
    g_autoptr(RemotePath) remote = NULL;
    FtpCall call = tree_call(bound);
    FtpAttr attr;
    int r = ftp_client_path(tree->client, path, &remote);

    if (dir_builder_is_ahead(builder))
        call.priority = FTP_PRIORITY_AHEAD;
    if (dir_cache_attr(tree->cache, path, &attr) && (attr.has & FTP_HAS_SIZE) != 0)
        call.dir_size = attr.size;
    if (r == 0)
        r = ftp_client_list(tree->client, &call, remote, load_entry, load_restart, builder);
    if (dir_builder_is_ahead(builder))
        return r;
    if (r == -EREMOTEIO || r == -ENOENT)
        r = explain_refused_load(tree, bound, path);
    return r;
}

int tree_list(Tree *tree, const Bound *bound, const char *path, DirListing **ret)
{
    return dir_cache_list(tree->cache, bound, path, ret);
}

/* ---- Attributes ---- */

/* What is left of the bits when nothing but the fact `perm`, or not even that, tells them: the owner may at least read,
 * and the process's umask decides for the others, as with a file made here. */
static mode_t guessed_mode(const Tree *tree, const FtpAttr *attr)
{
    gboolean dir = attr->type == FTP_TYPE_DIR;
    mode_t all = dir ? 0777 : 0666;
    mode_t mode = all;

    if ((attr->has & FTP_HAS_PERM) != 0)
        mode = (attr->mode & all) | (dir ? 0500 : 0400);
    return tree->options->umask_set ? mode : mode & ~tree->options->umask;
}

void tree_fill_stat(const Tree *tree, const FtpAttr *attr, struct stat *ret)
{
    const Options *options = tree->options;
    gboolean dir = attr->type == FTP_TYPE_DIR;
    mode_t mode = (attr->has & FTP_HAS_MODE) != 0 ? attr->mode & 07777 : guessed_mode(tree, attr);
    gint64 size = (attr->has & FTP_HAS_SIZE) != 0 ? attr->size : 0;

    if (options->umask_set)
        mode &= ~options->umask;
    if (dir && options->dmask_set)
        mode &= ~options->dmask;
    if (!dir && options->fmask_set)
        mode &= ~options->fmask;

    memset(ret, 0, sizeof *ret);
    switch ((FtpType)attr->type) {
    case FTP_TYPE_DIR:
        ret->st_mode = S_IFDIR | mode;
        size = BLOCK_SIZE;
        break;
    case FTP_TYPE_LINK:
        ret->st_mode = S_IFLNK | 0777;
        break;
    case FTP_TYPE_FILE:
    case FTP_TYPE_OTHER: /* a device or a socket of the server is nothing but a name here */
        ret->st_mode = S_IFREG | mode;
        break;
    }
    /* 1 for directories, too: find(1) then does not reckon with the number of subdirectories. */
    ret->st_nlink = 1;
    gboolean owned = (attr->has & FTP_HAS_OWNER) != 0;
    ret->st_uid = options->uid_server && owned ? attr->uid : options->uid;
    ret->st_gid = options->gid_server && owned ? attr->gid : options->gid;
    ret->st_size = size;
    ret->st_blksize = BLOCK_SIZE;
    ret->st_blocks = (size + 511) / 512;
    ret->st_mtim.tv_sec = (attr->has & FTP_HAS_MTIME) != 0 ? attr->mtime : 0;
    ret->st_atim = ret->st_ctim = ret->st_mtim;
}
