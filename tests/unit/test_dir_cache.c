/* SPDX-License-Identifier: MIT */
/* dir_cache against a server that is a table in memory: what it knows, when it asks, and that it can't lie. */
#include "fs/dir_cache.h"

#include <errno.h>
#include <string.h>

#define SECOND   G_USEC_PER_SEC
#define LONG_TTL (3600 * (gint64)SECOND)
#define PATIENCE (60 * (gint64)SECOND)

/* The stand-in for a server. A load gives `names` with the attributes `size` and `mtime`. */
typedef struct {
    GMutex lock;
    GCond cond;
    GPtrArray *names;
    gint64 size, mtime;
    guint precision;
    int error;
    guint loads;
    guint many;      /* entries instead of `names` */
    gboolean closed; /* a load waits until it is open, or its bound says stop */
    guint waiting;   /* loads that do */
    DirCache *cache;
    void (*during)(DirCache *cache); /* called in the middle of a load */
} Server;

static int serve(const char *path, const Bound *bound, DirBuilder *builder, gpointer data)
{
    Server *server = data;
    int r = 0;

    g_mutex_lock(&server->lock);
    server->loads++;
    server->waiting++;
    g_cond_broadcast(&server->cond);
    while (server->closed && r == 0)
        r = bound_wait(bound, &server->cond, &server->lock);
    server->waiting--;
    if (r == 0)
        r = server->error;
    ListEntry entry = {.attr = {.type = FTP_TYPE_FILE,
                                .has = FTP_HAS_SIZE | FTP_HAS_MTIME,
                                .size = server->size,
                                .mtime = server->mtime,
                                .mtime_precision = server->precision}};
    for (guint i = 0; r == 0 && i < server->names->len; i++) {
        entry.name = g_ptr_array_index(server->names, i);
        r = dir_builder_add(builder, &entry);
    }
    for (guint i = 0; r == 0 && i < server->many; i++) {
        g_autofree char *name = g_strdup_printf("a-file-number-%06u", (i * 7919U) % server->many);
        entry.name = name;
        r = dir_builder_add(builder, &entry);
    }
    g_mutex_unlock(&server->lock);
    if (server->during)
        server->during(server->cache);
    return r;
}

typedef struct {
    Server server;
    DirCache *cache;
} Fixture;

static Fixture *fixture_new(gint64 ttl, gsize max_bytes)
{
    Fixture *f = g_new0(Fixture, 1);
    DirCacheConfig config = {.ttl = ttl, .negative_ttl = ttl, .max_bytes = max_bytes, .exact_times = TRUE};

    g_mutex_init(&f->server.lock);
    g_cond_init(&f->server.cond);
    f->server.names = g_ptr_array_new_with_free_func(g_free);
    f->server.precision = 1;
    f->server.mtime = 1000000;
    f->cache = dir_cache_new(&config, serve, &f->server, NULL);
    f->server.cache = f->cache;
    return f;
}

static void fixture_free(Fixture *f)
{
    dir_cache_free(f->cache);
    g_ptr_array_unref(f->server.names);
    g_mutex_clear(&f->server.lock);
    g_cond_clear(&f->server.cond);
    g_free(f);
}

static void add_name(Fixture *f, const char *name)
{
    g_ptr_array_add(f->server.names, g_strdup(name));
}

static FtpAttr file_attr(gint64 size, gint64 mtime)
{
    return (FtpAttr){
        .type = FTP_TYPE_FILE, .has = FTP_HAS_SIZE | FTP_HAS_MTIME, .size = size, .mtime = mtime, .mtime_precision = 1};
}

/* All names of a listing in its order, joined by blanks. */
static char *names_of(Fixture *f, const char *path)
{
    g_autoptr(DirListing) listing = NULL;
    GString *text = g_string_new(NULL);

    g_assert_cmpint(dir_cache_list(f->cache, NULL, path, &listing), ==, 0);
    for (guint i = 0; i < dir_listing_size(listing); i++) {
        ListEntry entry;
        dir_listing_entry(listing, i, &entry);
        g_string_append_printf(text, "%s%s", i > 0 ? " " : "", entry.name);
    }
    return g_string_free(text, FALSE);
}

static void assert_names(Fixture *f, const char *path, const char *names)
{
    g_autofree char *text = names_of(f, path);

    g_assert_cmpstr(text, ==, names);
}

