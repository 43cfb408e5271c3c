// SPDX-License-Identifier: MIT
// clrnn doctor: says why a model does not learn, in findings. Each has evidence, what the fault costs, and a remedy.
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"
#include "base/text.h"
#include "base/words.h"
#include "clrnn/diagnose.h"
#include "tools/cli.h"
#include "tools/interrupt.h"

static const char *const severity_word[] = {"error", "warning", "note"};

// ---------------------------------------------------------------- text and JSON

// Prints a text to the right of a heading that is `left` columns wide. Breaks lines between words to fit the terminal.
static void print_beside(size_t left, const char *heading, const char *text)
{
    const size_t width = (size_t)cli_columns(STDOUT_FILENO);
    size_t column = left;
    bool space = false; // the next word of this line needs a space before it

    printf("%-*s", (int)left, heading);
    while (*text) {
        const size_t length = strcspn(text, " \n");
        char *piece = strndup(text, length);
        const char *shown = piece ? cli_shown(piece) : cli_lost();
        const size_t word = strlen(shown);

        if (column > left && column + space + word > width) {
            printf("\n%*s", (int)left, "");
            column = left;
            space = false;
        }
        printf("%s%s", space ? " " : "", shown);
        free(piece);
        column += space + word;
        space = true;
        text += length;
        if (*text == '\n') {
            printf("\n%*s", (int)left, "");
            column = left;
            space = false;
        }
        text += *text != 0;
    }
    putchar('\n');
}

static void print_wrapped(const char *heading, const char *text)
{
    char indented[16];

    snprintf(indented, sizeof(indented), "  %s", heading);
    print_beside(12, indented, text);
}

static void print_text(const struct clrnn_doctor_result *r, bool colour)
{
    static const char *const paint[] = {"\033[1;31m", "\033[1;33m", "\033[1;36m"};

    if (*r->first) {
        print_beside(0, "", r->first);
        putchar('\n');
    }
    for (size_t i = 0; i < r->count; i++) {
        const struct clrnn_finding *f = &r->finding[i];

        printf("%s%s%s %s\n", colour ? paint[f->severity] : "", severity_word[f->severity], colour ? "\033[0m" : "",
               f->id);
        if (f->follows_from)
            print_wrapped("follows", f->follows_from);
        if (*f->where)
            print_wrapped("where", f->where);
        print_wrapped("evidence", f->evidence);
        if (*f->cost)
            print_wrapped("costs", f->cost);
        if (*f->remedy)
            print_wrapped("remedy", f->remedy);
        if (f->set)
            print_wrapped("change", f->set);
        if (*f->tried)
            print_wrapped("tried", f->tried);
        putchar('\n');
    }
    print_beside(0, "", r->verdict);
}

static enum clrnn_status print_json(const struct cli *cli, const struct clrnn_doctor_result *r)
{
    json_t *findings = json_array();

    for (size_t i = 0; i < r->count; i++) {
        const struct clrnn_finding *f = &r->finding[i];

        cli_json_append(&findings, json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:s?, s:o}", "id", f->id,
                                             "severity", severity_word[f->severity], "where", clrnn_json_text(f->where),
                                             "evidence", clrnn_json_text(f->evidence), "cost", clrnn_json_text(f->cost),
                                             "costs", clrnn_json_text(f->cost), "remedy", clrnn_json_text(f->remedy),
                                             "set", clrnn_json_text(f->set), "order", (int)i + 1, "follows_from",
                                             f->follows_from, "tried", clrnn_json_text(f->tried)));
    }
    return cli_print_json(cli, json_pack("{s:o, s:o, s:o}", "findings", findings, "first", clrnn_json_text(r->first),
                                         "verdict", clrnn_json_text(r->verdict)));
}

static bool all_is_well(const struct clrnn_doctor_result *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->finding[i].severity != CLRNN_SEVERITY_NOTE)
            return false;
    return true;
}

static enum clrnn_status report(const struct cli *cli, const struct clrnn_doctor_result *result, const char *fix)
{
    enum clrnn_status st = CLRNN_OK;

    if (cli->json)
        st = print_json(cli, result);
    if (st == CLRNN_OK && cli->text)
        print_text(result, isatty(STDOUT_FILENO) && cli->colour);
    if (st != CLRNN_OK)
        return st;
    if (fix && result->fixed) {
        st = clrnn_write_text(&cli->log, fix, result->fixed);
        if (st == CLRNN_OK && cli->text && !cli->quiet)
            printf("%s holds the config with the changes above.\n", cli_shown(fix));
    } else if (fix && cli->text && !cli->quiet) {
        printf("No sure remedy: %s was not written.\n", cli_shown(fix));
    }
    if (st != CLRNN_OK)
        return st;
    return all_is_well(result) ? CLRNN_OK : CLRNN_FAILED;
}

