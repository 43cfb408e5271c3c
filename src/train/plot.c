// SPDX-License-Identifier: MIT
// Draws a run's pictures with gnuplot: the loss by epoch and the number of samples by class. The other pictures are in
// plot_metrics.c.
#include <math.h>
#include <stdio.h>

#include "base/file.h"
#include "train/picture.h"
#include "train/plot_metrics.h"
#include "train/run_folder.h"

#define LOG_SCALE_FROM 1000.0 // the axis is logarithmic if largest / smallest loss is above this
#define MOST_BARS_NAMED 30u

// The data that the pictures show, and the destinations of the pictures.
struct subject {
    const struct clrnn_run_folder *folder;
    const struct clrnn_dataset_info *train;
    const uint64_t *counts; // [classes] number of training samples or steps of each class
    const struct clrnn_picture_counts *confusion;
    struct clrnn_tfevents *events; // the pictures are also appended here; or NULL
    enum clrnn_status status;      // result of appending to `events`
};

// ---------------------------------------------------------------- loss.svg

static void write_series(FILE *script, const struct clrnn_run_folder *f, bool valid)
{
    for (size_t i = 0; i < f->count; i++) {
        const double loss = valid ? f->row[i].valid_loss : f->row[i].train_loss;

        if (isfinite(loss))
            fprintf(script, "%llu %.9g\n", (unsigned long long)f->row[i].epoch, loss);
    }
    fprintf(script, "e\n");
}

static void draw_loss(FILE *script, const struct subject *s)
{
    const struct clrnn_run_folder *f = s->folder;
    double least = INFINITY, most = 0.0;
    size_t train = 0, valid = 0;

    for (size_t i = 0; i < f->count; i++) {
        const double both[] = {f->row[i].train_loss, f->row[i].valid_loss};

        train += isfinite(both[0]);
        valid += isfinite(both[1]);
        for (int k = 0; k < 2; k++)
            if (isfinite(both[k])) {
                least = fmin(least, both[k]);
                most = fmax(most, both[k]);
            }
    }
    fprintf(script, "set title 'Loss of each epoch' textcolor '#303030'\nset xlabel 'epoch'\nset ylabel 'loss'\n"
                    "set key above right horizontal\n");
    fprintf(script, "set xrange [%g:%llu]\n", f->count > 1 ? 1.0 : 0.0,
            (unsigned long long)(f->count > 1 ? f->row[f->count - 1].epoch : 2));
    if (f->count < 12)
        fprintf(script, "set xtics 1\n");
    if (least > 0.0 && most > LOG_SCALE_FROM * least)
        fprintf(script, "set logscale y\nset format y '%%.0e'\n");
    else if (most > 0.0 && most <= 4.0 * (most - least))
        fprintf(script, "set yrange [0:*]\n"); // so that small changes of the loss are not magnified
    else if (most > 0.0)
        fprintf(script, "set yrange [0:%g]\n", 1.15 * most);
    if (train)
        fprintf(script, "plot '-' using 1:2 with linespoints linewidth 2 pointtype 7 pointsize 0.5 linecolor '#1f77b4' "
                        "title 'train'");
    if (valid)
        fprintf(script,
                "%s '-' using 1:2 with linespoints linewidth 2 pointtype 7 pointsize 0.5 linecolor '#d62728' "
                "title 'valid'",
                train ? "," : "plot");
    fprintf(script, "\n");
    if (train)
        write_series(script, f, false);
    if (valid)
        write_series(script, f, true);
}

// ---------------------------------------------------------------- classes.svg

