/* SPDX-License-Identifier: MIT */
/*
 * Lines out of bytes, a dialect for each line, and the refusal of names that are none.
 *
 * The memory is one line of at most LIST_LINE_MAX bytes, whatever the server sends. The replies to STAT come through
 * here as the server wrote them, so that a LIST line may stand behind spaces (ProFTPD) or a reply code ("213-"), and
 * the lines that frame it are noise. Names are judged here, in one place, whatever the dialect: what passes is one
 * component of a path. Control characters stay in a name: POSIX allows them, and a file that is not shown can't be
 * removed.
 */
#include "ftp/list_parser.h"

#include "list_dialect.h"

#include <string.h>

static const ListDialect list_dialects[] = {list_unix_parse, list_dos_parse, list_eplf_parse};

struct ListParser {
    ListFormat format;
    ListClock clock; /* holds a reference to its zone */
    ListEntryFunc func;
    gpointer data;

    guint favourite; /* the dialect of LIST that matched last */
    gboolean too_long;
    gboolean saw_self;
    int error;
    guint64 entries;
    guint64 refused;
    guint64 unknown;

    gsize length;
    char line[LIST_LINE_MAX + 2]; /* one for a CR before the end, one for the NUL */
};

ListParser *list_parser_new(ListFormat format, gint64 now, GTimeZone *zone, ListEntryFunc func, gpointer data)
{
    ListParser *parser = g_new0(ListParser, 1);

    parser->format = format;
    parser->clock.now = CLAMP(now, G_GINT64_CONSTANT(-62135596800), G_GINT64_CONSTANT(253402300799));
    parser->clock.zone = zone != NULL ? g_time_zone_ref(zone) : NULL;
    parser->func = func;
    parser->data = data;
    return parser;
}

void list_parser_free(ListParser *parser)
{
    if (parser == NULL)
        return;
    g_clear_pointer(&parser->clock.zone, g_time_zone_unref);
    g_free(parser);
}

/* MLST names the path that it was asked for. Its last part; "." for the root and for the directory itself. */
static char *last_part(char *path)
{
    gsize length = strlen(path);
    char *slash;

    while (length > 0 && path[length - 1] == '/')
        path[--length] = '\0';
    slash = strrchr(path, '/');
    if (slash != NULL)
        path = slash + 1;
    return path;
}

static int give(ListParser *parser, ListLine *line)
{
    ListEntry entry = {.name = line->name, .target = line->target, .attr = line->attr};
    gsize length = strlen(line->name);

    if (parser->format == LIST_FORMAT_MLST) {
        entry.name = last_part(line->name);
        if (entry.name[0] == '\0' || strcmp(entry.name, ".") == 0) {
            entry.name = ".";
            parser->saw_self = TRUE;
        }
    } else {
        /* `ls -p` and some MLSD mark a directory. */
        if (line->attr.type == FTP_TYPE_DIR && length > 1 && line->name[length - 1] == '/')
            line->name[length - 1] = '\0';
        if (line->kind == LIST_LINE_SELF || strcmp(entry.name, ".") == 0) {
            parser->saw_self = TRUE;
            return 0;
        }
        if (line->kind == LIST_LINE_PARENT || strcmp(entry.name, "..") == 0)
            return 0;
    }
    if (entry.name[0] == '\0' || strcmp(entry.name, "..") == 0 || strchr(entry.name, '/') != NULL) {
        parser->refused++;
        return 0;
    }
    if (entry.target != NULL && entry.target[0] == '\0')
        entry.target = NULL;
    parser->entries++;
    parser->error = parser->func(&entry, parser->data);
    return parser->error;
}

static gboolean match(ListParser *parser, char *text, ListLine *ret_line)
{
    if (parser->format != LIST_FORMAT_LIST)
        return list_mlsd_parse(text, &parser->clock, ret_line);
    for (guint i = 0; i < G_N_ELEMENTS(list_dialects); i++) {
        guint dialect = (parser->favourite + i) % G_N_ELEMENTS(list_dialects);

        if (list_dialects[dialect](text, &parser->clock, ret_line)) {
            parser->favourite = dialect;
            return TRUE;
        }
    }
    return FALSE;
}

/* "213-", "250 ": the start of a line of a reply on the control connection (RFC 959, 4.2). */
static gboolean has_reply_code(const char *text)
{
    return text[0] >= '1' && text[0] <= '6' && g_ascii_isdigit(text[1]) && g_ascii_isdigit(text[2]) &&
           (text[3] == '-' || text[3] == ' ' || text[3] == '\0');
}

/* "total 12" of `ls -l`, in the languages that servers were seen to speak; "Total of 3 files, 12 blocks." */
static gboolean is_total(const char *text)
{
    static const char *const words[] = {"total", "insgesamt", "gesamt", "totale", "totalt", "totaal", "yhteens"};

    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        gsize length = strlen(words[i]);

        if (g_ascii_strncasecmp(text, words[i], length) == 0 && !g_ascii_isalnum(text[length]))
            return TRUE;
    }
    return FALSE;
}

static int parse_line(ListParser *parser)
{
    ListLine line = {0};
    char *text = parser->line;
    gboolean reply = FALSE;

    while (parser->length > 0 && text[parser->length - 1] == '\r')
        parser->length--;
    text[parser->length] = '\0';
    if (parser->too_long || parser->length > LIST_LINE_MAX || memchr(text, '\0', parser->length) != NULL ||
        memchr(text, '\r', parser->length) != NULL) {
        parser->refused++;
        return 0;
    }
    if (match(parser, text, &line))
        return give(parser, &line);

    text = (char *)list_skip_blanks(text);
    if (parser->format != LIST_FORMAT_MLSD && has_reply_code(text)) {
        reply = TRUE;
        text += text[3] == '\0' ? 3 : 4;
        text = (char *)list_skip_blanks(text);
    }
    if (text != parser->line && *text != '\0' && match(parser, text, &line))
        return give(parser, &line);
    if (!reply && *text != '\0' && !is_total(text))
        parser->unknown++;
    return 0;
}

static int end_line(ListParser *parser)
{
    int result = parse_line(parser);

    parser->length = 0;
    parser->too_long = FALSE;
    return result;
}

int list_parser_feed(ListParser *parser, const char *bytes, gsize size)
{
    while (size > 0 && parser->error == 0) {
        const char *end = memchr(bytes, '\n', size);
        gsize piece = end != NULL ? (gsize)(end - bytes) : size;
        gsize room = sizeof(parser->line) - 1 - parser->length;

        if (piece > room)
            parser->too_long = TRUE;
        memcpy(parser->line + parser->length, bytes, MIN(piece, room));
        parser->length += MIN(piece, room);
        if (end != NULL) {
            piece++;
            (void)end_line(parser);
        }
        bytes += piece;
        size -= piece;
    }
    return parser->error;
}

int list_parser_finish(ListParser *parser)
{
    if (parser->error == 0 && (parser->length > 0 || parser->too_long))
        (void)end_line(parser);
    return parser->error;
}

guint64 list_parser_entries(const ListParser *parser)
{
    return parser->entries;
}

guint64 list_parser_refused(const ListParser *parser)
{
    return parser->refused;
}

guint64 list_parser_unknown(const ListParser *parser)
{
    return parser->unknown;
}

gboolean list_parser_saw_self(const ListParser *parser)
{
    return parser->saw_self;
}
