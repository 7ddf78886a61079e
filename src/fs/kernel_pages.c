/* SPDX-License-Identifier: MIT */
/*
 * Times of FTP are seconds, so a file that changed twice in one second shows the same time for both. What was read
 * within RECENT seconds of the file's own time is therefore not taken for the same at the next open (as git does with
 * its index). Our own uploads are: the kernel's pages are what we sent.
 */
#include "kernel_pages.h"

#include <string.h>

#define RECENT 2 /* seconds */

typedef struct {
    char *path;
    GList *link; /* in by_use */
    gint64 size, mtime;
    gboolean exact; /* the same size and time mean the same bytes */
} Pages;

struct KernelPages {
    guint most;
    GHashTable *by_path; /* path → Pages, owned */
    GQueue by_use;       /* Pages, the last used first */
};

static void pages_free(gpointer data)
{
    Pages *entry = data;
    g_free(entry->path);
    g_free(entry);
}

KernelPages *kernel_pages_new(guint most)
{
    KernelPages *pages = g_new0(KernelPages, 1);
    pages->most = MAX(most, 1);
    pages->by_path = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, pages_free);
    g_queue_init(&pages->by_use);
    return pages;
}

void kernel_pages_free(KernelPages *pages)
{
    if (!pages)
        return;
    g_queue_clear(&pages->by_use);
    g_hash_table_unref(pages->by_path);
    g_free(pages);
}

static void kernel_pages_forget(KernelPages *pages, Pages *entry)
{
    g_queue_delete_link(&pages->by_use, entry->link);
    g_hash_table_remove(pages->by_path, entry->path);
}

static void kernel_pages_remember(KernelPages *pages, const char *path, const FtpAttr *attr, gboolean ours)
{
    Pages *entry = g_hash_table_lookup(pages->by_path, path);
    if (!entry) {
        if (g_hash_table_size(pages->by_path) >= pages->most)
            kernel_pages_forget(pages, g_queue_peek_tail(&pages->by_use));
        entry = g_new0(Pages, 1);
        entry->path = g_strdup(path);
        g_queue_push_head(&pages->by_use, entry);
        entry->link = pages->by_use.head;
        g_hash_table_insert(pages->by_path, entry->path, entry);
    } else {
        g_queue_unlink(&pages->by_use, entry->link);
        g_queue_push_head_link(&pages->by_use, entry->link);
    }
    gboolean known = (attr->has & FTP_HAS_SIZE) && (attr->has & FTP_HAS_MTIME) && attr->mtime_precision <= 1;
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    entry->size = attr->size;
    entry->mtime = attr->mtime;
    entry->exact = known && (ours || now - attr->mtime > RECENT);
}

void kernel_pages_opened(KernelPages *pages, const char *path, const FtpAttr *attr, gboolean *ret_keep,
                         gboolean *ret_changed)
{
    Pages *entry = g_hash_table_lookup(pages->by_path, path);
    gboolean same = entry && entry->size == attr->size && entry->mtime == attr->mtime && (attr->has & FTP_HAS_SIZE) &&
                    (attr->has & FTP_HAS_MTIME) && attr->mtime_precision <= 1;
    *ret_keep = same && entry->exact;
    *ret_changed = entry && !same;
    if (!*ret_keep)
        kernel_pages_remember(pages, path, attr, FALSE);
    else
        kernel_pages_remember(pages, path, attr, TRUE); /* still the same bytes: as exact as before */
}

void kernel_pages_uploaded(KernelPages *pages, const char *path, const FtpAttr *attr)
{
    kernel_pages_remember(pages, path, attr, TRUE);
}

static gboolean is_at_or_below(const char *path, const char *top)
{
    gsize length = strlen(top);
    return strncmp(path, top, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

void kernel_pages_renamed(KernelPages *pages, const char *from, const char *to)
{
    Pages *moved = g_hash_table_lookup(pages->by_path, from);
    FtpAttr attr = {.has = FTP_HAS_SIZE | FTP_HAS_MTIME, .mtime_precision = 1};
    gboolean exact = moved && moved->exact;
    if (exact) {
        attr.size = moved->size;
        attr.mtime = moved->mtime;
    }

    GList *next;
    for (GList *link = pages->by_use.head; link; link = next) {
        Pages *entry = link->data;
        next = link->next;
        if (is_at_or_below(entry->path, from) || is_at_or_below(entry->path, to))
            kernel_pages_forget(pages, entry);
    }
    if (exact)
        kernel_pages_remember(pages, to, &attr, TRUE);
}
