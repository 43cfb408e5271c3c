// SPDX-License-Identifier: MIT
// A model on a device: parameters, files, and training and prediction on batches that the caller supplies.
#ifndef CLRNN_MODEL_H
#define CLRNN_MODEL_H

#include "clrnn/config.h"
#include "clrnn/device.h"

CLRNN_BEGIN

/** The shape of the data. Its `features` are the input size of the first layer, and its `outputs` are the least number
 * of outputs that the last layer may have. */
struct clrnn_data_shape {
    uint32_t features; // C; 0 for tokens
    bool tokens;       // X holds integers (N, T)
    uint32_t outputs;  // number of classes; the last layer must have at least as many outputs. 0: no check
    uint32_t steps;    // T, if the model has a flatten layer, which needs a fixed T; 0: T may vary
};

/** A model with its optimiser state. Opaque. Destroy the model before its device. Not thread-safe: a device and the
 * models on it must be used by one thread at a time. */
struct clrnn_model;

/** Creates a model with random initial parameters (PyTorch's distributions, seeded by train.seed).
 *
 * Owner   the caller: clrnn_model_destroy. `config` and `shape` are copied.
 * Errors  CLRNN_ERR_CONFIG: a value is out of range, or a layer does not fit the layer before or the data
 *         (the message has the line in the config file, if there is one). CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 *         *model is NULL after an error.
 * Source  doc/config.md for the layers, doc/maths.md, "Initial values".
 */
CLRNN_API enum clrnn_status clrnn_model_create(struct clrnn_device *device, const struct clrnn_config *config,
                                               const struct clrnn_data_shape *shape, struct clrnn_model **model);

/** Frees the model and sets *model to NULL; does nothing if *model is NULL.
 * Destroy the model before its device. */
CLRNN_API void clrnn_model_destroy(struct clrnn_model **model);

/** Returns the config that the model was made from; owned by the model. */
CLRNN_API const struct clrnn_config *clrnn_model_config(const struct clrnn_model *model);
/** Returns the data shape that the model was made for; owned by the model. */
CLRNN_API const struct clrnn_data_shape *clrnn_model_shape(const struct clrnn_model *model);
/** Returns the device that the model is on. */
CLRNN_API struct clrnn_device *clrnn_model_device(const struct clrnn_model *model);
/** Returns the number of features in the last layer's output. */
CLRNN_API uint32_t clrnn_model_outputs(const struct clrnn_model *model);
/** Returns the name of class `index` if the model was trained on a CSV file whose labels are words; owned by the model.
 * Returns NULL if the labels are numbers or there is no such class. */
CLRNN_API const char *clrnn_model_class_name(const struct clrnn_model *model, uint32_t index);
/** Whether the model has an output for every time step: it has no pool, attention_pool or flatten layer. */
CLRNN_API bool clrnn_model_per_step(const struct clrnn_model *model);

/** Returns the number of time steps in the output for inputs of T steps: T; another number after layers with windows
 * over time (conv1d, max_pool1d, avg_pool1d); 1 if there is one prediction per sample. Returns 0 if T is too short for
 * a layer. */
CLRNN_API uint32_t clrnn_model_output_steps(const struct clrnn_model *model, uint32_t T);

// ---------------------------------------------------------------- parameters

/** A parameter or buffer of the model (in PyTorch's sense), under PyTorch's name. */
struct clrnn_param {
    const char *name;       // "rnn.weight_ih_l0", "norm.running_mean"
    unsigned ndim;          // 0 for the scalar num_batches_tracked
    size_t shape[3], count; // count: the product of shape
    bool trained;           // false: a buffer, such as running statistics
    bool integer;           // the value is an integer: num_batches_tracked
};

/** Returns the number of parameters and buffers. */
CLRNN_API size_t clrnn_model_param_count(const struct clrnn_model *model);
/** Returns parameter or buffer `index`, counted in layer order; owned by the model. NULL: no such index. */
CLRNN_API const struct clrnn_param *clrnn_model_param(const struct clrnn_model *model, size_t index);
/** Returns the total number of values in all trained parameters. */
CLRNN_API uint64_t clrnn_model_size(const struct clrnn_model *model);

