/* SPDX-License-Identifier: MIT */
/*
 * What a mount finds that comes after one that did not end well. First the records of a directory are read and
 * replayed; those that the renamings changed are written anew, with numbers of their own, and only then the renamings
 * go: whenever this is ended, the next one finds a journal that tells the same.
 *
 * The files of another directory are linked into this one, the records written here and then removed there. Where that
 * was ended between the two, both have the file: it is the same inode, and taken once.
 */
#include "journal_private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD_BYTES_MAX (64 << 20)

/* A directory, as it was found. */
typedef struct {
    const char *directory;
    GPtrArray *records;  /* JournalRecord */
    GHashTable *ids;     /* JournalRecord → guint64* */
    GArray *files;       /* guint64: ids of the files' records */
    GArray *renames;     /* guint64: ids of the renamings' records */
    GArray *data;        /* guint64: the data files that are there */
    gboolean unreadable; /* there was a record that can't be read */
    guint64 highest;
} Found;

static void found_clear(Found *found)
{
    g_clear_pointer(&found->records, g_ptr_array_unref);
    g_clear_pointer(&found->ids, g_hash_table_unref);
    g_clear_pointer(&found->files, g_array_unref);
    g_clear_pointer(&found->renames, g_array_unref);
    g_clear_pointer(&found->data, g_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Found, found_clear)

/* ---- Reading ---- */

static JournalRecord *read_record(const char *path)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return NULL;
    JournalRecord *record = NULL;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size < RECORD_BYTES_MAX) {
        gsize size = (gsize)info.st_size, have = 0;
        g_autofree char *bytes = g_malloc(size + 1);
        ssize_t n = 1;
        while (have < size && n > 0) {
            n = read(fd, bytes + have, size - have);
            have += n > 0 ? (gsize)n : 0;
        }
        record = journal_record_parse(bytes, have);
    }
    close(fd);
    return record;
}

/* Moves a file of the journal out of it, for a person to look at. */
static void lose(const char *directory, const char *name, const char *lost)
{
    g_autofree char *from = g_build_filename(directory, name, NULL);
    g_autofree char *kept = g_strdup_printf("journal.%08x.%s", g_random_int(), name);
    g_autofree char *to = g_build_filename(lost, kept, NULL);
    if (g_mkdir(lost, 0700) < 0 && errno != EEXIST)
        g_warning("%s can't be made: %s", lost, g_strerror(errno));
    else if (rename(from, to) < 0)
        g_warning("%s can't be moved to %s: %s", from, to, g_strerror(errno));
    else
        g_warning("a part of the journal can't be read; it is kept as %s", to);
}

static void found_take_record(Found *found, const char *name, guint64 id, const char *lost)
{
    g_autofree char *path = g_build_filename(found->directory, name, NULL);
    JournalRecord *record = read_record(path);
    if (!record) {
        found->unreadable = TRUE;
        lose(found->directory, name, lost);
        return;
    }
    guint64 *key = g_new(guint64, 1);
    *key = id;
    g_array_append_val(record->rename ? found->renames : found->files, id);
    found->highest = MAX(found->highest, record->seq);
    g_ptr_array_add(found->records, record);
    g_hash_table_insert(found->ids, record, key);
}

static void found_read(Found *found, const char *directory, const char *lost)
{
    *found = (Found){.directory = directory};
    found->records = g_ptr_array_new_with_free_func((GDestroyNotify)journal_record_free);
    found->ids = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    found->files = g_array_new(FALSE, FALSE, sizeof(guint64));
    found->renames = g_array_new(FALSE, FALSE, sizeof(guint64));
    found->data = g_array_new(FALSE, FALSE, sizeof(guint64));
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir)) != NULL) {
        guint64 id = journal_number(name, JOURNAL_RECORD), data = journal_number(name, JOURNAL_DATA);
        guint64 begun = journal_number(name, JOURNAL_NEW);
        found->highest = MAX(found->highest, MAX(MAX(id, data), begun));
        if (id != 0) {
            found_take_record(found, name, id, lost);
        } else if (data != 0) {
            g_array_append_val(found->data, data);
        } else if (begun != 0) { /* a record that was not written to its end: nobody was told that it is safe */
            g_autofree char *path = journal_path(directory, begun, JOURNAL_NEW);
            unlink(path);
        }
    }
}

static guint64 found_id(const Found *found, const JournalRecord *record)
{
    const guint64 *id = g_hash_table_lookup(found->ids, record);
    return id ? *id : 0;
}

/* Data that no record tells of was not finished, or its record is gone: it is removed. When there was a record that
 * can't be read it may be that one's. */
static void found_sweep_data(const Found *found, const char *lost)
{
    g_autoptr(GHashTable) used = g_hash_table_new(g_int64_hash, g_int64_equal);
    for (guint i = 0; i < found->records->len; i++)
        g_hash_table_add(used, &((JournalRecord *)found->records->pdata[i])->data);
    for (guint i = 0; i < found->data->len; i++) {
        guint64 *data = &g_array_index(found->data, guint64, i);
        if (g_hash_table_contains(used, data))
            continue;
        g_autofree char *path = journal_path(found->directory, *data, JOURNAL_DATA);
        g_autofree char *name = g_path_get_basename(path);
        if (found->unreadable)
            lose(found->directory, name, lost);
        else
            unlink(path);
    }
}

/* ---- Our own ---- */

static void unlink_record(const char *directory, guint64 id)
{
    g_autofree char *path = journal_path(directory, id, JOURNAL_RECORD);
    unlink(path);
}

