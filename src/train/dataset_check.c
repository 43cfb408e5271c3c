// SPDX-License-Identifier: MIT
// Checks every value of a data set: the first one that training cannot use is reported as an error.
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/words.h"
#include "train/dataset_advice.h"

#define MOST_CLASSES 1000000u // labels of this number or more, as unchecked sets may hold them, are no classes

static bool all_finite(const float *x, size_t count)
{
    uint32_t bad = 0, bits;

    for (size_t i = 0; i < count; i++) {
        memcpy(&bits, x + i, sizeof(bits));
        bad |= (bits & 0x7f800000u) == 0x7f800000u; // infinity or NaN
    }
    return !bad;
}

enum { PLACE_BYTES = 640 }; // enough for a recording's path of 512

// Names a sample: the recording, "data row 18 (counted from 1)" of a CSV file, else "row 17 (counted from 0)".
static void describe_row(const struct clrnn_dataset *d, uint32_t sample, char text[PLACE_BYTES])
{
    if (d->windows && d->windows->sequences)
        clrnn_dataset_describe_sequence(d, sample, text, PLACE_BYTES);
    else
        snprintf(text, PLACE_BYTES, d->table ? "data row %u (counted from 1)" : "row %u (counted from 0)",
                 sample + (d->table ? 1 : 0));
}

// Names a row of the table. If the table holds sequences, names the sequence and its row or step.
static void describe_table_row(const struct clrnn_dataset *d, size_t row, char text[PLACE_BYTES])
{
    const struct clrnn_span *span = d->windows && d->windows->sequences ? d->windows->span : NULL;
    char name[512];
    size_t s = 0;

    if (!span) {
        snprintf(text, PLACE_BYTES, "data row %zu (counted from 1)", row + 1);
        return;
    }
    while (row - span[s].first >= span[s].rows)
        s++;
    clrnn_dataset_describe_sequence(d, s, name, sizeof(name));
    if (d->recording.count)
        snprintf(text, PLACE_BYTES, "%s, data row %zu (counted from 1)", name, row - span[s].first + 1);
    else
        snprintf(text, PLACE_BYTES, "%s, step %zu", name, row - span[s].first);
}

static double value_in_file(const struct clrnn_dataset *d, uint32_t sample, size_t index)
{
    const size_t width = (size_t)d->info.T * MAX2(d->info.C, 1u);
    double value = 0.0;

    if (d->table)
        return clrnn_dataset_cell(d, sample, index);
    if (d->x)
        clrnn_npy_read_f64(d->x, sample * width + index, 1, &value);
    return value;
}

static enum clrnn_status bad_x(const struct clrnn_dataset *d, uint32_t sample, const float *x)
{
    size_t index = 0;
    char row[PLACE_BYTES];
    double value;

    while (all_finite(x + index, 1))
        index++;
    value = clrnn_unsigned_nan(value_in_file(d, sample, index));
    describe_row(d, sample, row);
    return clrnn_error(d->log, CLRNN_ERR_DATA, "%s: %s, step %zu, feature %zu holds %g, expected %s", d->x_path, row,
                       index / d->info.C, index % d->info.C, value,
                       isfinite(value) ? "a number that float32 can hold (up to 3.4e38): scale that feature"
                                       : "a finite number: repair or remove that row");
}

static enum clrnn_status check_x(const struct clrnn_dataset *d)
{
    const size_t width = (size_t)d->info.T * d->info.C;
    float *row = malloc(width * sizeof(*row));
    enum clrnn_status st = CLRNN_OK;

    if (!row)
        return clrnn_error_memory(d->log, width * sizeof(*row), d->x_path);
    for (uint32_t s = 0; s < d->info.S && st == CLRNN_OK; s++) {
        const float *x = clrnn_dataset_x_mapped(d, s);

        if (!x) {
            clrnn_dataset_x(d, s, row);
            x = row;
        }
        if (!all_finite(x, (size_t)clrnn_dataset_length(d, s) * d->info.C))
            st = bad_x(d, s, x);
        clrnn_dataset_passed(d, s);
    }
    clrnn_dataset_release(d);
    free(row);
    return st;
}

