/* SPDX-License-Identifier: MIT */
/*
 * One table from what libcurl and the server said to an errno, and to what it means for the operation.
 */
#pragma once

#include "ftp_transcript.h"

#include <curl/curl.h>
#include <glib.h>

typedef enum {
    FTP_FAILURE_NONE,
    FTP_FAILURE_PERMANENT, /* the server understood and said no: asking again brings the same */
    FTP_FAILURE_TRANSIENT, /* the connection was lost, or the server is away or busy: another try can help */
    FTP_FAILURE_BUSY,      /* the server takes no more sessions (421, 530 "too many") */
    FTP_FAILURE_DATA,      /* the control connection works, but no data connection could be made */
    FTP_FAILURE_STOPPED,   /* by our own side: interrupted, cut, the mount ends */
} FtpFailure;

/* -errno for a final reply code (RFC 959, 4.2.2): 0 for 1yz to 3yz. */
int ftp_error_from_reply(int code);

/* What a final reply code means for another try. */
FtpFailure ftp_failure_from_reply(int code);

/* -errno and failure for the end of an operation: `result` is libcurl's, `last` the last exchange (may be NULL). */
int ftp_error_from_curl(CURLcode result, const FtpExchange *last, FtpFailure *ret_failure);

/* TRUE for a 4yz or 5yz reply to USER, PASS or the greeting that means "not now" and not "wrong password": by its code
 * (421), or, for 530, by the words that servers use. */
gboolean ftp_error_is_busy(int code, const char *text);
