// SPDX-License-Identifier: MIT
// Writes the results of the search for a learning rate: lr-find.json, and lr-find.svg with the range test's curve and
// the losses of the short trainings.
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "search/lr_find.h"
#include "train/folder.h"
#include "train/picture.h"

// ---------------------------------------------------------------- lr-find.json

static json_t *points(const struct clrnn_lr_result *r)
{
    json_t *all = json_array();

    for (size_t i = 0; i < r->curve_count; i++)
        json_array_append_new(all,
                              json_pack("{s:I, s:o, s:o, s:o}", "step", (json_int_t)i + 1, "lr",
                                        clrnn_json_number(r->curve[i].lr), "loss", clrnn_json_number(r->curve[i].loss),
                                        "smoothed", clrnn_json_number(r->curve[i].smoothed)));
    return all;
}

static json_t *trials(const struct clrnn_lr_result *r)
{
    json_t *all = json_array();

    for (size_t i = 0; i < r->trial_count; i++)
        json_array_append_new(all, json_pack("{s:o, s:o}", "lr", clrnn_json_number(r->trial[i].lr), "loss",
                                             clrnn_json_number(r->trial[i].loss)));
    return all;
}

static enum clrnn_status write_json(const struct clrnn_lr_finder *f)
{
    const struct clrnn_lr_result *r = f->result;
    const struct clrnn_device_info *info = clrnn_device_info(f->device);
    char spec[24];
    json_t *all;

    clrnn_json_out_of_memory();
    all = json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:I, s:I, s:o, s:o}",
                    "version", clrnn_version(), "config", clrnn_json_text(f->config->path), "device",
                    clrnn_device_spec(info, spec), "name", clrnn_json_text(info->name), "platform",
                    clrnn_json_text(info->platform_name), "driver", clrnn_json_text(info->driver), "key", r->key,
                    "suggestion", clrnn_json_number(r->suggestion), "best_trial", clrnn_json_number(r->best_trial),
                    "classic", clrnn_json_number(r->classic), "steepest", clrnn_json_number(r->steepest), "lowest",
                    clrnn_json_number(r->lowest), "diverged", clrnn_json_number(r->diverged), "judged_by",
                    r->valid ? "valid_loss" : "train_loss", "epochs", (json_int_t)r->epochs, "steps",
                    (json_int_t)r->steps, "trials", trials(r), "curve", points(r));
    return clrnn_folder_json(f->log, r->folder, "lr-find.json", all, JSON_INDENT(1) | JSON_REAL_PRECISION(15), "",
                             "the result as JSON");
}

// ---------------------------------------------------------------- lr-find.svg

// Sets the range of the loss axis in one panel of the picture. Diverged losses may lie outside this range: an axis that
// includes them would show all other losses as a flat line.
static void set_range(const struct clrnn_picture *p, const double *loss, size_t count)
{
    double low = INFINITY, high = -INFINITY, first = NAN;

    for (size_t i = 0; i < count; i++)
        if (isfinite(loss[i])) {
            first = isnan(first) ? loss[i] : first;
            low = fmin(low, loss[i]);
            high = fmax(high, loss[i]);
        }
    high = fmin(high, fmax(low + 4 * fmax(first - low, 0.0), low + 2 * fabs(low)));
    clrnn_picture_range(p, low, high);
}

static void mark(FILE *script, double lr, const char *colour)
{
    if (isfinite(lr))
        fprintf(script, "set arrow from %.9g, graph 0 to %.9g, graph 1 nohead dashtype 2 linewidth 2 linecolor '%s'\n",
                lr, lr, colour);
}

static void write_curve(const struct clrnn_picture *p, const struct clrnn_lr_result *r, const double *loss)
{
    FILE *script = p->script;

    set_range(p, loss, r->curve_count);
    fprintf(script,
            "set title 'Range test' textcolor '#303030'\nset xlabel 'learning rate'\nset ylabel 'loss of a step'\n"
            "set key above right horizontal\n");
    mark(script, r->suggestion, "#2ca02c");
    fprintf(script, "plot '-' using 1:2 with points pointtype 7 pointsize 0.3 linecolor '#a0c4e0' title 'loss', "
                    "'-' using 1:2 with lines linewidth 2 linecolor '#1f77b4' title 'smoothed', "
                    "NaN with lines dashtype 2 linewidth 2 linecolor '#2ca02c' title 'suggestion'\n");
    for (int smooth = 0; smooth < 2; smooth++) {
        for (size_t i = 0; i < r->curve_count; i++) {
            const double y = smooth ? r->curve[i].smoothed : r->curve[i].loss;

            if (isfinite(y))
                fprintf(script, "%.9g %.9g\n", r->curve[i].lr, y);
        }
        fprintf(script, "e\n");
    }
}

static void write_trials(const struct clrnn_picture *p, const struct clrnn_lr_result *r, const double *loss)
{
    FILE *script = p->script;

    set_range(p, loss, r->trial_count);
    fprintf(script,
            "set title 'Short trainings of %u steps' textcolor '#303030'\nset ylabel '%s loss'\nset key off\n"
            "plot '-' using 1:2 with linespoints linewidth 2 pointtype 7 pointsize 0.6 linecolor '#d62728'\n",
            r->steps, r->valid ? "valid" : "train");
    for (size_t i = 0; i < r->trial_count; i++)
        if (isfinite(r->trial[i].loss))
            fprintf(script, "%.9g %.9g\n", r->trial[i].lr, r->trial[i].loss);
    fprintf(script, "e\n");
}

static bool draw(const struct clrnn_lr_finder *f)
{
    const struct clrnn_lr_result *r = f->result;
    double *loss = malloc((r->curve_count + r->trial_count + 1) * sizeof(*loss));
    struct clrnn_picture picture;
    const bool begun = loss && clrnn_picture_begin(r->folder, "lr-find.svg", &picture);

    if (begun) {
        fprintf(picture.script, "set logscale x\nset format x '%%.0e'\nset xrange [%.9g:%.9g]\n", f->params->from,
                f->params->to);
        if (r->trial_count) {
            clrnn_picture_height(&picture, 720);
            fprintf(picture.script, "set multiplot layout 2,1\n");
        }
        for (size_t i = 0; i < r->curve_count; i++)
            loss[i] = r->curve[i].smoothed;
        write_curve(&picture, r, loss);
        for (size_t i = 0; i < r->trial_count; i++)
            loss[i] = r->trial[i].loss;
        if (r->trial_count)
            write_trials(&picture, r, loss);
    }
    free(loss);
    return begun && clrnn_picture_end(&picture);
}

enum clrnn_status clrnn_lr_save(const struct clrnn_lr_finder *f)
{
    TRY(write_json(f));
    if (clrnn_picture_wanted(f->log, f->params->plot, "no picture") && !draw(f))
        clrnn_log(f->log, CLRNN_LOG_WARNING, "%s: gnuplot could not draw the picture", f->result->folder);
    return CLRNN_OK;
}