static int lookup(Fixture *f, const char *path)
{
    FtpAttr attr;

    return dir_cache_lookup(f->cache, path, -1, &attr, NULL, NULL);
}

static gint64 size_of(Fixture *f, const char *path)
{
    FtpAttr attr;

    g_assert_cmpint(dir_cache_lookup(f->cache, path, -1, &attr, NULL, NULL), ==, 0);
    return attr.size;
}

static void test_list_once(void)
{
    Fixture *f = fixture_new(LONG_TTL, 1 << 20);

    add_name(f, "b");
    add_name(f, "a");
    add_name(f, "c");
    g_assert_false(dir_cache_has_listing(f->cache, "/d"));
    assert_names(f, "/d", "b a c");
    assert_names(f, "/d", "b a c");
    g_assert_true(dir_cache_has_listing(f->cache, "/d"));
    g_assert_cmpuint(f->server.loads, ==, 1);
    g_assert_cmpint(lookup(f, "/d/a"), ==, 0);
    g_assert_cmpint(lookup(f, "/d/x"), ==, -ENOENT);
    g_assert_cmpint(lookup(f, "/d/x/below"), ==, -ENOENT);
    g_assert_cmpint(lookup(f, "/e/a"), ==, -EAGAIN);
    g_assert_cmpint(lookup(f, "/"), ==, -EAGAIN);
    dir_cache_forget(f->cache, "/d");
    g_assert_cmpint(lookup(f, "/d/a"), ==, -EAGAIN);
    assert_names(f, "/d", "b a c");
    g_assert_cmpuint(f->server.loads, ==, 2);
    fixture_free(f);
}

static void test_repeated_name(void)
{
    Fixture *f = fixture_new(LONG_TTL, 1 << 20);
    g_autoptr(DirListing) listing = NULL;
    ListEntry entry;

    for (const char *p = "zabacaz"; *p; p++) {
        char name[] = {*p, '\0'};
        add_name(f, name);
    }
    assert_names(f, "/", "z a b c");
    g_assert_cmpint(dir_cache_list(f->cache, NULL, "/", &listing), ==, 0);
    for (const char *p = "abcz"; *p; p++) {
        char name[] = {*p, '\0'};
        g_assert_true(dir_listing_find(listing, name, &entry));
        g_assert_cmpstr(entry.name, ==, name);
        g_assert_null(entry.target);
    }
    g_assert_false(dir_listing_find(listing, "", &entry));
    g_assert_false(dir_listing_find(listing, "bb", &entry));
    fixture_free(f);
}

static void test_no_ttl(void)
{
    Fixture *f = fixture_new(0, 1 << 20);
    FtpAttr attr = file_attr(5, 5);

    add_name(f, "a");
    assert_names(f, "/", "a");
    assert_names(f, "/", "a");
    g_assert_cmpuint(f->server.loads, ==, 2);
    g_assert_cmpint(lookup(f, "/a"), ==, -EAGAIN);
    dir_cache_put(f->cache, "/new", &attr, NULL, TRUE); /* a pinned note is known whatever its age */
    g_assert_cmpint(size_of(f, "/new"), ==, 5);
    assert_names(f, "/", "a new");
    fixture_free(f);
}

static void test_since(void)
{
    Fixture *f = fixture_new(LONG_TTL, 1 << 20);
    g_autoptr(DirListing) a = NULL, b = NULL, c = NULL;
    gint64 begun = g_get_monotonic_time();

    g_assert_cmpint(dir_cache_list(f->cache, NULL, "/", &a), ==, 0);
    while (g_get_monotonic_time() == begun)
        ;
    begun = g_get_monotonic_time();
    while (g_get_monotonic_time() <= begun)
        ;
    g_assert_cmpint(dir_cache_list_since(f->cache, NULL, "/", 0, &b), ==, 0);
    g_assert_cmpuint(f->server.loads, ==, 2);
    g_assert_cmpint(dir_cache_list_since(f->cache, NULL, "/", LONG_TTL, &c), ==, 0);
    g_assert_cmpuint(f->server.loads, ==, 2);
    fixture_free(f);
}

