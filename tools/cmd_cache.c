// SPDX-License-Identifier: MIT
// clrnn cache: what is kept on disk, binaries of kernels and tables of CSV files, and its removal.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "tools/cli.h"

// What the three parts of the cache hold.
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
        cli, json_pack("{s:o, s:I, s:I, s:I, s:b, s:I, s:I, s:o, s:I}", "folder",
                       clrnn_json_text(c->programs.folder), "programs", (json_int_t)c->programs.programs,
                       "bytes", (json_int_t)c->programs.bytes, "most_bytes",
                       (json_int_t)c->programs.most_bytes, "foreign", (int)c->programs.is_foreign, "tables",
                       (json_int_t)c->tables, "table_bytes", (json_int_t)c->table_bytes, "pocl_folder",
                       clrnn_json_text(c->pocl), "pocl_bytes", (json_int_t)c->pocl_bytes));
}

static void print_text(const struct contents *c)
{
    char count[32], bytes[32], most[32];

    printf("%s: %s, %s, at most %s\n", cli_shown(c->programs.folder),
           cli_count(c->programs.programs, "program", count), cli_bytes((double)c->programs.bytes, bytes),
           cli_bytes((double)c->programs.most_bytes, most));
    if (c->programs.is_foreign)
        printf("It belongs to another user, or all may write to it: it is not used.\n");
    printf("../tables: %s of large CSV files, %s\n", cli_count(c->tables, "table", count),
           cli_bytes((double)c->table_bytes, bytes));
    printf("%s: PoCL's own cache of its kernels, %s\n", cli_shown(c->pocl),
           cli_bytes((double)c->pocl_bytes, bytes));
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

int cmd_cache(int argc, char **argv)
{
    const struct cli_spec spec = {
        .usage = "info | clear",
        .text =
            "Built programs are kept in $XDG_CACHE_HOME/clrnn/programs (or below ~/.cache), so that a second\n"
            "start builds nothing. What does not fit a device, driver or kernel any more is never used, and\n"
            "what was used longest ago goes first where the folder outgrows CLRNN_CACHE_BYTES. PoCL keeps a\n"
            "cache of its own, which `info` measures. The tables of CSV files above 8 MB are kept beside them, in\n"
            "clrnn/tables, 16 GB at most. `clear` removes programs and tables, no tuning and nothing of PoCL.",
        .least = 1,
        .most = 1,
        .takes_json = true,
        .without_device = true,
        .without_config = true,
        .examples = "  clrnn cache info\n"
                    "  clrnn cache clear\n",
    };
    struct cli cli;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    if (!strcmp(cli.argument[0], "info"))
        return cli_finish(&cli, show(&cli));
    if (!strcmp(cli.argument[0], "clear"))
        return cli_finish(&cli, clear(&cli));
    return cli_usage(&cli, "%s: expected info or clear", cli.argument[0]);
}
