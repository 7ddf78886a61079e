/* SPDX-License-Identifier: MIT */
/* A small file of the server, fetched whole into memory. Immutable and reference-counted; thread-safe. */
#pragma once

#include "ftp/ftp_client.h"

typedef struct FileContents FileContents;

/* RETR of a file of which the server has told `attr` (type, size, time), on this thread. 0; -ESTALE when it has another
 * size now; -EIO when the transfer broke in the middle, or somebody else had more use for the session (`priority`
 * FTP_PRIORITY_AHEAD: -EBUSY when there was none); or the -errno of ftp_client_retrieve(), before a byte had come. */
int file_contents_fetch(FtpClient *client, const Bound *bound, FtpPriority priority, const RemotePath *path,
                        const FtpAttr *attr, FileContents **ret);

FileContents *file_contents_ref(FileContents *contents);
void file_contents_unref(FileContents *contents);

/* As pread(2). */
gsize file_contents_read(const FileContents *contents, void *bytes, gsize size, gint64 offset);
gsize file_contents_size(const FileContents *contents);

/* TRUE when these are the bytes of the file as it was at the time `since` (monotonic, µs) or later. */
gboolean file_contents_is_since(const FileContents *contents, gint64 since);

/* FALSE when what the server tells of the file now contradicts that. */
gboolean file_contents_may_be(const FileContents *contents, const FtpAttr *attr);

/* TRUE when the file of which the server tells `attr` now has not changed since they were fetched. */
gboolean file_contents_is_of(const FileContents *contents, const FtpAttr *attr);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(FileContents, file_contents_unref)
