// SPDX-License-Identifier: MIT
// A model on a device: parameters, files, and training and prediction on batches that the caller supplies.
#ifndef CLRNN_MODEL_H
#define CLRNN_MODEL_H

#include "clrnn/config.h"
#include "clrnn/device.h"

CLRNN_BEGIN

/** The shape of the data. It sets the input size of the first layer; the last layer is checked against it. */
struct clrnn_data_shape {
    uint32_t features; // C; 0 for tokens
    bool tokens;       // X holds integers (N, T)
    uint32_t outputs;  // number of classes, to check that the last layer has as many outputs; 0: no check
    uint32_t steps;    // T, where a flatten layer needs it fixed; 0: not fixed
};

/** A model with its optimiser state. Opaque. The device must outlive it; the config is copied. Not
 * thread-safe: a device and its models must be used by one thread at a time.
 */
struct clrnn_model;

/** Makes a model with random initial parameters (PyTorch's distributions, seeded by train.seed).
 *
 * Owner   the caller: clrnn_model_destroy. `config` and `shape` are copied.
 * Errors  CLRNN_ERR_CONFIG: a value out of range, or a layer that does not fit the one before or the data
 *         (with the config's line, if any). CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE. *model is then NULL.
 * Source  doc/config.md for the layers, doc/maths.md, "Initial values".
 */
CLRNN_API enum clrnn_status clrnn_model_create(struct clrnn_device *device, const struct clrnn_config *config,
                                               const struct clrnn_data_shape *shape,
                                               struct clrnn_model **model);

/** Frees the model and sets *model to NULL; does nothing if it is NULL. Call it before the device is freed.
 */
CLRNN_API void clrnn_model_destroy(struct clrnn_model **model);

/** The config that the model was made from; owned by the model. */
CLRNN_API const struct clrnn_config *clrnn_model_config(const struct clrnn_model *model);
/** The data shape that the model was made for; owned by the model. */
CLRNN_API const struct clrnn_data_shape *clrnn_model_shape(const struct clrnn_model *model);
/** The device that the model is on. */
CLRNN_API struct clrnn_device *clrnn_model_device(const struct clrnn_model *model);
/** Features of the last layer's output. */
CLRNN_API uint32_t clrnn_model_outputs(const struct clrnn_model *model);
/** The name of class `index`, if the model was trained on a CSV file whose labels are texts; owned by the
 * model. NULL: classes are numbers, or there is no such class. */
CLRNN_API const char *clrnn_model_class_name(const struct clrnn_model *model, uint32_t index);
/** Whether the model has an output for every time step, that is, no layer takes all steps together. */
CLRNN_API bool clrnn_model_per_step(const struct clrnn_model *model);

/** The number of time steps that the output has for inputs of T steps: T, fewer after convolutions and pools
 * with strides, or 1 if there is one prediction per sample. 0: T is too short for a layer. */
CLRNN_API uint32_t clrnn_model_output_steps(const struct clrnn_model *model, uint32_t T);

// ---------------------------------------------------------------- parameters

/** A parameter or buffer, with PyTorch's name. */
struct clrnn_param {
    const char *name;       // "rnn.weight_ih_l0", "norm.running_mean"
    unsigned ndim;          // 0 for num_batches_tracked
    size_t shape[3], count; // count: the product of shape
    bool trained;           // false: a buffer, such as running statistics
    bool integer;           // num_batches_tracked
};

/** Number of parameters and buffers. */
CLRNN_API size_t clrnn_model_param_count(const struct clrnn_model *model);
/** Parameter or buffer `index`, in layer order; owned by the model. NULL: no such index. */
CLRNN_API const struct clrnn_param *clrnn_model_param(const struct clrnn_model *model, size_t index);
/** Total number of values in all trained parameters. */
CLRNN_API uint64_t clrnn_model_size(const struct clrnn_model *model);

