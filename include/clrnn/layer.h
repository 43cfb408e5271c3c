// SPDX-License-Identifier: MIT
// A single recurrent layer, for programs with networks of their own: forward, and backward from any gradients
// of its outputs. The Python module clrnn.torch is built on it.
#ifndef CLRNN_LAYER_H
#define CLRNN_LAYER_H

#include "clrnn/model.h"

CLRNN_BEGIN

/** A recurrent layer: the arguments of torch.nn.RNN, LSTM and GRU. Shapes below: T steps, N samples, C
 * input_size, H hidden_size, P proj_size or H, D 2 if bidirectional or 1, L num_layers, G gates (rnn 1, gru
 * 3, lstm 4). All arrays are float32 in C order and time-major, as PyTorch's are without batch_first. */
struct clrnn_layer_params {
    enum clrnn_layer_kind kind; // CLRNN_LAYER_RNN, CLRNN_LAYER_LSTM or CLRNN_LAYER_GRU
    uint32_t input_size, hidden_size, num_layers;
    uint32_t proj_size; // lstm; 0: none
    bool no_bias, bidirectional;
    bool relu;      // rnn: relu in place of tanh
    double dropout; // applied in training to the output of each of the L layers but the last
    uint64_t seed;  // of the initial weights
};

/** A recurrent layer on a device, with its weights. Opaque. Not thread-safe: a device and the objects on it
 * must be used by one thread at a time. */
struct clrnn_recurrent;

/** What a forward pass keeps for its backward pass. Opaque. */
struct clrnn_layer_pass;

/** Makes a layer with random weights, drawn from PyTorch's distribution.
 *
 * Owner   the caller: clrnn_layer_destroy, before the device is freed. `params` is copied.
 * Errors  CLRNN_ERR_CONFIG: a size or dropout out of range, or a proj_size that does not fit. CLRNN_ERR_ARG:
 *         not a recurrent kind. CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE. *layer is then NULL.
 */
CLRNN_API enum clrnn_status clrnn_layer_create(struct clrnn_device *device,
                                               const struct clrnn_layer_params *params,
                                               struct clrnn_recurrent **layer);

/** Frees the layer and sets *layer to NULL; does nothing if it is NULL. Its passes must have been freed. */
CLRNN_API void clrnn_layer_destroy(struct clrnn_recurrent **layer);

/** Number of weight tensors: D * L times 2, or 4 with biases, plus 1 with proj_size. */
CLRNN_API size_t clrnn_layer_param_count(const struct clrnn_recurrent *layer);
/** The name and shape of weight `index`, with PyTorch's names ("weight_ih_l0", "bias_hh_l0_reverse") and in
 * PyTorch's order; owned by the layer. NULL: no such index. */
CLRNN_API const struct clrnn_param *clrnn_layer_param(const struct clrnn_recurrent *layer, size_t index);

/** Reads the values of weight `index`. Waits for the device.
 *
 * Shapes  values [count], row-major.
 * Errors  CLRNN_ERR_ARG: no such index. CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_layer_read(struct clrnn_recurrent *layer, size_t index, float *values);

/** Sets the values [count] of weight `index`. Errors: as clrnn_layer_read. */
CLRNN_API enum clrnn_status clrnn_layer_write(struct clrnn_recurrent *layer, size_t index,
                                              const float *values);

/** The input of a forward pass; owned by the caller and read only during the call. */
struct clrnn_layer_input {
    uint32_t T, N;
    const float *x;         // [T, N, C]; padding is ignored
    const int32_t *lengths; // [N], valid steps of each sample, 1 to T; NULL: all T
    const float *h0;        // [L * D, N, P]; NULL: zero
    const float *c0;        // [L * D, N, H], lstm only: given if and only if h0 is; NULL: zero
    const float *const
        *weights;  // [param_count] new values, which the layer keeps; NULL: it uses those that it has
    bool training; // dropout is on
    uint64_t seed; // of the dropout masks
    bool no_dx;    // backward will not ask for the gradient of x
};

/** The output arrays of a forward pass, owned by the caller. NULL: not wanted. */
struct clrnn_layer_output {
    float *y;  // [T, N, D * P]; 0 in padding
    float *hn; // [L * D, N, P]: h after the last valid step that each direction reads of a sample
    float *cn; // [L * D, N, H]: c after that step, lstm only
};

/**
 * Runs the layer forward. Waits for the outputs if any is wanted, else only until the device has read the
 * input. Each new (T, N) gets a plan, which is kept.
 *
 * `pass`  NULL: there will be no backward. Else *pass keeps what backward needs; many passes may exist.
 * Owner   the caller: clrnn_layer_pass_destroy.
 * Errors  CLRNN_ERR_ARG: x is NULL, c0 without h0 or not for lstm, h0 without c0 for lstm, N, T or a length
 *         out of range. CLRNN_ERR_BUILD, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE. *pass is then NULL.
 */
CLRNN_API enum clrnn_status clrnn_layer_forward(struct clrnn_recurrent *layer,
                                                const struct clrnn_layer_input *input,
                                                const struct clrnn_layer_output *output,
                                                struct clrnn_layer_pass **pass);

/** The gradients that a backward pass reads and writes; dX has the shape of X. Owned by the caller. */
struct clrnn_layer_gradients {
    const float *dy, *dhn, *dcn; // of the outputs; NULL: zero. dy in padding is ignored
    float *dx, *dh0, *dc0;       // of the inputs; NULL: not wanted. dh0 and dc0 need h0 and c0 in the forward
    float *const *dweights;      // [param_count], an entry NULL: not wanted; dweights NULL: none is wanted
    const float *const *weights; // [param_count] weights of the forward, if the layer's have changed since
};

/**
 * Computes the gradients of the inputs and weights of a forward pass and overwrites what their arrays held.
 * Waits for the device. Each further call for the pass first repeats forward with the same dropout masks.
 *
 * Errors  CLRNN_ERR_ARG: dx after no_dx; dh0 or dc0 without h0 or c0; the layer's weights have changed since
 *         the forward and `weights` is NULL. CLRNN_ERR_BUILD, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_layer_backward(struct clrnn_layer_pass *pass,
                                                 const struct clrnn_layer_gradients *gradients);

/** Returns the pass to its layer for reuse and sets *pass to NULL; does nothing if it is NULL. */
CLRNN_API void clrnn_layer_pass_destroy(struct clrnn_layer_pass **pass);

CLRNN_END

#endif
