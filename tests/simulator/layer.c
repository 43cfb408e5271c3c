// SPDX-License-Identifier: MIT
// An OpenCL layer (the ICD loader's OPENCL_LAYERS) for Oclgrind 21.10. It lets Oclgrind's check for uninitialised
// values see what the host writes to memory.
//
// Oclgrind keeps a shadow of each buffer, which records which bytes are defined. Whenever the host stores into a
// buffer, Oclgrind replaces the shadow by one of the size of the stored data. This is right only for a write of the
// whole buffer. After a write to a part, a copy or a fill (which stores its pattern again and again) the shadow is too
// short. Beyond its end lies other heap memory, which stores by kernels do not update: there are unfounded reports,
// which differ from run to run. A new buffer can also get the shadow of an old one. Therefore this layer writes each
// buffer whole once, when it is created. Kernels do everything later; the shadow follows their stores correctly.
//
// A buffer counts as undefined until it is written. Numbers that the host sets to CLRNN_UNWRITTEN
// (src/device/memory/buffer.h) count as undefined again.
//
// The layer also gives every context a log file of its own, $OCLGRIND_LOG.PROGRAM.PROCESS.NUMBER, since a second
// context would overwrite the log of the first.
#include "tests/opencl_layer.h"

#include <errno.h> // program_invocation_short_name
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "device/memory/buffer.h"

// Two kernels: `move` copies memory, and `forget` makes memory undefined. Both assign structures that are cast from
// arrays: Oclgrind then copies the shadow and reports nothing. It would report undefined members of a structure
// variable. `forget` writes the value CLRNN_UNWRITTEN, here U. `never` is an uninitialised variable, so never ^ never
// is 0, but counts as undefined.
static const char SOURCE[] =
    "typedef struct { uchar byte[256]; } block;\n"
    "typedef struct { uint word; } one;\n"
    "kernel void move(global uchar *to, ulong to_first, global const uchar *from, ulong from_first, ulong bytes)\n"
    "{\n"
    "    to += to_first;\n"
    "    from += from_first;\n"
    "    for (; bytes >= sizeof(block); bytes -= sizeof(block), to += sizeof(block), from += sizeof(block))\n"
    "        *(global block *)to = *(global const block *)from;\n"
    "    for (; bytes >= sizeof(one); bytes -= sizeof(one), to += sizeof(one), from += sizeof(one))\n"
    "        *(global one *)to = *(global const one *)from;\n"
    "    for (; bytes; bytes--)\n"
    "        *to++ = *from++;\n"
    "}\n"
    "kernel void forget(global uchar *to, ulong first, ulong bytes)\n"
    "{\n"
    "    uint16 never, nothing[4];\n"
    "    to += first;\n"
    "    for (int i = 0; i < 4; i++)\n"
    "        nothing[i] = (never ^ never) + U;\n"
    "    for (; bytes >= sizeof(block); bytes -= sizeof(block), to += sizeof(block))\n"
    "        *(global block *)to = *(block *)nothing;\n"
    "    for (; bytes >= sizeof(one); bytes -= sizeof(one), to += sizeof(one))\n"
    "        *(global one *)to = *(one *)nothing;\n"
    "}\n";

// What the layer adds to a context. The layer retains the context, so the context lives as long as the process.
struct addition {
    cl_context context;
    cl_command_queue queue;
    cl_program program;
    struct addition *next;
};

static struct {
    pthread_mutex_t lock;
    struct addition *additions;
    unsigned contexts;
    char *log; // the original value of OCLGRIND_LOG
} layer = {.lock = PTHREAD_MUTEX_INITIALIZER};

// Ends the process if a call of the layer has failed: a check that could not run must not count as passed.
static void need(cl_int error, const char *what)
{
    if (error == CL_SUCCESS)
        return;
    fprintf(stderr, "simulator layer: %s failed with %d\n", what, (int)error);
    abort();
}

static struct addition *addition_create(cl_context context)
{
    struct addition *a = calloc(1, sizeof(*a));
    const char *source = SOURCE;
    char options[64];
    cl_device_id device;
    cl_int error;

    need(a ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY, "calloc");
    a->context = context;
    need(layer_next->clGetContextInfo(context, CL_CONTEXT_DEVICES, sizeof(device), &device, NULL), "clGetContextInfo");
    a->queue = layer_next->clCreateCommandQueue(context, device, 0, &error);
    need(error, "clCreateCommandQueue");
    a->program = layer_next->clCreateProgramWithSource(context, 1, &source, NULL, &error);
    need(error, "clCreateProgramWithSource");
    snprintf(options, sizeof(options), "-cl-std=CL1.2 -cl-opt-disable -D U=%uu", CLRNN_UNWRITTEN);
    need(layer_next->clBuildProgram(a->program, 1, &device, options, NULL, NULL), "clBuildProgram");
    a->next = layer.additions;
    layer.additions = a;
    return a;
}

