/* SPDX-License-Identifier: MIT */
/*
 * write=back for the whole table: the queue that sends what is kept, what earlier mounts have left, and the end of the
 * mount.
 *
 * A failure that may pass (the server is away, is busy, has no room) is tried again, later and later, without an end:
 * the file is safe in the journal. One that will not pass (the server refuses the name) is tried a second time; then
 * the contents go to lost+found, with a line in the log.
 *
 * With fewer than three connections there is one thread; otherwise one less than there are connections, so that one is
 * left for persons, and of these at most all but one send large files: what somebody reads does not wait for them.
 */
#include "open_file_back.h"
#include "open_file_private.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define THREADS_MAX   8
#define LARGE         ((gint64)1 << 20)
#define LARGE_AGAIN   (50 * G_TIME_SPAN_MILLISECOND)
#define PAUSE_FIRST   (G_USEC_PER_SEC / 2)
#define PAUSE_DOUBLES 5                     /* up to 16 s */
#define REFUSALS      2                     /* tries */
#define FULL_FOR      (60 * G_USEC_PER_SEC) /* so long a full server, or one that stores it wrong, is tried again */
#define FULL_TRIES    4
#define OPEN_PAUSE    (10 * G_USEC_PER_SEC) /* what can't be sent and is open */
#define DRAIN_STEP    0.2                   /* seconds between two looks */
#define DRAIN_LEAST   2.0
#define TELL_TERMINAL 1 /* seconds between two lines of progress */
#define TELL_LOG      10
#define STATUS_FILES  50 /* lines in --status; the attribute has room for 64 KiB */

/* ---- The queue ---- */

void open_files_back_add(OpenFiles *files, OpenFile *file, gint64 delay)
{
    g_mutex_lock(&files->lock);
    g_mutex_lock(&file->lock);
    gboolean wanted = file->dirty && !file->gone;
    g_mutex_unlock(&file->lock);
    if (wanted && !file->back.kept) {
        file->back.kept = TRUE;
        open_file_ref(file);
        files->pending++;
    }
    if (wanted)
        upload_queue_add(files->queue, file, delay);
    g_mutex_unlock(&files->lock);
}

/* Once more, unless it was let go meanwhile. */
static void again(OpenFiles *files, OpenFile *file, gint64 delay)
{
    g_mutex_lock(&files->lock);
    if (file->back.kept)
        upload_queue_add(files->queue, file, delay);
    g_mutex_unlock(&files->lock);
}

/* The server has it, or nobody wants it: the queue's reference goes, when nothing was changed meanwhile. */
static void let_go(OpenFiles *files, OpenFile *file)
{
    g_mutex_lock(&files->lock);
    g_mutex_lock(&file->lock);
    gboolean done = !file->dirty || file->gone || open_file_is_hidden(file->path);
    gboolean kept = file->back.kept;
    if (done && kept) {
        file->back.kept = FALSE;
        files->pending--;
        upload_queue_drop(files->queue, file);
        if (file->handles == 0 && g_hash_table_lookup(files->by_path, file->path) == file)
            g_hash_table_remove(files->by_path, file->path);
    }
    g_mutex_unlock(&file->lock);
    g_mutex_unlock(&files->lock);
    if (done && kept)
        open_file_unref(file);
}

static gboolean is_stopped(gpointer data)
{
    OpenFile *file = data;
    return g_atomic_int_get(&file->files->ending) || g_atomic_int_get(&file->back.cancel) > 0;
}

static gboolean may_pass(int error)
{
    switch (error) {
    case -EINTR:
    case -EAGAIN:
    case -EBUSY:
    case -ETIMEDOUT:
    case -ECONNREFUSED:
    case -ECONNRESET:
    case -ECONNABORTED:
    case -EHOSTUNREACH:
    case -EHOSTDOWN:
    case -ENETUNREACH:
    case -ENETDOWN:
    case -EPIPE:
    case -ENOTCONN:
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
        return TRUE;
    default:
        return FALSE;
    }
}

