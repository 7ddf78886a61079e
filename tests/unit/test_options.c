/* SPDX-License-Identifier: MIT */
#include "fs/options.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

/* A command line in memory of its own, as the kernel gives it: it may be written to. */
typedef struct {
    GPtrArray *words;
} Line;

static Line line_new(const char *text)
{
    Line line = {g_ptr_array_new_with_free_func(g_free)};
    g_auto(GStrv) words = NULL;

    g_assert_true(g_shell_parse_argv(text, NULL, &words, NULL));
    for (gsize i = 0; words[i] != NULL; i++)
        g_ptr_array_add(line.words, g_strdup(words[i]));
    g_ptr_array_add(line.words, NULL);
    return line;
}

static Options *parse_line(Line *line, GError **error)
{
    return options_parse((int)line->words->len - 1, (char **)line->words->pdata, error);
}

static Options *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    Line line = line_new(text);
    Options *options = parse_line(&line, &error);

    g_test_message("%s", text);
    g_assert_no_error(error);
    g_assert_nonnull(options);
    g_ptr_array_unref(line.words);
    return options;
}

/* The message of a wrong line; it must hold all of the words, up to NULL. */
static void refused(const char *text, ...)
{
    g_autoptr(GError) error = NULL;
    Line line = line_new(text);
    g_autoptr(Options) options = parse_line(&line, &error);
    va_list words;

    g_test_message("%s: %s", text, error != NULL ? error->message : "accepted");
    g_assert_null(options);
    g_assert_nonnull(error);
    va_start(words, text);
    for (const char *word = va_arg(words, const char *); word != NULL; word = va_arg(words, const char *))
        g_assert_nonnull(strstr(error->message, word));
    va_end(words);
    g_ptr_array_unref(line.words);
}

static gboolean has_fuse_arg(const Options *options, const char *arg)
{
    return g_ptr_array_find_with_equal_func(options->fuse_args, arg, g_str_equal, NULL);
}

static void test_defaults(void)
{
    g_autoptr(Options) o = parse("ftpfs ftp://h/a /mnt");

    g_assert_cmpint(o->command, ==, COMMAND_MOUNT);
    g_assert_cmpstr(o->mountpoint, ==, "/mnt");
    g_assert_cmpstr(o->ftp->host, ==, "h");
    g_assert_cmpstr(o->ftp->path, ==, "a");
    g_assert_null(o->ftp->user);
    g_assert_null(o->ftp->password);
    g_assert_cmpuint(ftp_config_port(o->ftp), ==, 21);
    g_assert_cmpint(o->ftp->mode, ==, FTP_MODE_AUTO);
    g_assert_cmpuint(o->ftp->connections, ==, 10);
    g_assert_cmpuint(o->ftp->keepalive, ==, 60);
    g_assert_cmpuint(o->ftp->connect_timeout, ==, 10);
    g_assert_cmpuint(o->ftp->timeout, ==, 30);
    g_assert_cmpuint(o->ftp->retry, ==, 60);
    g_assert_true(o->ftp->tcp_nodelay);
    g_assert_cmpint(o->ftp->tls, ==, FTP_TLS_OFF);
    g_assert_true(o->ftp->tls_data && o->ftp->tls_verify_peer && o->ftp->tls_verify_host);
    g_assert_true(o->symlinks && o->hidden && o->cache);
    g_assert_true(o->prefetch);
    g_assert_false(o->read_only || o->foreground || o->debug || o->single_threaded || o->verbose);
    g_assert_cmpuint(o->cache_ttl, ==, 60);
    g_assert_cmpuint(o->negative_ttl, ==, 5);
    g_assert_cmpuint(o->read_ahead, ==, 8 << 20);
    g_assert_cmpuint(o->streams, ==, 4);
    g_assert_cmpint(o->spool_max, ==, 0);
    g_assert_cmpint(o->write, ==, WRITE_SYNC);
    g_assert_cmpint(o->upload, ==, UPLOAD_AUTO);
    g_assert_cmpuint(o->uid, ==, getuid());
    g_assert_cmpuint(o->gid, ==, getgid());
    g_assert_false(o->uid_set || o->gid_set || o->umask_set || o->fmask_set || o->dmask_set);
    g_assert_cmpuint(o->warnings->len, ==, 0);
}

