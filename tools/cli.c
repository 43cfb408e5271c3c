// SPDX-License-Identifier: MIT
// Options, help and messages of the clrnn command.
#include "tools/cli.h"

#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/environment.h"
#include "base/file.h"
#include "base/glob.h"
#include "base/log.h"
#include "base/words.h"
#include "tools/manual.h"

static void print_message(void *user, enum clrnn_log_level level, const char *line)
{
    struct cli *cli = user;
    const bool loud = level <= CLRNN_LOG_WARNING;
    const char *colour = level == CLRNN_LOG_ERROR ? "\033[31m" : "\033[33m";

    cli_clear_work(cli);
    if (loud)
        fprintf(stderr, "clrnn: %s%s%s: %s\n", cli->colour ? colour : "",
                level == CLRNN_LOG_ERROR ? "error" : "warning", cli->colour ? "\033[0m" : "", line);
    else
        fprintf(stderr, "%s\n", line);
}

int cli_usage(const struct cli *cli, const char *format, ...)
{
    char sentence[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    fprintf(stderr, "clrnn: error: %s: %s (see `clrnn %s --help`)\n", cli->command, cli_shown(sentence), cli->command);
    return clrnn_status_exit(CLRNN_ERR_ARG);
}

// ---------------------------------------------------------------- common options

// The options that every command understands.
struct common {
    struct cli_option option[9];
    size_t count;
    bool help, version;
    const char *format; // format in which the help is printed
};

static void common_init(struct common *c, struct cli *cli, const struct cli_spec *spec)
{
    const struct cli_option options[] = {
        {"device", CLI_TEXT, "SPEC", "P:D as `clinfo -l` numbers them, cpu, gpu, ref, or part of a name", &cli->device},
        {"gemm", CLI_TEXT, "WHICH", "matrix multiplies by auto, own or clblast", &cli->gemm},
        {"no-tune", CLI_FLAG, NULL, "ignore what `clrnn tune` remembered", &cli->no_tune},
        {"set", CLI_LIST, "KEY=VALUE", "change any config key, as train.epochs=3 (repeatable)", &cli->set},
        {"quiet", CLI_FLAG, NULL, "no progress: only results, warnings and errors", &cli->quiet},
        {"verbose", CLI_FLAG, NULL, "say more", &cli->verbose},
        {"help", CLI_FLAG, NULL, "this text", &c->help},
        {"version", CLI_FLAG, NULL, "the version", &c->version},
        {"json", CLI_JSON, "[FILE.json]", "the result as JSON, on standard output or into a file", cli},
    };

    *c = (struct common){.count = ARRAY_SIZE(options) - !spec->takes_json, .format = "text"};
    memcpy(c->option, options, sizeof(options));
}

// Whether an option is accepted by every command but has no effect on this one.
static bool is_idle(const struct cli *cli, const struct cli_spec *spec, const struct cli_option *option)
{
    const void *const target = option->target;

    return (spec->without_device && (target == &cli->device || target == &cli->gemm || target == &cli->no_tune)) ||
           (spec->without_config && target == &cli->set);
}

// Prints the help. Returns false if there is no such format.
static bool print_help(const struct cli *cli, const struct cli_spec *spec, const struct common *common)
{
    struct cli_page page = {.command = cli_command(cli->command), .spec = spec};

    while (page.own < spec->option_count)
        page.option[page.count++] = spec->option[page.own++];
    for (size_t i = 0; i < common->count; i++)
        if (!is_idle(cli, spec, &common->option[i]))
            page.option[page.count++] = common->option[i];
    return manual_print(&page, common->format);
}

// ---------------------------------------------------------------- parsing

static const struct cli_option *find_option(const struct cli_option *option, size_t count, const char *name,
                                            size_t length)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(option[i].name) == length && !memcmp(option[i].name, name, length))
            return &option[i];
    return NULL;
}

