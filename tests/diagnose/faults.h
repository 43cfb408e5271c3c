// SPDX-License-Identifier: MIT
// Faults that the tests plant in the made-up numbers of made.h.
#ifndef CLRNN_TESTS_DIAGNOSE_FAULTS_H
#define CLRNN_TESTS_DIAGNOSE_FAULTS_H

#include "made.h"

#define GRU "gru: {hidden_size: 8}"
#define LAST "pool: {over: last}"
#define HEAD "linear: {out_features: 2}"
#define NET GRU ", " LAST ", " HEAD
#define ONE GRU ", " LAST ", linear: {out_features: 1}"
#define MSE "loss: mse, optimizer: {adam: {lr: 0.001}}, epochs: 20, batch_size: 16, shuffle: true"
#define ADAM "loss: cross_entropy, optimizer: {adam: {lr: 0.001}}, epochs: 20, batch_size: 16"
#define TRAIN ADAM ", shuffle: true"
#define CTC "loss: ctc, optimizer: {adam: {lr: 0.001}}, epochs: 20, batch_size: 16, shuffle: true"
#define WANT(ident, severity) CLRNN_FINDING_##ident, CLRNN_SEVERITY_##severity

/** A fault, and the finding that the doctor must report for it. */
struct made_fault {
    enum clrnn_finding_kind kind;
    enum clrnn_severity severity;
    const char *layers, *train;    // model.layers and train of the config
    void (*plant)(struct made *m); // changes the numbers; NULL: the fault is in the config itself
};

/** Faults of norms, nested layers, windows over time, attention, train.stateful, train.bptt, ctc, several labels and
 * huber. */
extern const struct made_fault made_faults_of_layers[];
extern const size_t made_fault_of_layers_count;

#endif
