/* SPDX-License-Identifier: MIT */
/*
 * A sorted array of ranges that neither overlap nor touch. A file that is written forward, or in a few places, has a
 * handful of them; a lookup is a binary search, a change moves the tail of the array.
 */
#include "base/range_set.h"

typedef struct {
    gint64 start;
    gint64 end; /* > start */
} Range;

struct RangeSet {
    GArray *ranges; /* of Range */
};

static Range *range_at(const RangeSet *set, guint i)
{
    return &g_array_index(set->ranges, Range, i);
}

/* The index of the first range whose end is >= `offset`; the number of ranges when there is none. */
static guint first_reaching(const RangeSet *set, gint64 offset)
{
    guint low = 0;
    guint high = set->ranges->len;
    while (low < high) {
        guint middle = low + (high - low) / 2;
        if (range_at(set, middle)->end < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

RangeSet *range_set_new(void)
{
    RangeSet *set = g_new(RangeSet, 1);
    set->ranges = g_array_new(FALSE, FALSE, sizeof(Range));
    return set;
}

void range_set_free(RangeSet *set)
{
    if (set == NULL)
        return;
    g_array_free(set->ranges, TRUE);
    g_free(set);
}

void range_set_add(RangeSet *set, gint64 start, gint64 end)
{
    if (start >= end)
        return;
    guint first = first_reaching(set, start);
    guint after = first;
    Range merged = {start, end};
    while (after < set->ranges->len && range_at(set, after)->start <= end) {
        merged.start = MIN(merged.start, range_at(set, after)->start);
        merged.end = MAX(merged.end, range_at(set, after)->end);
        after++;
    }
    if (after == first) {
        g_array_insert_val(set->ranges, first, merged);
        return;
    }
    *range_at(set, first) = merged;
    if (after - first > 1)
        g_array_remove_range(set->ranges, first + 1, after - first - 1);
}

void range_set_remove(RangeSet *set, gint64 start, gint64 end)
{
    if (start >= end)
        return;
    guint i = first_reaching(set, start);
    if (i < set->ranges->len && range_at(set, i)->start < start) {
        Range *range = range_at(set, i);
        Range tail = {end, range->end};
        range->end = start;
        i++;
        if (tail.start < tail.end) { /* a hole inside one range */
            g_array_insert_val(set->ranges, i, tail);
            return;
        }
    }
    guint after = i;
    while (after < set->ranges->len && range_at(set, after)->end <= end)
        after++;
    if (after < set->ranges->len && range_at(set, after)->start < end)
        range_at(set, after)->start = end;
    if (after > i)
        g_array_remove_range(set->ranges, i, after - i);
}

gboolean range_set_has(const RangeSet *set, gint64 start, gint64 end)
{
    if (start >= end)
        return TRUE;
    guint i = first_reaching(set, end);
    return i < set->ranges->len && range_at(set, i)->start <= start;
}

gboolean range_set_gap(const RangeSet *set, gint64 start, gint64 end, gint64 *ret_start, gint64 *ret_end)
{
    if (start >= end)
        return FALSE;
    gint64 gap_start = start;
    guint i = first_reaching(set, start);
    /* Ranges do not touch, so after at most one range that covers `start` there is a gap; a range that only ends at
     * `start` covers nothing of what was asked. */
    while (i < set->ranges->len && range_at(set, i)->start <= gap_start) {
        gap_start = MAX(gap_start, range_at(set, i)->end);
        i++;
    }
    if (gap_start >= end)
        return FALSE;
    *ret_start = gap_start;
    *ret_end = i < set->ranges->len ? MIN(end, range_at(set, i)->start) : end;
    return TRUE;
}

gboolean range_set_next(const RangeSet *set, gint64 start, gint64 end, gint64 *ret_start, gint64 *ret_end)
{
    guint i = first_reaching(set, start);
    if (i < set->ranges->len && range_at(set, i)->end == start)
        i++;
    if (i >= set->ranges->len || range_at(set, i)->start >= end || start >= end)
        return FALSE;
    *ret_start = MAX(range_at(set, i)->start, start);
    *ret_end = MIN(range_at(set, i)->end, end);
    return TRUE;
}

void range_set_add_all(RangeSet *set, const RangeSet *others)
{
    for (guint i = 0; i < others->ranges->len; i++)
        range_set_add(set, range_at(others, i)->start, range_at(others, i)->end);
}

gint64 range_set_end(const RangeSet *set)
{
    return set->ranges->len == 0 ? 0 : range_at(set, set->ranges->len - 1)->end;
}

guint range_set_count(const RangeSet *set)
{
    return set->ranges->len;
}

gint64 range_set_bytes(const RangeSet *set)
{
    gint64 bytes = 0;
    for (guint i = 0; i < set->ranges->len; i++)
        bytes += range_at(set, i)->end - range_at(set, i)->start;
    return bytes;
}
