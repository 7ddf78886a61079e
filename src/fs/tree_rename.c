/* SPDX-License-Identifier: MIT */
/*
 * rename(2) on servers that differ. Most replace an existing file by RNTO; some refuse. Where it is refused the old
 * target is first moved aside to a private name, then the new one takes its place, then the old one is deleted: at no
 * moment are both gone, and when the second step fails the first is undone.
 */
#include "tree_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A reply that may mean "the target is there". */
static gboolean is_refusal(int error)
{
    return error == -EREMOTEIO || error == -EEXIST || error == -EACCES || error == -ENOTEMPTY || error == -EOPNOTSUPP;
}

static int rename_remote(Tree *tree, const Bound *bound, const RemotePath *from, const RemotePath *to)
{
    FtpCall call = tree_call(bound);

    return ftp_client_rename(tree->client, &call, from, to);
}

/* `from` in the place of the file `to`, by way of a third name. -errno of the step that failed; then all is as it was,
 * as far as the server lets. */
static int replace_aside(Tree *tree, const Bound *bound, const RemotePath *from, const RemotePath *to,
                         const char *to_path)
{
    g_autoptr(RemotePath) aside = NULL;
    g_autofree char *aside_path = private_names_make(tree->names, to_path, to_path);
    /* What was begun is ended or undone, also when the caller has given up meanwhile. */
    Bound whole = bound_within(NULL, tree->options->ftp->timeout + tree->options->ftp->retry);
    FtpCall call = tree_call(&whole);
    int r = ftp_client_path(tree->client, aside_path, &aside);

    if (r == 0)
        r = rename_remote(tree, bound, to, aside);
    if (r < 0) {
        if (is_refusal(r)) /* else it may have been done: the next mount looks */
            private_names_done(tree->names, aside_path);
        return r;
    }
    r = rename_remote(tree, &whole, from, to);
    if (r < 0) {
        int undone = rename_remote(tree, &whole, aside, to);
        if (undone < 0)
            g_warning("%s could not be replaced, and its old content is now named %s", remote_path_bytes(to),
                      remote_path_bytes(aside));
        else
            private_names_done(tree->names, aside_path);
        return r;
    }
    if (ftp_client_delete(tree->client, &call, aside) < 0)
        g_message("the old content of %s is left as %s, which could not be deleted", remote_path_bytes(to),
                  remote_path_bytes(aside));
    else
        private_names_done(tree->names, aside_path);
    return 0;
}

/* An empty directory `to` is removed and put back when it was in vain. */
static int replace_dir(Tree *tree, const Bound *bound, const RemotePath *from, const RemotePath *to,
                       const char *to_path)
{
    FtpCall call = tree_call(bound);
    int r = tree_remove_dir(tree, bound, to_path);

    if (r < 0)
        return r;
    r = rename_remote(tree, bound, from, to);
    if (r < 0)
        ftp_client_mkdir(tree->client, &call, to);
    return r;
}

/* What rename(2) says of two names without trying: 0, or -errno. */
static int check_types(Tree *tree, const Bound *bound, const FtpAttr *from, const FtpAttr *to, const char *to_path)
{
    gboolean from_dir = from->type == FTP_TYPE_DIR, to_dir = to->type == FTP_TYPE_DIR;

    if (from_dir && !to_dir)
        return -ENOTDIR;
    if (!from_dir && to_dir)
        return -EISDIR;
    return to_dir ? tree_check_empty(tree, bound, to_path, NULL) : 0;
}

static gboolean is_below(const char *path, const char *dir)
{
    gsize size = strlen(dir);

    return strncmp(path, dir, size) == 0 && path[size] == '/';
}

static int explain_rename(Tree *tree, const Bound *bound, const char *from, const char *to, int error)
{
    FtpAttr attr;

    if (error != -EREMOTEIO)
        return error;
    int r = tree_look(tree, bound, from, &attr, NULL);
    if (r < 0)
        return r;
    r = tree_explain(tree, bound, to, TRUE, error);
    return r == -EEXIST ? -EACCES : r;
}

/* The RNFR and RNTO, with what it takes where that is refused. */
static int rename_at_server(Tree *tree, const Bound *bound, const char *from, const char *to, const FtpAttr *attr)
{
    g_autoptr(RemotePath) remote_from = NULL, remote_to = NULL;
    FtpAttr target;
    int r = ftp_client_path(tree->client, from, &remote_from);

    if (r == 0)
        r = ftp_client_path(tree->client, to, &remote_to);
    if (r < 0)
        return r;
    r = rename_remote(tree, bound, remote_from, remote_to);
    if (!is_refusal(r))
        return r;
    int refused = r, there = tree_look(tree, bound, to, &target, NULL);
    if (there == 0) {
        r = check_types(tree, bound, attr, &target, to);
        if (r < 0)
            return r;
        r = target.type == FTP_TYPE_DIR ? replace_dir(tree, bound, remote_from, remote_to, to)
                                        : replace_aside(tree, bound, remote_from, remote_to, to);
        refused = r;
    }
    return refused < 0 ? explain_rename(tree, bound, from, to, refused) : 0;
}

int tree_rename(Tree *tree, const Bound *bound, const char *from, const char *to, unsigned int flags)
{
    FtpAttr attr, target;

    if ((flags & ~(unsigned int)RENAME_NOREPLACE) != 0 || is_below(to, from))
        return -EINVAL;
    int r = tree_may_make(to);
    if (r == 0)
        r = tree_lookup(tree, bound, from, -1, &attr, NULL);
    if (r < 0)
        return r;
    r = tree_lookup(tree, bound, to, (flags & RENAME_NOREPLACE) != 0 ? 0 : -1, &target, NULL);
    if (r == 0 && (flags & RENAME_NOREPLACE) != 0)
        return -EEXIST;
    if (r == 0 && g_str_equal(from, to))
        return 0;
    if (r == 0)
        r = check_types(tree, bound, &attr, &target, to);
    if (r == 0 || r == -ENOENT)
        r = rename_at_server(tree, bound, from, to, &attr);
    if (r == 0)
        dir_cache_rename(tree->cache, from, to);
    return r;
}

int tree_move_into_place(Tree *tree, const Bound *bound, const char *from, const char *to)
{
    g_autoptr(RemotePath) remote_from = NULL, remote_to = NULL;
    int r = ftp_client_path(tree->client, from, &remote_from);

    if (r == 0)
        r = ftp_client_path(tree->client, to, &remote_to);
    if (r == 0)
        r = rename_remote(tree, bound, remote_from, remote_to);
    if (is_refusal(r)) {
        int refused = r;
        r = replace_aside(tree, bound, remote_from, remote_to, to);
        if (r == -EREMOTEIO)
            r = refused;
    }
    return r;
}