static void test_ages(void)
{
    Fixture *f = fixture_new(LONG_TTL, 1 << 20);
    FtpAttr attr = file_attr(1, 1);
    gint64 age = -1;

    add_name(f, "a");
    assert_names(f, "/", "a");
    g_assert_cmpint(dir_cache_lookup(f->cache, "/a", LONG_TTL, &attr, NULL, &age), ==, 0);
    g_assert_cmpint(age, >=, 0);
    g_assert_cmpint(dir_cache_lookup(f->cache, "/a", 0, &attr, NULL, NULL), ==, -EAGAIN);
    dir_cache_put(f->cache, "/a", &attr, NULL, FALSE);
    g_assert_cmpint(dir_cache_lookup(f->cache, "/a", 0, &attr, NULL, NULL), ==, -EAGAIN);
    dir_cache_put(f->cache, "/a", &attr, NULL, TRUE);
    g_assert_cmpint(dir_cache_lookup(f->cache, "/a", 0, &attr, NULL, &age), ==, 0);
    g_assert_cmpint(age, ==, 0);
    fixture_free(f);
}

static void test_own_changes(void)
{
    Fixture *f = fixture_new(LONG_TTL, 1 << 20);
    FtpAttr attr = file_attr(7, 70), dir = {.type = FTP_TYPE_DIR};
    g_autofree char *target = NULL;

    add_name(f, "a");
    add_name(f, "b");
    assert_names(f, "/", "a b");
    dir_cache_put(f->cache, "/new", &attr, NULL, FALSE);
    dir_cache_remove(f->cache, "/a");
    dir_cache_put(f->cache, "/link", &(FtpAttr){.type = FTP_TYPE_LINK}, "to/there", FALSE);
    g_assert_cmpint(lookup(f, "/a"), ==, -ENOENT);
    g_assert_cmpint(size_of(f, "/new"), ==, 7);
    g_autofree char *names = names_of(f, "/");
    g_assert_true(g_str_equal(names, "b new link") || g_str_equal(names, "b link new"));
    g_assert_cmpint(dir_cache_lookup(f->cache, "/link", -1, &attr, &target, NULL), ==, 0);
    g_assert_cmpstr(target, ==, "to/there");
    g_assert_cmpint(lookup(f, "/a"), ==, -ENOENT);

    dir_cache_put_empty_dir(f->cache, "/dir", &dir);
    assert_names(f, "/dir", "");
    g_assert_cmpint(lookup(f, "/dir/x"), ==, -ENOENT);
    g_assert_cmpuint(f->server.loads, ==, 1);
    fixture_free(f);
}

static void test_rename(void)
{
    Fixture *f = fixture_new(LONG_TTL, 1 << 20);
    FtpAttr attr = file_attr(7, 70), dir = {.type = FTP_TYPE_DIR};

    dir_cache_put_empty_dir(f->cache, "/a", &dir);
    dir_cache_put_empty_dir(f->cache, "/a/b", &dir);
    dir_cache_put(f->cache, "/a/b/file", &attr, NULL, FALSE);
    dir_cache_put_empty_dir(f->cache, "/z", &dir);
    dir_cache_put(f->cache, "/z/old", &attr, NULL, FALSE);
    dir_cache_put(f->cache, "/ab", &attr, NULL, FALSE);
    dir_cache_rename(f->cache, "/a", "/z");
    g_assert_cmpint(lookup(f, "/a"), ==, -ENOENT);
    g_assert_cmpint(lookup(f, "/a/b"), ==, -ENOENT);
    g_assert_cmpint(lookup(f, "/ab"), ==, 0);
    g_assert_cmpint(size_of(f, "/z/b/file"), ==, 7);
    g_assert_cmpint(lookup(f, "/z/old"), ==, -ENOENT);
    assert_names(f, "/z", "b");
    assert_names(f, "/z/b", "file");
    g_assert_cmpuint(f->server.loads, ==, 0);

    /* of a name that is not known: nothing may be said of the new one */
    dir_cache_rename(f->cache, "/z/b/file", "/z/b/again");
    g_assert_cmpint(size_of(f, "/z/b/again"), ==, 7);
    dir_cache_rename(f->cache, "/elsewhere/x", "/z/b/y");
    g_assert_cmpint(lookup(f, "/z/b/y"), ==, -EAGAIN);
    add_name(f, "y");
    assert_names(f, "/z/b", "y");
    g_assert_cmpint(lookup(f, "/z/b/y"), ==, 0);

    dir_cache_remove(f->cache, "/z");
    g_assert_cmpint(lookup(f, "/z/b/y"), ==, -EAGAIN);
    g_assert_cmpint(lookup(f, "/z/b"), ==, -ENOENT);
    fixture_free(f);
}

