/* SPDX-License-Identifier: MIT */
/*
 * The record of one file, and sending it.
 *
 * What a record tells of must be on the disk as long as the record is: the contents are sealed when the record is made.
 * A later write below the seal goes to a copy (open_file_own_spool()), and the next record tells of that one; so
 * whenever the program ends, the journal has the contents of one close, whole, and never a mixture. An append changes
 * nothing that is sealed and needs no copy.
 *
 * The order of the records is that of their `seq`, which is taken together with the path, under OpenFile.lock. A rename
 * takes its own under the same lock when it changes the path.
 */
#include "open_file_back.h"

#include "file_upload.h"
#include "open_file_private.h"

#include <errno.h>
#include <unistd.h>

#define CHECK_AFTER  (10 * G_USEC_PER_SEC)           /* what the server had is as good as known for so long */
#define CANCEL_AFTER 1.0                             /* seconds that an upload gets to end before it is given up */
#define SEND_DELAY   (100 * G_TIME_SPAN_MILLISECOND) /* editors and rsync rename what they have just closed */

void open_file_back_init(OpenFile *file)
{
    g_mutex_init(&file->back.lock);
    file->back.based_at = g_get_monotonic_time();
}

void open_file_back_clear(OpenFile *file)
{
    spool_file_unref(file->back.data);
    g_free(file->back.maybe);
    g_mutex_clear(&file->back.lock);
}

void open_file_set_base(OpenFile *file, const FtpAttr *attr)
{
    FileBack *back = &file->back;
    back->based_at = g_get_monotonic_time();
    back->base = (JournalBase){0};
    if (!attr)
        return;
    back->base.there = TRUE;
    back->base.has_size = (attr->has & FTP_HAS_SIZE) != 0;
    back->base.size = attr->size;
    /* a coarser time may be a guess of ours */
    back->base.has_mtime = (attr->has & FTP_HAS_MTIME) != 0 && attr->mtime_precision <= 1;
    back->base.mtime = attr->mtime;
    back->base.precision = attr->mtime_precision;
}

int open_file_own_spool(OpenFile *file, gint64 offset)
{
    SpoolFile *copy = NULL;
    if (!file->spool || !spool_file_is_sealed_at(file->spool, offset))
        return 0;
    int error = spool_file_copy(file->spool, spool_directory(file->files->spool), G_MAXINT64, &copy);
    if (error < 0)
        return error;
    spool_file_unref(file->spool);
    file->spool = copy;
    return 0;
}

gboolean open_file_may_be_half_sent(const OpenFile *file)
{
    return file->back.in_place || (file->back.tried != 0 && file->back.tried != file->changes);
}

/* ---- The record ---- */

/* With the file's lock held. */
static gboolean is_unsent(const OpenFile *file)
{
    return file->dirty && file->spool && !file->gone && !open_file_is_hidden(file->path);
}

/* Fills the record with what the file is now, and seals it; *ret_fd is to be brought to disk. With both locks held. */
static int fill_record(OpenFile *file, JournalRecord *record, int *ret_fd)
{
    FileBack *back = &file->back;
    Journal *journal = file->files->journal;
    int error = 0;
    if (file->spool == back->data) {
        record->data = back->data_number;
    } else {
        g_autofree char *path = journal_data_path(journal, &record->data);
        error = spool_file_link(file->spool, path);
    }
    int fd = error == 0 ? spool_file_dup(file->spool) : error;
    if (fd < 0)
        return fd;
    spool_file_seal(file->spool);
    record->path = g_strdup(file->path);
    record->maybe = g_strdup(back->maybe);
    record->size = spool_file_size(file->spool);
    record->base_size = spool_file_base_size(file->spool);
    range_set_add_all(record->held, spool_file_held(file->spool));
    record->base = back->base;
    record->in_place = open_file_may_be_half_sent(file);
    record->written_at = file->written_at;
    record->has_mtime = file->has_mtime;
    record->mtime = file->mtime;
    record->has_mode = file->has_mode;
    record->mode_asked = file->mode_asked;
    record->mode = file->mode;
    record->seq = journal_take_seq(journal);
    *ret_fd = fd;
    return 0;
}

