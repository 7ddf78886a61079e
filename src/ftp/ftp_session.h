/* SPDX-License-Identifier: MIT */
/*
 * One control connection: one CURL easy handle with a multi handle of its own, so that the connection stays and a
 * waiting operation can be woken. Used by one thread at a time (the pool sees to that); only ftp_session_wake() may
 * come from another.
 */
#pragma once

#include "base/bound.h"
#include "base/remote_path.h"
#include "base/stats.h"
#include "ftp/ftp_client.h"
#include "ftp_error.h"
#include "ftp_records.h"
#include "ftp_server.h"
#include "ftp_transcript.h"

typedef struct FtpSession FtpSession;

FtpSession *ftp_session_new(const FtpConfig *config, FtpServer *server, Stats *stats);

/* Says QUIT (waiting a second at most) when `polite` and connected, and frees. */
void ftp_session_free(FtpSession *session, gboolean polite);

/* A connection that does not stand after `usec` is given up (as a timeout) when the session is opened; 0: after
 * connect_timeout, as usual. What follows, the greeting and the login, has connect_timeout in both cases. */
void ftp_session_set_hasty(FtpSession *session, gint64 usec);

/* Connects and logs in when there is no living connection; sends what a new session needs (FEAT the first time, OPTS).
 * 0 or -errno; ftp_session_failure() and ftp_session_explain() tell more. */
int ftp_session_open(FtpSession *session, const Bound *bound);

/* Closes at once, without a word: the next open connects anew. */
void ftp_session_drop(FtpSession *session);

gboolean ftp_session_connected(const FtpSession *session);

/* TRUE when the last open found a connection that had been there before: what fails now may fail because the server had
 * closed it. */
gboolean ftp_session_was_reused(const FtpSession *session);

/* 'A' or 'I' as the last transfer left it, 0 before the first. */
char ftp_session_type(const FtpSession *session);

/* ---- Operations; the session is open. On a failure that leaves the connection in doubt it is dropped. ---- */

/* Commands of the control connection only, one after the other; a refused one does not keep the next from being sent.
 * Each string is "VERB[ ARGUMENT]" made by ftp_command(). The replies are in the transcript, one exchange a command,
 * from ftp_session_replies() on. 0 when every command got a final reply, whatever it said. */
int ftp_session_commands(FtpSession *session, const Bound *bound, const char *const *commands, guint n);

/* "VERB path" or "VERB argument path"; the only places where commands are made. `verb` and `argument` are our own
 * words. */
char *ftp_command(const char *verb, const RemotePath *path);
char *ftp_command_with(const char *verb, const char *argument, const RemotePath *path);

/* The exchange of the n-th of the commands that were given last. */
const FtpExchange *ftp_session_reply(const FtpSession *session, guint n);

/* One command: 0, or what its reply means as -errno. */
int ftp_session_command(FtpSession *session, const Bound *bound, const char *command);

/* Whether everything that the server has sent so far belongs to the replies that were read: a name with a line end in
 * it can end the reply to STAT early, and what is left would be taken for the reply to the next command.
 * FTP_STEP_UNKNOWN over TLS, when the size of the records does not tell. */
FtpStep ftp_session_step(const FtpSession *session);

/* FALSE for a path that some server might take for a pattern, an option or two arguments, behind LIST or STAT. */
gboolean ftp_path_is_plain(const RemotePath *path);

typedef int (*FtpBytesFunc)(const char *bytes, gsize size, gpointer data); /* 0 or a -errno that ends the transfer */

/* A listing over a data connection: `command` is "MLSD", "LIST" or "LIST -a" and the like. */
int ftp_session_list(FtpSession *session, const Bound *bound, const char *command, const RemotePath *dir,
                     FtpBytesFunc func, gpointer data);

int ftp_session_retrieve(FtpSession *session, const Bound *bound, const RemotePath *path, gint64 offset,
                         FtpTransfer *transfer, FtpSinkFunc sink, gpointer data, FtpRetrieved *ret);

int ftp_session_store(FtpSession *session, const Bound *bound, const RemotePath *path, FtpStore how, gint64 size,
                      FtpSourceFunc source, gpointer data);

/* ---- After an operation ---- */

FtpFailure ftp_session_failure(const FtpSession *session);

/* TRUE when the last operation sent a command (other than a listing's or a login's) to which no final reply came. */
gboolean ftp_session_unanswered(const FtpSession *session);

/* One sentence for a person: what was tried, what came back. Owned by the caller. */
char *ftp_session_explain(const FtpSession *session);

/* What was wrong with the data connection, when ftp_session_failure() is FTP_FAILURE_DATA. */
typedef enum {
    FTP_DATA_REFUSED, /* by the server's command reply, or the connection to it */
    FTP_DATA_LATE,    /* no answer in time */
    FTP_DATA_SHORT,   /* no port was free, here or there: it may be in a moment */
} FtpDataTrouble;

FtpDataTrouble ftp_session_data_trouble(const FtpSession *session);

/* The mode of the last operation, which may not be the one in use any more. */
gboolean ftp_session_used_active(const FtpSession *session);

const FtpTranscript *ftp_session_transcript(const FtpSession *session);

/* Any thread: the operation that is running looks at its bound, its transfer and the stop flag now. */
void ftp_session_wake(FtpSession *session);

/* Any thread: every operation ends now with -EIO, the running one too. */
void ftp_session_stop(FtpSession *session);

/* libcurl's own number for how the last operation ended. */
CURLcode ftp_session_result(const FtpSession *session);
