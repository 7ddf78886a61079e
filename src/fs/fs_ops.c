/* SPDX-License-Identifier: MIT */
/*
 * What FUSE calls. Nothing is decided here: every operation is handed to open_files (what concerns bytes, and names
 * that may be open) or to tree (all other names). Paths are never NULL (nullpath_ok is off). An operation waits as
 * long as the client's `retry` lets it, or until the one who called is interrupted.
 *
 * Invalidation. The kernel drops its pages at an open by itself unless keep_cache is set. The size that it knows can be
 * a second old, though, so an open that found another file tells it (fuse_invalidate_path). The kernel then waits for
 * reads of that file that are under way, which other threads answer; so at most INVALIDATIONS_MAX threads do it at a
 * time, fewer than there are, and none when there is only one thread.
 *
 * The attributes user.ftpfs.* are answered by name and not listed, so that `cp -a` does not copy them.
 */
#include "fs_private.h"
#include "open_look.h"

#include <errno.h>
#include <fuse.h>
#include <string.h>

#define INVALIDATIONS_MAX 4
#define FIRST_OFFSET      3 /* of the first entry: 1 follows ".", 2 follows ".." */
#define MAX_WRITE         (1U << 20)
#define LAST_SECONDS      5.0 /* for what libfuse asks for after the loop */

static Fs *this_fs(void)
{
    return fuse_get_context()->private_data;
}

/* After the loop libfuse asks for no more than the removal of files that were open when they were removed; there is no
 * request then, and fuse_interrupted() must not be asked. */
static gboolean is_interrupted(gpointer data)
{
    Fs *fs = data;
    return g_atomic_int_get(&fs->hurried) || (!g_atomic_int_get(&fs->settled) && fuse_interrupted() != 0);
}

static Bound call_bound(void)
{
    if (g_atomic_int_get(&this_fs()->settled)) {
        Bound last = {.deadline = G_MAXINT64, .interrupted = is_interrupted, .data = this_fs()};
        return bound_within(&last, LAST_SECONDS);
    }
    return (Bound){
        .deadline = G_MAXINT64, .interrupted = is_interrupted, .data = this_fs(), .began = g_get_monotonic_time()};
}

/* What the floors below use among themselves does not leave the house. */
static int result(gssize r)
{
    if (r == -EINTR && g_atomic_int_get(&this_fs()->hurried))
        return -EIO;
    if (r == -EAGAIN) /* a reply 450; programs take EAGAIN of a file for "no bytes yet" */
        return -EBUSY;
    return r == -EREMOTEIO || r == -EPROTO ? -EIO : (int)r;
}

/* What fi->fh of a file is: the OpenFile, with the lowest bit set for a handle that can't write. */
#define HANDLE_READS ((uint64_t)1)

static OpenFile *open_file_of(const struct fuse_file_info *fi)
{
    return fi ? (OpenFile *)(uintptr_t)(fi->fh & ~HANDLE_READS) : NULL;
}

static uint64_t handle_of(OpenFile *file, int flags)
{
    return (uintptr_t)file | ((flags & O_ACCMODE) == O_RDONLY ? HANDLE_READS : 0);
}

/* ---- The mount ---- */

static void *op_init(struct fuse_conn_info *conn, struct fuse_config *config)
{
    Fs *fs = this_fs();
    double ttl = fs->options->cache ? MIN(fs->options->cache_ttl, 1) : 0;

    conn->want |= conn->capable & (FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_ASYNC_READ |
                                   FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_ATOMIC_O_TRUNC);
    conn->want &= ~(unsigned int)(FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_HANDLE_KILLPRIV | FUSE_CAP_AUTO_INVAL_DATA);
    conn->max_write = MAX_WRITE;
    config->use_ino = 0;
    config->nullpath_ok = 0;
    config->hard_remove = 0;
    config->kernel_cache = 0;
    config->entry_timeout = ttl;
    config->attr_timeout = ttl;
    config->negative_timeout = 0;
    fs_start(fs);
    return fs;
}

static int op_statfs(const char *path, struct statvfs *ret)
{
    fs_fill_statvfs(this_fs(), ret);
    return 0;
}

/* ---- Names and attributes ---- */

static int get_attr(const char *path, FtpAttr *ret)
{
    Bound bound = call_bound();
    int r = open_files_look(this_fs()->files, &bound, path, ret);

    if (r < 0)
        r = tree_lookup(this_fs()->tree, &bound, path, -1, ret, NULL);
    if (r == 0)
        open_files_attr(this_fs()->files, path, ret);
    return result(r);
}

