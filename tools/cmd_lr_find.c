// SPDX-License-Identifier: MIT
// clrnn lr-find: finds a learning rate by a range test and short trainings.
#include <math.h>

#include "base/array.h"
#include "tools/cli.h"
#include "tools/interrupt.h"

static void print_text(const struct clrnn_lr_result *r)
{
    printf("range test: %zu steps", r->curve_count);
    if (isfinite(r->steepest))
        printf(", the loss falls fastest at lr %.2g", r->steepest);
    if (isfinite(r->lowest))
        printf(", is lowest at %.2g", r->lowest);
    if (isfinite(r->diverged))
        printf(", diverges at %.2g", r->diverged);
    printf("\n");
    if (r->trial_count) {
        char steps[32];

        printf("after short trainings of %s:\n%10s  %s loss\n", cli_count(r->steps, "step", steps), "lr",
               r->valid ? "valid" : "train");
        for (size_t i = 0; i < r->trial_count; i++)
            printf("%10.3g  %.6g%s\n", r->trial[i].lr, r->trial[i].loss,
                   r->trial[i].lr == r->best_trial ? "  <- lowest with its neighbours" : "");
    }
    if (r->suggestion < r->best_trial)
        printf("the whole training is longer, which a lower rate suits\n");
    if (isfinite(r->suggestion))
        printf("suggestion: --set %s=%.3g\n", r->key, r->suggestion);
    else
        printf("no suggestion: the loss falls at no learning rate; `clrnn doctor` says why\n");
    printf("%s: lr-find.json, lr-find.svg\n", cli_shown(r->folder));
}

int cmd_lr_find(int argc, char **argv)
{
    struct clrnn_lr_params params = {.plot = -1};
    bool no_plot = false;
    const struct cli_option options[] = {
        {"out", CLI_TEXT, "DIR", "folder of the results (runs/<config>-lr-find-<date>-<time>)", &params.out},
        {"steps", CLI_UINT, "N", "steps of each short training, about, at most (1000)", &params.steps},
        {"range-only", CLI_FLAG, NULL, "no short trainings: what the curve alone suggests", &params.no_trials},
        {"range-steps", CLI_UINT, "N", "steps of the range test, at most (160)", &params.range_steps},
        {"from", CLI_REAL, "LR", "where the range test begins (1e-7)", &params.from},
        {"to", CLI_REAL, "LR", "where it ends (10)", &params.to},
        {"init", CLI_TEXT, "FILE", "start from the weights in a safetensors file", &params.init},
        {"no-plot", CLI_FLAG, NULL, "no picture", &no_plot},
    };
    const struct cli_spec spec = {
        .usage = "CONFIG.yaml [options]",
        .text =
            "Finds a learning rate. A range test raises it from step to step until the loss diverges; then\n"
            "short trainings at 1, 2 and 5 times powers of ten, in both directions from where the curve falls,\n"
            "show which rate learns most. Each is the training of `clrnn train` with that rate and a fifth of\n"
            "the epochs (five where there are so many), and is judged by the loss of the validation set, or of\n"
            "training where there is none. A constant rate is then lowered, for a long training wants a lower\n"
            "one than a short training. Leaves lr-find.json and the picture lr-find.svg; the config is not changed.",
        .least = 1,
        .most = 1,
        .takes_json = true,
        .option_count = ARRAY_SIZE(options),
        .option = options,
        .examples = "  clrnn lr-find examples/seed-fixed.yaml\n"
                    "  clrnn lr-find config.yaml --steps 300 --out runs/lr --json\n",
    };
    struct clrnn_device *device = NULL;
    struct clrnn_config *config = NULL;
    struct clrnn_lr_result result = {0};
    struct cli cli;
    enum clrnn_status st;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    params.progress = cli_show_progress;
    params.progress_user = &cli;
    if (no_plot)
        params.plot = 0;
    st = cli_open(&cli, &config, &device);
    params.init = cli_init(params.init, config);
    params.stop = interrupt_flag();
    if (st == CLRNN_OK)
        st = clrnn_lr_find(device, config, &params, &result);
    if ((st == CLRNN_OK || st == CLRNN_FAILED) && cli.json)
        st = cli_print_file(&cli, result.folder, "lr-find.json", st);
    if ((st == CLRNN_OK || st == CLRNN_FAILED) && cli.text)
        print_text(&result);
    clrnn_lr_finish(&result);
    return cli_close(&cli, st, &config, &device);
}
