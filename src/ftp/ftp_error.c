/* SPDX-License-Identifier: MIT */
#include "ftp_error.h"

#include <errno.h>
#include <string.h>

int ftp_error_from_reply(int code)
{
    switch (code) {
    case 421: /* service not available, closing control connection */
    case 425: /* can't open data connection */
    case 426: /* connection closed, transfer aborted */
    case 451: /* local error in processing */
        return -EIO;
    case 450: /* file unavailable (busy) */
        return -EAGAIN;
    case 452:
        return -ENOSPC;
    case 552: /* exceeded storage allocation */
        return -EDQUOT;
    case 500: /* syntax error, command unrecognized */
    case 501: /* in parameters or arguments */
    case 502: /* not implemented */
    case 504: /* not implemented for that parameter */
    case 551: /* page type unknown; some use it for "can't do that here" */
        return -EOPNOTSUPP;
    case 503: /* bad sequence of commands */
        return -EPROTO;
    case 521: /* MKD: directory exists (RFC 959, appendix II) */
        return -EEXIST;
    case 530: /* not logged in */
    case 532: /* need account for storing files */
    case 533: /* protection level denied for policy reasons (RFC 2228) */
    case 534:
    case 535:
    case 536:
    case 537:
    case 553: /* file name not allowed */
        return -EACCES;
    case 550:
        return -EREMOTEIO;
    default:
        break;
    }
    if (code >= 600)
        return -EPROTO;
    if (code >= 500)
        return -EREMOTEIO;
    if (code >= 400)
        return -EAGAIN;
    return code == 0 ? -EIO : 0;
}

FtpFailure ftp_failure_from_reply(int code)
{
    if (code == 0 || code == 421 || code == 425 || code == 426 || code == 451)
        return FTP_FAILURE_TRANSIENT;
    if (code >= 400)
        return FTP_FAILURE_PERMANENT;
    return FTP_FAILURE_NONE;
}

gboolean ftp_error_is_busy(int code, const char *text)
{
    if (code == 421)
        return TRUE;
    if (code != 530 && code / 100 != 4)
        return FALSE;
    static const char *const words[] = {"too many",  "maximum",           "limit",  "busy",
                                        "try again", "already logged in", "no more"};
    g_autofree char *lower = g_ascii_strdown(text ? text : "", -1);
    for (gsize i = 0; i < G_N_ELEMENTS(words); i++)
        if (strstr(lower, words[i]))
            return TRUE;
    return FALSE;
}

/* The data connection is what failed when its address had been agreed on, or was what the server would not agree on. */
static gboolean is_data_failure(CURLcode result, const FtpExchange *last)
{
    if (last && last->code == 421) /* it says goodbye, whatever was asked */
        return FALSE;
    switch (result) {
    case CURLE_FTP_WEIRD_PASV_REPLY:
    case CURLE_FTP_WEIRD_227_FORMAT:
    case CURLE_FTP_CANT_GET_HOST:
    case CURLE_FTP_PORT_FAILED:
    case CURLE_FTP_ACCEPT_FAILED:
    case CURLE_FTP_ACCEPT_TIMEOUT:
        return TRUE;
    case CURLE_WEIRD_SERVER_REPLY: /* EPSV refused, or its connection failed, where PASV can't be (IPv6) */
        return last && ftp_exchange_is(last, "EPSV");
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_INTERFACE_FAILED:
        return last && last->code / 100 == 2 && (ftp_exchange_is(last, "EPSV") || ftp_exchange_is(last, "PASV"));
    default:
        return last && last->code == 425;
    }
}

static gboolean is_login(const FtpExchange *exchange)
{
    return exchange->command[0] == '\0' || ftp_exchange_is(exchange, "USER") || ftp_exchange_is(exchange, "PASS");
}

int ftp_error_from_curl(CURLcode result, const FtpExchange *last, FtpFailure *ret_failure)
{
    int code = last ? last->code : 0;
    FtpFailure failure = FTP_FAILURE_TRANSIENT;
    int error = -EIO;

    if (is_data_failure(result, last)) {
        *ret_failure = FTP_FAILURE_DATA;
        return result == CURLE_OPERATION_TIMEDOUT || result == CURLE_FTP_ACCEPT_TIMEOUT ? -ETIMEDOUT : -ECONNREFUSED;
    }
    if (code == 421 && result != CURLE_OK) { /* libcurl calls it a timeout */
        *ret_failure = is_login(last) ? FTP_FAILURE_BUSY : FTP_FAILURE_TRANSIENT;
        return is_login(last) ? -EBUSY : -EIO;
    }
    switch (result) {
    case CURLE_OK:
        failure = FTP_FAILURE_NONE;
        error = 0;
        break;
    case CURLE_LOGIN_DENIED:
        failure = last && ftp_error_is_busy(code, last->lines->str) ? FTP_FAILURE_BUSY : FTP_FAILURE_PERMANENT;
        error = failure == FTP_FAILURE_BUSY ? -EBUSY : -EACCES;
        break;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        error = -EHOSTUNREACH;
        break;
    case CURLE_COULDNT_CONNECT:
        error = -ECONNREFUSED;
        break;
    case CURLE_OPERATION_TIMEDOUT:
        error = -ETIMEDOUT;
        break;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_USE_SSL_FAILED:
        failure = FTP_FAILURE_PERMANENT;
        error = -EACCES;
        break;
    case CURLE_URL_MALFORMAT: /* a control character that libcurl does not put into a command */
        failure = FTP_FAILURE_PERMANENT;
        error = -EINVAL;
        break;
    case CURLE_REMOTE_DISK_FULL:
        failure = FTP_FAILURE_PERMANENT;
        error = -EDQUOT;
        break;
    case CURLE_OUT_OF_MEMORY:
        failure = FTP_FAILURE_PERMANENT;
        error = -ENOMEM;
        break;
    default:
        if (code >= 400) { /* the server's own words tell more than libcurl's number */
            failure = is_login(last) && ftp_error_is_busy(code, last->lines->str) ? FTP_FAILURE_BUSY
                                                                                  : ftp_failure_from_reply(code);
            error = ftp_error_from_reply(code);
        }
        break;
    }
    *ret_failure = failure;
    return error;
}
