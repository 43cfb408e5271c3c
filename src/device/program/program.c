// SPDX-License-Identifier: MIT
// OpenCL programs: built once per kernel file (stem) and set of defines, kept in memory and, as binaries, on disk.
#include "device/program/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "device/core/pocl.h"
#include "device/core/internal.h"
#include "device/program/bodies.h"
#include "device/program/cache.h"
#include "device/program/sources.h"

// Denormal numbers slow CPUs down a hundred times and are not needed, so they become zero. Relaxed maths is not
// enabled: it changes results and lets compilers assume that there is no NaN.
#define OPTIONS "-cl-std=CL1.2 -cl-denorms-are-zero -cl-kernel-arg-info"

/** Returns the build options. Warnings are off (-w) unless CLRNN_KERNEL_DIR is set, because some drivers print
 * warnings, or their number, even if nobody asks for the log. */
static const char *options_of(const struct clrnn_device *d)
{
    return d->kernel_dir ? OPTIONS : OPTIONS " -w";
}

#define TELL_AFTER_S 0.3    // seconds of building before the first message; reading programs from a cache takes less
#define TELL_AGAIN_S 2.0    // seconds between messages
#define COMPILED_FROM_S 0.1 // a program that takes more CPU seconds is compiled, not read from a cache

/** A program built from a kernel file cl/<stem>.cl with defines, or from a text written at run time. */
struct clrnn_program {
    char *key; // stem and options, "rnn -cl-std=CL1.2 ... -D H=64"; for clrnn_program_of: stem and the text's hash
    cl_program program;
    struct clrnn_program *next;
};

/** Returns the build options of a program, "-cl-std=CL1.2 ... -D H=64 -D RELU=1" (to be freed). NULL: out of memory. */
static char *make_options(const struct clrnn_device *d, struct clrnn_defines defines)
{
    size_t size;
    char *text = NULL;
    FILE *out = clrnn_text_open(&text, &size);

    if (!out)
        return NULL;
    fputs(options_of(d), out);
    fputs(d->quirks.cpu_options ? d->quirks.cpu_options : "", out);
    for (size_t i = 0; i < defines.count; i++)
        fprintf(out, " -D %s=%ld", defines.define[i].name, defines.define[i].value);
    clrnn_text_close(out, &text);
    return text;
}

/** Returns the driver's build log (to be freed), "" if the driver has none. NULL: out of memory. */
static char *build_log(const struct clrnn_device *d, cl_program program)
{
    size_t size = 0;
    char *text;

    if (clGetProgramBuildInfo(program, d->handles.id, CL_PROGRAM_BUILD_LOG, 0, NULL, &size) != CL_SUCCESS)
        size = 0;
    text = calloc(size + 1, 1);
    if (text && size)
        clGetProgramBuildInfo(program, d->handles.id, CL_PROGRAM_BUILD_LOG, size, text, NULL);
    for (size = text ? strlen(text) : 0; size && strchr(" \t\r\n", text[size - 1]); size--)
        text[size - 1] = 0;
    return text;
}

static void cache_key(const struct clrnn_device *d, const char *source, const char *options, char key[33])
{
    const char *variable;
    struct clrnn_hash h;

    clrnn_hash_init(&h);
    clrnn_hash_add_text(&h, "clrnn program 2");
    clrnn_hash_add_text(&h, source);
    clrnn_hash_add_text(&h, options);
    for (size_t i = 0; (variable = clrnn_quirks_build_variable(i)) != NULL; i++)
        clrnn_hash_add_text(&h, getenv(variable));
    clrnn_hash_add_text(&h, d->info.name);
    clrnn_hash_add_text(&h, d->info.vendor);
    clrnn_hash_add_text(&h, d->info.version);
    clrnn_hash_add_text(&h, d->info.driver);
    clrnn_hash_add_text(&h, d->info.platform_name);
    clrnn_hash_add_text(&h, d->info.platform_version);
    clrnn_hash_hex(&h, key);
}

