/* SPDX-License-Identifier: MIT */
/*
 * A FileReader against a stand-in for the client: this file defines the functions of ftp/ftp_client.h that the reader
 * calls, so that the linker takes these. The stand-in has one file whose byte `i` is pattern(i), and sessions that are
 * counted: who finds none free asks the transfers that run to give theirs up, as the pool does.
 *
 * Nothing measures time; every read is bounded by WAIT_SECONDS, after which the test fails instead of hanging.
 */
#include "fs/file_reader.h"

#include <errno.h>
#include <string.h>

#define WAIT_SECONDS 60
#define CHUNK        ((gsize)16 * 1024)
#define MIB          ((gint64)1024 * 1024)

struct FtpTransfer {
    gint refs;
    gint cut, wanted;
    GMutex lock;
    void (*func)(gpointer data); /* guarded by lock, which is held while it runs */
    gpointer data;
};

struct FtpClient {
    gint64 length;      /* bytes that the file really has */
    gint64 told;        /* what SIZE says; -1: it can't */
    gint64 break_after; /* bytes after which a transfer breaks; 0: never */
    int fail;           /* -errno of every RETR */
    guint fail_first;   /* so many RETRs fail with -EIO before one works */
    gint64 rate;        /* bytes a second that one transfer gets; 0: as fast as it goes */
    gint64 first_wait;  /* µs before the first byte of the first one */

    FileReaderShared shared;
    GMutex lock;
    GCond changed;
    guint sessions;     /* free ones */
    guint spare;        /* that open_ahead can still log in */
    guint retrieves;    /* RETRs so far */
    guint ahead;        /* of them, with FTP_PRIORITY_AHEAD that got a session */
    GPtrArray *running; /* FtpTransfer */
};

/* ---- The stand-in ---- */

static guint8 pattern(gint64 offset)
{
    return (guint8)((guint64)offset * 2654435761u >> 13);
}

FtpTransfer *ftp_transfer_new(void)
{
    FtpTransfer *transfer = g_new0(FtpTransfer, 1);
    transfer->refs = 1;
    g_mutex_init(&transfer->lock);
    return transfer;
}

FtpTransfer *ftp_transfer_ref(FtpTransfer *transfer)
{
    g_atomic_int_inc(&transfer->refs);
    return transfer;
}

void ftp_transfer_unref(FtpTransfer *transfer)
{
    if (!transfer || !g_atomic_int_dec_and_test(&transfer->refs))
        return;
    g_mutex_clear(&transfer->lock);
    g_free(transfer);
}

void ftp_transfer_cut(FtpTransfer *transfer)
{
    g_atomic_int_set(&transfer->cut, TRUE);
}

gboolean ftp_transfer_wanted(const FtpTransfer *transfer)
{
    return g_atomic_int_get(&transfer->wanted);
}

void ftp_transfer_set_wanted_func(FtpTransfer *transfer, void (*func)(gpointer data), gpointer data)
{
    g_mutex_lock(&transfer->lock);
    transfer->func = func;
    transfer->data = data;
    g_mutex_unlock(&transfer->lock);
}

static void transfer_want(FtpTransfer *transfer)
{
    if (!g_atomic_int_compare_and_exchange(&transfer->wanted, FALSE, TRUE))
        return;
    g_mutex_lock(&transfer->lock);
    if (transfer->func)
        transfer->func(transfer->data);
    g_mutex_unlock(&transfer->lock);
}

static FtpClient *client_new(gint64 length, guint sessions)
{
    FtpClient *client = g_new0(FtpClient, 1);
    client->length = client->told = length;
    client->sessions = sessions;
    g_mutex_init(&client->lock);
    g_cond_init(&client->changed);
    client->running = g_ptr_array_new();
    return client;
}

