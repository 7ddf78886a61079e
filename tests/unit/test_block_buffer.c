/* SPDX-License-Identifier: MIT */
/*
 * Byte `i` of every stream here is pattern(i), so that each get can be checked alone. Nothing measures time: threads
 * are waited for through the buffer's own state (full, wanted), and every wait is bounded by WAIT_SECONDS, after which
 * the test fails instead of hanging.
 */
#include "base/block_buffer.h"

#include <errno.h>
#include <string.h>

#define WAIT_SECONDS 60
#define BLOCK        1000
#define READERS      4

static guint8 pattern(gint64 offset)
{
    return (guint8)((guint64)offset * 2654435761u >> 13);
}

static guint8 *make_bytes(gint64 offset, gsize size)
{
    guint8 *bytes = g_malloc(size + 1);
    for (gsize i = 0; i < size; i++)
        bytes[i] = pattern(offset + (gint64)i);
    return bytes;
}

static void check_bytes(const guint8 *bytes, gint64 offset, gsize size)
{
    for (gsize i = 0; i < size; i++) {
        if (bytes[i] != pattern(offset + (gint64)i))
            g_error("wrong byte at %" G_GINT64_FORMAT, offset + (gint64)i);
    }
}

static gssize get(BlockBuffer *buffer, gint64 offset, gsize size)
{
    g_autofree guint8 *bytes = g_malloc(size + 1);
    Bound bound = bound_seconds(WAIT_SECONDS);
    gssize n = block_buffer_get(buffer, offset, bytes, size, &bound);
    if (n > 0)
        check_bytes(bytes, offset, (gsize)n);
    return n;
}

static gssize put(BlockBuffer *buffer, gsize size)
{
    gint64 start;
    gint64 end;
    block_buffer_window(buffer, &start, &end);
    g_autofree guint8 *bytes = make_bytes(end, size);
    return block_buffer_put(buffer, bytes, size);
}

static void check_window(BlockBuffer *buffer, gint64 start, gint64 end)
{
    gint64 window_start;
    gint64 window_end;
    block_buffer_window(buffer, &window_start, &window_end);
    g_assert_cmpint(window_start, ==, start);
    g_assert_cmpint(window_end, ==, end);
}

typedef gboolean (*Condition)(BlockBuffer *buffer);

static void wait_until(BlockBuffer *buffer, Condition condition)
{
    Bound bound = bound_seconds(WAIT_SECONDS);
    while (!condition(buffer)) {
        g_assert_cmpint(bound_check(&bound), ==, 0);
        g_usleep(1000);
    }
}

/* A thread that puts, and one that gets */

typedef struct {
    BlockBuffer *buffer;
    gint64 offset;
    gsize size;
    gsize most; /* of one put, chosen at random; 0: all in one */
    guint32 seed;
    int error;     /* of the end; 1: does not end the stream */
    gssize result; /* of the last call */
} Job;

static gpointer producer_run(gpointer data)
{
    Job *job = data;
    g_autofree guint8 *bytes = make_bytes(job->offset, job->size);
    g_autoptr(GRand) rand = g_rand_new_with_seed(job->seed);
    gsize done = 0;
    job->result = 0;
    while (done < job->size && job->result >= 0) {
        gsize n = job->most > 0 ? (gsize)g_rand_int_range(rand, 1, (gint32)job->most + 1) : job->size;
        n = MIN(n, job->size - done);
        job->result = block_buffer_put(job->buffer, bytes + done, n);
        done += n;
    }
    if (job->error <= 0)
        block_buffer_end(job->buffer, job->error);
    return NULL;
}

static gpointer consumer_run(gpointer data)
{
    Job *job = data;
    job->result = get(job->buffer, job->offset, job->size);
    return NULL;
}

/* In one thread */

