// SPDX-License-Identifier: MIT
// clrnn data: describes a config's data sets as they are read.
#include <stdlib.h>

#include "base/array.h"
#include "clrnn/train.h"
#include "tools/cli.h"

int cmd_data(int argc, char **argv)
{
    const struct cli_spec spec = {
        .usage = "CONFIG.yaml [options]",
        .text = "Prints what is read from the config's data, as training reads it: files, rows, columns with\n"
                "their smallest, mean and largest value and missing cells, classes, lengths, the first samples\n"
                "and, of series, what predictions without a model are worth.",
        .least = 1,
        .most = 1,
        .takes_json = true,
        .examples = "  clrnn data sales.yaml\n"
                    "  clrnn data sales.yaml --set data.train.window=48 --json\n",
    };
    struct clrnn_config *config = NULL;
    char *text = NULL;
    struct cli cli;
    enum clrnn_status st;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    st = cli_config(&cli, cli.argument[0], &config);
    if (st == CLRNN_OK)
        st = clrnn_data_text(&cli.log, config, cli.json, &text);
    if (st == CLRNN_OK && cli.json)
        st = cli_print_json_text(&cli, text);
    if (st == CLRNN_OK && cli.json && cli.text) {
        free(text);
        st = clrnn_data_text(&cli.log, config, false, &text);
    }
    if (st == CLRNN_OK && cli.text)
        cli_print_lines(text);
    free(text);
    clrnn_config_destroy(&config);
    return cli_finish(&cli, st);
}
