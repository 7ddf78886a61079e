/* SPDX-License-Identifier: MIT */
/* Whether more came over TLS than the lines that were read. */
#include "ftp/ftp_records.h"

#include <string.h>

static void record(FtpRecords *records, guint size)
{
    const char header[] = {23, 3, 3, (char)(size >> 8), (char)(size & 0xff)};

    ftp_records_seen(records, header, sizeof header);
}

static void line(FtpRecords *records, const char *text, gboolean last)
{
    ftp_records_line(records, strlen(text), last);
}

/* A reply of one line in one record, with 17 bytes that are not its text. */
static void small_reply(FtpRecords *records, guint overhead)
{
    const char *text = "200 ok\r\n";

    ftp_records_begin(records);
    record(records, (guint)strlen(text) + overhead);
    line(records, text, TRUE);
}

static void test_unknown(void)
{
    FtpRecords records = {0};

    g_assert_cmpint(ftp_records_step(&records), ==, FTP_STEP_UNKNOWN);
    ftp_records_begin(&records); /* without any record, as with a library whose trace does not show them */
    line(&records, "200 ok\r\n", TRUE);
    g_assert_cmpint(ftp_records_step(&records), ==, FTP_STEP_UNKNOWN);
    ftp_records_begin(&records); /* tickets came with it: nothing is learned */
    record(&records, 250);
    record(&records, 25);
    line(&records, "200 ok\r\n", TRUE);
    g_assert_cmpint(ftp_records_step(&records), ==, FTP_STEP_UNKNOWN);
    ftp_records_begin(&records); /* two lines in one record */
    record(&records, 40);
    line(&records, "200-well\r\n", FALSE);
    line(&records, "200 ok\r\n", TRUE);
    g_assert_cmpint(ftp_records_step(&records), ==, FTP_STEP_UNKNOWN);
    ftp_records_begin(&records); /* a second reply in the record of the first */
    record(&records, 8 + 17 + 8 + 200);
    line(&records, "200 ok\r\n", TRUE);
    g_assert_cmpint(ftp_records_step(&records), ==, FTP_STEP_UNKNOWN);
}

static void test_in_step(void)
{
    FtpRecords records = {0};

    small_reply(&records, 17);
    g_assert_cmpint(ftp_records_step(&records), ==, FTP_STEP_IN);
    ftp_records_begin(&records);
    record(&records, 22 + 17);
    record(&records, 1000 + 17);
    record(&records, 15 + 17);
    ftp_records_line(&records, 22, FALSE);
    ftp_records_line(&records, 1000, FALSE);
    ftp_records_line(&records, 15, TRUE);
    g_assert_cmpint(ftp_records_step(&records), ==, FTP_STEP_IN);
}

static void test_out_of_step(void)
{
    FtpRecords records = {0};

    small_reply(&records, 17);
    ftp_records_begin(&records);
    record(&records, 22 + 17);
    record(&records, 1000 + 17);
    ftp_records_line(&records, 22, FALSE);
    ftp_records_line(&records, 900, FALSE);
    ftp_records_line(&records, 15, TRUE); /* the end stands in the middle of a record */
    g_assert_cmpint(ftp_records_step(&records), ==, FTP_STEP_OUT);
}

/* Block ciphers pad: the number of bytes differs from record to record. */
static void test_padding(void)
{
    FtpRecords records = {0};

    small_reply(&records, 40);
    g_assert_cmpint(ftp_records_step(&records), ==, FTP_STEP_IN);
    small_reply(&records, 45);
    g_assert_cmpint(ftp_records_step(&records), ==, FTP_STEP_UNKNOWN);
    small_reply(&records, 45);
    g_assert_cmpint(ftp_records_step(&records), ==, FTP_STEP_UNKNOWN);
}

/* What is no header of a record with data: handshakes, alerts, the bytes of a message. */
static void test_other_bytes(void)
{
    FtpRecords records = {0};
    const char handshake[] = {22, 3, 3, 0, 100}, text[] = {23, 'a', 'b', 'c', 'd'}, more[] = {23, 3, 3, 0, 100, 1};

    ftp_records_begin(&records);
    ftp_records_seen(&records, handshake, sizeof handshake);
    ftp_records_seen(&records, text, sizeof text);
    ftp_records_seen(&records, more, sizeof more);
    ftp_records_seen(&records, "", 0);
    record(&records, 8 + 17);
    line(&records, "200 ok\r\n", TRUE);
    g_assert_cmpint(ftp_records_step(&records), ==, FTP_STEP_IN);
    g_assert_cmpuint(records.overhead, ==, 17);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ftp_records/unknown", test_unknown);
    g_test_add_func("/ftp_records/in-step", test_in_step);
    g_test_add_func("/ftp_records/out-of-step", test_out_of_step);
    g_test_add_func("/ftp_records/padding", test_padding);
    g_test_add_func("/ftp_records/other-bytes", test_other_bytes);
    return g_test_run();
}
