/* SPDX-License-Identifier: MIT */
#include "fs/credentials.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    char *dir, *path;
    int before; /* standard input of the test */
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    f->dir = g_dir_make_tmp("ftpfs-test-XXXXXX", NULL);
    g_assert_nonnull(f->dir);
    f->path = g_build_filename(f->dir, "credentials", NULL);
    f->before = dup(STDIN_FILENO);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    if (f->before >= 0) {
        dup2(f->before, STDIN_FILENO);
        close(f->before);
    }
    g_unlink(f->path);
    g_rmdir(f->dir);
    g_free(f->path);
    g_free(f->dir);
}

static void write_file(Fixture *f, const char *text, gssize size, guint mode)
{
    g_assert_true(g_file_set_contents(f->path, text, size, NULL));
    g_assert_cmpint(chmod(f->path, mode), ==, 0);
}

/* What is read as standard input: a pipe, whose end comes after the text. */
static void set_stdin(const char *text, gsize size)
{
    int ends[2];

    g_assert_cmpint(pipe(ends), ==, 0);
    g_assert_cmpint(write(ends[1], text, size), ==, (gssize)size);
    close(ends[1]);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
}

/* `more` are options behind "ftpfs SOURCE /mnt -o ro". */
static Options *parse(const char *source, const char *more)
{
    g_autofree char *a = g_strdup("ftpfs"), *b = g_strdup(source), *c = g_strdup("/mnt"), *d = g_strdup("-o");
    g_autofree char *e = g_strconcat("ro", more, NULL);
    char *argv[] = {a, b, c, d, e, NULL};
    g_autoptr(GError) error = NULL;
    Options *options = options_parse(5, argv, &error);

    g_assert_no_error(error);
    return options;
}

static Options *with_file(Fixture *f, const char *source)
{
    g_autofree char *more = g_strdup_printf(",credentials=%s", f->path);
    return parse(source, more);
}

static void accepted(Options *options, const char *user, const char *password)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(credentials_complete(options, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(options->ftp->user, ==, user);
    g_assert_cmpstr(options->ftp->password, ==, password);
    options_free(options);
}

static void refused(Options *options, const char *word)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(credentials_complete(options, &error));
    g_assert_nonnull(error);
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, word));
    g_assert_null(strstr(error->message, "SECRET"));
    options_free(options);
}

static void test_source(Fixture *f, gconstpointer data)
{
    accepted(parse("h", ""), "anonymous", "ftpfs@");
    accepted(parse("anonymous@h", ""), "anonymous", "ftpfs@");
    accepted(parse("ftp@h", ""), "ftp", "ftpfs@");
    accepted(parse("u:p@h", ""), "u", "p");
    accepted(parse("u:@h", ""), "u", "");
    accepted(parse("h", ",user=u:p"), "u", "p");
    /* libcurl looks into netrc */
    accepted(parse("h", ",netrc"), NULL, NULL);
    accepted(parse("u@h", ",netrc"), "u", NULL);
    /* nobody to ask: standard input is no terminal */
    set_stdin("", 0);
    refused(parse("u@h", ""), "no password for the user 'u'");
}

static void test_file(Fixture *f, gconstpointer data)
{
    write_file(f, "# of the NAS\n\n  username=joe\npassword= a=b # c \n", -1, 0600);
    accepted(with_file(f, "h"), "joe", " a=b # c ");
    accepted(with_file(f, "joe@h"), "joe", " a=b # c ");
    accepted(with_file(f, "joe:other@h"), "joe", "other");
    refused(with_file(f, "jim@h"), "is for the user 'joe'");

    write_file(f, "user=joe\r\npass=p\r\n", -1, 0400);
    accepted(with_file(f, "h"), "joe", "p");
    write_file(f, "password=p", -1, 0600);
    accepted(with_file(f, "joe@h"), "joe", "p");
    refused(with_file(f, "h"), "username=");
    write_file(f, "username=joe\npassword=\n", -1, 0600);
    accepted(with_file(f, "h"), "joe", "");
    write_file(f, "", 0, 0600);
    accepted(with_file(f, "h"), "anonymous", "ftpfs@");

    write_file(f, "username=joe\npassword=p\ndomain=WORK\n", -1, 0600);
    Options *options = with_file(f, "h");
    g_autoptr(GPtrArray) warnings = g_ptr_array_ref(options->warnings);
    accepted(options, "joe", "p");
    g_assert_cmpuint(warnings->len, ==, 1);
    g_assert_nonnull(strstr(warnings->pdata[0], "line 3"));
}

