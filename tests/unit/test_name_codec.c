/* SPDX-License-Identifier: MIT */
/* Known names, and the two promises of the header on random and on all short byte strings of many charsets. */
#include "base/name_codec.h"

#include <string.h>

#define ROUNDS  3000
#define THREADS 4

static NameCodec *codec_for(const char *charset)
{
    g_autoptr(GError) error = NULL;
    NameCodec *codec = name_codec_new(charset, &error);
    g_assert_no_error(error);
    g_assert_nonnull(codec);
    return codec;
}

static void check_pair(const NameCodec *codec, const char *remote, const char *local)
{
    g_autofree char *to_local = name_codec_to_local(codec, remote);
    g_assert_cmpstr(to_local, ==, local);
    g_autofree char *to_remote = name_codec_to_remote(codec, local);
    g_assert_cmpstr(to_remote, ==, remote);
}

/* Every name of the server comes back as its own bytes. */
static void check_remote(const NameCodec *codec, const char *remote)
{
    g_autofree char *local = name_codec_to_local(codec, remote);
    g_assert_true(g_utf8_validate(local, -1, NULL));
    g_assert_cmpint(strchr(local, '/') != NULL, ==, strchr(remote, '/') != NULL);
    g_autofree char *back = name_codec_to_remote(codec, local);
    g_assert_cmpstr(back, ==, remote);
}

/* A name of ours is refused or listed as the same name. */
static void check_local(const NameCodec *codec, const char *local)
{
    g_autofree char *remote = name_codec_to_remote(codec, local);
    if (remote == NULL)
        return;
    g_autofree char *back = name_codec_to_local(codec, remote);
    g_assert_cmpstr(back, ==, local);
}

static void test_identity(void)
{
    static const char *const charsets[] = {NULL, "UTF-8", "utf-8", "utf8"};
    for (gsize i = 0; i < G_N_ELEMENTS(charsets); i++) {
        g_autoptr(NameCodec) codec = codec_for(charsets[i]);
        check_pair(codec, "plain", "plain");
        check_pair(codec, "\xc3\xa9", "\xc3\xa9");
        check_pair(codec, "\xff\xfe not utf-8 \xc3", "\xff\xfe not utf-8 \xc3");
        check_pair(codec, "\xef\x9c\x80", "\xef\x9c\x80"); /* U+F700 itself */
        check_pair(codec, "", "");
    }
}

static void test_latin1(void)
{
    g_autoptr(NameCodec) codec = codec_for("ISO-8859-1");
    check_pair(codec, "caf\xe9", "caf\xc3\xa9");
    check_pair(codec, "\x80\xff", "\xc2\x80\xc3\xbf");
    check_pair(codec, "", "");
    g_assert_null(name_codec_to_remote(codec, "\xe2\x82\xac")); /* no euro sign */
    g_assert_null(name_codec_to_remote(codec, "\xff"));         /* no UTF-8 */
    g_assert_null(name_codec_to_remote(codec, "\xef\x9c\x80")); /* an escaped NUL */
    g_assert_null(name_codec_to_remote(codec, "\xef\x9c\xaf")); /* an escaped '/' */
    g_assert_null(name_codec_to_remote(codec, "\xef\x9c\x8a")); /* an escaped LF */
    g_assert_null(name_codec_to_remote(codec, "\xef\x9e\xa9")); /* an escape for what is a character */
}

static void test_cyrillic(void)
{
    g_autoptr(NameCodec) codec = codec_for("CP1251");
    check_pair(codec, "\xcf\xf0\xe8\xe2\xe5\xf2", "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82");
    check_pair(codec, "a\x98z", "a\xef\x9e\x98z"); /* 0x98 is no character: U+F798 */
}

static void test_ascii(void)
{
    g_autoptr(NameCodec) codec = codec_for("US-ASCII");
    check_pair(codec, "a\xe9", "a\xef\x9f\xa9");
    g_assert_null(name_codec_to_remote(codec, "\xc3\xa9"));
}

static void test_japanese(void)
{
    g_autoptr(NameCodec) codec = codec_for("SHIFT_JIS");
    check_pair(codec, "\x93\xfa\x96\x7b", "\xe6\x97\xa5\xe6\x9c\xac");
    check_pair(codec, "\x95\x5c.txt", "\xe8\xa1\xa8.txt"); /* the second byte is a backslash in ASCII */
    check_pair(codec, "\xb1", "\xef\xbd\xb1");             /* a half-width letter is one byte */
    check_pair(codec, "\x93", "\xef\x9e\x93");             /* the first byte of nothing: U+F793 */
    check_pair(codec, "\x93/", "\xef\x9e\x93/");
    check_remote(codec, "\\~");
}

