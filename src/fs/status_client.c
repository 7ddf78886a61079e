/* SPDX-License-Identifier: MIT */
/*
 * A getxattr(2) on a mount whose daemon is stuck can't be bounded by the one who calls it. So a child calls it and
 * writes what came (an errno, then the text) into a pipe, and the parent reads with a deadline. A child that is stuck
 * is killed and left to init.
 */
#include "fs/status.h"

#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define BOUND_MS 5000
#define TEXT_MAX 65536 /* XATTR_SIZE_MAX */
#define EXIT_NO  32

static void write_all(int fd, const void *bytes, gsize size)
{
    const char *p = bytes;

    while (size > 0) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        p += n;
        size -= (gsize)n;
    }
}

static void ask(const char *mountpoint, const char *attribute, int fd)
{
    char *text = g_malloc(TEXT_MAX);
    ssize_t size = getxattr(mountpoint, attribute, text, TEXT_MAX);
    int problem = size < 0 ? errno : 0;

    write_all(fd, &problem, sizeof problem);
    if (size > 0)
        write_all(fd, text, (gsize)size);
    _exit(0); /* this is the child: nothing is freed, nothing flushed twice */
}

/* Everything until the end, or FALSE when the time is over. */
static gboolean read_bounded(int fd, GByteArray *bytes)
{
    gint64 deadline = g_get_monotonic_time() + BOUND_MS * G_TIME_SPAN_MILLISECOND;

    for (;;) {
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        gint64 left = (deadline - g_get_monotonic_time()) / G_TIME_SPAN_MILLISECOND;
        guint8 buffer[4096];

        if (left <= 0)
            return FALSE;
        int ready = poll(&poller, 1, (int)left);
        if (ready < 0 && errno != EINTR)
            return FALSE;
        if (ready <= 0)
            continue;
        ssize_t n = read(fd, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        g_byte_array_append(bytes, buffer, (guint)n);
    }
}

static int complain(FILE *messages, const char *mountpoint, int problem)
{
    switch (problem) {
    case ENODATA:
    case ENOTSUP:
        fprintf(messages, "ftpfs: %s is not the mountpoint of an ftpfs; mount | grep ftpfs lists them\n", mountpoint);
        break;
    case ENOTCONN:
        fprintf(messages, "ftpfs: the mount at %s has died; run: fusermount3 -u %s\n", mountpoint, mountpoint);
        break;
    default:
        fprintf(messages, "ftpfs: the status of %s can't be asked for: %s\n", mountpoint, g_strerror(problem));
        break;
    }
    return EXIT_NO;
}

int status_client_run(const char *mountpoint, gboolean json, FILE *out, FILE *messages)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    int ends[2];
    int problem = 0;

    if (pipe(ends) != 0)
        return complain(messages, mountpoint, errno);
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        problem = errno;
        close(ends[0]);
        close(ends[1]);
        return complain(messages, mountpoint, problem);
    }
    if (child == 0) {
        close(ends[0]);
        ask(mountpoint, json ? STATUS_ATTRIBUTE_JSON : STATUS_ATTRIBUTE, ends[1]);
    }
    close(ends[1]);
    gboolean answered = read_bounded(ends[0], bytes);
    close(ends[0]);
    if (!answered) {
        kill(child, SIGKILL);
        waitpid(child, NULL, WNOHANG);
        fprintf(messages, "ftpfs: the mount at %s did not answer within %d seconds\n", mountpoint, BOUND_MS / 1000);
        return EXIT_NO;
    }
    waitpid(child, NULL, 0);
    if (bytes->len < sizeof problem)
        return complain(messages, mountpoint, EIO);
    memcpy(&problem, bytes->data, sizeof problem);
    if (problem != 0)
        return complain(messages, mountpoint, problem);
    fwrite(bytes->data + sizeof problem, 1, bytes->len - sizeof problem, out);
    if (bytes->len > sizeof problem && bytes->data[bytes->len - 1] != '\n')
        fputc('\n', out);
    return 0;
}
