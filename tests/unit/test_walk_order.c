/* SPDX-License-Identifier: MIT */
/* walk_order: which names are next, for somebody who goes through a directory. */
#include "fs/walk_order.h"

#include "fs/dir_listing.h"

#include <string.h>

/* A directory of the files, in this order, and a subdirectory that does not count. */
static DirListing *list(const char *const *names, guint n)
{
    g_autoptr(DirBuilder) builder = dir_builder_new(1 << 20);
    for (guint i = 0; i < n; i++) {
        ListEntry entry = {.name = names[i], .attr = {.type = FTP_TYPE_FILE}};
        g_assert_cmpint(dir_builder_add(builder, &entry), ==, 0);
    }
    ListEntry sub = {.name = "a-subdirectory", .attr = {.type = FTP_TYPE_DIR}};
    g_assert_cmpint(dir_builder_add(builder, &sub), ==, 0);
    return dir_builder_finish(builder);
}

static DirListing *list_numbers(guint n)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < n; i++)
        g_ptr_array_add(names, g_strdup_printf("f%04u", i));
    return list((const char *const *)names->pdata, n);
}

static gboolean is_file(const ListEntry *entry)
{
    return entry->attr.type == FTP_TYPE_FILE;
}

/* The next names, with commas; NULL when no order is seen. */
static char *use(WalkOrders *orders, DirListing *listing, const char *name, gboolean eager, guint most)
{
    g_autoptr(GPtrArray) next = g_ptr_array_new_with_free_func(g_free);
    WalkOrder order;
    if (!walk_orders_use(orders, "/d", listing, name, eager, most, &order, next))
        return NULL;
    g_ptr_array_add(next, NULL);
    return g_strjoinv(",", (char **)next->pdata);
}

static void check(WalkOrders *orders, DirListing *listing, const char *name, const char *expected)
{
    g_autofree char *next = use(orders, listing, name, FALSE, 3);
    g_assert_cmpstr(next, ==, expected);
}

static void test_by_name(void)
{
    static const char *const names[] = {"e", "b", "d", "a", "c", "f"};
    g_autoptr(WalkOrders) orders = walk_orders_new(is_file);
    g_autoptr(DirListing) listing = list(names, G_N_ELEMENTS(names));

    check(orders, listing, "a", NULL);
    check(orders, listing, "a", NULL);
    check(orders, listing, "b", "c,d,e");
    check(orders, listing, "c", "d,e,f");
    check(orders, listing, "f", "");
    check(orders, listing, "a-subdirectory", NULL);
    check(orders, listing, "no such name", NULL);
}

static void test_as_listed(void)
{
    static const char *const names[] = {"e", "b", "y", "a", "x", "f"};
    g_autoptr(WalkOrders) orders = walk_orders_new(is_file);
    g_autoptr(DirListing) listing = list(names, G_N_ELEMENTS(names));

    check(orders, listing, "e", NULL);
    check(orders, listing, "b", "y,a,x");
    check(orders, listing, "y", "a,x,f");
}

static void test_no_order(void)
{
    g_autoptr(WalkOrders) orders = walk_orders_new(is_file);
    g_autoptr(DirListing) listing = list_numbers(1000);

    for (guint i = 0; i < 300; i++) {
        g_autofree char *name = g_strdup_printf("f%04u", i * 617 % 1000);
        check(orders, listing, name, NULL);
    }
}

static void test_eager(void)
{
    g_autoptr(WalkOrders) orders = walk_orders_new(is_file);
    g_autoptr(DirListing) listing = list_numbers(10);
    g_autofree char *middle = use(orders, listing, "f0004", TRUE, 2);
    g_autofree char *first = use(orders, listing, "f0000", TRUE, 2);

    g_assert_null(middle);
    g_assert_cmpstr(first, ==, "f0001,f0002");
}

