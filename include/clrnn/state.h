// SPDX-License-Identifier: MIT
// Prediction step by step: the caller feeds one time step at a time, and a state object keeps h and c of the model's
// recurrent layers in between.
#ifndef CLRNN_STATE_H
#define CLRNN_STATE_H

#include "clrnn/model.h"

CLRNN_BEGIN

/** The recurrent state of one sequence: h, and for an LSTM c, of every recurrent level of a model. A level is one of
 * the num_layers stacked in a recurrent layer. Opaque; holds no weights. Several states of one model are independent of
 * each other. */
struct clrnn_state;

/** Creates a state for the model, with all values zero as at the beginning of a sequence. The model must be causal:
 * each layer must work on one step at a time. Not causal are bidirectional layers, all pools except `last`,
 * attention_pool, flatten, conv1d, max_pool1d, avg_pool1d, and batchnorm without running statistics.
 *
 * Owner   the caller: clrnn_state_destroy, before the model is destroyed.
 * Errors  CLRNN_ERR_CONFIG: a layer is not causal (the message names it). CLRNN_ERR_DATA: as
 *         clrnn_model_step. CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE. *state is then NULL.
 */
CLRNN_API enum clrnn_status clrnn_state_create(struct clrnn_model *model, struct clrnn_state **state);

/** Frees the state and sets *state to NULL; does nothing if *state is NULL. */
CLRNN_API void clrnn_state_destroy(struct clrnn_state **state);

/** Runs the model on the next time step: reads x, updates the state, and writes the output of the last layer, in the
 * units of the targets. The computation is done on the CPU in double precision, whatever the model's device is. A
 * sequence therefore gives the same bits on every machine; clrnn_model_predict on a device agrees within float32
 * rounding. The function works on a copy of the weights, and copies the weights again if the model's weights have
 * changed since the last call.
 *
 * Shapes  x [C], or [1] holding the token if the model reads tokens. out [outputs]. The caller owns both.
 * Errors  CLRNN_ERR_ARG: the state belongs to another model, or a token is out of range. CLRNN_ERR_MEMORY,
 *         CLRNN_ERR_DEVICE. The state is then unchanged.
 */
CLRNN_API enum clrnn_status clrnn_model_predict_step(struct clrnn_model *model, struct clrnn_state *state,
                                                     const float *x, float *out);

/** Sets all values of the state to zero, for the beginning of a new sequence. */
CLRNN_API void clrnn_state_reset(struct clrnn_state *state);

/** Copies the values of `from` to `to`, a state of the same model. CLRNN_ERR_ARG: the models differ. */
CLRNN_API enum clrnn_status clrnn_state_copy(struct clrnn_state *to, const struct clrnn_state *from);

/** Returns the number of values in the state; 0 for NULL. */
CLRNN_API size_t clrnn_state_size(const struct clrnn_state *state);

/** Copies the state's values to `values`: for one recurrent level after the other h, then c (LSTM).
 *
 * Shapes  values [clrnn_state_size]; owned by the caller.
 * Errors  CLRNN_ERR_ARG: an argument is NULL.
 */
CLRNN_API enum clrnn_status clrnn_state_read(const struct clrnn_state *state, double *values);

/** Sets the state's values, in the order of clrnn_state_read. CLRNN_ERR_ARG: a value is not finite; the state is then
 * unchanged. */
CLRNN_API enum clrnn_status clrnn_state_write(struct clrnn_state *state, const double *values);

/** Writes the state into a safetensors file, atomically, as float64 tensors that are named by the layers' prefixes:
 * "lstm.h", "lstm.c" ...
 *
 * Errors  CLRNN_ERR_DISK, CLRNN_ERR_MEMORY.
 */
CLRNN_API enum clrnn_status clrnn_state_save(const struct clrnn_state *state, const char *path);

/** Reads the state from a file that clrnn_state_save wrote. CLRNN_ERR_DATA: there is no such file, or it is damaged or
 * has the state of a different model. CLRNN_ERR_MEMORY. After an error, `state` is unchanged. */
CLRNN_API enum clrnn_status clrnn_state_load(struct clrnn_state *state, const char *path);

CLRNN_END

#endif
