// SPDX-License-Identifier: MIT
// Reads .ts files line by line.
#include "formats/ts.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/array.h"
#include "base/file.h"
#include "formats/cell.h"

#define MOST_LINE_BYTES ((size_t)1 << 30)

struct reader {
    const struct clrnn_log *log;
    const char *path;
    const struct clrnn_ts_sink *sink;
    size_t line,    // number of the current line, from 1
        cases,      // number of cases so far
        dimensions, // number of dimensions of each case; 0: no case has been read
        count;      // number of elements in `values`
    double *values;
    bool data,  // the line @data has been read
        labels; // each case has a label
};

static CLRNN_PRINTF(2, 3) enum clrnn_status bad(const struct reader *r, const char *format, ...)
{
    va_list arguments;
    char *text;

    va_start(arguments, format);
    text = clrnn_format_va(format, arguments);
    va_end(arguments);
    clrnn_error(r->log, CLRNN_ERR_DATA, "%s: line %zu: %s", r->path, r->line, text ? text : "is wrong");
    free(text);
    return CLRNN_ERR_DATA;
}

// Whether a line of the header begins with `word`, followed by true, as "@classLabel true A B".
static bool says(const char *line, const char *word)
{
    const size_t length = strlen(word);

    if (strncasecmp(line, word, length) != 0 || !isspace((unsigned char)line[length]))
        return false;
    line += length;
    while (isspace((unsigned char)*line))
        line++;
    return !strncasecmp(line, "true", 4);
}

static enum clrnn_status read_header(struct reader *r, const char *line)
{
    if (*line != '@')
        return bad(r, "\"%.40s\" stands before @data, expected a line that begins with @ or #", line);
    r->labels = r->labels || says(line, "@classLabel") || says(line, "@targetLabel");
    r->data = !strncasecmp(line, "@data", 5);
    return says(line, "@timeStamps") ? bad(r, "the values have time stamps: expected values alone, @timeStamps false")
                                     : CLRNN_OK;
}

// Appends the values of one dimension to r->values. `text` has the values, separated by commas. Sets *steps to their
// number.
static enum clrnn_status read_dimension(struct reader *r, char *text, size_t dimension, size_t *steps)
{
    *steps = 0;
    for (char *next; text; text = next) {
        char *end;
        double value = NAN;

        next = strchr(text, ',');
        if (next)
            *next++ = 0;
        while (isspace((unsigned char)*text))
            text++;
        end = text + strlen(text);
        while (end > text && isspace((unsigned char)end[-1]))
            *--end = 0;
        if (strcmp(text, "?") != 0 && !clrnn_cell_number(text, (size_t)(end - text), '.', &value))
            return bad(r, "dimension %zu, step %zu: \"%.40s\" is no number", dimension, *steps, text);
        if (!ARRAY_GROW(r->values, r->count))
            return clrnn_error_memory(r->log, 2 * r->count * sizeof(*r->values), r->path);
        r->values[r->count++] = value;
        ++*steps;
    }
    return CLRNN_OK;
}

static enum clrnn_status read_case(struct reader *r, char *line)
{
    struct clrnn_ts_case c = {.number = ++r->cases};
    char *label = r->labels ? strrchr(line, ':') : NULL;

    if (r->labels && !label)
        return bad(r, "has no label behind a colon, as @classLabel announces");
    if (label) {
        char *end;

        *label++ = 0;
        label += strspn(label, " \t");
        end = label + strlen(label);
        while (end > label && isspace((unsigned char)end[-1]))
            *--end = 0;
        if (!*label)
            return bad(r, "its label is empty");
    }
    r->count = 0;
    for (char *next; line; line = next) {
        size_t steps;

        next = strchr(line, ':');
        if (next)
            *next++ = 0;
        TRY(read_dimension(r, line, c.dimensions, &steps));
        if (c.dimensions && steps != c.steps)
            return bad(r, "dimension %zu has %zu steps, those before have %zu", c.dimensions, steps, c.steps);
        c.steps = steps;
        c.dimensions++;
    }
    if (r->dimensions && c.dimensions != r->dimensions)
        return bad(r, "has %zu dimensions, the cases before have %zu", c.dimensions, r->dimensions);
    r->dimensions = c.dimensions;
    c.values = r->values;
    c.label = label;
    return r->sink->take(r->sink->user, &c);
}

static enum clrnn_status read_line(struct reader *r, char *line)
{
    r->line++;
    line += strspn(line, " \t");
    if (!*line || *line == '#')
        return CLRNN_OK;
    return r->data ? read_case(r, line) : read_header(r, line);
}

static enum clrnn_status read_lines(struct reader *r, const struct clrnn_map *map)
{
    const char *at = map->size ? (const char *)map->data : "", *const end = at + map->size;
    enum clrnn_status st = CLRNN_OK;

    if (map->size >= 3 && !memcmp(at, "\xef\xbb\xbf", 3)) // UTF-8 byte order mark
        at += 3;
    while (at < end && st == CLRNN_OK) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((newline ? newline : end) - at);
        char *line;

        if (length > MOST_LINE_BYTES || memchr(at, 0, length))
            return clrnn_error(r->log, CLRNN_ERR_DATA, "%s: line %zu: is no text", r->path, r->line + 1);
        line = strndup(at, length);
        if (!line)
            return clrnn_error_memory(r->log, length, r->path);
        if (length && line[length - 1] == '\r')
            line[length - 1] = 0;
        st = read_line(r, line);
        free(line);
        at += length + 1;
    }
    TRY(st);
    TRY(clrnn_map_check(r->log, map, r->path));
    if (!r->data)
        return clrnn_error(r->log, CLRNN_ERR_DATA, "%s: has no line @data: is it a .ts file?", r->path);
    return r->cases ? CLRNN_OK : clrnn_error(r->log, CLRNN_ERR_DATA, "%s: has no case below @data", r->path);
}

enum clrnn_status clrnn_ts_stream(const struct clrnn_log *log, const char *path, const struct clrnn_ts_sink *sink)
{
    struct reader r = {.log = log, .path = path, .sink = sink};
    struct clrnn_map map = {0};
    enum clrnn_status st;

    TRY(clrnn_map_open(log, path, &map));
    st = read_lines(&r, &map);
    clrnn_map_close(&map);
    free(r.values);
    return st;
}
