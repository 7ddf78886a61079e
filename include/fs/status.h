/* SPDX-License-Identifier: MIT */
/* `ftpfs --status MOUNTPOINT`: asks the live mount by an attribute of its root. */
#pragma once

#include <stdio.h>

#include <glib.h>

#define STATUS_ATTRIBUTE      "user.ftpfs.status"
#define STATUS_ATTRIBUTE_JSON "user.ftpfs.json"

/* Prints the mount's status to `out`, or what is wrong to `messages`. Returns the exit code: 0, or 32 when this is no
 * ftpfs mount or the mount does not answer within 5 seconds. The question is asked by a child process, so that this one
 * ends also when the mount hangs. */
int status_client_run(const char *mountpoint, gboolean json, FILE *out, FILE *messages);
