/* SPDX-License-Identifier: MIT */
/*
 * The text: "ftpfs-journal 1 <SHA-256>", then a line "key value" for each thing that is known, in a fixed order, then
 * "end". Paths are escaped as in C strings, so that a line is a line. Parsing is strict: what is not understood was not
 * written by this version, and is nothing to guess at.
 */
#include "journal_record.h"

#include <string.h>

#define MAGIC       "ftpfs-journal 1 "
#define DIGEST      64 /* hex digits of a SHA-256 */
#define RECORD_MAX  (64 << 20)
#define NUMBER_MAX  20 /* digits, with a sign */
#define SECONDS_MAX 100000000

JournalRecord *journal_record_new(void)
{
    JournalRecord *record = g_new0(JournalRecord, 1);
    record->held = range_set_new();
    return record;
}

void journal_record_free(JournalRecord *record)
{
    if (!record)
        return;
    range_set_free(record->held);
    g_free(record->path);
    g_free(record->maybe);
    g_free(record->to);
    g_free(record);
}

/* ---- To bytes ---- */

static void put_path(GString *text, const char *key, const char *path)
{
    g_autofree char *escaped = path ? g_strescape(path, NULL) : NULL;
    if (escaped)
        g_string_append_printf(text, "%s %s\n", key, escaped);
}

static void put_number(GString *text, const char *key, gint64 number)
{
    g_string_append_printf(text, "%s %" G_GINT64_FORMAT "\n", key, number);
}

static void put_held(GString *text, const RangeSet *held)
{
    gint64 from = 0, to = 0;
    while (range_set_next(held, to, G_MAXINT64, &from, &to))
        g_string_append_printf(text, "held %" G_GINT64_FORMAT " %" G_GINT64_FORMAT "\n", from, to);
}

static void put_file(GString *text, const JournalRecord *record)
{
    const JournalBase *base = &record->base;
    put_path(text, "maybe", record->maybe);
    g_string_append_printf(text, "data %" G_GUINT64_FORMAT "\n", record->data);
    put_number(text, "size", record->size);
    put_number(text, "base-size", record->base_size);
    put_held(text, record->held);
    if (base->there)
        g_string_append(text, "server\n");
    if (base->there && base->has_size)
        put_number(text, "server-size", base->size);
    if (base->there && base->has_mtime) {
        put_number(text, "server-mtime", base->mtime);
        put_number(text, "server-precision", base->precision);
    }
    if (record->in_place)
        g_string_append(text, "in-place\n");
    put_number(text, "written", record->written_at);
    if (record->has_mtime)
        put_number(text, "mtime", record->mtime);
    if (record->has_mode)
        put_number(text, record->mode_asked ? "mode-asked" : "mode", (gint64)record->mode);
}

char *journal_record_format(const JournalRecord *record)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_string_append(text, record->rename ? "rename\n" : "file\n");
    g_string_append_printf(text, "seq %" G_GUINT64_FORMAT "\n", record->seq);
    put_path(text, "path", record->path);
    if (record->rename) {
        put_path(text, "to", record->to);
        if (record->done)
            g_string_append(text, "done\n");
    } else {
        put_file(text, record);
    }
    g_string_append(text, "end\n");
    g_autofree char *digest = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)text->str, text->len);
    return g_strconcat(MAGIC, digest, "\n", text->str, NULL);
}

/* ---- From bytes ---- */

typedef struct {
    char *line; /* the one that is looked at, cut at its end */
    char *next;
} Lines;

static gboolean next_line(Lines *lines)
{
    char *end = strchr(lines->next, '\n');
    if (!end)
        return FALSE;
    *end = '\0';
    lines->line = lines->next;
    lines->next = end + 1;
    return TRUE;
}

/* The line is `key` alone: taken, the next one stands. */
static gboolean take_word(Lines *lines, const char *key)
{
    return g_str_equal(lines->line, key) && next_line(lines);
}

/* The line is "key value": *ret is the value, and the next line stands. */
static gboolean take_value(Lines *lines, const char *key, const char **ret)
{
    gsize length = strlen(key);
    if (strncmp(lines->line, key, length) != 0 || lines->line[length] != ' ')
        return FALSE;
    *ret = lines->line + length + 1;
    return next_line(lines);
}