static const struct addition *addition_of(cl_context context)
{
    struct addition *a;

    pthread_mutex_lock(&layer.lock);
    for (a = layer.additions; a && a->context != context; a = a->next)
        continue;
    if (!a)
        a = addition_create(context);
    pthread_mutex_unlock(&layer.lock);
    return a;
}

static const struct addition *addition_for(cl_command_queue queue)
{
    cl_context context;

    need(layer_next->clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof(context), &context, NULL),
         "clGetCommandQueueInfo");
    return addition_of(context);
}

#define EVENTS cl_uint nw, const cl_event *w, cl_event *ev

static cl_int run(cl_command_queue q, cl_kernel kernel, EVENTS)
{
    const size_t items = 1;
    const cl_int error = layer_next->clEnqueueNDRangeKernel(q, kernel, 1, NULL, &items, &items, nw, w, ev);

    layer_next->clReleaseKernel(kernel);
    return error;
}

static cl_int move(cl_command_queue q, cl_mem to, size_t to_first, cl_mem from, size_t from_first, size_t bytes, EVENTS)
{
    const cl_ulong ulong[] = {to_first, from_first, bytes};
    cl_int error;
    cl_kernel kernel = layer_next->clCreateKernel(addition_for(q)->program, "move", &error);

    need(error, "clCreateKernel");
    need(layer_next->clSetKernelArg(kernel, 0, sizeof(to), &to), "clSetKernelArg");
    need(layer_next->clSetKernelArg(kernel, 1, sizeof(cl_ulong), &ulong[0]), "clSetKernelArg");
    need(layer_next->clSetKernelArg(kernel, 2, sizeof(from), &from), "clSetKernelArg");
    need(layer_next->clSetKernelArg(kernel, 3, sizeof(cl_ulong), &ulong[1]), "clSetKernelArg");
    need(layer_next->clSetKernelArg(kernel, 4, sizeof(cl_ulong), &ulong[2]), "clSetKernelArg");
    return run(q, kernel, nw, w, ev);
}

static cl_int forget(cl_command_queue q, cl_mem to, size_t first, size_t bytes)
{
    const cl_ulong ulong[] = {first, bytes};
    cl_int error;
    cl_kernel kernel = layer_next->clCreateKernel(addition_for(q)->program, "forget", &error);

    need(error, "clCreateKernel");
    need(layer_next->clSetKernelArg(kernel, 0, sizeof(to), &to), "clSetKernelArg");
    need(layer_next->clSetKernelArg(kernel, 1, sizeof(cl_ulong), &ulong[0]), "clSetKernelArg");
    need(layer_next->clSetKernelArg(kernel, 2, sizeof(cl_ulong), &ulong[1]), "clSetKernelArg");
    return run(q, kernel, 0, NULL, NULL);
}

// Creates a buffer that holds `data`. The shadow is as large as the buffer, and marks all bytes as defined.
static cl_mem fresh(cl_context context, cl_command_queue q, size_t bytes, const void *data)
{
    cl_int error;
    cl_mem mem = layer_next->clCreateBuffer(context, CL_MEM_READ_WRITE, bytes, NULL, &error);

    need(error, "clCreateBuffer");
    need(layer_next->clEnqueueWriteBuffer(q, mem, CL_TRUE, 0, bytes, data, 0, NULL, NULL), "clEnqueueWriteBuffer");
    return mem;
}

// ---------------------------------------------------------------- the calls that change

static cl_context CL_API_CALL my_clCreateContext(const cl_context_properties *p, cl_uint n, const cl_device_id *d,
                                                 void(CL_CALLBACK *f)(const char *, const void *, size_t, void *),
                                                 void *u, cl_int *e)
{
    char path[4096];
    cl_context context;

    pthread_mutex_lock(&layer.lock);
    if (layer.log) {
        snprintf(path, sizeof(path), "%s.%s.%d.%u", layer.log, program_invocation_short_name, (int)getpid(),
                 layer.contexts++);
        need(setenv("OCLGRIND_LOG", path, 1) == 0 ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY, "setenv");
    }
    context = layer_next->clCreateContext(p, n, d, f, u, e);
    if (layer.log)
        setenv("OCLGRIND_LOG", layer.log, 1); // restored for child processes
    pthread_mutex_unlock(&layer.lock);
    return context;
}

