/* SPDX-License-Identifier: MIT */
#include "base/remote_path.h"

#include <errno.h>
#include <string.h>

typedef struct {
    const char *root;
    const char *relative;
    const char *bytes;
    const char *name;
    const char *parent; /* or NULL */
    const char *url;
} Case;

static const Case cases[] = {
    {"", "", ".", "", NULL, ""},
    {"", "/", ".", "", NULL, ""},
    {"", "/a", "./a", "a", ".", "a"},
    {"", "a", "./a", "a", ".", "a"},
    {"", "/a/b", "./a/b", "b", "./a", "a/b"},
    {"", "//a///b//", "./a/b", "b", "./a", "a/b"},
    {"/", "", "/", "", NULL, "%2F"},
    {"/", "/", "/", "", NULL, "%2F"},
    {"/", "/a", "/a", "a", "/", "%2Fa"},
    {"//", "a", "/a", "a", "/", "%2Fa"},
    {"/home/u", "/", "/home/u", "u", "/home", "%2Fhome/u"},
    {"/home/u/", "/a", "/home/u/a", "a", "/home/u", "%2Fhome/u/a"},
    {"/home//u", "/a b", "/home/u/a b", "a b", "/home/u", "%2Fhome/u/a%20b"},
    {"pub", "/a", "./pub/a", "a", "./pub", "pub/a"},
    {"./pub/.", "/a", "./pub/a", "a", "./pub", "pub/a"},
    {".", "/a", "./a", "a", ".", "a"},
    {"../x", "/a", "./../x/a", "a", "./../x", "../x/a"},
    {"", "/~", "./~", "~", ".", "./~"},
    {"", "/~/x", "./~/x", "x", "./~", "./~/x"},
    {"", "/-la", "./-la", "-la", ".", "./-la"},
    {"~u", "", "./~u", "~u", ".", "./~u"},
    {"/", "/~", "/~", "~", "/", "%2F~"},
    {"", "/...", "./...", "...", ".", "..."},
    {"", "/.hidden", "./.hidden", ".hidden", ".", ".hidden"},
    {"", "/a;type=a", "./a;type=a", "a;type=a", ".", "a%3Btype%3Da"},
    {"", "/100% #1?", "./100% #1?", "100% #1?", ".", "100%25%20%231%3F"},
    {"", "/a -> b", "./a -> b", "a -> b", ".", "a%20-%3E%20b"},
    {"", "/ x ", "./ x ", " x ", ".", "%20x%20"},
    {"", "/[a]*\"'\\", "./[a]*\"'\\", "[a]*\"'\\", ".", "%5Ba%5D%2A%22%27%5C"},
    {"", "/\xc3\xa9\xff\x01", "./\xc3\xa9\xff\x01", "\xc3\xa9\xff\x01", ".", "%C3%A9%FF%01"},
};

static void test_forms(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Case *c = &cases[i];
        g_autoptr(RemotePath) path = NULL;
        g_autofree char *relative = g_strescape(c->relative, NULL); /* the report of the tests is UTF-8 */
        g_test_message("\"%s\" + \"%s\"", c->root, relative);
        g_assert_cmpint(remote_path_new(c->root, c->relative, &path), ==, 0);
        g_assert_cmpstr(remote_path_bytes(path), ==, c->bytes);
        g_assert_cmpstr(remote_path_name(path), ==, c->name);
        g_autofree char *url = remote_path_url(path);
        g_assert_cmpstr(url, ==, c->url);
        g_autoptr(RemotePath) parent = remote_path_parent(path);
        if (c->parent == NULL) {
            g_assert_null(parent);
        } else {
            g_assert_cmpstr(remote_path_bytes(parent), ==, c->parent);
            if (strcmp(c->name, "..") != 0) {
                g_autoptr(RemotePath) again = NULL;
                g_assert_cmpint(remote_path_child(parent, c->name, &again), ==, 0);
                g_assert_true(remote_path_equal(path, again));
                g_assert_false(remote_path_equal(path, parent));
            }
        }
    }
}

