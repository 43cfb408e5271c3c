// SPDX-License-Identifier: MIT
// Test cases, each of which compares an op on a device with the reference. A stem is the base name of source files for
// one or several ops, such as "linear" for LINEAR_FWD and LINEAR_BWD (ops/stems.h). Each stem has one function that
// runs the cases of its ops. The self-test runs the cases of all stems.
#ifndef CLRNN_SRC_REFERENCE_CASES_H
#define CLRNN_SRC_REFERENCE_CASES_H

#include "reference/check.h"

// Ops such as the loss write a record, the results of one batch, to one row of an output table (RECORD_... in
// cl/slots.h). CLRNN_CASE_RECORDS: number of rows of that table. CLRNN_CASE_RECORD: index of the row to write.
enum { CLRNN_CASE_RECORDS = 3, CLRNN_CASE_RECORD = 1 };

/** A shape, with which the cases of every op are run. */
struct clrnn_case_size {
    uint32_t T, N, C, H, D; // as in ops/op.h; H is also the number of outputs of linear
    bool padded;            // whether samples have different lengths, so that there is padding
    bool sums;              // a shape with many features or rows, mainly for ops that sum over them
};

/** The check in which each case is built, and the function that runs the case. */
struct clrnn_cases {
    struct clrnn_check *check;
    enum clrnn_status (*run)(void *user); // runs the case in `check`
    void *user;
};

// Declares for each stem the function in src/reference/<stem>_cases.c that runs the cases of the stem's ops with the
// shape `size`. It returns the errors of `run`.
#define X(stem) enum clrnn_status clrnn_##stem##_cases(struct clrnn_cases *cases, const struct clrnn_case_size *size);
CLRNN_STEM_LIST(X)
#undef X

/** Runs every stem's cases with the shape `size`. */
enum clrnn_status clrnn_cases_run(struct clrnn_cases *cases, const struct clrnn_case_size *size);

// ---------------------------------------------------------------- functions for <stem>_cases.c

/** Runs the case that `cases->check` has. */
enum clrnn_status clrnn_case_run(struct clrnn_cases *cases);
/** Starts a case with the T and N of `size`; C: features of the op's input. */
void clrnn_case_begin(struct clrnn_cases *cases, enum clrnn_op_kind kind, const struct clrnn_case_size *size,
                      uint32_t C);
/** Returns the number of rows, T * N. */
size_t clrnn_case_rows(const struct clrnn_case_size *size);
/** Adds the lengths as an input if the shape is padded. */
void clrnn_case_lengths(struct clrnn_cases *cases, const struct clrnn_case_size *size, int slot);
/** Sets the padding rows of a REAL input to NaN if the shape is padded: an op must ignore them. */
void clrnn_case_poison(struct clrnn_cases *cases, const struct clrnn_case_size *size, int slot, uint32_t row_size);
/** Adds a REAL output. */
void clrnn_case_out(struct clrnn_cases *cases, int slot, size_t count);
/** _positive replaces each v[i] by low + |v[i]|, _scale each v[i] by v[i] * factor. Both do nothing if v is NULL. */
void clrnn_case_positive(float *v, size_t count, float low);
void clrnn_case_scale(float *v, size_t count, float factor);

#endif
