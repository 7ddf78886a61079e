/* SPDX-License-Identifier: MIT */
/* The inside of a session, shared by ftp_session.c (connect, commands, the loop) and ftp_session_io.c (transfers) and
 * ftp_session_setup.c (libcurl's options). */
#pragma once

#include "ftp_records.h"
#include "ftp_session.h"
#include "ftp_session_wire.h"
#include "tls_relay.h"

#include <curl/curl.h>
#include <sys/socket.h>

/* One passive data connection that was tried. */
typedef struct {
    char verb[8];  /* the command that brought the address: "EPSV" or "PASV" */
    char peer[64]; /* "10.0.0.5:5000" */
    int error;     /* errno of why it did not come to stand, ETIMEDOUT also when we gave up; 0 while it may */
} FtpDataTry;

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
    WireWatch wire;     /* see ftp_session_wire.h */
    int control_fd;     /* -1 when not connected */
    int data_fd;        /* of the operation that is running, or -1; owned by libcurl */
    int listen_fd;      /* in active mode, until the server has connected; or -1; owned by libcurl */
    char type;
    gboolean prot_p;           /* data connections are encrypted (RFC 4217, 9) */
    gboolean epsv_on, eprt_on; /* as libcurl has them for this connection: it takes them when it connects */

    /* the operation that is running */
    const Bound *bound;
    gint64 progress_at; /* when bytes were last seen to move, µs monotonic */
    int stop_error;     /* -errno why our own side ends it, or 0 */
    int outstanding;    /* bytes in the data socket's send queue when we looked last */
    FtpTransfer *transfer;
    gboolean certificate_seen; /* in the data connection's TLS handshake: it resumed no session */
    gboolean uploading;        /* it is a STOR or APPE */
    gboolean was_cut;          /* the data socket was taken away from libcurl */
    guint64 received;        /* bytes on the control connection when the last line of a reply was read; 0: not known */
    guint64 consumed;        /* bytes of all those lines */
    FtpRecords records;      /* the same over TLS, for one command */
    gboolean out_of_step;    /* a reply came that belongs to no command: those that follow can't be believed */
    gboolean awaiting_reply; /* a command was sent whose reply has not come */
    gboolean reply_seen;     /* the control connection has woken the loop ... */
    guint64 reply_seen_at;   /* ... when `consumed` was this */

    /* the result of the last operation */
    CURLcode result;
    FtpFailure failure;
    int error;
    char error_text[CURL_ERROR_SIZE];
    guint first_exchange;   /* of the last ftp_session_commands() */
    char control_tail[512]; /* what came on the control connection when it was closed without being read (plain FTP) */

    /* the data connection of the last operation: see ftp_session_data.c */
    gboolean used_active;
    gboolean data_up;     /* it stood */
    gboolean data_late;   /* the server did not connect to us in time */
    gint64 data_deadline; /* monotonic; 0: none */
    FtpDataTry tries[2];  /* those that libcurl made, in order: by EPSV, then by PASV */
    guint n_tries;
    TlsRelay *relay; /* between libcurl and the data connection, or NULL */
    char here[64];   /* active: the address that the server was told */
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

/* Ends the data connection when a cut was asked for and the transfer is under way (DESIGN fact 2). */
void ftp_session_apply_cut(FtpSession *session);

/* ---- ftp_session_wire.c ---- */

/* Before and after an operation: nothing is asked, nothing is known. */
void ftp_session_wire_reset(FtpSession *session);

/* From the loop: 0, or -errno when the operation is to end. */
int ftp_session_wire_watch(FtpSession *session, gint64 now);

/* ---- ftp_session_data.c ---- */

/* Before an operation: forgets the data connection of the one before. */
void ftp_session_data_begin(FtpSession *session);

/* From libcurl's callbacks: a socket for data was asked for (the address may be put right; FALSE: there shall be none),
 * was accepted, is about to be closed; a command was sent. */
gboolean ftp_session_data_opened(FtpSession *session, int fd, struct sockaddr *address);
gboolean ftp_session_data_accepted(FtpSession *session, int fd); /* FALSE: it can't be encrypted as was agreed on */
void ftp_session_data_closed(FtpSession *session, int fd);
void ftp_session_data_sent(FtpSession *session, const FtpExchange *exchange);

/* From the loop: gives up on a data connection whose time is over. */
void ftp_session_data_watch(FtpSession *session);

/* After an operation with a data connection that went well: remembers what worked, and says it where it was not the
 * first choice. */
void ftp_session_data_learn(FtpSession *session);

/* What was wrong with the data connection, as a sentence without its end. Owned by the caller. */
char *ftp_session_data_explain(const FtpSession *session);
