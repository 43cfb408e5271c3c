// SPDX-License-Identifier: MIT
// The backend of OpenCL devices: a context and an in-order queue. A write copies the data into a ring of staging memory
// on the host. So the caller may reuse its memory at once, and the write rarely waits for the device.
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/array.h"
#include "device/core/internal.h"

#define STAGING_SLOTS 256
#define LARGE_PAGE ((size_t)2 << 20)

/** A slot of the ring: memory of a pending write. The queue is in order, so the oldest write ends first. */
struct staging {
    void *memory;
    size_t capacity;
    cl_event event; // of the pending write; NULL: the slot is free
};

/** An asynchronous transfer from or to the caller's memory; nobody has waited for its completion yet. */
struct pending_transfer {
    uint64_t token;
    cl_event event;
};

struct clrnn_transfers {
    struct staging staging[STAGING_SLOTS];
    // first: index of the slot with the oldest pending write.
    // count: number of slots with a pending write. They follow each other in the ring.
    size_t first, count;
    size_t bytes; // size of the staging memory of all slots
    uint64_t next_token;
    struct pending_transfer *pending;
    size_t pending_count;
};

// ---------------------------------------------------------------- device

/** Whether host and device can use the same memory at the same time (fine-grained shared virtual memory). Only CPUs
 * qualify: there, such memory is as fast as any other. */
static bool shares_memory(const struct clrnn_device *d)
{
    cl_device_svm_capabilities can = 0;

    return d->info.type == CLRNN_DEVICE_CPU && clSVMAlloc && clSVMFree &&
           clGetDeviceInfo(d->handles.id, CL_DEVICE_SVM_CAPABILITIES, sizeof(can), &can, NULL) == CL_SUCCESS &&
           (can & CL_DEVICE_SVM_FINE_GRAIN_BUFFER);
}

static enum clrnn_status device_open(struct clrnn_device *d)
{
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)d->handles.platform, 0};
    const char *call = "clCreateContext";
    cl_int error;

    d->transfers = calloc(1, sizeof(*d->transfers));
    if (!d->transfers)
        return clrnn_error_memory(d->log, sizeof(*d->transfers), "a device");
    d->shares_memory = shares_memory(d);
    d->context = clCreateContext(properties, 1, &d->handles.id, NULL, NULL, &error);
    if (d->context) {
        call = "clCreateCommandQueue";
        d->queue = clCreateCommandQueue(d->context, d->handles.id, d->profile ? CL_QUEUE_PROFILING_ENABLE : 0, &error);
    }
    return d->queue ? CLRNN_OK
                    : clrnn_cl_error(d->log, error, call, "device %d:%d %s cannot be opened", d->info.platform,
                                     d->info.device, d->info.name);
}

// Mesa 22.3's clFinish does not wait if clFlush was called before, so this function first waits for a marker.
static cl_int wait_for_queue(cl_command_queue queue)
{
    cl_event last = NULL;
    cl_int error = clEnqueueMarkerWithWaitList(queue, 0, NULL, &last), finished;

    if (error == CL_SUCCESS)
        error = clWaitForEvents(1, &last);
    if (last)
        clReleaseEvent(last);
    finished = clFinish(queue);
    return error == CL_SUCCESS ? finished : error;
}

static enum clrnn_status device_finish(struct clrnn_device *d)
{
    const cl_int error = wait_for_queue(d->queue);

    return error == CL_SUCCESS ? CLRNN_OK
                               : clrnn_cl_error(d->log, error, "clFinish", "the work queued on %s", d->info.name);
}

static enum clrnn_status device_flush(struct clrnn_device *d)
{
    const cl_int error = clFlush(d->queue);

    return error == CL_SUCCESS ? CLRNN_OK
                               : clrnn_cl_error(d->log, error, "clFlush", "the work queued on %s", d->info.name);
}

