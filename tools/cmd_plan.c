// SPDX-License-Identifier: MIT
// clrnn plan: describes a training step or a prediction as ops and launches, and estimates the speed of several ranks.
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "clrnn/train.h"
#include "tools/cli.h"

#define PAPER_LATENCY_S 50e-6

// Reads the speed of a network: "10Gb" is in bits per second, "1GB" in bytes per second. Returns false if `text` is no
// speed.
static bool read_network(const char *text, struct clrnn_network *network)
{
    static const struct {
        const char *unit;
        double bytes;
    } units[] = {{"Mb", 1e6 / 8}, {"Gb", 1e9 / 8}, {"Tb", 1e12 / 8}, {"MB", 1e6}, {"GB", 1e9}};
    char *end;
    const double value = strtod(text, &end);

    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (!strcmp(end, units[i].unit) && value > 0 && value <= 1e6)
            *network = (struct clrnn_network){value * units[i].bytes, PAPER_LATENCY_S};
    return network->bytes_per_s > 0;
}

// Under mpirun: measures the connection between the ranks, unless --network gives its speed. Sets *leads to whether
// this is rank 0, the only rank that prints the plan.
static enum clrnn_status measure(struct cli *cli, struct clrnn_network *network, bool *leads)
{
    const bool paper = network->bytes_per_s > 0;
    struct clrnn_rank rank;
    enum clrnn_status st = clrnn_rank_join(&cli->log, &rank);

    *leads = !rank.own;
    if (st == CLRNN_OK && !paper)
        st = clrnn_rank_network(&cli->log, network);
    clrnn_rank_leave();
    return st;
}

// Prints the plan as text, as JSON, or both.
static enum clrnn_status print(struct cli *cli, struct clrnn_device *device, const struct clrnn_config *config,
                               struct clrnn_plan_text_params *params)
{
    char *text;
    enum clrnn_status st;

    params->json = cli->json;
    st = clrnn_plan_text(device, config, params, &text);
    if (st == CLRNN_OK && cli->json)
        st = cli_print_json_text(cli, text);
    if (st == CLRNN_OK && cli->json && cli->text) {
        free(text);
        params->json = false;
        st = clrnn_plan_text(device, config, params, &text);
    }
    if (st == CLRNN_OK && cli->text)
        cli_print_lines(text);
    free(text);
    return st;
}

int cmd_plan(int argc, char **argv)
{
    struct clrnn_plan_text_params params = {0};
    const char *network = NULL;
    bool predict = false, leads = true;
    const struct cli_option options[] = {
        {"predict", CLI_FLAG, NULL, "the plan of a prediction instead of a training step", &predict},
        {"network", CLI_TEXT, "SPEED",
         "with train.shards: the expected speed of ranks that are 10Gb (bits; 1GB: bytes) a second apart", &network},
    };
    const struct cli_spec spec = {
        .usage = "CONFIG.yaml [options]",
        .text = "Prints what a training step of the config's batch consists of: each op with its tensors, FLOPs\n"
                "and bytes, and below it the launches that carry it out on the device. N batch, T time steps;\n"
                "sequences stand as (T, N, C). `clrnn train --profile` times the same launches.\n"
                "With train.shards it adds the buckets in which gradients travel, and with --network, or the\n"
                "speed that it measures between the ranks under mpirun, how fast 1 to 1024 ranks would be.",
        .least = 1,
        .most = 1,
        .takes_json = true,
        .option_count = ARRAY_SIZE(options),
        .option = options,
        .examples = "  clrnn plan examples/seed-fixed.yaml\n"
                    "  clrnn plan examples/seed-fixed.yaml --set train.batch_size=256 --json\n"
                    "  clrnn plan examples/seed-fixed.yaml --set train.shards=32 --network 10Gb\n",
    };
    struct clrnn_config *config = NULL;
    struct clrnn_device *device = NULL;
    enum clrnn_status st = CLRNN_OK;
    struct cli cli;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    params.predict = predict;
    if (network && !read_network(network, &params.network))
        return cli_usage(&cli, "--network %s: expected a speed as 100Mb, 10Gb or 1GB", network);
    if (clrnn_rank_launched() > 1)
        st = measure(&cli, &params.network, &leads);
    if (st == CLRNN_OK && leads)
        st = cli_open(&cli, &config, &device);
    if (st == CLRNN_OK && leads && network && (predict || config->train.shards == 1))
        st = clrnn_error(&cli.log, CLRNN_ERR_ARG, "--network estimates the speed of training steps with shards: %s",
                         predict ? "leave out --predict" : "set train.shards, as --set train.shards=8");
    if (st == CLRNN_OK && leads)
        st = print(&cli, device, config, &params);
    return cli_close(&cli, st, &config, &device);
}
