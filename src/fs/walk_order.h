/* SPDX-License-Identifier: MIT */
/*
 * Tells from the names of a directory that are used one after the other which ones will be next. Programs go through a
 * directory in one of two orders: as readdir(3) gave the names, or sorted. Several may do so at once, each in a part of
 * its own, or all together, a little out of step. Bounded; not thread-safe. Knows neither files nor servers.
 */
#pragma once

#include "fs/dir_cache.h"

typedef struct WalkOrders WalkOrders;

typedef enum { WALK_AS_LISTED, WALK_BY_NAME, WALK_N } WalkOrder;

/* TRUE for the entries that count; only those are seen and given. */
typedef gboolean (*WalkFilter)(const ListEntry *entry);

WalkOrders *walk_orders_new(WalkFilter filter);
void walk_orders_free(WalkOrders *orders);

/* `name` of the directory `dir`, which is listed so, is used now. TRUE when it goes on with an order that was seen
 * before; `ret_names` (of char *, with a free function) then gets up to `most` of the names that are next, and
 * *ret_order which order it is. `eager`: the directory is part of a walk, so the first name of an order is enough. */
gboolean walk_orders_use(WalkOrders *orders, const char *dir, DirListing *listing, const char *name, gboolean eager,
                         guint most, WalkOrder *ret_order, GPtrArray *ret_names);

/* The first names of a directory in that order, up to `most`. */
void walk_orders_first(WalkOrders *orders, const char *dir, DirListing *listing, WalkOrder order, guint most,
                       GPtrArray *ret_names);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(WalkOrders, walk_orders_free)
