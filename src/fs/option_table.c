/* SPDX-License-Identifier: MIT */
#include "option_table.h"

#include "option_value.h"

#include <stddef.h>
#include <string.h>

static const char *const mode_choices[] = {"auto", "passive", "active", NULL};
static const char *const switch_choices[] = {"auto", "on", "off", NULL};
static const char *const pasv_choices[] = {"auto", "server", "control", NULL};
static const char *const tls_choices[] = {"off", "try", "on", "implicit", NULL};
static const char *const tls_max_choices[] = {"1.0", "1.1", "1.2", "1.3", NULL};
static const char *const listing_choices[] = {"auto", "mlsd", "stat", "list", NULL};
static const char *const write_choices[] = {"sync", "back", NULL};
static const char *const upload_choices[] = {"auto", "atomic", "direct", NULL};
static const char *const cwd_choices[] = {"multicwd", "singlecwd", "nocwd", NULL};

#define SECONDS_MAX 2000000 /* its milliseconds fit a 32-bit long */

/* Where the value goes. */
#define OPT(field)   .place = PLACE_OPTIONS, .offset = offsetof(Options, field)
#define FTP(field)   .place = PLACE_FTP, .offset = offsetof(FtpConfig, field)
#define PARSE(field) .place = PLACE_PARSE, .offset = offsetof(OptionParse, field)

/* The shapes of a line. */
#define SWITCH(n, g, ...)                                                                                              \
    {                                                                                                                  \
        .name = (n), .argument = "on|off", .kind = OPTION_SWITCH, .group = (g), __VA_ARGS__                            \
    }
#define FLAG(n, g, ...)                                                                                                \
    {                                                                                                                  \
        .name = (n), .kind = OPTION_FLAG, .group = (g), __VA_ARGS__                                                    \
    }
#define CHOICE(n, g, c, ...)                                                                                           \
    {                                                                                                                  \
        .name = (n), .argument = "", .kind = OPTION_CHOICE, .group = (g), .choices = (c), __VA_ARGS__                  \
    }
#define NUMBER(n, arg, g, lo, hi, ...)                                                                                 \
    {                                                                                                                  \
        .name = (n), .argument = (arg), .kind = OPTION_NUMBER, .group = (g), .min = (lo), .max = (hi), __VA_ARGS__     \
    }
#define SECONDS(n, g, lo, ...) NUMBER(n, "SECONDS", g, lo, SECONDS_MAX, __VA_ARGS__)
#define TEXT(n, arg, g, ...)                                                                                           \
    {                                                                                                                  \
        .name = (n), .argument = (arg), .kind = OPTION_TEXT, .group = (g), __VA_ARGS__                                 \
    }
#define PATH(n, arg, g, ...)                                                                                           \
    {                                                                                                                  \
        .name = (n), .argument = (arg), .kind = OPTION_FILE, .group = (g), __VA_ARGS__                                 \
    }
#define OCTAL(n, g, ...)                                                                                               \
    {                                                                                                                  \
        .name = (n), .argument = "OCTAL", .kind = OPTION_OCTAL, .group = (g), __VA_ARGS__                              \
    }
#define SPECIAL(n, arg, g, f, ...)                                                                                     \
    {                                                                                                                  \
        .name = (n), .argument = (arg), .kind = OPTION_SPECIAL, .group = (g), .apply = (f), __VA_ARGS__                \
    }
#define GONE(n, arg, text)                                                                                             \
    {                                                                                                                  \
        .name = (n), .argument = (arg), .kind = OPTION_GONE, .group = GROUP_CURLFTPFS, .help = (text)                  \
    }
#define REFUSED(n, arg, text)                                                                                          \
    {                                                                                                                  \
        .name = (n), .argument = (arg), .kind = OPTION_REFUSED, .group = GROUP_CURLFTPFS, .help = (text)               \
    }
