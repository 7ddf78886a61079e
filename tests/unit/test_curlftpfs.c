/* SPDX-License-Identifier: MIT */
/* Every option that curlftpfs 0.9.2 --help lists, and its others that people use: what it leads to here, or what is
 * said about it. What the man page calls "accepted without an effect" is SILENT. */
#include "fs/options.h"

#include <stddef.h>
#include <string.h>

typedef enum {
    LEADS,   /* a number in FtpConfig (its enum, gboolean or guint) */
    LEADS_O, /* the same in Options */
    TEXT,    /* a string in FtpConfig */
    FUSE,    /* handed to libfuse */
    SILENT,  /* accepted without an effect, as the man page lists */
    WARNED,  /* accepted, and the log says why it does nothing */
    REFUSES, /* an error that says what to do */
} Outcome;

#define FTP_AT(field) offsetof(FtpConfig, field)
#define OPT_AT(field) offsetof(Options, field)

static const struct {
    const char *option;
    Outcome outcome;
    gsize offset;
    guint number;
    const char *text; /* the value, or a word of the message */
} table[] = {
    {"ftpfs_debug", LEADS_O, OPT_AT(verbose), TRUE, NULL},
    {"ftpfs_debug=2", LEADS_O, OPT_AT(verbose), TRUE, NULL},
    {"transform_symlinks", LEADS_O, OPT_AT(transform_symlinks), TRUE, NULL},
    {"disable_epsv", LEADS, FTP_AT(epsv), FTP_SWITCH_OFF, NULL},
    {"enable_epsv", LEADS, FTP_AT(epsv), FTP_SWITCH_AUTO, NULL},
    {"skip_pasv_ip", LEADS, FTP_AT(pasv_address), FTP_PASV_ADDRESS_CONTROL, NULL},
    {"ftp_port=-", LEADS, FTP_AT(mode), FTP_MODE_ACTIVE, NULL},
    {"ftp_port=eth0", TEXT, FTP_AT(active_address), 0, "eth0"},
    {"ftp_port=192.0.2.1", LEADS, FTP_AT(mode), FTP_MODE_ACTIVE, NULL},
    {"disable_eprt", LEADS, FTP_AT(eprt), FTP_SWITCH_OFF, NULL},
    {"ftp_method=multicwd", WARNED, 0, 0, "paths are sent whole"},
    {"ftp_method=singlecwd", WARNED, 0, 0, "paths are sent whole"},
    {"ftp_method=other", REFUSES, 0, 0, "singlecwd"},
    {"custom_list=LIST", TEXT, FTP_AT(list_command), 0, "LIST"},
    {"custom_list=LIST -a", LEADS, FTP_AT(listing), FTP_LISTING_LIST, NULL},
    {"tcp_nodelay", LEADS, FTP_AT(tcp_nodelay), TRUE, NULL},
    {"connect_timeout=77", LEADS, FTP_AT(connect_timeout), 77, NULL},
    {"connect_timeout=0", REFUSES, 0, 0, "from 1 to"},
    {"ssl", LEADS, FTP_AT(tls), FTP_TLS_ON, NULL},
    {"ssl", LEADS, FTP_AT(tls_data), TRUE, NULL},
    {"ssl_control", LEADS, FTP_AT(tls), FTP_TLS_ON, NULL},
    {"ssl_control", LEADS, FTP_AT(tls_data), FALSE, NULL},
    {"ssl_try", LEADS, FTP_AT(tls), FTP_TLS_TRY, NULL},
    {"no_verify_hostname", LEADS, FTP_AT(tls_verify_host), FALSE, NULL},
    {"no_verify_hostname", LEADS, FTP_AT(tls_verify_peer), TRUE, NULL},
    {"no_verify_peer", LEADS, FTP_AT(tls_verify_peer), FALSE, NULL},
    {"no_verify_peer", LEADS, FTP_AT(tls_verify_host), TRUE, NULL},
    {"cert=/c.pem", TEXT, FTP_AT(cert), 0, "/c.pem"},
    {"cert_type=PEM", SILENT, 0, 0, NULL},
    {"cert_type=DER", REFUSES, 0, 0, "only PEM"},
    {"cert_type=ENG", REFUSES, 0, 0, "only PEM"},
    {"key=/k.pem", TEXT, FTP_AT(key), 0, "/k.pem"},
    {"key_type=PEM", SILENT, 0, 0, NULL},
    {"key_type=DER", REFUSES, 0, 0, "only PEM"},
    {"key_type=ENG", REFUSES, 0, 0, "only PEM"},
    {"pass=phrase", TEXT, FTP_AT(key_password), 0, "phrase"},
    {"engine=pkcs11", REFUSES, 0, 0, "engines are not supported"},
    {"cacert=/ca.pem", TEXT, FTP_AT(cacert), 0, "/ca.pem"},
    {"capath=/ca", TEXT, FTP_AT(capath), 0, "/ca"},
    {"ciphers=HIGH", TEXT, FTP_AT(ciphers), 0, "HIGH"},
    {"interface=eth1", TEXT, FTP_AT(bind), 0, "eth1"},
    {"krb4=private", REFUSES, 0, 0, "use tls=on"},
    {"proxy=p:3128", TEXT, FTP_AT(proxy), 0, "http://p:3128"},
    {"proxytunnel", WARNED, 0, 0, "CONNECT"},
    {"proxy_anyauth", WARNED, 0, 0, "Basic"},
    {"proxy_basic", WARNED, 0, 0, "Basic"},
    {"proxy_digest", WARNED, 0, 0, "Basic"},
    {"proxy_ntlm", WARNED, 0, 0, "Basic"},
    {"proxy=p:3128,httpproxy", TEXT, FTP_AT(proxy), 0, "http://p:3128"},
    {"proxy=p,socks4", TEXT, FTP_AT(proxy), 0, "socks4://p"},
    {"socks5,proxy=p", TEXT, FTP_AT(proxy), 0, "socks5://p"},
    {"user=joe:secret", TEXT, FTP_AT(user), 0, "joe"},
    {"user=joe:secret", TEXT, FTP_AT(password), 0, "secret"},
    {"proxy=p,proxy_user=a:b", TEXT, FTP_AT(proxy), 0, "http://a:b@p"},
    {"proxy_user=a:b", REFUSES, 0, 0, "needs proxy=URL"},
    {"tlsv1", WARNED, 0, 0, "the newest TLS"},
    {"sslv3", REFUSES, 0, 0, "use tls=on"},
    {"ipv4", LEADS, FTP_AT(family), FTP_FAMILY_IPV4, NULL},
    {"ipv6", LEADS, FTP_AT(family), FTP_FAMILY_IPV6, NULL},
    {"utf8", TEXT, FTP_AT(charset), 0, "UTF-8"},
    {"codepage=cp850", TEXT, FTP_AT(charset), 0, "cp850"},
    {"codepage=no-such-page", REFUSES, 0, 0, "iconv -l"},
    {"iocharset=utf8", SILENT, 0, 0, NULL},
    {"iocharset=koi8-r", WARNED, 0, 0, "UTF-8 on this side"},
    {"nomulticonn", LEADS, FTP_AT(connections), 1, NULL},
    {"cache=no", LEADS_O, OPT_AT(cache), FALSE, NULL},
    {"cache=yes", LEADS_O, OPT_AT(cache), TRUE, NULL},
    {"cache_timeout=7", LEADS_O, OPT_AT(cache_ttl), 7, NULL},
    {"cache_stat_timeout=7", LEADS_O, OPT_AT(cache_ttl), 7, NULL},
    {"cache_dir_timeout=7", LEADS_O, OPT_AT(cache_ttl), 7, NULL},
    {"cache_link_timeout=7", WARNED, 0, 0, "part of the listing"},

    /* FUSE's, which its help lists too */
    {"debug", LEADS_O, OPT_AT(debug), TRUE, NULL},
    {"allow_other", FUSE, 0, 0, "-oallow_other"},
    {"allow_root", FUSE, 0, 0, "-oallow_root"},
    {"auto_unmount", FUSE, 0, 0, "-oauto_unmount"},
    {"default_permissions", FUSE, 0, 0, "-odefault_permissions"},
    {"fsname=nas", FUSE, 0, 0, "-ofsname=nas"},
    {"subtype=x", FUSE, 0, 0, "-osubtype=x"},
    {"max_read=4096", FUSE, 0, 0, "-omax_read=4096"},
    {"noforget", FUSE, 0, 0, "-onoforget"},
    {"remember=5", FUSE, 0, 0, "-oremember=5"},
    {"modules=subdir", FUSE, 0, 0, "-omodules=subdir"},
    {"from_code=UTF-8", FUSE, 0, 0, "-ofrom_code=UTF-8"},
    {"to_code=CP850", FUSE, 0, 0, "-oto_code=CP850"},
    {"subdir=/a", FUSE, 0, 0, "-osubdir=/a"},
    {"rellinks", FUSE, 0, 0, "-orellinks"},
    {"norellinks", FUSE, 0, 0, "-onorellinks"},
    {"umask=027", LEADS_O, OPT_AT(umask), 027, NULL},
    {"uid=7", LEADS_O, OPT_AT(uid), 7, NULL},
    {"gid=7", LEADS_O, OPT_AT(gid), 7, NULL},
    {"nonempty", SILENT, 0, 0, NULL},
    {"large_read", SILENT, 0, 0, NULL},
    {"hard_remove", SILENT, 0, 0, NULL},
    {"use_ino", SILENT, 0, 0, NULL},
    {"readdir_ino", SILENT, 0, 0, NULL},
    {"direct_io", SILENT, 0, 0, NULL},
    {"kernel_cache", SILENT, 0, 0, NULL},
    {"auto_cache", SILENT, 0, 0, NULL},
    {"noauto_cache", SILENT, 0, 0, NULL},
    {"entry_timeout=1", SILENT, 0, 0, NULL},
    {"negative_timeout=1", SILENT, 0, 0, NULL},
    {"attr_timeout=1", SILENT, 0, 0, NULL},
    {"ac_attr_timeout=1", SILENT, 0, 0, NULL},
    {"nopath", SILENT, 0, 0, NULL},
    {"intr", SILENT, 0, 0, NULL},
    {"intr_signal=10", SILENT, 0, 0, NULL},
    {"max_write=4096", SILENT, 0, 0, NULL},
    {"max_readahead=4096", SILENT, 0, 0, NULL},
    {"max_background=9", SILENT, 0, 0, NULL},
    {"congestion_threshold=9", SILENT, 0, 0, NULL},
    {"async_read", SILENT, 0, 0, NULL},
    {"sync_read", SILENT, 0, 0, NULL},
    {"atomic_o_trunc", SILENT, 0, 0, NULL},
    {"big_writes", SILENT, 0, 0, NULL},
    {"no_remote_lock", SILENT, 0, 0, NULL},
    {"no_remote_flock", SILENT, 0, 0, NULL},
    {"no_remote_posix_lock", SILENT, 0, 0, NULL},
    {"splice_write", SILENT, 0, 0, NULL},
    {"no_splice_write", SILENT, 0, 0, NULL},
    {"splice_move", SILENT, 0, 0, NULL},
    {"no_splice_move", SILENT, 0, 0, NULL},
    {"splice_read", SILENT, 0, 0, NULL},
    {"no_splice_read", SILENT, 0, 0, NULL},
};

