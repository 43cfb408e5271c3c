// SPDX-License-Identifier: MIT
// Made-up numbers for the doctor's checks: the statistics of a data set, probes and the trace of a short training, all
// of a healthy model. A test changes some of these numbers to plant a fault.
#ifndef CLRNN_TESTS_DIAGNOSE_MADE_H
#define CLRNN_TESTS_DIAGNOSE_MADE_H

#include "diagnose/doctor/trace.h"
#include "model/model.h"

enum { S = 64, T = 6, C = 3, K = 2, SAMPLES = 128, STEPS = 100, WINDOWS = 10, LOOKS = 10, PARAMS = 2 };

/** The arrays to which a struct clrnn_scan points. */
struct data {
    struct clrnn_dataset_info info;
    double mean[C], rms[C], least[C], most[C];
    float sample[SAMPLES * C];
    uint64_t hash[S][2], count[K];
    double weight[K];
    unsigned char labelled[S];
};

/** All that the checks read. */
struct made {
    struct clrnn_doctor_params params;
    struct clrnn_doctor_result result;
    struct clrnn_config *config;
    struct clrnn_doctor d;
    struct clrnn_examination v;
    struct clrnn_trace trace;
    struct data train, valid;
    double loss[STEPS], norm[STEPS], window[WINDOWS], valid_loss[LOOKS], valid_quality[LOOKS], time[T];
    double shared; // fraction of validation rows that have steps in common with training rows
    // results by class of the training as given, and of the training with shuffled rows
    struct clrnn_class_result answered[K], answered_with_order[K];
    struct clrnn_leak leak;
    struct clrnn_gradient_error gradient;
    struct clrnn_entry entry[PARAMS];
    double largest[PARAMS]; // largest |gradient| of each parameter
};

/** Fills *m with healthy numbers for a config with these layers and train keys. If the config is invalid, the test
 * fails. */
void made_open(struct made *m, const char *layers, const char *train);
/** Runs all checks in the order in which the doctor runs them. The findings are then in m->result. */
void made_judge(struct made *m);
void made_close(struct made *m);

#endif
