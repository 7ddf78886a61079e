/* SPDX-License-Identifier: MIT */
/*
 * `ls -l`, the format that most servers imitate:
 *
 *     drwxr-xr-x+   2 owner    group        4096 Jan 15 12:34 name
 *
 * Only the two ends are reliable: the type and mode in front, and the date before the name. Between them the links, the
 * owner (which may hold spaces) and the group may be missing. So the line is read word by word until a date stands
 * behind a number, and that number is the size. The first such place wins; a name that looks like a date comes too
 * late to be taken for one. The name starts exactly one space after the date and goes on to the end of the line: its
 * leading and trailing blanks are its own.
 */
#include "list_dialect.h"

#include <string.h>

#define WORDS_MAX 24 /* before the date; no owner is that long */

typedef struct {
    const char *start;
    gsize length;
} Word;

/* In English, and as localized servers were seen to write them, in UTF-8 and in Latin-1. A word that two languages
 * share means the same month in both. */
static const char *const list_months[] = {
    "jan january janv ene gen 1\xe6\x9c\x88",
    "feb february f\xc3\xa9v f\xe9v f\xc3\xa9vr f\xe9vr fevr fev 2\xe6\x9c\x88",
    "mar march m\xc3\xa4r m\xe4r m\xc3\xa4rz m\xe4rz mrz mars mrt 3\xe6\x9c\x88",
    "apr april avr avril abr 4\xe6\x9c\x88",
    "may mai mag mei maj 5\xe6\x9c\x88",
    "jun june juni juin giu 6\xe6\x9c\x88",
    "jul july juli juil juillet lug 7\xe6\x9c\x88",
    "aug august ao\xc3\xbb ao\xc3\xbbt ao\xfbt aout ago 8\xe6\x9c\x88",
    "sep sept september set 9\xe6\x9c\x88",
    "oct october okt ott out 10\xe6\x9c\x88",
    "nov november 11\xe6\x9c\x88",
    "dec december dez d\xc3\xa9\x63 d\xe9\x63 dic 12\xe6\x9c\x88",
};

/* The English names, first and fast: a large listing is read here. */
static guint english_month(const char *word)
{
    static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";

    for (guint i = 0; i < 12; i++) {
        const char *month = months + (gsize)3 * i;

        if (g_ascii_tolower(word[0]) == month[0] && g_ascii_tolower(word[1]) == month[1] &&
            g_ascii_tolower(word[2]) == month[2])
            return i + 1;
    }
    return 0;
}

static gboolean is_one_of(const char *word, gsize length, const char *words)
{
    while (*words != '\0') {
        gsize next = strcspn(words, " ");

        if (next == length && g_ascii_strncasecmp(word, words, length) == 0)
            return TRUE;
        words += next;
        words += strspn(words, " ");
    }
    return FALSE;
}

