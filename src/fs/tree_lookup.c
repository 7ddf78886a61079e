/* SPDX-License-Identifier: MIT */
/*
 * Asking for names. The cache goes first. What it does not know is asked for alone (MLST, one round trip) the first
 * time a name in a directory is wanted, and by listing the directory from the second time on: whoever wants two names
 * usually wants all. A server without MLST has its directories listed.
 *
 * Symbolic links. With symlinks=on a link whose target the server tells is shown as a link. Any other link is shown as
 * what it points to, which is found out when it is looked at: what has a size (SIZE, or MLST) is a file, what can be
 * listed is a directory, and what is neither is shown as the link it is, dangling. (Some servers list nothing, without
 * an error, for a link that leads nowhere: it is then an empty directory.)
 */
#include "tree_private.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define MISSES_MAX 4096 /* directories; then all are forgotten */

/* ---- One name at the server ---- */

static int look_by_list(Tree *tree, const Bound *bound, const char *path, gint64 max_age, FtpAttr *ret,
                        char **ret_target)
{
    g_autofree char *parent = g_path_get_dirname(path);
    g_autoptr(DirListing) listing = NULL;
    ListEntry entry;
    int r = dir_cache_list_since(tree->cache, bound, parent, max_age, &listing);

    if (r < 0)
        return r;
    if (!dir_listing_find(listing, tree_name(path), &entry))
        return -ENOENT;
    *ret = entry.attr;
    if (ret_target)
        *ret_target = g_strdup(entry.target);
    return 0;
}

typedef int (*AskFunc)(FtpClient *client, const FtpCall *call, const RemotePath *path, FtpAttr *ret, char **ret_target);

/* Asks for one name alone, and notes the answer. */
static int look_alone(Tree *tree, const Bound *bound, const char *path, AskFunc ask, FtpAttr *ret, char **ret_target)
{
    g_autoptr(RemotePath) remote = NULL;
    g_autofree char *target = NULL;
    FtpCall call = tree_call(bound);
    FtpAttr attr;

    int r = ftp_client_path(tree->client, path, &remote);
    if (r < 0)
        return r;
    guint64 stamp = dir_cache_stamp(tree->cache);
    r = ask(tree->client, &call, remote, &attr, &target);
    if (r == -ENOENT)
        dir_cache_note_absent(tree->cache, path, stamp);
    if (r < 0)
        return r;
    dir_cache_note(tree->cache, path, &attr, target, stamp);
    *ret = attr;
    if (ret_target)
        *ret_target = g_steal_pointer(&target);
    return 0;
}

static int look_by_mlst(Tree *tree, const Bound *bound, const char *path, FtpAttr *ret, char **ret_target)
{
    if (!ftp_features_may_try(ftp_client_features(tree->client), FTP_FEATURE_MLST))
        return -EOPNOTSUPP;
    return look_alone(tree, bound, path, ftp_client_stat, ret, ret_target);
}

/* Without MLST: one line of LIST. Of a directory that is not how one asks. */
static int look_by_stat(Tree *tree, const Bound *bound, const char *path, FtpAttr *ret, char **ret_target)
{
    FtpAttr attr;

    if (dir_cache_attr(tree->cache, path, &attr) && attr.type == FTP_TYPE_DIR)
        return -EOPNOTSUPP;
    return look_alone(tree, bound, path, ftp_client_stat_line, ret, ret_target);
}

int tree_look(Tree *tree, const Bound *bound, const char *path, FtpAttr *ret, char **ret_target)
{
    int r = look_by_mlst(tree, bound, path, ret, ret_target);

    if (r == -EOPNOTSUPP)
        r = look_by_stat(tree, bound, path, ret, ret_target);
    if (r == -EOPNOTSUPP || r == -EREMOTEIO)
        r = look_by_list(tree, bound, path, 0, ret, ret_target);
    return r;
}

/* TRUE when a name in this directory was asked for alone already, within the time to live. */
static gboolean missed_before(Tree *tree, const char *path)
{
    g_autofree char *parent = g_path_get_dirname(path);
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&tree->lock);
    gint64 now = g_get_monotonic_time();
    gint64 *when = g_hash_table_lookup(tree->misses, parent);

    if (when && now - *when < tree->options->cache_ttl * (gint64)TREE_SECOND) {
        g_hash_table_remove(tree->misses, parent);
        return TRUE;
    }
    if (g_hash_table_size(tree->misses) >= MISSES_MAX)
        g_hash_table_remove_all(tree->misses);
    when = g_new(gint64, 1);
    *when = now;
    g_hash_table_replace(tree->misses, g_steal_pointer(&parent), when);
    return FALSE;
}