static void test_values(void)
{
    g_autoptr(Options) o =
        parse("ftpfs -o mode=active,epsv=off,eprt=on,pasv_address=control,active_address=eth0,active_ports=5000-5010 "
              "-o port=2121,bind=10.0.0.1,ipv4,connections=64,keepalive=0,proxy=socks5://p:1,tcp_nodelay=off "
              "h /mnt -oconnect_timeout=1,timeout=2,retry=0 -o tls=try,tls_data=off,tls_verify=off,tls_max=1.2 "
              "-o cacert=/c,capath=/d,cert=/e,key=/f,ciphers=A:B,user=joe,credentials=/g,netrc=/h,password_stdin "
              "-o uid=1,gid=2,umask=022,fmask=0111,dmask=7,charset=ISO-8859-1,listing=stat,list_command='LIST -la' "
              "-o timezone=UTC,symlinks=off,hidden=no,cache=off,cache_ttl=0,negative_ttl=1,read_ahead=64k,streams=1 "
              "-o prefetch=off,upload=direct,spool=/s,spool_max=2G,ro -f -s -v");

    g_assert_cmpint(o->ftp->mode, ==, FTP_MODE_ACTIVE);
    g_assert_cmpint(o->ftp->epsv, ==, FTP_SWITCH_OFF);
    g_assert_cmpint(o->ftp->eprt, ==, FTP_SWITCH_ON);
    g_assert_cmpint(o->ftp->pasv_address, ==, FTP_PASV_ADDRESS_CONTROL);
    g_assert_cmpstr(o->ftp->active_address, ==, "eth0");
    g_assert_cmpuint(o->ftp->active_port_low, ==, 5000);
    g_assert_cmpuint(o->ftp->active_port_high, ==, 5010);
    g_assert_cmpuint(o->ftp->port, ==, 2121);
    g_assert_cmpstr(o->ftp->bind, ==, "10.0.0.1");
    g_assert_cmpint(o->ftp->family, ==, FTP_FAMILY_IPV4);
    g_assert_cmpuint(o->ftp->connections, ==, 64);
    g_assert_cmpuint(o->ftp->keepalive, ==, 0);
    g_assert_cmpstr(o->ftp->proxy, ==, "socks5://p:1");
    g_assert_false(o->ftp->tcp_nodelay);
    g_assert_cmpuint(o->ftp->connect_timeout, ==, 1);
    g_assert_cmpuint(o->ftp->timeout, ==, 2);
    g_assert_cmpuint(o->ftp->retry, ==, 0);
    g_assert_cmpint(o->ftp->tls, ==, FTP_TLS_TRY);
    g_assert_false(o->ftp->tls_data || o->ftp->tls_verify_peer || o->ftp->tls_verify_host);
    g_assert_cmpstr(o->ftp->tls_max, ==, "1.2");
    g_assert_cmpstr(o->ftp->cacert, ==, "/c");
    g_assert_cmpstr(o->ftp->capath, ==, "/d");
    g_assert_cmpstr(o->ftp->cert, ==, "/e");
    g_assert_cmpstr(o->ftp->key, ==, "/f");
    g_assert_cmpstr(o->ftp->ciphers, ==, "A:B");
    g_assert_cmpstr(o->ftp->user, ==, "joe");
    g_assert_cmpstr(o->credentials_file, ==, "/g");
    g_assert_true(o->ftp->netrc);
    g_assert_cmpstr(o->ftp->netrc_file, ==, "/h");
    g_assert_true(o->password_stdin);
    g_assert_cmpuint(o->uid, ==, 1);
    g_assert_cmpuint(o->gid, ==, 2);
    g_assert_true(o->uid_set && o->gid_set && o->umask_set && o->fmask_set && o->dmask_set);
    g_assert_cmpuint(o->umask, ==, 022);
    g_assert_cmpuint(o->fmask, ==, 0111);
    g_assert_cmpuint(o->dmask, ==, 7);
    g_assert_cmpstr(o->ftp->charset, ==, "ISO-8859-1");
    g_assert_cmpint(o->ftp->listing, ==, FTP_LISTING_STAT);
    g_assert_cmpstr(o->ftp->list_command, ==, "LIST -la");
    g_assert_cmpstr(o->ftp->timezone, ==, "UTC");
    g_assert_false(o->symlinks || o->hidden || o->cache);
    g_assert_cmpuint(o->cache_ttl, ==, 0);
    g_assert_cmpuint(o->negative_ttl, ==, 1);
    g_assert_cmpuint(o->read_ahead, ==, 65536);
    g_assert_cmpuint(o->streams, ==, 1);
    g_assert_false(o->prefetch);
    g_assert_cmpint(o->upload, ==, UPLOAD_DIRECT);
    g_assert_cmpstr(o->spool, ==, "/s");
    g_assert_cmpint(o->spool_max, ==, G_GINT64_CONSTANT(2) << 30);
    g_assert_true(o->read_only && o->foreground && o->single_threaded && o->verbose && o->ftp->verbose);
    g_assert_true(has_fuse_arg(o, "-oro"));
}

