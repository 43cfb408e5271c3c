// SPDX-License-Identifier: MIT
// An OpenCL layer for tests (the ICD loader's OPENCL_LAYERS): counts objects, records calls, and makes one call fail.
//
//     FAULT_REPORT=FILE    gets a line "fault N FUNCTION SITE" for the call that was made to fail and, with
//                          FAULT_TRACE, a line "call N FUNCTION SITE" for every call. A site is the chain of
//                          callers, innermost first.
//     FAULT_COUNTS=FILE    gets pairs of 64-bit numbers: how many objects were created or retained, and how
//                          many released. There is a pair each for contexts, queues, memory, programs,
//                          kernels and events. The file is up to date even after a crash.
//     FAULT=[FUNCTION[@SITE]:]N:WHAT   selects the N-th call, counted from 1. FUNCTION and SITE restrict the count
//                          to calls of this function from a site that begins with SITE. WHAT is the number of
//                          an error, "delay" (the call is 0.2 s late), "hang" (the call never returns) or
//                          "short" (a call that reads a buffer or a value succeeds, but gives half of the data).
//     FAULT_IN=child       The layer acts only in children of the tested process. Without this setting it acts
//                          only in the tested process itself, which the test makes the leader of a session.
//
// A call that is made to fail does nothing. Calls that wait or release are an exception: they do their work, and then
// return the error.
#include "tests/opencl_layer.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum object { CONTEXT, QUEUE, MEMORY, PROGRAM, KERNEL, EVENT, OBJECTS };
enum what { NOTHING, FAIL, SHORT };

static struct {
    pthread_mutex_t lock;
    bool watching, trace;
    int report;
    uint64_t (*count)[2];
    char function[64], site[128]; // "": any function, any site
    unsigned long fault_at, calls, matches;
    cl_int error;
    bool is_delay, is_hang, is_short;
} layer = {.lock = PTHREAD_MUTEX_INITIALIZER, .report = -1};

static void count(enum object object, bool released)
{
    if (layer.count)
        __atomic_add_fetch(&layer.count[object][released], 1, __ATOMIC_RELAXED);
}

// Writes the site of the current call: up to four callers outside this layer, the ICD loader and libc, as offsets into
// their modules.
static void print_site(char *text, size_t size)
{
    void *frame[16];
    const int depth = backtrace(frame, 16);
    size_t used = 0;
    int named = 0;

    text[0] = 0;
    for (int i = 0; i < depth && named < 4 && used < size; i++) {
        Dl_info info;
        const char *module;

        if (!dladdr(frame[i], &info) || !info.dli_fname)
            continue;
        module = strrchr(info.dli_fname, '/');
        module = module ? module + 1 : info.dli_fname;
        if (strstr(module, "fault_layer") || strstr(module, "libOpenCL") || strstr(module, "libc.so"))
            continue;
        used += (size_t)snprintf(text + used, size - used, "%s%s+%#lx", named ? "," : "", module,
                                 (unsigned long)((char *)frame[i] - (char *)info.dli_fbase));
        named++;
    }
}

static bool from_site(void)
{
    char site[400];

    if (!layer.site[0])
        return true;
    print_site(site, sizeof(site));
    return strncmp(site, layer.site, strlen(layer.site)) == 0;
}

static void report(const char *word, const char *function)
{
    char line[512], site[400];
    int length;

    print_site(site, sizeof(site));
    length = snprintf(line, sizeof(line), "%s %lu %s %s\n", word, layer.calls, function, site);
    if (write(layer.report, line, (size_t)length) != length)
        abort(); // a test without its report proves nothing
}

// Decides what happens to this call. Sets *error if the call is to fail.
static enum what called(const char *function, cl_int *error)
{
    enum what what = NOTHING;

    *error = CL_SUCCESS;
    if (!layer.watching)
        return NOTHING;
    pthread_mutex_lock(&layer.lock);
    layer.calls++;
    if (layer.trace && layer.report >= 0)
        report("call", function);
    if ((!layer.function[0] || strcmp(layer.function, function) == 0) && from_site())
        if (++layer.matches == layer.fault_at) {
            what = layer.is_delay ? NOTHING : layer.is_short ? SHORT : FAIL;
            *error = what == FAIL ? layer.error : CL_SUCCESS;
            if (layer.report >= 0)
                report("fault", function);
            if (layer.is_delay)
                nanosleep(&(struct timespec){0, 200000000}, NULL);
            while (layer.is_hang)
                pause();
        }
    pthread_mutex_unlock(&layer.lock);
    return what;
}

