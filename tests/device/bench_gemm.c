// SPDX-License-Identifier: MIT
// Measures the speed of matrix multiplies in the shapes that the training of recurrent networks needs.
//
//     bench_gemm [own|clblast|auto]     the device is CLRNN_DEVICE's, else the first CPU
//
// Prints one line per shape: the fastest and the median time of repeated runs, the speed of the fastest run, the number
// of launches, and the least CPU time of a run, summed over all threads. If other programs run at the same time, the
// CPU time is more reliable than the elapsed time.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "device/gemm/gemm.h"

enum { MOST_RUNS = 200 };

static const struct {
    uint32_t M, N, K;
    bool transpose_a, transpose_b;
} shapes[] = {
    {64, 128, 2474, false, true},     {64, 2474, 128, false, false},   {128, 2474, 64, true, false},
    {6400, 256, 128, false, true},    {6400, 128, 256, false, false},  {256, 128, 6400, true, false},
    {6400, 1024, 256, false, true},   {6400, 256, 1024, false, false}, {1024, 256, 6400, true, false},
    {64, 512, 512, false, true},      {64, 512, 512, false, false},    {64, 64, 64, false, true},
    {1024, 1024, 1024, false, false}, {2, 64, 64, false, true},        {64, 2, 64, false, true},
    {64, 64, 2, false, false},        {2, 64, 6400, true, false},      {12800, 2, 512, false, true},
    {12800, 512, 2, false, false},    {2, 512, 12800, true, false},    {256, 1, 6400, true, false},
    {1, 512, 512, false, true},       {1, 1, 1, false, false},
};

static void print_line(void *user, enum clrnn_log_level level, const char *line)
{
    (void)user;
    (void)level;
    fprintf(stderr, "%s\n", line);
}

static const struct clrnn_log log_ = {.fn = print_line, .user = NULL, .level = CLRNN_LOG_WARNING};

static double seconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static enum clrnn_status fill(struct clrnn_device *device, size_t count, struct clrnn_buffer **buffer)
{
    float *data = malloc(count * sizeof(*data));
    enum clrnn_status st;

    if (!data)
        return CLRNN_ERR_MEMORY;
    for (size_t i = 0; i < count; i++)
        data[i] = (float)(i * 2654435761u % 1000) / 500.0f - 1;
    st = clrnn_buffer_create(device, CLRNN_REAL, count, "a matrix", buffer);
    if (st == CLRNN_OK)
        st = clrnn_buffer_write_f32(*buffer, 0, count, data);
    free(data);
    return st;
}

static enum clrnn_status measure(struct clrnn_device *device, struct clrnn_gemm g)
{
    // Short multiplies are repeated many times per measurement.
    const double flops = 2.0 * g.M * g.N * g.K;
    const unsigned inner = flops < 1e8 ? 20 : 1;
    struct clrnn_launches *launches = NULL;
    double wall[MOST_RUNS], cpu[MOST_RUNS], begin;
    unsigned runs = 0;
    enum clrnn_status st;

    g.a_ld = g.transpose_a ? g.M : g.K;
    g.b_ld = g.transpose_b ? g.K : g.N;
    g.c_ld = g.N;
    if ((st = fill(device, (size_t)g.M * g.K, &g.a)) != CLRNN_OK ||
        (st = fill(device, (size_t)g.K * g.N, &g.b)) != CLRNN_OK ||
        (st = fill(device, (size_t)g.M * g.N, &g.c)) != CLRNN_OK ||
        (st = clrnn_launches_create(device, &launches)) != CLRNN_OK ||
        (st = clrnn_launch_gemm(launches, &g)) != CLRNN_OK || (st = clrnn_launches_run(launches)) != CLRNN_OK ||
        (st = clrnn_device_finish(device)) != CLRNN_OK)
        goto done;
    begin = seconds(CLOCK_MONOTONIC);
    while (runs < MOST_RUNS && (runs < 5 || seconds(CLOCK_MONOTONIC) < begin + 1)) {
        const double wall_start = seconds(CLOCK_MONOTONIC), cpu_start = seconds(CLOCK_PROCESS_CPUTIME_ID);

        for (unsigned i = 0; i < inner; i++)
            if ((st = clrnn_launches_run(launches)) != CLRNN_OK)
                goto done;
        if ((st = clrnn_device_finish(device)) != CLRNN_OK)
            goto done;
        wall[runs] = (seconds(CLOCK_MONOTONIC) - wall_start) / inner;
        cpu[runs++] = (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_start) / inner;
    }
    qsort(wall, runs, sizeof(*wall), compare);
    qsort(cpu, runs, sizeof(*cpu), compare);
    printf("%6ux%ux%u %c%c: best %.1f us, median %.1f us, %.1f GFLOP/s, %zu launches, processor time %.1f us\n", g.M,
           g.N, g.K, "NT"[g.transpose_a], "NT"[g.transpose_b], 1e6 * wall[0], 1e6 * wall[runs / 2],
           1e-9 * flops / wall[0], clrnn_launches_count(launches), 1e6 * cpu[0]);
done:
    clrnn_launches_destroy(&launches);
    clrnn_buffer_destroy(&g.a);
    clrnn_buffer_destroy(&g.b);
    clrnn_buffer_destroy(&g.c);
    return st;
}

int main(int argc, char **argv)
{
    const struct clrnn_device_params params = {
        .select = getenv("CLRNN_DEVICE") ? NULL : "cpu", .log = &log_, .gemm = argc > 1 ? argv[1] : "own"};
    struct clrnn_device *device = NULL;
    enum clrnn_status st = clrnn_device_open(&params, &device);

    for (size_t i = 0; st == CLRNN_OK && i < sizeof(shapes) / sizeof(shapes[0]); i++)
        st = measure(device, (struct clrnn_gemm){.M = shapes[i].M,
                                                 .N = shapes[i].N,
                                                 .K = shapes[i].K,
                                                 .alpha = 1,
                                                 .transpose_a = shapes[i].transpose_a,
                                                 .transpose_b = shapes[i].transpose_b});
    clrnn_device_destroy(&device);
    return clrnn_status_exit(st);
}
