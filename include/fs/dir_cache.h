/* SPDX-License-Identifier: MIT */
/*
 * Directory listings and attributes, kept for a while. Knows no FTP: it is given a function that loads a directory.
 *
 * A listing is immutable and reference-counted. Beside it a directory has notes: what is known of single names since
 * (our own changes, one name that was looked up), each newer than the listing or it would have been dropped. A lookup
 * asks the notes first. A listing that was asked for before a change does not undo it: a note that was made after the
 * load had begun survives the load. Thread-safe; no lock is held while the load function runs; one load at a time for a
 * directory, others wait for it. Bounded by bytes, least recently used first; a pinned note is never dropped.
 */
#pragma once

#include "base/bound.h"
#include "base/stats.h"
#include "ftp/list_parser.h"

typedef struct DirCache DirCache;
typedef struct DirListing DirListing;
typedef struct DirBuilder DirBuilder;

/* Adds an entry to the listing that is being loaded; strings are copied. A name that came already is replaced. 0, or
 * -EFBIG when the listing grows past what the cache may hold. */
int dir_builder_add(DirBuilder *builder, const ListEntry *entry);
void dir_builder_restart(DirBuilder *builder);

/* TRUE when nobody asked for this listing yet (dir_cache_load_ahead()). */
gboolean dir_builder_is_ahead(const DirBuilder *builder);
guint dir_builder_size(const DirBuilder *builder);

/* Fills the builder with the directory `path` ("/", "/a/b"); 0 or -errno. Runs without a lock. */
typedef int (*DirLoadFunc)(const char *path, const Bound *bound, DirBuilder *builder, gpointer data);

typedef struct {
    gint64 ttl;           /* µs that a listing and an attribute count as known */
    gint64 negative_ttl;  /* µs that "no such name" counts as known, when it was asked by name */
    gsize max_bytes;      /* of all listings */
    gboolean exact_times; /* keep a time known to the second while a coarser listing agrees with it (same size) */
} DirCacheConfig;

DirCache *dir_cache_new(const DirCacheConfig *config, DirLoadFunc load, gpointer data, Stats *stats);
void dir_cache_free(DirCache *cache);

/* The listing with the notes in it, loaded when it is not there or too old. The caller unrefs it. -errno of the load
 * function or of the bound. */
int dir_cache_list(DirCache *cache, const Bound *bound, const char *path, DirListing **ret);

/* The same, of a listing that was begun at most `max_age` µs before this call (0: now; -1: as dir_cache_list()). */
int dir_cache_list_since(DirCache *cache, const Bound *bound, const char *path, gint64 max_age, DirListing **ret);

/* What is known of one name without the network. 0: *ret (and, where wanted, a copy of the link's target); -ENOENT: it
 * is known not to be there; -EAGAIN: not known (or older than `max_age` µs; -1 takes the configured ttl).
 * `ret_age` (may be NULL): µs since the server, or we ourselves, said so. */
int dir_cache_lookup(DirCache *cache, const char *path, gint64 max_age, FtpAttr *ret, char **ret_target,
                     gint64 *ret_age);

/* TRUE, and what the cache holds of a name, be it old. */
gboolean dir_cache_attr(DirCache *cache, const char *path, FtpAttr *ret);

/* TRUE when a fresh listing of the directory is there, so that readdir needs no network. */
gboolean dir_cache_has_listing(DirCache *cache, const char *path);

/* The listing when it is there and fresh, else NULL. The caller unrefs it. Does not count as a use of it. */
DirListing *dir_cache_peek(DirCache *cache, const char *path);

/* Loads a directory that nobody has asked for yet, on this thread. Who asks meanwhile waits for it and, when it fails,
 * loads the directory himself. -EEXIST when there is a fresh listing, or a load is under way. */
int dir_cache_load_ahead(DirCache *cache, const Bound *bound, const char *path);

/* A stamp to be taken before one name is asked for at the server, and given with the answer: an answer that is older
 * than a change is not stored. */
guint64 dir_cache_stamp(DirCache *cache);
void dir_cache_note(DirCache *cache, const char *path, const FtpAttr *attr, const char *target, guint64 stamp);
void dir_cache_note_absent(DirCache *cache, const char *path, guint64 stamp);

/* TRUE when the server told another size of the file than it had before, at most `within` µs ago: what the kernel was
 * told before that is wrong. */
gboolean dir_cache_resized(DirCache *cache, const char *path, gint64 within);

/* Our own changes. `pinned`: the server does not know the name, or its size, yet: stays whatever listings say, until
 * it is put again without it, or removed. */
void dir_cache_put(DirCache *cache, const char *path, const FtpAttr *attr, const char *target, gboolean pinned);
void dir_cache_remove(DirCache *cache, const char *path); /* with all below it */
/* With all below it; the old target is gone. */
void dir_cache_rename(DirCache *cache, const char *from, const char *to);
void dir_cache_put_empty_dir(DirCache *cache, const char *path, const FtpAttr *attr); /* made by mkdir */

/* Forget: the listing of this directory, and the note of this name, are asked for again. */
void dir_cache_forget(DirCache *cache, const char *path);
void dir_cache_forget_all(DirCache *cache);

gsize dir_cache_bytes(DirCache *cache);

/* ---- Listings ---- */
DirListing *dir_listing_ref(DirListing *listing);
void dir_listing_unref(DirListing *listing);
guint dir_listing_size(const DirListing *listing);
/* Entry by index, in the server's order, the strings owned by the listing. */
void dir_listing_entry(const DirListing *listing, guint index, ListEntry *ret);
gboolean dir_listing_find(const DirListing *listing, const char *name, ListEntry *ret);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DirCache, dir_cache_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DirListing, dir_listing_unref)
