// SPDX-License-Identifier: MIT
// Kernel launches: checks arguments against the kernel's parameters, chooses work-group sizes, queues the kernels.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "device/core/pocl.h"
#include "device/list/builders.h"
#include "device/list/internal.h"
#include "device/program/program.h"
#include "device/program/sources.h"
#include "device/remember/choice.h"

static const char *const ARG_WORDS[] = {
    [CLRNN_ARG_BUFFER] = "a buffer", [CLRNN_ARG_UINT] = "a uint",        [CLRNN_ARG_INT] = "an int",
    [CLRNN_ARG_REAL] = "a real",     [CLRNN_ARG_LOCAL] = "local memory", [CLRNN_ARG_STRUCT] = "a struct",
};

// ---------------------------------------------------------------- arguments and running

static cl_kernel kernel_of(const struct clrnn_launches *launches, const struct clrnn_launch *l)
{
    return l->kernel.shared ? launches->shared[l->kernel.shared - 1].kernel : l->kernel.kernel;
}

static cl_int set_arg(cl_kernel kernel, cl_uint i, const struct clrnn_arg *a)
{
    const cl_float real = a->kind == CLRNN_ARG_REAL ? (cl_float)a->real : 0;

    switch (a->kind) {
    case CLRNN_ARG_BUFFER:
        return clSetKernelArg(kernel, i, sizeof(cl_mem), a->buffer ? &a->buffer->mem : NULL);
    case CLRNN_ARG_UINT:
    case CLRNN_ARG_INT:
        return clSetKernelArg(kernel, i, sizeof(a->word), &a->word);
    case CLRNN_ARG_REAL:
        return clSetKernelArg(kernel, i, sizeof(real), &real);
    case CLRNN_ARG_LOCAL:
        return clSetKernelArg(kernel, i, a->bytes, NULL);
    case CLRNN_ARG_STRUCT:
        return clSetKernelArg(kernel, i, a->bytes, a->data);
    }
    return CL_INVALID_ARG_VALUE;
}

static bool same_arg(const struct clrnn_arg *a, const struct clrnn_arg *b)
{
    switch (a->kind) {
    case CLRNN_ARG_BUFFER:
        return a->buffer == b->buffer;
    case CLRNN_ARG_REAL:
        return memcmp(&a->real, &b->real, sizeof(a->real)) == 0;
    case CLRNN_ARG_STRUCT:
        return a->bytes == b->bytes && memcmp(a->data, b->data, a->bytes) == 0;
    default:
        return a->word == b->word;
    }
}

// Sets the arguments of a shared kernel object for a launch. The object may still have the arguments of another launch;
// arguments that are the same are not set again. OpenCL copied the arguments when the other launch was queued, so they
// may be changed.
static enum clrnn_status set_shared(struct clrnn_launches *launches, const struct clrnn_launch *l)
{
    struct clrnn_shared_kernel *shared = &launches->shared[l->kernel.shared - 1];
    const size_t at = (size_t)(l - launches->launch);
    const struct clrnn_arg *before = shared->set == SIZE_MAX ? NULL : launches->launch[shared->set].kernel.args;

    if (shared->set == at)
        return CLRNN_OK;
    shared->set = SIZE_MAX;
    for (cl_uint i = 0; i < l->kernel.arg_count; i++) {
        const struct clrnn_arg *a = &l->kernel.args[i];
        const cl_int error = before && same_arg(a, &before[i]) ? CL_SUCCESS : set_arg(shared->kernel, i, a);

        if (error != CL_SUCCESS)
            return clrnn_cl_error(launches->device->log, error, "clSetKernelArg", "%s: cl/%s.cl %s: argument %u, on %s",
                                  l->info.op, l->kernel.stem, l->name, (unsigned)i + 1, launches->device->info.name);
    }
    shared->set = at;
    return CLRNN_OK;
}

enum clrnn_status clrnn_kernel_run(struct clrnn_launches *launches, struct clrnn_launch *l, cl_event *event)
{
    const struct clrnn_device *d = launches->device;
    cl_int error;

    if (l->kernel.shared)
        TRY(set_shared(launches, l));
    error = clEnqueueNDRangeKernel(d->queue, kernel_of(launches, l), l->kernel.dims, NULL, l->kernel.global,
                                   l->kernel.local, 0, NULL, event);
    return error == CL_SUCCESS
               ? CLRNN_OK
               : clrnn_cl_error(d->log, error, "clEnqueueNDRangeKernel", "%s: kernel %s of cl/%s.cl, %s, on %s",
                                l->info.op, l->name, l->kernel.stem, l->info.shape, d->info.name);
}

