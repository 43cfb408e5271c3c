// SPDX-License-Identifier: MIT
// Writes a run's events for TensorBoard.
#include "train/tensorboard.h"

#include <math.h>
#include <stdio.h>

#include "base/array.h"
#include "base/file.h"

static enum clrnn_status put_config(struct clrnn_tfevents *events, const struct clrnn_log *log,
                                    const struct clrnn_config *config)
{
    char *yaml = clrnn_config_text(config);
    char *text = yaml ? clrnn_format("```yaml\n%s```\n", yaml) : NULL;
    const enum clrnn_status st =
        text ? clrnn_tfevents_text(events, 0, "config", text) : clrnn_error_memory(log, 0, "a config's text");

    free(yaml);
    free(text);
    return st;
}

enum clrnn_status clrnn_tensorboard_open(const struct clrnn_run_folder *folder, const struct clrnn_config *config,
                                         uint64_t steps, struct clrnn_tfevents **events)
{
    char *path;
    enum clrnn_status st;
    bool fresh;

    *events = NULL;
    if (!config->train.tensorboard)
        return CLRNN_OK;
    path = clrnn_path_join(folder->files, CLRNN_TENSORBOARD_FILE);
    if (!path)
        return clrnn_error_memory(folder->log, 0, "a path");
    st = clrnn_tfevents_open(folder->log, path, steps, events, &fresh);
    free(path);
    if (st == CLRNN_OK && fresh)
        st = put_config(*events, folder->log, config);
    return st;
}

enum clrnn_status clrnn_tensorboard_step(struct clrnn_tfevents *events, uint64_t step, double loss, double lr)
{
    if (!events)
        return CLRNN_OK;
    TRY(clrnn_tfevents_scalar(events, step, "step/loss", loss));
    return clrnn_tfevents_scalar(events, step, "step/lr", lr);
}

// Adds histograms of all trained parameters and their gradients. `values`: scratch for the largest parameter.
static enum clrnn_status put_histograms(struct clrnn_tfevents *events, uint64_t step, struct clrnn_model *model,
                                        double *values)
{
    char tag[320];

    for (size_t i = 0; i < model->entry_count; i++) {
        const struct clrnn_param *p = &model->entry[i].param;

        if (!p->trained)
            continue;
        TRY(clrnn_model_read(model, i, values));
        snprintf(tag, sizeof(tag), "weights/%s", p->name);
        TRY(clrnn_tfevents_histogram(events, step, tag, p->count, values));
        TRY(clrnn_model_read_grad(model, i, values));
        snprintf(tag, sizeof(tag), "gradients/%s", p->name);
        TRY(clrnn_tfevents_histogram(events, step, tag, p->count, values));
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_tensorboard_epoch(struct clrnn_tfevents *events, const struct clrnn_epoch_row *row,
                                          struct clrnn_model *model)
{
    const struct {
        const char *tag;
        double value;
    } metrics[] = {
#define X(field) {#field, row->field}
        X(train_loss), X(train_accuracy), X(valid_loss), X(valid_accuracy), X(lr),         X(grad_norm),
        X(seconds),    X(samples_per_s),  X(train_mae),  X(valid_mae),      X(valid_rmse), X(valid_r2),
#undef X
    };
    enum clrnn_status st;
    size_t most = 1;
    double *values;

    if (!events)
        return CLRNN_OK;
    for (size_t i = 0; i < ARRAY_SIZE(metrics); i++)
        if (!isnan(metrics[i].value) || i == 0) // a metric that is NaN is left out, except train_loss
            TRY(clrnn_tfevents_scalar(events, row->step, metrics[i].tag, metrics[i].value));
    for (size_t i = 0; i < model->entry_count; i++)
        most = MAX2(most, model->entry[i].param.count);
    values = malloc(most * sizeof(*values));
    if (!values)
        return clrnn_error_memory(model->log, most * sizeof(*values), "histograms");
    st = put_histograms(events, row->step, model, values);
    free(values);
    return st;
}
