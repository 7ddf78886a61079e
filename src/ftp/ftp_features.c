/* SPDX-License-Identifier: MIT */
/*
 * FEAT lines are keywords with parameters of each one's own grammar, and servers disagree on that grammar ("AUTH TLS",
 * "AUTH SSL;TLS-P;", "REST STREAM", "MDTM YYYYMMDDHHMMSS[+-TZ];filename"), so that words are looked for. What trying
 * taught outweighs what FEAT said: there are servers that offer MLSD and refuse it, and many more that know SITE CHMOD
 * and do not tell.
 */
#include "ftp/ftp_features.h"

#include <string.h>

#define DESCRIPTION_MAX 2048 /* bytes; a hostile server may send lines for ever */

struct FtpFeatures {
    guint offered;   /* by FEAT; written before other threads see it */
    guint works;     /* atomic: learned */
    guint fails;     /* atomic: learned */
    char *mlst_opts; /* NULL: nothing to switch on */
    GString *description;
};

FtpFeatures *ftp_features_new(void)
{
    FtpFeatures *features = g_new0(FtpFeatures, 1);

    features->description = g_string_new(NULL);
    return features;
}

void ftp_features_free(FtpFeatures *features)
{
    if (features == NULL)
        return;
    g_free(features->mlst_opts);
    g_string_free(features->description, TRUE);
    g_free(features);
}

/* The next word of a line, split at spaces, semicolons and commas; FALSE at its end. */
static gboolean next_word(const char **cursor, const char **ret_start, gsize *ret_length)
{
    const char *start = *cursor + strspn(*cursor, " \t;,");

    if (*start == '\0')
        return FALSE;
    *ret_start = start;
    *ret_length = strcspn(start, " \t;,");
    *cursor = start + *ret_length;
    return TRUE;
}

static gboolean equals(const char *start, gsize length, const char *word)
{
    return strlen(word) == length && g_ascii_strncasecmp(start, word, length) == 0;
}

static gboolean has_word(const char *text, const char *word)
{
    const char *start;
    gsize length;

    while (next_word(&text, &start, &length)) {
        if (equals(start, length, word))
            return TRUE;
    }
    return FALSE;
}

static gboolean is_used_fact(const char *start, gsize length)
{
    static const char *const facts[] = {
        "type", "size", "sizd", "modify", "perm", "unix.mode", "unix.uid", "unix.gid", "unix.owner", "unix.group",
    };

    for (guint i = 0; i < G_N_ELEMENTS(facts); i++) {
        if (equals(start, length, facts[i]))
            return TRUE;
    }
    return FALSE;
}

/* RFC 3659, 7.8: "MLST type*;size*;modify*;UNIX.mode;", where a star marks what is on. OPTS MLST sets the whole list,
 * so that it names all that we use, in the server's own spelling. */
static void parse_mlst_facts(FtpFeatures *features, const char *text)
{
    g_autoptr(GString) opts = g_string_new(NULL);
    gboolean off = FALSE;
    const char *start;
    gsize length;

    while (next_word(&text, &start, &length)) {
        gboolean on = start[length - 1] == '*';

        if (on)
            length--;
        if (!is_used_fact(start, length) || opts->len > 512)
            continue;
        g_string_append_len(opts, start, (gssize)length);
        g_string_append_c(opts, ';');
        off |= !on;
    }
    g_clear_pointer(&features->mlst_opts, g_free);
    if (off)
        features->mlst_opts = g_strdup(opts->str);
}

