/* SPDX-License-Identifier: MIT */
/*
 * How a file gets to the server
 *
 * What was sent while the file was written has only to take its place (upload_ahead.c). A file that has only grown at
 * its end is appended to (upload_append.c). For all others what only the server has is fetched first, so that the spool
 * holds the whole. Then:
 *   - A name that the server does not have is stored directly (STOR); what a failure leaves there is deleted.
 *   - A file that is there already is stored under a private name beside it, given the old one's mode, and renamed over
 *     it, so that nobody sees an empty or half a file, and a failure leaves the old one as it was. Where the server
 *     refuses that (a directory that can't be written to, no rename over a file), upload=auto stores directly.
 *   - upload=direct always stores directly, upload=atomic never does.
 * At the end the size is asked for: a server that says 226 and has fewer bytes gets them once more.
 *
 * The spool may be written to while it is sent. The number of bytes is fixed at the beginning and what the spool has
 * not (it was cut meanwhile) is sent as zeros: what the server then has is of no time at all, but `changes` tells, the
 * file stays unsent, and the next flush sends it again.
 */
#include "file_upload.h"

#include "upload_ahead.h"
#include "upload_append.h"

#include <errno.h>
#include <string.h>

#define FORGET_FROM     ((gint64)1 << 20) /* bytes from which the spool does not keep what the server has */
#define CLEANUP_SECONDS 5.0               /* for deleting what a failed upload left */

typedef struct {
    OpenFile *file;
    char *path;
    SpoolFile *spool; /* referenced: what is sent, also when the file gets another one meanwhile */
    gint64 size;      /* bytes that are sent */
    guint64 changes;  /* OpenFile.changes at the beginning */
    gboolean on_server;
    FtpAttr attr; /* what the cache shows while it is under way */
} Upload;

/* ---- Pieces ---- */

static gssize upload_source(void *bytes, gsize size, gint64 offset, gpointer data)
{
    Upload *upload = data;
    OpenFile *file = upload->file;
    if (offset >= upload->size)
        return 0;
    size = MIN((gint64)MIN(size, (gsize)G_MAXINT), upload->size - offset);

    g_mutex_lock(&file->lock);
    gssize n = spool_file_read(upload->spool, bytes, size, offset);
    file->back.sent = offset + (gint64)size;
    g_mutex_unlock(&file->lock);
    if (n < 0)
        return n;
    if ((gsize)n < size)
        memset((char *)bytes + n, 0, size - n);
    return size;
}

static int upload_store(Upload *upload, const Bound *bound, const char *path)
{
    FtpClient *client = upload->file->files->client;
    g_autoptr(RemotePath) remote = NULL;
    int error = ftp_client_path(client, path, &remote);
    if (error < 0)
        return error;
    FtpCall call = {.bound = bound, .priority = FTP_PRIORITY_TRANSFER};
    return ftp_client_store(client, &call, remote, FTP_STORE_WHOLE, upload->size, NULL, upload_source, upload);
}

/* Deletes what a failed upload left at `path`; nobody waits long for it, and an interruption does not keep it. FALSE
 * when it may still be there. */
gboolean file_upload_delete(OpenFiles *files, const char *path)
{
    FtpClient *client = files->client;
    g_autoptr(RemotePath) remote = NULL;
    FtpClientState state;
    ftp_client_state(client, &state);
    if (state.away || ftp_client_path(client, path, &remote) < 0)
        return FALSE;
    Bound bound = bound_seconds(CLEANUP_SECONDS);
    FtpCall call = {.bound = &bound, .priority = FTP_PRIORITY_TRANSFER};
    int error = ftp_client_delete(client, &call, remote);
    if (error < 0 && error != -EREMOTEIO && error != -ENOENT)
        g_info("what a failed upload left at %s could not be removed: %s", path, g_strerror(-error));
    return error == 0 || error == -EREMOTEIO || error == -ENOENT;
}

static gboolean is_refused(int error)
{
    return error == -EREMOTEIO || error == -EACCES || error == -EPERM || error == -EOPNOTSUPP || error == -EEXIST ||
           error == -ENOENT;
}

/* ---- The two ways ---- */

