// SPDX-License-Identifier: MIT
// The clrnn command: finds the subcommand.
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tools/cli.h"
#include "tools/interrupt.h"

static const struct {
    const char *name, *help;
    int (*run)(int argc, char **argv);
} commands[] = {
#define X(name, help) {#name, help, cmd_##name},
    CLI_COMMANDS(X)
#undef X
};

static void print_help(FILE *to)
{
    fprintf(to, "clrnn %s: recurrent networks on any OpenCL device\n\nusage: clrnn COMMAND [options]\n\n",
            clrnn_version());
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
        fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].help);
    fprintf(to, "\n`clrnn COMMAND --help` tells more. Start here:\n\n"
                "  clrnn devices\n"
                "  clrnn synth data/seed\n"
                "  clrnn train examples/seed-fixed.yaml\n");
}

static int run(const char *name, int argc, char **argv)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
        if (!strcmp(name, commands[i].name))
            return commands[i].run(argc, argv);
    fprintf(stderr, "clrnn: error: unknown command \"%s\"; `clrnn --help` lists them\n", cli_shown(name));
    return clrnn_status_exit(CLRNN_ERR_ARG);
}

// A file opened as a closed standard descriptor would receive messages.
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
    const char *name = argc > 1 ? argv[1] : "";
    const struct cli cli = {.command = name};
    char help[] = "--help";

    open_standard_descriptors();
    interrupt_start();
    if (!strcmp(name, "--version")) {
        printf("clrnn %s\n", clrnn_version());
        return cli_finish(&cli, CLRNN_OK);
    }
    if (!strcmp(name, "help") && argc > 2) // as git has it
        return run(argv[2], 2, (char *[]){argv[2], help, NULL});
    if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
        print_help(stdout);
        return cli_finish(&cli, CLRNN_OK);
    }
    if (argc > 1)
        return run(name, argc - 1, argv + 1);
    print_help(stderr);
    return clrnn_status_exit(CLRNN_ERR_ARG);
}
