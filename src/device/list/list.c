// SPDX-License-Identifier: MIT
// Lists of launches: building, replaying and listing them. Kernels are in kernel.c, multiplies in gemm.c.
#include "device/list/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/file.h"
#include "device/list/builders.h"
#include "device/list/internal.h"

enum clrnn_status clrnn_launches_create(struct clrnn_device *device, struct clrnn_launches **launches)
{
    *launches = calloc(1, sizeof(**launches));
    if (!*launches)
        return clrnn_error_memory(device->log, sizeof(**launches), "a list of launches");
    (*launches)->device = device;
    return CLRNN_OK;
}

void clrnn_launches_destroy(struct clrnn_launches **launches)
{
    struct clrnn_launches *l = *launches;

    *launches = NULL;
    if (!l)
        return;
    for (size_t i = 0; i < l->timing_count; i++)
        clReleaseEvent(l->timing[i].event);
    free(l->timing);
    clrnn_launches_cut(l, 0);
    for (size_t i = 0; i < l->shared_count; i++) {
        clReleaseKernel(l->shared[i].kernel);
        free(l->shared[i].name);
    }
    free(l->shared);
    free(l->launch);
    for (size_t i = 0; i < l->op_count; i++)
        free(l->op[i]);
    free(l->op);
    for (size_t i = 0; i < l->scratch_count; i++)
        clrnn_buffer_destroy(&l->scratch[i]);
    free(l->scratch);
    free(l->choice);
    free(l);
}

struct clrnn_device *clrnn_launches_device(const struct clrnn_launches *launches)
{
    return launches->device;
}

enum clrnn_status clrnn_launches_op(struct clrnn_launches *launches, const char *op)
{
    const struct clrnn_log *log = launches->device->log;
    char *name = clrnn_format("%s", op);

    if (!name || !ARRAY_GROW(launches->op, launches->op_count)) {
        free(name);
        return clrnn_error_memory(log, strlen(op) + 1, "a list of launches");
    }
    launches->op[launches->op_count++] = name;
    launches->class[0] = 0;
    launches->scratch_next = 0; // the previous op no longer needs its memory
    return CLRNN_OK;
}

enum clrnn_status clrnn_launches_add(struct clrnn_launches *launches, clrnn_run_fn *run, const char *kernel,
                                     struct clrnn_cost cost, struct clrnn_launch **launch)
{
    *launch = NULL;
    if (!ARRAY_GROW(launches->launch, launches->count))
        return clrnn_error_memory(launches->device->log, 2 * launches->count * sizeof(**launch), "a list of launches");
    *launch = &launches->launch[launches->count++];
    **launch = (struct clrnn_launch){.run = run};
    (*launch)->info.op = launches->op_count ? launches->op[launches->op_count - 1] : "";
    (*launch)->info.kernel = kernel;
    (*launch)->info.cost = cost;
    return CLRNN_OK;
}

void clrnn_launches_cut(struct clrnn_launches *launches, size_t count)
{
    while (launches->count > count) {
        struct clrnn_launch *l = &launches->launch[--launches->count];

        if (l->name && !l->kernel.shared) { // only a kernel has a name
            if (l->kernel.kernel)
                clReleaseKernel(l->kernel.kernel);
            free(l->name);
        }
        free(l->owned);
    }
    for (size_t i = 0; i < launches->shared_count; i++)
        if (launches->shared[i].set >= count)
            launches->shared[i].set = SIZE_MAX;
}

// ---------------------------------------------------------------- fills, host calls

static enum clrnn_status run_fill(struct clrnn_launches *launches, struct clrnn_launch *l, cl_event *event)
{
    return launches->device->backend->fill(l->fill.buffer, l->fill.word, event);
}

static enum clrnn_status run_host(struct clrnn_launches *launches, struct clrnn_launch *l, cl_event *event)
{
    (void)launches;
    (void)event;
    return l->host.fn(l->host.context);
}

enum clrnn_status clrnn_launch_host(struct clrnn_launches *launches, clrnn_host_fn *fn, const void *context)
{
    struct clrnn_launch *l;

    if (!clrnn_device_is_ref(launches->device))
        return clrnn_error(launches->device->log, CLRNN_ERR_ARG, "host calls run on ref only, not on %s",
                           launches->device->info.name);
    TRY(clrnn_launches_add(launches, run_host, "host", (struct clrnn_cost){0, 0}, &l));
    l->host.fn = fn;
    l->host.context = context;
    return CLRNN_OK;
}

static enum clrnn_status launch_fill(struct clrnn_launches *launches, const char *what, struct clrnn_buffer *buffer,
                                     cl_uint word)
{
    struct clrnn_launch *l;

    TRY(clrnn_launches_add(launches, run_fill, what, (struct clrnn_cost){0, (double)buffer->bytes}, &l));
    l->operand[0] = l->fill.buffer = buffer;
    l->fill.word = word;
    snprintf(l->info.shape, sizeof(l->info.shape), "%zu", buffer->count);
    return CLRNN_OK;
}

enum clrnn_status clrnn_launch_zero(struct clrnn_launches *launches, struct clrnn_buffer *buffer)
{
    return launch_fill(launches, "zero", buffer, 0);
}

void clrnn_launches_stop(struct clrnn_launches *launches, size_t at)
{
    if (at < launches->count)
        launches->launch[at].stop = true;
}

// ---------------------------------------------------------------- scratch

enum clrnn_status clrnn_launches_scratch(struct clrnn_launches *launches, size_t count, struct clrnn_buffer **buffer)
{
    struct clrnn_device *d = launches->device;
    const size_t slot = launches->scratch_next;