/**
 * Reads a parameter's values. Waits for the device.
 *
 * Shapes  values [count], row-major.
 * Errors  CLRNN_ERR_ARG: no such index. CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_model_read(struct clrnn_model *model, size_t index, double *values);

/** Reads the gradient of a parameter in the last training step, before clipping. Waits for the device.
 *
 * Shapes  values [count], row-major.
 * Errors  CLRNN_ERR_ARG: no such index, or not a trained parameter. CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_model_read_grad(struct clrnn_model *model, size_t index, double *values);

/**
 * Sets a parameter's values; they are rounded to float32 except on ref.
 *
 * Shapes  values [count], row-major.
 * Errors  CLRNN_ERR_ARG: no such index, or num_batches_tracked out of range. CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_model_write(struct clrnn_model *model, size_t index, const double *values);

/** Sets mean and standard deviation for `data.normalize: standard`. From then on inputs become (x - mean) /
 * std; the model file keeps both as input.mean and input.std. clrnn_train calls this itself; a caller that
 * supplies batches must call it once before the first batch if the config has `normalize: standard`.
 *
 * A deviation below FLT_MIN (a constant feature) is replaced by 1.
 *
 * Shapes  mean, std [C]
 * Errors  CLRNN_ERR_ARG: the model reads tokens. CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_model_set_normalization(struct clrnn_model *model, const double *mean,
                                                          const double *std);

/** Sets mean and standard deviation for `data.normalize_targets: standard`. From then on the model learns
 * (y - mean) / std, while losses and outputs stay in the units of y; the model file keeps both as target.mean
 * and target.std. clrnn_train calls this itself; a caller that supplies batches must call it once before the
 * first batch.
 *
 * A deviation below FLT_MIN is replaced by 1.
 *
 * Shapes  mean, std [targets], where targets is the number of outputs (quantile: outputs / quantiles)
 * Errors  CLRNN_ERR_ARG: the loss takes classes. CLRNN_ERR_MEMORY.
 */
CLRNN_API enum clrnn_status clrnn_model_set_target_normalization(struct clrnn_model *model,
                                                                 const double *mean, const double *std);

// ---------------------------------------------------------------- files

/** Loads a state dict written by safetensors.torch.save_file, or the weights of a clRNN model file. Reads
 * F32, F64, F16 and BF16. Optimiser state and schedule stay as they are.
 * Errors  CLRNN_ERR_DATA: not a safetensors file, or tensors that are missing, extra or of a wrong shape (the
 *         message lists them). With `partial` the tensors that match are loaded and a warning lists the
 *         others; it is an error only if none matches. CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 * Source  doc/from-pytorch.md */
CLRNN_API enum clrnn_status clrnn_model_init(struct clrnn_model *model, const char *path, bool partial);

/** Writes the weights as float32 under PyTorch's names, as load_state_dict expects them, without config and
 * optimiser state. The file is written atomically.
 *
 * Errors  CLRNN_ERR_DISK, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_model_export(struct clrnn_model *model, const char *path);

/** The type of weights in exported C code. */
enum clrnn_export_type { CLRNN_EXPORT_TYPE_F32, CLRNN_EXPORT_TYPE_INT8 };

/** Writes the model as C99 source into `folder`, which is made if missing: NAME.c and NAME.h, an example
 * NAME_main.c and a test vector NAME_test.h, each atomically. Files of these names that an earlier export
 * wrote are replaced. int8 weights have a scale for each row; activations stay float.
 *
 * Errors  CLRNN_ERR_ARG: `name` is no C identifier, or a file of these names exists that no export wrote.
 *         CLRNN_ERR_CONFIG: a layer cannot be exported to C (the message says why); nothing is written.
 *         CLRNN_ERR_DATA: as clrnn_model_step, or a weight is not finite. CLRNN_ERR_DISK, CLRNN_ERR_MEMORY,
 *         CLRNN_ERR_DEVICE.
 * Source  doc/export.md */
CLRNN_API enum clrnn_status clrnn_model_export_c(struct clrnn_model *model, const char *folder,
                                                 const char *name, enum clrnn_export_type type);

/** Writes the model as an ONNX file (opset 17), atomically. Inputs: x [N, T, C], or tokens int64 [N, T], with
 * N and T free; and lengths int64 [N] if the config's training set has lengths. Output: out [N, outputs], or
 * per step [N, T, outputs] with zeros in padding. `states` adds the states of each recurrent layer: inputs h
 * (and c) [num_layers, N, H] (h with proj_size: P in place of H), and outputs h_out (and c_out), the states
 * after the last step. With several recurrent layers these names begin with the layer's prefix and a point.
 *
 * Errors  CLRNN_ERR_CONFIG: a layer cannot be exported (the message says why); no file is written.
 *         CLRNN_ERR_DATA: as clrnn_model_step, or a weight is not finite. CLRNN_ERR_DISK, CLRNN_ERR_MEMORY,
 *         CLRNN_ERR_DEVICE.
 * Source  doc/export.md */
CLRNN_API enum clrnn_status clrnn_model_export_onnx(struct clrnn_model *model, const char *path, bool states);

