// SPDX-License-Identifier: MIT
// Draws the pictures of a comparison: the losses of every device, and the devices' speed as bars.
#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/file.h"
#include "base/log.h"
#include "base/words.h"
#include "clrnn/diagnose.h"
#include "train/picture.h"

#define LOSSES "compare-loss.svg"
#define SPEEDS "compare-speed.svg"
#define DEVICES_CHARACTERS 72u // maximum total length of all names under the bars

static const char *const colours[] = {"#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b"};

// Returns a device's label, "0:0 Quadro P4000", which the caller frees. NULL if memory runs out.
static char *name_of(const struct clrnn_compare_row *row)
{
    return clrnn_format("%s %.40s", row->spec, row->is_ref ? "double precision" : row->name);
}

static void label(const struct clrnn_picture *p, const struct clrnn_compare_row *row)
{
    char *text = name_of(row);

    clrnn_picture_text(p, text ? text : row->spec);
    free(text);
}

// Writes the curves of all devices. The thin curve of ref is drawn last, to be visible on top of curves that agree with
// it.
static void write_losses(const struct clrnn_picture *p, const struct clrnn_compare_result *r)
{
    FILE *f = p->script;

    fprintf(f,
            "set title 'Loss of each step' textcolor '#303030'\nset xlabel 'step'\nset ylabel 'loss'\n"
            "set key above left vertical maxrows 4 noenhanced\nset xrange [1:%u]\nplot ",
            MAX2(r->steps, 2u));
    for (size_t i = 0; i < r->row_count; i++) {
        const struct clrnn_compare_row *row = &r->row[i];

        fprintf(f, "%s'-' using 1:2 with lines linewidth %d dashtype %d linecolor '%s' title ", i ? ", " : "",
                row->is_ref ? 1 : 3, row->is_ref ? 2 : 1, row->is_ref ? "#000000" : colours[i % ARRAY_SIZE(colours)]);
        label(p, row);
    }
    fprintf(f, "\n");
    for (size_t i = 0; i < r->row_count; i++) {
        for (uint32_t s = 0; s < r->row[i].steps; s++)
            if (isfinite(r->row[i].curve[s]))
                fprintf(f, "%u %.9g\n", s + 1, r->row[i].curve[s]);
        fprintf(f, "e\n");
    }
}

static void write_speeds(const struct clrnn_picture *p, const struct clrnn_compare_result *r)
{
    char **names = calloc(MAX2(r->row_count, 1u), sizeof(*names));
    FILE *f = p->script;

    fprintf(f,
            "set title 'Training samples per second' textcolor '#303030'\nset ylabel 'samples/s'\n"
            "set logscale y\nset key off\nset style fill solid 0.9 noborder\nset boxwidth 0.6\n"
            "set xrange [-0.6:%g]\nset offsets 0,0,graph 0.1,0\n",
            (double)r->row_count - 0.4);
    for (size_t i = 0; names && i < r->row_count; i++)
        names[i] = name_of(&r->row[i]);
    if (names)
        clrnn_picture_tics(p, 'x', r->row_count, names, DEVICES_CHARACTERS / MAX2(r->row_count, 1u));
    for (size_t i = 0; names && i < r->row_count; i++)
        free(names[i]);
    free(names);
    fprintf(f, "plot '-' using 1:2 with boxes linecolor '#1f77b4', "
               "'-' using 1:2:3 with labels offset 0,0.7 textcolor '#303030'\n");
    for (int series = 0; series < 2; series++) {
        for (size_t i = 0; i < r->row_count; i++) {
            const double speed = r->row[i].samples_per_s;

            if (isfinite(speed) && speed > 0)
                fprintf(f, "%zu %.9g \"%.*f\"\n", i, speed, speed < 100 ? 1 : 0, speed);
        }
        fprintf(f, "e\n");
    }
}

static bool draw(const char *folder, const char *name, const struct clrnn_compare_result *r,
                 void (*write)(const struct clrnn_picture *, const struct clrnn_compare_result *))
{
    struct clrnn_picture picture;

    if (!clrnn_picture_begin(folder, name, &picture))
        return false;
    write(&picture, r);
    return clrnn_picture_end(&picture);
}

enum clrnn_status clrnn_compare_plot(const struct clrnn_log *log, const struct clrnn_compare_result *result,
                                     const char *folder)
{
    CLRNN_C_LOCALE;
    NEED(log, result);
    NEED(log, folder);

    bool any = false;

    if (!clrnn_picture_possible())
        return clrnn_error(log, CLRNN_ERR_DISK, "no pictures: gnuplot is not installed (Debian: gnuplot-nox)");
    TRY(clrnn_make_folder(log, folder));
    TRY(clrnn_picture_check(log, folder, LOSSES));
    TRY(clrnn_picture_check(log, folder, SPEEDS));
    for (size_t i = 0; i < result->row_count; i++)
        any = any || (result->speed && isfinite(result->row[i].samples_per_s) && result->row[i].samples_per_s > 0);
    if (!draw(folder, LOSSES, result, write_losses) || (any && !draw(folder, SPEEDS, result, write_speeds)))
        return clrnn_error(log, CLRNN_ERR_DISK, "%s: gnuplot could not draw the pictures there", folder);
    return CLRNN_OK;
}
