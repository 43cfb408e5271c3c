// SPDX-License-Identifier: MIT
// A plan: the ops and launches of a model for one batch shape, made once and replayed.
#ifndef CLRNN_SRC_MODEL_PLAN_H
#define CLRNN_SRC_MODEL_PLAN_H

#include "device/list/replay.h"
#include "model/model.h"

enum clrnn_mode {
    CLRNN_MODE_TRAIN,    // forward in train mode, loss, backward, norm, update
    CLRNN_MODE_GRADIENT, // TRAIN without updates, not even of running statistics (probes, gradient checks)
    CLRNN_MODE_SHARD,    // TRAIN of one shard up to the gradient of the sum (not the mean) of its losses
    CLRNN_MODE_UPDATE,   // only TRAIN's norm and update, with the gradient already in the model's buffer
    CLRNN_MODE_EVAL,     // forward in eval mode, loss
    CLRNN_MODE_PREDICT,  // forward in eval mode
};

/** A data set on the device that the plan's FEED reads. The plan retains the buffers. */
struct clrnn_plan_data {
    uint32_t S, T_data;             // samples and steps of the buffers
    struct clrnn_buffer *x;         // REAL [S, T_data, C] or I32 [S, T_data]
    struct clrnn_buffer *y;         // I32 or REAL, [S, targets] or [S, y_T, targets]; NULL in prediction
    struct clrnn_buffer *lengths;   // I32 [S] or NULL
    struct clrnn_buffer *weights;   // REAL [S] or NULL: weights of samples in the loss
    struct clrnn_buffer *y_lengths; // I32 [S], with ctc: number of labels of each sample
    struct clrnn_buffer *index;     // U32 [at least N]
    bool y_real, y_steps;
    uint32_t y_T; // steps of y in the data, where it has steps; 0: as many as the model puts out for T_data
};

/** Whether a pass in this mode computes gradients. */
static inline bool clrnn_mode_trains(enum clrnn_mode mode)
{
    return mode == CLRNN_MODE_TRAIN || mode == CLRNN_MODE_GRADIENT || mode == CLRNN_MODE_SHARD;
}

struct clrnn_plan_params {
    enum clrnn_mode mode;
    uint32_t N, T; // batch, steps (up to T_data)
    struct clrnn_plan_data data;
    uint32_t carried; // samples whose states are carried from run to run (at least N); 0: they begin at 0
    bool separate;    // tensors do not share memory: for checking op by op
    uint32_t
        arena; // SHARD: plans with different numbers share no memory; their parts may alternate; 0: all share
    bool statistics; // SHARD: update the running statistics of batchnorms with sync: false
    bool input_grad; // also compute the gradient of the batch's x (tokens have none)
};

struct clrnn_plan {
    struct clrnn_model *model;
    struct clrnn_plan_params params;
    struct clrnn_graph *graph;
    struct clrnn_launches *launches;
    struct clrnn_replay *replay;   // replays the launches
    int output;                    // tensor id of the last layer's output, [T or 1, N, outputs]
    uint32_t output_steps;         // time steps of the output: T, fewer after windows, 1 after a pool
    size_t *op_launch;             // [op_count + 1]: launches of op i are op_launch[i] to [i + 1]
    struct clrnn_host_call *calls; // [op_count] on ref, else NULL
    // SHARD with several gradient buckets, else NULL: no launch before gradients_begin uses a gradient, and
    // bucket i is final after the launches before bucket_end[i], [bucket_count], in increasing order.
    size_t gradients_begin, *bucket_end;
};

/** Errors: as clrnn_model_create and clrnn_launch_kernel. */
enum clrnn_status clrnn_plan_create(struct clrnn_model *model, const struct clrnn_plan_params *params,
                                    struct clrnn_plan **plan);
void clrnn_plan_destroy(struct clrnn_plan **plan);

/** Queues one pass. Before that, the caller writes the index, and hyper and counter with
 * clrnn_model_begin_step. A TRAIN or UPDATE plan increments model->steps. */
enum clrnn_status clrnn_plan_run(struct clrnn_plan *plan);

/** Runs a SHARD plan in parts: queues launches [first, last). Parts follow one another from 0 to the end;
 * they may end before it only at gradients_begin and where a bucket is final. */
enum clrnn_status clrnn_plan_run_part(struct clrnn_plan *plan, size_t first, size_t last);

/** Returns the end (an op index) of the part of a SHARD plan that begins with `op`: op_count, or the op
 * before which the host must act. After BATCHNORM_MOMENTS the host replaces COUNT, MEAN and SQUARES by
 * 1 / sqrt(var + eps), mean and variance of the whole batch; after BATCHNORM_BWD, if BATCHNORM_SPREAD
 * follows, it writes MEANS. */
size_t clrnn_plan_part_end(const struct clrnn_plan *plan, size_t op);

/** Waits and reads the output, batch-major: [N, outputs] or, per step, [N, T, outputs]. */
enum clrnn_status clrnn_plan_read_output(struct clrnn_plan *plan, float *out);

/** Waits and reads records [first, first + count) of the model, RECORD_FIELDS doubles each. */
enum clrnn_status clrnn_model_read_records(struct clrnn_model *model, uint32_t first, uint32_t count,
                                           double *records);

struct clrnn_plan_cost {
    double flops, bytes;
    size_t launches, ops;
    size_t queued; // commands queued for the launches: fewer where chains combine several
    uint64_t arena_bytes, param_bytes;
};
struct clrnn_plan_cost clrnn_plan_cost(const struct clrnn_plan *plan);

/** A cache of plans by their parameters, for up to `most` (at least 32); the least recently used plan is
 * evicted. It owns its plans; a plan is valid until that many others have been requested. */
struct clrnn_plan_cache;
enum clrnn_status clrnn_plan_cache_create(struct clrnn_model *model, size_t most,
                                          struct clrnn_plan_cache **cache);
enum clrnn_status clrnn_plan_cache_get(struct clrnn_plan_cache *cache, const struct clrnn_plan_params *params,
                                       struct clrnn_plan **plan);
void clrnn_plan_cache_destroy(struct clrnn_plan_cache **cache);
#endif
