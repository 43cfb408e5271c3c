// SPDX-License-Identifier: MIT
// Prints the pages of commands as text, man pages and shell completions, from the tables of their options.
#include "tools/manual.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

static const char exit_status[] =
    "0 done; 1 the work failed; 2 wrong usage or config; 3 bad data or model file;\n"
    "4 OpenCL device or driver; 5 out of memory or disk; 130 interrupted, checkpoint written.\n";

// ---------------------------------------------------------------- text

void manual_commands(FILE *to)
{
    fprintf(to, "clrnn %s: recurrent networks on any OpenCL device\n\nusage: clrnn COMMAND [options]\n\n",
            clrnn_version());
    for (const struct cli_command *c = cli_commands; c->name; c++)
        fprintf(to, "  %-9s %s\n", c->name, c->help);
    fprintf(to, "\n`clrnn help COMMAND` tells more, `clrnn help KEY` what a config key means. Start here:\n\n"
                "  clrnn devices\n"
                "  clrnn synth data/seed\n"
                "  clrnn train examples/seed-fixed.yaml\n");
}

static void print_options(const char *title, const struct cli_option *option, size_t count)
{
    if (count)
        printf("\n%s\n", title);
    for (size_t i = 0; i < count; i++) {
        char left[64];

        snprintf(left, sizeof(left), "--%s%s%s", option[i].name, option[i].value ? " " : "",
                 option[i].value ? option[i].value : "");
        printf("  %-22s  %s\n", left, option[i].help);
    }
}

static void print_text(const struct cli_page *p)
{
    const char *name = p->command->name;

    printf("usage: clrnn %s %s\n\n%s\n", name, p->spec->usage, p->spec->text);
    print_options("Options", p->option, p->own);
    print_options("Common options", p->option + p->own, p->count - p->own);
    if (p->spec->examples)
        printf("\nExamples\n%s", p->spec->examples);
    if (!strcmp(name, "train") || !strcmp(name, "data")) { // these are also names of sections of the config
        printf("\nConfig\n");
        manual_keys(&(struct cli){.command = name}, name, "text");
    }
    printf("\nExit status: %s", exit_status);
}

// ---------------------------------------------------------------- man

static void print_man(const struct cli_page *p)
{
    char name[48];

    snprintf(name, sizeof(name), "clrnn-%s", p->command->name);
    manual_title(name, 1);
    manual_roff(name);
    printf(" \\- ");
    manual_roff(p->command->help);
    printf("\n.SH SYNOPSIS\n.B clrnn %s\n", p->command->name);
    manual_roff(p->spec->usage);
    printf("\n.SH DESCRIPTION\n");
    manual_roff(p->spec->text);
    printf("\n.SH OPTIONS\n");
    for (size_t i = 0; i < p->count; i++) {
        const struct cli_option *o = &p->option[i];

        printf(".TP\n\\fB\\-\\-");
        manual_roff(o->name);
        printf("\\fR%s%s%s\n", o->value ? " \\fI" : "", o->value ? o->value : "", o->value ? "\\fR" : "");
        manual_roff(o->help);
        putchar('\n');
    }
    if (p->spec->examples) {
        printf(".SH EXAMPLES\n.EX\n");
        manual_roff(p->spec->examples);
        printf(".EE\n");
    }
    printf(".SH EXIT STATUS\n");
    manual_roff(exit_status);
    printf(".SH SEE ALSO\n.BR clrnn (1),\n.BR clrnn\\-config (5)\n");
}

// Prints the man page clrnn.1.
static void print_man_all(void)
{
    manual_title("clrnn", 1);
    printf("clrnn \\- recurrent networks on any OpenCL device\n.SH SYNOPSIS\n.B clrnn\n.I COMMAND\n[options]\n"
           ".SH DESCRIPTION\nTrains and runs recurrent networks on GPUs and CPUs through OpenCL, with PyTorch's\n"
           "names, defaults and numbers, and says why a network does not learn.\n.SH COMMANDS\n");
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        printf(".TP\n.BR clrnn\\-%s (1)\n", c->name);
        manual_roff(c->help);
        putchar('\n');
    }
    printf(".SH EXIT STATUS\n");
    manual_roff(exit_status);
    printf(".SH SEE ALSO\n.BR clrnn\\-config (5)\n");
}

// ---------------------------------------------------------------- completions

