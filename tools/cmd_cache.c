// SPDX-License-Identifier: MIT
// clrnn cache: shows and removes what is kept on disk (kernel binaries, tables of CSV files), and builds the kernels of
// a config in advance.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "tools/cli.h"

// What the three parts of the cache contain: programs (kernel binaries), tables of CSV files, PoCL's own cache.
struct contents {
    struct clrnn_cache_info programs;
    size_t tables;
    uint64_t table_bytes, pocl_bytes;
    char *pocl;
};

static enum clrnn_status look(const struct cli *cli, struct contents *c)
{
    TRY(clrnn_tables_info(&cli->log, &c->tables, &c->table_bytes));
    TRY(clrnn_cache_info(&cli->log, &c->programs));
    return clrnn_pocl_cache(&cli->log, &c->pocl, &c->pocl_bytes);
}

static enum clrnn_status print_json(const struct cli *cli, const struct contents *c)
{
    return cli_print_json(
        cli, json_pack("{s:o, s:I, s:I, s:I, s:b, s:I, s:I, s:o, s:I}", "folder", clrnn_json_text(c->programs.folder),
                       "programs", (json_int_t)c->programs.programs, "bytes", (json_int_t)c->programs.bytes,
                       "most_bytes", (json_int_t)c->programs.most_bytes, "foreign", (int)c->programs.is_foreign,
                       "tables", (json_int_t)c->tables, "table_bytes", (json_int_t)c->table_bytes, "pocl_folder",
                       clrnn_json_text(c->pocl), "pocl_bytes", (json_int_t)c->pocl_bytes));
}

static void print_text(const struct contents *c)
{
    char count[32], bytes[32], most[32];

    printf("%s: %s, %s, at most %s\n", cli_shown(c->programs.folder), cli_count(c->programs.programs, "program", count),
           cli_bytes((double)c->programs.bytes, bytes), cli_bytes((double)c->programs.most_bytes, most));
    if (c->programs.is_foreign)
        printf("It belongs to another user, or all may write to it: it is not used.\n");
    printf("../tables: %s of large CSV files, %s\n", cli_count(c->tables, "table", count),
           cli_bytes((double)c->table_bytes, bytes));
    printf("%s: PoCL's own cache of its kernels, %s\n", cli_shown(c->pocl), cli_bytes((double)c->pocl_bytes, bytes));
}

static enum clrnn_status show(const struct cli *cli)
{
    struct contents c = {0};
    enum clrnn_status st = look(cli, &c);

    if (st == CLRNN_OK && cli->json)
        st = print_json(cli, &c);
    if (st == CLRNN_OK && cli->text)
        print_text(&c);
    free(c.programs.folder);
    free(c.pocl);
    return st;
}

static enum clrnn_status clear(const struct cli *cli)
{
    char count[2][32], size[2][32];
    size_t programs, tables;
    uint64_t bytes, table_bytes;

    TRY(clrnn_cache_clear(&cli->log, &programs, &bytes));
    TRY(clrnn_tables_clear(&cli->log, &tables, &table_bytes));
    if (cli->json)
        TRY(cli_print_json(cli, json_pack("{s:I, s:I, s:I, s:I}", "programs", (json_int_t)programs, "bytes",
                                          (json_int_t)bytes, "tables", (json_int_t)tables, "table_bytes",
                                          (json_int_t)table_bytes)));
    if (cli->text && !cli->quiet)
        printf("%s removed, %s; %s removed, %s\n", cli_count(programs, "program", count[0]),
               cli_bytes((double)bytes, size[0]), cli_count(tables, "table", count[1]),
               cli_bytes((double)table_bytes, size[1]));
    return CLRNN_OK;
}

// Builds the kernels of training and prediction by running both, as briefly as clrnn_bench can.
static enum clrnn_status warm(const struct cli *cli, struct clrnn_device *device, const struct clrnn_config *config)
{
    const struct clrnn_bench_params params = {.seconds = 1e-9, .warm_up = 1};
    const double start = clrnn_clock();
    struct clrnn_bench_result result;
    double seconds;

    TRY(clrnn_bench(device, config, &params, &result));
    seconds = clrnn_clock() - start;
    if (cli->json)
        TRY(cli_print_json(cli, json_pack("{s:f, s:f}", "build_s", clrnn_device_build_seconds(device, NULL, NULL),
                                          "seconds", seconds)));
    if (cli->text && !cli->quiet)
        printf("%s: the kernels of %s are built, %.1f s\n", cli_shown(clrnn_device_info(device)->name),
               cli_shown(cli->argument[1]), seconds);
    return CLRNN_OK;
}

static int run_warm(struct cli *cli)
{
    struct clrnn_device *device = NULL;
    struct clrnn_config *config = NULL;
    enum clrnn_status st = cli_config(cli, cli->argument[1], &config);

    if (st == CLRNN_OK)
        st = cli_device(cli, false, &device);
    if (st == CLRNN_OK)
        st = warm(cli, device, config);
    return cli_close(cli, st, &config, &device);
}

static bool is_given(int argc, char **argv, const char *word)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], word))
            return true;
    return false;
}

int cmd_cache(int argc, char **argv)
{
    const bool only_looks = is_given(argc, argv, "info") || is_given(argc, argv, "clear");
    const struct cli_spec spec = {
        .usage = "info | clear | warm CONFIG.yaml",
        .text = "Built programs are kept in $XDG_CACHE_HOME/clrnn/programs (or below ~/.cache), so that a second\n"
                "start builds nothing. What does not fit a device, driver or kernel any more is never used, and\n"
                "what was used longest ago goes first where the folder outgrows CLRNN_CACHE_BYTES. PoCL keeps a\n"
                "cache of its own, which `info` measures. The tables of CSV files above 8 MB are kept beside them, in\n"
                "clrnn/tables, 16 GB at most. `clear` removes programs and tables, no tuning and nothing of PoCL.\n"
                "`warm` builds the kernels of a config by a few training steps and predictions, of which nothing is\n"
                "kept, so that its first run does not have to.",
        .least = 1,
        .most = 2,
        .takes_json = true,
        .without_device = only_looks,
        .without_config = only_looks,
        .examples = "  clrnn cache info\n"
                    "  clrnn cache clear\n"
                    "  clrnn cache warm config.yaml --device cpu\n",
    };
    struct cli cli;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    if (!strcmp(cli.argument[0], "warm"))
        return cli.argument_count == 2 ? run_warm(&cli) : cli_usage(&cli, "warm: expected a config");
    if (cli.argument_count == 2)
        return cli_usage(&cli, "%s: expected no further argument", cli.argument[0]);
    if (!strcmp(cli.argument[0], "info"))
        return cli_finish(&cli, show(&cli));
    if (!strcmp(cli.argument[0], "clear"))
        return cli_finish(&cli, clear(&cli));
    return cli_usage(&cli, "%s: expected info, clear or warm", cli.argument[0]);
}
