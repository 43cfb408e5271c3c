// SPDX-License-Identifier: MIT
// clrnn tune: measures the multiplies and the choices of a config on a device and remembers what is fastest.
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/text.h"
#include "device/tune/tune.h"
#include "tools/cli.h"
#include "tools/interrupt.h"
#include "train/session.h"
#include "train/tune.h"

enum { MOST_SHAPES = 12 }; // those with the most work

struct shapes {
    struct clrnn_tune_shape shape[64];
    size_t count;
};

struct work {
    struct clrnn_tune_params params;
    struct clrnn_config *config[3];
    size_t config_count;
    struct shapes shapes;
    struct clrnn_tuned_list tuned;
    char *path; // of the device's file
};

static void add_shape(struct shapes *s, const struct clrnn_tune_shape *shape)
{
    for (size_t i = 0; i < s->count; i++) {
        struct clrnn_tune_shape *h = &s->shape[i];

        if (h->M == shape->M && h->N == shape->N && h->K == shape->K &&
            h->transpose_a == shape->transpose_a && h->transpose_b == shape->transpose_b) {
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

        add_shape(s,
                  &(struct clrnn_tune_shape){.M = rows, .N = out, .K = in, .transpose_b = true, .count = 1});
        add_shape(s, &(struct clrnn_tune_shape){.M = rows, .N = in, .K = out, .count = 1});
        add_shape(s,
                  &(struct clrnn_tune_shape){.M = out, .N = in, .K = rows, .transpose_a = true, .count = 1});
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

        if (strcmp(info->kernel, "gemm") ||
            sscanf(info->shape, "%ux%ux%u %c%c", &h.M, &h.N, &h.K, &a, &b) != 5)
            continue;
        h.transpose_a = a == 'T';
        h.transpose_b = b == 'T';
        add_shape(s, &h);
    }
}

// The multiplies of a training step of the config's batch.
static enum clrnn_status config_shapes(struct clrnn_device *device, const struct clrnn_config *config,
                                       struct shapes *s)
{
    struct clrnn_session *session;

    TRY(clrnn_session_of_one_batch(device, config, CLRNN_MODE_TRAIN, &session));
    plan_shapes(session->plan, s);
    clrnn_session_close(&session);
    return CLRNN_OK;
}

// Without a config: one layer of each kind, in common sizes.
static enum clrnn_status standard_configs(const struct cli *cli, struct work *w)
{
    static const char *const cells[] = {"rnn", "lstm", "gru"};

    for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
        char text[512];
        enum clrnn_status st;

        snprintf(
            text, sizeof(text),
            "model:\n  layers:\n    - %s: {hidden_size: 256}\n    - pool: {over: last}\n"
            "    - linear: {out_features: 2}\n"
            "train: {loss: cross_entropy, optimizer: {adam: {lr: 1.0e-3}}, epochs: 1, batch_size: 64}\n"
            "data:\n  train: {synthetic: {samples: 64, steps: 100, features: 128, classes: 2, seed: 1}}\n",
            cells[i]);
        st = clrnn_config_parse(&cli->log, text, NULL, &w->config[w->config_count]);
        if (st != CLRNN_OK)
            return st;
        w->config_count++;
    }
    return CLRNN_OK;
}

static const char *shape_text(const struct clrnn_tune_shape *h, char text[64])
{
    snprintf(text, 64, "%ux%ux%u %c%c", (unsigned)h->M, (unsigned)h->N, (unsigned)h->K, "NT"[h->transpose_a],
             "NT"[h->transpose_b]);
    return text;
}