/* TRUE when there is no use in another try. */
static gboolean is_hopeless(OpenFiles *files, OpenFile *file, int error)
{
    FtpClientState state;
    g_mutex_lock(&file->lock);
    guint failures = file->back.failures;
    gint64 since = file->back.failing_since;
    g_mutex_unlock(&file->lock);
    if (may_pass(error))
        return FALSE;
    if (error == -ESTALE)
        return TRUE;
    ftp_client_state(files->client, &state);
    if (state.away)
        return FALSE;
    if (error == -ENOSPC || error == -EDQUOT || error == -EIO || error == -EPROTO)
        return failures >= FULL_TRIES && g_get_monotonic_time() - since > FULL_FOR;
    return failures >= REFUSALS;
}

/* To lost+found with it. FALSE when somebody has it open, or it can't be kept there. */
static gboolean give_up(OpenFiles *files, OpenFile *file, int error)
{
    g_mutex_lock(&files->lock);
    gboolean used = file->handles > 0;
    g_mutex_unlock(&files->lock);
    if (used || open_file_keep(file, error) < 0)
        return FALSE;
    g_mutex_lock(&files->lock);
    g_mutex_lock(&file->lock);
    used = file->handles > 0;
    if (!used) {
        if (g_hash_table_lookup(files->by_path, file->path) == file)
            g_hash_table_remove(files->by_path, file->path);
        file->gone = TRUE;
    }
    g_mutex_unlock(&file->lock);
    g_mutex_unlock(&files->lock);
    if (!used)
        open_file_forget(file);
    return !used;
}

static gint64 pause_after(OpenFile *file)
{
    g_mutex_lock(&file->lock);
    guint failures = file->back.failures;
    g_mutex_unlock(&file->lock);
    return PAUSE_FIRST << MIN(failures, PAUSE_DOUBLES);
}

/* TRUE when a large file may be begun; given back by leave_large(). */
static gboolean enter_large(OpenFiles *files)
{
    g_mutex_lock(&files->lock);
    gboolean may = files->large < files->large_most;
    files->large += may;
    g_mutex_unlock(&files->lock);
    return may;
}

static void leave_large(OpenFiles *files)
{
    g_mutex_lock(&files->lock);
    files->large--;
    g_mutex_unlock(&files->lock);
}

static void run_claimed(OpenFiles *files, OpenFile *file, const Bound *bound)
{
    g_mutex_lock(&file->lock);
    gboolean wanted = file->dirty && !file->gone && !open_file_is_hidden(file->path);
    g_mutex_unlock(&file->lock);
    int error = wanted ? open_file_send(file, bound) : 0;
    if (error == 0 || g_atomic_int_get(&files->ending))
        return;
    gboolean hopeless = is_hopeless(files, file, error);
    if (hopeless && give_up(files, file, error))
        return;
    again(files, file, hopeless ? OPEN_PAUSE : pause_after(file));
}

static void run(gpointer item, gpointer data)
{
    OpenFiles *files = data;
    OpenFile *file = item;
    Bound bound = {.deadline = G_MAXINT64, .interrupted = is_stopped, .data = file};

    g_mutex_lock(&files->lock);
    gboolean kept = file->back.kept;
    if (kept)
        open_file_ref(file);
    g_mutex_unlock(&files->lock);
    if (!kept)
        return;
    g_mutex_lock(&file->lock);
    gboolean large = file->spool && spool_file_size(file->spool) > LARGE;
    g_mutex_unlock(&file->lock);
    if (large && !enter_large(files)) {
        again(files, file, LARGE_AGAIN);
    } else {
        int error = open_file_claim(file, &bound);
        if (error == 0) {
            run_claimed(files, file, &bound);
            open_file_unclaim(file);
        } else if (!g_atomic_int_get(&files->ending)) {
            again(files, file, LARGE_AGAIN);
        }
        if (large)
            leave_large(files);
        let_go(files, file);
    }
    g_mutex_lock(&files->lock);
    g_mutex_lock(&file->lock);
    if (file->handles == 0 && file->spool)
        spool_file_park(file->spool);
    g_mutex_unlock(&file->lock);
    g_mutex_unlock(&files->lock);
    open_file_unref(file);
}

