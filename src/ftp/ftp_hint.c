/* SPDX-License-Identifier: MIT */
#include "ftp_hint.h"

#include "ftp/ftp_certificate.h"
#include "ftp_transcript.h"

#include <string.h>

/* "tls_verify=off,tls_pin=..." with the server's key, or NULL. */
static char *pin_option(const FtpConfig *config)
{
    g_autoptr(FtpCertificate) certificate = ftp_certificate_fetch(config, NULL);

    return certificate && certificate->pin ? g_strconcat("tls_verify=off,tls_pin=", certificate->pin, NULL) : NULL;
}

static char *not_trusted(const FtpConfig *config)
{
    g_autofree char *pin = pin_option(config);

    if (!pin)
        return g_strdup("name the server's authority by cacert=FILE or its key by tls_pin=");
    return g_strdup_printf("if this is your server, trust its key: -o %s; or its authority: cacert=FILE", pin);
}

static char *another_key(const FtpConfig *config)
{
    g_autofree char *pin = pin_option(config);

    return g_strdup_printf("this is not the key of tls_pin=: another server, or a new key, which would be -o %s",
                           pin ? pin : "tls_pin=...");
}

/* The TLS library's own words are in `text`. */
static const char *handshake(const char *text, const FtpConfig *config)
{
    static const struct {
        const char *words, *hint;
    } hints[] = {
        {"unsupported protocol", "the server has only versions of TLS that are too old to be safe; it needs an update"},
        {"legacy sigalg disallowed",
         "the server has only versions of TLS that are too old to be safe; it needs an update"},
        {"version too low", "the server has only versions of TLS that are too old to be safe; it needs an update"},
        {"protocol version", "the server and tls_max= have no version of TLS in common"},
        {"dh key too small", "the server's encryption is too weak; ciphers=DEFAULT@SECLEVEL=1 would accept it"},
        {"ee key too small", "the server's key is too weak; ciphers=DEFAULT@SECLEVEL=1 would accept it"},
        {"certificate required", "the server wants a certificate of yours: cert=FILE,key=FILE"},
        {"handshake failure", "no cipher in common (ciphers=), or the server wants a certificate (cert=FILE,key=FILE)"},
        {"wrong version number", "what answers there does not speak TLS; tls=on is explicit, tls=implicit is ftps://"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(hints); i++) {
        if (strstr(text, hints[i].words))
            return hints[i].hint;
    }
    if (config->tls_max)
        return "the server and tls_max= may have no version of TLS in common";
    return "does the server speak TLS there? tls=on is explicit (port 21), tls=implicit is ftps:// (port 990)";
}

char *ftp_hint(CURLcode result, const FtpSession *session, const FtpConfig *config)
{
    const FtpExchange *last = ftp_transcript_last(ftp_session_transcript(session));
    g_autofree char *why = ftp_session_explain(session);

    if (last && last->command[0] == '\0' && last->replies == 0)
        return g_strdup("what answers there is no FTP server; check host and port=");
    switch (result) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return g_strdup("check the spelling of the host name, and the network");
    case CURLE_COULDNT_CONNECT:
        return g_strdup("is the server running, is the port right (port=)?");
    case CURLE_OPERATION_TIMEDOUT:
        return g_strdup(
            config->tls == FTP_TLS_OFF
                ? "the host or a firewall does not answer; connect_timeout= waits longer, and a server with "
                  "implicit TLS wants ftps://"
                : "the host or a firewall does not answer; connect_timeout= waits longer");
    case CURLE_LOGIN_DENIED:
        if (config->tls == FTP_TLS_OFF && last && (strstr(last->lines->str, "TLS") || strstr(last->lines->str, "SSL")))
            return g_strdup("the server seems to want TLS: tls=on");
        return g_strdup("check user name and password (user=, credentials=FILE)");
    case CURLE_PEER_FAILED_VERIFICATION:
        return not_trusted(config);
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
        return another_key(config);
    case CURLE_USE_SSL_FAILED:
        return g_strdup("the server has no TLS that fits; tls=off goes without, at the risk of being read");
    case CURLE_SSL_CERTPROBLEM:
        return g_strdup("cert= and key= are PEM files that belong together; pass= is the key's pass phrase");
    case CURLE_SSL_CONNECT_ERROR:
        return g_strdup(handshake(why, config));
    default:
        if (config->tls != FTP_TLS_OFF && strstr(why, "certificate required"))
            return g_strdup(handshake(why, config));
        return g_strdup("-v shows what was said");
    }
}
