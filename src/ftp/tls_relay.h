/* SPDX-License-Identifier: MIT */
/*
 * TLS for active data connections, where libcurl leaves it out.
 *
 * libcurl 7.87 to 7.88 takes an active data connection and speaks plain text on it, although PROT P was agreed on (RFC
 * 4217, 9): nothing could be read from a server that keeps the agreement, and what is written would go unencrypted.
 * There the accepted socket is replaced by one end of a socket pair, and a thread carries between the other end and the
 * real socket, over TLS.
 */
#pragma once

#include <curl/curl.h>
#include <glib.h>

typedef struct TlsRelay TlsRelay;

/* TRUE when this libcurl needs a relay for active data connections with PROT P. */
gboolean tls_relay_needed(void);

/* TRUE when a relay can be made: built with OpenSSL, and libcurl's TLS is that, too. */
gboolean tls_relay_possible(void);

/* Call it when libcurl has accepted `fd`, on the thread that runs `easy`: `fd` becomes the plain end. The settings and
 * the session are those of the control connection, and the server must have the same certificate. NULL when it can't
 * be. */
TlsRelay *tls_relay_new(CURL *easy, int fd);

/* After the operation: ends and frees it. FALSE when TLS failed, which libcurl takes for the end of the data: whatever
 * it has read or written is not to be believed. `relay` may be NULL. */
gboolean tls_relay_end(TlsRelay *relay);
