// SPDX-License-Identifier: MIT
// A device's file of measurements, $XDG_CACHE_HOME/clrnn/tune/<device>.json: JSON whose first key is the hash of the
// text after it. A file that is damaged, or that another user may have written, is not used.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/hash.h"
#include "base/lock.h"
#include "device/program/cache.h"
#include "device/remember/internal.h"

#define HASH_DIGITS 32
static const char hash_key[] = "{\"hash\": \""; // then come digits, a quote, a comma, and the hashed text

char *clrnn_tune_path(const struct clrnn_device_info *info)
{
    char *programs = clrnn_cache_folder(), *folder = programs ? clrnn_path_folder(programs) : NULL, *path = NULL;
    struct clrnn_hash h;
    char key[40];

    clrnn_hash_init(&h);
    clrnn_hash_add_text(&h, info->name);
    clrnn_hash_add_text(&h, info->vendor);
    clrnn_hash_add_text(&h, info->version);
    clrnn_hash_add_text(&h, info->driver);
    clrnn_hash_add_text(&h, info->platform_name);
    clrnn_hash_add_text(&h, info->platform_version);
    clrnn_hash_hex(&h, key);
    if (folder)
        path = clrnn_format("%s/tune/%.16s.json", folder, key);
    free(folder);
    free(programs);
    return path;
}

static void hash_text(const char *text, size_t size, char hex[HASH_DIGITS + 1])
{
    struct clrnn_hash h;

    clrnn_hash_init(&h);
    clrnn_hash_add(&h, text, size);
    clrnn_hash_hex(&h, hex);
}

json_t *clrnn_tune_parse(const char *text, size_t size, const char **why)
{
    const size_t at = strlen(hash_key), rest = at + HASH_DIGITS + 2; // after the digits: a quote and a comma
    char hex[HASH_DIGITS + 1];
    json_t *root;

    *why = "it is damaged or was written by an earlier version";
    if (size <= rest || memcmp(text, hash_key, at) != 0)
        return NULL;
    hash_text(text + rest, size - rest, hex);
    *why = "it was changed or is damaged";
    if (memcmp(text + at, hex, HASH_DIGITS) != 0)
        return NULL;
    root = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    if (root && json_integer_value(json_object_get(root, "version")) == CLRNN_TUNE_VERSION &&
        json_is_object(json_object_get(root, "choices")) && json_is_object(json_object_get(root, "shapes")) &&
        json_is_object(json_object_get(root, "tried")) && json_is_object(json_object_get(root, "use"))) {
        json_object_del(root, "hash");
        return root;
    }
    json_decref(root);
    *why = "it was written by another version";
    return NULL;
}

enum clrnn_status clrnn_tune_load_file(const struct clrnn_log *log, const char *path, json_t **root)
{
    char *folder = path ? clrnn_path_folder(path) : NULL;
    const char *why = "it is empty";
    struct clrnn_map map = {0};
    enum clrnn_status st = folder ? clrnn_map_open(NULL, path, &map) : CLRNN_ERR_MEMORY;

    *root = NULL;
    clrnn_json_out_of_memory();
    if (st == CLRNN_OK) {
        if (!clrnn_cache_is_ours(folder) || !clrnn_cache_is_ours(path))
            why = "another user owns it or may write it";
        else if (map.data)
            *root = clrnn_tune_parse((const char *)map.data, map.size, &why);
        if (clrnn_json_out_of_memory())
            st = CLRNN_ERR_MEMORY;
        else if (!*root)
            clrnn_log(log, CLRNN_LOG_WARNING, "%s: what was measured is not used, since %s: run `clrnn tune` again",
                      path, why);
    }
    clrnn_map_close(&map);
    free(folder);
    return st == CLRNN_ERR_MEMORY ? clrnn_error_memory(log, 0, "what was measured") : CLRNN_OK;
}

// Returns the contents of a file without measurements. NULL: out of memory.
static json_t *make_root(const struct clrnn_device_info *info)
{
    return json_pack("{s:i, s:s, s:s, s:s, s:{}, s:{}, s:{}, s:{}}", "version", CLRNN_TUNE_VERSION, "device",
                     info->name, "platform", info->platform_name, "driver", info->driver, "use", "shapes", "tried",
                     "choices");
}

enum clrnn_status clrnn_tune_save(const struct clrnn_log *log, const char *path, const json_t *root)
{
    char *text = clrnn_json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(6)), hex[HASH_DIGITS + 1];
    struct clrnn_out *out;
    enum clrnn_status st;

    if (!text)
        return clrnn_error_memory(log, 0, path);
    hash_text(text + 1, strlen(text + 1), hex);
    st = clrnn_out_open(log, path, &out);
    if (st == CLRNN_OK) {
        clrnn_out_printf(out, "%s%s\",", hash_key, hex);
        clrnn_out_write(out, text + 1, strlen(text + 1)); // clrnn_out_commit reports errors
        st = clrnn_out_commit(&out);
    }
    free(text);
    return st;
}

static int merge(json_t *root, const json_t *changes)
{
    json_t *use = json_object_get(changes, "use"), *tried = json_object_get(changes, "tried"),
           *shapes = json_object_get(changes, "shapes"), *choices = json_object_get(changes, "choices"),
           *speed = json_object_get(changes, "speed");

    return (speed && json_object_set(root, "speed", speed)) || (use && json_object_set(root, "use", use)) ||
           (tried && json_object_update_recursive(json_object_get(root, "tried"), tried)) ||
           (shapes && json_object_update(json_object_get(root, "shapes"), shapes)) ||
           (choices && json_object_update(json_object_get(root, "choices"), choices));
}

enum clrnn_status clrnn_tune_update(const struct clrnn_log *log, const struct clrnn_device_info *info, bool restart,
                                    const json_t *changes, json_t **root)
{
    char *path = clrnn_tune_path(info), *folder = path ? clrnn_path_folder(path) : NULL;
    struct clrnn_lock lock = {NULL, -1};
    enum clrnn_status st = CLRNN_OK;
    json_t *now = NULL;

    if (!folder)
        st = clrnn_cache_no_folder(log);
    if (st == CLRNN_OK)
        st = clrnn_make_folder(log, folder);
    if (st == CLRNN_OK)
        st = clrnn_lock_take(log, path, &lock);
    if (st == CLRNN_OK) {
        st = restart ? CLRNN_OK : clrnn_tune_load_file(log, path, &now);
        now = now || st != CLRNN_OK ? now : make_root(info);
        if (st == CLRNN_OK)
            st = now && merge(now, changes) == 0 ? clrnn_tune_save(log, path, now) : clrnn_error_memory(log, 0, path);
    }
    clrnn_lock_release(&lock);
    free(folder);
    free(path);
    if (st == CLRNN_OK) {
        json_decref(*root);
        *root = now;
    } else {
        json_decref(now);
    }
    return st;
}

const char *clrnn_tune_option(const struct clrnn_tune *tune, const char *key)
{
    const json_t *choices = tune ? json_object_get(tune->root, "choices") : NULL;

    return json_string_value(json_object_get(json_object_get(choices, key), "use"));
}
