// SPDX-License-Identifier: MIT
// Private to the stand-alone recurrent layer (recurrent.c): its graph, launches and buffers for one shape.
#ifndef CLRNN_SRC_MODEL_PASS_H
#define CLRNN_SRC_MODEL_PASS_H

#include "clrnn/layer.h"
#include "model/model.h"

/** The sizes of a pass, and which optional inputs and outputs it has. They identify the pass. */
struct clrnn_pass_shape {
    uint32_t T, N;
    bool lengths, h0, c0, dropout, backward, dx;
};

struct clrnn_recurrent {
    struct clrnn_device *device;
    const struct clrnn_log *log;
    struct clrnn_layer_params params;
    struct clrnn_model *model; // a model with only this layer; holds its weights and their gradients
    size_t param_count;
    struct clrnn_param *param; // names without the model's prefix
    uint32_t P, levels;        // features of h in one direction; num_layers * directions
    float *weights;            // [model->flat_count]: host copy of the device's weights
    uint64_t version;          // counts changes of the weights
    uint64_t *pending;         // tokens of the transfers that a call has queued and not waited for
    size_t pending_count;
    struct clrnn_layer_pass *passes;
    uint64_t clock;
};

/** The lists of launches of a pass. PASS_BACKWARD takes no gradients of hn and cn and reads dy in place;
 * PASS_BACKWARD_FINAL adds the gradient of hn to a copy of dy. */
enum clrnn_pass_list { PASS_FORWARD, PASS_BACKWARD, PASS_BACKWARD_FINAL, PASS_LISTS };

struct clrnn_layer_pass {
    struct clrnn_layer_pass *next; // next pass of the same layer
    struct clrnn_recurrent *layer;
    struct clrnn_pass_shape shape;
    bool used;     // between a forward and clrnn_layer_pass_destroy
    bool consumed; // backward has run and has overwritten the activations of forward
    uint64_t version, last;
    struct clrnn_graph *graph;
    size_t forward;                            // number of forward ops in the graph
    struct clrnn_host_call *calls[PASS_LISTS]; // used on ref only
    struct clrnn_launches *launches[PASS_LISTS];
    struct clrnn_replay *replay[PASS_LISTS]; // NULL: not made yet
    struct clrnn_buffer *x, *lengths, *counter, *dy;
    int y, dx;                  // tensors of the graph, or CLRNN_NONE
    struct clrnn_states *state; // [num_layers]
};

/** Initial and final states of one of the stacked layers, [D, N, P] and [D, N, H], and their gradients. */
struct clrnn_states {
    struct clrnn_buffer *h0, *c0, *dhn, *dcn; // NULL where there are none
    int hn, cn, dh0, dc0;                     // tensors, or CLRNN_NONE
};

/** Gets a free pass of this shape, or makes one. Errors: as clrnn_layer_forward. */
enum clrnn_status clrnn_pass_get(struct clrnn_recurrent *layer, const struct clrnn_pass_shape *shape,
                                 struct clrnn_layer_pass **pass);
/** Runs a list of launches, which it creates for the first run. Errors: as clrnn_layer_forward. */
enum clrnn_status clrnn_pass_run(struct clrnn_layer_pass *pass, enum clrnn_pass_list list);
/** Frees every pass of the layer. */
void clrnn_passes_destroy(struct clrnn_recurrent *layer);

#endif
