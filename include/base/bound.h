/* SPDX-License-Identifier: MIT */
/*
 * A Bound says how long an operation may take and who may interrupt it. Every function that can wait for the network,
 * for another thread or for a lock that is held across either takes one, so that nothing in ftpfs waits for ever.
 */
#pragma once

#include <glib.h>

/* Says whether the caller has given up (a FUSE_INTERRUPT has come). Called from the waiting thread only, several times
 * a second; must not block. */
typedef gboolean (*BoundInterruptedFunc)(gpointer data);

typedef struct {
    gint64 deadline;                  /* g_get_monotonic_time() at which the wait ends, in µs; G_MAXINT64 is never */
    BoundInterruptedFunc interrupted; /* or NULL */
    gpointer data;
    gint64 began; /* when the operation began, µs: interruptions are looked for more often at first; 0: not known */
} Bound;

/* A bound that ends `seconds` from now (more than 1e9 is never, less than 0 is 0) and can't be interrupted. */
Bound bound_seconds(double seconds);

/* The same bound, ending at most `seconds` from now. `bound` may be NULL (no bound). */
Bound bound_within(const Bound *bound, double seconds);

/* 0, -EINTR when interrupted, -ETIMEDOUT when the deadline is over. `bound` may be NULL: always 0. */
int bound_check(const Bound *bound);

/* Milliseconds until something has to be looked at again: at most `most`, at most 100 (less in the
 * first half second) when the bound can be interrupted, never negative; rounded up, so that 0 means that the deadline
 * is over. `bound` may be NULL. */
int bound_slice(const Bound *bound, int most);

/* Waits on `cond` (with `mutex` held, as g_cond_wait) for one slice at most; not at all when the bound is over already.
 * `bound` may be NULL. Returns what bound_check() says after
 * it: 0 means "look at the condition again". Spurious wake-ups are usual. */
int bound_wait(const Bound *bound, GCond *cond, GMutex *mutex);
