/* SPDX-License-Identifier: MIT */
/*
 * The listing parsers against corpora of lines as servers send them, whole and in pieces, and against noise.
 *
 * A corpus begins with `format`, `now` and `zone`. Then "> " stands before a line of a listing and "< " before what is
 * expected of it: type, size, mode, time/precision, uid:gid (each "-" if unknown), one space and the name, after it
 * perhaps "\t-> " and the target; or `nothing` (noise, "." and ".."), `refused`, `unknown`. Both are
 * C-escaped; a blank at the end of a line is written "\040". With LIST_PARSER_SHOW set, what is found is printed
 * instead of compared.
 */
#include "ftp/list_parser.h"

#include <errno.h>
#include <string.h>

typedef struct {
    ListFormat format;
    gint64 now;
    GTimeZone *zone;
    GPtrArray *inputs; /* of GBytes */
    GPtrArray *wanted; /* of char * */
} Corpus;

static void corpus_free(Corpus *corpus)
{
    g_time_zone_unref(corpus->zone);
    g_ptr_array_unref(corpus->inputs);
    g_ptr_array_unref(corpus->wanted);
    g_free(corpus);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Corpus, corpus_free)

/* g_strcompress() that keeps "\000". */
static GBytes *unescape(const char *text)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();

    while (*text != '\0') {
        const char *nul = strstr(text, "\\000");
        g_autofree char *piece = nul != NULL ? g_strndup(text, (gsize)(nul - text)) : g_strdup(text);
        g_autofree char *plain = g_strcompress(piece);

        g_byte_array_append(bytes, (const guint8 *)plain, (guint)strlen(plain));
        if (nul != NULL)
            g_byte_array_append(bytes, (const guint8 *)"", 1);
        text += strlen(piece) + (nul != NULL ? 4 : 0);
    }
    return g_byte_array_free_to_bytes(g_steal_pointer(&bytes));
}

static Corpus *corpus_load(const char *name)
{
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "corpora", name, NULL);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    g_autoptr(GError) error = NULL;
    Corpus *corpus = g_new0(Corpus, 1);

    corpus->inputs = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    corpus->wanted = g_ptr_array_new_with_free_func(g_free);
    corpus->zone = g_time_zone_new_utc();
    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line != NULL; line++) {
        if (strcmp(*line, "format list") == 0) {
            corpus->format = LIST_FORMAT_LIST;
        } else if (strcmp(*line, "format mlsd") == 0) {
            corpus->format = LIST_FORMAT_MLSD;
        } else if (strcmp(*line, "format mlst") == 0) {
            corpus->format = LIST_FORMAT_MLST;
        } else if (g_str_has_prefix(*line, "now ")) {
            g_autoptr(GDateTime) now = g_date_time_new_from_iso8601(*line + 4, NULL);

            g_assert_nonnull(now);
            corpus->now = g_date_time_to_unix(now);
        } else if (g_str_has_prefix(*line, "zone ")) {
            g_time_zone_unref(corpus->zone);
            corpus->zone = g_time_zone_new_identifier(*line + 5);
            g_assert_nonnull(corpus->zone);
        } else if (g_str_has_prefix(*line, "> ") || strcmp(*line, ">") == 0) {
            g_ptr_array_add(corpus->inputs, unescape(*line + ((*line)[1] == '\0' ? 1 : 2)));
        } else if (g_str_has_prefix(*line, "< ")) {
            g_ptr_array_add(corpus->wanted, g_strdup(*line + 2));
            g_assert_cmpuint(corpus->wanted->len, ==, corpus->inputs->len);
        } else if (**line != '#' && **line != '\0') {
            g_error("%s: what is \"%s\"?", name, *line);
        }
    }
    g_assert_cmpuint(corpus->wanted->len, ==, corpus->inputs->len);
    g_assert_cmpuint(corpus->wanted->len, >, 0);
    return corpus;
}

