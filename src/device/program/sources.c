// SPDX-License-Identifier: MIT
// Expands the includes of a kernel file, so that the file becomes one text.
#include "device/program/sources.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define MAX_FILES 32 // maximum number of files of one program, including <stem>.cl itself

const char *clrnn_source_text(const char *name)
{
    for (size_t i = 0; i < clrnn_source_text_count; i++)
        if (strcmp(clrnn_source_texts[i].name, name) == 0)
            return clrnn_source_texts[i].text;
    return NULL;
}

struct flatten {
    const struct clrnn_log *log;
    const char *folder;
    FILE *out;
    char *seen[MAX_FILES];
    size_t seen_count;
};

/** Returns the text of a file (to be freed). NULL: there is no such file (*missing is true), or memory is short
 * (*missing is false). */
static char *load(const struct flatten *f, const char *name, bool *missing)
{
    struct clrnn_map map;
    const char *built_in = clrnn_source_text(name);
    char *path, *text;

    *missing = false;
    if (f->folder) {
        path = clrnn_path_join(f->folder, name);
        if (!path)
            return NULL;
        if (clrnn_map_open(NULL, path, &map) == CLRNN_OK) {
            text = clrnn_format("%.*s", (int)map.size, map.data ? (const char *)map.data : "");
            clrnn_map_close(&map);
            free(path);
            return text;
        }
        free(path);
    }
    *missing = !built_in;
    return built_in ? clrnn_format("%s", built_in) : NULL;
}

static const char *skip_blanks(const char *line, const char *end)
{
    while (line < end && (*line == ' ' || *line == '\t'))
        line++;
    return line;
}

/** Returns the name between "" or <> if the line is an #include (to be freed). NULL: the line is no #include, or memory
 * is short. */
static char *included_name(const char *line, size_t length)
{
    const char *end = line + length, *first, *last;

    line = skip_blanks(line, end);
    if (line == end || *line != '#')
        return NULL;
    line = skip_blanks(line + 1, end);
    if (end - line < 7 || memcmp(line, "include", 7) != 0)
        return NULL;
    line = skip_blanks(line + 7, end);
    if (line == end || (*line != '"' && *line != '<'))
        return NULL;
    first = line + 1;
    last = memchr(first, *line == '"' ? '"' : '>', (size_t)(end - first));
    return last ? clrnn_format("%.*s", (int)(last - first), first) : NULL;
}

static enum clrnn_status flatten_text(struct flatten *f, const char *name, const char *text);

/** Writes the file that `includer` includes as `wanted`, unless the text has that file already. *done is false if the
 * file is unknown. */
static enum clrnn_status flatten_include(struct flatten *f, const char *includer, const char *wanted, bool *done)
{
    const char *slash = strrchr(includer, '/');
    char *name =
        slash ? clrnn_format("%.*s/%s", (int)(slash - includer), includer, wanted) : clrnn_format("%s", wanted);
    char *text = NULL;
    bool missing = false;
    enum clrnn_status st = CLRNN_OK;

    *done = true;
    if (name)
        text = load(f, name, &missing);
    if (missing && slash) {
        free(name);
        name = clrnn_format("%s", wanted);
        if (name)
            text = load(f, name, &missing);
    }
    for (size_t i = 0; name && i < f->seen_count; i++)
        if (strcmp(f->seen[i], name) == 0)
            goto end; // the text has this file already
    if (!name || (!text && !missing))
        st = clrnn_error_memory(f->log, 1 << 16, wanted);
    else if (missing)
        *done = false;
    else
        st = flatten_text(f, name, text);

end:
    free(name);
    free(text);
    return st;
}

static enum clrnn_status flatten_text(struct flatten *f, const char *name, const char *text)
{
    unsigned long line = 1;

    if (f->seen_count == MAX_FILES)
        return clrnn_error(f->log, CLRNN_ERR_ARG, "%s: a program includes more than %d files", name, MAX_FILES);
    f->seen[f->seen_count] = clrnn_format("%s", name);
    if (!f->seen[f->seen_count])
        return clrnn_error_memory(f->log, strlen(name) + 1, name);
    f->seen_count++;

    fprintf(f->out, "#line 1 \"%s\"\n", name);
    for (const char *next; *text; text = next, line++) {
        const size_t length = strcspn(text, "\n");
        char *wanted = included_name(text, length);
        bool done = false;

        next = text + length + (text[length] == '\n');
        if (wanted) {
            const enum clrnn_status st = flatten_include(f, name, wanted, &done);

            free(wanted);
            TRY(st);
        }
        if (done)
            fprintf(f->out, "\n#line %lu \"%s\"\n", line + 1, name);
        else
            fprintf(f->out, "%.*s\n", (int)length, text);
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_source_flatten(const struct clrnn_log *log, const char *folder, const char *stem, char **source)
{
    struct flatten f = {.log = log, .folder = folder};
    char *name = clrnn_format("%s.cl", stem), *text = NULL;
    size_t size = 0;
    bool missing = false;
    enum clrnn_status st;

    *source = NULL;
    if (name)
        text = load(&f, name, &missing);
    if (missing) {
        st = clrnn_error(log, CLRNN_ERR_ARG, "cl/%s.cl: there is no such kernel file%s%s", stem,
                         folder ? ", neither built in nor in CLRNN_KERNEL_DIR=" : " built in", folder ? folder : "");
        goto end;
    }
    if (!text || !(f.out = clrnn_text_open(source, &size))) {
        st = clrnn_error_memory(log, 1 << 16, stem);
        goto end;
    }
    st = flatten_text(&f, name, text);
    if (!clrnn_text_close(f.out, source) && st == CLRNN_OK)
        st = clrnn_error_memory(log, size, stem);
    if (st != CLRNN_OK) {
        free(*source);
        *source = NULL;
    }

end:
    for (size_t i = 0; i < f.seen_count; i++)
        free(f.seen[i]);
    free(name);
    free(text);
    return st;
}
