// SPDX-License-Identifier: MIT
// Listing and opening devices.
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

/** Properties of one device. Strings are owned by the list or device that the struct came from. */
struct clrnn_device_info {
    int platform, device; // indices as clinfo numbers them; both -1 for ref
    enum clrnn_device_type type;
    const char *name, *vendor, *version, *opencl_c_version, *driver, *extensions;
    const char *platform_name, *platform_version;
    uint32_t compute_units, max_work_group_size, max_clock_mhz;
    uint64_t global_bytes, max_alloc_bytes, local_bytes;
    uint32_t base_align_bytes;   // alignment that sub-buffers need
    uint32_t float_vector_width; // native width in floats: 16 with AVX-512
    // local_is_real: local memory is dedicated (CL_LOCAL), not a part of global memory
    bool local_is_real, has_fp64, unified_memory;
    bool is_pocl;
    const char *trouble; // a sentence: why the platform or device cannot be used; NULL: it can be used
    int same_as;         // list index of the same physical device on an earlier platform, or -1
    uint64_t pci;        // PCI address of a GPU (domain, bus, device, function in bit fields); 0: unknown
};

/** A list of all devices. The caller frees it with clrnn_device_list_destroy. */
struct clrnn_device_list {
    size_t count;
    struct clrnn_device_info *info; // OpenCL devices in clinfo's order, broken ones included, then ref
    void *strings_;                 // private
};

/** Lists all devices. Each platform is first opened in a child process. A driver that crashes, or hangs for 10 s,
 * therefore ends only the child, and the list has an entry with `trouble` for it. A platform without devices is an
 * entry with device -1 and trouble "no devices". Errors: CLRNN_ERR_MEMORY.
 */
CLRNN_API enum clrnn_status clrnn_device_list_create(const struct clrnn_log *log, struct clrnn_device_list **list);
/** Frees the list and sets *list to NULL; does nothing if *list is NULL. */
CLRNN_API void clrnn_device_list_destroy(struct clrnn_device_list **list);

/** Checks that at least one device other than ref can be used. CLRNN_ERR_DEVICE: no such device can be used; the
 * message says what to install. */
CLRNN_API enum clrnn_status clrnn_device_list_check(const struct clrnn_log *log, const struct clrnn_device_list *list);
/** Returns the list index of the device that is opened by default, and writes the reason for the choice into `why`, as
 * a phrase. Returns SIZE_MAX if no device can be used. A GPU is preferred to a CPU, and a CPU to an accelerator. Among
 * GPUs, the device with the largest product of cores and clock rate is chosen. Among several drivers for the CPU, the
 * driver that runs clRNN's kernels best is chosen. If a training step was measured on the device chosen by these rules
 * (clrnn_device_step_ms), the fastest of all measured devices is returned instead. */
CLRNN_API size_t clrnn_device_list_default(const struct clrnn_device_list *list, char why[160]);
/** Prints the device's spec, by which a user selects it, into `text`: "0:1", "ref", "0:-" for a platform without
 * devices, "-" for a driver without platforms. Returns `text`. */
CLRNN_API const char *clrnn_device_spec(const struct clrnn_device_info *info, char text[24]);

/** Which device to open, and how. All fields zero: the default device, without log messages. */
struct clrnn_device_params {
    // "P:D" (platform and device index), "cpu", "gpu", "ref", or part of a name. NULL: the value of the environment
    // variable CLRNN_DEVICE, else the default device (clrnn_device_list_default)
    const char *select;
    const struct clrnn_log *log; // must outlive the device
    bool profile;                // record event times of each launch
    // What multiplies matrices: "auto", "own" or "clblast". NULL: the value of the environment variable CLRNN_GEMM,
    // else "auto".
    const char *gemm;
    bool no_tune; // ignore the results of `clrnn tune`
};

/** An open device: an OpenCL context and one in-order command queue. Opaque. Not thread-safe. Buffers, models and plans
 * on the device must be freed before the device. */
struct clrnn_device;

/** Opens a device. `params` NULL: all fields zero. Errors: CLRNN_ERR_ARG if `select` matches no device or several (the
 * message lists the devices), or if `gemm` is not known; CLRNN_ERR_DEVICE if no device can be used, or the device
 * cannot be opened; CLRNN_ERR_MEMORY. */
CLRNN_API enum clrnn_status clrnn_device_open(const struct clrnn_device_params *params, struct clrnn_device **device);
/** Waits for queued work, frees the device and sets *device to NULL; does nothing if *device is NULL. The models on the
 * device must be destroyed first. */
CLRNN_API void clrnn_device_destroy(struct clrnn_device **device);
/** Returns the properties of the device; the device owns the struct. */
CLRNN_API const struct clrnn_device_info *clrnn_device_info(const struct clrnn_device *device);

