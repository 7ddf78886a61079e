/* SPDX-License-Identifier: MIT */
/*
 * Inside of dir_cache: the directories that are known, as a tree, with their listings and notes, in the order of their
 * last use. No lock and no clock of its own: dir_cache's lock guards all of it.
 */
#pragma once

#include "dir_listing.h"

typedef struct Dir Dir;
typedef struct DirTable DirTable;
typedef struct Flight Flight;

typedef enum {
    NOTE_KNOWN,
    NOTE_ABSENT,
    NOTE_UNKNOWN, /* whatever the listing says of this name is not to be believed */
} NoteKind;

typedef struct {
    NoteKind kind;
    gboolean pinned; /* stays whatever a listing says */
    gboolean own;    /* our own change */
    guint64 seq;     /* of the cache's clock */
    gint64 time;     /* monotonic, µs: since when it is true */
    FtpAttr attr;
    const char *target; /* in dir_table_set_note(): copied */
} Note;

/* One load of a directory. Whoever holds a reference may wait on `done`. */
struct Flight {
    guint refs;
    GCond done_cond;
    Dir *dir;     /* NULL when the directory was changed as a whole since: the result is not stored */
    guint64 seq;  /* when it began, of the cache's clock */
    gint64 began; /* monotonic, µs */
    gboolean done;
    gboolean abandoned; /* the one who loaded gave up: it says nothing of the directory */
    int error;
    DirListing *listing;
};

struct Dir {
    char *path;
    Dir *parent, *child, *next, *prev; /* child: the first; next, prev: with the same parent */
    DirListing *listing;
    gint64 began, ended; /* of the load of the listing; monotonic, µs */
    gboolean stale;      /* the listing is kept only for its exact times */
    gboolean merged;     /* the listing says what the notes say */
    GHashTable *notes;   /* name -> Note; NULL: none */
    guint unknown;       /* notes of that kind */
    guint64 changed;     /* seq of our last change in it */
    Flight *flight;      /* not referenced: whoever runs it takes it away */
    gsize note_bytes, bytes;
    GList lru;
};

DirTable *dir_table_new(void);
void dir_table_free(DirTable *table);
gsize dir_table_bytes(const DirTable *table);

Dir *dir_table_find(const DirTable *table, const char *path);
Dir *dir_table_get(DirTable *table, const char *path); /* made when it is not there, with those above it */

/* It was used just now, or changed: counts its bytes. */
void dir_table_touch(DirTable *table, Dir *dir);

/* Frees the directory, and those above it, when there is nothing in it. */
void dir_table_tidy(DirTable *table, Dir *dir);

const Note *dir_table_note(const Dir *dir, const char *name);
void dir_table_set_note(Dir *dir, const char *name, const Note *note);
void dir_table_drop_notes(Dir *dir, guint64 until_seq); /* not the pinned ones, nor those after it */

/* Takes the load that is under way away from the directory. */
void dir_table_detach_flight(Dir *dir);

/* The listing with what the notes say; afterwards dir->listing is that. Notes that are in it now are dropped. */
void dir_table_merge(Dir *dir);

/* The directory and all below it: is gone; has another name ("to" is not there). */
void dir_table_drop(DirTable *table, Dir *dir);
void dir_table_move(DirTable *table, Dir *dir, const char *to);

/* Forgets what can be asked for again of all directories. */
void dir_table_forget_all(DirTable *table);

/* Drops the least recently used contents until at most `max_bytes` are held, but not those of `keep`. */
void dir_table_trim(DirTable *table, gsize max_bytes, const Dir *keep);

/* The latest `changed` of all directories that are no longer in the table. */
guint64 dir_table_lost(const DirTable *table);

/* "/a/b" to "/a" (owned by the caller) and "b" (in `path`); FALSE for "/". */
gboolean dir_path_split(const char *path, char **ret_parent, const char **ret_name);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DirTable, dir_table_free)
