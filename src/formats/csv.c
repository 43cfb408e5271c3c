// SPDX-License-Identifier: MIT
// Reading a CSV file into a table of numbers with libcsv.
#include "formats/csv.h"

#include <csv.h>
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "formats/kind.h"

// Limits, as doc/config.md states them.
#define TEXT_ADVICE \
    ": leave a column of text out, or number its values from 0, pandas.factorize(table[COLUMN])[0]"

enum { MAX_COLUMNS = 1 << 20, MAX_CELL_BYTES = 1 << 20, CHUNK_BYTES = 64 << 10 };

struct reader {
    const struct clrnn_log *log;
    const char *path;
    struct clrnn_csv *csv;
    bool missing_as_nan;
    size_t names_capacity, values_capacity; // allocated entries
    size_t column, record;                  // of the next cell; record 0 is the header
    enum clrnn_status status;               // of the first failure; later cells are ignored
};

// Doubles *array if `count` has reached *capacity.
static bool reserve(void **array, size_t *capacity, size_t count, size_t element_bytes)
{
    const size_t wanted = *capacity ? 2 * *capacity : 64;
    void *larger;

    if (count < *capacity)
        return true;
    larger = realloc(*array, wanted * element_bytes);
    if (!larger)
        return false;
    *array = larger;
    *capacity = wanted;
    return true;
}

static void add_name(struct reader *r, const char *text, size_t length)
{
    struct clrnn_csv *csv = r->csv;
    void *names = csv->names;

    if (csv->columns == MAX_COLUMNS) {
        r->status = clrnn_error(r->log, CLRNN_ERR_DATA, "%s: has more than %d columns", r->path, MAX_COLUMNS);
        return;
    }
    if (!reserve(&names, &r->names_capacity, csv->columns, sizeof(*csv->names))) {
        r->status = clrnn_error_memory(r->log, 2 * csv->columns * sizeof(*csv->names), r->path);
        return;
    }
    csv->names = names;
    csv->names[csv->columns] = clrnn_format("%.*s", (int)MIN2(length, 4096), text);
    if (!csv->names[csv->columns])
        r->status = clrnn_error_memory(r->log, length, r->path);
    else
        csv->columns++;
}

static void add_value(struct reader *r, const char *text, size_t length)
{
    struct clrnn_csv *csv = r->csv;
    char cell[64], *end;
    void *values = csv->values;
    double value;

    if (r->column >= csv->columns)
        return; // end_of_record counts it and reports
    if (length >= sizeof(cell)) {
        r->status = clrnn_error(r->log, CLRNN_ERR_DATA,
                                "%s: row %zu, column \"%s\": \"%.20s...\" is no number" TEXT_ADVICE, r->path,
                                r->record, csv->names[r->column], text);
        return;
    }
    memcpy(cell, text, length);
    cell[length] = 0;
    value = strtod(cell, &end);
    if (length == 0) {
        value = NAN;
        if (!r->missing_as_nan)
            r->status = clrnn_error(r->log, CLRNN_ERR_DATA,
                                    "%s: row %zu, column \"%s\": missing value; fill it in or drop the row",
                                    r->path, r->record, csv->names[r->column]);
    } else if (end != cell + length) {
        r->status = clrnn_error(r->log, CLRNN_ERR_DATA, "%s: row %zu, column \"%s\": \"%s\" is no number%s",
                                r->path, r->record, csv->names[r->column], cell,
                                *end == ',' ? ": decimals have a point, not a comma" : TEXT_ADVICE);
    }
    if (r->status != CLRNN_OK)
        return;
    if (!reserve(&values, &r->values_capacity, csv->rows * csv->columns + r->column, sizeof(double))) {
        r->status = clrnn_error_memory(r->log, 2 * r->values_capacity * sizeof(double), r->path);
        return;
    }
    csv->values = values;
    csv->values[csv->rows * csv->columns + r->column] = value;
}

static void end_of_cell(void *data, size_t length, void *user)
{
    struct reader *r = user;

    if (r->status != CLRNN_OK)
        return;
    if (r->record == 0)
        add_name(r, data ? data : "", length);
    else
        add_value(r, data ? data : "", length);
    r->column++;
}

// Reports a header that is a single cell containing other separators.
static void check_separator(struct reader *r)
{
    const char *name = r->csv->columns == 1 ? r->csv->names[0] : "";
    const char *at = strpbrk(name, ";\t|");

    if (at)
        r->status =
            clrnn_error(r->log, CLRNN_ERR_DATA,
                        "%s: its columns are separated by %s, expected commas: "
                        "pandas.read_csv('FILE', sep='%s').to_csv('FILE', index=False), with decimal=',' "
                        "where decimals have commas",
                        r->path,
                        *at == '\t'  ? "tabs"
                        : *at == ';' ? "semicolons"
                                     : "bars",
                        *at == '\t' ? "\\t" : (const char[]){*at, 0});
}

