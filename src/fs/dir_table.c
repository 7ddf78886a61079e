/* SPDX-License-Identifier: MIT */
/*
 * Directories are found by path in a hash, and are linked as a tree besides, so that renaming or removing one takes
 * time by what is below it and not by what is known in all. A directory is in the table while it has a listing, a note,
 * a load under way, or a directory below it that has.
 */
#include "dir_table.h"

#include <string.h>

struct DirTable {
    GHashTable *dirs; /* path (owned by the Dir) -> Dir */
    GQueue lru;       /* Dir; the last used is the head */
    gsize bytes;
    guint64 lost; /* see dir_table_lost() */
};

typedef struct {
    Note note;
    gsize bytes;
    char *target;
} StoredNote;

static void stored_note_free(gpointer data)
{
    StoredNote *stored = data;

    g_free(stored->target);
    g_free(stored);
}

gboolean dir_path_split(const char *path, char **ret_parent, const char **ret_name)
{
    const char *slash = strrchr(path, '/');

    if (!slash || slash[1] == '\0')
        return FALSE;
    *ret_parent = slash == path ? g_strdup("/") : g_strndup(path, (gsize)(slash - path));
    *ret_name = slash + 1;
    return TRUE;
}

DirTable *dir_table_new(void)
{
    DirTable *table = g_new0(DirTable, 1);

    table->dirs = g_hash_table_new(g_str_hash, g_str_equal);
    g_queue_init(&table->lru);
    return table;
}

gsize dir_table_bytes(const DirTable *table)
{
    return table->bytes;
}

guint64 dir_table_lost(const DirTable *table)
{
    return table->lost;
}

Dir *dir_table_find(const DirTable *table, const char *path)
{
    return g_hash_table_lookup(table->dirs, path);
}

static void dir_link(Dir *dir, Dir *parent)
{
    dir->parent = parent;
    dir->prev = NULL;
    dir->next = NULL;
    if (!parent)
        return;
    dir->next = parent->child;
    if (dir->next)
        dir->next->prev = dir;
    parent->child = dir;
}

static void dir_unlink(Dir *dir)
{
    if (dir->prev)
        dir->prev->next = dir->next;
    else if (dir->parent)
        dir->parent->child = dir->next;
    if (dir->next)
        dir->next->prev = dir->prev;
    dir->parent = NULL;
}

Dir *dir_table_get(DirTable *table, const char *path)
{
    Dir *dir = dir_table_find(table, path), *parent = NULL;
    g_autofree char *parent_path = NULL;
    const char *name;

    if (dir)
        return dir;
    if (dir_path_split(path, &parent_path, &name))
        parent = dir_table_get(table, parent_path);
    dir = g_new0(Dir, 1);
    dir->path = g_strdup(path);
    dir->lru.data = dir;
    dir_link(dir, parent);
    g_hash_table_insert(table->dirs, dir->path, dir);
    g_queue_push_head_link(&table->lru, &dir->lru);
    dir_table_touch(table, dir);
    return dir;
}

static void dir_count(DirTable *table, Dir *dir)
{
    gsize bytes = sizeof *dir + strlen(dir->path) + 1 + dir->note_bytes;

    if (dir->listing)
        bytes += dir_listing_bytes(dir->listing);
    table->bytes += bytes - dir->bytes;
    dir->bytes = bytes;
}

void dir_table_touch(DirTable *table, Dir *dir)
{
    dir_count(table, dir);
    g_queue_unlink(&table->lru, &dir->lru);
    g_queue_push_head_link(&table->lru, &dir->lru);
}

static void dir_free(DirTable *table, Dir *dir)
{
    dir_table_detach_flight(dir);
    dir_unlink(dir);
    table->lost = MAX(table->lost, dir->changed);
    g_hash_table_remove(table->dirs, dir->path);
    g_queue_unlink(&table->lru, &dir->lru);
    table->bytes -= dir->bytes;
    dir_listing_unref(dir->listing);
    g_clear_pointer(&dir->notes, g_hash_table_unref);
    g_free(dir->path);
    g_free(dir);
}

void dir_table_tidy(DirTable *table, Dir *dir)
{
    while (dir && !dir->child && !dir->listing && !dir->notes && !dir->flight) {
        Dir *parent = dir->parent;
        dir_free(table, dir);
        dir = parent;
    }
}

void dir_table_free(DirTable *table)
{
    if (!table)
        return;
    while (!g_queue_is_empty(&table->lru))
        dir_table_drop(table, g_queue_peek_head(&table->lru));
    g_hash_table_unref(table->dirs);
    g_free(table);
}

/* ---- Notes ---- */

const Note *dir_table_note(const Dir *dir, const char *name)
{
    StoredNote *stored = dir->notes ? g_hash_table_lookup(dir->notes, name) : NULL;

    return stored ? &stored->note : NULL;
}

static void count_note(Dir *dir, const StoredNote *stored, gboolean in)
{
    dir->note_bytes += in ? stored->bytes : -stored->bytes;
    if (stored->note.kind == NOTE_UNKNOWN)
        dir->unknown += in ? 1U : -1U;
}

