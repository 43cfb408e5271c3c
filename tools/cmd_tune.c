// SPDX-License-Identifier: MIT
// clrnn tune: measures the multiplies of a config on a device and remembers what is fastest.
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "device/tune.h"
#include "model/plan.h"
#include "tools/cli.h"
#include "tools/interrupt.h"
#include "train/dataset.h"

enum { MOST_SHAPES = 12 }; // those with the most work

struct shapes {
    struct clrnn_tune_shape shape[64];
    size_t count;
};

static void add_shape(struct shapes *s, const struct clrnn_tune_shape *shape)
{
    for (size_t i = 0; i < s->count; i++) {
        struct clrnn_tune_shape *h = &s->shape[i];

        if (h->M == shape->M && h->N == shape->N && h->K == shape->K && h->transpose_a == shape->transpose_a &&
            h->transpose_b == shape->transpose_b) {
            h->count += shape->count;
            return;
        }
    }
    if (s->count < ARRAY_SIZE(s->shape))
        s->shape[s->count++] = *shape;
}

// Forward, gradient of the input and of the weights, as recurrent nets have them.
static void standard_shapes(struct shapes *s)
{
    static const uint32_t layers[][3] = {{64, 128, 2474}, {64, 256, 256}, {1600, 256, 128}, {1600, 512, 256}};

    for (size_t i = 0; i < ARRAY_SIZE(layers); i++) {
        const uint32_t rows = layers[i][0], out = layers[i][1], in = layers[i][2];

        add_shape(s, &(struct clrnn_tune_shape){.M = rows, .N = out, .K = in, .transpose_b = true, .count = 1});
        add_shape(s, &(struct clrnn_tune_shape){.M = rows, .N = in, .K = out, .count = 1});
        add_shape(s, &(struct clrnn_tune_shape){.M = out, .N = in, .K = rows, .transpose_a = true, .count = 1});
    }
}

static double work(const struct clrnn_tune_shape *h)
{
    return (double)h->M * h->N * h->K * h->count;
}

static int by_work(const void *a, const void *b)
{
    const double x = work(a), y = work(b);

    return (x < y) - (x > y);
}

static void plan_shapes(const struct clrnn_plan *plan, struct shapes *s)
{
    for (size_t i = 0; i < clrnn_launches_count(plan->launches); i++) {
        const struct clrnn_launch_info *info = clrnn_launches_info(plan->launches, i);
        struct clrnn_tune_shape h = {.count = 1};
        char a, b;

        if (strcmp(info->kernel, "gemm") || sscanf(info->shape, "%ux%ux%u %c%c", &h.M, &h.N, &h.K, &a, &b) != 5)
            continue;
        h.transpose_a = a == 'T';
        h.transpose_b = b == 'T';
        add_shape(s, &h);
    }
}

// The multiplies of a training step of the config's batch.
static enum clrnn_status config_shapes(const struct cli *cli, struct clrnn_device *device, const char *path,
                                       struct shapes *s)
{
    struct clrnn_plan_params params = {.mode = CLRNN_MODE_TRAIN};
    const struct clrnn_dataset_info *info;
    struct clrnn_data_shape shape;
    struct clrnn_config *config = NULL;
    struct clrnn_dataset *dataset = NULL;
    struct clrnn_model *model = NULL;
    struct clrnn_plan *plan = NULL;
    enum clrnn_status st;

    if ((st = cli_config(cli, path, &config)) != CLRNN_OK ||
        (st = clrnn_dataset_open(&cli->log, config, &config->data.train, config->folder, "train",
                                 CLRNN_CHECK_SHAPES_ONLY, &dataset)) != CLRNN_OK)
        goto end;
    info = clrnn_dataset_info(dataset);
    shape = (struct clrnn_data_shape){.features = info->C, .tokens = info->tokens};
    params.N = MIN2(config->train.batch_size, info->S);
    params.T = info->T;
    params.data = (struct clrnn_plan_data){.S = params.N, .T_data = info->T, .y_real = info->y_real,
                                           .y_steps = info->y_steps};
    if ((st = clrnn_model_create(device, config, &shape, &model)) != CLRNN_OK ||
        (st = clrnn_buffer_create(device, info->tokens ? CLRNN_I32 : CLRNN_REAL,
                                  (size_t)params.N * info->T * (info->tokens ? 1 : info->C), "a batch",
                                  &params.data.x)) != CLRNN_OK ||
        (st = clrnn_buffer_create(device, CLRNN_U32, params.N, "a batch's index", &params.data.index)) != CLRNN_OK ||
        (info->has_lengths && (st = clrnn_buffer_create(device, CLRNN_I32, params.N, "a batch's lengths",
                                                        &params.data.lengths)) != CLRNN_OK) ||
        (st = clrnn_buffer_create(device, info->y_real ? CLRNN_REAL : CLRNN_I32,
                                  info->y_steps ? (size_t)params.N * info->T : params.N, "a batch's targets",
                                  &params.data.y)) != CLRNN_OK ||
        (st = clrnn_plan_create(model, &params, &plan)) != CLRNN_OK)
        goto end;
    plan_shapes(plan, s);

end:
    clrnn_plan_destroy(&plan);
    clrnn_buffer_destroy(&params.data.x);
    clrnn_buffer_destroy(&params.data.y);
    clrnn_buffer_destroy(&params.data.lengths);
    clrnn_buffer_destroy(&params.data.index);
    clrnn_model_destroy(&model);
    clrnn_dataset_close(&dataset);
    clrnn_config_destroy(&config);
    return st;
}

