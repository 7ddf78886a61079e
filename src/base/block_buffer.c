/* SPDX-License-Identifier: MIT */
/*
 * The window is a ring of blocks: the byte at `offset` of the file stands in block `offset / BLOCK`, and that in slot
 * `block % n_slots`. Blocks are taken as the window fills and given back as it moves on (a few are kept to be used
 * again), so that memory follows what is in the window, and nothing is copied when it grows. They are mapped, not
 * allocated: an allocator would keep what other threads gave back. Bytes are dropped only when the producer needs their
 * room, so that a read slightly behind finds as much as possible; and, after a stop, when they have been read.
 *
 * What may be dropped: all that lies more than `keep` behind the furthest byte that was read, or that a waiting get
 * still waits for. The second is what makes a reader ahead of a full window possible: it pulls the window along. A get
 * whose next byte is in the window, but which has not been scheduled since that byte came, holds the window's start
 * back; it needs nothing but the lock to go on, so waiting for it can't be a deadlock. So a get that has begun never
 * loses its bytes to another one. All gets that are under way are in a list for this; it is as long as there are
 * threads reading.
 *
 * The producer waits until its whole piece fits (or as much of it as can ever fit), not for the first free byte: a
 * reader with small reads would otherwise wake it for each. A get that waits for the end of the window allows
 * capacity - keep bytes of room, which is why a piece is counted as at most that.
 *
 * The reference count is GLib's atomic integer and not a GRefCount: its operations are compiled into this file, where
 * ThreadSanitizer sees them.
 */
#include "base/block_buffer.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define BLOCK ((gsize)64 * 1024) /* mapped with all its pages: taking each when it is touched costs more */
#define SPARE 8                  /* most blocks that are kept to be used again */

typedef struct Get Get;
struct Get {
    gint64 position; /* the next byte that it needs */
    gint64 until;    /* the end of what it needs */
    Get *next;
};

struct BlockBuffer {
    int refs; /* atomic */
    GMutex lock;
    GCond data; /* bytes have come, or nothing more will */
    GCond room; /* the producer may go on */
    /* all below: lock */
    gsize capacity;
    gsize keep_wanted;
    gsize keep; /* < capacity */
    gint64 start;
    gint64 end;
    gint64 furthest; /* the end of the furthest read */
    Get *gets;       /* under way */
    gsize need;      /* bytes of room that a put waits for, or 0 */
    gboolean stopped;
    gboolean ended;
    gboolean cut; /* stopped before it ended: what follows the window is unknown */
    int error;
    guint8 **slots; /* a block, or NULL */
    gsize n_slots;
    guint8 *spare[SPARE];
    guint n_spare;
};

static void set_capacity(BlockBuffer *buffer, gsize capacity)
{
    buffer->capacity = MAX(capacity, 1);
    buffer->keep = buffer->keep_wanted < buffer->capacity ? buffer->keep_wanted : buffer->capacity / 2;
}

BlockBuffer *block_buffer_new(gint64 start, gsize capacity, gsize keep)
{
    g_return_val_if_fail(start >= 0, NULL);
    BlockBuffer *buffer = g_new0(BlockBuffer, 1);
    buffer->refs = 1;
    g_mutex_init(&buffer->lock);
    g_cond_init(&buffer->data);
    g_cond_init(&buffer->room);
    buffer->keep_wanted = keep;
    set_capacity(buffer, capacity);
    buffer->start = buffer->end = buffer->furthest = start;
    return buffer;
}

BlockBuffer *block_buffer_ref(BlockBuffer *buffer)
{
    g_atomic_int_inc(&buffer->refs);
    return buffer;
}

static guint8 *block_map(void)
{
    void *block = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (block == MAP_FAILED)
        g_error("out of memory");
    return block;
}

static void block_unmap(guint8 *block)
{
    if (block != NULL)
        munmap(block, BLOCK);
}

void block_buffer_unref(BlockBuffer *buffer)
{
    if (buffer == NULL || !g_atomic_int_dec_and_test(&buffer->refs))
        return;
    g_mutex_clear(&buffer->lock);
    g_cond_clear(&buffer->data);
    g_cond_clear(&buffer->room);
    for (gsize i = 0; i < buffer->n_slots; i++)
        block_unmap(buffer->slots[i]);
    while (buffer->n_spare > 0)
        block_unmap(buffer->spare[--buffer->n_spare]);
    g_free(buffer->slots);
    g_free(buffer);
}

/* The ring; slots of blocks outside of the window are NULL */

static gsize block_of(gint64 offset)
{
    return (gsize)((guint64)offset / BLOCK);
}

static void ring_read(const BlockBuffer *buffer, gint64 offset, guint8 *to, gsize size)
{
    while (size > 0) {
        gsize at = (gsize)((guint64)offset % BLOCK);
        gsize n = MIN(size, BLOCK - at);
        memcpy(to, buffer->slots[block_of(offset) % buffer->n_slots] + at, n);
        offset += (gint64)n;
        to += n;
        size -= n;
    }
}

