// SPDX-License-Identifier: MIT
// The layers of the model that the tests of model files use, and a function that trains it.
#ifndef CLRNN_TESTS_MODEL_FILES_H
#define CLRNN_TESTS_MODEL_FILES_H

#include "fixture.h"

#define LAYERS \
    "- batchnorm: {name: norm}\n" \
    "- gru: {name: gru, hidden_size: 5, bidirectional: true}\n" \
    "- pool: {over: final}\n" \
    "- dropout: {p: 0.3}\n" \
    "- linear: {name: fc, out_features: 3}\n"
#define TRAIN \
    "loss: cross_entropy, optimizer: {adam: {lr: 0.01, amsgrad: true}}, seed: 11, " \
    "scheduler: {exponential_lr: {gamma: 0.9, interval: batch}}"

static const struct clrnn_data_shape shape = {4, false, 3, 0};

// Trains on the batches `from`, from + 1, ..., to - 1, a step each. *last: the result of the last step.
static inline void steps(struct clrnn_model *m, unsigned from, unsigned to, struct clrnn_step_result *last)
{
    for (unsigned i = from; i < to; i++) {
        struct clrnn_batch b = fixture_batch(m, 6, 7, true, 100 + i);

        assert_int_equal(clrnn_model_step(m, &b, last), CLRNN_OK);
        fixture_batch_free(&b);
    }
}

#endif
