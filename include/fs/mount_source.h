/* SPDX-License-Identifier: MIT */
/*
 * SOURCE, what is mounted: ftp://, ftps:// (implicit TLS), ftpes:// (explicit TLS), each also behind "curlftpfs#", and
 * host[:port][/path] alone; user[:password]@ before the host. User, password and path are percent-decoded; an escape
 * that is none ("50%off") stands for itself. '?', '#' and ';' have no meaning in the path and are a name's part.
 */
#pragma once

#include "ftp/ftp_config.h"

#include <glib.h>

typedef struct {
    gboolean tls_named; /* ftps:// or ftpes:// asked for `tls` */
    FtpTls tls;
    char *user;     /* NULL when not given */
    char *password; /* NULL when not given; "" when given as empty */
    char *host;     /* without brackets; an IPv6 zone follows as "%eth0" */
    guint port;     /* 0 when not given */
    char *path;     /* as in FtpConfig: "" login directory, "a/b" below it, "/a/b" from the server's root */
} MountSource;

/* NULL with `error` set. The text of an error holds nothing of what may be a password. */
MountSource *mount_source_parse(const char *text, GError **error);
void mount_source_free(MountSource *source);

/* Removes the password from `text` in place; bytes that are left over at the end become NUL. Where the text can't be
 * understood, everything that may be a password is removed. */
void mount_source_scrub(char *text);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(MountSource, mount_source_free)