void ftp_client_free(FtpClient *client)
{
    g_assert_cmpuint(client->running->len, ==, 0); /* no thread is inside it any more */
    g_ptr_array_unref(client->running);
    g_mutex_clear(&client->lock);
    g_cond_clear(&client->changed);
    g_free(client);
}

gboolean ftp_client_is_away(FtpClient *client)
{
    return FALSE;
}

static int client_take(FtpClient *client, const FtpCall *call, FtpTransfer *transfer)
{
    int error = 0;
    g_mutex_lock(&client->lock);
    client->retrieves++;
    gboolean ahead = call->priority == FTP_PRIORITY_AHEAD;
    if (ahead && client->sessions == 0)
        error = -EBUSY;
    else if (ahead)
        client->ahead++;
    while (client->sessions == 0 && error == 0) {
        if (g_atomic_int_get(&transfer->cut)) {
            error = -ECANCELED;
            break;
        }
        for (guint i = 0; i < client->running->len && client->sessions == 0; i++) {
            g_autoptr(FtpTransfer) victim = ftp_transfer_ref(client->running->pdata[i]);
            g_mutex_unlock(&client->lock);
            transfer_want(victim);
            g_mutex_lock(&client->lock);
        }
        if (client->sessions == 0)
            error = bound_wait(call->bound, &client->changed, &client->lock);
    }
    if (error == 0) {
        client->sessions--;
        g_ptr_array_add(client->running, transfer);
    }
    g_mutex_unlock(&client->lock);
    return error;
}

int ftp_client_open_ahead(FtpClient *client, const Bound *bound)
{
    g_mutex_lock(&client->lock);
    gboolean may = client->spare > 0;
    client->spare -= may ? 1 : 0;
    client->sessions += may ? 1 : 0;
    g_cond_broadcast(&client->changed);
    g_mutex_unlock(&client->lock);
    return may ? 0 : -EBUSY;
}

static void client_give(FtpClient *client, FtpTransfer *transfer)
{
    g_mutex_lock(&client->lock);
    client->sessions++;
    g_ptr_array_remove(client->running, transfer);
    g_cond_broadcast(&client->changed);
    g_mutex_unlock(&client->lock);
}

static int client_send(FtpClient *client, const FtpCall *call, gint64 offset, FtpTransfer *transfer, FtpSinkFunc sink,
                       gpointer data, FtpRetrieved *ret)
{
    g_autofree guint8 *chunk = g_malloc(CHUNK);
    if (client->first_wait > 0 && ret->bytes == 0 && offset == 0)
        g_usleep((gulong)client->first_wait);
    while (offset < client->length) {
        if (g_atomic_int_get(&transfer->cut))
            return 0;
        if (call->bound && bound_check(call->bound) < 0)
            return -EINTR;
        if (client->break_after > 0 && ret->bytes >= client->break_after)
            return -ECONNRESET;
        if (client->rate > 0)
            g_usleep((gulong)((gint64)CHUNK * G_USEC_PER_SEC / client->rate));
        gsize n = MIN((gint64)CHUNK, client->length - offset);
        for (gsize i = 0; i < n; i++)
            chunk[i] = pattern(offset + (gint64)i);
        int answer = sink(chunk, n, data);
        offset += (gint64)n;
        ret->bytes += (gint64)n;
        if (answer != 0)
            return answer > 0 ? 0 : answer;
    }
    ret->complete = TRUE;
    return 0;
}

int ftp_client_retrieve(FtpClient *client, const FtpCall *call, const RemotePath *path, gint64 offset,
                        FtpTransfer *transfer, FtpSinkFunc sink, gpointer data, FtpRetrieved *ret)
{
    *ret = (FtpRetrieved){.announced = -1};
    int error = client_take(client, call, transfer);
    if (error < 0)
        return error;
    if (client->fail < 0)
        error = client->fail;
    else if (client->fail_first > 0 && client->fail_first--)
        error = -EIO;
    else
        error = client_send(client, call, offset, transfer, sink, data, ret);
    client_give(client, transfer);
    return error;
}

