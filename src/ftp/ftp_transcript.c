/* SPDX-License-Identifier: MIT */
#include "ftp_transcript.h"

#include "base/log.h"

#include <string.h>

struct FtpTranscript {
    GPtrArray *exchanges;
    gsize bytes; /* of all reply lines that are kept */
};

static void exchange_free(gpointer data)
{
    FtpExchange *exchange = data;
    g_free(exchange->command);
    g_string_free(exchange->lines, TRUE);
    g_free(exchange);
}

FtpTranscript *ftp_transcript_new(void)
{
    FtpTranscript *transcript = g_new0(FtpTranscript, 1);
    transcript->exchanges = g_ptr_array_new_with_free_func(exchange_free);
    return transcript;
}

void ftp_transcript_free(FtpTranscript *transcript)
{
    if (!transcript)
        return;
    g_ptr_array_unref(transcript->exchanges);
    g_free(transcript);
}

void ftp_transcript_clear(FtpTranscript *transcript)
{
    g_ptr_array_set_size(transcript->exchanges, 0);
    transcript->bytes = 0;
}

static FtpExchange *add(FtpTranscript *transcript, char *command)
{
    FtpExchange *exchange = g_new0(FtpExchange, 1);
    exchange->command = command;
    exchange->lines = g_string_new(NULL);
    g_ptr_array_add(transcript->exchanges, exchange);
    return exchange;
}

void ftp_transcript_sent(FtpTranscript *transcript, const char *bytes, gsize size)
{
    while (size > 0 && (bytes[size - 1] == '\n' || bytes[size - 1] == '\r'))
        size--;
    if (size >= 5 && g_ascii_strncasecmp(bytes, "PASS ", 5) == 0)
        add(transcript, g_strdup("PASS ***"));
    else if (memchr(bytes, '\n', size)) /* a request to a proxy: its headers may hold secrets */
        add(transcript, g_strndup(bytes, strcspn(bytes, "\r\n")));
    else
        add(transcript, g_strndup(bytes, size));
}

/* "ddd" at the beginning of a line, or 0 (RFC 959, 4.2). */
static int code_of(const char *line, gsize size)
{
    if (size < 3 || line[0] < '1' || line[0] > '6' || !g_ascii_isdigit(line[1]) || !g_ascii_isdigit(line[2]))
        return 0;
    return (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
}

static void take_line(FtpTranscript *transcript, FtpExchange *exchange, const char *line, gsize size)
{
    while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r'))
        size--;
    if (transcript->bytes + size + 1 <= FTP_TRANSCRIPT_MAX) {
        g_string_append_len(exchange->lines, line, (gssize)size);
        g_string_append_c(exchange->lines, '\n');
        transcript->bytes += size + 1;
    } else {
        exchange->truncated = TRUE;
    }
    int code = code_of(line, size);
    if (code == 0 || (size > 3 && line[3] != ' ')) /* inside, or the first line, of a reply of several lines */
        return;
    exchange->replies++;
    if (code < 200)
        exchange->preliminary = code;
    else
        exchange->code = code;
}

void ftp_transcript_received(FtpTranscript *transcript, const char *bytes, gsize size)
{
    FtpExchange *exchange = transcript->exchanges->len > 0
                                ? g_ptr_array_index(transcript->exchanges, transcript->exchanges->len - 1)
                                : add(transcript, g_strdup(""));
    take_line(transcript, exchange, bytes, size);
}

guint ftp_transcript_size(const FtpTranscript *transcript)
{
    return transcript->exchanges->len;
}

const FtpExchange *ftp_transcript_get(const FtpTranscript *transcript, guint index)
{
    return g_ptr_array_index(transcript->exchanges, index);
}

const FtpExchange *ftp_transcript_last(const FtpTranscript *transcript)
{
    guint size = transcript->exchanges->len;
    return size > 0 ? g_ptr_array_index(transcript->exchanges, size - 1) : NULL;
}

gboolean ftp_exchange_is(const FtpExchange *exchange, const char *verb)
{
    gsize size = strlen(verb);
    return g_ascii_strncasecmp(exchange->command, verb, size) == 0 &&
           (exchange->command[size] == '\0' || exchange->command[size] == ' ');
}

const FtpExchange *ftp_transcript_find(const FtpTranscript *transcript, const char *verb)
{
    for (guint i = transcript->exchanges->len; i > 0; i--) {
        const FtpExchange *exchange = g_ptr_array_index(transcript->exchanges, i - 1);
        if (ftp_exchange_is(exchange, verb))
            return exchange;
    }
    return NULL;
}

char *ftp_exchange_reply(const FtpExchange *exchange)
{
    const char *text = exchange->lines->str;
    gsize size = exchange->lines->len;
    if (size > 0)
        size--; /* the last '\n' */
    const char *begin = size > 0 ? g_strrstr_len(text, (gssize)size, "\n") : NULL;
    begin = begin ? begin + 1 : text;
    g_autofree char *line = g_strndup(begin, (gsize)(text + size - begin));
    return log_printable(line, 300);
}
