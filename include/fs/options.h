/* SPDX-License-Identifier: MIT */
/*
 * The command line. One table (options_table) describes every option: it is parsed by it, printed by --help, and the
 * man page is tested against it.
 */
#pragma once

#include "ftp/ftp_config.h"

#include <glib.h>
#include <sys/types.h>

typedef enum { COMMAND_MOUNT, COMMAND_CHECK, COMMAND_STATUS, COMMAND_HELP, COMMAND_VERSION } Command;
typedef enum { UPLOAD_AUTO, UPLOAD_ATOMIC, UPLOAD_DIRECT } UploadMethod;
typedef enum { WRITE_SYNC, WRITE_BACK } WriteMode;

typedef struct {
    Command command;
    FtpConfig *ftp;
    gboolean json;        /* --json: of --check and --status */
    gboolean check_write; /* --write-test: of --check */
    char *source;         /* SOURCE as it was given, without its password: the name in the mount table, so that mount(8)
                             finds its line of fstab again */
    char *mountpoint;     /* absolute after options_parse() */

    /* who; looked up by credentials_complete() */
    char *credentials_file;
    gboolean password_stdin;
    gboolean keyring;

    /* view */
    uid_t uid; /* default: of the caller */
    gid_t gid;
    gboolean uid_set, gid_set;
    gboolean uid_server, gid_server; /* the numbers that the server tells, where it does */
    mode_t umask, fmask, dmask; /* bits taken away; default: from the process's umask only where no mode is known */
    gboolean umask_set, fmask_set, dmask_set;
    gboolean symlinks; /* on */
    gboolean transform_symlinks;
    gboolean hidden; /* on */

    /* cache */
    guint cache_ttl;    /* seconds; 60 */
    guint negative_ttl; /* seconds; 5 */
    gboolean cache;     /* on */
    gsize read_ahead;   /* bytes, most for one stream; 8 MiB */
    guint streams;      /* of one file; 4 */
    gboolean prefetch;

    /* write */
    WriteMode write;
    UploadMethod upload;
    char *spool;      /* directory; NULL: $XDG_CACHE_HOME/ftpfs, ~/.cache/ftpfs or, for root, /var/cache/ftpfs */
    gint64 spool_max; /* bytes; 0: no limit */
    gboolean read_only;

    /* program */
    gboolean foreground, debug, single_threaded, verbose;
    gboolean allow_other, default_permissions;
    gboolean clone_fd;
    guint max_threads, max_idle_threads; /* 64, 16 */
    gboolean fake;                       /* mount -f: all but the mount */
    GPtrArray *fuse_args;                /* char*: what goes to fuse_new() and fuse_mount(): "ftpfs", "-o...", ... */
    GPtrArray *warnings;                 /* char*: one sentence each, for the log */
    GPtrArray *given; /* char*: the options of -o that matter and hold no secret, for the line that --check prints */
} Options;

/* Parses argv. Secrets in argv are overwritten in place (the source is left without its password). NULL with `error`
 * set (one or two lines, what to do included) for wrong usage. Warnings are kept in `warnings`. Not thread-safe: reads
 * the process's umask. */
Options *options_parse(int argc, char **argv, GError **error);

/* Adds the source's name for the mount table to fuse_args, unless fsname= was given. Once, when the user is known. */
void options_add_source_name(Options *options);
void options_free(Options *options);

/* The text of --help and of -V. Owned by the caller. */
char *options_help(void);
char *options_version(void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Options, options_free)
