/* SPDX-License-Identifier: MIT */
/* The desktop's keyring (the Secret Service of freedesktop.org), through libsecret. */
#pragma once

#include <glib.h>

/* Looks up who logs in at `host`. `user` (NULL: anybody) narrows it and is set when it was NULL; `password` is set.
 * `port` 0 is the usual one. FALSE with `error` set when there is nothing, no keyring runs, the person did not unlock
 * it within two minutes, or ftpfs was built without libsecret. No thread is left behind. */
gboolean keyring_lookup(const char *host, guint port, gboolean tls, char **user, char **password, GError **error);

/* Whether libsecret was built in. */
gboolean keyring_is_built_in(void);
