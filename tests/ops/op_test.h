// SPDX-License-Identifier: MIT
// Runs one op on the test device and on the reference with the same random values, and compares.
//
// Every tensor lies between two sentinels; outputs start as NaN, so that one left out is noticed; inputs
// must come back unchanged; a second run must give the same bits. Failures print op, shape, seed and place.
//
//     op_test_begin(&t, *state, CLRNN_OP_LINEAR_FWD, T, N, C, seed);
//     t.op.linear.O = O;
//     op_test_real(&t, LINEAR_X, rows * C);
//     op_test_out(&t, LINEAR_Y, CLRNN_REAL, rows * O, 1e-6);
//     op_test_run(&t);
#ifndef CLRNN_TESTS_OPS_OP_TEST_H
#define CLRNN_TESTS_OPS_OP_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "ops/graph.h"

struct op_test_slot {
    bool there, updated, skip; // skip: not compared
    enum clrnn_type type;
    size_t count;
    float *real;       // values before the run; NULL for integers
    int32_t *word;     // the same for integers
    double tolerance;  // times the largest magnitude of the tensor
    double absolute;   // plus this
    int same_as;       // of outputs: the input slot that is the same tensor, or -1
    uint32_t row_size; // where not 0, rows in padding must be exactly 0
};

struct op_test {
    struct clrnn_device *device;
    struct clrnn_op op; // attributes are the test's to fill in
    struct op_test_slot in[CLRNN_OP_MAX_IN], out[CLRNN_OP_MAX_OUT];
    int lengths_slot; // input with lengths, or -1
    struct clrnn_random random;
    uint64_t drawn;
    char what[160];                 // more for failure messages
    float *got[CLRNN_OP_MAX_OUT];   // after the run, outputs as the device gave them (integers as bits)
    double *want[CLRNN_OP_MAX_OUT]; // and as the reference did (integers by value); until the next begin
};

/** Group setup and teardown: *state becomes a struct op_test with an open device, or the group is skipped. */
int op_test_open(void **state);
int op_test_close(void **state);

/** Whether only tiny sizes are wanted: CLRNN_TEST_SMALL is set (simulators, software GPUs). */
bool op_test_small(void);

void op_test_begin(struct op_test *t, enum clrnn_op_kind kind, uint32_t T, uint32_t N, uint32_t C,
                   uint64_t seed);

/** An input of normal random numbers; returns them for changing. */
float *op_test_real(struct op_test *t, int slot, size_t count);
/** An input of integers in [low, high]. */
int32_t *op_test_int(struct op_test *t, int slot, size_t count, int32_t low, int32_t high);
/** lengths [N] in 1..T, some of them T. */
int32_t *op_test_lengths(struct op_test *t, int slot);
/** The counter with seed, step and record slot. */
void op_test_counter(struct op_test *t, int slot, uint32_t step, uint32_t record);

/** An output compared with `tolerance` times its largest magnitude (integers exactly). */
void op_test_out(struct op_test *t, int slot, enum clrnn_type type, size_t count, double tolerance);
/** The same for rows of `row_size`: exactly 0 in padding. */
void op_test_out_rows(struct op_test *t, int slot, uint32_t row_size, double tolerance);
/** An output that is read too; returns its content before the run (normal random numbers). */
float *op_test_updated(struct op_test *t, int slot, size_t count, double tolerance);
/** An output that is the same tensor as an input, updated. */
void op_test_updated_input(struct op_test *t, int slot, int in_slot, double tolerance);

/** Puts NaN into the padding rows of a REAL input. */
void op_test_spoil_padding(struct op_test *t, int slot, uint32_t row_size);

/** Runs and compares. Frees nothing: the next begin does. */
void op_test_run(struct op_test *t);

uint32_t op_test_u32(struct op_test *t);
float op_test_normal(struct op_test *t);

#endif