/**
 * Reads the values of parameter or buffer `index`. Waits for the device.
 *
 * Shapes  values [count], row-major.
 * Errors  CLRNN_ERR_ARG: no such index. CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_model_read(struct clrnn_model *model, size_t index, double *values);

/** Reads the gradient of parameter `index` in the last training step, before clipping. Waits for the device.
 *
 * Shapes  values [count], row-major.
 * Errors  CLRNN_ERR_ARG: no such index, or not a trained parameter. CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_model_read_grad(struct clrnn_model *model, size_t index, double *values);

/**
 * Sets the values of parameter or buffer `index`. Except on ref, the values are rounded to float32.
 *
 * Shapes  values [count], row-major.
 * Errors  CLRNN_ERR_ARG: no such index, or num_batches_tracked out of range. CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_model_write(struct clrnn_model *model, size_t index, const double *values);

/** Sets mean and standard deviation for `data.normalize: standard`. From then on the model replaces each input x by (x
 * - mean) / std. The model file has mean and std as input.mean and input.std. clrnn_train
 * calls this function. A caller that supplies batches must call it once before the first batch if the config has
 * `normalize: standard`.
 *
 * A standard deviation below FLT_MIN (a constant feature) is replaced by 1.
 *
 * Shapes  mean, std [C]
 * Errors  CLRNN_ERR_ARG: the model reads tokens. CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_model_set_normalization(struct clrnn_model *model, const double *mean,
                                                          const double *std);

/** Sets mean and standard deviation for `data.normalize_targets: standard`. From then on the model learns
 * (y - mean) / std, while losses and outputs stay in the units of y. The model file has mean and std as target.mean and
 * target.std. clrnn_train calls this function. A caller that supplies batches must call it once before the first batch.
 *
 * A standard deviation below FLT_MIN is replaced by 1.
 *
 * Shapes  mean, std [targets], where targets is the number of outputs (quantile: outputs / quantiles)
 * Errors  CLRNN_ERR_ARG: the loss takes classes or labels, not real targets. CLRNN_ERR_MEMORY,
 *         CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_model_set_target_normalization(struct clrnn_model *model, const double *mean,
                                                                 const double *std);

// ---------------------------------------------------------------- files

/** Loads a state dict written by safetensors.torch.save_file, or the weights of a clRNN model file. Reads F32, F64, F16
 * and BF16. Where the config normalises inputs or targets, also loads the mean and standard deviation if the file has
 * them. Optimiser state and schedule stay as they are.
 *
 * Errors  CLRNN_ERR_DATA: not a safetensors file, or tensors are missing, extra or of a wrong shape (the
 *         message names these tensors). With `partial` the tensors that match are loaded and a warning lists
 *         the others; an error is returned only if no tensor matches. CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 * Source  doc/from-pytorch.md */
CLRNN_API enum clrnn_status clrnn_model_init(struct clrnn_model *model, const char *path, bool partial);

/** Writes the weights to a safetensors file, as float32 under the names that PyTorch's load_state_dict expects, without
 * config and optimiser state. The file is written atomically.
 *
 * Errors  CLRNN_ERR_DISK, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_model_export(struct clrnn_model *model, const char *path);

/** The type of weights in exported C code. */
enum clrnn_export_type { CLRNN_EXPORT_TYPE_F32, CLRNN_EXPORT_TYPE_INT8 };

/** Writes the model as C99 source into `folder`, which is made if missing: NAME.c and NAME.h, an example NAME_main.c
 * and a test vector NAME_test.h, each atomically. Files of these names that an earlier export wrote are replaced. With
 * int8 weights, each row of a matrix has a scale; activations stay float.
 *
 * Errors  CLRNN_ERR_ARG: `name` is no C identifier, or a file with one of these names exists that was not
 *         written by an export.
 *         CLRNN_ERR_CONFIG: a layer cannot be exported to C (the message says why); nothing is written.
 *         CLRNN_ERR_DATA: as clrnn_model_step, or a weight is not finite. CLRNN_ERR_DISK, CLRNN_ERR_MEMORY,
 *         CLRNN_ERR_DEVICE.
 * Source  doc/export.md */
CLRNN_API enum clrnn_status clrnn_model_export_c(struct clrnn_model *model, const char *folder, const char *name,
                                                 enum clrnn_export_type type);

/** Writes the model as an ONNX file (opset 17), atomically. N and T are variable dimensions. Inputs: x [N, T, C], or
 * tokens int64 [N, T]; also lengths int64 [N] if the config's training set has lengths. Output: out [N, outputs], or
 * per step [N, T_out, outputs] (see struct clrnn_batch) with zeros in padding.
 *
 * If `states` is true, each recurrent layer also has inputs h (and c) [num_layers, N, H], its initial states, and
 * outputs h_out (and c_out), its states after the last step. With proj_size, h has P in place of H. If the model has
 * several recurrent layers, the names of the states begin with the layer's prefix and a point.
 *
 * Errors  CLRNN_ERR_CONFIG: a layer cannot be exported (the message says why); no file is written.
 *         CLRNN_ERR_DATA: as clrnn_model_step, or a weight is not finite. CLRNN_ERR_DISK, CLRNN_ERR_MEMORY,
 *         CLRNN_ERR_DEVICE.
 * Source  doc/export.md */
