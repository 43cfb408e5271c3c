// SPDX-License-Identifier: MIT
// clrnn sweep: searches values of config keys by successive halving.
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "tools/cli.h"
#include "tools/interrupt.h"

// Returns the width of a column: the length of its longest text.
static int column_width(const struct clrnn_sweep_result *r, size_t key)
{
    size_t width = strlen(cli_shown(r->key[key]));

    for (size_t i = 0; i < r->trial_count; i++)
        width = MAX2(width, strlen(cli_shown(r->trial[i].value[key])));
    return (int)width;
}

static void print_trial(const struct clrnn_sweep_result *r, const struct clrnn_sweep_trial *t)
{
    printf("%6u  %6u  ", t->number, t->epochs);
    if (isfinite(t->metric))
        printf("%*.6g", (int)MAX2(strlen(r->metric), 10), t->metric);
    else
        printf("%*s", (int)MAX2(strlen(r->metric), 10), "-");
    for (size_t i = 0; i < r->key_count; i++)
        printf("  %*s", column_width(r, i), cli_shown(t->value[i]));
    printf("%s%s\n", t->reason ? "  failed: " : "", cli_shown(t->reason));
}

// Prints a --set option for a shell. Quotes a value that has characters other than letters, digits and ".+-_/".
static void print_set(const char *key, const char *value)
{
    const char *plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-_/";
    const char *quote = value[strspn(value, plain)] ? "'" : "";

    printf(" --set %s%s=", quote, cli_shown(key));
    for (const char *c = cli_shown(value); *c; c++)
        fputs(*c == '\'' ? "'\\''" : (const char[]){*c, '\0'}, stdout);
    printf("%s", quote);
}

static void print_text(const struct clrnn_sweep_result *r)
{
    const struct clrnn_sweep_trial *best = &r->trial[0];

    printf("%6s  %6s  %*s", "trial", "epochs", (int)MAX2(strlen(r->metric), 10), r->metric);
    for (size_t i = 0; i < r->key_count; i++)
        printf("  %*s", column_width(r, i), cli_shown(r->key[i]));
    printf("\n");
    for (size_t i = 0; i < r->trial_count; i++)
        print_trial(r, &r->trial[i]);
    if (best->reason) {
        printf("every trial has failed\n");
    } else {
        printf("best of those trained longest: %s/trial-%03u:", cli_shown(r->folder), best->number);
        for (size_t i = 0; i < r->key_count; i++)
            print_set(r->key[i], best->value[i]);
        printf("\n");
    }
    printf("%s: sweep.json, sweep.csv, sweep.svg, a run folder for each trial\n", cli_shown(r->folder));
}

// Checks that the file of --json is none that the config names. Reports no error of the config: it may lack a value
// that
// --vary gives.
static enum clrnn_status check_json_file(const struct cli *cli)
{
    const struct clrnn_log silent = {0};
    struct clrnn_config *config = NULL;
    enum clrnn_status st = CLRNN_OK;

    if (cli->json_file &&
        clrnn_config_read(&silent, cli->argument[0], cli->set.count, cli->set.item, &config) == CLRNN_OK)
        st = cli_check_inputs(cli, cli->json_file, config);
    clrnn_config_destroy(&config);
    return st;
}

int cmd_sweep(int argc, char **argv)
{
    struct clrnn_sweep_params params = {.plot = -1, .seed = 1};
    struct cli_list vary = {0};
    bool no_plot = false;
    const struct cli_option options[] = {
        {"vary", CLI_LIST, "KEY=VALUES", "LOW..HIGH, LOW..HIGH:log or A,B,C (repeatable)", &vary},
        {"trials", CLI_UINT, "N", "at most (20); fewer where lists have fewer combinations", &params.trials},
        {"jobs", CLI_UINT, "N", "trainings at a time, each a process (1)", &params.jobs},
        {"budget", CLI_TEXT, "A,B,C", "epochs of the rungs (from train.epochs, --trials and --reduction)",
         &params.budget},
        {"reduction", CLI_UINT, "N", "one of N trials goes on to the next rung (3)", &params.reduction},
        {"metric", CLI_TEXT, "NAME", "what decides, as valid_accuracy (what early stopping monitors, else the loss)",
         &params.metric},
        {"seed", CLI_SEED, "N", "of the values that are drawn (1)", &params.seed},
        {"out", CLI_TEXT, "DIR", "the sweep's folder (runs/<config>-sweep-<date>-<time>)", &params.out},
        {"init", CLI_TEXT, "FILE", "every trial starts from the weights in a safetensors file", &params.init},
        {"no-plot", CLI_FLAG, NULL, "no pictures", &no_plot},
    };
    const struct cli_spec spec = {
        .usage = "CONFIG.yaml --vary KEY=VALUES [options]",
        .text = "Tries values of config keys by successive halving. All trials are trained for the epochs of the\n"
                "first rung; the best third goes on to the second rung, three times as long, and so on to\n"
                "train.epochs. Each trial is a run folder in that of the sweep, bit for bit as `clrnn train` with\n"
                "its values would write it. One that fails (NaN, out of memory) is a line of the table with the\n"
                "reason. Prints a table, best first, and leaves it as sweep.json and sweep.csv with the picture\n"
                "sweep.svg. The same command with the same --out goes on where an interrupted one ended.",
        .least = 1,
        .most = 1,
        .takes_json = true,
        .option_count = ARRAY_SIZE(options),
        .option = options,
        .examples =
            "  clrnn sweep config.yaml --vary train.optimizer.adam.lr=1e-4..1e-2:log --trials 20\n"
            "  clrnn sweep config.yaml --vary train.batch_size=16,32 --vary model.layers.0.lstm.hidden_size=16..128\n"
            "  clrnn sweep config.yaml --vary train.seed=1..1000 --budget 5 --metric valid_accuracy --jobs 2\n",
    };
    struct clrnn_sweep_result result = {0};
    struct cli cli;
    enum clrnn_status st;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    params.config = cli.argument[0];
    params.set = cli.set.item;
    params.set_count = cli.set.count;
    params.vary = vary.item;
    params.vary_count = vary.count;
    params.device = cli.device;
    params.gemm = cli.gemm;
    params.no_tune = cli.no_tune;
    params.progress = cli_show_progress;
    params.progress_user = &cli;
    if (no_plot)
        params.plot = 0;
    params.stop = interrupt_flag();
    st = check_json_file(&cli);
    if (st == CLRNN_OK)
        st = clrnn_sweep(&cli.log, &params, &result);
    if ((st == CLRNN_OK || st == CLRNN_FAILED) && cli.json)
        st = cli_print_file(&cli, result.folder, "sweep.json", st);
    if ((st == CLRNN_OK || st == CLRNN_FAILED) && cli.text)
        print_text(&result);
    clrnn_sweep_finish(&result);
    return cli_finish(&cli, st);
}