int ftp_client_size_and_time(FtpClient *client, const FtpCall *call, const RemotePath *path, FtpAttr *ret)
{
    if (client->told < 0)
        return -EOPNOTSUPP;
    *ret = (FtpAttr){.size = client->told, .has = FTP_HAS_SIZE};
    return 0;
}

int ftp_client_stat(FtpClient *client, const FtpCall *call, const RemotePath *path, FtpAttr *ret, char **ret_target)
{
    return -EOPNOTSUPP;
}

/* ---- Helpers ---- */

/* A file on a long, slow wire, and a reader with small segments. */
static FtpClient *client_new_far(gint64 length, guint sessions, guint spare)
{
    FtpClient *client = client_new(length, sessions);
    client->spare = spare;
    client->first_wait = G_USEC_PER_SEC / 4;
    client->rate = 16 * MIB;
    return client;
}

static FileReader *reader_new_small(FtpClient *client)
{
    g_autoptr(RemotePath) path = NULL;
    FileReaderConfig config = {.shared = &client->shared, .streams = 4, .read_ahead = MIB / 2, .retry = WAIT_SECONDS};
    g_assert_cmpint(remote_path_new("/", "file", &path), ==, 0);
    return file_reader_new(client, path, client->length, &config);
}

static FileReader *reader_new(FtpClient *client, gint64 size, guint retry)
{
    g_autoptr(RemotePath) path = NULL;
    FileReaderConfig config = {.shared = &client->shared, .streams = 4, .read_ahead = 8 * MIB, .retry = retry};
    g_assert_cmpint(remote_path_new("/", "file", &path), ==, 0);
    return file_reader_new(client, path, size, &config);
}

static gssize read_at(FileReader *reader, gint64 offset, gsize size)
{
    g_autofree guint8 *bytes = g_malloc(size);
    Bound bound = bound_seconds(WAIT_SECONDS);
    gssize n = file_reader_read(reader, &bound, bytes, size, offset);
    for (gssize i = 0; i < n; i++) {
        if (bytes[i] != pattern(offset + i))
            g_error("wrong byte at %" G_GINT64_FORMAT, offset + i);
    }
    return n;
}

static void read_all(FileReader *reader, gint64 from, gint64 to, gsize piece)
{
    for (gint64 offset = from; offset < to; offset += (gint64)piece)
        g_assert_cmpint(read_at(reader, offset, piece), ==, MIN((gint64)piece, to - offset));
}

/* ---- Tests ---- */

static void test_sequential(void)
{
    g_autoptr(FtpClient) client = client_new(10 * MIB + 123, 6);
    g_autoptr(FileReader) reader = reader_new(client, client->length, 60);
    read_all(reader, 0, client->length, 128 * 1024);
    g_assert_cmpuint(client->retrieves, ==, 1);
    g_assert_cmpint(read_at(reader, client->length, 10), ==, 0);
    g_assert_cmpint(read_at(reader, client->length + 1000, 10), ==, 0);
    g_assert_cmpint(read_at(reader, -1, 10), ==, -EINVAL);
}

static void test_empty(void)
{
    g_autoptr(FtpClient) client = client_new(0, 1);
    g_autoptr(FileReader) reader = reader_new(client, 0, 60);
    g_assert_cmpint(read_at(reader, 0, 10), ==, 0);
    g_assert_cmpuint(client->retrieves, ==, 0);
}

static void test_random(void)
{
    g_autoptr(FtpClient) client = client_new(20 * MIB, 2);
    g_autoptr(FileReader) reader = reader_new(client, client->length, 60);
    for (int i = 0; i < 200; i++) {
        gint64 offset = g_test_rand_int_range(0, (gint32)client->length);
        gsize size = g_test_rand_int_range(1, 300000);
        g_assert_cmpint(read_at(reader, offset, size), ==, MIN((gint64)size, client->length - offset));
    }
}

