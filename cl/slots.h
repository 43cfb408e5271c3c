// SPDX-License-Identifier: MIT
// Layouts of buffers and constants that host and kernels share. Included by src/ops/op.h, src/device/list/chain.c and
// every .cl file that needs it.
#ifndef CLRNN_CL_SLOTS_H
#define CLRNN_CL_SLOTS_H

// Fields of `counter`, U32 [COUNTER_FIELDS], which the host writes before each step.
enum {
    COUNTER_SEED_LO,
    COUNTER_SEED_HI,
    COUNTER_STEP /* training step, from 0 */,
    COUNTER_SLOT,
    COUNTER_FIRST /* step of the batch that is step 0 of the plan (train.bptt) */,
    COUNTER_CARRY /* whether recurrent layers start from the states of the previous run, not from zero */,
    COUNTER_SAMPLE /* index in the batch of the plan's first sample (train.shards) */,
    COUNTER_SAMPLES /* samples of the whole batch, if the plan has only a part of it */,
    COUNTER_FIELDS
};

// Fields of `hyper`, REAL [HYPER_FIELDS], which the host computes in double and writes before each training step.
enum {
    HYPER_LR,
    HYPER_MOMENTUM /* sgd, rmsprop momentum, or beta1: schedulers cycle them */,
    HYPER_STEP_SIZE /* adam: lr / (1 - beta1^t) */,
    HYPER_ROOT_BC2 /* sqrt(1 - beta2^t) */,
    HYPER_ONE_MINUS_BETA1,
    HYPER_FIRST /* 1 at the optimiser's first step, else 0 */,
    HYPER_FIELDS = 8
};

// Fields of `record`, REAL [slots, RECORD_FIELDS]: the results of one batch in each slot. The host reads them all at
// once, whenever progress is shown.
enum {
    RECORD_LOSS,    // sum of weighted losses. The batch's loss is LOSS / WEIGHT
    RECORD_WEIGHT,  // sum of target weights, or count
    RECORD_CORRECT, // rows whose argmax (first of equals) is the target; bce: elements with (x > 0) == (y > 0.5)
    RECORD_COUNT,   // rows (real targets: elements) that are neither padding nor ignored nor missing
    RECORD_ABS,     // real targets: sum of |x - y|
    RECORD_Y,
    RECORD_YY,   // real targets: sums of y and y squared
    RECORD_NORM, // norm of all gradients, written by the op GRAD_NORM
    RECORD_FIELDS
};

// Fields of the stages of a chain, U32 [launches, STAGE_FIELDS]; see chain.cl.
enum {
    STAGE_FUNCTION,
    STAGE_ITEMS,
    STAGE_GLOBAL,
    STAGE_PORTION = STAGE_GLOBAL + 3,
    STAGE_ARGS,
    STAGE_FIELDS
};
enum { CHAIN_LINE = 16 }; // words in a cache line; each counter that several cores change has a line of its own
#define CHAIN_NO_BUFFER 0xffffffffu

// Purposes of random numbers, the last word (stream) of Philox's counter. a and b are its second and third word.
enum {
    RANDOM_DROPOUT = 1, // a: step, b: the dropout's number in the model; index: element / 4
    RANDOM_SHUFFLE = 2, // a: epoch
    RANDOM_INIT = 3,    // a: parameter
    RANDOM_SYNTH = 4,   // a: sample or other index, b: purpose in the data set (DRAW_...)
    RANDOM_SPLIT = 5,
    RANDOM_PROBE = 6, // free for use by tests, self-test and doctor
    RANDOM_SWEEP = 7  // a: number of the varied key, from 1; b: 0 permutation, 1 position in a range
};

#endif
