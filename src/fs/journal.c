/* SPDX-License-Identifier: MIT */
/*
 * When a renaming's record may go: as soon as no file's record is left that is older than it, for only those have paths
 * of before. Usually that is when the last file that was pending at that time has arrived.
 */
#include "journal_private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNALS_MAX 1000 /* mounts of one source at the same time */
#define HASH_DIGITS  24

typedef struct {
    guint64 id, seq;
    gboolean done;
} RenameRecord;

/* ---- Names ---- */

char *journal_path(const char *directory, guint64 number, const char *ending)
{
    return g_strdup_printf("%s/%0*" G_GINT64_MODIFIER "x%s", directory, JOURNAL_DIGITS, number, ending);
}

guint64 journal_number(const char *name, const char *ending)
{
    guint64 number = 0;
    for (int i = 0; i < JOURNAL_DIGITS; i++) {
        if (!g_ascii_isxdigit(name[i]) || g_ascii_isupper(name[i]))
            return 0;
        number = number * 16 + (guint64)g_ascii_xdigit_value(name[i]);
    }
    return g_str_equal(name + JOURNAL_DIGITS, ending) ? number : 0;
}

static char *journal_prefix(const char *source)
{
    g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, source, -1);
    return g_strdup_printf("%.*s.", HASH_DIGITS, hash);
}

GPtrArray *journal_directories(const char *spool, const char *source)
{
    GPtrArray *found = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *top = g_build_filename(spool, "journal", NULL);
    g_autofree char *prefix = journal_prefix(source);
    g_autoptr(GDir) dir = g_dir_open(top, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir)) != NULL)
        if (g_str_has_prefix(name, prefix))
            g_ptr_array_add(found, g_build_filename(top, name, NULL));
    return found;
}

/* ---- Opening ---- */

int journal_lock_directory(const char *directory)
{
    while (TRUE) {
        struct stat opened, named;
        int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
            return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &opened) < 0) {
            int error = -errno;
            close(fd);
            return error;
        }
        if (opened.st_uid != geteuid()) {
            close(fd);
            return -EACCES;
        }
        /* Its last owner may have removed it just now, and another may have been made. */
        if (lstat(directory, &named) == 0 && named.st_ino == opened.st_ino && named.st_dev == opened.st_dev)
            return fd;
        int error = -errno;
        close(fd);
        if (error != -ENOENT && error != 0)
            return error;
        if (g_mkdir(directory, 0700) < 0 && errno != EEXIST)
            return -errno;
    }
}

static int journal_sync_directory(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int error = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return error;
}

static gint compare_numbers(gconstpointer a, gconstpointer b, gpointer data)
{
    const guint64 *one = a, *other = b;
    return *one < *other ? -1 : *one > *other;
}

static Journal *journal_new(const char *spool, const char *source, const char *directory, int fd)
{
    Journal *journal = g_new0(Journal, 1);
    journal->spool = g_strdup(spool);
    journal->source = g_strdup(source);
    journal->directory = g_strdup(directory);
    journal->fd = fd;
    g_mutex_init(&journal->lock);
    journal->seqs = g_tree_new_full(compare_numbers, NULL, g_free, NULL);
    journal->ids = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    g_queue_init(&journal->renames);
    return journal;
}

int journal_open(const char *spool, const char *source, Journal **ret)
{
    g_autofree char *top = g_build_filename(spool, "journal", NULL);
    g_autofree char *prefix = journal_prefix(source);
    if (g_mkdir(top, 0700) < 0 && errno != EEXIST)
        return -errno;
    for (guint n = 0; n < JOURNALS_MAX; n++) {
        g_autofree char *directory = g_strdup_printf("%s/%s%u", top, prefix, n);
        if (g_mkdir(directory, 0700) < 0 && errno != EEXIST)
            return -errno;
        int fd = journal_lock_directory(directory);
        if (fd == -EWOULDBLOCK)
            continue;
        if (fd < 0)
            return fd;
        int error = journal_sync_directory(top);
        if (error == 0)
            error = journal_sync_directory(spool);
        if (error < 0) {
            close(fd);
            return error;
        }
        *ret = journal_new(spool, source, directory, fd);
        return 0;
    }
    return -EMFILE;
}

