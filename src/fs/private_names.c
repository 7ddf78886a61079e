/* SPDX-License-Identifier: MIT */
/*
 * The record of a mount is a file "names/<mark>" in the spool, locked as long as the mount lives: a line that says what
 * it is, one with the source, then one line for each change of what is in use:
 *
 *     + PATH            in use
 *     + PATH ASIDE_OF   in use, and holds the old content of ASIDE_OF
 *     - PATH            not any more
 *
 * with paths escaped as in URLs. It is cut back to its head when nothing is in use. It is not fsync'ed: it guards
 * against the end of the process, and a name that a power cut makes it forget is shown like any other file.
 */
#include "fs/private_names.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define PREFIX      ".ftpfs-"
#define FUSE_PREFIX ".fuse_hidden"
#define MARK_LENGTH 8
#define RECORD_FULL ((gsize)1 << 20)  /* bytes after which it is written anew */
#define RECORD_MAX  ((gsize)64 << 20) /* a longer record is not ours */
#define HEAD        "ftpfs names 1"

struct PrivateNames {
    char mark[MARK_LENGTH + 1];
    GMutex lock;
    /* lock guards all below */
    guint number;       /* of the last name */
    GHashTable *in_use; /* path -> what it is aside of, or "" */
    GHashTable *bases;  /* set of the names without directory of libfuse's in `in_use` */
    GHashTable *dead;   /* marks that were taken over -> their records' paths, or NULL: those of an earlier heir */
    GHashTable *left;   /* as `in_use`: what the dead left */
    int fd;             /* the record, or -1 */
    char *record;       /* its path */
    off_t head;         /* bytes of its first two lines */
    gsize written;      /* bytes behind them */
    GArray *locks;      /* int: descriptors of the records of the dead */
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static char *escape(const char *path)
{
    return g_uri_escape_bytes((const guint8 *)path, strlen(path), "/ ,=@");
}

PrivateNames *private_names_new(void)
{
    PrivateNames *names = g_new0(PrivateNames, 1);
    g_snprintf(names->mark, sizeof names->mark, "%08x", g_random_int());
    g_mutex_init(&names->lock);
    names->in_use = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    names->bases = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    names->dead = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    names->left = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    names->locks = g_array_new(FALSE, FALSE, sizeof(int));
    names->fd = -1;
    return names;
}

void private_names_free(PrivateNames *names)
{
    if (!names)
        return;
    if (names->fd >= 0 && g_hash_table_size(names->in_use) == 0 && g_hash_table_size(names->left) == 0)
        unlink(names->record);
    if (names->fd >= 0)
        close(names->fd);
    for (guint i = 0; i < names->locks->len; i++)
        close(g_array_index(names->locks, int, i));
    g_array_unref(names->locks);
    g_hash_table_unref(names->in_use);
    g_hash_table_unref(names->bases);
    g_hash_table_unref(names->dead);
    g_hash_table_unref(names->left);
    g_free(names->record);
    g_mutex_clear(&names->lock);
    g_free(names);
}

/* ---- The record; with the lock held, or before anybody else knows of the names ---- */

static void record_write(PrivateNames *names, const char *line)
{
    gsize length = strlen(line);
    if (names->fd < 0)
        return;
    names->written += length;
    if (write(names->fd, line, length) != (gssize)length) {
        g_warning("%s can't be written to: %s; after a crash private names may be left on the server", names->record,
                  g_strerror(errno));
        close(names->fd);
        names->fd = -1;
    }
}

static void record_add(PrivateNames *names, const char *path, const char *aside_of)
{
    g_autofree char *one = escape(path), *other = escape(aside_of);
    g_autofree char *line = g_strdup_printf("+\t%s%s%s\n", one, other[0] ? "\t" : "", other);
    record_write(names, line);
}

static void record_add_all(PrivateNames *names, GHashTable *table)
{
    GHashTableIter iter;
    gpointer path, aside_of;
    g_hash_table_iter_init(&iter, table);
    while (g_hash_table_iter_next(&iter, &path, &aside_of))
        record_add(names, path, aside_of);
}

static void record_remove(PrivateNames *names, const char *path)
{
    if (names->fd < 0)
        return;
    gboolean empty = g_hash_table_size(names->in_use) == 0 && g_hash_table_size(names->left) == 0;
    if ((empty || names->written > RECORD_FULL) && ftruncate(names->fd, names->head) == 0) {
        names->written = 0;
        record_add_all(names, names->in_use);
        record_add_all(names, names->left);
        return;
    }
    g_autofree char *one = escape(path);
    g_autofree char *line = g_strdup_printf("-\t%s\n", one);
    record_write(names, line);
}

/* The lines of a record after its head, into `left`. FALSE when it is another source's, or no record. */
static gboolean record_parse(const char *text, const char *source, GHashTable *left)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    guint n = g_strv_length(lines);
    if (n < 3 || !g_str_equal(lines[0], HEAD) || !g_str_equal(lines[1], source))
        return FALSE;
    for (guint i = 2; i + 1 < n; i++) { /* the last one has no end: it was never written whole */
        g_auto(GStrv) words = g_strsplit(lines[i], "\t", 3);
        g_autofree char *path = words[0] && words[1] ? g_uri_unescape_string(words[1], NULL) : NULL;
        if (!path || path[0] != '/')
            continue;
        if (g_str_equal(words[0], "-"))
            g_hash_table_remove(left, path);
        else if (g_str_equal(words[0], "+"))
            g_hash_table_replace(left, g_steal_pointer(&path),
                                 words[2] ? g_uri_unescape_string(words[2], NULL) : g_strdup(""));
    }
    return TRUE;
}

