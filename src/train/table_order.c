// SPDX-License-Identifier: MIT
// Detects from a table's first rows whether the rows are a series: a column has times in order, or each row resembles
// the previous row.
#include "train/table.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/array.h"
#include "formats/cell.h"

#define FIRST_ROWS 1000u      // rows that are examined
#define LEAST_ROWS 10u        // rows needed to judge their order
#define LEAST_PAIRS 30u       // pairs of rows needed for a correlation
#define ORDERED_SHARE 0.9     // dates are in order if at least this fraction is not before the previous date
#define LEAST_CORRELATION 0.5 // correlation of neighbouring rows above which rows are a series

// ---------------------------------------------------------------- detecting a column of times

// What the rows read so far show about one column.
struct order {
    bool numbers, dates;     // every cell is a number; every cell is a date
    bool counts;             // each value is the previous value + 1
    double last;             // value in the previous row
    uint32_t up, down, same; // numbers of rows whose value is above, below, or equal to that of the previous row
};

struct head {
    size_t columns;
    struct order *order; // [columns]
    char **name;         // [columns]
    uint32_t rows;
    char decimal; // decimal point or comma
};

static enum clrnn_status take_header(void *user, size_t columns, char *const *names)
{
    struct head *h = user;

    h->order = calloc(columns, sizeof(*h->order));
    h->name = calloc(columns, sizeof(*h->name));
    if (!h->order || !h->name)
        return CLRNN_ERR_MEMORY;
    h->columns = columns;
    for (size_t i = 0; i < columns; i++) {
        h->order[i] = (struct order){.numbers = true, .dates = true, .counts = true};
        h->name[i] = strdup(names[i]);
        if (!h->name[i])
            return CLRNN_ERR_MEMORY;
    }
    return CLRNN_OK;
}

static enum clrnn_status take_cell(void *user, size_t row, size_t column, const char *text, size_t length)
{
    struct head *h = user;
    struct order *o = &h->order[column];
    double number, value;

    if (!o->numbers && !o->dates)
        return CLRNN_OK;
    o->numbers = o->numbers && clrnn_cell_number(text, length, h->decimal, &number);
    o->dates = o->dates && !o->numbers && clrnn_cell_time(text, length, h->decimal, &value);
    if (o->numbers)
        value = number;
    else if (!o->dates)
        return CLRNN_OK;
    if (row > 1) {
        o->up += value > o->last;
        o->down += value < o->last;
        o->same += value == o->last;
        o->counts = o->counts && value == o->last + 1;
    }
    o->last = value;
    return CLRNN_OK;
}

static enum clrnn_status take_row(void *user, size_t row)
{
    struct head *h = user;

    (void)row;
    return ++h->rows < FIRST_ROWS ? CLRNN_OK : CLRNN_FAILED; // CLRNN_FAILED stops the reading
}

// Checks whether a column's name says that it holds times. A column whose numbers grow by 1 from row to row may just
// count samples, so it counts as times only with such a name.
static bool is_time_word(const char *name)
{
    static const char *const word[] = {"t",    "time", "timestamp", "date",   "datetime", "ds",
                                       "year", "hour", "minute",    "second", "seconds",  "step"};

    for (size_t i = 0; i < ARRAY_SIZE(word); i++)
        if (!strcasecmp(name, word[i]) ||
            (i > 0 && !strncasecmp(name, word[i], strlen(word[i])) && !isalnum((unsigned char)name[strlen(word[i])])))
            return true;
    return false;
}

static bool is_label(const struct clrnn_table *t, const char *name)
{
    for (size_t k = 0; k < t->targets; k++)
        if (!strcmp(t->column.text[t->target[k]], name))
            return true;
    return false;
}

// Returns the name of the first column that holds times in order: dates, or numbers that grow from row to row. NULL:
// there is none. Labels and columns without a name do not count.
static const char *find_time(const struct head *h, const struct clrnn_table *t)
{
    for (size_t i = 0; i < h->columns; i++) {
        const struct order *o = &h->order[i];

        if (h->rows < LEAST_ROWS || is_label(t, h->name[i]) || !*h->name[i] || !strncmp(h->name[i], "Unnamed: ", 9))
            continue;
        if (o->dates && o->up + o->same >= ORDERED_SHARE * (h->rows - 1) && 2 * o->up > o->down)
            return h->name[i];
        if (o->numbers && !o->down && !o->same && (!o->counts || is_time_word(h->name[i])))
            return h->name[i];
    }
    return NULL;
}

// ---------------------------------------------------------------- detecting similar neighbouring rows