static void test_basic(void)
{
    g_autoptr(BlockBuffer) buffer = block_buffer_new(100, 50, 10);
    check_window(buffer, 100, 100);
    g_assert_cmpint(get(buffer, 0, 0), ==, 0);
    g_assert_cmpint(get(buffer, 99, 1), ==, -ENODATA);
    g_assert_cmpint(get(buffer, -1, 1), ==, -EINVAL);
    g_assert_cmpint(put(buffer, 40), ==, 40);
    check_window(buffer, 100, 140);
    g_assert_cmpint(get(buffer, 100, 40), ==, 40);
    g_assert_cmpint(get(buffer, 105, 1), ==, 1);
    check_window(buffer, 100, 140); /* nothing is dropped before its room is needed */
    g_assert_cmpint(put(buffer, 15), ==, 15);
    check_window(buffer, 105, 155);
    g_assert_cmpint(put(buffer, 25), ==, 25);
    check_window(buffer, 130, 180); /* keeps 10 behind 140 */
    g_assert_cmpint(get(buffer, 129, 5), ==, -ENODATA);
    g_assert_cmpint(get(buffer, 130, 50), ==, 50);
    g_assert_false(block_buffer_ended(buffer));
    block_buffer_end(buffer, 0);
    g_assert_true(block_buffer_ended(buffer));
    g_assert_cmpint(put(buffer, 1), ==, -ECANCELED);
    g_assert_cmpint(get(buffer, 170, 50), ==, 10);
    g_assert_cmpint(get(buffer, 180, 50), ==, 0);
    g_assert_cmpint(get(buffer, 1000, 50), ==, 0);
    block_buffer_stop(buffer); /* after the end it changes nothing for readers */
    g_assert_cmpint(get(buffer, 170, 50), ==, 10);
    block_buffer_unref(NULL);
}

static void test_error(void)
{
    g_autoptr(BlockBuffer) buffer = block_buffer_new(0, 50, 10);
    g_assert_cmpint(put(buffer, 20), ==, 20);
    block_buffer_end(buffer, -ECONNRESET);
    block_buffer_end(buffer, 0); /* the first counts */
    g_assert_cmpint(get(buffer, 0, 20), ==, 20);
    g_assert_cmpint(get(buffer, 0, 21), ==, -ECONNRESET);
    g_assert_cmpint(get(buffer, 20, 1), ==, -ECONNRESET);
}

static void test_stop(void)
{
    g_autoptr(BlockBuffer) buffer = block_buffer_new(0, 50, 10);
    g_assert_cmpint(put(buffer, 20), ==, 20);
    block_buffer_stop(buffer);
    g_assert_true(block_buffer_ended(buffer));
    g_assert_cmpint(put(buffer, 1), ==, -ECANCELED);
    g_assert_cmpint(put(buffer, 0), ==, -ECANCELED);
    check_window(buffer, 0, 20);
    block_buffer_end(buffer, 0); /* the producer's last word does not make it the end of the file */
    g_assert_cmpint(get(buffer, 5, 15), ==, 15);
    g_assert_cmpint(get(buffer, 5, 16), ==, -ENODATA);
    g_assert_cmpint(get(buffer, 20, 1), ==, -ENODATA);
}

static gboolean always(gpointer data)
{
    return TRUE;
}

static void test_bound(void)
{
    g_autoptr(BlockBuffer) buffer = block_buffer_new(0, 50, 10);
    guint8 bytes[32];
    Bound over = {.deadline = 0};
    Bound interrupted = {.deadline = G_MAXINT64, .interrupted = always};
    g_assert_cmpint(put(buffer, 20), ==, 20);
    g_assert_cmpint(block_buffer_get(buffer, 0, bytes, 20, &over), ==, 20); /* needs no waiting */
    g_assert_cmpint(block_buffer_get(buffer, 0, bytes, 21, &over), ==, -ETIMEDOUT);
    g_assert_cmpint(block_buffer_get(buffer, 0, bytes, 21, &interrupted), ==, -EINTR);
    g_assert_false(block_buffer_wanted(buffer));
    /* A get that gave up far ahead leaves no trace: the window does not run after it. */
    g_assert_cmpint(block_buffer_get(buffer, 1000, bytes, 1, &over), ==, -ETIMEDOUT);
    g_assert_cmpint(put(buffer, 30), ==, 30);
    check_window(buffer, 0, 50);
}

