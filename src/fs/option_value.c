/* SPDX-License-Identifier: MIT */
#include "option_value.h"

#include "base/name_codec.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>

/* Names the option, the value unless it is a secret, and what is allowed. Always FALSE. */
static gboolean G_GNUC_PRINTF(4, 5)
    fail(GError **error, const OptionSpec *spec, const char *value, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *allowed = g_strdup_vprintf(format, args);
    va_end(args);

    if (value == NULL || spec->secret)
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "option '%s': %s", spec->name, allowed);
    else
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "option '%s': the value '%s' is wrong; %s",
                    spec->name, value, allowed);
    return FALSE;
}

static void warn(OptionParse *parse, const OptionSpec *spec, const char *text)
{
    g_ptr_array_add(parse->options->warnings, g_strdup_printf("option '%s': %s", spec->name, text));
}

static gpointer field(OptionParse *parse, const OptionSpec *spec)
{
    char *base = NULL;

    switch (spec->place) {
    case PLACE_OPTIONS:
        base = (char *)parse->options;
        break;
    case PLACE_FTP:
        base = (char *)parse->options->ftp;
        break;
    case PLACE_PARSE:
        base = (char *)parse;
        break;
    }
    return base + spec->offset;
}

static void store_text(char **place, const char *value)
{
    if (*place != NULL)
        explicit_bzero(*place, strlen(*place));
    g_free(*place);
    *place = g_strdup(value);
}

static gboolean choose(const OptionSpec *spec, const char *value, guint *ret, GError **error)
{
    for (guint i = 0; spec->choices[i] != NULL; i++) {
        if (strcmp(spec->choices[i], value) == 0) {
            *ret = i;
            return TRUE;
        }
    }
    g_autofree char *all = g_strjoinv(", ", (char **)spec->choices);
    return fail(error, spec, value, "it is one of %s", all);
}

static gboolean parse_switch(const OptionSpec *spec, const char *value, gboolean *ret, GError **error)
{
    if (value == NULL || strcmp(value, "on") == 0 || strcmp(value, "yes") == 0)
        *ret = TRUE;
    else if (strcmp(value, "off") == 0 || strcmp(value, "no") == 0)
        *ret = FALSE;
    else
        return fail(error, spec, value, "it is one of on, off");
    return TRUE;
}

/* Digits only: no blank, no sign. */
static gboolean parse_number(const char *value, guint base, guint64 min, guint64 max, guint64 *ret)
{
    return g_ascii_isdigit(*value) && g_ascii_string_to_unsigned(value, base, min, max, ret, NULL);
}

static gboolean parse_size(const OptionSpec *spec, const char *value, guint64 *ret, GError **error)
{
    static const char letters[] = "KMGT";
    g_autofree char *digits = g_strdup(value);
    gsize size = strlen(digits);
    guint shift = 0;
    guint64 number;

    if (size > 0) {
        const char *letter = strchr(letters, g_ascii_toupper(digits[size - 1]));
        if (letter != NULL && *letter != '\0') {
            shift = 10 * (guint)(letter - letters + 1);
            digits[size - 1] = '\0';
        }
    }
    if (!parse_number(digits, 10, 0, spec->max >> shift, &number))
        return fail(error, spec, value,
                    "it is a number of bytes up to %" G_GUINT64_FORMAT ", or with K, M, G or T behind", spec->max);
    *ret = number << shift;
    return TRUE;
}

static gboolean apply_plain(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error)
{
    gpointer place = field(parse, spec);
    guint64 number = 0;
    guint choice = 0;

    switch (spec->kind) {
    case OPTION_SWITCH:
        return parse_switch(spec, value, place, error);
    case OPTION_FLAG:
        *(int *)place = spec->value;
        return TRUE;
    case OPTION_CHOICE:
        if (!choose(spec, value, &choice, error))
            return FALSE;
        *(guint *)place = choice;
        return TRUE;
    case OPTION_NUMBER:
        if (!parse_number(value, 10, spec->min, spec->max, &number))
            return fail(error, spec, value, "it is a whole number from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT,
                        spec->min, spec->max);
        *(guint *)place = (guint)number;
        return TRUE;
    case OPTION_SIZE:
        if (!parse_size(spec, value, &number, error))
            return FALSE;
        *(gsize *)place = (gsize)number;
        return TRUE;
    case OPTION_SIZE64:
        if (!parse_size(spec, value, &number, error))
            return FALSE;
        *(gint64 *)place = (gint64)number;
        return TRUE;
    case OPTION_OCTAL:
        if (!parse_number(value, 8, 0, 0777, &number))
            return fail(error, spec, value, "it is an octal number from 0 to 777");
        *(mode_t *)place = (mode_t)number;
        return TRUE;
    case OPTION_TEXT:
        if (*value == '\0')
            return fail(error, spec, value, "it must not be empty");
        if (spec->choices != NULL && !choose(spec, value, &choice, error))
            return FALSE;
        store_text(place, value);
        return TRUE;
    case OPTION_FILE: {
        /* The daemon's directory is "/". */
        g_autofree char *path = g_canonicalize_filename(value, NULL);
        if (*value == '\0')
            return fail(error, spec, value, "it is the name of a file");
        store_text(place, path);
        return TRUE;
    }
    default:
        g_return_val_if_reached(FALSE);
    }
}

