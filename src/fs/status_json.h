/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/* The status text (lines "name: value") as one JSON object. A whole number is a number, what may come more than once
 * is an array (empty when it did not come), all else is a string. Owned by the caller. */
char *status_to_json(const char *text);

/* Appends a JSON string (RFC 8259, 7) with its quotes. What is not UTF-8 is replaced. */
void json_append_string(GString *out, const char *text);
