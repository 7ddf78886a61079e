/* SPDX-License-Identifier: MIT */
/*
 * tree on a stand-in for the client: a server in memory whose manners can be chosen (no MLST, no replacing by RNTO,
 * a 550 for everything it refuses), and that writes down what it was asked.
 */
#include "fs/tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    FtpAttr attr;
    char *target;
} Node;

struct FtpClient {
    FtpFeatures *features;
    GHashTable *nodes; /* "/a/b" -> Node */
    GString *log;
    gboolean refuse_replace; /* RNTO of a name that exists: 550 */
    guint fail_renames;      /* so many renames more, after `good_renames`, are refused */
    guint good_renames;
    gboolean no_times, no_modes, no_sizes;
    gboolean recursive_rmdir;
};

static void node_free(gpointer data)
{
    Node *node = data;

    g_free(node->target);
    g_free(node);
}

static Node *server_add(FtpClient *client, const char *path, FtpType type, gint64 size)
{
    Node *node = g_new0(Node, 1);

    node->attr = (FtpAttr){.type = (guint8)type,
                           .size = size,
                           .mtime = 1000000,
                           .mtime_precision = 1,
                           .has = FTP_HAS_SIZE | FTP_HAS_MTIME};
    g_hash_table_replace(client->nodes, g_strdup(path), node);
    return node;
}

static Node *server_find(const FtpClient *client, const char *path)
{
    return g_hash_table_lookup(client->nodes, path);
}

static gint64 server_size(const FtpClient *client, const char *path)
{
    const Node *node = server_find(client, path);

    return node ? node->attr.size : -1;
}

static gboolean is_child(const char *path, const char *dir)
{
    g_autofree char *parent = g_path_get_dirname(path);

    return g_str_equal(parent, dir) && !g_str_equal(path, "/");
}

static gboolean server_is_full(const FtpClient *client, const char *dir)
{
    GHashTableIter iter;
    gpointer path;

    g_hash_table_iter_init(&iter, client->nodes);
    while (g_hash_table_iter_next(&iter, &path, NULL))
        if (is_child(path, dir))
            return TRUE;
    return FALSE;
}

static void asked(FtpClient *client, const char *command, const RemotePath *path)
{
    g_string_append_printf(client->log, "%s %s;", command, remote_path_bytes(path));
}

/* ---- The client's functions ---- */

const FtpFeatures *ftp_client_features(const FtpClient *client)
{
    return client->features;
}

const char *ftp_client_root(const FtpClient *client)
{
    return "/srv/ftp";
}

int ftp_client_path(const FtpClient *client, const char *local, RemotePath **ret)
{
    return remote_path_new("/", local, ret);
}

int ftp_client_list(FtpClient *client, const FtpCall *call, const RemotePath *dir, ListEntryFunc entry,
                    void (*restart)(gpointer data), gpointer data)
{
    const Node *self = server_find(client, remote_path_bytes(dir));
    GHashTableIter iter;
    gpointer path, value;
    int r = 0;

    asked(client, "LIST", dir);
    if (!self || self->attr.type == FTP_TYPE_FILE || (self->attr.type == FTP_TYPE_LINK && !self->target))
        return -EREMOTEIO;
    g_hash_table_iter_init(&iter, client->nodes);
    while (r == 0 && g_hash_table_iter_next(&iter, &path, &value)) {
        const Node *node = value;
        if (!is_child(path, remote_path_bytes(dir)))
            continue;
        ListEntry e = {.name = strrchr(path, '/') + 1, .target = node->target, .attr = node->attr};
        r = entry(&e, data);
    }
    return r;
}

int ftp_client_stat(FtpClient *client, const FtpCall *call, const RemotePath *path, FtpAttr *ret, char **ret_target)
{
    const Node *node = server_find(client, remote_path_bytes(path));

    asked(client, "MLST", path);
    if (!ftp_features_has(client->features, FTP_FEATURE_MLST))
        return -EOPNOTSUPP;
    if (!node)
        return -ENOENT;
    *ret = node->attr;
    *ret_target = g_strdup(node->target);
    return 0;
}

int ftp_client_stat_line(FtpClient *client, const FtpCall *call, const RemotePath *path, FtpAttr *ret,
                         char **ret_target)
{
    return -EOPNOTSUPP;
}

