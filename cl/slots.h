// SPDX-License-Identifier: MIT
// Layouts of buffers and constants that host and kernels share. Included by src/ops/op.h, src/base/random.h,
// src/device/list/chain.c and every .cl file that needs it.
#ifndef CLRNN_CL_SLOTS_H
#define CLRNN_CL_SLOTS_H

// Fields of `counter`, U32 [COUNTER_FIELDS], which the host writes before each run of a plan.
enum {
    COUNTER_SEED_LO,
    COUNTER_SEED_HI,
    COUNTER_STEP /* number of the training step, from 0 */,
    COUNTER_SLOT /* which record the run writes (RECORD_...) */,
    COUNTER_FIRST /* the batch's time step at which the plan begins: train.bptt runs a batch in pieces */,
    COUNTER_CARRY /* whether recurrent layers start from the final states of the previous run, not from zero */,
    COUNTER_SAMPLE /* which sample of the whole batch is the plan's first sample, from 0 (train.shards) */,
    COUNTER_SAMPLES /* number of samples of the whole batch, if the plan has only some of them */,
    COUNTER_FIELDS
};

// Fields of `hyper`, REAL [HYPER_FIELDS], which the host computes in double and writes before each training step.
enum {
    HYPER_LR,
    HYPER_MOMENTUM /* momentum (sgd, rmsprop) or beta1 (adam, adamw); a scheduler may change it in every step */,
    HYPER_STEP_SIZE /* adam, adamw: lr / (1 - beta1^t); t: number of the training step, from 1 */,
    HYPER_ROOT_BC2 /* adam, adamw: sqrt(1 - beta2^t) */,
    HYPER_ONE_MINUS_BETA1,
    HYPER_FIRST /* 1 at the optimiser's first step, else 0 */,
    HYPER_FIELDS = 8 /* the last two fields are not used */
};

// Fields of `record`, REAL [slots, RECORD_FIELDS]. Each slot has the results of one batch. The host reads all slots at
// once, whenever it shows progress.
enum {
    RECORD_LOSS,   // sum of weighted losses. The batch's loss is LOSS / WEIGHT
    RECORD_WEIGHT, // sum of the weights; without weights the same as RECORD_COUNT
    // Number of correct predictions. Class targets: rows whose argmax is the target class (of equal outputs, the first
    // is the argmax). bce_with_logits: elements with (x > 0) == (y > 0.5). ctc: samples whose greedy decoding is the
    // target.
    RECORD_CORRECT,
    // Number of rows (class targets), samples (ctc) or elements of x (other losses). Padding, ignored and missing
    // targets are not counted.
    RECORD_COUNT,
    RECORD_ABS,  // real targets (losses mse, l1, smooth_l1, huber, quantile): sum of |x - y|
    RECORD_Y,    // real targets: sum of y
    RECORD_YY,   // real targets: sum of y^2
    RECORD_NORM, // norm of all gradients, written by the op GRAD_NORM or OPTIM
    RECORD_FIELDS
};

// Fields of a stage of a chain: the buffer `stages` is U32 [launches, STAGE_FIELDS]; see chain.cl.
enum {
    STAGE_FUNCTION,                   // number of the stage's case in CHAIN_CALLS
    STAGE_ITEMS,                      // number of work-items
    STAGE_GLOBAL,                     // three fields: the global size
    STAGE_PORTION = STAGE_GLOBAL + 3, // number of work-items that a group takes at a time
    STAGE_ARGS,                       // index in `args` of the stage's arguments
    STAGE_FIELDS
};
enum { CHAIN_LINE = 16 }; // 32-bit words in a cache line; `state` of chain.cl is divided into such lines
#define CHAIN_NO_BUFFER 0xffffffffu

// Purposes of random numbers. The purpose is the last word (stream) of Philox's counter {index, a, b, stream}. So
// numbers for different purposes are independent. The comments say what the words a and b are; without a comment they
// are 0.
enum {
    RANDOM_DROPOUT = 1, // a: training step, b: number of the dropout in the model; index: element / 4
    RANDOM_SHUFFLE = 2, // a: epoch, b: 0 order of the samples, 1 order of the batches (data.bucket)
    RANDOM_INIT = 3,    // initial values. a: index of the parameter
    RANDOM_SYNTH = 4,   // synthetic data. a: sample or other index, b: purpose (DRAW_... in src/train)
    RANDOM_SPLIT = 5,   // split into training and validation data. a: index of the class, if the split is stratified
    RANDOM_PROBE = 6,   // tests, self-test, doctor and comparisons, which choose a and b themselves
    RANDOM_SWEEP = 7    // a: number of the varied config key, from 1; b: 0 permutation, 1 position in a range
};

#endif
