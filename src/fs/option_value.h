/* SPDX-License-Identifier: MIT */
/* From the text of one option to the field that it sets. */
#pragma once

#include "fs/options.h"
#include "option_table.h"

/* What is known only while the command line is parsed. */
struct OptionParse {
    Options *options;
    char *user; /* by -o user= */
    char *password;
    char *proxy_user; /* "name:password", for the proxy's URL */
    const char *proxy_scheme;
    guint port;
    gboolean tls_set; /* an option spoke of TLS */
    gboolean sloppy;  /* unknown options are passed over (mount -s) */
    gboolean helper;  /* called as mount.TYPE */
};

/* Checks and stores; `value` is NULL when none was given. FALSE with `error` set: names option, value and what is
 * allowed. */
gboolean option_apply(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error);

/* "-oTEXT" with ',' and '\' escaped as libfuse's parser wants it. Owned by the caller. */
char *option_fuse_arg(const char *text);

/* The special ones, for the table. */
gboolean option_apply_user(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error);
gboolean option_apply_netrc(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error);
gboolean option_apply_active_ports(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error);
gboolean option_apply_tls(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error);
gboolean option_apply_tls_verify(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error);
gboolean option_apply_tls_pin(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error);
gboolean option_apply_uid(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error);
gboolean option_apply_gid(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error);
gboolean option_apply_charset(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error);
gboolean option_apply_timezone(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error);
gboolean option_apply_spool(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error);
gboolean option_apply_debug(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error);
gboolean option_apply_ftp_port(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error);
gboolean option_apply_custom_list(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error);
gboolean option_apply_ssl(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error);
gboolean option_apply_pem(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error);
gboolean option_apply_proxy_type(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error);
gboolean option_apply_iocharset(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error);
gboolean option_apply_utf8(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error);
