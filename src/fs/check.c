/* SPDX-License-Identifier: MIT */
/*
 * The first steps, name and TCP connection, are done here and not by libcurl, because they tell apart what libcurl's
 * one error can't: an unknown name, a refused port, a firewall that drops. The rest goes through the same client as a
 * mount, so that what works here works there. Through a proxy the first two steps would test the wrong thing: left out.
 */
#include "fs/check.h"

#include "base/bound.h"
#include "base/log.h"
#include "base/stats.h"
#include "ftp/ftp_client.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXIT_NO    32
#define TEXT_SHOWN 300

static void step_ok(FILE *out, const char *what, const char *text)
{
    g_autofree char *shown = log_printable(text, TEXT_SHOWN);

    fprintf(out, "%-12s ok      %s\n", what, shown);
    fflush(out);
}

static int step_failed(FILE *out, const char *what, const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autofree char *joined = g_strjoinv(" ", lines);
    g_autofree char *shown = log_printable(joined, 2 * TEXT_SHOWN);

    fprintf(out, "%-12s FAILED  %s\n", what, shown);
    fflush(out);
    return EXIT_NO;
}

/* ---- The name ---- */

/* getaddrinfo(3) knows no bound. It runs on a thread of its own, which is left behind when it takes too long; whoever
 * comes last frees. */
typedef struct {
    GMutex lock;
    GCond done_cond;
    gboolean done;
    gatomicrefcount references;
    char *host, *port;
    int family;
    int problem;
    struct addrinfo *addresses;
} Lookup;

static void lookup_unref(Lookup *lookup)
{
    if (!g_atomic_ref_count_dec(&lookup->references))
        return;
    if (lookup->addresses != NULL)
        freeaddrinfo(lookup->addresses);
    g_mutex_clear(&lookup->lock);
    g_cond_clear(&lookup->done_cond);
    g_free(lookup->host);
    g_free(lookup->port);
    g_free(lookup);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Lookup, lookup_unref)

static gpointer lookup_thread(gpointer data)
{
    Lookup *lookup = data;
    struct addrinfo hints = {.ai_family = lookup->family, .ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    int problem = getaddrinfo(lookup->host, lookup->port, &hints, &addresses);

    g_mutex_lock(&lookup->lock);
    lookup->problem = problem;
    lookup->addresses = problem == 0 ? addresses : NULL;
    lookup->done = TRUE;
    g_cond_signal(&lookup->done_cond);
    g_mutex_unlock(&lookup->lock);
    lookup_unref(lookup);
    return NULL;
}

static char *address_text(const struct addrinfo *address)
{
    char host[256], port[16];

    if (getnameinfo(address->ai_addr, address->ai_addrlen, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return g_strdup("an address");
    return g_strdup_printf(strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host, port);
}

static Lookup *resolve(const FtpConfig *ftp, FILE *out)
{
    g_autoptr(Lookup) lookup = g_new0(Lookup, 1);
    gint64 deadline = g_get_monotonic_time() + (gint64)ftp->connect_timeout * G_TIME_SPAN_SECOND;

    g_atomic_ref_count_init(&lookup->references);
    g_mutex_init(&lookup->lock);
    g_cond_init(&lookup->done_cond);
    lookup->host = g_strdup(ftp->host);
    lookup->port = g_strdup_printf("%u", ftp_config_port(ftp));
    lookup->family = ftp->family == FTP_FAMILY_IPV4 ? AF_INET : ftp->family == FTP_FAMILY_IPV6 ? AF_INET6 : AF_UNSPEC;
    g_atomic_ref_count_inc(&lookup->references);
    g_thread_unref(g_thread_new("lookup", lookup_thread, lookup));

    g_mutex_lock(&lookup->lock);
    while (!lookup->done && g_cond_wait_until(&lookup->done_cond, &lookup->lock, deadline))
        ;
    gboolean done = lookup->done;
    g_mutex_unlock(&lookup->lock);

    g_autofree char *text = NULL;
    if (!done) {
        text = g_strdup_printf("no answer for the name %s within %u seconds; is the DNS server reachable?", ftp->host,
                               ftp->connect_timeout);
        step_failed(out, "name", text);
        return NULL;
    }
    if (lookup->problem != 0) {
        text = g_strdup_printf("%s: %s", ftp->host, gai_strerror(lookup->problem));
        step_failed(out, "name", text);
        return NULL;
    }
    g_autoptr(GString) all = g_string_new(ftp->host);
    guint n = 0;
    for (const struct addrinfo *a = lookup->addresses; a != NULL && n < 4; a = a->ai_next, n++) {
        g_autofree char *one = address_text(a);
        g_string_append_printf(all, "%s%s", n == 0 ? " is " : ", ", one);
    }
    step_ok(out, "name", all->str);
    return g_steal_pointer(&lookup);
}

/* ---- The connection ---- */

/* 0 or -errno, within `ms`. */
static int connect_bounded(const struct addrinfo *address, int ms)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int problem = 0;

    if (fd < 0)
        return -errno;
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        problem = errno;
        if (problem == EINPROGRESS) {
            struct pollfd poller = {.fd = fd, .events = POLLOUT};
            socklen_t size = sizeof problem;
            if (poll(&poller, 1, ms) != 1)
                problem = ETIMEDOUT;
            else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size) != 0)
                problem = errno;
        }
    }
    close(fd);
    return -problem;
}

