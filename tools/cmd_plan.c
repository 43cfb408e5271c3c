// SPDX-License-Identifier: MIT
// clrnn plan: what a training step or a prediction consists of, as ops and as launches.
#include <stdlib.h>

#include "base/array.h"
#include "clrnn/train.h"
#include "tools/cli.h"

int cmd_plan(int argc, char **argv)
{
    bool predict = false;
    const struct cli_option options[] = {
        {"predict", CLI_FLAG, NULL, "the plan of a prediction instead of a training step", &predict},
    };
    const struct cli_spec spec = {
        .usage = "CONFIG.yaml [options]",
        .text =
            "Prints what a training step of the config's batch consists of: each op with its tensors, FLOPs\n"
            "and bytes, and below it the launches that carry it out on the device. N batch, T time steps;\n"
            "sequences stand as (T, N, C). `clrnn train --profile` times the same launches.",
        .least = 1,
        .most = 1,
        .takes_json = true,
        .option_count = ARRAY_SIZE(options),
        .option = options,
        .examples = "  clrnn plan examples/seed-fixed.yaml\n"
                    "  clrnn plan examples/seed-fixed.yaml --set train.batch_size=256 --json\n",
    };
    struct clrnn_config *config = NULL;
    struct clrnn_device *device = NULL;
    char *text = NULL;
    struct cli cli;
    enum clrnn_status st;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    st = cli_open(&cli, &config, &device);
    if (st == CLRNN_OK)
        st = clrnn_plan_text(device, config, predict, cli.json, &text);
    if (st == CLRNN_OK && cli.json)
        st = cli_print_json_text(&cli, text);
    if (st == CLRNN_OK && cli.json && cli.text) {
        free(text);
        st = clrnn_plan_text(device, config, predict, false, &text);
    }
    if (st == CLRNN_OK && cli.text)
        cli_print_lines(text);
    free(text);
    return cli_close(&cli, st, &config, &device);
}