static void test_file_refused(Fixture *f, gconstpointer data)
{
    static const guint open_modes[] = {0640, 0604, 0620, 0602, 0666};

    refused(with_file(f, "h"), "can't be opened");
    for (gsize i = 0; i < G_N_ELEMENTS(open_modes); i++) {
        write_file(f, "username=u\npassword=SECRET\n", -1, open_modes[i]);
        refused(with_file(f, "h"), "chmod 600");
    }
    write_file(f, "username=u\nSECRET\n", -1, 0600);
    refused(with_file(f, "h"), "line 2");
    write_file(f, "SECRET=x\n", -1, 0600);
    refused(with_file(f, "h"), "line 1");
    write_file(f, "username=u\npassword=SEC\rRET\n", -1, 0600);
    refused(with_file(f, "h"), "line 2");
    static const char with_nul[] = "username=u\npassword=SEC\0RET\n";
    write_file(f, with_nul, sizeof with_nul - 1, 0600);
    refused(with_file(f, "h"), "NUL");
    g_autofree char *large = g_malloc(70000);
    memset(large, '#', 70000);
    write_file(f, large, 70000, 0600);
    refused(with_file(f, "h"), "too large");
    g_unlink(f->path);
    g_assert_cmpint(mkfifo(f->path, 0600), ==, 0);
    refused(with_file(f, "h"), "not a regular file");
    g_unlink(f->path);
    g_autofree char *more = g_strdup_printf(",credentials=%s", f->dir);
    refused(parse("h", more), "not a regular file");
}

static void test_foreign_file(Fixture *f, gconstpointer data)
{
    if (geteuid() != 0) {
        g_test_skip("only root can give a file away");
        return;
    }
    write_file(f, "username=u\npassword=SECRET\n", -1, 0600);
    g_assert_cmpint(chown(f->path, 65534, 65534), ==, 0);
    refused(with_file(f, "h"), "belongs to another user");
}

static void test_stdin(Fixture *f, gconstpointer data)
{
    static const char two_lines[] = "pass word\nnext";

    set_stdin(two_lines, strlen(two_lines));
    accepted(parse("u@h", ",password_stdin"), "u", "pass word");
    char rest[8] = "";
    g_assert_cmpint(read(STDIN_FILENO, rest, sizeof rest - 1), ==, 4); /* only the line was taken */
    g_assert_cmpstr(rest, ==, "next");
    set_stdin("p\r\n", 3);
    accepted(parse("u@h", ",password_stdin"), "u", "p");
    set_stdin("p", 1);
    accepted(parse("u@h", ",password_stdin"), "u", "p");
    set_stdin("\n", 1);
    accepted(parse("u@h", ",password_stdin"), "u", "");
    set_stdin("", 0);
    refused(parse("u@h", ",password_stdin"), "ended");
    set_stdin("SEC\0RET\n", 8);
    refused(parse("u@h", ",password_stdin"), "byte");
    set_stdin("p\n", 2);
    refused(parse("h", ",password_stdin"), "user=NAME");
    g_autofree char *large = g_malloc(5000);
    memset(large, 'x', 5000);
    set_stdin(large, 5000);
    refused(parse("u@h", ",password_stdin"), "longer");
    /* what SOURCE says comes first, and the file before standard input */
    set_stdin("late\n", 5);
    accepted(parse("u:p@h", ",password_stdin"), "u", "p");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, func) g_test_add("/credentials/" name, Fixture, NULL, set_up, func, tear_down)
    ADD("source", test_source);
    ADD("file", test_file);
    ADD("file-refused", test_file_refused);
    ADD("foreign-file", test_foreign_file);
    ADD("stdin", test_stdin);
    return g_test_run();
}
