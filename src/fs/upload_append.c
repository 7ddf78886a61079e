/* SPDX-License-Identifier: MIT */
/*
 * A file that only grows at its end (a log, `>>`) is not fetched and sent as a whole: APPE takes the new end, after a
 * look whether the server still has the file that it was opened with. Others see it grow, as on a local disk.
 *
 * An APPE whose connection breaks may have arrived in part or in whole. It is never repeated: a look at the size tells
 * whether all is there, and when it is not, the whole is sent the usual way, whose first part is what the server has.
 */
#include "upload_append.h"

#include <errno.h>
#include <string.h>

gboolean upload_append_fits(const OpenFile *file, const SpoolFile *spool)
{
    gint64 start, end, base = spool_file_base_size(spool);
    return file->on_server && !file->base_path && base > 0 && (file->attr.has & FTP_HAS_SIZE) != 0 &&
           file->attr.size == base && spool_file_size(spool) >= base &&
           !range_set_next(spool_file_held(spool), 0, base, &start, &end);
}

static int look(OpenFile *file, const Bound *bound, const RemotePath *remote, FtpAttr *ret)
{
    FtpClient *client = file->files->client;
    FtpCall call = {.bound = bound, .priority = FTP_PRIORITY_TRANSFER};
    int error = ftp_client_stat(client, &call, remote, ret, NULL);
    if (error == -EOPNOTSUPP || (error == 0 && !(ret->has & FTP_HAS_SIZE)))
        error = ftp_client_size_and_time(client, &call, remote, ret);
    return error == 0 && !(ret->has & FTP_HAS_SIZE) ? -EOPNOTSUPP : error;
}

static gboolean is_same(const FtpAttr *one, const FtpAttr *other)
{
    gboolean exact =
        (one->has & other->has & FTP_HAS_MTIME) && one->mtime_precision == 1 && other->mtime_precision == 1;
    return one->size == other->size && (!exact || one->mtime == other->mtime);
}

typedef struct {
    OpenFile *file;
    SpoolFile *spool;
    gint64 base, size;
} Append;

static gssize append_source(void *bytes, gsize size, gint64 offset, gpointer data)
{
    const Append *append = data;
    OpenFile *file = append->file;
    gint64 position = append->base + offset;
    if (position >= append->size)
        return 0;
    size = (gsize)MIN((gint64)MIN(size, (gsize)G_MAXINT), append->size - position);
    g_mutex_lock(&file->lock);
    gssize n = spool_file_read(append->spool, bytes, size, position);
    file->back.sent = position + MAX(n, 0);
    g_mutex_unlock(&file->lock);
    if (n >= 0 && (gsize)n < size)
        memset((char *)bytes + n, 0, size - (gsize)n); /* it was cut meanwhile, and will be sent again */
    return n < 0 ? n : (gssize)size;
}

int upload_append(OpenFile *file, SpoolFile *spool, const Bound *bound, const char *path, gint64 size)
{
    OpenFiles *files = file->files;
    g_autoptr(RemotePath) remote = NULL;
    FtpAttr known, now = {0};
    FtpCall call = {.bound = bound, .priority = FTP_PRIORITY_TRANSFER};

    g_mutex_lock(&file->lock);
    known = file->attr;
    Append append = {.file = file, .spool = spool, .base = spool_file_base_size(spool), .size = size};
    gboolean fits = upload_append_fits(file, spool) && size > append.base;
    g_mutex_unlock(&file->lock);
    if (!fits || files->options->upload == UPLOAD_ATOMIC || files->options->write != WRITE_SYNC ||
        g_atomic_int_get(&files->append_refused) || ftp_client_path(files->client, path, &remote) < 0)
        return -EAGAIN;
    int error = look(file, bound, remote, &now);
    if (error == -EREMOTEIO || error == -ENOENT || error == -EOPNOTSUPP || (error == 0 && !is_same(&known, &now)))
        return -EAGAIN;
    if (error < 0)
        return error;

    error = ftp_client_store(files->client, &call, remote, FTP_STORE_APPEND, size - append.base, NULL, append_source,
                             &append);
    if (error == 0)
        return 0;
    if (error == -EOPNOTSUPP || error == -EREMOTEIO || error == -EACCES || error == -EPERM || error == -EINVAL) {
        g_atomic_int_set(&files->append_refused, TRUE);
        return -EAGAIN;
    }
    if (bound_check(bound) < 0)
        return bound_check(bound);
    int looked = look(file, bound, remote, &now);
    if (looked < 0)
        return error;
    if (now.size == size)
        return 0;
    return error == -ENOSPC || error == -EDQUOT ? error : -EAGAIN;
}