/* Takes a record over when its mount is dead. */
static void record_adopt(PrivateNames *names, const char *directory, const char *mark, const char *source)
{
    g_autofree char *path = g_build_filename(directory, mark, NULL);
    g_autofree char *text = NULL;
    gsize length;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 || lseek(fd, 0, SEEK_END) > (off_t)RECORD_MAX ||
        !g_file_get_contents(path, &text, &length, NULL) || !record_parse(text, source, names->left)) {
        close(fd);
        return;
    }
    g_hash_table_replace(names->dead, g_strdup(mark), g_steal_pointer(&path));
    g_array_append_val(names->locks, fd);
}

static int record_make(PrivateNames *names, const char *directory, const char *source)
{
    g_autofree char *head = g_strdup_printf("%s\n%s\n", HEAD, source);
    int fd;
    do {
        g_snprintf(names->mark, sizeof names->mark, "%08x", g_random_int());
        g_free(names->record);
        names->record = g_build_filename(directory, names->mark, NULL);
        fd = open(names->record, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    } while (fd < 0 && errno == EEXIST);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX) < 0 || write(fd, head, strlen(head)) != (gssize)strlen(head)) {
        int error = -errno;
        unlink(names->record);
        close(fd);
        return error;
    }
    names->head = (off_t)strlen(head);
    names->fd = fd;
    return 0;
}

gboolean private_names_open(PrivateNames *names, const char *spool, const char *source)
{
    g_autofree char *directory = g_build_filename(spool, "names", NULL);
    g_autofree char *escaped = escape(source);
    g_autoptr(GDir) dir = NULL;
    int error = g_mkdir_with_parents(directory, 0700) < 0 ? -errno : 0;

    g_mutex_lock(&names->lock);
    if (error == 0)
        dir = g_dir_open(directory, 0, NULL);
    for (const char *mark; dir && (mark = g_dir_read_name(dir)) != NULL;)
        if (strlen(mark) == MARK_LENGTH)
            record_adopt(names, directory, mark, escaped);
    if (error == 0)
        error = record_make(names, directory, escaped);
    if (error == 0)
        record_add_all(names, names->left);
    GHashTableIter iter;
    gpointer path;
    g_hash_table_iter_init(&iter, names->dead);
    while (error == 0 && g_hash_table_iter_next(&iter, NULL, &path))
        unlink(path); /* what it says stands in ours now */
    g_hash_table_iter_init(&iter, names->left);
    while (g_hash_table_iter_next(&iter, &path, NULL)) {
        const char *name = base_name(path);
        if (g_str_has_prefix(name, FUSE_PREFIX))
            g_hash_table_add(names->bases, g_strdup(name));
        else if (private_names_is_like(name) && strlen(name) > strlen(PREFIX) + MARK_LENGTH)
            g_hash_table_insert(names->dead, g_strndup(name + strlen(PREFIX), MARK_LENGTH), NULL);
    }
    g_mutex_unlock(&names->lock);
    if (error < 0)
        g_warning("%s can't be written to: %s; after a crash private names may be left on the server", directory,
                  g_strerror(-error));
    return error == 0;
}

/* ---- Names ---- */

