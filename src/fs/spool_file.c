/* SPDX-License-Identifier: MIT */
/*
 * A spool file is a sparse local file and a set of the ranges that it holds. Three kinds of bytes make up the file as
 * it will be: what was written or fetched (in `held`), what only the base on the server has (below `base_size` and not
 * in `held`), and holes, which are zeros (from `base_size` on and not in `held`). A truncation takes the base away for
 * good from there on, so that a file that is cut and grown again reads zeros, as POSIX asks.
 */
#include "fs/spool_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_PIECE (256 * 1024)

struct SpoolFile {
    gint refs;        /* atomic */
    int fd;           /* -1 while it is parked */
    char *path;       /* its name in the journal, or NULL */
    gint64 sealed;    /* bytes below that must not change */
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

static SpoolFile *spool_file_alloc(int fd, gint64 size, gint64 base_size)
{
    SpoolFile *spool = g_new0(SpoolFile, 1);
    spool->refs = 1;
    spool->fd = fd;
    spool->size = size;
    spool->base_size = base_size;
    spool->held = range_set_new();
    return spool;
}

int spool_file_new(const char *directory, gint64 base_size, SpoolFile **ret)
{
    int fd = -1;
    int error = spool_file_make(directory, &fd);
    if (error < 0)
        return error;
    *ret = spool_file_alloc(fd, base_size, base_size);
    return 0;
}

SpoolFile *spool_file_ref(SpoolFile *spool)
{
    g_atomic_int_inc(&spool->refs);
    return spool;
}

void spool_file_unref(SpoolFile *spool)
{
    if (!spool || !g_atomic_int_dec_and_test(&spool->refs))
        return;
    if (spool->fd >= 0)
        close(spool->fd);
    range_set_free(spool->held);
    g_free(spool->path);
    g_free(spool);
}

/* Opens one that was parked. */
static int spool_file_wake(SpoolFile *spool)
{
    if (spool->fd >= 0)
        return 0;
    spool->fd = open(spool->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    return spool->fd < 0 ? -errno : 0;
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

    int error = spool_file_wake(spool);
    if (error == 0)
        error = write_all(spool->fd, bytes, size, offset);
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
    int error = spool_file_wake(spool);
    if (error < 0)
        return error;
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
    int error = spool_file_wake(spool);
    if (error < 0)
        return error;
    while (spool_file_missing(spool, offset, size, &start, &end)) {
        error = write_all(spool->fd, (const char *)bytes + (start - offset), end - start, start);
        if (error < 0)
            return error;
        range_set_add(spool->held, start, end);
    }
    return 0;
}

int spool_file_release(SpoolFile *spool, gint64 size)
{
    if (size > spool->size || size < spool->base_size)
        return -EINVAL;
    int error = spool_file_wake(spool);
    if (error < 0)
        return error;
    if (fallocate(spool->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, size) < 0)
        return -errno;
    range_set_remove(spool->held, 0, size);
    spool->base_size = size;
    return 0;
}

gssize spool_file_read(SpoolFile *spool, void *bytes, gsize size, gint64 offset)
{
    if (offset >= spool->size)
        return 0;
    gsize n = MIN((gint64)MIN(size, (gsize)G_MAXSSIZE), spool->size - offset);
    int error = spool_file_wake(spool);
    if (error == 0)
        error = read_all(spool->fd, bytes, n, offset);
    return error < 0 ? error : (gssize)n;
}

static int spool_file_copy_to(SpoolFile *spool, const char *path)
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

/* 0, or -errno: nothing was made. The file ends where it should. */
static int spool_file_link_to(SpoolFile *spool, const char *path)
{
    int error = spool_file_wake(spool);
    if (error < 0)
        return error;
    if (ftruncate(spool->fd, spool->size) < 0)
        return -errno;
    g_autofree char *self = g_strdup_printf("/proc/self/fd/%d", spool->fd);
    return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int spool_file_keep(SpoolFile *spool, const char *path)
{
    int error = spool_file_link_to(spool, path);
    if (error == 0)
        return fsync(spool->fd) < 0 ? -errno : 0;
    return error == -EEXIST ? error : spool_file_copy_to(spool, path);
}

/* ---- In the journal ---- */

const RangeSet *spool_file_held(const SpoolFile *spool)
{
    return spool->held;
}

gint64 spool_file_base_size(const SpoolFile *spool)
{
    return spool->base_size;
}

const char *spool_file_path(const SpoolFile *spool)
{
    return spool->path;
}

int spool_file_link(SpoolFile *spool, const char *path)
{
    int error = spool_file_link_to(spool, path);
    if (error < 0 && error != -EEXIST) {
        /* A file system that can't give an unlinked file a name again. */
        error = spool_file_copy_to(spool, path);
        int fd = error == 0 ? open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;
        if (error == 0 && fd < 0)
            error = -errno;
        if (error == 0) {
            close(spool->fd);
            spool->fd = fd;
        }
    }
    if (error < 0)
        return error;
    g_free(spool->path);
    spool->path = g_strdup(path);
    return 0;
}

void spool_file_unlink(SpoolFile *spool)
{
    if (!spool->path || spool_file_wake(spool) < 0)
        return;
    unlink(spool->path);
    g_clear_pointer(&spool->path, g_free);
    spool->sealed = 0;
}

int spool_file_adopt(const char *path, gint64 size, gint64 base_size, const RangeSet *held, SpoolFile **ret)
{
    struct stat info;
    if (lstat(path, &info) < 0)
        return -errno;
    gint64 last = range_set_end(held);
    if (!S_ISREG(info.st_mode) || last > info.st_size || last > size || size < 0 || base_size < 0 || base_size > size)
        return -EIO;
    if (truncate(path, size) < 0) /* what was written behind the seal is not part of it */
        return -errno;
    SpoolFile *spool = spool_file_alloc(-1, size, base_size);
    spool->path = g_strdup(path);
    spool->sealed = size;
    range_set_add_all(spool->held, held);
    *ret = spool;
    return 0;
}

int spool_file_dup(SpoolFile *spool)
{
    int error = spool_file_wake(spool);
    if (error < 0)
        return error;
    int fd = fcntl(spool->fd, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

void spool_file_park(SpoolFile *spool)
{
    if (!spool->path || spool->fd < 0)
        return;
    close(spool->fd);
    spool->fd = -1;
}

void spool_file_seal(SpoolFile *spool)
{
    spool->sealed = spool->size;
}

gboolean spool_file_is_sealed_at(const SpoolFile *spool, gint64 offset)
{
    return offset < spool->sealed;
}

int spool_file_copy(SpoolFile *spool, const char *directory, gint64 size, SpoolFile **ret)
{
    g_autoptr(SpoolFile) copy = NULL;
    int error = spool_file_new(directory, MIN(spool->base_size, size), &copy);
    g_autofree char *piece = error == 0 ? g_malloc(COPY_PIECE) : NULL;
    gint64 from = 0, to = 0;

    while (error == 0 && range_set_next(spool->held, to, size, &from, &to)) {
        for (gint64 offset = from; error == 0 && offset < to; offset += COPY_PIECE) {
            gssize n = spool_file_read(spool, piece, MIN(COPY_PIECE, to - offset), offset);
            error = n < 0 ? (int)n : spool_file_write(copy, piece, n, offset);
        }
    }
    if (error < 0)
        return error;
    copy->size = MIN(spool->size, size);
    *ret = g_steal_pointer(&copy);
    return 0;
}
