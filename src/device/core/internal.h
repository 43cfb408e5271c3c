// SPDX-License-Identifier: MIT
// The structs of a device and of a buffer, which all files of src/device share.
#ifndef CLRNN_SRC_DEVICE_INTERNAL_H
#define CLRNN_SRC_DEVICE_INTERNAL_H

#include <jansson.h>

#include "device/core/backend.h"
#include "device/device.h"
#include "device/find/find.h"
#include "device/memory/buffer.h"

enum clrnn_gemm_choice { CLRNN_GEMM_AUTO, CLRNN_GEMM_OWN, CLRNN_GEMM_CLBLAST };

struct clrnn_transfers; // defined in backend_opencl.c
struct clrnn_builders;  // defined in list/builders.c

struct clrnn_device {
    const struct clrnn_backend *backend;
    const struct clrnn_log *log;
    struct clrnn_device_info info;
    struct clrnn_device_list *list; // owns the strings of info
    struct clrnn_quirks quirks;
    bool profile, no_tune;
    bool poison_scratch;  // CLRNN_TEST_SCRATCH: scratch memory is filled with CLRNN_UNWRITTEN before each use
    bool cpu_form;        // whether the kernels for CPUs are used (clrnn_device_cpu_form)
    bool chain_forced;    // CLRNN_CHAIN_AFTER is set
    uint64_t replays;     // number of runs so far of all replays (list/replay.h)
    uint64_t chain_after; // value of CLRNN_CHAIN_AFTER: runs before chains (list/chain.h) are built; UINT64_MAX: never
    enum clrnn_gemm_choice gemm;
    struct clrnn_tune *tune; // measurements by `clrnn tune`; NULL: there are none, or no_tune is set
    json_t *forced;          // choices by key (remember/choice.h) that override the measured ones; NULL: none
    char *kernel_dir;        // value of CLRNN_KERNEL_DIR; NULL: not set
    char *cache_dir;         // folder of cached program binaries; NULL: binaries are not cached

    struct clrnn_handles handles;
    cl_context context;
    // reads: the queue for the reads of clrnn_buffer_read_after; NULL before the first such read.
    // queue: the in-order queue for all other work.
    cl_command_queue queue, reads;
    struct clrnn_transfers *transfers;
    bool shares_memory; // whether the device supports buffers in memory that host and device both access

    uint64_t held_bytes, peak_bytes;

    struct clrnn_program *programs;
    double build_seconds;
    unsigned built, cached;
    bool compiles;                   // a program took so long to build that it was compiled, not read from a cache
    struct clrnn_builders *builders; // processes that compile kernels in parallel with this one; NULL: none
    // For messages.
    // op: number (from 0) of the op whose kernels are being built.
    // ops: number of ops; 0: unknown.
    size_t op, ops;
    double told;        // clrnn_clock() when a message about builds was last logged; 0: never
    bool told_of_chain; // whether a message has said that a chain is being built

    struct clrnn_buffer **scratch; // scratch[i]: memory of call number i, from 0, of clrnn_launches_scratch in an op
    size_t scratch_count;
};

struct clrnn_buffer {
    struct clrnn_device *device;
    struct clrnn_buffer *parent; // the buffer of which this is a sub-buffer (a counted reference); NULL: no sub-buffer
    enum clrnn_type type;
    size_t count, bytes, first_byte;
    unsigned references;
    cl_mem mem;   // the memory object on OpenCL devices
    char *shared; // address of the elements if host and device share the memory; else NULL
    bool share;   // whether to allocate memory that the host shares, if the device supports it
    void *host;   // the elements on ref; NULL on OpenCL devices
    char what[48];
};

/** Logs that memory for the buffer cannot be allocated, and `why`; returns CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_buffer_error_memory(const struct clrnn_buffer *buffer, const char *why);

#endif
