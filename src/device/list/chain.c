// SPDX-License-Identifier: MIT
// Builds chains (chain.h) from a list's kernels, and queues them. replay.c decides whether they pay off.
#include "device/list/chain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "device/program/program.h"
#include "slots.h"

// PORTIONS: the work-items of a stage (one launch of the chain) are divided into this many portions per core. A fast
// core takes more portions than a slow one.
enum { ARG_WORDS = 2, LOCAL_ALIGN = 128, MOST_SLOTS = 64, PORTIONS = 16 };

// State while a chain of launches first to last - 1 is built.
struct making {
    struct clrnn_launches *launches;
    size_t first, last;
    struct clrnn_chain_function *function; // the different kernels of the launches
    size_t function_count;
    const struct clrnn_buffer *slot[MOST_SLOTS]; // buffers of the arguments; for a sub-buffer, its parent
    uint32_t slot_count;
    uint32_t *stages, *args;
    size_t arg_words, local_bytes, most_items;
};

static size_t aligned(size_t bytes)
{
    return (bytes + LOCAL_ALIGN - 1) / LOCAL_ALIGN * LOCAL_ALIGN;
}

// Whether the device can run chains: a CPU for which the kernels for CPUs are used (clrnn_device_cpu_form). The driver
// must not limit loop iterations, launches must not be timed one by one (profile), and CLRNN_CHAIN_AFTER must not be
// "never".
static bool can_chain(const struct clrnn_device *device)
{
    return !device->profile && device->chain_after != UINT64_MAX && device->info.type == CLRNN_DEVICE_CPU &&
           device->cpu_form && isinf(device->quirks.loop_rounds);
}

// ---------------------------------------------------------------- which launches can be in a chain

static const struct clrnn_buffer *whole(const struct clrnn_buffer *b)
{
    return b->parent ? b->parent : b;
}

static size_t local_bytes(const struct clrnn_launch *l)
{
    size_t bytes = 0;

    for (size_t i = 0; i < l->kernel.arg_count; i++)
        if (l->kernel.args[i].kind == CLRNN_ARG_LOCAL)
            bytes += aligned(l->kernel.args[i].bytes);
    return bytes;
}

static double items_of(const struct clrnn_launch *l)
{
    double items = 1;

    for (cl_uint k = 0; k < l->kernel.dims; k++)
        items *= (double)l->kernel.global[k];
    return items;
}

// Whether a launch can be in a chain: it must be a kernel with one work-item per work-group. Its sizes and its buffers'
// offsets must fit 32 bits, and its local memory must fit the device.
static bool fits(const struct clrnn_device *d, const struct clrnn_launch *l)
{
    if (l->run != clrnn_kernel_run || items_of(l) > INT32_MAX || local_bytes(l) > d->info.local_bytes)
        return false;
    for (cl_uint k = 0; k < l->kernel.dims; k++)
        if (l->kernel.local[k] != 1)
            return false;
    for (size_t i = 0; i < l->kernel.arg_count; i++) {
        const struct clrnn_arg *a = &l->kernel.args[i];

        if (a->kind == CLRNN_ARG_BUFFER && a->buffer && a->buffer->first_byte / 4 > UINT32_MAX)
            return false;
    }
    return true;
}

// Returns the slot of a buffer, which is the index of a buffer argument of the chain's kernel. A sub-buffer has the
// slot of its parent. A new buffer gets the next free slot; MOST_SLOTS: no slot is left.
static uint32_t slot_of(struct making *m, const struct clrnn_buffer *b)
{
    uint32_t s = 0;

    while (s < m->slot_count && m->slot[s] != whole(b))
        s++;
    if (s == m->slot_count && s < MOST_SLOTS)
        m->slot[m->slot_count++] = whole(b);
    return s;
}

