/* SPDX-License-Identifier: MIT */
/*
 * What was said on the control connection during one operation: each command with its replies, in order. libcurl hands
 * out all replies of an operation in one stream, those of a login among them; only its trace (CURLOPT_DEBUGFUNCTION)
 * tells which command a reply belongs to. Belongs to one session; not thread-safe.
 */
#pragma once

#include <glib.h>

typedef struct {
    char *command;      /* as sent, without its end; "" for the greeting; the argument of PASS is "***" */
    int code;           /* of the last complete reply; 0 while there is none */
    int preliminary;    /* the code of a 1yz reply that came before, or 0 */
    GString *lines;     /* all reply lines, each ended by '\n' */
    guint replies;      /* complete ones, 1yz included */
    gboolean truncated; /* lines were left out: FTP_TRANSCRIPT_MAX */
} FtpExchange;

typedef struct FtpTranscript FtpTranscript;

#define FTP_TRANSCRIPT_MAX (1024 * 1024) /* bytes of replies that one operation may bring */

FtpTranscript *ftp_transcript_new(void);
void ftp_transcript_free(FtpTranscript *transcript);
void ftp_transcript_clear(FtpTranscript *transcript);

void ftp_transcript_sent(FtpTranscript *transcript, const char *bytes, gsize size);
void ftp_transcript_received(FtpTranscript *transcript, const char *bytes, gsize size);

guint ftp_transcript_size(const FtpTranscript *transcript);
const FtpExchange *ftp_transcript_get(const FtpTranscript *transcript, guint index);

/* The last exchange, NULL when nothing was said. */
const FtpExchange *ftp_transcript_last(const FtpTranscript *transcript);

/* The last exchange whose command begins with this verb (a whole word), or NULL. */
const FtpExchange *ftp_transcript_find(const FtpTranscript *transcript, const char *verb);

gboolean ftp_exchange_is(const FtpExchange *exchange, const char *verb);

/* The last line of the exchange's reply, with its code: "550 No such file"; printable; owned by the caller. */
char *ftp_exchange_reply(const FtpExchange *exchange);
