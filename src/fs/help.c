/* SPDX-License-Identifier: MIT */
#include "fs/options.h"
#include "keyring.h"
#include "option_table.h"

#include <curl/curl.h>
#include <fuse.h>
#include <string.h>

#define NAME_COLUMN 30

static const char usage_text[] =
    "usage: ftpfs [OPTIONS] SOURCE MOUNTPOINT      mount\n"
    "       ftpfs --check [--json] [--write-test] SOURCE [-o OPTIONS]\n"
    "                                              say step by step what works\n"
    "       ftpfs --status [--json] MOUNTPOINT     say what a live mount is doing\n"
    "       fusermount3 -u MOUNTPOINT              unmount\n"
    "\n"
    "SOURCE is ftp://[user[:password]@]host[:port][/path], ftps://... (implicit TLS), ftpes://... (explicit TLS)\n"
    "or host[:port][/path]. /path is relative to the login directory, //path to the server's root.\n"
    "\n"
    "general:\n"
    "    -h, --help                  this text\n"
    "    -V, --version               versions of ftpfs and of its libraries\n"
    "    -f                          stay in the foreground\n"
    "    -d                          foreground, with a log of FUSE and of the protocol\n"
    "    -s                          one thread only\n"
    "    -v, --verbose               log the protocol, the password hidden\n"
    "    -r                          mount read-only\n"
    "    --json                      --check and --status print one JSON object\n"
    "    --write-test                --check also writes, in a directory that it makes and removes\n";

/* "name=a|b|c", "name[=FILE]", "name" */
static char *synopsis(const OptionSpec *spec)
{
    g_autofree char *choices = spec->choices != NULL ? g_strjoinv("|", (char **)spec->choices) : NULL;
    const char *argument = choices != NULL ? choices : spec->argument;

    if (argument == NULL)
        return g_strdup(spec->name);
    if (argument[0] == '[')
        return g_strdup_printf("%s[=%s", spec->name, argument + 1);
    return g_strdup_printf("%s=%s", spec->name, argument);
}

static void append_option(GString *text, const OptionSpec *spec)
{
    g_autofree char *name = synopsis(spec);

    g_string_append_printf(text, "    -o %-*s", NAME_COLUMN - 8, name);
    if (strlen(name) > NAME_COLUMN - 8)
        g_string_append_printf(text, "\n%*s", NAME_COLUMN - 1, "");
    g_string_append_printf(text, "   %s", spec->help);
    if (spec->default_text != NULL)
        g_string_append_printf(text, " (default: %s)", spec->default_text);
    g_string_append_c(text, '\n');
}

/* Names only, in lines of about 100 columns. */
static void append_names(GString *text)
{
    gsize column = 0;

    for (const OptionSpec *spec = option_table(); spec->name != NULL; spec++) {
        if (spec->group != GROUP_GENERIC)
            continue;
        if (column == 0 || column > 90) {
            g_string_append(text, column == 0 ? "    user" : "\n   ");
            column = 4;
        }
        const char *star = strcmp(spec->name, "x-") == 0 ? "*" : spec->argument != NULL ? "=" : "";
        g_string_append_printf(text, " %s%s", spec->name, star);
        column += strlen(spec->name) + 1;
    }
    g_string_append_c(text, '\n');
}

char *options_help(void)
{
    GString *text = g_string_new(usage_text);

    for (OptionGroup group = 0; group < GROUP_N; group++) {
        g_string_append_printf(text, "\n%s:\n", option_group_title(group));
        if (group == GROUP_GENERIC) {
            append_names(text);
            continue;
        }
        for (const OptionSpec *spec = option_table(); spec->name != NULL; spec++) {
            if (spec->group == group)
                append_option(text, spec);
        }
    }
    g_string_append(text, "\nftpfs(1) says more.\n");
    return g_string_free(text, FALSE);
}

char *options_version(void)
{
    const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
    GString *text = g_string_new("ftpfs " FTPFS_VERSION "\n");

    g_string_append_printf(text, "libfuse %s\n", fuse_pkgversion());
    g_string_append_printf(text, "libcurl %s (%s)\n", curl->version,
                           curl->ssl_version != NULL ? curl->ssl_version : "without TLS");
    g_string_append_printf(text, "GLib %u.%u.%u\n", glib_major_version, glib_minor_version, glib_micro_version);
#ifdef HAVE_OPENSSL
    const char *openssl = "+openssl";
#else
    const char *openssl = "-openssl";
#endif
    g_string_append_printf(text, "features: %s (TLS of active data connections, sessions that outlive a cut read), ",
                           openssl);
    g_string_append_printf(text, "%clibsecret (keyring)\n", keyring_is_built_in() ? '+' : '-');
    return g_string_free(text, FALSE);
}
