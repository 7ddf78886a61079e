/* SPDX-License-Identifier: MIT */
/* The certificate that a server shows (RFC 4217), looked at without trusting it and without logging in. */
#pragma once

#include "ftp/ftp_config.h"

/* All strings are owned by the struct; NULL where libcurl's TLS library does not tell. */
typedef struct {
    char *subject, *issuer;
    char *expires;
    char *protocol; /* "TLSv1.3 / TLS_AES_256_GCM_SHA384" */
    char *pin;      /* "sha256//..." of the public key, as tls_pin= takes it */
} FtpCertificate;

/* Connects, and ends the connection before a password is sent: nothing is verified here. Blocks for two times
 * connect_timeout at most. NULL with `error` set when no TLS comes about. Thread-safe. */
FtpCertificate *ftp_certificate_fetch(const FtpConfig *config, GError **error);

/* NULL is no certificate. */
void ftp_certificate_free(FtpCertificate *certificate);

/* The pin of a certificate in PEM form, or NULL when it is none. Owned by the caller. Pure. */
char *ftp_certificate_pin(const char *pem);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(FtpCertificate, ftp_certificate_free)
