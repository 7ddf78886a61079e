/* SPDX-License-Identifier: MIT */
/*
 * Whether the server can be reached at all. One that nobody can log in to is away: operations then wait together, each
 * as long as `retry` lets it, one thread finds out when the server is back, and all go on. Thread-safe.
 */
#pragma once

#include "ftp_pool.h"

typedef struct FtpReach FtpReach;

FtpReach *ftp_reach_new(const FtpConfig *config, FtpServer *server, Stats *stats, FtpPool *pool);

/* All waiting ends now, with -EIO; the thread too, soon. */
void ftp_reach_stop(FtpReach *reach);

/* Waits for the thread. */
void ftp_reach_free(FtpReach *reach);

/* To be called before a connection is made, without a session in hand: 0 when the server is not known to be away, or is
 * back. An operation that has failed before (`first_failure`, µs, else 0) waits until `retry` is over since then; none
 * waits longer than `retry` after the server went away. Then -errno of what the last try met; also -EINTR and
 * -ETIMEDOUT of the bound, -EIO after ftp_reach_stop(). */
int ftp_reach_wait(FtpReach *reach, const Bound *bound, gint64 first_failure);

/* A login that was begun at `began` failed (`why`, for the log): the server is away from now on, unless somebody got in
 * since. A `lasting` failure (wrong password, wrong certificate) is not waited for: operations fail at once until it is
 * over. */
void ftp_reach_failed(FtpReach *reach, gint64 began, int error, gboolean lasting, const char *why);

/* Somebody has logged in. */
void ftp_reach_worked(FtpReach *reach);

gboolean ftp_reach_is_away(FtpReach *reach);