// ---------------------------------------------------------------- checks

static bool one_of(const char *type, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(type, *names) == 0)
            return true;
    return false;
}

/** Whether a scalar argument of this kind fits a kernel parameter of this type. Accepts every argument for types that
 * clRNN's kernels do not use. */
static bool scalar_fits(enum clrnn_arg_kind kind, const char *type)
{
    static const char *const reals[] = {"real", "float", NULL};
    static const char *const uints[] = {"uint", "unsigned int", "uint32_t", NULL};
    static const char *const ints[] = {"int", "int32_t", NULL};
    const bool is_real = one_of(type, reals), is_uint = one_of(type, uints), is_int = one_of(type, ints);

    if (!is_real && !is_uint && !is_int)
        return true;
    if (kind == CLRNN_ARG_STRUCT)
        return false;
    return kind == CLRNN_ARG_REAL ? is_real : kind == CLRNN_ARG_UINT ? is_uint : is_int;
}

/** Whether a buffer's elements (reals or integers) match a pointer parameter of this type. Accepts NULL, and every
 * buffer for types that clRNN's kernels do not use. */
static bool buffer_fits(const struct clrnn_buffer *b, const char *type)
{
    const bool real = strncmp(type, "real", 4) == 0 || strncmp(type, "float", 5) == 0;
    const bool word = strncmp(type, "int", 3) == 0 || strncmp(type, "uint", 4) == 0;

    return (!real && !word) || !b || (b->type == CLRNN_REAL) == real;
}

/** Checks one argument against the type of the kernel's parameter, if the driver reports that type. */
static enum clrnn_status check_type(const struct clrnn_device *d, const char *stem, const char *name, cl_kernel kernel,
                                    cl_uint i, const struct clrnn_arg *arg)
{
    cl_kernel_arg_address_qualifier where = 0;
    char type[64] = "", parameter[64] = "";
    bool fits;

    if (clGetKernelArgInfo(kernel, i, CL_KERNEL_ARG_ADDRESS_QUALIFIER, sizeof(where), &where, NULL) != CL_SUCCESS ||
        clGetKernelArgInfo(kernel, i, CL_KERNEL_ARG_TYPE_NAME, sizeof(type) - 1, type, NULL) != CL_SUCCESS)
        return CLRNN_OK;
    clGetKernelArgInfo(kernel, i, CL_KERNEL_ARG_NAME, sizeof(parameter) - 1, parameter, NULL);
    if (where == CL_KERNEL_ARG_ADDRESS_GLOBAL || where == CL_KERNEL_ARG_ADDRESS_CONSTANT)
        fits = arg->kind == CLRNN_ARG_BUFFER && buffer_fits(arg->buffer, type);
    else if (where == CL_KERNEL_ARG_ADDRESS_LOCAL)
        fits = arg->kind == CLRNN_ARG_LOCAL;
    else
        fits = arg->kind != CLRNN_ARG_BUFFER && arg->kind != CLRNN_ARG_LOCAL && scalar_fits(arg->kind, type);
    if (fits)
        return CLRNN_OK;
    return clrnn_error(d->log, CLRNN_ERR_ARG, "cl/%s.cl %s: argument %u is %s%s%s, the kernel wants \"%s%s %s\"", stem,
                       name, (unsigned)i + 1, ARG_WORDS[arg->kind],
                       arg->kind == CLRNN_ARG_BUFFER && arg->buffer
                           ? (arg->buffer->type == CLRNN_REAL ? " of reals, " : " of integers, ")
                           : "",
                       arg->kind == CLRNN_ARG_BUFFER && arg->buffer ? arg->buffer->what : "",
                       where == CL_KERNEL_ARG_ADDRESS_LOCAL     ? "local "
                       : where == CL_KERNEL_ARG_ADDRESS_PRIVATE ? ""
                                                                : "global ",
                       type, parameter);
}

