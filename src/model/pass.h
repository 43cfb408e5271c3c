// SPDX-License-Identifier: MIT
// Private to the stand-alone recurrent layer (recurrent.c, include/clrnn/layer.h). A pass is the graph, the launches
// and the buffers with which the layer processes inputs of one shape.
#ifndef CLRNN_SRC_MODEL_PASS_H
#define CLRNN_SRC_MODEL_PASS_H

#include "clrnn/layer.h"
#include "model/model.h"

/** The sizes of a pass, and which optional inputs and outputs it has. A pass serves only inputs for which all of these
 * fields are equal. */
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
    struct clrnn_param *param; // the weights, under names without the model's prefix
    uint32_t P, levels;        // P: features of h in one direction; levels: num_layers * directions
    float *weights;            // [model->flat_count]: host copy of the device's weights
    uint64_t version;          // counts changes of the weights
    uint64_t *pending;         // tokens of the transfers that the current call has queued and not yet waited for
    size_t pending_count;
    struct clrnn_layer_pass *passes;
    uint64_t clock; // counts the uses of passes, to find the least recently used one
};

/** The lists of launches of a pass. PASS_BACKWARD is backward without lengths and without gradients of hn and cn; it
 * reads dy in place. PASS_BACKWARD_FINAL is for all other cases; it adds the gradient of hn to a copy of dy. */
enum clrnn_pass_list { PASS_FORWARD, PASS_BACKWARD, PASS_BACKWARD_FINAL, PASS_LISTS };

struct clrnn_layer_pass {
    struct clrnn_layer_pass *next; // next pass of the same layer
    struct clrnn_recurrent *layer;
    struct clrnn_pass_shape shape;
    bool used;     // clrnn_layer_forward has returned the pass, and clrnn_layer_pass_destroy has not yet taken it back
    bool consumed; // backward has run and has overwritten the activations of forward
    uint64_t version, // layer->version of the weights that the pass used
        last;         // layer->clock at the last use of the pass
    struct clrnn_graph *graph;
    size_t forward;                            // number of forward ops in the graph
    struct clrnn_host_call *calls[PASS_LISTS]; // only on the device ref
    struct clrnn_launches *launches[PASS_LISTS];
    struct clrnn_replay *replay[PASS_LISTS]; // NULL: not created yet
    struct clrnn_buffer *x, *lengths, *counter, *dy;
    int y, dx;                  // tensor ids, or CLRNN_NONE
    struct clrnn_states *state; // [num_layers]
};

/** Initial and final states of one of the num_layers levels, h [D, N, P] and c [D, N, H], and their gradients. */
struct clrnn_states {
    struct clrnn_buffer *h0, *c0, *dhn, *dcn; // each is NULL if the pass has no such buffer
    int hn, cn, dh0, dc0;                     // tensor ids, or CLRNN_NONE
};

/** Finds a pass of this shape that the caller does not have at present, or creates one. Errors: as
 * clrnn_layer_forward. */
enum clrnn_status clrnn_pass_get(struct clrnn_recurrent *layer, const struct clrnn_pass_shape *shape,
                                 struct clrnn_layer_pass **pass);
/** Runs one of the pass's lists of launches. The first run of a list creates the list. Errors: as
 * clrnn_layer_forward. */
enum clrnn_status clrnn_pass_run(struct clrnn_layer_pass *pass, enum clrnn_pass_list list);
/** Frees every pass of the layer. */
void clrnn_passes_destroy(struct clrnn_recurrent *layer);

#endif