// Stores the value of an option. If the value is invalid, returns false and sets *expected to what is allowed.
static bool store(const struct cli_option *o, const char *value, const char **expected)
{
    struct cli_list *list = o->target;
    uint64_t number;
    bool negative;
    double real;

    switch (o->kind) {
    case CLI_FLAG:
        *(bool *)o->target = true;
        return true;
    case CLI_TEXT:
        *(const char **)o->target = value;
        return true;
    case CLI_LIST:
        *expected = "at most 64 of them";
        if (list->count < ARRAY_SIZE(list->item))
            list->item[list->count++] = value;
        else
            return false;
        return true;
    case CLI_UINT:
    case CLI_SEED:
        *expected = o->kind == CLI_UINT ? "a whole number from 1 to 4294967295" : "a whole number from 0";
        if (!clrnn_integer_parse(value, &negative, &number) || negative ||
            (o->kind == CLI_UINT && (number == 0 || number > UINT32_MAX)))
            return false;
        if (o->kind == CLI_UINT)
            *(uint32_t *)o->target = (uint32_t)number;
        else
            *(uint64_t *)o->target = number;
        return true;
    case CLI_JSON:
        ((struct cli *)o->target)->json = true;
        ((struct cli *)o->target)->json_file = value && strcmp(value, "-") != 0 ? value : NULL;
        return true;
    case CLI_REAL:
        *expected = "a number above 0";
        if (!clrnn_number_parse(value, &real) || !(real > 0 && isfinite(real)))
            return false;
        *(double *)o->target = real;
        return true;
    }
    return false;
}

// Whether the argument after --json is the name of the file to write.
static bool is_json_file(const struct cli_spec *spec, const char *text)
{
    const size_t length = strlen(text);

    if (!strcmp(text, "-") || !strncmp(text, "/dev/", 5) || (length > 5 && !strcmp(text + length - 5, ".json")))
        return true;
    return spec->json_takes_file && *text != '-' && !(length > 5 && !strcmp(text + length - 5, ".yaml")) &&
           !(length > 4 && !strcmp(text + length - 4, ".yml"));
}

static void unknown_option(const struct cli *cli, const struct cli_spec *spec, const struct common *common,
                           const char *argument)
{
    char name[64];
    const char *like;

    snprintf(name, sizeof(name), "%.*s", (int)strcspn(argument + 2, "="), argument + 2);
    like =
        spec->option_count ? cli_suggest(name, &spec->option[0].name, sizeof(*spec->option), spec->option_count) : NULL;
    if (!like)
        like = cli_suggest(name, &common->option[0].name, sizeof(*common->option), common->count);
    cli_usage(cli, "unknown option %s%s%s%s", argument, like ? "; did you mean --" : "", like ? like : "",
              like ? "?" : "");
}

// Parses the option argv[*at] and its value. Returns false after it has reported an error.
static bool take_option(struct cli *cli, const struct cli_spec *spec, const struct common *common, int argc,
                        char **argv, int *at)
{
    const char *name = argv[*at] + 2, *equals = strchr(name, '='), *value = NULL, *expected = "";
    const size_t length = equals ? (size_t)(equals - name) : strlen(name);
    const struct cli_option *o = find_option(spec->option, spec->option_count, name, length);

    if (!o)
        o = find_option(common->option, common->count, name, length);
    if (!o) {
        unknown_option(cli, spec, common, argv[*at]);
        return false;
    }
    if (o->kind == CLI_FLAG) {
        if (equals) {
            cli_usage(cli, "--%s takes no value", o->name);
            return false;
        }
    } else if (equals) {
        value = equals + 1;
    } else if (o->kind == CLI_JSON) {
        value = *at + 1 < argc && is_json_file(spec, argv[*at + 1]) ? argv[++*at] : NULL;
    } else if (*at + 1 < argc) {
        value = argv[++*at];
    }
    if ((!value && o->kind != CLI_FLAG && o->kind != CLI_JSON) || (value && !*value)) {
        cli_usage(cli, "--%s needs a value %s", o->name, o->value);
        return false;
    }
    if (!store(o, value, &expected)) {
        cli_usage(cli, "--%s %s: expected %s", o->name, value, expected);
        return false;
    }
    if (is_idle(cli, spec, o))
        print_message(cli, CLRNN_LOG_WARNING,
                      o->target == &cli->set ? "--set changes nothing here: no config is read"
                                             : "options on the device change nothing here: none is used");
    return true;
}