/* The record tells of `spool` from now on: the file that the last one told of can go. With back.lock held. */
static void take_data(OpenFile *file, SpoolFile *spool, guint64 number)
{
    FileBack *back = &file->back;
    if (back->data == spool)
        return;
    g_mutex_lock(&file->lock);
    if (back->data)
        spool_file_unlink(back->data);
    g_mutex_unlock(&file->lock);
    spool_file_unref(back->data);
    back->data = spool ? spool_file_ref(spool) : NULL;
    back->data_number = number;
}

/* `contents`: they may have changed, too, and are brought to disk. With back.lock held. */
static int write_record(OpenFile *file, gboolean contents)
{
    g_autoptr(JournalRecord) record = journal_record_new();
    g_autoptr(SpoolFile) spool = NULL;
    FileBack *back = &file->back;
    Journal *journal = file->files->journal;
    int fd = -1;

    g_mutex_lock(&file->lock);
    guint64 changes = file->changes;
    spool = spool_file_ref(file->spool);
    int error = fill_record(file, record, &fd);
    g_mutex_unlock(&file->lock);
    if (error == 0) {
        if ((contents || spool != back->data || changes != back->recorded) && fsync(fd) < 0)
            error = -errno;
        close(fd);
        if (error == 0)
            error = journal_write(journal, record, &back->record);
        else
            journal_give_seq(journal, record->seq);
    }
    if (error == 0) {
        take_data(file, spool, record->data);
        back->recorded = changes;
    } else if (spool != back->data) { /* no record tells of it */
        g_mutex_lock(&file->lock);
        spool_file_unlink(spool);
        g_mutex_unlock(&file->lock);
    }
    return error;
}

/* It stays in listings until the server has it. Not while it is claimed: then it is being renamed, or sent, which does
 * that by itself. With back.lock held. */
static void pin(OpenFile *file)
{
    OpenFiles *files = file->files;
    g_mutex_lock(&files->lock);
    g_mutex_lock(&file->lock);
    if (is_unsent(file) && !file->claimed) {
        FtpAttr attr = file->attr;
        attr.type = FTP_TYPE_FILE;
        open_file_live_attr(file, &attr);
        dir_cache_put(tree_cache(files->tree), file->path, &attr, NULL, TRUE);
    }
    g_mutex_unlock(&file->lock);
    g_mutex_unlock(&files->lock);
}

int open_file_record(OpenFile *file, gboolean force)
{
    FileBack *back = &file->back;
    int error = 0;
    if (!file->files->journal)
        return -EOPNOTSUPP;
    g_mutex_lock(&back->lock);
    g_mutex_lock(&file->lock);
    gboolean unsent = is_unsent(file);
    gboolean same = back->record != 0 && back->recorded == file->changes;
    g_mutex_unlock(&file->lock);
    if (unsent && (!same || force))
        error = write_record(file, FALSE);
    if (unsent && error == 0) {
        pin(file);
        open_files_back_add(file->files, file, SEND_DELAY);
    }
    g_mutex_unlock(&back->lock);
    return error;
}

void open_file_record_again(OpenFile *file)
{
    g_mutex_lock(&file->back.lock);
    g_mutex_lock(&file->lock);
    /* what was written since, and not closed, is nobody's business yet */
    gboolean there = file->back.record != 0 && file->back.recorded == file->changes;
    g_mutex_unlock(&file->lock);
    g_mutex_unlock(&file->back.lock);
    int error = there ? open_file_record(file, TRUE) : 0;
    if (error < 0)
        g_warning("the journal can't be written: %s", g_strerror(-error));
}

