/* SPDX-License-Identifier: MIT */
/*
 * --check. After name and connection everything goes through the same client as a mount, so that what works here works
 * there. Through a proxy the first two steps would test the wrong thing: left out. The order of the steps is the one in
 * which a mount fails, and each group of them ends its sessions before the next: a server may allow one only.
 */
#include "fs/check.h"

#include "check_private.h"

#include "base/bound.h"
#include "base/stats.h"
#include "ftp/ftp_certificate.h"
#include "ftp/ftp_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_NO     32
#define ROUND_TRIPS 7

/* ---- The session ---- */

static void check_tls(const FtpConfig *ftp, CheckReport *report)
{
    g_autoptr(GError) error = NULL;

    if (ftp->tls == FTP_TLS_OFF)
        return;
    g_autoptr(FtpCertificate) certificate = ftp_certificate_fetch(ftp, &error);
    if (certificate == NULL) {
        check_report_step(report, "tls", ftp->tls == FTP_TLS_TRY ? CHECK_NO : CHECK_FAILED, "%s", error->message);
        return;
    }
    check_report_step(report, "tls", CHECK_OK, "%s; certificate of %s, issued by %s, until %s",
                      certificate->protocol != NULL ? certificate->protocol : "TLS",
                      certificate->subject != NULL ? certificate->subject : "?",
                      certificate->issuer != NULL ? certificate->issuer : "?",
                      certificate->expires != NULL ? certificate->expires : "?");
    if (certificate->pin != NULL) {
        check_report_step(report, "key", CHECK_OK, "tls_pin=%s", certificate->pin);
        check_report_string(report, "tls_pin", certificate->pin);
    }
}

static int check_listing(const FtpConfig *ftp, FtpClient *client, Stats *stats, CheckReport *report)
{
    guint64 entries = 0;
    FtpClientState state;

    int result = check_list_root(ftp, client, &entries);
    if (result != 0) {
        g_autofree char *why = check_why(result, stats);
        check_report_step(report, "listing", CHECK_FAILED, "%s: %s", ftp_client_root(client), why);
        return result;
    }
    ftp_client_state(client, &state);
    const char *how = strcmp(state.listing, "STAT") == 0 ? "LIST" : state.listing; /* that one has no mode */
    check_report_step(report, "listing", CHECK_OK, "%s has %" G_GUINT64_FORMAT " entries (%s, %s mode)",
                      ftp_client_root(client), entries, how, state.active ? "active" : "passive");
    return 0;
}

static void check_features(FtpClient *client, gboolean listed, CheckReport *report)
{
    static const struct {
        const char *step, *good, *bad;
        FtpFeature feature;
    } wanted[] = {
        {"MLSD", "listings with exact times and sizes", "listings are LIST's, whose times are coarse",
         FTP_FEATURE_MLST},
        {"MDTM", "exact times of single files", "not told by FEAT", FTP_FEATURE_MDTM},
        {"MFMT", "times of files can be set", "not told by FEAT; other ways to set times are tried", FTP_FEATURE_MFMT},
        {"REST", "reads begin anywhere", "not told by FEAT; it is tried", FTP_FEATURE_REST},
    };
    const FtpFeatures *features = ftp_client_features(client);
    FtpClientState state;

    ftp_client_state(client, &state);
    for (gsize i = 0; i < G_N_ELEMENTS(wanted); i++) {
        gboolean has = ftp_features_has(features, wanted[i].feature);
        if (wanted[i].feature == FTP_FEATURE_MLST && listed)
            has = has && strcmp(state.listing, "MLSD") == 0; /* some advertise it, and refuse it */
        check_report_step(report, wanted[i].step, has ? CHECK_OK : CHECK_NO, "%s",
                          has ? wanted[i].good : wanted[i].bad);
    }
}

static int compare_times(const void *a, const void *b)
{
    gint64 first = *(const gint64 *)a, second = *(const gint64 *)b;

    return first < second ? -1 : first > second;
}

