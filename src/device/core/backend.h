// SPDX-License-Identifier: MIT
// How a kind of device stores and moves data: OpenCL memory and a queue or, on ref, the host's memory.
#ifndef CLRNN_SRC_DEVICE_BACKEND_H
#define CLRNN_SRC_DEVICE_BACKEND_H

#include "device/memory/buffer.h"
#include "device/core/opencl.h"

/** Element type on the host's side of a transfer. */
enum clrnn_host_type { CLRNN_HOST_F32, CLRNN_HOST_F64, CLRNN_HOST_I32 };

/** The functions of a backend. Callers have checked all arguments; `first` and `count` are in elements of the
 * buffer, and count > 0. */
struct clrnn_backend {
    size_t real_bytes; // bytes of one REAL
    /** `open` is called once the device's info is set. `close` waits for queued work, and is called even if
     * `open` failed. */
    enum clrnn_status (*open)(struct clrnn_device *device);
    void (*close)(struct clrnn_device *device);

    /** Allocates buffer->bytes for a buffer without a parent; the content is undefined. */
    enum clrnn_status (*buffer_create)(struct clrnn_buffer *buffer);
    /** Makes the buffer a view of its parent's memory from buffer->first_byte on. */
    enum clrnn_status (*buffer_sub)(struct clrnn_buffer *buffer);
    void (*buffer_destroy)(struct clrnn_buffer *buffer);

    enum clrnn_status (*write)(struct clrnn_buffer *buffer, size_t first, size_t count,
                               enum clrnn_host_type type, const void *data);
    enum clrnn_status (*write_async)(struct clrnn_buffer *buffer, size_t first, size_t count,
                                     const float *data, uint64_t *token);
    enum clrnn_status (*read_async)(struct clrnn_buffer *buffer, size_t first, size_t count, float *data,
                                    uint64_t *token);
    enum clrnn_status (*wait)(struct clrnn_device *device, uint64_t token);
    enum clrnn_status (*read)(struct clrnn_buffer *buffer, size_t first, size_t count,
                              enum clrnn_host_type type, void *data);
    /** Fills the whole buffer with a 32-bit word. `event` receives the command's event, unless it is NULL. */
    enum clrnn_status (*fill)(struct clrnn_buffer *buffer, cl_uint word, cl_event *event);
    enum clrnn_status (*copy)(struct clrnn_buffer *to, size_t to_first, struct clrnn_buffer *from,
                              size_t from_first, size_t count);

    /** Sets mark->event, to NULL if every call of this backend is complete on return; mark_destroy and
     * read_after are then never called. */
    enum clrnn_status (*mark)(struct clrnn_device *device, struct clrnn_mark *mark);
    void (*mark_destroy)(struct clrnn_mark *mark);
    enum clrnn_status (*read_after)(struct clrnn_buffer *buffer, const struct clrnn_mark *mark, size_t first,
                                    size_t count, float *data);

    enum clrnn_status (*finish)(struct clrnn_device *device);
    enum clrnn_status (*flush)(struct clrnn_device *device);
};

extern const struct clrnn_backend clrnn_backend_opencl, clrnn_backend_ref;

#endif
