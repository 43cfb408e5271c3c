// SPDX-License-Identifier: MIT
// The model's internals, for model/, train/ and diagnose/: flat buffers and the table of entries in them.
#ifndef CLRNN_SRC_MODEL_MODEL_H
#define CLRNN_SRC_MODEL_MODEL_H

#include "clrnn/model.h"
#include "model/names.h"
#include "model/schedule.h"
#include "ops/graph.h"

enum clrnn_init { CLRNN_INIT_UNIFORM /* +- bound */, CLRNN_INIT_NORMAL, CLRNN_INIT_ONE, CLRNN_INIT_ZERO };

/** A row of the model's table: a parameter or running statistic. Rows of one layer are consecutive. */
struct clrnn_entry {
    struct clrnn_param param;          // public part; name owned
    uint32_t layer;                    // index in config.layer
    bool begins;                       // the first trained entry of a layer or of a recurrent level
    bool late;                         // its gradient is complete after the others of its layer
    size_t first;                      // offset in the flat buffer, aligned for sub-buffers
    struct clrnn_buffer *value, *grad; // sub-buffers; grad NULL unless trained
    enum clrnn_init init;
    double bound;
    int32_t zero_row;                // embedding's padding_idx, else -1
    struct clrnn_initializer chosen; // the config's choice, used in place of init; DEFAULT: none
    double forget_bias;              // added to the second quarter of the values
};

#define CLRNN_RECORD_SLOTS 1024

/** States of a recurrent level that train.bptt and train.stateful carry from run to run. */
struct clrnn_carried {
    char name[64];              // name of the level: "lstm", "0.l1"
    struct clrnn_buffer *h, *c; // [samples, features]; c: lstm, else NULL
};

/** A range of the flat gradient buffer that is copied off the device in one transfer. */
struct clrnn_bucket {
    size_t first, count;
    struct clrnn_buffer *grads; // sub-buffer
};

struct clrnn_layer_shape; // network.h
struct clrnn_stage;       // step.c: staging buffers for batches from the caller

struct clrnn_model {
    struct clrnn_device *device;
    const struct clrnn_log *log;
    struct clrnn_config *config;
    struct clrnn_data_shape shape;
    uint32_t outputs, targets; // targets: numbers of y for each prediction
    bool per_step;

    struct clrnn_layer_shape *layer; // [config.layer_count]

    size_t entry_count;
    struct clrnn_entry *entry;
    const struct clrnn_entry **by_name; // the entries, sorted by name
    size_t state_count, batches_count;  // elements of `state` and of `batches`
    size_t flat_count; // REALs in params, grads and each moment; padding between entries is 0
    struct clrnn_buffer *params, *grads, *moment[3]; // M, V, VMAX as in OPTIM; NULL where not needed
    struct clrnn_buffer *state;                      // running statistics, REAL
    struct clrnn_buffer *batches;                    // I32, one element per `integer` entry, at an
                                                     // aligned offset
    struct clrnn_buffer *hyper, *counter, *records;  // written by the host, see op.h
    int32_t counter_there[COUNTER_FIELDS]; // what `counter` holds; it is written only when this changes
    struct clrnn_buffer *loss_weight, *label_weight; // inputs LOSS_WEIGHT, LOSS_LABEL_WEIGHT, or NULL
    struct clrnn_buffer *input_mean, *input_std;     // REAL [C] or NULL
    struct clrnn_names *names;         // of the columns and classes of the training table, or NULL
    double *target_mean, *target_std;  // [targets] each, or NULL; in one block of memory
    struct clrnn_buffer *target_scale; // LOSS_SCALE, where there are target_mean and target_std
    struct clrnn_buffer *arena;        // shared by the plans
    size_t arena_count;
    struct clrnn_buffer **arenas; // arenas[a - 1] is shared by the plans with params.arena = a

    size_t bucket_count;         // 0: gradients stay on the device
    struct clrnn_bucket *bucket; // in the order in which backward completes them

    size_t carried_count;
    struct clrnn_carried *carried; // for each recurrent level, its states at the end of the previous run
    uint32_t first_step;           // COUNTER_FIRST, COUNTER_CARRY of the next run
    bool carry;
    uint32_t first_sample, samples; // COUNTER_SAMPLE, COUNTER_SAMPLES of the next run; 0: a whole batch
    uint64_t writes;                // counts how often the caller set values

