// SPDX-License-Identifier: MIT
// Inside of a model: flat buffers and the table of what lies where. For model/, train/ and diagnose/.
#ifndef CLRNN_SRC_MODEL_MODEL_H
#define CLRNN_SRC_MODEL_MODEL_H

#include "clrnn/model.h"
#include "model/schedule.h"
#include "ops/graph.h"

enum clrnn_init { CLRNN_INIT_UNIFORM /* +- bound */, CLRNN_INIT_NORMAL, CLRNN_INIT_ONE, CLRNN_INIT_ZERO };

/** A row of the model's table; rows of one layer follow each other. */
struct clrnn_entry {
    struct clrnn_param param;  // public part; name owned
    uint32_t layer;            // index in config.layer
    size_t first;              // offset in the flat buffer, aligned as sub-buffers need
    struct clrnn_buffer *value, *grad; // sub-buffers; grad NULL unless trained
    enum clrnn_init init;
    double bound;
    int32_t zero_row;          // embedding's padding_idx, else -1
};

#define CLRNN_RECORD_SLOTS 1024

struct clrnn_model {
    struct clrnn_device *device;
    const struct clrnn_log *log;
    struct clrnn_config *config;
    struct clrnn_data_shape shape;
    uint32_t outputs;
    bool per_step;

    size_t entry_count;
    struct clrnn_entry *entry;
    size_t flat_count;         // REALs in params, grads and each moment; padding between entries is 0
    struct clrnn_buffer *params, *grads, *moment[3]; // M, V, VMAX as in OPTIM; NULL where not needed
    struct clrnn_buffer *state;                      // running statistics, REAL
    struct clrnn_buffer *batches;                    // I32, one element an entry that is `integer`,
                                                     //   each at its own aligned offset
    struct clrnn_buffer *hyper, *counter, *records;  // written by the host, see op.h
    struct clrnn_buffer *loss_weight;                // or NULL
    struct clrnn_buffer *input_mean, *input_std;     // REAL [C] or NULL
    struct clrnn_buffer *arena;                      // shared by the plans

    struct clrnn_schedule schedule; // lr and momentum, in double
    uint64_t steps;                 // optimiser steps done
};

/** Prepares the step's hyper and counter vectors (slot: where the record goes) and queues their writes. */
enum clrnn_status clrnn_model_begin_step(struct clrnn_model *model, uint32_t slot, bool training);

/** Per-feature mean and deviation for data.normalize; they become input.mean, input.std. */
enum clrnn_status clrnn_model_set_normalization(struct clrnn_model *model, const double *mean,
                                                const double *std);
#endif
