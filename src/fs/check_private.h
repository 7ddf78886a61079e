/* SPDX-License-Identifier: MIT */
/* The inside of --check: the report, and groups of steps that stand in files of their own. One thread uses it. */
#pragma once

#include "fs/options.h"
#include "ftp/ftp_client.h"

#include <stdio.h>

/* ---- check_report.c ---- */

typedef enum {
    CHECK_OK,
    CHECK_FAILED,
    CHECK_NO,      /* the server can't, or need not: no failure */
    CHECK_SKIPPED, /* not tried */
} CheckResult;

typedef struct CheckReport CheckReport;

/* As text each step is printed at once; as JSON all comes at the end, as one object. `out` must outlive the report. */
CheckReport *check_report_new(FILE *out, gboolean json);
void check_report_free(CheckReport *report);

/* The text may have bytes from the server: it is made printable here. */
void check_report_step(CheckReport *report, const char *step, CheckResult result, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

/* A member of the JSON object beside the steps; not shown as text. */
void check_report_string(CheckReport *report, const char *name, const char *value);
void check_report_number(CheckReport *report, const char *name, double value);

/* A line for people; not in the JSON. */
void check_report_text(CheckReport *report, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Once, at the end. */
void check_report_finish(CheckReport *report, gboolean good);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(CheckReport, check_report_free)

/* ---- check_connect.c ---- */

/* The steps name and connection. TRUE when a connection could be made; *ret_family is then that of its address. */
gboolean check_connect(const FtpConfig *ftp, CheckReport *report, FtpFamily *ret_family);

/* ---- check_modes.c ---- */

typedef enum { CHECK_EPSV, CHECK_PASV, CHECK_EPRT, CHECK_PORT, CHECK_MODES } CheckMode;

/* Logs in; again, for some seconds, where the server says that it has too many sessions (421), or, when a login has
 * worked before, whatever it says: it may not have noticed yet that the last session is gone. */
gboolean check_log_in(FtpClient *client, gboolean worked, GError **error);

/* Lists the root once by each kind of data connection; ret_works says which went well. Over FTP_FAMILY_IPV6 two are
 * left out. */
void check_modes(const FtpConfig *ftp, FtpFamily family, CheckReport *report, gboolean ret_works[CHECK_MODES]);

/* Lists the root: 0 or -errno, *ret_entries is then how many there are. */
int check_list_root(const FtpConfig *ftp, FtpClient *client, guint64 *ret_entries);

/* How many sessions there may be, those of `client` included: up to `connections`. */
void check_connections(const FtpConfig *ftp, FtpClient *client, CheckReport *report);

/* ---- check_write.c ---- */

/* Everything that writes, in a directory of its own. TRUE when files can be stored and nothing was left behind. */
gboolean check_write(const FtpConfig *ftp, FtpClient *client, CheckReport *report);

/* What an error of the client means. Owned by the caller. */
char *check_why(int error, const Stats *stats);
