// SPDX-License-Identifier: MIT
// Making the plan of a batch whose data nobody reads.
#include "train/one_batch.h"

#include "base/array.h"

static enum clrnn_status make_buffers(struct clrnn_device *device, const struct clrnn_dataset_info *info,
                                      uint32_t N, bool target, struct clrnn_plan_data *data)
{
    const size_t rows = (size_t)N * info->T;

    *data =
        (struct clrnn_plan_data){.S = N, .T_data = info->T, .y_real = info->y_real, .y_steps = info->y_steps};
    TRY(clrnn_buffer_create(device, info->tokens ? CLRNN_I32 : CLRNN_REAL,
                            rows * (info->tokens ? 1 : info->C), "a batch", &data->x));
    TRY(clrnn_buffer_create(device, CLRNN_U32, N, "a batch's index", &data->index));
    if (info->has_lengths)
        TRY(clrnn_buffer_create(device, CLRNN_I32, N, "a batch's lengths", &data->lengths));
    if (target)
        TRY(clrnn_buffer_create(device, info->y_real ? CLRNN_REAL : CLRNN_I32, info->y_steps ? rows : N,
                                "a batch's targets", &data->y));
    return CLRNN_OK;
}

enum clrnn_status clrnn_one_batch_init(struct clrnn_device *device, const struct clrnn_config *config,
                                       enum clrnn_mode mode, struct clrnn_one_batch *batch)
{
    struct clrnn_plan_params params = {.mode = mode};
    const struct clrnn_dataset_info *info;
    struct clrnn_data_shape shape;

    TRY(clrnn_dataset_open(clrnn_device_log(device), config, &config->data.train, config->folder, "train",
                           CLRNN_CHECK_SHAPES_ONLY, &batch->dataset));
    info = clrnn_dataset_info(batch->dataset);
    shape = (struct clrnn_data_shape){.features = info->C, .tokens = info->tokens};
    params.N = MIN2(config->train.batch_size, info->S);
    params.T = info->T;
    TRY(clrnn_model_create(device, config, &shape, &batch->model));
    TRY(make_buffers(device, info, params.N, mode != CLRNN_MODE_PREDICT, &batch->data));
    params.data = batch->data;
    return clrnn_plan_create(batch->model, &params, &batch->plan);
}

void clrnn_one_batch_finish(struct clrnn_one_batch *batch)
{
    clrnn_plan_destroy(&batch->plan);
    clrnn_buffer_destroy(&batch->data.x);
    clrnn_buffer_destroy(&batch->data.y);
    clrnn_buffer_destroy(&batch->data.lengths);
    clrnn_buffer_destroy(&batch->data.index);
    clrnn_model_destroy(&batch->model);
    clrnn_dataset_close(&batch->dataset);
}
