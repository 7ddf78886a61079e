/* SPDX-License-Identifier: MIT */
/* The inside of an FtpTransfer, for the pool and the session. */
#pragma once

#include "ftp/ftp_client.h"

typedef struct FtpSession FtpSession;

/* The session that the transfer runs on, to be woken by a cut; NULL when it runs on none. */
void ftp_transfer_bind(FtpTransfer *transfer, FtpSession *session);

gboolean ftp_transfer_is_cut(const FtpTransfer *transfer);

/* Sets the mark, and calls the function where it was not set before. Not with the pool's lock held. */
void ftp_transfer_want(FtpTransfer *transfer);

/* A new try begins: nobody wants its session yet. */
void ftp_transfer_unwant(FtpTransfer *transfer);
