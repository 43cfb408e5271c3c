// SPDX-License-Identifier: MIT
// Helpers for all subcommands: option tables, messages, opening a device and a config.
#ifndef CLRNN_TOOLS_CLI_H
#define CLRNN_TOOLS_CLI_H

#include <jansson.h>
#include <stdio.h>

#include "clrnn.h"

/** How an option's value is read, and the type of what `target` points to. */
enum cli_kind {
    CLI_FLAG, // bool: takes no value, becomes true
    CLI_TEXT, // const char *
    CLI_LIST, // struct cli_list: the option may be repeated
    CLI_UINT, // uint32_t from 1, because 0 means "the default" in the library
    CLI_SEED, // uint64_t
    CLI_REAL, // double above 0
    CLI_JSON, // struct cli: sets json, and json_file if a file's name follows
};

struct cli_list {
    size_t count;
    const char *item[64];
};

struct cli_option {
    const char *name; // "epochs" for --epochs
    enum cli_kind kind;
    const char *value; // what the value is called in the help: "DIR"
    const char *help;
    void *target;
};

/** Options that every command understands; filled in by cli_parse. */
struct cli {
    const char *command;
    const char *device, *gemm;
    struct cli_list set;
    struct cli_work {
        double began, share; // time when the current work's bar was first drawn; share of work done then
        int drawn;           // columns of the bar that are on the terminal
    } work;
    bool json, quiet, verbose, no_tune;
    const char *json_file;                // NULL: standard output
    bool json_exact;                      // print numbers with all 17 digits
    bool text;                            // print the result as text, too
    const char *config_path;              // of the config or run that was read, or NULL
    const struct clrnn_device_info *used; // the device that was opened, or NULL
    struct clrnn_log log;
    bool colour;           // stderr is a terminal and NO_COLOR is not set
    size_t argument_count; // positional arguments
    const char *argument[16];
};

/** Removes the progress bar of long work from the terminal, before something else is printed. */
void cli_clear_work(struct cli *cli);
/** Draws the progress bar of long work: `progress` of a struct clrnn_log. `user` is a struct cli. */
void cli_show_work(void *user, const char *what, double share);

/** A command's own part of its help and usage. */
struct cli_spec {
    const char *usage;  // "CONFIG.yaml [options]"
    const char *text;   // a few paragraphs about the command
    size_t least, most; // least and most positional arguments
    bool takes_json;
    bool json_takes_file;                // --json takes a file of any name, not only one that ends in .json
    bool without_device, without_config; // device options have no effect on the command; --set has none
    size_t option_count;
    const struct cli_option *option;
    const char *examples;
};

/** Parses the arguments after the command's name. Returns false if the program must exit with *status: 0
 * after --help, 2 after wrong usage, which has been reported.
 */
bool cli_parse(struct cli *cli, const struct cli_spec *spec, int argc, char **argv, int *status);

/** Reports wrong usage in one sentence; returns exit status 2. */
int cli_usage(const struct cli *cli, const char *format, ...) CLRNN_PRINTF(2, 3);

/** Opens the device selected by --device or CLRNN_DEVICE. */
enum clrnn_status cli_device(struct cli *cli, bool profile, struct clrnn_device **device);

/** Reads a config with the --set assignments. */
enum clrnn_status cli_config(struct cli *cli, const char *path, struct clrnn_config **config);

/** CLRNN_ERR_ARG if the command also reads the file `out`. read [count]: files or run folders, or NULL.
 */
enum clrnn_status cli_check_out(const struct cli *cli, const char *out, size_t count,
                                const char *const *read);

/**
 * Reads the config that the first argument names and opens the device, as most commands do. After an error
 * the config may have been read; cli_close frees both.
 */
enum clrnn_status cli_open(struct cli *cli, struct clrnn_config **config, struct clrnn_device **device);

/** The path of the weights to start from: `given` by --init, else train.init of the config. Valid until the
 * next call. */
const char *cli_init(const char *given, const struct clrnn_config *config);

/** Frees the config and the device (each may be NULL) and returns the exit status of cli_finish. */
int cli_close(const struct cli *cli, enum clrnn_status status, struct clrnn_config **config,
              struct clrnn_device **device);

