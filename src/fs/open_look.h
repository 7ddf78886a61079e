/* SPDX-License-Identifier: MIT */
/* A look at a file that is open, for programs that follow one which somebody else writes. */
#pragma once

#include "fs/open_file.h"

/* What the server tells of `path` when it is open here and has no changes of ours; what is read from then on is the
 * file that it tells of. -EAGAIN when there is no such open file, or the server can't be asked: the answer is
 * tree_lookup()'s. */
int open_files_look(OpenFiles *files, const Bound *bound, const char *path, FtpAttr *ret);