char *private_names_make(PrivateNames *names, const char *path, const char *aside_of)
{
    const char *slash = strrchr(path, '/');
    g_mutex_lock(&names->lock);
    char *made =
        g_strdup_printf("%.*s/" PREFIX "%s-%x~", slash ? (int)(slash - path) : 0, path, names->mark, ++names->number);
    g_hash_table_replace(names->in_use, g_strdup(made), g_strdup(aside_of ? aside_of : ""));
    record_add(names, made, aside_of ? aside_of : "");
    g_mutex_unlock(&names->lock);
    return made;
}

void private_names_hide(PrivateNames *names, const char *path)
{
    g_mutex_lock(&names->lock);
    g_hash_table_replace(names->in_use, g_strdup(path), g_strdup(""));
    g_hash_table_add(names->bases, g_strdup(base_name(path)));
    record_add(names, path, "");
    g_mutex_unlock(&names->lock);
}

void private_names_move(PrivateNames *names, const char *from, const char *to)
{
    g_mutex_lock(&names->lock);
    char *aside_of = g_strdup(g_hash_table_lookup(names->in_use, from));
    if (aside_of) {
        record_add(names, to, aside_of);
        g_hash_table_replace(names->in_use, g_strdup(to), aside_of);
        g_hash_table_remove(names->in_use, from);
        record_remove(names, from);
    }
    g_mutex_unlock(&names->lock);
}

void private_names_done(PrivateNames *names, const char *path)
{
    g_mutex_lock(&names->lock);
    gboolean was = g_hash_table_remove(names->in_use, path);
    was |= g_hash_table_remove(names->left, path);
    g_hash_table_remove(names->bases, base_name(path));
    if (was)
        record_remove(names, path);
    g_mutex_unlock(&names->lock);
}

gboolean private_names_is_like(const char *name)
{
    return g_str_has_prefix(name, PREFIX) && g_str_has_suffix(name, "~");
}

/* With the lock held. */
static gboolean is_ours(PrivateNames *names, const char *name)
{
    if (g_str_has_prefix(name, FUSE_PREFIX))
        return g_hash_table_contains(names->bases, name);
    if (!private_names_is_like(name) || strlen(name) < strlen(PREFIX) + MARK_LENGTH + 2)
        return FALSE;
    g_autofree char *mark = g_strndup(name + strlen(PREFIX), MARK_LENGTH);
    return name[strlen(PREFIX) + MARK_LENGTH] == '-' &&
           (g_str_equal(mark, names->mark) || g_hash_table_contains(names->dead, mark));
}

gboolean private_names_has(PrivateNames *names, const char *name)
{
    if (!g_str_has_prefix(name, FUSE_PREFIX) && !g_str_has_prefix(name, PREFIX))
        return FALSE;
    g_mutex_lock(&names->lock);
    gboolean ours = is_ours(names, name);
    g_mutex_unlock(&names->lock);
    return ours;
}

gboolean private_names_may_delete(PrivateNames *names, const char *path)
{
    const char *name = base_name(path);
    g_mutex_lock(&names->lock);
    const char *left = g_hash_table_lookup(names->left, path);
    /* libfuse's goes with its directory although it is in use: the kernel tells of the last close late */
    gboolean may = is_ours(names, name) && (!left || left[0] == '\0') &&
                   (!g_hash_table_contains(names->in_use, path) || g_str_has_prefix(name, FUSE_PREFIX));
    g_mutex_unlock(&names->lock);
    return may;
}

static void leftover_free(gpointer data)
{
    PrivateLeftover *leftover = data;
    g_free(leftover->path);
    g_free(leftover->aside_of);
    g_free(leftover);
}

GPtrArray *private_names_leftovers(PrivateNames *names)
{
    GPtrArray *found = g_ptr_array_new_with_free_func(leftover_free);
    GHashTableIter iter;
    gpointer path, aside_of;
    g_mutex_lock(&names->lock);
    g_hash_table_iter_init(&iter, names->left);
    while (g_hash_table_iter_next(&iter, &path, &aside_of)) {
        PrivateLeftover *leftover = g_new0(PrivateLeftover, 1);
        leftover->path = g_strdup(path);
        leftover->aside_of = ((const char *)aside_of)[0] != '\0' ? g_strdup(aside_of) : NULL;
        g_ptr_array_add(found, leftover);
    }
    g_mutex_unlock(&names->lock);
    return found;
}