static int op_getattr(const char *path, struct stat *ret, struct fuse_file_info *fi)
{
    FtpAttr attr;
    int r = get_attr(path, &attr);

    if (r == 0)
        tree_fill_stat(this_fs()->tree, &attr, ret);
    return r;
}

static int op_access(const char *path, int mask)
{
    const struct fuse_context *context = fuse_get_context();
    struct stat st;
    int r = op_getattr(path, &st, NULL);

    if (r < 0 || mask == F_OK)
        return r;
    if (context->uid == 0)
        return (mask & X_OK) != 0 && !S_ISDIR(st.st_mode) && (st.st_mode & 0111) == 0 ? -EACCES : 0;
    unsigned int shift = context->uid == st.st_uid ? 6 : context->gid == st.st_gid ? 3 : 0;
    return ((st.st_mode >> shift) & (unsigned int)mask & 7U) == (unsigned int)mask ? 0 : -EACCES;
}

static int op_readlink(const char *path, char *buffer, size_t size)
{
    g_autofree char *target = NULL;
    Bound bound = call_bound();
    int r = tree_readlink(this_fs()->tree, &bound, path, &target);

    if (r == 0)
        g_strlcpy(buffer, target, size);
    return result(r);
}

static int op_mkdir(const char *path, mode_t mode)
{
    Bound bound = call_bound();

    return result(tree_mkdir(this_fs()->tree, &bound, path, mode));
}

static int op_rmdir(const char *path)
{
    Bound bound = call_bound();

    return result(open_files_rmdir(this_fs()->files, &bound, path));
}

static int op_unlink(const char *path)
{
    Bound bound = call_bound();

    return result(open_files_unlink(this_fs()->files, &bound, path));
}

static int op_symlink(const char *target, const char *path)
{
    Bound bound = call_bound();

    return result(tree_symlink(this_fs()->tree, &bound, target, path));
}

static int op_link(const char *from, const char *to)
{
    return -EPERM; /* as link(2) says of a file system without hard links */
}

static int op_rename(const char *from, const char *to, unsigned int flags)
{
    Bound bound = call_bound();

    return result(open_files_rename(this_fs()->files, &bound, from, to, flags));
}

static int op_chmod(const char *path, mode_t mode, struct fuse_file_info *fi)
{
    Bound bound = call_bound();

    if (open_files_defer_mode(this_fs()->files, path, mode & 07777))
        return 0;
    return result(tree_chmod(this_fs()->tree, &bound, path, mode));
}

/* FTP has no way to change an owner: allowed where nothing would change. */
static int op_chown(const char *path, uid_t uid, gid_t gid, struct fuse_file_info *fi)
{
    struct stat st;
    int r = op_getattr(path, &st, NULL);

    if (r < 0)
        return r;
    return (uid == (uid_t)-1 || uid == st.st_uid) && (gid == (gid_t)-1 || gid == st.st_gid) ? 0 : -EPERM;
}

static int op_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *fi)
{
    Bound bound = call_bound();
    gint64 mtime = times[1].tv_nsec == UTIME_NOW ? g_get_real_time() / G_USEC_PER_SEC : times[1].tv_sec;

    if (times[1].tv_nsec == UTIME_OMIT) /* FTP knows no time of access */
        return 0;
    if (open_files_defer_mtime(this_fs()->files, path, mtime))
        return 0;
    return result(tree_set_mtime(this_fs()->tree, &bound, path, mtime));
}

static int op_setxattr(const char *path, const char *name, const char *value, size_t size, int flags)
{
    return -EOPNOTSUPP;
}

static int op_removexattr(const char *path, const char *name)
{
    return -EOPNOTSUPP;
}

static int op_getxattr(const char *path, const char *name, char *value, size_t size)
{
    g_autofree char *text = NULL;

    /* "Not here" and not "not this one": ls(1) then does not ask again for each file. */
    if (!g_str_has_prefix(name, "user."))
        return -EOPNOTSUPP;
    if (g_str_has_prefix(name, "user.ftpfs."))
        text = fs_attribute(this_fs(), path, name);
    if (!text)
        return -ENODATA;
    size_t length = strlen(text);
    if (size == 0)
        return (int)length;
    if (size < length)
        return -ERANGE;
    memcpy(value, text, length);
    return (int)length;
}

static int op_listxattr(const char *path, char *list, size_t size)
{
    return 0;
}

/* ---- Directories ---- */

