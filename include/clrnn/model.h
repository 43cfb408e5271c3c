// SPDX-License-Identifier: MIT
// A model on a device: its parameters, saving and loading them, a step, a prediction.
#ifndef CLRNN_MODEL_H
#define CLRNN_MODEL_H

#include "clrnn/config.h"
#include "clrnn/device.h"

/** What the data looks like: needed to size the first layer and to check the last. */
struct clrnn_data_shape {
    uint32_t features;  // C; for tokens 0
    bool tokens;        // X holds integers (N, T)
    uint32_t outputs;   // 0, or what the loss needs: classes (checked against the last layer)
};

/** Opaque. Belongs to a device, which must outlive it; copies what it needs of the config. */
struct clrnn_model;

/**
 * Makes a model with freshly drawn parameters (PyTorch's distributions, from train.seed).
 * Errors: CLRNN_ERR_CONFIG (a layer that does not fit the one before or the data, with the config's
 * line), CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_model_create(struct clrnn_device *device, const struct clrnn_config *config,
                                               const struct clrnn_data_shape *shape,
                                               struct clrnn_model **model);
CLRNN_API void clrnn_model_destroy(struct clrnn_model **model);

CLRNN_API const struct clrnn_config *clrnn_model_config(const struct clrnn_model *model);
CLRNN_API const struct clrnn_data_shape *clrnn_model_shape(const struct clrnn_model *model);
CLRNN_API struct clrnn_device *clrnn_model_device(const struct clrnn_model *model);
/** Features of the last layer's output, and whether there is a prediction for every step. */
CLRNN_API uint32_t clrnn_model_outputs(const struct clrnn_model *model);
CLRNN_API bool clrnn_model_per_step(const struct clrnn_model *model);

/** One parameter or buffer under PyTorch's name. */
struct clrnn_param {
    const char *name;       // "rnn.weight_ih_l0", "norm.running_mean"
    unsigned ndim;
    size_t shape[2], count;
    bool trained;           // false: running statistics
    bool integer;           // num_batches_tracked
};
CLRNN_API size_t clrnn_model_param_count(const struct clrnn_model *model);
CLRNN_API const struct clrnn_param *clrnn_model_param(const struct clrnn_model *model, size_t index);
/** Trained numbers altogether. */
CLRNN_API uint64_t clrnn_model_size(const struct clrnn_model *model);

/** A parameter's values, or (after a training step) its gradient before clipping, count doubles. */
CLRNN_API enum clrnn_status clrnn_model_read(struct clrnn_model *model, size_t index, double *values);
CLRNN_API enum clrnn_status clrnn_model_read_grad(struct clrnn_model *model, size_t index, double *values);
CLRNN_API enum clrnn_status clrnn_model_write(struct clrnn_model *model, size_t index, const double *values);

/**
 * Loads a state dict that safetensors.torch.save_file wrote, or a model file of ours (weights only).
 * Missing, extra and wrongly shaped tensors are listed by name in one error (CLRNN_ERR_DATA); with
 * `partial` what fits is loaded and a warning says what did not.
 */
CLRNN_API enum clrnn_status clrnn_model_init(struct clrnn_model *model, const char *path, bool partial);

/** Writes the weights under PyTorch's names, without config or optimiser (for load_state_dict). */
CLRNN_API enum clrnn_status clrnn_model_export(struct clrnn_model *model, const char *path);

/** Opens a model file or a run folder: its last.safetensors, the weights that training ended with (for
 *  the best ones name its best.safetensors), else best.safetensors. */
CLRNN_API enum clrnn_status clrnn_model_open(struct clrnn_device *device, const char *path,
                                             struct clrnn_model **model);

/** A batch of the caller's. */
struct clrnn_batch {
    uint32_t N, T;
    const float *x;         // [N, T, C]
    const int32_t *tokens;  // [N, T], where the model reads tokens
    const int32_t *lengths; // [N] or NULL
    const int32_t *classes; // [N] or [N, T]: cross_entropy, nll; NULL in prediction
    const float *targets;   // likewise: bce_with_logits, mse
};

struct clrnn_step_result {
    double loss, accuracy, grad_norm, lr;
};

/** One training step: forward, backward, clipping, update, scheduler (interval: batch). Waits for the
 *  device where `result` is not NULL. */
CLRNN_API enum clrnn_status clrnn_model_step(struct clrnn_model *model, const struct clrnn_batch *batch,
                                             struct clrnn_step_result *result);
CLRNN_API enum clrnn_status clrnn_model_end_epoch(struct clrnn_model *model, double loss);
CLRNN_API enum clrnn_status clrnn_model_evaluate(struct clrnn_model *model, const struct clrnn_batch *batch,
                                                 struct clrnn_step_result *result);
CLRNN_API void clrnn_model_start_schedule(struct clrnn_model *model, uint64_t steps_per_epoch);
CLRNN_API uint64_t clrnn_model_steps(const struct clrnn_model *model);
CLRNN_API enum clrnn_status clrnn_model_set_normalization(struct clrnn_model *model, const double *mean,
                                                          const double *std);
/** What the last layer puts out in eval mode: out [N, outputs] or [N, T, outputs], zeros in padding. */
CLRNN_API enum clrnn_status clrnn_model_predict(struct clrnn_model *model, const struct clrnn_batch *batch,
                                                float *out);
/** Writes a self-contained model file. */
CLRNN_API enum clrnn_status clrnn_model_save(struct clrnn_model *model, const char *path);

#endif
