/* SPDX-License-Identifier: MIT */
/* The inside of a session, shared by ftp_session.c (connect, commands, the loop) and ftp_session_io.c (transfers) and
 * ftp_session_setup.c (libcurl's options). */
#pragma once

#include "ftp_session.h"

#include <curl/curl.h>
#include <sys/socket.h>

struct FtpSession {
    const FtpConfig *config;
    FtpServer *server;
    Stats *stats;
    FtpTranscript *transcript;

    CURL *easy;
    CURLM *multi; /* changed only under wake_lock */
    GMutex wake_lock;
    gint stopped; /* atomic */

    gboolean connected; /* logged in, and nothing since that speaks against it */
    gboolean reused;    /* see ftp_session_was_reused() */
    GArray *connecting; /* curl_socket_t: open sockets while there is no control connection yet */
    int control_fd;     /* -1 when not connected */
    int data_fd;        /* of the operation that is running, or -1; owned by libcurl */
    char type;

    /* the operation that is running */
    const Bound *bound;
    gint64 progress_at; /* when bytes were last seen to move, µs monotonic */
    int stop_error;     /* -errno why our own side ends it, or 0 */
    int outstanding;    /* bytes in the data socket's send queue when we looked last */
    FtpTransfer *transfer;
    gboolean was_cut;   /* the data socket was shut down for reading */
    gboolean awaiting_reply; /* a command was sent whose reply has not come */

    /* the result of the last operation */
    CURLcode result;
    FtpFailure failure;
    int error;
    char error_text[CURL_ERROR_SIZE];
    guint first_exchange; /* of the last ftp_session_commands() */
    char control_tail[512]; /* what came on the control connection when it was closed without being read (plain FTP) */
    char peer[64];        /* the address of the last data connection that was tried, "10.0.0.5:5000" */
};

/* Makes the easy and multi handles with all options that stay the same. */
gboolean ftp_session_set_up(FtpSession *session);

/* "ftp://host:port/" + `path` (already encoded, may be ""). Owned by the caller. */
char *ftp_session_url(const FtpSession *session, const char *path);

/* Options that an operation sets are put back to: no body, no quote, no upload, no custom request. */
void ftp_session_reset_operation(FtpSession *session);

/* Runs the operation that was prepared; fills result, failure, error. 0 or -errno. */
int ftp_session_perform(FtpSession *session, const Bound *bound);

/* Called from libcurl's callbacks and from the loop: TRUE when the operation is to end, stop_error says why. */
gboolean ftp_session_should_stop(FtpSession *session);

/* Shuts the data socket down for reading when a cut was asked for and the transfer is under way (DESIGN fact 2). */
void ftp_session_apply_cut(FtpSession *session);
