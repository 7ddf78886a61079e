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

    GMutex mode_lock; /* guards a change of mode, and `mode_note` */
    char *mode_note;  /* the last sentence of the log about data connections, or NULL */

    GMutex large_lock;
    GHashTable *large; /* set of char*: directories too large for STAT, or not fit for it; under `large_lock` */

    gboolean quiet; /* mode_note is not logged; set before any session */

    /* atomic flags */
    gint active;           /* active mode is in use (mode=auto found passive not working, or mode=active) */
    gint data_works;       /* a data connection was made in the mode in use */
    gint data_worked;      /* ... and in any mode, ever */
    gint epsv_refused;     /* EPSV is answered with an error, or leads nowhere where PASV does not; or epsv=off */
    gint eprt_refused;     /* EPRT is answered with an error, PORT is not; or eprt=off */
    gint pasv_told;        /* that another address is used than the PASV reply's */
    gint mode_failed_told; /* that no data connection can be made; until one can */
    gint next_active_port; /* how many ports of active_ports were asked for: each search starts at another */
    gint list_a_refused;   /* "LIST -a dir" does not list the dir */
    gint lists_self;       /* "-a" lists "." in each directory */
    gint stat_refused;     /* STAT does not list directories here, or not so that it can be believed */
    gint is_vsftpd;        /* by its greeting */
    gint mlsd_refused;     /* MLSD was advertised and does not work */
    gint rest_refused;
    gint mdtm_set_refused; /* MDTM does not set times here */
    gint bad_names_told;
    gint changes_blanks;  /* Pure-FTPd: blanks at the end of a name become '_', another name */
    gint data_handshakes; /* over TLS: 0 none was seen, 1 the last resumed the session, 2 it made its own */
    gint tickets_needed;  /* over TLS: data connections must resume, and each ticket counts only once */
    gint tls_in_use;
} FtpServer;

FtpServer *ftp_server_new(const FtpConfig *config);
void ftp_server_free(FtpServer *server);

/* Logs a sentence about data connections, and keeps it for --status and --check. Thread-safe. */
void ftp_server_note_mode(FtpServer *server, const char *sentence);

/* The sentence that was logged last, or NULL. Owned by the caller. Thread-safe. */
char *ftp_server_mode_note(FtpServer *server);

/* Directories that are not to be listed by STAT: `path` as the server knows it. Thread-safe. */
void ftp_server_set_large(FtpServer *server, const char *path, gboolean large);
gboolean ftp_server_is_large(FtpServer *server, const char *path);

/* After the first login: sets the strings. `home` may be NULL. */
void ftp_server_learn(FtpServer *server, const FtpConfig *config, const char *home, const char *greeting);
