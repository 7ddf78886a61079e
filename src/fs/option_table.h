/* SPDX-License-Identifier: MIT */
/* Every name that may stand behind -o: data only. options.c parses by it, help.c prints it, the man page is tested
 * against it. */
#pragma once

#include <glib.h>

typedef struct OptionParse OptionParse;
typedef struct OptionSpec OptionSpec;

typedef enum {
    OPTION_SWITCH,  /* gboolean: on|off (yes|no are the same); the name alone is "on" */
    OPTION_FLAG,    /* int: the name alone stores `value` */
    OPTION_CHOICE,  /* enum: one of `choices`, whose index is stored */
    OPTION_NUMBER,  /* guint: min ... max */
    OPTION_SIZE,    /* gsize: bytes with an optional K, M, G or T (1024) */
    OPTION_SIZE64,  /* gint64: the same */
    OPTION_OCTAL,   /* mode_t: 0 ... 0777 */
    OPTION_TEXT,    /* char*: not empty */
    OPTION_FILE,    /* char*: a path, made absolute */
    OPTION_SPECIAL, /* `apply` does it */
    OPTION_FUSE,    /* passed on to libfuse */
    OPTION_IGNORED, /* meant for others (mount(8), systemd): dropped */
    OPTION_GONE,    /* has no meaning today: dropped, with a warning that says `help` */
    OPTION_REFUSED, /* can't be given what it promises: an error that says `help` */
} OptionKind;

/* What `offset` is an offset in. */
typedef enum { PLACE_OPTIONS, PLACE_FTP, PLACE_PARSE } OptionPlace;

typedef enum {
    GROUP_MODE,
    GROUP_TIME,
    GROUP_TLS,
    GROUP_WHO,
    GROUP_VIEW,
    GROUP_CACHE,
    GROUP_WRITE,
    GROUP_CURLFTPFS,
    GROUP_FUSE,
    GROUP_GENERIC,
    GROUP_N
} OptionGroup;

typedef gboolean (*OptionApplyFunc)(OptionParse *parse, const OptionSpec *spec, const char *value, GError **error);

struct OptionSpec {
    const char *name;
    const char *argument; /* as --help shows it; NULL: none; in brackets: may be left out */
    OptionKind kind;
    OptionGroup group;
    OptionPlace place;
    gsize offset;
    gsize set_offset; /* of a gboolean in Options that becomes TRUE; 0: none */
    guint64 min, max;
    int value;
    const char *const *choices; /* ends with NULL */
    OptionApplyFunc apply;
    gboolean secret; /* the value holds a password: never shown */
    const char *default_text;
    const char *help;
};

/* The whole table, in the order of --help; the last entry has no name. */
const OptionSpec *option_table(void);

/* NULL when there is none. `name` of `size` bytes. "x-..." and "X-..." find the entry "x-". */
const OptionSpec *option_table_find(const char *name, gsize size);

const char *option_group_title(OptionGroup group);
