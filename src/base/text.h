// SPDX-License-Identifier: MIT
// Escapes text that comes from outside the program (names of files, tensors, columns, devices), which is then safe to
// store and to print.
#ifndef CLRNN_SRC_BASE_TEXT_H
#define CLRNN_SRC_BASE_TEXT_H

#include <jansson.h>
#include <stdbool.h>

/** Which bytes are escaped as \xNN (two hexadecimal digits). Escaping is needed because paths may have any bytes, while
 * model files, JSON and YAML must be UTF-8. The escape is the same in messages, results, JSON and YAML. */
enum clrnn_text_escape {
    CLRNN_TEXT_BYTES,  // bytes that are not UTF-8
    CLRNN_TEXT_STORED, // bytes that are not UTF-8, and each backslash that is followed by xNN;
                       // clrnn_text_unescape then restores the original bytes
    CLRNN_TEXT_SHOWN   // bytes that are not UTF-8, control characters, line separators, and characters that
                       // change the writing direction
};

/** Whether the text has nothing to escape. */
bool clrnn_text_is_clean(const char *text, enum clrnn_text_escape what);

/** Returns the escaped text, which the caller frees. Returns NULL if memory runs out. */
char *clrnn_text_escape(const char *text, enum clrnn_text_escape what);

/** Like clrnn_text_escape, but also frees `text`. Returns NULL if `text` is NULL or memory runs out. */
char *clrnn_text_take(char *text, enum clrnn_text_escape what);

/** Returns the escaped text (CLRNN_TEXT_SHOWN), made exactly |width| characters long. A longer text loses its end. A
 * shorter text gets spaces before it (width > 0) or after it (width < 0), as printf does with bytes. The caller frees
 * the result. Returns NULL if memory runs out. */
char *clrnn_text_fit(const char *text, int width);

/** Replaces each \xNN by the byte NN, in place. \x00 is not replaced, since the byte 0 would end the text. */
void clrnn_text_unescape(char *text);

/** Returns a new JSON string with `text` escaped as by CLRNN_TEXT_STORED, or the JSON value null if `text` is NULL.
 * Returns NULL if memory runs out. */
json_t *clrnn_json_text(const char *text);

/** Like clrnn_json_dumps, but also escapes, as \uNNNN, the characters that CLRNN_TEXT_SHOWN escapes, except newlines.
 * JSON allows most of them unescaped. The caller frees the text. NULL: clrnn_json_dumps returned NULL, or out of
 * memory. */
char *clrnn_json_dump(const json_t *value, size_t flags);

#endif