static void test_reaches(void)
{
    g_autoptr(BlockBuffer) buffer = block_buffer_new(100, 50, 10);
    g_assert_true(block_buffer_reaches(buffer, 100, 0));
    g_assert_false(block_buffer_reaches(buffer, 99, 1000));
    g_assert_cmpint(put(buffer, 20), ==, 20);
    g_assert_true(block_buffer_reaches(buffer, 119, 0));
    g_assert_true(block_buffer_reaches(buffer, 120, 0));
    g_assert_false(block_buffer_reaches(buffer, 121, 0));
    g_assert_true(block_buffer_reaches(buffer, 150, 30));
    g_assert_false(block_buffer_reaches(buffer, 151, 30));
    g_assert_false(block_buffer_reaches(buffer, G_MAXINT64, 30));
    block_buffer_end(buffer, 0);
    g_assert_true(block_buffer_reaches(buffer, 119, 0));
    g_assert_false(block_buffer_reaches(buffer, 120, 30));
}

static void test_large_offset(void)
{
    gint64 start = G_GINT64_CONSTANT(1) << 45;
    g_autoptr(BlockBuffer) buffer = block_buffer_new(start, 300000, 1000);
    gint64 offset = start;
    for (int i = 0; i < 40; i++) {
        g_assert_cmpint(put(buffer, 65537), ==, 65537);
        g_assert_cmpint(get(buffer, offset, 65537), ==, 65537);
        offset += 65537;
    }
    check_window(buffer, offset - 300000, offset);
}

static void test_capacity(void)
{
    g_autoptr(BlockBuffer) buffer = block_buffer_new(0, 200000, 100);
    g_assert_cmpint(put(buffer, 200000), ==, 200000);
    block_buffer_set_capacity(buffer, 400000);
    g_assert_cmpint(put(buffer, 200000), ==, 200000);
    check_window(buffer, 0, 400000);
    g_assert_cmpint(get(buffer, 0, 400000), ==, 400000);
    block_buffer_set_capacity(buffer, 70000);
    check_window(buffer, 0, 400000);
    g_assert_cmpint(put(buffer, 50000), ==, 50000);
    check_window(buffer, 380000, 450000);
    g_assert_cmpint(get(buffer, 380000, 70000), ==, 70000);
    block_buffer_set_capacity(buffer, 50); /* less than it keeps: half of it then */
    g_assert_cmpint(put(buffer, 20), ==, 20);
    check_window(buffer, 449970, 450020);
    g_assert_cmpint(get(buffer, 449970, 50), ==, 50);
    block_buffer_set_capacity(buffer, 0);
    g_assert_cmpint(put(buffer, 1), ==, 1);
    check_window(buffer, 450020, 450021);
}

/* With threads */

static void test_put_waits(void)
{
    g_autoptr(BlockBuffer) buffer = block_buffer_new(0, 100, 20);
    Job job = {.buffer = buffer, .size = 250, .error = 0};
    GThread *thread = g_thread_new("put", producer_run, &job);
    wait_until(buffer, block_buffer_full);
    check_window(buffer, 0, 100);
    g_assert_cmpint(get(buffer, 0, 100), ==, 100);
    wait_until(buffer, block_buffer_full);
    check_window(buffer, 80, 180);
    g_assert_cmpint(get(buffer, 90, 1000), ==, 160); /* more than the capacity, to the end of the file */
    g_thread_join(thread);
    g_assert_cmpint(job.result, ==, 250);
    g_assert_false(block_buffer_full(buffer));
}

static void test_stop_put(void)
{
    g_autoptr(BlockBuffer) buffer = block_buffer_new(0, 100, 20);
    Job job = {.buffer = buffer, .size = 250, .error = 0};
    GThread *thread = g_thread_new("put", producer_run, &job);
    wait_until(buffer, block_buffer_full);
    block_buffer_stop(buffer);
    g_thread_join(thread);
    g_assert_cmpint(job.result, ==, -ECANCELED);
    check_window(buffer, 0, 100);
    g_assert_cmpint(get(buffer, 0, 100), ==, 100);
    g_assert_cmpint(get(buffer, 50, 100), ==, -ENODATA);
}