gboolean open_files_back_wait_for_room(OpenFiles *files, const Bound *bound)
{
    if (!files->queue)
        return FALSE;
    Bound wait = bound_within(bound, files->options->ftp->retry);
    upload_queue_hurry(files->queue);
    return upload_queue_wait(files->queue, &wait) == 0;
}

/* ---- The beginning ---- */

static void adopt(guint64 id, JournalRecord *found, const char *data_path, gpointer data)
{
    OpenFiles *files = data;
    g_autoptr(JournalRecord) record = found;
    g_autoptr(SpoolFile) spool = NULL;
    int error = spool_file_adopt(data_path, record->size, record->base_size, record->held, &spool);
    if (error < 0) {
        g_warning("what was to be sent as %s can't be read (%s); it is left in %s", record->path, g_strerror(-error),
                  data_path);
        return;
    }
    FtpAttr attr = {
        .type = FTP_TYPE_FILE,
        .has = FTP_HAS_SIZE | FTP_HAS_MTIME,
        .size = record->base.there ? record->base.size : 0,
        .mtime = record->written_at,
        .mtime_precision = 1,
    };
    if (record->has_mode) {
        attr.mode = record->mode;
        attr.has |= FTP_HAS_MODE;
    }
    g_mutex_lock(&files->lock);
    g_autofree char *path = g_strdup(record->path);
    for (guint n = 1; g_hash_table_contains(files->by_path, path); n++) { /* two mounts have written it */
        g_free(path);
        path = g_strdup_printf("%s.ftpfs-conflict-%u", record->path, n);
    }
    gboolean same = g_str_equal(path, record->path);
    OpenFile *file = open_file_new(files, path, &attr, same && record->base.there);
    FileBack *back = &file->back;
    file->spool = spool_file_ref(spool);
    file->dirty = TRUE;
    file->changes = 1;
    file->written_at = record->written_at;
    file->has_mtime = record->has_mtime;
    file->mtime = record->mtime;
    file->has_mode = record->has_mode;
    file->mode_asked = record->mode_asked;
    file->mode = record->mode;
    if (spool_reserve(files->spool, record->size) == 0)
        file->reserved = record->size;
    back->record = id;
    back->recorded = 1;
    back->data = g_steal_pointer(&spool);
    back->data_number = record->data;
    if (same) {
        back->base = record->base;
        back->maybe = g_steal_pointer(&record->maybe);
        back->in_place = record->in_place;
    }
    back->in_doubt = !back->base.there;
    back->check = TRUE;
    back->kept = TRUE; /* with the reference of a new one */
    files->pending++;
    g_hash_table_insert(files->by_path, file->path, file);
    open_file_live_attr(file, &attr);
    dir_cache_put(tree_cache(files->tree), file->path, &attr, NULL, TRUE);
    g_mutex_unlock(&files->lock);
    upload_queue_add(files->queue, file, 0);
}

void open_files_back_start(OpenFiles *files)
{
    const Options *options = files->options;
    const char *spool = spool_directory(files->spool);
    g_autofree char *source = ftp_config_source(options->ftp);
    if (options->read_only || (options->write != WRITE_BACK && !journal_is_left(spool, source)))
        return;
    int error = journal_open(spool, source, &files->journal);
    if (error < 0) {
        g_warning("there can be no journal in %s (%s): files are sent when they are closed", spool, g_strerror(-error));
        return;
    }
    guint connections = options->ftp->connections;
    guint threads = CLAMP(connections - 1, 1, THREADS_MAX);
    files->large_most = MAX(threads - 1, 1);
    files->queue = upload_queue_new(threads, run, files);
    g_autofree char *lost = g_build_filename(spool, "lost+found", NULL);
    error = journal_recover(files->journal, lost, adopt, files);
    if (error < 0)
        g_warning("the journal in %s could not be read to its end: %s", spool, g_strerror(-error));
    if (files->pending > 0)
        g_message("%u files of an earlier mount are still to be sent", files->pending);
}

