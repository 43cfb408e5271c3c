// SPDX-License-Identifier: MIT
// The file of measured choices, $XDG_CACHE_HOME/clrnn/tune/<device>.json, and making use of it.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "device/gemm/gemm.h"
#include "device/program/cache.h"
#include "device/tune/internal.h"

#include <clblast_c.h>

struct clrnn_tune {
    json_t *root;
    bool applied;
};

uint32_t clrnn_tune_size(uint32_t size)
{
    uint32_t power = 1;

    while (power < size && power < 1u << 31)
        power *= 2;
    return power;
}

char *clrnn_tune_path(const struct clrnn_device_info *info)
{
    char *programs = clrnn_cache_folder(), *folder = programs ? clrnn_path_folder(programs) : NULL,
         *path = NULL;
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

// "64x128x4096 NT": sizes rounded up to powers of two.
static void class_of(const struct clrnn_gemm *gemm, char text[64])
{
    const struct clrnn_gemm rounded = {.transpose_a = gemm->transpose_a,
                                       .transpose_b = gemm->transpose_b,
                                       .M = clrnn_tune_size(gemm->M),
                                       .N = clrnn_tune_size(gemm->N),
                                       .K = clrnn_tune_size(gemm->K)};

    clrnn_gemm_shape(&rounded, text);
}

/** The file where it is ours, whole and of this version; else NULL. */
static json_t *load(const struct clrnn_device_info *info)
{
    char *path = clrnn_tune_path(info);
    json_t *root = path ? json_load_file(path, 0, NULL) : NULL;

    free(path);
    if (root && json_integer_value(json_object_get(root, "version")) != CLRNN_TUNE_VERSION) {
        json_decref(root);
        root = NULL;
    }
    return root;
}

json_t *clrnn_tune_read(const struct clrnn_device_info *info)
{
    json_t *root = load(info);

    if (root && json_is_array(json_object_get(root, "tried")) &&
        json_is_object(json_object_get(root, "shapes")))
        return root;
    json_decref(root);
    return json_pack("{s:i, s:s, s:s, s:s, s:{}, s:{}, s:[]}", "version", CLRNN_TUNE_VERSION, "device",
                     info->name, "platform", info->platform_name, "driver", info->driver, "use", "shapes",
                     "tried");
}

enum clrnn_status clrnn_tune_save(const struct clrnn_log *log, const char *path, const json_t *root)
{
    char *text = json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    char *folder = clrnn_path_folder(path);
    enum clrnn_status st = text && folder ? CLRNN_OK : clrnn_error_memory(log, 1 << 16, path);

    if (st == CLRNN_OK)
        st = clrnn_make_folder(log, folder);
    if (st == CLRNN_OK)
        st = clrnn_write_text(log, path, text);
    free(text);
    free(folder);
    return st;
}

void clrnn_tune_load(const struct clrnn_device_info *info, struct clrnn_tune **tune)
{
    json_t *root = load(info);

    *tune = root ? calloc(1, sizeof(**tune)) : NULL;
    if (*tune)
        (*tune)->root = root;
    else
        json_decref(root);
}

void clrnn_tune_destroy(struct clrnn_tune **tune)
{
    if (*tune)
        json_decref((*tune)->root);
    free(*tune);
    *tune = NULL;
}

bool clrnn_device_is_tuned(const struct clrnn_device_info *info)
{
    json_t *root = info->type == CLRNN_DEVICE_REF ? NULL : load(info);
    const bool tuned = json_object_size(json_object_get(root, "shapes")) > 0 ||
                       json_object_size(json_object_get(root, "choices")) > 0;

    json_decref(root);
    return tuned;
}

const char *clrnn_tune_option(const struct clrnn_tune *tune, const char *key)
{
    const json_t *choices = tune ? json_object_get(tune->root, "choices") : NULL;

    return json_string_value(json_object_get(json_object_get(choices, key), "use"));
}

int clrnn_tune_prefers_own(const struct clrnn_tune *tune, const struct clrnn_gemm *gemm)
{
    json_t *shapes = tune ? json_object_get(tune->root, "shapes") : NULL;
    char class[64], other[64];
    const char *key;
    json_t *entry;
    int found = -1;

    if (!shapes)
        return -1;
    class_of(gemm, class);
    json_object_foreach(shapes, key, entry)
    {
        struct clrnn_gemm measured = {0};
        char a = 0, b = 0;

        if (sscanf(key, "%ux%ux%u %c%c", &measured.M, &measured.N, &measured.K, &a, &b) != 5)
            continue;
        measured.transpose_a = a == 'T';
        measured.transpose_b = b == 'T';
        class_of(&measured, other);
        if (strcmp(class, other) == 0) {
            const json_t *use = json_object_get(entry, "use");

            found = json_is_string(use) ? strcmp(json_string_value(use), "own") == 0 : -1;
            if (measured.M == gemm->M && measured.N == gemm->N && measured.K == gemm->K)
                break; // no better match
        }
    }
    return found;
}

bool clrnn_tune_override(struct clrnn_device *device, const char *kernel, const json_t *parameters)
{
    const char *name[CLRNN_TUNE_MOST_PARAMETERS], *key;
    size_t value[CLRNN_TUNE_MOST_PARAMETERS], count = 0;
    json_t *v;

    json_object_foreach((json_t *)parameters, key, v)
    {
        if (count == CLRNN_TUNE_MOST_PARAMETERS || !json_is_integer(v) || json_integer_value(v) < 0)
            return false;
        name[count] = key;
        value[count++] = (size_t)json_integer_value(v);
    }
    return CLBlastOverrideParameters(device->handles.id, kernel, CLBlastPrecisionSingle, count, name,
                                     value) == CLBlastSuccess;
}

void clrnn_tune_apply(struct clrnn_tune *tune, struct clrnn_device *device)
{
    const char *kernel;
    json_t *parameters;

    if (!tune || tune->applied)
        return;
    tune->applied = true;
    json_object_foreach(json_object_get(tune->root, "use"), kernel, parameters)
    {
        if (!clrnn_tune_override(device, kernel, parameters))
            clrnn_log(device->log, CLRNN_LOG_DEBUG, "CLBlast does not take what was remembered for %s",
                      kernel);
    }
}
