// SPDX-License-Identifier: MIT
// A plan: the ops and launches of a model for one batch shape, made once and replayed.
#ifndef CLRNN_SRC_MODEL_PLAN_H
#define CLRNN_SRC_MODEL_PLAN_H

#include "device/list/replay.h"
#include "model/model.h"

enum clrnn_mode {
    CLRNN_MODE_TRAIN, // forward in train mode, loss, backward, gradient norm, update by the optimiser
    // TRAIN without any update of parameters or running statistics (probes, gradient checks).
    CLRNN_MODE_GRADIENT,
    // The part of TRAIN up to the gradients, for one shard of a batch (train.shards). The gradients are those of the
    // sum of the shard's losses, not of their mean.
    CLRNN_MODE_SHARD,
    CLRNN_MODE_UPDATE,  // only gradient norm and update, with gradients that the model's buffer already has
    CLRNN_MODE_EVAL,    // forward in eval mode, loss
    CLRNN_MODE_PREDICT, // forward in eval mode
};

/** A data set in device buffers, from which the plan's op FEED gathers a batch. The plan retains the
 * buffers. */
struct clrnn_plan_data {
    uint32_t S, T_data;             // samples and time steps of the data set
    struct clrnn_buffer *x;         // REAL [S, T_data, C] or I32 [S, T_data]
    struct clrnn_buffer *y;         // I32 or REAL, [S, targets] or [S, y_T, targets]; NULL in prediction
    struct clrnn_buffer *lengths;   // I32 [S] or NULL
    struct clrnn_buffer *weights;   // REAL [S] or NULL: weights of samples in the loss
    struct clrnn_buffer *y_lengths; // I32 [S], with ctc: number of labels of each sample
    struct clrnn_buffer *index;     // U32 [at least N]: indices of the batch's samples
    // y_real: y is REAL, not I32.
    // y_steps: y has a dimension of steps.
    bool y_real, y_steps;
    // Size of the dimension of steps in the data set; with ctc it counts labels. 0: as many steps as the model's output
    // has for T_data steps.
    uint32_t y_T;
};

/** Whether a pass in this mode computes gradients. */
static inline bool clrnn_mode_trains(enum clrnn_mode mode)
{
    return mode == CLRNN_MODE_TRAIN || mode == CLRNN_MODE_GRADIENT || mode == CLRNN_MODE_SHARD;
}

struct clrnn_plan_params {
    enum clrnn_mode mode;
    uint32_t N, T; // batch size; time steps, at most T_data
    struct clrnn_plan_data data;
    // Number of samples (at least N) whose recurrent states are carried from one run to the next; 0: each run begins
    // with zero states.
    uint32_t carried;
    bool separate; // tensors do not share memory, so that each op can be checked by itself
    // SHARD: number of the arena, the memory that holds the plan's activations. Plans with the same number share one
    // arena. Only plans with different numbers may run part by part in turn. 0: the arena of all other plans.
    uint32_t arena;
    bool statistics; // SHARD: update the running statistics of batchnorms with sync: false
    bool input_grad; // also compute the gradient of the batch's x (not for tokens)
};

struct clrnn_plan {
    struct clrnn_model *model;
    struct clrnn_plan_params params;
    struct clrnn_graph *graph;
    struct clrnn_launches *launches;
    struct clrnn_replay *replay;   // replays the launches
    int output;                    // tensor id of the last layer's output, [T or 1, N, outputs]
    uint32_t output_steps;         // time steps of the output: T, fewer after windows, 1 after a pool
    size_t *op_launch;             // [op_count + 1]: op i has the launches [op_launch[i], op_launch[i + 1])
    struct clrnn_host_call *calls; // [op_count] on the device ref, else NULL
    // For SHARD, if the model has several gradient buckets; otherwise bucket_end is NULL.
    // gradients_begin: launches before this one do not use any gradient.
    // bucket_end [number of buckets], never decreasing: bucket i is final when the launches before bucket_end[i] are
    // done.
    size_t gradients_begin, *bucket_end;
};

/** Creates a plan: builds the graph, places its tensors in memory, and makes the list of launches. Errors:
 * CLRNN_ERR_ARG and CLRNN_ERR_CONFIG if params->data does not fit the model or the plan's sizes; others as
 * clrnn_launch_kernel. */
enum clrnn_status clrnn_plan_create(struct clrnn_model *model, const struct clrnn_plan_params *params,
                                    struct clrnn_plan **plan);
void clrnn_plan_destroy(struct clrnn_plan **plan);

/** Queues one run of the plan. Before that, the caller must write the indices of the batch's samples (data.index), and
 * call clrnn_model_begin_step. Increments model->steps if the mode is TRAIN or UPDATE. */
enum clrnn_status clrnn_plan_run(struct clrnn_plan *plan);

/** Runs a part of a SHARD plan: queues launches [first, last). The parts must follow one another from launch 0 to the
 * last. Except at the last launch, a part may end only at gradients_begin or at an element of bucket_end. */
enum clrnn_status clrnn_plan_run_part(struct clrnn_plan *plan, size_t first, size_t last);

/** Finds where the host must act between the ops of a SHARD plan, for batchnorms over the whole batch (ops/norm.h).
 * Returns the index of the first op after `op` before which the host must act, or op_count if there is none.
 * If the returned op follows BATCHNORM_MOMENTS, the host must overwrite three outputs of BATCHNORM_MOMENTS with
 * statistics of the whole batch. MOMENTS_COUNT becomes 1 / sqrt(variance + eps), MOMENTS_MEAN the mean, MOMENTS_SQUARES
 * the variance.
 * If the returned op is BATCHNORM_SPREAD, the host must write its input SPREAD_MEANS. */
size_t clrnn_plan_part_end(const struct clrnn_plan *plan, size_t op);

/** Waits for the device and reads the last layer's output, with the batch as first dimension: [N, outputs] or, with an
 * output for each time step, [N, output_steps, outputs]. If targets are standardised, converts the output to the units
 * of the data. */
enum clrnn_status clrnn_plan_read_output(struct clrnn_plan *plan, float *out);

/** Waits for the device and reads the model's records [first, first + count), RECORD_FIELDS doubles each
 * (cl/slots.h). */
enum clrnn_status clrnn_model_read_records(struct clrnn_model *model, uint32_t first, uint32_t count, double *records);

struct clrnn_plan_cost {
    double flops, bytes;
    size_t launches, ops;
    size_t queued; // commands that a run queues: fewer than launches if chains combine several of them
    uint64_t arena_bytes, param_bytes;
};
/** Returns the cost of one run of the plan, and the memory it uses. */
struct clrnn_plan_cost clrnn_plan_cost(const struct clrnn_plan *plan);

/** A cache of plans, which are found by their parameters. It can own `most` plans or 32, whichever is more. If it is
 * full, a new plan replaces the least recently used one. So a plan stays valid until that many other plans have been
 * requested. */
struct clrnn_plan_cache;
enum clrnn_status clrnn_plan_cache_create(struct clrnn_model *model, size_t most, struct clrnn_plan_cache **cache);
enum clrnn_status clrnn_plan_cache_get(struct clrnn_plan_cache *cache, const struct clrnn_plan_params *params,
                                       struct clrnn_plan **plan);
void clrnn_plan_cache_destroy(struct clrnn_plan_cache **cache);
#endif