    struct clrnn_schedule schedule;   // lr and momentum, in double
    uint64_t steps_per_epoch;         // last argument of clrnn_schedule_init, 0: unknown
    uint64_t steps;                   // optimiser steps done; a run of a TRAIN plan adds one
    struct clrnn_stage *stage;        // NULL until clrnn_model_step or _predict
    struct clrnn_model *const *other; // replicas on other devices, owned by the caller: clrnn_model_share
    size_t other_count;
};

/** clrnn_model_create calls three functions: _describe makes the table (no device memory), _allocate the
 *  zeroed buffers, _draw the initial values. A model that is read from a file does not need _draw. */
enum clrnn_status clrnn_model_describe(struct clrnn_device *device, const struct clrnn_config *config,
                                       const struct clrnn_data_shape *shape, struct clrnn_model **model);
/** Makes the table of parameters from the config; uses no device memory. */
enum clrnn_status clrnn_model_make_table(struct clrnn_model *model);
/** Sets `chosen` and forget_bias of a layer's entries from model.init and the layer's init. CLRNN_ERR_CONFIG.
 */
enum clrnn_status clrnn_model_choose_init(struct clrnn_model *model, size_t layer);
enum clrnn_status clrnn_model_allocate(struct clrnn_model *model);
enum clrnn_status clrnn_model_draw(struct clrnn_model *model);

/** Whether any layer changes the number of steps, which windows over time do. */
bool clrnn_model_changes_steps(const struct clrnn_model *model);
/** Ensures that carried[level] can hold the states of `samples` samples: P features of h, H of the cell
 * state (0: it has none). */
enum clrnn_status clrnn_model_carry(struct clrnn_model *model, size_t level, uint32_t samples, uint32_t P,
                                    uint32_t H);

/** Cuts the gradients into buckets of at least `bytes`, counted as float32 (0: one bucket). The first bucket
 * and those of the lowest layer may be smaller. SHARD plans made later record when each is final.
 * CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_model_cut(struct clrnn_model *model, uint64_t bytes);
void clrnn_model_uncut(struct clrnn_model *model);
/** The environment variable CLRNN_BUCKET_BYTES, or its default. */
uint64_t clrnn_bucket_bytes(void);

/** The entry of that name, or NULL. */
const struct clrnn_entry *clrnn_model_find(const struct clrnn_model *model, const char *name);

/** The name of the optimiser's `moment[k]` in files: "m", "v", "vmax". */
const char *clrnn_moment_word(int k);

/** Copies the values of all entries to a model with the same layers. CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE. */
enum clrnn_status clrnn_model_copy_values(struct clrnn_model *to, struct clrnn_model *from);

/** Queues writing the step's hyperparameters of the optimiser (in training) and its counters, of which
 * COUNTER_STEP is model->steps. `slot`, below CLRNN_RECORD_SLOTS: the index of the step's record. Does not
 * wait. */
enum clrnn_status clrnn_model_begin_step(struct clrnn_model *model, uint32_t slot, bool training);

/** Steps the config's scheduler, if any. False if one_cycle_lr is past its total; its last lr then stays. */
bool clrnn_model_step_schedule(struct clrnn_model *model, double metric);

/** CLRNN_ERR_DATA if the config has `normalize: standard` or `normalize_targets: standard` and the model has
 * no mean and deviation for it. */
enum clrnn_status clrnn_model_check_normalization(const struct clrnn_model *model);
/** Whether targets are to be standardised: `normalize_targets: standard` and a loss of real targets. */
bool clrnn_model_wants_target_normalization(const struct clrnn_model *model);

/** Converts `count` targets, rows of [targets], to standardised ones in place: (y - mean) / std. Does
 * nothing without target.mean and target.std. */
void clrnn_model_standardise_targets(const struct clrnn_model *model, size_t count, float *y);
/** Converts `count` outputs, rows of [outputs], back to the units of the data in place: y * std + mean. */
void clrnn_model_restore_targets(const struct clrnn_model *model, size_t count, float *y);
#endif