static void test_stamps(void)
{
    Fixture *f = fixture_new(LONG_TTL, 1 << 20);
    FtpAttr old = file_attr(1, 1), new = file_attr(2, 2);

    /* asked, then changed, then answered: the answer is older */
    guint64 stamp = dir_cache_stamp(f->cache);
    dir_cache_put(f->cache, "/d/f", &new, NULL, FALSE);
    dir_cache_note(f->cache, "/d/f", &old, NULL, stamp);
    g_assert_cmpint(size_of(f, "/d/f"), ==, 2);
    dir_cache_note_absent(f->cache, "/d/f", stamp);
    g_assert_cmpint(size_of(f, "/d/f"), ==, 2);

    /* and so it is when the note of the change was put into a listing meanwhile, or the directory was renamed */
    g_autofree char *names = names_of(f, "/d");
    dir_cache_note_absent(f->cache, "/d/f", stamp);
    g_assert_cmpint(dir_cache_lookup(f->cache, "/d/f", -1, &old, NULL, NULL), !=, -EAGAIN);
    stamp = dir_cache_stamp(f->cache);
    dir_cache_rename(f->cache, "/d", "/e");
    dir_cache_note(f->cache, "/d/g", &old, NULL, stamp);
    g_assert_cmpint(lookup(f, "/d/g"), ==, -ENOENT);

    /* asked after the change: it is news */
    stamp = dir_cache_stamp(f->cache);
    old = file_attr(3, 3);
    dir_cache_note(f->cache, "/e/f", &old, NULL, stamp);
    g_assert_cmpint(size_of(f, "/e/f"), ==, 3);
    stamp = dir_cache_stamp(f->cache);
    dir_cache_note_absent(f->cache, "/e/f", stamp);
    g_assert_cmpint(lookup(f, "/e/f"), ==, -ENOENT);

    /* of two answers the one to the later question stays */
    stamp = dir_cache_stamp(f->cache);
    guint64 later = dir_cache_stamp(f->cache);
    dir_cache_note(f->cache, "/e/f", &new, NULL, later);
    dir_cache_note_absent(f->cache, "/e/f", stamp);
    g_assert_cmpint(size_of(f, "/e/f"), ==, 2);
    fixture_free(f);
}

static void change_during_load(DirCache *cache)
{
    FtpAttr attr = file_attr(99, 99);

    dir_cache_put(cache, "/d/made", &attr, NULL, FALSE);
    dir_cache_remove(cache, "/d/b");
}

static void test_change_during_load(void)
{
    Fixture *f = fixture_new(LONG_TTL, 1 << 20);

    add_name(f, "a");
    add_name(f, "b");
    f->server.during = change_during_load;
    assert_names(f, "/d", "a made");
    f->server.during = NULL;
    g_assert_cmpint(size_of(f, "/d/made"), ==, 99);
    g_assert_cmpint(lookup(f, "/d/b"), ==, -ENOENT);
    assert_names(f, "/d", "a made");
    g_assert_cmpuint(f->server.loads, ==, 1);

    /* a listing that is begun after the changes knows better */
    dir_cache_forget(f->cache, "/d");
    assert_names(f, "/d", "a b");
    fixture_free(f);
}

static void rename_during_load(DirCache *cache)
{
    dir_cache_rename(cache, "/d", "/e");
}

static void forget_during_load(DirCache *cache)
{
    dir_cache_forget(cache, "/d");
}

static void test_rename_during_load(void)
{
    Fixture *f = fixture_new(LONG_TTL, 1 << 20);

    add_name(f, "a");
    f->server.during = rename_during_load;
    assert_names(f, "/d", "a");
    f->server.during = NULL;
    g_assert_false(dir_cache_has_listing(f->cache, "/d"));
    g_assert_false(dir_cache_has_listing(f->cache, "/e"));
    f->server.during = forget_during_load;
    assert_names(f, "/d", "a");
    f->server.during = NULL;
    g_assert_false(dir_cache_has_listing(f->cache, "/d"));
    assert_names(f, "/d", "a");
    g_assert_true(dir_cache_has_listing(f->cache, "/d"));
    fixture_free(f);
}