static void device_close(struct clrnn_device *d)
{
    struct clrnn_transfers *t = d->transfers;

    if (d->queue)
        wait_for_queue(d->queue); // queued writes may still read staging memory
    for (size_t i = 0; t && i < STAGING_SLOTS; i++) {
        if (t->staging[i].event)
            clReleaseEvent(t->staging[i].event);
        free(t->staging[i].memory);
    }
    for (size_t i = 0; t && i < t->pending_count; i++)
        clReleaseEvent(t->pending[i].event);
    if (t)
        free(t->pending);
    free(t);
    if (d->reads)
        clReleaseCommandQueue(d->reads);
    if (d->queue)
        clReleaseCommandQueue(d->queue);
    if (d->context)
        clReleaseContext(d->context);
}

// ---------------------------------------------------------------- memory

/** On CPUs, asks Linux for pages of 2 MB for a buffer of at least 4 MB, before the buffer is first written. With pages
 * of 4 kB, kernels that access more than a few megabytes wait for address translation (TLB misses). Linux may refuse
 * the request; everything works without large pages. */
static enum clrnn_status ask_for_large_pages(struct clrnn_buffer *b)
{
#ifdef MADV_HUGEPAGE
    const struct clrnn_device *d = b->device;
    cl_int error;
    char *memory;

    if (d->info.type != CLRNN_DEVICE_CPU || b->bytes < 2 * LARGE_PAGE)
        return CLRNN_OK;
    memory = clEnqueueMapBuffer(d->queue, b->mem, CL_TRUE, CL_MAP_WRITE_INVALIDATE_REGION, 0, b->bytes, 0, NULL, NULL,
                                &error);
    if (!memory)
        return clrnn_cl_error(d->log, error, "clEnqueueMapBuffer", "%s, %zu bytes, on %s", b->what, b->bytes,
                              d->info.name);
    const uintptr_t first = ((uintptr_t)memory + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    const uintptr_t end = ((uintptr_t)memory + b->bytes) / LARGE_PAGE * LARGE_PAGE;

    (void)madvise((void *)first, end - first, MADV_HUGEPAGE);
    error = clEnqueueUnmapMemObject(d->queue, b->mem, memory, 0, NULL, NULL);
    if (error)
        return clrnn_cl_error(d->log, error, "clEnqueueUnmapMemObject", "%s, %zu bytes, on %s", b->what, b->bytes,
                              d->info.name);
#endif
    return CLRNN_OK;
}

static void buffer_destroy(struct clrnn_buffer *b)
{
    const bool owns = b->shared && !b->parent;

    if (owns)
        wait_for_queue(b->device->queue); // queued work may use the memory
    clReleaseMemObject(b->mem);           // the driver frees it when queued work is done
    if (owns)
        clSVMFree(b->device->context, b->shared);
}

static enum clrnn_status buffer_create(struct clrnn_buffer *b)
{
    const struct clrnn_device *d = b->device;
    enum clrnn_status st;
    cl_int error;

    if (b->share && d->shares_memory) {
        b->shared = clSVMAlloc(d->context, CL_MEM_READ_WRITE | CL_MEM_SVM_FINE_GRAIN_BUFFER, b->bytes, 0);
        if (!b->shared)
            return clrnn_buffer_error_memory(b, "clSVMAlloc");
    }
    b->mem = clCreateBuffer(d->context, CL_MEM_READ_WRITE | (b->shared ? CL_MEM_USE_HOST_PTR : 0), b->bytes, b->shared,
                            &error);
    if (b->mem) {
        st = ask_for_large_pages(b);
        if (st != CLRNN_OK)
            buffer_destroy(b);
        return st;
    }
    if (b->shared)
        clSVMFree(d->context, b->shared);
    return error == CL_MEM_OBJECT_ALLOCATION_FAILURE || error == CL_OUT_OF_HOST_MEMORY ||
                   error == CL_OUT_OF_RESOURCES || error == CL_INVALID_BUFFER_SIZE
               ? clrnn_buffer_error_memory(b, clrnn_cl_error_name(error))
               : clrnn_cl_error(d->log, error, "clCreateBuffer", "%s, %zu bytes, on %s", b->what, b->bytes,
                                d->info.name);
}

static enum clrnn_status buffer_sub(struct clrnn_buffer *b)
{
    const cl_buffer_region region = {b->first_byte, b->bytes};
    cl_int error;