/** Builds a program from its binary on disk. NULL: there is no binary, or the driver refuses it. */
static cl_program from_cache(struct clrnn_device *d, const char *key, const char *options)
{
    size_t size;
    unsigned char *data = clrnn_cache_read(d->cache_dir, key, &size);
    const unsigned char *binary = data;
    cl_program program = NULL;
    cl_int error, state;

    if (!data)
        return NULL;
    program = clCreateProgramWithBinary(d->context, 1, &d->handles.id, &size, &binary, &state, &error);
    free(data);
    if (!program)
        return NULL;
    if (error != CL_SUCCESS || state != CL_SUCCESS ||
        clBuildProgram(program, 1, &d->handles.id, options, NULL, NULL) != CL_SUCCESS) {
        clReleaseProgram(program);
        return NULL;
    }
    return program;
}

static void to_cache(const struct clrnn_device *d, const char *key, cl_program program)
{
    unsigned char *data;
    size_t size = 0;

    if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof(size), &size, NULL) != CL_SUCCESS || !size)
        return;
    data = malloc(size);
    if (data && clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof(data), &data, NULL) == CL_SUCCESS)
        clrnn_cache_write(d->cache_dir, key, data, size);
    free(data);
}

/** Builds a program from `count` texts and returns OpenCL's error. *program is NULL if it cannot be created. */
static cl_int build(struct clrnn_device *d, cl_uint count, const char **texts, const char *options, cl_program *program)
{
    cl_int error;

    *program = clCreateProgramWithSource(d->context, count, texts, NULL, &error);
    return *program ? clBuildProgram(*program, 1, &d->handles.id, options, NULL, NULL) : error;
}

/** Logs the compiler's messages about a program, if there are any. */
static void log_build(const struct clrnn_device *d, cl_program program, enum clrnn_log_level level, const char *stem,
                      const char *options)
{
    char *log = build_log(d, program);

    if (log && *log) {
        clrnn_log(d->log, level, "cl/%s.cl with \"%s\": the compiler says:", stem, options);
        clrnn_log_lines(d->log, level, log);
    }
    free(log);
}

/** Builds a program with cl/builtins.h in place of the driver's header; builtins.h compiles faster. False: the build
 * failed, perhaps because the program needs the driver's header. */
static bool with_builtins(struct clrnn_device *d, const char *stem, const char *source, const char *options,
                          cl_program *program)
{
    const bool splits = d->quirks.repeats_kernels && d->cpu_form && strcmp(stem, "chain") != 0;
    char *bodies = splits ? clrnn_source_bodies(source) : NULL;
    const char *texts[] = {clrnn_source_text("builtins.h"), bodies ? bodies : source};
    char *all = clrnn_format("%s -D _OPENCL_H_", options);
    const bool built = all && build(d, 2, texts, all, program) == CL_SUCCESS;

    if (*program)
        log_build(d, *program, CLRNN_LOG_DEBUG, stem, all);
    if (*program && !built) {
        clReleaseProgram(*program);
        *program = NULL;
    }
    free(all);
    free(bodies);
    return built;
}

static enum clrnn_status from_source(struct clrnn_device *d, const char *stem, const char *source, const char *options,
                                     cl_program *program)
{
    cl_int error;
    char *hint;

    *program = NULL;
    if (d->quirks.reads_builtins && d->info.type == CLRNN_DEVICE_CPU && // builtins.h is only for CPUs
        with_builtins(d, stem, source, options, program))
        return CLRNN_OK;
    error = build(d, 1, &source, options, program);
    if (!*program)
        return clrnn_cl_error(d->log, error, "clCreateProgramWithSource", "cl/%s.cl on %s", stem, d->info.name);
    log_build(d, *program, error == CL_SUCCESS ? CLRNN_LOG_DEBUG : CLRNN_LOG_WARNING, stem, options);
    if (error == CL_SUCCESS)
        return CLRNN_OK;
    hint = d->kernel_dir ? NULL : clrnn_device_cache_advice(&d->info);
    clrnn_error(d->log, CLRNN_ERR_BUILD,
                "cl/%s.cl does not build on %s (%s, driver %s) with \"%s\": clBuildProgram failed "
                "with %s (%d)%s",
                stem, d->info.name, d->info.platform_name, d->info.driver, options, clrnn_cl_error_name(error),
                (int)error, hint ? hint : "");
    free(hint);
    clReleaseProgram(*program);
    *program = NULL;
    return CLRNN_ERR_BUILD;
}

