// SPDX-License-Identifier: MIT
// Moving numbers between host and device, in queue order. Writes go through a ring of staging memory, so
// that they neither wait for the device nor need the caller's memory later.
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "device/internal.h"

/** Whether [first, first + count) lies in a buffer of one of the types that `reals` wants. */
static enum clrnn_status check(const struct clrnn_buffer *b, size_t first, size_t count, bool reals,
                               const char *verb)
{
    static const char *const names[] = {[CLRNN_REAL] = "REAL", [CLRNN_I32] = "I32", [CLRNN_U32] = "U32"};

    if (reals != (b->type == CLRNN_REAL))
        return clrnn_error(b->device->log, CLRNN_ERR_ARG, "%s: holds %s, cannot be %s as %s", b->what,
                           names[b->type], verb, reals ? "REAL" : "integers");
    if (first > b->count || count > b->count - first)
        return clrnn_error(b->device->log, CLRNN_ERR_ARG,
                           "%s: %zu elements from %zu on cannot be %s, it holds %zu", b->what, count, first,
                           verb, b->count);
    return CLRNN_OK;
}

static enum clrnn_status error_transfer(const struct clrnn_buffer *b, cl_int error, const char *call,
                                        size_t first, size_t count)
{
    return clrnn_cl_error(b->device->log, error, call, "%s, %zu elements from %zu on of %zu, on %s", b->what,
                          count, first, b->count, b->device->info.name);
}

/** How far an event is: CL_COMPLETE, a state above it, or an error below 0. */
static cl_int event_state(cl_event event)
{
    cl_int state = CL_COMPLETE;
    const cl_int error =
        clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(state), &state, NULL);

    return error == CL_SUCCESS ? state : error;
}

static void staging_free(struct clrnn_device *d, struct clrnn_staging *s)
{
    d->staging_bytes -= s->room;
    free(s->memory);
    s->memory = NULL;
    s->room = 0;
}

/** Waits for the oldest write. Its memory moves to the slot that comes next; what is large and does not
 *  suit the next write of `bytes` goes. */
static enum clrnn_status staging_retire(struct clrnn_device *d, size_t bytes)
{
    enum { KEPT = 1 << 16 };
    struct clrnn_staging *s = &d->staging[d->staging_first], *next, kept;
    const cl_int error = clWaitForEvents(1, &s->event);

    clReleaseEvent(s->event);
    s->event = NULL;
    d->staging_first = (d->staging_first + 1) % CLRNN_STAGING_SLOTS;
    d->staging_count--;
    if (s->room > KEPT && (s->room < bytes || s->room / 2 > bytes))
        staging_free(d, s);
    next = &d->staging[(d->staging_first + d->staging_count) % CLRNN_STAGING_SLOTS];
    if (s->room > next->room) {
        kept = *s;
        *s = *next;
        *next = kept;
    }
    if (error != CL_SUCCESS)
        return clrnn_cl_error(d->log, error, "clWaitForEvents", "an earlier write to %s", d->info.name);
    return CLRNN_OK;
}

/** Staging memory of at least `bytes`, its slot free of work. Waits only where the ring is full or holds
 *  too much. */
static enum clrnn_status staging_get(struct clrnn_device *d, size_t bytes, struct clrnn_staging **slot)
{
    enum { MOST = 1 << 26 }; // bytes under way, beyond the write itself
    struct clrnn_staging *s;

    while (d->staging_count && (d->staging_count == CLRNN_STAGING_SLOTS || d->staging_bytes > MOST ||
                                event_state(d->staging[d->staging_first].event) <= CL_COMPLETE))
        TRY(staging_retire(d, bytes));
    s = &d->staging[(d->staging_first + d->staging_count) % CLRNN_STAGING_SLOTS];
    if (s->room < bytes) {
        void *memory;

        staging_free(d, s);
        memory = malloc(bytes);
        if (!memory)
            return clrnn_error_memory(d->log, bytes, "a write to the device");
        s->memory = memory;
        s->room = bytes;
        d->staging_bytes += bytes;
    }
    *slot = s;
    return CLRNN_OK;
}

/** Queues a write of what was put into the slot. */
static enum clrnn_status staging_send(struct clrnn_buffer *b, size_t first, size_t count,
                                      struct clrnn_staging *slot)
{
    struct clrnn_device *d = b->device;
    const cl_int error = clEnqueueWriteBuffer(d->queue, b->mem, CL_FALSE, first * 4, count * 4, slot->memory,
                                              0, NULL, &slot->event);

    if (error != CL_SUCCESS) {
        slot->event = NULL;
        return error_transfer(b, error, "clEnqueueWriteBuffer", first, count);
    }
    d->staging_count++;
    return CLRNN_OK;
}

