/* SPDX-License-Identifier: MIT */
/*
 * A program that follows a file (tail -f) asks for its size again and again and reads on when it has grown. A file that
 * has changed lately is likely to change again: what is known of it may be as old as a tenth of the time since its last
 * change, at least LEAST; after that the server is asked, though `cache_ttl` is not over. With one connection it is as
 * old as `cache_ttl` lets it: the stream that is read would have to give the connection up for each look.
 *
 * Where the file is another one than before, its reader is replaced. The kernel drops its pages by itself when it is
 * told another size or time. An open, a write or an upload that came in between has told something newer: then what was
 * found here is only handed out.
 */
#include "open_look.h"

#include "file_same.h"
#include "open_file_private.h"

#include <errno.h>

#define LEAST (2 * G_USEC_PER_SEC)

typedef struct {
    guint64 changes, bases;
    gint64 mtime;
} Seen;

/* The open file, with a reference, when it is one that only the server changes; else NULL. */
static OpenFile *find(OpenFiles *files, const char *path, Seen *ret)
{
    g_mutex_lock(&files->lock);
    OpenFile *file = g_hash_table_lookup(files->by_path, path);
    if (file) {
        g_mutex_lock(&file->lock);
        gboolean fit = file->on_server && !file->dirty && !file->claimed && !file->spool && !file->gone &&
                       (file->attr.has & FTP_HAS_MTIME);
        *ret = (Seen){.changes = file->changes, .bases = file->bases, .mtime = file->attr.mtime};
        g_mutex_unlock(&file->lock);
        file = fit ? open_file_ref(file) : NULL;
    }
    g_mutex_unlock(&files->lock);
    return file;
}

static void take(OpenFile *file, const Seen *seen, const FtpAttr *attr)
{
    BaseReader *old = NULL;
    g_mutex_lock(&file->lock);
    if (!file->dirty && !file->claimed && !file->spool && file->changes == seen->changes &&
        file->bases == seen->bases &&
        (attr->mtime_precision <= 1 ? file_is_other(&file->attr, attr) : file->attr.size != attr->size))
        old = open_file_replace_base(file, attr);
    g_mutex_unlock(&file->lock);
    base_reader_unref(old);
}

int open_files_look(OpenFiles *files, const Bound *bound, const char *path, FtpAttr *ret)
{
    FtpAttr attr;
    Seen seen;
    OpenFile *file = find(files, path, &seen);
    if (!file)
        return -EAGAIN;

    gint64 age = MAX(LEAST, (g_get_real_time() - seen.mtime * G_USEC_PER_SEC) / 10);
    int error = 0;
    if (files->options->ftp->connections < 2 || age >= (gint64)files->options->cache_ttl * G_USEC_PER_SEC)
        error = tree_lookup(files->tree, bound, path, -1, &attr, NULL);
    else if (dir_cache_lookup(tree_cache(files->tree), path, age, &attr, NULL, NULL) != 0)
        error = tree_lookup_for_open(files->tree, bound, path, &attr);
    if (error == 0 && attr.type == FTP_TYPE_FILE && (attr.has & FTP_HAS_SIZE)) {
        take(file, &seen, &attr);
        *ret = attr;
    } else {
        error = -EAGAIN;
    }
    open_file_unref(file);
    return error;
}
