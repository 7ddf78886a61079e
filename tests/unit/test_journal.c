/* SPDX-License-Identifier: MIT */
/*
 * The journal on a real directory: what is written comes back, who may have it, and, killed at each of its system
 * calls, that nothing is lost of what somebody was told of.
 */
#include "fs/journal.h"

#include "fs/spool_file.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOURCE "ftp://user@host/"

typedef struct {
    char *spool, *lost;
    GString *files; /* of the last recovery: "path=contents " in the order of the alphabet */
    GArray *ids;    /* guint64 */
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data)
{
    fixture->spool = g_dir_make_tmp("journal.XXXXXX", NULL);
    g_assert_nonnull(fixture->spool);
    fixture->lost = g_build_filename(fixture->spool, "lost+found", NULL);
    fixture->files = g_string_new(NULL);
    fixture->ids = g_array_new(FALSE, FALSE, sizeof(guint64));
}

static void remove_tree(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *child = g_build_filename(path, name, NULL);
        remove_tree(child);
    }
    g_assert_cmpint(g_remove(path), ==, 0);
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
    remove_tree(fixture->spool);
    g_free(fixture->spool);
    g_free(fixture->lost);
    g_string_free(fixture->files, TRUE);
    g_array_unref(fixture->ids);
}

static Journal *open_journal(Fixture *fixture)
{
    Journal *journal = NULL;
    g_assert_cmpint(journal_open(fixture->spool, SOURCE, &journal), ==, 0);
    return journal;
}

/* As the end of the program leaves it: the lock is free, the files are there. */
static void abandon(Journal *journal)
{
    journal_close(journal);
}

static int put_file(Fixture *fixture, Journal *journal, const char *path, const char *contents, guint64 *id)
{
    g_autoptr(SpoolFile) spool = NULL;
    g_autoptr(JournalRecord) record = journal_record_new();
    g_autofree char *data = journal_data_path(journal, &record->data);
    g_assert_cmpint(spool_file_new(fixture->spool, 0, &spool), ==, 0);
    g_assert_cmpint(spool_file_write(spool, contents, strlen(contents), 0), ==, 0);
    g_assert_cmpint(spool_file_link(spool, data), ==, 0);
    int fd = spool_file_dup(spool);
    g_assert_cmpint(fsync(fd), ==, 0);
    close(fd);
    record->path = g_strdup(path);
    record->size = spool_file_size(spool);
    range_set_add_all(record->held, spool_file_held(spool));
    record->seq = journal_take_seq(journal);
    return journal_write(journal, record, id);
}

static void on_found(guint64 id, JournalRecord *record, const char *data_path, gpointer data)
{
    Fixture *fixture = data;
    g_autofree char *bytes = NULL;
    gsize size = 0;
    g_array_append_val(fixture->ids, id);
    if (!g_file_get_contents(data_path, &bytes, &size, NULL))
        bytes = g_strdup("LOST");
    g_string_append_printf(fixture->files, "%s=%s", record->path, bytes);
    if (record->maybe)
        g_string_append_printf(fixture->files, "?%s", record->maybe);
    g_string_append_c(fixture->files, ' ');
    journal_record_free(record);
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static Journal *recover(Fixture *fixture, const char *expected)
{
    Journal *journal = open_journal(fixture);
    g_string_truncate(fixture->files, 0);
    g_array_set_size(fixture->ids, 0);
    g_assert_cmpint(journal_recover(journal, fixture->lost, on_found, fixture), ==, 0);
    g_auto(GStrv) files = g_strsplit(fixture->files->str, " ", -1);
    qsort(files, g_strv_length(files), sizeof *files, compare_text);
    g_string_truncate(fixture->files, 0);
    for (guint i = 0; files[i]; i++)
        if (*files[i])
            g_string_append_printf(fixture->files, "%s ", files[i]);
    if (expected)
        g_assert_cmpstr(fixture->files->str, ==, expected);
    return journal;
}

static guint count_files(const char *directory)
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    guint n = 0;
    while (dir && g_dir_read_name(dir))
        n++;
    return n;
}

