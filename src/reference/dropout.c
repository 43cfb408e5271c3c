// SPDX-License-Identifier: MIT
// Dropout with counter-based random numbers (base/random.h); doc/maths.md, "Dropout".
#include <math.h>

#include "base/random.h"
#include "reference/rows.h"

static bool dropout_fwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const uint32_t *counter = in[DROPOUT_COUNTER];
    const double *x = in[DROPOUT_X], p = op->dropout.p;
    double *y = out[DROPOUT_Y];
    const uint32_t threshold = (uint32_t)ceil(p * 0x1p24);
    const double scale = p < 1 ? 1 / (1 - p) : 0;
    const size_t steps = op->dropout.variational ? op->T : 1; // number of steps that share a mask
    const size_t count = ref_rows(op) * op->C / steps;
    const struct clrnn_random random = {
        .seed = (uint64_t)counter[COUNTER_SEED_HI] << 32 | counter[COUNTER_SEED_LO],
        .stream = RANDOM_DROPOUT,
        .a = counter[COUNTER_STEP],
        .b = op->dropout.stream,
    };

    for (size_t e = 0; e < count; e++) {
        const size_t n = op->dropout.part ? counter[COUNTER_SAMPLE] : 0;
        const size_t N = op->dropout.part ? counter[COUNTER_SAMPLES] : op->N, row = op->N * op->C;
        const size_t whole = (e / row * N + n) * op->C + e % row; // index of the element in the whole batch
        uint32_t words[4];

        clrnn_random_block(&random, (uint32_t)(whole / 4), words);
        for (size_t t = 0; t < steps; t++)
            y[t * count + e] = words[whole % 4] >> 8 >= threshold ? x[t * count + e] * scale : 0.0;
    }
    return true;
}

static bool dropout_bwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    return !out[DROPOUT_Y] || dropout_fwd(op, in, out); // dx = mask * dy / (1 - p), as in forward
}

// The error bounds allow for the rounding of 1 / (1 - p) and of the product. The device must draw exactly the same
// mask, so the bounds are relative to each element.
const struct clrnn_reference clrnn_dropout_fwd_reference = {dropout_fwd, {{ANY_SLOT, 2, TERMS_ONE, OF_ELEMENT}}};
const struct clrnn_reference clrnn_dropout_bwd_reference = {dropout_bwd, {{ANY_SLOT, 2, TERMS_ONE, OF_ELEMENT}}};