/* A read that is larger than a window. */
static void test_large(void)
{
    g_autoptr(FtpClient) client = client_new(20 * MIB, 2);
    g_autoptr(FileReader) reader = reader_new(client, client->length, 60);
    g_assert_cmpint(read_at(reader, 5 * MIB + 1, 15 * MIB), ==, 15 * MIB - 1);
    g_assert_cmpint(read_at(reader, 0, 20 * MIB), ==, 20 * MIB);
}

static void test_broken(void)
{
    g_autoptr(FtpClient) client = client_new(3 * MIB, 2);
    client->break_after = 200 * 1024;
    g_autoptr(FileReader) reader = reader_new(client, client->length, 0);
    read_all(reader, 0, client->length, 100 * 1000);
    read_all(reader, MIB, client->length, 64 * 1024);
}

static void test_late(void)
{
    g_autoptr(FtpClient) client = client_new(MIB, 2);
    client->fail_first = 2;
    g_autoptr(FileReader) reader = reader_new(client, client->length, WAIT_SECONDS);
    read_all(reader, 0, client->length, 64 * 1024);
}

static void test_refused(void)
{
    g_autoptr(FtpClient) client = client_new(MIB, 2);
    client->fail = -EREMOTEIO;
    g_autoptr(FileReader) reader = reader_new(client, client->length, WAIT_SECONDS);
    g_assert_cmpint(read_at(reader, 0, 10), ==, -EREMOTEIO);
    client->fail = 0;
    g_assert_cmpint(read_at(reader, 0, 10), ==, 10);
}

static void test_away(void)
{
    g_autoptr(FtpClient) client = client_new(MIB, 2);
    client->fail = -ETIMEDOUT;
    g_autoptr(FileReader) reader = reader_new(client, client->length, 0);
    g_assert_cmpint(read_at(reader, 5000, 10), ==, -ETIMEDOUT);
}

/* The file became shorter, and the server says so. */
static void test_shorter(void)
{
    g_autoptr(FtpClient) client = client_new(600 * 1000, 2);
    g_autoptr(FileReader) reader = reader_new(client, MIB, 60);
    g_assert_cmpint(read_at(reader, 590 * 1000, 20 * 1000), ==, 10 * 1000);
    g_assert_cmpint(read_at(reader, 0, MIB), ==, 600 * 1000);
}

/* The data ends early although the file is longer: never short silently. */
static void test_truncated(void)
{
    g_autoptr(FtpClient) client = client_new(600 * 1000, 2);
    client->told = MIB;
    g_autoptr(FileReader) reader = reader_new(client, MIB, 60);
    g_assert_cmpint(read_at(reader, 590 * 1000, 20 * 1000), ==, -EIO);
    client->told = -1; /* a server that can't say it is not believed either */
    g_assert_cmpint(read_at(reader, 590 * 1000, 20 * 1000), ==, -EIO);
    g_assert_cmpint(read_at(reader, 0, 500 * 1000), ==, 500 * 1000);
}

static void test_longer(void)
{
    g_autoptr(FtpClient) client = client_new(2 * MIB, 2);
    g_autoptr(FileReader) reader = reader_new(client, MIB, 60);
    read_all(reader, 0, MIB, 100 * 1000);
}

static void test_unknown_size(void)
{
    g_autoptr(FtpClient) client = client_new(MIB + 5, 2);
    g_autoptr(FileReader) reader = reader_new(client, -1, 60);
    g_assert_cmpint(read_at(reader, 0, 2 * MIB), ==, MIB + 5);
    g_assert_cmpint(read_at(reader, MIB, 100), ==, 5);
}

