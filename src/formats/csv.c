// SPDX-License-Identifier: MIT
// Reads a CSV file cell by cell with libcsv.
#include "formats/csv.h"

#include <csv.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "formats/kind.h"

// MAX_COLUMNS and MAX_CELL_BYTES are limits, as doc/config.md states them. CHUNK_BYTES are read at a time.
enum { MAX_COLUMNS = 1 << 20, MAX_CELL_BYTES = 1 << 20, CHUNK_BYTES = 64 << 10 };
enum { LOOKED_AT_LINES = 8 }; // number of first lines from which the delimiter is detected

struct reader {
    const struct clrnn_log *log;
    const char *path;
    const struct clrnn_csv_sink *sink;
    struct clrnn_csv_rules rules;
    size_t columns;
    char **names;             // [columns]
    size_t column, record;    // of the next cell: column from 0, and row; row 0 is the header
    size_t empty;             // of a file of one column: empty lines since the previous row
    int terminator;           // what ended the previous line
    bool quoted,              // the previous chunk ended inside quotes
        commented,            // the previous chunk ended inside a comment
        begun,                // the line has more than a comment
        dropped;              // the previous character was the \r of a line that was dropped
    enum clrnn_status status; // status of the first failure; later cells are ignored
    struct clrnn_work work;
};

static void add_name(struct reader *r, const char *text, size_t length)
{
    if (r->columns == MAX_COLUMNS) {
        r->status = clrnn_error(r->log, CLRNN_ERR_DATA, "%s: has more than %d columns", r->path, MAX_COLUMNS);
        return;
    }
    if (!ARRAY_GROW(r->names, r->columns)) {
        r->status = clrnn_error_memory(r->log, 2 * r->columns * sizeof(*r->names), r->path);
        return;
    }
    r->names[r->columns] = clrnn_format("%.*s", (int)MIN2(length, 4096), text);
    if (!r->names[r->columns])
        r->status = clrnn_error_memory(r->log, length, r->path);
    else
        r->columns++;
}

// Passes the empty lines of a file of one column on as rows with an empty cell.
static void pass_empty_lines(struct reader *r)
{
    for (; r->empty && r->status == CLRNN_OK; r->empty--) {
        r->status = r->sink->cell(r->sink->user, r->record, 0, "", 0);
        if (r->status == CLRNN_OK)
            r->status = r->sink->row(r->sink->user, r->record);
        r->record++;
    }
}

static void end_of_cell(void *data, size_t length, void *user)
{
    struct reader *r = user;

    pass_empty_lines(r);
    if (r->status != CLRNN_OK)
        return;
    if (r->record == 0)
        add_name(r, data ? data : "", length);
    else if (r->column < r->columns) // end_of_record reports extra cells
        r->status = r->sink->cell(r->sink->user, r->record, r->column, data ? data : "", data ? length : 0);
    r->column++;
}

static void end_of_record(int terminator, void *user)
{
    struct reader *r = user;
    const bool empty = r->column == 0, second = empty && terminator == '\n' && r->terminator == '\r'; // of \r\n

    r->terminator = terminator;
    if (empty && !second && r->columns == 1)
        r->empty++;
    if (empty || r->status != CLRNN_OK)
        return;
    if (r->record == 0 && r->columns == 1 && !r->rules.delimiter && strchr(r->names[0], '|'))
        r->status = clrnn_error(r->log, CLRNN_ERR_DATA,
                                "%s: its columns are separated by bars: say so by delimiter: \"|\"", r->path);
    else if (r->record == 0)
        r->status = r->sink->header(r->sink->user, r->columns, r->names);
    else if (r->column != r->columns)
        r->status = clrnn_error(r->log, CLRNN_ERR_DATA, "%s: row %zu has %zu cells, the header names %zu columns",
                                r->path, r->record, r->column, r->columns);
    else
        r->status = r->sink->row(r->sink->user, r->record);
    r->record++;
    r->column = 0;
}