gboolean option_apply(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error)
{
    gboolean optional = spec->kind == OPTION_SWITCH || spec->apply == option_apply_tls_verify ||
                        (spec->argument != NULL && spec->argument[0] == '[');
    guint choice;

    if (spec->argument == NULL && value != NULL)
        return fail(error, spec, value, "the option takes no value");
    if (spec->argument != NULL && value == NULL && !optional && spec->kind != OPTION_IGNORED)
        return fail(error, spec, value, "a value is missing, as in %s=%s", spec->name,
                    spec->choices != NULL ? spec->choices[0] : spec->argument);
    if (value != NULL && strpbrk(value, "\r\n") != NULL)
        return fail(error, spec, NULL, "the value has a line end in it");
    if (spec->set_offset != 0)
        *(gboolean *)((char *)parse->options + spec->set_offset) = TRUE;

    switch (spec->kind) {
    case OPTION_SPECIAL:
        return spec->apply(parse, spec, value, error);
    case OPTION_FUSE: {
        guint64 number;
        if (g_strcmp0(spec->argument, "N") == 0 && !parse_number(value, 10, 0, G_MAXUINT32, &number))
            return fail(error, spec, value, "it is a whole number");
        if (g_strcmp0(spec->argument, "SECONDS") == 0 && !parse_number(value, 10, 0, G_MAXINT32, &number))
            return fail(error, spec, value, "it is a whole number of seconds");
        g_autofree char *text = value != NULL ? g_strdup_printf("%s=%s", spec->name, value) : g_strdup(spec->name);
        g_ptr_array_add(parse->options->fuse_args, option_fuse_arg(text));
        return TRUE;
    }
    case OPTION_IGNORED:
        return TRUE;
    case OPTION_GONE:
        if (spec->choices != NULL && !choose(spec, value, &choice, error))
            return FALSE;
        warn(parse, spec, spec->help);
        return TRUE;
    case OPTION_REFUSED:
        return fail(error, spec, NULL, "%s", spec->help + strlen("an error: "));
    default:
        return apply_plain(parse, spec, value, error);
    }
}

char *option_fuse_arg(const char *text)
{
    GString *arg = g_string_new("-o");

    for (; *text != '\0'; text++) {
        if (*text == ',' || *text == '\\')
            g_string_append_c(arg, '\\');
        g_string_append_c(arg, *text);
    }
    return g_string_free(arg, FALSE);
}

/* ---- Special ones ---- */

/* user=NAME, and curlftpfs's user=NAME:PASSWORD. */
gboolean option_apply_user(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error)
{
    const char *colon = strchr(value, ':');

    if (*value == '\0' || colon == value)
        return fail(error, spec, value, "the name is empty; it is user=NAME");
    g_autofree char *name = colon != NULL ? g_strndup(value, (gsize)(colon - value)) : g_strdup(value);
    store_text(&parse->user, name);
    store_text(&parse->password, colon != NULL ? colon + 1 : NULL);
    return TRUE;
}

gboolean option_apply_netrc(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error)
{
    FtpConfig *ftp = parse->options->ftp;

    if (value != NULL && *value == '\0')
        return fail(error, spec, value, "it is netrc or netrc=FILE");
    ftp->netrc = TRUE;
    g_free(ftp->netrc_file);
    ftp->netrc_file = value != NULL ? g_canonicalize_filename(value, NULL) : NULL;
    return TRUE;
}

gboolean option_apply_active_ports(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error)
{
    g_auto(GStrv) ends = g_strsplit(value, "-", 2);
    guint64 low = 0, high = 0;

    if (ends[0] == NULL || ends[1] == NULL || !parse_number(ends[0], 10, 1, 65535, &low) ||
        !parse_number(ends[1], 10, 1, 65535, &high) || low > high)
        return fail(error, spec, value, "it is LOW-HIGH, two ports from 1 to 65535");
    parse->options->ftp->active_port_low = (guint)low;
    parse->options->ftp->active_port_high = (guint)high;
    return TRUE;
}

gboolean option_apply_tls(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error)
{
    guint choice;

    if (!choose(spec, value, &choice, error))
        return FALSE;
    parse->options->ftp->tls = (FtpTls)choice;
    parse->tls_set = TRUE;
    return TRUE;
}

gboolean option_apply_tls_verify(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error)
{
    gboolean on = FALSE;

    if (!parse_switch(spec, value, &on, error))
        return FALSE;
    parse->options->ftp->tls_verify_peer = on;
    parse->options->ftp->tls_verify_host = on;
    return TRUE;
}

