/* SPDX-License-Identifier: MIT */
/*
 * SOURCE is taken apart by hand and not by GUri or CURLU: both end the host at '?' and '#', refuse or misread a
 * password with '@', ':' or a lone '%', and would make a query or a fragment of a directory called "a?b". Here the
 * authority goes up to the first '/', and in it the last '@' ends the user and password, whose first ':' parts them. So
 * the only byte that a password must have encoded is '/' (%2F), and a '%' that two hexadecimal digits follow.
 */
#include "fs/mount_source.h"

#include <arpa/inet.h>
#include <string.h>

/* The parts as they stand in the text; nothing is decoded. `end` is behind the last byte. */
typedef struct {
    const char *scheme, *scheme_end; /* equal when there is none */
    const char *user, *user_end;     /* NULL when there is none */
    const char *password, *password_end;
    const char *host, *host_end; /* with the port */
    const char *path;            /* behind the first '/', or the terminating NUL */
} Parts;

static void split(const char *text, Parts *ret)
{
    Parts parts = {.scheme = text, .scheme_end = text};
    const char *rest = text;

    for (gsize i = 0; i < 2; i++) {
        const char *prefix = i == 0 ? "curlftpfs#" : "ftpfs#";
        if (g_str_has_prefix(rest, prefix)) {
            rest += strlen(prefix);
            break;
        }
    }
    parts.scheme = parts.scheme_end = rest;
    gsize letters = strspn(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
    if (letters > 0 && g_str_has_prefix(rest + letters, "://")) {
        parts.scheme_end = rest + letters;
        rest += letters + 3;
    }
    const char *slash = strchr(rest, '/');
    const char *end = slash != NULL ? slash : rest + strlen(rest);
    parts.path = slash != NULL ? slash + 1 : end;
    const char *at = memrchr(rest, '@', (gsize)(end - rest));
    parts.host = at != NULL ? at + 1 : rest;
    parts.host_end = end;
    if (at != NULL) {
        const char *colon = memchr(rest, ':', (gsize)(at - rest));
        parts.user = rest;
        parts.user_end = colon != NULL ? colon : at;
        if (colon != NULL) {
            parts.password = colon + 1;
            parts.password_end = at;
        }
    }
    *ret = parts;
}

/* Percent-decodes; FALSE when the result would hold CR, LF or NUL, which end a command (RFC 959, 5.3). */
static gboolean decode(const char *text, const char *end, const char *what, char **ret, GError **error)
{
    g_autoptr(GString) decoded = g_string_new(NULL);

    for (const char *p = text; p < end; p++) {
        char c = *p;
        if (c == '%' && end - p > 2 && g_ascii_isxdigit(p[1]) && g_ascii_isxdigit(p[2])) {
            c = (char)(g_ascii_xdigit_value(p[1]) << 4 | g_ascii_xdigit_value(p[2]));
            p += 2;
        }
        if (c == '\r' || c == '\n' || c == '\0') {
            g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                        "SOURCE: the %s holds a line end or a NUL byte (%%0D, %%0A, %%00), which FTP can't carry",
                        what);
            return FALSE;
        }
        g_string_append_c(decoded, c);
    }
    *ret = g_string_free(g_steal_pointer(&decoded), FALSE);
    return TRUE;
}

static gboolean fail(GError **error, const char *text)
{
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "SOURCE: %s", text);
    return FALSE;
}

static gboolean parse_scheme(const Parts *parts, MountSource *source, GError **error)
{
    g_autofree char *scheme = g_strndup(parts->scheme, (gsize)(parts->scheme_end - parts->scheme));

    source->tls = FTP_TLS_OFF;
    if (*scheme == '\0' || g_ascii_strcasecmp(scheme, "ftp") == 0)
        return TRUE;
    source->tls_named = TRUE;
    if (g_ascii_strcasecmp(scheme, "ftps") == 0) {
        source->tls = FTP_TLS_IMPLICIT;
        return TRUE;
    }
    if (g_ascii_strcasecmp(scheme, "ftpes") == 0) {
        source->tls = FTP_TLS_ON;
        return TRUE;
    }
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                "SOURCE: '%s://' is not a scheme of FTP; use ftp://, ftps:// (implicit TLS) or ftpes:// (explicit TLS)",
                scheme);
    return FALSE;
}

/* Up to five digits after the ':'; nothing after it means the usual port (RFC 3986, 3.2.3). */
static gboolean parse_port(const char *text, const char *end, MountSource *source, GError **error)
{
    guint port = 0;

    for (const char *p = text; p < end; p++) {
        if (!g_ascii_isdigit(*p) || end - text > 5)
            return fail(error, "the port is not a number from 1 to 65535. "
                               "(A '/' in a password is written %2F, an IPv6 address stands in brackets)");
        port = port * 10 + (guint)(*p - '0');
    }
    if (end > text && (port == 0 || port > 65535))
        return fail(error, "the port is not a number from 1 to 65535");
    source->port = port;
    return TRUE;
}