    *buffer = NULL;
    if ((slot == d->scratch_count && !ARRAY_GROW(d->scratch, slot)) ||
        !ARRAY_GROW(launches->scratch, launches->scratch_count))
        return clrnn_error_memory(d->log, 2 * (slot + 1) * sizeof(*buffer), "scratch memory");
    if (slot == d->scratch_count)
        d->scratch[d->scratch_count++] = NULL;
    if (!d->scratch[slot] || d->scratch[slot]->count < count) {
        clrnn_buffer_destroy(&d->scratch[slot]); // lists that use it have references
        TRY(clrnn_buffer_create(d, CLRNN_REAL, count, "scratch memory", &d->scratch[slot]));
    }
    *buffer = launches->scratch[launches->scratch_count++] = clrnn_buffer_retain(d->scratch[slot]);
    launches->scratch_next++;
    return d->poison_scratch ? launch_fill(launches, "poison", *buffer, CLRNN_UNWRITTEN) : CLRNN_OK;
}

size_t clrnn_launches_mark(const struct clrnn_launches *launches)
{
    return launches->scratch_next;
}

void clrnn_launches_reset(struct clrnn_launches *launches, size_t mark)
{
    launches->scratch_next = mark;
}

// ---------------------------------------------------------------- times

// Waits for the queue, then adds the events' times to the launches' info.
static enum clrnn_status read_times(struct clrnn_launches *launches)
{
    struct clrnn_device *d = launches->device;
    enum clrnn_status st = clrnn_device_finish(d);

    for (size_t i = 0; i < launches->timing_count; i++) {
        const struct clrnn_launch_event *t = &launches->timing[i];
        struct clrnn_launch_info *info = &launches->launch[t->launch].info;
        cl_ulong start = 0, end = 0;
        cl_int error;

        error = clGetEventProfilingInfo(t->event, CL_PROFILING_COMMAND_START, sizeof(start), &start, NULL);
        if (error == CL_SUCCESS)
            error = clGetEventProfilingInfo(t->event, CL_PROFILING_COMMAND_END, sizeof(end), &end, NULL);
        if (error == CL_SUCCESS)
            info->seconds += 1e-9 * (double)(end - start);
        else if (st == CLRNN_OK)
            st = clrnn_cl_error(d->log, error, "clGetEventProfilingInfo", "%s %s, on %s", info->op, info->kernel,
                                d->info.name);
        clReleaseEvent(t->event);
    }
    launches->timing_count = 0;
    return st;
}

static enum clrnn_status keep_time(struct clrnn_launches *launches, size_t launch, cl_event event)
{
    enum { MOST = 1 << 14 }; // events kept before their times are read; each costs the driver memory
    enum clrnn_status st = CLRNN_OK;

    if (launches->timing_count == MOST)
        st = read_times(launches);
    if (st == CLRNN_OK && !ARRAY_GROW(launches->timing, launches->timing_count))
        st = clrnn_error_memory(launches->device->log, 2 * launches->timing_count * sizeof(*launches->timing),
                                "times of launches");
    if (st != CLRNN_OK) {
        clReleaseEvent(event);
        return st;
    }
    launches->timing[launches->timing_count++] = (struct clrnn_launch_event){event, launch};
    return CLRNN_OK;
}

// ---------------------------------------------------------------- running

// Launches that a run queues between two waits for the device. Each queued launch costs the driver memory.
enum { MOST_QUEUED = 1 << 14 };

static enum clrnn_status run_one(struct clrnn_launches *launches, size_t at)
{
    const bool profile = launches->device->profile;
    struct clrnn_launch *l = &launches->launch[at];
    cl_event event = NULL;
    const double start = profile ? clrnn_clock() : 0;

    TRY(l->run(launches, l, profile ? &event : NULL));
    l->info.runs++;
    if (event)
        return keep_time(launches, at, event);
    if (profile) // a launch without an event has run already
        l->info.seconds += clrnn_clock() - start;
    return CLRNN_OK;
}

enum clrnn_status clrnn_launches_run_part(struct clrnn_launches *launches, size_t first, size_t last)
{
    if (first > last || last > launches->count)
        return clrnn_error(launches->device->log, CLRNN_ERR_ARG, "launches %zu to %zu of %zu cannot be run", first,
                           last, launches->count);
    if (launches->device->builders)
        clrnn_builders_wait(launches->device->builders);
    for (size_t i = first; i < last; i++) {
        TRY(run_one(launches, i));
        if ((i - first + 1) % MOST_QUEUED == 0)
            TRY(clrnn_device_finish(launches->device));
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_launches_run(struct clrnn_launches *launches)
{
    TRY(clrnn_launches_run_part(launches, 0, launches->count));
    return clrnn_device_flush(launches->device);
}

size_t clrnn_launches_count(const struct clrnn_launches *launches)
{
    return launches->count;
}

const struct clrnn_launch_info *clrnn_launches_info(const struct clrnn_launches *launches, size_t index)
{
    return &launches->launch[index].info;
}

enum clrnn_status clrnn_launches_profile(struct clrnn_launches *launches)
{
    return launches->timing_count ? read_times(launches) : CLRNN_OK;
}

void clrnn_launches_forget(struct clrnn_launches *launches)
{
    for (size_t i = 0; i < launches->count; i++) {
        launches->launch[i].info.seconds = 0.0;
        launches->launch[i].info.runs = 0;
    }
}