/* MLST is one round trip; where there is none, SIZE and MDTM are two. */
static void check_round_trip(const FtpConfig *ftp, FtpClient *client, CheckReport *report)
{
    Bound bound = bound_seconds(ftp->connect_timeout + (double)ftp->timeout);
    FtpCall call = {.bound = &bound, .priority = FTP_PRIORITY_PERSON};
    gint64 times[ROUND_TRIPS];
    gboolean mlst = TRUE;
    FtpAttr attr;
    g_autoptr(RemotePath) root = NULL;

    if (ftp_client_path(client, "/", &root) != 0)
        return;
    for (gsize i = 0; i < G_N_ELEMENTS(times); i++) {
        gint64 begin = g_get_monotonic_time();
        int error = mlst ? ftp_client_stat(client, &call, root, &attr, NULL) : -EOPNOTSUPP;
        if (error == -EOPNOTSUPP) {
            mlst = FALSE;
            error = ftp_client_size_and_time(client, &call, root, &attr);
        }
        times[i] = (g_get_monotonic_time() - begin) / (mlst ? 1 : 2);
        if (error == -ETIMEDOUT || error == -EIO || error == -EINTR)
            return;
    }
    qsort(times, G_N_ELEMENTS(times), sizeof times[0], compare_times);
    double milliseconds = (double)times[G_N_ELEMENTS(times) / 2] / 1000;
    char digits[G_ASCII_DTOSTR_BUF_SIZE];
    check_report_step(report, "round trip", CHECK_OK, "%s ms",
                      g_ascii_formatd(digits, sizeof digits, "%.1f", milliseconds));
    check_report_number(report, "round_trip_ms", milliseconds);
}

/* The sentence about data connections. */
static void report_data(FtpClient *client, const FtpClientState *state, int listing, const gboolean *works,
                        CheckReport *report)
{
    const char *mode = state->active ? "active" : "passive";
    g_autofree char *note = ftp_client_mode_note(client);

    if (note != NULL)
        check_report_string(report, "note", note);
    if (listing == 0) {
        check_report_string(report, "mode", mode);
        check_report_step(report, "data", CHECK_OK, "%s mode is used%s%s", mode, note != NULL ? ": " : "",
                          note != NULL ? note : "");
        return;
    }
    const char *advice = works[CHECK_EPSV] || works[CHECK_PASV]   ? "; mode=passive works"
                         : works[CHECK_EPRT] || works[CHECK_PORT] ? "; mode=active works"
                                                                  : "; a firewall between here and the server may stop "
                                                                    "data connections";
    check_report_step(report, "data", CHECK_FAILED, "%s%s", note != NULL ? note : "the root can't be listed", advice);
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

static char *option_list(const Options *options, gboolean fstab, const char *learned)
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
    if (learned != NULL)
        g_string_append_printf(list, "%s%s", list->len > 0 ? "," : "", learned);
    return g_string_free(g_steal_pointer(&list), FALSE);
}

/* What auto had to find out, as an option, so that the next mount need not; or NULL. */
static const char *learned_option(const FtpConfig *ftp, const FtpClientState *state, const gboolean *works)
{
    if (ftp->mode == FTP_MODE_AUTO && state->active)
        return "mode=active";
    if (ftp->epsv == FTP_SWITCH_AUTO && !state->active && works[CHECK_PASV] && !works[CHECK_EPSV])
        return "epsv=off";
    return NULL;
}

