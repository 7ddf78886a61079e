/* SPDX-License-Identifier: MIT */
#include "fs/credentials.h"

#include "ask.h"
#include "keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX_SIZE 65536

/* ---- credentials=FILE ---- */

/* systemd hands a service its credentials in a directory that only the service sees. The files are root's and, by an
 * access control list, open to the service's user; the mode shows that as a right of the group. */
static mode_t forbidden_bits(const char *path)
{
    const char *directory = g_getenv("CREDENTIALS_DIRECTORY");
    g_autofree char *above = g_path_get_dirname(path);

    return directory != NULL && *directory == '/' && strcmp(above, directory) == 0 ? 026 : 066;
}

/* Only a file that nobody else may read or write is believed; whoever could change it could log us in elsewhere. */
static gboolean read_file(const char *path, Secret **ret, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* never waits at a FIFO */
    struct stat st;

    if (fd < 0)
        return ask_fail(error, "the credentials file %s can't be opened: %s", path, g_strerror(errno));
    gboolean fine = FALSE;
    if (fstat(fd, &st) != 0)
        ask_fail(error, "the credentials file %s can't be read: %s", path, g_strerror(errno));
    else if (!S_ISREG(st.st_mode))
        ask_fail(error, "the credentials file %s is not a regular file", path);
    else if (st.st_uid != 0 && st.st_uid != geteuid())
        ask_fail(error, "the credentials file %s belongs to another user; it must be yours or root's", path);
    else if ((st.st_mode & forbidden_bits(path)) != 0)
        ask_fail(error, "the credentials file %s is open to other users; run: chmod 600 %s", path, path);
    else if (st.st_size > FILE_MAX_SIZE)
        ask_fail(error, "the credentials file %s is too large to be one", path);
    else
        fine = TRUE;
    if (fine) {
        char *text = g_malloc0(FILE_MAX_SIZE + 1);
        gsize size = 0;
        ssize_t n;
        while (size < FILE_MAX_SIZE && (n = ask_read_some(fd, text + size, FILE_MAX_SIZE - size)) != 0) {
            if (n < 0) {
                fine = ask_fail(error, "the credentials file %s can't be read: %s", path, g_strerror(errno));
                break;
            }
            size += (gsize)n;
        }
        if (fine && strlen(text) != size)
            fine = ask_fail(error, "the credentials file %s has a NUL byte in it", path);
        if (fine)
            *ret = text;
        else {
            explicit_bzero(text, FILE_MAX_SIZE);
            g_free(text);
        }
    }
    close(fd);
    return fine;
}

/* The value behind one of two names and '=', or NULL. Blanks around the name are passed over; the value is taken as it
 * is, since a password may begin or end with a blank. */
static const char *value_of(const char *line, const char *name, const char *other)
{
    line += strspn(line, " \t");
    const char *equals = strchr(line, '=');
    if (equals == NULL)
        return NULL;
    gsize size = (gsize)(equals - line);
    while (size > 0 && (line[size - 1] == ' ' || line[size - 1] == '\t'))
        size--;
    if ((strlen(name) == size && strncmp(line, name, size) == 0) ||
        (strlen(other) == size && strncmp(line, other, size) == 0))
        return equals + 1;
    return NULL;
}

static void replace(char **place, const char *value)
{
    secret_free(*place);
    *place = g_strdup(value);
}

/* The names are those of mount.cifs(8). A line that is not understood is named by its number only: it may be a password
 * that lacks its name. */
static gboolean parse_file(Options *options, char *text, char **ret_user, char **ret_password, GError **error)
{
    const char *path = options->credentials_file;
    guint number = 0;

    for (char *line = text, *next = NULL; line != NULL; line = next) {
        char *end = strchr(line, '\n');
        next = end != NULL ? end + 1 : NULL;
        number++;
        if (end == NULL)
            end = line + strlen(line);
        if (end > line && end[-1] == '\r')
            end[-1] = '\0';
        *end = '\0';
        if (strchr(line, '\r') != NULL)
            return ask_fail(error, "the credentials file %s has a carriage return within line %u", path, number);
        const char *first = line + strspn(line, " \t");
        const char *value;
        if (*first == '\0' || *first == '#')
            continue;
        if ((value = value_of(line, "username", "user")) != NULL)
            replace(ret_user, value);
        else if ((value = value_of(line, "password", "pass")) != NULL)
            replace(ret_password, value);
        else if (value_of(line, "domain", "dom") != NULL)
            g_ptr_array_add(options->warnings,
                            g_strdup_printf("%s, line %u: FTP has no domain; the line is ignored", path, number));
        else
            return ask_fail(error,
                            "the credentials file %s: line %u is not understood; lines are username=NAME and "
                            "password=PASSWORD",
                            path, number);
    }
    return TRUE;
}

