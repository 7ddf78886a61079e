/* SPDX-License-Identifier: MIT */
/*
 * A spool file is a sparse local file and a set of the ranges that it holds. Three kinds of bytes make up the file as
 * it will be: what was written or fetched (in `held`), what only the base on the server has (below `base_size` and not
 * in `held`), and holes, which are zeros (from `base_size` on and not in `held`). A truncation takes the base away for
 * good from there on, so that a file that is cut and grown again reads zeros, as POSIX asks.
 */
#include "fs/spool_file.h"

#include "base/range_set.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_PIECE (256 * 1024)

struct SpoolFile {
    int fd;
    gint64 size;      /* of the file as it will be */
    gint64 base_size; /* how far the base still reaches */
    RangeSet *held;
};

static int spool_file_make(const char *directory, int *ret)
{
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0) {
        *ret = fd;
        return 0;
    }
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
        return -errno;

    /* a file system without O_TMPFILE */
    g_autofree char *path = g_build_filename(directory, "spool.XXXXXX", NULL);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (unlink(path) < 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    *ret = fd;
    return 0;
}

int spool_file_new(const char *directory, gint64 base_size, SpoolFile **ret)
{
    int fd = -1;
    int error = spool_file_make(directory, &fd);
    if (error < 0)
        return error;

    SpoolFile *spool = g_new0(SpoolFile, 1);
    spool->fd = fd;
    spool->size = base_size;
    spool->base_size = base_size;
    spool->held = range_set_new();
    *ret = spool;
    return 0;
}

void spool_file_free(SpoolFile *spool)
{
    if (!spool)
        return;
    close(spool->fd);
    range_set_free(spool->held);
    g_free(spool);
}

gint64 spool_file_size(const SpoolFile *spool)
{
    return spool->size;
}

static int write_all(int fd, const char *bytes, gsize size, gint64 offset)
{
    while (size > 0) {
        ssize_t n = pwrite(fd, bytes, size, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        bytes += n;
        size -= n;
        offset += n;
    }
    return 0;
}

/* As much as there is; what lies beyond the end of the local file is zeros. */
static int read_all(int fd, char *bytes, gsize size, gint64 offset)
{
    while (size > 0) {
        ssize_t n = pread(fd, bytes, size, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0) {
            memset(bytes, 0, size);
            return 0;
        }
        bytes += n;
        size -= n;
        offset += n;
    }
    return 0;
}

int spool_file_write(SpoolFile *spool, const void *bytes, gsize size, gint64 offset)
{
    if (offset < 0 || size > (gsize)(G_MAXINT64 - offset))
        return -EFBIG;
    if (size == 0)
        return 0;

    int error = write_all(spool->fd, bytes, size, offset);
    if (error < 0)
        return error;
    range_set_add(spool->held, offset, offset + (gint64)size);
    spool->size = MAX(spool->size, offset + (gint64)size);
    return 0;
}

int spool_file_truncate(SpoolFile *spool, gint64 size)
{
    if (size < 0)
        return -EINVAL;
    if (ftruncate(spool->fd, size) < 0)
        return -errno;
    if (size < spool->size)
        range_set_remove(spool->held, size, G_MAXINT64);
    spool->base_size = MIN(spool->base_size, size);
    spool->size = size;
    return 0;
}

gboolean spool_file_missing(const SpoolFile *spool, gint64 offset, gint64 size, gint64 *ret_start, gint64 *ret_end)
{
    gint64 end = size > spool->base_size - offset ? spool->base_size : offset + size;
    return offset < end && range_set_gap(spool->held, offset, end, ret_start, ret_end);
}

int spool_file_fill(SpoolFile *spool, const void *bytes, gsize size, gint64 offset)
{
    gint64 start, end;
    while (spool_file_missing(spool, offset, size, &start, &end)) {
        int error = write_all(spool->fd, (const char *)bytes + (start - offset), end - start, start);
        if (error < 0)
            return error;
        range_set_add(spool->held, start, end);
    }
    return 0;
}

gssize spool_file_read(const SpoolFile *spool, void *bytes, gsize size, gint64 offset)
{
    if (offset >= spool->size)
        return 0;
    gsize n = MIN((gint64)MIN(size, (gsize)G_MAXSSIZE), spool->size - offset);
    int error = read_all(spool->fd, bytes, n, offset);
    return error < 0 ? error : (gssize)n;
}

static int spool_file_copy(const SpoolFile *spool, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;

    g_autofree char *piece = g_malloc(COPY_PIECE);
    int error = 0;
    for (gint64 offset = 0; error == 0 && offset < spool->size; offset += COPY_PIECE) {
        gssize n = spool_file_read(spool, piece, COPY_PIECE, offset);
        error = n < 0 ? (int)n : write_all(fd, piece, n, offset);
    }
    if (error == 0 && fsync(fd) < 0)
        error = -errno;
    if (close(fd) < 0 && error == 0)
        error = -errno;
    if (error < 0)
        unlink(path);
    return error;
}

int spool_file_keep(SpoolFile *spool, const char *path)
{
    if (ftruncate(spool->fd, spool->size) < 0)
        return -errno;

    g_autofree char *self = g_strdup_printf("/proc/self/fd/%d", spool->fd);
    if (linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0)
        return fsync(spool->fd) < 0 ? -errno : 0;
    return errno == EEXIST ? -EEXIST : spool_file_copy(spool, path);
}
