// SPDX-License-Identifier: MIT
// Builds paths and formatted text in newly allocated memory.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

char *clrnn_path_join(const char *dir, const char *name)
{
    if (!dir || !*dir || *name == '/')
        return clrnn_format("%s", name);
    return clrnn_format("%s%s%s", dir, dir[strlen(dir) - 1] == '/' ? "" : "/", name);
}

bool clrnn_path_is_memory(const char *path)
{
    return path && !strncmp(path, "memory:", 7);
}

char *clrnn_path_folder(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return clrnn_format(".");
    return slash == path ? clrnn_format("/") : clrnn_format("%.*s", (int)(slash - path), path);
}

char *clrnn_format(const char *format, ...)
{
    va_list arguments;
    char *text;

    va_start(arguments, format);
    text = clrnn_format_va(format, arguments);
    va_end(arguments);
    return text;
}

char *clrnn_format_va(const char *format, va_list arguments)
{
    char *text;

    return vasprintf(&text, format, arguments) < 0 ? NULL : text;
}

FILE *clrnn_text_open(char **text, size_t *size)
{
    FILE *stream;

    *text = NULL;
    stream = open_memstream(text, size);
    errno = 0;
    return stream;
}

bool clrnn_text_close(FILE *stream, char **text)
{
    bool whole = errno != ENOMEM && !ferror(stream);

    whole &= !fclose(stream) && *text;
    if (!whole) {
        free(*text);
        *text = NULL;
    }
    return whole;
}
