// SPDX-License-Identifier: MIT
// The backend of the reference device (ref): buffers are host memory, REAL elements are doubles, and every function has
// finished its work when it returns.
#include <stdlib.h>
#include <string.h>

#include "device/core/internal.h"

static enum clrnn_status device_done(struct clrnn_device *device)
{
    (void)device;
    return CLRNN_OK;
}

static void device_close(struct clrnn_device *device)
{
    (void)device;
}

static enum clrnn_status buffer_create(struct clrnn_buffer *b)
{
    const size_t align = clrnn_buffer_align(b->device);

    b->host = aligned_alloc(align, (b->bytes + align - 1) / align * align);
    return b->host ? CLRNN_OK : clrnn_buffer_error_memory(b, "the host's memory is exhausted");
}

static enum clrnn_status buffer_sub(struct clrnn_buffer *b)
{
    b->host = (char *)b->parent->host + b->first_byte;
    return CLRNN_OK;
}

static void buffer_destroy(struct clrnn_buffer *b)
{
    if (!b->parent)
        free(b->host);
}

static void *element(const struct clrnn_buffer *b, size_t index)
{
    return (char *)b->host + index * clrnn_type_bytes(b->device, b->type);
}

static enum clrnn_status buffer_write(struct clrnn_buffer *b, size_t first, size_t count, enum clrnn_host_type type,
                                      const void *data)
{
    const float *from = data;
    double *to = element(b, first);

    if (type == CLRNN_HOST_F32)
        for (size_t i = 0; i < count; i++)
            to[i] = from[i];
    else
        memcpy(to, data, count * clrnn_type_bytes(b->device, b->type));
    return CLRNN_OK;
}

static enum clrnn_status buffer_write_async(struct clrnn_buffer *b, size_t first, size_t count, const float *data,
                                            uint64_t *token)
{
    *token = 0;
    return buffer_write(b, first, count, CLRNN_HOST_F32, data);
}

static enum clrnn_status device_wait(struct clrnn_device *device, uint64_t token)
{
    (void)token;
    return device_done(device);
}

static enum clrnn_status buffer_read(struct clrnn_buffer *b, size_t first, size_t count, enum clrnn_host_type type,
                                     void *data)
{
    const double *from = element(b, first);
    float *to = data;

    if (type == CLRNN_HOST_F32)
        for (size_t i = 0; i < count; i++)
            to[i] = (float)from[i];
    else
        memcpy(data, from, count * clrnn_type_bytes(b->device, b->type));
    return CLRNN_OK;
}

static enum clrnn_status buffer_read_async(struct clrnn_buffer *b, size_t first, size_t count, float *data,
                                           uint64_t *token)
{
    *token = 0;
    return buffer_read(b, first, count, CLRNN_HOST_F32, data);
}

static enum clrnn_status buffer_fill(struct clrnn_buffer *b, cl_uint word, cl_event *event)
{
    cl_uint *to = b->host;

    (void)event;
    for (size_t i = 0; i < b->bytes / sizeof(word); i++)
        to[i] = word;
    return CLRNN_OK;
}

static enum clrnn_status buffer_copy(struct clrnn_buffer *to, size_t to_first, struct clrnn_buffer *from,
                                     size_t from_first, size_t count)
{
    memcpy(element(to, to_first), element(from, from_first), count * clrnn_type_bytes(to->device, to->type));
    return CLRNN_OK;
}

static enum clrnn_status device_mark(struct clrnn_device *device, struct clrnn_mark *mark)
{
    mark->event = NULL;
    return device_done(device);
}

const struct clrnn_backend clrnn_backend_ref = {
    .real_bytes = sizeof(double),
    .open = device_done,
    .close = device_close,
    .buffer_create = buffer_create,
    .buffer_sub = buffer_sub,
    .buffer_destroy = buffer_destroy,
    .write = buffer_write,
    .write_async = buffer_write_async,
    .wait = device_wait,
    .read = buffer_read,
    .read_async = buffer_read_async,
    .fill = buffer_fill,
    .copy = buffer_copy,
    .mark = device_mark,
    .finish = device_done,
    .flush = device_done,
};