static void test_pinned(void)
{
    Fixture *f = fixture_new(LONG_TTL, 1 << 20);
    FtpAttr attr = file_attr(42, 42);

    add_name(f, "a");
    f->server.size = 1;
    dir_cache_put(f->cache, "/a", &attr, NULL, TRUE);
    dir_cache_put(f->cache, "/b", &attr, NULL, TRUE);
    assert_names(f, "/", "a b");
    dir_cache_forget_all(f->cache);
    assert_names(f, "/", "a b");
    g_assert_cmpint(size_of(f, "/a"), ==, 42);
    guint64 stamp = dir_cache_stamp(f->cache);
    dir_cache_note_absent(f->cache, "/b", stamp);
    g_assert_cmpint(size_of(f, "/b"), ==, 42);
    dir_cache_rename(f->cache, "/b", "/c");
    dir_cache_forget_all(f->cache);
    assert_names(f, "/", "a c");
    dir_cache_put(f->cache, "/a", &attr, NULL, FALSE);
    dir_cache_remove(f->cache, "/c");
    dir_cache_forget_all(f->cache);
    assert_names(f, "/", "a");
    g_assert_cmpint(size_of(f, "/a"), ==, 1);
    fixture_free(f);
}

static void test_forget_name(void)
{
    Fixture *f = fixture_new(LONG_TTL, 1 << 20);

    add_name(f, "a");
    assert_names(f, "/", "a");
    dir_cache_forget(f->cache, "/a");
    g_assert_cmpint(lookup(f, "/a"), ==, -EAGAIN);
    g_assert_false(dir_cache_has_listing(f->cache, "/"));
    g_assert_cmpint(lookup(f, "/b"), ==, -ENOENT); /* of other names the listing may still speak */
    assert_names(f, "/", "a");
    g_assert_cmpint(lookup(f, "/a"), ==, 0);
    g_assert_cmpuint(f->server.loads, ==, 2);
    fixture_free(f);
}

static void test_errors_are_not_kept(void)
{
    Fixture *f = fixture_new(LONG_TTL, 1 << 20);
    DirListing *listing = NULL;

    f->server.error = -EACCES;
    g_assert_cmpint(dir_cache_list(f->cache, NULL, "/d", &listing), ==, -EACCES);
    g_assert_null(listing);
    f->server.error = 0;
    assert_names(f, "/d", "");
    g_assert_cmpuint(f->server.loads, ==, 2);
    fixture_free(f);
}

static gint64 listed_mtime(Fixture *f, gint64 mtime, guint precision)
{
    FtpAttr attr;

    f->server.mtime = mtime;
    f->server.precision = precision;
    dir_cache_forget(f->cache, "/");
    g_autofree char *names = names_of(f, "/");
    g_assert_cmpint(dir_cache_lookup(f->cache, "/a", -1, &attr, NULL, NULL), ==, 0);
    return attr.mtime;
}

static void test_exact_times(void)
{
    Fixture *f = fixture_new(LONG_TTL, 1 << 20);
    FtpAttr exact = file_attr(5, 120 * 86400 + 61);

    add_name(f, "a");
    f->server.size = 5;
    dir_cache_put(f->cache, "/a", &exact, NULL, FALSE);
    g_assert_cmpint(listed_mtime(f, 120 * 86400 + 60, 60), ==, exact.mtime);
    g_assert_cmpint(listed_mtime(f, 120 * 86400, 86400), ==, exact.mtime);       /* kept from listing to listing */
    g_assert_cmpint(listed_mtime(f, 120 * 86400 + 60, 1), ==, 120 * 86400 + 60); /* an exact listing knows better */

    dir_cache_put(f->cache, "/a", &exact, NULL, FALSE);
    g_assert_cmpint(listed_mtime(f, 120 * 86400 + 120, 60), ==, 120 * 86400 + 120); /* another minute */
    dir_cache_put(f->cache, "/a", &exact, NULL, FALSE);
    f->server.size = 6; /* another file */
    g_assert_cmpint(listed_mtime(f, 120 * 86400 + 60, 60), ==, 120 * 86400 + 60);
    fixture_free(f);
}