// Assigns slots to all buffers of a launch. If there are too few slots, releases the new ones and returns false.
static bool take_slots(struct making *m, const struct clrnn_launch *l)
{
    const uint32_t before = m->slot_count;

    for (size_t i = 0; i < l->kernel.arg_count; i++) {
        const struct clrnn_arg *a = &l->kernel.args[i];

        if (a->kind == CLRNN_ARG_BUFFER && a->buffer && slot_of(m, a->buffer) == MOST_SLOTS) {
            m->slot_count = before;
            return false;
        }
    }
    return true;
}

// ---------------------------------------------------------------- functions and arguments of a chain

// Returns the index of a launch's kernel in m->function. Adds the kernel to m->function if it is missing.
static uint32_t function_of(struct making *m, const struct clrnn_launch *l)
{
    struct clrnn_chain_function *f = m->function;
    size_t i = 0;

    while (i < m->function_count && (strcmp(f[i].stem, l->kernel.stem) != 0 || strcmp(f[i].name, l->name) != 0 ||
                                     strcmp(f[i].defines, l->kernel.defines) != 0))
        i++;
    if (i == m->function_count)
        f[m->function_count++] = (struct clrnn_chain_function){.stem = l->kernel.stem,
                                                               .name = l->name,
                                                               .defines = l->kernel.defines,
                                                               .arg_count = l->kernel.arg_count,
                                                               .args = l->kernel.args};
    return (uint32_t)i;
}

static size_t struct_words(const struct clrnn_arg *a)
{
    return a->kind == CLRNN_ARG_STRUCT ? (a->bytes + 3) / 4 : 0;
}

static void add_args(struct making *m, const struct clrnn_launch *l)
{
    const size_t first = m->arg_words;
    size_t local_size = 0;

    m->arg_words += ARG_WORDS * l->kernel.arg_count; // the contents of structs follow
    for (size_t i = 0; i < l->kernel.arg_count; i++) {
        const struct clrnn_arg *a = &l->kernel.args[i];
        uint32_t *word = m->args + first + ARG_WORDS * i;
        const float real = (float)a->real;

        switch (a->kind) {
        case CLRNN_ARG_BUFFER:
            word[0] = a->buffer ? slot_of(m, a->buffer) : CHAIN_NO_BUFFER;
            word[1] = a->buffer ? (uint32_t)(a->buffer->first_byte / 4) : 0;
            break;
        case CLRNN_ARG_UINT:
        case CLRNN_ARG_INT:
            word[0] = a->word;
            break;
        case CLRNN_ARG_REAL:
            memcpy(word, &real, sizeof(real));
            break;
        case CLRNN_ARG_LOCAL:
            word[0] = (uint32_t)local_size;
            local_size += aligned(a->bytes);
            break;
        case CLRNN_ARG_STRUCT:
            word[0] = (uint32_t)(m->arg_words - first);
            memcpy(m->args + m->arg_words, a->data, a->bytes);
            m->arg_words += struct_words(a);
            break;
        }
    }
    m->local_bytes = MAX2(m->local_bytes, local_size);
}

static void add_stage(struct making *m, size_t at)
{
    const struct clrnn_launch *l = &m->launches->launch[at];
    uint32_t *stage = m->stages + (at - m->first) * STAGE_FIELDS;
    const uint32_t items = (uint32_t)items_of(l), cores = m->launches->device->info.compute_units;

    stage[STAGE_FUNCTION] = function_of(m, l);
    stage[STAGE_ITEMS] = items;
    for (cl_uint k = 0; k < 3; k++)
        stage[STAGE_GLOBAL + k] = k < l->kernel.dims ? (uint32_t)l->kernel.global[k] : 1;
    stage[STAGE_PORTION] = MAX2(items / (PORTIONS * MAX2(cores, 1)), 1);
    stage[STAGE_ARGS] = (uint32_t)m->arg_words;
    m->most_items = MAX2(m->most_items, items);
    add_args(m, l);
}

static enum clrnn_status gather(struct making *m)
{
    const size_t count = m->last - m->first;
    size_t words = 0;

