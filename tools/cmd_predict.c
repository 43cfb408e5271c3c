// SPDX-License-Identifier: MIT
// clrnn predict: writes a model's prediction for each sample.
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/log.h"
#include "tools/interrupt.h"
#include "tools/source.h"

// Reads the value of --decode: "greedy" (beam 0) or, for example, "beam:8".
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

struct stream_options {
    bool on;
    const char *state;
};

// Checks the options that --stream needs or excludes. If they are wrong, reports the error, sets *status and returns
// false.
static bool check_stream(const struct cli *cli, const struct stream_options *stream,
                         const struct source_options *source, const char *out, int *status)
{
    const char *wrong = NULL;

    if (!stream->on && stream->state)
        wrong = "--state goes with --stream";
    else if (!stream->on && !out)
        wrong = "--out FILE is missing";
    else if (stream->on && (out || source->x || source->csv || source->lengths))
        wrong = "--stream reads standard input and writes standard output: leave out --x, --csv, --lengths and --out";
    else if (stream->on && source->devices.names)
        wrong = "--stream runs on one device: leave out --devices";
    else if (stream->on && source->init)
        wrong = "--stream takes a run folder or model file, not --init";
    if (wrong)
        *status = cli_usage(cli, "%s", wrong);
    return !wrong;
}

// ---------------------------------------------------------------- standard input that a signal ends

enum { LOOK_MS = 200 }; // milliseconds between checks of the interrupt flag while waiting for input

// Standard input, passed on in whole lines only: if a signal ends it, an incomplete last line is dropped.
struct input {
    const volatile sig_atomic_t *stop;
    char *held; // bytes read but not yet passed on; the first `whole` of them can be passed on
    size_t count, whole, capacity;
    bool ended;
};

// Waits for input and appends it to `held`. Returns false after an error.
static bool read_more(struct input *in)
{
    struct pollfd ready = {.fd = STDIN_FILENO, .events = POLLIN};
    ssize_t got;

    if (in->count == in->capacity) {
        const size_t capacity = in->capacity ? 2 * in->capacity : 4096;
        char *larger = realloc(in->held, capacity);

        if (!larger)
            return false;
        in->held = larger;
        in->capacity = capacity;
    }
    if (poll(&ready, 1, LOOK_MS) <= 0)
        return true;
    got = read(STDIN_FILENO, in->held + in->count, in->capacity - in->count);
    if (got < 0)
        return errno == EINTR || errno == EAGAIN;
    in->ended = got == 0;
    in->count += (size_t)got;
    in->whole = in->count;
    while (!in->ended && in->whole && in->held[in->whole - 1] != '\n')
        in->whole--;
    return true;
}

static ssize_t read_lines(void *cookie, char *to, size_t size)
{
    struct input *in = cookie;
    size_t given;

    while (!in->whole && !in->ended) {
        if (*in->stop)
            return 0;
        if (!read_more(in))
            return -1;
    }
    given = MIN2(size, in->whole);
    if (given)
        memcpy(to, in->held, given);
    in->whole -= given;
    in->count -= given;
    memmove(in->held, in->held + given, in->count);
    return (ssize_t)given;
}

// ---------------------------------------------------------------- the stream

// Predicts from lines of standard input as they arrive. Saves the state to the file of --state at the end, also if the
// end is a signal, an error in a line, or a closed pipe at standard output.
static enum clrnn_status run_with_state(const struct cli *cli, struct clrnn_model *model, struct clrnn_state *state,
                                        const char *path, enum clrnn_predict_kind kind)
{
    struct input input = {.stop = interrupt_flag()};
    FILE *in = fopencookie(&input, "r", (cookie_io_functions_t){.read = read_lines});
    enum clrnn_status st, saved;

    if (!in)
        return clrnn_error_memory(&cli->log, 0, "standard input");
    signal(SIGPIPE, SIG_IGN);
    st = clrnn_predict_stream(model, state, kind, in, stdout);
    saved = clrnn_state_save(state, path);
    fclose(in);
    free(input.held);
    if (st != CLRNN_OK || saved != CLRNN_OK)
        return st != CLRNN_OK ? st : saved;
    return *input.stop ? CLRNN_INTERRUPTED : CLRNN_OK;
}

