// SPDX-License-Identifier: MIT
// What eval and predict have in common: options that select the model and the data.
#ifndef CLRNN_TOOLS_SOURCE_H
#define CLRNN_TOOLS_SOURCE_H

#include "tools/device_list.h"

struct source_options {
    const char *x, *y, *lengths, *y_lengths, *csv, *label, *label_from, *init, *config;
    uint32_t steps;
    bool best, last, no_lengths;
    struct clrnn_source data; // filled in by source_check
    struct device_list devices;
    // one model on each device, from source_open_models; the batches of model[0] are divided among all
    struct clrnn_model *model[MOST_DEVICES];
};

// Texts for the commands' help.
#define CHECKPOINT_TEXT \
    "A run folder stands for its best.safetensors where its config has\n" \
    "early stopping, else for its last.safetensors; --best and --last choose."
#define SOURCE_RUN \
    CHECKPOINT_TEXT "\n" \
                    "Without --x and --csv the data are the run's own: data.test of its config,\n" \
                    "else the validation set that training had."

// Table rows for a struct source_options named s.
// clang-format off
#define SOURCE_X_OPTION(s) {"x", CLI_TEXT, "FILE", "samples as .npy, (N, T, C) or (N, C)", &(s).x}
#define SOURCE_Y_OPTION(s) {"y", CLI_TEXT, "FILE", "targets as .npy, (N) or (N, T)", &(s).y}
#define SOURCE_Y_LENGTHS_OPTION(s) \
    {"y-lengths", CLI_TEXT, "FILE", "ctc: how many labels each sample has in y, .npy (N)", &(s).y_lengths}
#define CHECKPOINT_OPTIONS(s)                                                                     \
    {"best", CLI_FLAG, NULL, "of a run folder best.safetensors", &(s).best},                      \
    {"last", CLI_FLAG, NULL, "of a run folder last.safetensors", &(s).last}
#define SOURCE_OPTIONS(s)                                                                         \
    {"lengths", CLI_TEXT, "FILE", "how many steps of each sample count, .npy (N)", &(s).lengths}, \
    {"no-lengths", CLI_FLAG, NULL, "a model trained with lengths: all steps of every sample count", \
     &(s).no_lengths},                                                                            \
    {"csv", CLI_TEXT, "FILE", "samples as rows of a CSV file, instead of --x", &(s).csv},         \
    {"label", CLI_TEXT, "COLUMN", "with --csv: the column that holds the target", &(s).label},    \
    {"label-from", CLI_TEXT, "FILE", "with --csv \"*.csv\": the table of labels", &(s).label_from}, \
    {"steps", CLI_UINT, "T", "with --csv: fold the columns into T steps", &(s).steps},            \
    {"init", CLI_TEXT, "FILE", "weights alone (a PyTorch state dict), with --config", &(s).init}, \
    {"config", CLI_TEXT, "FILE", "the model's config, with --init", &(s).config},                 \
    DEVICES_OPTION((s).devices),                                                                  \
    CHECKPOINT_OPTIONS(s)
// clang-format on

/** Whether a file is a .ts file, which holds samples and targets. */
bool source_is_ts(const char *path);

/** Checks that the options name one model and one data set. If not, reports the error, sets *status to the exit status
 * and returns false. */
bool source_check(const struct cli *cli, struct source_options *source, int *status);

/** Sets *file to the model file that `path` means with --best or --last. Owner and errors as clrnn_run_checkpoint. */
enum clrnn_status source_checkpoint(const struct cli *cli, const char *path, bool best, bool last, char **file);

/** Checks with cli_check_out that `out` is no file that the command reads: one that the options name or, without --x
 * and --csv, a data file of the model's own config. */
enum clrnn_status source_check_out(const struct cli *cli, const struct source_options *source,
                                   const struct clrnn_model *model, const char *out);

/** Opens the devices, and the model on each device: from a run or model file, or from --init with --config.
 * CLRNN_ERR_ARG: the model was trained with lengths, and the options have neither --lengths nor --no-lengths, or
 * the file of --json is one that the command reads. The caller closes models and devices with source_close, also after
 * an error. */
enum clrnn_status source_open_models(struct cli *cli, struct source_options *source);
void source_close(struct source_options *source);

#endif