/* ---- The end ---- */

typedef struct {
    guint files;
    gint64 bytes, sent;
} Left;

static void count_left(OpenFiles *files, Left *ret)
{
    GHashTableIter iter;
    gpointer key;
    *ret = (Left){0};
    g_mutex_lock(&files->lock);
    g_hash_table_iter_init(&iter, files->all);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        OpenFile *file = key;
        g_mutex_lock(&file->lock);
        if (file->back.kept && !file->gone && file->spool) {
            ret->files++;
            ret->bytes += spool_file_size(file->spool);
            ret->sent += file->back.began != 0 ? file->back.sent : 0;
        }
        g_mutex_unlock(&file->lock);
    }
    g_mutex_unlock(&files->lock);
}

/* One line: "3 files (1.2 MB) are still to be sent". */
static void tell(const Left *left, gboolean terminal)
{
    g_autofree char *size = g_format_size((guint64)MAX(left->bytes - left->sent, 0));
    if (terminal)
        g_printerr("\rftpfs: %u files (%s) are still to be sent \033[K", left->files, size);
    else
        g_message("%u files (%s) are still to be sent", left->files, size);
}

/* Waits for the queue as long as something goes on. */
static void drain(OpenFiles *files)
{
    const double patience = MAX(files->options->ftp->retry, DRAIN_LEAST);
    gboolean terminal = files->options->foreground && isatty(STDERR_FILENO);
    gint64 last = g_get_monotonic_time(), told = last, bytes = -1;
    guint pending = G_MAXUINT;
    gboolean said = FALSE;
    Left left;

    upload_queue_hurry(files->queue);
    while (TRUE) {
        count_left(files, &left);
        gint64 now = g_get_monotonic_time();
        gint64 out = stats_get(files->stats, STATS_BYTES_OUT);
        if (left.files < pending || out != bytes)
            last = now;
        pending = left.files;
        bytes = out;
        if (left.files == 0 || g_atomic_int_get(&files->hurried) > 1 ||
            (double)(now - last) > patience * G_USEC_PER_SEC)
            break;
        if (now - told >= (terminal ? TELL_TERMINAL : TELL_LOG) * G_USEC_PER_SEC ||
            (!said && now - told > G_USEC_PER_SEC)) {
            tell(&left, terminal);
            told = now;
            said = TRUE;
        }
        Bound step = bound_seconds(DRAIN_STEP);
        if (upload_queue_wait(files->queue, &step) == -ENODATA)
            g_usleep((gulong)(DRAIN_STEP * G_USEC_PER_SEC));
    }
    if (said && terminal)
        g_printerr("\n");
    if (left.files > 0)
        g_warning("%u files could not be sent yet; the next mount of this source goes on with them", left.files);
    else if (said)
        g_message("all files have been sent");
}

/* A file that has handles, or NULL: the kernel lets go of the last ones without a wait, and an unmount may overtake its
 * telling us. */
static OpenFile *any_open(OpenFiles *files)
{
    GHashTableIter iter;
    gpointer key;
    OpenFile *found = NULL;
    g_mutex_lock(&files->lock);
    g_hash_table_iter_init(&iter, files->all);
    while (!found && g_hash_table_iter_next(&iter, &key, NULL)) {
        OpenFile *file = key;
        if (file->handles > 0)
            found = file;
    }
    g_mutex_unlock(&files->lock);
    return found;
}

void open_files_finish(OpenFiles *files)
{
    OpenFile *file;
    while ((file = any_open(files)) != NULL)
        open_file_release(file, 0);
    if (files->queue)
        drain(files);
    g_atomic_int_set(&files->ending, TRUE);
    if (files->queue)
        upload_queue_stop(files->queue);
}

