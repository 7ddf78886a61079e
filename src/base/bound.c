/* SPDX-License-Identifier: MIT */
#include "base/bound.h"

#include <errno.h>
#include <limits.h>

#define INTERRUPT_SLICE_MS 100 /* how late an interruption may be noticed */
#define FIRST_SLICE_MS     4   /* ... and at the beginning: see interrupt_slice() */
#define LONGEST_SECONDS    1e9 /* more than this is "never": it keeps the arithmetic far from overflow */

Bound bound_seconds(double seconds)
{
    return bound_within(NULL, seconds);
}

Bound bound_within(const Bound *bound, double seconds)
{
    Bound result = {.deadline = G_MAXINT64};
    if (bound != NULL)
        result = *bound;
    if (seconds < LONGEST_SECONDS) {
        double clamped = seconds > 0 ? seconds : 0;
        gint64 deadline = g_get_monotonic_time() + (gint64)(clamped * G_USEC_PER_SEC);
        result.deadline = MIN(result.deadline, deadline);
    }
    return result;
}

int bound_check(const Bound *bound)
{
    if (bound == NULL)
        return 0;
    if (bound->interrupted != NULL && bound->interrupted(bound->data))
        return -EINTR;
    if (bound->deadline != G_MAXINT64 && g_get_monotonic_time() >= bound->deadline)
        return -ETIMEDOUT;
    return 0;
}

/* The kernel sends operations on one directory one after the other, and lets an interrupted program wait for its turn:
 * twenty of them, each noticed a slice late, would take seconds. Their interruptions come with their requests. */
static int interrupt_slice(const Bound *bound)
{
    if (bound->began == 0)
        return INTERRUPT_SLICE_MS;
    gint64 age_ms = (g_get_monotonic_time() - bound->began) / 1000;
    return (int)CLAMP(age_ms / 4, FIRST_SLICE_MS, INTERRUPT_SLICE_MS);
}

int bound_slice(const Bound *bound, int most)
{
    int slice = MAX(most, 0);
    if (bound == NULL)
        return slice;
    if (bound->interrupted != NULL)
        slice = MIN(slice, interrupt_slice(bound));
    if (bound->deadline != G_MAXINT64) {
        gint64 left = bound->deadline - g_get_monotonic_time();
        /* Rounded up, so that a caller whose deadline is a part of a millisecond away does not spin. */
        gint64 left_ms = left > 0 ? left / 1000 + (left % 1000 != 0) : 0;
        if (left_ms < slice)
            slice = (int)left_ms;
    }
    return slice;
}

int bound_wait(const Bound *bound, GCond *cond, GMutex *mutex)
{
    if (bound == NULL || (bound->interrupted == NULL && bound->deadline == G_MAXINT64)) {
        g_cond_wait(cond, mutex);
        return 0;
    }
    int r = bound_check(bound);
    if (r < 0)
        return r;
    gint64 slice = bound_slice(bound, INT_MAX);
    g_cond_wait_until(cond, mutex, g_get_monotonic_time() + slice * 1000);
    return bound_check(bound);
}
