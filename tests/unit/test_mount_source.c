/* SPDX-License-Identifier: MIT */
#include "fs/mount_source.h"

#include <string.h>

typedef struct {
    const char *text;
    FtpTls tls;
    const char *user, *password, *host;
    guint port;
    const char *path;
} Case;

static const Case cases[] = {
    {"ftp://h", FTP_TLS_OFF, NULL, NULL, "h", 0, ""},
    {"FTP://h/", FTP_TLS_OFF, NULL, NULL, "h", 0, ""},
    {"ftps://h:2121/a", FTP_TLS_IMPLICIT, NULL, NULL, "h", 2121, "a"},
    {"ftpes://h/a/", FTP_TLS_ON, NULL, NULL, "h", 0, "a"},
    {"curlftpfs#ftp://u:p@h/a", FTP_TLS_OFF, "u", "p", "h", 0, "a"},
    {"curlftpfs#h/a", FTP_TLS_OFF, NULL, NULL, "h", 0, "a"},
    {"ftpfs#ftps://h", FTP_TLS_IMPLICIT, NULL, NULL, "h", 0, ""},
    /* bare forms */
    {"h", FTP_TLS_OFF, NULL, NULL, "h", 0, ""},
    {"h/a/b", FTP_TLS_OFF, NULL, NULL, "h", 0, "a/b"},
    {"h:2121/a b", FTP_TLS_OFF, NULL, NULL, "h", 2121, "a b"},
    {"h:2121", FTP_TLS_OFF, NULL, NULL, "h", 2121, ""},
    {"h:/a", FTP_TLS_OFF, NULL, NULL, "h", 0, "a"},
    {"u@h", FTP_TLS_OFF, "u", NULL, "h", 0, ""},
    {"u:p@h:21/a", FTP_TLS_OFF, "u", "p", "h", 21, "a"},
    {"ftp.example.com//pub", FTP_TLS_OFF, NULL, NULL, "ftp.example.com", 0, "/pub"},
    /* IPv6 */
    {"ftp://[::1]", FTP_TLS_OFF, NULL, NULL, "::1", 0, ""},
    {"ftp://u:p@[2001:db8::1]:2121/a", FTP_TLS_OFF, "u", "p", "2001:db8::1", 2121, "a"},
    {"[::1]:2121/a", FTP_TLS_OFF, NULL, NULL, "::1", 2121, "a"},
    {"ftp://[fe80::1%25eth0]/", FTP_TLS_OFF, NULL, NULL, "fe80::1%eth0", 0, ""},
    {"ftp://[fe80::1%eth0]/", FTP_TLS_OFF, NULL, NULL, "fe80::1%eth0", 0, ""},
    /* the path */
    {"ftp://h//a", FTP_TLS_OFF, NULL, NULL, "h", 0, "/a"},
    {"ftp://h/%2Fa/b", FTP_TLS_OFF, NULL, NULL, "h", 0, "/a/b"},
    {"ftp://h/%2fa", FTP_TLS_OFF, NULL, NULL, "h", 0, "/a"},
    {"ftp://h//", FTP_TLS_OFF, NULL, NULL, "h", 0, "/"},
    {"ftp://h///a//b/", FTP_TLS_OFF, NULL, NULL, "h", 0, "/a/b"},
    {"ftp://h/./a/./b", FTP_TLS_OFF, NULL, NULL, "h", 0, "a/b"},
    {"ftp://h/a%20b", FTP_TLS_OFF, NULL, NULL, "h", 0, "a b"},
    {"ftp://h/a?b#c;type=i", FTP_TLS_OFF, NULL, NULL, "h", 0, "a?b#c;type=i"},
    {"ftp://h/a@b:c", FTP_TLS_OFF, NULL, NULL, "h", 0, "a@b:c"},
    {"ftp://h/50%off", FTP_TLS_OFF, NULL, NULL, "h", 0, "50%off"},
    {"ftp://h/100%", FTP_TLS_OFF, NULL, NULL, "h", 0, "100%"},
    {"ftp://h/%C3%A9\xc3\xa9", FTP_TLS_OFF, NULL, NULL, "h", 0, "\xc3\xa9\xc3\xa9"},
    /* odd passwords, as they are and encoded */
    {"ftp://u:p@ss@h/a", FTP_TLS_OFF, "u", "p@ss", "h", 0, "a"},
    {"ftp://u:p@ss:w%2Frd#1@h/a", FTP_TLS_OFF, "u", "p@ss:w/rd#1", "h", 0, "a"},
    {"ftp://u:p%40ss%3Aw%2Frd%231@h/a", FTP_TLS_OFF, "u", "p@ss:w/rd#1", "h", 0, "a"},
    {"ftp://u:a?b%25@h", FTP_TLS_OFF, "u", "a?b%", "h", 0, ""},
    {"ftp://u:50%off@h", FTP_TLS_OFF, "u", "50%off", "h", 0, ""},
    {"ftp://u%40x.org:p@h", FTP_TLS_OFF, "u@x.org", "p", "h", 0, ""},
    {"ftp://u@x.org:p@h", FTP_TLS_OFF, "u@x.org", "p", "h", 0, ""},
    {"ftp://u:@h", FTP_TLS_OFF, "u", "", "h", 0, ""},
    {"ftp://@h", FTP_TLS_OFF, NULL, NULL, "h", 0, ""},
    {"ftp://:@h", FTP_TLS_OFF, NULL, NULL, "h", 0, ""},
};

