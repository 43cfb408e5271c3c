// SPDX-License-Identifier: MIT
// Between a model's buffers and a safetensors file: what fits, reading it in, collecting it for writing.
#ifndef CLRNN_SRC_MODEL_WEIGHTS_H
#define CLRNN_SRC_MODEL_WEIGHTS_H

#include "formats/safetensors.h"
#include "model/model.h"

/** Names in a model file that are no parameters. */
#define CLRNN_INPUT_MEAN "input.mean"
#define CLRNN_INPUT_STD "input.std"
#define CLRNN_OPTIM_PREFIX "optim."
#define CLRNN_FORMAT_KEY "clrnn.format" // metadata that makes a file a model file of ours

/** Whether `t` has this shape. */
bool clrnn_weights_fits(const struct clrnn_safetensor *t, unsigned ndim, const size_t *shape);

/** Copies a tensor of `file` into a REAL buffer, from its element `first` on. CLRNN_ERR_DATA where it holds
 * NaN or infinity. */
enum clrnn_status clrnn_weights_load(struct clrnn_model *model, const struct clrnn_safetensors *file,
                                     const struct clrnn_safetensor *t, struct clrnn_buffer *buffer,
                                     size_t first);

/** Copies every parameter and running statistic that the file holds. All of them must be there in the
 *  right shape (CLRNN_ERR_DATA lists what does not fit in one sentence), unless `partial`. */
enum clrnn_status clrnn_weights_load_all(struct clrnn_model *model, const struct clrnn_safetensors *file,
                                         bool partial);

/** Takes input.mean and input.std over where the file has both in the right shape; *found says so. */
enum clrnn_status clrnn_weights_load_input(struct clrnn_model *model, const struct clrnn_safetensors *file,
                                           bool *found);

/** Tensors on their way into a file; owns copies of their values. */
struct clrnn_bundle {
    struct clrnn_model *model;
    bool single; // reals as float32 on ref, too
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
/** Adds every parameter and running statistic under PyTorch's names. */
enum clrnn_status clrnn_bundle_weights(struct clrnn_bundle *bundle);
#endif
