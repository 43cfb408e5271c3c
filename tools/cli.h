// SPDX-License-Identifier: MIT
// Helpers for all subcommands: option tables, messages, opening a device and a config.
#ifndef CLRNN_TOOLS_CLI_H
#define CLRNN_TOOLS_CLI_H

#include <jansson.h>
#include <stdio.h>

#include "clrnn.h"

/** How the value of an option is read, and the type of the object that cli_option.target points to. */
enum cli_kind {
    CLI_FLAG, // bool: takes no value, becomes true
    CLI_TEXT, // const char *
    CLI_LIST, // struct cli_list: the option may be repeated
    CLI_UINT, // uint32_t from 1, because 0 means "the default" in the library
    CLI_SEED, // uint64_t
    CLI_REAL, // double above 0
    CLI_JSON, // struct cli: sets `json`, and `json_file` if a file's name follows the option
};

struct cli_list {
    size_t count;
    const char *item[64];
};

struct cli_option {
    const char *name; // "epochs" for --epochs
    enum cli_kind kind;
    const char *value; // name of the value in the help: "DIR"
    const char *help;
    void *target;
};

/** The options that every command understands, and the state of a command. cli_parse fills it in. */
struct cli {
    const char *command;
    const char *device, *gemm;
    struct cli_list set;
    struct cli_work {
        // began: the time when the progress bar was last drawn on an empty line
        // share: the share of the work that was done at that time
        double began, share;
        int drawn; // number of columns of the bar that are on the terminal
    } work;
    bool json, quiet, verbose, no_tune;
    const char *json_file;                // NULL: standard output
    bool json_exact;                      // print numbers with all 17 digits
    bool text;                            // print the result as text; false if stdout gets JSON
    const char *config_path;              // path of the config or run that was read, or NULL
    const struct clrnn_device_info *used; // the device that was opened, or NULL
    struct clrnn_log log;
    bool colour;           // stderr is a terminal and NO_COLOR is not set
    size_t argument_count; // positional arguments
    const char *argument[16];
};

/** Removes the progress bar of a long operation from the terminal. Called before anything else is printed. */
void cli_clear_work(struct cli *cli);
/** Draws the progress bar of a long operation. It is the function `progress` of a struct clrnn_log; `user` is a struct
 * cli. */
void cli_show_work(void *user, const char *what, double share);

/** What a command adds to the common help and usage. */
struct cli_spec {
    const char *usage;  // "CONFIG.yaml [options]"
    const char *text;   // a few paragraphs about the command
    size_t least, most; // least and most positional arguments
    bool takes_json;
    bool json_takes_file; // --json takes a file of any name except .yaml and .yml, not only .json
    // without_device: --device, --gemm and --no-tune have no effect on the command
    // without_config: --set has no effect on the command
    bool without_device, without_config;
    size_t option_count;
    const struct cli_option *option;
    const char *examples;
};

/** Parses the arguments after the command's name. Returns false if the program must exit with *status, which is 0 after
 * --help and --version (5 if stdout cannot be written), and 2 after an error. The error has then been reported. */
bool cli_parse(struct cli *cli, const struct cli_spec *spec, int argc, char **argv, int *status);

/** Reports wrong usage in one sentence. Returns exit status 2. */
int cli_usage(const struct cli *cli, const char *format, ...) CLRNN_PRINTF(2, 3);

/** Opens the device selected by --device or CLRNN_DEVICE, else the default device. */
enum clrnn_status cli_device(struct cli *cli, bool profile, struct clrnn_device **device);

/** Reads a config with the --set assignments. CLRNN_ERR_ARG: the file of --json is one that the config names. *config
 * is NULL after an error. */
enum clrnn_status cli_config(struct cli *cli, const char *path, struct clrnn_config **config);

/** Checks the path `out` of a file to write. read [count] are the files and run folders that the command reads; entries
 * may be NULL. CLRNN_ERR_ARG: `out` is one of these files, or belongs to a run. */
enum clrnn_status cli_check_out(const struct cli *cli, const char *out, size_t count, const char *const *read);

/** Checks with cli_check_out that `out` is not the file `name` of `folder` or, if `name` is a pattern such as "*.csv",
 * none of the files that match it. `name` may be NULL. */
