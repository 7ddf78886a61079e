/* SPDX-License-Identifier: MIT */
/* Any bytes as the lines of a FEAT reply. OPTS MLST must never carry what ends a command. */
#include "ftp/ftp_features.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size);

int LLVMFuzzerTestOneInput(const guint8 *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(FtpFeatures) features = ftp_features_new();
    g_autofree char *description = NULL;
    const char *opts;

    for (char **line = lines; *line != NULL; line++)
        ftp_features_parse_line(features, *line);
    opts = ftp_features_mlst_opts(features);
    description = ftp_features_describe(features);
    if (opts != NULL && (opts[0] == '\0' || strpbrk(opts, "\r\n *") != NULL))
        __builtin_trap();
    for (const char *c = description; *c != '\0'; c++) {
        if (!g_ascii_isprint(*c))
            __builtin_trap();
    }
    return 0;
}