static void test_lru(void)
{
    Fixture *f = fixture_new(LONG_TTL, 40000);
    FtpAttr attr = file_attr(1, 1);

    f->server.many = 200; /* about 13 kB a listing */
    dir_cache_put(f->cache, "/keep/this", &attr, NULL, TRUE);
    for (guint i = 0; i < 20; i++) {
        g_autofree char *path = g_strdup_printf("/d%u", i);
        g_autoptr(DirListing) listing = NULL;
        g_assert_cmpint(dir_cache_list(f->cache, NULL, path, &listing), ==, 0);
        g_assert_cmpuint(dir_listing_size(listing), ==, 200);
        g_assert_cmpuint(dir_cache_bytes(f->cache), <=, 40000);
        if (i > 0) /* used again and again: stays */
            g_assert_true(dir_cache_has_listing(f->cache, "/d0"));
        g_autoptr(DirListing) first = NULL;
        g_assert_cmpint(dir_cache_list(f->cache, NULL, "/d0", &first), ==, 0);
    }
    g_assert_cmpuint(f->server.loads, ==, 20);
    g_assert_true(dir_cache_has_listing(f->cache, "/d19"));
    g_assert_false(dir_cache_has_listing(f->cache, "/d1"));
    g_assert_cmpint(lookup(f, "/keep/this"), ==, 0);
    fixture_free(f);
}

static void test_too_large(void)
{
    Fixture *f = fixture_new(LONG_TTL, 40000);
    DirListing *listing = NULL;

    f->server.many = 2000;
    g_assert_cmpint(dir_cache_list(f->cache, NULL, "/", &listing), ==, -EFBIG);
    fixture_free(f);
}

static void test_memory(void)
{
    Fixture *f = fixture_new(LONG_TTL, 64 << 20);
    g_autoptr(DirListing) listing = NULL;
    ListEntry entry;

    f->server.many = 100000;
    g_assert_cmpint(dir_cache_list(f->cache, NULL, "/", &listing), ==, 0);
    g_assert_cmpuint(dir_listing_size(listing), ==, 100000);
    g_assert_cmpuint(dir_cache_bytes(f->cache), <, 100000 * 100);
    g_assert_true(dir_listing_find(listing, "a-file-number-099999", &entry));
    g_assert_true(dir_listing_find(listing, "a-file-number-000000", &entry));
    g_assert_false(dir_listing_find(listing, "a-file-number-100000", &entry));
    fixture_free(f);
}

/* ---- Threads ---- */

typedef struct {
    Fixture *f;
    gint stop; /* atomic */
    int result;
    guint size;
} Reader;

static gboolean reader_stopped(gpointer data)
{
    return g_atomic_int_get(&((Reader *)data)->stop) != 0;
}

static gpointer read_dir(gpointer data)
{
    Reader *reader = data;
    g_autoptr(DirListing) listing = NULL;
    Bound bound = {.deadline = g_get_monotonic_time() + PATIENCE, .interrupted = reader_stopped, .data = reader};

    reader->result = dir_cache_list(reader->f->cache, &bound, "/d", &listing);
    if (reader->result == 0)
        reader->size = dir_listing_size(listing);
    return NULL;
}

static void await_waiting(Server *server, guint loads)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE;

    g_mutex_lock(&server->lock);
    while (server->waiting == 0 || server->loads < loads)
        g_assert_true(g_cond_wait_until(&server->cond, &server->lock, deadline));
    g_mutex_unlock(&server->lock);
}

static void open_server(Server *server)
{
    g_mutex_lock(&server->lock);
    server->closed = FALSE;
    g_cond_broadcast(&server->cond);
    g_mutex_unlock(&server->lock);
}

static void test_one_load_for_many(void)
{
    Fixture *f = fixture_new(LONG_TTL, 1 << 20);
    Reader readers[8] = {0};
    GThread *threads[8];

    add_name(f, "a");
    f->server.closed = TRUE;
    for (guint i = 0; i < 8; i++) {
        readers[i].f = f;
        threads[i] = g_thread_new("reader", read_dir, &readers[i]);
    }
    await_waiting(&f->server, 1);
    open_server(&f->server);
    for (guint i = 0; i < 8; i++) {
        g_thread_join(threads[i]);
        g_assert_cmpint(readers[i].result, ==, 0);
        g_assert_cmpuint(readers[i].size, ==, 1);
    }
    g_assert_cmpuint(f->server.loads, ==, 1); /* the late ones found it in the cache */
    fixture_free(f);
}

