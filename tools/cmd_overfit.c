// SPDX-License-Identifier: MIT
// clrnn overfit: tests whether a model can learn a single batch by heart.
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/text.h"
#include "tools/cli.h"
#include "tools/interrupt.h"

enum { PLOT_ROWS = 12, PLOT_COLUMNS = 64 };

// ---------------------------------------------------------------- the result in words

static void make_verdict(const struct clrnn_overfit_result *r, char *text, size_t size)
{
    const double error = 1.0 - r->accuracy;
    char steps[32];

    cli_count(r->steps, "step", steps);
    if (r->reached)
        snprintf(text, size, "learnt by heart%s: loss %.4g after %s", r->floor > 0 ? ", as far as it can be" : "",
                 r->last_loss, steps);
    else if (r->cannot && r->grad_norm_first == 0.0 && isfinite(error))
        snprintf(text, size,
                 "cannot learn one batch: the gradient is exactly 0, and the loss stands at %.4f (floor "
                 "%.4f; error rate %.4f)",
                 r->last_loss, r->floor, error);
    else if (r->ended && !isfinite(r->last_loss))
        snprintf(text, size, "does not learn one batch: %s in step %u", r->ended, r->steps);
    else if (r->cannot)
        snprintf(text, size, "cannot learn one batch: the loss came to %.4g in %s and its floor is %.4g",
                 r->lowest_loss, steps, r->floor);
    else if (r->ended)
        snprintf(text, size, "does not learn one batch: %s; loss %.4g after %s", r->ended, r->last_loss, steps);
    else
        snprintf(text, size, "does not learn one batch in %s: lowest loss %.4g, wanted %.4g%s", steps, r->lowest_loss,
                 r->target,
                 r->falling ? "; it still falls, so allow more --steps or raise the lr"
                            : ", and it has stopped falling");
}

// ---------------------------------------------------------------- the curve as text

static double height(double loss, double low, double high)
{
    const double x = log(fmax(loss, low));

    return high > low ? (x - log(low)) / (log(high) - log(low)) : 0.0;
}

// Finds the range of the losses and the target for a logarithmic axis. Returns false if nothing can be drawn.
static bool span(const struct clrnn_overfit_result *r, double *low, double *high)
{
    *low = r->target;
    *high = 0.0;
    for (size_t i = 0; i < r->curve_count; i++) {
        if (!isfinite(r->curve[i]) || r->curve[i] <= 0.0)
            return false;
        *low = fmin(*low, r->curve[i]);
        *high = fmax(*high, r->curve[i]);
    }
    *high = fmax(*high, r->target);
    return r->curve_count > 1 && *high > *low;
}

static void plot(const struct clrnn_overfit_result *r)
{
    const size_t columns = MIN2(r->curve_count, (size_t)PLOT_COLUMNS);
    char cell[PLOT_ROWS][PLOT_COLUMNS + 1], last[32];
    double low, high;
    int target;

    if (!span(r, &low, &high))
        return;
    memset(cell, ' ', sizeof(cell));
    target = (int)lround((1.0 - height(r->target, low, high)) * (PLOT_ROWS - 1));
    memset(cell[target], '.', columns);
    for (size_t c = 0; c < columns; c++) { // a column of the plot shows the mean of several steps
        const size_t from = c * r->curve_count / columns, to = MAX2((c + 1) * r->curve_count / columns, from + 1);
        double sum = 0.0;

        for (size_t i = from; i < to; i++)
            sum += r->curve[i];
        sum /= (double)(to - from);
        cell[(int)lround((1.0 - height(sum, low, high)) * (PLOT_ROWS - 1))][c] = '*';
    }
    printf("\n      loss\n");
    for (int i = 0; i < PLOT_ROWS; i++) {
        const double loss = exp(log(high) + (log(low) - log(high)) * i / (PLOT_ROWS - 1));

        if (i == 0 || i == PLOT_ROWS - 1 || i == target)
            printf("%10.4g |", i == target ? r->target : loss);
        else
            printf("%10s |", "");
        printf("%.*s%s\n", (int)columns, cell[i], i == target ? " target" : "");
    }
    cli_count(r->curve_count, "step", last);
    printf("%10s +%.*s\n%12s1%*s\n\n", "", (int)columns,
           "----------------------------------------------------------------", "",
           MAX2((int)columns - 1, (int)strlen(last) + 1), last);
}

