/* SPDX-License-Identifier: MIT */
/* Tells the service manager how the service is doing, by the protocol of sd_notify(3). */
#pragma once

/* Sends "READY=1", "STOPPING=1", "STATUS=..." (lines with '\n' between) to $NOTIFY_SOCKET. Does nothing without one,
 * and never waits. Thread-safe. */
void notify_service(const char *state);