/* One session, two files that are read by turns: each read gives the session up for the other. */
static void test_one_session(void)
{
    g_autoptr(FtpClient) client = client_new(4 * MIB, 1);
    g_autoptr(FileReader) one = reader_new(client, client->length, 60);
    g_autoptr(FileReader) other = reader_new(client, client->length, 60);
    for (gint64 offset = 0; offset < client->length; offset += 128 * 1024) {
        g_assert_cmpint(read_at(one, offset, 128 * 1024), ==, 128 * 1024);
        g_assert_cmpint(read_at(other, offset, 128 * 1024), ==, 128 * 1024);
    }
}

static gpointer read_forward(gpointer data)
{
    read_all(data, 0, 4 * MIB, 128 * 1024);
    return NULL;
}

static gpointer read_here_and_there(gpointer data)
{
    for (gint64 i = 1; i < 100; i++)
        g_assert_cmpint(read_at(data, (i * 7919 * 4096) % (3 * MIB), 20000), ==, 20000);
    return NULL;
}

/* Readers of two files at once, forward and elsewhere, with few sessions. */
static void test_parallel(gconstpointer data)
{
    g_autoptr(FtpClient) client = client_new(4 * MIB, GPOINTER_TO_UINT(data));
    g_autoptr(FileReader) one = reader_new(client, client->length, 60);
    g_autoptr(FileReader) other = reader_new(client, client->length, 60);
    GThread *threads[] = {
        g_thread_new("forward", read_forward, one),       g_thread_new("forward", read_forward, one),
        g_thread_new("forward", read_forward, other),     g_thread_new("random", read_here_and_there, one),
        g_thread_new("random", read_here_and_there, one), g_thread_new("random", read_here_and_there, other),
    };
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
}

/* A large file that comes slowly is fetched by several streams. */
static void test_segments(void)
{
    g_autoptr(FtpClient) client = client_new_far(12 * MIB + 77, 1, 3);
    g_autoptr(FileReader) reader = reader_new_small(client);
    read_all(reader, 0, client->length, 128 * 1024);
    g_assert_cmpuint(client->ahead, >=, 3);
    g_assert_cmpint(read_at(reader, client->length, 10), ==, 0);
}

/* Each of them breaks again and again. */
static void test_segments_break(void)
{
    g_autoptr(FtpClient) client = client_new_far(6 * MIB, 4, 0);
    client->break_after = 700 * 1000;
    g_autoptr(FileReader) reader = reader_new_small(client);
    read_all(reader, 0, client->length, 100 * 1000);
    g_assert_cmpuint(client->ahead, >=, 1);
}

/* No session is to spare: one stream does it, and is not cut where another was to begin. */
static void test_segments_refused(void)
{
    g_autoptr(FtpClient) client = client_new_far(6 * MIB, 1, 0);
    g_autoptr(FileReader) reader = reader_new_small(client);
    read_all(reader, 0, client->length, 128 * 1024);
    g_assert_cmpuint(client->ahead, ==, 0);
}

static gpointer read_slow_file(gpointer data)
{
    read_all(data, 0, 6 * MIB, 128 * 1024);
    return NULL;
}

/* Two files at once, whose streams ahead take the sessions that the other one wants. */
static void test_segments_wanted(gconstpointer data)
{
    g_autoptr(FtpClient) client = client_new_far(6 * MIB, GPOINTER_TO_UINT(data), 0);
    g_autoptr(FileReader) one = reader_new_small(client);
    g_autoptr(FileReader) other = reader_new_small(client);
    GThread *threads[] = {g_thread_new("one", read_slow_file, one), g_thread_new("other", read_slow_file, other),
                          g_thread_new("elsewhere", read_here_and_there, other)};
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
}

/* Reading that stops, and is freed, in the middle of the segments. */
static void test_segments_left(void)
{
    g_autoptr(FtpClient) client = client_new_far(12 * MIB, 4, 0);
    g_autoptr(FileReader) reader = reader_new_small(client);
    read_all(reader, 0, 2 * MIB, 128 * 1024);
    g_assert_cmpint(read_at(reader, 9 * MIB, 100), ==, 100);
    g_assert_cmpint(read_at(reader, 0, 100), ==, 100);
}

