/* SPDX-License-Identifier: MIT */
/*
 * A listing is three blocks of memory: one record of fixed size for each entry, in the server's order; all the strings
 * one after another; and the numbers of the records in the order of their names, for bsearch. A directory that the
 * server sends sorted needs no third block. So 100,000 names of 20 bytes take about 6.5 MB, and a name chosen by a
 * hostile server can't make a lookup slow, as it could with a hash.
 */
#include "dir_listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    FtpAttr attr;
    guint32 name;   /* where it begins in `strings` */
    guint32 target; /* likewise; 0: none (offset 0 holds an empty string) */
} Record;

struct DirListing {
    gint refs; /* atomic */
    guint count;
    Record *records;
    char *strings;
    gsize strings_size;
    guint32 *order; /* NULL: the records are in order themselves */
};

struct DirBuilder {
    gsize max_bytes;
    gboolean ahead;
    GArray *records; /* Record */
    GByteArray *strings;
};

/* What qsort_r and the search need. */
typedef struct {
    const Record *records;
    const char *strings;
} Block;

static void dir_builder_clear(DirBuilder *builder)
{
    g_clear_pointer(&builder->records, g_array_unref);
    g_clear_pointer(&builder->strings, g_byte_array_unref);
    builder->records = g_array_new(FALSE, FALSE, sizeof(Record));
    builder->strings = g_byte_array_new();
    g_byte_array_append(builder->strings, (const guint8 *)"", 1);
}

DirBuilder *dir_builder_new(gsize max_bytes)
{
    DirBuilder *builder = g_new0(DirBuilder, 1);

    builder->max_bytes = MIN(max_bytes, (gsize)G_MAXUINT32 - 1);
    dir_builder_clear(builder);
    return builder;
}

void dir_builder_set_ahead(DirBuilder *builder)
{
    builder->ahead = TRUE;
}

gboolean dir_builder_is_ahead(const DirBuilder *builder)
{
    return builder->ahead;
}

guint dir_builder_size(const DirBuilder *builder)
{
    return builder->records->len;
}

void dir_builder_free(DirBuilder *builder)
{
    if (!builder)
        return;
    g_array_unref(builder->records);
    g_byte_array_unref(builder->strings);
    g_free(builder);
}

void dir_builder_restart(DirBuilder *builder)
{
    dir_builder_clear(builder);
}

static guint32 dir_builder_string(DirBuilder *builder, const char *string, gsize size)
{
    guint32 at = builder->strings->len;

    g_byte_array_append(builder->strings, (const guint8 *)string, (guint)size);
    return at;
}

int dir_builder_add(DirBuilder *builder, const ListEntry *entry)
{
    gsize name_size = strlen(entry->name) + 1;
    gsize target_size = entry->target ? strlen(entry->target) + 1 : 0;
    gsize records = ((gsize)builder->records->len + 1) * (sizeof(Record) + sizeof(guint32));

    if (records + builder->strings->len + name_size + target_size > builder->max_bytes)
        return -EFBIG;

    Record record = {.attr = entry->attr};
    record.name = dir_builder_string(builder, entry->name, name_size);
    if (entry->target)
        record.target = dir_builder_string(builder, entry->target, target_size);
    g_array_append_val(builder->records, record);
    return 0;
}

/* By name; of the same name the one that came first goes first. */
static int compare_order(gconstpointer a, gconstpointer b, gpointer data)
{
    const Block *block = data;
    guint32 x = *(const guint32 *)a, y = *(const guint32 *)b;
    int r = strcmp(block->strings + block->records[x].name, block->strings + block->records[y].name);

    return r != 0 ? r : x < y ? -1 : x > y;
}

static gboolean is_sorted(const Block *block, guint count)
{
    for (guint i = 1; i < count; i++)
        if (strcmp(block->strings + block->records[i - 1].name, block->strings + block->records[i].name) >= 0)
            return FALSE;
    return TRUE;
}

static guint32 *sorted_order(const Block *block, guint count)
{
    guint32 *order = g_new(guint32, count);

    for (guint i = 0; i < count; i++)
        order[i] = i;
    qsort_r(order, count, sizeof *order, compare_order, (gpointer)block);
    return order;
}

