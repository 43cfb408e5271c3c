// SPDX-License-Identifier: MIT
// State of a graph that is being built, for network.c (feed, forward, loss) and backward.c.
#ifndef CLRNN_SRC_MODEL_BUILD_H
#define CLRNN_SRC_MODEL_BUILD_H

#include "model/network.h"

struct clrnn_build {
    struct clrnn_model *m;
    const struct clrnn_plan_params *p;
    struct clrnn_graph *g;
    bool train;                             // layers in train mode, and a backward pass
    bool update;                            // the pass updates running statistics, in TRAIN also parameters
    int *value, *grad;                      // tensor id of each entry of the model's table
    int counter, records, norm, y, weights; // weights: of samples, or CLRNN_NONE
    int y_lengths;                          // ctc: lengths of the targets

    // the current position
    int batch;      // tensor: x of the batch
    int x, lengths; // tensors: the last layer's output; lengths or CLRNN_NONE
    uint32_t T, C;  // shape of x
    char layer[64]; // name of the layer whose ops are being added
    size_t entry;   // next row of the model's table
    size_t level;   // number of recurrent levels with carried states so far
    bool pooled;    // the current recurrent layer's input has no time axis
    uint32_t norms; // number of batchnorms summed over shards so far
};

// clang-format off
/** The ndim and dims arguments of a tensor. */
#define DIMS(...) sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), (uint32_t[]){__VA_ARGS__}
// clang-format on

/** Adds an activation tensor named "<layer> <what>"; *id is its tensor id. */
enum clrnn_status clrnn_build_activation(struct clrnn_build *b, const char *layer, const char *what,
                                         enum clrnn_type type, unsigned ndim, const uint32_t *dims, int *id);
/** Adds an op of the current layer with the current T and C; the caller sets its slots and attributes. */
enum clrnn_status clrnn_build_op(struct clrnn_build *b, enum clrnn_op_kind kind, struct clrnn_op **op);
/** Adds the op that computes a layer's output y [T, N, C] from the current x: in[0] is x, out[0] is y, and y
 * becomes the current x. The caller sets the other slots and the attributes. */
enum clrnn_status clrnn_build_layer(struct clrnn_build *b, enum clrnn_op_kind kind, uint32_t T, uint32_t C,
                                    struct clrnn_op **op);
/** Adds a tensor for a buffer outside the arena; *id is CLRNN_NONE if `buffer` is NULL. */
enum clrnn_status clrnn_build_bound(struct clrnn_build *b, const char *name, enum clrnn_role role,
                                    struct clrnn_buffer *buffer, int *id);

/** Adds tensors for the model's parameters and running statistics, and in training for the gradients. */
enum clrnn_status clrnn_build_entries(struct clrnn_build *b);
/** Adds dropout on the current x, in train mode and with p above 0; otherwise does nothing. */
enum clrnn_status clrnn_build_dropout(struct clrnn_build *b, double p, bool variational, uint32_t stream);
/** Adds the levels of a recurrent layer, with dropout between them. */
enum clrnn_status clrnn_build_recurrent(struct clrnn_build *b, const struct clrnn_layer *layer,
                                        const struct clrnn_layer_shape *s, const char *prefix);

/** Add a normalisation layer; `index` is its index in the config. */
enum clrnn_status clrnn_build_batchnorm(struct clrnn_build *b, const struct clrnn_layer *layer, size_t index);
enum clrnn_status clrnn_build_layernorm(struct clrnn_build *b, const struct clrnn_layer *layer,
                                        uint32_t groups);

/** Adds the layers [first, end) of one list. */
enum clrnn_status clrnn_build_list(struct clrnn_build *b, size_t first, size_t end);
/** Adds the op *sum = first + second for two tensors of `shape` [T, N, C]. */
enum clrnn_status clrnn_build_sum(struct clrnn_build *b, const char *layer, const char *what,
                                  const uint32_t shape[3], int first, int second, int *sum);

/** Adds the backward ops of the forward ops [first, last) in reverse order. Skips ops that have no parameter
 * (nor, with input_grad, the batch's x) at or before them. dy: gradient tensor of the output `y`. */
enum clrnn_status clrnn_build_backward(struct clrnn_build *b, size_t first, size_t last, int y, int dy);
/** Adds the norm of the model's gradients. clrnn_build_update adds it and the optimiser's update. */
enum clrnn_status clrnn_build_norm(struct clrnn_build *b);
enum clrnn_status clrnn_build_update(struct clrnn_build *b);
#endif