static enum clrnn_status run_stream(const struct cli *cli, struct clrnn_model *model, const char *path,
                                    enum clrnn_predict_kind kind)
{
    struct clrnn_state *state;
    enum clrnn_status st = CLRNN_OK;

    TRY(clrnn_state_create(model, &state));
    if (path && (access(path, F_OK) == 0 || errno != ENOENT))
        st = clrnn_state_load(state, path);
    if (st == CLRNN_OK)
        st = path ? run_with_state(cli, model, state, path, kind)
                  : clrnn_predict_stream(model, state, kind, stdin, stdout);
    clrnn_state_destroy(&state);
    return st;
}

int cmd_predict(int argc, char **argv)
{
    struct source_options source = {0};
    struct stream_options stream = {0};
    const char *out = NULL, *decode = NULL;
    enum clrnn_predict_kind kind;
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
        {"stream", CLI_FLAG, NULL, "a step a line (CSV) from standard input, each answered at once", &stream.on},
        {"state", CLI_TEXT, "FILE", "with --stream: begin with this state if it is there, and keep it", &stream.state},
    };
    const struct cli_spec spec = {
        .usage = "RUN|MODEL [--x FILE] --out FILE [options]\n       clrnn predict RUN|MODEL --stream [--state FILE]",
        .text =
            "Runs a model in eval mode over a data set, batch by batch: a million samples need no more\n"
            "memory than one batch. With --stream it goes through one sequence: a line of standard input holds the\n"
            "features of a step, and the prediction after it is written at once. A first line with the names\n"
            "of columns says which hold the features. That needs a causal model: not bidirectional, no pool but\n"
            "`last`. It runs on the CPU, whatever the device. Ctrl-C ends it, too, and keeps the --state.\n" SOURCE_RUN,
        .least = 0,
        .most = 1,
        .option_count = ARRAY_SIZE(options),
        .option = options,
        .examples = "  clrnn predict runs/first --x X_test.npy --out probabilities.csv --probs\n"
                    "  clrnn predict --init weights.safetensors --config model.yaml --x X.npy --out y.npy --classes\n"
                    "  tail -f sensor.csv | clrnn predict runs/first --stream --state sensor.state --probs\n",
    };
    struct cli cli;
    enum clrnn_status st;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    if (stream.on && !cli.device && !source.devices.names)
        cli.device = "ref"; // every machine has this device
    if (!check_stream(&cli, &stream, &source, out, &status))
        return status;
    if (logits + probs + classes + !!decode > 1)
        return cli_usage(&cli, "--logits, --probs, --classes and --decode exclude each other");
    if (decode && stream.on)
        return cli_usage(&cli, "--decode needs whole sequences: it does not go with --stream");
    if (decode && !decode_option(decode, &beam))
        return cli_usage(&cli, "--decode is greedy or beam:WIDTH, such as beam:8");
    if (!source_check(&cli, &source, &status))
        return status;
    kind = probs ? CLRNN_PREDICT_PROBS : classes ? CLRNN_PREDICT_CLASSES : CLRNN_PREDICT_LOGITS;
    st = stream.on ? CLRNN_OK // before models are opened, which may take long
                   : cli_check_out(&cli, out, 6,
                                   (const char *const[]){cli.argument_count ? cli.argument[0] : NULL, source.init,
                                                         source.config, source.x, source.lengths, source.csv});
    if (st == CLRNN_OK)
        st = source_open_models(&cli, &source);
    if (st == CLRNN_OK && !stream.on)
        st = source_check_out(&cli, &source, source.model[0], out);
    if (st == CLRNN_OK && decode)
        st = clrnn_predict_labels(source.model[0], &source.data, beam, out);
    else if (st == CLRNN_OK)
        st = stream.on ? run_stream(&cli, source.model[0], stream.state, kind)
                       : clrnn_predict(source.model[0], &source.data, kind, out);
    source_close(&source);
    return cli_finish(&cli, st);
}