// Checks that the file of --json is none of the positional arguments and not the file of --init.
static enum clrnn_status check_json_file(const struct cli *cli, const struct cli_spec *spec)
{
    const struct cli_option *init = find_option(spec->option, spec->option_count, "init", strlen("init"));

    if (!cli->json_file)
        return CLRNN_OK;
    if (init)
        TRY(cli_check_out(cli, cli->json_file, 1, init->target));
    return cli_check_out(cli, cli->json_file, cli->argument_count, cli->argument);
}

bool cli_parse(struct cli *cli, const struct cli_spec *spec, int argc, char **argv, int *status)
{
    struct common common;
    bool options_end = false;

    *cli = (struct cli){.command = argv[0], .colour = isatty(STDERR_FILENO) && !getenv("NO_COLOR")};
    *status = clrnn_status_exit(CLRNN_ERR_ARG);
    common_init(&common, cli, spec);
    for (int i = 1; i < argc; i++) {
        if (!options_end && !strcmp(argv[i], "--")) {
            options_end = true;
        } else if (!options_end && !strcmp(argv[i], "-h")) {
            common.help = true;
        } else if (!options_end && !strncmp(argv[i], "--help=", 7)) {
            common.help = true;
            common.format = argv[i] + 7;
        } else if (!options_end && !strncmp(argv[i], "--", 2)) {
            if (!take_option(cli, spec, &common, argc, argv, &i))
                return false;
        } else if (!options_end && argv[i][0] == '-' && argv[i][1]) {
            cli_usage(cli, "unknown option %s", argv[i]);
            return false;
        } else if (cli->argument_count == spec->most) {
            cli_usage(cli, "one argument too many: %s", argv[i]);
            return false;
        } else if (!*argv[i]) {
            cli_usage(cli, "an argument is empty: clrnn %s %s", cli->command, spec->usage);
            return false;
        } else {
            cli->argument[cli->argument_count++] = argv[i];
        }
    }
    if (common.help || common.version) {
        if (!common.help) {
            printf("clrnn %s\n", clrnn_version());
        } else if (!print_help(cli, spec, &common)) {
            cli_usage(cli, "--help=%s: expected text, man, bash, zsh or fish", common.format);
            return false;
        }
        *status = cli_finish(cli, CLRNN_OK);
        return false;
    }
    if (cli->argument_count < spec->least) {
        cli_usage(cli, "an argument is missing: clrnn %s %s", cli->command, spec->usage);
        return false;
    }
    cli->log = (struct clrnn_log){.fn = print_message,
                                  .user = cli,
                                  .level = cli->quiet     ? CLRNN_LOG_WARNING
                                           : cli->verbose ? CLRNN_LOG_DEBUG
                                                          : CLRNN_LOG_INFO,
                                  .progress = isatty(STDERR_FILENO) && !cli->quiet ? cli_show_work : NULL};
    cli->text = !cli->json || cli->json_file;
    if (clrnn_environment_check(&cli->log) != CLRNN_OK)
        return false;
    return check_json_file(cli, spec) == CLRNN_OK;
}

// ---------------------------------------------------------------- devices and configs

static char abort_sentence[2048];
static int abort_status;
static unsigned opened; // number of opened devices that have a driver: all but ref

// Handles SIGABRT, which a failed assertion in a driver raises. Tells the user what happened, after the driver's own
// message.
static void on_abort(int number)
{
    ssize_t written = write(STDERR_FILENO, abort_sentence, strlen(abort_sentence));

    (void)number;
    (void)written;
    _exit(abort_status);
}

static void explain_aborts(const struct clrnn_device_info *info)
{
    char *hint = clrnn_device_cache_advice(info);

    snprintf(abort_sentence, sizeof(abort_sentence),
             "clrnn: error: the driver of %s%s (%s) has ended the process by an abort%s\n",
             opened++ ? "one of the devices, such as " : "", info->name, info->platform_name, hint ? hint : "");
    free(hint);
    abort_status = clrnn_status_exit(CLRNN_ERR_DEVICE);
    signal(SIGABRT, on_abort);
}

