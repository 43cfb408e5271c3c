// SPDX-License-Identifier: MIT
// clrnn tune: measures matrix multiplies and op variants of a config on a device, and stores the fastest.
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/text.h"
#include "tools/cli.h"
#include "tools/interrupt.h"
#include "tools/tune_step.h"

static const char *shape_text(const struct clrnn_tuned_multiply *h, char text[64])
{
    snprintf(text, 64, "%ux%ux%u %c%c", (unsigned)h->M, (unsigned)h->N, (unsigned)h->K, "NT"[h->transpose_a],
             "NT"[h->transpose_b]);
    return text;
}

static void print_tables(const struct clrnn_tune_result *r, double step_ms)
{
    char text[64];
    size_t left = 0;

    printf("%-22s %5s %12s %12s %12s   use\n", "multiply", "times", "CLBlast ms", "tuned ms", "ours ms");
    for (size_t i = 0; i < r->multiply_count; i++) {
        const struct clrnn_tuned_multiply *h = &r->multiply[i];

        if (isnan(h->default_ms)) {
            left++;
            continue;
        }
        printf("%-22s %5u %12.4g %12.4g %12.4g   %s\n", shape_text(h, text), h->count, h->default_ms, h->clblast_ms,
               h->own_ms, h->own_ms < h->clblast_ms ? "ours" : "CLBlast");
    }
    if (r->choice_count)
        printf("\n%-62s %12s %12s   use\n", "choice", "standard ms", "tuned ms");
    for (size_t i = 0; i < r->choice_count; i++) {
        const struct clrnn_tuned_choice *t = &r->choice[i];

        if (isnan(t->use_ms))
            left++;
        else
            printf("%-62s %12.4g %12.4g   %s%s\n", t->key, t->standard_ms, t->use_ms, t->use,
                   strcmp(t->use, t->standard) ? "" : ", the standard");
    }
    if (!isnan(step_ms))
        printf("\nself-test ok; a training step (" CLRNN_STEP_MODEL ") takes %.4g ms\n", step_ms);
    printf("remembered in %s\n", cli_shown(r->file));
    if (left)
        printf("%zu more %s not measured for lack of time: call it again\n", left, left == 1 ? "was" : "were");
}

static json_t *choices_json(const struct clrnn_tune_result *r)
{
    json_t *array = json_array();

    for (size_t i = 0; i < r->choice_count; i++) {
        const struct clrnn_tuned_choice *t = &r->choice[i];
        json_t *o = json_pack("{s:s, s:s, s:s}", "choice", t->key, "standard", t->standard, "use", t->use);

        if (isfinite(t->standard_ms))
            json_object_set_new(o, "standard_ms", json_real(t->standard_ms));
        if (isfinite(t->use_ms))
            json_object_set_new(o, "use_ms", json_real(t->use_ms));
        json_array_append_new(array, o);
    }
    return array;
}

static enum clrnn_status print_json(const struct cli *cli, const struct clrnn_tune_result *r, double step_ms)
{
    json_t *array = json_array();
    json_t *all = json_pack("{s:o, s:o, s:o, s:o}", "file", clrnn_json_text(r->file), "shapes", array, "choices",
                            choices_json(r), "step_ms", cli_json_number(step_ms));

    for (size_t i = 0; all && i < r->multiply_count; i++) {
        const struct clrnn_tuned_multiply *h = &r->multiply[i];
        char shape[64];
        json_t *o;

        if (isnan(h->default_ms))
            continue;
        o = json_pack("{s:s, s:i, s:f, s:f, s:s}", "shape", shape_text(h, shape), "count", (int)h->count, "default_ms",
                      h->default_ms, "clblast_ms", h->clblast_ms, "use", h->own_ms < h->clblast_ms ? "own" : "clblast");
        if (isfinite(h->own_ms))
            json_object_set_new(o, "own_ms", json_real(h->own_ms));
        json_array_append_new(array, o);
    }
    return cli_print_json(cli, all);
}

int cmd_tune(int argc, char **argv)
{
    struct clrnn_tune_params params = {.seconds = 120};
    const struct cli_option options[] = {
        {"seconds", CLI_REAL, "N", "begin no measurement after so long (120)", &params.seconds},
        {"settings", CLI_UINT, "N", "try at most N settings of CLBlast in this call", &params.settings},
        {"restart", CLI_FLAG, NULL, "forget what was measured before", &params.restart},
    };
    const struct cli_spec spec = {
        .usage = "[CONFIG.yaml] [options]",
        .text = "Measures, for the config's training step and inference (without one, for common layers): matrix\n"
                "multiplies by CLBlast as it comes, by CLBlast with settings that are searched for, and by our own\n"
                "kernels; how recurrent layers run over their steps, in one launch or several a step; and, on\n"
                "GPUs, how large work-groups are. What is fastest is remembered for this device, driver and class\n"
                "of shapes in $XDG_CACHE_HOME/clrnn/tune (or below ~/.cache), as JSON, and used by later runs;\n"
                "--no-tune ignores it. A call that is stopped, or out of time, keeps what it has; the next one\n"
                "goes on. On CPUs each setting of CLBlast takes seconds to build.\n"
                "\n"
                "At the end the device runs its self-test, and one training step of a fixed model is timed: where\n"
                "several devices were, the fastest is the default. Exit status 1 where it fails the test.",
        .most = 1,
        .takes_json = true,
        .option_count = ARRAY_SIZE(options),
        .option = options,
        .examples = "  clrnn tune\n  clrnn tune examples/seed-fixed.yaml --device gpu --seconds 600\n",
    };
    struct clrnn_tune_result result = {.file = NULL};
    struct clrnn_config *config = NULL;
    struct clrnn_device *device = NULL;
    struct tune_step *step = NULL;
    enum clrnn_status st = CLRNN_OK;
    double step_ms = NAN;
    struct cli cli;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    params.select = cli.device;
    if (cli.argument_count)
        st = cli_config(&cli, cli.argument[0], &config);
    params.stop = interrupt_flag();
    if (st == CLRNN_OK)
        st = tune_step_start(&cli.log, &step);
    if (st == CLRNN_OK)
        st = clrnn_tune(&cli.log, config, &params, &result);
    if (st == CLRNN_OK) {
        cli.device = result.device;
        st = cli_device(&cli, false, &device); // sets cli.used: the JSON result names this device
    }
    if (st == CLRNN_OK && !*params.stop)
        st = tune_step_measure(step, &cli.log, clrnn_device_info(device), params.stop, &step_ms);
    tune_step_end(&step);
    if (st == CLRNN_OK || st == CLRNN_FAILED) {
        const enum clrnn_status printed = cli.json ? print_json(&cli, &result, step_ms) : CLRNN_OK;

        if (cli.text && !cli.quiet)
            print_tables(&result, step_ms);
        st = printed == CLRNN_OK ? st : printed;
    }
    clrnn_tune_finish(&result);
    return cli_close(&cli, st, &config, &device);
}
