/* SPDX-License-Identifier: MIT */
/*
 * Each kind of data connection is tried by a client of its own that may do nothing else: so what is found is not what
 * mode=auto has learned before. One after the other, and each says QUIT, for a server that allows one session only.
 */
#include "check_private.h"

#include "base/bound.h"

#include <errno.h>
#include <string.h>

#define TRIES 5 /* to log in, one a second, for a server that has not yet noticed that the last session is gone */

typedef struct {
    const char *name;
    FtpMode mode;
    FtpSwitch epsv, eprt;
    const char *what;
} Kind;

static const Kind kinds[CHECK_MODES] = {
    [CHECK_EPSV] = {"EPSV", FTP_MODE_PASSIVE, FTP_SWITCH_ON, FTP_SWITCH_AUTO, "passive, mode=passive,epsv=on"},
    [CHECK_PASV] = {"PASV", FTP_MODE_PASSIVE, FTP_SWITCH_OFF, FTP_SWITCH_AUTO, "passive, mode=passive,epsv=off"},
    [CHECK_EPRT] = {"EPRT", FTP_MODE_ACTIVE, FTP_SWITCH_AUTO, FTP_SWITCH_ON, "active, mode=active,eprt=on"},
    [CHECK_PORT] = {"PORT", FTP_MODE_ACTIVE, FTP_SWITCH_AUTO, FTP_SWITCH_OFF, "active, mode=active,eprt=off"},
};

char *check_why(int error, const Stats *stats)
{
    g_autofree char *last = stats != NULL ? stats_last_error(stats) : NULL;

    if (last != NULL)
        return g_steal_pointer(&last);
    if (error == -EREMOTEIO)
        return g_strdup("the server refuses it (550)");
    if (error == -EOPNOTSUPP)
        return g_strdup("the server has no such command");
    return g_strdup(g_strerror(-error));
}

static int count_entry(const ListEntry *entry, gpointer data)
{
    (*(guint64 *)data)++;
    return 0;
}

static void count_anew(gpointer data)
{
    *(guint64 *)data = 0;
}

int check_list_root(const FtpConfig *ftp, FtpClient *client, guint64 *ret_entries)
{
    Bound bound = bound_seconds(3.0 * ftp->connect_timeout + 2.0 * ftp->timeout);
    /* over a data connection: it is what is tried */
    FtpCall call = {.bound = &bound, .priority = FTP_PRIORITY_PERSON, .dir_size = FTP_DIR_LARGE};
    g_autoptr(RemotePath) root = NULL;
    guint64 entries = 0;

    int result = ftp_client_path(client, "/", &root);
    if (result == 0)
        result = ftp_client_list(client, &call, root, count_entry, count_anew, &entries);
    if (result == 0)
        *ret_entries = entries;
    return result;
}

gboolean check_log_in(FtpClient *client, gboolean worked, GError **error)
{
    for (guint tries = 1;; tries++) {
        g_autoptr(GError) refused = NULL;
        if (ftp_client_probe(client, &refused))
            return TRUE;
        if (tries == TRIES || (!worked && strstr(refused->message, ": 421 ") == NULL)) {
            g_propagate_error(error, g_steal_pointer(&refused));
            return FALSE;
        }
        g_usleep(G_USEC_PER_SEC);
    }
}

static gboolean check_mode(const FtpConfig *ftp, FtpFamily family, const Kind *kind, CheckReport *report)
{
    FtpConfig config = *ftp; /* borrows the strings */
    g_autoptr(GError) error = NULL;
    g_autoptr(Stats) stats = stats_new();
    guint64 entries = 0;

    config.family = family;
    config.mode = kind->mode;
    config.epsv = kind->epsv;
    config.eprt = kind->eprt;
    config.timeout = MIN(ftp->timeout, MAX(2 * ftp->connect_timeout, 5));
    config.retry = TRIES;
    config.connections = 1;
    g_autoptr(FtpClient) client = ftp_client_new(&config, stats, &error);
    if (client != NULL)
        ftp_client_set_quiet(client);
    if (client == NULL || !check_log_in(client, TRUE, &error)) {
        check_report_step(report, kind->name, CHECK_FAILED, "%s", error->message);
        return FALSE;
    }
    int result = check_list_root(&config, client, &entries);
    if (result == 0) {
        check_report_step(report, kind->name, CHECK_OK, "%s", kind->what);
    } else {
        g_autofree char *why = check_why(result, stats);
        check_report_step(report, kind->name, CHECK_FAILED, "%s", why);
    }
    ftp_client_stop(client);
    return result == 0;
}

void check_modes(const FtpConfig *ftp, FtpFamily family, CheckReport *report, gboolean ret_works[CHECK_MODES])
{
    for (guint i = 0; i < CHECK_MODES; i++) {
        ret_works[i] = FALSE;
        if (family == FTP_FAMILY_IPV6 && (i == CHECK_PASV || i == CHECK_PORT))
            check_report_step(report, kinds[i].name, CHECK_SKIPPED, "only for IPv4 (RFC 2428)");
        else
            ret_works[i] = check_mode(ftp, family, &kinds[i], report);
    }
}

/* ---- How many at once ---- */

static void end_client(gpointer client)
{
    ftp_client_stop(client);
    ftp_client_free(client);
}

void check_connections(const FtpConfig *ftp, FtpClient *client, CheckReport *report)
{
    FtpConfig config = *ftp; /* borrows the strings */
    g_autoptr(GError) error = NULL;
    g_autoptr(Stats) stats = stats_new();
    g_autoptr(GPtrArray) others = g_ptr_array_new_with_free_func(end_client);
    FtpClientState state;

    config.connections = 1;
    config.retry = 0;
    ftp_client_state(client, &state);
    guint open = state.open;
    while (open < ftp->connections) {
        FtpClient *other = ftp_client_new(&config, stats, &error);
        if (other == NULL)
            break;
        g_ptr_array_add(others, other);
        if (!ftp_client_probe(other, &error))
            break;
        open++;
    }
    if (error != NULL) {
        /* "can't log in to SOURCE (HOST port N): WHY\n(HINT)", of which only WHY is meant here */
        const char *why = strstr(error->message, "): ");
        why = why != NULL ? why + 3 : error->message;
        check_report_step(report, "connections", CHECK_NO, "%u at once, and not one more: %.*s", open,
                          (int)strcspn(why, "\n"), why);
    } else {
        check_report_step(report, "connections", CHECK_OK, "%u at once, no more were tried (connections=%u)", open,
                          ftp->connections);
    }
    check_report_number(report, "connections", open);
}