enum clrnn_status cli_device(struct cli *cli, bool profile, struct clrnn_device **device)
{
    const struct clrnn_device_params params = {
        .select = cli->device,
        .log = &cli->log,
        .profile = profile,
        .gemm = cli->gemm,
        .no_tune = cli->no_tune,
    };

    TRY(clrnn_device_open(&params, device));
    cli->used = clrnn_device_info(*device);
    if (clrnn_device_info(*device)->type != CLRNN_DEVICE_REF)
        explain_aborts(clrnn_device_info(*device));
    return CLRNN_OK;
}

enum clrnn_status cli_config(struct cli *cli, const char *path, struct clrnn_config **config)
{
    enum clrnn_status st = CLRNN_OK;

    cli->config_path = path;
    TRY(clrnn_config_read(&cli->log, path, cli->set.count, cli->set.item, config));
    if (cli->json_file)
        st = cli_check_inputs(cli, cli->json_file, *config);
    if (st != CLRNN_OK)
        clrnn_config_destroy(config);
    return st;
}

enum clrnn_status cli_check_out(const struct cli *cli, const char *out, size_t count, const char *const *read)
{
    for (size_t i = 0; i < count; i++) {
        char *inside = read[i] ? clrnn_path_join(read[i], "last.safetensors") : NULL;
        const bool same = read[i] && (clrnn_same_file(out, read[i]) || (inside && clrnn_same_file(out, inside)));

        free(inside);
        if (same)
            return clrnn_error(&cli->log, CLRNN_ERR_ARG, "%s: is what this command reads: name another file to write",
                               out);
    }
    return clrnn_run_check_output(&cli->log, out);
}

enum clrnn_status cli_check_input(const struct cli *cli, const char *out, const char *folder, const char *name)
{
    char *path = name ? clrnn_path_join(folder, name) : NULL;
    glob_t files;
    int failed;
    enum clrnn_status st;

    if (!name)
        return CLRNN_OK;
    failed = path ? clrnn_glob(folder, name, &files) : GLOB_NOSPACE;
    if (failed == GLOB_NOSPACE)
        st = clrnn_error_memory(&cli->log, strlen(name), "a path");
    else if (failed)
        st = cli_check_out(cli, out, 1, (const char *const[]){path});
    else
        st = cli_check_out(cli, out, files.gl_pathc, (const char *const *)files.gl_pathv);
    if (!failed)
        globfree(&files);
    free(path);
    return st;
}

enum clrnn_status cli_check_inputs(const struct cli *cli, const char *out, const struct clrnn_config *config)
{
    const struct clrnn_source *const set[] = {&config->data.train, &config->data.valid, &config->data.test};

    TRY(cli_check_input(cli, out, config->folder, config->train.init));
    for (size_t i = 0; i < ARRAY_SIZE(set); i++) {
        const char *const name[] = {set[i]->x,         set[i]->y,   set[i]->lengths,    set[i]->weights,
                                    set[i]->y_lengths, set[i]->csv, set[i]->label_from, set[i]->ts};

        for (size_t k = 0; k < ARRAY_SIZE(name); k++)
            TRY(cli_check_input(cli, out, config->folder, name[k]));
    }
    return CLRNN_OK;
}

enum clrnn_status cli_open(struct cli *cli, struct clrnn_config **config, struct clrnn_device **device)
{
    TRY(cli_config(cli, cli->argument[0], config));
    return cli_device(cli, false, device);
}

const char *cli_init(const char *given, struct clrnn_config *config)
{
    static char *path;

    if (given && config)
        config->train.init_partial = false;
    if (given || !config || !config->train.init)
        return given;
    free(path);
    path = clrnn_path_join(config->folder, config->train.init);
    return path ? path : config->train.init;
}

int cli_close(const struct cli *cli, enum clrnn_status status, struct clrnn_config **config,
              struct clrnn_device **device)
{
    clrnn_config_destroy(config);
    clrnn_device_destroy(device);
    return cli_finish(cli, status);
}
