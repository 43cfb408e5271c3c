// SPDX-License-Identifier: MIT
// Writes the gnuplot scripts that draw metrics.svg and confusion.svg.
#include "train/plot_metrics.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "train/picture.h"

#define MOST_CELLS_NAMED 16u // cells show their count if there are at most this many classes

// ---------------------------------------------------------------- metrics by epoch

// The curves of metrics.svg: keys in metrics.jsonl, titles and colours.
static const struct {
    const char *key, *title, *colour;
} curve[] = {
    {"train_accuracy", "accuracy, train", "#1f77b4"}, {"valid_accuracy", "accuracy, valid", "#d62728"},
    {"valid_macro_f1", "macro F1, valid", "#ff7f0e"}, {"valid_roc_auc", "ROC AUC, valid", "#2ca02c"},
    {"train_mae", "MAE, train", "#1f77b4"},           {"valid_mae", "MAE, valid", "#d62728"},
    {"valid_rmse", "RMSE, valid", "#ff7f0e"},         {"valid_cer", "CER, valid", "#d62728"},
    {"valid_wer", "WER, valid", "#ff7f0e"},
};

// The points of a curve in gnuplot's format.
struct points {
    FILE *stream;
    char *text;
    size_t size, count;
};

// Adds "epoch value" from a line of metrics.jsonl to each curve for which the line has a value.
static void take_line(const char *line, size_t length, struct points points[ARRAY_SIZE(curve)])
{
    json_t *object = json_loadb(line, length, 0, NULL);
    const json_t *epoch = json_object_get(object, "epoch");

    for (size_t i = 0; epoch && i < ARRAY_SIZE(curve); i++) {
        const json_t *value = json_object_get(object, curve[i].key);

        if (!json_is_number(value) || !points[i].stream)
            continue;
        fprintf(points[i].stream, "%lld %.9g\n", (long long)json_integer_value(epoch), json_number_value(value));
        points[i].count++;
    }
    json_decref(object);
}

static void read_curves(const struct clrnn_run_folder *f, struct points points[ARRAY_SIZE(curve)])
{
    char *path = clrnn_path_join(f->files, "metrics.jsonl");
    struct clrnn_map map = {0};

    for (size_t i = 0; i < ARRAY_SIZE(curve); i++) {
        points[i] = (struct points){0};
        points[i].stream = clrnn_text_open(&points[i].text, &points[i].size);
    }
    if (path && clrnn_map_open(NULL, path, &map) == CLRNN_OK && map.size) {
        const char *at = (const char *)map.data, *const last = at + map.size, *end;

        for (; (end = memchr(at, '\n', (size_t)(last - at))); at = end + 1)
            take_line(at, (size_t)(end - at), points);
    }
    clrnn_map_close(&map);
    free(path);
    for (size_t i = 0; i < ARRAY_SIZE(curve); i++)
        if (!points[i].stream || !clrnn_text_close(points[i].stream, &points[i].text))
            points[i].count = 0;
}

bool clrnn_plot_has_metrics(const struct clrnn_run_folder *f)
{
    const struct clrnn_epoch_row *row = f->count ? &f->row[f->count - 1] : NULL;

    return row && (isfinite(row->train_accuracy) || isfinite(row->valid_accuracy) || isfinite(row->train_mae) ||
                   isfinite(row->valid_mae));
}

void clrnn_plot_metrics(FILE *script, const struct clrnn_run_folder *f)
{
    const struct clrnn_epoch_row *row = &f->row[f->count - 1];
    const bool shares = isfinite(row->train_accuracy) || isfinite(row->valid_accuracy);
    struct points points[ARRAY_SIZE(curve)];
    size_t count = 0;

    read_curves(f, points);
    fprintf(script,
            "set title 'Metrics of each epoch' textcolor '#303030'\nset xlabel 'epoch'\n"
            "set key above right horizontal\nset yrange [0:%s]\nset xrange [%g:%llu]\n",
            shares ? "1" : "*", f->count > 1 ? 1.0 : 0.0, (unsigned long long)(f->count > 1 ? row->epoch : 2));
    if (f->count < 12)
        fprintf(script, "set xtics 1\n");
    for (size_t i = 0; i < ARRAY_SIZE(curve); i++)
        if (points[i].count)
            fprintf(script,
                    "%s '-' using 1:2 with linespoints linewidth 2 pointtype 7 pointsize 0.5 "
                    "linecolor '%s' title '%s'",
                    count++ ? "," : "plot", curve[i].colour, curve[i].title);
    fprintf(script, "\n");
    for (size_t i = 0; i < ARRAY_SIZE(curve); i++) {
        if (points[i].count)
            fprintf(script, "%se\n", points[i].text);
        free(points[i].text);
    }
}

// ---------------------------------------------------------------- confusion.svg

void clrnn_plot_confusion(FILE *script, const struct clrnn_picture_counts *confusion, size_t epochs)
{
    const uint32_t K = confusion->classes;
    const bool named = K <= MOST_CELLS_NAMED;

    fprintf(script,
            "set title 'Validation after epoch %zu: share of each true class' textcolor '#303030'\n"
            "set xlabel 'predicted'\nset ylabel 'true'\nset key off\nunset grid\n"
            "set xrange [-0.5:%g]\nset yrange [%g:-0.5]\nset cbrange [0:1]\n"
            "set palette defined (0 '#ffffff', 1 '#1f77b4')\n",
            epochs, K - 0.5, K - 0.5);
    if (K <= 2 * MOST_CELLS_NAMED)
        fprintf(script, "set xtics 1\nset ytics 1\n");
    if (confusion->names && K <= 2 * MOST_CELLS_NAMED) {
        const struct clrnn_picture picture = {.script = script};

        clrnn_picture_tics(&picture, 'x', confusion->names->count, confusion->names->text, CLRNN_CLASS_CHARACTERS);
        clrnn_picture_tics(&picture, 'y', confusion->names->count, confusion->names->text, CLRNN_CLASS_CHARACTERS);
    }
    fprintf(script, "plot '-' using 1:2:3 with image pixels%s\n",
            named ? ", '-' using 1:2:3 with labels textcolor '#303030'" : "");
    for (int pass = 0; pass < (named ? 2 : 1); pass++) {
        for (uint32_t i = 0; i < K; i++) {
            double total = 0;

            for (uint32_t k = 0; k < K; k++)
                total += (double)confusion->count[(size_t)i * K + k];
            for (uint32_t k = 0; k < K; k++) {
                const uint64_t count = confusion->count[(size_t)i * K + k];

                if (pass)
                    fprintf(script, "%u %u %llu\n", k, i, (unsigned long long)count);
                else
                    fprintf(script, "%u %u %.6g\n", k, i, total > 0 ? (double)count / total : 0.0);
            }
        }
        fprintf(script, "e\n");
    }
}
