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

// One function a kind, in src/reference/<stem>.c; false: out of memory.
#define X(kind, stem, name) bool ref_##name(const struct clrnn_op *op, void *const in[], void *const out[]);
CLRNN_OP_LIST(X)
#undef X

#endif
