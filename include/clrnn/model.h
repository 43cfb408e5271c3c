// SPDX-License-Identifier: MIT
// A model on a device: its parameters, its files, training on batches of the caller's, prediction.
#ifndef CLRNN_MODEL_H
#define CLRNN_MODEL_H

#include "clrnn/config.h"
#include "clrnn/device.h"

CLRNN_BEGIN

/** What the data looks like: needed to size the first layer and to check the last. */
struct clrnn_data_shape {
    uint32_t features; // C; for tokens 0
    bool tokens;       // X holds integers (N, T)
    uint32_t outputs;  // 0, or what the loss needs: classes (checked against the last layer)
};

/**
 * A model with its optimiser's state. Opaque. Belongs to a device, which must outlive it; copies what it
 * needs of the config. Not thread-safe: one thread at a time uses a device and what belongs to it.
 */
struct clrnn_model;

/**
 * Makes a model with freshly drawn parameters (PyTorch's distributions, from train.seed).
 *
 * Owner   the caller: clrnn_model_destroy. `config` and `shape` are copied.
 * Errors  CLRNN_ERR_CONFIG: a value out of range, a layer that does not fit the one before or the data (with
 *         the config's line where it has one). CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE. *model is then NULL.
 * Source  doc/config.md for the layers, doc/maths.md, "Initial values".
 */
CLRNN_API enum clrnn_status clrnn_model_create(struct clrnn_device *device, const struct clrnn_config *config,
                                               const struct clrnn_data_shape *shape,
                                               struct clrnn_model **model);

/** Frees the model and sets *model to NULL; does nothing where it is NULL. Before the device is. */
CLRNN_API void clrnn_model_destroy(struct clrnn_model **model);

/** The config that the model was made from; the model's, and lives as long. */
CLRNN_API const struct clrnn_config *clrnn_model_config(const struct clrnn_model *model);
/** The data shape that the model was made for; the model's. */
CLRNN_API const struct clrnn_data_shape *clrnn_model_shape(const struct clrnn_model *model);
/** The device that the model lies on. */
CLRNN_API struct clrnn_device *clrnn_model_device(const struct clrnn_model *model);
/** Features of the last layer's output. */
CLRNN_API uint32_t clrnn_model_outputs(const struct clrnn_model *model);
/** Whether there is a prediction for every time step: no layer pools. */
CLRNN_API bool clrnn_model_per_step(const struct clrnn_model *model);

// ---------------------------------------------------------------- parameters

/** One parameter or buffer under PyTorch's name. */
struct clrnn_param {
    const char *name;       // "rnn.weight_ih_l0", "norm.running_mean"
    unsigned ndim;          // 0 for num_batches_tracked
    size_t shape[2], count; // count: the product of shape
    bool trained;           // false: running statistics
    bool integer;           // num_batches_tracked
};

/** Parameters and buffers altogether. */
CLRNN_API size_t clrnn_model_param_count(const struct clrnn_model *model);
/** One of them, in the order of the layers; the model's. NULL: no such index. */
CLRNN_API const struct clrnn_param *clrnn_model_param(const struct clrnn_model *model, size_t index);
/** Trained numbers altogether. */
CLRNN_API uint64_t clrnn_model_size(const struct clrnn_model *model);

/**
 * Reads a parameter's values. Waits for the device.
 *
 * Shapes  values [count], row-major.
 * Errors  CLRNN_ERR_ARG: no such index. CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_model_read(struct clrnn_model *model, size_t index, double *values);

/**
 * Reads a parameter's gradient as the last training step left it, before clipping. Waits for the device.
 *
 * Shapes  values [count], row-major.
 * Errors  CLRNN_ERR_ARG: no such index, or nothing that is trained. CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_model_read_grad(struct clrnn_model *model, size_t index, double *values);

/**
 * Sets a parameter's values; they are rounded to float32 except on ref.
 *
 * Shapes  values [count], row-major.
 * Errors  CLRNN_ERR_ARG: no such index, or a count of batches out of range. CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_model_write(struct clrnn_model *model, size_t index, const double *values);

/**
 * Fixes data.normalize: standard. What the model reads from then on is (x - mean) / std; both are saved with
 * it as input.mean and input.std. clrnn_train does this by itself; batches of the caller's need it called
 * once before the first where the config says `normalize: standard`.
 *
 * A deviation below FLT_MIN is taken as 1: that of a constant feature.
 *
 * Shapes  mean, std [C]
 * Errors  CLRNN_ERR_ARG: the model reads tokens. CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_model_set_normalization(struct clrnn_model *model, const double *mean,
                                                          const double *std);

// ---------------------------------------------------------------- files

/**
 * Loads a state dict that safetensors.torch.save_file wrote, or the weights of a model file of ours. Reads
 * F32, F64, F16 and BF16. Optimiser and schedule stay as they are.
 *
 * Errors  CLRNN_ERR_DATA: no safetensors file; missing, extra and wrongly shaped tensors, listed by name in
 *         one sentence. With `partial` what fits is loaded and a warning says what did not; an error only
 *         where nothing fits. CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 * Source  doc/from-pytorch.md
 */
