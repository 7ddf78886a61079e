/* SPDX-License-Identifier: MIT */
#include "ftp/ftp_transcript.h"

#include <string.h>

static void sent(FtpTranscript *transcript, const char *text)
{
    ftp_transcript_sent(transcript, text, strlen(text));
}

static void received(FtpTranscript *transcript, const char *text)
{
    ftp_transcript_received(transcript, text, strlen(text));
}

static void test_pairs_commands_with_replies(void)
{
    FtpTranscript *transcript = ftp_transcript_new();
    received(transcript, "220-Welcome\r\n");
    received(transcript, "220 ready\r\n");
    sent(transcript, "USER a\r\n");
    received(transcript, "331 password?\r\n");
    sent(transcript, "PASS secret\r\n");
    received(transcript, "230 in\r\n");
    sent(transcript, "RETR x\r\n");
    received(transcript, "150 Opening (12 bytes)\r\n");

    g_assert_cmpuint(ftp_transcript_size(transcript), ==, 4);
    g_assert_cmpstr(ftp_transcript_get(transcript, 0)->command, ==, "");
    g_assert_cmpint(ftp_transcript_get(transcript, 0)->code, ==, 220);
    g_assert_cmpstr(ftp_transcript_get(transcript, 2)->command, ==, "PASS ***");
    const FtpExchange *retr = ftp_transcript_find(transcript, "retr");
    g_assert_nonnull(retr);
    g_assert_true(retr == ftp_transcript_last(transcript));
    g_assert_cmpint(retr->preliminary, ==, 150);
    g_assert_cmpint(retr->code, ==, 0);
    received(transcript, "226 done\n");
    g_assert_cmpint(retr->code, ==, 226);
    g_autofree char *reply = ftp_exchange_reply(retr);
    g_assert_cmpstr(reply, ==, "226 done");
    g_assert_null(ftp_transcript_find(transcript, "RET"));
    ftp_transcript_free(transcript);
}

static void test_lines_inside_a_reply_are_no_codes(void)
{
    FtpTranscript *transcript = ftp_transcript_new();
    sent(transcript, "FEAT\r\n");
    received(transcript, "211-Features:\r\n");
    received(transcript, " 550 not a code\r\n");
    received(transcript, "550-nor this\r\n");
    received(transcript, "55 x\r\n");
    g_assert_cmpint(ftp_transcript_last(transcript)->code, ==, 0);
    received(transcript, "211 End\r\n");
    g_assert_cmpint(ftp_transcript_last(transcript)->code, ==, 211);
    g_assert_cmpuint(ftp_transcript_last(transcript)->replies, ==, 1);
    ftp_transcript_free(transcript);
}

static void test_is_bounded(void)
{
    FtpTranscript *transcript = ftp_transcript_new();
    g_autofree char *line = g_strnfill(10000, 'x');
    sent(transcript, "STAT /\r\n");
    for (int i = 0; i < 1000; i++)
        received(transcript, line);
    g_assert_cmpuint(ftp_transcript_last(transcript)->lines->len, <=, FTP_TRANSCRIPT_MAX);
    received(transcript, "213 End\r\n"); /* the code is seen, although there is no room for the line */
    g_assert_cmpint(ftp_transcript_last(transcript)->code, ==, 213);
    ftp_transcript_clear(transcript);
    g_assert_cmpuint(ftp_transcript_size(transcript), ==, 0);
    g_assert_null(ftp_transcript_last(transcript));
    ftp_transcript_free(transcript);
}

static void test_replies_are_printable(void)
{
    FtpTranscript *transcript = ftp_transcript_new();
    sent(transcript, "MKD a\r\n");
    received(transcript, "550 \033[31mred\r\n");
    g_autofree char *reply = ftp_exchange_reply(ftp_transcript_last(transcript));
    g_assert_cmpstr(reply, ==, "550 \\033[31mred");
    ftp_transcript_free(transcript);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/transcript/pairs", test_pairs_commands_with_replies);
    g_test_add_func("/transcript/multiline", test_lines_inside_a_reply_are_no_codes);
    g_test_add_func("/transcript/bounded", test_is_bounded);
    g_test_add_func("/transcript/printable", test_replies_are_printable);
    return g_test_run();
}