static void test_short_forms(void)
{
    g_autoptr(Options) passive = parse("ftpfs h /mnt -o passive");
    g_autoptr(Options) active = parse("ftpfs h /mnt -o active,active_ports=7-7");
    g_autoptr(Options) last = parse("ftpfs h /mnt -o active,mode=auto,ro,rw,umask=077,fmask=0");
    g_autoptr(Options) debug = parse("ftpfs h /mnt -d");
    g_autoptr(Options) relative = parse("ftpfs h some/dir -o cacert=ca.pem");
    g_autofree char *here = g_get_current_dir();
    g_autofree char *mountpoint = g_build_filename(here, "some/dir", NULL);
    g_autofree char *cacert = g_build_filename(here, "ca.pem", NULL);

    g_assert_cmpint(passive->ftp->mode, ==, FTP_MODE_PASSIVE);
    g_assert_cmpint(active->ftp->mode, ==, FTP_MODE_ACTIVE);
    g_assert_cmpuint(active->ftp->active_port_high, ==, 7);
    g_assert_cmpint(last->ftp->mode, ==, FTP_MODE_AUTO);
    g_assert_false(last->read_only);
    g_assert_cmpuint(last->fmask, ==, 0);
    g_assert_cmpuint(last->dmask, ==, 077);
    g_assert_true(debug->debug && debug->foreground && debug->verbose);
    g_assert_true(has_fuse_arg(debug, "-odebug"));
    g_assert_cmpstr(relative->mountpoint, ==, mountpoint);
    g_assert_cmpstr(relative->ftp->cacert, ==, cacert);
}

static void test_wrong_values(void)
{
    static const char *const wrong[] = {
        "mode=foo",
        "mode=",
        "mode",
        "passive=1",
        "epsv=maybe",
        "eprt=1",
        "pasv_address=x",
        "active_address=",
        "active_ports=0-5",
        "active_ports=9-8",
        "active_ports=1-65536",
        "active_ports=a",
        "active_ports=5",
        "active_ports=-",
        "port=0",
        "port=65536",
        "port=21x",
        "port=+21",
        "connections=0",
        "connections=65",
        "connections=-1",
        "keepalive=x",
        "connect_timeout=0",
        "connect_timeout=1.5",
        "timeout=0",
        "timeout=",
        "retry=-1",
        "retry=99999999999999999999",
        "tls=yes",
        "tls_data=x",
        "tls_verify=x",
        "tls_pin=abc",
        "tls_pin=",
        "tls_pin=sha256//xyz=",
        "tls_max=1.4",
        "tls_max=2",
        "cacert=",
        "credentials=",
        "credentials",
        "netrc=",
        "password_stdin=x",
        "uid=no-such-user-here",
        "gid=no-such-group-here",
        "umask=8",
        "umask=01000",
        "umask=-1",
        "fmask=x",
        "dmask=",
        "charset=no-such-charset",
        "charset=",
        "listing=nlst",
        "list_command=",
        "timezone=No/Such/Zone",
        "symlinks=x",
        "hidden=2",
        "cache=x",
        "cache_ttl=x",
        "negative_ttl=x",
        "read_ahead=8X",
        "read_ahead=K",
        "read_ahead=-1",
        "streams=0",
        "streams=65",
        "prefetch=x",
        "write=x",
        "upload=x",
        "spool=relative",
        "spool=",
        "spool_max=x",
        "spool_max=99999999T",
        "ro=1",
        "max_read=x",
        "max_read",
        "allow_other=1",
        "noexec=1",
        "ftp_method=x",
        "cert_type=DER",
        "key_type=ENG",
        "krb4=clear",
        "sslv3",
        "sslv2",
        "engine=x",
        "user=:x",
        "_netdev=1",
    };
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autofree char *text = g_strdup_printf("ftpfs h /mnt -o %s", wrong[i]);
        g_autofree char *name = g_strdup_printf("option '%.*s'", (int)strcspn(wrong[i], "="), wrong[i]);
        refused(text, name, NULL);
    }
    refused("ftpfs h /mnt -o mode=foo", "mode", "foo", "auto, passive, active", NULL);
    refused("ftpfs h /mnt -o port=0", "port", "'0'", "1 to 65535", NULL);
    refused("ftpfs h /mnt -o 'list_command=LIST\\012DELE x'", "list_command", "line end", NULL);
    refused("ftpfs h /mnt -o foo", "unknown option 'foo'; ftpfs --help lists them", NULL);
    refused("ftpfs h /mnt -o foo=secret", "unknown option 'foo'; ", NULL);
    refused("ftpfs h /mnt -x", "unknown option '-x'", NULL);
    refused("ftpfs h /mnt --foo", "unknown option '--foo'", NULL);
    refused("ftpfs h /mnt -o", "-o needs options", NULL);
    refused("ftpfs h /mnt more", "too many", NULL);
    refused("ftpfs h", "MOUNTPOINT", NULL);
    refused("ftpfs", "SOURCE", NULL);
    refused("ftpfs http://h /mnt", "http", "ftp://", NULL);
    refused("ftpfs --status", "MOUNTPOINT", NULL);
    refused("ftpfs h /mnt -o proxy_user=a:b", "proxy_user", "proxy=", NULL);
    refused("ftpfs ftps://h /mnt -o tls=off", "tls", "ftps://", NULL);
    refused("ftpfs ftpes://h /mnt -o tls=implicit", "tls", "ftpes://", NULL);
}