/* What the cache knows of the directory that would hold the name: -ENOENT, -ENOTDIR, or 0. */
static int check_parent(Tree *tree, const char *path)
{
    g_autofree char *parent = g_path_get_dirname(path);
    FtpAttr attr;
    int r = dir_cache_lookup(tree->cache, parent, -1, &attr, NULL, NULL);

    if (r == -ENOENT)
        return r;
    return r == 0 && attr.type == FTP_TYPE_FILE ? -ENOTDIR : 0;
}

/* Size and time by SIZE and MDTM, put over what is known of type and mode. */
static int refine(Tree *tree, const Bound *bound, const char *path, FtpAttr *attr)
{
    g_autoptr(RemotePath) remote = NULL;
    FtpCall call = tree_call(bound);
    FtpAttr exact = {0};
    guint64 stamp = dir_cache_stamp(tree->cache);
    int r = ftp_client_path(tree->client, path, &remote);

    if (r == 0)
        r = ftp_client_size_and_time(tree->client, &call, remote, &exact);
    if (r < 0)
        return r;
    if ((exact.has & FTP_HAS_SIZE) != 0)
        attr->size = exact.size;
    if ((exact.has & FTP_HAS_MTIME) != 0) {
        attr->mtime = exact.mtime;
        attr->mtime_precision = exact.mtime_precision;
    }
    attr->has |= exact.has & (FTP_HAS_SIZE | FTP_HAS_MTIME);
    dir_cache_note(tree->cache, path, attr, NULL, stamp);
    return exact.has != 0 ? 0 : -EOPNOTSUPP;
}

/* Whether a name is there now, of which an older answer said that it is a file, or that it is not there: SIZE tells,
 * and spares the listing of a large directory for each file that is made in it. -EAGAIN when it does not. */
static int look_by_size(Tree *tree, const Bound *bound, const char *path, FtpAttr *ret)
{
    FtpAttr attr;
    int known = dir_cache_lookup(tree->cache, path, -1, &attr, NULL, NULL);

    if (known == -ENOENT)
        attr = (FtpAttr){.type = FTP_TYPE_FILE};
    else if (known < 0 || attr.type != FTP_TYPE_FILE)
        return -EAGAIN;
    guint64 stamp = dir_cache_stamp(tree->cache);
    int r = refine(tree, bound, path, &attr);
    if (r == 0) {
        *ret = attr;
    } else if (known == -ENOENT && (r == -EREMOTEIO || r == -ENOENT)) {
        dir_cache_note_absent(tree->cache, path, stamp);
        r = -ENOENT;
    } else if (r == -EREMOTEIO || r == -ENOENT || r == -EOPNOTSUPP) {
        r = -EAGAIN;
    }
    return r;
}

static int look_unknown(Tree *tree, const Bound *bound, const char *path, gint64 max_age, FtpAttr *ret,
                        char **ret_target)
{
    if (max_age == 0)
        return tree_look(tree, bound, path, ret, ret_target);
    int r = check_parent(tree, path);
    if (r < 0)
        return r;
    r = -EOPNOTSUPP;
    if (max_age > 0 || !tree->options->cache || !missed_before(tree, path))
        r = look_by_mlst(tree, bound, path, ret, ret_target);
    if (max_age > 0 && r == -EOPNOTSUPP) {
        r = look_by_size(tree, bound, path, ret);
        if (r != -EAGAIN)
            return r;
    }
    if (r == -EOPNOTSUPP || r == -EREMOTEIO || r == -EAGAIN)
        r = look_by_list(tree, bound, path, max_age, ret, ret_target);
    return r;
}

/* ---- Links that are shown as what they point to ---- */

static int ignore_entry(const ListEntry *entry, gpointer data)
{
    return 0;
}