/* A small file in which somebody reads here and there. */
static void test_whole(void)
{
    g_autoptr(FtpClient) client = client_new(3 * MIB, 4);
    g_autoptr(FileReader) reader = reader_new(client, client->length, 60);
    g_assert_cmpint(read_at(reader, 2 * MIB, 100), ==, 100);
    g_assert_cmpint(read_at(reader, MIB, 100), ==, 100);
    for (int i = 0; i < 100; i++)
        g_assert_cmpint(read_at(reader, g_test_rand_int_range(0, 3 * MIB - 5000), 5000), ==, 5000);
    for (int i = 0; i < 100; i++) { /* once it is all here, nothing is asked for */
        guint before = client->retrieves;
        for (int k = 0; k < 20; k++)
            g_assert_cmpint(read_at(reader, g_test_rand_int_range(0, 3 * MIB - 5000), 5000), ==, 5000);
        if (client->retrieves == before) {
            g_assert_cmpuint(client->ahead, ==, 1);
            return;
        }
    }
    g_error("the whole file was never there");
}

/* Freed while its stream is full and waits. */
static void test_free(void)
{
    g_autoptr(FtpClient) client = client_new(20 * MIB, 2);
    FileReader *reader = reader_new(client, client->length, 60);
    g_assert_cmpint(read_at(reader, 0, 10), ==, 10);
    file_reader_free(reader);
    file_reader_free(NULL);
}

static gboolean always(gpointer data)
{
    return TRUE;
}

static void test_interrupted(void)
{
    g_autoptr(FtpClient) client = client_new(MIB, 0); /* no session ever */
    g_autoptr(FileReader) reader = reader_new(client, client->length, 60);
    Bound bound = {.deadline = G_MAXINT64, .interrupted = always};
    char byte;
    g_assert_cmpint(file_reader_read(reader, &bound, &byte, 1, 0), ==, -EINTR);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/file_reader/sequential", test_sequential);
    g_test_add_func("/file_reader/empty", test_empty);
    g_test_add_func("/file_reader/random", test_random);
    g_test_add_func("/file_reader/large", test_large);
    g_test_add_func("/file_reader/broken", test_broken);
    g_test_add_func("/file_reader/late", test_late);
    g_test_add_func("/file_reader/refused", test_refused);
    g_test_add_func("/file_reader/away", test_away);
    g_test_add_func("/file_reader/shorter", test_shorter);
    g_test_add_func("/file_reader/truncated", test_truncated);
    g_test_add_func("/file_reader/longer", test_longer);
    g_test_add_func("/file_reader/unknown-size", test_unknown_size);
    g_test_add_func("/file_reader/one-session", test_one_session);
    g_test_add_data_func("/file_reader/parallel/1", GUINT_TO_POINTER(1), test_parallel);
    g_test_add_data_func("/file_reader/parallel/2", GUINT_TO_POINTER(2), test_parallel);
    g_test_add_data_func("/file_reader/parallel/6", GUINT_TO_POINTER(6), test_parallel);
    g_test_add_func("/file_reader/segments", test_segments);
    g_test_add_func("/file_reader/segments/break", test_segments_break);
    g_test_add_func("/file_reader/segments/refused", test_segments_refused);
    g_test_add_data_func("/file_reader/segments/wanted/1", GUINT_TO_POINTER(1), test_segments_wanted);
    g_test_add_data_func("/file_reader/segments/wanted/3", GUINT_TO_POINTER(3), test_segments_wanted);
    g_test_add_func("/file_reader/segments/left", test_segments_left);
    g_test_add_func("/file_reader/whole", test_whole);
    g_test_add_func("/file_reader/free", test_free);
    g_test_add_func("/file_reader/interrupted", test_interrupted);
    return g_test_run();
}