static void test_refused(void)
{
    static const char *const relatives[] = {"/.",    "/..",   ".",     "..",    "/a/./b",       "/a/../b",
                                            "/a/..", "/../a", "/a\rb", "/a\nb", "/a\r\nDELE b", "/\n"};
    RemotePath *untouched = NULL;
    for (gsize i = 0; i < G_N_ELEMENTS(relatives); i++) {
        g_assert_cmpint(remote_path_new("/home", relatives[i], &untouched), ==, -EINVAL);
        g_assert_null(untouched);
    }
    g_assert_cmpint(remote_path_new("/ho\rme", "/a", &untouched), ==, -EINVAL);
    g_assert_cmpint(remote_path_new("/ho\nme", "/a", &untouched), ==, -EINVAL);

    static const char *const names[] = {"", ".", "..", "a/b", "/", "/a", "a/", "a\r", "\n", "a\r\nRMD b"};
    g_autoptr(RemotePath) root = NULL;
    g_assert_cmpint(remote_path_new("/", "", &root), ==, 0);
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_assert_cmpint(remote_path_child(root, names[i], &untouched), ==, -EINVAL);
        g_assert_null(untouched);
    }
}

static void test_long(void)
{
    g_autofree char *longest = g_strnfill(REMOTE_PATH_MAX - 1, 'x'); /* and the slash */
    g_autofree char *too_long = g_strnfill(REMOTE_PATH_MAX, 'x');
    g_autoptr(RemotePath) root = NULL;
    g_autoptr(RemotePath) path = NULL;
    g_autoptr(RemotePath) child = NULL;
    RemotePath *untouched = NULL;
    g_assert_cmpint(remote_path_new("/", longest, &path), ==, 0);
    g_assert_cmpuint(strlen(remote_path_bytes(path)), ==, REMOTE_PATH_MAX);
    g_assert_cmpint(remote_path_child(path, "a", &untouched), ==, -ENAMETOOLONG);
    g_assert_cmpint(remote_path_new("/", too_long, &untouched), ==, -ENAMETOOLONG);
    g_assert_cmpint(remote_path_new("", longest, &untouched), ==, -ENAMETOOLONG);
    g_assert_null(untouched);
    g_assert_cmpint(remote_path_new("/", "", &root), ==, 0);
    g_assert_cmpint(remote_path_child(root, longest, &child), ==, 0);
    g_assert_true(remote_path_equal(path, child));
}

static void test_references(void)
{
    RemotePath *path = NULL;
    g_assert_cmpint(remote_path_new("/a", "b", &path), ==, 0);
    RemotePath *second = remote_path_ref(path);
    g_assert_true(second == path);
    remote_path_unref(path);
    g_assert_cmpstr(remote_path_bytes(second), ==, "/a/b");
    remote_path_unref(second);
    remote_path_unref(NULL);
}

/* Whatever bytes come in: either refused, or a path that no command line is cut by and that lies below its root. */
static void test_random(void)
{
    static const char alphabet[] = "/./..\r\n~-ab \x01\xff";
    for (int round = 0; round < 20000; round++) {
        char text[12] = {0};
        int size = g_test_rand_int_range(0, (int)sizeof text);
        for (int i = 0; i < size; i++)
            text[i] = alphabet[g_test_rand_int_range(0, (int)sizeof alphabet - 1)];
        const char *root = g_test_rand_bit() ? "/r" : "";
        g_autoptr(RemotePath) path = NULL;
        if (remote_path_new(root, text, &path) < 0) {
            g_assert_null(path);
            continue;
        }
        const char *bytes = remote_path_bytes(path);
        g_assert_null(strpbrk(bytes, "\r\n"));
        g_assert_null(strstr(bytes, "//"));
        g_assert_null(strstr(bytes, "/../"));
        g_assert_false(g_str_has_suffix(bytes, "/.."));
        g_assert_false(g_str_has_suffix(bytes, "/"));
        g_assert_true(g_str_has_prefix(bytes, root[0] == '/' ? "/r" : "."));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/remote-path/forms", test_forms);
    g_test_add_func("/remote-path/refused", test_refused);
    g_test_add_func("/remote-path/long", test_long);
    g_test_add_func("/remote-path/references", test_references);
    g_test_add_func("/remote-path/random", test_random);
    return g_test_run();
}