static void test_capacity_wakes_put(void)
{
    g_autoptr(BlockBuffer) buffer = block_buffer_new(0, 100, 20);
    Job job = {.buffer = buffer, .size = 250, .error = 0};
    GThread *thread = g_thread_new("put", producer_run, &job);
    wait_until(buffer, block_buffer_full);
    block_buffer_set_capacity(buffer, 1000);
    g_thread_join(thread);
    g_assert_cmpint(job.result, ==, 250);
    g_assert_cmpint(get(buffer, 0, 1000), ==, 250);
}

static void check_waiting_get(int end_error, gboolean stop, gssize expected)
{
    g_autoptr(BlockBuffer) buffer = block_buffer_new(0, 100, 20);
    g_assert_cmpint(put(buffer, 10), ==, 10);
    Job job = {.buffer = buffer, .offset = 5, .size = 10};
    GThread *thread = g_thread_new("get", consumer_run, &job);
    wait_until(buffer, block_buffer_wanted);
    if (stop)
        block_buffer_stop(buffer);
    else
        block_buffer_end(buffer, end_error);
    g_thread_join(thread);
    g_assert_cmpint(job.result, ==, expected);
}

static void test_end_of_waiting_get(void)
{
    check_waiting_get(0, FALSE, 5);
    check_waiting_get(-EIO, FALSE, -EIO);
    check_waiting_get(0, TRUE, -ENODATA);
}

/* A reader far ahead of a full window pulls it along. */
static void test_ahead(void)
{
    g_autoptr(BlockBuffer) buffer = block_buffer_new(0, 100, 20);
    Job job = {.buffer = buffer, .size = 5000, .error = 0};
    GThread *thread = g_thread_new("put", producer_run, &job);
    wait_until(buffer, block_buffer_full);
    g_assert_cmpint(get(buffer, 3000, 500), ==, 500);
    g_assert_cmpint(get(buffer, 100, 10), ==, -ENODATA);
    g_assert_cmpint(get(buffer, 4990, 500), ==, 10);
    g_thread_join(thread);
    g_assert_cmpint(job.result, ==, 5000);
}

/* One get needs more than the capacity from the window's start, another waits far ahead: both come to their end. */
static void test_behind_and_ahead(void)
{
    g_autoptr(BlockBuffer) buffer = block_buffer_new(0, 100, 20);
    Job behind = {.buffer = buffer, .offset = 0, .size = 1000};
    Job ahead = {.buffer = buffer, .offset = 700, .size = 600};
    GThread *behind_thread = g_thread_new("behind", consumer_run, &behind);
    wait_until(buffer, block_buffer_wanted);
    GThread *ahead_thread = g_thread_new("ahead", consumer_run, &ahead);
    Job job = {.buffer = buffer, .size = 2000, .most = 60, .seed = g_test_rand_int(), .error = 0};
    GThread *thread = g_thread_new("put", producer_run, &job);
    g_thread_join(behind_thread);
    g_assert_cmpint(behind.result, ==, 1000); /* it waited before the first byte came, so it loses none */
    g_thread_join(ahead_thread);
    /* When it is scheduled late, the window may have passed it; it is answered in any case. */
    if (ahead.result != 600)
        g_assert_cmpint(ahead.result, ==, -ENODATA);
    g_assert_cmpint(get(buffer, 2000, 1), ==, 0);
    g_thread_join(thread);
    g_assert_cmpint(job.result, >, 0);
}

static void test_wanted_and_references(void)
{
    BlockBuffer *buffer = block_buffer_new(0, 100, 20);
    Job job = {.buffer = buffer, .offset = 0, .size = 40};
    g_assert_false(block_buffer_wanted(buffer));
    GThread *thread = g_thread_new("get", consumer_run, &job);
    wait_until(buffer, block_buffer_wanted);
    g_assert_cmpint(put(buffer, 40), ==, 40);
    g_assert_false(block_buffer_wanted(buffer));
    g_thread_join(thread);
    g_assert_cmpint(job.result, ==, 40);
    g_assert_true(block_buffer_ref(buffer) == buffer);
    block_buffer_unref(buffer);
    check_window(buffer, 0, 40);
    block_buffer_unref(buffer);
}