static void check(const Options *o, gsize i)
{
    const char *base = table[i].outcome == LEADS_O ? (const char *)o : (const char *)o->ftp;
    const char *place = base + table[i].offset;

    switch (table[i].outcome) {
    case LEADS:
    case LEADS_O:
        g_assert_cmpuint(*(const guint *)place, ==, table[i].number);
        break;
    case TEXT:
        g_assert_cmpstr(*(char *const *)place, ==, table[i].text);
        break;
    case FUSE:
        g_assert_true(g_ptr_array_find_with_equal_func(o->fuse_args, table[i].text, g_str_equal, NULL));
        break;
    case WARNED:
        g_assert_cmpuint(o->warnings->len, ==, 1);
        g_assert_nonnull(strstr(o->warnings->pdata[0], table[i].text));
        return;
    default:
        break;
    }
    g_assert_cmpuint(o->warnings->len, ==, 0);
}

/* The kernel gives a command line that may be written to. */
static Options *parse(GError **error, const char *const *words)
{
    g_auto(GStrv) copy = g_strdupv((char **)words);

    g_test_message("%s", words[g_strv_length(copy) - 1]);
    return options_parse((int)g_strv_length(copy), copy, error);
}

static void test_options(void)
{
    for (gsize i = 0; i < G_N_ELEMENTS(table); i++) {
        const char *const words[] = {"curlftpfs", "h", "/mnt", "-o", table[i].option, NULL};
        g_autoptr(GError) error = NULL;
        g_autoptr(Options) o = parse(&error, words);
        if (table[i].outcome != REFUSES) {
            g_assert_no_error(error);
            check(o, i);
            continue;
        }
        g_auto(GStrv) name = g_strsplit(table[i].option, "=", 2);
        g_assert_nonnull(error);
        g_assert_nonnull(strstr(error->message, name[0]));
        g_assert_nonnull(strstr(error->message, table[i].text));
    }
}

