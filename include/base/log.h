/* SPDX-License-Identifier: MIT */
/*
 * Where messages go. The code logs with g_warning(), g_message(), g_info() and g_debug() of GLib (G_LOG_DOMAIN is
 * "ftpfs"); this module only decides where they are written: to standard error as `ftpfs: text` while a person can
 * read it, to syslog(3) (daemon) after the program went to the background. g_info() and g_debug() are written only
 * when verbose (-v: the protocol log; -d). Messages of other domains (GLib's own) name their domain. Control characters
 * in a message, which may come from a server, are written as \ooo; so one message is always one line.
 */
#pragma once

#include <glib.h>

typedef struct Log Log;

/* Installs the writer for the whole process; call once, in main, before any thread starts. Never freed: GLib keeps
 * it. */
Log *log_install(gboolean verbose);

/* Sends everything that follows to syslog; thread-safe. */
void log_to_syslog(Log *log);

/* Shows a line at the bottom of the terminal, that messages push down; NULL takes it away. For standard error only when
 * it is a terminal. Thread-safe. */
void log_set_progress(Log *log, const char *text);

/* A copy of `text` that is safe on a terminal and in a log: control characters and invalid UTF-8 as \ooo, and at most
 * `most` bytes of it, with "..." where it was cut. Owned by the caller. */
char *log_printable(const char *text, gsize most);
