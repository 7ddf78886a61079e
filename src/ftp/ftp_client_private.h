/* SPDX-License-Identifier: MIT */
/* The inside of a client: how an operation is run, for the files ftp_client_*.c. */
#pragma once

#include "base/name_codec.h"
#include "ftp/ftp_client.h"
#include "ftp_pool.h"
#include "ftp_reach.h"

struct FtpClient {
    const FtpConfig *config;
    Stats *stats;
    FtpServer *server;
    FtpPool *pool;
    FtpReach *reach;
    NameCodec *codec;
    GTimeZone *zone;
};

typedef struct FtpWork FtpWork;

/* An operation on a session that is open: 0 or -errno; the session knows what kind of failure it was. */
typedef int (*FtpWorkFunc)(FtpSession *session, FtpWork *work);

struct FtpWork {
    FtpWorkFunc func;
    const Bound *bound;    /* set by ftp_client_run() for the function */
    char type;             /* as for ftp_pool_take() */
    FtpTransfer *transfer; /* or NULL */
    gboolean final;        /* set by the function: a failure is not to be tried again */
    gboolean ask_first; /* set by the caller: a try that may have been carried out ends it, so that the caller looks */
    gboolean unsure;    /* set by ftp_client_run(): an earlier try may have been carried out, no reply came */
};

/* Takes a session, opens it, runs the work there, gives the session back; again after failures that may pass, while
 * `retry` lasts. */
int ftp_client_run(FtpClient *client, const FtpCall *call, FtpWork *work);

/* FALSE for a name that the server would make another one of (FtpServer.changes_blanks): it must not be asked to, since
 * that other one may be there. */
gboolean ftp_client_may_make(const FtpClient *client, const RemotePath *path);

/* TRUE where STAT may be sent with this path, and its reply be believed. */
gboolean ftp_client_may_list_by_stat(const FtpClient *client, const RemotePath *path);

/* The lines of "STAT -a path"; *ret_saw_self: "." was among them. -EFBIG when there are too many, or when more came
 * than the reply: nothing of it is to be believed then. */
int ftp_client_list_by_stat(FtpClient *client, const FtpCall *call, const RemotePath *path, ListEntryFunc entry,
                            gpointer data, gboolean *ret_saw_self);

/* "213 1234": what stands behind the code; NULL when it is no 213. */
const char *ftp_reply_value(const char *reply);

/* One command; the reply's text, where wanted, is copied. */
int ftp_client_command(FtpClient *client, const FtpCall *call, const char *command, char **ret_reply,
                       gboolean *ret_unsure);
