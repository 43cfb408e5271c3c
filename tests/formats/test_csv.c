// SPDX-License-Identifier: MIT
// Reads CSV files as streams of cells, and cells as numbers and times.
#include <math.h>

#include "base/array.h"
#include "formats/cell.h"
#include "formats/csv.h"
#include "tests/formats/files.h"

// The cells of a file as text: each cell in brackets, and a line for each row.
struct cells {
    char text[512];
};

static void put(struct cells *c, char open, const char *text, char close)
{
    const size_t n = strlen(c->text);

    snprintf(c->text + n, sizeof(c->text) - n, "%c%s%c", open, text, close);
}

static enum clrnn_status take_header(void *user, size_t columns, char *const *names)
{
    for (size_t i = 0; i < columns; i++)
        put(user, '<', names[i], '>');
    return CLRNN_OK;
}

static enum clrnn_status take_cell(void *user, size_t row, size_t column, const char *text, size_t length)
{
    (void)row;
    (void)column;
    assert_int_equal(strlen(text), length);
    put(user, '[', text, ']');
    return CLRNN_OK;
}

static enum clrnn_status take_row(void *user, size_t row)
{
    struct cells *c = user;
    const size_t n = strlen(c->text);

    (void)row;
    snprintf(c->text + n, sizeof(c->text) - n, "|");
    return CLRNN_OK;
}

static enum clrnn_status read_csv(const char *text, struct clrnn_csv_rules rules, struct cells *cells)
{
    const struct clrnn_csv_sink sink = {cells, take_header, take_cell, take_row};
    char *path = write_file("t.csv", text, strlen(text));
    enum clrnn_status st;

    *cells->text = 0;
    st = clrnn_csv_stream(&kept.log, path, &rules, &sink);
    free(path);
    return st;
}

static void csv_streams_cells(void **state)
{
    static const struct {
        const char *text, *cells;
        struct clrnn_csv_rules rules;
    } cases[] = {
        {"a,\"the, label\",c\n1,0,2.5\n-1e3,1,nan\n0x10,,7",
         "<a><the, label><c>[1][0][2.5]|[-1e3][1][nan]|[0x10][][7]|",
         {0}},
        {"\xef\xbb\xbf"
         "a;b\r\n1,5;2\r\n",
         "<a><b>[1,5][2]|",
         {0}},
        {"a\tb\n1,5\tx y\n", "<a><b>[1,5][x y]|", {0}},
        {"time;a, b\n1;2\n", "<time><a, b>[1][2]|", {0}},
        {"a,b;c\n1,2;3\n", "<a><b;c>[1][2;3]|", {.delimiter = ','}},
        {"a|b\n1|2\n", "<a><b>[1][2]|", {.delimiter = '|'}},
        {"a|b\n1\n", "<a|b>[1]|", {.delimiter = ','}},
        {"# one, two, three\na;b\n1;\"#2\"\n#x\n3;4 # five\n", "<a><b>[1][#2]|[3][4]|", {.comment = '#'}},
        {"\none\n1\n\n \n2\n\n", "<one>[1]|[]|[]|[2]|", {0}},
        {"one\r\n1\r\n\r\n2\r\n", "<one>[1]|[]|[2]|", {0}},
        {"one\r1\r\r2", "<one>[1]|[]|[2]|", {0}},
        {"one\r\n#x\r\n1#y\r\n\r\n #x\r\n#\r\n2\r\n", "<one>[1]|[]|[2]|", {.comment = '#'}},
        {"#\n#\none\n1\n#\"\n\"2\n#\"\n", "<one>[1]|[2\n#]|", {.comment = '#'}},
        {"a,b\n1,2\n\n3,4\n", "<a><b>[1][2]|[3][4]|", {0}},
        {"u\n1,5\n2,5\n", "<u>[1,5]|[2,5]|", {.decimal = ','}},
        {"Temp, C\n1,5\n2,5\n", "<Temp, C>[1,5]|[2,5]|", {.decimal = ','}},
        {"Temp, C;Hum, %\n1,5;2,5\n", "<Temp, C><Hum, %>[1,5][2,5]|", {.decimal = ','}},
        {"\"Temp, C\"\n1,5\n", "<Temp, C>[1,5]|", {.decimal = ','}},
        {"a,b\n\"1,5\",2\n", "<a><b>[1,5][2]|", {.decimal = ','}},
        {"one\n1\n2\n", "<one>[1]|[2]|", {0}},
        {"a,b\n\"1\"\"\",2\n", "<a><b>[1\"][2]|", {0}},
    };
    struct cells cells;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(read_csv(cases[i].text, cases[i].rules, &cells), CLRNN_OK);
        assert_string_equal(cells.text, cases[i].cells);
    }
}

