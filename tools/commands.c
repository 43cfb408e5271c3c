// SPDX-License-Identifier: MIT
// The names of the subcommands.
#include <string.h>

#include "base/array.h"
#include "base/words.h"
#include "tools/cli.h"

const struct cli_command cli_commands[] = {
#define X(function, name, help) {name, help},
    CLI_COMMANDS(X)
#undef X
        {NULL, NULL},
};
const size_t cli_command_count = ARRAY_SIZE(cli_commands) - 1;

const struct cli_command *cli_command(const char *name)
{
    for (const struct cli_command *c = cli_commands; c->name; c++)
        if (!strcmp(c->name, name))
            return c;
    return NULL;
}

const char *cli_suggest(const char *word, const char *const *words, size_t stride, size_t count)
{
    size_t nearest = SIZE_MAX;
    const char *best = NULL;

    for (size_t i = 0; i < count; i++) {
        const char *candidate = *(const char *const *)((const char *)words + i * stride);
        const size_t distance = clrnn_word_distance(word, candidate);

        if (distance < nearest) {
            nearest = distance;
            best = candidate;
        }
    }
    return best;
}
