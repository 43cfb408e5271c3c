// SPDX-License-Identifier: MIT
// Escapes text that comes from outside the program (see text.h).
#include "base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

// Returns the length in bytes of the UTF-8 character at `at`, and sets *code to its code point. Returns 0 if the bytes
// are not UTF-8.
static size_t character(const unsigned char *at, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const size_t length = at[0] < 0x80   ? 1
                          : at[0] < 0xc0 ? 0
                          : at[0] < 0xe0 ? 2
                          : at[0] < 0xf0 ? 3
                          : at[0] < 0xf8 ? 4
                                         : 0;

    if (length < 2) {
        *code = at[0];
        return length;
    }
    *code = at[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | (at[i] & 0x3f);
    }
    return *code < least[length] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000) ? 0 : length;
}

// Whether the character controls the terminal or the direction of text instead of being shown.
static bool is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x061c || // Arabic letter mark
           (code >= 0x200e && code < 0x2010) ||
           (code >= 0x2028 && code < 0x202f) ||                 // line separators, changes of direction
           (code >= 0x2066 && code < 0x206a) || code == 0xfeff; // changes of direction, byte order mark
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool is_escape(const char *at)
{
    return at[0] == '\\' && at[1] == 'x' && hex_digit(at[2]) >= 0 && hex_digit(at[3]) >= 0 &&
           hex_digit(at[2]) + hex_digit(at[3]) > 0; // not \x00: a C string has no byte 0
}

// Returns the length in bytes of the unit at `at`: a UTF-8 character, or a single byte that is not UTF-8. Sets *stays
// to whether the unit is left as it is, without an escape.
static size_t piece(const char *at, enum clrnn_text_escape what, bool *stays)
{
    uint32_t code;
    const size_t length = character((const unsigned char *)at, &code);

    *stays = length && !(what == CLRNN_TEXT_SHOWN && is_control(code)) && !(what == CLRNN_TEXT_STORED && is_escape(at));
    return length ? length : 1;
}

bool clrnn_text_is_clean(const char *text, enum clrnn_text_escape what)
{
    bool stays = true;

    while (*text && stays)
        text += piece(text, what, &stays);
    return stays;
}

char *clrnn_text_escape(const char *text, enum clrnn_text_escape what)
{
    char *escaped = malloc(4 * strlen(text) + 1), *to = escaped;

    while (escaped && *text) {
        bool stays;
        size_t length = piece(text, what, &stays);

        if (stays) {
            memcpy(to, text, length);
            to += length;
            text += length;
        } else {
            for (; length; length--)
                to += sprintf(to, "\\x%02x", (unsigned char)*text++);
        }
    }
    if (escaped)
        *to = '\0';
    return escaped;
}

char *clrnn_text_take(char *text, enum clrnn_text_escape what)
{
    char *escaped = text ? clrnn_text_escape(text, what) : NULL;

    free(text);
    return escaped;
}

char *clrnn_text_fit(const char *text, int width)
{
    char *shown = clrnn_text_escape(text, CLRNN_TEXT_SHOWN), *fitted;
    size_t bytes = 0;
    int spaces = abs(width);

    for (bool stays; shown && shown[bytes] && spaces; spaces--)
        bytes += piece(shown + bytes, CLRNN_TEXT_BYTES, &stays);
    if ((fitted = malloc(bytes + (size_t)spaces + 1)) != NULL && shown)
        sprintf(fitted, "%*s%.*s%*s", width > 0 ? spaces : 0, "", (int)bytes, shown, width < 0 ? spaces : 0, "");
    if (!shown) {
        free(fitted);
        fitted = NULL;
    }
    free(shown);
    return fitted;
}

void clrnn_text_unescape(char *text)
{
    char *to = text;

    while (*text)
        if (is_escape(text)) {
            *to++ = (char)(hex_digit(text[2]) * 16 + hex_digit(text[3]));
            text += 4;
        } else {
            *to++ = *text++;
        }
    *to = '\0';
}

json_t *clrnn_json_text(const char *text)
{
    char *escaped = text ? clrnn_text_escape(text, CLRNN_TEXT_STORED) : NULL;
    json_t *value = text ? (escaped ? json_string(escaped) : NULL) : json_null();

    if (!value)
        clrnn_json_lacks_memory();
    free(escaped);
    return value;
}

char *clrnn_json_dump(const json_t *value, size_t flags)
{
    char *text = clrnn_json_dumps(value, flags), *safe, *to;

    if (!text || (safe = to = malloc(6 * strlen(text) + 1)) == NULL) {
        free(text);
        return NULL;
    }
    for (const char *at = text; *at;) { // newlines are never inside a string, and are kept
        uint32_t code;
        const size_t length = character((const unsigned char *)at, &code);

        if (*at != '\n' && is_control(code)) {
            to += sprintf(to, "\\u%04x", (unsigned)code);
        } else {
            memcpy(to, at, length);
            to += length;
        }
        at += length;
    }
    *to = '\0';
    free(text);
    return safe;
}
