// SPDX-License-Identifier: MIT
// The table of quirks: peculiarities of OpenCL drivers. To add a quirk, add a row to `table` and, if no existing field
// describes the quirk, a field to QUIRK_FIELDS in quirks.h. C code reads a quirk as clrnn_device_quirks(device)->FIELD.
// Kernels see only the build options, such as cpu_options. A workaround that costs nothing on other drivers needs no
// quirk: write it where it is needed, with a comment that names the driver.
#include "device/core/quirks.h"

#include <math.h>
#include <string.h>

#include "base/array.h"

// Build options for Intel's CPU runtime. BUILTIN_PREFETCH makes kernels use clang's builtin (cl/common.h). The
// runtime's prefetch() is a real function: a loop that calls it saves all vector registers around the call, which
// halves the speed of recurrent layers. vec_type_hint turns the runtime's vectoriser off. The vectoriser adds a version
// for 16 work-items to each kernel, and programs take five times as long to build. No launch uses that version, because
// work-groups have one work-item.
#define INTEL_CPU_OPTIONS " -D BUILTIN_PREFETCH=1 -D kernel=__attribute__((vec_type_hint(float16)))__kernel"

#define POCL \
    { \
        .is_pocl = true, .caches_programs = true, .compiles_late = true, .reads_builtins = true, \
        .repeats_kernels = true, .rank = 1 \
    }

// A row applies to a device if the device's name, or its platform's name or version, contains `word`.
static const struct {
    const char *word;
    struct clrnn_quirks quirks;
} table[] = {
    {"Portable Computing Language", POCL},
    {"PoCL", POCL},
    {"rusticl", {.rank = 2}},
    {"Clover", {.rank = 3}},
    {"Oclgrind", {.rank = 4}}, // a simulator
    // AMD: a work-item has 256 registers. 224 are used, because AMD's compiler needs some to schedule loads far ahead.
    {"AMD Accelerated Parallel Processing", {.registers = 224}},
    {"NVIDIA CUDA", {.registers = 255}},
    {"Intel(R) OpenCL", {.cpu_options = INTEL_CPU_OPTIONS}},
    {"Intel(R) CPU Runtime for OpenCL", {.cpu_options = INTEL_CPU_OPTIONS}}, // name before 2021
    // Mesa's CPU device silently leaves loops after LP_MAX_TGSI_LOOP_ITERATIONS (65535), and does not unroll loops.
    {"llvmpipe", {.builds_slowly = true, .loop_rounds = 65535}},
};

static bool has(const char *text, const char *word)
{
    return text && strcasestr(text, word);
}

// The merge functions of QUIRK_FIELDS. `all`: the value from all earlier rows that apply. `row`: the value of the next
// row that applies; 0: the row does not set the field.
#define EITHER(all, row) ((all) || (row))
#define LEAST(all, row) ((row) > 0 ? MIN2(all, row) : (all))
#define MOST(all, row) MAX2(all, row)
#define FIRST(all, row) ((all) ? (all) : (row))

struct clrnn_quirks clrnn_quirks_of(const struct clrnn_device_info *info)
{
    // The values if no row applies. Of all GPUs, Intel's have the fewest registers: 128 per work-item if sub-groups
    // have 8 work-items. 112 are used, because Intel's compiler needs some registers itself.
    struct clrnn_quirks all = {.loop_rounds = INFINITY, .registers = 112};

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        const struct clrnn_quirks *q = &table[i].quirks;

        if (!has(info->platform_name, table[i].word) && !has(info->platform_version, table[i].word) &&
            !has(info->name, table[i].word))
            continue;
#define X(type, field, merge) all.field = merge(all.field, q->field);
        QUIRK_FIELDS(X)
#undef X
    }
    if (info->type != CLRNN_DEVICE_CPU) // Intel's GPU driver has the same word in its name
        all.cpu_options = NULL;
    return all;
}

const char *clrnn_quirks_build_variable(size_t index)
{
    static const char *const name[] = {"AMD_OCL_BUILD_OPTIONS",    "AMD_OCL_BUILD_OPTIONS_APPEND",
                                       "OCLGRIND_BUILD_OPTIONS",   "POCL_EXTRA_BUILD_FLAGS",
                                       "CL_CONFIG_USE_VECTORIZER", "CL_CONFIG_CPU_VECTORIZER_MODE",
                                       "CL_CONFIG_CPU_TARGET_ARCH"}; // CL_CONFIG_...: Intel's CPU runtime

    return index < ARRAY_SIZE(name) ? name[index] : NULL;
}
