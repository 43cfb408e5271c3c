// SPDX-License-Identifier: MIT
// Writes advice on files that do not fit: what the data look like, and how to convert them.
#include "train/dataset_advice.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "formats/cell.h"

#define MOST_LOOKED_AT 4096u // most rows that are examined

// ---------------------------------------------------------------- labels

const char *clrnn_label_advice(const struct clrnn_dataset *d, char *text, size_t size)
{
    double least = INFINITY, most = -INFINITY;
    bool whole = true, zero = false;

    for (uint32_t s = 0; s < d->info.S; s++)
        for (size_t i = 0; i < clrnn_dataset_y_valid(d, s); i++) {
            const double y = clrnn_dataset_y(d, s, i);

            if (d->goal.classes && y == d->goal.ignore)
                continue;
            least = fmin(least, y);
            most = fmax(most, y);
            whole = whole && y == floor(y);
            zero = zero || y == 0;
        }
    text[0] = 0;
    if (!whole || !(least < most))
        return text;
    if (least == -1 && most == 1 && !zero)
        snprintf(text, size, "the labels are -1 and 1: make them 0 and 1, y = (y + 1) / 2");
    else if (least >= 1 && d->goal.binary && most == least + 1)
        snprintf(text, size, "the labels are %.0f and %.0f: make them 0 and 1, y = y - %.0f", least, most, least);
    else if (least >= 1 && d->goal.classes && most - least < d->goal.outputs)
        snprintf(text, size, "the labels count from %.0f to %.0f: make them count from 0, y = y - %.0f", least, most,
                 least);
    return text;
}

// ---------------------------------------------------------------- shapes

// Whether each examined row has a single 1 and otherwise zeros.
static bool is_one_hot(const struct clrnn_npy *y)
{
    const size_t rows = MIN2(y->shape[0], (size_t)MOST_LOOKED_AT), width = y->shape[1];

    for (size_t n = 0; n < rows; n++) {
        size_t ones = 0;

        for (size_t k = 0; k < width; k++) {
            double value;

            clrnn_npy_read_f64(y, n * width + k, 1, &value);
            if (value != 0 && value != 1)
                return false;
            ones += value == 1;
        }
        if (ones != 1)
            return false;
    }
    return rows > 0;
}

const char *clrnn_y_advice(const struct clrnn_npy *y, uint32_t T, uint32_t outputs, char *text, size_t size)
{
    text[0] = 0;
    if (y->ndim != 2 || y->shape[1] < 2)
        return text;
    if (is_one_hot(y))
        snprintf(text, size, "; it is one-hot: y = numpy.argmax(y, axis=1) gives the classes");
    else if (y->shape[1] == T)
        snprintf(text, size, "; for a prediction at every step remove the pool layer");
    else if (outputs)
        snprintf(text, size, "; for %zu targets a sample use out_features: %zu", y->shape[1], y->shape[1] * outputs);
    else
        snprintf(text, size,
                 "; for probabilities of classes take the likeliest, numpy.argmax(y, axis=1); for several labels a "
                 "row use the loss bce_with_logits");
    return text;
}

const char *clrnn_samples_advice(const struct clrnn_npy *x, size_t samples, char *text, size_t size)
{
    text[0] = 0;
    if (x->ndim == 3 && x->shape[1] == samples)
        snprintf(text, size,
                 "; the second extent of X is %zu: X seems to be (T, N, C), as PyTorch without batch_first has it: "
                 "X = X.transpose(1, 0, 2)",
                 samples);
    else if (x->ndim >= 2 && x->shape[x->ndim - 1] == samples)
        snprintf(text, size, "; the last extent of X is %zu: X seems to have its samples last, X = %s", samples,
                 x->ndim == 3 ? "X.transpose(2, 0, 1) or X.transpose(2, 1, 0)" : "X.T");
    return text;
}

const char *clrnn_x_advice(const struct clrnn_npy *x)
{
    if (x->ndim == 1)
        return "; for one series cut it into windows, numpy.lib.stride_tricks.sliding_window_view(X, T)[:, :, "
               "None]; for one number a sample, X.reshape(-1, 1)";
    if (x->ndim == 4)
        return "; images go row by row: X.reshape(N, H, W) of one channel, else X.transpose(0, 2, 3, 1)"
               ".reshape(N, H, W * C)";
    return "";
}

// Whether a text is a number after all `characters` are removed from it.
static bool number_without(const char *text, const char *characters, char decimal)
{
    char rest[64];
    size_t length = 0;
    double value;

    for (; *text && length < sizeof(rest) - 1; text++)
        if (!strchr(characters, *text))
            rest[length++] = *text;
    rest[length] = '\0';
    return !*text && clrnn_cell_number(rest, length, decimal, &value);
}

char *clrnn_no_number(const char *text, char decimal, bool trained, const char *column)
{
    const char *const set = trained ? "train with" : "set", *const shown = "is no number";
    const bool point = decimal == '.', cut = strlen(text) > 20;
    double value;

    if (point && strchr(text, ',') && clrnn_cell_number(text, strlen(text), ',', &value))
        return clrnn_format("\"%.20s\" %s: where decimals have a comma, %s decimal: \",\"", text, shown, set);
    if (number_without(text, point ? ",' " : ".' ", decimal))
        return clrnn_format("\"%.30s\" %s: write it without marks between thousands", text, shown);
    if (number_without(text, "%$", decimal))
        return clrnn_format("\"%.30s\" %s: write it without its unit", text, shown);
    if (!strcmp(text, "?") || !strcmp(text, "-") || !strcmp(text, "."))
        return clrnn_format("\"%s\" %s: where it stands for a missing value, leave the cell empty, and %s missing: "
                            "zero, mean or forward",
                            text, shown, set);
    if (clrnn_cell_time(text, strlen(text), decimal, &value))
        return clrnn_format("\"%.30s\" is a date, no number: say time: %.40s beside window, the rows of a sample, "
                            "or leave the column out by `columns`",
                            text, column);
    return clrnn_format("\"%.20s%s\" %s: leave a column of text out by `columns`, or number its values from 0, "
                        "pandas.factorize(table[COLUMN])[0]",
                        text, cut ? "..." : "", shown);
}
