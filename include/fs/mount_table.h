/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/* TRUE when what is mounted at `mountpoint` now is an ftpfs of `source`. `table` is "/proc/self/mountinfo". */
gboolean mount_table_has(const char *table, const char *source, const char *mountpoint);
