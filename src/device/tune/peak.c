// SPDX-License-Identifier: MIT
// Measures quickly what a device can do at most: float32 multiply-adds and copies per second.
#include <math.h>

#include "base/array.h"
#include "base/clock.h"
#include "device/list/list.h"

enum { TRIES = 5, MOST_ROUNDS = 1 << 15 }; // llvmpipe ends every loop after 65535 rounds
enum { LEAST_ELEMENTS = 1 << 14 };
static const double long_enough = 4e-3; // minimum seconds of a measurement, far above a launch's overhead
static const double too_long = 0.2;     // maximum seconds of measurements on a slow device, such as a simulator

// Measures the shortest of a few runs of the list.
static enum clrnn_status shortest(struct clrnn_launches *launches, double *seconds)
{
    struct clrnn_device *device = clrnn_launches_device(launches);
    const double began = clrnn_clock();

    TRY(clrnn_launches_run(launches)); // a first run, not timed, in which drivers build for these sizes
    TRY(clrnn_device_finish(device));
    *seconds = INFINITY;
    for (int i = 0; i < TRIES && (i == 0 || clrnn_clock() - began < too_long); i++) {
        const double start = clrnn_clock();

        TRY(clrnn_launches_run(launches));
        TRY(clrnn_device_finish(device));
        *seconds = fmin(*seconds, clrnn_clock() - start);
    }
    return CLRNN_OK;
}

// Sets the vector width in floats and the number of work-items that keep the device busy.
static void shape(const struct clrnn_device *device, uint32_t *width, size_t *items)
{
    const struct clrnn_device_info *info = clrnn_device_info(device);

    *width = clrnn_device_is_cpu(device) ? clrnn_device_vector_width(device) : 1;
    *items = clrnn_device_is_cpu(device) ? 4 * (size_t)info->compute_units : 2048 * (size_t)info->compute_units;
}

static enum clrnn_status measure_fma(struct clrnn_buffer *buffer, uint32_t width, size_t items, double *gflops)
{
    const struct clrnn_cost cost = {0, 0};
    double seconds = 0, all_rounds = 512;

    do {
        struct clrnn_launches *some;
        enum clrnn_status st;

        all_rounds *= 4;
        st = clrnn_launches_create(clrnn_buffer_device(buffer), &some);
        for (double done = 0; st == CLRNN_OK && done < all_rounds; done += MOST_ROUNDS)
            st = clrnn_launch_kernel(some, "peak", "peak_fma", DEFINES({"WIDTH", width}), RANGE1(items), cost,
                                     ARGS(BUF(buffer), REAL(0.999), UINT(fmin(all_rounds, MOST_ROUNDS))));
        if (st == CLRNN_OK)
            st = shortest(some, &seconds);
        clrnn_launches_destroy(&some);
        TRY(st);
    } while (seconds < long_enough && all_rounds < 1 << 24);
    *gflops = 1e-9 * 2.0 * 12 /* CHAINS of cl/peak.cl */ * width * (double)items * all_rounds / seconds;
    return CLRNN_OK;
}

// Measures a copy of the first 1 / `part` of the buffer. *bytes: bytes read and written. *seconds: the shortest time.
static enum clrnn_status copy_part(struct clrnn_buffer *from, struct clrnn_buffer *to, uint32_t width, size_t items,
                                   size_t part, double *bytes, double *seconds)
{
    struct clrnn_device *device = clrnn_buffer_device(from);
    const size_t count = clrnn_buffer_count(from) / part;
    const size_t rounds = clrnn_device_is_cpu(device) ? MIN2(MAX2(count / items / width, 1), MOST_ROUNDS) : 1;
    const uint32_t chunk = (uint32_t)rounds * width;
    const size_t copied = count / chunk;
    struct clrnn_launches *launches;
    enum clrnn_status st;

    TRY(clrnn_launches_create(device, &launches));
    st = clrnn_launch_kernel(launches, "peak", "peak_copy", DEFINES({"WIDTH", width}), RANGE1(copied),
                             (struct clrnn_cost){0, 0}, ARGS(BUF(from), BUF(to), UINT(chunk)));
    if (st == CLRNN_OK)
        st = shortest(launches, seconds);
    clrnn_launches_destroy(&launches);
    *bytes = 2.0 * sizeof(float) * (double)copied * chunk;
    return st;
}

// Measures copies of the whole buffer or, on a slow device, of a part of the buffer.
static enum clrnn_status measure_copy(struct clrnn_buffer *from, struct clrnn_buffer *to, uint32_t width, size_t items,
                                      double *gb_per_s)
{
    double bytes = 1, seconds = 0;

    for (size_t part = 256; part >= 1 && seconds < too_long / 16; part /= 16)
        TRY(copy_part(from, to, width, items, part, &bytes, &seconds));
    *gb_per_s = 1e-9 * bytes / seconds;
    return CLRNN_OK;
}

// Measures multiply-adds and copies with buffers of `count` elements.
static enum clrnn_status measure(struct clrnn_device *device, size_t count, uint32_t width, size_t items,
                                 struct clrnn_peak *peak)
{
    struct clrnn_buffer *from = NULL, *to = NULL;
    enum clrnn_status st;

    if ((st = clrnn_buffer_create(device, CLRNN_REAL, count, "measuring copies", &from)) == CLRNN_OK &&
        (st = clrnn_buffer_create(device, CLRNN_REAL, count, "measuring copies", &to)) == CLRNN_OK &&
        (st = measure_fma(to, width, items, &peak->gflops)) == CLRNN_OK)
        st = measure_copy(from, to, width, items, &peak->gb_per_s);
    clrnn_buffer_destroy(&from);
    clrnn_buffer_destroy(&to);
    return st;
}

enum clrnn_status clrnn_device_peak(struct clrnn_device *device, struct clrnn_peak *peak)
{
    NEED(clrnn_device_log(device), device);
    NEED(clrnn_device_log(device), peak);

    const struct clrnn_log silent = {.level = CLRNN_LOG_ERROR}, *log;
    uint32_t width;
    size_t items, count = 16 << 20; // 64 MB each: larger than a core's caches, small for a device's memory
    enum clrnn_status st;

    *peak = (struct clrnn_peak){NAN, NAN};
    if (clrnn_device_is_ref(device))
        return CLRNN_OK;
    shape(device, &width, &items);
    log = clrnn_device_set_log(device, &silent);
    do // uses smaller buffers if memory is short; the size is a multiple of every chunk
        st = measure(device, MAX2(count / (items * width), 1) * items * width, width, items, peak);
    while (st == CLRNN_ERR_MEMORY && (count /= 4) >= LEAST_ELEMENTS);
    clrnn_device_set_log(device, log);
    if (st == CLRNN_ERR_MEMORY) {
        clrnn_log(log, CLRNN_LOG_WARNING, "%s has no memory to measure what it can do at most",
                  clrnn_device_info(device)->name);
        return CLRNN_OK;
    }
    return st == CLRNN_OK
               ? st
               : clrnn_error(log, st, "what %s can do at most cannot be measured", clrnn_device_info(device)->name);
}