static cl_mem CL_API_CALL my_clCreateBuffer(cl_context c, cl_mem_flags f, size_t n, void *h, cl_int *e)
{
    cl_mem mem = layer_next->clCreateBuffer(c, f, n, h, e);
    const struct addition *a;
    void *data;

    if (!mem)
        return NULL;
    a = addition_of(c);
    data = calloc(n, 1);
    need(data ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY, "calloc");
    if (h)
        memcpy(data, h, n);
    need(layer_next->clEnqueueWriteBuffer(a->queue, mem, CL_TRUE, 0, n, data, 0, NULL, NULL), "clEnqueueWriteBuffer");
    free(data);
    if (!h) {
        need(forget(a->queue, mem, 0, n), "clEnqueueNDRangeKernel");
        need(layer_next->clFinish(a->queue), "clFinish");
    }
    return mem;
}

// Makes the numbers in `data`, written at byte `first`, undefined where they equal CLRNN_UNWRITTEN.
static cl_int forget_unwritten(cl_command_queue q, cl_mem to, size_t first, size_t bytes, const unsigned char *data)
{
    const uint32_t unwritten = CLRNN_UNWRITTEN;
    cl_int error = CL_SUCCESS;

    for (size_t i = 0, run; error == CL_SUCCESS && i + 4 <= bytes; i += run + 4) {
        for (run = 0; i + run + 4 <= bytes && memcmp(data + i + run, &unwritten, 4) == 0; run += 4)
            continue;
        if (run)
            error = forget(q, to, first + i, run);
    }
    return error;
}

// Whether the range is a whole buffer that is not a sub-buffer.
static bool is_whole(cl_mem m, size_t o, size_t n)
{
    cl_mem parent;
    size_t size;

    need(layer_next->clGetMemObjectInfo(m, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof(parent), &parent, NULL),
         "clGetMemObjectInfo");
    need(layer_next->clGetMemObjectInfo(m, CL_MEM_SIZE, sizeof(size), &size, NULL), "clGetMemObjectInfo");
    return !parent && o == 0 && n == size;
}

static cl_int CL_API_CALL my_clEnqueueWriteBuffer(cl_command_queue q, cl_mem m, cl_bool b, size_t o, size_t n,
                                                  const void *from, EVENTS)
{
    cl_int error;

    if (is_whole(m, o, n)) {
        error = layer_next->clEnqueueWriteBuffer(q, m, CL_TRUE, o, n, from, nw, w, NULL);
    } else {
        const struct addition *a = addition_for(q);
        cl_mem staged = fresh(a->context, a->queue, n, from);

        error = move(q, m, o, staged, 0, n, nw, w, NULL);
        layer_next->clReleaseMemObject(staged); // the queued command still retains it
    }
    if (error == CL_SUCCESS)
        error = forget_unwritten(q, m, o, n, from);
    if (error == CL_SUCCESS && ev)
        error = layer_next->clEnqueueMarkerWithWaitList(q, 0, NULL, ev);
    if (error == CL_SUCCESS && b)
        error = layer_next->clFinish(q);
    return error;
}

static cl_int CL_API_CALL my_clEnqueueFillBuffer(cl_command_queue q, cl_mem m, const void *p, size_t pn, size_t o,
                                                 size_t n, EVENTS)
{
    unsigned char *data = malloc(n);
    cl_int error;

    need(data ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY, "malloc");
    for (size_t i = 0; i < n; i += pn)
        memcpy(data + i, p, pn);
    error = my_clEnqueueWriteBuffer(q, m, CL_FALSE, o, n, data, nw, w, ev);
    free(data);
    return error;
}

static cl_int CL_API_CALL my_clEnqueueCopyBuffer(cl_command_queue q, cl_mem s, cl_mem d, size_t so, size_t to, size_t n,
                                                 EVENTS)
{
    return move(q, d, to, s, so, n, nw, w, ev);
}

// ---------------------------------------------------------------- the layer itself

static void layer_init(void)
{
    const char *log = getenv("OCLGRIND_LOG");

    layer.log = log ? strdup(log) : NULL;
    layer_table.clCreateContext = my_clCreateContext;
    layer_table.clCreateBuffer = my_clCreateBuffer;
    layer_table.clEnqueueWriteBuffer = my_clEnqueueWriteBuffer;
    layer_table.clEnqueueFillBuffer = my_clEnqueueFillBuffer;
    layer_table.clEnqueueCopyBuffer = my_clEnqueueCopyBuffer;
}
