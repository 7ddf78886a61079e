/* SPDX-License-Identifier: MIT */
/* Appending to a file on the server: only its new end is sent. */
#pragma once

#include "open_file_private.h"

/* With write=sync: what write=back has promised must not be half there after a crash, and an APPE can't be taken back.
 */

/* TRUE when `spool` is the file on the server, unchanged, with more behind it. With the file's lock held. */
gboolean upload_append_fits(const OpenFile *file, const SpoolFile *spool);

/* Appends the bytes from the base's end to `size` to the server's `path`. 0: done, as far as the server says; its size
 * is to be checked. -EAGAIN: the whole is to be sent: the server can't append, or has another file than we think, or is
 * in doubt what it has. Else -errno. The file is claimed. */
int upload_append(OpenFile *file, SpoolFile *spool, const Bound *bound, const char *path, gint64 size);
