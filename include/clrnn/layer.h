// SPDX-License-Identifier: MIT
// A recurrent layer by itself, for programs that have a network of their own: forward, and backward from any
// gradients. clrnn.torch is made of it.
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
    double dropout; // of y between two of the L layers, in training
    uint64_t seed;  // of the initial weights
};

/** A recurrent layer on a device, with its weights. Opaque. Not thread-safe: a device and what is on it must
 * be used by one thread at a time. */
struct clrnn_recurrent;

/** What a forward leaves for its backward. Opaque. */
struct clrnn_layer_pass;

/** Makes a layer with random weights, PyTorch's distribution.
 *
 * Owner   the caller: clrnn_layer_destroy, before the device is freed. `params` is copied.
 * Errors  CLRNN_ERR_CONFIG: a size or dropout out of range, proj_size that does not fit. CLRNN_ERR_ARG: not a
 * kind of recurrent layer. CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE. *layer is then NULL.
 */
CLRNN_API enum clrnn_status clrnn_layer_create(struct clrnn_device *device,
                                               const struct clrnn_layer_params *params,
                                               struct clrnn_recurrent **layer);

/** Frees the layer and sets *layer to NULL; does nothing if it is NULL. Its passes must have been freed. */
CLRNN_API void clrnn_layer_destroy(struct clrnn_recurrent **layer);

/** Number of weights: (2, with biases 4, with proj_size one more) * D * L. */
CLRNN_API size_t clrnn_layer_param_count(const struct clrnn_recurrent *layer);
/** Weight `index` with PyTorch's name ("weight_ih_l0", "bias_hh_l0_reverse") and in PyTorch's order; owned by
 * the layer. NULL: no such index. */
CLRNN_API const struct clrnn_param *clrnn_layer_param(const struct clrnn_recurrent *layer, size_t index);

/** Reads a weight. Waits for the device.
 *
 * Shapes  values [count], row-major.
 * Errors  CLRNN_ERR_ARG: no such index. CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_layer_read(struct clrnn_recurrent *layer, size_t index, float *values);

/** Sets a weight. Errors: as clrnn_layer_read. */
CLRNN_API enum clrnn_status clrnn_layer_write(struct clrnn_recurrent *layer, size_t index,
                                              const float *values);

/** The input of a forward; owned by the caller and read only during the call. */
struct clrnn_layer_input {
    uint32_t T, N;
    const float *x;         // [T, N, C]; padding is ignored
    const int32_t *lengths; // [N], valid steps of each sample, 1 to T; NULL: all T
    const float *h0;        // [L * D, N, P]; NULL: zero
    const float *c0;        // [L * D, N, H], lstm, with h0; NULL: zero
    const float *const
        *weights;  // [param_count] in place of the layer's own, which they replace; NULL: its own
    bool training; // dropout is on
    uint64_t seed; // of its masks
    bool no_dx;    // backward will not ask for the gradient of x
};

/** The output of a forward; arrays owned by the caller, NULL: not wanted. */
struct clrnn_layer_output {
    float *y;  // [T, N, D * P]; 0 in padding
    float *hn; // [L * D, N, P]: h after each sample's last valid step in the order of its direction
    float *cn; // [L * D, N, H], lstm
};

/**
 * Runs the layer. Waits for the device if an output is wanted, else until it has read the input. A plan is
 * made for each new (T, N) and kept.
 *
 * `pass`  NULL: there will be no backward. Else *pass keeps what backward needs, until it is freed; any
 * number of passes may be there at a time. Owner   the caller: clrnn_layer_pass_destroy. Errors
 * CLRNN_ERR_ARG: x is NULL, c0 without h0 or where there is no cell, N or T out of range, a length that is
 *         not 1 to T. CLRNN_ERR_BUILD, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE. *pass is then NULL.
 */
CLRNN_API enum clrnn_status clrnn_layer_forward(struct clrnn_recurrent *layer,
                                                const struct clrnn_layer_input *input,
                                                const struct clrnn_layer_output *output,
                                                struct clrnn_layer_pass **pass);

/** Gradients of a backward, with the shapes of what they belong to; owned by the caller. */
struct clrnn_layer_gradients {
    const float *dy, *dhn, *dcn; // of the outputs; NULL: zero. dy in padding is ignored
    float *dx, *dh0, *dc0;       // of the inputs; NULL: not wanted. dh0, dc0: where forward had h0, c0
    float *const *dweights;      // [param_count], each NULL where it is not wanted; NULL: none is
    const float *const *weights; // [param_count], those of the forward, if the layer has others since
};

/**
 * Computes the gradients of a forward's inputs and weights; earlier values are overwritten. Waits for the
 * device. It may be called more than once for a pass (the forward is then run again, with the same masks).
 *
 * Errors  CLRNN_ERR_ARG: dx after no_dx; dh0 or dc0 where there was no h0 or c0; the layer has other weights
 * than in the forward, and they are not given. CLRNN_ERR_BUILD, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_layer_backward(struct clrnn_layer_pass *pass,
                                                 const struct clrnn_layer_gradients *gradients);

/** Gives the pass back to its layer and sets *pass to NULL; does nothing if it is NULL. */
CLRNN_API void clrnn_layer_pass_destroy(struct clrnn_layer_pass **pass);

CLRNN_END

#endif
