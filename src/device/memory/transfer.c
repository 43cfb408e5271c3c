// SPDX-License-Identifier: MIT
// Transfers between host and device, in queue order: checks the arguments, then calls the device's backend.
#include "device/core/internal.h"

/** Checks that elements [first, first + count) are within the buffer, and that its type is REAL (`reals` true) or an
 * integer type (`reals` false). `verb` is for the error message. */
static enum clrnn_status check(const struct clrnn_buffer *b, size_t first, size_t count, bool reals, const char *verb)
{
    static const char *const names[] = {[CLRNN_REAL] = "REAL", [CLRNN_I32] = "I32", [CLRNN_U32] = "U32"};

    if (reals != (b->type == CLRNN_REAL))
        return clrnn_error(b->device->log, CLRNN_ERR_ARG, "%s: holds %s, cannot be %s as %s", b->what, names[b->type],
                           verb, reals ? "REAL" : "integers");
    if (first > b->count || count > b->count - first)
        return clrnn_error(b->device->log, CLRNN_ERR_ARG, "%s: %zu elements from %zu on cannot be %s, it holds %zu",
                           b->what, count, first, verb, b->count);
    return CLRNN_OK;
}

static enum clrnn_status write_host(struct clrnn_buffer *b, size_t first, size_t count, enum clrnn_host_type type,
                                    const void *data)
{
    TRY(check(b, first, count, type != CLRNN_HOST_I32, "written"));
    return count ? b->device->backend->write(b, first, count, type, data) : CLRNN_OK;
}

static enum clrnn_status read_host(struct clrnn_buffer *b, size_t first, size_t count, enum clrnn_host_type type,
                                   void *data)
{
    TRY(check(b, first, count, type != CLRNN_HOST_I32, "read"));
    return count ? b->device->backend->read(b, first, count, type, data) : CLRNN_OK;
}

enum clrnn_status clrnn_buffer_write_f32(struct clrnn_buffer *b, size_t first, size_t count, const float *data)
{
    return write_host(b, first, count, CLRNN_HOST_F32, data);
}

enum clrnn_status clrnn_buffer_write_f64(struct clrnn_buffer *b, size_t first, size_t count, const double *data)
{
    return write_host(b, first, count, CLRNN_HOST_F64, data);
}

enum clrnn_status clrnn_buffer_write_i32(struct clrnn_buffer *b, size_t first, size_t count, const int32_t *data)
{
    return write_host(b, first, count, CLRNN_HOST_I32, data);
}

enum clrnn_status clrnn_buffer_read_f32(struct clrnn_buffer *b, size_t first, size_t count, float *data)
{
    return read_host(b, first, count, CLRNN_HOST_F32, data);
}

enum clrnn_status clrnn_buffer_read_f64(struct clrnn_buffer *b, size_t first, size_t count, double *data)
{
    return read_host(b, first, count, CLRNN_HOST_F64, data);
}

enum clrnn_status clrnn_buffer_read_i32(struct clrnn_buffer *b, size_t first, size_t count, int32_t *data)
{
    return read_host(b, first, count, CLRNN_HOST_I32, data);
}

enum clrnn_status clrnn_buffer_write_async(struct clrnn_buffer *b, size_t first, size_t count, const float *data,
                                           uint64_t *token)
{
    *token = 0;
    TRY(check(b, first, count, true, "written"));
    return count ? b->device->backend->write_async(b, first, count, data, token) : CLRNN_OK;
}

enum clrnn_status clrnn_buffer_read_async(struct clrnn_buffer *b, size_t first, size_t count, float *data,
                                          uint64_t *token)
{
    *token = 0;
    TRY(check(b, first, count, true, "read"));
    return count ? b->device->backend->read_async(b, first, count, data, token) : CLRNN_OK;
}

enum clrnn_status clrnn_device_wait(struct clrnn_device *device, uint64_t token)
{
    return device->backend->wait(device, token);
}

enum clrnn_status clrnn_device_mark(struct clrnn_device *device, struct clrnn_mark *mark)
{
    return device->backend->mark(device, mark);
}

enum clrnn_status clrnn_buffer_read_after(struct clrnn_buffer *b, const struct clrnn_mark *mark, size_t first,
                                          size_t count, float *data)
{
    TRY(check(b, first, count, true, "read"));
    if (!mark->event || !count)
        return read_host(b, first, count, CLRNN_HOST_F32, data);
    return b->device->backend->read_after(b, mark, first, count, data);
}

void clrnn_mark_destroy(struct clrnn_device *device, struct clrnn_mark *mark)
{
    if (mark->event)
        device->backend->mark_destroy(mark);
    mark->event = NULL;
}

// Checks that `count` elements can be copied: both buffers are on one device and both are REAL or both integers, the
// elements are in bounds, and source and destination do not overlap.
static enum clrnn_status check_copy(const struct clrnn_buffer *to, size_t to_first, const struct clrnn_buffer *from,
                                    size_t from_first, size_t count)
{
    const struct clrnn_buffer *a = to->parent ? to->parent : to, *b = from->parent ? from->parent : from;
    size_t x, y;

    if (to->device != from->device)
        return clrnn_error(to->device->log, CLRNN_ERR_ARG, "%s, %s: lie on different devices", to->what, from->what);
    TRY(check(from, from_first, count, from->type == CLRNN_REAL, "read"));
    TRY(check(to, to_first, count, from->type == CLRNN_REAL, "written"));
    x = to->first_byte + to_first * clrnn_type_bytes(to->device, to->type);
    y = from->first_byte + from_first * clrnn_type_bytes(to->device, to->type);
    if (a == b && (x < y ? y - x : x - y) < count * clrnn_type_bytes(to->device, to->type))
        return clrnn_error(to->device->log, CLRNN_ERR_ARG, "%s: %zu elements are copied onto themselves", to->what,
                           count);
    return CLRNN_OK;
}

enum clrnn_status clrnn_buffer_copy(struct clrnn_buffer *to, size_t to_first, struct clrnn_buffer *from,
                                    size_t from_first, size_t count)
{
    TRY(check_copy(to, to_first, from, from_first, count));
    return count ? to->device->backend->copy(to, to_first, from, from_first, count) : CLRNN_OK;
}

enum clrnn_status clrnn_device_finish(struct clrnn_device *device)
{
    return device->backend->finish(device);
}

enum clrnn_status clrnn_device_flush(struct clrnn_device *device)
{
    return device->backend->flush(device);
}