static void test_flags(void)
{
    static const struct {
        const char *flag;
        Command command;
        gboolean verbose, foreground, single, debug;
    } flags[] = {
        {"-h", COMMAND_HELP, FALSE, FALSE, FALSE, FALSE},    {"--help", COMMAND_HELP, FALSE, FALSE, FALSE, FALSE},
        {"-V", COMMAND_VERSION, FALSE, FALSE, FALSE, FALSE}, {"--version", COMMAND_VERSION, FALSE, FALSE, FALSE, FALSE},
        {"-v", COMMAND_MOUNT, TRUE, FALSE, FALSE, FALSE},    {"--verbose", COMMAND_MOUNT, TRUE, FALSE, FALSE, FALSE},
        {"-f", COMMAND_MOUNT, FALSE, TRUE, FALSE, FALSE},    {"-s", COMMAND_MOUNT, FALSE, FALSE, TRUE, FALSE},
        {"-d", COMMAND_MOUNT, TRUE, TRUE, FALSE, TRUE},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(flags); i++) {
        const char *const words[] = {"curlftpfs", "h", "/mnt", flags[i].flag, NULL};
        g_autoptr(GError) error = NULL;
        g_autoptr(Options) o = parse(&error, words);
        g_assert_no_error(error);
        g_assert_cmpint(o->command, ==, flags[i].command);
        g_assert_cmpint(o->verbose, ==, flags[i].verbose);
        g_assert_cmpint(o->foreground, ==, flags[i].foreground);
        g_assert_cmpint(o->single_threaded, ==, flags[i].single);
        g_assert_cmpint(o->debug, ==, flags[i].debug);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/curlftpfs/options", test_options);
    g_test_add_func("/curlftpfs/flags", test_flags);
    return g_test_run();
}