static void test_empty(Fixture *fixture, gconstpointer data)
{
    g_autofree char *top = g_build_filename(fixture->spool, "journal", NULL);
    g_assert_false(journal_is_left(fixture->spool, SOURCE));
    Journal *journal = recover(fixture, "");
    g_assert_false(journal_has_files(journal));
    g_assert_false(journal_is_left(fixture->spool, SOURCE)); /* somebody has it */
    g_assert_cmpuint(count_files(top), ==, 1);
    struct stat info;
    g_assert_cmpint(g_stat(top, &info), ==, 0);
    g_assert_cmpint(info.st_mode & 0777, ==, 0700);
    journal_close(journal);
    g_assert_cmpuint(count_files(top), ==, 0);
}

static void test_files(Fixture *fixture, gconstpointer data)
{
    Journal *journal = open_journal(fixture);
    guint64 a = 0, b = 0, c = 0;
    g_assert_cmpint(put_file(fixture, journal, "/a", "one", &a), ==, 0);
    g_assert_cmpint(put_file(fixture, journal, "/b", "two", &b), ==, 0);
    g_assert_cmpint(put_file(fixture, journal, "/c", "three", &c), ==, 0);
    g_assert_cmpint(put_file(fixture, journal, "/a", "four", &a), ==, 0); /* in the place of the first */
    journal_remove(journal, b);
    g_assert_true(journal_has_files(journal));
    abandon(journal);

    g_assert_true(journal_is_left(fixture->spool, SOURCE));
    g_assert_false(journal_is_left(fixture->spool, "ftp://other@host/"));
    journal = recover(fixture, "/a=four /c=three ");
    journal_remove(journal, g_array_index(fixture->ids, guint64, 0));
    journal_remove(journal, g_array_index(fixture->ids, guint64, 1));
    g_assert_false(journal_has_files(journal));
    abandon(journal);
    journal = recover(fixture, ""); /* and the data is swept */
    abandon(journal);
    g_assert_false(journal_is_left(fixture->spool, SOURCE));
}

static void put_rename(Journal *journal, const char *from, const char *to, gboolean done, guint64 *id)
{
    g_assert_cmpint(journal_write_rename(journal, from, to, done, journal_take_seq(journal), id), ==, 0);
}

static void test_renames(Fixture *fixture, gconstpointer data)
{
    Journal *journal = open_journal(fixture);
    guint64 a = 0, b = 0, rename = 0, second = 0, third = 0;
    put_rename(journal, "/x", "/y", TRUE, &rename); /* nothing there: nothing is written */
    g_assert_cmpuint(rename, ==, 0);
    g_assert_cmpint(put_file(fixture, journal, "/d/a", "one", &a), ==, 0);
    put_rename(journal, "/d", "/e", FALSE, &rename);
    put_rename(journal, "/d", "/e", TRUE, &rename);
    g_assert_cmpint(put_file(fixture, journal, "/d/a", "two", &b), ==, 0);
    put_rename(journal, "/nothing", "/here", FALSE, &second);
    journal_remove_rename(journal, second);
    abandon(journal);
    journal = recover(fixture, "/d/a=two /e/a=one ");
    abandon(journal);
    journal = recover(fixture, "/d/a=two /e/a=one "); /* the renaming is not done once more */
    put_rename(journal, "/e", "/f", FALSE, &third);
    abandon(journal);
    journal = recover(fixture, "/d/a=two /e/a=one?/f/a ");
    abandon(journal);
    journal = recover(fixture, "/d/a=two /e/a=one?/f/a ");
    abandon(journal);
}