static void end_of_record(int terminator, void *user)
{
    struct reader *r = user;

    (void)terminator;
    if (r->status == CLRNN_OK && r->record == 0)
        check_separator(r);
    if (r->status == CLRNN_OK && r->record > 0) {
        if (r->column != r->csv->columns)
            r->status =
                clrnn_error(r->log, CLRNN_ERR_DATA, "%s: row %zu has %zu cells, the header names %zu columns",
                            r->path, r->record, r->column, r->csv->columns);
        else
            r->csv->rows++;
    }
    r->record++;
    r->column = 0;
}

static void fail_parse(struct reader *r, struct csv_parser *parser)
{
    r->status = clrnn_error(r->log, CLRNN_ERR_DATA, "%s: row %zu, cell %zu: %s", r->path, r->record,
                            r->column + 1, csv_strerror(csv_error(parser)));
}

// Reads in chunks until the first error.
static void parse(struct reader *r, struct csv_parser *parser, const struct clrnn_map *map)
{
    static const unsigned char mark[] = {0xef, 0xbb, 0xbf}; // of UTF-8, which spreadsheets write
    const bool marked = map->size >= sizeof(mark) && !memcmp(map->data, mark, sizeof(mark));
    const char *kind = marked ? "" : clrnn_file_kind(map->data, map->size);
    char *chunk = malloc(CHUNK_BYTES);

    if (!chunk)
        r->status = clrnn_error_memory(r->log, CHUNK_BYTES, r->path);
    else if (*kind && strncmp(kind, "it is text:", 11))
        r->status = clrnn_error(r->log, CLRNN_ERR_DATA, "%s: is no CSV file: %s", r->path, kind);
    for (size_t first = marked ? sizeof(mark) : 0; r->status == CLRNN_OK && first < map->size;
         first += CHUNK_BYTES) {
        const size_t size = MIN2(map->size - first, (size_t)CHUNK_BYTES);

        clrnn_map_read(map, first, size, chunk);
        if (csv_parse(parser, chunk, size, end_of_cell, end_of_record, r) != size) {
            if (r->status == CLRNN_OK)
                fail_parse(r, parser);
        } else if (r->status == CLRNN_OK && parser->entry_pos > MAX_CELL_BYTES) {
            r->status = clrnn_error(r->log, CLRNN_ERR_DATA,
                                    "%s: row %zu, cell %zu has more than %d bytes: is a quote not closed?",
                                    r->path, r->record, r->column + 1, MAX_CELL_BYTES);
        }
    }
    if (r->status == CLRNN_OK)
        r->status = clrnn_map_check(r->log, map, r->path);
    if (r->status == CLRNN_OK && csv_fini(parser, end_of_cell, end_of_record, r) && r->status == CLRNN_OK)
        fail_parse(r, parser);
    if (r->status == CLRNN_OK && r->csv->rows == 0)
        r->status = clrnn_error(r->log, CLRNN_ERR_DATA, "%s: has no rows below its header", r->path);
    free(chunk);
}

enum clrnn_status clrnn_csv_read(const struct clrnn_log *log, const char *path, bool missing_as_nan,
                                 struct clrnn_csv **csv)
{
    struct reader r = {.log = log, .path = path, .missing_as_nan = missing_as_nan};
    struct csv_parser parser;
    struct clrnn_map map = {0};

    *csv = NULL;
    if (csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI | CSV_EMPTY_IS_NULL))
        return clrnn_error_memory(log, sizeof(parser), path);
    csv_set_blk_size(&parser, CHUNK_BYTES);
    r.csv = calloc(1, sizeof(*r.csv));
    if (!r.csv)
        r.status = clrnn_error_memory(log, sizeof(*r.csv), path);
    if (r.status == CLRNN_OK)
        r.status = clrnn_map_open(log, path, &map);
    if (r.status == CLRNN_OK)
        parse(&r, &parser, &map);
    csv_free(&parser);
    clrnn_map_close(&map);
    if (r.status != CLRNN_OK) {
        clrnn_csv_destroy(&r.csv);
        return r.status;
    }
    *csv = r.csv;
    return CLRNN_OK;
}

void clrnn_csv_destroy(struct clrnn_csv **csv)
{
    struct clrnn_csv *c = *csv;

    *csv = NULL;
    if (!c)
        return;
    for (size_t i = 0; i < c->columns; i++)
        free(c->names[i]);
    free(c->names);
    free(c->values);
    free(c);
}

int clrnn_csv_column(const struct clrnn_csv *csv, const char *name)
{
    for (size_t i = 0; i < csv->columns; i++)
        if (!strcmp(csv->names[i], name))
            return (int)i;
    return -1;
}
