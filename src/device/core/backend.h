// SPDX-License-Identifier: MIT
// A backend: the functions by which one kind of device stores and moves data. OpenCL devices use OpenCL buffers and a
// command queue; the reference device (ref) uses host memory.
#ifndef CLRNN_SRC_DEVICE_BACKEND_H
#define CLRNN_SRC_DEVICE_BACKEND_H

#include "device/memory/buffer.h"
#include "device/core/opencl.h"

/** Type of the elements in host memory, for a transfer between host and device. */
enum clrnn_host_type { CLRNN_HOST_F32, CLRNN_HOST_F64, CLRNN_HOST_I32 };

/** The functions of a backend. Their callers have checked all arguments. `first` and `count` are numbers of elements of
 * the buffer; count is at least 1. */
struct clrnn_backend {
    size_t real_bytes; // bytes of one REAL element on the device: 4 on OpenCL, 8 on ref
    /** `open` is called after the device's info has been set. `close` waits for queued work, and is called even if
     * `open` failed. */
    enum clrnn_status (*open)(struct clrnn_device *device);
    void (*close)(struct clrnn_device *device);

    /** Allocates buffer->bytes bytes for a buffer that is no sub-buffer. The content is undefined. */
    enum clrnn_status (*buffer_create)(struct clrnn_buffer *buffer);
    /** Makes the buffer a view of its parent's memory from buffer->first_byte on. */
    enum clrnn_status (*buffer_sub)(struct clrnn_buffer *buffer);
    void (*buffer_destroy)(struct clrnn_buffer *buffer);

    enum clrnn_status (*write)(struct clrnn_buffer *buffer, size_t first, size_t count, enum clrnn_host_type type,
                               const void *data);
    enum clrnn_status (*write_async)(struct clrnn_buffer *buffer, size_t first, size_t count, const float *data,
                                     uint64_t *token);
    enum clrnn_status (*read_async)(struct clrnn_buffer *buffer, size_t first, size_t count, float *data,
                                    uint64_t *token);
    enum clrnn_status (*wait)(struct clrnn_device *device, uint64_t token);
    enum clrnn_status (*read)(struct clrnn_buffer *buffer, size_t first, size_t count, enum clrnn_host_type type,
                              void *data);
    /** Fills the whole buffer with copies of a 32-bit word. On OpenCL, *event becomes the command's event, unless
     * `event` is NULL. */
    enum clrnn_status (*fill)(struct clrnn_buffer *buffer, cl_uint word, cl_event *event);
    enum clrnn_status (*copy)(struct clrnn_buffer *to, size_t to_first, struct clrnn_buffer *from, size_t from_first,
                              size_t count);

    /** Sets mark->event to an event that completes when all work queued so far is done. If every function of the
     * backend has finished its work when it returns (ref), sets mark->event to NULL; mark_destroy and read_after are
     * then never called. */
    enum clrnn_status (*mark)(struct clrnn_device *device, struct clrnn_mark *mark);
    void (*mark_destroy)(struct clrnn_mark *mark);
    enum clrnn_status (*read_after)(struct clrnn_buffer *buffer, const struct clrnn_mark *mark, size_t first,
                                    size_t count, float *data);

    enum clrnn_status (*finish)(struct clrnn_device *device);
    enum clrnn_status (*flush)(struct clrnn_device *device);
};

extern const struct clrnn_backend clrnn_backend_opencl, clrnn_backend_ref;

#endif