static enum clrnn_status set_args(const struct clrnn_device *d, const char *stem, const char *name, cl_kernel kernel,
                                  size_t count, const struct clrnn_arg *args)
{
    cl_uint wanted = 0;
    cl_int error = clGetKernelInfo(kernel, CL_KERNEL_NUM_ARGS, sizeof(wanted), &wanted, NULL);

    if (error != CL_SUCCESS)
        return clrnn_cl_error(d->log, error, "clGetKernelInfo", "cl/%s.cl %s, on %s", stem, name, d->info.name);
    if (wanted != count)
        return clrnn_error(d->log, CLRNN_ERR_ARG, "cl/%s.cl %s: got %zu arguments, the kernel has %u", stem, name,
                           count, (unsigned)wanted);
    for (cl_uint i = 0; i < wanted; i++) {
        const struct clrnn_arg *a = &args[i];

        if (a->kind == CLRNN_ARG_BUFFER && a->buffer && a->buffer->device != d)
            return clrnn_error(d->log, CLRNN_ERR_ARG, "cl/%s.cl %s: argument %u, %s, lies on another device", stem,
                               name, (unsigned)i + 1, a->buffer->what);
        TRY(check_type(d, stem, name, kernel, i, a));
        error = set_arg(kernel, i, a);
        if (error != CL_SUCCESS)
            return clrnn_cl_error(d->log, error, "clSetKernelArg", "cl/%s.cl %s: argument %u, %s, on %s", stem, name,
                                  (unsigned)i + 1, ARG_WORDS[a->kind], d->info.name);
    }
    return CLRNN_OK;
}

// ---------------------------------------------------------------- sizes

/** Returns the number of work-items per work-group: 64, or the number that was measured as fastest. It is at most
 * `most`, and no larger than the global size needs. */
static size_t choose_items(struct clrnn_launches *launches, const char *name, const struct clrnn_range *range,
                           size_t most)
{
    static const char *const word[] = {"16", "32", "64", "128", "256", "512"};
    static const size_t size[] = {16, 32, 64, 128, 256, 512};
    char text[64];
    double all = 1;
    unsigned count = 1;

    for (unsigned k = 0; k < range->dims; k++)
        all *= (double)range->global[k];
    while (count < ARRAY_SIZE(size) && size[count] <= most && (double)size[count - 1] < all)
        count++;
    snprintf(text, sizeof(text), "%s group", name);
    return MIN2(size[clrnn_choose(launches, text, MIN2(2, count - 1), count, word)], MAX2(most, 1));
}

/** Sets the local size if the caller left it open. If the kernel requires a size (reqd_work_group_size), that size is
 * used. Kernels for CPUs get size 1, because CPU drivers run a work-group on one thread. For other kernels,
 * choose_items returns the most work-items of a work-group. As many as possible are along dimension 0, then along the
 * others. */
static void choose_local(struct clrnn_launches *launches, const char *name, cl_kernel kernel,
                         const struct clrnn_range *range, size_t local[3])
{
    const struct clrnn_device *d = launches->device;
    size_t fixed[3] = {0, 0, 0}, most = 1, items;

    if (clGetKernelWorkGroupInfo(kernel, d->handles.id, CL_KERNEL_COMPILE_WORK_GROUP_SIZE, sizeof(fixed), fixed,
                                 NULL) == CL_SUCCESS &&
        fixed[0]) {
        memcpy(local, fixed, sizeof(fixed));
        return;
    }
    local[0] = local[1] = local[2] = 1;
    if (d->cpu_form)
        return;
    if (clGetKernelWorkGroupInfo(kernel, d->handles.id, CL_KERNEL_WORK_GROUP_SIZE, sizeof(most), &most, NULL) !=
        CL_SUCCESS)
        most = d->info.max_work_group_size;
    items = choose_items(launches, name, range, most);
    for (unsigned k = 0; k < range->dims; k++)
        while (local[k] < range->global[k] && local[0] * local[1] * local[2] * 2 <= items)
            local[k] *= 2;
}

static void print_shape(char shape[64], const struct clrnn_launch *l)
{
    int at = snprintf(shape, 64, "global %zu", l->kernel.global[0]);

    for (cl_uint k = 1; k < l->kernel.dims && at < 64; k++)
        at += snprintf(shape + at, 64 - (size_t)at, "x%zu", l->kernel.global[k]);
    if (at < 64)
        at += snprintf(shape + at, 64 - (size_t)at, " local %zu", l->kernel.local[0]);
    for (cl_uint k = 1; k < l->kernel.dims && at < 64; k++)
        at += snprintf(shape + at, 64 - (size_t)at, "x%zu", l->kernel.local[k]);
}