    b->shared = b->parent->shared ? b->parent->shared + b->first_byte : NULL;
    b->mem = clCreateSubBuffer(b->parent->mem, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &error);
    return b->mem ? CLRNN_OK
                  : clrnn_cl_error(b->device->log, error, "clCreateSubBuffer", "%s, %zu bytes at %zu of %zu, on %s",
                                   b->what, b->bytes, b->first_byte, b->parent->bytes, b->device->info.name);
}

// ---------------------------------------------------------------- transfers

static enum clrnn_status error_transfer(const struct clrnn_buffer *b, cl_int error, const char *call, size_t first,
                                        size_t count)
{
    return clrnn_cl_error(b->device->log, error, call, "%s, %zu elements from %zu on of %zu, on %s", b->what, count,
                          first, b->count, b->device->info.name);
}

/** Returns an event's status: CL_COMPLETE (0), above 0 before completion, or a negative error code. */
static cl_int event_state(cl_event event)
{
    cl_int state = CL_COMPLETE;
    const cl_int error = clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(state), &state, NULL);

    return error == CL_SUCCESS ? state : error;
}

static void staging_free(struct clrnn_transfers *t, struct staging *s)
{
    t->bytes -= s->capacity;
    free(s->memory);
    s->memory = NULL;
    s->capacity = 0;
}

/** Waits for the oldest write. The next write has `bytes` bytes, and its slot gets the memory of the oldest write if
 * its own memory is smaller. But if the oldest write's memory is above 64 KiB (KEPT), and smaller than `bytes` or more
 * than twice as large, that memory is freed. */
static enum clrnn_status staging_retire(struct clrnn_device *d, size_t bytes)
{
    enum { KEPT = 1 << 16 };
    struct clrnn_transfers *t = d->transfers;
    struct staging *s = &t->staging[t->first], *next, kept;
    const cl_int error = clWaitForEvents(1, &s->event);

    clReleaseEvent(s->event);
    s->event = NULL;
    t->first = (t->first + 1) % STAGING_SLOTS;
    t->count--;
    if (s->capacity > KEPT && (s->capacity < bytes || s->capacity / 2 > bytes))
        staging_free(t, s);
    next = &t->staging[(t->first + t->count) % STAGING_SLOTS];
    if (s->capacity > next->capacity) {
        kept = *s;
        *s = *next;
        *next = kept;
    }
    if (error != CL_SUCCESS)
        return clrnn_cl_error(d->log, error, "clWaitForEvents", "an earlier write to %s", d->info.name);
    return CLRNN_OK;
}

/** Finds a free slot with at least `bytes` of staging memory. Waits only if all slots are in use or the staging memory
 * exceeds 64 MiB (MOST). */
static enum clrnn_status staging_get(struct clrnn_device *d, size_t bytes, struct staging **slot)
{
    enum { MOST = 1 << 26 }; // limit in bytes for the staging memory of all slots, without this write
    struct clrnn_transfers *t = d->transfers;
    struct staging *s;

    while (t->count &&
           (t->count == STAGING_SLOTS || t->bytes > MOST || event_state(t->staging[t->first].event) <= CL_COMPLETE))
        TRY(staging_retire(d, bytes));
    s = &t->staging[(t->first + t->count) % STAGING_SLOTS];
    if (s->capacity < bytes) {
        void *memory;

        staging_free(t, s);
        memory = malloc(bytes);
        if (!memory)
            return clrnn_error_memory(d->log, bytes, "a write to the device");
        s->memory = memory;
        s->capacity = bytes;
        t->bytes += bytes;
    }
    *slot = s;
    return CLRNN_OK;
}

/** Queues a write of the slot's contents to the buffer. */
static enum clrnn_status staging_send(struct clrnn_buffer *b, size_t first, size_t count, struct staging *slot)
{
    struct clrnn_device *d = b->device;
    const cl_int error =
        clEnqueueWriteBuffer(d->queue, b->mem, CL_FALSE, first * 4, count * 4, slot->memory, 0, NULL, &slot->event);