static int op_opendir(const char *path, struct fuse_file_info *fi)
{
    OpenDir *dir = g_new0(OpenDir, 1);
    Bound bound = call_bound();

    dir_ahead_visit(this_fs()->dir_ahead, path);
    int r = tree_list(this_fs()->tree, &bound, path, &dir->listing);

    if (r < 0) {
        g_free(dir);
        return result(r);
    }
    Fs *fs = this_fs();
    g_mutex_lock(&fs->lock);
    g_hash_table_add(fs->dirs, dir);
    g_mutex_unlock(&fs->lock);
    fi->fh = (uintptr_t)dir;
    return 0;
}

/* The attributes of an entry, when what it is need not be asked for: a link that is shown as what it points to is. */
static gboolean entry_stat(const Fs *fs, const char *dir_path, const ListEntry *entry, struct stat *ret)
{
    g_autofree char *path = g_build_path("/", dir_path, entry->name, NULL);
    FtpAttr attr = entry->attr;

    if (attr.type == FTP_TYPE_LINK && (!fs->options->symlinks || !entry->target))
        return FALSE;
    open_files_attr(fs->files, path, &attr);
    tree_fill_stat(fs->tree, &attr, ret);
    return TRUE;
}

static void fill_entries(const char *path, const OpenDir *dir, void *buffer, fuse_fill_dir_t fill, off_t offset,
                         gboolean plus)
{
    const Fs *fs = this_fs();

    if (offset == 0 && fill(buffer, ".", NULL, 1, 0) != 0)
        return;
    if (offset <= 1 && fill(buffer, "..", NULL, 2, 0) != 0)
        return;
    guint first = offset < FIRST_OFFSET ? 0 : (guint)(offset - FIRST_OFFSET + 1);
    for (guint i = first; i < dir_listing_size(dir->listing); i++) {
        ListEntry entry;
        struct stat st;
        dir_listing_entry(dir->listing, i, &entry);
        if (!tree_shows(fs->tree, entry.name))
            continue;
        gboolean known = entry_stat(fs, path, &entry, &st);
        if (fill(buffer, entry.name, known ? &st : NULL, (off_t)i + FIRST_OFFSET,
                 known && plus ? FUSE_FILL_DIR_PLUS : 0) != 0)
            return;
    }
}

/* TRUE when nothing was changed in the directory since the listing was taken. */
static gboolean is_current(const char *path, const DirListing *listing)
{
    DirCache *cache = tree_cache(this_fs()->tree);
    g_autoptr(DirListing) now = NULL;
    Bound bound = call_bound();

    return dir_cache_has_listing(cache, path) && dir_cache_list(cache, &bound, path, &now) == 0 && now == listing;
}

static int op_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset, struct fuse_file_info *fi,
                      enum fuse_readdir_flags flags)
{
    OpenDir *dir = (OpenDir *)(uintptr_t)fi->fh;
    Bound bound = call_bound();

    /* As it is now, and not as it was at opendir: the kernel believes the attributes that go with the names, and would
     * take a name that was renamed in between for one that is there. While it reads, it lets nobody change the
     * directory. */
    if (offset == 0 && (dir->begun || this_fs()->options->cache)) {
        DirListing *listing = NULL;
        int r = tree_list(this_fs()->tree, &bound, path, &listing);
        if (r < 0)
            return result(r);
        dir_listing_unref(dir->listing);
        dir->listing = listing;
    }
    dir->begun = TRUE;
    gboolean plus = (flags & FUSE_READDIR_PLUS) != 0 && (offset == 0 || is_current(path, dir->listing));
    fill_entries(path, dir, buffer, fill, offset, plus);
    return 0;
}

static int op_releasedir(const char *path, struct fuse_file_info *fi)
{
    OpenDir *dir = (OpenDir *)(uintptr_t)fi->fh;
    Fs *fs = this_fs();

    g_mutex_lock(&fs->lock);
    g_hash_table_steal(fs->dirs, dir);
    g_mutex_unlock(&fs->lock);
    open_dir_free(dir);
    return 0;
}

static int op_fsyncdir(const char *path, int only_data, struct fuse_file_info *fi)
{
    Bound bound = call_bound();

    /* every change of a name is at the server already; files may wait with write=back */
    return result(open_files_sync(this_fs()->files, &bound, path));
}

/* ---- Files ---- */

static void invalidate(Fs *fs, const char *path)
{
    if (fs->options->single_threaded)
        return;
    if (g_atomic_int_add(&fs->invalidating, 1) < INVALIDATIONS_MAX)
        fuse_invalidate_path(fuse_get_context()->fuse, path);
    g_atomic_int_add(&fs->invalidating, -1);
}