void dir_table_set_note(Dir *dir, const char *name, const Note *note)
{
    StoredNote *stored = g_new0(StoredNote, 1);

    if (!dir->notes)
        dir->notes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, stored_note_free);
    stored->note = *note;
    stored->target = g_strdup(note->target);
    stored->note.target = stored->target;
    /* the hash's own share for an entry, and malloc's, are about this much */
    stored->bytes = sizeof *stored + strlen(name) + 1 + (note->target ? strlen(note->target) + 1 : 0) + 64;

    StoredNote *old = g_hash_table_lookup(dir->notes, name);
    if (old)
        count_note(dir, old, FALSE);
    count_note(dir, stored, TRUE);
    g_hash_table_replace(dir->notes, g_strdup(name), stored);
    dir->merged = FALSE;
}

void dir_table_drop_notes(Dir *dir, guint64 until_seq)
{
    GHashTableIter iter;
    gpointer value;

    if (!dir->notes)
        return;
    g_hash_table_iter_init(&iter, dir->notes);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        StoredNote *stored = value;
        if (stored->note.pinned || stored->note.seq > until_seq)
            continue;
        count_note(dir, stored, FALSE);
        g_hash_table_iter_remove(&iter);
    }
    if (g_hash_table_size(dir->notes) == 0)
        g_clear_pointer(&dir->notes, g_hash_table_unref);
}

static void add_entries(const Dir *dir, DirBuilder *builder)
{
    for (guint i = 0; i < dir_listing_size(dir->listing); i++) {
        ListEntry entry;
        dir_listing_entry(dir->listing, i, &entry);
        const Note *note = dir_table_note(dir, entry.name);
        if (note && note->kind == NOTE_ABSENT)
            continue;
        if (note && note->kind == NOTE_KNOWN) {
            entry.attr = note->attr;
            entry.target = note->target;
        }
        dir_builder_add(builder, &entry);
    }
}

void dir_table_merge(Dir *dir)
{
    GHashTableIter iter;
    gpointer name, value;

    if (!dir->notes || dir->merged)
        return;
    g_autoptr(DirBuilder) builder = dir_builder_new(G_MAXSIZE);
    add_entries(dir, builder);
    g_hash_table_iter_init(&iter, dir->notes);
    while (g_hash_table_iter_next(&iter, &name, &value)) {
        const Note *note = &((StoredNote *)value)->note;
        ListEntry entry;
        if (note->kind != NOTE_KNOWN || dir_listing_find(dir->listing, name, &entry))
            continue;
        entry = (ListEntry){.name = name, .target = note->target, .attr = note->attr};
        dir_builder_add(builder, &entry);
    }
    dir_listing_unref(dir->listing);
    dir->listing = dir_builder_finish(builder);
    dir->merged = TRUE;
    /* A load that is under way may have begun before these notes were made: they must outlive it. */
    if (!dir->flight && dir->unknown == 0)
        dir_table_drop_notes(dir, G_MAXUINT64);
}

/* ---- Directories as a whole ---- */

void dir_table_detach_flight(Dir *dir)
{
    if (!dir->flight)
        return;
    dir->flight->dir = NULL;
    dir->flight = NULL;
}

static void drop_subtree(DirTable *table, Dir *dir)
{
    while (dir->child)
        drop_subtree(table, dir->child);
    dir_free(table, dir);
}

void dir_table_drop(DirTable *table, Dir *dir)
{
    drop_subtree(table, dir);
}

static void rename_subtree(DirTable *table, Dir *dir, gsize old_size, const char *to)
{
    char *path = g_strconcat(to, dir->path + old_size, NULL);

    dir_table_detach_flight(dir);
    g_hash_table_remove(table->dirs, dir->path);
    g_free(dir->path);
    dir->path = path;
    g_hash_table_insert(table->dirs, dir->path, dir);
    for (Dir *child = dir->child; child; child = child->next)
        rename_subtree(table, child, old_size, to);
}

void dir_table_move(DirTable *table, Dir *dir, const char *to)
{
    g_autofree char *parent_path = NULL;
    const char *name;
    Dir *old_parent = dir->parent;

    if (!dir_path_split(to, &parent_path, &name))
        return;
    dir_unlink(dir);
    rename_subtree(table, dir, strlen(dir->path), to);
    dir_link(dir, dir_table_get(table, parent_path));
    dir_table_tidy(table, old_parent);
}

void dir_table_forget_all(DirTable *table)
{
    for (GList *link = table->lru.head; link; link = link->next) {
        Dir *dir = link->data;
        dir->stale = TRUE;
        dir_table_detach_flight(dir);
        dir_table_drop_notes(dir, G_MAXUINT64);
        dir_count(table, dir);
    }
}

void dir_table_trim(DirTable *table, gsize max_bytes, const Dir *keep)
{
    GList *link = table->lru.tail;

    while (link && table->bytes > max_bytes) {
        Dir *dir = link->data;
        link = link->prev;
        if (dir == keep || dir->flight)
            continue;
        g_clear_pointer(&dir->listing, dir_listing_unref);
        dir_table_drop_notes(dir, G_MAXUINT64);
        dir->merged = FALSE;
        dir_count(table, dir);
        if (!dir->child && !dir->notes && dir->parent)
            dir_free(table, dir);
    }
}
