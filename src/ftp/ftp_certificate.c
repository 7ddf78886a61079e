/* SPDX-License-Identifier: MIT */
/*
 * A session verifies the certificate and gives up when it does not like it, and then nobody has seen it: but that is
 * when a person wants to. So this is a connection of its own that verifies nothing, and therefore must not send a
 * password either. libcurl's first command after the handshake is USER; it names "anonymous" here, and the transfer is
 * aborted when it was sent.
 */
#include "ftp/ftp_certificate.h"

#include <curl/curl.h>
#include <string.h>

typedef struct {
    gboolean over; /* the handshake is done */
    char *protocol;
} Look;

void ftp_certificate_free(FtpCertificate *certificate)
{
    if (!certificate)
        return;
    g_free(certificate->subject);
    g_free(certificate->issuer);
    g_free(certificate->expires);
    g_free(certificate->protocol);
    g_free(certificate->pin);
    g_free(certificate);
}

/* ---- The public key ---- */

typedef struct {
    const guint8 *at, *end;
} Der;

/* Takes the element at the front (X.690, 8.1): its tag, all its bytes, and what is inside. FALSE at nonsense. */
static gboolean der_take(Der *der, guint8 *ret_tag, Der *ret_whole, Der *ret_inside)
{
    gsize left = (gsize)(der->end - der->at), size, head = 2;

    if (left < 2)
        return FALSE;
    size = der->at[1];
    if (size >= 0x80) {
        gsize digits = size & 0x7f;
        if (digits == 0 || digits > 4 || left < 2 + digits)
            return FALSE;
        size = 0;
        for (gsize i = 0; i < digits; i++)
            size = size << 8 | der->at[2 + i];
        head += digits;
    }
    if (size > left - head)
        return FALSE;
    *ret_tag = der->at[0];
    *ret_whole = (Der){der->at, der->at + head + size};
    *ret_inside = (Der){der->at + head, der->at + head + size};
    der->at += head + size;
    return TRUE;
}

/* subjectPublicKeyInfo (RFC 5280, 4.1): behind version (which may be left out), serialNumber, signature, issuer,
 * validity and subject. */
static gboolean find_public_key(const guint8 *bytes, gsize size, Der *ret)
{
    Der file = {bytes, bytes + size}, whole, certificate, body, inside;
    guint8 tag;

    if (!der_take(&file, &tag, &whole, &certificate) || !der_take(&certificate, &tag, &whole, &body) ||
        !der_take(&body, &tag, &whole, &inside))
        return FALSE;
    for (guint skip = tag == 0xa0 ? 5 : 4; skip > 0; skip--)
        if (!der_take(&body, &tag, &whole, &inside))
            return FALSE;
    return der_take(&body, &tag, ret, &inside) && tag == 0x30;
}

char *ftp_certificate_pin(const char *pem)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----";
    const char *start = strstr(pem, begin);
    const char *end = start ? strstr(start, "-----END") : NULL;
    if (!end)
        return NULL;
    start += strlen(begin);
    g_autofree char *text = g_strndup(start, (gsize)(end - start));
    gsize size = 0;
    g_autofree guchar *bytes = g_base64_decode(text, &size);
    Der key;
    if (!find_public_key(bytes, size, &key))
        return NULL;

    guint8 digest[32];
    gsize digest_size = sizeof digest;
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    g_checksum_update(checksum, key.at, key.end - key.at);
    g_checksum_get_digest(checksum, digest, &digest_size);
    g_autofree char *hash = g_base64_encode(digest, digest_size);
    return g_strconcat("sha256//", hash, NULL);
}

/* ---- The connection ---- */

static int trace(CURL *easy, curl_infotype type, char *bytes, size_t size, void *data)
{
    static const char using[] = "SSL connection using ";
    Look *look = data;

    if (type == CURLINFO_HEADER_OUT && size >= 4 && memcmp(bytes, "USER", 4) == 0)
        look->over = TRUE;
    if (type == CURLINFO_TEXT && size > strlen(using) && memcmp(bytes, using, strlen(using)) == 0) {
        g_free(look->protocol);
        look->protocol = g_strchomp(g_strndup(bytes + strlen(using), size - strlen(using)));
    }
    return 0;
}

static int xferinfo(void *data, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
    return ((Look *)data)->over ? 1 : 0;
}