/** Sets a launch's dimensions and its global and local sizes. Rounds global sizes up to multiples of local sizes. */
static enum clrnn_status set_range(struct clrnn_launches *launches, struct clrnn_launch *l,
                                   const struct clrnn_range *range)
{
    const struct clrnn_device *d = launches->device;

    if (range->dims < 1 || range->dims > 3)
        return clrnn_error(d->log, CLRNN_ERR_ARG, "cl/%s.cl %s: a range of %u dimensions, expected 1 to 3",
                           l->kernel.stem, l->name, range->dims);
    l->kernel.dims = range->dims;
    if (range->local[0])
        memcpy(l->kernel.local, range->local, sizeof(l->kernel.local));
    else
        choose_local(launches, l->name, kernel_of(launches, l), range, l->kernel.local);
    for (unsigned k = 0; k < range->dims; k++) {
        const size_t local = l->kernel.local[k];

        if (!range->global[k] || !local)
            return clrnn_error(d->log, CLRNN_ERR_ARG, "cl/%s.cl %s: global size %zu, local size %zu in dimension %u",
                               l->kernel.stem, l->name, range->global[k], local, k);
        l->kernel.global[k] = (range->global[k] + local - 1) / local * local;
    }
    print_shape(l->info.shape, l);
    return CLRNN_OK;
}

// ---------------------------------------------------------------- launches

/** Stores the launch's kernel name, stem (of the file cl/<stem>.cl) and defines in one allocation. */
static enum clrnn_status name_launch(const struct clrnn_device *d, struct clrnn_launch *l, const char *stem,
                                     const char *name, struct clrnn_defines defines)
{
    size_t size;
    FILE *out = clrnn_text_open(&l->name, &size);

    if (out) {
        fprintf(out, "%s%c%s%c", name, 0, stem, 0);
        for (size_t i = 0; i < defines.count; i++)
            fprintf(out, "%s%s=%ld", i ? " " : "", defines.define[i].name, defines.define[i].value);
        if (clrnn_text_close(out, &l->name)) {
            l->kernel.stem = l->name + strlen(name) + 1;
            l->kernel.defines = l->kernel.stem + strlen(stem) + 1;
            return CLRNN_OK;
        }
    }
    return clrnn_error_memory(d->log, 0, "a launch");
}

/** Copies the arguments into the launch, for chains and shared kernel objects, which set them later. */
static enum clrnn_status keep_args(const struct clrnn_device *d, struct clrnn_launch *l, size_t count,
                                   const struct clrnn_arg *args)
{
    size_t bytes = (count + 1) * sizeof(*args);
    char *behind;

    for (size_t i = 0; i < count; i++)
        bytes += args[i].kind == CLRNN_ARG_STRUCT ? args[i].bytes : 0;
    l->owned = l->kernel.args = malloc(bytes);
    if (!l->kernel.args)
        return clrnn_error_memory(d->log, bytes, "a launch");
    memcpy(l->kernel.args, args, count * sizeof(*args));
    behind = (char *)(l->kernel.args + count + 1);
    for (size_t i = 0; i < count; i++)
        if (args[i].kind == CLRNN_ARG_STRUCT) { // the caller's struct may not outlive the call
            l->kernel.args[i].data = memcpy(behind, args[i].data, args[i].bytes);
            behind += args[i].bytes;
        }
    l->kernel.arg_count = count;
    return CLRNN_OK;
}

// Launches of a list after this number share kernel objects, because each object takes 1 kB or more. Lists get so long
// if a layer has launches for each time step of a long sequence.
enum { SHARED_FROM = 1 << 14 };

/** Logs why clCreateKernel failed: the source has no such kernel, or the driver lost it. Returns the
 * status. */
static enum clrnn_status error_no_kernel(const struct clrnn_device *d, const char *stem, const char *name, cl_int error)
{
    char *source = NULL, *hint = clrnn_device_cache_advice(&d->info);
    char definition[96];
    enum clrnn_status st = CLRNN_ERR_DEVICE;

    snprintf(definition, sizeof(definition), "void %s(", name);
    if (error == CL_INVALID_KERNEL_NAME && clrnn_source_flatten(NULL, d->kernel_dir, stem, &source) == CLRNN_OK &&
        !strstr(source, definition))
        st = clrnn_error(d->log, CLRNN_ERR_ARG, "cl/%s.cl has no kernel %s", stem, name);
    else
        clrnn_error(d->log, st, "the program that %s has made of cl/%s.cl is without kernel %s (%s)%s",
                    d->info.platform_name, stem, name, clrnn_cl_error_name(error), hint ? hint : "");
    free(source);
    free(hint);
    return st;
}

