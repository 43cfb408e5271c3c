// SPDX-License-Identifier: MIT
// A single recurrent layer, for programs that build their networks themselves: a forward pass, and a backward pass from
// any gradients of the outputs. The Python module clrnn.torch uses these functions.
#ifndef CLRNN_LAYER_H
#define CLRNN_LAYER_H

#include "clrnn/model.h"

CLRNN_BEGIN

/** The parameters of a recurrent layer, which are the arguments of torch.nn.RNN, LSTM and GRU. Letters in the shapes
 * below: T time steps, N samples, C input_size, H hidden_size, P proj_size (H without a projection), D directions (2 if
 * bidirectional, else 1), L num_layers. All arrays of float are in C order; inputs and outputs have the time step as
 * their first dimension, as in PyTorch with batch_first=False. */
struct clrnn_layer_params {
    enum clrnn_layer_kind kind; // CLRNN_LAYER_RNN, CLRNN_LAYER_LSTM or CLRNN_LAYER_GRU
    uint32_t input_size, hidden_size, num_layers;
    uint32_t proj_size; // lstm; 0: none
    bool no_bias, bidirectional;
    bool relu;      // rnn: relu in place of tanh
    double dropout; // applied in training to the output of each of the L layers but the last
    uint64_t seed;  // seed of the initial weights
};

/** A recurrent layer on a device, with its weights. Opaque. Not thread-safe: a device and the objects on it must be
 * used by one thread at a time. */
struct clrnn_recurrent;

/** The data that a forward pass keeps for its backward pass. Opaque. */
struct clrnn_layer_pass;

/** Creates a layer with random weights, drawn from the distribution that PyTorch uses.
 *
 * Owner   the caller: clrnn_layer_destroy, before the device is freed. `params` is copied.
 * Errors  CLRNN_ERR_CONFIG: a size or dropout is out of range, or proj_size is set for a kind other than lstm
 *         or is not below hidden_size. CLRNN_ERR_ARG: the kind is not recurrent. CLRNN_ERR_MEMORY,
 *         CLRNN_ERR_DEVICE. *layer is NULL after an error.
 */
CLRNN_API enum clrnn_status clrnn_layer_create(struct clrnn_device *device, const struct clrnn_layer_params *params,
                                               struct clrnn_recurrent **layer);

/** Frees the layer and sets *layer to NULL; does nothing if *layer is NULL. Destroy its passes first. */
CLRNN_API void clrnn_layer_destroy(struct clrnn_recurrent **layer);

/** Returns the number of weight tensors. Each of the D * L cells has 2, or 4 with biases, and 1 more with proj_size. */
CLRNN_API size_t clrnn_layer_param_count(const struct clrnn_recurrent *layer);
/** Returns the name and shape of weight tensor `index`, owned by the layer. Names ("weight_ih_l0",
 * "bias_hh_l0_reverse") and order are PyTorch's. Returns NULL if there is no such index. */
CLRNN_API const struct clrnn_param *clrnn_layer_param(const struct clrnn_recurrent *layer, size_t index);

/** Copies the values of weight tensor `index` to `values`, from the copy of the weights in host memory.
 *
 * Shapes  values [count of the tensor], row-major.
 * Errors  CLRNN_ERR_ARG: no such index.
 */
CLRNN_API enum clrnn_status clrnn_layer_read(struct clrnn_recurrent *layer, size_t index, float *values);

/** Sets the values of weight tensor `index`. `values` is as in clrnn_layer_read. Errors: CLRNN_ERR_ARG: no such index.
 * CLRNN_ERR_DEVICE. */
CLRNN_API enum clrnn_status clrnn_layer_write(struct clrnn_recurrent *layer, size_t index, const float *values);

/** The input of a forward pass; owned by the caller and read only during the call. */
struct clrnn_layer_input {
    uint32_t T, N;
    const float *x;         // [T, N, C]; padding is ignored
    const int32_t *lengths; // [N], valid steps of each sample, 1 to T; NULL: all T
    const float *h0;        // [L * D, N, P]; NULL: zero
    const float *c0;        // [L * D, N, H], lstm only: must be given if and only if h0 is; NULL: zero
    // [param_count] new values of all weight tensors, which replace the layer's weights for good; NULL: the layer uses
    // the weights that it has.
    const float *const *weights;
    bool training; // apply dropout
    uint64_t seed; // seed of the dropout masks
    bool no_dx;    // the backward pass will not ask for the gradient of x
};

/** The output arrays of a forward pass, owned by the caller. NULL: this output is not wanted. */
struct clrnn_layer_output {
    float *y;  // [T, N, D * P]; 0 in padding
    float *hn; // [L * D, N, P]: final hidden states, h after a direction has read all valid steps of a sample
    float *cn; // [L * D, N, H]: final cell states, lstm only
};

/**
 * Runs the forward pass of the layer. Waits for the outputs if any of them is wanted, otherwise only until the device
 * has read the input. The first call for T, N and a choice of optional arrays sets up buffers and kernel launches.
 * Later calls with the same T, N and choice reuse them.
 *
 * `pass`  NULL: there will be no backward pass. Otherwise *pass receives the data that clrnn_layer_backward
 *         needs; several passes of a layer may exist at the same time.
 * Owner   the caller: clrnn_layer_pass_destroy.
 * Errors  CLRNN_ERR_ARG: x is NULL; c0 is given without h0 or for a kind other than lstm; h0 is given without
 *         c0 for lstm; N, T or a length is out of range. CLRNN_ERR_BUILD, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 *         *pass is NULL after an error.
 */
CLRNN_API enum clrnn_status clrnn_layer_forward(struct clrnn_recurrent *layer, const struct clrnn_layer_input *input,
                                                const struct clrnn_layer_output *output,
                                                struct clrnn_layer_pass **pass);

/** The gradients that a backward pass reads and writes, owned by the caller. Each has the shape of the array whose
 * gradient it is: dx has the shape of x. */
struct clrnn_layer_gradients {
    const float *dy, *dhn, *dcn; // read: gradients of the outputs; NULL: zero. dy in padding is ignored
    // Written: gradients of the inputs; NULL: not wanted. dh0 and dc0 are possible only if the forward pass was given
    // h0 and c0.
    float *dx, *dh0, *dc0;
    float *const *dweights; // [param_count] written; an entry NULL: not wanted; dweights NULL: none is wanted
    // [param_count] the weights that the forward pass used; NULL: the layer's weights are still the same
    const float *const *weights;
};

/**
 * Computes the gradients of the inputs and weights of a forward pass, and writes them into the arrays, whose old
 * contents are lost. Waits for the device. The first call overwrites activations of the forward pass. Each further call
 * for the same pass therefore first repeats the forward pass, with the same dropout masks.
 *
 * Errors  CLRNN_ERR_ARG: dx is wanted, but the input had no_dx; dh0 or dc0 is wanted, but the input had no h0
 *         or c0; the layer's weights have changed since the forward pass and `weights` is NULL.
 *         CLRNN_ERR_BUILD, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_layer_backward(struct clrnn_layer_pass *pass,
                                                 const struct clrnn_layer_gradients *gradients);

/** Gives the pass back to its layer, which reuses its buffers, and sets *pass to NULL; does nothing if *pass is
 * NULL. */
CLRNN_API void clrnn_layer_pass_destroy(struct clrnn_layer_pass **pass);

CLRNN_END

#endif
