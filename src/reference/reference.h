// SPDX-License-Identifier: MIT
// The ops level carried out in plain C and double precision, written from doc/maths.md. Independent of
// every kernel; slow.
#ifndef CLRNN_SRC_REFERENCE_REFERENCE_H
#define CLRNN_SRC_REFERENCE_REFERENCE_H

#include "ops/op.h"

/**
 * Carries out one op. in[] and out[] stand in the op's slots: double for REAL tensors, int32_t / uint32_t
 * for integers, NULL where absent. Updated tensors are read and written through out[]. Class weights and
 * all sizes come from op and slots; no access outside of them.
 * Errors: CLRNN_ERR_MEMORY (scratch).
 */
enum clrnn_status clrnn_reference_run(const struct clrnn_log *log, const struct clrnn_op *op,
                                      void *const in[CLRNN_OP_MAX_IN], void *const out[CLRNN_OP_MAX_OUT]);

enum { ANY_SLOT = -1 };

// What a sum runs over: K terms added in float32 in any fixed order are off by about sqrt(K) units.
enum clrnn_terms {
    TERMS_ONE,
    TERMS_FEATURES,
    TERMS_OUTPUTS,
    TERMS_ROWS,
    TERMS_STEPS,
    TERMS_CELL,
    TERMS_CELL_ROWS
};

/** How far a sound float32 device may be off in an output: as a share of the tensor's largest magnitude or of
 *  each element's own; INTERNAL outputs are not compared. Rules are read in order; the last is for ANY_SLOT.
 */
struct clrnn_bound_rule {
    int slot;
    float units; // in the last place (2^-23), times sqrt(terms)
    enum clrnn_terms terms;
    enum { OF_TENSOR, OF_ELEMENT, INTERNAL } scale;
};

/** An op in double precision, and what float32 may differ by. */
struct clrnn_reference {
    bool (*run)(const struct clrnn_op *op, void *const in[], void *const out[]); // false: out of memory
    struct clrnn_bound_rule bound[2];
};

/** Of a known kind. */
const struct clrnn_reference *clrnn_reference_get(enum clrnn_op_kind kind);

// One a kind, in src/reference/<stem>.c.
#define X(kind, stem, name) extern const struct clrnn_reference clrnn_##name##_reference;
CLRNN_OP_LIST(X)
#undef X

#endif
