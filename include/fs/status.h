/* SPDX-License-Identifier: MIT */
/* `ftpfs --status MOUNTPOINT`: asks the live mount by its attribute user.ftpfs.status. */
#pragma once

#include <stdio.h>

#define STATUS_ATTRIBUTE "user.ftpfs.status"

/* Prints the mount's status to `out`, or what is wrong to `messages`. Returns the exit code: 0, or 32 when this is no
 * ftpfs mount or the mount does not answer within 5 seconds. The question is asked by a child process, so that this one
 * ends also when the mount hangs. */
int status_client_run(const char *mountpoint, FILE *out, FILE *messages);
