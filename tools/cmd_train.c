// SPDX-License-Identifier: MIT
// clrnn train: trains a model and writes the run folder.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "tools/device_list.h"
#include "tools/guard.h"
#include "tools/interrupt.h"
#include "tools/progress.h"

// A log that clears the progress bar before each message, and passes the message on to the command's own log.
struct bar_log {
    struct clrnn_log next;
    struct progress_view *view;
};

static void clear_then_print(void *user, enum clrnn_log_level level, const char *line)
{
    struct bar_log *log = user;

    progress_clear(log->view);
    log->next.fn(log->next.user, level, line);
}

static void show_work(void *user, const char *what, double share)
{
    const struct bar_log *log = user;

    log->next.progress(log->next.user, what, share);
}

static void print_text(const struct clrnn_train_result *r)
{
    char epochs[32], steps[32], took[32], memory[32];

    printf("%s: %s, %s in %s, %.3g ms per step, peak %s on the device\n", cli_shown(r->folder),
           cli_count(r->epochs, "epoch", epochs), cli_count(r->steps, "step", steps), cli_duration(r->seconds, took),
           r->ms_per_step_median, cli_bytes((double)r->peak_device_bytes, memory));
    if (r->best_epoch)
        printf("best epoch %llu", (unsigned long long)r->best_epoch);
    else // the validation loss decides where there is one; a finite train loss would else have made an epoch the best
        printf("no best epoch: the %sloss was never finite",
               isfinite(r->train_loss) || !isnan(r->valid_loss) ? "validation " : "");
    if (!isnan(r->valid_loss))
        printf("; last: valid loss %.6f", r->valid_loss);
    else
        printf("; last: train loss %.6f", r->train_loss);
    if (!isnan(r->valid_accuracy))
        printf(" accuracy %.4f", r->valid_accuracy);
    printf("\n");
}

static void say_device(const struct cli *cli, const struct clrnn_device_info *info)
{
    if (info->type == CLRNN_DEVICE_REF)
        clrnn_log(&cli->log, CLRNN_LOG_INFO, "on ref: %s", info->platform_name);
    else
        clrnn_log(&cli->log, CLRNN_LOG_INFO, "on %d:%d %s (%s)", info->platform, info->device, info->name,
                  info->platform_name);
}

// Reads the config that the command names, or the config of the run to resume. Rank 0 reads the latter first, alone: it
// repairs the run folder if a process was killed while writing there. Each rank calls clrnn_rank_agree once, even if
// some ranks resume a run and others do not.
static enum clrnn_status read_config(struct cli *cli, const struct clrnn_rank *rank, const char *run,
                                     struct clrnn_config **config)
{
    enum clrnn_status st = CLRNN_OK;
    char *path;

    if (cli->argument_count)
        st = cli_config(cli, cli->argument[0], config);
    else if (!rank->own)
        st = clrnn_run_config(&cli->log, run, cli->set.count, cli->set.item, config);
    if (st == CLRNN_OK && !cli->argument_count && !rank->own && cli->json_file)
        st = cli_check_inputs(cli, cli->json_file, *config);
    TRY(clrnn_rank_agree(st));
    if (cli->argument_count || !rank->own)
        return CLRNN_OK;
    path = clrnn_path_join(run, "config.yaml");
    st = path ? cli_config(cli, path, config) : clrnn_error_memory(&cli->log, strlen(run), "a path");
    free(path);
    return st;
}

// Joins the other ranks. Only rank 0 shows messages and writes files.
static enum clrnn_status join(struct cli *cli, struct clrnn_train_params *params, struct clrnn_rank *rank)
{
    const enum clrnn_status st = clrnn_rank_join(&cli->log, rank);

    cli->log = rank->log;
    if (st == CLRNN_OK)
        guard_joined();
    if (rank->own) {
        interrupt_ignore();
        cli->quiet = params->no_watch = true;
        cli->json = false;
        params->plot = 0;
        params->progress = NULL;
    }
    return st;
}

// Reads the config and opens the devices. If this fails on one rank, all ranks return an error.
static enum clrnn_status open_both(struct cli *cli, const struct clrnn_rank *rank, struct clrnn_train_params *params,
                                   struct clrnn_config **config, struct device_list *devices)
{
    enum clrnn_status st = read_config(cli, rank, params->resume, config);

    if (!rank->own)
        params->stop = interrupt_flag();
    st = device_list_divide(cli, rank, st, devices);
    if (st == CLRNN_OK)
        st = device_list_open(cli, params->profile, devices);
    TRY(clrnn_rank_agree(st));
    for (size_t i = 0; i < devices->count; i++)
        say_device(cli, clrnn_device_info(devices->device[i]));
    params->config = *config;
    params->further = devices->device + 1;
    params->further_count = devices->count - 1;
    return CLRNN_OK;
}

