/* SPDX-License-Identifier: MIT */
#pragma once

#include "ftp_session.h"

#include <curl/curl.h>

/* What a person should look at after the first login has failed, in one line. Where the server's certificate is not
 * trusted it is fetched, so that its key can be shown: blocks for two times connect_timeout at most. Owned by the
 * caller. */
char *ftp_hint(CURLcode result, const FtpSession *session, const FtpConfig *config);
