// SPDX-License-Identifier: MIT
// Prediction step by step: the caller feeds one time step at a time, and a state object keeps h and c of the
// model's recurrent layers in between.
#ifndef CLRNN_STATE_H
#define CLRNN_STATE_H

#include "clrnn/model.h"

CLRNN_BEGIN

/** The recurrent state of one sequence: h, and for an LSTM c, of every recurrent level of a model. Opaque;
 * holds no weights. States of one model are independent of each other. */
struct clrnn_state;

/** Makes a state for the model with all values zero, the beginning of a sequence. The model must be causal:
 * no layer may read later steps, as bidirectional layers and all pools but `last` do.
 *
 * Owner   the caller: clrnn_state_destroy, before the model is destroyed.
 * Errors  CLRNN_ERR_CONFIG: a layer is not causal (the message names it). CLRNN_ERR_DATA: as
 *         clrnn_model_step. CLRNN_ERR_MEMORY. *state is then NULL.
 */
CLRNN_API enum clrnn_status clrnn_state_create(struct clrnn_model *model, struct clrnn_state **state);

/** Frees the state and sets *state to NULL; does nothing where it is NULL. */
CLRNN_API void clrnn_state_destroy(struct clrnn_state **state);

/** Takes one step: reads x, updates the state, and writes the output of the last layer, in the units of the
 * targets. It runs on the CPU in double precision whatever the model's device is, so that a sequence gives
 * the same bits on every machine and however it is cut into calls; clrnn_model_predict on a device agrees
 * within float32 rounding. The first call, and the first after the weights have changed, copies the weights.
 *
 * Shapes  x [C], or [1] holding the token if the model reads tokens. out [outputs]. The caller owns both.
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

/** Copies the state's values out: h, then c (LSTM), of one recurrent level after the other.
 *
 * Shapes  values [clrnn_state_size]; owned by the caller.
 * Errors  CLRNN_ERR_ARG: an argument is NULL.
 */
CLRNN_API enum clrnn_status clrnn_state_read(const struct clrnn_state *state, double *values);

/** Sets the state's values, in the order of clrnn_state_read. CLRNN_ERR_ARG: a value is not finite; the state
 * is then unchanged. */
CLRNN_API enum clrnn_status clrnn_state_write(struct clrnn_state *state, const double *values);

/** Writes the state into a safetensors file, atomically, as float64 tensors that are named by the layers'
 * prefixes: "lstm.h", "lstm.c" ...
 *
 * Errors  CLRNN_ERR_DISK, CLRNN_ERR_MEMORY.
 */
CLRNN_API enum clrnn_status clrnn_state_save(const struct clrnn_state *state, const char *path);

/** Reads the state from a file that clrnn_state_save wrote. CLRNN_ERR_DATA: no such file, or it holds the
 * state of another model; `state` is then unchanged. CLRNN_ERR_MEMORY. */
CLRNN_API enum clrnn_status clrnn_state_load(struct clrnn_state *state, const char *path);

CLRNN_END

#endif