/* Eight processes, each with a part of its own. */
static void test_slices(void)
{
    g_autoptr(WalkOrders) orders = walk_orders_new(is_file);
    g_autoptr(DirListing) listing = list_numbers(800);

    for (guint i = 0; i < 50; i++) {
        for (guint process = 0; process < 8; process++) {
            g_autofree char *name = g_strdup_printf("f%04u", process * 100 + i);
            g_autofree char *expected = g_strdup_printf("f%04u", process * 100 + i + 1);
            g_autofree char *next = use(orders, listing, name, FALSE, 1);
            g_assert_cmpstr(next, ==, i == 0 ? NULL : expected);
        }
    }
}

/* Several processes that share one list, out of step, and some names skipped. */
static void test_out_of_step(void)
{
    static const guint places[] = {1, 0, 3, 2, 5, 7, 4, 6, 12, 9, 14};
    g_autoptr(WalkOrders) orders = walk_orders_new(is_file);
    g_autoptr(DirListing) listing = list_numbers(100);
    guint furthest = 0;

    for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
        g_autofree char *name = g_strdup_printf("f%04u", places[i]);
        g_autofree char *next = use(orders, listing, name, FALSE, 1);
        furthest = MAX(furthest, places[i]);
        g_autofree char *expected = g_strdup_printf("f%04u", furthest + 1);
        if (i >= 3)
            g_assert_cmpstr(next, ==, expected);
    }
}

static void test_first(void)
{
    static const char *const names[] = {"e", "b", "y"};
    g_autoptr(WalkOrders) orders = walk_orders_new(is_file);
    g_autoptr(DirListing) listing = list(names, G_N_ELEMENTS(names));
    g_autoptr(GPtrArray) next = g_ptr_array_new_with_free_func(g_free);

    walk_orders_first(orders, "/d", listing, WALK_BY_NAME, 2, next);
    walk_orders_first(orders, "/d", listing, WALK_AS_LISTED, 7, next);
    g_ptr_array_add(next, NULL);
    g_autofree char *joined = g_strjoinv(",", (char **)next->pdata);
    g_assert_cmpstr(joined, ==, "b,e,e,b,y");
}

static void test_no_names(void)
{
    g_autoptr(WalkOrders) orders = walk_orders_new(is_file);
    g_autoptr(DirListing) listing = list(NULL, 0);
    g_autoptr(GPtrArray) next = g_ptr_array_new_with_free_func(g_free);

    check(orders, listing, "f", NULL);
    walk_orders_first(orders, "/d", listing, WALK_BY_NAME, 2, next);
    g_assert_cmpuint(next->len, ==, 0);
}

static void test_huge_directory(void)
{
    g_autoptr(WalkOrders) orders = walk_orders_new(is_file);
    g_autoptr(DirListing) listing = list_numbers(20000);

    check(orders, listing, "f0000", NULL);
    check(orders, listing, "f0001", NULL);
}

static void test_many_directories(void)
{
    g_autoptr(WalkOrders) orders = walk_orders_new(is_file);
    g_autoptr(DirListing) listing = list_numbers(3);
    g_autoptr(GPtrArray) next = g_ptr_array_new_with_free_func(g_free);
    WalkOrder order;

    for (guint i = 0; i < 1000; i++) {
        g_autofree char *dir = g_strdup_printf("/d%u", i);
        g_assert_false(walk_orders_use(orders, dir, listing, "f0000", FALSE, 9, &order, next));
    }
    g_assert_true(walk_orders_use(orders, "/d999", listing, "f0001", FALSE, 9, &order, next));
    g_assert_cmpuint(next->len, ==, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/walk_order/by_name", test_by_name);
    g_test_add_func("/walk_order/as_listed", test_as_listed);
    g_test_add_func("/walk_order/no_order", test_no_order);
    g_test_add_func("/walk_order/eager", test_eager);
    g_test_add_func("/walk_order/slices", test_slices);
    g_test_add_func("/walk_order/out_of_step", test_out_of_step);
    g_test_add_func("/walk_order/first", test_first);
    g_test_add_func("/walk_order/no_names", test_no_names);
    g_test_add_func("/walk_order/huge_directory", test_huge_directory);
    g_test_add_func("/walk_order/many_directories", test_many_directories);
    return g_test_run();
}