static int op_open(const char *path, struct fuse_file_info *fi)
{
    Fs *fs = this_fs();
    Bound bound = call_bound();
    gboolean keep_cache = FALSE, changed = FALSE;
    OpenFile *file;
    int r = open_files_open(fs->files, &bound, path, fi->flags, &keep_cache, &changed, &file);

    if (r < 0)
        return result(r);
    if (changed)
        invalidate(fs, path);
    fi->fh = handle_of(file, fi->flags);
    fi->keep_cache = keep_cache ? 1 : 0;
    return 0;
}

static int op_create(const char *path, mode_t mode, struct fuse_file_info *fi)
{
    Bound bound = call_bound();
    OpenFile *file;
    int r = private_names_is_like(strrchr(path, '/') + 1) ? -EACCES : 0;

    if (r == 0)
        r = open_files_create(this_fs()->files, &bound, path, mode & 07777, fi->flags, &file);
    if (r == 0)
        fi->fh = handle_of(file, fi->flags);
    return result(r);
}

static int op_mknod(const char *path, mode_t mode, dev_t device)
{
    struct fuse_file_info fi = {.flags = O_WRONLY | O_CREAT | O_EXCL};
    Bound bound = call_bound();

    if (!S_ISREG(mode))
        return -EPERM;
    int r = op_create(path, mode, &fi);
    if (r < 0)
        return r;
    r = open_file_close(open_file_of(&fi), &bound);
    open_file_release(open_file_of(&fi), fi.flags);
    return result(r);
}

static int op_read(const char *path, char *bytes, size_t size, off_t offset, struct fuse_file_info *fi)
{
    Bound bound = call_bound();

    return result(open_file_read(open_file_of(fi), &bound, bytes, size, offset));
}

static int op_write(const char *path, const char *bytes, size_t size, off_t offset, struct fuse_file_info *fi)
{
    Bound bound = call_bound();
    gboolean append = (fi->flags & O_APPEND) != 0 && !fi->writepage; /* a page of a mapping has its own place */

    return result(open_file_write(open_file_of(fi), &bound, bytes, size, offset, append));
}

static int op_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
    Bound bound = call_bound();

    if (open_file_of(fi))
        return result(open_file_truncate(open_file_of(fi), &bound, size));
    return result(open_files_truncate(this_fs()->files, &bound, path, size));
}

/* close(2). A shell that redirects opens the file, duplicates the descriptor and closes the first one before anything
 * is written: sending the file there would show an empty one to others, and then send it twice. */
static int op_flush(const char *path, struct fuse_file_info *fi)
{
    OpenFile *file = open_file_of(fi);
    Bound bound = call_bound();

    if ((fi->fh & HANDLE_READS) != 0) /* what others have written is theirs to send, and to be told of */
        return 0;
    if (open_file_is_blank(file) && fs_caller_holds(this_fs(), fuse_get_context()->pid, path))
        return 0;
    return result(open_file_close(file, &bound));
}

static int op_fsync(const char *path, int only_data, struct fuse_file_info *fi)
{
    Bound bound = call_bound();

    return result(open_file_flush(open_file_of(fi), &bound));
}

static int op_release(const char *path, struct fuse_file_info *fi)
{
    open_file_release(open_file_of(fi), fi->flags);
    return 0;
}

static int op_fallocate(const char *path, int mode, off_t offset, off_t length, struct fuse_file_info *fi)
{
    return -EOPNOTSUPP;
}

const struct fuse_operations *fs_operations(void)
{
    static const struct fuse_operations operations = {
        .init = op_init,
        .statfs = op_statfs,
        .getattr = op_getattr,
        .access = op_access,
        .readlink = op_readlink,
        .mkdir = op_mkdir,
        .rmdir = op_rmdir,
        .unlink = op_unlink,
        .symlink = op_symlink,
        .link = op_link,
        .rename = op_rename,
        .chmod = op_chmod,
        .chown = op_chown,
        .utimens = op_utimens,
        .setxattr = op_setxattr,
        .removexattr = op_removexattr,
        .getxattr = op_getxattr,
        .listxattr = op_listxattr,
        .opendir = op_opendir,
        .readdir = op_readdir,
        .releasedir = op_releasedir,
        .fsyncdir = op_fsyncdir,
        .open = op_open,
        .create = op_create,
        .mknod = op_mknod,
        .read = op_read,
        .write = op_write,
        .truncate = op_truncate,
        .flush = op_flush,
        .fsync = op_fsync,
        .release = op_release,
        .fallocate = op_fallocate,
    };

    return &operations;
}
