// SPDX-License-Identifier: MIT
// Test cases that compare a device with the reference, by stem (ops/stems.h). The self-test runs all of them.
#ifndef CLRNN_SRC_REFERENCE_CASES_H
#define CLRNN_SRC_REFERENCE_CASES_H

#include "reference/check.h"

enum { CLRNN_CASE_RECORDS = 3, CLRNN_CASE_RECORD = 1 }; // rows of records; index of the row that is written

/** A shape for the cases of every op. */
struct clrnn_case_size {
    uint32_t T, N, C, H, D; // H: hidden units, outputs of linear
    bool padded;
    bool sums; // a wide or tall shape, only for ops that sum over features or rows
};

/** The check in which cases are made, and the function that runs them. */
struct clrnn_cases {
    struct clrnn_check *check;
    enum clrnn_status (*run)(void *user); // runs the case in `check`
    void *user;
};

// Declares for each stem the function in src/reference/<stem>_cases.c that runs the cases of the stem's ops
// with the shape `size`. It returns the errors of `run`.
#define X(stem) \
    enum clrnn_status clrnn_##stem##_cases(struct clrnn_cases *cases, const struct clrnn_case_size *size);
CLRNN_STEM_LIST(X)
#undef X

/** Runs every stem's cases with the shape `size`. */
enum clrnn_status clrnn_cases_run(struct clrnn_cases *cases, const struct clrnn_case_size *size);

// ---------------------------------------------------------------- functions for <stem>_cases.c

enum clrnn_status clrnn_case_run(struct clrnn_cases *cases);
void clrnn_case_begin(struct clrnn_cases *cases, enum clrnn_op_kind kind, const struct clrnn_case_size *size,
                      uint32_t C);
/** Number of rows, T * N. */
size_t clrnn_case_rows(const struct clrnn_case_size *size);
/** Adds lengths if the shape is padded. */
void clrnn_case_lengths(struct clrnn_cases *cases, const struct clrnn_case_size *size, int slot);
/** Poisons the padding of a REAL input with NaN if the shape is padded. */
void clrnn_case_poison(struct clrnn_cases *cases, const struct clrnn_case_size *size, int slot,
                       uint32_t row_size);
/** Adds a REAL output. */
void clrnn_case_out(struct clrnn_cases *cases, int slot, size_t count);
/** Replace each v[i] by low + |v[i]|, or by v[i] * factor. `v` may be NULL. */
void clrnn_case_positive(float *v, size_t count, float low);
void clrnn_case_scale(float *v, size_t count, float factor);

#endif