void open_files_back_free(OpenFiles *files)
{
    g_autoptr(GPtrArray) kept = g_ptr_array_new();
    GHashTableIter iter;
    gpointer key;
    g_hash_table_iter_init(&iter, files->all);
    while (g_hash_table_iter_next(&iter, &key, NULL))
        if (((OpenFile *)key)->back.kept)
            g_ptr_array_add(kept, key);
    for (guint i = 0; i < kept->len; i++)
        open_file_unref(kept->pdata[i]);
    g_clear_pointer(&files->queue, upload_queue_free);
    g_clear_pointer(&files->journal, journal_close);
}

/* ---- Waiting for all below a directory ---- */

int open_files_sync(OpenFiles *files, const Bound *bound, const char *path)
{
    g_autoptr(GPtrArray) kept = g_ptr_array_new();
    gsize length = g_str_equal(path, "/") ? 0 : strlen(path);
    GHashTableIter iter;
    gpointer key, value;
    int result = 0;

    g_mutex_lock(&files->lock);
    g_hash_table_iter_init(&iter, files->by_path);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        const char *name = key;
        if (((OpenFile *)value)->back.kept && strncmp(name, path, length) == 0 && name[length] == '/')
            g_ptr_array_add(kept, open_file_ref(value));
    }
    g_mutex_unlock(&files->lock);
    for (guint i = 0; i < kept->len; i++) {
        OpenFile *file = kept->pdata[i];
        if (result == 0)
            result = open_file_flush(file, bound);
        if (result == 0)
            let_go(files, file);
        open_file_unref(file);
    }
    return result;
}

/* ---- What is shown ---- */

/* Per cent of what is to be sent that has been given to the server, and the rate of that. With the file's lock held. */
static void progress(const OpenFile *file, gint64 *ret_size, guint *ret_percent, gint64 *ret_rate)
{
    gint64 size = file->spool ? spool_file_size(file->spool) : 0;
    gint64 sent = file->back.began != 0 ? MIN(file->back.sent, size) : 0;
    gint64 took = file->back.began != 0 ? g_get_monotonic_time() - file->back.began : 0;
    *ret_size = size;
    *ret_percent = size > 0 ? (guint)((double)sent * 100 / (double)size) : 0;
    *ret_rate = took > 0 ? (gint64)((double)sent * G_USEC_PER_SEC / (double)took) : 0;
}

gboolean open_files_progress(OpenFiles *files, const char *path, gint64 *ret_size, guint *ret_percent, gint64 *ret_rate)
{
    g_mutex_lock(&files->lock);
    OpenFile *file = g_hash_table_lookup(files->by_path, path);
    gboolean unsent = FALSE;
    if (file) {
        g_mutex_lock(&file->lock);
        unsent = file->dirty;
        progress(file, ret_size, ret_percent, ret_rate);
        g_mutex_unlock(&file->lock);
    }
    g_mutex_unlock(&files->lock);
    return unsent;
}

void open_files_back_status(OpenFiles *files, GString *text)
{
    GHashTableIter iter;
    gpointer value;
    Left left;
    guint shown = 0;

    count_left(files, &left);
    g_string_append_printf(text, "pending_files: %u\npending_bytes: %" G_GINT64_FORMAT "\n", left.files,
                           left.bytes - left.sent);
    g_mutex_lock(&files->lock);
    g_hash_table_iter_init(&iter, files->by_path);
    while (shown < STATUS_FILES && g_hash_table_iter_next(&iter, NULL, &value)) {
        OpenFile *file = value;
        g_mutex_lock(&file->lock);
        if (file->back.kept && !file->gone && file->dirty) {
            gint64 size, rate;
            guint percent;
            g_autofree char *name = log_printable(file->path, 300);
            progress(file, &size, &percent, &rate);
            g_string_append_printf(text, "pending: %u %% of %" G_GINT64_FORMAT " bytes, %" G_GINT64_FORMAT " B/s, %s\n",
                                   percent, size, rate, name);
            shown++;
        }
        g_mutex_unlock(&file->lock);
    }
    g_mutex_unlock(&files->lock);
}
