// SPDX-License-Identifier: MIT
// Draws the doctor's pictures: gradient norms by time step and by layer, before and after the short training.
#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "diagnose/doctor/run.h"
#include "model/network.h"
#include "train/picture.h"

#define BEFORE "'#1f77b4'"
#define AFTER "'#d62728'"
#define BY_LAYER "gradient-by-layer.svg"
#define BY_TIME "gradient-by-time.svg"

// Writes one series of points at x = 1, 2, ... Leaves out 0 and NaN, which a logarithmic axis cannot show.
static void write_series(FILE *script, const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (values[i] > 0 && isfinite(values[i]))
            fprintf(script, "%zu %.6g\n", i + 1, values[i]);
    fprintf(script, "e\n");
}

static bool any_positive(const double *values, size_t count)
{
    for (size_t i = 0; values && i < count; i++)
        if (values[i] > 0 && isfinite(values[i]))
            return true;
    return false;
}

// Plots two series, from before and from after training. `style`: the style of the lines in gnuplot's syntax.
static void write_both(FILE *script, const double *before, const double *after, size_t count, const char *style)
{
    const bool first = any_positive(before, count), second = any_positive(after, count);

    fprintf(script, "set logscale y\nset format y '%%.0e'\nset key above right horizontal\n");
    if (first)
        fprintf(script, "plot '-' using 1:2 with %s linecolor " BEFORE " title 'before training'", style);
    if (second)
        fprintf(script, "%s '-' using 1:2 with %s linecolor " AFTER " title 'after'", first ? "," : "plot", style);
    fprintf(script, "\n");
    if (first)
        write_series(script, before, count);
    if (second)
        write_series(script, after, count);
}

static void write_time(FILE *script, const struct clrnn_examination *v)
{
    fprintf(script,
            "set title 'Gradient at the first recurrent layer' textcolor '#303030'\n"
            "set xlabel 'time step'\nset ylabel 'norm over batch and features'\nset xrange [1:%u]\n",
            v->start.T);
    write_both(script, v->start.time, v->end.time, v->start.T, "lines linewidth 2");
}

static void write_layers(FILE *script, const struct clrnn_examination *v)
{
    const struct clrnn_config *c = v->d->config;
    char path[64];

    fprintf(script,
            "set title 'Gradient of each layer' textcolor '#303030'\nset ylabel 'norm over its parameters'\n"
            "set xrange [0.5:%g]\nset xtics rotate by -30 (",
            (double)c->layer_count + 0.5);
    for (size_t i = 0; i < c->layer_count; i++)
        fprintf(script, "%s'%s %s' %zu", i ? ", " : "", clrnn_layer_path(c, i, path, sizeof(path)),
                clrnn_layer_word(c->layer[i].kind), i + 1);
    fprintf(script, ")\n");
    write_both(script, v->start.layer_norm, v->end.layer_norm, c->layer_count,
               "linespoints linewidth 2 pointtype 7 pointsize 0.7");
}

static bool draw(const struct clrnn_examination *v, const char *name,
                 void (*write)(FILE *, const struct clrnn_examination *))
{
    struct clrnn_picture picture;

    if (!clrnn_picture_begin(v->d->params->plot, name, &picture))
        return false;
    write(picture.script, v);
    return clrnn_picture_end(&picture);
}

enum clrnn_status clrnn_doctor_plot_check(const struct clrnn_doctor *d)
{
    if (!d->params->plot)
        return CLRNN_OK;
    if (d->params->static_only)
        clrnn_log(d->log, CLRNN_LOG_WARNING, "no pictures: with --static no gradient is computed");
    TRY(clrnn_picture_check(d->log, d->params->plot, BY_LAYER));
    return clrnn_picture_check(d->log, d->params->plot, BY_TIME);
}

enum clrnn_status clrnn_doctor_plot(const struct clrnn_examination *v)
{
    const struct clrnn_doctor *d = v->d;
    bool drawn = true, by_layer, by_time;

    if (!d->params->plot)
        return CLRNN_OK;
    by_layer = any_positive(v->start.layer_norm, d->config->layer_count);
    by_time = any_positive(v->start.time, v->start.T);
    if (!clrnn_picture_possible()) {
        clrnn_log(d->log, CLRNN_LOG_WARNING, "no pictures: gnuplot is not installed (Debian: gnuplot-nox)");
        return CLRNN_OK;
    }
    if (!by_layer && !by_time) {
        clrnn_log(d->log, CLRNN_LOG_WARNING, "no pictures: every gradient is exactly 0");
        return CLRNN_OK;
    }
    TRY(clrnn_make_folder(d->log, d->params->plot));
    if (by_layer)
        drawn = draw(v, BY_LAYER, write_layers);
    if (by_time)
        drawn = draw(v, BY_TIME, write_time) && drawn;
    if (!drawn)
        clrnn_log(d->log, CLRNN_LOG_WARNING, "%s: gnuplot could not draw the pictures", d->params->plot);
    return CLRNN_OK;
}
