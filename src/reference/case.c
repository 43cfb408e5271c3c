// SPDX-License-Identifier: MIT
// Functions with which <stem>_cases.c builds the test cases of the ops.
#include "reference/cases.h"

#include <math.h>

enum clrnn_status clrnn_case_run(struct clrnn_cases *cases)
{
    return cases->run(cases->user);
}

void clrnn_case_begin(struct clrnn_cases *cases, enum clrnn_op_kind kind, const struct clrnn_case_size *size,
                      uint32_t C)
{
    clrnn_check_begin(cases->check, kind, size->T, size->N, C, 1000 * (uint64_t)kind + size->N);
}

size_t clrnn_case_rows(const struct clrnn_case_size *size)
{
    return (size_t)size->T * size->N;
}

void clrnn_case_lengths(struct clrnn_cases *cases, const struct clrnn_case_size *size, int slot)
{
    if (size->padded)
        clrnn_check_lengths(cases->check, slot);
}

void clrnn_case_poison(struct clrnn_cases *cases, const struct clrnn_case_size *size, int slot, uint32_t row_size)
{
    if (size->padded)
        clrnn_check_poison_padding(cases->check, slot, row_size);
}

void clrnn_case_out(struct clrnn_cases *cases, int slot, size_t count)
{
    clrnn_check_out(cases->check, slot, CLRNN_REAL, count, 0);
}

void clrnn_case_positive(float *v, size_t count, float low)
{
    for (size_t i = 0; v && i < count; i++)
        v[i] = low + fabsf(v[i]);
}

void clrnn_case_scale(float *v, size_t count, float factor)
{
    for (size_t i = 0; v && i < count; i++)
        v[i] *= factor;
}
