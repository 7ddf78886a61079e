/* SPDX-License-Identifier: MIT */
/*
 * Three callers, one parser. A person calls `ftpfs SOURCE DIR -o ...`, mount(8) calls `mount.ftpfs SOURCE DIR -sfnv -N
 * ns -o ... -t type`, and libfuse's mount.fuse3 calls `ftpfs SOURCE DIR -o ...` with what fstab says. libfuse's
 * fuse_opt takes -o apart (with its escapes: "\," is a comma), so that what works in other FUSE programs works here.
 *
 * Options come in any order, and a later one of the same name wins. What depends on two of them (the scheme and tls=,
 * proxy= and proxy_user=) is settled in finish(), when all are known.
 */
#include "fs/options.h"

#include "fs/mount_source.h"
#include "option_table.h"
#include "option_value.h"

#include <fuse.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_TYPE = 1, KEY_NAMESPACE };

typedef struct {
    OptionParse values;
    GPtrArray *positional; /* char*, owned */
    GError *error;         /* the first one: fuse_opt only says that there was one */
} Parser;

static Options *options_new(void)
{
    Options *options = g_new0(Options, 1);
    mode_t mask = umask(0);

    umask(mask);
    options->ftp = ftp_config_new();
    options->uid = getuid();
    options->gid = getgid();
    options->umask = mask;
    options->symlinks = TRUE;
    options->hidden = TRUE;
    options->cache = TRUE;
    options->cache_ttl = 60;
    options->prefetch = TRUE;
    options->negative_ttl = 5;
    options->read_ahead = 8 * 1024 * 1024;
    options->streams = 4;
    options->max_threads = 64;
    options->max_idle_threads = 16;
    options->fuse_args = g_ptr_array_new_with_free_func(g_free);
    options->warnings = g_ptr_array_new_with_free_func(g_free);
    options->given = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(options->fuse_args, g_strdup("ftpfs"));
    return options;
}

void options_free(Options *options)
{
    if (options == NULL)
        return;
    ftp_config_free(options->ftp);
    g_free(options->source);
    g_free(options->mountpoint);
    g_free(options->credentials_file);
    g_free(options->spool);
    g_ptr_array_unref(options->fuse_args);
    g_ptr_array_unref(options->warnings);
    g_ptr_array_unref(options->given);
    g_free(options);
}

static gboolean usage_error(GError **error, const char *text)
{
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "%s; ftpfs --help says more", text);
    return FALSE;
}

/* One option of -o: "name" or "name=value". */
static gboolean parse_named(Parser *parser, const char *text)
{
    Options *options = parser->values.options;
    const char *equals = strchr(text, '=');
    gsize size = equals != NULL ? (gsize)(equals - text) : strlen(text);
    const OptionSpec *spec = option_table_find(text, size);

    if (*text == '\0' || strcmp(text, "user") == 0)
        return TRUE; /* "user" alone is fstab's: ordinary users may mount */
    if (spec == NULL) {
        g_autofree char *name = g_strndup(text, size);
        if (parser->values.sloppy) {
            g_ptr_array_add(options->warnings, g_strdup_printf("unknown option '%s' passed over (-s)", name));
            return TRUE;
        }
        g_set_error(&parser->error, G_OPTION_ERROR, G_OPTION_ERROR_UNKNOWN_OPTION,
                    "unknown option '%s'; ftpfs --help lists them", name);
        return FALSE;
    }
    if (!option_apply(&parser->values, spec, equals != NULL ? equals + 1 : NULL, &parser->error))
        return FALSE;
    if (spec->kind == OPTION_FILE) {
        /* as it is meant from another directory, too */
        g_autofree char *path = g_canonicalize_filename(equals + 1, NULL);
        g_ptr_array_add(options->given, g_strdup_printf("%s=%s", spec->name, path));
    } else if (!spec->secret && spec->kind != OPTION_IGNORED && spec->kind != OPTION_GONE) {
        g_ptr_array_add(options->given, g_strdup(text));
    }
    return TRUE;
}