enum clrnn_status clrnn_buffer_write_f32(struct clrnn_buffer *b, size_t first, size_t count,
                                         const float *data)
{
    struct clrnn_staging *slot;

    TRY(check(b, first, count, true, "written"));
    if (!count)
        return CLRNN_OK;
    if (b->device->ref) {
        double *to = (double *)b->host + first;

        for (size_t i = 0; i < count; i++)
            to[i] = data[i];
        return CLRNN_OK;
    }
    TRY(staging_get(b->device, count * 4, &slot));
    memcpy(slot->memory, data, count * 4);
    return staging_send(b, first, count, slot);
}

enum clrnn_status clrnn_buffer_write_f64(struct clrnn_buffer *b, size_t first, size_t count,
                                         const double *data)
{
    struct clrnn_staging *slot;
    float *to;

    TRY(check(b, first, count, true, "written"));
    if (!count)
        return CLRNN_OK;
    if (b->device->ref) {
        memcpy((double *)b->host + first, data, count * sizeof(double));
        return CLRNN_OK;
    }
    TRY(staging_get(b->device, count * 4, &slot));
    to = slot->memory;
    for (size_t i = 0; i < count; i++)
        to[i] = (float)data[i];
    return staging_send(b, first, count, slot);
}

enum clrnn_status clrnn_buffer_write_i32(struct clrnn_buffer *b, size_t first, size_t count,
                                         const int32_t *data)
{
    struct clrnn_staging *slot;

    TRY(check(b, first, count, false, "written"));
    if (!count)
        return CLRNN_OK;
    if (b->device->ref) {
        memcpy((int32_t *)b->host + first, data, count * 4);
        return CLRNN_OK;
    }
    TRY(staging_get(b->device, count * 4, &slot));
    memcpy(slot->memory, data, count * 4);
    return staging_send(b, first, count, slot);
}

static enum clrnn_status read_words(struct clrnn_buffer *b, size_t first, size_t count, void *data)
{
    const cl_int error =
        clEnqueueReadBuffer(b->device->queue, b->mem, CL_TRUE, first * 4, count * 4, data, 0, NULL, NULL);

    return error == CL_SUCCESS ? CLRNN_OK : error_transfer(b, error, "clEnqueueReadBuffer", first, count);
}

enum clrnn_status clrnn_buffer_read_f32(struct clrnn_buffer *b, size_t first, size_t count, float *data)
{
    TRY(check(b, first, count, true, "read"));
    if (!count)
        return CLRNN_OK;
    if (b->device->ref) {
        const double *from = (const double *)b->host + first;

        for (size_t i = 0; i < count; i++)
            data[i] = (float)from[i];
        return CLRNN_OK;
    }
    return read_words(b, first, count, data);
}

enum clrnn_status clrnn_buffer_read_f64(struct clrnn_buffer *b, size_t first, size_t count, double *data)
{
    float *words = (float *)data + count; // the upper half of the caller's memory

