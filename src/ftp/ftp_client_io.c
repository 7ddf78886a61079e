/* SPDX-License-Identifier: MIT */
/* Transfers of files. */
#include "ftp_client_private.h"

#include <errno.h>

typedef struct {
    FtpWork work;
    const RemotePath *path;
    gint64 offset;
    FtpSinkFunc sink;
    gpointer data;
    FtpRetrieved retrieved;
} RetrieveWork;

static int run_retrieve(FtpSession *session, FtpWork *base)
{
    RetrieveWork *work = (RetrieveWork *)base;
    int error = ftp_session_retrieve(session, base->bound, work->path, work->offset, base->transfer, work->sink,
                                     work->data, &work->retrieved);
    base->final = work->retrieved.bytes > 0; /* the caller goes on from there */
    return error;
}

int ftp_client_retrieve(FtpClient *client, const FtpCall *call, const RemotePath *path, gint64 offset,
                        FtpTransfer *transfer, FtpSinkFunc sink, gpointer data, FtpRetrieved *ret)
{
    RetrieveWork work = {.work = {.func = run_retrieve, .type = 'I', .transfer = transfer},
                         .path = path,
                         .offset = offset,
                         .sink = sink,
                         .data = data,
                         .retrieved = {.announced = -1}};
    int error = ftp_client_run(client, call, &work.work);
    *ret = work.retrieved;
    return error;
}

typedef struct {
    FtpWork work;
    const RemotePath *path;
    FtpStore how;
    gint64 size;
    FtpSourceFunc source;
    gpointer data;
} StoreWork;

static int run_store(FtpSession *session, FtpWork *base)
{
    StoreWork *work = (StoreWork *)base;
    int error = ftp_session_store(session, base->bound, work->path, work->how, work->size, work->source, work->data);
    /* An append that may have arrived is not sent twice: the caller looks at the size. */
    const FtpExchange *appe = ftp_transcript_find(ftp_session_transcript(session), "APPE");
    if (appe)
        base->final = TRUE;
    return error;
}

int ftp_client_store(FtpClient *client, const FtpCall *call, const RemotePath *path, FtpStore how, gint64 size,
                     FtpTransfer *transfer, FtpSourceFunc source, gpointer data)
{
    StoreWork work = {.work = {.func = run_store, .type = 'I', .transfer = transfer},
                      .path = path,
                      .how = how,
                      .size = size,
                      .source = source,
                      .data = data};
    int error = ftp_client_may_make(client, path) ? ftp_client_run(client, call, &work.work) : -EINVAL;
    if (error == 0)
        stats_add(client->stats, STATS_UPLOADS, 1);
    return error;
}
