// SPDX-License-Identifier: MIT
// Writes results as JSON to standard output or a file. Every result has some common keys (doc/json.md).
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "tools/cli.h"

json_t *cli_json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

void cli_json_append(json_t **array, json_t *value)
{
    if (!*array) {
        json_decref(value);
    } else if (json_array_append_new(*array, value)) {
        json_decref(*array);
        *array = NULL;
    }
}

// Makes an object with the keys device, name, platform and driver. Returns NULL if memory is exhausted.
static json_t *device_keys(const struct clrnn_device_info *info)
{
    char spec[24];

    return json_pack("{s:s, s:o, s:o, s:o}", "device", clrnn_device_spec(info, spec), "name",
                     clrnn_json_text(info->name), "platform", clrnn_json_text(info->platform_name), "driver",
                     clrnn_json_text(info->driver));
}

// Makes an object with the keys that all results have, followed by the keys of `value`. Drops the reference to `value`.
// Returns NULL if memory is exhausted.
static json_t *with_common(const struct cli *cli, json_t *value)
{
    json_t *all = json_pack("{s:s, s:o}", "version", clrnn_version(), "config", clrnn_json_text(cli->config_path));
    json_t *device = cli->used ? device_keys(cli->used) : json_object();

    if (!all || !device || !value || json_object_update(all, device) || json_object_update(all, value)) {
        json_decref(all);
        all = NULL;
    }
    json_decref(device);
    json_decref(value);
    return all;
}

enum clrnn_status cli_print_json(const struct cli *cli, json_t *value)
{
    json_t *all = json_is_array(value) ? value : with_common(cli, value);
    // with 15 digits 0.1 is printed as 0.1; with 17 it would be 0.10000000000000001
    char *text = clrnn_json_dump(all, JSON_INDENT(1) | JSON_REAL_PRECISION(cli->json_exact ? 17 : 15));
    char *lines = text && cli->json_file ? clrnn_format("%s\n", text) : NULL;
    enum clrnn_status st = CLRNN_OK;

    json_decref(all);
    if (!text || (cli->json_file && !lines))
        st = clrnn_error(&cli->log, CLRNN_ERR_MEMORY, "out of memory while writing the result as JSON");
    else if (cli->json_file)
        st = clrnn_write_text(&cli->log, cli->json_file, lines);
    else
        puts(text);
    free(lines);
    free(text);
    return st;
}

enum clrnn_status cli_print_json_text(const struct cli *cli, const char *text)
{
    return cli_print_json(cli, json_loads(text, 0, NULL));
}

enum clrnn_status cli_print_file(const struct cli *cli, const char *folder, const char *name, enum clrnn_status st)
{
    char *path = clrnn_path_join(folder, name), *text = NULL;
    struct clrnn_map map = {0};
    enum clrnn_status written =
        path ? clrnn_map_open(&cli->log, path, &map) : clrnn_error_memory(&cli->log, strlen(folder), "the result");
    json_t *value = written == CLRNN_OK ? json_loadb((const char *)map.data, map.size, 0, NULL) : NULL;

    if (written == CLRNN_OK && !json_object_get(value, "version")) {
        written = cli_print_json(cli, json_incref(value));
    } else if (written == CLRNN_OK && cli->json_file) {
        text = clrnn_format("%.*s", (int)map.size, (const char *)map.data);
        written = text ? clrnn_write_text(&cli->log, cli->json_file, text)
                       : clrnn_error_memory(&cli->log, map.size, "the result");
    } else if (written == CLRNN_OK) {
        fwrite(map.data, 1, map.size, stdout);
    }
    json_decref(value);
    clrnn_map_close(&map);
    free(text);
    free(path);
    return written == CLRNN_OK ? st : written;
}