static void report_lines(const Options *options, const char *learned, CheckReport *report)
{
    g_autofree char *source = ftp_config_source(options->ftp);
    g_autofree char *quoted = g_shell_quote(source);
    g_autofree char *mountpoint = g_strdup_printf("/mnt/%s", options->ftp->host);
    g_autofree char *list = option_list(options, FALSE, learned);
    g_autofree char *fstab = option_list(options, TRUE, learned);
    g_autofree char *quoted_list = g_shell_quote(list);
    g_autofree char *command = *list != '\0' ? g_strdup_printf("ftpfs %s %s -o %s", quoted, mountpoint, quoted_list)
                                             : g_strdup_printf("ftpfs %s %s", quoted, mountpoint);
    g_autoptr(GString) line = g_string_new(NULL);

    append_fstab(line, source);
    g_string_append_printf(line, " %s ftpfs ", mountpoint);
    append_fstab(line, fstab);
    g_string_append(line, " 0 0");
    check_report_string(report, "command", command);
    check_report_string(report, "fstab", line->str);
    check_report_text(report, "\nto mount it:\n    %s\nin /etc/fstab:\n    %s", command, line->str);
    if (strstr(fstab, "credentials=/etc/ftpfs/") != NULL && options->credentials_file == NULL)
        check_report_text(report, "with /etc/ftpfs/%s (chmod 600) of two lines:\n    username=%s\n    password=...",
                          options->ftp->host, options->ftp->user);
}

/* All that needs a login. */
static gboolean check_server(const Options *options, FtpFamily family, CheckReport *report)
{
    const FtpConfig *ftp = options->ftp;
    g_autoptr(GError) error = NULL;
    g_autoptr(Stats) stats = stats_new();
    g_autoptr(FtpClient) client = ftp_client_new(ftp, stats, &error);

    if (client != NULL)
        ftp_client_set_quiet(client);
    if (client == NULL || !check_log_in(client, FALSE, &error)) {
        check_report_step(report, "login", CHECK_FAILED, "%s", error->message);
        return FALSE;
    }
    FtpClientState state;
    gboolean works[CHECK_MODES];
    g_autofree char *features = ftp_features_describe(ftp_client_features(client));
    ftp_client_state(client, &state);
    check_report_step(report, "greeting", CHECK_OK, "%s", ftp_client_greeting(client));
    check_report_step(report, "login", CHECK_OK, "as %s; %s%s", ftp->user != NULL ? ftp->user : "netrc says",
                      state.tls ? "encrypted by TLS" : "NOT encrypted",
                      !state.tls && ftp_features_has(ftp_client_features(client), FTP_FEATURE_AUTH_TLS)
                          ? ", but the server could (tls=on)"
                          : "");
    check_report_step(report, "features", CHECK_OK, "%s", features);
    int listing = check_listing(ftp, client, stats, report);
    check_features(client, listing == 0, report);
    check_round_trip(ftp, client, report);
    check_connections(ftp, client, report);
    ftp_client_state(client, &state);
    ftp_client_stop(client);
    check_modes(ftp, family, report, works);
    report_data(client, &state, listing, works, report);
    if (state.tls && state.data_resumed >= 0)
        check_report_step(report, "resumption", state.data_resumed ? CHECK_OK : CHECK_NO,
                          state.data_resumed
                              ? "data connections resume the TLS session of the control connection"
                              : "data connections make TLS sessions of their own; a server can demand otherwise");
    if (listing != 0)
        return FALSE;

    gboolean good = TRUE;
    if (options->check_write && options->read_only) {
        check_report_step(report, "mkdir", CHECK_SKIPPED, "a read-only mount does not write");
    } else if (options->check_write) {
        g_autoptr(FtpClient) writer = ftp_client_new(ftp, stats, &error);
        if (writer != NULL)
            ftp_client_set_quiet(writer);
        good = writer != NULL && check_log_in(writer, TRUE, &error);
        if (good)
            good = check_write(ftp, writer, report);
        else
            check_report_step(report, "mkdir", CHECK_FAILED, "%s", error->message);
        if (writer != NULL)
            ftp_client_stop(writer);
    }
    report_lines(options, learned_option(ftp, &state, works), report);
    return good;
}

int check_run(const Options *options, FILE *out)
{
    const FtpConfig *ftp = options->ftp;
    FtpFamily family = ftp->family;
    g_autoptr(CheckReport) report = check_report_new(out, options->json);

    gboolean good = ftp->proxy != NULL || check_connect(ftp, report, &family);
    if (good) {
        check_tls(ftp, report);
        good = check_server(options, family, report);
    }
    check_report_finish(report, good);
    return good ? 0 : EXIT_NO;
}
