// SPDX-License-Identifier: MIT
// The manual: `clrnn help`, --help, man pages and completions, all from the tables of options.
#ifndef CLRNN_TOOLS_MANUAL_H
#define CLRNN_TOOLS_MANUAL_H

#include "tools/cli.h"

/** What the page of one command shows. */
struct cli_page {
    const struct cli_command *command;
    const struct cli_spec *spec;
    struct cli_option option[48]; // its own, then the common ones that have an effect here
    size_t own, count;
};

/** Prints a command's page: text, man, or its part of the completions of bash, zsh or fish. False: no such
 *  format. */
bool manual_print(const struct cli_page *page, const char *format);
/** Prints the commands and how to begin. */
void manual_commands(FILE *to);
/** Prints clrnn.1 or completions: the parts around the commands' pages, which `pages` prints. False:
 * unknown format. */
bool manual_print_all(const char *format, void (*pages)(const char *format));

/** Prints a config key with what it holds, as text, Markdown or man; "config": the paths of all, or
 *  clrnn-config.5. CLRNN_ERR_ARG: no such key or format. */
enum clrnn_status manual_keys(const struct cli *cli, const char *key, const char *format);

/** Starts a man page: title, and the heading NAME. */
void manual_title(const char *name, int section);
/** Prints text of a man page with requests and escapes quoted, and "-" as a plain hyphen. */
void manual_roff(const char *text);

#endif
