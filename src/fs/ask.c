/* SPDX-License-Identifier: MIT */
/*
 * A password from a person. Two ways, as ssh has them: the terminal, with the echo off; and an "askpass" program, which
 * gets the question as its argument, shows a window, and prints the answer. The program's environment, its standard
 * input and its standard error are ours.
 */
#include "ask.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define LINE_MAX_SIZE 4096

extern char **environ;

gboolean ask_fail(GError **error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, text);
    return FALSE;
}

void secret_free(Secret *secret)
{
    if (secret != NULL)
        explicit_bzero(secret, strlen(secret));
    g_free(secret);
}

ssize_t ask_read_some(int fd, char *bytes, gsize size)
{
    ssize_t n;

    do
        n = read(fd, bytes, size);
    while (n < 0 && errno == EINTR);
    return n;
}

int ask_read_line(int fd, const char *where, Secret **ret, GError **error)
{
    Secret *line = g_malloc0(LINE_MAX_SIZE + 1);
    gsize size = 0;
    char c = '\0';
    ssize_t n;

    while ((n = ask_read_some(fd, &c, 1)) == 1 && c != '\n' && size < LINE_MAX_SIZE)
        line[size++] = c;
    if (size > 0 && line[size - 1] == '\r')
        line[--size] = '\0';
    int result = 1;
    if (n < 0) {
        ask_fail(error, "the password can't be read from %s: %s", where, g_strerror(errno));
        result = -1;
    } else if (n == 1 && c != '\n') {
        ask_fail(error, "the password from %s is longer than %d bytes", where, LINE_MAX_SIZE);
        result = -1;
    } else if (strlen(line) != size || strchr(line, '\r') != NULL) {
        ask_fail(error, "the password from %s holds a byte that FTP can't carry", where);
        result = -1;
    } else if (n == 0 && size == 0) {
        result = 0;
    }
    if (result == 1)
        *ret = line;
    else {
        explicit_bzero(line, LINE_MAX_SIZE);
        g_free(line);
    }
    c = '\0';
    return result;
}

/* ---- An askpass program ---- */

static gboolean is_set(const char *value)
{
    return value != NULL && *value != '\0';
}

const char *ask_program_name(gboolean terminal)
{
    const char *own = g_getenv("FTPFS_ASKPASS"), *of_ssh = g_getenv("SSH_ASKPASS");
    const char *require = g_getenv("SSH_ASKPASS_REQUIRE");

    if (is_set(own))
        return own;
    if (!is_set(of_ssh) || g_strcmp0(require, "never") == 0)
        return NULL;
    if (g_strcmp0(require, "force") == 0 || g_strcmp0(require, "prefer") == 0)
        return of_ssh;
    return !terminal && (is_set(g_getenv("DISPLAY")) || is_set(g_getenv("WAYLAND_DISPLAY"))) ? of_ssh : NULL;
}

static int start(const char *program, const char *question, int output, pid_t *ret)
{
    char *argv[] = {(char *)program, (char *)question, NULL};
    posix_spawn_file_actions_t actions;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    int problem = posix_spawnp(ret, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return problem;
}

gboolean ask_program(const char *program, const char *question, Secret **ret, GError **error)
{
    g_autoptr(Secret) answer = NULL;
    int ends[2], status = 0;
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return ask_fail(error, "the askpass program %s can't be started: %s", program, g_strerror(errno));
    int problem = start(program, question, ends[1], &child);
    close(ends[1]);
    if (problem != 0) {
        close(ends[0]);
        return ask_fail(error, "the askpass program %s can't be started: %s", program, g_strerror(problem));
    }
    int result = ask_read_line(ends[0], "the askpass program", &answer, error);
    close(ends[0]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (result < 0)
        return FALSE;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || answer == NULL)
        return ask_fail(error, "the askpass program %s gave no password", program);
    *ret = g_steal_pointer(&answer);
    return TRUE;
}

/* ---- The terminal ---- */

int ask_open_terminal(void)
{
    struct termios settings;
    int tty = isatty(STDIN_FILENO) ? open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY) : -1;

    if (tty >= 0 && tcgetattr(tty, &settings) != 0) {
        close(tty);
        return -1;
    }
    return tty;
}

/* Echo is off while the password is typed; ISIG stays on, and then the terminal is put right by the shell. */
gboolean ask_terminal(int tty, const char *question, Secret **ret, GError **error)
{
    struct termios before, silent;

    if (tcgetattr(tty, &before) != 0)
        return ask_fail(error, "the terminal can't be used: %s", g_strerror(errno));
    silent = before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    silent.c_lflag |= ICANON | ISIG;
    tcsetattr(tty, TCSAFLUSH, &silent);
    gboolean asked = write(tty, question, strlen(question)) >= 0;
    int result = asked ? ask_read_line(tty, "the terminal", ret, error) : 0;
    tcsetattr(tty, TCSAFLUSH, &before);
    if (write(tty, "\n", 1) < 0)
        result = result == 1 ? 1 : result; /* a lost line end is no failure */
    if (result == 0)
        ask_fail(error, "no password was typed");
    return result == 1;
}
