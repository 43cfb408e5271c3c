// SPDX-License-Identifier: MIT
// The internals of a model, for model/, train/ and diagnose/. All trained parameters lie in one flat buffer. The
// model's table, clrnn_model.entry, lists the parameters and running statistics.
#ifndef CLRNN_SRC_MODEL_MODEL_H
#define CLRNN_SRC_MODEL_MODEL_H

#include "clrnn/model.h"
#include "model/names.h"
#include "model/schedule.h"
#include "ops/graph.h"

// How a parameter is drawn by default. UNIFORM: from -bound to bound. NORMAL: mean 0 and deviation `bound`.
enum clrnn_init { CLRNN_INIT_UNIFORM, CLRNN_INIT_NORMAL, CLRNN_INIT_ONE, CLRNN_INIT_ZERO };

/** An entry of the model's table: a parameter or a running statistic. The entries of a layer are
 * consecutive. */
struct clrnn_entry {
    struct clrnn_param param; // the part that the public API shows; the entry owns its name
    uint32_t layer;           // index in config.layer
    bool begins;              // first trained entry of a layer, or of one of the num_layers levels of a recurrent layer
    bool late;                // backward completes its gradient after the layer's other gradients
    // Index of its first element in the flat buffer (params, state or batches), aligned for sub-buffers.
    size_t first;
    // Sub-buffers of the flat buffers; grad is NULL unless the entry is trained.
    struct clrnn_buffer *value, *grad;
    enum clrnn_init init;
    double bound;     // see enum clrnn_init
    int32_t zero_row; // embedding: padding_idx, whose row is zero at first; else -1
    // The initialiser that the config chooses, used in place of `init`; kind DEFAULT: there is none.
    struct clrnn_initializer chosen;
    // For bias_ih of an lstm: the number that is added to the initial values of the forget gate (the second quarter).
    double forget_bias;
};

#define CLRNN_RECORD_SLOTS 1024 // number of records (RECORD_... in cl/slots.h) in the buffer `records`

/** The states of a recurrent level (one of the num_layers of a layer) that train.bptt and train.stateful carry from one
 * run of a plan to the next. */
struct clrnn_carried {
    struct clrnn_buffer *h, *c; // c is NULL unless the layer is an lstm
};

/** A range of the flat gradient buffer that is copied from the device in one transfer. */
struct clrnn_bucket {
    size_t first, count;
    struct clrnn_buffer *grads; // sub-buffer
};

struct clrnn_layer_shape; // network.h
struct clrnn_stage;       // step.c: plans, and staging buffers for batches from the caller

struct clrnn_model {
    struct clrnn_device *device;
    const struct clrnn_log *log;
    struct clrnn_config *config;
    struct clrnn_data_shape shape;
    uint32_t outputs, // numbers in a prediction
        targets;      // numbers of y for a prediction (clrnn_loss_targets)
    bool per_step;    // a sample has a prediction for each time step of the output

    struct clrnn_layer_shape *layer; // [config.layer_count]

    size_t entry_count;
    struct clrnn_entry *entry;
    const struct clrnn_entry **by_name; // the entries, sorted by name
    size_t state_count, batches_count;  // elements of `state` and of `batches`
    size_t flat_count;                  // REALs in params, grads and each moment; padding between entries is 0
    // moment[k]: M, V and VMAX of ops/optim.h; NULL if the optimiser does not use it.
    struct clrnn_buffer *params, *grads, *moment[3];
    struct clrnn_buffer *state;   // running statistics, REAL
    struct clrnn_buffer *batches; // I32: an element, at an aligned offset, for each entry with param.integer
    struct clrnn_buffer *hyper, *counter, *records; // fields in cl/slots.h; the host writes hyper and counter
    // What the buffer `counter` contains. The host writes to the buffer only if the new values differ.
    int32_t counter_there[COUNTER_FIELDS];
    // Inputs LOSS_WEIGHT and LOSS_LABEL_WEIGHT of the loss, or NULL.
    struct clrnn_buffer *loss_weight, *label_weight;
    struct clrnn_buffer *input_mean, *input_std; // REAL [C] or NULL
    struct clrnn_names *names;                   // of the columns and classes of the training data, or NULL
    bool opened;                                 // read from a model file; `names` NULL: the file has none
    double *target_mean, *target_std;            // [targets] each, or NULL; in one block of memory
    // Input LOSS_SCALE of the loss; NULL without target_mean and target_std.
    struct clrnn_buffer *target_scale;
    struct clrnn_buffer *arena; // activations of all plans with params.arena = 0
    size_t arena_count;
    struct clrnn_buffer **arenas; // arenas[a - 1]: activations of all plans with params.arena = a

    size_t bucket_count;         // 0: gradients stay on the device
    struct clrnn_bucket *bucket; // in the order in which backward completes them

    size_t carried_count;
    struct clrnn_carried *carried; // for each recurrent level, its states at the end of the previous run
    // What the host writes to `counter` before the next run of a plan (cl/slots.h).
    uint32_t first_step;   // COUNTER_FIRST
    bool carry;            // COUNTER_CARRY
    uint32_t first_sample, // COUNTER_SAMPLE
        samples;           // COUNTER_SAMPLES; 0: the run has a whole batch

    uint64_t writes; // number of calls so far that set parameters or normalisation

