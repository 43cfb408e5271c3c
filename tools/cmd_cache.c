// SPDX-License-Identifier: MIT
// clrnn cache: what is kept on disk, binaries of kernels and tables of CSV files, and its removal.
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "tools/cli.h"

static enum clrnn_status show(const struct cli *cli)
{
    struct clrnn_cache_info info;
    char programs[32], bytes[32], most[32];
    size_t tables;
    uint64_t table_bytes;
    enum clrnn_status st;

    TRY(clrnn_tables_info(&cli->log, &tables, &table_bytes));
    TRY(clrnn_cache_info(&cli->log, &info));
    if (cli->json) {
        st = cli_print_json(
            cli, json_pack("{s:o, s:I, s:I, s:I, s:b, s:I, s:I}", "folder", clrnn_json_text(info.folder),
                           "programs", (json_int_t)info.programs, "bytes", (json_int_t)info.bytes,
                           "most_bytes", (json_int_t)info.most_bytes, "foreign", (int)info.is_foreign,
                           "tables", (json_int_t)tables, "table_bytes", (json_int_t)table_bytes));
        free(info.folder);
        return st;
    }
    printf("%s: %s, %s, at most %s\n", cli_shown(info.folder), cli_count(info.programs, "program", programs),
           cli_bytes((double)info.bytes, bytes), cli_bytes((double)info.most_bytes, most));
    if (info.is_foreign)
        printf("It belongs to another user, or all may write to it: it is not used.\n");
    printf("../tables: %s of large CSV files, %s\n", cli_count(tables, "table", programs),
           cli_bytes((double)table_bytes, bytes));
    free(info.folder);
    return CLRNN_OK;
}

static enum clrnn_status clear(const struct cli *cli)
{
    char count[2][32], size[2][32];
    size_t programs, tables;
    uint64_t bytes, table_bytes;

    TRY(clrnn_cache_clear(&cli->log, &programs, &bytes));
    TRY(clrnn_tables_clear(&cli->log, &tables, &table_bytes));
    if (cli->json)
        return cli_print_json(cli, json_pack("{s:I, s:I, s:I, s:I}", "programs", (json_int_t)programs,
                                             "bytes", (json_int_t)bytes, "tables", (json_int_t)tables,
                                             "table_bytes", (json_int_t)table_bytes));
    if (!cli->quiet)
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
            "cache of its own, in ~/.cache/pocl. The tables of CSV files above 8 MB are kept beside them, in\n"
            "clrnn/tables, 16 GB at most. `clear` removes programs and tables, and no tuning.",
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
