/* SPDX-License-Identifier: MIT */
/* A set of byte ranges [start, end) of a file, merged and in order. Not thread-safe: its owner's lock guards it. */
#pragma once

#include <glib.h>

typedef struct RangeSet RangeSet;

RangeSet *range_set_new(void);
void range_set_free(RangeSet *set);
void range_set_add(RangeSet *set, gint64 start, gint64 end);
void range_set_remove(RangeSet *set, gint64 start, gint64 end);

/* TRUE when all of [start, end) is in the set (an empty range always is). */
gboolean range_set_has(const RangeSet *set, gint64 start, gint64 end);

/* The first part of [start, end) that is not in the set; FALSE when there is none. */
gboolean range_set_gap(const RangeSet *set, gint64 start, gint64 end, gint64 *ret_start, gint64 *ret_end);

/* The first range of the set in [start, end), cut to it; FALSE when there is none. */
gboolean range_set_next(const RangeSet *set, gint64 start, gint64 end, gint64 *ret_start, gint64 *ret_end);

void range_set_add_all(RangeSet *set, const RangeSet *others);
gint64 range_set_end(const RangeSet *set); /* of the last range; 0 of an empty set */

/* The number of separate ranges, and the bytes in them. */
guint range_set_count(const RangeSet *set);
gint64 range_set_bytes(const RangeSet *set);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(RangeSet, range_set_free)
