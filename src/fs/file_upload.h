/* SPDX-License-Identifier: MIT */
/* Sends an open file's changes to the server. */
#pragma once

#include "open_file_private.h"

/* Uploads the whole file, checks its size, and does what was put off until then (times, mode). The caller has claimed
 * the file. 0 (also when there is nothing to send), or -errno: the changes are then still unsent. Changes that are made
 * meanwhile stay unsent. */
int file_upload(OpenFile *file, const Bound *bound);

/* Deletes what an upload has left at `path`; nobody waits long for it, and an interruption does not keep it. FALSE when
 * it may still be there. */
gboolean file_upload_delete(OpenFiles *files, const char *path);

/* Whether the server has `size` bytes at the private name, before they replace what was there: some servers say 226 and
 * have less. -EIO: it has not. 0 also when it does not tell. */
int file_upload_check(OpenFiles *files, const Bound *bound, const char *private_path, gint64 size);