int ftp_client_size_and_time(FtpClient *client, const FtpCall *call, const RemotePath *path, FtpAttr *ret)
{
    const Node *node = server_find(client, remote_path_bytes(path));

    asked(client, "SIZE", path);
    if (client->no_sizes)
        return -EOPNOTSUPP;
    if (!node || node->attr.type != FTP_TYPE_FILE)
        return -EREMOTEIO;
    *ret = (FtpAttr){
        .has = FTP_HAS_SIZE | FTP_HAS_MTIME, .size = node->attr.size, .mtime = node->attr.mtime, .mtime_precision = 1};
    return 0;
}

int ftp_client_mkdir(FtpClient *client, const FtpCall *call, const RemotePath *path)
{
    g_autoptr(RemotePath) parent = remote_path_parent(path);

    asked(client, "MKD", path);
    if (server_find(client, remote_path_bytes(path)) || !server_find(client, remote_path_bytes(parent)))
        return -EREMOTEIO;
    server_add(client, remote_path_bytes(path), FTP_TYPE_DIR, 0);
    return 0;
}

int ftp_client_rmdir(FtpClient *client, const FtpCall *call, const RemotePath *path)
{
    const Node *node = server_find(client, remote_path_bytes(path));

    asked(client, "RMD", path);
    if (!node || (server_is_full(client, remote_path_bytes(path)) && !client->recursive_rmdir))
        return -EREMOTEIO;
    g_hash_table_remove(client->nodes, remote_path_bytes(path));
    return 0;
}

int ftp_client_delete(FtpClient *client, const FtpCall *call, const RemotePath *path)
{
    asked(client, "DELE", path);
    return g_hash_table_remove(client->nodes, remote_path_bytes(path)) ? 0 : -EREMOTEIO;
}

int ftp_client_rename(FtpClient *client, const FtpCall *call, const RemotePath *from, const RemotePath *to)
{
    g_autoptr(RemotePath) parent = remote_path_parent(to);
    gpointer key, value;

    asked(client, "RNFR", from);
    asked(client, "RNTO", to);
    if (!server_find(client, remote_path_bytes(from)) || !server_find(client, remote_path_bytes(parent)))
        return -EREMOTEIO;
    if (client->refuse_replace && server_find(client, remote_path_bytes(to)))
        return -EREMOTEIO;
    if (client->good_renames > 0) {
        client->good_renames--;
    } else if (client->fail_renames > 0) {
        client->fail_renames--;
        return -EREMOTEIO;
    }
    g_hash_table_steal_extended(client->nodes, remote_path_bytes(from), &key, &value);
    g_free(key);
    g_hash_table_replace(client->nodes, g_strdup(remote_path_bytes(to)), value);
    return 0;
}

int ftp_client_set_mtime(FtpClient *client, const FtpCall *call, const RemotePath *path, gint64 mtime)
{
    Node *node = server_find(client, remote_path_bytes(path));

    asked(client, "MFMT", path);
    if (client->no_times)
        return -EOPNOTSUPP;
    if (!node || node->attr.type != FTP_TYPE_FILE)
        return -EREMOTEIO;
    node->attr.mtime = mtime;
    return 0;
}

int ftp_client_set_mode(FtpClient *client, const FtpCall *call, const RemotePath *path, guint mode)
{
    Node *node = server_find(client, remote_path_bytes(path));

    asked(client, "CHMOD", path);
    if (client->no_modes)
        return -EOPNOTSUPP;
    if (!node)
        return -EREMOTEIO;
    node->attr.mode = (guint16)mode;
    node->attr.has |= FTP_HAS_MODE;
    return 0;
}

int ftp_client_symlink(FtpClient *client, const FtpCall *call, const char *target, const RemotePath *path)
{
    return -EOPNOTSUPP;
}

/* ---- The fixture ---- */

typedef struct {
    FtpClient server;
    Options options;
    Tree *tree;
} Fixture;