/* Replays; the records of files that were replaced go. Returns the changed ones. */
static GPtrArray *found_replay(Found *found)
{
    g_autoptr(GHashTable) live = g_hash_table_new(g_int64_hash, g_int64_equal);
    GPtrArray *changed = journal_records_replay(found->records);
    for (guint i = 0; i < found->records->len; i++)
        g_hash_table_add(live, g_hash_table_lookup(found->ids, found->records->pdata[i]));
    for (guint i = 0; i < found->files->len; i++) {
        guint64 *id = &g_array_index(found->files, guint64, i);
        if (!g_hash_table_contains(live, id))
            unlink_record(found->directory, *id);
    }
    return changed;
}

static void found_drop_renames(const Found *found)
{
    for (guint i = 0; i < found->renames->len; i++)
        unlink_record(found->directory, g_array_index(found->renames, guint64, i));
}

/* Gives the files away, in their order. */
static void found_give(Found *found, JournalFoundFunc func, gpointer data)
{
    g_ptr_array_set_free_func(found->records, NULL);
    for (guint i = 0; i < found->records->len; i++) {
        JournalRecord *record = found->records->pdata[i];
        g_autofree char *path = journal_path(found->directory, record->data, JOURNAL_DATA);
        func(found_id(found, record), record, path, data);
    }
    g_ptr_array_set_size(found->records, 0);
}

static int recover_own(Journal *journal, const char *lost, JournalFoundFunc func, gpointer data)
{
    g_auto(Found) found = {0};
    int result = 0;

    found_read(&found, journal->directory, lost);
    g_autoptr(GPtrArray) changed = found_replay(&found);
    journal->number = MAX(journal->number, found.highest); /* nobody else has the journal yet */
    for (guint i = 0; i < found.records->len; i++) {
        JournalRecord *record = found.records->pdata[i];
        journal_know(journal, found_id(&found, record), record->seq);
    }
    for (guint i = 0; i < changed->len; i++) {
        JournalRecord *record = changed->pdata[i];
        guint64 id = found_id(&found, record);
        record->seq = journal_take_seq(journal);
        int error = journal_write(journal, record, &id);
        result = result < 0 ? result : error;
    }
    if (result == 0)
        found_drop_renames(&found);
    found_sweep_data(&found, lost);
    found_give(&found, func, data);
    return result;
}

/* ---- Those of others ---- */

static gboolean same_inode(const char *one, const char *other)
{
    struct stat a, b;
    return lstat(one, &a) == 0 && lstat(other, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

/* TRUE when one of our own data files is this one already. */
static gboolean has_data(const Journal *journal, const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(journal->directory, 0, NULL);
    struct stat info;
    const char *name;
    if (lstat(path, &info) < 0 || info.st_nlink < 2)
        return FALSE;
    while (dir && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *own = g_build_filename(journal->directory, name, NULL);
        if (journal_number(name, JOURNAL_DATA) != 0 && same_inode(own, path))
            return TRUE;
    }
    return FALSE;
}

/* Makes the file of another journal ours. */
static int take_file(Journal *journal, const char *directory, JournalRecord *record, guint64 *ret_id)
{
    g_autofree char *from = journal_path(directory, record->data, JOURNAL_DATA);
    g_autofree char *to = journal_data_path(journal, &record->data);
    if (link(from, to) < 0)
        return -errno;
    record->seq = journal_take_seq(journal);
    int error = journal_write(journal, record, ret_id);
    if (error < 0) {
        unlink(to);
        return error;
    }
    unlink(from);
    return 0;
}

static int recover_other(Journal *journal, const char *directory, const char *lost, JournalFoundFunc func,
                         gpointer data)
{
    g_auto(Found) found = {0};
    int result = 0;

    found_read(&found, directory, lost);
    g_autoptr(GPtrArray) changed = found_replay(&found);
    g_ptr_array_set_free_func(found.records, NULL);
    for (guint i = 0; i < found.records->len; i++) {
        g_autoptr(JournalRecord) record = found.records->pdata[i];
        guint64 there = found_id(&found, record), id = 0;
        g_autofree char *path = journal_path(directory, record->data, JOURNAL_DATA);
        int error = has_data(journal, path) ? 0 : take_file(journal, directory, record, &id);
        if (error == -ENOENT)
            g_warning("the journal has lost the contents of %s", record->path);
        if (error == 0 || error == -ENOENT)
            unlink_record(directory, there);
        else
            result = result < 0 ? result : error;
        if (id == 0)
            continue;
        g_autofree char *own = journal_path(journal->directory, record->data, JOURNAL_DATA);
        func(id, g_steal_pointer(&record), own, data);
    }
    g_ptr_array_set_size(found.records, 0);
    if (result < 0)
        return result;
    found_drop_renames(&found);
    found_clear(&found);
    found_read(&found, directory, lost); /* what is left now: data that nobody wants */
    found_sweep_data(&found, lost);
    g_rmdir(directory);
    return 0;
}

int journal_recover(Journal *journal, const char *lost, JournalFoundFunc found, gpointer data)
{
    int result = recover_own(journal, lost, found, data);
    g_autoptr(GPtrArray) directories = journal_directories(journal->spool, journal->source);
    for (guint i = 0; i < directories->len; i++) {
        const char *directory = directories->pdata[i];
        int fd = g_str_equal(directory, journal->directory) ? -1 : journal_lock_directory(directory);
        if (fd < 0)
            continue;
        int error = recover_other(journal, directory, lost, found, data);
        if (error < 0)
            g_warning("the journal %s can't be taken over: %s", directory, g_strerror(-error));
        result = result < 0 ? result : error;
        close(fd);
    }
    return result;
}