static int upload_direct(Upload *upload, const Bound *bound)
{
    if (upload->on_server)
        open_file_will_change_in_place(upload->file); /* what can't be written down can't be helped */
    int error = upload_store(upload, bound, upload->path);
    if (error < 0 && !upload->on_server && !is_refused(error))
        file_upload_delete(upload->file->files, upload->path);
    return error;
}

static void upload_keep_mode(Upload *upload, const Bound *bound, const char *private_path)
{
    FtpClient *client = upload->file->files->client;
    g_autoptr(RemotePath) remote = NULL;
    if (!(upload->attr.has & FTP_HAS_MODE) || ftp_client_path(client, private_path, &remote) < 0)
        return;
    FtpCall call = {.bound = bound, .priority = FTP_PRIORITY_TRANSFER};
    int error = ftp_client_set_mode(client, &call, remote, upload->attr.mode);
    if (error < 0 && error != -EOPNOTSUPP)
        g_info("the mode of %s could not be kept: %s", upload->path, g_strerror(-error));
}

int file_upload_check(OpenFiles *files, const Bound *bound, const char *private_path, gint64 size)
{
    FtpClient *client = files->client;
    g_autoptr(RemotePath) remote = NULL;
    FtpAttr attr = {0};
    int error = ftp_client_path(client, private_path, &remote);
    if (error < 0)
        return error;
    FtpCall call = {.bound = bound, .priority = FTP_PRIORITY_TRANSFER};
    error = ftp_client_stat(client, &call, remote, &attr, NULL);
    if (error == -EOPNOTSUPP || (error == 0 && !(attr.has & FTP_HAS_SIZE)))
        error = ftp_client_size_and_time(client, &call, remote, &attr);
    if (error == -EOPNOTSUPP || error == -EREMOTEIO || error == -EACCES)
        return 0; /* it does not tell; the rename will show whether anything is there */
    if (error == -ENOENT || (error == 0 && (attr.has & FTP_HAS_SIZE) && attr.size != size))
        return -EIO;
    return error;
}

static int upload_store_checked(Upload *upload, const Bound *bound, const char *private_path)
{
    int error = upload_store(upload, bound, private_path);
    return error == 0 ? file_upload_check(upload->file->files, bound, private_path, upload->size) : error;
}

/* All of it is at `private_path`: it takes the file's place. */
static int upload_move(Upload *upload, const Bound *bound, const char *private_path)
{
    if (upload->on_server)
        upload_keep_mode(upload, bound, private_path);
    return tree_move_into_place(upload->file->files->tree, bound, private_path, upload->path);
}

/* A private name is not needed any more: it has another name now (`moved`), or is to be deleted. */
static void upload_private_done(Upload *upload, const char *private_path, gboolean moved)
{
    OpenFiles *files = upload->file->files;
    if (moved || file_upload_delete(files, private_path))
        private_names_done(tree_names(files->tree), private_path);
}

/* *ret_refused: the server does not let it be done this way. */
static int upload_atomic(Upload *upload, const Bound *bound, gboolean *ret_refused)
{
    PrivateNames *names = tree_names(upload->file->files->tree);
    g_autofree char *private_path = private_names_make(names, upload->path, NULL);
    int error = upload_store_checked(upload, bound, private_path);
    if (error == -EIO) /* once more */
        error = upload_store_checked(upload, bound, private_path);
    if (error == 0)
        error = upload_move(upload, bound, private_path);
    *ret_refused = is_refused(error);
    upload_private_done(upload, private_path, error == 0);
    return error;
}

/* What was sent while the file was written. -EAGAIN: it is to be sent the usual way. */
static int upload_ahead(Upload *upload, const Bound *bound, gboolean *ret_refused)
{
    OpenFile *file = upload->file;
    g_autofree char *private_path = NULL;
    int error = upload_ahead_finish(file, upload->spool, bound, upload->size, &private_path);
    if (error < 0)
        return error;
    error = file_upload_check(file->files, bound, private_path, upload->size);
    if (error == 0)
        error = upload_move(upload, bound, private_path);
    *ret_refused = is_refused(error);
    g_mutex_lock(&file->lock);
    gboolean is_base = file->base_path && g_str_equal(file->base_path, private_path);
    if (is_base && error == 0)
        g_clear_pointer(&file->base_path, g_free);
    g_mutex_unlock(&file->lock);
    if (error == 0 || !is_base)
        upload_private_done(upload, private_path, error == 0);
    return error == -EIO || *ret_refused ? -EAGAIN : error;
}

