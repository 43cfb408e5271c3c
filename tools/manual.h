// SPDX-License-Identifier: MIT
// The manual: `clrnn help`, --help, man pages and completions, all from the tables of options.
#ifndef CLRNN_TOOLS_MANUAL_H
#define CLRNN_TOOLS_MANUAL_H

#include "tools/cli.h"

/** What the page of one command shows. */
struct cli_page {
    const struct cli_command *command;
    const struct cli_spec *spec;
    struct cli_option option[48]; // the command's own options, then the common options that apply to it
    // own: number of the command's own options
    // count: number of all options
    size_t own, count;
};

/** Prints a command's page in a format: text, man, or its part of the completions of bash, zsh or fish. Returns false
 * if there is no such format. */
bool manual_print(const struct cli_page *page, const char *format);
/** Prints the list of commands and how to begin. */
void manual_commands(FILE *to);
/** Prints the list of commands, the man page clrnn.1 or the completions of a shell. Calls `pages` to print the part of
 * each command. Returns false if there is no such format. */
bool manual_print_all(const char *format, void (*pages)(const char *format));

/** Prints a config key and the keys below it as text, Markdown or man. For the key "config", prints the paths of all
 * keys, or with format man the page clrnn-config.5. CLRNN_ERR_ARG: there is no such key or format. */
enum clrnn_status manual_keys(const struct cli *cli, const char *key, const char *format);

/** Prints the start of a man page: its title, and the heading NAME. */
void manual_title(const char *name, int section);
/** Prints text in a man page, with roff's requests and escapes quoted, and "-" as a plain hyphen. */
void manual_roff(const char *text);

#endif
