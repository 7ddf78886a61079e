/* SPDX-License-Identifier: MIT */
/* `ftpfs --check SOURCE`: what works with a server and what does not, step by step, for a person. */
#pragma once

#include "fs/options.h"

#include <stdio.h>

/* Prints one line a step, then the mount command and the line for fstab. The credentials must be complete. Returns the
 * exit code: 0 when all steps went well, else 32. Bounded by connect_timeout and timeout. */
int check_run(const Options *options, FILE *out);
