/* SPDX-License-Identifier: MIT */
/*
 * What all sessions of a mount have learned of their server, so that each learns it once. Thread-safe: flags are
 * atomic, strings are set once, by the first session that logs in, under the lock.
 */
#pragma once

#include "ftp/ftp_config.h"
#include "ftp/ftp_features.h"

typedef struct {
    FtpFeatures *features;
    gint features_known;

    GMutex lock;    /* guards the strings until `features_known` is set; after that they do not change */
    char *home;     /* the login directory by PWD; "" when the server did not tell it in a form that we know */
    char *root;     /* of the mount, for remote_path_new() */
    char *greeting; /* text of the 220 reply */

    /* atomic flags */
    gint active;           /* active mode is in use (mode=auto found passive not working, or mode=active) */
    gint data_works;       /* a data connection was made in the mode in use */
    gint epsv_refused;     /* EPSV was answered with an error */
    gint list_a_refused;   /* "LIST -a dir" does not list the dir */
    gint mlsd_refused;     /* MLSD was advertised and does not work */
    gint rest_refused;
    gint mdtm_set_refused; /* MDTM does not set times here */
    gint bad_names_told;
    gint tls_in_use;
} FtpServer;

FtpServer *ftp_server_new(const FtpConfig *config);
void ftp_server_free(FtpServer *server);

/* After the first login: sets the strings. `home` may be NULL. */
void ftp_server_learn(FtpServer *server, const FtpConfig *config, const char *home, const char *greeting);
