/* SPDX-License-Identifier: MIT */
/*
 * The text that people read is the only source, so that the two can't say different things, and a part of the program
 * that adds a line to it has added it here, too. Lines about one file each are taken apart into objects.
 */
#include "status_json.h"

#include <string.h>

/* Names that may come more than once, and how their values are made up. */
static const struct {
    const char *name, *pattern;
    const char *members[5]; /* one for each group of the pattern, NULL behind the last; a number where it looks so */
} lists[] = {
    {"unsent", "^(\\d+) bytes of (.*)$", {"bytes", "path", NULL}},
    {"pending", "^(\\d+) % of (\\d+) bytes, (\\d+) B/s, (.*)$", {"percent", "bytes", "bytes_per_second", "path", NULL}},
    {"kept", "^(.*) in (/.*?/lost\\+found/[^/]*?\\.[0-9a-f]{8}) \\((.*)\\)$", {"path", "file", "why", NULL}},
};

void json_append_string(GString *out, const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);

    g_string_append_c(out, '"');
    for (const char *c = valid; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            g_string_append_c(out, '\\');
        if ((guchar)*c < 0x20)
            g_string_append_printf(out, "\\u%04x", (guint)(guchar)*c);
        else
            g_string_append_c(out, *c);
    }
    g_string_append_c(out, '"');
}

/* A number of JSON has no leading zeros; ours have no sign but '-'. */
static gboolean is_number(const char *text)
{
    const char *digits = *text == '-' ? text + 1 : text;
    gsize size = strlen(digits);

    return size > 0 && size < 19 && strspn(digits, "0123456789") == size && (digits[0] != '0' || size == 1);
}

static void append_value(GString *out, const char *text)
{
    if (is_number(text))
        g_string_append(out, text);
    else
        json_append_string(out, text);
}

static void append_name(GString *out, const char *name)
{
    json_append_string(out, name);
    g_string_append(out, ": ");
}

/* An object of the pattern's groups; a string when it does not match. */
static void append_element(GString *out, gsize list, const char *value)
{
    g_autoptr(GRegex) regex = lists[list].pattern ? g_regex_new(lists[list].pattern, 0, 0, NULL) : NULL;
    g_autoptr(GMatchInfo) match = NULL;

    if (regex == NULL || !g_regex_match(regex, value, 0, &match)) {
        json_append_string(out, value);
        return;
    }
    g_string_append_c(out, '{');
    for (gint i = 0; lists[list].members[i] != NULL; i++) {
        gboolean is_last = lists[list].members[i + 1] == NULL;
        g_autofree char *group = g_match_info_fetch(match, i + 1);
        append_name(out, lists[list].members[i]);
        if (is_last) /* a path, whatever it looks like */
            json_append_string(out, group);
        else
            append_value(out, group);
        g_string_append(out, is_last ? "}" : ", ");
    }
}

static gssize list_named(const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(lists); i++) {
        if (strcmp(lists[i].name, name) == 0)
            return (gssize)i;
    }
    return -1;
}

char *status_to_json(const char *text)
{
    GString *out = g_string_new("{");
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    GString *elements[G_N_ELEMENTS(lists)];

    for (gsize i = 0; i < G_N_ELEMENTS(lists); i++)
        elements[i] = g_string_new(NULL);
    for (gsize i = 0; lines[i] != NULL; i++) {
        char *colon = strstr(lines[i], ": ");
        if (colon == NULL)
            continue;
        *colon = '\0';
        gssize list = list_named(lines[i]);
        if (list >= 0) {
            g_string_append(elements[list], elements[list]->len > 0 ? ",\n    " : "\n    ");
            append_element(elements[list], (gsize)list, colon + 2);
            continue;
        }
        g_string_append(out, "\n  ");
        append_name(out, lines[i]);
        append_value(out, colon + 2);
        g_string_append_c(out, ',');
    }
    for (gsize i = 0; i < G_N_ELEMENTS(lists); i++) {
        g_string_append(out, "\n  ");
        append_name(out, lists[i].name);
        g_string_append_printf(out, "[%s]%s", elements[i]->str, i + 1 < G_N_ELEMENTS(lists) ? "," : "");
        g_string_free(elements[i], TRUE);
    }
    g_string_append(out, "\n}\n");
    return g_string_free(out, FALSE);
}