    for (size_t i = m->first; i < m->last; i++) {
        const struct clrnn_launch *l = &m->launches->launch[i];

        words += ARG_WORDS * l->kernel.arg_count;
        for (size_t k = 0; k < l->kernel.arg_count; k++)
            words += struct_words(&l->kernel.args[k]);
    }
    m->function = calloc(count, sizeof(*m->function));
    m->stages = calloc(count, STAGE_FIELDS * sizeof(*m->stages));
    m->args = calloc(words + 1, sizeof(*m->args));
    if (!m->function || !m->stages || !m->args)
        return clrnn_error_memory(m->launches->device->log, count * 64 + words * 4, "a chain");
    for (size_t i = m->first; i < m->last; i++)
        add_stage(m, i);
    return CLRNN_OK;
}

// ---------------------------------------------------------------- making

static void destroy(struct clrnn_chain *chain)
{
    if (chain->kernel)
        clReleaseKernel(chain->kernel);
    clrnn_buffer_destroy(&chain->state);
    clrnn_buffer_destroy(&chain->stages);
    clrnn_buffer_destroy(&chain->args);
}

static enum clrnn_status upload(struct clrnn_device *d, const uint32_t *words, size_t count, const char *what,
                                struct clrnn_buffer **buffer)
{
    TRY(clrnn_buffer_create(d, CLRNN_U32, count, what, buffer));
    return clrnn_buffer_write_i32(*buffer, 0, count, (const int32_t *)words);
}

static enum clrnn_status set_args(const struct making *m, struct clrnn_chain *c)
{
    const struct clrnn_device *d = m->launches->device;
    const cl_uint count = (cl_uint)(m->last - m->first);
    cl_uint at = 0;
    cl_int error;

    if ((error = clSetKernelArg(c->kernel, at++, sizeof(cl_mem), &c->state->mem)) == CL_SUCCESS &&
        (error = clSetKernelArg(c->kernel, at++, sizeof(cl_mem), &c->stages->mem)) == CL_SUCCESS &&
        (error = clSetKernelArg(c->kernel, at++, sizeof(cl_mem), &c->args->mem)) == CL_SUCCESS &&
        (error = clSetKernelArg(c->kernel, at++, sizeof(count), &count)) == CL_SUCCESS)
        error = clSetKernelArg(c->kernel, at++, MAX2(m->local_bytes, LOCAL_ALIGN), NULL);
    for (uint32_t s = 0; s < MAX2(m->slot_count, 1) && error == CL_SUCCESS; s++)
        error = clSetKernelArg(c->kernel, at++, sizeof(cl_mem), s < m->slot_count ? &m->slot[s]->mem : NULL);
    if (error == CL_SUCCESS)
        return CLRNN_OK;
    return clrnn_cl_error(d->log, error, "clSetKernelArg", "cl/chain.cl chain: argument %u, on %s", (unsigned)at,
                          d->info.name);
}

static enum clrnn_status make(struct making *m, struct clrnn_chain *c)
{
    struct clrnn_device *d = m->launches->device;
    const size_t count = m->last - m->first;
    char *source;
    cl_program program;
    cl_int error;
    enum clrnn_status st;

    TRY(gather(m));
    TRY(clrnn_buffer_create(d, CLRNN_U32, CHAIN_LINE * (1 + 2 * count), "a chain's state", &c->state));
    TRY(upload(d, m->stages, STAGE_FIELDS * count, "a chain's stages", &c->stages));
    TRY(upload(d, m->args, MAX2(m->arg_words, 1), "a chain's arguments", &c->args));
    TRY(clrnn_chain_source(d, m->function, m->function_count, MAX2(m->slot_count, 1), &source));
    st = clrnn_program_of(d, "chain", source, &program);
    free(source);
    TRY(st);
    c->kernel = clCreateKernel(program, "chain", &error);
    if (!c->kernel)
        return clrnn_cl_error(d->log, error, "clCreateKernel", "cl/chain.cl chain, on %s", d->info.name);
    c->groups = MIN2(MAX2(d->info.compute_units, 1), m->most_items);
    return set_args(m, c);
}

