/* SPDX-License-Identifier: MIT */
/*
 * A server as a set of operations on paths. Each operation takes a session from the pool, runs there on the calling
 * thread, and gives it back; where the connection turns out to be gone it is done again on another session, as long as
 * that can do no harm (a request that may have been carried out is looked up first) and `retry` is not over. All
 * functions are thread-safe.
 *
 * Errors, as -errno: -EINTR (the bound was interrupted), -ETIMEDOUT, -ECONNREFUSED and the like, -EIO (the server
 * can't be reached, or answers nonsense), -EACCES (530, 532, 553: not permitted), -ENOSPC (452), -EDQUOT (552),
 * -EAGAIN (450: not now), -EOPNOTSUPP (the server has no such command), -EPROTO,
 * -EREMOTEIO (550, the reply that may mean anything: the caller finds out by a look what it was).
 */
#pragma once

#include "base/bound.h"
#include "base/remote_path.h"
#include "base/stats.h"
#include "ftp/ftp_config.h"
#include "ftp/ftp_features.h"
#include "ftp/list_parser.h"

typedef struct FtpClient FtpClient;

/* Who goes first when sessions are few. */
typedef enum {
    FTP_PRIORITY_PERSON,   /* somebody waits for this metadata */
    FTP_PRIORITY_TRANSFER, /* a file's bytes that somebody reads or writes */
    FTP_PRIORITY_AHEAD,    /* nobody asked for it yet: never waits for a session, -EBUSY when no connected one can be
                              spared now; and is not tried twice */
} FtpPriority;

typedef struct {
    const Bound *bound; /* or NULL: `retry` and the timeouts only */
    FtpPriority priority;
    gint64 dir_size; /* of ftp_client_list(): bytes that the directory has by the listing above it; 0: not known */
} FtpCall;

#define FTP_DIR_LARGE G_MAXINT64 /* dir_size: list it over a data connection */

/* `config` and `stats` must outlive the client. Starts no thread and sends nothing. */
FtpClient *ftp_client_new(const FtpConfig *config, Stats *stats, GError **error);

/* Logs in, learns the features and the path of the root, and keeps the session. For main, before the program goes to
 * the background: `error` says in one or two lines what was tried, what came back and what to do. No retry. */
gboolean ftp_client_probe(FtpClient *client, GError **error);

/* Ends waiting and running operations (-EIO for them) and closes the sessions, within a second or so, also when the
 * wire is dead. No thread may be inside the client when it is freed: call ftp_client_stop() first. */
void ftp_client_stop(FtpClient *client);
void ftp_client_free(FtpClient *client);

const FtpFeatures *ftp_client_features(const FtpClient *client);

/* A path below the mount's root to one on the server: `local` as FUSE gives it ("/", "/a/b"), converted to the
 * server's charset. -EINVAL (CR, LF), -EILSEQ (a character that the server's charset lacks), -ENAMETOOLONG. */
int ftp_client_path(const FtpClient *client, const char *local, RemotePath **ret);

/* Lists a directory: the function is called on this thread for each entry, with the name in our charset. An entry may
 * have been given to it already when an error is returned; what was given is then to be thrown away. When the listing
 * had to be begun anew, `restart` is called first (may be NULL when a repeated entry does no harm). */
int ftp_client_list(FtpClient *client, const FtpCall *call, const RemotePath *dir, ListEntryFunc entry,
                    void (*restart)(gpointer data), gpointer data);

/* One name by MLST. -ENOENT when the server says that there is none, -EOPNOTSUPP when it has no MLST: list the
 * directory that holds it. `ret_target` (may be NULL) is the target of a symbolic link or NULL; owned by the caller. */
int ftp_client_stat(FtpClient *client, const FtpCall *call, const RemotePath *path, FtpAttr *ret, char **ret_target);

/* One name by STAT, on servers without MLST: as exact as LIST. -ENOENT; -EOPNOTSUPP when the server does not tell, also
 * of directories. */
int ftp_client_stat_line(FtpClient *client, const FtpCall *call, const RemotePath *path, FtpAttr *ret,
                         char **ret_target);

/* Looks at a name by whatever the server has; coarse. 0 and its attributes, -ENOENT, or -errno of the look. */
int ftp_client_look(FtpClient *client, const FtpCall *call, const RemotePath *path, FtpAttr *ret);

/* Size and time of a file by SIZE and MDTM; what the server does not tell is not in ret->has. -EREMOTEIO when it
 * refuses (no such file, or a directory); -EOPNOTSUPP when it has neither command. */
int ftp_client_size_and_time(FtpClient *client, const FtpCall *call, const RemotePath *path, FtpAttr *ret);

int ftp_client_mkdir(FtpClient *client, const FtpCall *call, const RemotePath *path);
int ftp_client_rmdir(FtpClient *client, const FtpCall *call, const RemotePath *path);
int ftp_client_delete(FtpClient *client, const FtpCall *call, const RemotePath *path);
int ftp_client_rename(FtpClient *client, const FtpCall *call, const RemotePath *from, const RemotePath *to);

/* MFMT, else `MDTM YYYYMMDDhhmmss path`, else SITE UTIME; -EOPNOTSUPP when none works, learned. mtime in seconds. */
int ftp_client_set_mtime(FtpClient *client, const FtpCall *call, const RemotePath *path, gint64 mtime);