    if (error != CL_SUCCESS) {
        slot->event = NULL;
        return error_transfer(b, error, "clEnqueueWriteBuffer", first, count);
    }
    d->transfers->count++;
    return CLRNN_OK;
}

static enum clrnn_status buffer_write(struct clrnn_buffer *b, size_t first, size_t count, enum clrnn_host_type type,
                                      const void *data)
{
    struct staging *slot = NULL;
    const double *from = data;
    float *to;

    TRY(staging_get(b->device, count * 4, &slot));
    to = slot->memory;
    if (type == CLRNN_HOST_F64)
        for (size_t i = 0; i < count; i++)
            to[i] = (float)from[i];
    else
        memcpy(to, data, count * 4);
    return staging_send(b, first, count, slot);
}

static enum clrnn_status buffer_read(struct clrnn_buffer *b, size_t first, size_t count, enum clrnn_host_type type,
                                     void *data)
{
    float *words = type == CLRNN_HOST_F64 ? (float *)data + count : data; // F64: upper half of `data`
    double *to = data;
    const cl_int error =
        clEnqueueReadBuffer(b->device->queue, b->mem, CL_TRUE, first * 4, count * 4, words, 0, NULL, NULL);

    if (error != CL_SUCCESS)
        return error_transfer(b, error, "clEnqueueReadBuffer", first, count);
    for (size_t i = 0; type == CLRNN_HOST_F64 && i < count; i++) { // in place: to[i] does not overlap words[i + 1]
        float word;
        double value;

        memcpy(&word, words + i, sizeof(word));
        value = word;
        memcpy(to + i, &value, sizeof(value));
    }
    return CLRNN_OK;
}

static enum clrnn_status device_mark(struct clrnn_device *d, struct clrnn_mark *mark)
{
    cl_event event = NULL;
    cl_int error;
    enum clrnn_status st;

    mark->event = NULL;
    error = clEnqueueMarkerWithWaitList(d->queue, 0, NULL, &event);
    if (error != CL_SUCCESS)
        return clrnn_cl_error(d->log, error, "clEnqueueMarkerWithWaitList", "a mark in the queue of %s", d->info.name);
    st = device_flush(d); // submits the marker: a read in another queue waits for its event
    if (st == CLRNN_OK)
        mark->event = event;
    else
        clReleaseEvent(event);
    return st;
}

static void mark_destroy(struct clrnn_mark *mark)
{
    clReleaseEvent(mark->event);
}

static enum clrnn_status buffer_read_after(struct clrnn_buffer *b, const struct clrnn_mark *mark, size_t first,
                                           size_t count, float *data)
{
    struct clrnn_device *d = b->device;
    const cl_event event = mark->event;
    const char *call = "clWaitForEvents";
    cl_int error = CL_SUCCESS;

    if (b->shared) { // copy on this thread: the driver's threads are busy with work queued after the mark
        error = clWaitForEvents(1, &event);
        if (error == CL_SUCCESS)
            memcpy(data, b->shared + first * 4, count * 4);
        return error == CL_SUCCESS ? CLRNN_OK : error_transfer(b, error, call, first, count);
    }
    if (!d->reads) {
        call = "clCreateCommandQueue";
        d->reads = clCreateCommandQueue(d->context, d->handles.id, 0, &error);
    }
    if (error == CL_SUCCESS) {
        call = "clEnqueueReadBuffer";
        error = clEnqueueReadBuffer(d->reads, b->mem, CL_TRUE, first * 4, count * 4, data, 1, &event, NULL);
    }
    return error == CL_SUCCESS ? CLRNN_OK : error_transfer(b, error, call, first, count);
}

static enum clrnn_status buffer_fill(struct clrnn_buffer *b, cl_uint word, cl_event *event)
{
    const cl_int error =
        clEnqueueFillBuffer(b->device->queue, b->mem, &word, sizeof(word), 0, b->bytes, 0, NULL, event);

