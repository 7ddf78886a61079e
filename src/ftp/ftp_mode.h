/* SPDX-License-Identifier: MIT */
/* What to do when a data connection can't be made: which mode is used, and when it changes. Thread-safe. */
#pragma once

#include "ftp_session.h"

/* What one operation has seen: which modes have failed in it. All zero at its beginning. */
typedef struct {
    gboolean failed[2]; /* passive, active */
    guint again;        /* tries in a mode that had worked */
    guint tries;
} FtpModeTrouble;

typedef enum {
    FTP_MODE_TRY_NOW,
    FTP_MODE_TRY_SOON,  /* ports are short: one will come free in a moment; while `retry` lasts */
    FTP_MODE_TRY_LATER, /* data connections had worked: they may again; while `retry` lasts */
    FTP_MODE_GIVE_UP,
} FtpModeVerdict;

/* After an operation on `session` that has ended with FTP_FAILURE_DATA; `why` is ftp_session_explain(). Changes the
 * mode for all sessions (mode=auto) and says so in one sentence. */
FtpModeVerdict ftp_mode_after_failure(FtpServer *server, const FtpConfig *config, FtpModeTrouble *trouble,
                                      const FtpSession *session, const char *why);