static void test_chinese(void)
{
    g_autoptr(NameCodec) codec = codec_for("GB18030");
    check_pair(codec, "\xd6\xd0\xce\xc4", "\xe4\xb8\xad\xe6\x96\x87");
    check_pair(codec, "\x94\x39\xfc\x36", "\xf0\x9f\x98\x80"); /* four bytes: U+1F600 */
    check_pair(codec, "\xd6", "\xef\x9f\x96");                 /* U+F7D6 */
    check_pair(codec, "\x94\x39\xfc",
               "\xef\x9e\x94"
               "9\xef\x9f\xbc"); /* a part of one */
    /* GB18030 has all of Unicode, the escape range too: such a name is escaped byte by byte. */
    g_autoptr(GError) error = NULL;
    gsize size = 0;
    g_autofree char *bytes = g_convert("\xef\x9c\xb0", -1, "GB18030", "UTF-8", NULL, &size, &error);
    g_assert_no_error(error);
    check_remote(codec, bytes);
    g_autofree char *shown = name_codec_to_local(codec, bytes);
    g_assert_cmpstr(shown, !=, "\xef\x9c\xb0");
}

/* Pieces that would join into another character when they are put together. */
static void test_joining(void)
{
    g_autoptr(NameCodec) codec = codec_for("SHIFT_JIS");
    g_assert_null(name_codec_to_remote(codec, "\xef\x9e\x93"
                                              "A")); /* 0x93 0x41 is one character */
    check_local(codec, "\xef\x9e\x93z\xef\x9e\x93");
}

static void test_refused(void)
{
    static const char *const charsets[] = {
        "",      "no-such-charset", "UTF-16",      "UTF-16LE",    "UCS-4",
        "UTF-7", "IBM037",          "ISO-2022-JP", "ISO-2022-KR", "ISO-8859-1//TRANSLIT",
        "//"};
    for (gsize i = 0; i < G_N_ELEMENTS(charsets); i++) {
        g_autoptr(GError) error = NULL;
        g_test_message("%s", charsets[i]);
        g_assert_null(name_codec_new(charsets[i], &error));
        g_assert_error(error, G_CONVERT_ERROR, G_CONVERT_ERROR_NO_CONVERSION);
        g_assert_null(name_codec_new(charsets[i], NULL));
    }
    name_codec_free(NULL);
}

static void check_random(const NameCodec *codec)
{
    char text[24];
    int size = g_test_rand_int_range(0, (int)sizeof text);
    gboolean high = g_test_rand_bit();
    for (int i = 0; i < size; i++)
        text[i] = (char)g_test_rand_int_range(high && g_test_rand_int_range(0, 4) > 0 ? 128 : 1, 256);
    text[size] = '\0';
    check_remote(codec, text);

    g_autoptr(GString) local = g_string_new(NULL);
    for (int i = 0; i < size / 2; i++) {
        static const int first[] = {0x20, 0xa0, 0x400, 0xe000, 0xf700, 0x3040, 0x4e00};
        static const int last[] = {0x7f, 0x17f, 0x460, 0xf900, 0xf800, 0x3100, 0x9fa0};
        int range = g_test_rand_int_range(0, (int)G_N_ELEMENTS(first));
        g_string_append_unichar(local, (gunichar)g_test_rand_int_range(first[range], last[range]));
    }
    check_local(codec, local->str);
}

static void test_property(gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(NameCodec) codec = name_codec_new(data, &error);
    if (codec == NULL) { /* some are left out of small C libraries; the first four are not */
        g_test_skip(error->message);
        return;
    }
    char text[3] = {0};
    for (int a = 1; a < 256; a++) {
        text[0] = (char)a;
        text[1] = '\0';
        check_remote(codec, text);
        for (int b = 1; b < 256; b++) {
            text[1] = (char)b;
            check_remote(codec, text);
        }
    }
    for (int i = 0; i < ROUNDS; i++)
        check_random(codec);
}

static gpointer convert_much(gpointer data)
{
    const NameCodec *codec = data;
    for (int i = 0; i < ROUNDS; i++) {
        check_pair(codec, "\x93\xfa\x96\x7b", "\xe6\x97\xa5\xe6\x9c\xac");
        check_pair(codec, "a\x93", "a\xef\x9e\x93");
    }
    return NULL;
}

static void test_threads(void)
{
    g_autoptr(NameCodec) codec = codec_for("SHIFT_JIS");
    GThread *threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = g_thread_new("convert", convert_much, codec);
    for (int i = 0; i < THREADS; i++)
        g_thread_join(threads[i]);
}

int main(int argc, char **argv)
{
    static const char *const charsets[] = {"ISO-8859-1",  "CP1251", "SHIFT_JIS", "GB18030", "US-ASCII",
                                           "ISO-8859-15", "CP437",  "KOI8-R",    "CP932",   "EUC-JP",
                                           "EUC-KR",      "BIG5",   "GBK",       "CP1258"};
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/name-codec/identity", test_identity);
    g_test_add_func("/name-codec/latin1", test_latin1);
    g_test_add_func("/name-codec/cyrillic", test_cyrillic);
    g_test_add_func("/name-codec/ascii", test_ascii);
    g_test_add_func("/name-codec/japanese", test_japanese);
    g_test_add_func("/name-codec/chinese", test_chinese);
    g_test_add_func("/name-codec/joining", test_joining);
    g_test_add_func("/name-codec/refused", test_refused);
    for (gsize i = 0; i < G_N_ELEMENTS(charsets); i++) {
        g_autofree char *path = g_strconcat("/name-codec/property/", charsets[i], NULL);
        g_test_add_data_func(path, charsets[i], test_property);
    }
    g_test_add_func("/name-codec/threads", test_threads);
    return g_test_run();
}
