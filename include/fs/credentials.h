/* SPDX-License-Identifier: MIT */
/* Where user and password come from; the first that is there wins: URL or user=, credentials=FILE, password_stdin,
 * netrc, the keyring, an askpass program or the terminal, and anonymous when no user is named. */
#pragma once

#include "fs/options.h"

/* Fills options->ftp->user and ->password. FALSE with `error` set when a file can't be read, is readable by others, or
 * has a line that is not understood, or when the terminal's question was left without an answer. */
gboolean credentials_complete(Options *options, GError **error);