// Reports a missing argument or options that contradict each other. Returns false and sets *status if it reports one.
static bool check_options(const struct cli *cli, const struct clrnn_train_params *params, const char *usage,
                          int *status)
{
    *status = 0;
    if (!cli->argument_count && !params->resume)
        *status = cli_usage(cli, "an argument is missing: clrnn train %s", usage);
    else if (params->resume && (params->init || params->init_partial))
        *status = cli_usage(cli, "--resume and %s exclude each other", params->init ? "--init" : "--init-partial");
    else if (params->resume && params->out && !clrnn_same_file(params->resume, params->out))
        *status = cli_usage(cli, "--resume %s continues in that folder, not in --out %s: leave --out out",
                            params->resume, params->out);
    return !*status;
}

int cmd_train(int argc, char **argv)
{
    bool plot = false, no_plot = false, profile = false;
    struct clrnn_train_params params = {.plot = -1};
    struct device_list devices = {0};
    const struct cli_option options[] = {
        {"out", CLI_TEXT, "DIR", "the run folder (runs/<config>-<date>-<time>)", &params.out},
        {"init", CLI_TEXT, "FILE", "start from the weights in a safetensors file", &params.init},
        {"init-partial", CLI_FLAG, NULL, "with --init or train.init: load what fits and say what does not",
         &params.init_partial},
        {"resume", CLI_TEXT, "RUN", "go on with a run, bit for bit as if it had never stopped", &params.resume},
        DEVICES_OPTION(devices),
        {"plot", CLI_FLAG, NULL, "insist on the pictures (made where gnuplot is installed)", &plot},
        {"no-plot", CLI_FLAG, NULL, "no pictures", &no_plot},
        {"profile", CLI_FLAG, NULL, "print the time of each launch, grouped by op, at the end", &profile},
        {"no-watch", CLI_FLAG, NULL, "no warnings about a run that does not learn", &params.no_watch},
    };
    const struct cli_spec spec = {
        .usage = "CONFIG.yaml | --resume RUN [options]",
        .text = "Trains the model that the config describes and writes a run folder: config.yaml as resolved,\n"
                "metrics.jsonl with a line for each epoch, last.safetensors, best.safetensors, summary.json,\n"
                "and the pictures loss.svg, metrics.svg, classes.svg and confusion.svg, all after each epoch.\n"
                "Ctrl-C ends after the current step, with a checkpoint from which --resume goes on.",
        .least = 0,
        .most = 1,
        .takes_json = true,
        .option_count = ARRAY_SIZE(options),
        .option = options,
        .examples = "  clrnn train examples/seed-fixed.yaml --set train.epochs=5 --out runs/first\n"
                    "  clrnn train examples/seed-fixed.yaml --device gpu\n"
                    "  clrnn train examples/seed-fixed.yaml --devices all-gpus --set train.shards=8\n"
                    "  clrnn train --resume runs/first --set train.epochs=10\n",
    };
    struct clrnn_config *config = NULL;
    struct clrnn_train_result result;
    struct progress_view view = {.terminal = isatty(STDERR_FILENO)};
    struct bar_log bar = {.view = &view};
    struct clrnn_rank rank;
    struct cli cli;
    enum clrnn_status st;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    if (!check_options(&cli, &params, spec.usage, &status))
        return status;
    bar.next = cli.log;
    cli.log = (struct clrnn_log){.fn = clear_then_print,
                                 .user = &bar,
                                 .level = bar.next.level,
                                 .progress = bar.next.progress ? show_work : NULL};
    params.plot = plot ? 1 : no_plot ? 0 : -1;
    params.profile = profile;
    params.progress = progress_show;
    params.progress_user = &view;

    st = join(&cli, &params, &rank);
    view.quiet = cli.quiet;
    if (st == CLRNN_OK)
        st = open_both(&cli, &rank, &params, &config, &devices);
    if (st == CLRNN_OK)
        st = clrnn_train(devices.device[0], &params, &result);
    clrnn_rank_leave();
    progress_clear(&view);
    if ((st == CLRNN_OK || st == CLRNN_FAILED) && cli.json)
        st = cli_print_file(&cli, result.folder, "summary.json", st);
    if ((st == CLRNN_OK || st == CLRNN_FAILED) && cli.text && !cli.quiet)
        print_text(&result);
    else if ((st == CLRNN_OK || st == CLRNN_FAILED) && cli.text && !rank.own)
        puts(cli_shown(result.folder));
    clrnn_config_destroy(&config);
    device_list_close(&devices);
    return cli_finish(&cli, st);
}