/** Makes a JSON number, or null for NaN and infinity. */
json_t *cli_json_number(double value);
/** Appends a value to *array and drops the reference to the value. Out of memory: the array is freed and
 * *array becomes NULL, which json_pack and cli_print_json report as an error. */
void cli_json_append(json_t **array, json_t *value);
/** Writes a result as JSON to where --json says and drops the reference. An object gets the keys that all
 * results have. CLRNN_ERR_MEMORY: `value` is NULL, or there is no memory for the text. */
enum clrnn_status cli_print_json(const struct cli *cli, json_t *value);
/** Writes a result that is JSON text, as cli_print_json does. */
enum clrnn_status cli_print_json_text(const struct cli *cli, const char *text);

/** Logs which part of its work a long command begins; `user` is its struct cli. */
void cli_show_progress(void *user, const char *what);
/** Writes the JSON object in the file `name` of `folder` as cli_print_json does. Returns `st`, or an error if
 * the file cannot be read. */
enum clrnn_status cli_print_file(const struct cli *cli, const char *folder, const char *name,
                                 enum clrnn_status st);

/** Returns a text from outside (a file, a driver) escaped for printing (base/text.h). The result is valid
 * until the eighth call after this one. NULL gives "". */
const char *cli_shown(const char *text);
/** Returns "?" in place of a text for which there is no memory, and makes cli_finish end with status 5. */
const char *cli_lost(void);
/** Prints a text of several lines, and escapes each of them. */
void cli_print_lines(const char *text);

/** Flushes stdout and returns the exit status. A failure (full disk, closed pipe) turns 0 or 1 into 5. */
int cli_finish(const struct cli *cli, enum clrnn_status status);

/** The columns of the terminal at `fd` (STDOUT_FILENO or STDERR_FILENO); 80 if it is no terminal, or does not
 * say. */
int cli_columns(int fd);

/** Writes "1.4 GB", "12.5 kB" into `text`, and returns it. */
const char *cli_bytes(double bytes, char text[32]);
/** Writes "1 step", "20 steps" into `text`, and returns it. */
const char *cli_count(uint64_t count, const char *noun, char text[32]);
/** Writes "1h02m", "3m20s", "14s" into `text`, and returns it. */
const char *cli_duration(double seconds, char text[32]);

// The subcommands; each returns the exit status.
#define CLI_COMMANDS(X) \
    X(devices, "devices", "what OpenCL devices there are, and whether each computes right") \
    X(train, "train", "train; writes a run folder") \
    X(eval, "eval", "loss, accuracy, confusion matrix, precision, recall, F1") \
    X(predict, "predict", "logits, probabilities or classes, as .npy or .csv") \
    X(overfit, "overfit", "can this model learn one single batch by heart?") \
    X(grow, "grow", "from one RNN layer + linear, add one part at a time") \
    X(doctor, "doctor", "why does this not learn: findings, evidence, remedy") \
    X(data, "data", "what is read: files, columns, classes, first samples") \
    X(lr_find, "lr-find", "a learning rate, by a range test and short trainings") \
    X(sweep, "sweep", "the best of many values, by successive halving") \
    X(plan, "plan", "the launches a training step consists of: shapes, FLOPs, bytes") \
    X(compare, "compare", "the same run on every device: same numbers? how fast?") \
    X(bench, "bench", "speed on one device, or on several together") \
    X(tune, "tune", "measure GEMM and kernel choices for these shapes, remember the best") \
    X(cache, "cache", "what built programs are kept on disk; throw them away") \
    X(synth, "synth", "make a data set in the seed's shape, or a classic sequence task") \
    X(export, "export", "the model for PyTorch, as ONNX, or as C source") \
    X(help, "help", "what a command does, or what a config key means")

#define X(function, name, help) int cmd_##function(int argc, char **argv);
CLI_COMMANDS(X)
#undef X

struct cli_command {
    const char *name, *help;
};

/** The cli_command_count subcommands in the order of the help; an entry without a name ends the list. */
extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;
/** The command of that name, or NULL. */
const struct cli_command *cli_command(const char *name);

/** The word most similar to the misspelt `word` among `count` words that are `stride` bytes apart in memory.
 * NULL: none is similar. */
const char *cli_suggest(const char *word, const char *const *words, size_t stride, size_t count);

#endif