/* One line for an entry, as a corpus has it. */
static char *render(const ListEntry *entry)
{
    static const char *const types[] = {"file", "dir", "link", "other"};
    const FtpAttr *attr = &entry->attr;
    g_autoptr(GString) text = g_string_new(NULL);
    g_autofree char *name = g_strescape(entry->name, NULL);

    g_string_append_printf(text, "%s ", types[attr->type]);
    if ((attr->has & FTP_HAS_SIZE) != 0)
        g_string_append_printf(text, "%" G_GINT64_FORMAT " ", attr->size);
    else
        g_string_append(text, "- ");
    if ((attr->has & (FTP_HAS_MODE | FTP_HAS_PERM)) != 0)
        g_string_append_printf(text, "%s%04o ", (attr->has & FTP_HAS_MODE) != 0 ? "" : "perm:", attr->mode);
    else
        g_string_append(text, "- ");
    if ((attr->has & FTP_HAS_MTIME) != 0) {
        g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(attr->mtime);
        g_autofree char *iso = g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ");

        g_string_append_printf(text, "%s/%u ", iso, attr->mtime_precision);
    } else {
        g_string_append(text, "- ");
    }
    if ((attr->has & FTP_HAS_OWNER) != 0)
        g_string_append_printf(text, "%u:%u ", attr->uid, attr->gid);
    else
        g_string_append(text, "- ");
    g_string_append(text, name);
    if (entry->target != NULL) {
        g_autofree char *target = g_strescape(entry->target, NULL);

        g_string_append_printf(text, "\\t-> %s", target);
    }
    if (text->str[text->len - 1] == ' ') {
        g_string_truncate(text, text->len - 1);
        g_string_append(text, "\\040");
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static int collect(const ListEntry *entry, gpointer data)
{
    g_ptr_array_add(data, render(entry));
    return 0;
}

static gboolean is_entry(const char *wanted)
{
    return strcmp(wanted, "nothing") != 0 && strcmp(wanted, "refused") != 0 && strcmp(wanted, "unknown") != 0;
}

/* Each line with a parser of its own. */
static void test_lines(gconstpointer data)
{
    g_autoptr(Corpus) corpus = corpus_load(data);

    for (guint i = 0; i < corpus->inputs->len; i++) {
        g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(ListParser) parser = list_parser_new(corpus->format, corpus->now, corpus->zone, collect, found);
        const char *wanted = g_ptr_array_index(corpus->wanted, i);
        const char *got = "nothing";
        gsize size;
        const char *bytes = g_bytes_get_data(g_ptr_array_index(corpus->inputs, i), &size);

        g_assert_cmpint(list_parser_feed(parser, bytes, size), ==, 0);
        g_assert_cmpint(list_parser_finish(parser), ==, 0);
        g_assert_cmpuint(list_parser_entries(parser), ==, found->len);
        g_assert_cmpuint(found->len + list_parser_refused(parser) + list_parser_unknown(parser), <=, 1);
        if (found->len > 0)
            got = g_ptr_array_index(found, 0);
        else if (list_parser_refused(parser) > 0)
            got = "refused";
        else if (list_parser_unknown(parser) > 0)
            got = "unknown";
        if (g_getenv("LIST_PARSER_SHOW") != NULL)
            g_print("# %.*s\n< %s\n", (int)size, bytes, got);
        else
            g_assert_cmpstr(got, ==, wanted);
    }
}

/* All lines through one parser, in pieces of `piece` bytes. */
static void check_pieces(const Corpus *corpus, gsize piece, const char *end)
{
    g_autoptr(GByteArray) input = g_byte_array_new();
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ListParser) parser = list_parser_new(corpus->format, corpus->now, corpus->zone, collect, found);
    guint entries = 0, refused = 0, unknown = 0;

    for (guint i = 0; i < corpus->inputs->len; i++) {
        gsize size;
        const guint8 *bytes = g_bytes_get_data(g_ptr_array_index(corpus->inputs, i), &size);

        g_byte_array_append(input, bytes, (guint)size);
        if (i + 1 < corpus->inputs->len)
            g_byte_array_append(input, (const guint8 *)end, (guint)strlen(end));
    }
    for (gsize offset = 0; offset < input->len; offset += piece) {
        gsize size = MIN(piece, input->len - offset);
        g_autofree char *copy = g_memdup2(input->data + offset, size); /* so that ASan sees what is read behind it */

        g_assert_cmpint(list_parser_feed(parser, copy, size), ==, 0);
    }
    g_assert_cmpint(list_parser_finish(parser), ==, 0);
    for (guint i = 0; i < corpus->wanted->len; i++) {
        const char *wanted = g_ptr_array_index(corpus->wanted, i);

        refused += strcmp(wanted, "refused") == 0;
        unknown += strcmp(wanted, "unknown") == 0;
        if (is_entry(wanted)) {
            g_assert_cmpuint(found->len, >, entries);
            g_assert_cmpstr(g_ptr_array_index(found, entries), ==, wanted);
            entries++;
        }
    }
    g_assert_cmpuint(found->len, ==, entries);
    g_assert_cmpuint(list_parser_entries(parser), ==, entries);
    g_assert_cmpuint(list_parser_refused(parser), ==, refused);
    g_assert_cmpuint(list_parser_unknown(parser), ==, unknown);
}

static void test_pieces(gconstpointer data)
{
    static const gsize pieces[] = {1, 2, 7, 64, 1000, 1 << 20};
    g_autoptr(Corpus) corpus = corpus_load(data);

    for (guint i = 0; i < G_N_ELEMENTS(pieces); i++) {
        check_pieces(corpus, pieces[i], "\n");
        check_pieces(corpus, pieces[i], "\r\n");
        check_pieces(corpus, pieces[i], "\r\r\n");
    }
}

static int count(const ListEntry *entry, gpointer data)
{
    ++*(guint *)data;
    return 0;
}

static void test_self(void)
{
    static const struct {
        ListFormat format;
        const char *text;
        gboolean self;
    } cases[] = {
        {LIST_FORMAT_LIST, "", FALSE},
        {LIST_FORMAT_LIST, "total 0\r\n", FALSE},
        {LIST_FORMAT_LIST, "drwxr-xr-x 2 0 0 4096 Jan 15 2020 .\r\n", TRUE},
        {LIST_FORMAT_LIST, "drwxr-xr-x 2 0 0 4096 Jan 15 2020 ./\r\n", TRUE},
        {LIST_FORMAT_LIST, "drwxr-xr-x 2 0 0 4096 Jan 15 2020 ..\r\n", FALSE},
        {LIST_FORMAT_LIST, "01-15-2023  12:34PM  <DIR>          .\r\n", TRUE},
        {LIST_FORMAT_LIST, "+/,\t.\r\n", TRUE},
        {LIST_FORMAT_MLSD, "type=cdir;modify=20200115000000; /pub\r\n", TRUE},
        {LIST_FORMAT_MLSD, "type=dir; .\r\n", TRUE},
        {LIST_FORMAT_MLSD, "type=pdir; /\r\n", FALSE},
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        guint entries = 0;
        g_autoptr(ListParser) parser = list_parser_new(cases[i].format, 0, NULL, count, &entries);

        g_assert_cmpint(list_parser_feed(parser, cases[i].text, strlen(cases[i].text)), ==, 0);
        g_assert_cmpint(list_parser_finish(parser), ==, 0);
        g_assert_cmpuint(entries, ==, 0);
        g_assert_cmpint(list_parser_saw_self(parser), ==, cases[i].self);
        g_assert_cmpuint(list_parser_refused(parser), ==, 0);
    }
}

static void test_long_lines(void)
{
    static const char head[] = "type=file; ";
    static const char *const ends[] = {"\n", "\r\n"};

    for (guint e = 0; e < G_N_ELEMENTS(ends); e++) {
        for (gsize length = LIST_LINE_MAX - 2; length <= LIST_LINE_MAX + 3; length++) {
            guint entries = 0;
            g_autoptr(ListParser) parser = list_parser_new(LIST_FORMAT_MLSD, 0, NULL, count, &entries);
            g_autofree char *name = g_strnfill(length - strlen(head), 'x');
            g_autofree char *text = g_strconcat(head, name, ends[e], head, "short", ends[e], NULL);
            gboolean fits = length <= LIST_LINE_MAX;

            g_assert_cmpint(list_parser_feed(parser, text, strlen(text)), ==, 0);
            g_assert_cmpint(list_parser_finish(parser), ==, 0);
            g_assert_cmpuint(entries, ==, fits ? 2 : 1);
            g_assert_cmpuint(list_parser_refused(parser), ==, fits ? 0 : 1);
        }
    }
}

/* A line without end takes no memory, and is one refused line. */
static void test_endless_line(void)
{
    guint entries = 0;
    g_autoptr(ListParser) parser = list_parser_new(LIST_FORMAT_LIST, 0, NULL, count, &entries);
    g_autofree char *block = g_strnfill(65536, 'x');

    for (guint i = 0; i < 64; i++)
        g_assert_cmpint(list_parser_feed(parser, block, 65536), ==, 0);
    g_assert_cmpint(list_parser_finish(parser), ==, 0);
    g_assert_cmpint(list_parser_finish(parser), ==, 0);
    g_assert_cmpuint(entries, ==, 0);
    g_assert_cmpuint(list_parser_refused(parser), ==, 1);
    g_assert_cmpuint(list_parser_unknown(parser), ==, 0);
}

static int fail_at_second(const ListEntry *entry, gpointer data)
{
    return ++*(guint *)data == 2 ? -ENOMEM : 0;
}

static void test_stops(void)
{
    static const char text[] = "type=file; a\ntype=file; b\ntype=file; c\n";
    guint calls = 0;
    g_autoptr(ListParser) parser = list_parser_new(LIST_FORMAT_MLSD, 0, NULL, fail_at_second, &calls);

    g_assert_cmpint(list_parser_feed(parser, text, strlen(text)), ==, -ENOMEM);
    g_assert_cmpuint(calls, ==, 2);
    g_assert_cmpint(list_parser_feed(parser, text, strlen(text)), ==, -ENOMEM);
    g_assert_cmpint(list_parser_finish(parser), ==, -ENOMEM);
    g_assert_cmpuint(calls, ==, 2);
    g_assert_cmpuint(list_parser_entries(parser), ==, 2);
}

static void test_free_null(void)
{
    list_parser_free(NULL);
}

/* Whatever comes in, what comes out is a name in a directory. */
static int check_entry(const ListEntry *entry, gpointer data)
{
    const ListFormat *format = data;

    g_assert_cmpint(entry->name[0], !=, '\0');
    g_assert_null(strpbrk(entry->name, "/\r\n"));
    g_assert_cmpstr(entry->name, !=, "..");
    if (*format != LIST_FORMAT_MLST)
        g_assert_cmpstr(entry->name, !=, ".");
    g_assert_cmpuint(strlen(entry->name), <=, LIST_LINE_MAX);
    if (entry->target != NULL) {
        g_assert_cmpint(entry->target[0], !=, '\0');
        g_assert_null(strpbrk(entry->target, "\r\n"));
    }
    g_assert_cmpuint(entry->attr.type, <=, FTP_TYPE_OTHER);
    g_assert_cmpuint(entry->attr.mode, <=, 07777);
    g_assert_cmpint(entry->attr.size, >=, 0);
    if ((entry->attr.has & FTP_HAS_MTIME) != 0)
        g_assert_true(entry->attr.mtime_precision == 1 || entry->attr.mtime_precision == 60 ||
                      entry->attr.mtime_precision == 86400);
    return 0;
}

/* Lines of the corpora with some bytes changed, cut or doubled; and plain noise. The seed is GTest's. */
static void test_noise(void)
{
    static const char *const names[] = {"list_unix.txt", "list_dos.txt", "list_eplf.txt", "mlsd.txt", "mlst.txt"};
    static const char alphabet[] = " \t\r\n\0/.;=-+,:0123456789drwxlTJan>\\[]\xff\xe6";
    g_autoptr(GTimeZone) zone = g_time_zone_new_identifier("EST5EDT,M3.2.0,M11.1.0");

    for (guint n = 0; n < G_N_ELEMENTS(names); n++) {
        g_autoptr(Corpus) corpus = corpus_load(names[n]);

        for (guint round = 0; round < 4000; round++) {
            ListFormat format = (ListFormat)g_test_rand_int_range(0, 3);
            gint64 now = g_test_rand_int_range(0, 100) == 0 ? G_MAXINT64 : g_test_rand_int();
            g_autoptr(ListParser) parser = list_parser_new(format, now, zone, check_entry, &format);
            g_autoptr(GByteArray) input = g_byte_array_new();
            guint changes = (guint)g_test_rand_int_range(0, 6);
            guint split;

            if (round % 8 == 0) {
                guint8 byte;

                for (gint i = g_test_rand_int_range(0, 200); i > 0; i--) {
                    byte = (guint8)g_test_rand_int_range(0, 256);
                    g_byte_array_append(input, &byte, 1);
                }
            } else {
                guint index = (guint)g_test_rand_int_range(0, (gint32)corpus->inputs->len);
                gsize size;
                const guint8 *bytes = g_bytes_get_data(g_ptr_array_index(corpus->inputs, index), &size);

                g_byte_array_append(input, bytes, (guint)size);
            }
            for (; changes > 0 && input->len > 0; changes--) {
                guint at = (guint)g_test_rand_int_range(0, (gint32)input->len);

                switch (g_test_rand_int_range(0, 3)) {
                case 0:
                    input->data[at] = (guint8)alphabet[g_test_rand_int_range(0, sizeof(alphabet) - 1)];
                    break;
                case 1:
                    g_byte_array_remove_index(input, at);
                    break;
                default: {
                    g_autofree guint8 *copy = g_memdup2(input->data + at, input->len - at);

                    g_byte_array_append(input, copy, input->len - at);
                    break;
                }
                }
            }
            split = input->len > 0 ? (guint)g_test_rand_int_range(0, (gint32)input->len) : 0;
            g_assert_cmpint(list_parser_feed(parser, (const char *)input->data, split), ==, 0);
            g_assert_cmpint(list_parser_feed(parser, (const char *)input->data + split, input->len - split), ==, 0);
            g_assert_cmpint(list_parser_finish(parser), ==, 0);
        }
    }
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"list_unix.txt", "list_dos.txt",  "list_eplf.txt", "mlsd.txt",
                                        "mlst.txt",      "list_zone.txt", "list_leap.txt"};

    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *lines = g_strdup_printf("/list_parser/lines/%s", names[i]);
        g_autofree char *pieces = g_strdup_printf("/list_parser/pieces/%s", names[i]);

        g_test_add_data_func(lines, names[i], test_lines);
        if (g_getenv("LIST_PARSER_SHOW") == NULL)
            g_test_add_data_func(pieces, names[i], test_pieces);
    }
    g_test_add_func("/list_parser/self", test_self);
    g_test_add_func("/list_parser/long_lines", test_long_lines);
    g_test_add_func("/list_parser/endless_line", test_endless_line);
    g_test_add_func("/list_parser/stops", test_stops);
    g_test_add_func("/list_parser/free_null", test_free_null);
    g_test_add_func("/list_parser/noise", test_noise);
    return g_test_run();
}
