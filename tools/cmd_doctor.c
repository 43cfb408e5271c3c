// SPDX-License-Identifier: MIT
// clrnn doctor: why does this model not learn? Findings with evidence, cost and remedy.
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"
#include "clrnn/diagnose.h"
#include "tools/cli.h"
#include "tools/interrupt.h"

static const char *const severity_word[] = {"error", "warning", "note"};

// ---------------------------------------------------------------- text and JSON

// Prints a text under a heading, broken between words so that lines stay under 100 columns.
static void print_wrapped(const char *heading, const char *text)
{
    const size_t left = 12, width = 100;
    size_t column = left;
    bool space = false; // due before the next word of this line

    printf("  %-10s", heading);
    while (*text) {
        const size_t word = strcspn(text, " \n");

        if (column > left && column + space + word >= width) {
            printf("\n%*s", (int)left, "");
            column = left;
            space = false;
        }
        printf("%s%.*s", space ? " " : "", (int)word, text);
        column += space + word;
        space = true;
        text += word;
        if (*text == '\n') {
            printf("\n%*s", (int)left, "");
            column = left;
            space = false;
        }
        text += *text != 0;
    }
    putchar('\n');
}

static void print_text(const struct clrnn_doctor_result *r, bool colour)
{
    static const char *const paint[] = {"\033[1;31m", "\033[1;33m", "\033[1;36m"};

    for (size_t i = 0; i < r->count; i++) {
        const struct clrnn_finding *f = &r->finding[i];

        printf("%s%s%s %s\n", colour ? paint[f->severity] : "", severity_word[f->severity],
               colour ? "\033[0m" : "", f->id);
        if (*f->where)
            print_wrapped("where", f->where);
        print_wrapped("evidence", f->evidence);
        if (*f->cost)
            print_wrapped("costs", f->cost);
        if (*f->remedy)
            print_wrapped("remedy", f->remedy);
        if (f->set)
            print_wrapped("change", f->set);
        putchar('\n');
    }
    printf("%s\n", r->verdict);
}

static enum clrnn_status print_json(const struct cli *cli, const struct clrnn_doctor_result *r)
{
    json_t *findings = json_array();

    for (size_t i = 0; i < r->count; i++) {
        const struct clrnn_finding *f = &r->finding[i];

        cli_json_append(&findings,
                        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s?}", "id", f->id, "severity",
                                  severity_word[f->severity], "where", f->where, "evidence", f->evidence,
                                  "cost", f->cost, "remedy", f->remedy, "set", f->set));
    }
    return cli_print_json(cli, json_pack("{s:o, s:s}", "findings", findings, "verdict", r->verdict));
}

static bool all_is_well(const struct clrnn_doctor_result *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->finding[i].severity != CLRNN_SEVERITY_NOTE)
            return false;
    return true;
}

static enum clrnn_status report(const struct cli *cli, const struct clrnn_doctor_result *result,
                                const char *fix)
{
    enum clrnn_status st = CLRNN_OK;

    if (cli->json)
        st = print_json(cli, result);
    else
        print_text(result, isatty(STDOUT_FILENO) && cli->colour);
    if (st != CLRNN_OK)
        return st;
    if (fix && result->fixed) {
        st = clrnn_write_text(&cli->log, fix, result->fixed);
        if (st == CLRNN_OK && !cli->json && !cli->quiet)
            printf("%s holds the config with the changes above.\n", fix);
    } else if (fix && !cli->json && !cli->quiet) {
        printf("No sure remedy: %s was not written.\n", fix);
    }
    if (st != CLRNN_OK)
        return st;
    return all_is_well(result) ? CLRNN_OK : CLRNN_FAILED;
}

int cmd_doctor(int argc, char **argv)
{
    struct clrnn_doctor_params params = {0};
    const char *fix = NULL;
    const struct cli_option options[] = {
        {"static", CLI_FLAG, NULL, "look at config and data alone", &params.static_only},
        {"no-train", CLI_FLAG, NULL, "probes of a few steps, no short training", &params.no_train},
        {"init", CLI_TEXT, "FILE", "start from the weights in a safetensors file", &params.init},
        {"fix", CLI_TEXT, "OUT.yaml", "write the config with the sure remedies applied", &fix},
        {"plot", CLI_TEXT, "DIR", "draw gradient norms by time step and layer into DIR", &params.plot},
        {"seconds", CLI_REAL, "S", "aim to end by then (45)", &params.seconds},
    };
    const struct cli_spec spec = {
        .usage = "CONFIG.yaml [options]",
        .text =
            "Why does this model not learn? Looks at config and data, probes the model with a few steps and\n"
            "trains it shortly. Each finding comes with its evidence in numbers, what it costs, and a remedy\n"
            "to paste into the config. Exit status 0: no error or warning; 1: there are some.",
        .least = 1,
        .most = 1,
        .takes_json = true,
        .option_count = ARRAY_SIZE(options),
        .option = options,
        .examples = "  clrnn doctor examples/seed-broken.yaml\n"
                    "  clrnn doctor examples/seed-broken.yaml --fix fixed.yaml\n"
                    "  clrnn doctor my.yaml --static --json\n",
    };
    struct clrnn_doctor_result result = {0};
    struct clrnn_device *device = NULL;
    struct clrnn_config *config = NULL;
    struct cli cli;
    enum clrnn_status st;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    params.stop = interrupt_catch();
    st = cli_open(&cli, &config, &device);
    if (st == CLRNN_OK)
        st = clrnn_doctor(device, config, &params, &result);
    if (st == CLRNN_OK)
        st = report(&cli, &result, fix);
    clrnn_doctor_finish(&result);
    return cli_close(&cli, st, &config, &device);
}
