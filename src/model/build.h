// SPDX-License-Identifier: MIT
// The state of a graph while ops are added to it: feed and loss by network.c, layers by forward.c, cells.c and norms.c,
// backward and update by backward.c.
#ifndef CLRNN_SRC_MODEL_BUILD_H
#define CLRNN_SRC_MODEL_BUILD_H

#include "model/network.h"

struct clrnn_build {
    struct clrnn_model *m;
    const struct clrnn_plan_params *p;
    struct clrnn_graph *g;
    bool train;        // layers are in train mode, and there is a backward pass
    bool update;       // the mode is TRAIN or SHARD: the plan updates running statistics and, with TRAIN, parameters
    int *value, *grad; // [entry_count]: tensor ids of the value and the gradient of each entry of model->entry
    // Tensor ids.
    int counter, records, // of the buffers `counter` and `records` (cl/slots.h)
        norm,             // of the gradient norm
        y,                // of the batch's targets
        weights;          // of the weights of the batch's samples, or CLRNN_NONE
    int y_lengths;        // ctc: of the lengths of the targets

    // how far the layers have been added
    int batch;      // tensor id of the batch's x
    int x,          // tensor id of the next layer's input
        lengths;    // tensor id of the lengths of x, or CLRNN_NONE
    uint32_t T, C;  // shape of x
    char layer[64]; // name of the layer whose ops are being added
    size_t entry;   // index in model->entry of the next parameter
    size_t level;   // number of recurrent levels with carried states so far
    bool pooled;    // the current recurrent layer's input has no time axis
    uint32_t norms; // number of batchnorms summed over shards so far
};

// clang-format off
/** The arguments ndim and dims of a function that adds a tensor: DIMS(T, N, C) stands for 3 and {T, N, C}. */
#define DIMS(...) sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), (uint32_t[]){__VA_ARGS__}
// clang-format on

/** Adds an activation tensor named "<layer> <what>"; *id is its tensor id. */
enum clrnn_status clrnn_build_activation(struct clrnn_build *b, const char *layer, const char *what,
                                         enum clrnn_type type, unsigned ndim, const uint32_t *dims, int *id);
/** Adds an op of the current layer with the current T and C; the caller sets its slots and attributes. */
enum clrnn_status clrnn_build_op(struct clrnn_build *b, enum clrnn_op_kind kind, struct clrnn_op **op);
/** Adds the op that computes a layer's output y [T, N, C] from the current x: in[0] is x, out[0] is y, and y becomes
 * the current x. The caller sets the other slots and the attributes. */
enum clrnn_status clrnn_build_layer(struct clrnn_build *b, enum clrnn_op_kind kind, uint32_t T, uint32_t C,
                                    struct clrnn_op **op);
/** Adds a tensor for an existing buffer outside the arena. *id is its tensor id, or CLRNN_NONE if `buffer` is NULL. */
enum clrnn_status clrnn_build_bound(struct clrnn_build *b, const char *name, enum clrnn_role role,
                                    struct clrnn_buffer *buffer, int *id);

/** Adds tensors for the model's parameters and running statistics and, if there is a backward pass, for the
 * gradients. */
enum clrnn_status clrnn_build_entries(struct clrnn_build *b);
/** Adds a dropout of the current x if layers are in train mode and p is above 0; otherwise does nothing. `stream` is
 * the number of the dropout in the model, which selects its random numbers. */
enum clrnn_status clrnn_build_dropout(struct clrnn_build *b, double p, bool variational, uint32_t stream);
/** Adds the num_layers levels of a recurrent layer, with dropout between them. `prefix` is the layer's
 * name. */
enum clrnn_status clrnn_build_recurrent(struct clrnn_build *b, const struct clrnn_layer *layer,
                                        const struct clrnn_layer_shape *s, const char *prefix);

/** Adds a batchnorm layer; `index` is its index in the config. */
enum clrnn_status clrnn_build_batchnorm(struct clrnn_build *b, const struct clrnn_layer *layer, size_t index);
/** Adds a layernorm layer or, with `groups` above 1, a groupnorm layer. */
enum clrnn_status clrnn_build_layernorm(struct clrnn_build *b, const struct clrnn_layer *layer, uint32_t groups);

/** Adds the layers [first, end), which form one list of the config (nest.h). */
enum clrnn_status clrnn_build_list(struct clrnn_build *b, size_t first, size_t end);
/** Adds the op *sum = first + second for two tensors of `shape` [T, N, C]. */
enum clrnn_status clrnn_build_sum(struct clrnn_build *b, const char *layer, const char *what, const uint32_t shape[3],
                                  int first, int second, int *sum);

/** Adds the backward ops of the forward ops [first, last), in reverse order. Skips a forward op unless its output
 * depends on a parameter or, with input_grad, on the batch's x. `y` and `dy` are the tensor ids of the
 * last layer's output and of its gradient. */
enum clrnn_status clrnn_build_backward(struct clrnn_build *b, size_t first, size_t last, int y, int dy);
/** Adds the op for the norm of the model's gradients. */
enum clrnn_status clrnn_build_norm(struct clrnn_build *b);
/** Adds the norm of the model's gradients and the optimiser's update. */
enum clrnn_status clrnn_build_update(struct clrnn_build *b);
#endif