static void csv_refuses(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"a,b\n1,2,3\n", "row 1 has 3 cells, the header names 2"},
        {"a,b\n1\n", "row 1 has 1 cells"},
        {"a,b\n", "no rows"},
        {"", "is empty"},
        {"a,b\n1,\"2\n", "row 1, cell 2: a quote is not closed"},
        {"a,b\n1,2\n6\" pipe,3\n", "row 2, cell 1: a quote within the cell"},
        {"a,b\n1,\"2\" m\n", "row 1, cell 2: a quote within the cell"},
        {"a|b\n1|2\n", "delimiter: \"|\""},
    };
    const struct clrnn_csv_rules rules = {0};
    struct cells cells;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(read_csv(cases[i].text, rules, &cells), CLRNN_ERR_DATA);
        if (!strstr(kept.text, cases[i].message))
            fail_msg("%s: \"%s\" lacks \"%s\"", cases[i].text, kept.text, cases[i].message);
    }
    assert_int_equal(clrnn_csv_stream(&kept.log, "/nowhere/at.csv", &rules, &(struct clrnn_csv_sink){0}),
                     CLRNN_ERR_DATA);
}

static void cells_are_numbers(void **state)
{
    static const char *const numbers[] = {"0",
                                          "-0",
                                          "12.5",
                                          ".5",
                                          "5.",
                                          "1e3",
                                          "0.1",
                                          "123456789012345",
                                          "-17",
                                          "3.14159265358979",
                                          "2.2250738585072014e-308",
                                          "1234567890123456789"};
    static const char *const none[] = {"", "-", ".", "1,5", "1.2.3", "1 2", "x", "1x", "0x1f", "0X1P3", "nan(1)"};
    double value;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        assert_true(clrnn_cell_number(numbers[i], strlen(numbers[i]), '.', &value));
        assert_true(value == strtod(numbers[i], NULL)); // the same bits as from strtod
    }
    for (size_t i = 0; i < ARRAY_SIZE(none); i++)
        assert_false(clrnn_cell_number(none[i], strlen(none[i]), '.', &value));
    assert_true(clrnn_cell_number("-1,25e2", 7, ',', &value) && value == -125);
    assert_false(clrnn_cell_number("1.25", 4, ',', &value));
    assert_true(clrnn_cell_is_missing("", 0) && clrnn_cell_is_missing("NaN", 3) && !clrnn_cell_is_missing("0", 1));
    assert_true(clrnn_cell_is_missing("-nan", 4) && clrnn_cell_is_missing("n/a", 3) && !clrnn_cell_is_missing("n", 1));
}

static void cells_are_times(void **state)
{
    static const struct {
        const char *text;
        double seconds;
    } cases[] = {
        {"1970-01-01", 0},
        {"1970-01-02 00:00:01", 86401},
        {"2024-02-29T12:30:00.5Z", 1709209800.5},
        {"1949-02", -660009600},
        {"2000/03/01", 951868800},
        {"31.12.1999 23:59", 946684740},
        {"01.01.70", 0},
        {"31.12.99", 946598400},
        {"01.01.00 00:00", 946684800},
        {"17.5", 17.5},
        {"2024-05-31T00:00:00+02:00", 1717106400},
    };
    static const char *const none[] = {"",    "2023-02-29", "2024-13-01", "monday", "2024-05-31x", "2024-05-31 25:00",
                                       "nan", "01.01.100",  "01.01.0"};
    double value;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        if (!clrnn_cell_time(cases[i].text, strlen(cases[i].text), '.', &value) || value != cases[i].seconds)
            fail_msg("%s: %.3f", cases[i].text, value);
    }
    for (size_t i = 0; i < ARRAY_SIZE(none); i++)
        if (clrnn_cell_time(none[i], strlen(none[i]), '.', &value))
            fail_msg("%s is a time", none[i]);
    assert_true(clrnn_cell_time("17,5", 4, ',', &value) && value == 17.5);
    assert_true(clrnn_cell_time("1970-01-01 00:00:00,5", 21, ',', &value) && value == 0.5);
    assert_false(clrnn_cell_time("17,5", 4, '.', &value));
}

static void numbers_are_dates(void **state)
{
    static const struct {
        double number, seconds;
        unsigned digits;
    } cases[] = {
        {19700101, 0, 8},
        {202402, 1706745600, 6},
        {20240229, 1709164800, 8},
        {2024022912, 1709208000, 10},
        {202402291230, 1709209800, 12},
        {20240229123001, 1709209801, 14},
    };
    static const double none[] = {20240230, 20241301,   20240100,     18991231,
                                  22000101, 2024022924, 202402291260, 20240101.5};
    double value;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (!clrnn_cell_compact_date(cases[i].number, cases[i].digits, &value) || value != cases[i].seconds)
            fail_msg("%.0f: %.3f", cases[i].number, value);
    for (size_t i = 0; i < ARRAY_SIZE(none); i++)
        for (unsigned digits = 0; digits <= 16; digits++)
            if (clrnn_cell_compact_date(none[i], digits, &value))
                fail_msg("%.1f is a date of %u digits", none[i], digits);
    assert_false(clrnn_cell_compact_date(20240229, 10, &value));
    assert_false(clrnn_cell_compact_date((double)NAN, 8, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_streams_cells), cmocka_unit_test(csv_refuses),       cmocka_unit_test(cells_are_numbers),
        cmocka_unit_test(cells_are_times),   cmocka_unit_test(numbers_are_dates),
    };

    return cmocka_run_group_tests(tests, test_folder_make, test_folder_remove);
}