/* The features in a line; 0 for none that matters here. */
static guint parse_keyword(FtpFeatures *features, const char *start, gsize length, const char *rest)
{
    static const struct {
        const char *keyword;
        guint feature;
    } simple[] = {
        {"MLSD", FTP_FEATURE_MLST},  {"MDTM", FTP_FEATURE_MDTM}, {"SIZE", FTP_FEATURE_SIZE}, {"UTF8", FTP_FEATURE_UTF8},
        {"UTF-8", FTP_FEATURE_UTF8}, {"MFMT", FTP_FEATURE_MFMT}, {"EPSV", FTP_FEATURE_EPSV}, {"EPRT", FTP_FEATURE_EPRT},
        {"AVBL", FTP_FEATURE_AVBL},  {"TVFS", FTP_FEATURE_TVFS},
    };
    guint found = 0;

    for (guint i = 0; i < G_N_ELEMENTS(simple); i++) {
        if (equals(start, length, simple[i].keyword))
            return simple[i].feature;
    }
    if (equals(start, length, "MLST")) {
        parse_mlst_facts(features, rest);
        return FTP_FEATURE_MLST;
    }
    if (equals(start, length, "REST") && has_word(rest, "STREAM"))
        return FTP_FEATURE_REST;
    if (equals(start, length, "MFF"))
        return FTP_FEATURE_MFF | (has_word(rest, "UNIX.mode") ? FTP_FEATURE_MFF_UNIX_MODE : 0);
    if (equals(start, length, "AUTH") && (has_word(rest, "TLS") || has_word(rest, "TLS-C") || has_word(rest, "TLS-P")))
        return FTP_FEATURE_AUTH_TLS;
    if (equals(start, length, "SITE")) {
        found |= has_word(rest, "UTIME") ? FTP_FEATURE_SITE_UTIME : 0;
        found |= has_word(rest, "SYMLINK") ? FTP_FEATURE_SITE_SYMLINK : 0;
        found |= has_word(rest, "CHMOD") ? FTP_FEATURE_SITE_CHMOD : 0;
    }
    return found;
}

static void describe_line(FtpFeatures *features, const char *line)
{
    GString *text = features->description;

    if (text->len >= DESCRIPTION_MAX)
        return;
    if (text->len > 0)
        g_string_append(text, ", ");
    for (; *line != '\0' && *line != '\r' && *line != '\n' && text->len < DESCRIPTION_MAX; line++)
        g_string_append_c(text, g_ascii_isprint(*line) ? *line : '?');
    while (text->len > 0 && text->str[text->len - 1] == ' ')
        g_string_truncate(text, text->len - 1);
}

void ftp_features_parse_line(FtpFeatures *features, const char *line)
{
    g_autofree char *text = NULL;
    const char *cursor, *start;
    gsize length;
    gboolean reply = FALSE;
    guint found;

    while (*line == ' ' || *line == '\t')
        line++;
    if (g_ascii_isdigit(line[0]) && g_ascii_isdigit(line[1]) && g_ascii_isdigit(line[2]) &&
        (line[3] == '-' || line[3] == ' ')) {
        reply = TRUE;
        line += 4;
    }
    text = g_strndup(line, strcspn(line, "\r\n"));
    cursor = text;
    if (!next_word(&cursor, &start, &length))
        return;
    found = parse_keyword(features, start, length, cursor);
    if (reply && found == 0)
        return;
    features->offered |= found;
    describe_line(features, start);
}

gboolean ftp_features_has(const FtpFeatures *features, FtpFeature feature)
{
    guint works = (guint)g_atomic_int_get(&features->works);
    guint fails = (guint)g_atomic_int_get(&features->fails);

    return ((features->offered | works) & ~fails & (guint)feature) != 0;
}

void ftp_features_learn(FtpFeatures *features, FtpFeature feature, gboolean works)
{
    g_atomic_int_or(works ? &features->works : &features->fails, (guint)feature);
    g_atomic_int_and(works ? &features->fails : &features->works, ~(guint)feature);
}

gboolean ftp_features_may_try(const FtpFeatures *features, FtpFeature feature)
{
    return ((guint)g_atomic_int_get(&features->fails) & (guint)feature) == 0;
}

const char *ftp_features_mlst_opts(const FtpFeatures *features)
{
    return features->mlst_opts;
}

char *ftp_features_describe(const FtpFeatures *features)
{
    return g_strdup(features->description->len > 0 ? features->description->str : "none");
}