// Builds a chain of launches m->first to m->last - 1 and appends it to `chains`.
static enum clrnn_status append(struct making *m, struct clrnn_chains *chains)
{
    struct clrnn_chain chain = {.first = m->first, .last = m->last};
    enum clrnn_status st;

    if (!ARRAY_GROW(chains->chain, chains->count))
        return clrnn_error_memory(m->launches->device->log, 2 * chains->count * sizeof(chain), "a chain");
    st = make(m, &chain);
    if (st == CLRNN_OK)
        chains->chain[chains->count++] = chain;
    else
        destroy(&chain);
    free(m->function);
    free(m->stages);
    free(m->args);
    return st;
}

// Finds the next consecutive launches from `at` on, at least two, that can form a chain; stores their range in *m.
// False: there are none.
static bool next(struct clrnn_launches *launches, size_t at, struct making *m)
{
    const struct clrnn_device *d = launches->device;

    while (can_chain(d) && at < launches->count) {
        *m = (struct making){.launches = launches, .first = at};
        while (at < launches->count && (at == m->first || !launches->launch[at].stop) &&
               fits(d, &launches->launch[at]) && take_slots(m, &launches->launch[at]))
            at++;
        m->last = at;
        if (m->last - m->first > 1)
            return true;
        at = m->first + 1;
    }
    return false;
}

enum clrnn_status clrnn_chains_create(struct clrnn_launches *launches, struct clrnn_chains *chains)
{
    struct making m = {.last = 0};

    while (next(launches, m.last, &m)) {
        const enum clrnn_status st = append(&m, chains);

        if (st != CLRNN_OK) {
            clrnn_chains_destroy(chains);
            return st;
        }
    }
    return CLRNN_OK;
}

size_t clrnn_chains_queued(struct clrnn_launches *launches)
{
    struct making m = {.last = 0};
    size_t count = launches->count;

    while (next(launches, m.last, &m))
        count -= m.last - m.first - 1;
    return count;
}

void clrnn_chains_destroy(struct clrnn_chains *chains)
{
    for (size_t i = 0; i < chains->count; i++)
        destroy(&chains->chain[i]);
    free(chains->chain);
    *chains = (struct clrnn_chains){NULL, 0};
}

// ---------------------------------------------------------------- running

static enum clrnn_status run_chain(const struct clrnn_chain *chain, struct clrnn_launches *launches)
{
    const struct clrnn_device *d = launches->device;
    const size_t one = 1;
    const cl_int error = clEnqueueNDRangeKernel(d->queue, chain->kernel, 1, NULL, &chain->groups, &one, 0, NULL, NULL);

    for (size_t i = chain->first; i < chain->last; i++)
        launches->launch[i].info.runs++;
    return error == CL_SUCCESS
               ? CLRNN_OK
               : clrnn_cl_error(d->log, error, "clEnqueueNDRangeKernel", "the chain from %s %s to %s %s, on %s",
                                launches->launch[chain->first].info.op, launches->launch[chain->first].info.kernel,
                                launches->launch[chain->last - 1].info.op,
                                launches->launch[chain->last - 1].info.kernel, d->info.name);
}

enum clrnn_status clrnn_chains_run(const struct clrnn_chains *chains, struct clrnn_launches *launches, size_t first,
                                   size_t last)
{
    size_t at = first;

    for (size_t i = 0; i < chains->count; i++) {
        const struct clrnn_chain *chain = &chains->chain[i];

        if (chain->first < first || chain->last > last)
            continue;
        TRY(clrnn_launches_run_part(launches, at, chain->first));
        TRY(run_chain(chain, launches));
        at = chain->last;
    }
    return clrnn_launches_run_part(launches, at, last);
}
