// SPDX-License-Identifier: MIT
// clrnn help: what a command does, what a config key means; and all of it as manual pages and completions.
#include <string.h>

#include "base/array.h"
#include "tools/manual.h"

// Has a command print its own page.
static int print_command(const struct cli_command *command, const char *format)
{
    char name[32], option[64];

    snprintf(name, sizeof(name), "%s", command->name);
    snprintf(option, sizeof(option), "--help=%s", format);
    return command->run(2, (char *[]){name, option, NULL});
}

static void print_commands(const char *format)
{
    for (const struct cli_command *c = cli_commands; c->name; c++)
        print_command(c, format);
}

int cmd_help(int argc, char **argv)
{
    const char *format = "text", *about;
    const struct cli_option options[] = {
        {"format", CLI_TEXT, "FORMAT", "text; man; markdown, for config keys; bash, zsh or fish completions",
         &format},
    };
    const struct cli_spec spec = {
        .usage = "[COMMAND | KEY | config] [options]",
        .text =
            "Without a name: the commands. With a command's: its --help. With that of a config key, such as\n"
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
        return manual_print_all(format, print_commands)
                   ? cli_finish(&cli, CLRNN_OK)
                   : cli_usage(&cli, "--format %s: expected text, man, bash, zsh or fish", format);
    command = cli_command(about);
    if (command && strcmp(format, "markdown")) // train is also a section of the config
        return print_command(command, format);
    return cli_finish(&cli, manual_keys(&cli, about, format));
}
