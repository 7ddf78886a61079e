/* SPDX-License-Identifier: MIT */
/* Inside of dir_cache: how a listing is built. It is immutable once others see it. */
#pragma once

#include "fs/dir_cache.h"

/* A builder that takes at most `max_bytes` (names, records and index together). */
DirBuilder *dir_builder_new(gsize max_bytes);
void dir_builder_set_ahead(DirBuilder *builder);
void dir_builder_free(DirBuilder *builder);

/* The listing of what was added; the builder is empty after it. Never NULL. */
DirListing *dir_builder_finish(DirBuilder *builder);

/* Memory that the listing takes, in bytes. */
gsize dir_listing_bytes(const DirListing *listing);

/* The attributes of one entry, to be changed before anybody else sees the listing. */
FtpAttr *dir_listing_attr(DirListing *listing, guint index);

/* TRUE, and *attr gets the exact time, when `known` has a time to the second that `attr`, whose time is coarser, does
 * not contradict: the same type and size, and a time within the listing's precision. */
gboolean dir_attr_keep_exact_time(FtpAttr *attr, const FtpAttr *known);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DirBuilder, dir_builder_free)