static void print_tables(const struct work *w)
{
    char text[64];
    size_t left = 0;

    printf("%-22s %5s %12s %12s %12s   use\n", "multiply", "times", "CLBlast ms", "tuned ms", "ours ms");
    for (size_t i = 0; i < w->shapes.count; i++) {
        const struct clrnn_tune_shape *h = &w->shapes.shape[i];

        if (isnan(h->default_ms)) {
            left++;
            continue;
        }
        printf("%-22s %5u %12.4g %12.4g %12.4g   %s\n", shape_text(h, text), h->count, h->default_ms,
               h->clblast_ms, h->own_ms, h->own_ms < h->clblast_ms ? "ours" : "CLBlast");
    }
    if (w->tuned.count)
        printf("\n%-62s %12s %12s   use\n", "choice", "standard ms", "tuned ms");
    for (size_t i = 0; i < w->tuned.count; i++) {
        const struct clrnn_tuned *t = &w->tuned.tuned[i];

        if (isnan(t->use_ms))
            left++;
        else
            printf("%-62s %12.4g %12.4g   %s%s\n", t->key, t->standard_ms, t->use_ms, t->use,
                   strcmp(t->use, t->standard) ? "" : ", the standard");
    }
    printf("remembered in %s\n", cli_shown(w->path));
    if (left)
        printf("%zu more %s not measured for lack of time: call it again\n", left,
               left == 1 ? "was" : "were");
}

static json_t *choices_json(const struct clrnn_tuned_list *list)
{
    json_t *array = json_array();

    for (size_t i = 0; i < list->count; i++) {
        const struct clrnn_tuned *t = &list->tuned[i];
        json_t *o = json_pack("{s:s, s:s, s:s}", "choice", t->key, "standard", t->standard, "use", t->use);

        if (isfinite(t->standard_ms))
            json_object_set_new(o, "standard_ms", json_real(t->standard_ms));
        if (isfinite(t->use_ms))
            json_object_set_new(o, "use_ms", json_real(t->use_ms));
        json_array_append_new(array, o);
    }
    return array;
}

static enum clrnn_status print_json(const struct cli *cli, const struct work *w)
{
    const struct shapes *s = &w->shapes;
    json_t *array = json_array();
    json_t *all = json_pack("{s:o, s:o, s:o}", "file", clrnn_json_text(w->path), "shapes", array, "choices",
                            choices_json(&w->tuned));

    for (size_t i = 0; all && i < s->count; i++) {
        const struct clrnn_tune_shape *h = &s->shape[i];
        char shape[64];
        json_t *o;

        if (isnan(h->default_ms))
            continue;
        o = json_pack("{s:s, s:i, s:f, s:f, s:s}", "shape", shape_text(h, shape), "count", (int)h->count,
                      "default_ms", h->default_ms, "clblast_ms", h->clblast_ms, "use",
                      h->own_ms < h->clblast_ms ? "own" : "clblast");
        if (isfinite(h->own_ms))
            json_object_set_new(o, "own_ms", json_real(h->own_ms));
        json_array_append_new(array, o);
    }
    return cli_print_json(cli, all);
}

// ---------------------------------------------------------------- in which order

// The choices with what is remembered by now in use, until the clock shows `end`.
static enum clrnn_status measure_choices(struct cli *cli, struct work *w, double end)
{
    struct clrnn_device *device = NULL;
    enum clrnn_status st;

    w->tuned.count = 0;
    cli->no_tune = false;
    cli->gemm = "auto";
    st = cli_device(cli, false, &device);
    for (size_t i = 0; st == CLRNN_OK && i < w->config_count; i++) {
        const struct clrnn_tune_choices_params params = {.seconds = fmax(end - clrnn_clock(), 0),
                                                         .stop = w->params.stop};

        st = clrnn_tune_choices(device, w->config[i], &params, &w->tuned);
    }
    clrnn_device_destroy(&device);
    return st;
}

// The settings of CLBlast that are in use for the device, as text; NULL: none.
static char *settings_in_use(const char *path)
{
    json_t *root = path ? json_load_file(path, 0, NULL) : NULL;
    const json_t *use = json_object_get(root, "use");
    char *text = json_object_size(use) ? json_dumps(use, JSON_SORT_KEYS) : NULL;

    json_decref(root);
    return text;
}

/*
 * First every multiply as it comes, then the choices with the settings of earlier calls, then settings. Where
 * these changed, choices between multiplies and other kernels are measured again with them. In this order
 * because CLBlast's own settings do not come back in a process that has tried others.
 */
static enum clrnn_status measure_all(struct cli *cli, struct work *w, struct clrnn_device *device)
{
    const double start = clrnn_clock(), seconds = w->params.seconds;
    struct clrnn_tune_params first = w->params, rest = w->params;
    char *before, *after;
    enum clrnn_status st;

