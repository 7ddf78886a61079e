/* SPDX-License-Identifier: MIT */
/* Sends an open file's changes to the server. */
#pragma once

#include "open_file_private.h"

/* Uploads the whole file, checks its size, and does what was put off until then (times, mode). The caller has claimed
 * the file. 0 (also when there is nothing to send), or -errno: the changes are then still unsent. Changes that are made
 * meanwhile stay unsent. */
int file_upload(OpenFile *file, const Bound *bound);
