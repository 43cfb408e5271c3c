// SPDX-License-Identifier: MIT
// Prediction step by step: a sequence that goes on, with the states of a model's recurrent layers between two
// steps.
#ifndef CLRNN_STATE_H
#define CLRNN_STATE_H

#include "clrnn/model.h"

CLRNN_BEGIN

/** What the recurrent layers of a model remember of one sequence: h, and for an LSTM c, of every level.
 * Opaque; holds nothing of the weights. States of one model are independent of each other. */
struct clrnn_state;

/** Makes a state for the model: zero, the beginning of a sequence. The model must be causal: no layer may
 * read steps that come later, as a bidirectional layer and every pool but `last` do.
 *
 * Owner   the caller: clrnn_state_destroy, before the model is destroyed.
 * Errors  CLRNN_ERR_CONFIG: a layer that is not causal, and which. CLRNN_ERR_DATA: as clrnn_model_step.
 *         CLRNN_ERR_MEMORY. *state is then NULL.
 */
CLRNN_API enum clrnn_status clrnn_state_create(struct clrnn_model *model, struct clrnn_state **state);

/** Frees the state and sets *state to NULL; does nothing where it is NULL. */
CLRNN_API void clrnn_state_destroy(struct clrnn_state **state);

/** Takes one step: reads x, changes the state, and writes what the last layer puts out after it, in the units
 * of the targets. It runs on the CPU in double whatever the model's device is, so that the same steps give
 * the same bits everywhere, however they are cut into pieces; clrnn_model_predict on a device agrees within
 * float32. The first call, and the first after the weights have changed, copies the weights.
 *
 * Shapes  x [C]; a model of tokens: x [1], the token. out [outputs]; both owned by the caller.
 * Errors  CLRNN_ERR_ARG: the state belongs to another model, or a token out of range. CLRNN_ERR_MEMORY,
 *         CLRNN_ERR_DEVICE. The state is then unchanged.
 */
CLRNN_API enum clrnn_status clrnn_model_predict_step(struct clrnn_model *model, struct clrnn_state *state,
                                                     const float *x, float *out);

/** Sets the state to zero: the beginning of a sequence. */
CLRNN_API void clrnn_state_reset(struct clrnn_state *state);

/** Copies a state into another one of the same model. CLRNN_ERR_ARG: they belong to different models. */
CLRNN_API enum clrnn_status clrnn_state_copy(struct clrnn_state *to, const struct clrnn_state *from);

/** The number of values in the state; 0 for NULL. */
CLRNN_API size_t clrnn_state_size(const struct clrnn_state *state);

/** Copies the values out: h, then c, of the recurrent levels in their order.
 *
 * Shapes  values [clrnn_state_size]; owned by the caller.
 * Errors  CLRNN_ERR_ARG: an argument is NULL.
 */
CLRNN_API enum clrnn_status clrnn_state_read(const struct clrnn_state *state, double *values);

/** Sets the values, as clrnn_state_read gives them. CLRNN_ERR_ARG: one is not finite; the state is then
 * unchanged. */
CLRNN_API enum clrnn_status clrnn_state_write(struct clrnn_state *state, const double *values);

/** Writes the state into a safetensors file, atomically: "lstm.h", "lstm.c" ... by the layers' prefixes,
 * float64.
 *
 * Errors  CLRNN_ERR_DISK, CLRNN_ERR_MEMORY.
 */
CLRNN_API enum clrnn_status clrnn_state_save(const struct clrnn_state *state, const char *path);

/** Sets the state to that of a file. CLRNN_ERR_DATA: no such file, or the state of another model; the state
 * is then unchanged. CLRNN_ERR_MEMORY. */
CLRNN_API enum clrnn_status clrnn_state_load(struct clrnn_state *state, const char *path);

CLRNN_END

#endif
