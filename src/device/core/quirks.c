// SPDX-License-Identifier: MIT
// The drivers' quirks. To add one, add a row here and, if no field fits, a row of QUIRK_FIELDS in quirks.h. C
// code reads a quirk as clrnn_device_quirks(device)->FIELD; kernels get it as a define in their build
// options. A workaround that costs nothing on other drivers needs no quirk: it stands in the code, with a
// comment that names the driver.
#include "device/core/quirks.h"

#include <math.h>
#include <string.h>

#include "base/array.h"

// Options for Intel's CPU runtime. Its prefetch() is a real function, around whose calls a loop saves all
// vector registers, which halves the speed of recurrent layers. Its vectoriser adds to each kernel a version
// for 16 work-items; no launch uses it, since a work-group has one, and programs take five times as long to
// build. The type hint turns the vectoriser off.
#define INTEL_CPU_OPTIONS " -D BUILTIN_PREFETCH=1 -D kernel=__attribute__((vec_type_hint(float16)))__kernel"

#define POCL \
    { \
        .is_pocl = true, .caches_programs = true, .compiles_late = true, .reads_builtins = true, \
        .repeats_kernels = true, .rank = 1 \
    }

// A row applies to a device if its name, or its platform's name or version, contains the word.
static const struct {
    const char *word;
    struct clrnn_quirks quirks;
} table[] = {
    {"Portable Computing Language", POCL},
    {"PoCL", POCL},
    {"rusticl", {.rank = 2}},
    {"Clover", {.rank = 3}},
    {"Oclgrind", {.rank = 4}}, // a simulator
    // 224 of its 256 registers, as its compiler schedules loads far ahead
    {"AMD Accelerated Parallel Processing", {.registers = 224}},
    {"NVIDIA CUDA", {.registers = 255}},
    {"Intel(R) OpenCL", {.cpu_options = INTEL_CPU_OPTIONS}},
    {"Intel(R) CPU Runtime for OpenCL", {.cpu_options = INTEL_CPU_OPTIONS}}, // before 2021
    // Mesa's CPU device silently leaves loops after LP_MAX_TGSI_LOOP_ITERATIONS, and unrolls none.
    {"llvmpipe", {.builds_slowly = true, .loop_rounds = 65535}},
};

static bool has(const char *text, const char *word)
{
    return text && strcasestr(text, word);
}

// How a row's value is merged into the value of all rows so far; 0: the row does not set the field.
#define EITHER(all, row) ((all) || (row))
#define LEAST(all, row) ((row) > 0 ? MIN2(all, row) : (all))
#define MOST(all, row) MAX2(all, row)
#define FIRST(all, row) ((all) ? (all) : (row))

struct clrnn_quirks clrnn_quirks_of(const struct clrnn_device_info *info)
{
    // Without a row: the fewest registers of a GPU are 128 per work-item, on Intel's with sub-groups of 8
    // work-items, and its compiler needs some of these itself.
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
    if (info->type != CLRNN_DEVICE_CPU) // Intel's GPU driver has the CPU driver's word in its name, too
        all.cpu_options = NULL;
    return all;
}

const char *clrnn_quirks_build_variable(size_t index)
{
    static const char *const name[] = {"AMD_OCL_BUILD_OPTIONS",    "AMD_OCL_BUILD_OPTIONS_APPEND",
                                       "OCLGRIND_BUILD_OPTIONS",   "POCL_EXTRA_BUILD_FLAGS",
                                       "CL_CONFIG_USE_VECTORIZER", "CL_CONFIG_CPU_VECTORIZER_MODE",
                                       "CL_CONFIG_CPU_TARGET_ARCH"}; // of Intel's CPU runtime

    return index < ARRAY_SIZE(name) ? name[index] : NULL;
}
