// SPDX-License-Identifier: MIT
// clrnn compare: runs the same training on several devices and compares the results.
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "tools/compare.h"
#include "tools/interrupt.h"

enum { MOST_DEVICES = 64 };

// Splits "A,B" into specs, in place.
static size_t split(char *text, const char *specs[MOST_DEVICES])
{
    size_t count = 0;
    char *rest = NULL;

    for (char *spec = strtok_r(text, ",", &rest); spec && count < MOST_DEVICES; spec = strtok_r(NULL, ",", &rest))
        specs[count++] = spec;
    return count;
}

struct outputs {
    const char *baseline, *folder;
    bool plot;
};

static enum clrnn_status show(const struct cli *cli, const struct clrnn_compare_result *r, const struct outputs *out)
{
    struct clrnn_baseline_result changes = {0};
    enum clrnn_status st = CLRNN_OK;

    if (cli->text)
        compare_print(r);
    if (out->baseline)
        st = clrnn_compare_baseline(&cli->log, out->baseline, r, &changes);
    if (st == CLRNN_OK && out->baseline && cli->text)
        compare_print_changes(out->baseline, r, &changes);
    if (st == CLRNN_OK && cli->json)
        st = cli_print_json(cli, compare_json(r, out->baseline ? &changes : NULL));
    clrnn_baseline_finish(&changes);
    if (st == CLRNN_OK && out->plot)
        st = clrnn_compare_plot(&cli->log, r, out->folder ? out->folder : ".");
    return st;
}

int cmd_compare(int argc, char **argv)
{
    struct clrnn_compare_params params = {0};
    const char *devices = NULL, *specs[MOST_DEVICES];
    struct outputs out = {0};
    const struct cli_option options[] = {
        {"devices", CLI_TEXT, "A,B", "only these (every device that can be used)", &devices},
        {"steps", CLI_UINT, "N", "training steps (20)", &params.steps},
        {"init", CLI_TEXT, "FILE", "start from the weights in a safetensors file", &params.init},
        {"no-test", CLI_FLAG, NULL, "no self-tests before the run", &params.no_test},
        {"no-speed", CLI_FLAG, NULL, "numbers only: no times of steps and builds", &params.no_speed},
        {"timeout", CLI_REAL, "SECONDS", "give a device up after so long without a sign of life (120)",
         &params.timeout_s},
        {"baseline", CLI_TEXT, "FILE", "hold it against the JSON of an earlier run", &out.baseline},
        {"plot", CLI_FLAG, NULL, "draw compare-loss.svg and compare-speed.svg", &out.plot},
        {"out", CLI_TEXT, "DIR", "where pictures go (.)", &out.folder},
    };
    const struct cli_spec spec = {
        .usage = "CONFIG.yaml [options]",
        .text = "Runs the same training steps (same weights, batches and dropout masks) on every device and on the\n"
                "reference in double precision, each in a process of its own: a device that fails, crashes or hangs\n"
                "does not stop the rest. Shows where numbers differ by more than rounding explains, from which step,\n"
                "and the op to blame; and how fast each device is beside what it could do. doc/devices.md says how\n"
                "bounds are found. Exit status 1 where devices disagree.",
        .least = 1,
        .most = 1,
        .takes_json = true,
        .json_takes_file = true,
        .option_count = ARRAY_SIZE(options),
        .option = options,
        .examples = "  clrnn compare examples/seed-fixed.yaml\n"
                    "  clrnn compare config.yaml --devices gpu,pocl --steps 100 --plot\n"
                    "  clrnn compare config.yaml --json now.json --baseline before.json\n",
    };
    struct clrnn_compare_result result = {0};
    struct clrnn_config *config = NULL;
    char *text = NULL;
    struct cli cli;
    enum clrnn_status st;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    if (devices && cli.device)
        return cli_usage(&cli, "--device and --devices exclude each other");
    if (devices || cli.device) {
        text = strdup(devices ? devices : cli.device);
        params.device = specs;
        params.device_count = text ? split(text, specs) : 0;
        if (text && !params.device_count) {
            free(text);
            return cli_usage(&cli, "--devices names none: expected specs with commas between, as gpu,pocl");
        }
    }
    cli.json_exact = true; // a later run with --baseline compares the numbers bit for bit
    params.gemm = cli.gemm;
    params.no_tune = cli.no_tune;
    params.progress = cli_show_progress;
    params.progress_user = &cli;
    st = cli_config(&cli, cli.argument[0], &config);
    params.init = cli_init(params.init, config);
    params.stop = interrupt_flag();
    if (st == CLRNN_OK && out.baseline)
        st = clrnn_compare_baseline(&cli.log, out.baseline, NULL, NULL); // checks the file before a long run
    if (st == CLRNN_OK)
        st = clrnn_compare(&cli.log, config, &params, &result);
    if (st == CLRNN_OK)
        st = show(&cli, &result, &out);
    if (st == CLRNN_OK && !result.agree)
        st = CLRNN_FAILED;
    clrnn_compare_finish(&result);
    clrnn_config_destroy(&config);
    free(text);
    return cli_finish(&cli, st);
}