#define FUSE(n, arg, text)                                                                                             \
    {                                                                                                                  \
        .name = (n), .argument = (arg), .kind = OPTION_FUSE, .group = GROUP_FUSE, .help = (text)                       \
    }
#define GENERIC(n, arg)                                                                                                \
    {                                                                                                                  \
        .name = (n), .argument = (arg), .kind = OPTION_IGNORED, .group = GROUP_GENERIC                                 \
    }

static const OptionSpec table[] = {
    /* connection mode */
    CHOICE("mode", GROUP_MODE, mode_choices, FTP(mode), .default_text = "auto",
           .help = "who opens data connections: we do (passive) or the server does (active)"),
    FLAG("passive", GROUP_MODE, FTP(mode), .value = FTP_MODE_PASSIVE, .help = "short for mode=passive"),
    FLAG("active", GROUP_MODE, FTP(mode), .value = FTP_MODE_ACTIVE, .help = "short for mode=active"),
    CHOICE("epsv", GROUP_MODE, switch_choices, FTP(epsv), .default_text = "auto",
           .help = "passive mode by EPSV (auto: EPSV, then PASV)"),
    CHOICE("eprt", GROUP_MODE, switch_choices, FTP(eprt), .default_text = "auto",
           .help = "active mode by EPRT (auto: EPRT, then PORT)"),
    CHOICE("pasv_address", GROUP_MODE, pasv_choices, FTP(pasv_address), .default_text = "auto",
           .help = "the address in a PASV reply: believe it, or use the control connection's"),
    TEXT("active_address", "ADDRESS|INTERFACE", GROUP_MODE, FTP(active_address),
         .help = "the address announced in active mode"),
    SPECIAL("active_ports", "LOW-HIGH", GROUP_MODE, option_apply_active_ports,
            .help = "the ports that active mode listens on"),
    NUMBER("port", "N", GROUP_MODE, 1, 65535, PARSE(port), .default_text = "21, or 990 with implicit TLS",
           .help = "the control connection's port"),
    TEXT("bind", "ADDRESS|INTERFACE", GROUP_MODE, FTP(bind), .help = "connect from this address or interface"),
    FLAG("ipv4", GROUP_MODE, FTP(family), .value = FTP_FAMILY_IPV4, .help = "use IPv4 only"),
    FLAG("ipv6", GROUP_MODE, FTP(family), .value = FTP_FAMILY_IPV6, .help = "use IPv6 only"),
    NUMBER("connections", "N", GROUP_MODE, 1, 64, FTP(connections), .default_text = "10",
           .help = "at most so many control connections"),
    SECONDS("keepalive", GROUP_MODE, 0, FTP(keepalive), .default_text = "60",
            .help = "TCP keep-alive of idle connections; 0 is off"),
    TEXT("proxy", "URL", GROUP_MODE, FTP(proxy), .secret = TRUE,
         .help = "go through http://, socks4:// or socks5://[user:password@]host[:port]"),
    SWITCH("tcp_nodelay", GROUP_MODE, FTP(tcp_nodelay), .default_text = "on", .help = "send small packets at once"),

    /* time */
    SECONDS("connect_timeout", GROUP_TIME, 1, FTP(connect_timeout), .default_text = "10",
            .help = "to connect and log in"),
    SECONDS("timeout", GROUP_TIME, 1, FTP(timeout), .default_text = "30",
            .help = "without progress, then a transfer or a command has failed"),
    SECONDS("retry", GROUP_TIME, 0, FTP(retry), .default_text = "60",
            .help = "how long an operation waits for a server that is away; 0: fail at once"),

    /* TLS */
    {.name = "tls",
     .argument = "",
     .kind = OPTION_SPECIAL,
     .group = GROUP_TLS,
     .choices = tls_choices,
     .apply = option_apply_tls,
     .default_text = "off; implicit with ftps://, on with ftpes://",
     .help = "encrypt (try: where the server can; on: AUTH TLS or fail)"},
    SWITCH("tls_data", GROUP_TLS, FTP(tls_data), .default_text = "on", .help = "encrypt data connections, too"),
    SPECIAL("tls_verify", "on|off", GROUP_TLS, option_apply_tls_verify, .default_text = "on",
            .help = "check the certificate and the name in it"),
    SPECIAL("tls_pin", "sha256//BASE64", GROUP_TLS, option_apply_tls_pin,
            .help = "the server's public key must be one of these (';' between them)"),
    TEXT("tls_max", "1.0|1.1|1.2|1.3", GROUP_TLS, FTP(tls_max), .choices = tls_max_choices,
         .help = "the newest version of TLS that is offered"),
    PATH("cacert", "FILE", GROUP_TLS, FTP(cacert), .default_text = "the system's",
         .help = "certificates of the authorities to trust"),
    PATH("capath", "DIR", GROUP_TLS, FTP(capath), .default_text = "the system's", .help = "a directory of them"),
    PATH("cert", "FILE", GROUP_TLS, FTP(cert), .help = "our certificate, PEM"),
    PATH("key", "FILE", GROUP_TLS, FTP(key), .help = "our private key, PEM"),
    TEXT("ciphers", "LIST", GROUP_TLS, FTP(ciphers), .help = "ciphers, as the TLS library names them"),

    /* who */
    SPECIAL("user", "NAME", GROUP_WHO, option_apply_user, .secret = TRUE, .default_text = "anonymous",
            .help = "log in as NAME"),
    PATH("credentials", "FILE", GROUP_WHO, OPT(credentials_file),
         .help = "lines username= and password=; only its owner may read it"),
    SPECIAL("netrc", "[FILE]", GROUP_WHO, option_apply_netrc, .default_text = "~/.netrc when FILE is left out",
            .help = "look user and password up by netrc(5)"),
    FLAG("password_stdin", GROUP_WHO, OPT(password_stdin), .value = TRUE,
         .help = "the password is the first line of standard input"),
    FLAG("keyring", GROUP_WHO, OPT(keyring), .value = TRUE,
         .help = "look user and password up in the desktop's keyring"),

    /* view */
    SPECIAL("uid", "ID|NAME|server", GROUP_VIEW, option_apply_uid, .default_text = "the caller's",
            .help = "owner of all files (server: the number that the server tells)"),
    SPECIAL("gid", "ID|NAME|server", GROUP_VIEW, option_apply_gid, .default_text = "the caller's",
            .help = "group of all files (server: the number that the server tells)"),
    OCTAL("umask", GROUP_VIEW, OPT(umask), .set_offset = offsetof(Options, umask_set),
          .default_text = "the caller's, where the server tells no mode",
          .help = "permission bits taken from files and directories"),
    OCTAL("fmask", GROUP_VIEW, OPT(fmask), .set_offset = offsetof(Options, fmask_set), .default_text = "umask",
          .help = "permission bits taken from files"),
    OCTAL("dmask", GROUP_VIEW, OPT(dmask), .set_offset = offsetof(Options, dmask_set), .default_text = "umask",
          .help = "permission bits taken from directories"),
    SPECIAL("charset", "NAME", GROUP_VIEW, option_apply_charset, .default_text = "UTF-8",
            .help = "charset of the names on the server"),
    CHOICE("listing", GROUP_VIEW, listing_choices, FTP(listing), .default_text = "auto",
           .help = "the command that lists directories"),
    TEXT("list_command", "STR", GROUP_VIEW, FTP(list_command), .default_text = "LIST -a",
         .help = "sent where LIST is used"),
    SPECIAL("timezone", "ZONE", GROUP_VIEW, option_apply_timezone, .default_text = "UTC",
            .help = "zone of the times in LIST, such as Europe/Paris or +02:00"),
    SWITCH("symlinks", GROUP_VIEW, OPT(symlinks), .default_text = "on",
           .help = "show symbolic links; off: what they point to, where it is known"),
    SWITCH("hidden", GROUP_VIEW, OPT(hidden), .default_text = "on", .help = "show names that begin with a dot"),

    /* cache */
    SWITCH("cache", GROUP_CACHE, OPT(cache), .default_text = "on", .help = "remember listings and attributes"),
    SECONDS("cache_ttl", GROUP_CACHE, 0, OPT(cache_ttl), .default_text = "60",
            .help = "how long listings and attributes are believed"),
    SECONDS("negative_ttl", GROUP_CACHE, 0, OPT(negative_ttl), .default_text = "5",
            .help = "how long \"no such file\" is believed"),
    {.name = "read_ahead",
     .argument = "SIZE",
     .kind = OPTION_SIZE,
     .group = GROUP_CACHE,
     OPT(read_ahead),
     .max = G_MAXINT32,
     .default_text = "8M",
     .help = "at most so many bytes ahead of a reader"},
    NUMBER("streams", "N", GROUP_CACHE, 1, 64, OPT(streams), .default_text = "4",
           .help = "places of one file that are read at the same time"),
    SWITCH("prefetch", GROUP_CACHE, OPT(prefetch), .default_text = "on",
           .help = "list and fetch ahead of one who walks the tree"),

    /* write */
    CHOICE("write", GROUP_WRITE, write_choices, OPT(write), .default_text = "sync",
           .help = "close returns when the server has the bytes (sync) or before (back)"),
    CHOICE("upload", GROUP_WRITE, upload_choices, OPT(upload), .default_text = "auto",
           .help = "by a temporary name and rename (atomic), in place (direct), or what works"),
    SPECIAL("spool", "DIR", GROUP_WRITE, option_apply_spool,
            .default_text = "~/.cache/ftpfs, or /var/cache/ftpfs for root without a home directory",
            .help = "where bytes wait that are being written"),
    {.name = "spool_max",
     .argument = "SIZE",
     .kind = OPTION_SIZE64,
     .group = GROUP_WRITE,
     OPT(spool_max),
     .max = G_MAXINT64,
     .default_text = "0, no limit",
     .help = "at most so many bytes in the spool"},
    FLAG("ro", GROUP_WRITE, OPT(read_only), .value = TRUE, .help = "mount read-only"),
    FLAG("rw", GROUP_WRITE, OPT(read_only), .value = FALSE, .help = "mount writable; this is usual"),

    /* curlftpfs */
    SPECIAL("ftpfs_debug", "[N]", GROUP_CURLFTPFS, option_apply_debug, .help = "the protocol log, as -v"),
    FLAG("transform_symlinks", GROUP_CURLFTPFS, OPT(transform_symlinks), .value = TRUE,
         .help = "absolute targets of symbolic links point into the mount"),
    FLAG("disable_epsv", GROUP_CURLFTPFS, FTP(epsv), .value = FTP_SWITCH_OFF, .help = "epsv=off"),
    FLAG("enable_epsv", GROUP_CURLFTPFS, FTP(epsv), .value = FTP_SWITCH_AUTO, .help = "epsv=auto"),
    FLAG("skip_pasv_ip", GROUP_CURLFTPFS, FTP(pasv_address), .value = FTP_PASV_ADDRESS_CONTROL,
         .help = "pasv_address=control"),
    SPECIAL("ftp_port", "ADDRESS|-", GROUP_CURLFTPFS, option_apply_ftp_port,
            .help = "mode=active,active_address=ADDRESS; '-': the control connection's address"),
    FLAG("disable_eprt", GROUP_CURLFTPFS, FTP(eprt), .value = FTP_SWITCH_OFF, .help = "eprt=off"),
    {.name = "ftp_method",
     .argument = "",
     .kind = OPTION_GONE,
     .group = GROUP_CURLFTPFS,
     .choices = cwd_choices,
     .help = "no effect: paths are sent whole, as with nocwd"},
    SPECIAL("custom_list", "STR", GROUP_CURLFTPFS, option_apply_custom_list, .help = "listing=list,list_command=STR"),
    SPECIAL("ssl", NULL, GROUP_CURLFTPFS, option_apply_ssl, .help = "tls=on"),
    SPECIAL("ssl_control", NULL, GROUP_CURLFTPFS, option_apply_ssl, .help = "tls=on,tls_data=off"),
    SPECIAL("ssl_try", NULL, GROUP_CURLFTPFS, option_apply_ssl, .help = "tls=try"),
    FLAG("no_verify_hostname", GROUP_CURLFTPFS, FTP(tls_verify_host), .value = FALSE,
         .help = "do not check the name in the certificate"),
    FLAG("no_verify_peer", GROUP_CURLFTPFS, FTP(tls_verify_peer), .value = FALSE,
         .help = "do not check who signed the certificate"),
    SPECIAL("cert_type", "PEM", GROUP_CURLFTPFS, option_apply_pem, .help = "the form of cert=; only PEM is accepted"),
    SPECIAL("key_type", "PEM", GROUP_CURLFTPFS, option_apply_pem, .help = "the form of key=; only PEM is accepted"),
    TEXT("pass", "STR", GROUP_CURLFTPFS, FTP(key_password), .secret = TRUE, .help = "pass phrase of the private key"),
    REFUSED("engine", "NAME", "an error: crypto engines are not supported"),
    TEXT("interface", "ADDRESS|INTERFACE", GROUP_CURLFTPFS, FTP(bind), .help = "bind=ADDRESS|INTERFACE"),
    REFUSED("krb4", "LEVEL", "an error: Kerberos 4 does not exist any more; use tls=on"),
    SPECIAL("httpproxy", NULL, GROUP_CURLFTPFS, option_apply_proxy_type, .help = "proxy= without http:// is HTTP"),
    SPECIAL("socks4", NULL, GROUP_CURLFTPFS, option_apply_proxy_type, .help = "proxy= without socks4:// is SOCKS 4"),
    SPECIAL("socks5", NULL, GROUP_CURLFTPFS, option_apply_proxy_type, .help = "proxy= without socks5:// is SOCKS 5"),
    TEXT("proxy_user", "NAME:PASSWORD", GROUP_CURLFTPFS, PARSE(proxy_user), .secret = TRUE,
         .help = "user and password of the proxy"),
    GONE("proxytunnel", NULL, "no effect: an HTTP proxy is always used as a tunnel (CONNECT)"),
    GONE("proxy_anyauth", NULL, "no effect: Basic is used with a proxy"),
    GONE("proxy_basic", NULL, "no effect: Basic is used with a proxy"),
    GONE("proxy_digest", NULL, "no effect: Basic is used with a proxy"),
    GONE("proxy_ntlm", NULL, "no effect: Basic is used with a proxy"),
    GONE("tlsv1", NULL, "no effect: the newest TLS that both sides know is used; see tls_max"),
    REFUSED("sslv2", NULL, "an error: SSL 2 is broken and no library has it; use tls=on"),
    REFUSED("sslv3", NULL, "an error: SSL 3 is broken and no library has it; use tls=on"),
    SPECIAL("utf8", NULL, GROUP_CURLFTPFS, option_apply_utf8, .help = "charset=UTF-8"),
    SPECIAL("codepage", "NAME", GROUP_CURLFTPFS, option_apply_charset, .help = "charset=NAME"),
    SPECIAL("iocharset", "NAME", GROUP_CURLFTPFS, option_apply_iocharset,
            .help = "names are UTF-8 on this side; another NAME gives a warning"),
    FLAG("nomulticonn", GROUP_CURLFTPFS, FTP(connections), .value = 1, .help = "connections=1"),
    SECONDS("cache_timeout", GROUP_CURLFTPFS, 0, OPT(cache_ttl), .help = "cache_ttl=SECONDS"),
    SECONDS("cache_stat_timeout", GROUP_CURLFTPFS, 0, OPT(cache_ttl), .help = "cache_ttl=SECONDS"),
    SECONDS("cache_dir_timeout", GROUP_CURLFTPFS, 0, OPT(cache_ttl), .help = "cache_ttl=SECONDS"),
    GONE("cache_link_timeout", "SECONDS", "no effect: links are a part of the listing; see cache_ttl"),

    /* FUSE */
    FLAG("allow_other", GROUP_FUSE, OPT(allow_other), .value = TRUE, .help = "other users may use the mount"),
    FUSE("allow_root", NULL, "root may use the mount"),
    FLAG("default_permissions", GROUP_FUSE, OPT(default_permissions), .value = TRUE,
         .help = "the kernel checks permissions"),
    FUSE("auto_unmount", NULL, "unmount when the program ends in any way"),
    SPECIAL("debug", NULL, GROUP_FUSE, option_apply_debug, .help = "log of FUSE, as -d"),
    FUSE("fsname", "NAME", "the source in the mount table (SOURCE without the password)"),
    FUSE("subtype", "NAME", "the type in the mount table (ftpfs)"),
    FUSE("max_read", "N", "largest read of the kernel, in bytes"),
    FUSE("modules", "NAME[:NAME]", "modules of libfuse on top (iconv, subdir), with the five options below"),
    FUSE("from_code", "CHARSET", "of module iconv"),
    FUSE("to_code", "CHARSET", "of module iconv"),
    FUSE("subdir", "DIR", "of module subdir"),
    FUSE("rellinks", NULL, "of module subdir"),
    FUSE("norellinks", NULL, "of module subdir"),
    FUSE("noforget", NULL, "never forget inodes"),
    FUSE("remember", "SECONDS", "remember inodes"),
    FUSE("context", "LABEL", "SELinux label; likewise the next three"),
    FUSE("fscontext", "LABEL", "SELinux"),
    FUSE("defcontext", "LABEL", "SELinux"),
    FUSE("rootcontext", "LABEL", "SELinux"),
    FUSE("nosuid", NULL, "as mount(8); always so"),
    FUSE("nodev", NULL, "as mount(8); always so"),
    FUSE("exec", NULL, "as mount(8)"),
    FUSE("noexec", NULL, "as mount(8)"),
    FUSE("atime", NULL, "as mount(8)"),
    FUSE("noatime", NULL, "as mount(8)"),
    FUSE("sync", NULL, "as mount(8)"),
    FUSE("async", NULL, "as mount(8)"),
    FUSE("dirsync", NULL, "as mount(8)"),
    {.name = "remount",
     .kind = OPTION_REFUSED,
     .group = GROUP_FUSE,
     .help = "an error: a mount keeps its options; unmount it and mount it again"},
    FLAG("clone_fd", GROUP_FUSE, OPT(clone_fd), .value = TRUE, .help = "one FUSE device descriptor for each thread"),
    NUMBER("max_threads", "N", GROUP_FUSE, 1, 1024, OPT(max_threads), .default_text = "64",
           .help = "at most so many threads that answer the kernel"),
    NUMBER("max_idle_threads", "N", GROUP_FUSE, 1, 1024, OPT(max_idle_threads), .default_text = "16",
           .help = "at most so many of them idle"),

    /* for mount(8), systemd and the desktop: nothing to do here */
    GENERIC("_netdev", NULL),
    GENERIC("_rnetdev", NULL),
    GENERIC("auto", NULL),
    GENERIC("noauto", NULL),
    GENERIC("nofail", NULL),
    GENERIC("users", NULL),
    GENERIC("nousers", NULL),
    GENERIC("nouser", NULL),
    GENERIC("owner", NULL),
    GENERIC("noowner", NULL),
    GENERIC("group", NULL),
    GENERIC("nogroup", NULL),
    GENERIC("defaults", NULL),
    GENERIC("suid", NULL),
    GENERIC("dev", NULL),
    GENERIC("relatime", NULL),
    GENERIC("norelatime", NULL),
    GENERIC("strictatime", NULL),
    GENERIC("nostrictatime", NULL),
    GENERIC("diratime", NULL),
    GENERIC("nodiratime", NULL),
    GENERIC("lazytime", NULL),
    GENERIC("nolazytime", NULL),
    GENERIC("iversion", NULL),
    GENERIC("noiversion", NULL),
    GENERIC("mand", NULL),
    GENERIC("nomand", NULL),
    GENERIC("silent", NULL),
    GENERIC("loud", NULL),
    GENERIC("sub", NULL),
    GENERIC("nosub", NULL),
    GENERIC("comment", "TEXT"),
    GENERIC("uhelper", "TEXT"),
    GENERIC("helper", "TEXT"),
    GENERIC("x-", "[TEXT]"),
    /* FUSE's that have nothing to change here, or that FUSE 3 does by itself */
    GENERIC("nonempty", NULL),
    GENERIC("big_writes", NULL),
    GENERIC("large_read", NULL),
    GENERIC("intr", NULL),
    GENERIC("intr_signal", "N"),
    GENERIC("hard_remove", NULL),
    GENERIC("use_ino", NULL),
    GENERIC("readdir_ino", NULL),
    GENERIC("nopath", NULL),
    GENERIC("direct_io", NULL),
    GENERIC("kernel_cache", NULL),
    GENERIC("auto_cache", NULL),
    GENERIC("noauto_cache", NULL),
    GENERIC("no_rofd_flush", NULL),
    GENERIC("entry_timeout", "SECONDS"),
    GENERIC("attr_timeout", "SECONDS"),
    GENERIC("ac_attr_timeout", "SECONDS"),
    GENERIC("negative_timeout", "SECONDS"),
    GENERIC("max_write", "N"),
    GENERIC("max_readahead", "N"),
    GENERIC("max_background", "N"),
    GENERIC("congestion_threshold", "N"),
    GENERIC("time_gran", "N"),
    GENERIC("async_read", NULL),
    GENERIC("sync_read", NULL),
    GENERIC("atomic_o_trunc", NULL),
    GENERIC("no_remote_lock", NULL),
    GENERIC("no_remote_flock", NULL),
    GENERIC("no_remote_posix_lock", NULL),
    GENERIC("splice_write", NULL),
    GENERIC("no_splice_write", NULL),
    GENERIC("splice_move", NULL),
    GENERIC("no_splice_move", NULL),
    GENERIC("splice_read", NULL),
    GENERIC("no_splice_read", NULL),
    GENERIC("auto_inval_data", NULL),
    GENERIC("no_auto_inval_data", NULL),
    GENERIC("readdirplus", "yes|no|auto"),
    GENERIC("async_dio", NULL),
    GENERIC("no_async_dio", NULL),
    GENERIC("writeback_cache", NULL),
    GENERIC("no_writeback_cache", NULL),
    {.name = NULL},
};

const OptionSpec *option_table(void)
{
    return table;
}

const OptionSpec *option_table_find(const char *name, gsize size)
{
    if (size > 2 && (name[0] == 'x' || name[0] == 'X') && name[1] == '-') {
        name = "x-";
        size = 2;
    }
    for (const OptionSpec *spec = table; spec->name != NULL; spec++) {
        if (strlen(spec->name) == size && memcmp(spec->name, name, size) == 0)
            return spec;
    }
    return NULL;
}

const char *option_group_title(OptionGroup group)
{
    static const char *const titles[GROUP_N] = {
        [GROUP_MODE] = "connection mode",
        [GROUP_TIME] = "time",
        [GROUP_TLS] = "TLS",
        [GROUP_WHO] = "who",
        [GROUP_VIEW] = "view",
        [GROUP_CACHE] = "cache",
        [GROUP_WRITE] = "write",
        [GROUP_CURLFTPFS] = "compatible with curlftpfs",
        [GROUP_FUSE] = "FUSE and mount(8)",
        [GROUP_GENERIC] = "accepted without an effect",
    };
    return titles[group];
}
