// SPDX-License-Identifier: MIT
// Applies the measurements of `clrnn tune`: which multiplies use clRNN's kernels, and which settings CLBlast uses.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "device/gemm/internal.h"
#include "device/remember/internal.h"

uint32_t clrnn_tune_size(uint32_t size)
{
    uint32_t power = 1;

    while (power < size && power < 1u << 31)
        power *= 2;
    return power;
}

// Writes the shape class of a multiply as text, "64x128x4096 NT": sizes are rounded up to powers of two.
static void class_of(const struct clrnn_gemm *gemm, char text[64])
{
    const struct clrnn_gemm rounded = {.transpose_a = gemm->transpose_a,
                                       .transpose_b = gemm->transpose_b,
                                       .M = clrnn_tune_size(gemm->M),
                                       .N = clrnn_tune_size(gemm->N),
                                       .K = clrnn_tune_size(gemm->K)};

    clrnn_gemm_shape(&rounded, text);
}

void clrnn_tune_load(const struct clrnn_log *log, const struct clrnn_device_info *info, struct clrnn_tune **tune)
{
    char *path = clrnn_tune_path(info);
    json_t *root = NULL;

    if (path)
        clrnn_tune_load_file(log, path, &root); // a file that cannot be read is not used
    *tune = root ? calloc(1, sizeof(**tune)) : NULL;
    if (*tune) {
        **tune = (struct clrnn_tune){.root = root, .path = path};
    } else {
        json_decref(root);
        free(path);
    }
}

void clrnn_tune_destroy(struct clrnn_tune **tune)
{
    if (*tune) {
        json_decref((*tune)->root);
        free((*tune)->path);
    }
    free(*tune);
    *tune = NULL;
}

bool clrnn_device_is_tuned(const struct clrnn_device_info *info)
{
    struct clrnn_tune *tune = NULL;
    bool tuned;

    if (info && info->type != CLRNN_DEVICE_REF)
        clrnn_tune_load(NULL, info, &tune);
    tuned = tune && (json_object_size(json_object_get(tune->root, "shapes")) > 0 ||
                     json_object_size(json_object_get(tune->root, "choices")) > 0);
    clrnn_tune_destroy(&tune);
    return tuned;
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
                break; // the key is exactly this shape: no other matches better
        }
    }
    return found;
}

// Passes to CLBlast the first setting for a kernel, from the fixed sequence (clrnn_setting_get), that suits the device.
// Called after a bad setting was passed, because CLBlast then no longer has its default for this kernel.
static void override_with_first(struct clrnn_device *device, bool direct)
{
    for (size_t i = 0; i < 16; i++) {
        json_t *parameters;
        bool is_direct, taken;

        if (!clrnn_setting_get(&device->info, i, &is_direct, &parameters))
            continue;
        taken = is_direct == direct && clrnn_setting_override(device, direct ? "XgemmDirect" : "Xgemm", parameters);
        json_decref(parameters);
        if (taken)
            return;
    }
}

// Passes one kernel's stored parameters to CLBlast, if they suit the device, and checks a small multiply with them. If
// the multiply fails or its result is wrong, replaces them by other parameters. Logs a warning if the stored ones are
// not used.
static void apply_kernel(const struct clrnn_tune *tune, struct clrnn_device *device, const char *kernel,
                         const json_t *parameters)
{
    const bool direct = strcmp(kernel, "XgemmDirect") == 0;
    const char *why = "does not suit the device";
    bool right = false;

    if (clrnn_setting_fits(&device->info, kernel, parameters)) {
        why = "does not run";
        if (clrnn_setting_override(device, kernel, parameters) && clrnn_setting_route(device, direct) &&
            clrnn_setting_check(device, &right) == CLRNN_OK)
            why = "gives wrong results";
        if (right)
            return;
        override_with_first(device, direct);
    }
    clrnn_log(device->log, CLRNN_LOG_WARNING,
              "%s: CLBlast's setting for %s %s, so it is not used: run `clrnn tune --restart`", tune->path, kernel,
              why);
}

void clrnn_tune_apply(struct clrnn_tune *tune, struct clrnn_device *device)
{
    static const char *const kernels[] = {"XgemmDirect", "Xgemm"};
    const json_t *use = tune ? json_object_get(tune->root, "use") : NULL,
                 *routine = json_object_get(use, "GemmRoutine");

    if (!tune || tune->applied)
        return;
    tune->applied = true;
    if (!clrnn_setting_fits(&device->info, "GemmRoutine", routine)) {
        if (json_object_size(use))
            clrnn_log(device->log, CLRNN_LOG_WARNING,
                      "%s: CLBlast's settings lack a valid XGEMM_MIN_INDIRECT_SIZE, so they are not used: run "
                      "`clrnn tune --restart`",
                      tune->path);
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(kernels); i++)
        if (json_object_get(use, kernels[i]))
            apply_kernel(tune, device, kernels[i], json_object_get(use, kernels[i]));
    if (!clrnn_setting_override(device, "GemmRoutine", routine))
        clrnn_log(device->log, CLRNN_LOG_DEBUG, "CLBlast does not take XGEMM_MIN_INDIRECT_SIZE");
}
