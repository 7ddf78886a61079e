/* SPDX-License-Identifier: MIT */
/*
 * The write test. All of it happens in one new directory whose name nobody else has, and only names that were made here
 * are removed. What a server can't do (times, modes, a rename over a file) is told and is no failure: a mount does
 * without. That bytes arrive and that nothing is left behind is asked for.
 */
#include "check_private.h"

#include "base/bound.h"

#include <errno.h>
#include <string.h>

#define CONTENT_SIZE 1000
#define OFFSET       300
#define TEST_MTIME   1000000000 /* 2001-09-09 01:46:40 UTC */

typedef struct {
    FtpClient *client;
    CheckReport *report;
    const FtpConfig *ftp;
    RemotePath *directory, *first, *second;
    gboolean first_there, second_there;
} WriteTest;

static Bound bound_of(const WriteTest *test)
{
    return bound_seconds(3.0 * test->ftp->connect_timeout + 2.0 * test->ftp->timeout);
}

static FtpCall call_of(const Bound *bound)
{
    return (FtpCall){.bound = bound, .priority = FTP_PRIORITY_PERSON};
}

static gboolean tell(const WriteTest *test, const char *step, CheckResult otherwise, int error, const char *good)
{
    if (error == 0) {
        check_report_step(test->report, step, CHECK_OK, "%s", good);
    } else {
        g_autofree char *why = check_why(error, NULL);
        check_report_step(test->report, step, otherwise, "%s", why);
    }
    return error == 0;
}

/* The content of a file: CONTENT_SIZE times the same letter, with the number of each byte to see a shift. */
static char content_at(char letter, gint64 offset)
{
    return offset % 10 == 0 ? (char)('0' + offset / 100 % 10) : letter;
}

static gssize give_content(void *bytes, gsize size, gint64 offset, gpointer data)
{
    gsize n = MIN(size, (gsize)MAX(CONTENT_SIZE - offset, 0));

    for (gsize i = 0; i < n; i++)
        ((char *)bytes)[i] = content_at(*(const char *)data, offset + (gint64)i);
    return (gssize)n;
}

static int store(const WriteTest *test, const RemotePath *path, char letter)
{
    Bound bound = bound_of(test);
    FtpCall call = call_of(&bound);

    return ftp_client_store(test->client, &call, path, FTP_STORE_WHOLE, CONTENT_SIZE, NULL, give_content, &letter);
}

typedef struct {
    char letter;
    gint64 offset;
    gboolean same;
} Compare;

static int compare_bytes(const void *bytes, gsize size, gpointer data)
{
    Compare *compare = data;

    for (gsize i = 0; i < size; i++)
        compare->same = compare->same && ((const char *)bytes)[i] == content_at(compare->letter, compare->offset++);
    return 0;
}

/* 0 when the file has these bytes from `offset` on, -EBADMSG when it has others. */
static int compare_from(const WriteTest *test, const RemotePath *path, char letter, gint64 offset)
{
    Bound bound = bound_of(test);
    FtpCall call = call_of(&bound);
    Compare compare = {letter, offset, TRUE};
    FtpRetrieved retrieved;
    g_autoptr(FtpTransfer) transfer = ftp_transfer_new();

    int error = ftp_client_retrieve(test->client, &call, path, offset, transfer, compare_bytes, &compare, &retrieved);
    if (error == 0 && (!compare.same || compare.offset != CONTENT_SIZE))
        error = -EBADMSG;
    return error;
}

static void check_size(const WriteTest *test)
{
    Bound bound = bound_of(test);
    FtpCall call = call_of(&bound);
    FtpAttr attr = {0};

    int error = ftp_client_size_and_time(test->client, &call, test->first, &attr);
    if (error == 0 && (attr.has & FTP_HAS_SIZE) && attr.size != CONTENT_SIZE)
        check_report_step(test->report, "size", CHECK_NO, "%d bytes were sent, SIZE says %" G_GINT64_FORMAT,
                          CONTENT_SIZE, attr.size);
    else if (error == 0 && !(attr.has & FTP_HAS_SIZE))
        check_report_step(test->report, "size", CHECK_NO, "the server does not tell it by SIZE");
    else
        tell(test, "size", CHECK_NO, error, "as it was sent");
}