// Returns the values that an option accepts, separated by spaces, or NULL if they are no fixed list.
static const char *choices(const struct cli_option *o)
{
    return !strcmp(o->name, "device") ? "cpu gpu ref" : !strcmp(o->name, "gemm") ? "auto own clblast" : NULL;
}

// Prints text for use inside single quotes of a shell. For zsh, escapes brackets, colons and backslashes, which have a
// meaning there.
static void quoted(const char *text, bool zsh)
{
    for (const char *c = text; *c; c++) {
        if (*c == '\'')
            fputs("'\\''", stdout);
        else if (zsh && strchr("[]:\\", *c))
            printf("\\%c", *c);
        else
            putchar(*c);
    }
}

static void print_bash(const struct cli_page *p)
{
    printf("    %s) options='", p->command->name);
    for (size_t i = 0; i < p->count; i++)
        printf("%s--%s", i ? " " : "", p->option[i].name);
    printf("' ;;\n");
}

static void print_zsh(const struct cli_page *p)
{
    printf("    %s)\n      _arguments -s", p->command->name);
    for (size_t i = 0; i < p->count; i++) {
        const struct cli_option *o = &p->option[i];

        printf(" \\\n        '%s--%s[", o->kind == CLI_LIST ? "*" : "", o->name);
        quoted(o->help, true);
        putchar(']');
        if (o->value) {
            putchar(':');
            quoted(o->value, true);
            printf(choices(o) ? ":(%s)" : ":_files", choices(o) ? choices(o) : "");
        }
        putchar('\'');
    }
    printf(" \\\n        '*:file:_files'\n      ;;\n");
}

static void print_fish(const struct cli_page *p)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct cli_option *o = &p->option[i];

        printf("complete -c clrnn -n '__fish_seen_subcommand_from %s' -l %s -d '", p->command->name, o->name);
        quoted(o->help, false);
        printf("'%s", o->value ? " -r" : "");
        if (choices(o))
            printf(" -f -a '%s'", choices(o));
        putchar('\n');
    }
}

static void print_names(const char *before, bool zsh, const char *between, const char *after)
{
    for (const struct cli_command *c = cli_commands; c->name; c++) {
        printf("%s%s", before, c->name);
        if (between) {
            fputs(between, stdout);
            quoted(c->help, zsh);
        }
        fputs(after, stdout);
    }
}

bool manual_print_all(const char *format, void (*pages)(const char *format))
{
    if (!strcmp(format, "text")) {
        manual_commands(stdout);
    } else if (!strcmp(format, "man")) {
        print_man_all();
    } else if (!strcmp(format, "bash")) {
        printf("# bash completion for clrnn, made by clrnn help --format bash\n_clrnn()\n{\n"
               "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} options=''\n\n"
               "    case ${COMP_WORDS[1]} in\n");
        pages(format);
        printf("    esac\n    case $before in\n    --device) options='cpu gpu ref' ;;\n"
               "    --gemm) options='auto own clblast' ;;\n    clrnn) options='");
        print_names("", false, NULL, " ");
        printf("--help --version' ;;\n    --set) options=$(clrnn help config 2>/dev/null) ;;\n"
               "    help) options+=\" $(clrnn help config 2>/dev/null)\" ;;\n"
               "    *) [[ $current == -* ]] || return ;; # files\n    esac\n"
               "    mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$current\")\n}\n"
               "complete -o default -F _clrnn clrnn\n");
    } else if (!strcmp(format, "zsh")) {
        printf("#compdef clrnn\n# made by clrnn help --format zsh\n_clrnn() {\n  local -a commands\n  commands=(\n");
        print_names("    '", true, ":", "'\n");
        printf("  )\n  if (( CURRENT == 2 )); then\n    _describe command commands\n    return\n  fi\n"
               "  shift words\n  (( CURRENT-- ))\n  case $words[1] in\n");
        pages(format);
        printf("  esac\n}\n_clrnn \"$@\"\n");
    } else if (!strcmp(format, "fish")) {
        printf("# made by clrnn help --format fish\n");
        print_names("complete -c clrnn -f -n __fish_use_subcommand -a ", false, " -d '", "'\n");
        pages(format);
    } else {
        return false;
    }
    return true;
}

bool manual_print(const struct cli_page *page, const char *format)
{
    static const struct {
        const char *name;
        void (*print)(const struct cli_page *page);
    } formats[] = {
        {"text", print_text}, {"man", print_man}, {"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish},
    };

    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        if (!strcmp(formats[i].name, format)) {
            formats[i].print(page);
            return true;
        }
    }
    return false;
}
