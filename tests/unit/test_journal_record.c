/* SPDX-License-Identifier: MIT */
#include "fs/journal_record.h"

#include <string.h>

static JournalRecord *new_file(guint64 seq, const char *path)
{
    JournalRecord *record = journal_record_new();
    record->seq = seq;
    record->path = g_strdup(path);
    record->data = seq;
    record->size = 10;
    range_set_add(record->held, 0, 10);
    return record;
}

static JournalRecord *new_rename(guint64 seq, const char *from, const char *to, gboolean done)
{
    JournalRecord *record = journal_record_new();
    record->rename = TRUE;
    record->seq = seq;
    record->path = g_strdup(from);
    record->to = g_strdup(to);
    record->done = done;
    return record;
}

static void assert_round(const JournalRecord *record)
{
    g_autofree char *text = journal_record_format(record);
    g_autoptr(JournalRecord) parsed = journal_record_parse(text, strlen(text));
    g_assert_nonnull(parsed);
    g_autofree char *again = journal_record_format(parsed);
    g_assert_cmpstr(again, ==, text);
    g_assert_cmpstr(parsed->path, ==, record->path);
    g_assert_cmpint(parsed->rename, ==, record->rename);
    g_assert_cmpint(parsed->done, ==, record->done);
    g_assert_cmpint(parsed->in_place, ==, record->in_place);
    g_assert_cmpint(parsed->has_mtime, ==, record->has_mtime);
    g_assert_cmpint(parsed->has_mode, ==, record->has_mode);
    g_assert_cmpint(parsed->mode_asked, ==, record->mode_asked);
    g_assert_cmpint(parsed->base.there, ==, record->base.there);
}

static void test_round(void)
{
    g_autoptr(JournalRecord) file = new_file(7, "/a b\n\\\"c/\xc3\xa4\xff\x01");
    g_autoptr(JournalRecord) rename = new_rename(G_MAXUINT64, "/from", "/to/x", FALSE);
    assert_round(file);
    file->maybe = g_strdup("/elsewhere");
    file->base = (JournalBase){.there = TRUE};
    assert_round(file);
    file->base =
        (JournalBase){.there = TRUE, .has_size = TRUE, .size = 5, .has_mtime = TRUE, .mtime = -3, .precision = 60};
    file->base_size = 5;
    file->in_place = TRUE;
    file->written_at = 1700000000;
    assert_round(file);
    file->has_mtime = file->has_mode = TRUE;
    file->mtime = G_MININT64;
    file->mode = 0600;
    assert_round(file);
    file->mode_asked = TRUE;
    file->size = G_MAXINT64;
    range_set_remove(file->held, 0, 10);
    assert_round(file);
    range_set_add(file->held, 3, 4);
    range_set_add(file->held, G_MAXINT64 - 1, G_MAXINT64);
    assert_round(file);
    assert_round(rename);
    rename->done = TRUE;
    assert_round(rename);
}

/* Whatever is cut off or changed, it is not taken for a record. */
static void test_damage(void)
{
    g_autoptr(JournalRecord) file = new_file(7, "/a/b");
    g_autofree char *text = journal_record_format(file);
    gsize size = strlen(text);
    for (gsize i = 0; i < size; i++)
        g_assert_null(journal_record_parse(text, i));
    for (gsize i = 0; i < size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            text[i] ^= (char)(1 << bit);
            g_assert_null(journal_record_parse(text, size));
            text[i] ^= (char)(1 << bit);
        }
    }
    g_autofree char *longer = g_strconcat(text, "end\n", NULL);
    g_assert_null(journal_record_parse(longer, size + 4));
    g_assert_null(journal_record_parse("", 0));
}

static JournalRecord *parse_lines(const char *lines)
{
    g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, lines, -1);
    g_autofree char *text = g_strconcat("ftpfs-journal 1 ", digest, "\n", lines, NULL);
    return journal_record_parse(text, strlen(text));
}