static void draw_classes(FILE *script, const struct subject *s)
{
    const struct clrnn_texts *names = s->confusion->names;
    const uint32_t classes = s->train->classes;
    const char *what = s->train->y_steps && s->train->T > 1 ? "steps" : "samples";

    fprintf(script,
            "set title 'Training %s of each class' textcolor '#303030'\nset xlabel 'class'\n"
            "set ylabel '%s'\nset yrange [0:*]\nset offsets 0,0,graph 0.08,0\nset key off\n"
            "set style fill solid 0.9 noborder\nset boxwidth 0.6\nset xrange [-0.6:%g]\n",
            what, what, classes - 0.4);
    if (names && classes <= MOST_BARS_NAMED)
        clrnn_picture_tics(&(struct clrnn_picture){.script = script}, 'x', names->count, names->text,
                           CLRNN_CLASS_CHARACTERS);
    else if (classes <= MOST_BARS_NAMED)
        fprintf(script, "set xtics 1\n");
    fprintf(script, "plot '-' using 1:2 with boxes linecolor '#1f77b4'");
    if (classes <= MOST_BARS_NAMED / 2)
        fprintf(script, ", '-' using 1:2:2 with labels offset 0,0.7 textcolor '#303030'");
    fprintf(script, "\n");
    for (int series = 0; series < (classes <= MOST_BARS_NAMED / 2 ? 2 : 1); series++) {
        for (uint32_t k = 0; k < classes; k++)
            fprintf(script, "%u %llu\n", k, (unsigned long long)s->counts[k]);
        fprintf(script, "e\n");
    }
}

// ---------------------------------------------------------------- all pictures

static void draw_metrics(FILE *script, const struct subject *s)
{
    clrnn_plot_metrics(script, s->folder);
}

static void draw_confusion(FILE *script, const struct subject *s)
{
    clrnn_plot_confusion(script, s->confusion, s->folder->count);
}

// Draws a picture as PNG and appends it to `events` at the step of the last epoch. Appends nothing if gnuplot cannot
// draw PNG.
static void add_event(struct subject *s, const char *tag, void (*write)(FILE *script, const struct subject *s))
{
    struct clrnn_picture picture;
    uint8_t *png;
    size_t size;

    if (!clrnn_picture_begin(NULL, NULL, &picture))
        return;
    write(picture.script, s);
    if (clrnn_picture_png(&picture, &png, &size))
        s->status = clrnn_tfevents_picture(s->events, s->folder->row[s->folder->count - 1].step, tag, png, size);
    free(png);
}

static bool make_picture(struct subject *s, const char *tag, void (*write)(FILE *script, const struct subject *s))
{
    char *name = clrnn_format("%s.svg", tag);
    struct clrnn_picture picture;
    const bool begun = name && clrnn_picture_begin(s->folder->files, name, &picture);

    free(name);
    if (s->events && s->folder->count && s->status == CLRNN_OK)
        add_event(s, tag, write);
    if (!begun)
        return false;
    write(picture.script, s);
    return clrnn_picture_end(&picture);
}

enum clrnn_status clrnn_plot(const struct clrnn_run_folder *f, const struct clrnn_dataset *train,
                             const struct clrnn_picture_counts *confusion, struct clrnn_tfevents *events, int plot)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(train);
    uint64_t *counts = NULL;
    struct subject s = {f, info, NULL, confusion, events, CLRNN_OK};
    bool drawn = true, any = false;

    if (!clrnn_picture_wanted(f->log, plot, "no pictures"))
        return CLRNN_OK;
    for (size_t i = 0; i < f->count; i++)
        any = any || isfinite(f->row[i].train_loss) || isfinite(f->row[i].valid_loss);
    if (any)
        drawn = make_picture(&s, "loss", draw_loss);
    if (clrnn_plot_has_metrics(f))
        drawn = make_picture(&s, "metrics", draw_metrics) && drawn;
    s.counts = counts = info->classes ? malloc(info->classes * sizeof(*counts)) : NULL;
    if (counts && clrnn_dataset_class_counts(train, counts) == CLRNN_OK)
        drawn = make_picture(&s, "classes", draw_classes) && drawn;
    if (confusion->count && f->count)
        drawn = make_picture(&s, "confusion", draw_confusion) && drawn;
    if (!drawn)
        clrnn_log(f->log, CLRNN_LOG_WARNING, "%s: gnuplot could not draw the pictures", f->path);
    free(counts);
    return s.status;
}