    struct clrnn_schedule schedule; // current learning rate and momentum, in double
    uint64_t steps_per_epoch;       // last argument of clrnn_schedule_init, 0: unknown
    uint64_t steps;                 // optimiser steps done; each run of a TRAIN or UPDATE plan adds one
    struct clrnn_stage *stage;      // NULL until the first clrnn_model_step, _evaluate or _predict
    // Copies of the model on other devices, owned by the caller (clrnn_model_share).
    struct clrnn_model *const *other;
    size_t other_count;
};

/** Creates a model without device memory: infers the shapes of the layers and makes the model's table. It is the first
 * of the three functions that clrnn_model_create calls; clrnn_model_allocate and clrnn_model_draw follow. Errors: as
 * clrnn_model_create. */
enum clrnn_status clrnn_model_describe(struct clrnn_device *device, const struct clrnn_config *config,
                                       const struct clrnn_data_shape *shape, struct clrnn_model **model);
/** Makes the model's table (model->entry) from the config. Uses no device memory. */
enum clrnn_status clrnn_model_make_table(struct clrnn_model *model);
/** Sets `chosen` and forget_bias of a layer's entries, from the config's model.init and the layer's `init`. Errors:
 * CLRNN_ERR_CONFIG. */
enum clrnn_status clrnn_model_choose_init(struct clrnn_model *model, size_t layer);
/** Allocates the device buffers of a model and sets them to zero. */
enum clrnn_status clrnn_model_allocate(struct clrnn_model *model);
/** Sets the loss's weights of classes or labels to weight [count]; for `weight: balanced` the caller computes them. The
 * model must not have such weights or a plan yet. Errors: CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE. */
enum clrnn_status clrnn_model_set_loss_weight(struct clrnn_model *model, const double *weight, size_t count);
/** Sets the initial values of parameters and running statistics. A model read from a file does not need them. */
enum clrnn_status clrnn_model_draw(struct clrnn_model *model);

/** Whether any layer changes the number of time steps: conv1d, max_pool1d and avg_pool1d may. */
bool clrnn_model_changes_steps(const struct clrnn_model *model);
/** Ensures that model->carried[level] has memory for the states of `samples` samples: P features of h, and H features
 * of the cell state (0: the level has no cell state). Zeros replace states for which the memory was too small. */
enum clrnn_status clrnn_model_carry(struct clrnn_model *model, size_t level, uint32_t samples, uint32_t P, uint32_t H);

/** Divides the flat gradients into buckets of at least `bytes` bytes, counted as float32; 0: one bucket. The first
 * bucket (the end of the gradients) and those of the lowest layer may be smaller. SHARD plans that are created
 * afterwards find out after which launch each bucket is final. Errors: CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE. */
enum clrnn_status clrnn_model_cut(struct clrnn_model *model, uint64_t bytes);
/** Removes the buckets. */
void clrnn_model_uncut(struct clrnn_model *model);
/** Returns the value of the environment variable CLRNN_BUCKET_BYTES, or its default, 1 MiB. */
uint64_t clrnn_bucket_bytes(void);

/** Returns the entry of that name. NULL: there is none. */
const struct clrnn_entry *clrnn_model_find(const struct clrnn_model *model, const char *name);

/** Returns the name of the optimiser's `moment[k]` in model files: "m", "v" or "vmax". */
const char *clrnn_moment_word(int k);

/** Copies the values of all entries to a model with the same layers. Errors: CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE. */
enum clrnn_status clrnn_model_copy_values(struct clrnn_model *to, struct clrnn_model *from);

/** Queues writes of the counters of the next step (COUNTER_... in cl/slots.h) and, if `training`, of the optimiser's
 * hyperparameters. COUNTER_STEP is model->steps. `slot` is the index, below CLRNN_RECORD_SLOTS, of the record
 * (cl/slots.h) that the step writes. Does not wait for the device. */
enum clrnn_status clrnn_model_begin_step(struct clrnn_model *model, uint32_t slot, bool training);

/** Steps the config's scheduler, if there is one. `metric` is for reduce_lr_on_plateau. Returns false if one_cycle_lr
 * has no steps left; the learning rate then stays. */
bool clrnn_model_step_schedule(struct clrnn_model *model, double metric);

/** Checks that the model has the mean and deviation that the config needs: for `normalize: standard` those of the
 * inputs, for `normalize_targets: standard` those of the targets. Errors: CLRNN_ERR_DATA. */
enum clrnn_status clrnn_model_check_normalization(const struct clrnn_model *model);
/** Whether targets are to be standardised: the config has `normalize_targets: standard`, and the loss is one of
 * regression (clrnn_loss_is_regression). */
bool clrnn_model_wants_target_normalization(const struct clrnn_model *model);

/** Standardises y [count] in place: (y - mean) / std. The numbers form rows of model->targets numbers. Does nothing if
 * the model has no target_mean and target_std. */
void clrnn_model_standardise_targets(const struct clrnn_model *model, size_t count, float *y);
/** Converts the outputs y [count] in place, back to the units of the data: y * std + mean. The numbers form rows of
 * model->outputs numbers. Does nothing if the model has no target_mean and target_std. */
void clrnn_model_restore_targets(const struct clrnn_model *model, size_t count, float *y);
#endif
