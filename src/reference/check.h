// SPDX-License-Identifier: MIT
// Runs one op on a device and on the reference with the same values and compares the outputs. Used by the
// tests, the self-test and the search for a wrong op.
//
// Every tensor is between two sentinels. Outputs are poisoned with NaN, so that an element that is not
// written shows. Inputs must be unchanged afterwards, and a second run must give the same bits.
//
//     clrnn_check_begin(&c, CLRNN_OP_LINEAR_FWD, T, N, C, seed);
//     c.op.linear.O = O;
//     clrnn_check_real(&c, LINEAR_X, rows * C);
//     clrnn_check_out(&c, LINEAR_Y, CLRNN_REAL, rows * O, 1e-6);
//     TRY(clrnn_check_run(&c));   // then look at c.fault
#ifndef CLRNN_SRC_REFERENCE_CHECK_H
#define CLRNN_SRC_REFERENCE_CHECK_H

#include "base/random.h"
#include "ops/graph.h"

struct clrnn_check_slot {
    bool there, updated;
    bool skip;  // outputs: not compared
    bool spent; // inputs: the device may overwrite it
    enum clrnn_type type;
    size_t count;
    float *real;       // values before the run; NULL for integers
    int32_t *word;     // the same for integers
    double tolerance;  // relative to the tensor's largest magnitude
    bool each;         // relative to each element's magnitude (the larger of before and after) instead
    double absolute;   // added to the difference that `tolerance` allows
    int same_as;       // outputs: the input slot that is the same tensor, or -1
    uint32_t row_size; // if not 0, the output's rows have this size and must be exactly 0 in padding
};

struct clrnn_check {
    struct clrnn_device *device;
    const struct clrnn_log *log;
    unsigned noise_runs; // runs of the reference on perturbed inputs: see clrnn_check_judge
    unsigned timed;      // extra runs after the compared ones, of which the shortest time is taken; 0: none
    bool once;           // no second run: for simulators, which are slow and deterministic

    struct clrnn_op op; // the caller fills in the attributes
    struct clrnn_check_slot in[CLRNN_OP_MAX_IN], out[CLRNN_OP_MAX_OUT];
    int lengths_slot; // input with lengths, or -1
    struct clrnn_random random;
    uint64_t drawn;
    char what[160]; // description of the case, for messages
    bool no_memory; // an array could not be allocated; the run returns the error

    // After the run, until the next begin:
    float *got[CLRNN_OP_MAX_OUT];   // outputs of the device (integers as bits)
    double *want[CLRNN_OP_MAX_OUT]; // outputs of the reference (integers as values)
    char fault[400];                // "" or a sentence about the first fault
    int fault_slot;                 // output slot of the fault, -1: none
    size_t fault_index;             // element of the fault
    double error;                   // largest difference, divided by its tensor's largest magnitude
    double share;                   // largest difference, divided by its bound
    double flops, bytes, seconds;   // cost and time of one run; seconds only if timed
};

/** Frees the case and starts a new one; `device`, `log`, `noise_runs`, `timed` and `once` are kept. */
void clrnn_check_begin(struct clrnn_check *c, enum clrnn_op_kind kind, uint32_t T, uint32_t N, uint32_t C,
                       uint64_t seed);
void clrnn_check_finish(struct clrnn_check *c);

/** Adds an input of normal random numbers. Returns them, so that the caller may change them; NULL: no memory.
 */
float *clrnn_check_real(struct clrnn_check *c, int slot, size_t count);
/** Adds an input with these values, [count], allocated with malloc; the check takes ownership. */
void clrnn_check_given(struct clrnn_check *c, int slot, float *values, size_t count);
/** Adds an input of random integers in [low, high]. */
int32_t *clrnn_check_int(struct clrnn_check *c, int slot, size_t count, int32_t low, int32_t high);
/** Adds lengths [N] in 1..T, some of them T. */
int32_t *clrnn_check_lengths(struct clrnn_check *c, int slot);
/** Adds the counter with seed, step and record slot. */
void clrnn_check_counter(struct clrnn_check *c, int slot, uint32_t step, uint32_t record);

/** Adds an output, compared with `tolerance` times its largest magnitude (integers exactly). */
void clrnn_check_out(struct clrnn_check *c, int slot, enum clrnn_type type, size_t count, double tolerance);
/** Adds an output of rows of `row_size`, which must be exactly 0 in padding. */
void clrnn_check_out_rows(struct clrnn_check *c, int slot, uint32_t row_size, double tolerance);
/** Adds an updated output; returns its values before the run (normal random numbers). */
float *clrnn_check_updated(struct clrnn_check *c, int slot, size_t count, double tolerance);
/** Adds an updated output that is the same tensor as an input. */
void clrnn_check_updated_input(struct clrnn_check *c, int slot, int in_slot, double tolerance);

/** Poisons the padding rows of a REAL input with NaN. */
void clrnn_check_poison_padding(struct clrnn_check *c, int slot, uint32_t row_size);

/** Returns the next word of the case's random numbers. */
uint32_t clrnn_check_u32(struct clrnn_check *c);

/** Records what is wrong, printf style; the first fault is kept. */
void clrnn_check_blame(struct clrnn_check *c, const char *format, ...) CLRNN_PRINTF(2, 3);

/** Runs the op on the device, then calls clrnn_check_judge. Wrong results are in `fault`; errors are those of
 * a device that fails (CLRNN_ERR_BUILD, CLRNN_ERR_DEVICE) and CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_check_run(struct clrnn_check *c);

/** Runs the reference and compares `got` with it. The allowed difference is tolerance * magnitude + absolute;
 * with noise_runs, plus 8 times the largest change of that element when every real input is perturbed by one
 * unit in the last place of float32. The last term covers the effect of input rounding under cancellation and
 * amplification.
 */
enum clrnn_status clrnn_check_judge(struct clrnn_check *c);

#endif