static gboolean take_number(Lines *lines, const char *key, gint64 least, gint64 *ret)
{
    const char *value;
    return take_value(lines, key, &value) && strlen(value) <= NUMBER_MAX &&
           g_ascii_string_to_signed(value, 10, least, G_MAXINT64, ret, NULL);
}

static gboolean take_unsigned(Lines *lines, const char *key, guint64 *ret)
{
    const char *value;
    return take_value(lines, key, &value) && strlen(value) <= NUMBER_MAX &&
           g_ascii_string_to_unsigned(value, 10, 1, G_MAXUINT64, ret, NULL);
}

/* "/a/b": each name is one. */
static gboolean is_path(const char *path)
{
    if (path[0] != '/' || path[1] == '\0')
        return FALSE;
    g_auto(GStrv) names = g_strsplit(path + 1, "/", -1);
    for (gsize i = 0; names[i]; i++)
        if (names[i][0] == '\0' || g_str_equal(names[i], ".") || g_str_equal(names[i], ".."))
            return FALSE;
    return TRUE;
}

static gboolean take_path(Lines *lines, const char *key, char **ret)
{
    const char *value;
    if (!take_value(lines, key, &value))
        return FALSE;
    gsize slashes = 0, length = strlen(value);
    while (slashes < length && value[length - 1 - slashes] == '\\')
        slashes++;
    if (slashes % 2 != 0) /* an escape without its letter */
        return FALSE;
    g_autofree char *path = g_strcompress(value);
    if (!is_path(path))
        return FALSE;
    *ret = g_steal_pointer(&path);
    return TRUE;
}

static gboolean is_at(const Lines *lines, const char *key)
{
    gsize length = strlen(key);
    return strncmp(lines->line, key, length) == 0 && (lines->line[length] == ' ' || lines->line[length] == '\0');
}

static gboolean take_held(Lines *lines, JournalRecord *record)
{
    gint64 reached = 0;
    const char *value;
    while (is_at(lines, "held")) {
        gint64 from, to;
        if (!take_value(lines, "held", &value))
            return FALSE;
        g_auto(GStrv) words = g_strsplit(value, " ", 3);
        if (g_strv_length(words) != 2 || strlen(words[0]) > NUMBER_MAX || strlen(words[1]) > NUMBER_MAX ||
            !g_ascii_string_to_signed(words[0], 10, reached, record->size, &from, NULL) ||
            !g_ascii_string_to_signed(words[1], 10, from, record->size, &to, NULL))
            return FALSE;
        range_set_add(record->held, from, to);
        reached = to;
    }
    return TRUE;
}

static gboolean take_base(Lines *lines, JournalBase *base)
{
    gint64 precision = 0;
    base->there = take_word(lines, "server");
    base->has_size = base->there && is_at(lines, "server-size");
    if (base->has_size && !take_number(lines, "server-size", 0, &base->size))
        return FALSE;
    base->has_mtime = base->there && is_at(lines, "server-mtime");
    if (base->has_mtime && (!take_number(lines, "server-mtime", G_MININT64, &base->mtime) ||
                            !take_number(lines, "server-precision", 0, &precision) || precision > SECONDS_MAX))
        return FALSE;
    base->precision = (guint)precision;
    return TRUE;
}

static gboolean take_times(Lines *lines, JournalRecord *record)
{
    gint64 mode = 0;
    if (!take_number(lines, "written", G_MININT64, &record->written_at))
        return FALSE;
    record->has_mtime = is_at(lines, "mtime");
    if (record->has_mtime && !take_number(lines, "mtime", G_MININT64, &record->mtime))
        return FALSE;
    record->mode_asked = is_at(lines, "mode-asked");
    record->has_mode = record->mode_asked || is_at(lines, "mode");
    if (record->has_mode && !take_number(lines, record->mode_asked ? "mode-asked" : "mode", 0, &mode))
        return FALSE;
    record->mode = (mode_t)mode;
    return mode <= 07777;
}

static gboolean take_file(Lines *lines, JournalRecord *record)
{
    if (is_at(lines, "maybe") && !take_path(lines, "maybe", &record->maybe))
        return FALSE;
    if (!take_unsigned(lines, "data", &record->data) || !take_number(lines, "size", 0, &record->size) ||
        !take_number(lines, "base-size", 0, &record->base_size) || record->base_size > record->size)
        return FALSE;
    if (!take_held(lines, record) || !take_base(lines, &record->base))
        return FALSE;
    record->in_place = take_word(lines, "in-place");
    return take_times(lines, record);
}

