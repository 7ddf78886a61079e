/* SPDX-License-Identifier: MIT */
/* Whether a file is the one that it was, from what the server told of it then and tells now. Pure. */
#pragma once

#include "ftp/ftp_entry.h"

/* TRUE when bytes that were asked for at `then` (seconds since 1970, by our clock), after the server had told `was` of
 * their file, are those of the file of which it tells `is` now: the same size, times that agree, and both so old at
 * that moment that a change after it would show another time. */
gboolean file_is_unchanged(const FtpAttr *was, gint64 then, const FtpAttr *is);

/* TRUE when `is` tells of another file than `was`, as far as their precision goes. */
gboolean file_is_other(const FtpAttr *was, const FtpAttr *is);