/** Writes a self-contained model file: weights, config, optimiser state, schedule and step counter, so that
 * training can continue bit for bit. The file is written atomically.
 *
 * Errors  CLRNN_ERR_DISK, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_model_save(struct clrnn_model *model, const char *path);

/** Opens a model file or a run folder. In a folder it opens last.safetensors, the weights at the end of
 * training, or best.safetensors if that is missing. For the best weights give the path of best.safetensors.
 *
 * Owner   the caller: clrnn_model_destroy.
 * Errors  CLRNN_ERR_DATA: no such file, a damaged file, or not a model file. CLRNN_ERR_MEMORY,
 *         CLRNN_ERR_DEVICE. *model is then NULL.
 */
CLRNN_API enum clrnn_status clrnn_model_open(struct clrnn_device *device, const char *path,
                                             struct clrnn_model **model);

// ---------------------------------------------------------------- training and prediction on batches

/** A batch, owned by the caller and read only during the call. Row-major; padding is ignored. */
struct clrnn_batch {
    uint32_t N, T;          // samples; time steps
    const float *x;         // [N, T, C]
    const int32_t *tokens;  // [N, T], in place of x if the model reads tokens
    const int32_t *lengths; // [N], valid steps of each sample, 1 to T; NULL: all T
    const int32_t *classes; // cross_entropy, nll: [N] or per step [N, T]; ctc: [N, L]; NULL in prediction
    const float *targets;   // other losses: [N, targets] or per step [N, T, targets]; `targets` is the number
                            // of outputs (quantile: outputs / quantiles)
    const float *weights;   // [N] weights of the samples in the loss; NULL: all 1
    uint32_t y_steps;       // ctc: L, the second dimension of classes
    const int32_t *y_lengths; // ctc: [N] number of labels of each sample, 0 to L
};

/** The result of a step or an evaluation. */
struct clrnn_step_result {
    double loss;      // of the batch, before the update
    double accuracy;  // fraction of samples (steps, labels) predicted right; NaN where targets are values
    double grad_norm; // norm of all gradients together, before clipping; NaN in evaluation
    double lr;        // learning rate of the update; NaN in evaluation
};

/**
 * Runs one training step: forward, backward, clipping, update, and a scheduler step if its interval is batch.
 * Effect  changes parameters, running statistics and optimiser state. N and T may change from step to step; a
 *         plan is made for each new (N, T) and cached.
 *         Waits for the device only if `result` is not NULL or the scheduler needs the loss.
 * Errors  CLRNN_ERR_ARG: an array is missing or has a value out of range (the message names the first).
 *         CLRNN_ERR_DATA: normalize: standard without clrnn_model_set_normalization. CLRNN_ERR_CONFIG: the
 *         scheduler's total_steps are used up. CLRNN_ERR_BUILD, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_model_step(struct clrnn_model *model, const struct clrnn_batch *batch,
                                             struct clrnn_step_result *result);

/** Ends an epoch: steps the scheduler if its interval is epoch; otherwise does nothing.
 *
 * `loss`  the metric that reduce_lr_on_plateau watches, usually the validation loss.
 * Errors  CLRNN_ERR_CONFIG: the scheduler's total_steps are used up.
 */
CLRNN_API enum clrnn_status clrnn_model_end_epoch(struct clrnn_model *model, double loss);

/** Restarts the learning-rate schedule with this number of steps per epoch. Only one_cycle_lr without
 * total_steps needs the call, before the first step.
 */
CLRNN_API void clrnn_model_start_schedule(struct clrnn_model *model, uint64_t steps_per_epoch);

/** Training steps done so far, including those before the model was saved. */
CLRNN_API uint64_t clrnn_model_steps(const struct clrnn_model *model);

/**
 * Computes loss and accuracy of a batch in eval mode. Changes nothing in the model; waits for the device.
 *
 * Errors  as clrnn_model_step.
 */
CLRNN_API enum clrnn_status clrnn_model_evaluate(struct clrnn_model *model, const struct clrnn_batch *batch,
                                                 struct clrnn_step_result *result);

/** Computes the output of the last layer in eval mode. Changes nothing in the model; waits for the device.
 *
 * Shapes  out [N, outputs], or per step [N, T, outputs] with zeros in padding; owned by the caller.
 * Errors  as clrnn_model_step; targets are ignored.
 */
CLRNN_API enum clrnn_status clrnn_model_predict(struct clrnn_model *model, const struct clrnn_batch *batch,
                                                float *out);

CLRNN_END

#endif
