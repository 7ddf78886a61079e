/* SPDX-License-Identifier: MIT */
/*
 * MLSD and MLST (RFC 3659, 7.2):
 *
 *     entry = [ facts ] SP pathname          facts = 1*( factname "=" value ";" )
 *
 * Exactly one space ends the facts; all that follows is the name, its own blanks included. Servers leave out the last
 * semicolon, write the facts in any case, indent the line by any number of spaces, and put a link's target, which may
 * have spaces, into the fact `type`. There a semicolon ends the target, if one comes.
 */
#include "list_dialect.h"

#include <string.h>

/* What was read so far; a fact that can't be read is as if it were not there. */
typedef struct {
    gboolean has_type;
    gboolean has_uid;
    gboolean has_gid;
    guint perm_mode;
    gboolean perm_of_dir;
    char *target;
    char *target_end;
    ListLineKind kind;
    FtpAttr attr;
} Facts;

/* The value stands between `value` and `end`. */
typedef void (*FactFunc)(Facts *facts, char *value, char *end);

static gboolean equals(const char *start, const char *end, const char *word)
{
    gsize length = strlen(word);

    return (gsize)(end - start) == length && g_ascii_strncasecmp(start, word, length) == 0;
}

static gboolean starts(const char *start, const char *end, const char *word)
{
    gsize length = strlen(word);

    return (gsize)(end - start) >= length && g_ascii_strncasecmp(start, word, length) == 0;
}

static gboolean whole_number(const char *value, const char *end, gint64 *ret_number)
{
    gint64 number;

    if (!list_scan_number(&value, &number) || value != end || number < 0)
        return FALSE;
    *ret_number = number;
    return TRUE;
}

/* RFC 3659, 7.5.1; the types after "OS.unix=" are those of the registry and of servers' own making. */
static void fact_type(Facts *facts, char *value, char *end)
{
    static const char *const links[] = {"slink", "symlink", "link"};

    facts->has_type = TRUE;
    facts->kind = LIST_LINE_ENTRY;
    facts->target = NULL;
    facts->attr.type = FTP_TYPE_OTHER;
    if (starts(value, end, "OS.unix="))
        value += strlen("OS.unix=");
    if (equals(value, end, "file")) {
        facts->attr.type = FTP_TYPE_FILE;
    } else if (equals(value, end, "dir")) {
        facts->attr.type = FTP_TYPE_DIR;
    } else if (equals(value, end, "cdir")) {
        facts->attr.type = FTP_TYPE_DIR;
        facts->kind = LIST_LINE_SELF;
    } else if (equals(value, end, "pdir")) {
        facts->attr.type = FTP_TYPE_DIR;
        facts->kind = LIST_LINE_PARENT;
    }
    for (guint i = 0; i < G_N_ELEMENTS(links); i++) {
        gsize length = strlen(links[i]);

        if (equals(value, end, links[i])) {
            facts->attr.type = FTP_TYPE_LINK;
        } else if (starts(value, end, links[i]) && value[length] == ':') {
            facts->attr.type = FTP_TYPE_LINK;
            facts->target = value + length + 1;
            facts->target_end = end;
        }
    }
}

static void fact_size(Facts *facts, char *value, char *end)
{
    if (whole_number(value, end, &facts->attr.size))
        facts->attr.has |= FTP_HAS_SIZE;
}

/* RFC 3659, 2.3: YYYYMMDDHHMMSS[.sss], UTC. Some servers wrote "19100" for the year 2000 and have no fraction. */
static void fact_modify(Facts *facts, char *value, char *end)
{
    static const ListClock utc = {0};
    guint field[14], count = 0;
    const char *text = value;
    ListTime time = {.precision = 1};

    if (end - value >= 15 && starts(value, end, "191") && g_ascii_isdigit(value[14])) {
        time.year = 1900 + (guint)(value[2] - '0') * 100;
        text = value + 3;
        if (!g_ascii_isdigit(text[0]) || !g_ascii_isdigit(text[1]))
            return;
        time.year += (guint)(text[0] - '0') * 10 + (guint)(text[1] - '0');
        text += 2;
        count = 4;
    }
    for (; count < G_N_ELEMENTS(field); count++, text++) {
        if (text >= end || !g_ascii_isdigit(*text))
            return;
        field[count] = (guint)(*text - '0');
    }
    if (text < end && *text != '.')
        return;
    if (time.year == 0)
        time.year = field[0] * 1000 + field[1] * 100 + field[2] * 10 + field[3];
    time.month = field[4] * 10 + field[5];
    time.day = field[6] * 10 + field[7];
    time.hour = field[8] * 10 + field[9];
    time.minute = field[10] * 10 + field[11];
    time.second = field[12] * 10 + field[13];
    if (time.year == 0 || time.hour > 23 || time.minute > 59 || time.second > 60)
        return;
    list_time_apply(&time, &utc, &facts->attr);
}