static Fixture *fixture_new(gboolean mlst)
{
    Fixture *f = g_new0(Fixture, 1);

    f->server.features = ftp_features_new();
    if (mlst)
        ftp_features_parse_line(f->server.features, " MLST type*;size*;modify*;");
    else
        ftp_features_learn(f->server.features, FTP_FEATURE_MLST, FALSE);
    f->server.nodes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, node_free);
    f->server.log = g_string_new(NULL);
    f->options.ftp = ftp_config_new();
    f->options.cache = TRUE;
    f->options.cache_ttl = f->options.negative_ttl = 3600;
    f->options.symlinks = f->options.hidden = f->options.transform_symlinks = TRUE;
    f->options.umask = 022;
    f->options.uid = 12;
    f->options.gid = 34;
    f->tree = tree_new(&f->options, &f->server, NULL);
    server_add(&f->server, "/", FTP_TYPE_DIR, 0);
    server_add(&f->server, "/d", FTP_TYPE_DIR, 0);
    server_add(&f->server, "/d/a", FTP_TYPE_FILE, 1);
    server_add(&f->server, "/d/b", FTP_TYPE_FILE, 2);
    server_add(&f->server, "/e", FTP_TYPE_DIR, 0);
    return f;
}

static void fixture_free(Fixture *f)
{
    tree_free(f->tree);
    ftp_config_free(f->options.ftp);
    ftp_features_free(f->server.features);
    g_hash_table_unref(f->server.nodes);
    g_string_free(f->server.log, TRUE);
    g_free(f);
}

static int lookup(Fixture *f, const char *path)
{
    FtpAttr attr;

    return tree_lookup(f->tree, NULL, path, -1, &attr, NULL);
}

#define assert_log(f, text)                                                                                            \
    do {                                                                                                               \
        g_assert_cmpstr((f)->server.log->str, ==, text);                                                               \
        g_string_truncate((f)->server.log, 0);                                                                         \
    } while (0)

/* ---- Tests ---- */

static void test_root(void)
{
    Fixture *f = fixture_new(TRUE);
    struct stat st;
    FtpAttr attr;

    g_assert_cmpint(tree_lookup(f->tree, NULL, "/", 0, &attr, NULL), ==, 0);
    tree_fill_stat(f->tree, &attr, &st);
    g_assert_true(S_ISDIR(st.st_mode));
    g_assert_cmpuint(st.st_uid, ==, 12);
    g_assert_cmpuint(st.st_gid, ==, 34);
    assert_log(f, "");
    fixture_free(f);
}

static void test_lookup_order(void)
{
    Fixture *f = fixture_new(TRUE);

    /* the first name alone, the second by listing, then nothing more is asked */
    g_assert_cmpint(lookup(f, "/d/a"), ==, 0);
    assert_log(f, "MLST /d/a;");
    g_assert_cmpint(lookup(f, "/d/a"), ==, 0);
    assert_log(f, "");
    g_assert_cmpint(lookup(f, "/d/x"), ==, -ENOENT);
    assert_log(f, "LIST /d;");
    g_assert_cmpint(lookup(f, "/d/b"), ==, 0);
    g_assert_cmpint(lookup(f, "/d/y"), ==, -ENOENT);
    g_assert_cmpint(lookup(f, "/d/a/below"), ==, -ENOTDIR);
    g_assert_cmpint(lookup(f, "/d/y/below"), ==, -ENOENT);
    assert_log(f, "");
    g_autofree char *own = private_names_make(tree_names(f->tree), "/d/a", NULL);
    g_assert_cmpint(lookup(f, own), ==, -ENOENT);
    assert_log(f, "");
    g_autofree char *long_name = g_strnfill(256, 'n');
    g_autofree char *long_path = g_strconcat("/d/", long_name, NULL);
    g_assert_cmpint(lookup(f, long_path), ==, -ENAMETOOLONG);
    fixture_free(f);

    f = fixture_new(FALSE);
    g_assert_cmpint(lookup(f, "/d/a"), ==, 0);
    assert_log(f, "LIST /d;");
    g_assert_cmpint(lookup(f, "/nothing/a"), ==, -ENOENT);
    assert_log(f, "LIST /nothing;LIST /;");
    fixture_free(f);
}

static void test_lookup_for_open(void)
{
    Fixture *f = fixture_new(FALSE);
    FtpAttr attr;

    /* a listing with minutes only, made exact by SIZE and MDTM */
    server_find(&f->server, "/d/a")->attr.mtime_precision = 60;
    g_assert_cmpint(lookup(f, "/d/a"), ==, 0);
    assert_log(f, "LIST /d;");
    server_find(&f->server, "/d/a")->attr.size = 10;
    g_assert_cmpint(tree_lookup_for_open(f->tree, NULL, "/d/a", &attr), ==, 0);
    g_assert_cmpint(attr.size, ==, 10);
    g_assert_cmpint(attr.mtime_precision, ==, 1);
    assert_log(f, "SIZE /d/a;");

    /* removed on the server */
    g_hash_table_remove(f->server.nodes, "/d/b");
    dir_cache_forget(tree_cache(f->tree), "/d/b");
    g_assert_cmpint(tree_lookup_for_open(f->tree, NULL, "/d/b", &attr), ==, -ENOENT);
    fixture_free(f);
}

