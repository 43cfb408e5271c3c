// SPDX-License-Identifier: MIT
// Measures how much faster tuning makes CLBlast for the multiply 64x128x2474 (M, N, K): the untuned time divided by the
// tuned time, both measured by this run.
//
//     bench_tune [SETTINGS]     the device is CLRNN_DEVICE's, else the first CPU
//
// SETTINGS is the number of CLBlast's settings to try, 2 if it is not given. The exit status is 1 if tuning makes
// CLBlast less than 3 times faster.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "device/remember/remember.h"
#include "device/tune/tune.h"

static void print_line(void *user, enum clrnn_log_level level, const char *line)
{
    (void)user;
    (void)level;
    fprintf(stderr, "%s\n", line);
}

int main(int argc, char **argv)
{
    const struct clrnn_log log = {.fn = print_line, .user = NULL, .level = CLRNN_LOG_INFO};
    const struct clrnn_device_params params = {
        .select = getenv("CLRNN_DEVICE") ? NULL : "cpu", .log = &log, .gemm = "clblast", .no_tune = true};
    const struct clrnn_tune_search tune = {
        .seconds = 600, .most_settings = argc > 1 ? (size_t)atoi(argv[1]) : 2, .restart = true};
    struct clrnn_tuned_multiply shape = {.M = 64, .N = 128, .K = 2474, .transpose_b = true, .count = 1};
    const double flops = 2.0 * shape.M * shape.N * shape.K;
    char folder[] = "/tmp/clrnn-bench-XXXXXX", *path;
    struct clrnn_device *device = NULL;
    enum clrnn_status st = clrnn_device_open(&params, &device);

    if (st != CLRNN_OK || !mkdtemp(folder))
        return 4;
    setenv("XDG_CACHE_HOME", folder, 1); // the user's own measurements stay as they are
    st = clrnn_tune_run(device, &tune, &shape, 1);
    if (st == CLRNN_OK)
        printf("64x128x2474: CLBlast untuned %.3f ms (%.1f GFLOP/s), tuned %.3f ms (%.1f GFLOP/s), ours %.3f ms: "
               "tuning makes CLBlast %.1f times faster\n",
               shape.default_ms, 1e-6 * flops / shape.default_ms, shape.clblast_ms, 1e-6 * flops / shape.clblast_ms,
               shape.own_ms, shape.default_ms / shape.clblast_ms);
    path = clrnn_tune_path(clrnn_device_info(device));
    if (path)
        unlink(path);
    for (const char *const *sub = (const char *const[]){"/clrnn/tune", "/clrnn", "", NULL}; *sub; sub++) {
        char *name = clrnn_format("%s%s", folder, *sub);

        if (name)
            rmdir(name);
        free(name);
    }
    free(path);
    clrnn_device_destroy(&device);
    return st != CLRNN_OK ? clrnn_status_exit(st) : shape.default_ms / shape.clblast_ms < 3;
}