// ---------------------------------------------------------------- calls that give a status

#define PLAIN(name, parameters, arguments) \
    static cl_int CL_API_CALL my_##name parameters \
    { \
        cl_int error; \
\
        return called(#name, &error) == FAIL ? error : layer_next->name arguments; \
    }

PLAIN(clGetPlatformIDs, (cl_uint n, cl_platform_id *p, cl_uint *r), (n, p, r))
PLAIN(clGetDeviceIDs, (cl_platform_id p, cl_device_type t, cl_uint n, cl_device_id *d, cl_uint *r), (p, t, n, d, r))
PLAIN(clBuildProgram,
      (cl_program p, cl_uint n, const cl_device_id *d, const char *o, void(CL_CALLBACK *f)(cl_program, void *),
       void *u),
      (p, n, d, o, f, u))
PLAIN(clSetKernelArg, (cl_kernel k, cl_uint i, size_t n, const void *v), (k, i, n, v))
PLAIN(clFlush, (cl_command_queue q), (q))

// With "short", the returned size is half of the value's size, and the value is all zeros.
#define INFO(name, handle) \
    static cl_int CL_API_CALL my_##name(handle h, cl_uint i, size_t n, void *v, size_t *r) \
    { \
        cl_int error; \
        const enum what what = called(#name, &error); \
        size_t whole = 0; \
\
        if (what == FAIL) \
            return error; \
        if (what == NOTHING) \
            return layer_next->name(h, i, n, v, r); \
        error = layer_next->name(h, i, 0, NULL, &whole); \
        if (v) \
            memset(v, 0, n); \
        if (r) \
            *r = whole / 2; \
        return error; \
    }

INFO(clGetPlatformInfo, cl_platform_id)
INFO(clGetDeviceInfo, cl_device_id)
INFO(clGetContextInfo, cl_context)
INFO(clGetCommandQueueInfo, cl_command_queue)
INFO(clGetMemObjectInfo, cl_mem)
INFO(clGetProgramInfo, cl_program)
INFO(clGetKernelInfo, cl_kernel)
INFO(clGetEventInfo, cl_event)
INFO(clGetEventProfilingInfo, cl_event)

PLAIN(clGetProgramBuildInfo, (cl_program p, cl_device_id d, cl_uint i, size_t n, void *v, size_t *r),
      (p, d, i, n, v, r))
PLAIN(clGetKernelWorkGroupInfo, (cl_kernel k, cl_device_id d, cl_uint i, size_t n, void *v, size_t *r),
      (k, d, i, n, v, r))
PLAIN(clGetKernelArgInfo, (cl_kernel k, cl_uint a, cl_uint i, size_t n, void *v, size_t *r), (k, a, i, n, v, r))

// ---------------------------------------------------------------- calls that make, hold or drop objects

#define CREATE(name, type, object, parameters, arguments) \
    static type CL_API_CALL my_##name parameters \
    { \
        cl_int error; \
        type made; \
\
        if (called(#name, &error) == FAIL) { \
            if (e) \
                *e = error; \
            return NULL; \
        } \
        made = layer_next->name arguments; \
        if (made) \
            count(object, false); \
        return made; \
    }

CREATE(clCreateContext, cl_context, CONTEXT,
       (const cl_context_properties *p, cl_uint n, const cl_device_id *d,
        void(CL_CALLBACK *f)(const char *, const void *, size_t, void *), void *u, cl_int *e),
       (p, n, d, f, u, e))
CREATE(clCreateCommandQueue, cl_command_queue, QUEUE,
       (cl_context c, cl_device_id d, cl_command_queue_properties p, cl_int *e), (c, d, p, e))
// Whether a buffer exceeds FAULT_MOST_BYTES, the largest size that the layer lets the device accept.
static bool is_too_large(size_t bytes)
{
    const char *most = getenv("FAULT_MOST_BYTES");

    return most && bytes > strtoull(most, NULL, 10);
}

static cl_mem CL_API_CALL my_clCreateBuffer(cl_context c, cl_mem_flags f, size_t n, void *h, cl_int *e)
{
    cl_int error = CL_MEM_OBJECT_ALLOCATION_FAILURE;
    cl_mem made;

    if (is_too_large(n) || called("clCreateBuffer", &error) == FAIL) {
        if (e)
            *e = error;
        return NULL;
    }
    made = layer_next->clCreateBuffer(c, f, n, h, e);
    if (made)
        count(MEMORY, false);
    return made;
}

CREATE(clCreateSubBuffer, cl_mem, MEMORY, (cl_mem m, cl_mem_flags f, cl_buffer_create_type t, const void *i, cl_int *e),
       (m, f, t, i, e))
CREATE(clCreateProgramWithSource, cl_program, PROGRAM,
       (cl_context c, cl_uint n, const char **s, const size_t *l, cl_int *e), (c, n, s, l, e))
CREATE(clCreateProgramWithBinary, cl_program, PROGRAM,
       (cl_context c, cl_uint n, const cl_device_id *d, const size_t *l, const unsigned char **b, cl_int *s, cl_int *e),
       (c, n, d, l, b, s, e))
CREATE(clCreateKernel, cl_kernel, KERNEL, (cl_program p, const char *n, cl_int *e), (p, n, e))

// A release that reports a failure must still release the object.
#define HOLD(retain, release, type, object) \
    static cl_int CL_API_CALL my_##retain(type h) \
    { \
        cl_int error; \
\
        if (called(#retain, &error) == FAIL) \
            return error; \
        count(object, false); \
        return layer_next->retain(h); \
    } \
    static cl_int CL_API_CALL my_##release(type h) \
    { \
        cl_int error, done; \
        const bool fails = called(#release, &error) == FAIL; \
\
        count(object, true); \
        done = layer_next->release(h); \
        return fails ? error : done; \
    }

HOLD(clRetainContext, clReleaseContext, cl_context, CONTEXT)
HOLD(clRetainCommandQueue, clReleaseCommandQueue, cl_command_queue, QUEUE)
HOLD(clRetainMemObject, clReleaseMemObject, cl_mem, MEMORY)
HOLD(clRetainProgram, clReleaseProgram, cl_program, PROGRAM)
HOLD(clRetainKernel, clReleaseKernel, cl_kernel, KERNEL)
HOLD(clRetainEvent, clReleaseEvent, cl_event, EVENT)

// ---------------------------------------------------------------- calls that queue or wait

#define WAIT(name, parameters, arguments) \
    static cl_int CL_API_CALL my_##name parameters \
    { \
        cl_int error; \
        const bool fails = called(#name, &error) == FAIL; \
        const cl_int done = layer_next->name arguments; \
\
        return fails ? error : done; \
    }

WAIT(clFinish, (cl_command_queue q), (q))
WAIT(clWaitForEvents, (cl_uint n, const cl_event *events), (n, events))

static cl_int queued(cl_int error, cl_event *event)
{
    if (error == CL_SUCCESS && event)
        count(EVENT, false);
    return error;
}

#define ENQUEUE(name, parameters, arguments) \
    static cl_int CL_API_CALL my_##name parameters \
    { \
        cl_int error; \
\
        return called(#name, &error) == FAIL ? error : queued(layer_next->name arguments, ev); \
    }
#define EVENTS cl_uint nw, const cl_event *w, cl_event *ev

static cl_int CL_API_CALL my_clEnqueueReadBuffer(cl_command_queue q, cl_mem m, cl_bool b, size_t o, size_t n, void *to,
                                                 EVENTS)
{
    cl_int error;
    const enum what what = called("clEnqueueReadBuffer", &error);

    if (what == FAIL)
        return error;
    if (what == SHORT && n > 1)
        n /= 2;
    return queued(layer_next->clEnqueueReadBuffer(q, m, b, o, n, to, nw, w, ev), ev);
}

ENQUEUE(clEnqueueWriteBuffer, (cl_command_queue q, cl_mem m, cl_bool b, size_t o, size_t n, const void *from, EVENTS),
        (q, m, b, o, n, from, nw, w, ev))
ENQUEUE(clEnqueueCopyBuffer, (cl_command_queue q, cl_mem s, cl_mem d, size_t so, size_t to, size_t n, EVENTS),
        (q, s, d, so, to, n, nw, w, ev))
ENQUEUE(clEnqueueFillBuffer, (cl_command_queue q, cl_mem m, const void *p, size_t pn, size_t o, size_t n, EVENTS),
        (q, m, p, pn, o, n, nw, w, ev))
ENQUEUE(clEnqueueMarkerWithWaitList, (cl_command_queue q, EVENTS), (q, nw, w, ev))
ENQUEUE(clEnqueueNDRangeKernel,
        (cl_command_queue q, cl_kernel k, cl_uint d, const size_t *o, const size_t *g, const size_t *l, EVENTS),
        (q, k, d, o, g, l, nw, w, ev))

// ---------------------------------------------------------------- the layer itself

static void read_fault(const char *text)
{
    char *end;

    if (*text && !(*text >= '0' && *text <= '9')) {
        const size_t length = strcspn(text, ":"), function = strcspn(text, "@:");

        snprintf(layer.function, sizeof(layer.function), "%.*s", (int)function, text);
        if (function < length)
            snprintf(layer.site, sizeof(layer.site), "%.*s", (int)(length - function - 1), text + function + 1);
        text += length + (text[length] == ':');
    }
    layer.fault_at = strtoul(text, &end, 10);
    end += *end == ':';
    layer.is_delay = strcmp(end, "delay") == 0;
    layer.is_hang = strcmp(end, "hang") == 0;
    layer.is_short = strcmp(end, "short") == 0;
    layer.error = (cl_int)strtol(end, NULL, 10);
}

static void read_settings(void)
{
    const char *path = getenv("FAULT_REPORT"), *counts = getenv("FAULT_COUNTS"), *fault = getenv("FAULT"),
               *in = getenv("FAULT_IN");
    const bool leader = getsid(0) == getpid();

    layer.watching = leader != (in && strcmp(in, "child") == 0);
    layer.trace = getenv("FAULT_TRACE") != NULL;
    if (path)
        layer.report = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fault)
        read_fault(fault);
    if (counts && leader) {
        const int file = open(counts, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        void *memory = MAP_FAILED;

        if (file >= 0 && ftruncate(file, sizeof(uint64_t[OBJECTS][2])) == 0)
            memory = mmap(NULL, sizeof(uint64_t[OBJECTS][2]), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (file >= 0)
            close(file);
        layer.count = memory == MAP_FAILED ? NULL : memory;
    }
}

static void layer_init(void)
{
    read_settings();
// clang-format off
#define X(name) layer_table.name = my_##name;
    X(clGetPlatformIDs) X(clGetDeviceIDs) X(clBuildProgram) X(clSetKernelArg) X(clFlush) X(clGetPlatformInfo)
    X(clGetDeviceInfo) X(clGetContextInfo) X(clGetCommandQueueInfo) X(clGetMemObjectInfo) X(clGetProgramInfo)
    X(clGetKernelInfo) X(clGetEventInfo) X(clGetEventProfilingInfo) X(clGetProgramBuildInfo)
    X(clGetKernelWorkGroupInfo) X(clGetKernelArgInfo) X(clCreateContext) X(clCreateCommandQueue) X(clCreateBuffer)
    X(clCreateSubBuffer) X(clCreateProgramWithSource) X(clCreateProgramWithBinary) X(clCreateKernel)
    X(clRetainContext) X(clReleaseContext) X(clRetainCommandQueue) X(clReleaseCommandQueue) X(clRetainMemObject)
    X(clReleaseMemObject) X(clRetainProgram) X(clReleaseProgram) X(clRetainKernel) X(clReleaseKernel)
    X(clRetainEvent) X(clReleaseEvent) X(clFinish) X(clWaitForEvents) X(clEnqueueReadBuffer) X(clEnqueueWriteBuffer)
    X(clEnqueueCopyBuffer) X(clEnqueueFillBuffer) X(clEnqueueNDRangeKernel)
    X(clEnqueueMarkerWithWaitList)
#undef X
    // clang-format on
}