static gboolean take_rename(Lines *lines, JournalRecord *record)
{
    if (!take_path(lines, "to", &record->to))
        return FALSE;
    record->done = take_word(lines, "done");
    return TRUE;
}

JournalRecord *journal_record_parse(const char *bytes, gsize size)
{
    const gsize head = strlen(MAGIC) + DIGEST + 1;
    if (size <= head || size > RECORD_MAX || memchr(bytes, '\0', size) || strncmp(bytes, MAGIC, strlen(MAGIC)) != 0)
        return NULL;
    g_autofree char *digest = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)bytes + head, size - head);
    if (strncmp(bytes + strlen(MAGIC), digest, DIGEST) != 0 || bytes[head - 1] != '\n')
        return NULL;

    g_autofree char *text = g_strndup(bytes + head, size - head);
    g_autoptr(JournalRecord) record = journal_record_new();
    Lines lines = {.next = text};
    if (!next_line(&lines))
        return NULL;
    record->rename = take_word(&lines, "rename");
    if (!record->rename && !take_word(&lines, "file"))
        return NULL;
    if (!take_unsigned(&lines, "seq", &record->seq) || !take_path(&lines, "path", &record->path))
        return NULL;
    if (!(record->rename ? take_rename(&lines, record) : take_file(&lines, record)))
        return NULL;
    return g_str_equal(lines.line, "end") && *lines.next == '\0' ? g_steal_pointer(&record) : NULL;
}

/* ---- Replay ---- */

static gint compare_seq(gconstpointer a, gconstpointer b)
{
    const JournalRecord *one = *(JournalRecord *const *)a, *other = *(JournalRecord *const *)b;
    gboolean one_last = one->rename && !one->done, other_last = other->rename && !other->done;
    /* What may have happened was the last thing that happened to these names: nothing else was let near them. */
    if (one_last != other_last)
        return one_last ? 1 : -1;
    return one->seq < other->seq ? -1 : one->seq > other->seq;
}

static gboolean is_at_or_below(const char *path, const char *top)
{
    gsize length = strlen(top);
    return strncmp(path, top, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static void replay_rename(GHashTable *by_path, const JournalRecord *move, GHashTable *changed)
{
    g_autoptr(GPtrArray) moved = g_ptr_array_new();
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, by_path);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        JournalRecord *file = value;
        if (is_at_or_below(file->path, move->path))
            g_ptr_array_add(moved, file);
        else if (move->done && is_at_or_below(file->path, move->to))
            g_hash_table_iter_remove(&iter);
    }
    for (guint i = 0; i < moved->len; i++) {
        JournalRecord *file = moved->pdata[i];
        char *path = g_strconcat(move->to, file->path + strlen(move->path), NULL);
        g_hash_table_add(changed, file);
        if (move->done) {
            g_hash_table_remove(by_path, file->path);
            g_free(file->path);
            file->path = path;
            g_hash_table_insert(by_path, file->path, file);
        } else {
            g_free(file->maybe);
            file->maybe = path;
        }
    }
}

GPtrArray *journal_records_replay(GPtrArray *records)
{
    g_autoptr(GHashTable) by_path = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GHashTable) changed = g_hash_table_new(NULL, NULL);
    GPtrArray *result = g_ptr_array_new();

    g_ptr_array_sort(records, compare_seq);
    for (guint i = 0; i < records->len; i++) {
        JournalRecord *record = records->pdata[i];
        if (record->rename)
            replay_rename(by_path, record, changed);
        else
            g_hash_table_replace(by_path, record->path, record);
    }
    for (guint i = 0; i < records->len;) {
        JournalRecord *record = records->pdata[i];
        gboolean lives = !record->rename && g_hash_table_lookup(by_path, record->path) == record;
        if (lives && g_hash_table_contains(changed, record))
            g_ptr_array_add(result, record);
        if (lives)
            i++;
        else
            g_ptr_array_remove_index(records, i); /* keeps the order */
    }
    return result;
}