/* The one who loads is interrupted: the others are not told so, one of them loads anew. */
static void test_interrupted_loader(void)
{
    Fixture *f = fixture_new(LONG_TTL, 1 << 20);
    Reader first = {.f = f}, second = {.f = f}, third = {.f = f};

    add_name(f, "a");
    f->server.closed = TRUE;
    GThread *a = g_thread_new("first", read_dir, &first);
    await_waiting(&f->server, 1);
    GThread *b = g_thread_new("second", read_dir, &second);
    GThread *c = g_thread_new("third", read_dir, &third);
    g_atomic_int_set(&first.stop, 1);
    g_thread_join(a);
    g_assert_cmpint(first.result, ==, -EINTR);
    await_waiting(&f->server, 2);
    open_server(&f->server);
    g_thread_join(b);
    g_thread_join(c);
    g_assert_cmpint(second.result, ==, 0);
    g_assert_cmpint(third.result, ==, 0);
    g_assert_cmpuint(f->server.loads, ==, 2);
    fixture_free(f);
}

/* One who waits for another's load can be interrupted alone. */
static void test_interrupted_waiter(void)
{
    Fixture *f = fixture_new(LONG_TTL, 1 << 20);
    Reader first = {.f = f}, second = {.f = f, .stop = 1};

    f->server.closed = TRUE;
    GThread *a = g_thread_new("first", read_dir, &first);
    await_waiting(&f->server, 1);
    GThread *b = g_thread_new("second", read_dir, &second);
    g_thread_join(b);
    g_assert_cmpint(second.result, ==, -EINTR);
    open_server(&f->server);
    g_thread_join(a);
    g_assert_cmpint(first.result, ==, 0);
    fixture_free(f);
}

static gpointer load_ahead(gpointer data)
{
    Reader *reader = data;

    reader->result = dir_cache_load_ahead(reader->f->cache, NULL, "/d");
    return NULL;
}

/* A load that nobody had asked for fails: the one who waits for it is not told so, but loads the directory himself. */
static void test_load_ahead_fails(void)
{
    Fixture *f = fixture_new(LONG_TTL, 1 << 20);
    Reader ahead = {.f = f}, second = {.f = f};

    add_name(f, "a");
    f->server.closed = TRUE;
    f->server.error = -EBUSY;
    GThread *a = g_thread_new("ahead", load_ahead, &ahead);
    await_waiting(&f->server, 1);
    g_assert_cmpint(dir_cache_load_ahead(f->cache, NULL, "/d"), ==, -EEXIST);
    GThread *b = g_thread_new("second", read_dir, &second);
    open_server(&f->server);
    g_thread_join(a);
    g_assert_cmpint(ahead.result, ==, -EBUSY);
    g_mutex_lock(&f->server.lock);
    f->server.error = 0;
    g_mutex_unlock(&f->server.lock);
    g_thread_join(b);
    if (second.result != 0) /* it came late, and had its own answer from a server that still failed */
        g_assert_cmpint(second.result, ==, -EBUSY);
    g_assert_cmpint(dir_cache_load_ahead(f->cache, NULL, "/d"), ==, second.result == 0 ? -EEXIST : 0);
    g_assert_cmpint(dir_cache_load_ahead(f->cache, NULL, "/d"), ==, -EEXIST);
    fixture_free(f);
}

static void test_peek(void)
{
    Fixture *f = fixture_new(LONG_TTL, 1 << 20);
    g_autoptr(DirListing) listing = NULL;

    add_name(f, "a");
    g_assert_null(dir_cache_peek(f->cache, "/d"));
    g_assert_cmpuint(f->server.loads, ==, 0);
    g_assert_cmpint(dir_cache_load_ahead(f->cache, NULL, "/d"), ==, 0);
    listing = dir_cache_peek(f->cache, "/d");
    g_assert_nonnull(listing);
    assert_names(f, "/d", "a");
    g_assert_cmpuint(f->server.loads, ==, 1);
    fixture_free(f);
}

