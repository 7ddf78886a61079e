/* SPDX-License-Identifier: MIT */
#include "ftp/ftp_error.h"

#include <errno.h>

static FtpExchange exchange(const char *command, int code, const char *lines)
{
    return (FtpExchange){.command = (char *)command, .code = code, .lines = g_string_new(lines)};
}

static void check(CURLcode result, const char *command, int code, const char *lines, int error, FtpFailure failure)
{
    FtpExchange last = exchange(command, code, lines);
    FtpFailure got = FTP_FAILURE_STOPPED;
    g_assert_cmpint(ftp_error_from_curl(result, &last, &got), ==, error);
    g_assert_cmpint(got, ==, failure);
    g_string_free(last.lines, TRUE);
}

static void test_replies(void)
{
    static const struct {
        int code, error;
        FtpFailure failure;
    } rows[] = {
        {150, 0, FTP_FAILURE_NONE},
        {226, 0, FTP_FAILURE_NONE},
        {350, 0, FTP_FAILURE_NONE},
        {421, -EIO, FTP_FAILURE_TRANSIENT},
        {426, -EIO, FTP_FAILURE_TRANSIENT},
        {450, -EAGAIN, FTP_FAILURE_PERMANENT},
        {451, -EIO, FTP_FAILURE_TRANSIENT},
        {452, -ENOSPC, FTP_FAILURE_PERMANENT},
        {500, -EOPNOTSUPP, FTP_FAILURE_PERMANENT},
        {502, -EOPNOTSUPP, FTP_FAILURE_PERMANENT},
        {521, -EEXIST, FTP_FAILURE_PERMANENT},
        {530, -EACCES, FTP_FAILURE_PERMANENT},
        {550, -EREMOTEIO, FTP_FAILURE_PERMANENT},
        {552, -EDQUOT, FTP_FAILURE_PERMANENT},
        {553, -EACCES, FTP_FAILURE_PERMANENT},
        {0, -EIO, FTP_FAILURE_TRANSIENT},
        {699, -EPROTO, FTP_FAILURE_PERMANENT},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_assert_cmpint(ftp_error_from_reply(rows[i].code), ==, rows[i].error);
        g_assert_cmpint(ftp_failure_from_reply(rows[i].code), ==, rows[i].failure);
    }
}

static void test_every_code_has_an_errno(void)
{
    for (int code = 100; code < 700; code++) {
        int error = ftp_error_from_reply(code);
        if (code < 400)
            g_assert_cmpint(error, ==, 0);
        else
            g_assert_cmpint(error, <, 0);
    }
}

static void test_curl(void)
{
    check(CURLE_OK, "RETR a", 226, "226 ok\n", 0, FTP_FAILURE_NONE);
    check(CURLE_LOGIN_DENIED, "PASS ***", 530, "530 Login incorrect.\n", -EACCES, FTP_FAILURE_PERMANENT);
    check(CURLE_LOGIN_DENIED, "PASS ***", 530, "530 Too many users\n", -EBUSY, FTP_FAILURE_BUSY);
    check(CURLE_OPERATION_TIMEDOUT, "", 421, "421 There are too many connected users\n", -EBUSY, FTP_FAILURE_BUSY);
    check(CURLE_RECV_ERROR, "RETR a", 421, "421 Timeout\n", -EIO, FTP_FAILURE_TRANSIENT);
    check(CURLE_COULDNT_CONNECT, "EPSV", 229, "229 (|||5|)\n", -ECONNREFUSED, FTP_FAILURE_DATA);
    check(CURLE_OPERATION_TIMEDOUT, "PASV", 227, "227 (1,2,3,4,5,6)\n", -ETIMEDOUT, FTP_FAILURE_DATA);
    check(CURLE_OPERATION_TIMEDOUT, "RETR a", 0, "", -ETIMEDOUT, FTP_FAILURE_TRANSIENT);
    check(CURLE_COULDNT_CONNECT, "", 0, "", -ECONNREFUSED, FTP_FAILURE_TRANSIENT);
    check(CURLE_FTP_PORT_FAILED, "PORT 1,2,3,4,5,6", 500, "500 no\n", -ECONNREFUSED, FTP_FAILURE_DATA);
    check(CURLE_FTP_COULDNT_RETR_FILE, "RETR a", 425, "425 can't\n", -ECONNREFUSED, FTP_FAILURE_DATA);
    check(CURLE_REMOTE_FILE_NOT_FOUND, "RETR a", 550, "550 no\n", -EREMOTEIO, FTP_FAILURE_PERMANENT);
    check(CURLE_UPLOAD_FAILED, "STOR a", 553, "553 no\n", -EACCES, FTP_FAILURE_PERMANENT);
    check(CURLE_RECV_ERROR, "RETR a", 0, "", -EIO, FTP_FAILURE_TRANSIENT);
    check(CURLE_SEND_ERROR, "STOR a", 552, "552 full\n", -EDQUOT, FTP_FAILURE_PERMANENT);
    check(CURLE_PEER_FAILED_VERIFICATION, "AUTH TLS", 234, "234 go\n", -EACCES, FTP_FAILURE_PERMANENT);

    FtpFailure failure;
    g_assert_cmpint(ftp_error_from_curl(CURLE_COULDNT_RESOLVE_HOST, NULL, &failure), ==, -EHOSTUNREACH);
    g_assert_cmpint(failure, ==, FTP_FAILURE_TRANSIENT);
}

static void test_busy(void)
{
    g_assert_true(ftp_error_is_busy(421, "421 anything"));
    g_assert_true(ftp_error_is_busy(530, "530 Sorry, the maximum number of clients (3) are already connected."));
    g_assert_false(ftp_error_is_busy(530, "530 Login incorrect."));
    g_assert_false(ftp_error_is_busy(550, "550 Too many levels"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ftp_error/replies", test_replies);
    g_test_add_func("/ftp_error/every_code", test_every_code_has_an_errno);
    g_test_add_func("/ftp_error/curl", test_curl);
    g_test_add_func("/ftp_error/busy", test_busy);
    return g_test_run();
}
