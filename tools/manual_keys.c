// SPDX-License-Identifier: MIT
// Prints the config's keys as text, Markdown tables and the man page clrnn-config.5, from the table by which configs
// are read.
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "tools/manual.h"

// ---------------------------------------------------------------- config keys

// Removes indices of layers from a path: "model.layers.0.rnn.bias" becomes the key model.layers.rnn.bias.
static void without_indices(const char *path, char *key, size_t size)
{
    size_t used = 0;

    for (const char *part = path; *part && used + 1 < size;) {
        const size_t length = strcspn(part, ".");

        if (strspn(part, "0123456789") != length && strncmp(part, "N.", 2))
            used += (size_t)snprintf(key + used, size - used, "%s%.*s", used ? "." : "", (int)length, part);
        part += length + (part[length] == '.');
    }
    key[MIN2(used, size - 1)] = 0;
}

// Returns the name of the key below `parent`, or NULL if the key is not a direct child of `parent`.
static const char *name_below(const struct clrnn_config_key *key, const char *parent)
{
    const size_t length = strlen(parent);
    const char *name = key->path + length + 1;

    return !strncmp(key->path, parent, length) && key->path[length] == '.' && !strchr(name, '.') ? name : NULL;
}

static bool holds_keys(const struct clrnn_config_key *keys, size_t count, const char *path)
{
    for (size_t i = 0; i < count; i++)
        if (name_below(&keys[i], path))
            return true;
    return false;
}

// Prints " (required): a whole number" or " (0.1): a number". Prints nothing for a key that is not required and has no
// default, such as one of several maps to choose from.
static void print_facts(const struct clrnn_config_key *k, void (*put)(const char *))
{
    if (!k->required && !k->standard)
        return;
    put(" (");
    put(k->required ? "required" : k->standard);
    put("): ");
    put(k->expects);
}

static void plain(const char *text)
{
    fputs(text, stdout);
}

// Prints the table of the keys below a key.
static void print_below(const struct clrnn_config_key *keys, size_t count, const char *path, const char *format)
{
    const bool markdown = !strcmp(format, "markdown"), man = !strcmp(format, "man");

    if (markdown)
        printf("| key | default | what fits | |\n|---|---|---|---|\n");
    for (size_t i = 0; i < count; i++) {
        const struct clrnn_config_key *k = &keys[i];
        const char *name = name_below(k, path);

        if (!name)
            continue;
        if (markdown) {
            printf("| `%s` | %s | %s | %s |\n", name,
                   k->required   ? "required"
                   : k->standard ? k->standard
                                 : "",
                   k->expects, k->help);
        } else if (man) {
            printf(".TP\n\\fB%s\\fR", name);
            print_facts(k, manual_roff);
            putchar('\n');
            manual_roff(k->help);
            putchar('\n');
        } else {
            printf("  %s", name);
            print_facts(k, plain);
            printf("\n      %s\n", k->help);
        }
    }
}

// Prints the man page clrnn-config.5, with a section for every map.
static void print_config_page(const struct clrnn_config_key *keys, size_t count)
{
    manual_title("clrnn-config", 5);
    printf("clrnn\\-config \\- what a config of clrnn can hold\n.SH DESCRIPTION\n"
           "A config is a YAML file that says what is trained, how, and on what. Names, defaults and meaning are\n"
           "PyTorch's wherever PyTorch has the thing. A layer, a loss, an optimizer or a scheduler is written as\n"
           "its bare name where all its keys keep their defaults, or as a map with that one key. In parentheses\n"
           "stands a key's default. \\fB\\-\\-set\\fR \\fIKEY\\fR=\\fIVALUE\\fR changes any key, with layers\n"
           "counted from 0, as in model.layers.0.rnn.hidden_size=128.\n.SH KEYS\n");
    for (size_t i = 0; i < count; i++) {
        if (!holds_keys(keys, count, keys[i].path))
            continue;
        printf(".SS %s\n", keys[i].path);
        manual_roff(keys[i].help);
        putchar('\n');
        print_below(keys, count, keys[i].path, "man");
    }
    printf(".SH SEE ALSO\n.BR clrnn (1)\n");
}

static enum clrnn_status unknown_key(const struct cli *cli, const struct clrnn_config_key *keys, size_t count,
                                     const char *key)
{
    const char *like = NULL;

    for (size_t i = 0; i < count && !like; i++) { // `key` may be the last word of a path
        const char *point = strrchr(keys[i].path, '.');

        if (point && !strcmp(point + 1, key))
            like = keys[i].path;
    }
    if (!like && !strchr(key, '.'))
        like = cli_suggest(key, &cli_commands[0].name, sizeof(*cli_commands), cli_command_count);
    if (!like)
        like = cli_suggest(key, &keys[0].path, sizeof(*keys), count);
    return clrnn_error(&cli->log, CLRNN_ERR_ARG,
                       "help: unknown command or config key \"%s\"%s%s%s (`clrnn help` lists the commands, "
                       "`clrnn help config` the keys)",
                       key, like ? "; did you mean \"" : "", like ? like : "", like ? "\"?" : "");
}

// Prints a key and the keys below it.
static void print_key(const struct clrnn_config_key *keys, size_t count, size_t at, const char *format)
{
    const bool holds = holds_keys(keys, count, keys[at].path);

    if (!strcmp(format, "text")) {
        printf("%s", keys[at].path);
        print_facts(&keys[at], plain);
        printf("\n    %s\n%s", keys[at].help, holds ? "\n" : "");
    }
    if (holds)
        print_below(keys, count, keys[at].path, format);
}

static bool is_format(const char *format)
{
    return !strcmp(format, "text") || !strcmp(format, "markdown") || !strcmp(format, "man");
}

enum clrnn_status manual_keys(const struct cli *cli, const char *path, const char *format)
{
    struct clrnn_config_key *keys;
    enum clrnn_status st = CLRNN_OK;
    size_t count, at = 0;
    char name[256];

    if (!is_format(format))
        return clrnn_error(&cli->log, CLRNN_ERR_ARG, "help: --format %s: expected text, markdown or man", format);
    TRY(clrnn_config_keys(&cli->log, &keys, &count));
    without_indices(path, name, sizeof(name));
    while (at < count && strcmp(keys[at].path, name))
        at++;
    if (at < count)
        print_key(keys, count, at, format);
    else if (strcmp(path, "config"))
        st = unknown_key(cli, keys, count, path);
    else if (!strcmp(format, "man"))
        print_config_page(keys, count);
    else
        for (size_t i = 0; i < count; i++)
            printf("%s\n", keys[i].path);
    free(keys);
    return st;
}
