// SPDX-License-Identifier: MIT
// Loading a model's buffers from a safetensors file, and collecting them for writing.
#ifndef CLRNN_SRC_MODEL_WEIGHTS_H
#define CLRNN_SRC_MODEL_WEIGHTS_H

#include "formats/safetensors.h"
#include "model/model.h"

/** Names in a model file that are not parameters. */
#define CLRNN_INPUT_MEAN "input.mean"
#define CLRNN_INPUT_STD "input.std"
#define CLRNN_TARGET_MEAN "target.mean"
#define CLRNN_TARGET_STD "target.std"
#define CLRNN_LOSS_WEIGHT "loss.weight" // the class weights that `weight: balanced` resulted in
#define CLRNN_OPTIM_PREFIX "optim."
#define CLRNN_FORMAT_KEY "clrnn.format" // metadata key that identifies a clRNN model file

/** Whether the tensor `t` has this shape. */
bool clrnn_weights_fits(const struct clrnn_safetensor *t, unsigned ndim, const size_t *shape);

/** Copies a tensor of `file` into a REAL buffer, starting at the buffer's element `first`. CLRNN_ERR_DATA if
 * the tensor has NaN or infinity. */
enum clrnn_status clrnn_weights_load(struct clrnn_model *model, const struct clrnn_safetensors *file,
                                     const struct clrnn_safetensor *t, struct clrnn_buffer *buffer,
                                     size_t first);

/** Loads every parameter and running statistic from the file. Unless `partial`, all must be there with the
 * right shape; else CLRNN_ERR_DATA, and one message lists the missing, extra and wrongly shaped ones. */
enum clrnn_status clrnn_weights_load_all(struct clrnn_model *model, const struct clrnn_safetensors *file,
                                         bool partial);

/** Loads input.mean and input.std (`target`: target.mean and target.std) if the file has both in the right
 * shape; sets *found accordingly. */
enum clrnn_status clrnn_weights_load_moments(struct clrnn_model *model, const struct clrnn_safetensors *file,
                                             bool target, bool *found);

/** Tensors collected for a file; owns copies of their values. */
struct clrnn_bundle {
    struct clrnn_model *model;
    bool single; // float32 also on ref
    struct clrnn_safetensors_writer *writer;
    void **data;
    size_t count;
};
enum clrnn_status clrnn_bundle_init(struct clrnn_bundle *bundle, struct clrnn_model *model);
void clrnn_bundle_finish(struct clrnn_bundle *bundle);
/** Adds elements [first, first + product of shape) of a REAL buffer: float32, on ref float64 unless `single`.
 */
enum clrnn_status clrnn_bundle_real(struct clrnn_bundle *bundle, const char *name, unsigned ndim,
                                    const size_t *shape, struct clrnn_buffer *buffer, size_t first);
/** Adds `count` doubles as float64. */
enum clrnn_status clrnn_bundle_doubles(struct clrnn_bundle *bundle, const char *name, size_t count,
                                       const double *values);
/** Adds every parameter and running statistic with PyTorch's names. */
enum clrnn_status clrnn_bundle_weights(struct clrnn_bundle *bundle);
#endif
