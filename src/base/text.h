// SPDX-License-Identifier: MIT
// Text from outside (names of files, tensors, columns, devices): escapes that make it safe to write and to
// show.
#ifndef CLRNN_SRC_BASE_TEXT_H
#define CLRNN_SRC_BASE_TEXT_H

#include <jansson.h>
#include <stdbool.h>

/**
 * What is escaped as \xNN, two hexadecimal digits for a byte: the same in messages, results, JSON and YAML.
 * Paths may hold any bytes; model files, JSON and YAML hold UTF-8.
 */
enum clrnn_text_escape {
    CLRNN_TEXT_BYTES,  // what is not UTF-8
    CLRNN_TEXT_STORED, // and a backslash that would start an escape: clrnn_text_unescape gives back every
                       // byte
    CLRNN_TEXT_SHOWN   // what is not UTF-8, control characters, line separators, changes of direction
};

/** Whether escaping would leave the text as it is. */
bool clrnn_text_is_clean(const char *text, enum clrnn_text_escape what);

/** The text escaped, in fresh memory. NULL: no memory. */
char *clrnn_text_escape(const char *text, enum clrnn_text_escape what);

/** Turns each \xNN into its byte, in place. */
void clrnn_text_unescape(char *text);

/** A JSON string of any bytes, escaped as CLRNN_TEXT_STORED; null for NULL. NULL: no memory. */
json_t *clrnn_json_text(const char *text);

/** json_dumps, but control characters that JSON allows as they are become \uNNNN, too. NULL: no memory, or no
 * value. */
char *clrnn_json_dump(const json_t *value, size_t flags);

#endif
