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
    bool update;                            // running statistics and parameters change
    int *value, *grad;                      // tensor of each entry of the model's table
    int counter, records, norm, y, weights; // weights: of samples, or CLRNN_NONE
    int y_lengths;                          // ctc: of targets

    // the current position
    int batch;      // tensor: x of the batch
    int x, lengths; // tensors: the last layer's output; lengths or CLRNN_NONE
    uint32_t T, C;  // shape of x
    char layer[64]; // name of the layer whose ops are being added
    size_t entry;   // next row of the model's table
    size_t level;   // recurrent levels with states before
    bool pooled;    // the recurrent layer reads no time axis
    uint32_t norms; // batchnorms with sums over shards before
};

// clang-format off
/** The ndim and dims arguments of a tensor. */
#define DIMS(...) sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), (uint32_t[]){__VA_ARGS__}
// clang-format on

/** Adds the activation "layer what". */
enum clrnn_status clrnn_build_activation(struct clrnn_build *b, const char *layer, const char *what,
                                         enum clrnn_type type, unsigned ndim, const uint32_t *dims, int *id);
/** Adds an op of the current layer on x. */
enum clrnn_status clrnn_build_op(struct clrnn_build *b, enum clrnn_op_kind kind, struct clrnn_op **op);
/** Adds the op that makes a layer's output "y" [T, N, C] of x, which y replaces; the caller sets what else
 * the op has. Of all of them x is in[0], and y out[0]. */
enum clrnn_status clrnn_build_layer(struct clrnn_build *b, enum clrnn_op_kind kind, uint32_t T, uint32_t C,
                                    struct clrnn_op **op);
/** Adds a tensor for a buffer outside the arena; *id is CLRNN_NONE if `buffer` is NULL. */
enum clrnn_status clrnn_build_bound(struct clrnn_build *b, const char *name, enum clrnn_role role,
                                    struct clrnn_buffer *buffer, int *id);

/** Adds the tensors of the model's parameters and buffers, in training those of their gradients. */
enum clrnn_status clrnn_build_entries(struct clrnn_build *b);
/** Adds dropout, where it is on: in train mode, with p above 0. */
enum clrnn_status clrnn_build_dropout(struct clrnn_build *b, double p, bool variational, uint32_t stream);
/** Adds the levels of a recurrent layer, with dropout between them. */
enum clrnn_status clrnn_build_recurrent(struct clrnn_build *b, const struct clrnn_layer *layer,
                                        const struct clrnn_layer_shape *s, const char *prefix);

/** Add a layer that normalises; `index` in the config. */
enum clrnn_status clrnn_build_batchnorm(struct clrnn_build *b, const struct clrnn_layer *layer, size_t index);
enum clrnn_status clrnn_build_layernorm(struct clrnn_build *b, const struct clrnn_layer *layer,
                                        uint32_t groups);

/** Adds the layers [first, end) of one list. */
enum clrnn_status clrnn_build_list(struct clrnn_build *b, size_t first, size_t end);
/** *sum = first + second, two tensors [T, N, C] of this shape. */
enum clrnn_status clrnn_build_sum(struct clrnn_build *b, const char *layer, const char *what,
                                  const uint32_t shape[3], int first, int second, int *sum);

/** Adds the backward ops of the forward ops [first, last) in reverse order, of those that a parameter (or the
 * batch's x, where its gradient is wanted) stands before. dy: tensor with the gradient of the output `y`. */
enum clrnn_status clrnn_build_backward(struct clrnn_build *b, size_t first, size_t last, int y, int dy);
/** Adds the norm of the model's gradients; the update with the norm. */
enum clrnn_status clrnn_build_norm(struct clrnn_build *b);
enum clrnn_status clrnn_build_update(struct clrnn_build *b);
#endif