/* Of a name that came more than once the first place keeps the last record. Returns the new number of records. */
static guint drop_repeated(Record *records, const char *strings, const guint32 *order, guint count)
{
    g_autofree guint8 *dead = g_new0(guint8, count);
    guint kept = 0;

    for (guint i = 0, first = 0; i < count; i++) {
        if (i == first || strcmp(strings + records[order[i]].name, strings + records[order[first]].name) != 0) {
            first = i;
            continue;
        }
        records[order[first]] = records[order[i]];
        dead[order[i]] = 1;
    }
    for (guint i = 0; i < count; i++)
        if (!dead[i])
            records[kept++] = records[i];
    return kept;
}

static gboolean has_repeated(const Block *block, const guint32 *order, guint count)
{
    for (guint i = 1; i < count; i++)
        if (strcmp(block->strings + block->records[order[i - 1]].name,
                   block->strings + block->records[order[i]].name) == 0)
            return TRUE;
    return FALSE;
}

DirListing *dir_builder_finish(DirBuilder *builder)
{
    DirListing *listing = g_new0(DirListing, 1);
    gsize strings_size = builder->strings->len;

    listing->refs = 1;
    listing->count = builder->records->len;
    listing->records = (Record *)(gpointer)g_array_free(g_steal_pointer(&builder->records), FALSE);
    listing->strings = (char *)g_byte_array_free(g_steal_pointer(&builder->strings), FALSE);
    listing->strings = g_realloc(listing->strings, strings_size);
    listing->strings_size = strings_size;

    Block block = {listing->records, listing->strings};
    if (!is_sorted(&block, listing->count)) {
        listing->order = sorted_order(&block, listing->count);
        if (has_repeated(&block, listing->order, listing->count)) {
            listing->count = drop_repeated(listing->records, listing->strings, listing->order, listing->count);
            g_free(listing->order);
            listing->order = sorted_order(&block, listing->count);
        }
    }
    listing->records = g_renew(Record, listing->records, listing->count);
    dir_builder_clear(builder);
    return listing;
}

DirListing *dir_listing_ref(DirListing *listing)
{
    g_atomic_int_inc(&listing->refs);
    return listing;
}

void dir_listing_unref(DirListing *listing)
{
    if (!listing || !g_atomic_int_dec_and_test(&listing->refs))
        return;
    g_free(listing->records);
    g_free(listing->strings);
    g_free(listing->order);
    g_free(listing);
}

guint dir_listing_size(const DirListing *listing)
{
    return listing->count;
}

gsize dir_listing_bytes(const DirListing *listing)
{
    gsize order = listing->order ? sizeof(guint32) : 0;

    return sizeof *listing + listing->count * (sizeof(Record) + order) + listing->strings_size;
}

void dir_listing_entry(const DirListing *listing, guint index, ListEntry *ret)
{
    const Record *record = &listing->records[index];

    ret->name = listing->strings + record->name;
    ret->target = record->target != 0 ? listing->strings + record->target : NULL;
    ret->attr = record->attr;
}

FtpAttr *dir_listing_attr(DirListing *listing, guint index)
{
    return &listing->records[index].attr;
}

gboolean dir_listing_find(const DirListing *listing, const char *name, ListEntry *ret)
{
    guint low = 0, high = listing->count;

    while (low < high) {
        guint middle = low + (high - low) / 2;
        guint index = listing->order ? listing->order[middle] : middle;
        int r = strcmp(name, listing->strings + listing->records[index].name);
        if (r == 0) {
            dir_listing_entry(listing, index, ret);
            return TRUE;
        }
        if (r < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return FALSE;
}

gboolean dir_attr_keep_exact_time(FtpAttr *attr, const FtpAttr *known)
{
    const guint8 both = FTP_HAS_MTIME | FTP_HAS_SIZE;

    if ((known->has & FTP_HAS_MTIME) == 0 || known->mtime_precision > 1 || attr->type != known->type)
        return FALSE;
    if ((attr->has & FTP_HAS_MTIME) == 0 || attr->mtime_precision <= 1)
        return FALSE;
    if (attr->type == FTP_TYPE_FILE && ((attr->has & known->has & both) != both || attr->size != known->size))
        return FALSE;
    if (known->mtime < attr->mtime || known->mtime >= attr->mtime + attr->mtime_precision)
        return FALSE;
    attr->mtime = known->mtime;
    attr->mtime_precision = 1;
    return TRUE;
}
