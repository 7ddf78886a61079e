/* SPDX-License-Identifier: MIT */
/*
 * How to reach a server: what the options of the groups "connection mode", "time", "TLS" and "who" say. Filled once,
 * then read by all threads and never changed.
 */
#pragma once

#include <glib.h>

typedef enum { FTP_MODE_AUTO, FTP_MODE_PASSIVE, FTP_MODE_ACTIVE } FtpMode;
typedef enum { FTP_SWITCH_AUTO, FTP_SWITCH_ON, FTP_SWITCH_OFF } FtpSwitch;
typedef enum { FTP_PASV_ADDRESS_AUTO, FTP_PASV_ADDRESS_SERVER, FTP_PASV_ADDRESS_CONTROL } FtpPasvAddress;
typedef enum { FTP_FAMILY_ANY, FTP_FAMILY_IPV4, FTP_FAMILY_IPV6 } FtpFamily;
typedef enum { FTP_TLS_OFF, FTP_TLS_TRY, FTP_TLS_ON, FTP_TLS_IMPLICIT } FtpTls;
typedef enum { FTP_LISTING_AUTO, FTP_LISTING_MLSD, FTP_LISTING_STAT, FTP_LISTING_LIST } FtpListing;

typedef struct {
    /* where; all strings are owned by the struct, NULL when not given */
    char *host; /* without brackets */
    guint port; /* 0: 21, or 990 for implicit TLS */
    char *path; /* decoded; "" is the login directory, "a/b" below it, "/a/b" from the server's root */

    /* who; no user is "anonymous" */
    char *user;
    char *password;
    gboolean netrc; /* let libcurl look the host up in ~/.netrc, or in netrc_file */
    char *netrc_file;

    /* connections */
    FtpMode mode;
    FtpSwitch epsv;
    FtpSwitch eprt;
    FtpPasvAddress pasv_address;
    char *active_address;                    /* an address or an interface */
    guint active_port_low, active_port_high; /* 0, 0: any */
    char *bind;                              /* an address or an interface */
    FtpFamily family;
    guint connections; /* at most so many control connections; 6 */
    guint keepalive;   /* seconds; 0 is off; 60 */
    char *proxy;
    gboolean tcp_nodelay;

    /* time, in seconds */
    guint connect_timeout; /* 10 */
    guint timeout;         /* without progress; 30 */
    guint retry;           /* 60 */

    /* TLS */
    FtpTls tls;
    gboolean tls_data; /* encrypt the data connections, too */
    gboolean tls_verify_peer;
    gboolean tls_verify_host;
    char *tls_pin; /* sha256//base64 */
    char *tls_max; /* "1.0" ... "1.3" */
    char *cacert, *capath, *cert, *key, *key_password, *ciphers;

    /* what the server's listings look like */
    char *charset;
    FtpListing listing;
    char *list_command; /* in place of "LIST -a" */
    char *timezone;     /* of LIST times; NULL: UTC */

    gboolean verbose; /* protocol log by g_info(), the password hidden */
} FtpConfig;

/* All defaults set. */
FtpConfig *ftp_config_new(void);

/* Overwrites the secrets before it frees them. */
void ftp_config_free(FtpConfig *config);

/* "ftp://user@host:port/path" for the mount table and for messages: never with a password. Owned by the caller. */
char *ftp_config_source(const FtpConfig *config);

/* The port that a control connection goes to. */
guint ftp_config_port(const FtpConfig *config);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(FtpConfig, ftp_config_free)