static void test_commands(void)
{
    g_autoptr(Options) help = parse("ftpfs -h");
    g_autoptr(Options) help2 = parse("ftpfs h --help");
    g_autoptr(Options) version = parse("ftpfs -V");
    g_autoptr(Options) check = parse("ftpfs --check ftp://h -o active");
    g_autoptr(Options) status = parse("ftpfs --status /mnt");
    g_autoptr(Options) dashes = parse("ftpfs -o ro -- h /mnt");
    g_autofree char *text = options_help();
    g_autofree char *versions = options_version();

    g_assert_cmpint(help->command, ==, COMMAND_HELP);
    g_assert_cmpint(help2->command, ==, COMMAND_HELP);
    g_assert_cmpint(version->command, ==, COMMAND_VERSION);
    g_assert_cmpint(check->command, ==, COMMAND_CHECK);
    g_assert_cmpstr(check->ftp->host, ==, "h");
    g_assert_cmpint(status->command, ==, COMMAND_STATUS);
    g_assert_cmpstr(status->mountpoint, ==, "/mnt");
    g_assert_cmpstr(dashes->ftp->host, ==, "h");
    g_assert_nonnull(strstr(text, "-o mode=auto|passive|active"));
    g_assert_nonnull(strstr(versions, "libcurl "));
    g_assert_nonnull(strstr(versions, "libfuse "));
    g_assert_nonnull(strstr(versions, "GLib "));
}

