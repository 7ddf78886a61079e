/* SPDX-License-Identifier: MIT */
/* FEAT replies as servers send them, and what trying teaches. */
#include "ftp/ftp_features.h"

#include <string.h>

#define ALL_BITS ((1u << 16) - 1)

static FtpFeatures *parse(const char *reply)
{
    g_auto(GStrv) lines = g_strsplit(reply, "\n", -1);
    FtpFeatures *features = ftp_features_new();

    for (char **line = lines; *line != NULL; line++)
        ftp_features_parse_line(features, *line);
    return features;
}

static guint bits(const FtpFeatures *features)
{
    guint found = 0;

    for (guint bit = 1; bit <= ALL_BITS; bit <<= 1) {
        if (ftp_features_has(features, (FtpFeature)bit))
            found |= bit;
    }
    return found;
}

static const struct {
    const char *server;
    const char *reply;
    guint bits;
    const char *mlst_opts;
} replies[] = {
    {"vsftpd",
     "211-Features:\r\n AUTH SSL\r\n AUTH TLS\r\n EPRT\r\n EPSV\r\n MDTM\r\n PASV\r\n PBSZ\r\n PROT\r\n REST STREAM\r\n"
     " SIZE\r\n TVFS\r\n UTF8\r\n211 End\r\n",
     FTP_FEATURE_AUTH_TLS | FTP_FEATURE_EPRT | FTP_FEATURE_EPSV | FTP_FEATURE_MDTM | FTP_FEATURE_REST |
         FTP_FEATURE_SIZE | FTP_FEATURE_TVFS | FTP_FEATURE_UTF8,
     NULL},
    {"proftpd",
     "211-Features:\r\n CLNT\r\n CSID\r\n EPRT\r\n EPSV\r\n HOST\r\n LANG en-US*\r\n MDTM\r\n"
     " MFF modify;UNIX.group;UNIX.mode;\r\n MFMT\r\n"
     " MLST modify*;perm*;size*;type*;unique*;UNIX.group*;UNIX.groupname*;UNIX.mode*;UNIX.owner*;UNIX.ownername*;\r\n"
     " REST STREAM\r\n SITE COPY\r\n SITE MKDIR\r\n SITE RMDIR\r\n SITE SYMLINK\r\n SITE UTIME\r\n SIZE\r\n TVFS\r\n"
     " UTF8\r\n211 End\r\n",
     FTP_FEATURE_EPRT | FTP_FEATURE_EPSV | FTP_FEATURE_MDTM | FTP_FEATURE_MFF | FTP_FEATURE_MFF_UNIX_MODE |
         FTP_FEATURE_MFMT | FTP_FEATURE_MLST | FTP_FEATURE_REST | FTP_FEATURE_SITE_SYMLINK | FTP_FEATURE_SITE_UTIME |
         FTP_FEATURE_SIZE | FTP_FEATURE_TVFS | FTP_FEATURE_UTF8,
     NULL},
    {"pure-ftpd",
     "211-Extensions supported:\r\n UTF8\r\n EPRT\r\n IDLE\r\n MDTM\r\n SIZE\r\n MFMT\r\n REST STREAM\r\n"
     " MLST type*;size*;sizd*;modify*;UNIX.mode*;UNIX.uid*;UNIX.gid*;unique*;\r\n MLSD\r\n PRET\r\n AUTH TLS\r\n "
     "PBSZ\r\n"
     " PROT\r\n TVFS\r\n ESTA\r\n PASV\r\n EPSV\r\n ESTP\r\n211 End.\r\n",
     FTP_FEATURE_UTF8 | FTP_FEATURE_EPRT | FTP_FEATURE_MDTM | FTP_FEATURE_SIZE | FTP_FEATURE_MFMT | FTP_FEATURE_REST |
         FTP_FEATURE_MLST | FTP_FEATURE_AUTH_TLS | FTP_FEATURE_TVFS | FTP_FEATURE_EPSV,
     NULL},
    {"pyftpdlib",
     "211-Features supported:\r\n EPRT\r\n EPSV\r\n MDTM\r\n MFMT\r\n"
     " MLST type*;perm*;size*;modify*;unique*;unix.mode;unix.uid;unix.gid;\r\n REST STREAM\r\n SIZE\r\n TVFS\r\n "
     "UTF8\r\n"
     "211 End FEAT.\r\n",
     FTP_FEATURE_EPRT | FTP_FEATURE_EPSV | FTP_FEATURE_MDTM | FTP_FEATURE_MFMT | FTP_FEATURE_MLST | FTP_FEATURE_REST |
         FTP_FEATURE_SIZE | FTP_FEATURE_TVFS | FTP_FEATURE_UTF8,
     "type;perm;size;modify;unix.mode;unix.uid;unix.gid;"},
    {"filezilla",
     "211-Features:\r\n MDTM\r\n REST STREAM\r\n SIZE\r\n MLST type*;size*;modify*;\r\n MLSD\r\n AUTH SSL\r\n AUTH "
     "TLS\r\n"
     " PROT\r\n PBSZ\r\n UTF8\r\n CLNT\r\n MFMT\r\n EPSV\r\n EPRT\r\n211 End\r\n",
     FTP_FEATURE_MDTM | FTP_FEATURE_REST | FTP_FEATURE_SIZE | FTP_FEATURE_MLST | FTP_FEATURE_AUTH_TLS |
         FTP_FEATURE_UTF8 | FTP_FEATURE_MFMT | FTP_FEATURE_EPSV | FTP_FEATURE_EPRT,
     NULL},
    {"iis",
     "211-Extended features supported:\r\n LANG EN*\r\n UTF8\r\n AUTH TLS;TLS-C;SSL;TLS-P;\r\n PBSZ\r\n PROT C;P;\r\n "
     "CCC\r\n"
     " HOST\r\n SIZE\r\n MDTM\r\n REST STREAM\r\n211 END\r\n",
     FTP_FEATURE_UTF8 | FTP_FEATURE_AUTH_TLS | FTP_FEATURE_SIZE | FTP_FEATURE_MDTM | FTP_FEATURE_REST, NULL},
    {"serv-u",
     "211-Extension supported\r\n CLNT\r\n MDTM\r\n MDTM YYYYMMDDHHMMSS[+-TZ];filename\r\n SIZE\r\n"
     " SITE PSWD;EXEC;SET;INDEX;ZONE;CHMOD;MSG\r\n REST STREAM\r\n XCRC filename;start;end\r\n AVBL\r\n"
     " MLST Type*;Size*;Create;Modify;Win32.ea*;\r\n211 End\r\n",
     FTP_FEATURE_MDTM | FTP_FEATURE_SIZE | FTP_FEATURE_SITE_CHMOD | FTP_FEATURE_REST | FTP_FEATURE_AVBL |
         FTP_FEATURE_MLST,
     "Type;Size;Modify;"},
    {"codes on each line", "211-SIZE\n211-mdtm\n211-Features\n211-rest stream\n211 End\n",
     FTP_FEATURE_SIZE | FTP_FEATURE_MDTM | FTP_FEATURE_REST, NULL},
    {"no space, any case", "size\nRest Stream\nmlst TYPE*;SIZE;\nUtf-8\nauth tls-p\n",
     FTP_FEATURE_SIZE | FTP_FEATURE_REST | FTP_FEATURE_MLST | FTP_FEATURE_UTF8 | FTP_FEATURE_AUTH_TLS, "TYPE;SIZE;"},
    {"MLST without facts", " MLST\r\n", FTP_FEATURE_MLST, NULL},
    {"MLST with facts that nobody needs", " MLST unique;media-type;\r\n", FTP_FEATURE_MLST, NULL},
    {"MLST without stars", " MLST size\r\n", FTP_FEATURE_MLST, "size;"},
    {"the last MLST counts", " MLST size;\r\n MLST size*;\r\n", FTP_FEATURE_MLST, NULL},
    {"nothing", "500 Unknown command.\r\n", 0, NULL},
    {"nothing at all", "\r\n\r\n \r\n", 0, NULL},
    {"near misses", " SIZES\n SIZ\n REST\n REST STREAMS\n AUTH SSL\n AUTH\n SITE\n SITE HELP\n MDTMX\n MFFX\n*;;\n", 0,
     NULL},
};