/* Removes the record. With back.lock held. */
static void drop_record(OpenFile *file)
{
    FileBack *back = &file->back;
    if (back->record == 0)
        return;
    journal_remove(file->files->journal, back->record);
    back->record = 0;
    take_data(file, NULL, 0);
}

/* What has arrived leaves the journal; its name is the server's again in the cache. */
static void settle(OpenFile *file)
{
    OpenFiles *files = file->files;
    if (!files->journal)
        return;
    g_mutex_lock(&file->back.lock);
    g_mutex_lock(&files->lock);
    g_mutex_lock(&file->lock);
    gboolean arrived = !file->dirty;
    FtpAttr attr;
    DirCache *cache = tree_cache(files->tree);
    if (arrived && !file->gone && dir_cache_lookup(cache, file->path, -1, &attr, NULL, NULL) == 0)
        dir_cache_put(cache, file->path, &attr, NULL, FALSE);
    g_mutex_unlock(&file->lock);
    g_mutex_unlock(&files->lock);
    if (arrived)
        drop_record(file);
    g_mutex_unlock(&file->back.lock);
}

void open_file_forget(OpenFile *file)
{
    g_mutex_lock(&file->back.lock);
    drop_record(file);
    g_mutex_unlock(&file->back.lock);
}

int open_file_will_change_in_place(OpenFile *file)
{
    g_mutex_lock(&file->lock);
    gboolean was = file->back.in_place;
    file->back.in_place = TRUE;
    g_mutex_unlock(&file->lock);
    g_mutex_lock(&file->back.lock);
    int error = file->back.record != 0 && !was ? write_record(file, TRUE) : 0;
    g_mutex_unlock(&file->back.lock);
    return error;
}

/* ---- Closing ---- */

int open_file_close(OpenFile *file, const Bound *bound)
{
    if (file->files->options->write != WRITE_BACK)
        return open_file_flush(file, bound);
    int error = open_file_record(file, FALSE);
    if (error == 0)
        return 0;
    /* Without a journal, or without room for it, the server is waited for. */
    return open_file_flush(file, bound);
}

int open_file_claim_from_queue(OpenFile *file, const Bound *bound)
{
    Bound patience = bound_within(bound, CANCEL_AFTER);
    int error = open_file_claim(file, &patience);
    if (error != -ETIMEDOUT || bound_check(bound) < 0)
        return error;
    g_atomic_int_inc(&file->back.cancel);
    error = open_file_claim(file, bound);
    g_atomic_int_add(&file->back.cancel, -1);
    return error;
}

/* ---- Sending ---- */

static gboolean wants_check(OpenFile *file)
{
    FileBack *back = &file->back;
    gint64 now = g_get_monotonic_time();
    g_mutex_lock(&back->lock);
    gboolean recorded = back->record != 0;
    g_mutex_unlock(&back->lock);
    g_mutex_lock(&file->lock);
    gboolean wants = file->dirty && !file->gone && recorded && (back->check || now - back->based_at > CHECK_AFTER);
    g_mutex_unlock(&file->lock);
    return wants;
}

/* The server has all of it; what is missing are its time and its mode. */
static int finish_arrived(OpenFile *file, const Bound *bound)
{
    OpenFiles *files = file->files;
    FtpAttr attr = {0};
    g_mutex_lock(&file->lock);
    g_autofree char *path = g_strdup(file->path);
    gboolean has_mtime = file->has_mtime, has_mode = file->has_mode;
    gint64 mtime = file->mtime;
    mode_t mode = file->mode;
    gint64 size = spool_file_size(file->spool);
    guint64 changes = file->changes;
    g_mutex_unlock(&file->lock);

    int error = has_mode ? tree_chmod(files->tree, bound, path, mode) : 0;
    if (error == 0 && has_mtime)
        error = tree_set_mtime(files->tree, bound, path, mtime);
    if (error == -ETIMEDOUT || error == -EINTR || error == -EIO || error == -ECONNREFUSED)
        return error;
    error = tree_uploaded(files->tree, bound, path, size);
    if (error < 0)
        return error;
    gboolean known = dir_cache_lookup(tree_cache(files->tree), path, -1, &attr, NULL, NULL) == 0;

    g_mutex_lock(&file->lock);
    file->on_server = TRUE;
    if (known)
        file->attr = attr;
    open_file_set_base(file, known ? &attr : &file->attr);
    if (file->changes == changes && file->has_mtime == has_mtime && file->has_mode == has_mode &&
        file->mtime == mtime) {
        file->dirty = FALSE;
        file->has_mtime = file->has_mode = FALSE;
    }
    g_mutex_unlock(&file->lock);
    return 0;
}

