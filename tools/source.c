// SPDX-License-Identifier: MIT
// Opens the model, and describes the data, that eval and predict use.
#include "tools/source.h"

#include <string.h>

#include "base/array.h"
#include "base/log.h"

// Casts away const from a text of argv. No user of struct clrnn_source changes such a text.
static char *borrowed(const char *text)
{
    return (char *)(uintptr_t)text;
}

bool source_is_ts(const char *path)
{
    const size_t length = strlen(path);

    return length > 3 && !strcmp(path + length - 3, ".ts");
}

bool source_check(const struct cli *cli, struct source_options *s, int *status)
{
    *status = 2;
    if (s->init ? cli->argument_count != 0 || !s->config : cli->argument_count != 1)
        return cli_usage(cli, "name a run folder or model file, or --init FILE with --config CONFIG.yaml"), false;
    if (s->best && s->last)
        return cli_usage(cli, "--best and --last exclude each other"), false;
    if (s->init && (s->best || s->last))
        return cli_usage(cli, "--best and --last go with a run folder, not with --init"), false;
    if (s->x && s->csv)
        return cli_usage(cli, "--x and --csv exclude each other"), false;
    if (!s->x && !s->csv && (s->y || s->y_lengths || s->lengths || s->label || s->label_from || s->steps))
        return cli_usage(cli, "name the data: --x FILE.npy or --csv FILE.csv"), false;
    if (cli->set.count && !s->config)
        clrnn_log(&cli->log, CLRNN_LOG_WARNING, "--set changes nothing here: %s has a config of its own",
                  cli->argument[0]);
    if (s->lengths && s->no_lengths)
        return cli_usage(cli, "--lengths and --no-lengths exclude each other"), false;
    if (s->no_lengths && !s->x && !s->csv)
        return cli_usage(cli, "--no-lengths goes with --x"), false;
    if (s->csv && (s->lengths || s->y))
        return cli_usage(cli, "--lengths and --y go with --x, not with --csv"), false;
    s->data = (struct clrnn_source){
        .there = true,
        .own = !s->x && !s->csv,
        .x = borrowed(s->x),
        .y = borrowed(s->y),
        .lengths = borrowed(s->lengths),
        .y_lengths = borrowed(s->y_lengths),
        .csv = borrowed(s->csv),
        .label = borrowed(s->label),
        .label_from = borrowed(s->label_from),
        .csv_steps = s->steps,
    };
    return true;
}

enum clrnn_status source_checkpoint(const struct cli *cli, const char *path, bool best, bool last, char **file)
{
    return clrnn_run_checkpoint(&cli->log, path,
                                best   ? CLRNN_CHECKPOINT_BEST
                                : last ? CLRNN_CHECKPOINT_LAST
                                       : CLRNN_CHECKPOINT_USUAL,
                                file);
}

// Returns CLRNN_ERR_ARG if the model was trained with lengths and the user forgot --lengths: padding would then be
// taken for data and change every result.
static enum clrnn_status check_lengths(const struct cli *cli, const struct source_options *s, struct clrnn_model *model)
{
    const char *trained = clrnn_model_config(model)->data.train.lengths;

    if (!trained || s->lengths || s->no_lengths || s->data.own)
        return CLRNN_OK;
    return clrnn_error(
        &cli->log, CLRNN_ERR_ARG,
        "the model was trained with lengths (%s): add --lengths FILE, or --no-lengths where all steps of "
        "every sample count",
        trained);
}

enum clrnn_status source_check_out(const struct cli *cli, const struct source_options *s,
                                   const struct clrnn_model *model, const char *out)
{
    const char *const named[] = {cli->argument_count ? cli->argument[0] : NULL,
                                 s->init,
                                 s->config,
                                 s->x,
                                 s->y,
                                 s->lengths,
                                 s->y_lengths,
                                 s->label_from};

    TRY(cli_check_out(cli, out, ARRAY_SIZE(named), named));
    TRY(cli_check_input(cli, out, NULL, s->csv));
    return s->data.own ? cli_check_inputs(cli, out, clrnn_model_config(model)) : CLRNN_OK;
}

// Opens the model on a device, from a model file or, if `config` is given, from the config and --init.
static enum clrnn_status open_model(struct cli *cli, const struct source_options *source, const char *file,
                                    const struct clrnn_config *config, struct clrnn_device *device,
                                    struct clrnn_model **model)
{
    struct clrnn_data_shape shape;

    if (file) {
        TRY(clrnn_model_open(device, file, model));
        return check_lengths(cli, source, *model);
    }
    TRY(clrnn_source_shape(&cli->log, config, &source->data, &shape));
    TRY(clrnn_model_create(device, config, &shape, model));
    return clrnn_model_init(*model, source->init, false);
}

enum clrnn_status source_open_models(struct cli *cli, struct source_options *source)
{
    struct device_list *devices = &source->devices;
    struct clrnn_config *config = NULL;
    char *file = NULL;
    enum clrnn_status st;

    if (!source->init)
        TRY(source_checkpoint(cli, cli->argument[0], source->best, source->last, &file));
    st = device_list_open(cli, false, devices);
    if (st == CLRNN_OK && !file)
        st = cli_config(cli, source->config, &config);
    for (size_t i = 0; st == CLRNN_OK && i < devices->count; i++)
        st = open_model(cli, source, file, config, devices->device[i], &source->model[i]);
    if (st == CLRNN_OK)
        st = clrnn_model_share(source->model[0], source->model + 1, devices->count - 1);
    if (st == CLRNN_OK && cli->json_file)
        st = source_check_out(cli, source, source->model[0], cli->json_file);
    clrnn_config_destroy(&config);
    free(file);
    return st;
}

void source_close(struct source_options *source)
{
    for (size_t i = 0; i < source->devices.count; i++)
        clrnn_model_destroy(&source->model[i]);
    device_list_close(&source->devices);
}