/* One reader, sizes at random on both sides */
static void test_stream(void)
{
    for (int round = 0; round < 40; round++) {
        gsize capacity = (gsize)g_test_rand_int_range(1, 200000);
        gsize keep = (gsize)g_test_rand_int_range(0, (gint32)capacity);
        gint64 start = g_test_rand_int_range(0, 100000);
        /* When nearly all is kept, room comes byte by byte: not too many of them. */
        gsize most = MIN(MIN(capacity * 20, (capacity - keep) * 200), 600000);
        gsize size = (gsize)g_test_rand_int_range(0, (gint32)most + 1);
        int error = g_test_rand_bit() ? 0 : -EPIPE;
        g_autoptr(BlockBuffer) buffer = block_buffer_new(start, capacity, keep);
        Job job = {.buffer = buffer,
                   .offset = start,
                   .size = size,
                   .most = capacity * 2,
                   .seed = g_test_rand_int(),
                   .error = error};
        GThread *thread = g_thread_new("put", producer_run, &job);
        gint64 offset = start;
        gint64 end = start + (gint64)size;
        while (offset < end) {
            gsize n = (gsize)g_test_rand_int_range(1, (gint32)capacity * 2 + 1);
            n = MIN(n, (gsize)(end - offset));
            g_assert_cmpint(get(buffer, offset, n), ==, (gssize)n);
            offset += (gint64)n;
        }
        g_assert_cmpint(get(buffer, end, 1), ==, error);
        g_thread_join(thread);
        g_assert_cmpint(job.result, >=, 0);
    }
}

/*
 * As the kernel's read-ahead does it: several threads read neighbouring blocks, in any order. All readers of a round
 * meet before the next begins, and a round is not longer than what the buffer keeps; so no byte may be missed.
 */
typedef struct {
    BlockBuffer *buffer;
    GMutex lock;
    GCond cond;
    int arrived; /* lock */
    int round;   /* lock */
    int rounds;
} Group;

typedef struct {
    Group *group;
    int index;
} Reader;

static void meet(Group *group)
{
    g_mutex_lock(&group->lock);
    int round = group->round;
    if (++group->arrived == READERS) {
        group->arrived = 0;
        group->round++;
        g_cond_broadcast(&group->cond);
    }
    Bound bound = bound_seconds(WAIT_SECONDS);
    while (group->round == round)
        g_assert_cmpint(bound_wait(&bound, &group->cond, &group->lock), ==, 0);
    g_mutex_unlock(&group->lock);
}

static gpointer reader_run(gpointer data)
{
    Reader *reader = data;
    for (int round = 0; round < reader->group->rounds; round++) {
        gint64 block = (gint64)round * READERS + (reader->index + round) % READERS;
        g_assert_cmpint(get(reader->group->buffer, block * BLOCK, BLOCK), ==, BLOCK);
        meet(reader->group);
    }
    return NULL;
}

static void test_readers(void)
{
    Group group = {.rounds = 200};
    g_mutex_init(&group.lock);
    g_cond_init(&group.cond);
    group.buffer = block_buffer_new(0, READERS * BLOCK + 500, READERS * BLOCK);
    Job job = {.buffer = group.buffer,
               .size = (gsize)group.rounds * READERS * BLOCK,
               .most = 700,
               .seed = g_test_rand_int(),
               .error = 0};
    GThread *producer = g_thread_new("put", producer_run, &job);
    Reader readers[READERS];
    GThread *threads[READERS];
    for (int i = 0; i < READERS; i++) {
        readers[i] = (Reader){.group = &group, .index = i};
        threads[i] = g_thread_new("reader", reader_run, &readers[i]);
    }
    for (int i = 0; i < READERS; i++)
        g_thread_join(threads[i]);
    g_thread_join(producer);
    g_assert_cmpint(job.result, >, 0);
    block_buffer_unref(group.buffer);
    g_mutex_clear(&group.lock);
    g_cond_clear(&group.cond);
}

/* Readers that do not wait for each other lose bytes now and then; they find out, jump to the window and go on. What
 * they get is right, and all of them come to the end. */