/* Until what is known is older than 1 µs. */
static void pass_time(void)
{
    gint64 now = g_get_monotonic_time();

    while (g_get_monotonic_time() <= now + 1)
        ;
}

/* "Is it really not there?", for O_EXCL: one SIZE, not a listing. */
static void test_lookup_recent(void)
{
    Fixture *f = fixture_new(FALSE);
    FtpAttr attr;

    g_assert_cmpint(lookup(f, "/d/x"), ==, -ENOENT);
    pass_time();
    g_string_truncate(f->server.log, 0);
    g_assert_cmpint(tree_lookup(f->tree, NULL, "/d/x", 1, &attr, NULL), ==, -ENOENT);
    assert_log(f, "SIZE /d/x;");
    server_add(&f->server, "/d/x", FTP_TYPE_FILE, 7);
    pass_time();
    g_assert_cmpint(tree_lookup(f->tree, NULL, "/d/x", 1, &attr, NULL), ==, 0);
    g_assert_cmpint(attr.size, ==, 7);
    f->server.no_sizes = TRUE;
    assert_log(f, "SIZE /d/x;");
    g_assert_cmpint(tree_lookup(f->tree, NULL, "/d/y", 1, &attr, NULL), ==, -ENOENT);
    assert_log(f, "SIZE /d/y;LIST /d;");
    fixture_free(f);
}

static void test_uploaded(void)
{
    for (guint mlst = 0; mlst < 2; mlst++) {
        Fixture *f = fixture_new(mlst == 1);
        FtpAttr attr = {.type = FTP_TYPE_FILE, .has = FTP_HAS_SIZE | FTP_HAS_MODE, .size = 0, .mode = 0600};

        dir_cache_put(tree_cache(f->tree), "/d/new", &attr, NULL, TRUE);
        server_add(&f->server, "/d/new", FTP_TYPE_FILE, 77);
        g_assert_cmpint(tree_uploaded(f->tree, NULL, "/d/new", 77), ==, 0);
        g_string_truncate(f->server.log, 0);
        g_assert_cmpint(tree_lookup(f->tree, NULL, "/d/new", -1, &attr, NULL), ==, 0);
        g_assert_cmpint(attr.size, ==, 77);
        g_assert_cmpint(attr.mtime, ==, 1000000);
        g_assert_cmpuint(attr.mode, ==, 0600);
        assert_log(f, "");
        g_assert_cmpint(tree_uploaded(f->tree, NULL, "/d/new", 78), ==, -EIO);
        fixture_free(f);
    }
}

static void test_mkdir(void)
{
    Fixture *f = fixture_new(FALSE);

    g_assert_cmpint(tree_mkdir(f->tree, NULL, "/d/new", 0755), ==, 0);
    assert_log(f, "MKD /d/new;");
    g_assert_cmpint(lookup(f, "/d/new/x"), ==, -ENOENT);
    assert_log(f, "");
    g_assert_cmpint(tree_mkdir(f->tree, NULL, "/d/new", 0755), ==, -EEXIST);
    g_assert_cmpint(tree_mkdir(f->tree, NULL, "/d/a", 0755), ==, -EEXIST);
    g_assert_cmpint(tree_mkdir(f->tree, NULL, "/x/y", 0755), ==, -ENOENT);
    g_assert_cmpint(tree_mkdir(f->tree, NULL, "/d/.ftpfs-1~", 0755), ==, -EACCES);
    g_assert_cmpint(tree_mkdir(f->tree, NULL, "/d/a\r\nDELE b", 0755), ==, -EINVAL);
    fixture_free(f);
}

