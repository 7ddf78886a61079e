/* SPDX-License-Identifier: MIT */
/*
 * The sessions of a mount. Whoever needs one takes it and gives it back; when all are in use one waits, by priority and
 * then in the order of coming. Transfers that hold a session while nobody waits for their bytes are asked to give
 * it up (ftp_transfer_want()). From two sessions on, one is kept free of transfers, so that a person's `ls` does not
 * wait for a download. How many sessions the server allows is learned: a login refused as "too many" lowers the limit,
 * and after a minute one more is tried again. Thread-safe.
 */
#pragma once

#include "ftp_session.h"
#include "ftp_transfer.h"

typedef struct FtpPool FtpPool;

FtpPool *ftp_pool_new(const FtpConfig *config, FtpServer *server, Stats *stats);
void ftp_pool_free(FtpPool *pool);

/* Every operation ends now, every wait too; idle sessions say QUIT as long as that takes no time. */
void ftp_pool_stop(FtpPool *pool);

/* A session, not necessarily connected. `type` is the transfer type that it will need: 'A' for listings, 'I' for files,
 * 0 where it does not matter. `transfer` (may be NULL) can be asked to give it up. 0, -EINTR, -ETIMEDOUT or, after
 * ftp_pool_stop(), -EIO. With FTP_PRIORITY_AHEAD it does not wait, and gets no session that is not connected yet:
 * -EBUSY when there is none to spare now. */
int ftp_pool_take(FtpPool *pool, const FtpCall *call, char type, FtpTransfer *transfer, FtpSession **ret);
void ftp_pool_give(FtpPool *pool, FtpSession *session);

/* A session that is not connected, to be logged in for work that nobody asked for yet; -EBUSY when there may be no
 * more, or somebody waits. */
int ftp_pool_take_new(FtpPool *pool, FtpSession **ret);

/* A session that was opened elsewhere: kept when there is room, else ended. */
void ftp_pool_adopt(FtpPool *pool, FtpSession *session);

/* Idle sessions are dropped: what they are connected to has stopped answering. */
void ftp_pool_distrust(FtpPool *pool);

/* A login was refused because there are too many. TRUE when others are open, so that waiting for one of them helps. */
gboolean ftp_pool_learn_busy(FtpPool *pool);

/* Waits, but not after ftp_pool_stop(): 0, -EINTR, -ETIMEDOUT, -EIO. */
int ftp_pool_pause(FtpPool *pool, const Bound *bound, gint64 usec);

void ftp_pool_state(FtpPool *pool, guint *ret_open, guint *ret_busy, guint *ret_limit);
