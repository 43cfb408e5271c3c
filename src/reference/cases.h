// SPDX-License-Identifier: MIT
// What goes into each op to hold a device against the reference, stem by stem: the self-test runs all of it.
#ifndef CLRNN_SRC_REFERENCE_CASES_H
#define CLRNN_SRC_REFERENCE_CASES_H

#include "reference/check.h"

enum { CLRNN_CASE_RECORDS = 3, CLRNN_CASE_RECORD = 1 }; // rows of the table of records, and the one written

/** A shape that is tried on every op. */
struct clrnn_case_size {
    uint32_t T, N, C, H, D; // H: hidden units, outputs of linear
    bool padded;
    bool sums; // wide or tall: only for what sums over features or rows
};

/** Where cases are made, and what runs them. */
struct clrnn_cases {
    struct clrnn_check *check;
    enum clrnn_status (*run)(void *user); // the case that stands in `check`
    void *user;
};

// One function a stem, in src/reference/<stem>_cases.c: runs the cases of its ops at that size. Errors:
// run's.
#define X(stem) \
    enum clrnn_status clrnn_##stem##_cases(struct clrnn_cases *cases, const struct clrnn_case_size *size);
CLRNN_STEM_LIST(X)
#undef X

/** Every stem's cases at that size. */
enum clrnn_status clrnn_cases_run(struct clrnn_cases *cases, const struct clrnn_case_size *size);

// ---------------------------------------------------------------- for the stems

enum clrnn_status clrnn_case_run(struct clrnn_cases *cases);
void clrnn_case_begin(struct clrnn_cases *cases, enum clrnn_op_kind kind, const struct clrnn_case_size *size,
                      uint32_t C);
/** T * N. */
size_t clrnn_case_rows(const struct clrnn_case_size *size);
/** Lengths where the shape is padded. */
void clrnn_case_lengths(struct clrnn_cases *cases, const struct clrnn_case_size *size, int slot);
/** NaN in the padding of a REAL input where the shape is padded. */
void clrnn_case_poison(struct clrnn_cases *cases, const struct clrnn_case_size *size, int slot,
                       uint32_t row_size);
/** A REAL output. */
void clrnn_case_out(struct clrnn_cases *cases, int slot, size_t count);
/** v = low + |v|; v * factor. NULL is left alone. */
void clrnn_case_positive(float *v, size_t count, float low);
void clrnn_case_scale(float *v, size_t count, float factor);

#endif