static void test_rmdir(void)
{
    Fixture *f = fixture_new(FALSE);

    g_assert_cmpint(tree_rmdir(f->tree, NULL, "/d"), ==, -ENOTEMPTY);
    g_assert_cmpint(tree_rmdir(f->tree, NULL, "/d/a"), ==, -ENOTDIR);
    g_assert_cmpint(tree_rmdir(f->tree, NULL, "/x"), ==, -ENOENT);
    g_assert_cmpint(tree_rmdir(f->tree, NULL, "/"), ==, -EBUSY);
    g_assert_cmpint(tree_rmdir(f->tree, NULL, "/e"), ==, 0);
    g_assert_cmpint(lookup(f, "/e"), ==, -ENOENT);

    /* a server that would remove all that is in it is not even asked */
    f->server.recursive_rmdir = TRUE;
    g_string_truncate(f->server.log, 0);
    g_assert_cmpint(tree_rmdir(f->tree, NULL, "/d"), ==, -ENOTEMPTY);
    g_assert_null(strstr(f->server.log->str, "RMD"));
    f->server.recursive_rmdir = FALSE;

    /* what is left of an upload of ours that broke off is nothing that a person sees; what is in use stays */
    g_autofree char *own = private_names_make(tree_names(f->tree), "/d/a", NULL);
    g_hash_table_remove(f->server.nodes, "/d/a");
    g_hash_table_remove(f->server.nodes, "/d/b");
    server_add(&f->server, own, FTP_TYPE_FILE, 5);
    g_assert_cmpint(tree_rmdir(f->tree, NULL, "/d"), ==, -ENOTEMPTY);
    private_names_done(tree_names(f->tree), own);
    g_assert_cmpint(tree_rmdir(f->tree, NULL, "/d"), ==, 0);
    g_assert_null(server_find(&f->server, "/d"));
    g_assert_null(server_find(&f->server, own));

    /* another client's names are its own */
    for (guint i = 0; i < 2; i++) {
        const char *other = i == 0 ? "/e/.ftpfs-01234567-1~" : "/e/.fuse_hidden0000000100000001";
        server_add(&f->server, "/e", FTP_TYPE_DIR, 0);
        server_add(&f->server, other, FTP_TYPE_FILE, 5);
        dir_cache_forget_all(tree_cache(f->tree));
        g_assert_cmpint(lookup(f, other), ==, 0);
        g_assert_cmpint(tree_rmdir(f->tree, NULL, "/e"), ==, -ENOTEMPTY);
        g_assert_cmpint(tree_unlink(f->tree, NULL, other), ==, 0);
        g_assert_cmpint(tree_rmdir(f->tree, NULL, "/e"), ==, 0);
    }

    /* libfuse's, for a file that we were asked to remove while it is open, goes with the directory */
    server_add(&f->server, "/e", FTP_TYPE_DIR, 0);
    server_add(&f->server, "/e/.fuse_hidden2", FTP_TYPE_FILE, 5);
    private_names_hide(tree_names(f->tree), "/e/.fuse_hidden2");
    dir_cache_forget_all(tree_cache(f->tree));
    g_assert_cmpint(lookup(f, "/e/.fuse_hidden2"), ==, 0);
    g_assert_cmpint(tree_rmdir(f->tree, NULL, "/e"), ==, 0);
    fixture_free(f);
}

static void test_unlink(void)
{
    Fixture *f = fixture_new(FALSE);

    g_assert_cmpint(tree_unlink(f->tree, NULL, "/d"), ==, -EISDIR);
    g_assert_cmpint(tree_unlink(f->tree, NULL, "/d/a"), ==, 0);
    g_assert_cmpint(lookup(f, "/d/a"), ==, -ENOENT);
    g_hash_table_remove(f->server.nodes, "/d/b"); /* by another client; the cache does not know */
    g_assert_cmpint(tree_unlink(f->tree, NULL, "/d/b"), ==, -ENOENT);
    g_assert_cmpint(lookup(f, "/d/b"), ==, -ENOENT);
    fixture_free(f);
}