// Reports an error of libcsv. With CSV_STRICT it refuses a quote that neither encloses a whole cell nor is doubled
// inside a quoted cell, and a quote that is still open at the end of the file. end: whether it was reached.
static void fail_parse(struct reader *r, struct csv_parser *parser, bool end)
{
    const bool quote = csv_error(parser) == CSV_EPARSE;

    r->status =
        clrnn_error(r->log, CLRNN_ERR_DATA, "%s: row %zu, cell %zu: %s", r->path, r->record, r->column + 1,
                    !quote ? csv_strerror(csv_error(parser))
                    : end  ? "a quote is not closed: close it, or double it if it belongs to the text"
                           : "a quote within the cell: put the whole cell in quotes and double each quote inside, "
                             "as in \"6\"\" pipe\"");
}

// ---------------------------------------------------------------- steps before libcsv parses

// Removes the comments from a chunk, in place, and the lines that have nothing else; returns the chunk's new size.
static size_t strip_comments(struct reader *r, char *chunk, size_t size)
{
    size_t kept = 0;

    for (size_t i = 0; i < size; i++) {
        const char c = chunk[i];
        const bool end = (c == '\n' || c == '\r') && !r->quoted;
        const bool drop = end && ((r->commented && !r->begun) || (c == '\n' && r->dropped));

        if (r->commented && !end)
            continue;
        r->commented = false;
        r->dropped = drop && c == '\r';
        if (drop)
            continue;
        if (c == '"')
            r->quoted = !r->quoted; // a doubled quote toggles twice
        if (c == r->rules.comment && !r->quoted) {
            r->commented = true;
            continue;
        }
        r->begun = !end && (r->begun || (c != ' ' && c != '\t'));
        chunk[kept++] = c;
    }
    return kept;
}

// Returns the delimiter that occurs, outside quotes, equally often in each of the first lines; of several, the most
// frequent one. If there is no such delimiter, returns the most frequent one in the header, or the first candidate. A
// comma is no candidate if it is the decimal point, unless a quoted cell below the header has one.
static char find_delimiter(const struct reader *r, const char *text, size_t size)
{
    static const char candidate[] = {',', ';', '\t'};
    size_t count[LOOKED_AT_LINES][ARRAY_SIZE(candidate)] = {{0}}, lines = 0, used = 0;
    size_t best, best_even = ARRAY_SIZE(candidate), first;
    bool quoted = false, comment = false, quoted_comma = false;

    for (size_t i = 0; i < size && lines < LOOKED_AT_LINES; i++) {
        const bool end = !quoted && (text[i] == '\n' || text[i] == '\r');

        if (text[i] == '"' && !comment)
            quoted = !quoted;
        if (!quoted && r->rules.comment && text[i] == r->rules.comment)
            comment = true;
        quoted_comma = quoted_comma || (quoted && lines > 0 && text[i] == ',');
        for (size_t k = 0; k < ARRAY_SIZE(candidate) && !quoted && !comment; k++)
            count[lines][k] += text[i] == candidate[k];
        used += !end && !comment;
        if (end) {
            lines += used > 0;
            used = 0;
            comment = false;
        }
    }
    first = best = r->rules.decimal == ',' && !quoted_comma ? 1 : 0;
    for (size_t k = first; k < ARRAY_SIZE(candidate); k++) {
        bool even = count[0][k] > 0;

        for (size_t l = 1; l < lines; l++)
            even = even && count[l][k] == count[0][k];
        if (count[0][k] > count[0][best])
            best = k;
        if (even && (best_even == ARRAY_SIZE(candidate) || count[0][k] > count[0][best_even]))
            best_even = k;
    }
    return candidate[best_even < ARRAY_SIZE(candidate) ? best_even : best];
}

// ---------------------------------------------------------------- reading

