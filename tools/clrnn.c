// SPDX-License-Identifier: MIT
// The clrnn command: finds the subcommand.
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "tools/cli.h"
#include "tools/interrupt.h"
#include "tools/manual.h"

// Opens standard descriptors that are closed: otherwise a file could get their number and receive messages.
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
    interrupt_start();
    clrnn_map_catch();
    if (command)
        return command->run(argc - 1, argv + 1);
    if (!strcmp(name, "--version")) {
        printf("clrnn %s\n", clrnn_version());
        return cli_finish(&cli, CLRNN_OK);
    }
    if (!strcmp(name, "--help") || !strcmp(name, "-h"))
        return cmd_help(1, (char *[]){help_word, NULL});
    if (argc > 1)
        return cli_unknown_command(name);
    manual_commands(stderr);
    return clrnn_status_exit(CLRNN_ERR_ARG);
}
