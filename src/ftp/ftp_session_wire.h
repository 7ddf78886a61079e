/* SPDX-License-Identifier: MIT */
/*
 * Whether the wire is there, for an operation that has got no answer for some seconds. See ftp_session_wire.c.
 */
#pragma once

#include <glib.h>

typedef struct {
    gint64 hasty;         /* see ftp_session_set_hasty(); µs, 0: not */
    gint64 connecting_at; /* when the first socket of a login was made, µs monotonic */
    int fd;               /* the connection that asks, or -1 */
    gint64 asked_at;      /* when it was begun */
    gint64 next;          /* when to ask again; 0: nothing was asked since bytes moved */
    gint64 pause;         /* between two questions that were answered */
    gboolean dead;        /* a question got no answer since bytes moved */
    gint64 back_at;       /* ... and one after it did; 0: not yet */
    gboolean broken;      /* what the operation waits for has been lost: it is to be done again on another session */
} WireWatch;