CLRNN_API enum clrnn_status clrnn_model_init(struct clrnn_model *model, const char *path, bool partial);

/**
 * Writes the weights under PyTorch's names as float32, without config and optimiser: what load_state_dict
 * takes. Written beside, synced, renamed.
 *
 * Errors  CLRNN_ERR_DISK, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_model_export(struct clrnn_model *model, const char *path);

/**
 * Writes a self-contained model file: weights, config, optimiser's state, schedule and step counter, so that
 * training goes on from it bit for bit. Written beside, synced, renamed.
 *
 * Errors  CLRNN_ERR_DISK, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_model_save(struct clrnn_model *model, const char *path);

/**
 * Opens a model file, or of a run folder its last.safetensors, the weights that training ended with (for
 * the best ones name its best.safetensors), else its best.safetensors.
 *
 * Owner   the caller: clrnn_model_destroy.
 * Errors  CLRNN_ERR_DATA: no such file, damaged, no model file. CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE. *model
 *         is then NULL.
 */
CLRNN_API enum clrnn_status clrnn_model_open(struct clrnn_device *device, const char *path,
                                             struct clrnn_model **model);

// ---------------------------------------------------------------- batches of the caller's

/** A batch of the caller's: read during the call only. Row-major; what padding holds is not looked at. */
struct clrnn_batch {
    uint32_t N, T;          // samples; time steps
    const float *x;         // [N, T, C]
    const int32_t *tokens;  // [N, T], where the model reads tokens
    const int32_t *lengths; // [N], valid steps of each sample, 1 to T; NULL: all T
    const int32_t *classes; // [N] or per step [N, T]: cross_entropy, nll; NULL in prediction
    const float *targets;   // likewise: bce_with_logits, mse
};

/** What a step or an evaluation shows. */
struct clrnn_step_result {
    double loss;      // of the batch, before the update
    double accuracy;  // share of the samples (steps) that count; NaN for mse
    double grad_norm; // of all gradients together, before clipping; NaN in evaluation
    double lr;        // that the update used; NaN in evaluation
};

/**
 * One training step: forward, backward, clipping, update, and the scheduler where its interval is batch.
 *
 * Effect  changes parameters, running statistics, the optimiser's state. The batch size may change from step
 *         to step; a plan is made for each new (N, T) and kept.
 *         Waits for the device only where `result` is not NULL, or the scheduler wants the loss.
 * Errors  CLRNN_ERR_ARG: what the batch lacks, or the first value out of range. CLRNN_ERR_DATA: normalize:
 *         standard without clrnn_model_set_normalization. CLRNN_ERR_CONFIG: the scheduler's total_steps are
 *         used up. CLRNN_ERR_BUILD, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_model_step(struct clrnn_model *model, const struct clrnn_batch *batch,
                                             struct clrnn_step_result *result);

/**
 * Ends an epoch of steps: the scheduler's step where its interval is epoch; else nothing.
 *
 * `loss`  what reduce_lr_on_plateau looks at, the validation loss.
 * Errors  CLRNN_ERR_CONFIG: the scheduler's total_steps are used up.
 */
CLRNN_API enum clrnn_status clrnn_model_end_epoch(struct clrnn_model *model, double loss);

/**
 * Starts the learning rate's schedule anew, for a run of so many steps an epoch. Only one_cycle_lr without
 * total_steps needs it, before the first step.
 */
CLRNN_API void clrnn_model_start_schedule(struct clrnn_model *model, uint64_t steps_per_epoch);

/** Training steps done so far, those before the model was saved included. */
CLRNN_API uint64_t clrnn_model_steps(const struct clrnn_model *model);

/**
 * Loss and accuracy of a batch in eval mode. Changes nothing; waits for the device.
 *
 * Errors  as clrnn_model_step.
 */
CLRNN_API enum clrnn_status clrnn_model_evaluate(struct clrnn_model *model, const struct clrnn_batch *batch,
                                                 struct clrnn_step_result *result);

/**
 * What the last layer puts out in eval mode, before any loss. Changes nothing; waits for the device.
 *
 * Shapes  out [N, outputs], or per step [N, T, outputs] with zeros in padding; the caller's.
 * Errors  as clrnn_model_step; targets are not looked at.
 */
CLRNN_API enum clrnn_status clrnn_model_predict(struct clrnn_model *model, const struct clrnn_batch *batch,
                                                float *out);

CLRNN_END

#endif
