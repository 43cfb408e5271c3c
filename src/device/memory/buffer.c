// SPDX-License-Identifier: MIT
// Device memory: creating, dividing and counting it. Transfers are in transfer.c.
#include "device/memory/buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "device/internal.h"

size_t clrnn_type_bytes(const struct clrnn_device *device, enum clrnn_type type)
{
    return device->ref && type == CLRNN_REAL ? sizeof(double) : 4;
}

size_t clrnn_buffer_align(const struct clrnn_device *device)
{
    return MAX2(device->info.base_align_bytes, 64);
}

/** A buffer without memory; NULL: no memory. */
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

static enum clrnn_status error_memory(const struct clrnn_device *d, const struct clrnn_buffer *b,
                                      const char *why)
{
    return clrnn_error(
        d->log, CLRNN_ERR_MEMORY,
        "%s: %zu bytes of device memory cannot be had (%s): %llu are held, %s has %llu, at most "
        "%llu in one piece; a smaller batch or model needs less",
        b->what, b->bytes, why, (unsigned long long)d->held_bytes, d->info.name,
        (unsigned long long)d->info.global_bytes, (unsigned long long)d->info.max_alloc_bytes);
}

enum clrnn_status clrnn_buffer_create(struct clrnn_device *device, enum clrnn_type type, size_t count,
                                      const char *what, struct clrnn_buffer **buffer)
{
    struct clrnn_buffer *b;
    cl_int error = CL_SUCCESS;
    enum clrnn_status st;

    count = MAX2(count, 1);
    *buffer = NULL;
    b = buffer_alloc(device, type, count);
    if (!b)
        return clrnn_error_memory(device->log, sizeof(*b), "a buffer");
    snprintf(b->what, sizeof(b->what), "%s", what ? what : "buffer");
    if (!clrnn_mul_size(count, clrnn_type_bytes(device, type), &b->bytes)) {
        b->bytes = SIZE_MAX;
        st = error_memory(device, b, "more than there are addresses");
        goto fail;
    }
    if (device->ref) {
        // the alignment of aligned_alloc, and zeros
        const size_t align = clrnn_buffer_align(device);

        if (b->bytes <= PTRDIFF_MAX - align)
            b->host = aligned_alloc(align, (b->bytes + align - 1) / align * align);
        if (!b->host) {
            st = error_memory(device, b, "the host's memory is spent");
            goto fail;
        }
        memset(b->host, 0, b->bytes);
    } else if (b->bytes > device->info.max_alloc_bytes) {
        st = error_memory(device, b, "more than the device gives in one piece");
        goto fail;
    } else if (b->bytes > device->info.global_bytes - MIN2(device->held_bytes, device->info.global_bytes)) {
        st = error_memory(device, b, "more than is left");
        goto fail;
    } else {
        b->mem = clCreateBuffer(device->context, CL_MEM_READ_WRITE, b->bytes, NULL, &error);
        if (!b->mem) {
            st = error == CL_MEM_OBJECT_ALLOCATION_FAILURE || error == CL_OUT_OF_HOST_MEMORY ||
                         error == CL_OUT_OF_RESOURCES || error == CL_INVALID_BUFFER_SIZE
                     ? error_memory(device, b, clrnn_cl_error_name(error))
                     : clrnn_cl_error(device->log, error, "clCreateBuffer", "%s, %zu bytes, on %s", b->what,
                                      b->bytes, device->info.name);
            goto fail;
        }
    }
    device->held_bytes += b->bytes;
    device->peak_bytes = MAX2(device->peak_bytes, device->held_bytes);
    if (!device->ref) {
        st = clrnn_buffer_zero(b); // many drivers take memory only now
        if (st != CLRNN_OK) {
            clrnn_buffer_destroy(&b);
            return st;
        }
    }
    *buffer = b;
    return CLRNN_OK;

fail:
    free(b);
    return st;
}

enum clrnn_status clrnn_buffer_sub(struct clrnn_buffer *parent, size_t first_byte, enum clrnn_type type,
                                   size_t count, struct clrnn_buffer **buffer)
{
    struct clrnn_device *d = parent->device;
    struct clrnn_buffer *b;
    size_t bytes;
    cl_int error;

    *buffer = NULL;
    count = MAX2(count, 1);
    if (parent->parent)
        return clrnn_error(d->log, CLRNN_ERR_ARG, "%s: a part of a buffer cannot be divided again",
                           parent->what);
    if (first_byte % clrnn_buffer_align(d))
        return clrnn_error(d->log, CLRNN_ERR_ARG, "%s: a part at byte %zu, expected a multiple of %zu",
                           parent->what, first_byte, clrnn_buffer_align(d));
    if (!clrnn_mul_size(count, clrnn_type_bytes(d, type), &bytes) || first_byte > parent->bytes ||
        bytes > parent->bytes - first_byte)
        return clrnn_error(d->log, CLRNN_ERR_ARG,
                           "%s: a part of %zu elements at byte %zu leaves its %zu bytes", parent->what, count,
                           first_byte, parent->bytes);
    b = buffer_alloc(d, type, count);
    if (!b)
        return clrnn_error_memory(d->log, sizeof(*b), "a buffer");
    memcpy(b->what, parent->what, sizeof(b->what));
    b->bytes = bytes;
    b->first_byte = first_byte;
    if (d->ref) {
        b->host = (char *)parent->host + first_byte;
    } else {
        const cl_buffer_region region = {first_byte, bytes};

        b->mem =
            clCreateSubBuffer(parent->mem, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &error);
        if (!b->mem) {
            free(b);
            return clrnn_cl_error(d->log, error, "clCreateSubBuffer", "%s, %zu bytes at %zu of %zu, on %s",
                                  parent->what, bytes, first_byte, parent->bytes, d->info.name);
        }
    }
    b->parent = clrnn_buffer_retain(parent);
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
    if (b->mem)
        clReleaseMemObject(b->mem); // the driver keeps it until what is queued is done
    if (b->parent) {
        clrnn_buffer_destroy(&b->parent);
    } else {
        b->device->held_bytes -= b->bytes;
        free(b->host);
    }
    free(b);
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
