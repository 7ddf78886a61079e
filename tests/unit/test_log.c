/* SPDX-License-Identifier: MIT */
/*
 * The writer is installed once for a process, so each case is a child process of this test, whose standard error is
 * looked at. syslog(3) is replaced by a function of our own, in both forms in which it may be called.
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define THREADS 4
#define ROUNDS  200

void syslog(int priority, const char *format, ...) G_GNUC_PRINTF(2, 3);
void __syslog_chk(int priority, int flag, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* What came to syslog, and how it came to be known: the stub runs in the thread that logs. */
static void G_GNUC_PRINTF(2, 0) syslog_stub(int priority, const char *format, va_list arguments)
{
    g_autofree char *text = g_strdup_vprintf(format, arguments);
    g_printerr("syslog %d: %s\n", priority, text);
}

void syslog(int priority, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    syslog_stub(priority, format, arguments);
    va_end(arguments);
}

void __syslog_chk(int priority, int flag, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    syslog_stub(priority, format, arguments);
    va_end(arguments);
}

static void check_printable(const char *text, gsize most, const char *expected)
{
    g_autofree char *printable = log_printable(text, most);
    g_assert_cmpstr(printable, ==, expected);
}

static void test_printable(void)
{
    check_printable("", 10, "");
    check_printable("plain text", 100, "plain text");
    check_printable("\xc3\xa9t\xc3\xa9 \xe6\x97\xa5", 100, "\xc3\xa9t\xc3\xa9 \xe6\x97\xa5");
    check_printable("a\r\nb\tc\033[1m\177", 100, "a\\015\\012b\\011c\\033[1m\\177");
    check_printable("\xff\xc3(", 100, "\\377\\303(");
    check_printable("\xc2\x9b", 100, "\\302\\233");          /* C1: CSI on an 8-bit terminal */
    check_printable("\xe2\x80\xa8", 100, "\\342\\200\\250"); /* line separator */
    check_printable("\xed\xa0\x80", 100, "\\355\\240\\200"); /* a surrogate is no UTF-8 */
    check_printable("\xe6\x97", 100, "\\346\\227");          /* cut by somebody else */
    check_printable("abcdef", 6, "abcdef");
    check_printable("abcdefg", 6, "abcdef...");
    check_printable("ab\xe6\x97\xa5", 4, "ab..."); /* never within a character */
    check_printable("ab\xe6\x97\xa5", 5, "ab\xe6\x97\xa5");
    check_printable("abc", 0, "...");
}

/* Runs the test's other half in a child process that must succeed. Everything this file waits for is bounded by the
 * limit of the whole test. */
static gboolean in_child(void)
{
    if (g_test_subprocess()) {
        g_log_set_always_fatal(G_LOG_LEVEL_ERROR); /* GTest makes warnings fatal */
        return TRUE;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    return FALSE;
}

static void test_quiet(void)
{
    if (in_child()) {
        log_install(FALSE);
        g_debug("debug text");
        g_info("info text");
        g_message("message text %d", 7);
        g_warning("warning text");
        g_critical("critical text");
        g_log("GLib", G_LOG_LEVEL_WARNING, "old interface");
        g_log("GLib", G_LOG_LEVEL_DEBUG, "old debug");
        g_log(NULL, G_LOG_LEVEL_MESSAGE, "no domain");
        return;
    }
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr("*ftpfs: message text 7\nftpfs: warning text\nftpfs: critical text\n"
                              "ftpfs: GLib: old interface\nftpfs: no domain\n*");
    g_test_trap_assert_stderr_unmatched("*debug*");
    g_test_trap_assert_stderr_unmatched("*info*");
}

static void test_verbose(void)
{
    if (in_child()) {
        log_install(TRUE);
        errno = ENOTDIR;
        g_debug("debug text");
        g_info("info text");
        g_assert_cmpint(errno, ==, ENOTDIR);
        return;
    }
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr("*ftpfs: debug text\nftpfs: info text\n*");
}

static void test_hostile(void)
{
    if (in_child()) {
        log_install(FALSE);
        g_message("550 %s", "no\r\nftpfs: forged\033]0;title\007 \xff");
        g_autofree char *huge = g_strnfill(9000, 'x');
        g_message("%s", huge);
        return;
    }
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr("*ftpfs: 550 no\\015\\012ftpfs: forged\\033]0;title\\007 \\377\nftpfs: x*x...\n*");
}

static void test_fatal(void)
{
    if (in_child()) {
        log_install(FALSE);
        g_error("the end");
    }
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*ftpfs: the end\n*");
}

static void test_syslog(void)
{
    if (in_child()) {
        Log *log = log_install(TRUE);
        g_message("to the terminal");
        log_to_syslog(log);
        g_debug("d");
        g_info("i");
        g_message("100%% of %s", "%s %n");
        g_warning("w\r\n");
        g_critical("c");
        g_log("GLib", G_LOG_LEVEL_WARNING, "old interface");
        return;
    }
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr("*ftpfs: to the terminal\nsyslog 7: d\nsyslog 6: i\nsyslog 5: 100% of %s %n\n"
                              "syslog 4: w\\015\\012\nsyslog 3: c\nsyslog 4: GLib: old interface\n*");
}

static gpointer log_much(gpointer data)
{
    for (int i = 0; i < ROUNDS; i++)
        g_message("message %d", i);
    return NULL;
}

static void test_threads(void)
{
    if (in_child()) {
        Log *log = log_install(FALSE);
        GThread *threads[THREADS];
        for (int i = 0; i < THREADS; i++)
            threads[i] = g_thread_new("log", log_much, NULL);
        log_to_syslog(log);
        for (int i = 0; i < THREADS; i++)
            g_thread_join(threads[i]);
        g_message("done");
        return;
    }
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr("*message 199\n*syslog 5: done\n*");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/log/printable", test_printable);
    g_test_add_func("/log/quiet", test_quiet);
    g_test_add_func("/log/verbose", test_verbose);
    g_test_add_func("/log/hostile", test_hostile);
    g_test_add_func("/log/fatal", test_fatal);
    g_test_add_func("/log/syslog", test_syslog);
    g_test_add_func("/log/threads", test_threads);
    return g_test_run();
}
