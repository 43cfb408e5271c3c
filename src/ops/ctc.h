// SPDX-License-Identifier: MIT
// Connectionist temporal classification with its gradient, over T steps of N samples. Writes one record.
#ifndef CLRNN_SRC_OPS_CTC_H
#define CLRNN_SRC_OPS_CTC_H

#include <stdbool.h>
#include <stdint.h>

// X(KIND, stem, name)
// clang-format off
#define CLRNN_CTC_OPS(X) \
    X(CTC, ctc, ctc)
// clang-format on

enum {
    CTC_X, // [T, N, C], C classes with the blank; log-softmax is taken inside
    CTC_LENGTHS,
    CTC_TARGET,         // I32 [L, N] classes, anything after a target's end
    CTC_TARGET_LENGTHS, // I32 [N], 0 to L
    CTC_COUNTER,        // COUNTER_SLOT says which record
    CTC_SAMPLE_WEIGHT,  // REAL [N] or NONE
};
enum {
    CTC_DX,     // NONE in evaluation
    CTC_RECORD, // updated: REAL [slots, RECORD_FIELDS]; RECORD_CORRECT counts samples whose greedy decoding
                // is the target
};

struct clrnn_ctc_attributes {
    uint32_t L, blank, slots;
    bool zero_infinity;
    bool total; // as in struct clrnn_loss_attributes
};

#endif