static void test_reply(gconstpointer data)
{
    guint i = GPOINTER_TO_UINT(data);
    g_autoptr(FtpFeatures) features = parse(replies[i].reply);

    g_assert_cmphex(bits(features), ==, replies[i].bits);
    g_assert_cmpstr(ftp_features_mlst_opts(features), ==, replies[i].mlst_opts);
}

static void test_describe(void)
{
    g_autoptr(FtpFeatures) features = parse("211-Features:\r\n MDTM\r\n REST STREAM \r\n X\033[1mY\r\n211 End\r\n");
    g_autoptr(FtpFeatures) none = ftp_features_new();
    g_autofree char *text = ftp_features_describe(features);
    g_autofree char *empty = ftp_features_describe(none);

    g_assert_cmpstr(text, ==, "MDTM, REST STREAM, X?[1mY");
    g_assert_cmpstr(empty, ==, "none");
}

static void test_describe_is_bounded(void)
{
    g_autoptr(FtpFeatures) features = ftp_features_new();
    g_autofree char *line = g_strnfill(5000, 'A');
    g_autofree char *text = NULL;

    for (guint i = 0; i < 1000; i++)
        ftp_features_parse_line(features, line);
    text = ftp_features_describe(features);
    g_assert_cmpuint(strlen(text), <=, 4096);
}

