// SPDX-License-Identifier: MIT
// Fuzz target: a .csv file, with several delimiters and comment characters; reads its cells as numbers and times.
#include <string.h>

#include "formats/cell.h"
#include "formats/csv.h"
#include "fuzz.h"

struct seen {
    size_t columns, cells, rows;
};

static enum clrnn_status header(void *user, size_t columns, char *const *names)
{
    struct seen *s = user;

    s->columns = columns;
    FUZZ_CHECK(columns > 0);
    for (size_t i = 0; i < columns; i++)
        FUZZ_CHECK(strlen(names[i]) <= 4096);
    return CLRNN_OK;
}

static enum clrnn_status cell(void *user, size_t row, size_t column, const char *text, size_t length)
{
    struct seen *s = user;
    double value;

    FUZZ_CHECK(row == s->rows + 1 && column == s->cells % s->columns && text[length] == 0);
    clrnn_cell_number(text, length, column % 2 ? ',' : '.', &value);
    clrnn_cell_time(text, length, column % 2 ? ',' : '.', &value);
    clrnn_cell_is_missing(text, length);
    s->cells++;
    return CLRNN_OK;
}

static enum clrnn_status end(void *user, size_t row)
{
    struct seen *s = user;

    FUZZ_CHECK(row == ++s->rows && s->cells == s->rows * s->columns);
    return CLRNN_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct clrnn_csv_rules rules[] = {{0}, {.comment = '#'}, {';', 0, ','}, {'|', '%', 0}};
    struct seen seen = {0};
    const struct clrnn_csv_sink sink = {&seen, header, cell, end};
    enum clrnn_status st;

    fuzz_start();
    st = clrnn_csv_stream(&fuzz_log, fuzz_file(data, size), &rules[size % 4], &sink);
    fuzz_check_status(st);
    FUZZ_CHECK(st != CLRNN_OK || seen.rows);
    return 0;
}