// ---------------------------------------------------------------- the table of findings

static json_t *row_json(const struct clrnn_finding_info *row)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "id", row->id, "severity", severity_word[row->severity],
                     "meaning", row->meaning, "cost", row->cost, "remedy", row->remedy, "page", row->page);
}

static enum clrnn_status list(const struct cli *cli)
{
    size_t count;
    const struct clrnn_finding_info *table = clrnn_findings(&count);
    json_t *rows = json_array();

    for (size_t i = 0; i < count; i++) {
        char heading[64];

        cli_json_append(&rows, row_json(&table[i]));
        snprintf(heading, sizeof(heading), "%-8s %s", severity_word[table[i].severity], table[i].id);
        if (cli->text && cli_columns(STDOUT_FILENO) >= 100) {
            print_beside(50, heading, table[i].meaning);
        } else if (cli->text) {
            puts(heading);
            print_beside(9, "", table[i].meaning);
        }
    }
    if (cli->json)
        return cli_print_json(cli, json_pack("{s:o}", "findings", rows));
    json_decref(rows);
    return CLRNN_OK;
}

static enum clrnn_status explain(const struct cli *cli, const char *id)
{
    size_t count, distance, least = SIZE_MAX;
    const struct clrnn_finding_info *table = clrnn_findings(&count), *row = NULL;
    char page[128];

    for (size_t i = 0; i < count && least; i++) {
        distance = clrnn_word_distance(id, table[i].id);
        if (distance < least) {
            least = distance;
            row = &table[i];
        }
    }
    if (!row || strcmp(id, row->id)) {
        cli_usage(cli, "--explain %s: there is no such finding%s%s%s; `clrnn doctor --list` names all", id,
                  row ? ", did you mean " : "", row ? row->id : "", row ? "?" : "");
        return CLRNN_ERR_ARG;
    }
    if (cli->json)
        TRY(cli_print_json(cli, row_json(row)));
    if (!cli->text)
        return CLRNN_OK;
    printf("%s %s\n", severity_word[row->severity], row->id);
    print_wrapped("means", row->meaning);
    print_wrapped("costs", row->cost);
    print_wrapped("remedy", row->remedy);
    snprintf(page, sizeof(page), "doc/%s", row->page);
    print_wrapped("read", page);
    return CLRNN_OK;
}

// ---------------------------------------------------------------- training scripts

// Python code that runs the doctor of the package clrnn, which may be in the source tree or installed.
static const char run_python[] = "import sys\n"
                                 "try:\n"
                                 "    from clrnn.__main__ import main\n"
                                 "except ImportError:\n"
                                 "    print('clrnn: python3 has no package clrnn: pip install the folder python of '\n"
                                 "          'clRNN\\'s sources', file=sys.stderr)\n"
                                 "    sys.exit(2)\n"
                                 "sys.exit(main())\n";

// Finds the folder of the Python package, in the source tree or installed, and puts the folder at the head of
// PYTHONPATH.
static void find_package(void)
{
    static const char *const beside[] = {"../../python", "../share/clrnn/python"};
    const char *before = getenv("PYTHONPATH");
    char exe[4096], path[2 * sizeof(exe)];
    const ssize_t length = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

    if (length <= 0)
        return;
    exe[length] = 0;
    *strrchr(exe, '/') = 0;
    for (size_t i = 0; i < ARRAY_SIZE(beside); i++) {
        snprintf(path, sizeof(path), "%s/%s/clrnn/__main__.py", exe, beside[i]);
        if (access(path, R_OK) != 0)
            continue;
        snprintf(path, sizeof(path), "%s/%s%s%s", exe, beside[i], before ? ":" : "", before ? before : "");
        setenv("PYTHONPATH", path, 1);
        return;
    }
}

// Replaces the process by python3 with `run_python`, which acts as `python3 -m clrnn doctor ...`. Returns only if
// python3 cannot be run.
static int doctor_of_script(int argc, char **argv)
{
    char **command = calloc((size_t)argc + 4, sizeof(*command));

    if (!command)
        return clrnn_status_exit(CLRNN_ERR_MEMORY);
    command[0] = (char *)"python3";
    command[1] = (char *)"-c";
    command[2] = (char *)run_python;
    command[3] = (char *)"doctor";
    memcpy(command + 4, argv + 1, (size_t)(argc - 1) * sizeof(*command));
    find_package();
    fflush(NULL);
    execvp(command[0], command);
    free(command);
    fprintf(stderr, "clrnn: the doctor of scripts needs python3 on the PATH: %s\n", strerror(errno));
    return clrnn_status_exit(CLRNN_ERR_ARG);
}