static void test_rename_simple(void)
{
    Fixture *f = fixture_new(TRUE);

    g_assert_cmpint(tree_rename(f->tree, NULL, "/d/a", "/d/c", 0), ==, 0);
    g_assert_cmpint(server_size(&f->server, "/d/c"), ==, 1);
    g_assert_cmpint(tree_rename(f->tree, NULL, "/d/c", "/d/b", 0), ==, 0);
    g_assert_cmpint(server_size(&f->server, "/d/b"), ==, 1);
    g_assert_cmpint(lookup(f, "/d/c"), ==, -ENOENT);
    g_assert_cmpint(tree_rename(f->tree, NULL, "/d/b", "/d/b", 0), ==, 0);
    g_assert_cmpint(tree_rename(f->tree, NULL, "/d/none", "/d/b", 0), ==, -ENOENT);
    g_assert_cmpint(tree_rename(f->tree, NULL, "/d/b", "/none/b", 0), ==, -ENOENT);
    g_assert_cmpint(tree_rename(f->tree, NULL, "/d", "/d/x", 0), ==, -EINVAL);
    g_assert_cmpint(tree_rename(f->tree, NULL, "/d/b", "/d/x", RENAME_EXCHANGE), ==, -EINVAL);
    g_assert_cmpint(tree_rename(f->tree, NULL, "/d/b", "/d/.ftpfs-1~", 0), ==, -EACCES);
    g_assert_cmpint(tree_rename(f->tree, NULL, "/d/b", "/e", 0), ==, -EISDIR);
    g_assert_cmpint(tree_rename(f->tree, NULL, "/e", "/d/b", 0), ==, -ENOTDIR);
    g_assert_cmpint(tree_rename(f->tree, NULL, "/e", "/d", 0), ==, -ENOTEMPTY);
    fixture_free(f);
}

static void test_rename_noreplace(void)
{
    Fixture *f = fixture_new(FALSE);

    g_assert_cmpint(lookup(f, "/d/new"), ==, -ENOENT);
    server_add(&f->server, "/d/new", FTP_TYPE_FILE, 9); /* by another client */
    g_assert_cmpint(tree_rename(f->tree, NULL, "/d/a", "/d/new", RENAME_NOREPLACE), ==, -EEXIST);
    g_assert_cmpint(server_size(&f->server, "/d/new"), ==, 9);
    g_assert_cmpint(tree_rename(f->tree, NULL, "/d/a", "/d/newer", RENAME_NOREPLACE), ==, 0);
    fixture_free(f);
}

static guint private_names(Fixture *f)
{
    GHashTableIter iter;
    gpointer path;
    guint n = 0;

    g_hash_table_iter_init(&iter, f->server.nodes);
    while (g_hash_table_iter_next(&iter, &path, NULL))
        n += strstr(path, ".ftpfs-") ? 1 : 0;
    return n;
}

static void test_rename_refused(void)
{
    Fixture *f = fixture_new(FALSE);

    f->server.refuse_replace = TRUE;
    g_assert_cmpint(tree_rename(f->tree, NULL, "/d/a", "/d/b", 0), ==, 0);
    g_assert_cmpint(server_size(&f->server, "/d/b"), ==, 1);
    g_assert_cmpint(server_size(&f->server, "/d/a"), ==, -1);
    g_assert_cmpuint(private_names(f), ==, 0);

    /* the second step fails: all is as it was */
    server_add(&f->server, "/d/a", FTP_TYPE_FILE, 11);
    dir_cache_forget(tree_cache(f->tree), "/d/a");
    f->server.good_renames = 1;
    f->server.fail_renames = 1;
    g_assert_cmpint(tree_rename(f->tree, NULL, "/d/a", "/d/b", 0), ==, -EACCES);
    g_assert_cmpint(server_size(&f->server, "/d/b"), ==, 1);
    g_assert_cmpint(server_size(&f->server, "/d/a"), ==, 11);
    g_assert_cmpuint(private_names(f), ==, 0);

    /* a directory over an empty one */
    server_add(&f->server, "/full", FTP_TYPE_DIR, 0);
    server_add(&f->server, "/full/x", FTP_TYPE_FILE, 1);
    g_assert_cmpint(tree_mkdir(f->tree, NULL, "/m", 0755), ==, 0);
    dir_cache_forget_all(tree_cache(f->tree));
    g_assert_cmpint(tree_rename(f->tree, NULL, "/m", "/full", 0), ==, -ENOTEMPTY);
    g_assert_cmpint(tree_rename(f->tree, NULL, "/m", "/e", 0), ==, 0);
    g_assert_null(server_find(&f->server, "/m"));
    g_assert_nonnull(server_find(&f->server, "/e"));

    g_assert_cmpint(tree_move_into_place(f->tree, NULL, "/d/a", "/d/b"), ==, 0);
    g_assert_cmpint(server_size(&f->server, "/d/b"), ==, 11);
    g_assert_cmpuint(private_names(f), ==, 0);
    fixture_free(f);
}

