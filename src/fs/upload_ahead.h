/* SPDX-License-Identifier: MIT */
/* The upload of a file that is still being written; see upload_ahead.c. One for each open file, at most. */
#pragma once

#include "open_file_private.h"

/* The bytes from `offset` on have changed, or the file was cut to that size. With the file's lock held. What is not
 * NULL is to be given to upload_ahead_go() after the lock was given back: a part of the file is to be sent now. */
UploadAhead *upload_ahead_changed(OpenFile *file, gint64 offset);
void upload_ahead_go(OpenFile *file, UploadAhead *ahead);

/* The spool is full: waits until the server has what was sent, and lets the spool forget it. 0 when that made room;
 * -ENOSPC when it can't be done; what the bound says. With no lock held. */
int upload_ahead_make_room(OpenFile *file, const Bound *bound);

/* The file is complete with `size` bytes: waits for the rest. 0: the server has all of it under the private name
 * *ret_path, in use, which is the caller's now. -EAGAIN: it is to be sent the usual way. Else what the bound says, or
 * why it can't be sent at all. The file is claimed. */
int upload_ahead_finish(OpenFile *file, SpoolFile *spool, const Bound *bound, gint64 size, char **ret_path);

/* Nothing of it is wanted any more; what is on the server is deleted. With no lock held. */
void upload_ahead_drop(OpenFile *file);

/* The same, and of what the spool has forgotten: the file is not going to be sent. */
void upload_ahead_forget(OpenFile *file);

/* The directory `from` is named `to` now, and the file is below it. With both locks held. */
void upload_ahead_moved(OpenFile *file, const char *from, const char *to);

/* Waits for the threads, which all were dropped or are at their end. */
void upload_ahead_wait_all(OpenFiles *files);