static void check_mtime(const WriteTest *test)
{
    Bound bound = bound_of(test);
    FtpCall call = call_of(&bound);
    FtpAttr attr = {0};

    int error = ftp_client_set_mtime(test->client, &call, test->first, TEST_MTIME);
    if (error == 0 && ftp_client_size_and_time(test->client, &call, test->first, &attr) == 0 &&
        (attr.has & FTP_HAS_MTIME) && attr.mtime != TEST_MTIME)
        check_report_step(test->report, "set time", CHECK_NO, "accepted, but the time is another one");
    else
        tell(test, "set time", CHECK_NO, error, "the time of a file can be set");
}

static void check_mode_bits(const WriteTest *test)
{
    Bound bound = bound_of(test);
    FtpCall call = call_of(&bound);

    tell(test, "chmod", CHECK_NO, ftp_client_set_mode(test->client, &call, test->first, 0600),
         "the mode of a file can be set");
}

static gboolean check_rename(WriteTest *test)
{
    Bound bound = bound_of(test);
    FtpCall call = call_of(&bound);

    int error = store(test, test->second, 'b');
    if (error != 0)
        return tell(test, "rename", CHECK_FAILED, error, "");
    test->second_there = TRUE;
    error = ftp_client_rename(test->client, &call, test->second, test->first);
    if (error != 0) {
        check_report_step(test->report, "rename", CHECK_NO, "the server does not rename over an existing file");
        return TRUE;
    }
    test->second_there = FALSE;
    return tell(test, "rename", CHECK_FAILED, compare_from(test, test->first, 'b', 0),
                "over an existing file, which is replaced");
}

static gboolean run(WriteTest *test)
{
    int error = store(test, test->first, 'a');

    test->first_there = TRUE; /* also after a failure: half of it may be there */
    if (!tell(test, "upload", CHECK_FAILED, error, "bytes arrive"))
        return FALSE;
    check_size(test);
    error = compare_from(test, test->first, 'a', OFFSET);
    if (error == -EBADMSG) {
        check_report_step(test->report, "read back", CHECK_FAILED, "what comes back is not what was sent");
        return FALSE;
    }
    tell(test, "read back", CHECK_NO, error, "the same bytes, from an offset (REST)");
    check_mtime(test);
    check_mode_bits(test);
    return check_rename(test);
}

static gboolean clean_up(const WriteTest *test)
{
    Bound bound = bound_of(test);
    FtpCall call = call_of(&bound);

    if (test->first_there)
        ftp_client_delete(test->client, &call, test->first);
    if (test->second_there)
        ftp_client_delete(test->client, &call, test->second);
    int error = ftp_client_rmdir(test->client, &call, test->directory);
    if (error == 0) {
        check_report_step(test->report, "clean up", CHECK_OK, "nothing was left behind");
        return TRUE;
    }
    g_autofree char *why = check_why(error, NULL);
    check_report_step(test->report, "clean up", CHECK_FAILED, "%s can't be removed: %s",
                      remote_path_bytes(test->directory), why);
    return FALSE;
}

gboolean check_write(const FtpConfig *ftp, FtpClient *client, CheckReport *report)
{
    g_autofree char *name = g_strdup_printf("/ftpfs-check-%08x%08x", (guint)g_random_int(), (guint)g_random_int());
    g_autofree char *first_name = g_strconcat(name, "/first", NULL), *second_name = g_strconcat(name, "/second", NULL);
    g_autoptr(RemotePath) directory = NULL, first = NULL, second = NULL;

    int error = ftp_client_path(client, name, &directory);
    if (error == 0)
        error = ftp_client_path(client, first_name, &first);
    if (error == 0)
        error = ftp_client_path(client, second_name, &second);
    WriteTest test = {client, report, ftp, directory, first, second, FALSE, FALSE};
    Bound bound = bound_of(&test);
    FtpCall call = call_of(&bound);
    if (error == 0)
        error = ftp_client_mkdir(client, &call, directory);
    if (!tell(&test, "mkdir", CHECK_FAILED, error, error == 0 ? remote_path_bytes(directory) : ""))
        return FALSE;
    gboolean good = run(&test);
    return clean_up(&test) && good;
}