/* A renaming is forgotten with the last file that is older. */
static void test_rename_goes(Fixture *fixture, gconstpointer data)
{
    g_autofree char *top = g_build_filename(fixture->spool, "journal", NULL);
    Journal *journal = open_journal(fixture);
    guint64 a = 0, b = 0, rename = 0;
    g_assert_cmpint(put_file(fixture, journal, "/a", "one", &a), ==, 0);
    put_rename(journal, "/a", "/b", TRUE, &rename);
    g_assert_cmpint(put_file(fixture, journal, "/c", "two", &b), ==, 0);
    g_autofree char *record = NULL;
    g_autoptr(GDir) dir = g_dir_open(top, 0, NULL);
    g_autofree char *own = g_build_filename(top, g_dir_read_name(dir), NULL);
    g_assert_cmpuint(count_files(own), ==, 5);
    journal_remove(journal, a);
    g_assert_cmpuint(count_files(own), ==, 3); /* two data files and a record */
    abandon(journal);
}

static void test_two_mounts(Fixture *fixture, gconstpointer data)
{
    Journal *first = open_journal(fixture), *second = open_journal(fixture);
    guint64 a = 0, b = 0;
    g_assert_cmpint(put_file(fixture, first, "/a", "one", &a), ==, 0);
    g_assert_cmpint(put_file(fixture, second, "/b", "two", &b), ==, 0);
    abandon(second);
    Journal *third = recover(fixture, "/b=two ");
    abandon(first);
    abandon(third);
    third = recover(fixture, "/a=one /b=two "); /* both are free: one takes all */
    Journal *fourth = recover(fixture, "");
    abandon(third);
    abandon(fourth);
    abandon(recover(fixture, "/a=one /b=two "));
}

static int warnings;

static GLogWriterOutput count_warnings(GLogLevelFlags level, const GLogField *fields, gsize n, gpointer data)
{
    if (level & G_LOG_LEVEL_WARNING)
        warnings++;
    return G_LOG_WRITER_HANDLED;
}

static void test_garbage(Fixture *fixture, gconstpointer data)
{
    Journal *journal = open_journal(fixture);
    guint64 a = 0, b = 0;
    g_autofree char *top = g_build_filename(fixture->spool, "journal", NULL);
    g_assert_cmpint(put_file(fixture, journal, "/a", "one", &a), ==, 0);
    g_assert_cmpint(put_file(fixture, journal, "/b", "two", &b), ==, 0);
    g_autoptr(GDir) dir = g_dir_open(top, 0, NULL);
    g_autofree char *own = g_build_filename(top, g_dir_read_name(dir), NULL);
    g_autofree char *name = g_strdup_printf("%016" G_GINT64_MODIFIER "x.record", a);
    g_autofree char *record = g_build_filename(own, name, NULL);
    g_autofree char *stray = g_build_filename(own, "whatever", NULL);
    g_autofree char *link = g_build_filename(own, "00000000000000ff.record", NULL);
    g_assert_true(g_file_set_contents(record, "ftpfs-journal 1 nonsense", -1, NULL));
    g_assert_true(g_file_set_contents(stray, "", -1, NULL));
    g_assert_cmpint(symlink("/etc/passwd", link), ==, 0);
    abandon(journal);

    warnings = 0;
    journal = recover(fixture, "/b=two ");
    g_assert_cmpint(warnings, ==, 3); /* two records, and the data of the first */
    g_assert_cmpuint(count_files(fixture->lost), ==, 3);
    abandon(journal);
}

/* ---- Killed ---- */

/* What the child has been told is safe; shared with the parent. */
typedef struct {
    gint acknowledged;
} Told;

/* Does what a mount does, and says after each step that it is done. */
static void child_work(Fixture *fixture, Told *told)
{
    guint64 a = 0, b = 0, rename = 0;
    Journal *journal = recover(fixture, "/old=0 /other=1 ");
    g_atomic_int_set(&told->acknowledged, 1);
    put_file(fixture, journal, "/a", "2", &a);
    g_atomic_int_set(&told->acknowledged, 2);
    put_file(fixture, journal, "/a", "3", &a);
    g_atomic_int_set(&told->acknowledged, 3);
    put_file(fixture, journal, "/d/b", "4", &b);
    g_atomic_int_set(&told->acknowledged, 4);
    put_rename(journal, "/d", "/e", FALSE, &rename);
    put_rename(journal, "/d", "/e", TRUE, &rename);
    g_atomic_int_set(&told->acknowledged, 5);
    journal_remove(journal, a);
    g_atomic_int_set(&told->acknowledged, 6);
    journal_close(journal);
}

