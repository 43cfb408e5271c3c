// SPDX-License-Identifier: MIT
// Passes progress messages of a search to its caller.
#include "search/say.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/file.h"

void clrnn_search_say(void (*progress)(void *user, const char *what), void *user, const char *format, ...)
{
    va_list arguments;
    char *text;

    if (!progress)
        return;
    va_start(arguments, format);
    text = clrnn_format_va(format, arguments);
    va_end(arguments);
    if (text)
        progress(user, text);
    free(text);
}