// Checks each row of the table once, even if several windows contain it.
static enum clrnn_status check_table_x(const struct clrnn_dataset *d)
{
    const struct clrnn_table *t = d->table;
    char row[PLACE_BYTES];

    for (size_t i = 0; i < t->rows; clrnn_table_passed(t, i++))
        for (size_t k = 0; k < t->features; k++) {
            const double value = clrnn_table_value(t, i, t->feature[k]);

            if (fabs(value) <= (double)FLT_MAX)
                continue;
            describe_table_row(d, i, row);
            return clrnn_error(d->log, CLRNN_ERR_DATA, "%s: %s, column \"%.100s\" holds %g, expected %s", d->x_path,
                               row, t->column.text[t->feature[k]], clrnn_unsigned_nan(value),
                               isfinite(value) ? "a number that float32 can hold (up to 3.4e38): scale that column"
                               : isnan(value)  ? "a finite number: repair or remove that row, or set missing: zero, "
                                                 "mean or forward"
                                               : "a finite number: repair or remove that row");
        }
    return CLRNN_OK;
}

static enum clrnn_status check_tokens(const struct clrnn_dataset *d)
{
    char row[PLACE_BYTES], step[32];

    for (uint32_t s = 0; s < d->info.S; s++)
        for (uint32_t t = 0; t < clrnn_dataset_length(d, s); t++) {
            const double value = clrnn_unsigned_nan(value_in_file(d, s, t));

            if (value >= 0.0 && value < d->goal.vocabulary && value == floor(value))
                continue;
            if (d->windows)
                describe_table_row(d, clrnn_dataset_table_row(d, s, t), row);
            else
                describe_row(d, s, row);
            snprintf(step, sizeof(step), ", step %u", t);
            return clrnn_error(d->log, CLRNN_ERR_DATA,
                               "%s: %s%s holds token %.9g, expected a whole number from 0 to %u "
                               "(num_embeddings - 1)%s",
                               d->x_path, row, d->windows ? "" : step, value, d->goal.vocabulary - 1,
                               value != floor(value) ? ": for measurements take the embedding out of model.layers, "
                                                       "and give X as (N, T, C)"
                               : value > 0           ? ": num_embeddings has to be above the largest token"
                                                     : "");
        }
    return CLRNN_OK;
}

static enum clrnn_status bad_y(const struct clrnn_dataset *d, uint32_t sample, size_t index, double value)
{
    const uint32_t targets = d->info.targets, step = (uint32_t)(index / targets);
    const uint32_t output = (uint32_t)(index % targets);
    char row[PLACE_BYTES], where[128] = "", advice[128];

    value = clrnn_unsigned_nan(value);
    describe_row(d, sample, row);
    if (d->goal.ctc)
        return clrnn_error(d->log, CLRNN_ERR_DATA,
                           "%s: %s, label %u holds %.9g, expected a class from 0 to %u other than the blank, %u",
                           d->y_path, row, step, value, d->goal.outputs - 1, d->goal.blank);
    if (d->table && !d->label)
        snprintf(where, sizeof(where), ", column \"%.100s\"",
                 d->table->column.text[d->table->target[index % d->table->targets]]);
    else if (d->info.y_steps && d->info.T > 1 && targets > 1)
        snprintf(where, sizeof(where), ", step %u, output %u", step, output);
    else if (d->info.y_steps && d->info.T > 1)
        snprintf(where, sizeof(where), ", step %u", step);
    else if (targets > 1)
        snprintf(where, sizeof(where), ", output %u", output);
    if (!isfinite(value) || (!d->goal.classes && !d->goal.binary))
        return clrnn_error(d->log, CLRNN_ERR_DATA,
                           "%s: %s%s holds the target %g, expected a finite number: repair or remove that row%s",
                           d->y_path, row, where, value,
                           isnan(value) && !d->goal.classes ? ", or set data.missing_targets: ignore" : "");
    if (*clrnn_label_advice(d, advice, sizeof(advice))) // all labels use another encoding, such as -1 and 1
        return clrnn_error(d->log, CLRNN_ERR_DATA, "%s: %s%s holds the label %.9g, expected %s: %s", d->y_path, row,
                           where, value, d->goal.binary ? "0 or 1 for bce_with_logits" : "a class, which count from 0",
                           advice);
    if (d->goal.binary)
        return clrnn_error(d->log, CLRNN_ERR_DATA,
                           "%s: %s%s holds the label %g, expected 0 to 1 for bce_with_logits; for more than two "
                           "classes use cross_entropy",
                           d->y_path, row, where, value);
    if (value != floor(value))
        return clrnn_error(d->log, CLRNN_ERR_DATA,
                           "%s: %s%s holds the label %.9g, expected a whole number, the class; for real targets "
                           "use the loss mse",
                           d->y_path, row, where, value);
    return clrnn_error(d->log, CLRNN_ERR_DATA,
                       "%s: %s%s holds class %.0f, but the last layer has %u outputs, for classes 0 to %u: correct "
                       "the label or set out_features to the number of classes (they count from 0; %d is ignored)",
                       d->y_path, row, where, value, d->goal.outputs, d->goal.outputs - 1, d->goal.ignore);
}

