// SPDX-License-Identifier: MIT
// Programs: built once per stem and defines, kept in memory and, as binaries, on disk.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "device/device.h"
#include "device/sources.h"

// Denormals cost CPUs a hundredfold and carry nothing here. No relaxed maths: see the numbers' contract.
#define OPTIONS "-cl-std=CL1.2 -cl-denorms-are-zero -cl-kernel-arg-info"

/** "-cl-std=CL1.2 ... -D H=64 -D RELU=1" in fresh memory. NULL: no memory. */
static char *make_options(struct clrnn_defines defines)
{
    size_t size;
    char *text = NULL;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    fputs(OPTIONS, out);
    for (size_t i = 0; i < defines.count; i++)
        fprintf(out, " -D %s=%ld", defines.define[i].name, defines.define[i].value);
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}

/** The driver's log in fresh memory, "" where it keeps none. NULL: no memory. */
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
    // What drivers add to the options by themselves.
    static const char *const added[] = {"AMD_OCL_BUILD_OPTIONS", "AMD_OCL_BUILD_OPTIONS_APPEND",
                                        "OCLGRIND_BUILD_OPTIONS", "POCL_EXTRA_BUILD_FLAGS"};
    struct clrnn_hash h;

    clrnn_hash_init(&h);
    clrnn_hash_add_text(&h, "clrnn program 2");
    clrnn_hash_add_text(&h, source);
    clrnn_hash_add_text(&h, options);
    for (size_t i = 0; i < ARRAY_SIZE(added); i++)
        clrnn_hash_add_text(&h, getenv(added[i]));
    clrnn_hash_add_text(&h, d->info.name);
    clrnn_hash_add_text(&h, d->info.vendor);
    clrnn_hash_add_text(&h, d->info.version);
    clrnn_hash_add_text(&h, d->info.driver);
    clrnn_hash_add_text(&h, d->info.platform_name);
    clrnn_hash_add_text(&h, d->info.platform_version);
    clrnn_hash_hex(&h, key);
}

/** The program from a binary on disk, or NULL. */
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

static enum clrnn_status from_source(struct clrnn_device *d, const char *stem, const char *source,
                                     const char *options, cl_program *program)
{
    enum clrnn_status st = CLRNN_OK;
    cl_int error;
    char *log;

    *program = clCreateProgramWithSource(d->context, 1, &source, NULL, &error);
    if (!*program)
        return clrnn_cl_error(d->log, error, "clCreateProgramWithSource", "cl/%s.cl on %s", stem,
                              d->info.name);
    error = clBuildProgram(*program, 1, &d->handles.id, options, NULL, NULL);
    log = build_log(d, *program);
    if (error != CL_SUCCESS) {
        st = clrnn_error(
            d->log, CLRNN_ERR_BUILD,
            "cl/%s.cl does not build on %s (%s, driver %s) with \"%s\": clBuildProgram failed with %s "
            "(%d); the compiler says:\n%s",
            stem, d->info.name, d->info.platform_name, d->info.driver, options, clrnn_cl_error_name(error),
            (int)error, log && *log ? log : "(nothing)");
        clReleaseProgram(*program);
        *program = NULL;
    } else if (log && *log) {
        clrnn_log(d->log, CLRNN_LOG_DEBUG, "cl/%s.cl with \"%s\": the compiler says:\n%s", stem, options,
                  log);
    }
    free(log);
    return st;
}

enum clrnn_status clrnn_program_get(struct clrnn_device *device, const char *stem,
                                    struct clrnn_defines defines, cl_program *program)
{
    char *options = make_options(defines), *key = NULL, *source = NULL, cached_as[33];
    struct clrnn_program *p = NULL;
    const double start = clrnn_clock();
    enum clrnn_status st = CLRNN_OK;

    *program = NULL;
    key = options ? clrnn_format("%s %s", stem, options) : NULL;
    if (!key) {
        st = clrnn_error_memory(device->log, 256, "a program");
        goto end;
    }
    for (const struct clrnn_program *q = device->programs; q; q = q->next)
        if (strcmp(q->key, key) == 0) {
            *program = q->program;
            goto end;
        }

    st = clrnn_source_flatten(device->log, device->kernel_dir, stem, &source);
    if (st != CLRNN_OK)
        goto end;
    p = calloc(1, sizeof(*p));
    if (!p) {
        st = clrnn_error_memory(device->log, sizeof(*p), "a program");
        goto end;
    }
    if (device->cache_dir) {
        cache_key(device, source, options, cached_as);
        p->program = from_cache(device, cached_as, options);
    }
    if (p->program) {
        device->cached++;
    } else {
        st = from_source(device, stem, source, options, &p->program);
        if (st != CLRNN_OK)
            goto end;
        device->built++;
        if (device->cache_dir)
            to_cache(device, cached_as, p->program);
    }
    device->build_seconds += clrnn_clock() - start;
    p->key = key;
    p->next = device->programs;
    device->programs = p;
    *program = p->program;
    key = NULL;
    p = NULL;

end:
    free(p);
    free(source);
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