/** Sets *now_bytes to the device memory that buffers occupy now, and *peak_bytes to the most that they have occupied at
 * one time, both in bytes. Either pointer may be NULL. */
CLRNN_API void clrnn_device_memory(const struct clrnn_device *device, uint64_t *now_bytes, uint64_t *peak_bytes);

/** Returns the seconds spent building OpenCL programs so far. Sets *built to the number of programs that were built
 * from source, and *cached to the number that came from the cache. Either pointer may be NULL. */
CLRNN_API double clrnn_device_build_seconds(const struct clrnn_device *device, unsigned *built, unsigned *cached);

/** Whether `clrnn tune` has measured this device with this driver. */
CLRNN_API bool clrnn_device_is_tuned(const struct clrnn_device_info *info);

/** The training step by which devices are compared: forward, backward and update of one batch of N samples of T steps
 * and C features by an lstm of hidden size H. */
#define CLRNN_STEP_MODEL "lstm, N 64, T 32, C 64, H 128, cross_entropy, adam"
/** Returns the milliseconds of a training step of CLRNN_STEP_MODEL that `clrnn tune` measured on this device with this
 * driver; NaN: not measured, or the stored value is damaged. */
CLRNN_API double clrnn_device_step_ms(const struct clrnn_device_info *info);
/** Stores the milliseconds of a training step of CLRNN_STEP_MODEL in the user's cache, for later choices of
 * a default device. NaN removes the stored value. Errors: CLRNN_ERR_ARG on ref or if `step_ms` is not positive;
 * CLRNN_ERR_DISK: the file cannot be written; CLRNN_ERR_MEMORY. */
CLRNN_API enum clrnn_status clrnn_device_keep_step_ms(const struct clrnn_log *log, const struct clrnn_device_info *info,
                                                      double step_ms);

/** A matrix multiply C [M, N] = A [M, K] B [K, N] of a training step, and its times in milliseconds as tuning measured
 * them; NaN: not measured. */
struct clrnn_tuned_multiply {
    bool transpose_a, transpose_b;
    uint32_t M, N, K;
    uint32_t count;    // number of such multiplies in a training step
    double default_ms; // CLBlast with its default settings
    double clblast_ms; // CLBlast with the tuned settings
    double own_ms;     // clRNN's own kernel
};

/** The folder in which clRNN caches built OpenCL programs. PoCL has a cache of its own in another folder. */
struct clrnn_cache_info {
    char *folder; // the caller frees it
    size_t programs;
    uint64_t bytes,  // size of the programs
        most_bytes;  // limit of `bytes`; above it, the least recently used programs are removed
    bool is_foreign; // the folder is another user's or writable by all; it is not used
};
/** Describes the cache. Errors: CLRNN_ERR_DISK if neither XDG_CACHE_HOME nor HOME is set; CLRNN_ERR_MEMORY.
 * info->folder is then NULL. */
CLRNN_API enum clrnn_status clrnn_cache_info(const struct clrnn_log *log, struct clrnn_cache_info *info);
/** Removes every built program from the cache. Sets *programs to the number of programs removed and *bytes to their
 * size. Errors: as clrnn_cache_info; CLRNN_ERR_DISK also if a file cannot be removed. */
CLRNN_API enum clrnn_status clrnn_cache_clear(const struct clrnn_log *log, size_t *programs, uint64_t *bytes);

/** Sets *folder to the folder of PoCL's own cache of compiled kernels, which need not exist, and *bytes to the size of
 * the files in it.
 *
 * Owner   the caller frees *folder, which is NULL after an error.
 * Errors  CLRNN_ERR_MEMORY. */
CLRNN_API enum clrnn_status clrnn_pocl_cache(const struct clrnn_log *log, char **folder, uint64_t *bytes);

/** Sets the cache folder of clRNN and of OpenCL drivers that this process loads later. If the folder is empty, every
 * program is built from source (cold start). Meant for child processes. */
CLRNN_API void clrnn_caches_keep_in(const char *folder);

/** Returns the end of a message about a failed build, "; PoCL's cache may be damaged: delete ...", or "" if the
 * location of the driver's cache is not known. The caller frees the text. NULL: out of memory. */
CLRNN_API char *clrnn_device_cache_advice(const struct clrnn_device_info *info);

/** Measured peak rates of a device. gflops: float32 multiply-adds in registers, each counted as two operations.
 * gb_per_s: copying 64 MB, or less if the device is slow or memory is short; bytes read and bytes written both count.
 * Both are NaN on ref. Both are also NaN, with a warning, if memory is too short for the measurement. */
struct clrnn_peak {
    double gflops, gb_per_s;
};
/** Measures the peak rates; takes about a second. Errors: CLRNN_ERR_BUILD, CLRNN_ERR_DEVICE. */
CLRNN_API enum clrnn_status clrnn_device_peak(struct clrnn_device *device, struct clrnn_peak *peak);

CLRNN_END

#endif
