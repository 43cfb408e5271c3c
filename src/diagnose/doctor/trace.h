// SPDX-License-Identifier: MIT
// What a short training left behind, and judging it.
#ifndef CLRNN_SRC_DIAGNOSE_DOCTOR_TRACE_H
#define CLRNN_SRC_DIAGNOSE_DOCTOR_TRACE_H

#include "base/random.h"
#include "diagnose/doctor/linear.h"
#include "diagnose/doctor/run.h"

/** What a model makes of a set in eval mode. */
struct clrnn_doctor_score {
    double loss, quality; // accuracy; mse: R2
};

struct clrnn_trace {
    uint32_t steps, room;
    uint64_t wanted;              // steps that the config asks for
    uint64_t epochs;              // whole ones
    double until;                 // when time is up
    bool finite, cut, complete;   // cut: time was up
    double *loss, *norm, *weight; // of each step; weight: samples
    uint32_t window_count;
    double *window;              // mean loss of epochs, or of tenths of the run
    struct clrnn_session *valid; // of the first validation rows, or NULL
    size_t valid_count, valid_room;
    double *valid_loss, *valid_quality;

    size_t update_count, update_early;         // measured updates; those of the first steps come first
    double update_median[64], update_most[64]; // of the tensors' |change| / |weight|

    double train_mode; // losses after training: in train mode,
    struct clrnn_doctor_score trained, blank,
        shuffled; // eval mode, inputs replaced by their mean, time shuffled
    struct clrnn_linear_result linear;
    double real_loss,
        random_loss; // with real labels and with shuffled ones, after as many steps; NaN: not tried
    uint32_t random_steps;
};

/** Whether labels may be random, so that a training with shuffled ones is worth its time. */
bool clrnn_doctor_wants_shuffled(const struct clrnn_examination *v, const struct clrnn_trace *c);
/** The findings. */
void clrnn_doctor_check_trace(struct clrnn_examination *v, struct clrnn_trace *c);

#endif
