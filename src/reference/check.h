// SPDX-License-Identifier: MIT
// Runs one op on a device and on the reference with the same inputs, and compares the outputs. Used by the tests, by
// the self-test and by the search for an op that computes wrong results.
//
// Every tensor lies between two sentinels, numbers that the op must not overwrite. Outputs are filled with NaN before
// the run, so that elements that the op does not write are found. After the run the inputs must be unchanged, and a
// second run must give the same bits.
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
    bool skip;  // the output is not compared
    bool spent; // the device may overwrite the input
    enum clrnn_type type;
    size_t count;
    float *real;       // REAL tensors: the elements before the run; NULL for others
    int32_t *word;     // integer tensors: the elements before the run; NULL for others
    double tolerance;  // largest allowed difference, relative to the tensor's largest magnitude
    bool each;         // tolerance is relative to each element's magnitude before or after the run, whichever is larger
    double absolute;   // added to the difference that `tolerance` allows
    int same_as;       // outputs: the input slot that is the same tensor, or -1
    uint32_t row_size; // if not 0, the output has rows of this size, which must be exactly 0 in padding
};

struct clrnn_check {
    struct clrnn_device *device;
    const struct clrnn_log *log;
    unsigned noise_runs; // number of runs of the reference on perturbed inputs: see clrnn_check_judge
    unsigned timed;      // number of extra runs, of which the shortest time is taken; 0: none
    bool once;           // there is no second run: for simulators, which are slow and deterministic

    struct clrnn_op op; // the caller fills in the attributes
    struct clrnn_check_slot in[CLRNN_OP_MAX_IN], out[CLRNN_OP_MAX_OUT];
    int lengths_slot; // input slot of the lengths, or -1
    struct clrnn_random random;
    uint64_t drawn; // how many numbers have been drawn from `random`
    char what[160]; // description of the case, for messages
    bool no_memory; // whether an array could not be allocated; clrnn_check_run then returns CLRNN_ERR_MEMORY

    // Results of the run; they last until clrnn_check_begin is called again.
    float *got[CLRNN_OP_MAX_OUT];   // outputs of the device; an integer's bits are stored in a float
    double *want[CLRNN_OP_MAX_OUT]; // outputs of the reference; integers are converted to double
    char fault[400];                // "" or a sentence that describes the first fault
    int fault_slot;                 // output slot of the first fault; -1: no fault, or not in an output
    size_t fault_index;             // element of the first fault
    double error;                   // largest ratio of a difference to its tensor's largest magnitude
    double share;                   // largest ratio of a difference to the difference that is allowed
    double flops, bytes, seconds;   // cost and time of one run; seconds is set only if `timed`
};

/** Frees the previous case and starts a new one. Keeps `device`, `log`, `noise_runs`, `timed` and `once`. */
void clrnn_check_begin(struct clrnn_check *c, enum clrnn_op_kind kind, uint32_t T, uint32_t N, uint32_t C,
                       uint64_t seed);
void clrnn_check_finish(struct clrnn_check *c);

/** Adds an input of normal random numbers. Returns these numbers, which the caller may change, or NULL if there is no
 * memory. The other functions that return a pointer do the same. */
float *clrnn_check_real(struct clrnn_check *c, int slot, size_t count);
/** Adds an input with the numbers values [count]. They were allocated with malloc; the check frees them. */
void clrnn_check_given(struct clrnn_check *c, int slot, float *values, size_t count);
/** Adds an input of random integers in [low, high]. */
int32_t *clrnn_check_int(struct clrnn_check *c, int slot, size_t count, int32_t low, int32_t high);
/** Adds the lengths [N] as an input, random numbers from 1 to T; at least one of them is T. */
int32_t *clrnn_check_lengths(struct clrnn_check *c, int slot);
/** Adds the input `counter` (COUNTER_... in cl/slots.h) with a random seed, and with this training step and this index
 * of the record that the op writes. */
void clrnn_check_counter(struct clrnn_check *c, int slot, uint32_t step, uint32_t record);

/** Adds an output. A difference of `tolerance` times the output's largest magnitude is allowed; integers must be
 * equal. */
void clrnn_check_out(struct clrnn_check *c, int slot, enum clrnn_type type, size_t count, double tolerance);
/** Adds a REAL output [T * N, row_size], whose padding rows must be exactly 0. */
void clrnn_check_out_rows(struct clrnn_check *c, int slot, uint32_t row_size, double tolerance);
/** Adds an updated output, which the op reads and writes. Returns its elements before the run, normal random
 * numbers. */
float *clrnn_check_updated(struct clrnn_check *c, int slot, size_t count, double tolerance);
/** Adds an updated output that is the same tensor as an input. */
void clrnn_check_updated_input(struct clrnn_check *c, int slot, int in_slot, double tolerance);

/** Sets the padding rows of a REAL input to NaN: an op must ignore them. */
void clrnn_check_poison_padding(struct clrnn_check *c, int slot, uint32_t row_size);

/** Draws the next 32-bit random number of the case. */
uint32_t clrnn_check_u32(struct clrnn_check *c);

/** Writes a sentence about a fault to c->fault, printf style, unless an earlier fault is there. */
void clrnn_check_blame(struct clrnn_check *c, const char *format, ...) CLRNN_PRINTF(2, 3);

/** Runs the op on the device, then calls clrnn_check_judge. Wrong results are no error: c->fault describes them.
 * Errors: CLRNN_ERR_BUILD and CLRNN_ERR_DEVICE if the device fails, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_check_run(struct clrnn_check *c);

/** Runs the reference and compares `got` with its outputs. The allowed difference of an element is tolerance times
 * magnitude, plus absolute. If noise_runs is not 0, the reference also runs noise_runs times with every REAL input
 * changed by one unit in the last place of float32. Then 8 times the largest change of the element is added to the
 * allowed difference. This allows for rounding errors of inputs, which cancellation or large factors in the op make
 * larger.
 */
enum clrnn_status clrnn_check_judge(struct clrnn_check *c);

#endif
