/* SPDX-License-Identifier: MIT */
/*
 * Making, removing, and changing attributes. The server is asked first; what it did is then put into the cache, so
 * that nothing has to be listed again. What it refuses with a 550, which may mean anything, is looked into.
 *
 * What a server can't do but programs rely on is done in the cache alone: a time (utimens) on a server without MFMT,
 * MDTM-setting and SITE UTIME, or of a directory where it sets only those of files, and permission bits (chmod) on one
 * without SITE CHMOD and MFF. They are seen until the directory is listed again.
 */
#include "tree_private.h"

#include <errno.h>
#include <string.h>

/* ---- Directories ---- */

int tree_mkdir(Tree *tree, const Bound *bound, const char *path, mode_t mode)
{
    g_autoptr(RemotePath) remote = NULL;
    FtpCall call = tree_call(bound);
    FtpAttr attr;
    int r = tree_may_make(path);

    if (r == 0 && dir_cache_lookup(tree->cache, path, -1, &attr, NULL, NULL) == 0)
        r = -EEXIST;
    if (r == 0)
        r = ftp_client_path(tree->client, path, &remote);
    if (r == 0)
        r = ftp_client_mkdir(tree->client, &call, remote);
    if (r < 0)
        return tree_explain(tree, bound, path, TRUE, r);
    /* The server's own idea of the mode is seen with the next listing; cp and tar set it explicitly. */
    attr = (FtpAttr){.type = FTP_TYPE_DIR,
                     .has = FTP_HAS_MTIME | FTP_HAS_MODE,
                     .mtime = g_get_real_time() / TREE_SECOND,
                     .mtime_precision = 60,
                     .mode = 0755};
    dir_cache_put_empty_dir(tree->cache, path, &attr);
    return 0;
}

int tree_check_empty(Tree *tree, const Bound *bound, const char *path, GPtrArray **ret_private)
{
    g_autoptr(DirListing) listing = NULL;
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    int r = dir_cache_list_since(tree->cache, bound, path, 0, &listing);

    if (r < 0)
        return r;
    for (guint i = 0; i < dir_listing_size(listing); i++) {
        ListEntry entry;
        dir_listing_entry(listing, i, &entry);
        g_autofree char *child = g_build_path("/", path, entry.name, NULL);
        if (!ret_private || !private_names_may_delete(tree->names, child))
            return -ENOTEMPTY;
        g_ptr_array_add(names, g_strdup(entry.name));
    }
    if (ret_private)
        *ret_private = g_steal_pointer(&names);
    return 0;
}

static int delete_names(Tree *tree, const Bound *bound, const char *dir, const GPtrArray *names)
{
    FtpCall call = tree_call(bound);

    for (guint i = 0; i < names->len; i++) {
        g_autoptr(RemotePath) remote = NULL;
        g_autofree char *path = g_build_path("/", dir, g_ptr_array_index(names, i), NULL);
        int r = ftp_client_path(tree->client, path, &remote);
        if (r == 0)
            r = ftp_client_delete(tree->client, &call, remote);
        if (r < 0 && r != -EREMOTEIO && r != -ENOENT) /* gone meanwhile, or never sent: RMD will tell */
            return r;
        private_names_done(tree->names, path);
    }
    return 0;
}

int tree_remove_dir(Tree *tree, const Bound *bound, const char *path)
{
    g_autoptr(RemotePath) remote = NULL;
    g_autoptr(GPtrArray) left = NULL;
    g_autoptr(DirListing) known = NULL;
    FtpCall call = tree_call(bound);
    int r = ftp_client_path(tree->client, path, &remote);

    if (r < 0)
        return r;
    /* Some servers remove a full directory with all that is in it: one that seems full is looked at before. */
    if (dir_cache_has_listing(tree->cache, path) && dir_cache_list(tree->cache, bound, path, &known) == 0 &&
        dir_listing_size(known) > 0) {
        r = tree_check_empty(tree, bound, path, &left);
        if (r < 0)
            return r;
    }
    if (!left || left->len == 0) {
        r = ftp_client_rmdir(tree->client, &call, remote);
        if (r != -EREMOTEIO && r != -EACCES && r != -EEXIST && r != -ENOTEMPTY)
            return r;
        int refused = r;
        g_clear_pointer(&left, g_ptr_array_unref);
        r = tree_check_empty(tree, bound, path, &left);
        if (r == 0 && left->len == 0)
            return refused == -EREMOTEIO ? -EACCES : refused;
        if (r < 0)
            return r;
    }
    r = delete_names(tree, bound, path, left);
    if (r == 0)
        r = ftp_client_rmdir(tree->client, &call, remote);
    return r == -EREMOTEIO ? -ENOTEMPTY : r;
}

