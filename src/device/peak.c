// SPDX-License-Identifier: MIT
// A quick measurement of what a device can do: float32 multiply-adds and copies.
#include <math.h>
#include <time.h>

#include "base/array.h"
#include "device/launch.h"

enum { TRIES = 5 };
static const double long_enough = 4e-3; // seconds of one try, far above a launch's own cost

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// The shortest of a few runs of the list.
static enum clrnn_status shortest(struct clrnn_launches *launches, double *seconds)
{
    struct clrnn_device *device = clrnn_launches_device(launches);

    TRY(clrnn_launches_run(launches)); // builds for these sizes
    TRY(clrnn_device_finish(device));
    *seconds = INFINITY;
    for (int i = 0; i < TRIES; i++) {
        const double start = seconds_now();

        TRY(clrnn_launches_run(launches));
        TRY(clrnn_device_finish(device));
        *seconds = fmin(*seconds, seconds_now() - start);
    }
    return CLRNN_OK;
}

// Width of vectors and number of items that keep the device busy.
static void shape(const struct clrnn_device *device, uint32_t *width, size_t *items)
{
    const struct clrnn_device_info *info = clrnn_device_info(device);

    *width = clrnn_device_is_cpu(device) ? 16 : 1; // what cl/vector.h knows
    *items = clrnn_device_is_cpu(device) ? 4 * (size_t)info->compute_units : 2048 * (size_t)info->compute_units;
}

static enum clrnn_status measure_fma(struct clrnn_launches *launches, struct clrnn_buffer *buffer, uint32_t width,
                                     size_t items, double *gflops)
{
    const struct clrnn_cost cost = {0, 0};
    double seconds = 0;
    uint32_t rounds = 512;

    do {
        struct clrnn_launches *one;
        enum clrnn_status st;

        rounds *= 4;
        TRY(clrnn_launches_create(clrnn_launches_device(launches), &one));
        st = clrnn_launch_kernel(one, "peak", "peak_fma", DEFINES({"WIDTH", width}), RANGE1(items), cost,
                                 ARGS(BUF(buffer), REAL(0.999), UINT(rounds)));
        if (st == CLRNN_OK)
            st = shortest(one, &seconds);
        clrnn_launches_destroy(&one);
        TRY(st);
    } while (seconds < long_enough && rounds < 1u << 28);
    *gflops = 1e-9 * 2.0 * 12 /* CHAINS */ * width * (double)items * rounds / seconds;
    return CLRNN_OK;
}

static enum clrnn_status measure_copy(struct clrnn_launches *launches, struct clrnn_buffer *from,
                                      struct clrnn_buffer *to, uint32_t width, size_t items, double *gb_per_s)
{
    const size_t count = clrnn_buffer_count(from);
    const uint32_t chunk = clrnn_device_is_cpu(clrnn_launches_device(launches))
                               ? (uint32_t)(count / items / width * width)
                               : width;
    const size_t copied = chunk == width ? count / width : items;
    double seconds;

    TRY(clrnn_launch_kernel(launches, "peak", "peak_copy", DEFINES({"WIDTH", width}), RANGE1(copied),
                            (struct clrnn_cost){0, 0}, ARGS(BUF(from), BUF(to), UINT(chunk))));
    TRY(shortest(launches, &seconds));
    *gb_per_s = 1e-9 * 2.0 * sizeof(float) * (double)copied * chunk / seconds;
    return CLRNN_OK;
}

enum clrnn_status clrnn_device_peak(struct clrnn_device *device, struct clrnn_peak *peak)
{
    struct clrnn_launches *launches = NULL;
    struct clrnn_buffer *from = NULL, *to = NULL;
    uint32_t width;
    size_t items, count;
    enum clrnn_status st;

    *peak = (struct clrnn_peak){NAN, NAN};
    if (clrnn_device_is_ref(device))
        return CLRNN_OK;
    shape(device, &width, &items);
    // 64 MB each: beyond caches of a core, little beside a device's memory; a multiple of every chunk
    count = MAX2((size_t)(16 << 20) / (items * width), 1) * items * width;
    if ((st = clrnn_launches_create(device, &launches)) != CLRNN_OK ||
        (st = clrnn_buffer_create(device, CLRNN_REAL, count, "measuring copies", &from)) != CLRNN_OK ||
        (st = clrnn_buffer_create(device, CLRNN_REAL, count, "measuring copies", &to)) != CLRNN_OK ||
        (st = measure_fma(launches, to, width, items, &peak->gflops)) != CLRNN_OK)
        goto end;
    st = measure_copy(launches, from, to, width, items, &peak->gb_per_s);

end:
    clrnn_launches_destroy(&launches);
    clrnn_buffer_destroy(&from);
    clrnn_buffer_destroy(&to);
    return st;
}