/* MFF UNIX.mode where it is offered, else SITE CHMOD; -EOPNOTSUPP when none works, learned. */
int ftp_client_set_mode(FtpClient *client, const FtpCall *call, const RemotePath *path, guint mode);

/* SITE SYMLINK; -EOPNOTSUPP. `target` is in the server's charset and free of blanks, else -EINVAL. */
int ftp_client_symlink(FtpClient *client, const FtpCall *call, const char *target, const RemotePath *path);

/* Free bytes by AVBL; -EOPNOTSUPP. */
int ftp_client_available(FtpClient *client, const FtpCall *call, const RemotePath *dir, gint64 *ret_bytes);

/* ---- Transfers ---- */

/* A handle on one transfer that runs on another thread. Reference-counted; thread-safe. */
typedef struct FtpTransfer FtpTransfer;
FtpTransfer *ftp_transfer_new(void);
FtpTransfer *ftp_transfer_ref(FtpTransfer *transfer);
void ftp_transfer_unref(FtpTransfer *transfer);

/* Politely ends a RETR: no more bytes are given to the sink, the session lives (DESIGN fact 2). Any thread. */
void ftp_transfer_cut(FtpTransfer *transfer);

/* TRUE when somebody with a higher claim waits for a session and this transfer should give up its own soon. */
gboolean ftp_transfer_wanted(const FtpTransfer *transfer);

/* Called (on the thread of the one who waits) when the session becomes wanted. The function may call
 * ftp_transfer_cut(). Setting NULL waits until a call that is under way is over: do that, without a lock that the
 * function takes, before what `data` points to is freed. */
void ftp_transfer_set_wanted_func(FtpTransfer *transfer, void (*func)(gpointer data), gpointer data);

/* Takes the bytes that came. Returns 0 for more, 1 for enough (cut here; the bytes given were taken), or a -errno that
 * ends the transfer and the session. May block; the time in it does not count as "no progress". */
typedef int (*FtpSinkFunc)(const void *bytes, gsize size, gpointer data);

typedef struct {
    gint64 bytes;      /* given to the sink */
    gint64 announced;  /* size of the whole file by "150 ... (N bytes)", or -1. With an offset some servers tell the
                          size of the whole, others of the rest: a hint, no proof */
    gboolean complete; /* the server said, after the last byte, that this is the end of the file (226, 250) */
} FtpRetrieved;

/* RETR from `offset` (REST). One try: on an error after some bytes the caller goes on from where it stopped. Returns
 * 0 when the transfer ended by itself or was cut; -errno otherwise. *ret is filled in both cases. */
int ftp_client_retrieve(FtpClient *client, const FtpCall *call, const RemotePath *path, gint64 offset,
                        FtpTransfer *transfer, FtpSinkFunc sink, gpointer data, FtpRetrieved *ret);

/* Gives up to `size` bytes from `offset` (bytes from the beginning of this upload); 0 at the end; -errno aborts the
 * upload. May block. Asked for offset 0 again when the upload is begun anew. */
typedef gssize (*FtpSourceFunc)(void *bytes, gsize size, gint64 offset, gpointer data);

typedef enum { FTP_STORE_WHOLE /* STOR */, FTP_STORE_APPEND /* APPE */ } FtpStore;

/* Uploads and waits for the server's 226. `transfer` (may be NULL) tells when the session is wanted; it can't be cut.
 * FTP_STORE_WHOLE is begun anew when the connection breaks, while `retry` lasts; FTP_STORE_APPEND is not: -EIO then,
 * and the caller looks at the size. `size` in bytes, or -1 when the end comes when the source says so. -EINVAL for a
 * path with a control character, which libcurl does not take for an upload: store it under another name and rename it.
 */
int ftp_client_store(FtpClient *client, const FtpCall *call, const RemotePath *path, FtpStore how, gint64 size,
                     FtpTransfer *transfer, FtpSourceFunc source, gpointer data);

/* ---- For --status and --check ---- */

typedef struct {
    guint open, busy, limit; /* sessions now, of them in use, and how many may be open (learned) */
    gboolean away;           /* nobody could connect or log in at the last try */
    gboolean active;         /* active mode is in use */
    gboolean tls;
    int data_resumed;    /* 1: data connections go on with the control connection's TLS session, 0: they make their own,
                            -1: not    seen yet, or this libcurl's trace does not tell */
    const char *listing; /* "MLSD", "STAT" or "LIST" */
} FtpClientState;

void ftp_client_state(FtpClient *client, FtpClientState *ret);

/* Logs one more session in, for calls with FTP_PRIORITY_AHEAD. 0, -EBUSY when there are as many as may be, or why it
 * can't be done. */
int ftp_client_open_ahead(FtpClient *client, const Bound *bound);

/* As FtpClientState.away: an operation that has just failed has waited as long as it may. */
gboolean ftp_client_is_away(FtpClient *client);

/* The last sentence of the log about data connections ("... was refused; using active mode ..."), NULL while there is
 * none. Owned by the caller. Thread-safe. */
char *ftp_client_mode_note(FtpClient *client);

/* The sentences about data connections are kept for ftp_client_mode_note() only, and not logged. Before the probe. */
void ftp_client_set_quiet(FtpClient *client);

/* The root of the mount on the server ("/home/u/pub"). */
const char *ftp_client_root(const FtpClient *client);

/* What the server said first (220), without the code; owned by the client. "" before the probe. */
const char *ftp_client_greeting(const FtpClient *client);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(FtpClient, ftp_client_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FtpTransfer, ftp_transfer_unref)
