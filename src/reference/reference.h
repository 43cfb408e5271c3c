// SPDX-License-Identifier: MIT
// The ops in plain C and double precision, with which results of devices are compared. They are written from the
// formulas of doc/maths.md, independently of the kernels. They are slow.
#ifndef CLRNN_SRC_REFERENCE_REFERENCE_H
#define CLRNN_SRC_REFERENCE_REFERENCE_H

#include "ops/op.h"

/** Runs one op. in[] and out[] are indexed by the op's slots and point to the tensors' elements: double for REAL
 * tensors, int32_t or uint32_t for integers; NULL if the op has no such tensor. Updated tensors are read and written
 * through out[]. Errors: CLRNN_ERR_ARG (unknown op kind), CLRNN_ERR_MEMORY (scratch).
 */
enum clrnn_status clrnn_reference_run(const struct clrnn_log *log, const struct clrnn_op *op,
                                      void *const in[CLRNN_OP_MAX_IN], void *const out[CLRNN_OP_MAX_OUT]);

enum { ANY_SLOT = -1 };

// The dimension over which an output is a sum; count_terms in bound.c has its size. A sum of K float32 terms has an
// error of about sqrt(K) units in the last place.
enum clrnn_terms { TERMS_ONE, TERMS_FEATURES, TERMS_OUTPUTS, TERMS_ROWS, TERMS_STEPS, TERMS_CELL, TERMS_CELL_ROWS };

/** A rule for how far an output of a correct float32 device may be from the reference. An op has several rules. The
 * first rule that has the slot of an output applies to this output. The last rule has ANY_SLOT, which matches every
 * slot.
 * Scale OF_TENSOR: the bound is relative to the tensor's largest magnitude.
 * OF_ELEMENT: it is relative to the magnitude of each element.
 * INTERNAL: the output is not compared. */
struct clrnn_bound_rule {
    int slot;
    float units; // the bound is units * sqrt(number of terms) * 2^-23; 2^-23: a unit in the last place
    enum clrnn_terms terms;
    enum { OF_TENSOR, OF_ELEMENT, INTERNAL } scale;
};

/** The reference of an op: the function that runs it, and the error bounds of its outputs in float32. */
struct clrnn_reference {
    bool (*run)(const struct clrnn_op *op, void *const in[], void *const out[]); // false: out of memory
    struct clrnn_bound_rule bound[4];
};

/** Returns the reference of an op kind. */
const struct clrnn_reference *clrnn_reference_get(enum clrnn_op_kind kind);

// Declares a reference for each op kind. It is defined in src/reference/<stem>.c (cases.h says what a stem is).
#define X(kind, stem, name) extern const struct clrnn_reference clrnn_##name##_reference;
CLRNN_OP_LIST(X)
#undef X

#endif
