/* SPDX-License-Identifier: MIT */
/*
 * Of each directory there are the names that count, in both orders, and some runs. A run is somebody who goes through
 * the directory: an order, and the furthest place in it that was used. A name joins the run whose place it is near to;
 * else it begins two new ones, one in each order, of which the wrong one is soon forgotten. The second name in a row
 * makes a run a walk. A name a little ahead of the run skips some; one a little behind is another process of the same
 * pipeline (`xargs -P`), and changes nothing.
 */
#include "walk_order.h"

#include <stdlib.h>
#include <string.h>

#define DIRS_MAX    16
#define ENTRIES_MAX 10000 /* of one directory; a larger one is not followed */
#define RUNS_MAX    32
#define STEP_FIRST  2  /* the second name of a run is at most so far behind the first */
#define STEP_MOST   16 /* the next ones, ahead or behind */
#define LISTING_AGE (G_USEC_PER_SEC)

typedef struct {
    WalkOrder order;
    gint head; /* place of the furthest name that was used */
    guint hits;
    guint64 used; /* of WalkOrders.clock */
} Run;

typedef struct {
    char *path;
    DirListing *listing;
    gint64 taken;           /* monotonic, µs: when the listing was */
    guint count;            /* names that count */
    guint32 *names[WALK_N]; /* records of the listing, in each order */
    guint32 *place;         /* place in WALK_AS_LISTED of each place in WALK_BY_NAME */
    Run runs[RUNS_MAX];
    guint n_runs;
} Followed;

struct WalkOrders {
    WalkFilter filter;
    GQueue dirs; /* Followed, the last used first */
    guint64 clock;
};

WalkOrders *walk_orders_new(WalkFilter filter)
{
    WalkOrders *orders = g_new0(WalkOrders, 1);
    orders->filter = filter;
    g_queue_init(&orders->dirs);
    return orders;
}

static void followed_clear(Followed *dir)
{
    dir_listing_unref(dir->listing);
    for (guint i = 0; i < WALK_N; i++)
        g_clear_pointer(&dir->names[i], g_free);
    g_clear_pointer(&dir->place, g_free);
    dir->listing = NULL;
    dir->count = 0;
}

static void followed_free(gpointer data)
{
    Followed *dir = data;
    followed_clear(dir);
    g_free(dir->path);
    g_free(dir);
}

void walk_orders_free(WalkOrders *orders)
{
    if (!orders)
        return;
    g_queue_clear_full(&orders->dirs, followed_free);
    g_free(orders);
}

/* ---- The names of a directory ---- */

static const char *name_at(const Followed *dir, WalkOrder order, guint place)
{
    ListEntry entry;
    dir_listing_entry(dir->listing, dir->names[order][place], &entry);
    return entry.name;
}

static int compare_places(gconstpointer a, gconstpointer b, gpointer data)
{
    const Followed *dir = data;
    return strcmp(name_at(dir, WALK_AS_LISTED, *(const guint32 *)a), name_at(dir, WALK_AS_LISTED, *(const guint32 *)b));
}

static void followed_load(Followed *dir, DirListing *listing, WalkFilter filter)
{
    guint size = dir_listing_size(listing);
    dir->listing = dir_listing_ref(listing);
    dir->taken = g_get_monotonic_time();
    if (size > ENTRIES_MAX)
        return;
    for (guint i = 0; i < WALK_N; i++)
        dir->names[i] = g_new(guint32, size);
    dir->place = g_new(guint32, size);
    for (guint i = 0; i < size; i++) {
        ListEntry entry;
        dir_listing_entry(listing, i, &entry);
        if (filter(&entry)) {
            dir->place[dir->count] = dir->count;
            dir->names[WALK_AS_LISTED][dir->count++] = i;
        }
    }
    if (dir->count > 0)
        qsort_r(dir->place, dir->count, sizeof *dir->place, compare_places, dir);
    for (guint i = 0; i < dir->count; i++)
        dir->names[WALK_BY_NAME][i] = dir->names[WALK_AS_LISTED][dir->place[i]];
}

