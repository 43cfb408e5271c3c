// SPDX-License-Identifier: MIT
// The structs of a device and a buffer, which the files of this layer share.
#ifndef CLRNN_SRC_DEVICE_INTERNAL_H
#define CLRNN_SRC_DEVICE_INTERNAL_H

#include <jansson.h>

#include "device/core/backend.h"
#include "device/device.h"
#include "device/find/find.h"
#include "device/memory/buffer.h"

enum clrnn_gemm_choice { CLRNN_GEMM_AUTO, CLRNN_GEMM_OWN, CLRNN_GEMM_CLBLAST };

struct clrnn_transfers; // of backend_opencl.c
struct clrnn_builders;  // of list/builders.c

struct clrnn_device {
    const struct clrnn_backend *backend;
    const struct clrnn_log *log;
    struct clrnn_device_info info;
    struct clrnn_device_list *list; // owns the strings of info
    struct clrnn_quirks quirks;
    bool profile, no_tune;
    bool poison_scratch;  // CLRNN_TEST_SCRATCH: scratch memory is poisoned before each use
    bool cpu_form;        // whether kernels take the CPUs' form
    bool chain_forced;    // CLRNN_CHAIN_AFTER is set
    uint64_t replays;     // replays of all lists so far
    uint64_t chain_after; // CLRNN_CHAIN_AFTER's number of replays; UINT64_MAX: never
    enum clrnn_gemm_choice gemm;
    struct clrnn_tune *tune; // measured choices; NULL: there are none, or no_tune is set
    json_t *forced;          // choices by key that override the file; NULL: none
    char *kernel_dir;        // CLRNN_KERNEL_DIR or NULL
    char *cache_dir;         // folder of program binaries; NULL: none

    struct clrnn_handles handles;
    cl_context context;
    cl_command_queue queue, reads; // reads: the queue of clrnn_buffer_read_after, NULL until it is first used
    struct clrnn_transfers *transfers;
    bool shares_memory; // whether a buffer may lie in memory that host and device both access

    uint64_t held_bytes, peak_bytes;

    struct clrnn_program *programs;
    double build_seconds;
    unsigned built, cached;
    bool compiles;                   // a program took so long to build that it cannot come from a cache
    struct clrnn_builders *builders; // processes that compile beside this one; NULL: none
    size_t op, ops;                  // kernels of op number `op` of `ops` are being built; 0 ops: not known
    double told;                     // when the log last got a message about builds; 0: never
    bool told_of_chain;              // whether the log was told that a chain is built

    struct clrnn_buffer **scratch; // one for each call of clrnn_launches_scratch within an op
    size_t scratch_count;
};

struct clrnn_buffer {
    struct clrnn_device *device;
    struct clrnn_buffer *parent; // retained; NULL: the buffer has memory of its own
    enum clrnn_type type;
    size_t count, bytes, first_byte;
    unsigned references;
    cl_mem mem;   // the memory on OpenCL
    char *shared; // address of memory that the host may use, too; else NULL
    bool share;   // whether the buffer is to lie in memory shared with the host
    void *host;   // the elements on ref
    char what[48];
};

/** Logs that memory for the buffer cannot be allocated, and `why`; returns CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_buffer_error_memory(const struct clrnn_buffer *buffer, const char *why);

#endif