static void test_resized(void)
{
    Fixture *f = fixture_new(0, 1 << 20);
    FtpAttr attr = file_attr(8, 1000000);

    add_name(f, "a");
    add_name(f, "b");
    f->server.size = 7;
    assert_names(f, "/d", "a b");
    assert_names(f, "/d", "a b");
    g_assert_false(dir_cache_resized(f->cache, "/d/a", SECOND));
    dir_cache_note(f->cache, "/d/a", &attr, NULL, dir_cache_stamp(f->cache));
    g_assert_true(dir_cache_resized(f->cache, "/d/a", PATIENCE));
    g_assert_false(dir_cache_resized(f->cache, "/d/a", 0));
    g_assert_false(dir_cache_resized(f->cache, "/d/b", PATIENCE));
    f->server.size = 8;
    assert_names(f, "/d", "a b");
    g_assert_true(dir_cache_resized(f->cache, "/d/b", PATIENCE));
    dir_cache_forget(f->cache, "/d/c");
    g_assert_true(dir_cache_resized(f->cache, "/d/c", PATIENCE));
    fixture_free(f);
}

static gpointer churn(gpointer data)
{
    Fixture *f = data;
    FtpAttr attr = file_attr(1, 1);

    for (guint i = 0; i < 300; i++) {
        g_autofree char *path = g_strdup_printf("/d%u/f%u", g_random_int_range(0, 4), g_random_int_range(0, 20));
        g_autofree char *other = g_strdup_printf("/d%u/f%u", g_random_int_range(0, 4), g_random_int_range(0, 20));
        char dir[] = {path[0], path[1], path[2], '\0'};
        g_autoptr(DirListing) listing = NULL;
        FtpAttr found;
        g_autofree char *target = NULL;
        guint64 stamp = dir_cache_stamp(f->cache);
        g_assert_cmpint(dir_cache_list(f->cache, NULL, dir, &listing), ==, 0);
        dir_cache_put(f->cache, path, &attr, i % 3 == 0 ? "x" : NULL, i % 5 == 0);
        dir_cache_rename(f->cache, path, other);
        dir_cache_lookup(f->cache, other, -1, &found, &target, NULL);
        dir_cache_remove(f->cache, i % 7 == 0 ? dir : other);
        dir_cache_note(f->cache, path, &attr, NULL, stamp);
        if (i % 50 == 0)
            dir_cache_forget_all(f->cache);
    }
    return NULL;
}

/* For the sanitizers: everything at once, with eviction. */
static void test_churn(void)
{
    Fixture *f = fixture_new(LONG_TTL, 4000);
    GThread *threads[4];

    f->server.many = 20;
    for (guint i = 0; i < 4; i++)
        threads[i] = g_thread_new("churn", churn, f);
    for (guint i = 0; i < 4; i++)
        g_thread_join(threads[i]);
    fixture_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/dir_cache/list_once", test_list_once);
    g_test_add_func("/dir_cache/repeated_name", test_repeated_name);
    g_test_add_func("/dir_cache/no_ttl", test_no_ttl);
    g_test_add_func("/dir_cache/since", test_since);
    g_test_add_func("/dir_cache/ages", test_ages);
    g_test_add_func("/dir_cache/own_changes", test_own_changes);
    g_test_add_func("/dir_cache/rename", test_rename);
    g_test_add_func("/dir_cache/stamps", test_stamps);
    g_test_add_func("/dir_cache/change_during_load", test_change_during_load);
    g_test_add_func("/dir_cache/rename_during_load", test_rename_during_load);
    g_test_add_func("/dir_cache/pinned", test_pinned);
    g_test_add_func("/dir_cache/forget_name", test_forget_name);
    g_test_add_func("/dir_cache/errors_are_not_kept", test_errors_are_not_kept);
    g_test_add_func("/dir_cache/exact_times", test_exact_times);
    g_test_add_func("/dir_cache/lru", test_lru);
    g_test_add_func("/dir_cache/too_large", test_too_large);
    g_test_add_func("/dir_cache/memory", test_memory);
    g_test_add_func("/dir_cache/one_load_for_many", test_one_load_for_many);
    g_test_add_func("/dir_cache/interrupted_loader", test_interrupted_loader);
    g_test_add_func("/dir_cache/interrupted_waiter", test_interrupted_waiter);
    g_test_add_func("/dir_cache/load_ahead_fails", test_load_ahead_fails);
    g_test_add_func("/dir_cache/peek", test_peek);
    g_test_add_func("/dir_cache/resized", test_resized);
    g_test_add_func("/dir_cache/churn", test_churn);
    return g_test_run();
}