CLRNN_API enum clrnn_status clrnn_model_export_onnx(struct clrnn_model *model, const char *path, bool states);

/** Writes a self-contained model file: weights, config, optimiser state, schedule and step counter. Training that
 * continues from the file gives the same bits as training without a stop. The file is written atomically.
 *
 * Errors  CLRNN_ERR_DISK, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_model_save(struct clrnn_model *model, const char *path);

/** Opens a model file or a run folder. In a folder it opens last.safetensors, the weights at the end of training, or
 * best.safetensors if last.safetensors is missing. To open the best weights of a run, pass the path of its
 * best.safetensors.
 *
 * Owner   the caller: clrnn_model_destroy.
 * Errors  CLRNN_ERR_DATA: there is no such file, or the file is damaged or no model file. CLRNN_ERR_MEMORY,
 *         CLRNN_ERR_DEVICE. *model is then NULL.
 */
CLRNN_API enum clrnn_status clrnn_model_open(struct clrnn_device *device, const char *path, struct clrnn_model **model);

// ---------------------------------------------------------------- training and prediction on batches

/** A batch, owned by the caller and read only during the call. Row-major; padding is ignored. With one output per step,
 * targets have T_out steps: T_out is clrnn_model_output_steps(model, T), which is T without windows over time. */
struct clrnn_batch {
    uint32_t N, T;            // samples; time steps
    const float *x;           // [N, T, C]
    const int32_t *tokens;    // [N, T], in place of x if the model reads tokens
    const int32_t *lengths;   // [N], valid steps of each sample, 1 to T; NULL: all T
    const int32_t *classes;   // cross_entropy, nll: [N] or per step [N, T_out]; ctc: [N, L]; NULL for prediction
    const float *targets;     // other losses: [N, targets] or per step [N, T_out, targets]; `targets` is the number
                              // of outputs (quantile: outputs / quantiles)
    const float *weights;     // [N] weights of the samples in the loss; NULL: all 1
    uint32_t y_steps;         // ctc: L, the second dimension of classes
    const int32_t *y_lengths; // ctc: [N] number of labels of each sample, 0 to L
};

/** The result of a step or an evaluation. Losses of real targets are mse, l1, smooth_l1, huber and quantile. */
struct clrnn_step_result {
    double loss;      // of the batch, before the update
    double accuracy;  // fraction of samples (steps, labels) predicted right; NaN for real targets
    double grad_norm; // norm of all gradients together, before clipping; NaN in evaluation
    double lr;        // learning rate of the update; NaN in evaluation
};

/**
 * Runs one training step: forward, backward, clipping, update, and a scheduler step if its interval is batch.
 * Effect  changes parameters, running statistics and optimiser state. N and T may change from step to step;
 *         for each new (N, T) the kernel launches are set up once, as a plan, and cached.
 *         Waits for the device only if `result` is not NULL or the scheduler needs the loss.
 * Errors  CLRNN_ERR_ARG: an array is missing, or a value is out of range (the message names the first one).
 *         CLRNN_ERR_DATA: the config has normalize or normalize_targets: standard, but the mean and standard
 *         deviation were not set. CLRNN_ERR_CONFIG: the scheduler's total_steps are used up, or class
 *         weights are `balanced` but were not counted. CLRNN_ERR_BUILD, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_model_step(struct clrnn_model *model, const struct clrnn_batch *batch,
                                             struct clrnn_step_result *result);

/** Ends an epoch: steps the scheduler if its interval is epoch; otherwise does nothing.
 *
 * `loss`  the value that the scheduler reduce_lr_on_plateau watches, usually the validation loss.
 * Errors  CLRNN_ERR_CONFIG: the scheduler's total_steps are used up.
 */
CLRNN_API enum clrnn_status clrnn_model_end_epoch(struct clrnn_model *model, double loss);

/** Restarts the learning-rate schedule with this number of steps per epoch. Only a config with one_cycle_lr without
 * total_steps needs this call, before the first step.
 */
CLRNN_API void clrnn_model_start_schedule(struct clrnn_model *model, uint64_t steps_per_epoch);

/** Returns the number of training steps done so far, including the steps before the model was saved. */
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
 * Shapes  out [N, outputs], or per step [N, T_out, outputs] (see struct clrnn_batch) with zeros in padding;
 *         owned by the caller.
 * Errors  as clrnn_model_step; targets are ignored.
 */
CLRNN_API enum clrnn_status clrnn_model_predict(struct clrnn_model *model, const struct clrnn_batch *batch, float *out);

CLRNN_END

#endif
