// SPDX-License-Identifier: MIT
// Internals of `clrnn grow`, which finds the part of a config that breaks learning. It trains a linear model, then a
// base model, then the base with the config's parts added one by one. Each of these is a stage, and the list of parts
// is called the ladder.
#ifndef CLRNN_SRC_DIAGNOSE_GROW_GROW_H
#define CLRNN_SRC_DIAGNOSE_GROW_GROW_H

#include "diagnose/overfit.h"

/** Kinds of parts, in the order in which they are added to the base. The base model consists of the first recurrent
 * layer (with one layer, one direction and tanh), the last linear layer, and the embedding and the pool (or
 * attention_pool or flatten) as configured. If all recurrent layers are inside residual and concat layers, the base has
 * the first recurrent layer in place of the residual or concat that contains it.
 *
 * The base trains with the config's loss without class weights and label smoothing (cross_entropy instead of nll), Adam
 * with PyTorch's lr of 1e-3 and no weight decay, no scheduler, and shuffled batches. The config's optimiser and lr are
 * a part of their own: a bad lr is then not blamed on a layer. A clip_grad_norm of 0.1 or more belongs to the base,
 * because a net that needs clipping needs it in every stage. */
enum clrnn_part_kind {
    CLRNN_PART_LAYERS,        // num_layers of the first recurrent layer
    CLRNN_PART_DIRECTION,     // bidirectional
    CLRNN_PART_RELU,          // nonlinearity: relu
    CLRNN_PART_WINDOWS,       // a conv1d, max_pool1d or avg_pool1d; in the base if the model has an output per step
    CLRNN_PART_NORM,          // a batchnorm, layernorm or groupnorm; groupnorm is added after all BLOCK parts
    CLRNN_PART_RECURRENT,     // a further recurrent layer as configured, without its inner dropout
    CLRNN_PART_DENSE,         // a hidden linear with its activation, or an activation between layers
    CLRNN_PART_BLOCK,         // a residual or concat as configured, with all inside it
    CLRNN_PART_DROPOUT,       // a dropout layer
    CLRNN_PART_INNER_DROPOUT, // dropout between the layers of a recurrent stack
    CLRNN_PART_HEADLESS,      // removes the base's last linear layer, since the config has none
    CLRNN_PART_NLL,           // nll instead of cross_entropy, and the activation before it
    CLRNN_PART_ACTIVATION,    // an activation after the last linear layer
    CLRNN_PART_LOSS,          // class weights and label smoothing of the loss
    CLRNN_PART_OPTIMIZER,     // kind, lr, weight decay, small clip_grad_norm
    CLRNN_PART_SCHEDULER,
    CLRNN_PART_ORDER, // shuffle: false
    CLRNN_PART_INIT,  // initial weights from a file
};

struct clrnn_part {
    enum clrnn_part_kind kind;
    size_t layer,  // index of the part's first layer in the config
        count;     // number of its layers
    int line;      // line in the config file; 0: none
    bool off;      // left out: the part broke learning, or does not fit because another part is left out
    char name[72]; // "+ bidirectional"
};

struct clrnn_ladder {
    const struct clrnn_log *log;
    const struct clrnn_config *config;
    uint32_t outputs; // number of features of the last layer's output
    long recurrent;   // index of the first recurrent layer, if possible one that no layer contains; -1: none
    long holder;      // index of the outermost residual or concat that contains `recurrent`; -1: none
    long head;        // index of the last linear layer; -1: none
    bool per_step;    // the model has an output for each time step
    size_t count;
    struct clrnn_part *part;
};