static gboolean from_file(Options *options, GError **error)
{
    FtpConfig *ftp = options->ftp;
    g_autoptr(Secret) text = NULL, password = NULL;
    g_autofree char *user = NULL;

    if (!read_file(options->credentials_file, &text, error))
        return FALSE;
    /* parse_file() cuts the text into lines: wiping needs the whole size. */
    gsize size = strlen(text);
    gboolean fine = parse_file(options, text, &user, &password, error);
    explicit_bzero(text, size);
    if (!fine)
        return FALSE;
    if (user != NULL && *user == '\0')
        g_clear_pointer(&user, g_free);
    if (ftp->user != NULL && user != NULL && strcmp(ftp->user, user) != 0)
        return ask_fail(error, "the credentials file %s is for the user '%s', but SOURCE or user= says '%s'",
                        options->credentials_file, user, ftp->user);
    if (ftp->user == NULL)
        ftp->user = g_steal_pointer(&user);
    if (ftp->user == NULL && password != NULL)
        return ask_fail(error, "the credentials file %s has a password but no username= line",
                        options->credentials_file);
    if (ftp->password == NULL)
        ftp->password = g_steal_pointer(&password);
    return TRUE;
}

/* ---- Standard input ---- */

static gboolean from_stdin(Options *options, GError **error)
{
    if (options->ftp->user == NULL)
        return ask_fail(error, "option 'password_stdin': whose password is it? Add user=NAME");
    int result = ask_read_line(STDIN_FILENO, "standard input", &options->ftp->password, error);
    if (result == 0)
        ask_fail(error, "option 'password_stdin': standard input ended before a line came");
    return result == 1;
}

/* ---- The keyring ---- */

static void from_keyring(Options *options)
{
    FtpConfig *ftp = options->ftp;
    g_autoptr(GError) problem = NULL;
    gboolean tls = ftp->tls != FTP_TLS_OFF;

    if (!keyring_lookup(ftp->host, ftp->port, tls, &ftp->user, &ftp->password, &problem))
        g_ptr_array_add(options->warnings, g_strdup_printf("option 'keyring': %s", problem->message));
}

/* ---- A person ---- */

static gboolean from_person(Options *options, GError **error)
{
    FtpConfig *ftp = options->ftp;
    g_autofree char *question = g_strdup_printf("Password of %s at %s: ", ftp->user, ftp->host);
    int tty = ask_open_terminal();
    const char *program = ask_program_name(tty >= 0);
    gboolean fine;

    if (program != NULL)
        fine = ask_program(program, question, &ftp->password, error);
    else if (tty >= 0)
        fine = ask_terminal(tty, question, &ftp->password, error);
    else
        fine =
            ask_fail(error,
                     "no password for the user '%s' at %s, and no terminal to ask on; use credentials=FILE, netrc or "
                     "password_stdin",
                     ftp->user, ftp->host);
    if (tty >= 0)
        close(tty);
    return fine;
}

/* ---- All of them ---- */

gboolean credentials_complete(Options *options, GError **error)
{
    FtpConfig *ftp = options->ftp;

    if (options->credentials_file != NULL && ftp->password == NULL && !from_file(options, error))
        return FALSE;
    if (options->password_stdin && ftp->password == NULL && !from_stdin(options, error))
        return FALSE;
    if (ftp->password != NULL)
        return TRUE;
    if (ftp->netrc)
        return TRUE; /* libcurl looks there, for the user, too */
    if (options->keyring)
        from_keyring(options);
    if (ftp->password != NULL)
        return TRUE;
    if (ftp->user == NULL)
        ftp->user = g_strdup("anonymous");
    if (strcmp(ftp->user, "anonymous") == 0 || strcmp(ftp->user, "ftp") == 0) {
        ftp->password = g_strdup("ftpfs@"); /* RFC 1635, 3: an address, which no server checks */
        return TRUE;
    }
    return from_person(options, error);
}