static void test_attributes(void)
{
    Fixture *f = fixture_new(TRUE);
    struct stat st;
    FtpAttr attr;

    g_assert_cmpint(tree_set_mtime(f->tree, NULL, "/d/a", 5), ==, 0);
    g_assert_cmpint(server_find(&f->server, "/d/a")->attr.mtime, ==, 5);
    g_assert_cmpint(tree_set_mtime(f->tree, NULL, "/d", 6), ==, 0); /* refused for a directory: seen here only */
    g_assert_cmpint(tree_lookup(f->tree, NULL, "/d", -1, &attr, NULL), ==, 0);
    g_assert_cmpint(attr.mtime, ==, 6);
    g_assert_cmpint(tree_set_mtime(f->tree, NULL, "/d/none", 5), ==, -ENOENT);
    g_assert_cmpint(tree_chmod(f->tree, NULL, "/d/a", S_IFREG | 0640), ==, 0);
    f->server.no_modes = TRUE;
    g_assert_cmpint(tree_chmod(f->tree, NULL, "/d/b", 0711), ==, 0);
    g_assert_cmpint(tree_lookup(f->tree, NULL, "/d/b", -1, &attr, NULL), ==, 0);
    tree_fill_stat(f->tree, &attr, &st);
    g_assert_cmpuint(st.st_mode, ==, S_IFREG | 0711);
    fixture_free(f);
}

static void test_fill_stat(void)
{
    Fixture *f = fixture_new(TRUE);
    FtpAttr attr = {.type = FTP_TYPE_FILE, .has = FTP_HAS_SIZE | FTP_HAS_MTIME, .size = 513, .mtime = 99};
    struct stat st;

    tree_fill_stat(f->tree, &attr, &st);
    g_assert_cmpuint(st.st_mode, ==, S_IFREG | 0644);
    g_assert_cmpint(st.st_size, ==, 513);
    g_assert_cmpint(st.st_blocks, ==, 2);
    g_assert_cmpint(st.st_mtim.tv_sec, ==, 99);
    g_assert_cmpuint(st.st_nlink, ==, 1);
    attr.has |= FTP_HAS_PERM; /* the fact, as the parser gives it: read only */
    attr.mode = 0444;
    tree_fill_stat(f->tree, &attr, &st);
    g_assert_cmpuint(st.st_mode, ==, S_IFREG | 0444);
    attr.has |= FTP_HAS_MODE;
    attr.mode = 04777;
    f->options.fmask_set = TRUE;
    f->options.fmask = 0133;
    tree_fill_stat(f->tree, &attr, &st);
    g_assert_cmpuint(st.st_mode, ==, S_IFREG | 04644);
    attr = (FtpAttr){.type = FTP_TYPE_DIR};
    tree_fill_stat(f->tree, &attr, &st);
    g_assert_cmpuint(st.st_mode, ==, S_IFDIR | 0755);
    f->options.umask_set = TRUE;
    f->options.umask = 077;
    tree_fill_stat(f->tree, &attr, &st);
    g_assert_cmpuint(st.st_mode, ==, S_IFDIR | 0700);
    fixture_free(f);
}

static void assert_link(Fixture *f, const char *path, const char *target)
{
    g_autofree char *text = NULL;

    g_assert_cmpint(tree_readlink(f->tree, NULL, path, &text), ==, 0);
    g_assert_cmpstr(text, ==, target);
}

