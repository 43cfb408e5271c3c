// SPDX-License-Identifier: MIT
// The ops in plain C and double precision, written from doc/maths.md. Independent of the kernels; slow.
#ifndef CLRNN_SRC_REFERENCE_REFERENCE_H
#define CLRNN_SRC_REFERENCE_REFERENCE_H

#include "ops/op.h"

/** Runs one op. in[] and out[] are indexed by the op's slots: double for REAL tensors, int32_t or uint32_t
 * for integers, NULL if absent. Updated tensors are read and written through out[]. Errors: CLRNN_ERR_MEMORY
 * (scratch).
 */
enum clrnn_status clrnn_reference_run(const struct clrnn_log *log, const struct clrnn_op *op,
                                      void *const in[CLRNN_OP_MAX_IN], void *const out[CLRNN_OP_MAX_OUT]);

enum { ANY_SLOT = -1 };

// The dimension over which an output is a sum. A sum of K float32 terms has an error of about sqrt(K) ulp.
enum clrnn_terms {
    TERMS_ONE,
    TERMS_FEATURES,
    TERMS_OUTPUTS,
    TERMS_ROWS,
    TERMS_STEPS,
    TERMS_CELL,
    TERMS_CELL_ROWS
};

/** The error bound of an output of a correct float32 device, relative to the tensor's largest magnitude or to
 *  each element's; INTERNAL outputs are not compared. The first rule that matches holds; the last is for
 *  ANY_SLOT. */
struct clrnn_bound_rule {
    int slot;
    float units; // in the last place (2^-23); multiplied by sqrt(terms)
    enum clrnn_terms terms;
    enum { OF_TENSOR, OF_ELEMENT, INTERNAL } scale;
};

/** An op in double precision, and the error bounds of float32. */
struct clrnn_reference {
    bool (*run)(const struct clrnn_op *op, void *const in[], void *const out[]); // false: out of memory
    struct clrnn_bound_rule bound[4];
};

/** The reference of an op kind. */
const struct clrnn_reference *clrnn_reference_get(enum clrnn_op_kind kind);

// One reference for each op kind, in src/reference/<stem>.c.
#define X(kind, stem, name) extern const struct clrnn_reference clrnn_##name##_reference;
CLRNN_OP_LIST(X)
#undef X

#endif