static void test_curlftpfs(void)
{
    g_autoptr(Options) o = parse("ftpfs curlftpfs#ftp://h /mnt -o user=joe:p:w,ftp_port=-,disable_eprt,skip_pasv_ip,"
                                 "ssl_control,no_verify_peer,codepage=CP1251,custom_list='LIST -la',cache_timeout=7,"
                                 "transform_symlinks,interface=eth1,pass=phrase,nomulticonn,ftpfs_debug,cert_type=pem");
    g_autoptr(Options) proxy =
        parse("ftpfs h /mnt -o proxy=p:3128,proxy_user=a:b@c,httpproxy,disable_epsv,ssl,cache=no");
    g_autoptr(Options) socks = parse("ftpfs h /mnt -o proxy=p,socks5,ssl_try,enable_epsv,utf8,no_verify_hostname");
    g_autoptr(Options) gone = parse("ftpfs h /mnt -o tlsv1,proxy_ntlm,ftp_method=nocwd,cache_link_timeout=1,"
                                    "iocharset=koi8-r,proxytunnel");
    g_autoptr(Options) implicit = parse("ftpfs ftps://h /mnt -o ssl");

    g_assert_cmpstr(o->ftp->user, ==, "joe");
    g_assert_cmpstr(o->ftp->password, ==, "p:w");
    g_assert_cmpint(o->ftp->mode, ==, FTP_MODE_ACTIVE);
    g_assert_null(o->ftp->active_address);
    g_assert_cmpint(o->ftp->eprt, ==, FTP_SWITCH_OFF);
    g_assert_cmpint(o->ftp->pasv_address, ==, FTP_PASV_ADDRESS_CONTROL);
    g_assert_cmpint(o->ftp->tls, ==, FTP_TLS_ON);
    g_assert_false(o->ftp->tls_data);
    g_assert_false(o->ftp->tls_verify_peer);
    g_assert_true(o->ftp->tls_verify_host);
    g_assert_cmpstr(o->ftp->charset, ==, "CP1251");
    g_assert_cmpstr(o->ftp->list_command, ==, "LIST -la");
    g_assert_cmpint(o->ftp->listing, ==, FTP_LISTING_LIST);
    g_assert_cmpuint(o->cache_ttl, ==, 7);
    g_assert_true(o->transform_symlinks && o->verbose);
    g_assert_cmpstr(o->ftp->bind, ==, "eth1");
    g_assert_cmpstr(o->ftp->key_password, ==, "phrase");
    g_assert_cmpuint(o->ftp->connections, ==, 1);
    g_assert_cmpuint(o->warnings->len, ==, 0);

    g_assert_cmpstr(proxy->ftp->proxy, ==, "http://a:b%40c@p:3128");
    g_assert_cmpint(proxy->ftp->epsv, ==, FTP_SWITCH_OFF);
    g_assert_cmpint(proxy->ftp->tls, ==, FTP_TLS_ON);
    g_assert_true(proxy->ftp->tls_data);
    g_assert_false(proxy->cache);
    g_assert_cmpstr(socks->ftp->proxy, ==, "socks5://p");
    g_assert_cmpint(socks->ftp->tls, ==, FTP_TLS_TRY);
    g_assert_cmpint(socks->ftp->epsv, ==, FTP_SWITCH_AUTO);
    g_assert_cmpstr(socks->ftp->charset, ==, "UTF-8");
    g_assert_false(socks->ftp->tls_verify_host);
    g_assert_cmpuint(gone->warnings->len, ==, 6);
    g_assert_cmpint(implicit->ftp->tls, ==, FTP_TLS_IMPLICIT);
    g_assert_cmpuint(ftp_config_port(implicit->ftp), ==, 990);
}

static void test_generic(void)
{
    g_autoptr(Options) o = parse(
        "ftpfs h /mnt -o "
        "rw,user,_netdev,_rnetdev,nofail,noauto,auto,users,nouser,owner,group,defaults,suid,dev,relatime,"
        "x-systemd.automount,x-systemd.idle-timeout=60,x-gvfs-show,X-mount.mkdir,comment=a=b,uhelper=x,helper=y,"
        "nosuid,nodev,noexec,noatime,sync,dirsync,allow_other,default_permissions,max_read=4096,nonempty,,big_writes");

    g_assert_null(o->ftp->user);
    g_assert_true(o->allow_other && o->default_permissions);
    g_assert_true(has_fuse_arg(o, "-oallow_other"));
    g_assert_true(has_fuse_arg(o, "-odefault_permissions"));
    g_assert_true(has_fuse_arg(o, "-omax_read=4096"));
    g_assert_true(has_fuse_arg(o, "-onoexec"));
    g_assert_true(has_fuse_arg(o, "-onosuid"));
    g_assert_false(has_fuse_arg(o, "-osuid"));
    g_assert_false(has_fuse_arg(o, "-odev"));
    g_assert_cmpuint(o->warnings->len, ==, 0);
}

static void test_mount_helper(void)
{
    g_autoptr(Options) o =
        parse("/sbin/mount.ftpfs ftp://h /mnt -sn -v -N /proc/1/ns/mnt -o rw,foo=1,user=joe -t fuse.x");
    g_autoptr(Options) fake = parse("mount.ftpfs ftp://h /mnt -f -o ro");

    g_assert_cmpstr(o->ftp->user, ==, "joe");
    g_assert_false(o->foreground || o->single_threaded || o->verbose || o->fake);
    g_assert_cmpuint(o->warnings->len, ==, 1);
    g_assert_true(fake->fake && fake->read_only);
    g_assert_false(fake->foreground);
    refused("mount.ftpfs ftp://h /mnt -o foo", "unknown option 'foo'", NULL);
    refused("ftpfs ftp://h /mnt -t x", "unknown option", NULL);
}