    return error == CL_SUCCESS ? CLRNN_OK : error_transfer(b, error, "clEnqueueFillBuffer", 0, b->count);
}

static enum clrnn_status buffer_copy(struct clrnn_buffer *to, size_t to_first, struct clrnn_buffer *from,
                                     size_t from_first, size_t count)
{
    const cl_int error = clEnqueueCopyBuffer(to->device->queue, from->mem, to->mem, from_first * 4, to_first * 4,
                                             count * 4, 0, NULL, NULL);

    return error == CL_SUCCESS ? CLRNN_OK : error_transfer(to, error, "clEnqueueCopyBuffer", to_first, count);
}

// Ensures that the array of pending transfers has capacity for one more transfer.
static enum clrnn_status grow_pending(const struct clrnn_device *d)
{
    struct clrnn_transfers *t = d->transfers;

    if (ARRAY_GROW(t->pending, t->pending_count))
        return CLRNN_OK;
    return clrnn_error_memory(d->log, 2 * t->pending_count * sizeof(*t->pending), "a transfer");
}

// Records a pending transfer and returns its token.
static uint64_t add_pending(struct clrnn_transfers *t, cl_event event)
{
    t->pending[t->pending_count++] = (struct pending_transfer){++t->next_token, event};
    return t->next_token;
}

static enum clrnn_status buffer_write_async(struct clrnn_buffer *b, size_t first, size_t count, const float *data,
                                            uint64_t *token)
{
    const struct clrnn_device *d = b->device;
    cl_event event;
    cl_int error;

    TRY(grow_pending(d));
    error = clEnqueueWriteBuffer(d->queue, b->mem, CL_FALSE, first * 4, count * 4, data, 0, NULL, &event);
    if (error != CL_SUCCESS)
        return error_transfer(b, error, "clEnqueueWriteBuffer", first, count);
    *token = add_pending(d->transfers, event);
    return CLRNN_OK;
}

static enum clrnn_status buffer_read_async(struct clrnn_buffer *b, size_t first, size_t count, float *data,
                                           uint64_t *token)
{
    const struct clrnn_device *d = b->device;
    cl_event event;
    cl_int error;

    TRY(grow_pending(d));
    error = clEnqueueReadBuffer(d->queue, b->mem, CL_FALSE, first * 4, count * 4, data, 0, NULL, &event);
    if (error != CL_SUCCESS)
        return error_transfer(b, error, "clEnqueueReadBuffer", first, count);
    *token = add_pending(d->transfers, event);
    return CLRNN_OK;
}

static enum clrnn_status device_wait(struct clrnn_device *device, uint64_t token)
{
    struct clrnn_transfers *t = device->transfers;

    for (size_t i = 0; i < t->pending_count; i++) {
        const cl_event event = t->pending[i].event;
        cl_int error;

        if (t->pending[i].token != token)
            continue;
        error = clWaitForEvents(1, &event);
        clReleaseEvent(event);
        memmove(&t->pending[i], &t->pending[i + 1], (--t->pending_count - i) * sizeof(t->pending[0]));
        if (error != CL_SUCCESS)
            return clrnn_cl_error(device->log, error, "clWaitForEvents", "a write to or a read from %s",
                                  device->info.name);
        break;
    }
    return CLRNN_OK; // also if no pending transfer has this token: it was waited for before
}

const struct clrnn_backend clrnn_backend_opencl = {
    .real_bytes = sizeof(cl_float),
    .open = device_open,
    .close = device_close,
    .buffer_create = buffer_create,
    .buffer_sub = buffer_sub,
    .buffer_destroy = buffer_destroy,
    .write = buffer_write,
    .write_async = buffer_write_async,
    .read_async = buffer_read_async,
    .wait = device_wait,
    .read = buffer_read,
    .fill = buffer_fill,
    .copy = buffer_copy,
    .mark = device_mark,
    .mark_destroy = mark_destroy,
    .read_after = buffer_read_after,
    .finish = device_finish,
    .flush = device_flush,
};
