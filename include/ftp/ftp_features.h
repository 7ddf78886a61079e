/* SPDX-License-Identifier: MIT */
/*
 * What a server can do: its FEAT reply (RFC 2389), and what was learned by trying. Immutable after it was parsed but
 * for the learned part, whose access is atomic; thread-safe.
 */
#pragma once

#include <glib.h>

typedef enum {
    FTP_FEATURE_MLST = 1 << 0, /* MLST and MLSD, RFC 3659 */
    FTP_FEATURE_MDTM = 1 << 1,
    FTP_FEATURE_SIZE = 1 << 2,
    FTP_FEATURE_REST = 1 << 3, /* REST STREAM */
    FTP_FEATURE_UTF8 = 1 << 4, /* RFC 2640 */
    FTP_FEATURE_MFMT = 1 << 5,
    FTP_FEATURE_MFF = 1 << 6,
    FTP_FEATURE_AUTH_TLS = 1 << 7, /* RFC 4217 */
    FTP_FEATURE_EPSV = 1 << 8,
    FTP_FEATURE_EPRT = 1 << 9,
    FTP_FEATURE_AVBL = 1 << 10,
    FTP_FEATURE_SITE_UTIME = 1 << 11,
    FTP_FEATURE_SITE_SYMLINK = 1 << 12,
    FTP_FEATURE_SITE_CHMOD = 1 << 13,
    FTP_FEATURE_TVFS = 1 << 14,
    FTP_FEATURE_MFF_UNIX_MODE = 1 << 15,
} FtpFeature;

typedef struct FtpFeatures FtpFeatures;

FtpFeatures *ftp_features_new(void);
void ftp_features_free(FtpFeatures *features);

/* One line of the FEAT reply, with or without its leading space and its end, in any case. Lines with a code ("211-",
 * "211 ") are passed over unless a feature that we use stands there, as old servers send it. */
void ftp_features_parse_line(FtpFeatures *features, const char *line);

gboolean ftp_features_has(const FtpFeatures *features, FtpFeature feature);

/* What trying taught: a command that was refused as unknown (500, 501, 502, 504) is not asked again. */
void ftp_features_learn(FtpFeatures *features, FtpFeature feature, gboolean works);

/* TRUE while it was not learned that the command does not work: also for what FEAT does not tell. */
gboolean ftp_features_may_try(const FtpFeatures *features, FtpFeature feature);

/* The argument of OPTS MLST that switches on the facts that we use and that are offered but off (RFC 3659, 7.9), such
 * as "type;size;modify;perm;unix.mode;unix.owner;"; NULL when all that we use and the server has are on. */
const char *ftp_features_mlst_opts(const FtpFeatures *features);

/* For people: the features in one line, as FEAT named them, or "none". Owned by the caller. */
char *ftp_features_describe(const FtpFeatures *features);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(FtpFeatures, ftp_features_free)