/** Returns the program that is in memory under `key`, or NULL. */
static cl_program find(const struct clrnn_device *d, const char *key)
{
    for (const struct clrnn_program *p = d->programs; p; p = p->next)
        if (strcmp(p->key, key) == 0)
            return p->program;
    return NULL;
}

/** If builds take long, logs messages from time to time. The first message says that kernels are being built. Later
 * messages say of how many ops the kernels are built. */
static void tell(struct clrnn_device *d)
{
    const double now = clrnn_clock();

    if (d->build_seconds < TELL_AFTER_S || now - d->told < TELL_AGAIN_S)
        return;
    if (!d->told)
        clrnn_log(d->log, CLRNN_LOG_INFO, "building the kernels for %s, once; later starts find them built",
                  d->info.name);
    else if (d->ops)
        clrnn_log(d->log, CLRNN_LOG_INFO, "the kernels of %zu of %zu ops are built", d->op, d->ops);
    d->told = now;
}

static double thread_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/** Builds a program, or reads its binary from disk. The device keeps the program, and takes ownership of `key`. */
static enum clrnn_status add(struct clrnn_device *d, char *key, const char *stem, const char *source,
                             const char *options, cl_program *program)
{
    const double start = clrnn_clock(), thread_start = thread_seconds();
    struct clrnn_program *p = calloc(1, sizeof(*p));
    char cached_as[33];

    if (!p) {
        free(key);
        return clrnn_error_memory(d->log, sizeof(*p), "a program");
    }
    p->key = key;
    if (d->cache_dir) {
        cache_key(d, source, options, cached_as);
        p->program = from_cache(d, cached_as, options);
    }
    if (p->program) {
        d->cached++;
    } else {
        const enum clrnn_status st = from_source(d, stem, source, options, &p->program);

        if (st != CLRNN_OK) {
            free(p->key);
            free(p);
            return st;
        }
        d->built++;
        if (d->cache_dir)
            to_cache(d, cached_as, p->program);
    }
    d->build_seconds += clrnn_clock() - start;
    d->compiles |= thread_seconds() - thread_start > COMPILED_FROM_S;
    tell(d);
    p->next = d->programs;
    d->programs = p;
    *program = p->program;
    return CLRNN_OK;
}

enum clrnn_status clrnn_program_get(struct clrnn_device *device, const char *stem, struct clrnn_defines defines,
                                    cl_program *program)
{
    char *options = make_options(device, defines), *key = options ? clrnn_format("%s %s", stem, options) : NULL;
    char *source = NULL;
    enum clrnn_status st = CLRNN_OK;

    *program = key ? find(device, key) : NULL;
    if (!key)
        st = clrnn_error_memory(device->log, 0, "a program");
    else if (!*program)
        st = clrnn_source_flatten(device->log, device->kernel_dir, stem, &source);
    if (source) {
        st = add(device, key, stem, source, options, program);
        key = NULL;
    }
    free(source);
    free(key);
    free(options);
    return st;
}

enum clrnn_status clrnn_program_of(struct clrnn_device *device, const char *stem, const char *source,
                                   cl_program *program)
{
    char *options = make_options(device, (struct clrnn_defines){0, NULL}), *key;
    enum clrnn_status st = CLRNN_OK;
    struct clrnn_hash h;
    char hex[33];

    clrnn_hash_init(&h);
    clrnn_hash_add_text(&h, source);
    clrnn_hash_hex(&h, hex);
    key = options ? clrnn_format("%s %s", stem, hex) : NULL;
    *program = key ? find(device, key) : NULL;
    if (!key)
        st = clrnn_error_memory(device->log, 0, "a program");
    else if (!*program)
        st = add(device, key, stem, source, options, program);
    else
        free(key);
    free(options);
    return st;
}

void clrnn_programs_finish(struct clrnn_device *device)
{
    while (device->programs) {
        struct clrnn_program *p = device->programs;

        device->programs = p->next;
        clReleaseProgram(p->program);
        free(p->key);
        free(p);
    }
}
