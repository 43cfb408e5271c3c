// SPDX-License-Identifier: MIT
// One op on a device and on the reference with the same values, held together: for the tests, the self-test
// and the search for the op to blame.
//
// Every tensor lies between two sentinels; outputs start as NaN, so that one left out is noticed; inputs
// must come back unchanged; a second run must give the same bits.
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
    bool skip;  // of outputs: not compared
    bool spent; // of inputs: the device may overwrite it
    enum clrnn_type type;
    size_t count;
    float *real;       // values before the run; NULL for integers
    int32_t *word;     // the same for integers
    double tolerance;  // times the largest magnitude of the tensor,
    bool each;         //   or times each element's own, before or after,
    double absolute;   // plus this
    int same_as;       // of outputs: the input slot that is the same tensor, or -1
    uint32_t row_size; // where not 0, rows in padding must be exactly 0
};

struct clrnn_check {
    struct clrnn_device *device;
    const struct clrnn_log *log;
    unsigned noise_runs; // of the reference on inputs that are slightly off: see clrnn_check_judge
    bool once;           // no second run: a simulator does all in one fixed order, slowly

    struct clrnn_op op; // attributes are the caller's to fill in
    struct clrnn_check_slot in[CLRNN_OP_MAX_IN], out[CLRNN_OP_MAX_OUT];
    int lengths_slot; // input with lengths, or -1
    struct clrnn_random random;
    uint64_t drawn;
    char what[160]; // more on the case, for messages
    bool no_memory; // an array could not be made; the run says so

    float *got[CLRNN_OP_MAX_OUT];   // after the run, outputs as the device gave them (integers as bits)
    double *want[CLRNN_OP_MAX_OUT]; // and as the reference did (integers by value); until the next begin
    char fault[400];                // "" or the first thing wrong, a sentence
    int fault_slot;                 // output that it is about, -1: none
    size_t fault_index;             // element of it
    double error;                   // largest difference over its tensor's largest magnitude
    double share;                   // largest difference as a share of what is allowed
};

/** Frees the case and starts another; `device`, `log`, `noise_runs` and `once` stay. */
void clrnn_check_begin(struct clrnn_check *c, enum clrnn_op_kind kind, uint32_t T, uint32_t N, uint32_t C,
                       uint64_t seed);
void clrnn_check_finish(struct clrnn_check *c);

/** An input of normal random numbers; returns them for changing, NULL where memory lacks. */
float *clrnn_check_real(struct clrnn_check *c, int slot, size_t count);
/** An input of these values, [count] in fresh memory, which the check takes over: `got` of a check before. */
void clrnn_check_given(struct clrnn_check *c, int slot, float *values, size_t count);
/** An input of integers in [low, high]. */
int32_t *clrnn_check_int(struct clrnn_check *c, int slot, size_t count, int32_t low, int32_t high);
/** lengths [N] in 1..T, some of them T. */
int32_t *clrnn_check_lengths(struct clrnn_check *c, int slot);
/** The counter with seed, step and record slot. */
void clrnn_check_counter(struct clrnn_check *c, int slot, uint32_t step, uint32_t record);

/** An output compared with `tolerance` times its largest magnitude (integers exactly). */
void clrnn_check_out(struct clrnn_check *c, int slot, enum clrnn_type type, size_t count, double tolerance);
/** The same for rows of `row_size`: exactly 0 in padding. */
void clrnn_check_out_rows(struct clrnn_check *c, int slot, uint32_t row_size, double tolerance);
/** An output that is read too; returns its content before the run (normal random numbers). */
float *clrnn_check_updated(struct clrnn_check *c, int slot, size_t count, double tolerance);
/** An output that is the same tensor as an input, updated. */
void clrnn_check_updated_input(struct clrnn_check *c, int slot, int in_slot, double tolerance);

/** Puts NaN into the padding rows of a REAL input. */
void clrnn_check_poison_padding(struct clrnn_check *c, int slot, uint32_t row_size);

uint32_t clrnn_check_u32(struct clrnn_check *c);
float clrnn_check_normal(struct clrnn_check *c);

/** Runs the device, then judges. What is wrong with the op is in `fault`; errors are those of a device that
 *  fails (CLRNN_ERR_BUILD, CLRNN_ERR_DEVICE) and of memory. */
enum clrnn_status clrnn_check_run(struct clrnn_check *c);

/**
 * Runs the reference and holds `got` against it: a difference may be tolerance * magnitude + absolute,
 * plus, with noise_runs, 8 times the largest change of that element when every real input is off by a unit in
 * the last place of float32. This last part is how far the inputs' own rounding reaches where terms
 * cancel or steps amplify.
 */
enum clrnn_status clrnn_check_judge(struct clrnn_check *c);

#endif