/* A name that can't be stored to (ftp_client_store()), but renamed to. */
static gboolean has_control(const char *path)
{
    for (const char *p = path; *p; p++)
        if ((guchar)*p < 0x20)
            return TRUE;
    return FALSE;
}

/* Fetches what only the server has. */
static int upload_complete(Upload *upload, const Bound *bound)
{
    OpenFile *file = upload->file;
    int error = open_file_fetch(file, upload->spool, bound, 0, upload->size);
    if (error < 0)
        return error;
    /* the spool has it all: the streams' sessions are free for the upload */
    g_mutex_lock(&file->lock);
    BaseReader *reader = g_steal_pointer(&file->reader);
    g_mutex_unlock(&file->lock);
    base_reader_unref(reader);
    return 0;
}

static int upload_send(Upload *upload, const Bound *bound)
{
    UploadMethod method = upload->file->files->options->upload;
    gboolean refused = FALSE;
    int error = upload_ahead(upload, bound, &refused);
    if (error == -EAGAIN && !refused)
        error = upload_append(upload->file, upload->spool, bound, upload->path, upload->size);
    if (error != -EAGAIN)
        return error;
    error = upload_complete(upload, bound);
    if (error < 0)
        return error;
    if (method == UPLOAD_DIRECT || (method == UPLOAD_AUTO && !upload->on_server && !has_control(upload->path)))
        return upload_direct(upload, bound);
    if (!refused)
        error = upload_atomic(upload, bound, &refused);
    if (refused && method == UPLOAD_AUTO) {
        g_info("%s can't be replaced by a rename; it is written in place", upload->path);
        error = upload_direct(upload, bound);
    }
    return refused && error == 0 && method == UPLOAD_ATOMIC ? -EACCES : error;
}

/* ---- After it ---- */

/* Times and mode that were set while the file was open. A server that can't is tree's business; other failures are
 * logged: the bytes are there, and the call that asked has returned long ago. */
static void upload_finish(Upload *upload, const Bound *bound)
{
    OpenFile *file = upload->file;
    Tree *tree = file->files->tree;
    while (TRUE) {
        g_mutex_lock(&file->lock);
        if (file->changes != upload->changes) { /* they belong to what is sent next */
            g_mutex_unlock(&file->lock);
            return;
        }
        gboolean has_mtime = file->has_mtime, has_mode = file->has_mode, mode_asked = file->mode_asked;
        gint64 mtime = file->mtime;
        mode_t mode = file->mode;
        g_mutex_unlock(&file->lock);
        if (!has_mtime && !has_mode)
            return;

        FtpAttr attr;
        gboolean chmods = has_mode;
        if (has_mode && !mode_asked && dir_cache_lookup(tree_cache(tree), upload->path, -1, &attr, NULL, NULL) == 0 &&
            (attr.has & FTP_HAS_MODE) && attr.mode == mode)
            chmods = FALSE;
        /* chmod first: with some servers it changes the time */
        int error = chmods ? tree_chmod(tree, bound, upload->path, mode) : 0;
        if (error < 0 && mode_asked)
            g_warning("the mode of %s could not be set: %s", upload->path, g_strerror(-error));
        error = has_mtime ? tree_set_mtime(tree, bound, upload->path, mtime) : 0;
        if (error < 0)
            g_warning("the time of %s could not be set: %s", upload->path, g_strerror(-error));

        /* Until here the mount and the journal tell of them. */
        g_mutex_lock(&file->lock);
        gboolean same = file->changes == upload->changes;
        if (same && has_mtime && file->mtime == mtime)
            file->has_mtime = FALSE;
        if (same && has_mode && file->mode == mode && file->mode_asked == mode_asked)
            file->has_mode = FALSE;
        g_mutex_unlock(&file->lock);
    }
}

