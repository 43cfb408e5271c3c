// SPDX-License-Identifier: MIT
// clrnn bench: measures speed on one device, or on several together.
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/array.h"
#include "base/temporary.h"
#include "base/log.h"
#include "base/text.h"
#include "tools/device_list.h"

// How long a new process takes until its first training step is done.
struct start {
    double build_s, first_step_s; // in seconds; NaN: not measured
};

// Replaces the process by `clrnn bench --start` with the same arguments. Makes `out` its stdout.
static _Noreturn void start_again(int argc, char **argv, const char *cache, int out)
{
    static const char *const first[] = {"clrnn", "bench", "--start", "--quiet"};
    const char **arguments = calloc((size_t)argc + ARRAY_SIZE(first), sizeof(*arguments));
    const int silence = open("/dev/null", O_WRONLY); // for stderr: the parent prints the same messages

    if (!arguments || silence < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(silence, STDERR_FILENO) < 0)
        _exit(127);
    prctl(PR_SET_PDEATHSIG, SIGKILL); // end with the parent, which removes the cache folder when it ends
    memcpy(arguments, first, sizeof(first));
    for (int i = 1; i < argc; i++)
        arguments[ARRAY_SIZE(first) + (size_t)i - 1] = argv[i];
    clrnn_caches_keep_in(cache);
    execv("/proc/self/exe", (char **)(uintptr_t)arguments);
    _exit(127);
}

// Measures the start of a new process. The process has its kernel caches in the folder `cache`.
static struct start measure_start(int argc, char **argv, const char *cache)
{
    struct start start = {NAN, NAN};
    json_t *json = NULL;
    FILE *from;
    pid_t child;
    int ends[2];

    if (pipe(ends))
        return start;
    child = fork();
    if (child == 0)
        start_again(argc, argv, cache, ends[1]);
    close(ends[1]);
    from = fdopen(ends[0], "r");
    if (from) {
        json = json_loadf(from, 0, NULL);
        fclose(from);
    } else {
        close(ends[0]);
    }
    if (child > 0)
        waitpid(child, NULL, 0);
    if (json)
        json_unpack(json, "{s:F, s:F}", "build_s", &start.build_s, "first_step_s", &start.first_step_s);
    json_decref(json);
    return start;
}

// Measures a cold start with empty caches, then a warm start with the caches that the cold start filled.
static enum clrnn_status measure_starts(const struct cli *cli, int argc, char **argv, struct start *cold,
                                        struct start *warm)
{
    char *folder;

    TRY(clrnn_temporary_folder(&cli->log, &folder));
    *cold = measure_start(argc, argv, folder);
    *warm = measure_start(argc, argv, folder);
    clrnn_remove_folder(folder);
    free(folder);
    return CLRNN_OK;
}

static json_t *timing(const struct clrnn_timing *t)
{
    return json_pack("{s:f, s:f, s:f, s:i}", "median", t->median, "min", t->min, "max", t->max, "reps", (int)t->reps);
}

static json_t *devices_json(const struct device_list *devices)
{
    json_t *specs = json_array();
    char spec[24];

    for (size_t i = 0; i < devices->count && specs; i++)
        json_array_append_new(specs, json_string(clrnn_device_spec(clrnn_device_info(devices->device[i]), spec)));
    return specs;
}

