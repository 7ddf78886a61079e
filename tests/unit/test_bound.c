/* SPDX-License-Identifier: MIT */
#include "base/bound.h"

#include <errno.h>
#include <limits.h>

static gboolean answer(gpointer data)
{
    const gboolean *interrupted = data;
    return *interrupted;
}

static void test_check(void)
{
    g_assert_cmpint(bound_check(NULL), ==, 0);
    Bound never = {.deadline = G_MAXINT64};
    g_assert_cmpint(bound_check(&never), ==, 0);
    Bound over = {.deadline = 0};
    g_assert_cmpint(bound_check(&over), ==, -ETIMEDOUT);
    Bound long_time = bound_seconds(3600);
    g_assert_cmpint(bound_check(&long_time), ==, 0);
    Bound at_once = bound_seconds(0);
    g_assert_cmpint(bound_check(&at_once), ==, -ETIMEDOUT);
    Bound negative = bound_seconds(-5);
    g_assert_cmpint(bound_check(&negative), ==, -ETIMEDOUT);
    Bound for_ever = bound_seconds(1e300);
    g_assert_cmpint(for_ever.deadline, ==, G_MAXINT64);
}

static void test_interrupted(void)
{
    gboolean interrupted = FALSE;
    Bound bound = {.deadline = G_MAXINT64, .interrupted = answer, .data = &interrupted};
    g_assert_cmpint(bound_check(&bound), ==, 0);
    interrupted = TRUE;
    g_assert_cmpint(bound_check(&bound), ==, -EINTR);
    bound.deadline = 0; /* both: the person comes first */
    g_assert_cmpint(bound_check(&bound), ==, -EINTR);
}

static void test_within(void)
{
    gboolean interrupted = TRUE;
    gint64 now = g_get_monotonic_time();
    Bound near = {.deadline = now + 5, .interrupted = answer, .data = &interrupted};
    Bound within = bound_within(&near, 3600);
    g_assert_cmpint(within.deadline, ==, near.deadline);
    g_assert_cmpint(bound_check(&within), ==, -EINTR);

    Bound far = {.deadline = now + 7200 * (gint64)G_USEC_PER_SEC};
    within = bound_within(&far, 3600);
    g_assert_cmpint(within.deadline, <, far.deadline);
    g_assert_cmpint(within.deadline, >=, now + 3600 * (gint64)G_USEC_PER_SEC);
    within = bound_within(&far, 1e12);
    g_assert_cmpint(within.deadline, ==, far.deadline);

    within = bound_within(NULL, 3600);
    g_assert_null(within.interrupted);
    g_assert_cmpint(within.deadline, >=, now + 3600 * (gint64)G_USEC_PER_SEC);
}

static void test_slice(void)
{
    g_assert_cmpint(bound_slice(NULL, 1234), ==, 1234);
    g_assert_cmpint(bound_slice(NULL, -1), ==, 0);
    Bound over = {.deadline = 0};
    g_assert_cmpint(bound_slice(&over, 1000), ==, 0);
    Bound long_time = bound_seconds(3600);
    g_assert_cmpint(bound_slice(&long_time, 1000), ==, 1000);
    g_assert_cmpint(bound_slice(&long_time, INT_MAX), <=, 3600 * 1000);
    g_assert_cmpint(bound_slice(&long_time, INT_MAX), >, 1000);
    gboolean interrupted = FALSE;
    long_time.interrupted = answer;
    long_time.data = &interrupted;
    g_assert_cmpint(bound_slice(&long_time, INT_MAX), ==, 100);
    g_assert_cmpint(bound_slice(&long_time, 7), ==, 7);
}

typedef struct {
    GMutex lock;
    GCond cond;
    gboolean ready; /* lock */
} Shared;

static gpointer make_ready(gpointer data)
{
    Shared *shared = data;
    g_mutex_lock(&shared->lock);
    shared->ready = TRUE;
    g_cond_broadcast(&shared->cond);
    g_mutex_unlock(&shared->lock);
    return NULL;
}

static void wait_until_ready(const Bound *bound)
{
    Shared shared = {.ready = FALSE};
    g_mutex_init(&shared.lock);
    g_cond_init(&shared.cond);
    g_mutex_lock(&shared.lock);
    GThread *thread = g_thread_new("ready", make_ready, &shared);
    while (!shared.ready)
        g_assert_cmpint(bound_wait(bound, &shared.cond, &shared.lock), ==, 0);
    g_mutex_unlock(&shared.lock);
    g_thread_join(thread);
    g_mutex_clear(&shared.lock);
    g_cond_clear(&shared.cond);
}

static void test_wait(void)
{
    wait_until_ready(NULL);
    Bound never = {.deadline = G_MAXINT64};
    wait_until_ready(&never);
    Bound long_time = bound_seconds(60);
    wait_until_ready(&long_time);
    gboolean interrupted = FALSE;
    Bound interruptible = {.deadline = G_MAXINT64, .interrupted = answer, .data = &interrupted};
    wait_until_ready(&interruptible);

    GMutex lock;
    GCond cond;
    g_mutex_init(&lock);
    g_cond_init(&cond);
    g_mutex_lock(&lock);
    Bound over = {.deadline = 0};
    g_assert_cmpint(bound_wait(&over, &cond, &lock), ==, -ETIMEDOUT);
    interrupted = TRUE;
    g_assert_cmpint(bound_wait(&interruptible, &cond, &lock), ==, -EINTR);
    Bound soon = bound_seconds(0.02);
    int r = 0;
    while (r == 0)
        r = bound_wait(&soon, &cond, &lock);
    g_assert_cmpint(r, ==, -ETIMEDOUT);
    g_mutex_unlock(&lock);
    g_mutex_clear(&lock);
    g_cond_clear(&cond);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/bound/check", test_check);
    g_test_add_func("/bound/interrupted", test_interrupted);
    g_test_add_func("/bound/within", test_within);
    g_test_add_func("/bound/slice", test_slice);
    g_test_add_func("/bound/wait", test_wait);
    return g_test_run();
}
