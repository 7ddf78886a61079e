/* SPDX-License-Identifier: MIT */
/*
 * One writer function for GLib's structured log. It takes no lock of its own and logs nothing itself, so it can be
 * called from any thread at any time, also while another thread changes the target: a line goes out with one write(2),
 * so that lines of several threads do not mix, or with one syslog(3), whose lock is never held while GLib is called.
 * Messages of other domains (GLib's own) name their domain; what is fatal is ended by GLib after the writer returns.
 */
#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#define CLEAR_LINE  "\r\033[K"
#define MESSAGE_MAX 8192 /* bytes of one message; nothing that we say is longer, a hostile server's reply may be */

struct Log {
    gboolean verbose; /* set before any thread starts */
    int to_syslog;    /* atomic */
    int progress;     /* atomic: a line of log_set_progress() stands on the terminal */
};

static gboolean is_unsafe(gunichar c)
{
    GUnicodeType type = g_unichar_type(c);
    return type == G_UNICODE_CONTROL || type == G_UNICODE_LINE_SEPARATOR || type == G_UNICODE_PARAGRAPH_SEPARATOR;
}

static void append_octal(GString *out, const char *bytes, gsize size)
{
    for (gsize i = 0; i < size; i++)
        g_string_append_printf(out, "\\%03o", (guint)(guint8)bytes[i]);
}

/* Appends at most `most` of the `size` bytes, cut between two characters. */
static void append_printable(GString *out, const char *text, gsize size, gsize most)
{
    gsize i = 0;
    while (i < size) {
        gunichar c = g_utf8_get_char_validated(text + i, (gssize)(size - i));
        gboolean valid = c != (gunichar)-1 && c != (gunichar)-2;
        gsize length = valid ? (gsize)g_utf8_skip[(guint8)text[i]] : 1;
        if (length > most - i) {
            g_string_append(out, "...");
            return;
        }
        if (valid && !is_unsafe(c))
            g_string_append_len(out, text + i, (gssize)length);
        else
            append_octal(out, text + i, length);
        i += length;
    }
}

char *log_printable(const char *text, gsize most)
{
    gsize size = strlen(text);
    GString *out = g_string_sized_new(MIN(size, most) + 4);
    append_printable(out, text, size, most);
    return g_string_free(out, FALSE);
}

static int syslog_priority(GLogLevelFlags level)
{
    if (level & G_LOG_LEVEL_ERROR)
        return LOG_CRIT;
    if (level & G_LOG_LEVEL_CRITICAL)
        return LOG_ERR;
    if (level & G_LOG_LEVEL_WARNING)
        return LOG_WARNING;
    if (level & G_LOG_LEVEL_MESSAGE)
        return LOG_NOTICE;
    if (level & G_LOG_LEVEL_INFO)
        return LOG_INFO;
    return LOG_DEBUG;
}

static void write_all(int fd, const char *bytes, gsize size)
{
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nobody listens any more; there is no better place to say so */
        bytes += n;
        size -= (gsize)n;
    }
}

static gsize field_size(const GLogField *field)
{
    return field->length < 0 ? strlen(field->value) : (gsize)field->length;
}

static GLogWriterOutput log_write(GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
    Log *log = data;
    if ((level & (G_LOG_LEVEL_INFO | G_LOG_LEVEL_DEBUG)) && !log->verbose)
        return G_LOG_WRITER_HANDLED;

    int saved_errno = errno;
    const GLogField *message = NULL;
    const GLogField *domain = NULL;
    for (gsize i = 0; i < n_fields; i++) {
        if (strcmp(fields[i].key, "MESSAGE") == 0)
            message = &fields[i];
        else if (strcmp(fields[i].key, "GLIB_DOMAIN") == 0)
            domain = &fields[i];
    }

    g_autoptr(GString) line = g_string_new("ftpfs: ");
    gsize prefix = line->len;
    if (domain != NULL && domain->value != NULL) {
        gsize size = field_size(domain);
        if (size != strlen(G_LOG_DOMAIN) || memcmp(domain->value, G_LOG_DOMAIN, size) != 0) {
            append_printable(line, domain->value, size, MESSAGE_MAX);
            g_string_append(line, ": ");
        }
    }
    if (message != NULL && message->value != NULL)
        append_printable(line, message->value, field_size(message), MESSAGE_MAX);

    if (g_atomic_int_get(&log->to_syslog)) {
        syslog(syslog_priority(level), "%s", line->str + prefix);
    } else {
        g_string_append_c(line, '\n');
        if (g_atomic_int_compare_and_exchange(&log->progress, 1, 0))
            g_string_prepend(line, CLEAR_LINE);
        write_all(STDERR_FILENO, line->str, line->len);
    }
    errno = saved_errno;
    return G_LOG_WRITER_HANDLED;
}

Log *log_install(gboolean verbose)
{
    Log *log = g_new0(Log, 1);
    log->verbose = verbose;
    g_log_set_writer_func(log_write, log, NULL);
    return log;
}

void log_to_syslog(Log *log)
{
    openlog("ftpfs", LOG_PID, LOG_DAEMON);
    g_atomic_int_set(&log->to_syslog, 1);
}

void log_set_progress(Log *log, const char *text)
{
    gboolean shown = g_atomic_int_get(&log->progress) != 0;

    if (text == NULL && !shown)
        return;
    g_autofree char *line = g_strconcat(CLEAR_LINE, text, NULL);
    write_all(STDERR_FILENO, line, strlen(line));
    g_atomic_int_set(&log->progress, text != NULL ? 1 : 0);
}