static const char *shape_text(const struct clrnn_tune_shape *h, char text[64])
{
    snprintf(text, 64, "%ux%ux%u %c%c", (unsigned)h->M, (unsigned)h->N, (unsigned)h->K, "NT"[h->transpose_a],
             "NT"[h->transpose_b]);
    return text;
}

static void print_table(const struct shapes *s, const char *path)
{
    char text[64];

    printf("%-22s %5s %12s %12s %12s   use\n", "multiply", "times", "CLBlast ms", "tuned ms", "ours ms");
    for (size_t i = 0; i < s->count; i++) {
        const struct clrnn_tune_shape *h = &s->shape[i];

        printf("%-22s %5u %12.4g %12.4g %12.4g   %s\n", shape_text(h, text), h->count, h->default_ms, h->clblast_ms,
               h->own_ms, h->own_ms < h->clblast_ms ? "ours" : "CLBlast");
    }
    printf("remembered in %s\n", path);
}

static enum clrnn_status print_json(const struct cli *cli, const struct shapes *s, const char *path)
{
    json_t *array = json_array(), *all = json_pack("{s:s, s:o}", "file", path, "shapes", array);

    for (size_t i = 0; all && i < s->count; i++) {
        const struct clrnn_tune_shape *h = &s->shape[i];
        char shape[64];
        json_t *o = json_pack("{s:s, s:i, s:f, s:f, s:s}", "shape", shape_text(h, shape), "count", (int)h->count,
                              "default_ms", h->default_ms, "clblast_ms", h->clblast_ms, "use",
                              h->own_ms < h->clblast_ms ? "own" : "clblast");

        if (isfinite(h->own_ms))
            json_object_set_new(o, "own_ms", json_real(h->own_ms));
        json_array_append_new(array, o);
    }
    return cli_print_json(cli, all);
}

int cmd_tune(int argc, char **argv)
{
    struct clrnn_tune_params params = {.seconds = 120};
    uint32_t settings = 0;
    const struct cli_option options[] = {
        {"seconds", CLI_REAL, "N", "begin no setting after so long (120)", &params.seconds},
        {"settings", CLI_UINT, "N", "try at most N settings of CLBlast in this call", &settings},
        {"restart", CLI_FLAG, NULL, "forget what was tried before", &params.restart},
    };
    const struct cli_spec spec = {
        .usage = "[CONFIG.yaml] [options]",
        .text = "Measures the matrix multiplies of the config's training step (without one, common ones) on the\n"
                "device: CLBlast as it comes, CLBlast with settings that are searched for, and our own kernels.\n"
                "What is fastest is remembered for this device and driver in $XDG_CACHE_HOME/clrnn/tune (or below\n"
                "~/.cache), as JSON, and used by later runs; --no-tune ignores it. A call that is stopped, or out\n"
                "of time, keeps what it has; the next one goes on. On CPUs each setting takes seconds to build.",
        .most = 1,
        .takes_json = true,
        .option_count = ARRAY_SIZE(options),
        .option = options,
        .examples = "  clrnn tune\n  clrnn tune examples/seed-fixed.yaml --device gpu --seconds 600\n",
    };
    struct clrnn_device *device = NULL;
    struct shapes s = {.count = 0};
    char *path = NULL;
    struct cli cli;
    enum clrnn_status st = CLRNN_OK;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    if (!(params.seconds > 0))
        return cli_usage(&cli, "--seconds: expected a number above 0");
    params.most_settings = settings;
    params.stop = interrupt_catch();
    cli.no_tune = true;
    cli.gemm = "clblast"; // so that a plan lists each multiply once
    st = cli_device(&cli, false, &device);
    if (st == CLRNN_OK && cli.argument_count)
        st = config_shapes(&cli, device, cli.argument[0], &s);
    else if (st == CLRNN_OK)
        standard_shapes(&s);
    if (s.count)
        qsort(s.shape, s.count, sizeof(*s.shape), by_work);
    s.count = MIN2(s.count, MOST_SHAPES);
    if (st == CLRNN_OK)
        st = clrnn_tune_run(device, &params, s.shape, s.count);
    if (st == CLRNN_OK && !(path = clrnn_tune_path(clrnn_device_info(device))))
        st = CLRNN_ERR_MEMORY;
    if (st == CLRNN_OK && cli.json)
        st = print_json(&cli, &s, path);
    else if (st == CLRNN_OK && !cli.quiet)
        print_table(&s, path);
    free(path);
    clrnn_device_destroy(&device);
    return cli_finish(&cli, st);
}