static void parse_chunk(struct reader *r, struct csv_parser *parser, char *chunk, size_t size)
{
    if (r->rules.comment)
        size = strip_comments(r, chunk, size);
    if (csv_parse(parser, chunk, size, end_of_cell, end_of_record, r) != size) {
        if (r->status == CLRNN_OK)
            fail_parse(r, parser, false);
    } else if (r->status == CLRNN_OK && parser->entry_pos > MAX_CELL_BYTES) {
        r->status =
            clrnn_error(r->log, CLRNN_ERR_DATA, "%s: row %zu, cell %zu has more than %d bytes: is a quote not closed?",
                        r->path, r->record, r->column + 1, MAX_CELL_BYTES);
    }
}

// Reads the file in chunks until the first error.
static void parse(struct reader *r, struct csv_parser *parser, const struct clrnn_map *map)
{
    static const unsigned char mark[] = {0xef, 0xbb, 0xbf}; // UTF-8 byte order mark, which spreadsheets write
    const bool marked = map->size >= sizeof(mark) && !memcmp(map->data, mark, sizeof(mark));
    const char *kind = marked ? "" : clrnn_file_kind(map->data, map->size);
    char *chunk = malloc(CHUNK_BYTES);
    char *work = clrnn_format("reading %s, %.0f MB", r->path, (double)map->size * 1e-6); // NULL: no progress

    if (!chunk)
        r->status = clrnn_error_memory(r->log, CHUNK_BYTES, r->path);
    else if (*kind && strncmp(kind, "it is text:", 11))
        r->status = clrnn_error(r->log, CLRNN_ERR_DATA, "%s: is no CSV file: %s", r->path, kind);
    for (size_t first = marked ? sizeof(mark) : 0; r->status == CLRNN_OK && first < map->size; first += CHUNK_BYTES) {
        const size_t size = MIN2(map->size - first, (size_t)CHUNK_BYTES);

        clrnn_map_read(map, first, size, chunk);
        if (first <= sizeof(mark))
            csv_set_delim(parser,
                          (unsigned char)(r->rules.delimiter ? r->rules.delimiter : find_delimiter(r, chunk, size)));
        parse_chunk(r, parser, chunk, size);
        if (work)
            clrnn_log_work(r->log, &r->work, work, (double)(first + size) / (double)map->size);
    }
    if (r->status != CLRNN_OK && work)
        clrnn_log_work(r->log, &r->work, work, 1);
    free(work);
    if (r->status == CLRNN_OK)
        r->status = clrnn_map_check(r->log, map, r->path);
    if (r->status == CLRNN_OK && csv_fini(parser, end_of_cell, end_of_record, r) && r->status == CLRNN_OK)
        fail_parse(r, parser, true);
    if (r->status == CLRNN_OK && r->record < 2)
        r->status = clrnn_error(r->log, CLRNN_ERR_DATA, "%s: %s, expected a header and a row for each sample", r->path,
                                map->size ? "has no rows below its header" : "is empty");
    free(chunk);
}

enum clrnn_status clrnn_csv_stream(const struct clrnn_log *log, const char *path, const struct clrnn_csv_rules *rules,
                                   const struct clrnn_csv_sink *sink)
{
    struct reader r = {.log = log, .path = path, .rules = *rules, .sink = sink};
    struct csv_parser parser;
    struct clrnn_map map = {0};

    if (csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI | CSV_EMPTY_IS_NULL | CSV_APPEND_NULL | CSV_REPALL_NL))
        return clrnn_error_memory(log, sizeof(parser), path);
    csv_set_blk_size(&parser, CHUNK_BYTES);
    r.status = clrnn_map_open(log, path, &map);
    if (r.status == CLRNN_OK)
        parse(&r, &parser, &map);
    csv_free(&parser);
    clrnn_map_close(&map);
    for (size_t i = 0; i < r.columns; i++)
        free(r.names[i]);
    free(r.names);
    return r.status;
}
