// SPDX-License-Identifier: MIT
// Numbers that the host and the kernels share: read by src/ops/op.h, src/device/list/chain.c and every .cl
// file that needs it.
#ifndef CLRNN_CL_SLOTS_H
#define CLRNN_CL_SLOTS_H

// U32 [COUNTER_FIELDS], written by the host before each step.
enum {
    COUNTER_SEED_LO,
    COUNTER_SEED_HI,
    COUNTER_STEP /* from 0 */,
    COUNTER_SLOT,
    COUNTER_FIRST /* the batch's step at which the plan's begin (train.bptt) */,
    COUNTER_CARRY /* whether recurrent layers go on from the states of the run before, not from zero */,
    COUNTER_SAMPLE /* number in the batch of the plan's first sample (train.shards) */,
    COUNTER_SAMPLES /* of the batch, where the plan has a part of it */,
    COUNTER_FIELDS
};

// REAL [HYPER_FIELDS], written before each training step; computed on the host in double.
enum {
    HYPER_LR,
    HYPER_MOMENTUM /* sgd, rmsprop momentum, or beta1: schedulers cycle them */,
    HYPER_STEP_SIZE /* adam: lr / (1 - beta1^t) */,
    HYPER_ROOT_BC2 /* sqrt(1 - beta2^t) */,
    HYPER_ONE_MINUS_BETA1,
    HYPER_FIRST /* 1 at the optimiser's first step, else 0 */,
    HYPER_FIELDS = 8
};

// REAL [slots, RECORD_FIELDS]: the results of a batch, which the host reads once per progress tick.
enum {
    RECORD_LOSS,    // numerator: sum of weighted losses
    RECORD_WEIGHT,  // denominator: sum of target weights, or count. Batch loss = LOSS / WEIGHT
    RECORD_CORRECT, // argmax (first of equals) is the target; bce: (x > 0) == (y > 0.5), else 0
    RECORD_COUNT,   // rows that count (real targets: elements): neither padding, ignored nor missing
    RECORD_ABS,     // real targets: sum of |x - y|
    RECORD_Y,
    RECORD_YY,   // real targets: sums of y and y squared
    RECORD_NORM, // gradient norm, by GRAD_NORM
    RECORD_FIELDS
};

// A chain's launches, U32 [launches, STAGE_FIELDS]: see chain.cl.
enum {
    STAGE_FUNCTION,
    STAGE_ITEMS,
    STAGE_GLOBAL,
    STAGE_PORTION = STAGE_GLOBAL + 3,
    STAGE_ARGS,
    STAGE_FIELDS
};
enum { CHAIN_LINE = 16 }; // words in a cache line: counters that several cores change have one each
#define CHAIN_NO_BUFFER 0xffffffffu

// Purposes of random numbers: the last word of the counter. a and b are its second and third word.
enum {
    RANDOM_DROPOUT = 1, // a: step, b: the dropout's number in the model; index: element / 4
    RANDOM_SHUFFLE = 2, // a: epoch
    RANDOM_INIT = 3,    // a: parameter
    RANDOM_SYNTH = 4,   // a: part, b: what
    RANDOM_SPLIT = 5,
    RANDOM_PROBE = 6, // free for tests, self-test and doctor
    RANDOM_SWEEP = 7  // a: 0 for lists, else the number of the range; b: what
};

#endif
