// SPDX-License-Identifier: MIT
// The clrnn command: runs a subcommand. Also implements `clrnn help`, which makes each subcommand print its own page.
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"
#include "tools/cli.h"
#include "tools/guard.h"
#include "tools/interrupt.h"
#include "tools/manual.h"

static int run(const struct cli_command *command, int argc, char **argv)
{
    static int (*const commands[])(int argc, char **argv) = {
#define X(function, name, help) cmd_##function,
        CLI_COMMANDS(X)
#undef X
    };

    return commands[command - cli_commands](argc, argv);
}

// ---------------------------------------------------------------- help

// Runs a command with arguments that make it print its own page.
static int print_page(const struct cli_command *command, const char *format)
{
    char name[32], option[64];

    snprintf(name, sizeof(name), "%s", command->name);
    snprintf(option, sizeof(option), "--help=%s", format);
    return run(command, 2, (char *[]){name, option, NULL});
}

static void print_pages(const char *format)
{
    for (const struct cli_command *c = cli_commands; c->name; c++)
        print_page(c, format);
}

int cmd_help(int argc, char **argv)
{
    const char *format = "text", *about;
    const struct cli_option options[] = {
        {"format", CLI_TEXT, "FORMAT", "text; man; markdown, for config keys; bash, zsh or fish completions", &format},
    };
    const struct cli_spec spec = {
        .usage = "[COMMAND | KEY | config] [options]",
        .text = "Without a name: the commands. With a command's: its --help. With that of a config key, such as\n"
                "train.scheduler.one_cycle_lr or model.layers.lstm: what it means, what fits and its default,\n"
                "and the same of the keys that it holds. `config` stands for all keys.",
        .most = 1,
        .without_device = true,
        .without_config = true,
        .option_count = ARRAY_SIZE(options),
        .option = options,
        .examples = "  clrnn help train\n"
                    "  clrnn help train.optimizer.adam\n"
                    "  clrnn help model.layers\n",
    };
    const struct cli_command *command;
    struct cli cli;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    about = cli.argument_count ? cli.argument[0] : NULL;
    if (!about)
        return manual_print_all(format, print_pages)
                   ? cli_finish(&cli, CLRNN_OK)
                   : cli_usage(&cli, "--format %s: expected text, man, bash, zsh or fish", format);
    command = cli_command(about);
    // with --format markdown a name such as `train` means the config's section, not the command
    if (command && strcmp(format, "markdown"))
        return print_page(command, format);
    return cli_finish(&cli, manual_keys(&cli, about, format));
}

// ---------------------------------------------------------------- main

static int unknown_command(const char *name)
{
    const char *like = cli_suggest(name, &cli_commands[0].name, sizeof(*cli_commands), cli_command_count);

    fprintf(stderr, "clrnn: error: unknown command \"%s\"%s%s%s (`clrnn help` lists them)\n", cli_shown(name),
            like ? "; did you mean \"" : "", like ? like : "", like ? "\"?" : "");
    return clrnn_status_exit(CLRNN_ERR_ARG);
}

// Opens /dev/null as each standard descriptor that is closed. Otherwise a file that is opened later could get the
// number of stdout or stderr, and messages would be written into it.
static void open_standard_descriptors(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    static char help_word[] = "help";
    const char *name = argc > 1 ? argv[1] : "";
    const struct cli_command *command = cli_command(name);
    const struct cli cli = {.command = name};

    open_standard_descriptors();
    if (!strcmp(name, "train")) {
        guard_start();
        if (clrnn_rank_launched())
            interrupt_flag();
    }
    interrupt_start();
    clrnn_map_catch();
    if (command)
        return run(command, argc - 1, argv + 1);
    if (!strcmp(name, "--version")) {
        printf("clrnn %s\n", clrnn_version());
        return cli_finish(&cli, CLRNN_OK);
    }
    if (!strcmp(name, "--help") || !strcmp(name, "-h"))
        return cmd_help(1, (char *[]){help_word, NULL});
    if (argc > 1)
        return unknown_command(name);
    manual_commands(stderr);
    return clrnn_status_exit(CLRNN_ERR_ARG);
}