static int follow_link(Tree *tree, const Bound *bound, const char *path, FtpAttr *attr)
{
    g_autoptr(RemotePath) remote = NULL;
    FtpCall call = tree_call(bound);
    FtpAttr target = {0};
    guint64 stamp = dir_cache_stamp(tree->cache);
    int r = ftp_client_path(tree->client, path, &remote);

    if (r < 0)
        return r;
    r = ftp_client_size_and_time(tree->client, &call, remote, &target);
    if (r == 0 && (target.has & FTP_HAS_SIZE) != 0) {
        target.type = FTP_TYPE_FILE;
    } else if (r == 0 || r == -EREMOTEIO || r == -EOPNOTSUPP || r == -ENOENT) {
        r = ftp_client_list(tree->client, &call, remote, ignore_entry, NULL, NULL);
        if (r == -EREMOTEIO || r == -ENOENT || r == -EACCES)
            return 0;
        if (r < 0)
            return r;
        target = (FtpAttr){.type = FTP_TYPE_DIR};
    } else {
        return r;
    }
    if ((target.has & FTP_HAS_MTIME) == 0 && (attr->has & FTP_HAS_MTIME) != 0) {
        target.has |= FTP_HAS_MTIME;
        target.mtime = attr->mtime;
        target.mtime_precision = attr->mtime_precision;
    }
    *attr = target;
    dir_cache_note(tree->cache, path, attr, NULL, stamp);
    return 0;
}

/* ---- The functions of the header ---- */

static void root_attr(const Tree *tree, FtpAttr *ret)
{
    *ret = (FtpAttr){.type = FTP_TYPE_DIR,
                     .has = FTP_HAS_MTIME | FTP_HAS_MODE,
                     .mtime = tree->mounted,
                     .mtime_precision = 1,
                     .mode = 0755};
}

/* Our own names are not there for anybody; but those that libfuse has asked for are looked up by it. */
static gboolean is_hidden(const Tree *tree, const char *path)
{
    return private_names_is_like(tree_name(path)) && private_names_has(tree->names, tree_name(path));
}

int tree_lookup(Tree *tree, const Bound *bound, const char *path, gint64 max_age, FtpAttr *ret, char **ret_target)
{
    g_autofree char *target = NULL;
    FtpAttr attr;

    if (g_str_equal(path, "/")) {
        root_attr(tree, ret);
        if (ret_target)
            *ret_target = NULL;
        return 0;
    }
    if (strlen(tree_name(path)) > NAME_MAX)
        return -ENAMETOOLONG;
    if (is_hidden(tree, path))
        return -ENOENT;
    int r = dir_cache_lookup(tree->cache, path, max_age, &attr, &target, NULL);
    if (r == -EAGAIN)
        r = look_unknown(tree, bound, path, max_age, &attr, &target);
    if (r == 0 && attr.type == FTP_TYPE_LINK && (!tree->options->symlinks || !target))
        r = follow_link(tree, bound, path, &attr);
    if (r < 0)
        return r;
    *ret = attr;
    if (ret_target)
        *ret_target = g_steal_pointer(&target);
    return 0;
}

int tree_lookup_for_open(Tree *tree, const Bound *bound, const char *path, FtpAttr *ret)
{
    FtpAttr attr;
    gint64 age;

    if (is_hidden(tree, path))
        return -ENOENT;
    int r = dir_cache_lookup(tree->cache, path, TREE_SECOND, &attr, NULL, &age);
    if (r == 0 && attr.type != FTP_TYPE_LINK && (attr.mtime_precision == 1 || attr.type == FTP_TYPE_DIR)) {
        *ret = attr;
        return 0;
    }
    r = look_by_mlst(tree, bound, path, &attr, NULL);
    if (r == 0 && attr.type == FTP_TYPE_FILE && (attr.has & FTP_HAS_SIZE) == 0)
        refine(tree, bound, path, &attr);
    if (r == -EOPNOTSUPP || r == -EREMOTEIO || (r == 0 && attr.type == FTP_TYPE_LINK)) {
        r = tree_lookup(tree, bound, path, -1, &attr, NULL);
        if (r == 0 && attr.type == FTP_TYPE_FILE) {
            r = refine(tree, bound, path, &attr);
            if (r == -EOPNOTSUPP || r == -EREMOTEIO || r == -ENOENT)
                r = tree_lookup(tree, bound, path, r == -EOPNOTSUPP ? TREE_SECOND : 0, &attr, NULL);
        }
    }
    if (r == 0)
        *ret = attr;
    return r;
}

typedef struct {
    const char *name;
    gboolean found, others;
} Shown;

static int shown_entry(const ListEntry *entry, gpointer data)
{
    Shown *shown = data;

    if (g_str_equal(entry->name, shown->name))
        shown->found = TRUE;
    else
        shown->others = TRUE;
    return 0;
}

/* After an upload of which the server says that it is not there. An upload directory may well hide what is in it; one
 * that shows others, and not this, has lost it. */