/* There are at least as many slots as a window of the capacity can touch blocks. */
static void ring_fit(BlockBuffer *buffer)
{
    gsize n = buffer->capacity / BLOCK + 2;
    if (n <= buffer->n_slots)
        return;
    guint8 **slots = g_new0(guint8 *, n);
    if (buffer->end > buffer->start) {
        for (gsize block = block_of(buffer->start); block <= block_of(buffer->end - 1); block++)
            slots[block % n] = buffer->slots[block % buffer->n_slots];
    }
    g_free(buffer->slots);
    buffer->slots = slots;
    buffer->n_slots = n;
}

/* The bytes that follow the window. */
static void ring_append(BlockBuffer *buffer, const guint8 *from, gsize size)
{
    ring_fit(buffer);
    while (size > 0) {
        gsize at = (gsize)((guint64)buffer->end % BLOCK);
        gsize n = MIN(size, BLOCK - at);
        guint8 **slot = &buffer->slots[block_of(buffer->end) % buffer->n_slots];
        if (*slot == NULL)
            *slot = buffer->n_spare > 0 ? buffer->spare[--buffer->n_spare] : block_map();
        memcpy(*slot + at, from, n);
        buffer->end += (gint64)n;
        from += n;
        size -= n;
    }
}

/* The window begins at `start` now. */
static void ring_drop(BlockBuffer *buffer, gint64 start)
{
    gsize old = block_of(buffer->start), new = block_of(start);
    buffer->start = start;
    for (gsize block = old; block < new; block++) {
        guint8 **slot = &buffer->slots[block % buffer->n_slots];
        if (buffer->n_spare < SPARE && !buffer->stopped)
            buffer->spare[buffer->n_spare++] = *slot;
        else
            block_unmap(*slot);
        *slot = NULL;
    }
}

/* Room */

/* How far the start of the window may move now. */
static gint64 droppable(const BlockBuffer *buffer)
{
    gint64 reach = buffer->furthest;
    gint64 limit = buffer->end;
    for (const Get *get = buffer->gets; get != NULL; get = get->next) {
        if (get->position >= buffer->end)
            reach = MAX(reach, get->position);
        else if (get->position >= buffer->start)
            limit = MIN(limit, get->position);
    }
    limit = MIN(limit, reach - (gint64)buffer->keep);
    return MAX(limit, buffer->start);
}

/* The bytes that could be put if the window started at `start`. */
static gsize room_from(const BlockBuffer *buffer, gint64 start)
{
    gsize used = (gsize)(buffer->end - start);
    return used < buffer->capacity ? buffer->capacity - used : 0;
}

static gboolean put_blocked(const BlockBuffer *buffer)
{
    return buffer->need > 0 && !buffer->stopped && room_from(buffer, droppable(buffer)) < buffer->need;
}

static void wake_producer(BlockBuffer *buffer)
{
    if (buffer->need > 0 && !put_blocked(buffer))
        g_cond_signal(&buffer->room);
}

/* Drops as little as makes room for `size` bytes, or all that may be dropped. Returns the room. */
static gsize make_room(BlockBuffer *buffer, gsize size)
{
    gsize room = room_from(buffer, buffer->start);
    if (room >= size)
        return room;
    gint64 enough = buffer->end + (gint64)MIN(size, buffer->capacity) - (gint64)buffer->capacity;
    gint64 start = MIN(droppable(buffer), enough);
    if (start > buffer->start)
        ring_drop(buffer, start);
    return room_from(buffer, buffer->start);
}

/* The producer */

/* Wakes the gets when one has all that it waits for, or as much as fits: a read that is woken for each piece of it
 * costs more than the bytes. `all`: the producer is about to wait itself. */
static void wake_gets(BlockBuffer *buffer, gboolean all)
{
    gint64 most = (gint64)(buffer->capacity - buffer->keep) / 2;
    for (const Get *get = buffer->gets; get != NULL; get = get->next) {
        if (get->position >= buffer->start && get->position < buffer->end &&
            (all || buffer->end >= get->until || buffer->end - get->position >= most)) {
            g_cond_broadcast(&buffer->data);
            return;
        }
    }
}

gssize block_buffer_put(BlockBuffer *buffer, const void *bytes, gsize size)
{
    const guint8 *from = bytes;
    gsize left = size;
    g_mutex_lock(&buffer->lock);
    gboolean taken = !buffer->stopped && !buffer->ended;
    while (taken && left > 0) {
        gsize need = MIN(left, buffer->capacity - buffer->keep);
        gsize room = make_room(buffer, left);
        if (room >= need) {
            gsize n = MIN(room, left);
            ring_append(buffer, from, n);
            from += n;
            left -= n;
            wake_gets(buffer, FALSE);
        } else {
            wake_gets(buffer, TRUE);
            buffer->need = need;
            g_cond_wait(&buffer->room, &buffer->lock);
            buffer->need = 0;
            taken = !buffer->stopped && !buffer->ended;
        }
    }
    g_mutex_unlock(&buffer->lock);
    return taken ? (gssize)size : -ECANCELED;
}