// Whether the first positional argument is a Python script.
static bool is_script(int argc, char **argv)
{
    static const char *const with_value[] = {"--steps", "--to-config"};

    for (int i = 1; i < argc; i++) {
        const size_t length = strlen(argv[i]);

        if (*argv[i] != '-')
            return length > 3 && !strcmp(argv[i] + length - 3, ".py");
        for (size_t k = 0; k < ARRAY_SIZE(with_value); k++)
            if (!strcmp(argv[i], with_value[k]))
                i++;
    }
    return false;
}

int cmd_doctor(int argc, char **argv)
{
    struct clrnn_doctor_params params = {0};
    const char *fix = NULL, *finding = NULL;
    bool listing = false;
    const struct cli_option options[] = {
        {"static", CLI_FLAG, NULL, "look at config and data alone", &params.static_only},
        {"no-train", CLI_FLAG, NULL, "probes of a few steps, no short training", &params.no_train},
        {"init", CLI_TEXT, "FILE", "start from the weights in a safetensors file", &params.init},
        {"fix", CLI_TEXT, "OUT.yaml", "write the config with the sure remedies applied", &fix},
        {"plot", CLI_TEXT, "DIR", "draw gradient norms by time step and layer into DIR", &params.plot},
        {"report", CLI_TEXT, "FILE.html", "write findings, pictures and the marked config as one page", &params.report},
        {"seconds", CLI_REAL, "S", "aim to end by then (45)", &params.seconds},
        {"list", CLI_FLAG, NULL, "name all that can be found; takes no config", &listing},
        {"explain", CLI_TEXT, "ID", "what a finding means, costs, and what helps; takes no config", &finding},
    };
    const struct cli_spec spec = {
        .usage = "CONFIG.yaml [options] | SCRIPT.py [arguments] | --list | --explain ID",
        .text = "Why does this model not learn? Looks at config and data, probes the model with a few steps and\n"
                "trains it shortly. Each finding comes with its evidence in numbers, what it costs, and a remedy\n"
                "to paste into the config. Exit status 0: no error or warning; 1: there are some. A PyTorch\n"
                "script is run for one epoch under recording, by python3 with torch; it takes --steps N, --json\n"
                "and --to-config DIR (doc/python.md).",
        .most = 1,
        .takes_json = true,
        .option_count = ARRAY_SIZE(options),
        .option = options,
        .examples = "  clrnn doctor examples/seed-broken.yaml\n"
                    "  clrnn doctor examples/seed-broken.yaml --fix fixed.yaml\n"
                    "  clrnn doctor my.yaml --report doctor.html\n"
                    "  clrnn doctor my.yaml --static --json\n"
                    "  clrnn doctor train.py --to-config converted\n"
                    "  clrnn doctor --explain single-time-step\n",
    };
    struct clrnn_doctor_result result = {0};
    struct clrnn_device *device = NULL;
    struct clrnn_config *config = NULL;
    struct cli cli;
    enum clrnn_status st;
    int status;

    if (is_script(argc, argv))
        return doctor_of_script(argc, argv);
    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    if (listing || finding) {
        if (cli.argument_count || (listing && finding))
            return cli_usage(&cli, "--%s stands by itself", listing ? "list" : "explain");
        return cli_finish(&cli, listing ? list(&cli) : explain(&cli, finding));
    }
    if (!cli.argument_count)
        return cli_usage(&cli, "an argument is missing: clrnn doctor %s", spec.usage);
    st = fix ? cli_check_out(&cli, fix, 2, (const char *const[]){cli.argument[0], params.init}) : CLRNN_OK;
    if (st == CLRNN_OK && params.report)
        st = cli_check_out(&cli, params.report, 3, (const char *const[]){cli.argument[0], params.init, fix});
    if (st == CLRNN_OK)
        st = cli_open(&cli, &config, &device);
    if (st == CLRNN_OK && fix)
        st = cli_check_inputs(&cli, fix, config);
    if (st == CLRNN_OK && params.report)
        st = cli_check_inputs(&cli, params.report, config);
    params.init = cli_init(params.init, config);
    params.stop = interrupt_flag();
    if (st == CLRNN_OK)
        st = clrnn_doctor(device, config, &params, &result);
    if (st == CLRNN_OK)
        st = report(&cli, &result, fix);
    clrnn_doctor_finish(&result);
    return cli_close(&cli, st, &config, &device);
}
