// SPDX-License-Identifier: MIT
// Reading JSON.
#include "base/file.h"
#include "base/json.h"

enum clrnn_status clrnn_json_parse(const struct clrnn_log *log, const char *name, const void *text, size_t size,
                                   size_t flags, json_error_t *error, json_t **value)
{
    clrnn_json_out_of_memory();
    *value = json_loadb(text ? text : "", size, flags, error);
    if (clrnn_json_out_of_memory()) {
        json_decref(*value);
        *value = NULL;
        return clrnn_error_memory(log, 0, name);
    }
    return *value ? CLRNN_OK : CLRNN_ERR_DATA;
}

enum clrnn_status clrnn_json_read(const struct clrnn_log *log, const char *path, json_t **value)
{
    struct clrnn_map map;
    json_error_t error;
    enum clrnn_status st;

    *value = NULL;
    TRY(clrnn_map_open(log, path, &map));
    st = clrnn_json_parse(log, path, map.data, map.size, 0, &error, value);
    if (st == CLRNN_ERR_DATA)
        clrnn_error(log, st, "%s:%d:%d: is no JSON: %s", path, error.line, error.column, error.text);
    clrnn_map_close(&map);
    return st;
}