/** Finds the parts of a config, whose layers must fit the data (clrnn_network_shapes). `init`: file of initial weights,
 * or NULL. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_ladder_make(const struct clrnn_log *log, const struct clrnn_config *config, uint32_t outputs,
                                    const char *init, struct clrnn_ladder *ladder);
void clrnn_ladder_finish(struct clrnn_ladder *ladder);

/** Makes the config of the base with the first `parts` parts, except those that are `off`. The caller frees *variant.
 * CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_ladder_variant(const struct clrnn_ladder *ladder, size_t parts, struct clrnn_config **variant);
/** Makes the config of a linear model, which ends in a linear layer. Before it come the config's embedding, and a mean
 * over time in place of the config's pool or attention_pool, if the config has them. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_ladder_linear(const struct clrnn_ladder *ladder, struct clrnn_config **variant);

/** Returns a part's name and place, "'+ round' (config.yaml:16)", which the caller frees. NULL if memory runs out. */
char *clrnn_part_name(const struct clrnn_config *config, const struct clrnn_part *part);
/** Whether a part that is `off` may change which weights a model has. If so, the weights of --init do not fit the later
 * stages. */
bool clrnn_ladder_lacks_weights(const struct clrnn_ladder *ladder);

/** Prints a layer as text, "birnn 64 x 2", "residual (layernorm, gru 16)", truncated to `size` bytes. */
void clrnn_layer_describe(const struct clrnn_config *config, size_t index, char *text, size_t size);
/** Returns the layers as text, "birnn 64 x 2, batchnorm, linear 2", which the caller frees. NULL if memory runs out. */
char *clrnn_layers_text(const struct clrnn_config *config);

#define CLRNN_BASE_LR 1e-3 // torch.optim.Adam's default
/** Whether the layer is an activation. round counts as one, although it passes no gradient. */
bool clrnn_ladder_is_activation(const struct clrnn_layer *layer);
/** Whether this clip_grad_norm is part of the base: 0 (no clipping), or at least 0.1. A smaller value may itself break
 * learning. */
bool clrnn_ladder_base_clip(double clip);

// ---------------------------------------------------------------- stages

/** The outcome of a stage, in addition to struct clrnn_grow_stage. */
struct clrnn_stage_outcome {
    struct clrnn_overfit_result overfit; // without the curve
    bool ran;                            // the model could be run
    bool by_heart,                       // the model learns one batch by heart
        by_training;                     // the model learns in the short training
    bool far;                            // the loss on that batch fell far, and not only somewhat
    double skill,                        // skill on the training set (0: as the constant answer, 1: perfect)
        skill_error;                     // standard error of `skill`
    double loss_ratio,                   // loss on the training set, divided by the constant answer's loss
        loss_rise;                       // the same loss, divided by that of the first batch before training
    double travel;                       // sum of lr over the steps of the short training
    enum clrnn_optimizer_kind optimizer;
    bool finite;
};

/** The state of clrnn_grow. */
struct clrnn_grow {
    struct clrnn_device *device;
    const struct clrnn_log *log;
    const struct clrnn_config *config;
    const struct clrnn_grow_params *params;
    struct clrnn_ladder ladder;
    struct clrnn_data_sets data;
    struct clrnn_dataset *batch, // the batch to overfit
        *look_train,             // training samples on which stages are evaluated
        *look_valid;             // validation samples on which stages are evaluated; NULL: no validation set
    uint64_t *counts;            // [classes] samples of each class in look_train; classes is 2 or more
    uint32_t classes;
    double *class_weights; // [classes] sum of the sample weights of each class in look_train
    double constant_loss;  // ctc and regression: loss of the best constant answer; else NaN
    double spread;         // regression: variance of the targets, averaged over the outputs
    double constant;       // accuracy of the best constant answer on look_train; regression: 0
    struct clrnn_grow_result *result;
    struct clrnn_stage_outcome *outcome; // of each stage
    int below;                           // index of the last stage that did not break learning; -1: none yet
};

/** Whether a stage learns, compared with the outcome `below` of the last earlier stage that learns (NULL: none).
 * `part`: the part that the stage adds, or NULL. Sets by_heart, by_training and far of *outcome. */
bool clrnn_stage_learns(const struct clrnn_grow *grow, struct clrnn_stage_outcome *outcome,
                        const struct clrnn_stage_outcome *below, const struct clrnn_part *part);

/** Sets the result's first_broken and cause after all stages have run. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_grow_find_cause(struct clrnn_grow *grow);

#endif
