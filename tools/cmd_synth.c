// SPDX-License-Identifier: MIT
// clrnn synth: makes synthetic data sets.
#include "base/array.h"
#include "tools/cli.h"

int cmd_synth(int argc, char **argv)
{
    struct clrnn_synth_params params = {.seed = 1};
    const struct cli_option options[] = {
        {"task", CLI_TEXT, "NAME", "seed (the default), adding, parity or copy-first", &params.task},
        {"samples", CLI_UINT, "N", "training samples (22644)", &params.samples},
        {"test-samples", CLI_UINT, "N", "test samples (5661)", &params.test_samples},
        {"steps", CLI_UINT, "T", "time steps (1; sequence tasks 50)", &params.steps},
        {"features", CLI_UINT, "C", "features per step (2474; sequence tasks have their own)", &params.features},
        {"classes", CLI_UINT, "K", "classes (2)", &params.classes},
        {"seed", CLI_SEED, "S", "every number follows from it (1)", &params.seed},
    };
    const struct cli_spec spec = {
        .usage = "OUTDIR [options]",
        .text = "Writes X_train.npy, y_train.npy, X_test.npy and y_test.npy into OUTDIR; the same seed gives the\n"
                "same bytes on every machine. The default has the shape of the question that clRNN was born from:\n"
                "(22644, 1, 2474), two balanced classes, about 5% of the features informative, so that logistic\n"
                "regression gets about 0.88 on the test part. The other tasks need memory over T steps:\n"
                "adding (sum of two marked numbers, a regression), parity (of T bits), copy-first (name the first\n"
                "symbol at the end).",
        .least = 1,
        .most = 1,
        .without_device = true,
        .without_config = true,
        .option_count = ARRAY_SIZE(options),
        .option = options,
        .examples = "  clrnn synth data/seed\n"
                    "  clrnn synth data/parity --task parity --steps 20 --samples 5000\n",
    };
    struct cli cli;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    return cli_finish(&cli, clrnn_synth(&cli.log, &params, cli.argument[0]));
}
