// SPDX-License-Identifier: MIT
// clrnn export: writes a run's model in a format for other programs.
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "tools/source.h"

struct request {
    const char *format, *out, *name, *type;
    bool states, best, last;
};

// Checks the options. Returns exit status 0, or the status of a usage error.
static int check(const struct cli *cli, const struct request *r)
{
    const bool c = r->format && !strcmp(r->format, "c"), onnx = r->format && !strcmp(r->format, "onnx");

    if (!r->format)
        return cli_usage(cli, "--to FORMAT is missing: safetensors, onnx or c");
    if (!c && !onnx && strcmp(r->format, "safetensors"))
        return cli_usage(cli, "--to %s: expected safetensors, onnx or c", r->format);
    if (!c && (r->name || r->type))
        return cli_usage(cli, "--%s belongs to --to c", r->name ? "name" : "type");
    if (!onnx && r->states)
        return cli_usage(cli, "--states belongs to --to onnx");
    if (c && !r->out)
        return cli_usage(cli, "--out DIR is missing");
    if (r->best && r->last)
        return cli_usage(cli, "--best and --last exclude each other");
    if (r->type && strcmp(r->type, "f32") && strcmp(r->type, "int8"))
        return cli_usage(cli, "--type %s: expected f32 or int8", r->type);
    return 0;
}

static enum clrnn_status write_model(struct clrnn_model *model, const struct request *r)
{
    if (!strcmp(r->format, "c"))
        return clrnn_model_export_c(model, r->out, r->name ? r->name : "model",
                                    r->type && !strcmp(r->type, "int8") ? CLRNN_EXPORT_TYPE_INT8
                                                                        : CLRNN_EXPORT_TYPE_F32);
    if (!strcmp(r->format, "onnx"))
        return clrnn_model_export_onnx(model, r->out, r->states);
    return clrnn_model_export(model, r->out);
}

int cmd_export(int argc, char **argv)
{
    struct request r = {0};
    const struct cli_option options[] = {
        {"to", CLI_TEXT, "FORMAT", "safetensors, onnx or c", &r.format},
        {"out", CLI_TEXT, "PATH", "where to: a file (model.safetensors, model.onnx); for C a folder", &r.out},
        {"name", CLI_TEXT, "NAME", "C: what files and functions are called (model)", &r.name},
        {"states", CLI_FLAG, NULL, "ONNX: h and c as inputs and outputs, to go on where a sequence ended", &r.states},
        CHECKPOINT_OPTIONS(r),
        {"type", CLI_TEXT, "TYPE", "C: weights as f32 (the default) or int8", &r.type},
    };
    const struct cli_spec spec = {
        .usage = "RUN|MODEL --to FORMAT [--out PATH] [options]",
        .text = "safetensors: a model's weights under PyTorch's names, without config and optimiser state, so that\n"
                "    model.load_state_dict(safetensors.torch.load_file(FILE))\n"
                "takes them.\n"
                "onnx: opset 17, N and T free, the normalisation inside; lengths are an input where the model was\n"
                "trained with them.\n"
                "c: NAME.c and NAME.h, C99 without libraries but math.h, with the weights as constants and the\n"
                "normalisation inside; NAME_main.c is an example that checks itself with NAME_test.h.\n"
                "NAME_predict runs a sequence; of a model whose steps depend on earlier ones alone NAME_step runs\n"
                "one step at a time.\n" CHECKPOINT_TEXT,
        .least = 1,
        .most = 1,
        .without_config = true,
        .option_count = ARRAY_SIZE(options),
        .option = options,
        .examples = "  clrnn export runs/seed-fixed --to safetensors --out seed.safetensors\n"
                    "  clrnn export runs/seed-fixed --to onnx --out seed.onnx\n"
                    "  clrnn export runs/seed-fixed --to c --out firmware/net --name net --type int8\n",
    };
    struct clrnn_device *device = NULL;
    struct clrnn_model *model = NULL;
    char *file = NULL;
    struct cli cli;
    enum clrnn_status st;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    status = check(&cli, &r);
    if (status)
        return status;
    if (!r.out)
        r.out = strcmp(r.format, "onnx") ? "model.safetensors" : "model.onnx";
    if (!cli.device)
        cli.device = "ref"; // the default: export computes little, and ref works without OpenCL
    st = cli_check_out(&cli, r.out, 1, (const char *const[]){cli.argument[0]});
    if (st == CLRNN_OK)
        st = source_checkpoint(&cli, cli.argument[0], r.best, r.last, &file);
    if (st == CLRNN_OK)
        st = cli_device(&cli, false, &device);
    if (st == CLRNN_OK)
        st = clrnn_model_open(device, file, &model);
    if (st == CLRNN_OK)
        st = write_model(model, &r);
    free(file);
    clrnn_model_destroy(&model);
    clrnn_device_destroy(&device);
    return cli_finish(&cli, st);
}
