// SPDX-License-Identifier: MIT
// clrnn export: a run's weights for other programs.
#include <string.h>

#include "base/array.h"
#include "tools/cli.h"

int cmd_export(int argc, char **argv)
{
    const char *format = NULL, *out = NULL;
    const struct cli_option options[] = {
        {"to", CLI_TEXT, "FORMAT", "safetensors", &format},
        {"out", CLI_TEXT, "FILE", "where to (model.safetensors)", &out},
    };
    const struct cli_spec spec = {
        .usage = "RUN|MODEL --to safetensors [--out FILE]",
        .text =
            "Writes a model's weights under PyTorch's names, without config and optimiser state, so that\n"
            "    model.load_state_dict(safetensors.torch.load_file(FILE))\n"
            "takes them.",
        .least = 1,
        .most = 1,
        .without_config = true,
        .option_count = ARRAY_SIZE(options),
        .option = options,
        .examples = "  clrnn export runs/seed-fixed --to safetensors --out seed.safetensors\n",
    };
    struct clrnn_device *device = NULL;
    struct clrnn_model *model = NULL;
    struct cli cli;
    enum clrnn_status st;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    if (!format)
        return cli_usage(&cli, "--to FORMAT is missing: safetensors");
    if (strcmp(format, "safetensors"))
        return cli_usage(&cli, "--to %s: expected safetensors", format);
    if (!cli.device)
        cli.device = "ref"; // no computing: works without OpenCL
    if (!out)
        out = "model.safetensors";
    st = cli_check_out(&cli, out, 1, (const char *const[]){cli.argument[0]});
    if (st == CLRNN_OK)
        st = cli_device(&cli, false, &device);
    if (st == CLRNN_OK)
        st = clrnn_model_open(device, cli.argument[0], &model);
    if (st == CLRNN_OK)
        st = clrnn_model_export(model, out);
    clrnn_model_destroy(&model);
    clrnn_device_destroy(&device);
    return cli_finish(&cli, st);
}