static gboolean scan_month(const char **cursor, guint *ret_month)
{
    gsize length = strcspn(*cursor, " \t"), bare = length;
    guint english = length == 3 ? english_month(*cursor) : 0;

    if (english != 0) {
        *cursor += length;
        *ret_month = english;
        return TRUE;
    }
    if (g_ascii_isdigit(**cursor) && g_ascii_isprint((*cursor)[length - 1]))
        return FALSE; /* a number, not a Chinese, Japanese or Korean month */
    if (length > 1 && (*cursor)[length - 1] == '.')
        bare--;
    for (guint i = 0; i < G_N_ELEMENTS(list_months); i++) {
        if (is_one_of(*cursor, bare, list_months[i])) {
            *cursor += length;
            *ret_month = i + 1;
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean scan_day(const char **cursor, guint *ret_day)
{
    const char *text = *cursor;
    guint day;

    if (!list_scan_digits(&text, 1, 2, &day) || day < 1 || day > 31)
        return FALSE;
    if (*text == '.' || *text == ',')
        text++;
    if (*text != ' ' && *text != '\t')
        return FALSE;
    *cursor = text;
    *ret_day = day;
    return TRUE;
}

/* "12:34", "2023", or with `ls -T` "12:34:56 2023". */
static gboolean scan_time_or_year(const char **cursor, ListTime *time)
{
    const char *text = *cursor;
    gboolean seconds;

    if (list_scan_time(&text, &time->hour, &time->minute, &time->second, &seconds)) {
        const char *year = list_skip_blanks(text);

        time->precision = seconds ? 1 : 60;
        if (seconds && year > text && list_scan_digits(&year, 4, 4, &time->year) && *year == ' ')
            text = year;
        else
            time->year = 0;
    } else if (list_scan_digits(&text, 4, 4, &time->year) && time->year != 0) {
        time->precision = 86400;
    } else {
        return FALSE;
    }
    *cursor = text;
    return TRUE;
}

/* "Jan 15 12:34", "15 Jan 2023", "15. Jan 12:34". */
static gboolean scan_named_date(const char **cursor, ListTime *ret_time)
{
    const char *text = *cursor;
    ListTime time = {0};
    gboolean month_first = scan_month(&text, &time.month);

    if (!month_first && !scan_day(&text, &time.day))
        return FALSE;
    text = list_skip_blanks(text);
    if (month_first ? !scan_day(&text, &time.day) : !scan_month(&text, &time.month))
        return FALSE;
    text = list_skip_blanks(text);
    if (!scan_time_or_year(&text, &time))
        return FALSE;
    *cursor = text;
    *ret_time = time;
    return TRUE;
}

/* " +0100" of --time-style=full-iso. */
static void scan_offset(const char **cursor, ListTime *time)
{
    const char *text = *cursor;
    guint offset;
    gboolean west;

    if (text[0] != ' ' || (text[1] != '+' && text[1] != '-'))
        return;
    west = text[1] == '-';
    text += 2;
    if (!list_scan_digits(&text, 4, 4, &offset) || *text != ' ' || offset / 100 > 23 || offset % 100 > 59)
        return;
    time->offset = (gint)(offset / 100 * 3600 + offset % 100 * 60);
    if (west)
        time->offset = -time->offset;
    time->has_offset = TRUE;
    *cursor = text;
}

/* GNU ls, --time-style: "2023-01-15 12:34" (long-iso), "2023-01-15 12:34:56.000000000 +0100" (full-iso), and of iso
 * "01-15 12:34" for what is recent and "2023-01-15 " for what is not, with that space. */
static gboolean scan_iso_date(const char **cursor, ListTime *ret_time)
{
    const char *text = *cursor, *clock;
    ListTime time = {0};
    gboolean seconds = FALSE;

    if (list_scan_digits(&text, 4, 4, &time.year)) {
        if (time.year == 0 || *text++ != '-')
            return FALSE;
    }
    if (!list_scan_digits(&text, 2, 2, &time.month) || *text++ != '-' || !list_scan_digits(&text, 2, 2, &time.day))
        return FALSE;
    if (time.month < 1 || time.month > 12 || time.day < 1 || time.day > 31)
        return FALSE;
    if (*text != ' ' && *text != 'T')
        return FALSE;
    clock = text + 1;
    if (list_scan_time(&clock, &time.hour, &time.minute, &time.second, &seconds) && *clock == ' ') {
        text = clock;
        time.precision = seconds ? 1 : 60;
        if (seconds)
            scan_offset(&text, &time);
    } else if (time.year != 0 && *text == ' ') {
        time.hour = time.minute = time.second = 0;
        time.precision = 86400;
        if (text[1] == ' ')
            text++;
    } else {
        return FALSE;
    }
    *cursor = text;
    *ret_time = time;
    return TRUE;
}

static gboolean scan_date(const char **cursor, ListTime *ret_time)
{
    return (g_ascii_isdigit(**cursor) && scan_iso_date(cursor, ret_time)) || scan_named_date(cursor, ret_time);
}

/* What the word before a date may be. */
typedef enum { WORD_TEXT, WORD_NUMBER, WORD_DEVICE, WORD_ROUNDED } WordKind;

static WordKind word_kind(const Word *word, gint64 *ret_number)
{
    const char *text = word->start, *end = word->start + word->length;

    if (!list_scan_number(&text, ret_number))
        return WORD_TEXT;
    if (text == end)
        return WORD_NUMBER;
    if (*text == ',') { /* "1,5" */
        for (text++; text < end && g_ascii_isdigit(*text);)
            text++;
        return text == end ? WORD_DEVICE : WORD_TEXT;
    }
    if (*text == '.') {
        for (text++; text < end && g_ascii_isdigit(*text);)
            text++;
    }
    return end - text == 1 && strchr("kKMGTPB", *text) != NULL ? WORD_ROUNDED : WORD_TEXT; /* `ls -h` */
}

static gboolean word_id(const Word *word, guint32 *ret_id)
{
    gint64 number;

    if (word_kind(word, &number) != WORD_NUMBER || number < 0 || number >= G_MAXUINT32)
        return FALSE;
    *ret_id = (guint32)number;
    return TRUE;
}

/* The nine letters of a mode. 'l' and 'L' are mandatory locking, which is the set-group-id bit without execution. */
static gboolean scan_mode(const char *text, guint16 *ret_mode)
{
    static const guint special[] = {04000, 02000, 01000};
    guint mode = 0;

    for (guint i = 0; i < 3; i++, text += 3) {
        guint shift = 6 - 3 * i;

        if ((text[0] != 'r' && text[0] != '-') || (text[1] != 'w' && text[1] != '-'))
            return FALSE;
        if (text[0] == 'r')
            mode |= 4u << shift;
        if (text[1] == 'w')
            mode |= 2u << shift;
        switch (text[2]) {
        case '-':
            break;
        case 'x':
            mode |= 1u << shift;
            break;
        case 's':
        case 't':
            mode |= special[i] | 1u << shift;
            break;
        case 'S':
        case 'T':
        case 'l':
        case 'L':
            mode |= special[i];
            break;
        default:
            return FALSE;
        }
    }
    *ret_mode = (guint16)mode;
    return TRUE;
}

/* The type and the mode: "drwxr-xr-x", an access control list's mark behind it, or NetWare's "d [RWCEAFMS]". */
static gboolean scan_start(const char **cursor, FtpAttr *attr, gboolean *ret_netware)
{
    static const char types[] = "-dlbcpsDn";
    const char *text = *cursor;

    if (*text == '\0' || strchr(types, *text) == NULL)
        return FALSE;
    attr->type = *text == '-'   ? FTP_TYPE_FILE
                 : *text == 'd' ? FTP_TYPE_DIR
                 : *text == 'l' ? FTP_TYPE_LINK
                                : FTP_TYPE_OTHER;
    text++;
    if (text[0] == '[' || (text[0] == ' ' && text[1] == '[')) {
        text = strchr(text, '[') + 1;
        while (g_ascii_isupper(*text) || *text == '-')
            text++;
        if (*text++ != ']' || *text != ' ')
            return FALSE;
        *ret_netware = TRUE;
        *cursor = text;
        return TRUE;
    }
    if (!scan_mode(text, &attr->mode))
        return FALSE;
    attr->has |= FTP_HAS_MODE;
    text += 9;
    if (*text != '\0' && strchr("+.@-e", *text) != NULL)
        text++;
    if (*text != ' ' && *text != '\t' && !g_ascii_isdigit(*text))
        return FALSE;
    *ret_netware = FALSE;
    *cursor = text;
    return TRUE;
}

/* "name -> target". Both may hold an arrow; a link's size is the length of its target and tells which it is. */
static char *split_link(char *name, const FtpAttr *attr)
{
    char *first = NULL, *arrow = name;
    const char *end = name + strlen(name);

    while ((arrow = strstr(arrow, " -> ")) != NULL) {
        if (arrow != name) {
            if (first == NULL)
                first = arrow;
            if ((attr->has & FTP_HAS_SIZE) != 0 && end - (arrow + 4) == attr->size) {
                first = arrow;
                break;
            }
        }
        arrow++;
    }
    if (first == NULL)
        return NULL;
    *first = '\0';
    return first + 4;
}

/* The size, and the owner where exactly links, user and group stand before it. `count` words were read. */
static void read_words(const Word *words, guint count, FtpAttr *attr)
{
    gint64 number = -1;
    guint before = count - 1;
    WordKind kind = word_kind(&words[count - 1], &number);

    if (kind == WORD_NUMBER && before > 0 && words[before - 1].start[words[before - 1].length - 1] == ',') {
        before--; /* a device, "1, 5" */
    } else if (kind == WORD_NUMBER && number >= 0) {
        attr->size = number;
        attr->has |= FTP_HAS_SIZE;
    }
    if (before == 3 && word_id(&words[1], &attr->uid) && word_id(&words[2], &attr->gid))
        attr->has |= FTP_HAS_OWNER;
}

gboolean list_unix_parse(char *line, const ListClock *clock, ListLine *ret_line)
{
    const char *cursor = line;
    FtpAttr attr = {0};
    ListTime time = {0};
    Word words[WORDS_MAX];
    guint count = 0;
    gboolean netware = FALSE, found = FALSE;

    if (!scan_start(&cursor, &attr, &netware))
        return FALSE;
    while (count < WORDS_MAX) {
        gint64 number;

        cursor = list_skip_blanks(cursor);
        if (*cursor == '\0')
            return FALSE;
        if (count > 0 && word_kind(&words[count - 1], &number) != WORD_TEXT) {
            const char *end = cursor;

            if (scan_date(&end, &time) && *end == ' ') {
                cursor = end;
                found = TRUE;
                break;
            }
        }
        words[count].start = cursor;
        words[count].length = strcspn(cursor, " \t");
        cursor += words[count].length;
        count++;
    }
    if (!found)
        return FALSE;
    read_words(words, count, &attr);
    list_time_apply(&time, clock, &attr);
    cursor = netware ? list_skip_blanks(cursor) : cursor + 1;
    ret_line->kind = LIST_LINE_ENTRY;
    ret_line->name = line + (cursor - line);
    ret_line->target = attr.type == FTP_TYPE_LINK ? split_link(ret_line->name, &attr) : NULL;
    ret_line->attr = attr;
    return TRUE;
}
