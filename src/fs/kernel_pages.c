/* SPDX-License-Identifier: MIT */
/* Whether what was read is still the file's is for file_same to say. Of our own uploads the exact time is enough: the
 * kernel's pages are what we sent. */
#include "kernel_pages.h"

#include "file_same.h"

#include <string.h>

typedef struct {
    char *path;
    GList *link; /* in by_use */
    FtpAttr attr;
    gint64 read_at; /* seconds since 1970 */
    gboolean ours;
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

static Pages *kernel_pages_entry(KernelPages *pages, const char *path)
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
    return entry;
}

static gboolean is_exact(const FtpAttr *attr)
{
    guint8 both = FTP_HAS_SIZE | FTP_HAS_MTIME;
    return (attr->has & both) == both && attr->mtime_precision <= 1;
}

static gboolean is_right(const Pages *entry, const FtpAttr *attr)
{
    if (entry->ours)
        return is_exact(&entry->attr) && is_exact(attr) && !file_is_other(&entry->attr, attr);
    return file_is_unchanged(&entry->attr, entry->read_at, attr);
}

gboolean kernel_pages_know(const KernelPages *pages, const char *path)
{
    return g_hash_table_contains(pages->by_path, path);
}

gboolean kernel_pages_keep(const KernelPages *pages, const char *path, const FtpAttr *attr)
{
    const Pages *entry = g_hash_table_lookup(pages->by_path, path);
    return entry && is_right(entry, attr);
}

void kernel_pages_opened(KernelPages *pages, const char *path, const FtpAttr *attr, gboolean *ret_keep,
                         gboolean *ret_changed)
{
    const Pages *known = g_hash_table_lookup(pages->by_path, path);
    *ret_keep = known && is_right(known, attr);
    *ret_changed = known && file_is_other(&known->attr, attr);
    Pages *entry = kernel_pages_entry(pages, path);
    if (*ret_keep && !is_exact(attr))
        return; /* what is known of them is more exact */
    entry->attr = *attr;
    if (!*ret_keep) {
        entry->read_at = g_get_real_time() / G_USEC_PER_SEC;
        entry->ours = FALSE;
    }
}

void kernel_pages_uploaded(KernelPages *pages, const char *path, const FtpAttr *attr)
{
    Pages *entry = kernel_pages_entry(pages, path);
    entry->attr = *attr;
    entry->ours = TRUE;
}

static gboolean is_at_or_below(const char *path, const char *top)
{
    gsize length = strlen(top);
    return strncmp(path, top, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

void kernel_pages_renamed(KernelPages *pages, const char *from, const char *to)
{
    const Pages *known = g_hash_table_lookup(pages->by_path, from);
    Pages moved = known ? *known : (Pages){0};

    GList *next;
    for (GList *link = pages->by_use.head; link; link = next) {
        Pages *entry = link->data;
        next = link->next;
        if (is_at_or_below(entry->path, from) || is_at_or_below(entry->path, to))
            kernel_pages_forget(pages, entry);
    }
    if (!known)
        return;
    Pages *entry = kernel_pages_entry(pages, to);
    entry->attr = moved.attr;
    entry->read_at = moved.read_at;
    entry->ours = moved.ours;
}
