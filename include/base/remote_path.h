/* SPDX-License-Identifier: MIT */
/*
 * A path on the server, in the server's own bytes. It is the only thing that an FTP command accepts as a path, and it
 * can't hold CR, LF or NUL (RFC 959, 5.3.1: they end a command line), so a command can't be injected by a name.
 * A path never begins with '~' or '-', which some servers take for a home directory or an option: a relative one
 * begins with "./". Immutable and reference-counted; all functions are thread-safe.
 */
#pragma once

#include <glib.h>

#define REMOTE_PATH_MAX 4096 /* bytes; a longer path is -ENAMETOOLONG */

typedef struct RemotePath RemotePath;

/* `root` is the server path of the mount's root ("/home/u", "/", or "" for a login directory whose path is not known);
 * `relative` is below it, with or without a leading '/' ("/a/b", "/" or "" for the root itself). Doubled and trailing
 * slashes are folded; "." in `root` is left out, ".." in it stays. -EINVAL for CR or LF, "." or ".." as a part of
 * `relative`; -ENAMETOOLONG. `*ret` is owned by the caller. */
int remote_path_new(const char *root, const char *relative, RemotePath **ret);

RemotePath *remote_path_ref(RemotePath *path);
void remote_path_unref(RemotePath *path);

/* The child `name` of the directory; -EINVAL for an empty name, ".", "..", '/', CR or LF in it; -ENAMETOOLONG. */
int remote_path_child(const RemotePath *path, const char *name, RemotePath **ret);

/* The directory that holds it, owned by the caller; NULL for "/" and for "." */
RemotePath *remote_path_parent(const RemotePath *path);

/* As it stands in a command: "/home/u/a", "/", "./a", or "." */
const char *remote_path_bytes(const RemotePath *path);

/* The last part; "" for "/" and for "." */
const char *remote_path_name(const RemotePath *path);

/* For a URL: every byte outside [A-Za-z0-9._~-] percent-encoded, '/' kept as the separator; an absolute path begins
 * with "%2F" where its first slash stands ("%2Fhome/u/a"), a relative one without "./" ("a"), except
 * before a '~' or '-', where it stays ("./~a"), and "" for ".". libcurl removes "./" and ".." unless CURLOPT_PATH_AS_IS
 * is set: set it. Owned by the caller. */
char *remote_path_url(const RemotePath *path);

/* TRUE when a control character is in it: libcurl does not take such a path in a URL. */
gboolean remote_path_has_control(const RemotePath *path);

gboolean remote_path_equal(const RemotePath *a, const RemotePath *b);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(RemotePath, remote_path_unref)
