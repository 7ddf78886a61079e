/* SPDX-License-Identifier: MIT */
/* Opening small files for reading without a question to the server that the bytes themselves answer. */
#pragma once

#include "open_file_private.h"

/* Tells the one who fetches ahead that the file is opened, and tries to do without a look at the name: 1 and *ret_attr
 * when that may be believed (it is a second old at most, or the bytes are, which *ret then has, else NULL); 0 when the
 * name is to be looked at; or -EINTR, -ETIMEDOUT or what else the server's absence means. */
int open_small(OpenFiles *files, const Bound *bound, const char *path, FtpAttr *ret_attr, FileContents **ret);

/* For file_ahead; `data` is the OpenFiles. */
gboolean open_small_skip(const char *path, const FtpAttr *attr, gpointer data);