// Returns the correlation of a column with itself one row later: how well a row predicts the next row. With classes,
// values are taken relative to the mean of their class, because a table sorted by class is no series. Returns NaN if
// there are too few pairs of rows, or if all values equal the mean.
static double correlation(const struct clrnn_table *t, size_t place, const double *mean, size_t classes)
{
    const size_t rows = MIN2(t->rows, (size_t)FIRST_ROWS);
    double pairs = 0, product = 0, squares = 0, before = NAN;

    for (size_t i = 0; i < rows; i++) {
        const double *row = &t->values[i * t->width];
        const double label = classes ? row[t->target[0]] : 0;
        const double value = row[place] - mean[label >= 0 && label < classes ? (size_t)label : 0];

        if (isnan(value)) {
            before = value;
            continue;
        }
        squares += value * value;
        if (!isnan(before)) {
            product += value * before;
            pairs++;
        }
        before = value;
    }
    return pairs < LEAST_PAIRS || !(squares > 0) ? (double)NAN : product / squares;
}

// Computes the means of a column over the first rows: mean [classes], one for each class. `classes` 0: mean [1], over
// all these rows.
static void means(const struct clrnn_table *t, size_t place, size_t classes, double *mean, double *count)
{
    for (size_t k = 0; k < MAX2(classes, 1); k++)
        mean[k] = count[k] = 0;
    for (size_t i = 0; i < MIN2(t->rows, (size_t)FIRST_ROWS); i++) {
        const double *row = &t->values[i * t->width];
        const double label = classes ? row[t->target[0]] : 0;
        const size_t k = label >= 0 && label < classes ? (size_t)label : 0;

        if (isnan(row[place]))
            continue;
        mean[k] += row[place];
        count[k]++;
    }
    for (size_t k = 0; k < MAX2(classes, 1); k++)
        mean[k] /= fmax(count[k], 1);
}

// Sets *result to the correlation of neighbouring rows. For real targets it is the smallest correlation of a target
// column, for classes the mean correlation of the feature columns.
static enum clrnn_status resemblance(const struct clrnn_log *log, const struct clrnn_table_wish *wish,
                                     const struct clrnn_table *t, double *result)
{
    const size_t columns = wish->classes ? t->features : t->targets;
    const size_t *column = wish->classes ? t->feature : t->target;
    double least = INFINITY, sum = 0, *mean;
    size_t classes = 0;

    for (size_t i = 0; wish->classes && t->targets && i < MIN2(t->rows, (size_t)FIRST_ROWS); i++) {
        const double label = t->values[i * t->width + t->target[0]];

        if (label >= 0 && label < FIRST_ROWS)
            classes = MAX2(classes, (size_t)label + 1);
    }
    mean = malloc(2 * MAX2(classes, 1) * sizeof(*mean));
    if (!mean)
        return clrnn_error_memory(log, classes * sizeof(*mean), wish->path);
    for (size_t i = 0; i < columns; i++) {
        double r;

        means(t, column[i], classes, mean, mean + MAX2(classes, 1));
        r = correlation(t, column[i], mean, classes);
        r = isnan(r) ? 0 : r;
        least = fmin(least, r);
        sum += r;
    }
    free(mean);
    *result = !columns ? 0 : wish->classes ? sum / (double)columns : least;
    return CLRNN_OK;
}

// ---------------------------------------------------------------- the warning

static void warn(const struct clrnn_log *log, const struct clrnn_table_wish *wish, const char *why, const char *time)
{
    clrnn_log(log, CLRNN_LOG_WARNING,
              "%s: %s, but each row is taken as a sample by itself (T = 1); where they are a series, add "
              "window: 48, the rows of a sample%s%s",
              wish->path, why, time ? ", and time: " : "", time ? time : "");
}

enum clrnn_status clrnn_table_check_order(const struct clrnn_log *log, const struct clrnn_table_wish *wish,
                                          const struct clrnn_table *table)
{
    const struct clrnn_source *s = wish->source;
    const struct clrnn_csv_rules rules = clrnn_source_csv_rules(s);
    struct head head = {.decimal = s->decimal ? *s->decimal : '.'};
    const struct clrnn_csv_sink sink = {&head, take_header, take_cell, take_row};
    enum clrnn_status st = clrnn_csv_stream(log, wish->path, &rules, &sink);
    const char *time;
    double similar = 0;
    char why[160];

    if (st == CLRNN_ERR_MEMORY)
        clrnn_error_memory(log, head.columns * sizeof(*head.order), wish->path);
    if (st == CLRNN_FAILED)
        st = CLRNN_OK;
    time = st == CLRNN_OK ? find_time(&head, table) : NULL;
    if (time) {
        snprintf(why, sizeof(why), "the rows stand in order of \"%.80s\"", time);
        warn(log, wish, why, time);
    } else if (st == CLRNN_OK) {
        st = resemblance(log, wish, table, &similar);
        snprintf(why, sizeof(why), "each row resembles the row before it (correlation %.2f)", similar);
        if (st == CLRNN_OK && similar > LEAST_CORRELATION)
            warn(log, wish, why, NULL);
    }
    for (size_t i = 0; i < head.columns; i++)
        free(head.name[i]);
    free(head.name);
    free(head.order);
    return st;
}
