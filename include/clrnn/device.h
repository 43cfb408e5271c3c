// SPDX-License-Identifier: MIT
// Devices: what there is, and opening one.
#ifndef CLRNN_DEVICE_H
#define CLRNN_DEVICE_H

#include "clrnn/base.h"

CLRNN_BEGIN

/** What kind of processor a device is. */
enum clrnn_device_type {
    CLRNN_DEVICE_CPU,
    CLRNN_DEVICE_GPU,
    CLRNN_DEVICE_ACCELERATOR,
    CLRNN_DEVICE_REF, // src/reference: plain C, double precision, needs no OpenCL
};

/** Facts of one device; strings live as long as the list or device that they came from. */
struct clrnn_device_info {
    int platform, device; // clinfo's numbers; -1, -1 for ref
    enum clrnn_device_type type;
    const char *name, *vendor, *version, *opencl_c_version, *driver, *extensions;
    const char *platform_name, *platform_version;
    uint32_t compute_units, max_work_group_size, max_clock_mhz;
    uint64_t global_bytes, max_alloc_bytes, local_bytes;
    uint32_t base_align_bytes;   // of sub-buffers
    uint32_t float_vector_width; // native; 16 with AVX-512
    bool local_is_real, has_fp64, unified_memory;
    bool is_pocl;
    const char *trouble; // NULL, or why the platform or device cannot be used, a sentence
    int same_as; // row of the list that shows the same physical device through an earlier platform, or -1
};

/** All devices; private to the caller, freed with clrnn_device_list_destroy. */
struct clrnn_device_list {
    size_t count;
    struct clrnn_device_info *info; // OpenCL's in clinfo's order, then ref; broken ones included
    void *strings_;                 // private
};

/**
 * Lists all devices. Each platform is tried in a child process first, so that an ICD that crashes or
 * hangs (10 s) becomes a row with `trouble`. Platforms without devices are left out (device -1 and
 * trouble "no devices" in the list, to be shown as such). Errors: CLRNN_ERR_MEMORY.
 */
CLRNN_API enum clrnn_status clrnn_device_list_create(const struct clrnn_log *log,
                                                     struct clrnn_device_list **list);
/** Frees the list and sets *list to NULL; does nothing where it is NULL. */
CLRNN_API void clrnn_device_list_destroy(struct clrnn_device_list **list);

/** CLRNN_ERR_DEVICE, with what to install, where no device but ref can be used. */
CLRNN_API enum clrnn_status clrnn_device_list_check(const struct clrnn_log *log,
                                                    const struct clrnn_device_list *list);
/** "0:1", "ref", or "0:-" where the platform has no device, "-" for a driver without one, into text; returns
 *  it. */
CLRNN_API const char *clrnn_device_spec(const struct clrnn_device_info *info, char text[24]);

/** Which device to open, and how. Zeroed: the fastest one, silently. */
struct clrnn_device_params {
    const char *select;          // "P:D", "cpu", "gpu", "ref", or part of a name; NULL: CLRNN_DEVICE,
                                 // else the fastest GPU, else the CPU
    const struct clrnn_log *log; // kept
    bool profile;                // record event times of each launch
    const char *gemm;            // "auto" (NULL), "own" or "clblast"
    bool no_tune;                // ignore what `clrnn tune` remembered
};

/** Opaque: context and one in-order queue. Not thread-safe; outlives its buffers, models and plans. */
struct clrnn_device;

/**
 * Opens a device. Errors: CLRNN_ERR_ARG where `select` fits none or several (the message lists what
 * there is), CLRNN_ERR_DEVICE where it cannot be opened.
 */
CLRNN_API enum clrnn_status clrnn_device_open(const struct clrnn_device_params *params,
                                              struct clrnn_device **device);
/** Waits for what is queued, frees the device and sets *device to NULL; does nothing where it is NULL. Last,
 *  after the models that lie on it. */
CLRNN_API void clrnn_device_destroy(struct clrnn_device **device);
/** Facts of the device; the device's, and live as long. */
CLRNN_API const struct clrnn_device_info *clrnn_device_info(const struct clrnn_device *device);

/** Bytes of device memory held by buffers now and at most so far. */
CLRNN_API void clrnn_device_memory(const struct clrnn_device *device, uint64_t *now_bytes,
                                   uint64_t *peak_bytes);

/** Seconds spent so far in building programs, and how many were built and how many came from cache. */
CLRNN_API double clrnn_device_build_seconds(const struct clrnn_device *device, unsigned *built,
                                            unsigned *cached);

/** Whether `clrnn tune` has measured this device with this driver. */
CLRNN_API bool clrnn_device_is_tuned(const struct clrnn_device_info *info);

/** A multiply C [M, N] = A [M, K] B [K, N] of one step, and what tuning measured: milliseconds, NaN where
 * there was no time. */
struct clrnn_tuned_multiply {
    bool transpose_a, transpose_b;
    uint32_t M, N, K;
    uint32_t count;    // times a step
    double default_ms; // CLBlast as it comes
    double clblast_ms; // CLBlast with the settings that are kept
    double own_ms;     // our kernel
};

/** The folder of built programs. PoCL keeps its own elsewhere. */
struct clrnn_cache_info {
    char *folder; // the caller's to free
    size_t programs;
    uint64_t bytes, most_bytes; // held; what was used longest ago goes beyond most
    bool is_foreign;            // another user's, or writable by all: not used
};
/** Errors: CLRNN_ERR_DISK where neither XDG_CACHE_HOME nor HOME names a place, CLRNN_ERR_MEMORY. */
CLRNN_API enum clrnn_status clrnn_cache_info(const struct clrnn_log *log, struct clrnn_cache_info *info);
/** Removes every built program; how many and how large they were. Also CLRNN_ERR_DISK: one stays. */
CLRNN_API enum clrnn_status clrnn_cache_clear(const struct clrnn_log *log, size_t *programs, uint64_t *bytes);

/** From now on clRNN, and drivers that this process loads later, keep what they build in this folder and look
 * for it there: an empty one makes a cold start. For a child process. */
CLRNN_API void clrnn_caches_keep_in(const char *folder);

/** "; PoCL's cache may be damaged: delete ...", the end of a sentence about a driver that has failed in
 * building, or "" where the driver keeps no cache that we know; in fresh memory. NULL: no memory. */
CLRNN_API char *clrnn_device_cache_advice(const struct clrnn_device_info *info);

/** What a device can do, by a quick measurement: float32 multiply-adds in registers (a multiply-add is two
 *  operations), and copying 64 MB, or what there is (read and written bytes both count). NaN on ref, and,
 * with a warning, where there is no memory. */
struct clrnn_peak {
    double gflops, gb_per_s;
};
/** Measures what a device can do; takes about a second. CLRNN_ERR_BUILD, CLRNN_ERR_MEMORY,
 *  CLRNN_ERR_DEVICE. */
CLRNN_API enum clrnn_status clrnn_device_peak(struct clrnn_device *device, struct clrnn_peak *peak);

CLRNN_END

#endif
