// SPDX-License-Identifier: MIT
// The drivers' quirks. A new one is a row here, and a row of QUIRK_FIELDS in quirks.h where no field fits.
// Who has a device reads them by clrnn_device_quirks(device)->FIELD; a kernel gets them as a define of its
// build options. What costs nothing on other drivers needs no quirk: the workaround stands in the code, with
// a comment that names the driver.
#include "device/core/quirks.h"

#include <math.h>
#include <string.h>

#include "base/array.h"

// Intel's CPU runtime. Its prefetch() is a function, around whose calls a loop saves all vector registers:
// half the speed of recurrent layers. Its vectoriser adds a version of each kernel for 16 work-items, which
// no launch uses, as a work-group has one: with it programs take five times as long to build. The hint turns
// it off.
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
    // of 256, as its compiler schedules loads far ahead
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

// 0: the row does not set the field.
#define EITHER(all, row) ((all) || (row))
#define LEAST(all, row) ((row) > 0 ? MIN2(all, row) : (all))
#define MOST(all, row) MAX2(all, row)
#define FIRST(all, row) ((all) ? (all) : (row))

struct clrnn_quirks clrnn_quirks_of(const struct clrnn_device_info *info)
{
    // registers: of the 128 of Intel's narrowest sub-groups, of 8, as its compiler keeps some; nobody has
    // fewer
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
    if (info->type != CLRNN_DEVICE_CPU) // Intel's driver for GPUs has the word of that for CPUs in its name
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