static int check_connection(const FtpConfig *ftp, const Lookup *lookup, FILE *out)
{
    g_autoptr(GString) tried = g_string_new(NULL);

    for (const struct addrinfo *a = lookup->addresses; a != NULL; a = a->ai_next) {
        g_autofree char *text = address_text(a);
        int result = connect_bounded(a, (int)MIN(ftp->connect_timeout, 60) * 1000);
        if (result == 0) {
            step_ok(out, "connection", text);
            return 0;
        }
        g_string_append_printf(tried, "%s%s: %s", tried->len > 0 ? "; " : "", text, g_strerror(-result));
    }
    return step_failed(out, "connection", tried->str);
}

/* ---- The session ---- */

static int count_entry(const ListEntry *entry, gpointer data)
{
    (*(guint64 *)data)++;
    return 0;
}

static void count_anew(gpointer data)
{
    *(guint64 *)data = 0;
}

static int check_listing(const FtpConfig *ftp, FtpClient *client, FILE *out)
{
    Bound bound = bound_seconds(ftp->connect_timeout + 2.0 * ftp->timeout);
    FtpCall call = {.bound = &bound, .priority = FTP_PRIORITY_PERSON};
    g_autoptr(RemotePath) root = NULL;
    guint64 entries = 0;
    FtpClientState state;

    int result = ftp_client_path(client, "/", &root);
    if (result == 0)
        result = ftp_client_list(client, &call, root, count_entry, count_anew, &entries);
    if (result != 0) {
        g_autofree char *text = g_strdup_printf("%s: %s; a firewall between here and the server may stop data "
                                                "connections, then try mode=active",
                                                ftp_client_root(client), g_strerror(-result));
        return step_failed(out, "listing", text);
    }
    ftp_client_state(client, &state);
    g_autofree char *text =
        g_strdup_printf("%s has %" G_GUINT64_FORMAT " entries (%s, %s mode)", ftp_client_root(client), entries,
                        state.listing, state.active ? "active" : "passive");
    step_ok(out, "listing", text);
    return 0;
}

/* ---- What to write where ---- */

/* As fstab(5) wants a field: octal for blanks and backslashes. */
static void append_fstab(GString *line, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr(" \t\\", *text) != NULL)
            g_string_append_printf(line, "\\%03o", (guint)*text);
        else
            g_string_append_c(line, *text);
    }
}

static char *option_list(const Options *options, gboolean fstab)
{
    g_autoptr(GString) list = g_string_new(fstab ? "_netdev,nofail" : NULL);
    gboolean named = options->ftp->user != NULL && strcmp(options->ftp->user, "anonymous") != 0;

    for (guint i = 0; i < options->given->len; i++) {
        const char *text = options->given->pdata[i];
        if (strcmp(text, "password_stdin") == 0)
            continue;
        g_string_append_printf(list, "%s", list->len > 0 ? "," : "");
        for (; *text != '\0'; text++) {
            if (*text == ',' || *text == '\\')
                g_string_append_c(list, '\\');
            g_string_append_c(list, *text);
        }
    }
    if (named && options->credentials_file == NULL && !options->ftp->netrc && fstab)
        g_string_append_printf(list, ",credentials=/etc/ftpfs/%s", options->ftp->host);
    if (options->ftp->tls == FTP_TLS_ON && strstr(list->str, "tls=on") == NULL && strstr(list->str, "ssl") == NULL)
        g_string_append_printf(list, "%stls=on", list->len > 0 ? "," : "");
    return g_string_free(g_steal_pointer(&list), FALSE);
}

static void print_lines(const Options *options, FILE *out)
{
    g_autofree char *source = ftp_config_source(options->ftp);
    g_autofree char *quoted = g_shell_quote(source);
    g_autofree char *mountpoint = g_strdup_printf("/mnt/%s", options->ftp->host);
    g_autofree char *command = option_list(options, FALSE);
    g_autofree char *fstab = option_list(options, TRUE);
    g_autofree char *quoted_options = g_shell_quote(command);
    g_autoptr(GString) line = g_string_new(NULL);

    append_fstab(line, source);
    g_string_append_printf(line, " %s ftpfs ", mountpoint);
    append_fstab(line, fstab);
    fprintf(out, "\nto mount it:\n    ftpfs %s %s", quoted, mountpoint);
    if (*command != '\0')
        fprintf(out, " -o %s", quoted_options);
    fprintf(out, "\nin /etc/fstab:\n    %s 0 0\n", line->str);
    if (strstr(fstab, "credentials=/etc/ftpfs/") != NULL && options->credentials_file == NULL)
        fprintf(out, "with /etc/ftpfs/%s (chmod 600) of two lines:\n    username=%s\n    password=...\n",
                options->ftp->host, options->ftp->user);
}

int check_run(const Options *options, FILE *out)
{
    const FtpConfig *ftp = options->ftp;
    g_autoptr(GError) error = NULL;

    if (ftp->proxy == NULL) {
        g_autoptr(Lookup) lookup = resolve(ftp, out);
        if (lookup == NULL || check_connection(ftp, lookup, out) != 0)
            return EXIT_NO;
    }
    g_autoptr(Stats) stats = stats_new();
    g_autoptr(FtpClient) client = ftp_client_new(ftp, stats, &error);
    if (client == NULL || !ftp_client_probe(client, &error))
        return step_failed(out, "login", error->message);

    FtpClientState state;
    ftp_client_state(client, &state);
    g_autofree char *login = g_strdup_printf("as %s; %s", ftp->user != NULL ? ftp->user : "netrc says",
                                             state.tls ? "encrypted by TLS" : "NOT encrypted");
    g_autofree char *features = ftp_features_describe(ftp_client_features(client));
    step_ok(out, "greeting", ftp_client_greeting(client));
    step_ok(out, "login", login);
    step_ok(out, "features", features);
    int result = check_listing(ftp, client, out);
    ftp_client_stop(client);
    if (result == 0)
        print_lines(options, out);
    return result;
}
