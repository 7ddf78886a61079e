/* SPDX-License-Identifier: MIT */
/* `ftpfs --check SOURCE`: what works with a server and what does not, step by step, for a person or, by --json, for a
 * program. */
#pragma once

#include "fs/options.h"

#include <stdio.h>

/* Prints one line a step, then the mount command and the line for fstab; or all of it as one JSON object. Writes to the
 * server only with --write-test. The credentials must be complete. Returns the exit code: 0 when a mount with these
 * options would work (and the write test went well), else 32. Bounded by a few times connect_timeout and timeout. */
int check_run(const Options *options, FILE *out);