/* "sha256//" and 32 bytes in base64 (44 characters), several with ';' between. */
gboolean option_apply_tls_pin(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error)
{
    g_auto(GStrv) pins = g_strsplit(value, ";", -1);

    for (gsize i = 0; i == 0 || pins[i] != NULL; i++) {
        if (pins[i] == NULL || !g_str_has_prefix(pins[i], "sha256//") || strlen(pins[i]) != 8 + 44 ||
            strspn(pins[i] + 8, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") != 43 ||
            pins[i][8 + 43] != '=')
            return fail(error, spec, value, "it is sha256// and the base64 of the public key's SHA-256");
    }
    store_text(&parse->options->ftp->tls_pin, value);
    return TRUE;
}

gboolean option_apply_uid(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error)
{
    guint64 number;
    const struct passwd *person = NULL;

    parse->options->uid_server = strcmp(value, "server") == 0;
    if (parse->options->uid_server)
        return TRUE;
    if (!parse_number(value, 10, 0, G_MAXUINT32 - 1, &number)) {
        person = getpwnam(value);
        if (person == NULL)
            return fail(error, spec, value, "it is a user's number or name, or server");
        number = person->pw_uid;
    }
    parse->options->uid = (uid_t)number;
    parse->options->uid_set = TRUE;
    return TRUE;
}

gboolean option_apply_gid(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error)
{
    guint64 number;
    const struct group *group = NULL;

    parse->options->gid_server = strcmp(value, "server") == 0;
    if (parse->options->gid_server)
        return TRUE;
    if (!parse_number(value, 10, 0, G_MAXUINT32 - 1, &number)) {
        group = getgrnam(value);
        if (group == NULL)
            return fail(error, spec, value, "it is a group's number or name, or server");
        number = group->gr_gid;
    }
    parse->options->gid = (gid_t)number;
    parse->options->gid_set = TRUE;
    return TRUE;
}

gboolean option_apply_charset(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error)
{
    g_autoptr(NameCodec) codec = *value != '\0' ? name_codec_new(value, NULL) : NULL;

    if (codec == NULL)
        return fail(error, spec, value, "it is a charset that iconv -l lists, such as ISO-8859-1 or CP1251");
    store_text(&parse->options->ftp->charset, value);
    return TRUE;
}

gboolean option_apply_timezone(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error)
{
    g_autoptr(GTimeZone) zone = *value != '\0' ? g_time_zone_new_identifier(value) : NULL;

    if (zone == NULL)
        return fail(error, spec, value, "it is a zone such as UTC, Europe/Paris or +02:00");
    store_text(&parse->options->ftp->timezone, value);
    return TRUE;
}

gboolean option_apply_spool(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error)
{
    if (!g_path_is_absolute(value))
        return fail(error, spec, value, "it is a directory's path that begins with '/'");
    store_text(&parse->options->spool, value);
    return TRUE;
}

/* -o debug is FUSE's, -o ftpfs_debug was curlftpfs's for the protocol. */
gboolean option_apply_debug(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error)
{
    parse->options->verbose = TRUE;
    if (spec->group == GROUP_FUSE) {
        parse->options->debug = TRUE;
        parse->options->foreground = TRUE;
    }
    return TRUE;
}

gboolean option_apply_ftp_port(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error)
{
    if (*value == '\0')
        return fail(error, spec, value, "it is an address, an interface, or '-' for the control connection's address");
    parse->options->ftp->mode = FTP_MODE_ACTIVE;
    store_text(&parse->options->ftp->active_address, strcmp(value, "-") == 0 ? NULL : value);
    return TRUE;
}

gboolean option_apply_custom_list(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error)
{
    if (*value == '\0')
        return fail(error, spec, value, "it is a command such as 'LIST -la'");
    parse->options->ftp->listing = FTP_LISTING_LIST;
    store_text(&parse->options->ftp->list_command, value);
    return TRUE;
}

gboolean option_apply_ssl(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error)
{
    FtpConfig *ftp = parse->options->ftp;

    ftp->tls = strcmp(spec->name, "ssl_try") == 0 ? FTP_TLS_TRY : FTP_TLS_ON;
    ftp->tls_data = strcmp(spec->name, "ssl_control") != 0;
    parse->tls_set = TRUE;
    return TRUE;
}

gboolean option_apply_pem(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error)
{
    if (g_ascii_strcasecmp(value, "PEM") != 0)
        return fail(error, spec, value, "only PEM is accepted; openssl converts other forms to it");
    return TRUE;
}

gboolean option_apply_proxy_type(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error)
{
    parse->proxy_scheme = strcmp(spec->name, "httpproxy") == 0 ? "http" : spec->name;
    return TRUE;
}

gboolean option_apply_iocharset(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error)
{
    if (g_ascii_strcasecmp(value, "utf8") != 0 && g_ascii_strcasecmp(value, "utf-8") != 0)
        warn(parse, spec, "no effect: names are UTF-8 on this side");
    return TRUE;
}

gboolean option_apply_utf8(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error)
{
    store_text(&parse->options->ftp->charset, "UTF-8");
    return TRUE;
}
