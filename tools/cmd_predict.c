// SPDX-License-Identifier: MIT
// clrnn predict: a model's prediction for each sample.
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "tools/source.h"

// Reads "greedy" (beam 0) or "beam:8".
static bool decode_option(const char *text, uint32_t *beam)
{
    char *end;
    unsigned long width;

    *beam = 0;
    if (!strcmp(text, "greedy"))
        return true;
    if (strncmp(text, "beam:", 5) != 0 || text[5] < '1' || text[5] > '9')
        return false;
    width = strtoul(text + 5, &end, 10);
    *beam = (uint32_t)width;
    return !*end && width <= 100000;
}

int cmd_predict(int argc, char **argv)
{
    struct source_options source = {0};
    const char *out = NULL, *decode = NULL;
    uint32_t beam = 0;
    bool logits = false, probs = false, classes = false;
    const struct cli_option options[] = {
        SOURCE_X_OPTION(source),
        {"out", CLI_TEXT, "FILE", "predictions as .npy or .csv; CSV onto pipes and /dev/stdout", &out},
        SOURCE_OPTIONS(source),
        {"logits", CLI_FLAG, NULL, "what the last layer puts out (the default)", &logits},
        {"probs", CLI_FLAG, NULL, "probabilities: softmax, or sigmoid with bce_with_logits", &probs},
        {"classes", CLI_FLAG, NULL, "the likeliest class", &classes},
        {"decode", CLI_TEXT, "HOW", "ctc: the labels of each sample, greedy or beam:WIDTH", &decode},
    };
    const struct cli_spec spec = {
        .usage = "RUN|MODEL --x FILE --out FILE [options]",
        .text = "Runs a model in eval mode over a data set, batch by batch: a million samples need no more\n"
                "memory than one batch.\n" SOURCE_RUN,
        .least = 0,
        .most = 1,
        .option_count = ARRAY_SIZE(options),
        .option = options,
        .examples =
            "  clrnn predict runs/first --x X_test.npy --out probabilities.csv --probs\n"
            "  clrnn predict --init weights.safetensors --config model.yaml --x X.npy --out y.npy --classes\n",
    };
    struct clrnn_device *device = NULL;
    struct clrnn_model *model = NULL;
    struct cli cli;
    enum clrnn_status st;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    if (!out)
        return cli_usage(&cli, "--out FILE is missing");
    if (logits + probs + classes + !!decode > 1)
        return cli_usage(&cli, "--logits, --probs, --classes and --decode exclude each other");
    if (decode && !decode_option(decode, &beam))
        return cli_usage(&cli, "--decode is greedy or beam:WIDTH, such as beam:8");
    if (!source_check(&cli, &source, &status))
        return status;
    st = cli_check_out(&cli, out, 6,
                       (const char *const[]){cli.argument_count ? cli.argument[0] : NULL, source.init,
                                             source.config, source.x, source.lengths, source.csv});
    if (st == CLRNN_OK)
        st = source_open_model(&cli, &source, &device, &model);
    if (st == CLRNN_OK && decode)
        st = clrnn_predict_labels(model, &source.data, beam, out);
    else if (st == CLRNN_OK)
        st = clrnn_predict(model, &source.data,
                           probs     ? CLRNN_PREDICT_PROBS
                           : classes ? CLRNN_PREDICT_CLASSES
                                     : CLRNN_PREDICT_LOGITS,
                           out);
    clrnn_model_destroy(&model);
    clrnn_device_destroy(&device);
    return cli_finish(&cli, st);
}