static gboolean is_lost(Tree *tree, const Bound *bound, const char *path)
{
    g_autofree char *parent = g_path_get_dirname(path);
    g_autoptr(RemotePath) remote = NULL;
    FtpCall call = tree_call(bound);
    Shown shown = {.name = tree_name(path)};

    if (ftp_client_path(tree->client, parent, &remote) < 0 ||
        ftp_client_list(tree->client, &call, remote, shown_entry, NULL, &shown) < 0)
        return FALSE;
    return shown.others && !shown.found;
}

int tree_uploaded(Tree *tree, const Bound *bound, const char *path, gint64 size)
{
    FtpAttr attr, known;
    gboolean had = dir_cache_lookup(tree->cache, path, -1, &known, NULL, NULL) == 0;
    int r = look_by_mlst(tree, bound, path, &attr, NULL);

    if (r < 0 || attr.type != FTP_TYPE_FILE) {
        /* Without MLST, or where it is refused: an upload directory may well hide what is in it. */
        if (r < 0 && r != -EOPNOTSUPP && r != -EREMOTEIO && r != -ENOENT && r != -EACCES)
            return r;
        attr = had ? known : (FtpAttr){.type = FTP_TYPE_FILE};
        attr.type = FTP_TYPE_FILE;
        attr.has &= ~(FTP_HAS_SIZE | FTP_HAS_MTIME);
    }
    if ((attr.has & FTP_HAS_SIZE) == 0 || (attr.has & FTP_HAS_MTIME) == 0) {
        r = refine(tree, bound, path, &attr);
        if (r < 0 && r != -EOPNOTSUPP && r != -EREMOTEIO && r != -ENOENT && r != -EACCES)
            return r;
        if ((r == -EREMOTEIO || r == -ENOENT) && is_lost(tree, bound, path))
            return -EIO;
    }
    if ((attr.has & FTP_HAS_SIZE) == 0)
        attr.size = size;
    if ((attr.has & FTP_HAS_MTIME) == 0) {
        attr.mtime = g_get_real_time() / TREE_SECOND;
        attr.mtime_precision = 60;
    }
    if ((attr.has & FTP_HAS_MODE) == 0 && had && (known.has & FTP_HAS_MODE) != 0) {
        attr.mode = known.mode;
        attr.has |= FTP_HAS_MODE;
    }
    attr.has |= FTP_HAS_SIZE | FTP_HAS_MTIME;
    dir_cache_put(tree->cache, path, &attr, NULL, FALSE);
    return attr.size == size ? 0 : -EIO;
}

int tree_explain(Tree *tree, const Bound *bound, const char *path, gboolean creates, int error)
{
    g_autofree char *parent = g_path_get_dirname(path);
    FtpAttr attr;

    if (error != -EREMOTEIO)
        return error;
    int r = g_str_equal(path, "/") ? 0 : tree_look(tree, bound, path, &attr, NULL);
    if (r == 0)
        return creates ? -EEXIST : -EACCES;
    if (r != -ENOENT || !creates || g_str_equal(parent, "/"))
        return r == -ENOENT && creates ? -EACCES : r;
    r = tree_look(tree, bound, parent, &attr, NULL);
    if (r == 0)
        r = attr.type == FTP_TYPE_FILE ? -ENOTDIR : -EACCES;
    return r;
}

/* "../x" for an absolute target below the mount's root on the server, from where the link stands: right wherever the
 * mountpoint is. Another target stays as it is. */
static char *transform_target(const Tree *tree, const char *path, const char *target)
{
    const char *root = ftp_client_root(tree->client);
    gsize size = strlen(root);
    GString *result;

    while (size > 0 && root[size - 1] == '/')
        size--;
    if (target[0] != '/' || strncmp(target, root, size) != 0 || (target[size] != '/' && target[size] != '\0'))
        return g_strdup(target);
    const char *below = target + size;
    while (*below == '/')
        below++;
    result = g_string_new(NULL);
    for (const char *p = path + 1; *p; p++)
        if (*p == '/')
            g_string_append(result, "../");
    g_string_append(result, below);
    if (result->len == 0)
        g_string_append_c(result, '.');
    return g_string_free(result, FALSE);
}

int tree_readlink(Tree *tree, const Bound *bound, const char *path, char **ret)
{
    g_autofree char *target = NULL;
    FtpAttr attr;
    int r = tree_lookup(tree, bound, path, -1, &attr, &target);

    if (r < 0)
        return r;
    if (attr.type != FTP_TYPE_LINK)
        return -EINVAL;
    if (!target)
        return -ENOENT;
    *ret = tree->options->transform_symlinks ? transform_target(tree, path, target) : g_steal_pointer(&target);
    return 0;
}
