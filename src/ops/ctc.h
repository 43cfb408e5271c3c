// SPDX-License-Identifier: MIT
// Op of the loss of connectionist temporal classification (CTC) and its gradient, over T steps of N samples. It writes
// one record (RECORD_... in cl/slots.h).
#ifndef CLRNN_SRC_OPS_CTC_H
#define CLRNN_SRC_OPS_CTC_H

#include <stdbool.h>
#include <stdint.h>

// The op kinds of this header as X(KIND, stem, name). op.h says what a stem is, and declares these ops.
// clang-format off
#define CLRNN_CTC_OPS(X) \
    X(CTC, ctc, ctc)
// clang-format on

enum {
    CTC_X, // [T, N, C], C classes including the blank; the op itself takes the log-softmax
    CTC_LENGTHS,
    CTC_TARGET,         // I32 [L, N] classes; values after a target's end are ignored
    CTC_TARGET_LENGTHS, // I32 [N], 0 to L
    CTC_COUNTER,        // its COUNTER_SLOT is the index of the record to write
    CTC_SAMPLE_WEIGHT,  // REAL [N] or CLRNN_NONE
};
enum {
    CTC_DX,     // CLRNN_NONE in evaluation
    CTC_RECORD, // updated: REAL [slots, RECORD_FIELDS]; RECORD_CORRECT counts samples whose greedy decoding
                // equals the target
};

struct clrnn_ctc_attributes {
    uint32_t L, blank, slots;
    bool zero_infinity;
    bool total; // as in struct clrnn_loss_attributes (loss.h)
};

#endif
