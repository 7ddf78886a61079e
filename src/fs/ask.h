/* SPDX-License-Identifier: MIT */
/* Secrets from a person: by the terminal or by an askpass program; and from a descriptor. */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* Text that is overwritten before it is freed. */
typedef char Secret;
void secret_free(Secret *secret);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Secret, secret_free)

/* Sets the error; FALSE. */
gboolean G_GNUC_PRINTF(2, 3) ask_fail(GError **error, const char *format, ...);

/* read(2) that is not stopped by a signal. */
ssize_t ask_read_some(int fd, char *bytes, gsize size);

/* One line, read byte by byte so that what follows it is left for others. 1: a line; 0: the end came first (with
 * `error` unset); -1: `error` is set. `where` is for the message. */
int ask_read_line(int fd, const char *where, Secret **ret, GError **error);

/* The program to ask with: $FTPFS_ASKPASS; else $SSH_ASKPASS as ssh(1) uses it: where there is no terminal but a
 * display, or where $SSH_ASKPASS_REQUIRE says so. NULL: none. */
const char *ask_program_name(gboolean terminal);

/* Runs the program with the question and takes the first line of its output. Waits for the person without a bound. */
gboolean ask_program(const char *program, const char *question, Secret **ret, GError **error);

/* A descriptor of the terminal, or -1 when standard input is none. */
int ask_open_terminal(void);
gboolean ask_terminal(int tty, const char *question, Secret **ret, GError **error);