static void fact_mode(Facts *facts, char *value, char *end)
{
    guint mode = 0;

    if (end - value > 2 && value[0] == '0' && (value[1] == 'o' || value[1] == 'O')) /* pyftpdlib: 0o644 */
        value += 2;
    if (value == end || end - value > 8)
        return;
    for (; value < end; value++) {
        if (*value < '0' || *value > '7')
            return;
        mode = mode * 8 + (guint)(*value - '0');
    }
    facts->attr.mode = (guint16)(mode & 07777);
    facts->attr.has |= FTP_HAS_MODE;
}

static void fact_uid(Facts *facts, char *value, char *end)
{
    gint64 number;

    if (whole_number(value, end, &number) && number < G_MAXUINT32) {
        facts->attr.uid = (guint32)number;
        facts->has_uid = TRUE;
    }
}

static void fact_gid(Facts *facts, char *value, char *end)
{
    gint64 number;

    if (whole_number(value, end, &number) && number < G_MAXUINT32) {
        facts->attr.gid = (guint32)number;
        facts->has_gid = TRUE;
    }
}

/* RFC 3659, 7.5.5: e enter, l list, c create, m make, p purge of a directory; r retrieve, w store, a append of a file;
 * f rename and d delete say nothing of the object's own mode. */
static void fact_perm(Facts *facts, char *value, char *end)
{
    facts->attr.has |= FTP_HAS_PERM;
    facts->perm_mode = 0;
    facts->perm_of_dir = FALSE;
    for (; value < end; value++) {
        switch (g_ascii_tolower(*value)) {
        case 'e':
            facts->perm_mode |= 0111;
            facts->perm_of_dir = TRUE;
            break;
        case 'l':
            facts->perm_mode |= 0444;
            facts->perm_of_dir = TRUE;
            break;
        case 'c':
        case 'm':
        case 'p':
            facts->perm_mode |= 0222;
            facts->perm_of_dir = TRUE;
            break;
        case 'r':
            facts->perm_mode |= 0444;
            break;
        case 'w':
        case 'a':
            facts->perm_mode |= 0222;
            break;
        default:
            break;
        }
    }
}

static void read_fact(Facts *facts, const char *name, const char *name_end, char *value, char *end)
{
    static const struct {
        const char *name;
        FactFunc func;
    } table[] = {
        {"type", fact_type},      {"size", fact_size},      {"sizd", fact_size},    {"modify", fact_modify},
        {"perm", fact_perm},      {"unix.mode", fact_mode}, {"unix.uid", fact_uid}, {"unix.gid", fact_gid},
        {"unix.owner", fact_uid}, {"unix.group", fact_gid},
    };

    for (guint i = 0; i < G_N_ELEMENTS(table); i++) {
        if (equals(name, name_end, table[i].name)) {
            table[i].func(facts, value, end);
            return;
        }
    }
}

/* A link's target may hold spaces: "type=OS.unix=slink:/a b;". */
static gboolean is_link_value(const char *name, const char *name_end, const char *value)
{
    const char *end = value + strcspn(value, ":; ");

    return equals(name, name_end, "type") && *end == ':' && starts(value, end, "OS.unix=");
}

/* The first character behind the name of a fact; `text` itself if there is none. */
static const char *skip_fact_name(const char *text)
{
    while (g_ascii_isalnum(*text) || *text == '.' || *text == '-' || *text == '_')
        text++;
    return text;
}

gboolean list_mlsd_parse(char *line, const ListClock *clock, ListLine *ret_line)
{
    Facts facts = {0};
    char *cursor = (char *)list_skip_blanks(line);

    do {
        char *name = cursor, *name_end, *value, *end;

        cursor += skip_fact_name(cursor) - cursor;
        if (cursor == name || *cursor != '=')
            return FALSE;
        name_end = cursor;
        value = cursor + 1;
        end = value + strcspn(value, "; ");
        if (*end == ' ' && is_link_value(name, name_end, value)) {
            char *semicolon = strchr(end, ';');

            if (semicolon != NULL && (semicolon[1] == ' ' || *skip_fact_name(semicolon + 1) == '='))
                end = semicolon;
        }
        if (*end == '\0')
            return FALSE;
        read_fact(&facts, name, name_end, value, end);
        cursor = *end == ';' ? end + 1 : end;
    } while (*cursor != ' ');

    if (!facts.has_type)
        facts.attr.type = facts.perm_of_dir ? FTP_TYPE_DIR : FTP_TYPE_FILE;
    if (facts.has_uid && facts.has_gid)
        facts.attr.has |= FTP_HAS_OWNER;
    if ((facts.attr.has & FTP_HAS_PERM) != 0 && (facts.attr.has & FTP_HAS_MODE) == 0)
        facts.attr.mode = (guint16)facts.perm_mode;
    if (facts.target != NULL)
        *facts.target_end = '\0';
    ret_line->kind = facts.kind;
    ret_line->name = cursor + 1;
    ret_line->target = facts.target;
    ret_line->attr = facts.attr;
    return TRUE;
}