static void test_learn(void)
{
    g_autoptr(FtpFeatures) features = parse(" MFMT\r\n");

    g_assert_true(ftp_features_has(features, FTP_FEATURE_MFMT));
    g_assert_true(ftp_features_may_try(features, FTP_FEATURE_MFMT));
    g_assert_false(ftp_features_has(features, FTP_FEATURE_SITE_CHMOD));
    g_assert_true(ftp_features_may_try(features, FTP_FEATURE_SITE_CHMOD));

    ftp_features_learn(features, FTP_FEATURE_MFMT, FALSE);
    g_assert_false(ftp_features_has(features, FTP_FEATURE_MFMT));
    g_assert_false(ftp_features_may_try(features, FTP_FEATURE_MFMT));
    g_assert_true(ftp_features_may_try(features, FTP_FEATURE_SITE_CHMOD));

    ftp_features_learn(features, FTP_FEATURE_SITE_CHMOD, TRUE);
    g_assert_true(ftp_features_has(features, FTP_FEATURE_SITE_CHMOD));
    ftp_features_learn(features, FTP_FEATURE_SITE_CHMOD, FALSE);
    g_assert_false(ftp_features_has(features, FTP_FEATURE_SITE_CHMOD));
    ftp_features_learn(features, FTP_FEATURE_MFMT, TRUE);
    g_assert_true(ftp_features_has(features, FTP_FEATURE_MFMT));
    g_assert_true(ftp_features_may_try(features, FTP_FEATURE_MFMT));
}

static gpointer learn_one(gpointer data)
{
    FtpFeatures *features = data;

    for (guint i = 0; i < 1000; i++) {
        ftp_features_learn(features, FTP_FEATURE_MLST, i % 2 == 0);
        (void)ftp_features_has(features, FTP_FEATURE_MLST);
    }
    return NULL;
}

/* Threads that learn of one feature do not lose what is known of another. */
static void test_threads(void)
{
    g_autoptr(FtpFeatures) features = ftp_features_new();
    GThread *threads[4];

    ftp_features_learn(features, FTP_FEATURE_AVBL, FALSE);
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("learn", learn_one, features);
    for (guint i = 0; i < 1000; i++)
        ftp_features_learn(features, FTP_FEATURE_SIZE, TRUE);
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
    g_assert_true(ftp_features_has(features, FTP_FEATURE_SIZE));
    g_assert_false(ftp_features_may_try(features, FTP_FEATURE_AVBL));
}

static void test_free_null(void)
{
    ftp_features_free(NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(replies); i++) {
        g_autofree char *path = g_strdup_printf("/ftp_features/reply/%s", replies[i].server);

        g_test_add_data_func(path, GUINT_TO_POINTER(i), test_reply);
    }
    g_test_add_func("/ftp_features/describe", test_describe);
    g_test_add_func("/ftp_features/describe_is_bounded", test_describe_is_bounded);
    g_test_add_func("/ftp_features/learn", test_learn);
    g_test_add_func("/ftp_features/threads", test_threads);
    g_test_add_func("/ftp_features/free_null", test_free_null);
    return g_test_run();
}