/* mount(8): -s sloppy, -f fake, -n no mtab, -v verbose, in one word or several. */
static gboolean parse_helper_flags(Parser *parser, const char *letters)
{
    for (; *letters != '\0'; letters++) {
        switch (*letters) {
        case 's':
            parser->values.sloppy = TRUE;
            break;
        case 'f':
            parser->values.options->fake = TRUE;
            break;
        case 'r':
            parser->values.options->read_only = TRUE;
            break;
        case 'n':
        case 'v':
        case 'w':
            break;
        default:
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean parse_flag(Parser *parser, const char *flag)
{
    static const struct {
        const char *brief, *full;
        int command; /* -1: none */
    } flags[] = {
        {"-h", "--help", COMMAND_HELP},
        {"-V", "--version", COMMAND_VERSION},
        {NULL, "--check", COMMAND_CHECK},
        {NULL, "--status", COMMAND_STATUS},
        {NULL, "--json", -1},
        {NULL, "--write-test", -1},
        {"-f", NULL, -1},
        {"-d", NULL, -1},
        {"-s", NULL, -1},
        {"-v", "--verbose", -1},
        {"-r", NULL, -1},
    };
    Options *options = parser->values.options;
    const char *found = NULL;

    if (parser->values.helper && flag[1] != '-' && strcmp(flag, "-h") != 0 && strcmp(flag, "-V") != 0) {
        if (parse_helper_flags(parser, flag + 1))
            return TRUE;
    } else {
        for (gsize i = 0; i < G_N_ELEMENTS(flags); i++) {
            if (g_strcmp0(flag, flags[i].brief) != 0 && g_strcmp0(flag, flags[i].full) != 0)
                continue;
            found = flags[i].brief != NULL ? flags[i].brief : "";
            /* --help and --version win over the rest of the line */
            if (flags[i].command >= 0 && options->command != COMMAND_HELP && options->command != COMMAND_VERSION)
                options->command = (Command)flags[i].command;
        }
    }
    if (found == NULL) {
        g_set_error(&parser->error, G_OPTION_ERROR, G_OPTION_ERROR_UNKNOWN_OPTION,
                    "unknown option '%s'; ftpfs --help lists them", flag);
        return FALSE;
    }
    options->json |= strcmp(flag, "--json") == 0;
    options->check_write |= strcmp(flag, "--write-test") == 0;
    switch (found[0] != '\0' ? found[1] : '\0') {
    case 'd':
        options->debug = TRUE;
        options->foreground = TRUE;
        options->verbose = TRUE;
        break;
    case 'f':
        options->foreground = TRUE;
        break;
    case 's':
        options->single_threaded = TRUE;
        break;
    case 'v':
        options->verbose = TRUE;
        break;
    case 'r':
        options->read_only = TRUE;
        break;
    }
    return TRUE;
}

static int parse_one(void *data, const char *arg, int key, struct fuse_args *out)
{
    Parser *parser = data;

    switch (key) {
    case FUSE_OPT_KEY_NONOPT:
        g_ptr_array_add(parser->positional, g_strdup(arg));
        return 0;
    case KEY_TYPE:
    case KEY_NAMESPACE:
        if (parser->values.helper)
            return 0;
        return parse_flag(parser, arg) ? 0 : -1;
    default:
        return (arg[0] == '-' ? parse_flag(parser, arg) : parse_named(parser, arg)) ? 0 : -1;
    }
}

/* ---- What stays to be settled when all options are known ---- */

/* The scheme and the options must not contradict each other. */
static gboolean settle_tls(Parser *parser, const MountSource *source, GError **error)
{
    FtpConfig *ftp = parser->values.options->ftp;

    if (!source->tls_named)
        return TRUE;
    gboolean agrees = !parser->values.tls_set || ftp->tls == source->tls ||
                      (source->tls == FTP_TLS_IMPLICIT && ftp->tls == FTP_TLS_ON);
    if (!agrees) {
        g_set_error(
            error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
            "option 'tls' contradicts SOURCE: ftps:// is tls=implicit, ftpes:// is tls=on; write ftp:// to choose");
        return FALSE;
    }
    ftp->tls = source->tls;
    return TRUE;
}

/* A user of -o wins over the one in SOURCE, whose password is then not his. */
static void settle_user(Parser *parser, MountSource *source)
{
    FtpConfig *ftp = parser->values.options->ftp;
    OptionParse *values = &parser->values;

    if (values->user != NULL) {
        if (values->password == NULL && g_strcmp0(values->user, source->user) == 0)
            values->password = g_steal_pointer(&source->password);
        ftp->user = g_steal_pointer(&values->user);
        ftp->password = g_steal_pointer(&values->password);
    } else {
        ftp->user = g_steal_pointer(&source->user);
        ftp->password = g_steal_pointer(&source->password);
    }
}

/* curlftpfs gave the proxy's kind, name and password in options of their own; libcurl reads them all in the URL. */
static gboolean settle_proxy(Parser *parser, GError **error)
{
    FtpConfig *ftp = parser->values.options->ftp;
    const char *user = parser->values.proxy_user;

    if (ftp->proxy == NULL) {
        if (user == NULL)
            return TRUE;
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "option 'proxy_user': it needs proxy=URL, too");
        return FALSE;
    }
    const char *separator = strstr(ftp->proxy, "://");
    const char *host = separator != NULL ? separator + 3 : ftp->proxy;
    g_autofree char *scheme = separator != NULL ? g_strndup(ftp->proxy, (gsize)(separator - ftp->proxy))
                                                : g_strdup(parser->values.proxy_scheme);
    g_autoptr(GString) url = g_string_new(scheme != NULL ? scheme : "http");
    g_string_append(url, "://");
    if (user != NULL && strchr(host, '@') == NULL) {
        const char *colon = strchr(user, ':');
        g_autofree char *name = g_strndup(user, colon != NULL ? (gsize)(colon - user) : strlen(user));
        g_string_append_uri_escaped(url, name, NULL, FALSE);
        if (colon != NULL) {
            g_string_append_c(url, ':');
            g_string_append_uri_escaped(url, colon + 1, NULL, FALSE);
        }
        g_string_append_c(url, '@');
    }
    g_string_append(url, host);
    g_free(ftp->proxy);
    ftp->proxy = g_string_free(g_steal_pointer(&url), FALSE);
    return TRUE;
}

static void settle_fuse_args(Options *options)
{
    if (options->allow_other)
        g_ptr_array_add(options->fuse_args, g_strdup("-oallow_other"));
    if (options->default_permissions)
        g_ptr_array_add(options->fuse_args, g_strdup("-odefault_permissions"));
    if (options->read_only)
        g_ptr_array_add(options->fuse_args, g_strdup("-oro"));
    if (options->debug)
        g_ptr_array_add(options->fuse_args, g_strdup("-odebug"));
}

static gboolean settle_mountpoint(Options *options, const char *text, GError **error)
{
    if (*text == '\0')
        return usage_error(error, "MOUNTPOINT is empty");
    /* Links are followed where it exists; where it does not, main says so. */
    char *real = g_str_has_prefix(text, "/dev/fd/") ? NULL : realpath(text, NULL);
    options->mountpoint = real != NULL ? g_strdup(real) : g_canonicalize_filename(text, NULL);
    free(real);
    return TRUE;
}

static gboolean finish(Parser *parser, GError **error)
{
    Options *options = parser->values.options;
    const GPtrArray *words = parser->positional;

    if (options->command == COMMAND_HELP || options->command == COMMAND_VERSION)
        return TRUE;
    if (options->json && options->command != COMMAND_CHECK && options->command != COMMAND_STATUS)
        return usage_error(error, "--json goes with --check and --status");
    if (options->check_write && options->command != COMMAND_CHECK)
        return usage_error(error, "--write-test goes with --check");
    guint wanted = options->command == COMMAND_MOUNT ? 2 : 1;
    if (words->len > wanted) {
        /* Only what is too much is named: an earlier word may hold a password. */
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                    "one argument too many behind SOURCE and MOUNTPOINT; ftpfs --help says more");
        return FALSE;
    }
    if (options->command == COMMAND_STATUS)
        return words->len == 1 ? settle_mountpoint(options, words->pdata[0], error)
                               : usage_error(error, "--status needs the MOUNTPOINT of a mount");
    if (words->len == 0)
        return usage_error(error, "no SOURCE and no MOUNTPOINT");
    options->source = g_strdup(words->pdata[0]);
    mount_source_scrub(options->source);
    g_autoptr(MountSource) source = mount_source_parse(words->pdata[0], error);
    if (source == NULL)
        return FALSE;
    if (words->len < wanted)
        return usage_error(error, "no MOUNTPOINT");

    FtpConfig *ftp = options->ftp;
    g_free(ftp->host);
    g_free(ftp->path);
    ftp->host = g_steal_pointer(&source->host);
    ftp->path = g_steal_pointer(&source->path);
    ftp->port = parser->values.port != 0 ? parser->values.port : source->port;
    ftp->verbose = options->verbose;
    if (!settle_tls(parser, source, error) || !settle_proxy(parser, error))
        return FALSE;
    settle_user(parser, source);
    settle_fuse_args(options);
    if (options->umask_set) {
        options->fmask = options->fmask_set ? options->fmask : options->umask;
        options->dmask = options->dmask_set ? options->dmask : options->umask;
    }
    if (wanted == 2)
        return settle_mountpoint(options, words->pdata[1], error);
    return TRUE;
}

void options_add_source_name(Options *options)
{
    gboolean subtype = FALSE, name = FALSE;

    for (guint i = 0; i < options->fuse_args->len; i++) {
        name = name || g_str_has_prefix(options->fuse_args->pdata[i], "-ofsname=");
        subtype = subtype || g_str_has_prefix(options->fuse_args->pdata[i], "-osubtype=");
    }
    if (!name) {
        g_autofree char *text = g_strconcat("fsname=", options->source, NULL);
        g_ptr_array_add(options->fuse_args, option_fuse_arg(text));
    }
    if (!subtype)
        g_ptr_array_add(options->fuse_args, g_strdup("-osubtype=ftpfs"));
}

/* ---- Secrets in argv ---- */

/* Removes the bytes [start, end); what is left over at the text's end becomes NUL. */
static void cut(char *start, char *end)
{
    gsize rest = strlen(end);

    memmove(start, end, rest);
    explicit_bzero(start + rest, (gsize)(end - start));
}

/* In the text of a -o: the values of secret options. Of user=NAME:PASSWORD the name stays. */
static void scrub_group(char *text)
{
    char *option = text;

    while (*option != '\0') {
        char *end = option; /* at the next ',' that is not escaped */
        while (*end != '\0' && *end != ',')
            end += end[0] == '\\' && end[1] != '\0' ? 2 : 1;
        char *equals = memchr(option, '=', (gsize)(end - option));
        const OptionSpec *spec = equals != NULL ? option_table_find(option, (gsize)(equals - option)) : NULL;
        if (spec != NULL && spec->secret) {
            char *from = equals + 1;
            if (spec->apply == option_apply_user)
                from = memchr(equals, ':', (gsize)(end - equals));
            if (from != NULL) {
                cut(from, end);
                end = from;
            }
        }
        option = *end == ',' ? end + 1 : end;
    }
}

static void scrub(int argc, char **argv)
{
    gboolean words_only = FALSE, group_next = FALSE, source_seen = FALSE;

    for (int i = 1; i < argc; i++) {
        if (group_next) {
            scrub_group(argv[i]);
            group_next = FALSE;
        } else if (!words_only && strcmp(argv[i], "--") == 0) {
            words_only = TRUE;
        } else if (!words_only && argv[i][0] == '-' && argv[i][1] == 'o') {
            group_next = argv[i][2] == '\0';
            scrub_group(argv[i] + 2);
        } else if (!source_seen && (words_only || argv[i][0] != '-')) {
            source_seen = TRUE;
            if (argv[i][0] != '/') /* which is the mountpoint of --status */
                mount_source_scrub(argv[i]);
        }
    }
}

/* mount.fuse3 sets HOME to /root where there is none, also for an ordinary user. The spool and netrc need the true one.
 */
static void settle_home(void)
{
    const char *home = g_getenv("HOME");

    if (geteuid() == 0 || (home != NULL && access(home, W_OK | X_OK) == 0))
        return;
    const struct passwd *person = getpwuid(geteuid());
    if (person != NULL && person->pw_dir != NULL && person->pw_dir[0] == '/')
        g_setenv("HOME", person->pw_dir, TRUE);
}

Options *options_parse(int argc, char **argv, GError **error)
{
    static const struct fuse_opt keys[] = {FUSE_OPT_KEY("-t ", KEY_TYPE), FUSE_OPT_KEY("-N ", KEY_NAMESPACE),
                                           FUSE_OPT_END};
    g_autoptr(Options) options = options_new();
    g_autofree char *program = g_path_get_basename(argc > 0 ? argv[0] : "ftpfs");
    Parser parser = {.values = {.options = options, .helper = g_str_has_prefix(program, "mount.")},
                     .positional = g_ptr_array_new_with_free_func(g_free)};
    struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
    gboolean fine = FALSE;

    settle_home();
    if (argc > 1 && (strcmp(argv[argc - 1], "-o") == 0))
        usage_error(error, "-o needs options behind it");
    else if (argc > 1 && parser.values.helper &&
             (strcmp(argv[argc - 1], "-t") == 0 || strcmp(argv[argc - 1], "-N") == 0))
        usage_error(error, "-t and -N need a word behind them");
    else if (fuse_opt_parse(&args, &parser, keys, parse_one) != 0) {
        if (parser.error != NULL)
            g_propagate_error(error, g_steal_pointer(&parser.error));
        else
            usage_error(error, "the command line can't be understood");
    } else {
        fine = finish(&parser, error);
    }
    fuse_opt_free_args(&args);
    scrub(argc, argv);
    g_ptr_array_unref(parser.positional);
    g_free(parser.values.user);
    if (parser.values.password != NULL)
        explicit_bzero(parser.values.password, strlen(parser.values.password));
    g_free(parser.values.password);
    g_free(parser.values.proxy_user);
    return fine ? g_steal_pointer(&options) : NULL;
}