static void test_who(void)
{
    g_autoptr(Options) other = parse("ftpfs ftp://u:p@h /mnt -o user=v");
    g_autoptr(Options) same = parse("ftpfs ftp://u:p@h:1 /mnt -o user=u,port=2");
    g_autoptr(Options) comma = parse("ftpfs h /mnt -o 'user=u:a\\,b\\\\c,ro'");

    g_assert_cmpstr(other->ftp->user, ==, "v");
    g_assert_null(other->ftp->password);
    g_assert_cmpstr(same->ftp->password, ==, "p");
    g_assert_cmpuint(same->ftp->port, ==, 2);
    g_assert_cmpstr(comma->ftp->password, ==, "a,b\\c");
    g_assert_true(comma->read_only);
}

/* No secret is left in argv, whether the line was understood or not, and nothing else is changed. */
static void test_scrub(void)
{
    static const char *const pairs[][2] = {
        {"ftpfs ftp://u:SECRET@h/a /m:n@t -o ro", "ftpfs|ftp://u@h/a|/m:n@t|-o|ro"},
        {"ftpfs -o ro,user=u:SECRET,rw h /mnt", "ftpfs|-o|ro,user=u,rw|h|/mnt"},
        {"ftpfs -oro,user=u:SEC\\\\,RET h /mnt", "ftpfs|-oro,user=u|h|/mnt"},
        {"ftpfs -o pass=SECRET,proxy=http://a:SECRET@p,proxy_user=a:SECRET h /mnt -f",
         "ftpfs|-o|pass=,proxy=,proxy_user=|h|/mnt|-f"},
        {"ftpfs ftp://u:SECRET@h /mnt -o mode=foo", "ftpfs|ftp://u@h|/mnt|-o|mode=foo"},
        {"ftpfs ftp://u:SE/CRET@h /mnt", "ftpfs|ftp://u@h|/mnt"},
        {"mount.ftpfs ftp://u:SECRET@h /mnt -t fuse.x -o user=u:SECRET",
         "mount.ftpfs|ftp://u@h|/mnt|-t|fuse.x|-o|user=u"},
        {"ftpfs --status /a:b@c", "ftpfs|--status|/a:b@c"},
        {"ftpfs --check u:SECRET@h -o user=v", "ftpfs|--check|u@h|-o|user=v"},
        {"ftpfs -- ftp://u:SECRET@h /mnt", "ftpfs|--|ftp://u@h|/mnt"},
        {"ftpfs -f -o ro", "ftpfs|-f|-o|ro"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(pairs); i++) {
        Line line = line_new(pairs[i][0]);
        options_free(parse_line(&line, NULL)); /* some are wrong lines: NULL */
        g_autofree char *left = g_strjoinv("|", (char **)line.words->pdata);

        g_assert_cmpstr(left, ==, pairs[i][1]);
        g_ptr_array_unref(line.words);
    }
}

static void test_source_name(void)
{
    g_autoptr(Options) o = parse("ftpfs 'ftp://u:SECRET@h/a,b c' /mnt -o user=u");
    g_autoptr(Options) own = parse("ftpfs h /mnt -o 'fsname=my\\,name,subtype=x'");

    options_add_source_name(o);
    g_assert_true(has_fuse_arg(o, "-ofsname=ftp://u@h/a\\,b c"));
    g_assert_true(has_fuse_arg(o, "-osubtype=ftpfs"));
    options_add_source_name(own);
    g_assert_true(has_fuse_arg(own, "-ofsname=my\\,name"));
    g_assert_false(has_fuse_arg(own, "-osubtype=ftpfs"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/options/defaults", test_defaults);
    g_test_add_func("/options/values", test_values);
    g_test_add_func("/options/short-forms", test_short_forms);
    g_test_add_func("/options/wrong-values", test_wrong_values);
    g_test_add_func("/options/commands", test_commands);
    g_test_add_func("/options/curlftpfs", test_curlftpfs);
    g_test_add_func("/options/generic", test_generic);
    g_test_add_func("/options/mount-helper", test_mount_helper);
    g_test_add_func("/options/who", test_who);
    g_test_add_func("/options/scrub", test_scrub);
    g_test_add_func("/options/source-name", test_source_name);
    return g_test_run();
}