gboolean journal_is_left(const char *spool, const char *source)
{
    g_autoptr(GPtrArray) directories = journal_directories(spool, source);
    for (guint i = 0; i < directories->len; i++) {
        int fd = journal_lock_directory(directories->pdata[i]);
        if (fd < 0)
            continue;
        close(fd);
        return TRUE;
    }
    return FALSE;
}

void journal_close(Journal *journal)
{
    if (!journal)
        return;
    g_rmdir(journal->directory); /* while the lock is held, and only when it is empty */
    close(journal->fd);
    g_tree_unref(journal->seqs);
    g_hash_table_unref(journal->ids);
    g_queue_clear_full(&journal->renames, g_free);
    g_mutex_clear(&journal->lock);
    g_free(journal->directory);
    g_free(journal->source);
    g_free(journal->spool);
    g_free(journal);
}

/* ---- Numbers ---- */

char *journal_data_path(Journal *journal, guint64 *ret_data)
{
    g_mutex_lock(&journal->lock);
    *ret_data = ++journal->number;
    g_mutex_unlock(&journal->lock);
    return journal_path(journal->directory, *ret_data, JOURNAL_DATA);
}

static guint64 *number_new(guint64 number)
{
    guint64 *copy = g_new(guint64, 1);
    *copy = number;
    return copy;
}

guint64 journal_take_seq(Journal *journal)
{
    g_mutex_lock(&journal->lock);
    guint64 seq = ++journal->number;
    g_tree_insert(journal->seqs, number_new(seq), NULL);
    g_mutex_unlock(&journal->lock);
    return seq;
}

/* Removes the renamings that are older than all files. With the lock held. */
static void journal_tidy(Journal *journal)
{
    GTreeNode *oldest = g_tree_node_first(journal->seqs);
    RenameRecord *rename;
    while ((rename = g_queue_peek_head(&journal->renames)) != NULL && rename->done &&
           (!oldest || rename->seq < *(guint64 *)g_tree_node_key(oldest))) {
        g_autofree char *path = journal_path(journal->directory, rename->id, JOURNAL_RECORD);
        unlink(path);
        g_free(g_queue_pop_head(&journal->renames));
    }
}

void journal_give_seq(Journal *journal, guint64 seq)
{
    g_mutex_lock(&journal->lock);
    g_tree_remove(journal->seqs, &seq);
    journal_tidy(journal);
    g_mutex_unlock(&journal->lock);
}

void journal_know(Journal *journal, guint64 id, guint64 seq)
{
    g_mutex_lock(&journal->lock);
    guint64 *old = g_hash_table_lookup(journal->ids, &id);
    if (old && *old != seq)
        g_tree_remove(journal->seqs, old);
    g_tree_replace(journal->seqs, number_new(seq), NULL);
    g_hash_table_replace(journal->ids, number_new(id), number_new(seq));
    journal->number = MAX(journal->number, MAX(id, seq));
    journal_tidy(journal);
    g_mutex_unlock(&journal->lock);
}

gboolean journal_has_files(Journal *journal)
{
    g_mutex_lock(&journal->lock);
    gboolean has = g_tree_nnodes(journal->seqs) > 0;
    g_mutex_unlock(&journal->lock);
    return has;
}

/* ---- Records ---- */

static int write_whole(int fd, const char *bytes, gsize size)
{
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        bytes += n;
        size -= (gsize)n;
    }
    return 0;
}

/* A new record: a file without a name is written and then gets it, so that the name is brought to disk together with
 * the contents. -EOPNOTSUPP where the file system can't do that. */