void block_buffer_end(BlockBuffer *buffer, int error)
{
    g_mutex_lock(&buffer->lock);
    if (!buffer->ended) {
        buffer->ended = TRUE;
        buffer->error = error;
    }
    g_cond_broadcast(&buffer->data);
    g_mutex_unlock(&buffer->lock);
}

void block_buffer_stop(BlockBuffer *buffer)
{
    g_mutex_lock(&buffer->lock);
    buffer->cut = buffer->cut || !buffer->ended;
    buffer->stopped = TRUE;
    g_cond_broadcast(&buffer->data);
    g_cond_broadcast(&buffer->room);
    g_mutex_unlock(&buffer->lock);
}

/* The consumers */

/* What a get that needs more than the window holds is told once nothing more comes. */
static gssize get_past_end(const BlockBuffer *buffer, gsize copied)
{
    if (buffer->cut)
        return -ENODATA;
    if (buffer->error < 0)
        return buffer->error;
    return (gssize)copied;
}

static gssize get_locked(BlockBuffer *buffer, Get *get, guint8 *to, gsize size, const Bound *bound)
{
    gsize copied = 0;
    while (copied < size) {
        if (get->position < buffer->start)
            return -ENODATA;
        if (get->position < buffer->end) {
            gsize n = MIN(size - copied, (gsize)(buffer->end - get->position));
            ring_read(buffer, get->position, to + copied, n);
            copied += n;
            get->position += (gint64)n;
            buffer->furthest = MAX(buffer->furthest, get->position);
            continue;
        }
        if (buffer->ended || buffer->stopped)
            return get_past_end(buffer, copied);
        wake_producer(buffer);
        int r = bound_wait(bound, &buffer->data, &buffer->lock);
        if (r < 0 && get->position >= buffer->end) /* bytes that came in the last moment are not thrown away */
            return r;
    }
    return (gssize)copied;
}

gssize block_buffer_get(BlockBuffer *buffer, gint64 offset, void *bytes, gsize size, const Bound *bound)
{
    if (offset < 0)
        return -EINVAL;
    Get get = {.position = offset, .until = size < (gsize)(G_MAXINT64 - offset) ? offset + (gint64)size : G_MAXINT64};
    g_mutex_lock(&buffer->lock);
    get.next = buffer->gets;
    buffer->gets = &get;
    gssize result = get_locked(buffer, &get, bytes, size, bound);
    Get **link = &buffer->gets;
    while (*link != &get)
        link = &(*link)->next;
    *link = get.next;
    if (buffer->cut)
        ring_drop(buffer, droppable(buffer));
    wake_producer(buffer);
    g_mutex_unlock(&buffer->lock);
    return result;
}

/* What it looks like now */

void block_buffer_window(BlockBuffer *buffer, gint64 *ret_start, gint64 *ret_end)
{
    g_mutex_lock(&buffer->lock);
    *ret_start = buffer->start;
    *ret_end = buffer->end;
    g_mutex_unlock(&buffer->lock);
}

gboolean block_buffer_reaches(BlockBuffer *buffer, gint64 offset, gsize ahead)
{
    g_mutex_lock(&buffer->lock);
    gboolean coming = !buffer->ended && !buffer->stopped;
    gboolean reaches =
        offset >= buffer->start && (offset < buffer->end || (coming && (guint64)(offset - buffer->end) <= ahead));
    g_mutex_unlock(&buffer->lock);
    return reaches;
}

gboolean block_buffer_wanted(BlockBuffer *buffer)
{
    gboolean wanted = FALSE;
    g_mutex_lock(&buffer->lock);
    if (!buffer->ended && !buffer->stopped) {
        for (const Get *get = buffer->gets; get != NULL; get = get->next)
            wanted = wanted || get->position >= buffer->end;
    }
    g_mutex_unlock(&buffer->lock);
    return wanted;
}

gboolean block_buffer_full(BlockBuffer *buffer)
{
    g_mutex_lock(&buffer->lock);
    gboolean full = put_blocked(buffer);
    g_mutex_unlock(&buffer->lock);
    return full;
}

gboolean block_buffer_ended(BlockBuffer *buffer)
{
    g_mutex_lock(&buffer->lock);
    gboolean ended = buffer->ended || buffer->stopped;
    g_mutex_unlock(&buffer->lock);
    return ended;
}

void block_buffer_set_capacity(BlockBuffer *buffer, gsize capacity)
{
    g_mutex_lock(&buffer->lock);
    set_capacity(buffer, capacity);
    g_cond_signal(&buffer->room); /* its need has to be counted anew */
    g_mutex_unlock(&buffer->lock);
}