static bool same_kernel(const char *name, const struct clrnn_launch *l)
{
    const char *stem = name + strlen(name) + 1, *defines = stem + strlen(stem) + 1;

    return !strcmp(name, l->name) && !strcmp(stem, l->kernel.stem) && !strcmp(defines, l->kernel.defines);
}

static void use_shared(struct clrnn_launches *launches, struct clrnn_launch *l, size_t shared)
{
    l->name = launches->shared[shared].name;
    l->kernel.stem = l->name + strlen(l->name) + 1;
    l->kernel.defines = l->kernel.stem + strlen(l->kernel.stem) + 1;
    l->kernel.kernel = NULL;
    l->kernel.shared = shared + 1;
}

/** Gives a launch its kernel object: an object of its own or, in a long list (SHARED_FROM), the object shared by
 * launches with the same name, stem and defines. */
static enum clrnn_status take_kernel(struct clrnn_launches *launches, struct clrnn_launch *l, cl_program program)
{
    const bool shares = launches->count > SHARED_FROM;
    cl_int error;

    for (size_t i = 0; shares && i < launches->shared_count; i++)
        if (same_kernel(launches->shared[i].name, l)) {
            free(l->name);
            use_shared(launches, l, i);
            return CLRNN_OK;
        }
    l->kernel.kernel = clCreateKernel(program, l->name, &error);
    if (!l->kernel.kernel)
        return error_no_kernel(launches->device, l->kernel.stem, l->name, error);
    if (!shares)
        return CLRNN_OK;
    if (!ARRAY_GROW(launches->shared, launches->shared_count))
        return clrnn_error_memory(launches->device->log, 0, "a list of launches");
    launches->shared[launches->shared_count] = (struct clrnn_shared_kernel){l->kernel.kernel, l->name, SIZE_MAX};
    use_shared(launches, l, launches->shared_count++);
    return CLRNN_OK;
}

// Gets a program. Tells the builders (builders.h) when the device's first program is being built. If the build takes
// long, no cache has the program, nor its compiled kernels. So builders start meanwhile, to be ready for the kernels.
static enum clrnn_status get_program(struct clrnn_device *d, const char *stem, struct clrnn_defines defines,
                                     cl_program *program)
{
    const bool first = d->builders && !d->programs;
    enum clrnn_status st;

    if (first)
        clrnn_builders_expect(d->builders, d, true);
    st = clrnn_program_get(d, stem, defines, program);
    if (first)
        clrnn_builders_expect(d->builders, d, false);
    return st;
}

enum clrnn_status clrnn_launch_kernel(struct clrnn_launches *launches, const char *stem, const char *name,
                                      struct clrnn_defines defines, struct clrnn_range range, struct clrnn_cost cost,
                                      size_t arg_count, const struct clrnn_arg *args)
{
    struct clrnn_device *d = launches->device;
    const size_t before = launches->count;
    struct clrnn_launch *l;
    cl_program program;
    enum clrnn_status st;

    if (clrnn_device_is_ref(d))
        return clrnn_error(d->log, CLRNN_ERR_ARG, "cl/%s.cl %s: kernels do not run on ref", stem, name);
    TRY(get_program(d, stem, defines, &program));
    TRY(clrnn_launches_add(launches, clrnn_kernel_run, "", cost, &l));
    st = name_launch(d, l, stem, name, defines);
    if (st == CLRNN_OK)
        st = keep_args(d, l, arg_count, args);
    if (st == CLRNN_OK)
        st = take_kernel(launches, l, program);
    l->info.kernel = l->name;
    if (st == CLRNN_OK)
        st = set_args(d, stem, name, kernel_of(launches, l), arg_count, args);
    if (l->kernel.shared)
        launches->shared[l->kernel.shared - 1].set = st == CLRNN_OK ? before : SIZE_MAX;
    if (st == CLRNN_OK)
        st = set_range(launches, l, &range);
    if (st != CLRNN_OK)
        clrnn_launches_cut(launches, before);
    else if (d->builders && d->compiles)
        clrnn_builders_add(d->builders, d,
                           &(struct clrnn_builders_job){stem, name, defines, l->kernel.dims, l->kernel.global,
                                                        l->kernel.local, cost.flops, arg_count, args});
    return st;
}