/* What stands in the brackets: an address and perhaps a zone, "%25eth0" (RFC 6874) or "%eth0". */
static gboolean parse_ipv6(const char *text, const char *end, MountSource *source, GError **error)
{
    g_autofree char *inside = g_strndup(text, (gsize)(end - text));
    g_auto(GStrv) halves = g_strsplit(inside, "%", 2);
    struct in6_addr address;

    if (halves[0] == NULL || inet_pton(AF_INET6, halves[0], &address) != 1)
        return fail(error, "what stands in the brackets is not an IPv6 address");
    if (halves[1] != NULL) {
        const char *zone = g_str_has_prefix(halves[1], "25") && halves[1][2] != '\0' ? halves[1] + 2 : halves[1];
        if (*zone == '\0' || strpbrk(zone, "/%[]@ ") != NULL)
            return fail(error, "the IPv6 address has a zone that can't be an interface");
        source->host = g_strdup_printf("%s%%%s", halves[0], zone);
    } else {
        source->host = g_strdup(halves[0]);
    }
    return TRUE;
}

static gboolean parse_host(const Parts *parts, MountSource *source, GError **error)
{
    const char *host = parts->host, *end = parts->host_end;

    if (host < end && *host == '[') {
        const char *close = memchr(host, ']', (gsize)(end - host));
        if (close == NULL || (close + 1 < end && close[1] != ':'))
            return fail(error, "a '[' without its ']'; an IPv6 address is written [::1] or [::1]:2121");
        return parse_ipv6(host + 1, close, source, error) &&
               parse_port(close + 1 < end ? close + 2 : end, end, source, error);
    }
    const char *colon = memchr(host, ':', (gsize)(end - host));
    const char *host_end = colon != NULL ? colon : end;
    if (host_end == host && colon == NULL)
        return fail(error, "no host; it is written ftp://[user@]host[:port][/path]");
    for (const char *p = host; p < host_end; p++) {
        if (g_ascii_iscntrl(*p) || strchr(" %\\\"<>[]^`{}|,;?#", *p) != NULL)
            return fail(error, "the host's name has a character that no host's name has. "
                               "(A '/' in a password is written %2F)");
    }
    if (colon != NULL && memchr(colon + 1, ':', (gsize)(end - colon - 1)) != NULL)
        return fail(error, "more than one ':' behind the host; an IPv6 address is written [::1] or [::1]:2121");
    if (host_end == host)
        return fail(error, "no host; it is written ftp://[user@]host[:port][/path]");
    source->host = g_strndup(host, (gsize)(host_end - host));
    return parse_port(colon != NULL ? colon + 1 : end, end, source, error);
}

/* Drops empty and "." components and a slash at the end; a slash at the front stays. */
static gboolean parse_path(const Parts *parts, MountSource *source, GError **error)
{
    g_autofree char *decoded = NULL;

    if (!decode(parts->path, parts->path + strlen(parts->path), "path", &decoded, error))
        return FALSE;
    g_auto(GStrv) names = g_strsplit(decoded, "/", -1);
    g_autoptr(GString) path = g_string_new(*decoded == '/' ? "/" : "");
    gboolean first = TRUE;
    for (gsize i = 0; names[i] != NULL; i++) {
        if (names[i][0] == '\0' || strcmp(names[i], ".") == 0)
            continue;
        if (strcmp(names[i], "..") == 0)
            return fail(error, "'..' in the path; a path from the server's root is written ftp://host//path");
        if (!first)
            g_string_append_c(path, '/');
        g_string_append(path, names[i]);
        first = FALSE;
    }
    source->path = g_string_free(g_steal_pointer(&path), FALSE);
    return TRUE;
}

MountSource *mount_source_parse(const char *text, GError **error)
{
    g_autoptr(MountSource) source = g_new0(MountSource, 1);
    Parts parts;

    split(text, &parts);
    if (!parse_scheme(&parts, source, error) || !parse_host(&parts, source, error) ||
        !parse_path(&parts, source, error))
        return NULL;
    if (parts.user != NULL && !decode(parts.user, parts.user_end, "user", &source->user, error))
        return NULL;
    if (parts.password != NULL && !decode(parts.password, parts.password_end, "password", &source->password, error))
        return NULL;
    if (source->user != NULL && *source->user == '\0') {
        /* "ftp://@host": nobody was named */
        if (source->password != NULL && *source->password != '\0') {
            fail(error, "a password without a user");
            return NULL;
        }
        g_clear_pointer(&source->user, g_free);
        g_clear_pointer(&source->password, g_free);
    }
    return g_steal_pointer(&source);
}

void mount_source_free(MountSource *source)
{
    if (source == NULL)
        return;
    if (source->password != NULL)
        explicit_bzero(source->password, strlen(source->password));
    g_free(source->password);
    g_free(source->user);
    g_free(source->host);
    g_free(source->path);
    g_free(source);
}

void mount_source_scrub(char *text)
{
    g_autoptr(MountSource) source = mount_source_parse(text, NULL);
    Parts parts;

    split(text, &parts);
    gsize size = strlen(text);
    gsize start, end; /* of what goes, the ':' included */
    if (source != NULL) {
        if (parts.password == NULL)
            return;
        start = (gsize)(parts.password - text) - 1;
        end = (gsize)(parts.password_end - text);
    } else {
        /* Not understood, perhaps because of a '/' in the password: all between the first ':' and the last '@'. */
        const char *rest = parts.scheme_end > parts.scheme ? parts.scheme_end + 3 : parts.scheme;
        const char *at = strrchr(rest, '@');
        const char *colon = strchr(rest, ':');
        if (at == NULL || colon == NULL || colon > at)
            return;
        start = (gsize)(colon - text);
        end = (gsize)(at - text);
    }
    memmove(text + start, text + end, size - end);
    explicit_bzero(text + start + size - end, end - start);
}