/* The sum is right, and what it says makes no sense. */
static void test_nonsense(void)
{
    static const char *const bad[] = {
        "",
        "\n",
        "file\n",
        "end\n",
        "rename\nseq 1\npath /a\nend\n",
        "rename\nseq 1\npath /a\nto b\nend\n",
        "rename\nseq 0\npath /a\nto /b\nend\n",
        "rename\nseq -1\npath /a\nto /b\nend\n",
        "rename\nseq 1\npath /a/../b\nto /b\nend\n",
        "rename\nseq 1\npath /\nto /b\nend\n",
        "rename\nseq 1\npath //a\nto /b\nend\n",
        "rename\nseq 1\npath /a/\nto /b\nend\n",
        "rename\nseq 1\npath /a\nto /b\nend\nmore\n",
        "rename\nseq 1\npath /a\nto /b\nfinished\nend\n",
        "file\nseq 1\npath /a\ndata 1\nsize -1\nbase-size 0\nwritten 0\nend\n",
        "file\nseq 1\npath /a\ndata 1\nsize 5\nbase-size 6\nwritten 0\nend\n",
        "file\nseq 1\npath /a\ndata 1\nsize 5\nbase-size 0\nheld 0 6\nwritten 0\nend\n",
        "file\nseq 1\npath /a\ndata 1\nsize 5\nbase-size 0\nheld 3 2\nwritten 0\nend\n",
        "file\nseq 1\npath /a\ndata 1\nsize 9\nbase-size 0\nheld 3 5\nheld 1 2\nwritten 0\nend\n",
        "file\nseq 1\npath /a\ndata 1\nsize 5\nbase-size 0\nheld 3\nwritten 0\nend\n",
        "file\nseq 1\npath /a\ndata 1\nsize 5\nbase-size 0\nwritten 0\nmode 99999\nend\n",
        "file\nseq 1\npath /a\ndata 1\nsize 99999999999999999999\nbase-size 0\nwritten 0\nend\n",
        "file\nseq 1\npath /a\\000b\\\ndata 1\nsize 1\nbase-size 0\nwritten 0\n",
    };
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(JournalRecord) record = parse_lines(bad[i]);
        if (record)
            g_error("taken: %s", bad[i]);
    }
    g_autoptr(JournalRecord) good =
        parse_lines("file\nseq 1\npath /a\ndata 1\nsize 5\nbase-size 5\nheld 1 2\nwritten 0\nend\n");
    g_assert_nonnull(good);
}

/* "path" or "path?maybe" of each file, in order. */
static void assert_replay(GPtrArray *records, const char *expected)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GPtrArray) changed = journal_records_replay(records);
    for (guint i = 0; i < records->len; i++) {
        const JournalRecord *record = records->pdata[i];
        g_string_append_printf(text, "%s%u:%s%s%s", i > 0 ? " " : "", (guint)record->data, record->path,
                               record->maybe ? "?" : "", record->maybe ? record->maybe : "");
    }
    g_assert_cmpstr(text->str, ==, expected);
}

static GPtrArray *new_records(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)journal_record_free);
}

static void test_replay(void)
{
    g_autoptr(GPtrArray) records = new_records();
    g_ptr_array_add(records, new_rename(5, "/d", "/e", TRUE));
    g_ptr_array_add(records, new_file(1, "/d/a"));
    g_ptr_array_add(records, new_file(2, "/dd"));
    g_ptr_array_add(records, new_file(3, "/e/a")); /* was there before, and is replaced */
    g_ptr_array_add(records, new_file(7, "/d/a")); /* written after the renaming */
    assert_replay(records, "1:/e/a 2:/dd 7:/d/a");
}

static void test_replay_chain(void)
{
    g_autoptr(GPtrArray) records = new_records();
    g_ptr_array_add(records, new_file(1, "/a"));
    g_ptr_array_add(records, new_rename(2, "/a", "/b", TRUE));
    g_ptr_array_add(records, new_file(3, "/a"));
    g_ptr_array_add(records, new_rename(4, "/a", "/b", TRUE)); /* over the first one */
    g_ptr_array_add(records, new_rename(5, "/b", "/c", TRUE));
    assert_replay(records, "3:/c");
}

static void test_replay_last_write(void)
{
    g_autoptr(GPtrArray) records = new_records();
    g_ptr_array_add(records, new_file(9, "/a"));
    g_ptr_array_add(records, new_file(4, "/a"));
    assert_replay(records, "9:/a");
}

static void test_replay_maybe(void)
{
    g_autoptr(GPtrArray) records = new_records();
    g_ptr_array_add(records, new_rename(5, "/d", "/e", FALSE));
    g_ptr_array_add(records, new_file(1, "/d/a"));
    g_ptr_array_add(records, new_file(2, "/e/a"));
    g_ptr_array_add(records, new_file(8, "/d/b")); /* written while it was under way */
    assert_replay(records, "1:/d/a?/e/a 2:/e/a 8:/d/b?/e/b");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/journal_record/round", test_round);
    g_test_add_func("/journal_record/damage", test_damage);
    g_test_add_func("/journal_record/nonsense", test_nonsense);
    g_test_add_func("/journal_record/replay", test_replay);
    g_test_add_func("/journal_record/replay-chain", test_replay_chain);
    g_test_add_func("/journal_record/replay-last-write", test_replay_last_write);
    g_test_add_func("/journal_record/replay-maybe", test_replay_maybe);
    return g_test_run();
}
