/* SPDX-License-Identifier: MIT */
/*
 * The order matters. Everything that can be wrong is found while a person still looks at the terminal: usage,
 * credentials, login, the mount itself. Then the process forks into the background (fuse_daemonize()), which ends all
 * threads but this one, so no thread is started before: the probe runs here and keeps its session, and the fs floor
 * starts its threads when FUSE calls its init. After the loop everything is taken down in the reverse order.
 */
#include "base/log.h"
#include "base/notify.h"
#include "base/stats.h"
#include "fs/check.h"
#include "fs/credentials.h"
#include "fs/ending.h"
#include "fs/fs.h"
#include "fs/mount_table.h"
#include "fs/options.h"
#include "fs/status.h"
#include "fs/status_watch.h"
#include "ftp/ftp_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <fuse.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As mount(8). */
enum { EXIT_OK = 0, EXIT_USAGE = 1, EXIT_MOUNT = 32 };

/* One or two lines; the second says what to do. */
static int complain(const char *text, int code)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", 2);

    for (gsize i = 0; lines[i] != NULL; i++) {
        g_autofree char *shown = log_printable(lines[i], 2000);
        g_printerr("%s%s\n", i == 0 ? "ftpfs: " : "  ", shown);
    }
    return code;
}

static int print_and_free(char *text)
{
    g_print("%s", text);
    g_free(text);
    return EXIT_OK;
}

/* The mountpoint is looked at before the server is asked: it is the quicker question. */
static int check_mountpoint(const Options *options)
{
    g_autofree char *text = NULL;
    struct stat st;

    if (g_str_has_prefix(options->mountpoint, "/dev/fd/"))
        return EXIT_OK;
    if (stat(options->mountpoint, &st) != 0) {
        int problem = errno;
        if (problem == ENOTCONN)
            text = g_strdup_printf("a mount that has died is still at %s; run: fusermount3 -u %s", options->mountpoint,
                                   options->mountpoint);
        else
            text = g_strdup_printf("the mountpoint %s can't be used: %s", options->mountpoint, g_strerror(problem));
    } else if (!S_ISDIR(st.st_mode)) {
        text = g_strdup_printf("the mountpoint %s is not a directory", options->mountpoint);
    } else if (mount_table_has("/proc/self/mountinfo", options->source, options->mountpoint)) {
        text = g_strdup_printf("%s is mounted at %s already", options->source, options->mountpoint);
    }
    return text != NULL ? complain(text, EXIT_MOUNT) : EXIT_OK;
}

static int loop(struct fuse *fuse, const Options *options)
{
    if (options->single_threaded)
        return fuse_loop(fuse);
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    fuse_loop_cfg_set_clone_fd(config, (unsigned)options->clone_fd);
    fuse_loop_cfg_set_max_threads(config, options->max_threads);
    fuse_loop_cfg_set_idle_threads(config, MIN(options->max_idle_threads, options->max_threads));
    int result = fuse_loop_mt(fuse, config);
    fuse_loop_cfg_destroy(config);
    return result;
}

/* Mounted: to the background, and serve until the unmount or a signal; then what is left to be sent is sent. */
static int serve(struct fuse *fuse, Fs *fs, FtpClient *client, const Options *options, Log *log)
{
    g_autoptr(GError) error = NULL;

    if (fuse_daemonize(options->foreground) != 0)
        return complain("the program can't go to the background", EXIT_MOUNT);
    status_watch_block();
    g_autoptr(Ending) ending = ending_new(fuse_get_session(fuse), fs, client, &error);
    if (ending == NULL)
        return complain(error->message, EXIT_MOUNT);
    if (!options->foreground)
        log_to_syslog(log);
    g_autoptr(StatusWatch) watch =
        status_watch_new(fs, log, options->foreground && !options->verbose && isatty(STDERR_FILENO));
    notify_service("READY=1");
    umask(0); /* modes come from the kernel, which has applied the caller's umask */
    int result = loop(fuse, options);
    ending_loop_is_over(ending);
    notify_service("STOPPING=1");
    fuse_unmount(fuse);
    fs_finish(fs);
    if (result >= 0)
        return EXIT_OK;
    g_warning("the mount at %s has ended by an error: %s", options->mountpoint, g_strerror(-result));
    return EXIT_MOUNT;
}

static int mount_and_serve(Options *options, FtpClient *client, Stats *stats, Log *log)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Fs) fs = fs_new(options, client, stats, &error);

    if (fs == NULL)
        return complain(error->message, EXIT_MOUNT);
    options_add_source_name(options);
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
    for (guint i = 0; i < options->fuse_args->len; i++) {
        if (fuse_opt_add_arg(&args, options->fuse_args->pdata[i]) != 0)
            return complain("out of memory", EXIT_MOUNT);
    }
    struct fuse *fuse = fuse_new(&args, fs_operations(), sizeof(struct fuse_operations), fs);
    fuse_opt_free_args(&args);
    if (fuse == NULL)
        return complain("FUSE refused the options; see the line above", EXIT_MOUNT);
    int result;
    ending_block_signals();
    if (fuse_mount(fuse, options->mountpoint) != 0) {
        g_autofree char *text = g_strdup_printf("%s could not be mounted on; see the line above", options->mountpoint);
        result = complain(text, EXIT_MOUNT);
    } else {
        result = serve(fuse, fs, client, options, log);
        fuse_unmount(fuse); /* does nothing when it was done */
    }
    fuse_destroy(fuse);
    return result;
}

static int mount_command(Options *options, Log *log)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Stats) stats = stats_new();
    g_autoptr(FtpClient) client = NULL;

    if (check_mountpoint(options) != EXIT_OK)
        return EXIT_MOUNT;
    client = ftp_client_new(options->ftp, stats, &error);
    if (client == NULL || !ftp_client_probe(client, &error))
        return complain(error->message, EXIT_MOUNT);
    int result = options->fake ? EXIT_OK : mount_and_serve(options, client, stats, log);
    ftp_client_stop(client);
    return result;
}

static int run(Options *options, Log *log)
{
    g_autoptr(GError) error = NULL;

    switch (options->command) {
    case COMMAND_HELP:
        return print_and_free(options_help());
    case COMMAND_VERSION:
        return print_and_free(options_version());
    case COMMAND_STATUS:
        return status_client_run(options->mountpoint, options->json, stdout, stderr);
    case COMMAND_CHECK:
    case COMMAND_MOUNT:
        break;
    }
    if (!credentials_complete(options, &error))
        return complain(error->message, EXIT_USAGE);
    for (guint i = 0; i < options->warnings->len; i++)
        g_warning("%s", (const char *)options->warnings->pdata[i]);
    return options->command == COMMAND_CHECK ? check_run(options, stdout) : mount_command(options, log);
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Options) options = options_parse(argc, argv, &error);

    if (options == NULL)
        return complain(error->message, EXIT_USAGE);
    signal(SIGPIPE, SIG_IGN);
    Log *log = log_install(options->verbose || options->debug);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return complain("libcurl can't be started", EXIT_MOUNT);
    int result = run(options, log);
    curl_global_cleanup();
    return result;
}
