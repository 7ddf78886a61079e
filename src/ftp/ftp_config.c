/* SPDX-License-Identifier: MIT */
#include "ftp/ftp_config.h"

#include <string.h>

#define PORT_FTP  21
#define PORT_FTPS 990

FtpConfig *ftp_config_new(void)
{
    FtpConfig *config = g_new0(FtpConfig, 1);

    config->host = g_strdup("");
    config->path = g_strdup("");
    config->mode = FTP_MODE_AUTO;
    config->epsv = FTP_SWITCH_AUTO;
    config->eprt = FTP_SWITCH_AUTO;
    config->pasv_address = FTP_PASV_ADDRESS_AUTO;
    config->family = FTP_FAMILY_ANY;
    config->connections = 10;
    config->keepalive = 60;
    config->tcp_nodelay = TRUE;
    config->connect_timeout = 10;
    config->timeout = 30;
    config->retry = 60;
    config->tls = FTP_TLS_OFF;
    config->tls_data = TRUE;
    config->tls_verify_peer = TRUE;
    config->tls_verify_host = TRUE;
    config->listing = FTP_LISTING_AUTO;
    return config;
}

static void secret_free(char *secret)
{
    if (secret == NULL)
        return;
    explicit_bzero(secret, strlen(secret));
    g_free(secret);
}

void ftp_config_free(FtpConfig *config)
{
    if (config == NULL)
        return;
    secret_free(config->password);
    secret_free(config->key_password);
    secret_free(config->proxy); /* may hold a password, too */
    g_free(config->host);
    g_free(config->path);
    g_free(config->user);
    g_free(config->netrc_file);
    g_free(config->active_address);
    g_free(config->bind);
    g_free(config->tls_pin);
    g_free(config->tls_max);
    g_free(config->cacert);
    g_free(config->capath);
    g_free(config->cert);
    g_free(config->key);
    g_free(config->ciphers);
    g_free(config->charset);
    g_free(config->list_command);
    g_free(config->timezone);
    g_free(config);
}

guint ftp_config_port(const FtpConfig *config)
{
    if (config->port != 0)
        return config->port;
    return config->tls == FTP_TLS_IMPLICIT ? PORT_FTPS : PORT_FTP;
}

char *ftp_config_source(const FtpConfig *config)
{
    gboolean implicit = config->tls == FTP_TLS_IMPLICIT;
    GString *text = g_string_new(implicit ? "ftps://" : "ftp://");

    if (config->user != NULL && strcmp(config->user, "anonymous") != 0) {
        g_string_append_uri_escaped(text, config->user, NULL, FALSE);
        g_string_append_c(text, '@');
    }
    if (strchr(config->host, ':') != NULL)
        g_string_append_printf(text, "[%s]", config->host);
    else
        g_string_append(text, config->host);
    if (config->port != 0 && config->port != (implicit ? PORT_FTPS : PORT_FTP))
        g_string_append_printf(text, ":%u", config->port);
    /* "/a" from the server's root gives "//a", as SOURCE is written. */
    g_string_append_c(text, '/');
    g_string_append_uri_escaped(text, config->path, "/!$&'()*+,;=:@", TRUE);
    return g_string_free(text, FALSE);
}
