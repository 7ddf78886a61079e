/* SPDX-License-Identifier: MIT */
/*
 * libsecret talks D-Bus, and GLib starts threads for that, which would not survive the way to the background. So a
 * child asks: it writes the port, the user and the password of each item that fits, and the parent takes the best one.
 *
 * Items are found by the attributes that GNOME's and other programs use for logins at servers: "server", "user",
 * "protocol" and "port". Other attributes do not matter.
 */
#include "keyring.h"

#include "ask.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef HAVE_LIBSECRET
#include <libsecret/secret.h>
#endif

#define BOUND_MS    120000 /* a person may have to unlock it */
#define ANSWER_SIZE 65536

gboolean keyring_is_built_in(void)
{
#ifdef HAVE_LIBSECRET
    return TRUE;
#else
    return FALSE;
#endif
}

static gboolean G_GNUC_UNUSED fail(GError **error, const char *text)
{
    g_set_error_literal(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, text);
    return FALSE;
}

#ifdef HAVE_LIBSECRET

/* ---- The child ---- */

static void send(int fd, const char *text)
{
    gsize left = strlen(text) + 1;

    while (left > 0) {
        ssize_t n = write(fd, text, left);
        if (n <= 0 && errno != EINTR)
            _exit(1);
        if (n > 0) {
            text += n;
            left -= (gsize)n;
        }
    }
}

static const char *attribute(GHashTable *attributes, const char *name)
{
    const char *value = g_hash_table_lookup(attributes, name);

    return value != NULL ? value : "";
}

/* "" for no problem, then port, protocol, user and password of each item, each with its NUL. */
static void ask(int fd, const char *host, const char *user)
{
    GError *error = NULL;
    GHashTable *wanted = g_hash_table_new(g_str_hash, g_str_equal);

    g_hash_table_insert(wanted, (char *)"server", (char *)host);
    if (user != NULL)
        g_hash_table_insert(wanted, (char *)"user", (char *)user);
    GList *items = secret_password_searchv_sync(
        NULL, wanted, SECRET_SEARCH_ALL | SECRET_SEARCH_UNLOCK | SECRET_SEARCH_LOAD_SECRETS, NULL, &error);
    send(fd, error != NULL ? error->message : "");
    for (GList *item = items; item != NULL; item = item->next) {
        GHashTable *attributes = secret_retrievable_get_attributes(item->data);
        SecretValue *value = secret_retrievable_retrieve_secret_sync(item->data, NULL, NULL);
        const char *text = value != NULL ? secret_value_get_text(value) : NULL;
        if (text == NULL)
            continue;
        send(fd, attribute(attributes, "port"));
        send(fd, attribute(attributes, "protocol"));
        send(fd, attribute(attributes, "user"));
        send(fd, text);
    }
    _exit(0); /* nothing is freed: this is the child */
}

/* ---- The parent ---- */

/* All that comes until the end; -1 when the time is over or it is too much. */
static gssize read_bounded(int fd, char *answer)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)BOUND_MS * G_TIME_SPAN_MILLISECOND;
    gsize size = 0;

    while (size < ANSWER_SIZE) {
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        gint64 left = (deadline - g_get_monotonic_time()) / G_TIME_SPAN_MILLISECOND;
        if (left <= 0 || (poll(&poller, 1, (int)left) < 0 && errno != EINTR))
            return -1;
        if ((poller.revents & (POLLIN | POLLHUP)) == 0)
            continue;
        ssize_t n = ask_read_some(fd, answer + size, ANSWER_SIZE - size);
        if (n <= 0)
            return n == 0 ? (gssize)size : -1;
        size += (gsize)n;
    }
    return -1;
}

/* How well an item fits; 0: it is for something else. */
static guint rank(const char *port, const char *protocol, guint wanted_port, gboolean tls)
{
    guint usual = wanted_port != 0 ? wanted_port : 21;
    guint points = 1;

    if (*protocol != '\0' && !g_str_has_prefix(protocol, "ftp"))
        return 0;
    if (*port != '\0' && strcmp(port, "0") != 0) {
        if (g_ascii_strtoull(port, NULL, 10) != usual && !(wanted_port == 0 && tls && strcmp(port, "990") == 0))
            return 0;
        points += 4;
    }
    if (*protocol != '\0')
        points += (strcmp(protocol, "ftp") == 0) == !tls ? 2 : 1;
    return points;
}

static gboolean choose(const char *answer, const char *end, guint port, gboolean tls, char **user, char **password)
{
    const char *best_user = NULL, *best_password = NULL;
    guint best = 0;

    while (answer < end) {
        const char *fields[4];
        for (gsize i = 0; i < G_N_ELEMENTS(fields); i++) {
            fields[i] = answer;
            answer += strlen(answer) + 1;
            if (answer > end)
                return FALSE;
        }
        guint points = *fields[2] != '\0' || *user != NULL ? rank(fields[0], fields[1], port, tls) : 0;
        if (points > best) {
            best = points;
            best_user = fields[2];
            best_password = fields[3];
        }
    }
    if (best == 0 || strpbrk(best_password, "\r\n") != NULL || strpbrk(best_user, "\r\n") != NULL)
        return FALSE;
    if (*user == NULL)
        *user = g_strdup(best_user);
    *password = g_strdup(best_password);
    return TRUE;
}

static gboolean take(char *answer, gssize size, guint port, gboolean tls, char **user, char **password, GError **error)
{
    if (size < 0)
        return fail(error, "the keyring did not answer");
    if (size == 0)
        return fail(error, "the keyring can't be asked");
    if (answer[0] != '\0') {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "the keyring can't be asked: %s", answer);
        return FALSE;
    }
    if (!choose(answer + 1, answer + size, port, tls, user, password))
        return fail(error, "it has no password for this server");
    return TRUE;
}

gboolean keyring_lookup(const char *host, guint port, gboolean tls, char **user, char **password, GError **error)
{
    int ends[2];

    if (pipe(ends) != 0)
        return fail(error, "no pipe to ask the keyring by");
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        ask(ends[1], host, *user);
    }
    close(ends[1]);
    g_autofree char *answer = g_malloc0(ANSWER_SIZE + 1);
    gssize size = child > 0 ? read_bounded(ends[0], answer) : -1;
    close(ends[0]);
    if (child > 0) {
        kill(child, SIGKILL); /* it has said all, or never will */
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    gboolean found = take(answer, size, port, tls, user, password, error);
    explicit_bzero(answer, ANSWER_SIZE);
    return found;
}

#else

gboolean keyring_lookup(const char *host, guint port, gboolean tls, char **user, char **password, GError **error)
{
    return fail(error, "this ftpfs was built without libsecret");
}

#endif
