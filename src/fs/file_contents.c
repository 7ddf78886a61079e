/* SPDX-License-Identifier: MIT */
#include "file_contents.h"

#include "file_same.h"

#include <errno.h>
#include <string.h>

#define NEARLY_DONE 32768 /* bytes: a transfer that lacks no more is not ended for somebody else */

struct FileContents {
    gint refs; /* atomic */
    FtpAttr attr;
    gint64 begun;      /* monotonic, µs: before the server was asked for them */
    gint64 begun_real; /* seconds since 1970 */
    gsize size;
    char bytes[];
};

FileContents *file_contents_ref(FileContents *contents)
{
    g_atomic_int_inc(&contents->refs);
    return contents;
}

void file_contents_unref(FileContents *contents)
{
    if (contents && g_atomic_int_dec_and_test(&contents->refs))
        g_free(contents);
}

/* ---- Fetching ---- */

typedef struct {
    FileContents *contents;
    FtpTransfer *transfer;
    gint missing; /* atomic; bytes */
    gsize filled;
    gboolean longer;
} Fetch;

static int fetch_sink(const void *bytes, gsize size, gpointer data)
{
    Fetch *fetch = data;
    gsize room = fetch->contents->size - fetch->filled;
    if (size > room) {
        fetch->longer = TRUE;
        return 1;
    }
    memcpy(fetch->contents->bytes + fetch->filled, bytes, size);
    fetch->filled += size;
    g_atomic_int_set(&fetch->missing, (gint)(room - size));
    return 0;
}

static void fetch_on_wanted(gpointer data)
{
    Fetch *fetch = data;
    if (g_atomic_int_get(&fetch->missing) > NEARLY_DONE)
        ftp_transfer_cut(fetch->transfer);
}

int file_contents_fetch(FtpClient *client, const Bound *bound, FtpPriority priority, const RemotePath *path,
                        const FtpAttr *attr, FileContents **ret)
{
    g_autoptr(FtpTransfer) transfer = ftp_transfer_new();
    g_autoptr(FileContents) contents = g_malloc(sizeof(FileContents) + (gsize)attr->size);
    Fetch fetch = {.contents = contents, .transfer = transfer, .missing = (gint)attr->size};
    FtpCall call = {.bound = bound, .priority = priority};
    FtpRetrieved got;

    contents->refs = 1;
    contents->attr = *attr;
    contents->size = (gsize)attr->size;
    contents->begun = g_get_monotonic_time();
    contents->begun_real = g_get_real_time() / G_USEC_PER_SEC;
    if (priority == FTP_PRIORITY_AHEAD)
        ftp_transfer_set_wanted_func(transfer, fetch_on_wanted, &fetch);
    int error = ftp_client_retrieve(client, &call, path, 0, transfer, fetch_sink, &fetch, &got);
    ftp_transfer_set_wanted_func(transfer, NULL, NULL);
    if (fetch.longer || (error == 0 && got.complete && fetch.filled < contents->size))
        return -ESTALE;
    if (error < 0)
        return fetch.filled > 0 ? -EIO : error;
    if (!got.complete)
        return -EIO;
    *ret = g_steal_pointer(&contents);
    return 0;
}

/* ---- Use ---- */

gsize file_contents_read(const FileContents *contents, void *bytes, gsize size, gint64 offset)
{
    if (offset < 0 || offset >= (gint64)contents->size)
        return 0;
    size = MIN(size, contents->size - (gsize)offset);
    memcpy(bytes, contents->bytes + offset, size);
    return size;
}

gsize file_contents_size(const FileContents *contents)
{
    return contents->size;
}

gboolean file_contents_is_since(const FileContents *contents, gint64 since)
{
    return contents->begun > since;
}

gboolean file_contents_may_be(const FileContents *contents, const FtpAttr *attr)
{
    return !file_is_other(&contents->attr, attr);
}

gboolean file_contents_is_of(const FileContents *contents, const FtpAttr *attr)
{
    return file_is_unchanged(&contents->attr, contents->begun_real, attr);
}
