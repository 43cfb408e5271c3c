// SPDX-License-Identifier: MIT
// clrnn grow: trains a series of models, from a linear one to the config's. Each model adds one part. Shows at which
// part learning breaks.
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/text.h"
#include "tools/cli.h"
#include "tools/interrupt.h"

enum { NAME_WIDTH = 26 };

// ---------------------------------------------------------------- the table, stage by stage

static void print_head(void)
{
    printf("%-*s %-17s %-17s %-17s %s\n", NAME_WIDTH, "", "one batch", "train", "valid", "");
    printf("%-*s %-17s %-8s %-8s %-8s %-8s %s\n", NAME_WIDTH, "stage", "by heart", "loss", "accuracy", "loss",
           "accuracy", "layers");
    fflush(stdout);
}

static void print_number(double value)
{
    if (isnan(value))
        printf(" %-8s", "-");
    else
        printf(" %-8.4g", value);
}

struct display {
    bool colour, begun;
};

static void print_stage(void *user, const struct clrnn_grow_stage *stage)
{
    struct display *d = user;
    const bool bold = d->colour && stage->breaks;
    char batch[32];

    if (!d->begun)
        print_head(); // printed only before the first row, so that no head stands above an error message
    d->begun = true;
    if (stage->overfits)
        cli_count(stage->overfit_steps, "step", batch);
    else
        snprintf(batch, sizeof(batch), "no, %.4g", stage->overfit_loss);
    printf("%s%-*s %-17s", bold ? "\033[1;31m" : "", NAME_WIDTH, cli_shown(stage->name), batch);
    print_number(stage->train_loss);
    print_number(stage->train_accuracy);
    print_number(stage->valid_loss);
    print_number(stage->valid_accuracy);
    printf(" %s%s%s\n", cli_shown(stage->description), stage->breaks ? "  <- breaks" : "", bold ? "\033[0m" : "");
    fflush(stdout);
}

static void print_verdict(const struct clrnn_grow_result *r)
{
    printf("\n");
    if (r->cause)
        printf("%s\n", cli_shown(r->cause));
    else
        printf("Nothing breaks: every part of the config learns.\n");
}

// ---------------------------------------------------------------- JSON

static enum clrnn_status print_json(const struct cli *cli, const struct clrnn_grow_result *r)
{
    const char *broken = r->first_broken < 0 ? NULL : r->stage[r->first_broken].name;
    json_t *stages = json_array(), *all;

    for (size_t i = 0; i < r->count; i++) {
        const struct clrnn_grow_stage *g = &r->stage[i];

        cli_json_append(&stages,
                        json_pack("{s:o, s:o, s:b, s:I, s:o, s:o, s:o, s:o, s:o, s:b, s:b}", "name",
                                  clrnn_json_text(g->name), "description", clrnn_json_text(g->description), "overfits",
                                  (int)g->overfits, "overfit_steps", (json_int_t)g->overfit_steps, "overfit_loss",
                                  cli_json_number(g->overfit_loss), "train_loss", cli_json_number(g->train_loss),
                                  "train_accuracy", cli_json_number(g->train_accuracy), "valid_loss",
                                  cli_json_number(g->valid_loss), "valid_accuracy", cli_json_number(g->valid_accuracy),
                                  "learns", (int)g->learns, "breaks", (int)g->breaks));
    }
    all = json_pack("{s:o, s:o, s:o, s:o}", "stages", stages, "first_broken",
                    broken ? json_integer(r->first_broken) : json_null(), "broken_stage", clrnn_json_text(broken),
                    "cause", clrnn_json_text(r->cause));
    return cli_print_json(cli, all);
}

int cmd_grow(int argc, char **argv)
{
    struct clrnn_grow_params params = {0};
    const struct cli_option options[] = {
        {"steps", CLI_UINT, "N", "steps at most to learn one batch by heart, each stage (500)", &params.steps},
        {"train-steps", CLI_UINT, "N", "steps of the short training, each stage (300)", &params.train_steps},
        {"init", CLI_TEXT, "FILE", "the config starts from the weights in a safetensors file", &params.init},
    };
    const struct cli_spec spec = {
        .usage = "CONFIG.yaml [options]",
        .text = "Grows from a linear model over one recurrent layer with a linear one to the config itself, one\n"
                "part at a time: layers, direction, windows over time, normalisation, further layers, residual and\n"
                "concat with all inside them, dropout, final activations, loss, optimiser, scheduler. Each stage\n"
                "learns one batch by heart and is then trained for a moment. The first part with which learning\n"
                "breaks is the likely cause; the stages after it go without it, so that each part is judged by\n"
                "itself. Below the stage of the optimiser all stages use Adam at 1e-3.",
        .least = 1,
        .most = 1,
        .takes_json = true,
        .option_count = ARRAY_SIZE(options),
        .option = options,
        .examples = "  clrnn grow examples/seed-broken.yaml\n"
                    "  clrnn grow examples/seed-fixed.yaml --json\n",
    };
    struct clrnn_device *device = NULL;
    struct clrnn_config *config = NULL;
    struct clrnn_grow_result result = {.first_broken = -1};
    struct display display = {.colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR")};
    struct cli cli;
    enum clrnn_status st;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    params.progress_user = &display;
    st = cli_open(&cli, &config, &device);
    params.init = cli_init(params.init, config);
    params.stop = interrupt_flag();
    if (cli.text)
        params.progress = print_stage;
    if (st == CLRNN_OK)
        st = clrnn_grow(device, config, &params, &result);
    if (st == CLRNN_OK && cli.json)
        st = print_json(&cli, &result);
    if (st == CLRNN_OK && cli.text)
        print_verdict(&result);
    if (st == CLRNN_OK && result.first_broken >= 0)
        st = CLRNN_FAILED;
    clrnn_grow_finish(&result);
    return cli_close(&cli, st, &config, &device);
}
