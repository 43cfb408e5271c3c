// SPDX-License-Identifier: MIT
// Loads a model's buffers from a safetensors file, and collects them for writing.
#ifndef CLRNN_SRC_MODEL_WEIGHTS_H
#define CLRNN_SRC_MODEL_WEIGHTS_H

#include "formats/safetensors.h"
#include "model/model.h"

/** Names that a model file has besides those of the parameters. */
#define CLRNN_INPUT_MEAN "input.mean"
#define CLRNN_INPUT_STD "input.std"
#define CLRNN_TARGET_MEAN "target.mean"
#define CLRNN_TARGET_STD "target.std"
#define CLRNN_LOSS_WEIGHT "loss.weight" // class weights that were computed for `weight: balanced`
#define CLRNN_OPTIM_PREFIX "optim."     // prefix: the optimiser's moments, and recurrent states of an unfinished epoch
#define CLRNN_FORMAT_KEY "clrnn.format" // metadata key, not a tensor: identifies a clRNN model file

/** Whether the tensor `t` has this shape. */
bool clrnn_weights_fits(const struct clrnn_safetensor *t, unsigned ndim, const size_t *shape);

/** Copies a tensor of `file` into a REAL buffer, from element `first` of the buffer on. Errors: CLRNN_ERR_DATA (the
 * tensor has NaN or infinity, or the file has become shorter), CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE. */
enum clrnn_status clrnn_weights_load(struct clrnn_model *model, const struct clrnn_safetensors *file,
                                     const struct clrnn_safetensor *t, struct clrnn_buffer *buffer, size_t first);

/** Loads the parameters and running statistics from the file.
 * Without `partial`, the file must have them all in the right shapes (num_batches_tracked may be absent), and no
 * tensors besides these and those named above. If not, returns CLRNN_ERR_DATA, with one message that lists the missing,
 * extra and wrongly shaped tensors.
 * With `partial`, loads the tensors that fit, and a warning lists the others. If no tensor fits, returns
 * CLRNN_ERR_DATA.
 * Other errors: as clrnn_weights_load. */
enum clrnn_status clrnn_weights_load_all(struct clrnn_model *model, const struct clrnn_safetensors *file, bool partial);

/** Loads input.mean and input.std or, with `target`, target.mean and target.std. Loads them only if the model can use
 * them and the file has both in the right shape. Sets *found to whether both conditions hold. Errors: CLRNN_ERR_DATA if
 * a value is not finite or a deviation is negative, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE. */
enum clrnn_status clrnn_weights_load_moments(struct clrnn_model *model, const struct clrnn_safetensors *file,
                                             bool target, bool *found);

/** Tensors that are collected to be written to a file. The bundle owns copies of their values. */
struct clrnn_bundle {
    struct clrnn_model *model;
    bool single; // write float32 also from the device ref, whose buffers are float64
    struct clrnn_safetensors_writer *writer;
    void **data;
    size_t count;
};
enum clrnn_status clrnn_bundle_init(struct clrnn_bundle *bundle, struct clrnn_model *model);
void clrnn_bundle_finish(struct clrnn_bundle *bundle);
/** Adds a tensor: the elements [first, first + product of `shape`) of a REAL buffer. They are written as float32; from
 * the device ref as float64, unless bundle->single. */
enum clrnn_status clrnn_bundle_real(struct clrnn_bundle *bundle, const char *name, unsigned ndim, const size_t *shape,
                                    struct clrnn_buffer *buffer, size_t first);
/** Adds a vector of `count` doubles, written as float64. */
enum clrnn_status clrnn_bundle_doubles(struct clrnn_bundle *bundle, const char *name, size_t count,
                                       const double *values);
/** Adds every parameter and running statistic with PyTorch's names. */
enum clrnn_status clrnn_bundle_weights(struct clrnn_bundle *bundle);
#endif
