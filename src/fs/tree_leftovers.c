/* SPDX-License-Identifier: MIT */
/*
 * What a mount that was killed has left on the server under private names. Half an upload is deleted. An old file that
 * had stepped aside is deleted when its place is taken, and put back when it is not: it is then the only copy.
 */
#include "tree_private.h"

#include <errno.h>

static int put_back(Tree *tree, const FtpCall *call, const PrivateLeftover *leftover, const RemotePath *remote)
{
    g_autoptr(RemotePath) place = NULL;
    FtpAttr attr;
    int r = ftp_client_path(tree->client, leftover->aside_of, &place);

    if (r == 0)
        r = tree_look(tree, call->bound, leftover->aside_of, &attr, NULL);
    if (r == 0)
        return ftp_client_delete(tree->client, call, remote);
    if (r != -ENOENT)
        return r;
    r = ftp_client_rename(tree->client, call, remote, place);
    if (r == -EREMOTEIO && tree_look(tree, call->bound, leftover->path, &attr, NULL) == 0)
        r = -EACCES; /* it is there, and can't be moved: another mount may be able to */
    if (r == 0) {
        g_warning("%s was being replaced when an earlier mount ended; its old content is back", leftover->aside_of);
        dir_cache_forget(tree->cache, leftover->aside_of);
    }
    return r;
}

void tree_clear_leftovers(Tree *tree, const Bound *bound)
{
    g_autoptr(GPtrArray) leftovers = private_names_leftovers(tree->names);
    FtpCall call = {.bound = bound, .priority = FTP_PRIORITY_TRANSFER}; /* which waits, unlike work ahead */

    for (guint i = 0; i < leftovers->len && bound_check(bound) == 0; i++) {
        const PrivateLeftover *leftover = leftovers->pdata[i];
        g_autoptr(RemotePath) remote = NULL;
        int r = ftp_client_path(tree->client, leftover->path, &remote);
        if (r == 0)
            r = leftover->aside_of ? put_back(tree, &call, leftover, remote)
                                   : ftp_client_delete(tree->client, &call, remote);
        if (r == 0 || r == -EREMOTEIO || r == -ENOENT) {
            private_names_done(tree->names, leftover->path);
            dir_cache_forget(tree->cache, leftover->path);
        } else if (r != -EINTR) {
            g_message("%s, which an earlier mount has left, could not be tidied up: %s", leftover->path,
                      g_strerror(-r));
        }
    }
}