// ---------------------------------------------------------------- output

static void print_text(const struct clrnn_overfit_result *r)
{
    char verdict[512], samples[32];

    make_verdict(r, verdict, sizeof(verdict));
    printf("one batch of %s, up to a loss under %.4g\n", cli_count(r->samples, "sample", samples), r->target);
    if (r->floor_reason && isfinite(r->floor))
        printf("the loss cannot fall under %.4f: %s\n", r->floor, cli_shown(r->floor_reason));
    else if (r->floor_reason)
        printf("%s\n", cli_shown(r->floor_reason));
    plot(r);
    printf("%s\n", cli_shown(verdict));
}

static enum clrnn_status print_json(const struct cli *cli, const struct clrnn_overfit_result *r)
{
    json_t *curve = json_array(), *all;
    char verdict[512];

    make_verdict(r, verdict, sizeof(verdict));
    for (size_t i = 0; i < r->curve_count; i++)
        cli_json_append(&curve, cli_json_number(r->curve[i]));
    all = json_pack("{s:b, s:I, s:I, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o}", "reached",
                    (int)r->reached, "samples", (json_int_t)r->samples, "steps", (json_int_t)r->steps, "target",
                    cli_json_number(r->target), "floor", cli_json_number(r->floor), "floor_reason",
                    clrnn_json_text(r->floor_reason), "cannot", (int)r->cannot, "first_loss",
                    cli_json_number(r->first_loss), "lowest_loss", cli_json_number(r->lowest_loss), "last_loss",
                    cli_json_number(r->last_loss), "accuracy", cli_json_number(r->accuracy), "grad_norm_first",
                    cli_json_number(r->grad_norm_first), "falling", (int)r->falling, "ended", clrnn_json_text(r->ended),
                    "verdict", clrnn_json_text(verdict), "curve", curve);
    return cli_print_json(cli, all);
}

int cmd_overfit(int argc, char **argv)
{
    struct clrnn_overfit_params params = {0};
    const struct cli_option options[] = {
        {"samples", CLI_UINT, "N", "how many samples (one training batch)", &params.samples},
        {"steps", CLI_UINT, "N", "steps at most (1000)", &params.steps},
        {"target", CLI_REAL, "LOSS",
         "the loss to reach (0.01; mse: 0.01 of the targets' variance; l1: of their deviation)", &params.target},
        {"plain", CLI_FLAG, NULL, "without dropout and scheduler", &params.plain},
        {"init", CLI_TEXT, "FILE", "start from the weights in a safetensors file", &params.init},
    };
    const struct cli_spec spec = {
        .usage = "CONFIG.yaml [options]",
        .text = "Trains on one single batch, the first that `clrnn train` would take, until the loss is under 0.01.\n"
                "A model that cannot learn even this by heart has a fault, and no amount of data or epochs helps.\n"
                "Dropout and scheduler stay as configured, and the loss is that of training, unless --plain is given.\n"
                "Where the loss has a floor above the target, it says so and why: behind label smoothing a little\n"
                "above the floor is aimed at; a softmax before cross_entropy makes it impossible.",
        .least = 1,
        .most = 1,
        .takes_json = true,
        .option_count = ARRAY_SIZE(options),
        .option = options,
        .examples = "  clrnn overfit examples/seed-broken.yaml\n"
                    "  clrnn overfit examples/seed-fixed.yaml --plain --samples 8\n",
    };
    struct clrnn_device *device = NULL;
    struct clrnn_config *config = NULL;
    struct clrnn_overfit_result result = {0};
    struct cli cli;
    enum clrnn_status st;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    st = cli_open(&cli, &config, &device);
    params.init = cli_init(params.init, config);
    params.stop = interrupt_flag();
    if (st == CLRNN_OK)
        st = clrnn_overfit(device, config, &params, &result);
    if (st == CLRNN_OK && cli.json)
        st = print_json(&cli, &result);
    if (st == CLRNN_OK && cli.text)
        print_text(&result);
    if (st == CLRNN_OK && !result.reached)
        st = CLRNN_FAILED;
    clrnn_overfit_finish(&result);
    return cli_close(&cli, st, &config, &device);
}
