/* SPDX-License-Identifier: MIT */
/*
 * What the kernel's pages of a file were read from: the size and time that the server told when the path was last
 * opened, or that our own upload got. Says at the next open whether they are still right. Bounded, the least recently
 * opened is forgotten first. Not thread-safe: its owner's lock guards it.
 */
#pragma once

#include "ftp/ftp_entry.h"

typedef struct KernelPages KernelPages;

KernelPages *kernel_pages_new(guint most);
void kernel_pages_free(KernelPages *pages);

/* An open of `path`, of which the server tells `attr` now. *ret_keep: what was remembered is the same; *ret_changed:
 * it is another one. Remembers `attr`. */
void kernel_pages_opened(KernelPages *pages, const char *path, const FtpAttr *attr, gboolean *ret_keep,
                         gboolean *ret_changed);

/* TRUE when pages of the file may be there; TRUE when they are, and are those of the file that the server tells `attr`
 * of. */
gboolean kernel_pages_know(const KernelPages *pages, const char *path);
gboolean kernel_pages_keep(const KernelPages *pages, const char *path, const FtpAttr *attr);

/* The server has what we wrote, and tells `attr` of it. */
void kernel_pages_uploaded(KernelPages *pages, const char *path, const FtpAttr *attr);

/* A rename: `to` and all below either path are forgotten, `from` itself goes on under its new name. */
void kernel_pages_renamed(KernelPages *pages, const char *from, const char *to);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KernelPages, kernel_pages_free)