/* Somebody else has changed the file on the server: theirs keeps its name, ours gets another one. */
static void set_aside(OpenFile *file)
{
    OpenFiles *files = file->files;
    DirCache *cache = tree_cache(files->tree);
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    g_autofree char *date = g_date_time_format(now, "%Y%m%d-%H%M%S");

    g_mutex_lock(&files->lock);
    g_mutex_lock(&file->lock);
    g_autofree char *old = g_strdup(file->path);
    g_autofree char *path = g_strdup_printf("%s.ftpfs-conflict-%s", old, date);
    for (guint n = 2; g_hash_table_contains(files->by_path, path); n++) {
        g_free(path);
        path = g_strdup_printf("%s.ftpfs-conflict-%s-%u", old, date, n);
    }
    if (g_hash_table_lookup(files->by_path, old) == file)
        g_hash_table_remove(files->by_path, old);
    open_file_set_path(file, path);
    g_hash_table_insert(files->by_path, file->path, file);
    file->on_server = FALSE;
    open_file_set_base(file, NULL);
    file->back.in_place = file->back.in_doubt = FALSE;
    FtpAttr attr = file->attr;
    open_file_live_attr(file, &attr);
    g_mutex_unlock(&file->lock);
    g_mutex_unlock(&files->lock);

    dir_cache_remove(cache, old);
    dir_cache_forget(cache, old);
    dir_cache_put(cache, path, &attr, NULL, TRUE);
    open_file_record_again(file);
    g_warning("%s was changed on the server by somebody else meanwhile; what was written here is kept as %s", old,
              path);
}

static int send_checked(OpenFile *file, const Bound *bound)
{
    BackVerdict verdict = BACK_SEND;
    int error = wants_check(file) ? open_file_check(file, bound, &verdict) : 0;
    if (error < 0)
        return error;
    switch (verdict) {
    case BACK_USELESS:
        return -ESTALE;
    case BACK_ARRIVED:
        return finish_arrived(file, bound);
    case BACK_CONFLICT:
        set_aside(file);
        break;
    case BACK_SEND:
        break;
    }
    g_mutex_lock(&file->lock);
    if (open_file_may_be_half_sent(file))
        file->back.in_place = TRUE;
    file->back.tried = file->changes;
    g_mutex_unlock(&file->lock);
    return file_upload(file, bound);
}

int open_file_send(OpenFile *file, const Bound *bound)
{
    FileBack *back = &file->back;
    g_mutex_lock(&file->lock);
    back->sent = 0;
    back->began = g_get_monotonic_time();
    g_mutex_unlock(&file->lock);

    int error = send_checked(file, bound);

    g_mutex_lock(&file->lock);
    back->began = 0;
    if (error == 0) {
        back->check = back->in_place = back->in_doubt = FALSE;
        back->failures = 0;
        back->tried = 0;
        g_clear_pointer(&back->maybe, g_free);
    } else {
        back->check = TRUE;
        back->in_doubt |= !file->on_server;
        if (back->failures++ == 0)
            back->failing_since = g_get_monotonic_time();
    }
    gboolean more = error == 0 && is_unsent(file);
    g_mutex_unlock(&file->lock);
    if (error == 0)
        settle(file);
    if (more) /* a later one waits already: what the server has now is what it replaces */
        open_file_record_again(file);
    return error;
}
