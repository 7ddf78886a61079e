/* SPDX-License-Identifier: MIT */
/*
 * An open must not believe what is older than a second (close-to-open). The bytes of a whole small file that were asked
 * for less than a second ago are as good a proof as a look at its name: the server counted them, and said that it was
 * the end. So instead of a look (MLST, or SIZE and MDTM) and a RETR there is only the RETR, at the open, or ahead of it
 * when files are opened in order. What is shown of the file is what the cache has; when the count of bytes differs from
 * that, the name is looked at after all.
 *
 * The time that goes with the bytes may be older than they are, and never newer: what the kernel keeps of them is
 * dropped at the next open that finds another time.
 *
 * A file whose pages the kernel still has, or that was fetched ahead longer ago, needs a look and no bytes. When many
 * are opened in order, one listing of the directory tells of all of them; and where listings tell minutes, a listing
 * spares the exact time, which would be news to the kernel and make it drop its pages.
 */
#include "open_small.h"

#include <errno.h>

#define AT_OPEN_MAX (64 << 10) /* bytes; a larger file is not fetched whole before the first byte is given */
#define LIST_MAX    2000       /* names of a directory that is listed for what it tells of one */
#define MAX_AGE     G_USEC_PER_SEC

gboolean open_small_skip(const char *path, const FtpAttr *attr, gpointer data)
{
    OpenFiles *files = data;
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&files->lock);

    return g_hash_table_contains(files->by_path, path) || kernel_pages_keep(files->pages, path, attr);
}

static gboolean is_small(const FtpAttr *attr)
{
    const guint8 both = FTP_HAS_SIZE | FTP_HAS_MTIME;

    return attr->type == FTP_TYPE_FILE && (attr->has & both) == both && attr->size > 0;
}

/* The attributes of the cache, after a listing that is recent; FALSE when there is none, or it would be long. */
static gboolean list_recent(OpenFiles *files, const Bound *bound, const char *path, FtpAttr *attr, gint64 *age)
{
    DirCache *cache = tree_cache(files->tree);
    g_autofree char *dir = g_path_get_dirname(path);
    g_autoptr(DirListing) listing = dir_cache_peek(cache, dir);
    gint64 asked = g_get_monotonic_time();

    if (!listing || dir_listing_size(listing) > LIST_MAX)
        return FALSE;
    dir_listing_unref(g_steal_pointer(&listing));
    if (dir_cache_list_since(cache, bound, dir, MAX_AGE, &listing) < 0)
        return FALSE;
    /* However long the listing took: what counts is how old it was when the file was opened. */
    gint64 waited = g_get_monotonic_time() - asked;
    if (dir_cache_lookup(cache, path, MAX_AGE + waited, attr, NULL, age) < 0 || !is_small(attr))
        return FALSE;
    *age -= waited;
    return TRUE;
}

static int fetch_now(OpenFiles *files, const Bound *bound, const char *path, const FtpAttr *attr, FileContents **ret)
{
    g_autoptr(RemotePath) remote = NULL;
    int error = ftp_client_path(files->client, path, &remote);
    if (error == 0)
        error = file_contents_fetch(files->client, bound, FTP_PRIORITY_TRANSFER, remote, attr, ret);
    if (error == 0)
        return 1;
    if (error == -ESTALE)
        dir_cache_forget(tree_cache(files->tree), path);
    /* What the server says of this file is for the look to explain; what broke in the middle goes on by a stream. */
    return error == -EINTR || error == -ETIMEDOUT || error == -ECONNREFUSED || error == -EHOSTUNREACH ? error : 0;
}

int open_small(OpenFiles *files, const Bound *bound, const char *path, FtpAttr *ret_attr, FileContents **ret)
{
    gint64 asked = g_get_monotonic_time();
    gboolean in_order = file_ahead_use(files->ahead, path);
    FtpAttr attr;
    gint64 age;

    if (dir_cache_lookup(tree_cache(files->tree), path, -1, &attr, NULL, &age) < 0 || !is_small(&attr))
        return 0;
    g_mutex_lock(&files->lock);
    gboolean open = g_hash_table_contains(files->by_path, path);
    gboolean known = kernel_pages_know(files->pages, path);
    g_mutex_unlock(&files->lock);
    if (open)
        return 0;

    g_autoptr(FileContents) contents = file_ahead_take(files->ahead, bound, path);
    if (contents && file_contents_is_since(contents, asked - MAX_AGE) && file_contents_may_be(contents, &attr)) {
        *ret_attr = attr;
        *ret = g_steal_pointer(&contents);
        return 1;
    }
    gboolean lists = in_order || attr.mtime_precision > 1;
    if ((known || contents) && age >= MAX_AGE && lists && !list_recent(files, bound, path, &attr, &age))
        return 0;
    if (contents && age < MAX_AGE && file_contents_is_of(contents, &attr)) {
        *ret_attr = attr;
        *ret = g_steal_pointer(&contents);
        return 1;
    }
    if (known) {
        g_mutex_lock(&files->lock);
        gboolean keep = age < MAX_AGE && kernel_pages_keep(files->pages, path, &attr);
        g_mutex_unlock(&files->lock);
        *ret_attr = attr;
        return keep;
    }
    if (attr.size > AT_OPEN_MAX || (age < MAX_AGE && attr.mtime_precision <= 1))
        return 0;
    *ret_attr = attr;
    return fetch_now(files, bound, path, &attr, ret);
}
