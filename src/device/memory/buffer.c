// SPDX-License-Identifier: MIT
// Device memory: creates buffers and sub-buffers, fills them with zeros, counts bytes in use. Transfers are in
// transfer.c.
#include "device/memory/buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "device/core/internal.h"

size_t clrnn_type_bytes(const struct clrnn_device *device, enum clrnn_type type)
{
    return type == CLRNN_REAL ? device->backend->real_bytes : 4;
}

size_t clrnn_buffer_align(const struct clrnn_device *device)
{
    return MAX2(device->info.base_align_bytes, 64);
}

/** Allocates the struct of a buffer, not yet its elements. NULL: out of memory. */
static struct clrnn_buffer *buffer_alloc(struct clrnn_device *device, enum clrnn_type type, size_t count)
{
    struct clrnn_buffer *b = calloc(1, sizeof(*b));

    if (b) {
        b->device = device;
        b->type = type;
        b->count = count;
        b->references = 1;
    }
    return b;
}

enum clrnn_status clrnn_buffer_error_memory(const struct clrnn_buffer *b, const char *why)
{
    const struct clrnn_device *d = b->device;

    return clrnn_error(d->log, CLRNN_ERR_MEMORY,
                       "%s: %zu bytes of device memory cannot be had (%s): %llu are held, %s has %llu, at most "
                       "%llu in one piece; a smaller batch or model needs less",
                       b->what, b->bytes, why, (unsigned long long)d->held_bytes, d->info.name,
                       (unsigned long long)d->info.global_bytes, (unsigned long long)d->info.max_alloc_bytes);
}

static enum clrnn_status create(struct clrnn_device *device, enum clrnn_type type, size_t count, const char *what,
                                bool share, struct clrnn_buffer **buffer)
{
    struct clrnn_buffer *b;
    enum clrnn_status st;

    count = MAX2(count, 1);
    *buffer = NULL;
    b = buffer_alloc(device, type, count);
    if (!b)
        return clrnn_error_memory(device->log, sizeof(*b), "a buffer");
    snprintf(b->what, sizeof(b->what), "%s", what ? what : "buffer");
    b->share = share;
    if (!clrnn_mul_size(count, clrnn_type_bytes(device, type), &b->bytes)) {
        b->bytes = SIZE_MAX;
        st = clrnn_buffer_error_memory(b, "more than there are addresses");
    } else if (b->bytes > device->info.max_alloc_bytes) {
        st = clrnn_buffer_error_memory(b, "more than the device gives in one piece");
    } else if (b->bytes > device->info.global_bytes - MIN2(device->held_bytes, device->info.global_bytes)) {
        st = clrnn_buffer_error_memory(b, "more than is left");
    } else {
        st = device->backend->buffer_create(b);
    }
    if (st != CLRNN_OK) {
        free(b);
        return st;
    }
    device->held_bytes += b->bytes;
    device->peak_bytes = MAX2(device->peak_bytes, device->held_bytes);
    st = clrnn_buffer_zero(b); // also allocates: many drivers do so only at the first write
    if (st != CLRNN_OK)
        clrnn_buffer_destroy(&b);
    *buffer = b;
    return st;
}

enum clrnn_status clrnn_buffer_create(struct clrnn_device *device, enum clrnn_type type, size_t count, const char *what,
                                      struct clrnn_buffer **buffer)
{
    return create(device, type, count, what, false, buffer);
}

enum clrnn_status clrnn_buffer_create_shared(struct clrnn_device *device, enum clrnn_type type, size_t count,
                                             const char *what, struct clrnn_buffer **buffer)
{
    return create(device, type, count, what, true, buffer);
}

enum clrnn_status clrnn_buffer_sub(struct clrnn_buffer *parent, size_t first_byte, enum clrnn_type type, size_t count,
                                   struct clrnn_buffer **buffer)
{
    struct clrnn_device *d = parent->device;
    struct clrnn_buffer *b;
    size_t bytes;
    enum clrnn_status st;

    *buffer = NULL;
    count = MAX2(count, 1);
    if (parent->parent)
        return clrnn_error(d->log, CLRNN_ERR_ARG, "%s: a part of a buffer cannot be divided again", parent->what);
    if (first_byte % clrnn_buffer_align(d))
        return clrnn_error(d->log, CLRNN_ERR_ARG, "%s: a part at byte %zu, expected a multiple of %zu", parent->what,
                           first_byte, clrnn_buffer_align(d));
    if (!clrnn_mul_size(count, clrnn_type_bytes(d, type), &bytes) || first_byte > parent->bytes ||
        bytes > parent->bytes - first_byte)
        return clrnn_error(d->log, CLRNN_ERR_ARG, "%s: a part of %zu elements at byte %zu leaves its %zu bytes",
                           parent->what, count, first_byte, parent->bytes);
    b = buffer_alloc(d, type, count);
    if (!b)
        return clrnn_error_memory(d->log, sizeof(*b), "a buffer");
    memcpy(b->what, parent->what, sizeof(b->what));
    b->bytes = bytes;
    b->first_byte = first_byte;
    b->parent = parent;
    st = d->backend->buffer_sub(b);
    if (st != CLRNN_OK) {
        free(b);
        return st;
    }
    clrnn_buffer_retain(parent);
    *buffer = b;
    return CLRNN_OK;
}

struct clrnn_buffer *clrnn_buffer_retain(struct clrnn_buffer *buffer)
{
    if (buffer)
        buffer->references++;
    return buffer;
}

void clrnn_buffer_destroy(struct clrnn_buffer **buffer)
{
    struct clrnn_buffer *b = *buffer;

    *buffer = NULL;
    if (!b || --b->references)
        return;
    b->device->backend->buffer_destroy(b);
    if (b->parent)
        clrnn_buffer_destroy(&b->parent);
    else
        b->device->held_bytes -= b->bytes;
    free(b);
}

enum clrnn_status clrnn_buffer_zero(struct clrnn_buffer *b)
{
    return b->device->backend->fill(b, 0, NULL);
}

enum clrnn_type clrnn_buffer_type(const struct clrnn_buffer *buffer)
{
    return buffer->type;
}

size_t clrnn_buffer_count(const struct clrnn_buffer *buffer)
{
    return buffer->count;
}

struct clrnn_device *clrnn_buffer_device(const struct clrnn_buffer *buffer)
{
    return buffer->device;
}

void *clrnn_buffer_host(const struct clrnn_buffer *buffer)
{
    return buffer->host;
}