static enum clrnn_status print_json(const struct cli *cli, const struct device_list *devices,
                                    const struct clrnn_bench_result *r, const struct clrnn_peak *peak,
                                    const struct start *cold, const struct start *warm, uint64_t host_bytes)
{
    json_t *all = json_pack(
        "{s:i, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:o}", "batch",
        (int)r->batch, "steps", (int)r->steps, "features", (int)r->features, "train_ms", timing(&r->train_ms),
        "infer_ms", timing(&r->infer_ms), "samples_per_s", cli_json_number(r->samples_per_s), "gflops",
        cli_json_number(r->gflops), "gb_per_s", cli_json_number(r->gb_per_s), "infer_gflops",
        cli_json_number(r->infer_gflops), "peak_gflops", cli_json_number(peak->gflops), "peak_gb_per_s",
        cli_json_number(peak->gb_per_s), "launches_per_step", (json_int_t)r->launches_per_step, "queued_per_step",
        (json_int_t)r->queued_per_step, "host_ms_per_step", cli_json_number(r->host_ms_per_step), "build_cold_s",
        cli_json_number(cold->build_s), "build_warm_s", cli_json_number(warm->build_s), "first_step_s",
        cli_json_number(isfinite(warm->first_step_s) ? warm->first_step_s : r->first_step_s), "peak_host_bytes",
        (json_int_t)host_bytes, "peak_device_bytes", (json_int_t)r->peak_device_bytes, "devices",
        devices_json(devices));

    return cli_print_json(cli, all);
}

static void print_text(const struct device_list *devices, const struct clrnn_bench_result *r,
                       const struct clrnn_peak *peak, const struct start *cold, const struct start *warm,
                       uint64_t host_bytes)
{
    const struct clrnn_device_info *info = clrnn_device_info(devices->device[0]);
    char steps[32], features[32], host[32], on_device[32], more[48] = "";

    if (devices->count > 1)
        snprintf(more, sizeof(more), " and %zu more together", devices->count - 1);
    printf("%s%s: batch %u, %s, %s\n", cli_shown(info->name), more, r->batch, cli_count(r->steps, "time step", steps),
           cli_count(r->features, "feature", features));
    printf("training step  %9.3f ms (%.3f to %.3f, %u windows)  %.0f samples/s  %llu launches, queued as %llu\n",
           r->train_ms.median, r->train_ms.min, r->train_ms.max, r->train_ms.reps, r->samples_per_s,
           (unsigned long long)r->launches_per_step, (unsigned long long)r->queued_per_step);
    printf("inference      %9.3f ms (%.3f to %.3f, %u windows)\n", r->infer_ms.median, r->infer_ms.min, r->infer_ms.max,
           r->infer_ms.reps);
    if (isfinite(peak->gflops)) {
        printf("training       %.1f GFLOP/s, %.0f%% of the %.0f measured; %.1f GB/s, copies reach %.1f\n", r->gflops,
               100 * r->gflops / peak->gflops, peak->gflops, r->gb_per_s, peak->gb_per_s);
        printf("inference      %.1f GFLOP/s, %.0f%%\n", r->infer_gflops, 100 * r->infer_gflops / peak->gflops);
    } else {
        printf("training       %.1f GFLOP/s, %.1f GB/s; %s\n", r->gflops, r->gb_per_s,
               info->type == CLRNN_DEVICE_REF ? "ref is plain C for checking, its peak is not measured"
                                              : "no memory to measure the peak");
        printf("inference      %.1f GFLOP/s\n", r->infer_gflops);
    }
    printf("host           %.3f ms a step\n", r->host_ms_per_step);
    if (isfinite(cold->first_step_s))
        printf("first step     %.2f s cold (%.2f s building kernels), %.2f s warm (%.2f s)\n", cold->first_step_s,
               cold->build_s, warm->first_step_s, warm->build_s);
    printf("memory at most %s on the host, %s on %s device\n", cli_bytes((double)host_bytes, host),
           cli_bytes((double)r->peak_device_bytes, on_device), devices->count > 1 ? "a" : "the");
}

// Implements --start: measures this process up to the end of its first training step.
static enum clrnn_status run_start(const struct cli *cli, const struct device_list *devices,
                                   const struct clrnn_config *config)
{
    const struct clrnn_bench_params params = {
        .seconds = 1e-9, .warm_up = 1, .further = devices->device + 1, .further_count = devices->count - 1};
    struct clrnn_bench_result result;
    double build_s = 0;

    TRY(clrnn_bench(devices->device[0], config, &params, &result));
    for (size_t i = 0; i < devices->count; i++)
        build_s += clrnn_device_build_seconds(devices->device[i], NULL, NULL);
    return cli_print_json(cli, json_pack("{s:f, s:f}", "build_s", build_s, "first_step_s", result.first_step_s));
}