    TRY(check(b, first, count, true, "read"));
    if (!count)
        return CLRNN_OK;
    if (b->device->ref) {
        memcpy(data, (const double *)b->host + first, count * sizeof(double));
        return CLRNN_OK;
    }
    TRY(read_words(b, first, count, words));
    for (size_t i = 0; i < count; i++) { // data[i] ends before words[i + 1] begins
        float word;
        double value;

        memcpy(&word, words + i, sizeof(word));
        value = word;
        memcpy(data + i, &value, sizeof(value));
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_buffer_read_i32(struct clrnn_buffer *b, size_t first, size_t count, int32_t *data)
{
    TRY(check(b, first, count, false, "read"));
    if (!count)
        return CLRNN_OK;
    if (b->device->ref) {
        memcpy(data, (const int32_t *)b->host + first, count * 4);
        return CLRNN_OK;
    }
    return read_words(b, first, count, data);
}

enum clrnn_status clrnn_buffer_zero(struct clrnn_buffer *b)
{
    const cl_uint zero = 0;
    cl_int error;

    if (b->device->ref) {
        memset(b->host, 0, b->bytes);
        return CLRNN_OK;
    }
    error = clEnqueueFillBuffer(b->device->queue, b->mem, &zero, sizeof(zero), 0, b->bytes, 0, NULL, NULL);
    return error == CL_SUCCESS ? CLRNN_OK : error_transfer(b, error, "clEnqueueFillBuffer", 0, b->count);
}

// Whether `count` elements may be copied: one device, types, bounds, no overlap.
static enum clrnn_status check_copy(const struct clrnn_buffer *to, size_t to_first,
                                    const struct clrnn_buffer *from, size_t from_first, size_t count)
{
    const struct clrnn_buffer *a = to->parent ? to->parent : to, *b = from->parent ? from->parent : from;
    size_t x, y;

    if (to->device != from->device)
        return clrnn_error(to->device->log, CLRNN_ERR_ARG, "%s, %s: lie on different devices", to->what,
                           from->what);
    TRY(check(from, from_first, count, from->type == CLRNN_REAL, "read"));
    TRY(check(to, to_first, count, from->type == CLRNN_REAL, "written"));
    x = to->first_byte + to_first * clrnn_type_bytes(to->device, to->type);
    y = from->first_byte + from_first * clrnn_type_bytes(to->device, to->type);
    if (a == b && (x < y ? y - x : x - y) < count * clrnn_type_bytes(to->device, to->type))
        return clrnn_error(to->device->log, CLRNN_ERR_ARG, "%s: %zu elements are copied onto themselves",
                           to->what, count);
    return CLRNN_OK;
}

enum clrnn_status clrnn_buffer_copy(struct clrnn_buffer *to, size_t to_first, struct clrnn_buffer *from,
                                    size_t from_first, size_t count)
{
    const size_t size = clrnn_type_bytes(to->device, to->type);
    cl_int error;

    TRY(check_copy(to, to_first, from, from_first, count));
    if (!count)
        return CLRNN_OK;
    if (to->device->ref) {
        memcpy((char *)to->host + to_first * size, (const char *)from->host + from_first * size,
               count * size);
        return CLRNN_OK;
    }
    error = clEnqueueCopyBuffer(to->device->queue, from->mem, to->mem, from_first * 4, to_first * 4,
                                count * 4, 0, NULL, NULL);
    return error == CL_SUCCESS ? CLRNN_OK : error_transfer(to, error, "clEnqueueCopyBuffer", to_first, count);
}

enum clrnn_status clrnn_buffer_write_async(struct clrnn_buffer *b, size_t first, size_t count,
                                           const float *data, uint64_t *token)
{
    struct clrnn_device *d = b->device;
    cl_event event;
    cl_int error;

    *token = 0;
    if (d->ref || !count)
        return clrnn_buffer_write_f32(b, first, count, data);
    TRY(check(b, first, count, true, "written"));
    if (d->pending_count == d->pending_room) {
        const size_t room = d->pending_room ? 2 * d->pending_room : 8;
        struct clrnn_pending_write *p = realloc(d->pending, room * sizeof(*p));

        if (!p)
            return clrnn_error_memory(d->log, room * sizeof(*p), "a write to the device");
        d->pending = p;
        d->pending_room = room;
    }
    error = clEnqueueWriteBuffer(d->queue, b->mem, CL_FALSE, first * 4, count * 4, data, 0, NULL, &event);
    if (error != CL_SUCCESS)
        return error_transfer(b, error, "clEnqueueWriteBuffer", first, count);
    *token = ++d->next_token;
    d->pending[d->pending_count++] = (struct clrnn_pending_write){*token, event};
    return CLRNN_OK;
}

enum clrnn_status clrnn_device_wait(struct clrnn_device *device, uint64_t token)
{
    for (size_t i = 0; i < device->pending_count; i++) {
        const cl_event event = device->pending[i].event;
        cl_int error;

        if (device->pending[i].token != token)
            continue;
        error = clWaitForEvents(1, &event);
        clReleaseEvent(event);
        memmove(&device->pending[i], &device->pending[i + 1],
                (--device->pending_count - i) * sizeof(device->pending[0]));
        if (error != CL_SUCCESS)
            return clrnn_cl_error(device->log, error, "clWaitForEvents", "a write to %s", device->info.name);
        break;
    }
    return CLRNN_OK; // a token that is not pending is done
}

// clFinish alone is not enough: Mesa 22.3's waits for nothing after a clFlush.
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

enum clrnn_status clrnn_device_finish(struct clrnn_device *device)
{
    cl_int error;

    if (device->ref)
        return CLRNN_OK;
    error = wait_for_queue(device->queue);
    return error == CL_SUCCESS
               ? CLRNN_OK
               : clrnn_cl_error(device->log, error, "clFinish", "the work queued on %s", device->info.name);
}

enum clrnn_status clrnn_device_flush(struct clrnn_device *device)
{
    cl_int error;

    if (device->ref)
        return CLRNN_OK;
    error = clFlush(device->queue);
    return error == CL_SUCCESS
               ? CLRNN_OK
               : clrnn_cl_error(device->log, error, "clFlush", "the work queued on %s", device->info.name);
}

void clrnn_transfers_finish(struct clrnn_device *device)
{
    if (device->queue)
        wait_for_queue(device->queue); // staging memory may still be read from
    for (size_t i = 0; i < CLRNN_STAGING_SLOTS; i++) {
        if (device->staging[i].event)
            clReleaseEvent(device->staging[i].event);
        free(device->staging[i].memory);
    }
    for (size_t i = 0; i < device->pending_count; i++)
        clReleaseEvent(device->pending[i].event);
    free(device->pending);
}