static void set_where(CURL *easy, const FtpConfig *config)
{
    gboolean six = strchr(config->host, ':') != NULL;
    g_autofree char *url = g_strdup_printf("%s://%s%s%s:%u/", config->tls == FTP_TLS_IMPLICIT ? "ftps" : "ftp",
                                           six ? "[" : "", config->host, six ? "]" : "", ftp_config_port(config));
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "ftp,ftps");
    curl_easy_setopt(easy, CURLOPT_USERNAME, "anonymous");
    curl_easy_setopt(easy, CURLOPT_PASSWORD, "anonymous");
    if (config->family != FTP_FAMILY_ANY)
        curl_easy_setopt(easy, CURLOPT_IPRESOLVE,
                         config->family == FTP_FAMILY_IPV4 ? (long)CURL_IPRESOLVE_V4 : (long)CURL_IPRESOLVE_V6);
    if (config->bind)
        curl_easy_setopt(easy, CURLOPT_INTERFACE, config->bind);
    curl_easy_setopt(easy, CURLOPT_PROXY, config->proxy ? config->proxy : "");
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)config->connect_timeout);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, 2L * config->connect_timeout);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
}

static void set_tls(CURL *easy, const FtpConfig *config)
{
    curl_easy_setopt(easy, CURLOPT_USE_SSL, (long)CURLUSESSL_ALL);
    curl_easy_setopt(easy, CURLOPT_FTPSSLAUTH, (long)CURLFTPAUTH_TLS);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(easy, CURLOPT_CERTINFO, 1L);
    if (config->cert)
        curl_easy_setopt(easy, CURLOPT_SSLCERT, config->cert);
    if (config->key)
        curl_easy_setopt(easy, CURLOPT_SSLKEY, config->key);
    if (config->key_password)
        curl_easy_setopt(easy, CURLOPT_KEYPASSWD, config->key_password);
    if (config->ciphers)
        curl_easy_setopt(easy, CURLOPT_SSL_CIPHER_LIST, config->ciphers);
}

/* "Subject:CN = nas" and the like, of the server's own certificate, which is the first of the chain. */
static FtpCertificate *read_certificate(CURL *easy)
{
    struct curl_certinfo *info = NULL;
    if (curl_easy_getinfo(easy, CURLINFO_CERTINFO, &info) != CURLE_OK || !info || info->num_of_certs < 1)
        return NULL;
    FtpCertificate *certificate = g_new0(FtpCertificate, 1);
    const struct {
        const char *label;
        char **value;
    } fields[] = {{"Subject:", &certificate->subject},
                  {"Issuer:", &certificate->issuer},
                  {"Expire date:", &certificate->expires}};
    for (const struct curl_slist *line = info->certinfo[0]; line; line = line->next) {
        for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
            if (g_str_has_prefix(line->data, fields[i].label) && !*fields[i].value)
                *fields[i].value = g_strdup(line->data + strlen(fields[i].label));
        if (g_str_has_prefix(line->data, "Cert:") && !certificate->pin)
            certificate->pin = ftp_certificate_pin(line->data);
    }
    return certificate;
}

FtpCertificate *ftp_certificate_fetch(const FtpConfig *config, GError **error)
{
    char error_text[CURL_ERROR_SIZE] = "";
    Look look = {0};
    CURL *easy = curl_easy_init();

    if (!easy) {
        g_set_error_literal(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "libcurl can't be started");
        return NULL;
    }
    set_where(easy, config);
    set_tls(easy, config);
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error_text);
    curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L);
    curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, trace);
    curl_easy_setopt(easy, CURLOPT_DEBUGDATA, &look);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, xferinfo);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, &look);
    CURLcode result = curl_easy_perform(easy);
    FtpCertificate *certificate = read_certificate(easy);
    if (!certificate && look.over)
        certificate = g_new0(FtpCertificate, 1); /* TLS came about, and the library tells nothing */
    if (certificate)
        certificate->protocol = g_steal_pointer(&look.protocol);
    else
        g_set_error_literal(error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                            result == CURLE_USE_SSL_FAILED ? "the server refuses TLS (AUTH TLS)"
                            : error_text[0]                ? error_text
                                                           : curl_easy_strerror(result));
    curl_easy_cleanup(easy);
    g_free(look.protocol);
    return certificate;
}
