/* SPDX-License-Identifier: MIT */
/*
 * Whether bytes are left behind a reply that came over TLS. The kernel's count of bytes tells it on a plain connection;
 * over TLS it is told by the headers of the records, which libcurl's trace shows with OpenSSL: a record is its plain
 * text and a fixed number of bytes more (RFC 5246, 6.2.3.3; RFC 8446, 5.2), which is learned from a reply of one line
 * in one record. With a cipher that pads its records (CBC) that number is not fixed, and nothing is told.
 */
#pragma once

#include <glib.h>

typedef enum { FTP_STEP_UNKNOWN, FTP_STEP_IN, FTP_STEP_OUT } FtpStep;

typedef struct {
    gboolean known, varies;
    guint overhead; /* bytes of a record that are not plain text, when `known` */
    /* since the last command */
    guint records, lines;
    guint64 record_bytes, line_bytes;
} FtpRecords;

/* A command is about to be sent. */
void ftp_records_begin(FtpRecords *records);

/* Something came on the control connection as TLS has it: counted when it is the header of a record of data. */
void ftp_records_seen(FtpRecords *records, const char *bytes, gsize size);

/* A line of a reply was read, of `size` bytes. `last`: it ends the reply to a command that has but one. */
void ftp_records_line(FtpRecords *records, gsize size, gboolean last);

/* FTP_STEP_OUT: more has come since the last command than the lines that were read. */
FtpStep ftp_records_step(const FtpRecords *records);