static int journal_put_new(Journal *journal, guint64 id, const char *text)
{
    g_autofree char *path = journal_path(journal->directory, id, JOURNAL_RECORD);
    int fd = open(journal->directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return -EOPNOTSUPP;
    g_autofree char *self = g_strdup_printf("/proc/self/fd/%d", fd);
    int error = write_whole(fd, text, strlen(text));
    gboolean named = error == 0 && linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0;
    if (error == 0 && !named)
        error = -EOPNOTSUPP;
    if (named && (fsync(fd) < 0 || fsync(journal->fd) < 0)) {
        error = -errno;
        unlink(path);
    }
    close(fd);
    return error;
}

static int journal_put(Journal *journal, guint64 id, gboolean is_new, const JournalRecord *record)
{
    g_autofree char *text = journal_record_format(record);
    g_autofree char *path = journal_path(journal->directory, id, JOURNAL_RECORD);
    g_autofree char *new_path = journal_path(journal->directory, id, JOURNAL_NEW);
    int done = is_new ? journal_put_new(journal, id, text) : -EOPNOTSUPP;
    if (done != -EOPNOTSUPP)
        return done;
    int fd = open(new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int error = write_whole(fd, text, strlen(text));
    if (error == 0 && fsync(fd) < 0)
        error = -errno;
    if (close(fd) < 0 && error == 0)
        error = -errno;
    if (error == 0 && rename(new_path, path) < 0)
        error = -errno;
    if (error < 0) {
        unlink(new_path);
        return error;
    }
    return fsync(journal->fd) < 0 ? -errno : 0;
}

static guint64 journal_new_id(Journal *journal)
{
    g_mutex_lock(&journal->lock);
    guint64 id = ++journal->number;
    g_mutex_unlock(&journal->lock);
    return id;
}

int journal_write(Journal *journal, const JournalRecord *record, guint64 *id)
{
    guint64 number = *id != 0 ? *id : journal_new_id(journal);
    int error = journal_put(journal, number, *id == 0, record);
    if (error < 0) {
        journal_give_seq(journal, record->seq);
        return error;
    }
    journal_know(journal, number, record->seq);
    *id = number;
    return 0;
}

void journal_remove(Journal *journal, guint64 id)
{
    g_autofree char *path = journal_path(journal->directory, id, JOURNAL_RECORD);
    unlink(path);
    g_mutex_lock(&journal->lock);
    guint64 *seq = g_hash_table_lookup(journal->ids, &id);
    if (seq) {
        g_tree_remove(journal->seqs, seq);
        g_hash_table_remove(journal->ids, &id);
    }
    journal_tidy(journal);
    g_mutex_unlock(&journal->lock);
}

/* ---- Renamings ---- */

static RenameRecord *journal_find_rename(Journal *journal, guint64 id, GList **ret_link)
{
    for (GList *link = journal->renames.head; link; link = link->next) {
        RenameRecord *rename = link->data;
        if (rename->id == id) {
            *ret_link = link;
            return rename;
        }
    }
    return NULL;
}

/* TRUE when no file is older than `seq`: a renaming then changes nothing. */
static gboolean journal_is_oldest(Journal *journal, guint64 seq)
{
    g_mutex_lock(&journal->lock);
    GTreeNode *oldest = g_tree_node_first(journal->seqs);
    gboolean is = !oldest || *(guint64 *)g_tree_node_key(oldest) >= seq;
    g_mutex_unlock(&journal->lock);
    return is;
}

void journal_remove_rename(Journal *journal, guint64 id)
{
    g_autofree char *path = journal_path(journal->directory, id, JOURNAL_RECORD);
    GList *link = NULL;
    g_mutex_lock(&journal->lock);
    RenameRecord *rename = journal_find_rename(journal, id, &link);
    if (rename) {
        unlink(path);
        g_queue_delete_link(&journal->renames, link);
        g_free(rename);
    }
    journal_tidy(journal);
    g_mutex_unlock(&journal->lock);
}

int journal_write_rename(Journal *journal, const char *from, const char *to, gboolean done, guint64 seq, guint64 *id)
{
    JournalRecord record = {.rename = TRUE, .seq = seq, .path = (char *)from, .to = (char *)to, .done = done};
    if (done && journal_is_oldest(journal, seq)) {
        journal_give_seq(journal, seq);
        if (*id != 0)
            journal_remove_rename(journal, *id);
        return 0;
    }
    guint64 number = *id != 0 ? *id : journal_new_id(journal);
    int error = journal_put(journal, number, *id == 0, &record);

    g_mutex_lock(&journal->lock);
    if (error == 0) {
        GList *link = NULL;
        RenameRecord *rename = journal_find_rename(journal, number, &link);
        if (rename)
            g_queue_delete_link(&journal->renames, link);
        else
            rename = g_new0(RenameRecord, 1);
        *rename = (RenameRecord){.id = number, .seq = seq, .done = done};
        for (link = journal->renames.tail; link && ((RenameRecord *)link->data)->seq > seq; link = link->prev)
            continue;
        if (link)
            g_queue_insert_after(&journal->renames, link, rename);
        else
            g_queue_push_head(&journal->renames, rename);
        *id = number;
    }
    /* the number of a renaming keeps nothing */
    g_tree_remove(journal->seqs, &seq);
    journal_tidy(journal);
    g_mutex_unlock(&journal->lock);
    return error;
}
