// SPDX-License-Identifier: MIT
// Helpers for tests of whole training runs: a small config, its data, and functions that read a run's folder.
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

enum { S = 44, BATCHES = 6 }; // samples of data set a; training steps per epoch

// What the progress callback was told.
struct told {
    // epochs: number of ended epochs
    // best: number of epochs that were the best so far
    int epochs, best;
    uint64_t step; // the last step
};

/** Writes the files of two data sets: a, with S samples, for training, and b, with 21 samples, for validation. */
void runs_data(const struct scratch *s);
/** Trains the config in `text` into the folder `out` or, if `resume`, resumes the run in that folder. Checks that
 * one error is logged if the run fails, else none. CLRNN_FAILED (a training loss of NaN) must log none, too. */
enum clrnn_status runs_train(struct scratch *s, const char *text, const char *out, bool resume, struct told *told,
                             struct clrnn_train_result *result);
/** Trains into the folder `out`. Fails the test unless the run returns CLRNN_OK. */
void runs_must_train(struct scratch *s, const char *text, const char *out);
/** Returns the n-th line (from 0) of metrics.jsonl that has `key`, or NULL if there are not so many. The caller
 * releases it. */
json_t *runs_metrics_line(const struct scratch *s, const char *run, const char *key, size_t n);
/** Returns the number under `key`, or NaN if there is no number. */
double runs_number(const json_t *object, const char *key);
/** Fails the test unless the two files have the same bytes. */
void runs_same_files(const struct scratch *s, const char *a, const char *b);
/** Fails the test unless the metrics of two runs are the same, apart from times. */
void runs_same_metrics(const struct scratch *s, const char *a, const char *b);

#endif