static gboolean has(const Fixture *fixture, const char *file)
{
    g_autofree char *padded = g_strconcat(" ", fixture->files->str, NULL);
    return strstr(padded, file) != NULL;
}

static void check_after_kill(const Fixture *fixture, int told)
{
    g_assert_true(has(fixture, " /old=0 "));
    g_assert_true(has(fixture, " /other=1 "));
    g_assert_false(has(fixture, "LOST"));
    if (told == 2)
        g_assert_true(has(fixture, " /a=2 ") || has(fixture, " /a=3 "));
    if (told == 3 || told == 4)
        g_assert_true(has(fixture, " /a=3 "));
    if (told == 4)
        g_assert_true(has(fixture, " /d/b=4") || has(fixture, " /e/b=4 "));
    if (told >= 5)
        g_assert_true(has(fixture, " /e/b=4 "));
    if (told >= 6)
        g_assert_false(has(fixture, " /a="));
}

/* Kills the child at its `n`th system call: TRUE when it came so far. */
static gboolean run_killed(Fixture *fixture, Told *told, int n)
{
    int status = 0;
    pid_t child = fork();
    g_assert_cmpint(child, >=, 0);
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        child_work(fixture, told);
        _exit(0);
    }
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)(long)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
    for (int stops = 0; stops < n; stops++) {
        g_assert_cmpint(ptrace(PTRACE_SYSCALL, child, NULL, NULL), ==, 0);
        g_assert_cmpint(waitpid(child, &status, 0), ==, child);
        if (WIFEXITED(status)) {
            g_assert_cmpint(WEXITSTATUS(status), ==, 0);
            return FALSE;
        }
        g_assert_true(WIFSTOPPED(status));
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return TRUE;
}

static void test_killed(Fixture *fixture, gconstpointer data)
{
    Told *told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    gboolean more = TRUE;
    int step = g_test_slow() ? 1 : 5;

    g_assert_true(told != MAP_FAILED);
    for (int n = 1; more; n += step) {
        /* two directories to take over */
        Journal *first = open_journal(fixture), *second = open_journal(fixture);
        guint64 one = 0, other = 0;
        g_assert_cmpint(put_file(fixture, first, "/old", "0", &one), ==, 0);
        g_assert_cmpint(put_file(fixture, second, "/other", "1", &other), ==, 0);
        abandon(first);
        abandon(second);
        told->acknowledged = 0;
        more = run_killed(fixture, told, n);

        Journal *journal = recover(fixture, NULL);
        check_after_kill(fixture, told->acknowledged);
        g_autofree char *before = g_strdup(fixture->files->str);
        abandon(journal);
        journal = recover(fixture, before); /* the same once more */
        for (guint i = 0; i < fixture->ids->len; i++)
            journal_remove(journal, g_array_index(fixture->ids, guint64, i));
        abandon(journal);
        abandon(recover(fixture, ""));
        g_assert_false(g_file_test(fixture->lost, G_FILE_TEST_EXISTS));
    }
    munmap(told, sizeof *told);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_log_set_always_fatal(G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL);
    g_log_set_writer_func(count_warnings, NULL, NULL);
    g_test_add("/journal/empty", Fixture, NULL, set_up, test_empty, tear_down);
    g_test_add("/journal/files", Fixture, NULL, set_up, test_files, tear_down);
    g_test_add("/journal/renames", Fixture, NULL, set_up, test_renames, tear_down);
    g_test_add("/journal/rename-goes", Fixture, NULL, set_up, test_rename_goes, tear_down);
    g_test_add("/journal/two-mounts", Fixture, NULL, set_up, test_two_mounts, tear_down);
    g_test_add("/journal/garbage", Fixture, NULL, set_up, test_garbage, tear_down);
    g_test_add("/journal/killed", Fixture, NULL, set_up, test_killed, tear_down);
    return g_test_run();
}