// Adds up the peak rates that each device reaches alone.
static enum clrnn_status find_peak(const struct device_list *devices, struct clrnn_peak *peak)
{
    struct clrnn_peak one;

    *peak = (struct clrnn_peak){0};
    for (size_t i = 0; i < devices->count; i++) {
        TRY(clrnn_device_peak(devices->device[i], &one));
        peak->gflops += one.gflops;
        peak->gb_per_s += one.gb_per_s;
    }
    return CLRNN_OK;
}

static enum clrnn_status run(const struct cli *cli, const struct device_list *devices,
                             const struct clrnn_config *config, struct clrnn_bench_params params,
                             const struct start *cold, const struct start *warm)
{
    struct clrnn_bench_result result;
    struct clrnn_peak peak;
    struct rusage usage;
    uint64_t host_bytes;

    params.further = devices->device + 1;
    params.further_count = devices->count - 1;
    TRY(clrnn_bench(devices->device[0], config, &params, &result));
    getrusage(RUSAGE_SELF, &usage); // read before find_peak, whose buffers are not part of the run
    host_bytes = (uint64_t)usage.ru_maxrss * 1024;
    TRY(find_peak(devices, &peak));
    if (cli->json)
        TRY(print_json(cli, devices, &result, &peak, cold, warm, host_bytes));
    if (cli->text)
        print_text(devices, &result, &peak, cold, warm, host_bytes);
    return CLRNN_OK;
}

int cmd_bench(int argc, char **argv)
{
    struct clrnn_bench_params params = {.seconds = 2};
    struct device_list devices = {0};
    bool start_only = false, no_start = false;
    const struct cli_option options[] = {
        {"seconds", CLI_REAL, "S", "to spend on each of training and inference (2)", &params.seconds},
        {"no-start", CLI_FLAG, NULL, "do not measure start-up with cold and warm kernel caches", &no_start},
        {"start", CLI_FLAG, NULL, "print the build and first-step seconds of this process alone", &start_only},
        DEVICES_OPTION(devices),
    };
    const struct cli_spec spec = {
        .usage = "CONFIG.yaml [options]",
        .text = "Measures one training step (forward, backward and update of one batch) and one inference of the\n"
                "config's batch: median, minimum and maximum over windows of several steps, and what the device\n"
                "reaches of its measured peak. Several devices take shards of each training step (train.shards),\n"
                "and whole batches of inference in turn; the peak is the sum of theirs. `bench/` has a set of\n"
                "configs; give them a quiet machine.",
        .least = 1,
        .most = 1,
        .takes_json = true,
        .option_count = ARRAY_SIZE(options),
        .option = options,
        .examples = "  clrnn bench bench/seed.yaml --device gpu\n"
                    "  clrnn bench bench/lstm-64x100x128-256.yaml --json\n"
                    "  clrnn bench bench/seed.yaml --devices all-gpus --set train.shards=8\n",
    };
    struct clrnn_config *config = NULL;
    struct start cold = {NAN, NAN}, warm = {NAN, NAN};
    struct cli cli;
    enum clrnn_status st;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    st = cli_config(&cli, cli.argument[0], &config);
    if (st == CLRNN_OK && !start_only && !no_start)
        st = measure_starts(&cli, argc, argv, &cold, &warm);
    if (st == CLRNN_OK)
        st = device_list_open(&cli, false, &devices);
    if (st == CLRNN_OK)
        st = start_only ? run_start(&cli, &devices, config) : run(&cli, &devices, config, params, &cold, &warm);
    clrnn_config_destroy(&config);
    device_list_close(&devices);
    return cli_finish(&cli, st);
}