static void test_links(void)
{
    Fixture *f = fixture_new(FALSE);
    FtpAttr attr;

    server_add(&f->server, "/d/rel", FTP_TYPE_LINK, 1)->target = g_strdup("a");
    server_add(&f->server, "/d/abs", FTP_TYPE_LINK, 1)->target = g_strdup("/srv/ftp/e/x");
    server_add(&f->server, "/d/root", FTP_TYPE_LINK, 1)->target = g_strdup("/srv/ftp");
    server_add(&f->server, "/d/out", FTP_TYPE_LINK, 1)->target = g_strdup("/srv/ftpx");
    assert_link(f, "/d/rel", "a");
    assert_link(f, "/d/abs", "../e/x");
    assert_link(f, "/d/root", "../");
    assert_link(f, "/d/out", "/srv/ftpx");
    f->options.transform_symlinks = FALSE;
    assert_link(f, "/d/abs", "/srv/ftp/e/x");
    g_autofree char *text = NULL;
    g_assert_cmpint(tree_readlink(f->tree, NULL, "/d/a", &text), ==, -EINVAL);

    /* a time of the link itself is kept here, and the link stays one */
    g_assert_cmpint(tree_set_mtime(f->tree, NULL, "/d/rel", 5), ==, 0);
    assert_link(f, "/d/rel", "a");

    /* symlinks=off: what can be listed is a directory, what is neither is dangling */
    f->options.symlinks = FALSE;
    g_assert_cmpint(tree_lookup(f->tree, NULL, "/d/abs", -1, &attr, NULL), ==, 0);
    g_assert_cmpuint(attr.type, ==, FTP_TYPE_DIR);
    server_add(&f->server, "/e/none", FTP_TYPE_LINK, 1);
    g_assert_cmpint(tree_lookup(f->tree, NULL, "/e/none", -1, &attr, NULL), ==, 0);
    g_assert_cmpuint(attr.type, ==, FTP_TYPE_LINK);
    fixture_free(f);
}

static void test_explain(void)
{
    for (guint mlst = 0; mlst < 2; mlst++) {
        Fixture *f = fixture_new(mlst == 1);
        g_assert_cmpint(tree_explain(f->tree, NULL, "/d/a", TRUE, -EREMOTEIO), ==, -EEXIST);
        g_assert_cmpint(tree_explain(f->tree, NULL, "/d/a", FALSE, -EREMOTEIO), ==, -EACCES);
        g_assert_cmpint(tree_explain(f->tree, NULL, "/d/x", FALSE, -EREMOTEIO), ==, -ENOENT);
        g_assert_cmpint(tree_explain(f->tree, NULL, "/d/x", TRUE, -EREMOTEIO), ==, -EACCES);
        g_assert_cmpint(tree_explain(f->tree, NULL, "/none/x", TRUE, -EREMOTEIO), ==, -ENOENT);
        g_assert_cmpint(tree_explain(f->tree, NULL, "/none/x", FALSE, -EREMOTEIO), ==, -ENOENT);
        g_assert_cmpint(tree_explain(f->tree, NULL, "/d/a", TRUE, -ENOSPC), ==, -ENOSPC);
        fixture_free(f);
    }
}

static void test_shows(void)
{
    Fixture *f = fixture_new(TRUE);

    g_assert_true(tree_shows(f->tree, ".profile"));
    g_assert_true(tree_shows(f->tree, ".ftpfs-notes"));
    g_assert_true(tree_shows(f->tree, ".ftpfs-01234567-1~"));
    g_autofree char *own = private_names_make(tree_names(f->tree), "/a", NULL);
    g_assert_false(tree_shows(f->tree, own + 1));
    g_assert_true(tree_shows(f->tree, ".fuse_hidden1"));
    private_names_hide(tree_names(f->tree), "/.fuse_hidden1");
    g_assert_false(tree_shows(f->tree, ".fuse_hidden1"));
    f->options.hidden = FALSE;
    g_assert_false(tree_shows(f->tree, ".profile"));
    g_assert_true(tree_shows(f->tree, "a"));
    fixture_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tree/root", test_root);
    g_test_add_func("/tree/lookup_order", test_lookup_order);
    g_test_add_func("/tree/lookup_for_open", test_lookup_for_open);
    g_test_add_func("/tree/lookup_recent", test_lookup_recent);
    g_test_add_func("/tree/uploaded", test_uploaded);
    g_test_add_func("/tree/mkdir", test_mkdir);
    g_test_add_func("/tree/rmdir", test_rmdir);
    g_test_add_func("/tree/unlink", test_unlink);
    g_test_add_func("/tree/rename_simple", test_rename_simple);
    g_test_add_func("/tree/rename_noreplace", test_rename_noreplace);
    g_test_add_func("/tree/rename_refused", test_rename_refused);
    g_test_add_func("/tree/attributes", test_attributes);
    g_test_add_func("/tree/fill_stat", test_fill_stat);
    g_test_add_func("/tree/links", test_links);
    g_test_add_func("/tree/explain", test_explain);
    g_test_add_func("/tree/shows", test_shows);
    return g_test_run();
}
