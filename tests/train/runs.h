// SPDX-License-Identifier: MIT
// Helpers of tests of whole runs: a small config, its data, and what a run folder holds.
#ifndef CLRNN_TESTS_TRAIN_RUNS_H
#define CLRNN_TESTS_TRAIN_RUNS_H

#include <jansson.h>

#include "clrnn/train.h"
#include "tests/model/scratch.h"

#define MODEL \
    "model: {layers: [{lstm: {hidden_size: 4, num_layers: 2, dropout: 0.2}}, batchnorm, {pool: {over: " \
    "mean}}, " \
    "{dropout: {p: 0.3}}, {linear: {out_features: 3}}]}\n"
#define TRAIN(epochs, more) \
    "train: {loss: cross_entropy, optimizer: {adam: {lr: 0.01, amsgrad: true}}, epochs: " epochs \
    ", batch_size: 8, shuffle: true, seed: 5" more "}\n"
#define DATA \
    "data: {train: {x: X_a.npy, y: y_a.npy, lengths: lengths_a.npy}, valid: {x: X_b.npy, y: y_b.npy, " \
    "lengths: lengths_b.npy}, bucket: true, normalize: standard}\n"

enum { S = 44, BATCHES = 6 };

// What the progress callback told.
struct told {
    int epochs, best;
    uint64_t step;
};

/** Writes data sets a, of S samples, and b. */
void runs_data(const struct scratch *s);
/** Trains into, or resumes, the folder `out`; checks that an error is logged exactly if the run fails. */
enum clrnn_status runs_train(struct scratch *s, const char *text, const char *out, bool resume,
                             struct told *told, struct clrnn_train_result *result);
void runs_must_train(struct scratch *s, const char *text, const char *out);
/** The n-th line (from 0) of metrics.jsonl that has `key`; NULL beyond the last. */
json_t *runs_metrics_line(const struct scratch *s, const char *run, const char *key, size_t n);
/** NaN where there is none. */
double runs_number(const json_t *object, const char *key);
/** Fail where they differ; of metrics, times aside. */
void runs_same_files(const struct scratch *s, const char *a, const char *b);
void runs_same_metrics(const struct scratch *s, const char *a, const char *b);

#endif