/* FALSE when the name does not count. */
static gboolean followed_places(const Followed *dir, const char *name, gint *ret_places)
{
    guint low = 0, high = dir->count;
    while (low < high) {
        guint middle = low + (high - low) / 2;
        int r = strcmp(name, name_at(dir, WALK_BY_NAME, middle));
        if (r == 0) {
            ret_places[WALK_BY_NAME] = (gint)middle;
            ret_places[WALK_AS_LISTED] = (gint)dir->place[middle];
            return TRUE;
        }
        if (r < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return FALSE;
}

/* Another listing: the runs go on where they were. */
static void followed_reload(Followed *dir, DirListing *listing, WalkFilter filter)
{
    Followed old = *dir;
    guint kept = 0;
    dir->listing = NULL;
    memset(dir->names, 0, sizeof dir->names);
    dir->place = NULL;
    dir->count = 0;
    followed_load(dir, listing, filter);
    for (guint i = 0; i < old.n_runs; i++) {
        Run run = old.runs[i];
        gint places[WALK_N];
        if (!followed_places(dir, name_at(&old, run.order, (guint)run.head), places))
            continue;
        run.head = places[run.order];
        dir->runs[kept++] = run;
    }
    dir->n_runs = kept;
    followed_clear(&old);
}

static Followed *follow(WalkOrders *orders, const char *path, DirListing *listing)
{
    GList *item = orders->dirs.head;
    while (item && !g_str_equal(((Followed *)item->data)->path, path))
        item = item->next;
    if (item) {
        Followed *dir = item->data;
        g_queue_unlink(&orders->dirs, item);
        g_queue_push_head_link(&orders->dirs, item);
        /* Not at each change: a program that makes files in it would pay for the sorting each time. */
        if (dir->listing != listing && g_get_monotonic_time() - dir->taken >= LISTING_AGE)
            followed_reload(dir, listing, orders->filter);
        return dir;
    }
    if (orders->dirs.length >= DIRS_MAX)
        followed_free(g_queue_pop_tail(&orders->dirs));
    Followed *dir = g_new0(Followed, 1);
    dir->path = g_strdup(path);
    followed_load(dir, listing, orders->filter);
    g_queue_push_head(&orders->dirs, dir);
    return dir;
}

/* ---- Runs ---- */

static gboolean run_takes(const Run *run, gint place)
{
    gint step = place - run->head;
    return run->hits < 2 ? step >= 0 && step <= STEP_FIRST : step > -STEP_MOST && step <= STEP_MOST;
}

static Run *add_run(Followed *dir, WalkOrder order, gint place)
{
    Run *run = &dir->runs[0];
    if (dir->n_runs < RUNS_MAX) {
        run = &dir->runs[dir->n_runs++];
    } else {
        for (guint i = 1; i < RUNS_MAX; i++)
            if (dir->runs[i].used < run->used)
                run = &dir->runs[i];
    }
    *run = (Run){.order = order, .head = place};
    return run;
}

/* The run that the name at these places goes on with, or begins. */
static Run *find_run(WalkOrders *orders, Followed *dir, const gint *places, gboolean eager)
{
    Run *best = NULL;
    orders->clock++;
    for (guint i = 0; i < dir->n_runs; i++) {
        Run *run = &dir->runs[i];
        gint place = places[run->order];
        if (!run_takes(run, place))
            continue;
        if (place != run->head) /* the same name again is no walk */
            run->hits++;
        run->head = MAX(run->head, place);
        run->used = orders->clock;
        if (!best || run->hits > best->hits)
            best = run;
    }
    if (best)
        return best;
    for (guint order = 0; order < WALK_N; order++) {
        Run *run = add_run(dir, order, places[order]);
        run->used = orders->clock;
        run->hits = eager && places[order] == 0 ? 2 : 1;
        if (!best || run->hits > best->hits)
            best = run;
    }
    return best;
}

static void give_names(const Followed *dir, WalkOrder order, gint first, guint most, GPtrArray *ret_names)
{
    guint end = MIN(dir->count, (guint)first + most);
    for (guint i = (guint)first; i < end; i++)
        g_ptr_array_add(ret_names, g_strdup(name_at(dir, order, i)));
}

gboolean walk_orders_use(WalkOrders *orders, const char *path, DirListing *listing, const char *name, gboolean eager,
                         guint most, WalkOrder *ret_order, GPtrArray *ret_names)
{
    Followed *dir = follow(orders, path, listing);
    gint places[WALK_N];
    if (!followed_places(dir, name, places))
        return FALSE;
    const Run *run = find_run(orders, dir, places, eager);
    if (run->hits < 2)
        return FALSE;
    *ret_order = run->order;
    give_names(dir, run->order, run->head + 1, most, ret_names);
    return TRUE;
}

void walk_orders_first(WalkOrders *orders, const char *path, DirListing *listing, WalkOrder order, guint most,
                       GPtrArray *ret_names)
{
    give_names(follow(orders, path, listing), order, 0, most, ret_names);
}
