/* SPDX-License-Identifier: MIT */
/*
 * A path is kept in the one form in which it stands in a command: absolute ("/", "/a/b") or relative to the login
 * directory ("." or "./a/b"), its parts separated by single slashes, none at the end. Everything is checked while that
 * form is built, so that the other functions can trust it. The last part is remembered by its offset.
 *
 * The root comes from the person who mounts, who may write ".." in it: those parts stay, because on a server with
 * symbolic links "a/.." is not nothing. What comes from FUSE or from a listing never holds "." or "..".
 */
#include "base/remote_path.h"

#include <errno.h>
#include <string.h>

struct RemotePath {
    int refs;   /* atomic */
    gsize name; /* offset of the last part; of the final NUL for "/" and "." */
    char bytes[];
};

static gboolean is_dots(const char *part, gsize size)
{
    return (size == 1 && part[0] == '.') || (size == 2 && part[0] == '.' && part[1] == '.');
}

static RemotePath *path_take(const GString *bytes)
{
    RemotePath *path = g_malloc(sizeof(RemotePath) + bytes->len + 1);
    path->refs = 1;
    memcpy(path->bytes, bytes->str, bytes->len + 1);
    const char *slash = strrchr(path->bytes, '/');
    path->name = slash != NULL ? (gsize)(slash - path->bytes) + 1 : bytes->len;
    return path;
}

static void append_part(GString *bytes, const char *part, gsize size)
{
    if (bytes->len == 0 || bytes->str[bytes->len - 1] != '/')
        g_string_append_c(bytes, '/');
    g_string_append_len(bytes, part, (gssize)size);
}

/* Appends every part of `text`. `dots`: "." is left out and ".." kept; otherwise both are -EINVAL. */
static int append_parts(GString *bytes, const char *text, gboolean dots)
{
    const char *part = text;
    while (*part != '\0') {
        gsize size = strcspn(part, "/");
        if (size > 0) {
            if (is_dots(part, size) && !dots)
                return -EINVAL;
            if (size != 1 || part[0] != '.')
                append_part(bytes, part, size);
            if (bytes->len > REMOTE_PATH_MAX)
                return -ENAMETOOLONG;
        }
        part += size;
        part += strspn(part, "/");
    }
    return 0;
}

int remote_path_new(const char *root, const char *relative, RemotePath **ret)
{
    if (strpbrk(root, "\r\n") != NULL || strpbrk(relative, "\r\n") != NULL)
        return -EINVAL;
    g_autoptr(GString) bytes = g_string_new(root[0] == '/' ? "/" : ".");
    int r = append_parts(bytes, root, TRUE);
    if (r == 0)
        r = append_parts(bytes, relative, FALSE);
    if (r < 0)
        return r;
    *ret = path_take(bytes);
    return 0;
}

RemotePath *remote_path_ref(RemotePath *path)
{
    g_atomic_int_inc(&path->refs);
    return path;
}

void remote_path_unref(RemotePath *path)
{
    if (path != NULL && g_atomic_int_dec_and_test(&path->refs))
        g_free(path);
}

int remote_path_child(const RemotePath *path, const char *name, RemotePath **ret)
{
    gsize size = strlen(name);
    if (size == 0 || is_dots(name, size) || strpbrk(name, "/\r\n") != NULL)
        return -EINVAL;
    g_autoptr(GString) bytes = g_string_new(path->bytes);
    append_part(bytes, name, size);
    if (bytes->len > REMOTE_PATH_MAX)
        return -ENAMETOOLONG;
    *ret = path_take(bytes);
    return 0;
}

RemotePath *remote_path_parent(const RemotePath *path)
{
    if (path->bytes[path->name] == '\0')
        return NULL;
    gsize size = path->name - 1; /* without the slash, except that the parent of "/a" is "/" */
    g_autoptr(GString) bytes = g_string_new_len(path->bytes, (gssize)MAX(size, 1));
    return path_take(bytes);
}

const char *remote_path_bytes(const RemotePath *path)
{
    return path->bytes;
}

const char *remote_path_name(const RemotePath *path)
{
    return path->bytes + path->name;
}

char *remote_path_url(const RemotePath *path)
{
    const char *from = path->bytes;
    GString *url = g_string_sized_new(strlen(from) + 8);
    if (from[0] == '/') {
        g_string_append(url, "%2F");
        from++;
    } else {
        from += from[1] == '/' ? 2 : 1; /* "./a" or "." */
        if (from[0] == '~' || from[0] == '-')
            g_string_append(url, "./"); /* see the header */
    }
    for (; *from != '\0'; from++) {
        if (g_ascii_isalnum(*from) || strchr("._~-/", *from) != NULL)
            g_string_append_c(url, *from);
        else
            g_string_append_printf(url, "%%%02X", (guint)(guint8)*from);
    }
    return g_string_free(url, FALSE);
}

gboolean remote_path_has_control(const RemotePath *path)
{
    for (const char *p = remote_path_bytes(path); *p; p++)
        if ((guchar)*p < 0x20)
            return TRUE;
    return FALSE;
}

gboolean remote_path_equal(const RemotePath *a, const RemotePath *b)
{
    return a == b || strcmp(a->bytes, b->bytes) == 0;
}