    first.seconds = 0.4 * seconds; // the first call of each shape builds CLBlast's kernels
    first.defaults_only = true;
    rest.restart = false;
    st = clrnn_tune_run(device, &first, w->shapes.shape, w->shapes.count);
    if (st == CLRNN_OK)
        st = measure_choices(cli, w, fmax(start + 0.7 * seconds, clrnn_clock() + 0.2 * seconds));
    if (st != CLRNN_OK)
        return st;
    before = settings_in_use(w->path);
    rest.seconds = fmax(start + 0.9 * seconds - clrnn_clock(), 1e-9);
    st = clrnn_tune_run(device, &rest, w->shapes.shape, w->shapes.count);
    after = settings_in_use(w->path);
    if (st == CLRNN_OK && after && (!before || strcmp(before, after)) && clrnn_clock() < start + seconds)
        st = measure_choices(cli, w, start + seconds);
    free(before);
    free(after);
    return st;
}

int cmd_tune(int argc, char **argv)
{
    struct work w = {.params = {.seconds = 120}};
    uint32_t settings = 0;
    const struct cli_option options[] = {
        {"seconds", CLI_REAL, "N", "begin no measurement after so long (120)", &w.params.seconds},
        {"settings", CLI_UINT, "N", "try at most N settings of CLBlast in this call", &settings},
        {"restart", CLI_FLAG, NULL, "forget what was measured before", &w.params.restart},
    };
    const struct cli_spec spec = {
        .usage = "[CONFIG.yaml] [options]",
        .text =
            "Measures, for the config's training step and inference (without one, for common layers): matrix\n"
            "multiplies by CLBlast as it comes, by CLBlast with settings that are searched for, and by our own\n"
            "kernels; how recurrent layers walk over their steps, in one launch or several a step; and, on\n"
            "GPUs, how large work-groups are. What is fastest is remembered for this device, driver and class\n"
            "of shapes in $XDG_CACHE_HOME/clrnn/tune (or below ~/.cache), as JSON, and used by later runs;\n"
            "--no-tune ignores it. A call that is stopped, or out of time, keeps what it has; the next one\n"
            "goes on. On CPUs each setting of CLBlast takes seconds to build.",
        .most = 1,
        .takes_json = true,
        .option_count = ARRAY_SIZE(options),
        .option = options,
        .examples = "  clrnn tune\n  clrnn tune examples/seed-fixed.yaml --device gpu --seconds 600\n",
    };
    struct clrnn_device *device = NULL;
    struct cli cli;
    enum clrnn_status st;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    if (!(w.params.seconds > 0))
        return cli_usage(&cli, "--seconds: expected a number above 0");
    w.params.most_settings = settings;
    w.params.stop = interrupt_flag();
    cli.no_tune = true;
    cli.gemm = "clblast"; // so that a plan lists each multiply once
    st = cli_device(&cli, false, &device);
    if (st == CLRNN_OK && cli.argument_count) {
        st = cli_config(&cli, cli.argument[0], &w.config[0]);
        w.config_count = st == CLRNN_OK;
        if (st == CLRNN_OK)
            st = config_shapes(device, w.config[0], &w.shapes);
    } else if (st == CLRNN_OK) {
        standard_shapes(&w.shapes);
        st = standard_configs(&cli, &w);
    }
    if (w.shapes.count)
        qsort(w.shapes.shape, w.shapes.count, sizeof(*w.shapes.shape), by_work);
    w.shapes.count = MIN2(w.shapes.count, MOST_SHAPES);
    if (st == CLRNN_OK) {
        w.path = clrnn_tune_path(clrnn_device_info(device));
        st = measure_all(&cli, &w, device);
    }
    if (st == CLRNN_OK && cli.json)
        st = print_json(&cli, &w);
    else if (st == CLRNN_OK && !cli.quiet)
        print_tables(&w);
    free(w.path);
    free(w.tuned.tuned);
    for (size_t i = 0; i < w.config_count; i++)
        clrnn_config_destroy(&w.config[i]);
    clrnn_device_destroy(&device);
    return cli_finish(&cli, st);
}