static gpointer free_reader_run(gpointer data)
{
    Job *job = data;
    g_autoptr(GRand) rand = g_rand_new_with_seed(job->seed);
    gint64 offset = 0;
    gssize n = 1;
    while (n != 0) {
        n = get(job->buffer, offset, (gsize)g_rand_int_range(rand, 1, (gint32)job->most));
        if (n == -ENODATA) {
            gint64 end;
            block_buffer_window(job->buffer, &offset, &end);
            if (g_rand_boolean(rand))
                offset = end + g_rand_int_range(rand, 0, 300);
        } else {
            g_assert_cmpint(n, >=, 0);
            offset += n;
        }
    }
    return NULL;
}

static void test_free_readers(void)
{
    g_autoptr(BlockBuffer) buffer = block_buffer_new(0, 5000, 1000);
    Job job = {.buffer = buffer, .size = 1000000, .most = 3000, .seed = g_test_rand_int(), .error = 0};
    Job jobs[READERS];
    GThread *threads[READERS];
    GThread *producer = g_thread_new("put", producer_run, &job);
    for (int i = 0; i < READERS; i++) {
        jobs[i] = (Job){.buffer = buffer, .most = 4000, .seed = g_test_rand_int()};
        threads[i] = g_thread_new("reader", free_reader_run, &jobs[i]);
    }
    for (int i = 0; i < READERS; i++)
        g_thread_join(threads[i]);
    g_thread_join(producer);
    g_assert_cmpint(job.result, >, 0);
}

/* Stopped while everybody is at work: all come back. */
static gpointer stopped_reader_run(gpointer data)
{
    Job *job = data;
    gint64 offset = 0;
    gssize n = 0;
    while (n >= 0) {
        n = get(job->buffer, offset, 100);
        offset += MAX(n, 0);
    }
    g_assert_cmpint(n, ==, -ENODATA);
    return NULL;
}

static void test_stop_all(void)
{
    for (int round = 0; round < 20; round++) {
        g_autoptr(BlockBuffer) buffer = block_buffer_new(0, 3000, 1000);
        Job job = {.buffer = buffer, .size = 1000000, .most = 3000, .seed = g_test_rand_int(), .error = 1};
        Job jobs[2] = {{.buffer = buffer}, {.buffer = buffer}};
        GThread *readers[2];
        GThread *producer = g_thread_new("put", producer_run, &job);
        for (int i = 0; i < 2; i++)
            readers[i] = g_thread_new("reader", stopped_reader_run, &jobs[i]);
        g_usleep((gulong)g_test_rand_int_range(0, 2000)); /* only to stop at different moments */
        block_buffer_stop(buffer);
        for (int i = 0; i < 2; i++)
            g_thread_join(readers[i]);
        g_thread_join(producer);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/block-buffer/basic", test_basic);
    g_test_add_func("/block-buffer/error", test_error);
    g_test_add_func("/block-buffer/stop", test_stop);
    g_test_add_func("/block-buffer/bound", test_bound);
    g_test_add_func("/block-buffer/reaches", test_reaches);
    g_test_add_func("/block-buffer/large-offset", test_large_offset);
    g_test_add_func("/block-buffer/capacity", test_capacity);
    g_test_add_func("/block-buffer/put-waits", test_put_waits);
    g_test_add_func("/block-buffer/stop-put", test_stop_put);
    g_test_add_func("/block-buffer/capacity-wakes-put", test_capacity_wakes_put);
    g_test_add_func("/block-buffer/end-of-waiting-get", test_end_of_waiting_get);
    g_test_add_func("/block-buffer/ahead", test_ahead);
    g_test_add_func("/block-buffer/behind-and-ahead", test_behind_and_ahead);
    g_test_add_func("/block-buffer/wanted-and-references", test_wanted_and_references);
    g_test_add_func("/block-buffer/stream", test_stream);
    g_test_add_func("/block-buffer/readers", test_readers);
    g_test_add_func("/block-buffer/free-readers", test_free_readers);
    g_test_add_func("/block-buffer/stop-all", test_stop_all);
    return g_test_run();
}