static int upload_run(Upload *upload, const Bound *bound)
{
    Tree *tree = upload->file->files->tree;
    int error = 0;
    for (int tries = 0; tries < 2; tries++) {
        error = upload_send(upload, bound);
        if (error == -EREMOTEIO)
            error = tree_explain(tree, bound, upload->path, TRUE, error);
        if (error == -EEXIST)
            error = -EACCES; /* it is there, as it should be, and may not be written to */
        if (error < 0)
            return error;

        g_mutex_lock(&upload->file->lock);
        upload->file->on_server = TRUE;
        g_mutex_unlock(&upload->file->lock);
        upload->on_server = TRUE;

        error = tree_uploaded(tree, bound, upload->path, upload->size);
        if (error != -EIO)
            return error;
        g_info("the server's %s is not %" G_GINT64_FORMAT " bytes long after its upload", upload->path, upload->size);
    }
    return error;
}

/* What is to be sent, as it stands now. FALSE when there is nothing. */
static gboolean upload_begin(OpenFile *file, Upload *upload)
{
    FtpAttr known;
    g_mutex_lock(&file->lock);
    upload->path = g_strdup(file->path);
    gboolean unsent = file->dirty && !file->gone && !open_file_is_hidden(file->path);
    g_mutex_unlock(&file->lock);
    if (!unsent)
        return FALSE;

    DirCache *cache = tree_cache(file->files->tree);
    gboolean cached = dir_cache_lookup(cache, upload->path, -1, &known, NULL, NULL) == 0;

    g_mutex_lock(&file->lock);
    upload->attr = cached ? known : file->attr;
    open_file_live_attr(file, &upload->attr);
    upload->spool = spool_file_ref(file->spool);
    upload->size = spool_file_size(file->spool);
    upload->changes = file->changes;
    upload->on_server = file->on_server;
    g_mutex_unlock(&file->lock);
    dir_cache_put(cache, upload->path, &upload->attr, NULL, TRUE);
    return TRUE;
}

/* The server has it: the file is what it tells of it now. FALSE when a time or a mode was set meanwhile: it is to be
 * set at the server first. */
static gboolean upload_end(Upload *upload)
{
    OpenFile *file = upload->file;
    OpenFiles *files = file->files;
    FtpAttr attr;
    BaseReader *reader = NULL;
    g_autofree char *base_path = NULL;
    gboolean known = dir_cache_lookup(tree_cache(files->tree), upload->path, -1, &attr, NULL, NULL) == 0;

    g_mutex_lock(&files->lock);
    g_mutex_lock(&file->lock);
    gboolean late = (file->has_mtime || file->has_mode) && file->changes == upload->changes;
    if (late) {
        g_mutex_unlock(&file->lock);
        g_mutex_unlock(&files->lock);
        return FALSE;
    }
    /* What comes next of a large file, or of one that was appended to, is an append to what the server has now. */
    gboolean forget = files->options->write == WRITE_SYNC && file->spool == upload->spool &&
                      (upload->size >= FORGET_FROM || upload_append_fits(file, upload->spool));
    if (known)
        file->attr = attr;
    file->attr.size = upload->size;
    file->attr.has |= FTP_HAS_SIZE;
    attr = file->attr;
    open_file_set_base(file, &attr);
    if (file->released > 0 && file->spool == upload->spool) { /* the file itself is the base now */
        reader = g_steal_pointer(&file->reader);
        base_path = g_steal_pointer(&file->base_path);
        file->released = 0;
        forget = TRUE;
    }
    gboolean same = file->changes == upload->changes;
    if (same) {
        file->dirty = FALSE;
        BaseReader *old = forget ? open_file_replace_base(file, &attr) : NULL;
        reader = old ? old : reader;
        kernel_pages_uploaded(files->pages, file->path, &file->attr);
    }
    open_file_live_attr(file, &attr);
    g_mutex_unlock(&file->lock);
    g_mutex_unlock(&files->lock);
    base_reader_unref(reader);
    if (base_path)
        upload_private_done(upload, base_path, FALSE);
    if (!same)
        dir_cache_put(tree_cache(files->tree), upload->path, &attr, NULL, TRUE);
    return TRUE;
}

int file_upload(OpenFile *file, const Bound *bound)
{
    g_autofree char *path = NULL;
    g_autoptr(SpoolFile) spool = NULL;
    Upload upload = {.file = file};
    gboolean unsent = upload_begin(file, &upload);
    path = upload.path;
    spool = upload.spool;
    if (!unsent)
        return 0;

    int error = upload_run(&upload, bound);
    if (error < 0)
        return error;
    do
        upload_finish(&upload, bound);
    while (!upload_end(&upload));
    return 0;
}