enum clrnn_status cli_check_input(const struct cli *cli, const char *out, const char *folder, const char *name);
/** Checks with cli_check_out that `out` is none of the files that the config names: its initial weights and its data.
 */
enum clrnn_status cli_check_inputs(const struct cli *cli, const char *out, const struct clrnn_config *config);

/**
 * Reads the config that the first argument names, and opens the device. After an error the config may have been read:
 * call cli_close, which frees both.
 */
enum clrnn_status cli_open(struct cli *cli, struct clrnn_config **config, struct clrnn_device **device);

/** Returns the path of the weights to start from: `given`, the value of --init, else the config's train.init, else
 * NULL. train.init_partial belongs to train.init: with --init it becomes false, as `clrnn train` has it. `config` may
 * be NULL. The result is valid until the next call. */
const char *cli_init(const char *given, struct clrnn_config *config);

/** Frees the config and the device (each may be NULL) and returns the exit status of cli_finish. */
int cli_close(const struct cli *cli, enum clrnn_status status, struct clrnn_config **config,
              struct clrnn_device **device);

/** Makes a JSON number, or null for NaN and infinity. */
json_t *cli_json_number(double value);
/** Appends a value to *array and drops the reference to the value. If memory is exhausted, frees the array and sets
 * *array to NULL. json_pack and cli_print_json report NULL as an error. */
void cli_json_append(json_t **array, json_t *value);
/** Writes a result as JSON to standard output or to the file of --json, and drops the reference. Adds the keys that all
 * results have, if the result is an object. CLRNN_ERR_MEMORY: `value` is NULL, or memory is exhausted; CLRNN_ERR_DISK:
 * the file cannot be written. */
enum clrnn_status cli_print_json(const struct cli *cli, json_t *value);
/** Parses `text` as JSON and passes the value to cli_print_json. */
enum clrnn_status cli_print_json_text(const struct cli *cli, const char *text);

/** Logs what a long command does next; `user` is its struct cli. */
void cli_show_progress(void *user, const char *what);
/** Writes the JSON object in the file `name` of `folder` to standard output or to the file of --json. `st` is the
 * status of the command so far. Returns an error if a file cannot be read or written, else `st`. */
enum clrnn_status cli_print_file(const struct cli *cli, const char *folder, const char *name, enum clrnn_status st);

/** Returns `text` with escapes for what must not be printed (CLRNN_TEXT_SHOWN in base/text.h), such as control
 * characters. Use it for texts from files and drivers. The result is valid until the eighth call after this one. NULL
 * gives "". */
const char *cli_shown(const char *text);
/** Returns "?", to be printed in place of a text that could not be made because memory was exhausted. Makes cli_finish
 * return 5 in place of 0 or 1. */
const char *cli_lost(void);
/** Prints a text of several lines. Escapes each line as cli_shown does. */
void cli_print_lines(const char *text);

/** Flushes stdout and returns the exit status for `status`. If stdout cannot be written (full disk, closed pipe),
 * returns 5 in place of 0 or 1. */
int cli_finish(const struct cli *cli, enum clrnn_status status);

/** Returns the number of columns of the terminal at `fd` (STDOUT_FILENO or STDERR_FILENO), at least 20; 80 if `fd` is
 * no terminal or its width is unknown. */
int cli_columns(int fd);

/** Writes a number of bytes into `text`, as "1.4 GB" or "12.5 kB". Returns `text`. */
const char *cli_bytes(double bytes, char text[32]);
/** Writes a count and its noun into `text`, as "1 step" or "20 steps". Returns `text`. */
const char *cli_count(uint64_t count, const char *noun, char text[32]);
/** Writes a duration into `text`, as "1h02m", "3m20s" or "14s". Returns `text`. */
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

/** The cli_command_count subcommands, in the order in which the help lists them. The array ends with an entry without a
 * name. */
extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;
/** Returns the command of that name, or NULL if there is none. */
const struct cli_command *cli_command(const char *name);

/** Returns the word that is most similar to the misspelt `word`, among `count` words, or NULL if none is similar. The
 * pointers to the words are `stride` bytes apart in memory. */
const char *cli_suggest(const char *word, const char *const *words, size_t stride, size_t count);

#endif