int tree_rmdir(Tree *tree, const Bound *bound, const char *path)
{
    FtpAttr attr;

    if (g_str_equal(path, "/"))
        return -EBUSY;
    int r = tree_lookup(tree, bound, path, -1, &attr, NULL);
    if (r == 0 && attr.type != FTP_TYPE_DIR)
        r = -ENOTDIR;
    if (r == 0)
        r = tree_remove_dir(tree, bound, path);
    if (r == 0 || r == -ENOENT)
        dir_cache_remove(tree->cache, path);
    return r;
}

/* ---- Files and links ---- */

int tree_unlink(Tree *tree, const Bound *bound, const char *path)
{
    g_autoptr(RemotePath) remote = NULL;
    FtpCall call = tree_call(bound);
    FtpAttr attr;
    int r = tree_lookup(tree, bound, path, -1, &attr, NULL);

    if (r == 0 && attr.type == FTP_TYPE_DIR)
        r = -EISDIR;
    if (r == 0)
        r = ftp_client_path(tree->client, path, &remote);
    if (r == 0)
        r = ftp_client_delete(tree->client, &call, remote);
    if (r == -EREMOTEIO)
        r = tree_explain(tree, bound, path, FALSE, r);
    if (r == 0 || r == -ENOENT)
        dir_cache_remove(tree->cache, path);
    return r;
}

int tree_symlink(Tree *tree, const Bound *bound, const char *target, const char *path)
{
    g_autoptr(RemotePath) remote = NULL;
    g_autofree char *converted = tree->codec ? name_codec_to_remote(tree->codec, target) : g_strdup(target);
    FtpCall call = tree_call(bound);
    int r = converted ? tree_may_make(path) : -EILSEQ;

    if (r == 0)
        r = ftp_client_path(tree->client, path, &remote);
    if (r == 0)
        r = ftp_client_symlink(tree->client, &call, converted, remote);
    if (r < 0)
        return tree_explain(tree, bound, path, TRUE, r);
    FtpAttr attr = {.type = FTP_TYPE_LINK,
                    .has = FTP_HAS_SIZE | FTP_HAS_MTIME,
                    .size = (gint64)strlen(target),
                    .mtime = g_get_real_time() / TREE_SECOND,
                    .mtime_precision = 60};
    dir_cache_put(tree->cache, path, &attr, target, FALSE);
    return 0;
}

/* ---- Attributes ---- */

int tree_set_mtime(Tree *tree, const Bound *bound, const char *path, gint64 mtime)
{
    g_autoptr(RemotePath) remote = NULL;
    g_autofree char *target = NULL;
    FtpCall call = tree_call(bound);
    FtpAttr attr;

    if (g_str_equal(path, "/"))
        return 0; /* its time is that of the mount */
    int r = tree_lookup(tree, bound, path, -1, &attr, &target);
    if (r == 0)
        r = ftp_client_path(tree->client, path, &remote);
    if (r < 0)
        return r;
    if (attr.type != FTP_TYPE_LINK) /* the server would set the time of what it points to */
        r = ftp_client_set_mtime(tree->client, &call, remote, mtime);
    if (r == -EREMOTEIO && attr.type != FTP_TYPE_DIR)
        r = tree_explain(tree, bound, path, FALSE, r);
    if (r < 0 && r != -EOPNOTSUPP && r != -EREMOTEIO)
        return r;
    attr.mtime = mtime;
    attr.mtime_precision = 1;
    attr.has |= FTP_HAS_MTIME;
    dir_cache_put(tree->cache, path, &attr, target, FALSE);
    return 0;
}

int tree_chmod(Tree *tree, const Bound *bound, const char *path, mode_t mode)
{
    g_autoptr(RemotePath) remote = NULL;
    FtpCall call = tree_call(bound);
    FtpAttr attr;
    int r = tree_lookup(tree, bound, path, -1, &attr, NULL);

    if (r == 0)
        r = ftp_client_path(tree->client, path, &remote);
    if (r < 0)
        return r;
    r = ftp_client_set_mode(tree->client, &call, remote, mode & 07777);
    if (r == -EREMOTEIO)
        r = tree_explain(tree, bound, path, FALSE, r);
    if (r < 0 && r != -EOPNOTSUPP)
        return r == -EACCES ? -EPERM : r;
    attr.mode = mode & 07777;
    attr.has |= FTP_HAS_MODE;
    if (!g_str_equal(path, "/"))
        dir_cache_put(tree->cache, path, &attr, NULL, FALSE);
    return 0;
}
