/* SPDX-License-Identifier: MIT */
/* What a listing, or MLST, says of one name (RFC 3659, 7.5; RFC 959, LIST). */
#pragma once

#include <glib.h>

typedef enum { FTP_TYPE_FILE, FTP_TYPE_DIR, FTP_TYPE_LINK, FTP_TYPE_OTHER } FtpType;

typedef enum {
    FTP_HAS_SIZE = 1 << 0,
    FTP_HAS_MTIME = 1 << 1,
    FTP_HAS_MODE = 1 << 2,
    FTP_HAS_OWNER = 1 << 3, /* uid and gid are numbers that the server gave */
    FTP_HAS_PERM = 1 << 4,  /* the fact `perm` (RFC 3659, 7.5.5): without FTP_HAS_MODE, `mode` is made of it */
} FtpHas;

/* Small and without pointers: a listing holds one for every name. */
typedef struct {
    gint64 size;             /* bytes */
    gint64 mtime;            /* seconds since 1970, UTC */
    guint32 mtime_precision; /* seconds: 1, 60 (LIST with a time), 86400 (LIST with a year) */
    guint32 uid;
    guint32 gid;
    guint16 mode; /* permission bits, 07777; of `perm`: 0444, 0222 and 0111 for what the user may do */
    guint8 type;  /* FtpType */
    guint8 has;   /* FtpHas */
} FtpAttr;