static bool y_is_fine(const struct clrnn_data_goal *goal, double value)
{
    if (goal->missing && !goal->classes && isnan(value))
        return true;
    if (goal->ctc)
        return value >= 0.0 && value < goal->outputs && value == floor(value) && value != goal->blank;
    if (goal->classes)
        return (value >= 0.0 && value < goal->outputs && value == floor(value)) || value == goal->ignore;
    return goal->binary ? value >= 0.0 && value <= 1.0 : fabs(value) <= (double)FLT_MAX;
}

static enum clrnn_status check_y(struct clrnn_dataset *d, enum clrnn_dataset_check check)
{
    const struct clrnn_table *t = d->label ? NULL : d->table;
    const uint32_t rows = t ? (uint32_t)t->rows : d->info.S; // each row once, even if in several windows
    uint32_t classes = 0;
    bool counts = false; // whether some target is not missing

    for (uint32_t s = 0; s < rows; t ? clrnn_table_passed(t, s++) : (void)s++)
        for (size_t i = 0; i < (t ? t->targets : clrnn_dataset_y_valid(d, s)); i++) {
            const double value = t ? clrnn_table_value(t, s, t->target[i]) : clrnn_dataset_y(d, s, i);

            if (check == CLRNN_CHECK_ALL && !y_is_fine(&d->goal, value))
                return bad_y(d, s, i, value);
            counts |= d->goal.classes || !isnan(value);
            if (d->goal.classes && (d->goal.ctc || value != d->goal.ignore) && value >= classes && value < MOST_CLASSES)
                classes = (uint32_t)value + 1;
        }
    d->info.classes = d->goal.binary && d->info.targets == 1 ? 2 : classes;
    if (check == CLRNN_CHECK_ALL && !counts && !d->goal.classes)
        return clrnn_error(d->log, CLRNN_ERR_DATA, "%s: all targets are missing: nothing would count", d->y_path);
    return CLRNN_OK;
}

static enum clrnn_status check_weights(const struct clrnn_dataset *d)
{
    for (uint32_t s = 0; s < d->info.S; s++)
        if (d->weight[s] > 0)
            return CLRNN_OK;
    return clrnn_error(d->log, CLRNN_ERR_DATA, "%s: all weights are 0: no sample would count", d->weights_path);
}

enum clrnn_status clrnn_dataset_check(struct clrnn_dataset *root, enum clrnn_dataset_check check)
{
    if (check == CLRNN_CHECK_ALL && root->info.tokens)
        TRY(check_tokens(root));
    else if (check == CLRNN_CHECK_ALL && !root->synthetic && (root->table || clrnn_dtype_is_float(root->x->dtype)))
        TRY(root->table ? check_table_x(root) : check_x(root));
    if (check == CLRNN_CHECK_ALL && root->weight)
        TRY(check_weights(root));
    if (root->info.has_y)
        TRY(check_y(root, check));
    return clrnn_dataset_whole(root);
}
