/* SPDX-License-Identifier: MIT */
/*
 * Names between the server's charset and ours (UTF-8). Without a charset, or with UTF-8, bytes pass as they are. A
 * byte that does not convert is shown as the private character U+F700 plus the byte (encoded in UTF-8) and comes back
 * as the same byte, so that every name survives a round trip; both directions are each other's inverse: a name of the
 * server always comes back as its own bytes, and a name of ours either becomes bytes that will be listed as that same
 * name, or is refused. Thread-safe.
 */
#pragma once

#include <glib.h>

typedef struct NameCodec NameCodec;

/* `charset` as iconv(3) knows it, or NULL. NULL with `error` (G_CONVERT_ERROR) set when it does not exist, or can't be
 * used for names because '/' and the letters are not single bytes in it (UTF-16, EBCDIC, ISO-2022-JP). */
NameCodec *name_codec_new(const char *charset, GError **error);
void name_codec_free(NameCodec *codec);

/* The server's bytes to ours; never fails. Owned by the caller. */
char *name_codec_to_local(const NameCodec *codec, const char *remote);

/* Ours to the server's; NULL when a character does not exist in the server's charset (-EILSEQ for the caller), or when
 * `local` is no UTF-8 and has to be converted. Owned by the caller. */
char *name_codec_to_remote(const NameCodec *codec, const char *local);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(NameCodec, name_codec_free)
