// SPDX-License-Identifier: MIT
// Escaping of text from outside (names of files, tensors, columns, devices), so that it is safe to store and
// to print.
#ifndef CLRNN_SRC_BASE_TEXT_H
#define CLRNN_SRC_BASE_TEXT_H

#include <jansson.h>
#include <stdbool.h>

/** Which bytes are escaped as \xNN (two hexadecimal digits). The escape is the same in messages, results,
 * JSON and YAML. Paths may hold any bytes; model files, JSON and YAML hold UTF-8.
 */
enum clrnn_text_escape {
    CLRNN_TEXT_BYTES,  // bytes that are not UTF-8
    CLRNN_TEXT_STORED, // these, and a backslash that would start an escape, so that clrnn_text_unescape
                       // restores every byte
    CLRNN_TEXT_SHOWN   // bytes that are not UTF-8, control characters, line separators, changes of direction
};

/** Whether the text needs no escape. */
bool clrnn_text_is_clean(const char *text, enum clrnn_text_escape what);

/** Returns the escaped text (to be freed). NULL: no memory. */
char *clrnn_text_escape(const char *text, enum clrnn_text_escape what);

/** Like clrnn_text_escape, and frees `text`. NULL for NULL. */
char *clrnn_text_take(char *text, enum clrnn_text_escape what);

/** Escapes the text (CLRNN_TEXT_SHOWN) and fits it to |width| characters: cuts off its end, or adds spaces
 * before it (width > 0) or behind it (width < 0), as printf does with bytes. To be freed. NULL: no memory. */
char *clrnn_text_fit(const char *text, int width);

/** Replaces each \xNN by its byte, in place; \x00, which would end the text, stays. */
void clrnn_text_unescape(char *text);

/** A JSON string of any bytes, escaped as CLRNN_TEXT_STORED; null for NULL. NULL: no memory. */
json_t *clrnn_json_text(const char *text);

/** Like clrnn_json_dumps, but also writes control characters that JSON allows unescaped (DEL, C1) as \uNNNN.
 * To be freed. NULL: as for clrnn_json_dumps. */
char *clrnn_json_dump(const json_t *value, size_t flags);

#endif
