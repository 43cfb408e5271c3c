// SPDX-License-Identifier: MIT
// Opening and closing a device: context, queue, settings from the environment.
#include <stdlib.h>
#include <string.h>

#include "base/environment.h"
#include "base/file.h"
#include "device/core/internal.h"
#include "device/core/loader.h"
#include "device/find/drivers.h"
#include "device/list/builders.h"
#include "device/program/cache.h"
#include "device/program/program.h"
#include "device/remember/choice.h"
#include "device/remember/remember.h"

static void read_chain_after(struct clrnn_device *d)
{
    const char *text = clrnn_environment("CLRNN_CHAIN_AFTER");

    d->chain_forced = text;
    d->chain_after = !text ? 0 : !strcmp(text, "never") ? UINT64_MAX : strtoull(text, NULL, 10);
}

static enum clrnn_status read_settings(struct clrnn_device *d, const struct clrnn_device_params *params)
{
    const char *gemm = params->gemm ? params->gemm : clrnn_environment("CLRNN_GEMM");
    const char *folder = clrnn_environment("CLRNN_KERNEL_DIR");
    const char *scratch = clrnn_environment("CLRNN_TEST_SCRATCH");

    TRY(clrnn_environment_check(d->log));
    d->profile = params->profile;
    read_chain_after(d);
    d->no_tune = params->no_tune;
    d->poison_scratch = scratch && strcmp(scratch, "0") != 0;
    if (!gemm || !*gemm || strcmp(gemm, "auto") == 0)
        d->gemm = CLRNN_GEMM_AUTO;
    else if (strcmp(gemm, "own") == 0)
        d->gemm = CLRNN_GEMM_OWN;
    else if (strcmp(gemm, "clblast") == 0)
        d->gemm = CLRNN_GEMM_CLBLAST;
    else
        return clrnn_error(d->log, CLRNN_ERR_ARG, "gemm \"%s\" is not known, expected auto, own or clblast", gemm);
    TRY(clrnn_device_force_environment(d));
    if (folder) {
        d->kernel_dir = clrnn_format("%s", folder);
        if (!d->kernel_dir)
            return clrnn_error_memory(d->log, strlen(folder) + 1, "CLRNN_KERNEL_DIR");
    }
    return CLRNN_OK;
}

// Whether the kernels for CPUs are used (see clrnn_device_cpu_form). CLRNN_KERNEL_FORM=cpu|gpu overrides the device's
// type: tests run the kernels for GPUs on CPUs.
static bool takes_cpu_form(const struct clrnn_device_info *info)
{
    const char *form = clrnn_environment("CLRNN_KERNEL_FORM");

    return form ? strcmp(form, "cpu") == 0 : info->type == CLRNN_DEVICE_CPU;
}

static enum clrnn_status open_ref(struct clrnn_device *d)
{
    TRY(clrnn_list_ref(d->log, d->list));
    d->info = d->list->info[0];
    d->poison_scratch = false; // ref has no scratch memory
    d->backend = &clrnn_backend_ref;
    return d->backend->open(d);
}

// Opens the device in a builder process (list/builders.h). The parent process has already tried the drivers in child
// processes. So this function loads the drivers first, and clrnn_device_open then does not try them again.
static struct clrnn_device *open_in_builder(const char *select)
{
    struct clrnn_device *device;
    char *trouble = clrnn_opencl_load();
    const bool loaded = !trouble;
    cl_uint count;

    free(trouble);
    if (!loaded || clGetPlatformIDs(0, NULL, &count) != CL_SUCCESS)
        return NULL;
    return clrnn_device_open(&(struct clrnn_device_params){.select = select}, &device) == CLRNN_OK ? device : NULL;
}

// Sets up the processes that compile kernels in parallel with this one (list/builders.h). There are none if
// CLRNN_BUILDERS is 0, or if this process has already loaded drivers.
static void start_builders(struct clrnn_device *d)
{
    const char *most = clrnn_environment("CLRNN_BUILDERS");

    if ((!most || strtoul(most, NULL, 10)) && !clrnn_drivers_loaded())
        d->builders = clrnn_builders_create(open_in_builder, most ? (unsigned)strtoul(most, NULL, 10) : 0);
}

static enum clrnn_status open_opencl(struct clrnn_device *d, const char *select)
{
    size_t row;

    start_builders(d);
    TRY(clrnn_list_opencl(d->log, d->list));
    TRY(clrnn_list_select(d->log, d->list, select, &row));
    d->info = d->list->info[row];
    d->quirks = clrnn_quirks_of(&d->info);
    d->handles = ((struct clrnn_list_private *)d->list->strings_)->handles[row];
    d->cpu_form = takes_cpu_form(&d->info);
    if (!d->quirks.compiles_late || !d->cpu_form)
        clrnn_builders_destroy(&d->builders);
    d->backend = &clrnn_backend_opencl;
    TRY(d->backend->open(d));
    if (!d->quirks.caches_programs)
        d->cache_dir = clrnn_cache_folder();
    if (!d->no_tune)
        clrnn_tune_load(d->log, &d->info, &d->tune);
    return CLRNN_OK;
}

enum clrnn_status clrnn_device_open(const struct clrnn_device_params *params, struct clrnn_device **device)
{
    NEED(params ? params->log : NULL, device);

    const struct clrnn_device_params defaults = {0};
    const char *select;
    struct clrnn_device *d = calloc(1, sizeof(*d));
    enum clrnn_status st;

    *device = NULL;
    if (!params)
        params = &defaults;
    if (!d)
        return clrnn_error_memory(params->log, sizeof(*d), "a device");
    d->log = params->log;
    select = params->select ? params->select : getenv("CLRNN_DEVICE");
    st = read_settings(d, params);
    if (st == CLRNN_OK)
        st = clrnn_list_init(d->log, &d->list);
    if (st == CLRNN_OK)
        st = select && strcmp(select, "ref") == 0 ? open_ref(d) : open_opencl(d, select);
    if (st != CLRNN_OK)
        clrnn_device_destroy(&d);
    *device = d;
    return st;
}

void clrnn_device_destroy(struct clrnn_device **device)
{
    struct clrnn_device *d = device ? *device : NULL;

    if (!d)
        return;
    *device = NULL;
    clrnn_builders_destroy(&d->builders);
    for (size_t i = 0; i < d->scratch_count; i++)
        clrnn_buffer_destroy(&d->scratch[i]);
    free(d->scratch);
    clrnn_programs_finish(d);
    clrnn_tune_destroy(&d->tune);
    json_decref(d->forced);
    if (d->backend)
        d->backend->close(d);
    clrnn_device_list_destroy(&d->list);
    free(d->kernel_dir);
    free(d->cache_dir);
    free(d);
}