static void test_forms(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Case *c = &cases[i];
        g_autoptr(GError) error = NULL;
        g_autoptr(MountSource) source = mount_source_parse(c->text, &error);

        g_test_message("%s", c->text);
        g_assert_no_error(error);
        g_assert_nonnull(source);
        g_assert_cmpint(source->tls, ==, c->tls);
        g_assert_cmpstr(source->user, ==, c->user);
        g_assert_cmpstr(source->password, ==, c->password);
        g_assert_cmpstr(source->host, ==, c->host);
        g_assert_cmpuint(source->port, ==, c->port);
        g_assert_cmpstr(source->path, ==, c->path);
    }
}

static void test_refused(void)
{
    static const char *const wrong[] = {
        "",
        "/",
        "ftp://",
        "ftp:///a",
        "http://h/a",
        "sftp://h",
        "ftp://h:0/",
        "ftp://h:65536/",
        "ftp://h:x/",
        "ftp://h:123456",
        "ftp://h:-1",
        "ftp://::1/a",
        "::1",
        "ftp://[::1",
        "ftp://[::1]x",
        "ftp://[h]/",
        "ftp://[::1%]/",
        "ftp://a b/",
        "ftp://h%41/",
        "ftp://h/a%0Ab",
        "ftp://h/a%0d",
        "ftp://h/%00",
        "ftp://u%0A@h",
        "ftp://u:SECRET%0D@h",
        "ftp://u:SECRET%00@h",
        "ftp://h/../a",
        "ftp://h/a/..",
        "ftp://:SECRET@h",
        "ftp://u:SECRET/x@h",
        "h\n/a",
        "ftp://u:SE/CRET@h/",
        "ftp://u@:21",
    };
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(MountSource) source = mount_source_parse(wrong[i], &error);

        g_test_message("%s", wrong[i]);
        g_assert_null(source);
        g_assert_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE);
        g_assert_true(g_str_has_prefix(error->message, "SOURCE: "));
        g_assert_null(strstr(error->message, "SECRET"));
        g_assert_null(strstr(error->message, "CRET"));
    }
}

static void test_scrub(void)
{
    static const char *const pairs[][2] = {
        {"ftp://u:p@h/a", "ftp://u@h/a"},
        {"ftp://u@h/a", "ftp://u@h/a"},
        {"ftp://h:21/a@b", "ftp://h:21/a@b"},
        {"u:p@ss:w@h:21/a:b@c", "u@h:21/a:b@c"},
        {"curlftpfs#ftps://u:p%2F@[::1]:21/", "curlftpfs#ftps://u@[::1]:21/"},
        {"ftp://u:@h", "ftp://u@h"},
        {"ftp://u:pa/ss@h/x", "ftp://u@h/x"}, /* not understood */
        {"ftp://u:p%0A@h/x", "ftp://u@h/x"},
        {"http://u:p@h", "http://u@h"},
        {"", ""},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(pairs); i++) {
        gsize size = strlen(pairs[i][0]);
        g_autofree char *text = g_strdup(pairs[i][0]);

        mount_source_scrub(text);
        g_assert_cmpstr(text, ==, pairs[i][1]);
        for (gsize j = strlen(text); j <= size; j++)
            g_assert_cmpint(text[j], ==, 0);
    }
}

/* What the mount table shows is a SOURCE that means the same, without the password. */
static void test_round_trip(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(MountSource) source = mount_source_parse(cases[i].text, NULL);
        g_autoptr(FtpConfig) config = ftp_config_new();

        g_free(config->host);
        g_free(config->path);
        config->host = g_strdup(source->host);
        config->path = g_strdup(source->path);
        config->user = g_strdup(source->user);
        config->password = g_strdup(source->password);
        config->port = source->port;
        config->tls = source->tls;
        g_autofree char *text = ftp_config_source(config);
        g_autoptr(GError) error = NULL;
        g_autoptr(MountSource) again = mount_source_parse(text, &error);
        g_test_message("%s -> %s", cases[i].text, text);
        g_assert_no_error(error);
        g_assert_cmpstr(again->host, ==, source->host);
        g_assert_cmpstr(again->path, ==, source->path);
        g_assert_cmpstr(again->user, ==, source->user);
        g_assert_null(again->password);
        g_assert_true((again->tls == FTP_TLS_IMPLICIT) == (source->tls == FTP_TLS_IMPLICIT));
        guint usual = source->tls == FTP_TLS_IMPLICIT ? 990 : 21;
        g_assert_cmpuint(again->port != 0 ? again->port : usual, ==, source->port != 0 ? source->port : usual);
        g_assert_null(strpbrk(text, " \t\n\\"));
    }
}

/* Any bytes: no crash, and what is accepted can't break a command. */
static void test_random(void)
{
    static const char alphabet[] = "ftps:/@%#?[]0129aF.~\r\n \xc3\xa9-";

    for (guint round = 0; round < 20000; round++) {
        char text[40];
        gsize size = (gsize)g_test_rand_int_range(0, sizeof text - 1);
        for (gsize i = 0; i < size; i++)
            text[i] = alphabet[g_test_rand_int_range(0, sizeof alphabet - 1)];
        text[size] = '\0';
        g_autoptr(MountSource) source = mount_source_parse(text, NULL);
        if (source != NULL) {
            g_assert_cmpstr(source->host, !=, "");
            g_assert_null(strpbrk(source->host, "\r\n/@ "));
            g_assert_null(strpbrk(source->path, "\r\n"));
            g_assert_null(source->user != NULL ? strpbrk(source->user, "\r\n") : NULL);
            g_assert_null(source->password != NULL ? strpbrk(source->password, "\r\n") : NULL);
        }
        mount_source_scrub(text);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/mount-source/forms", test_forms);
    g_test_add_func("/mount-source/refused", test_refused);
    g_test_add_func("/mount-source/scrub", test_scrub);
    g_test_add_func("/mount-source/round-trip", test_round_trip);
    g_test_add_func("/mount-source/random", test_random);
    return g_test_run();
}
