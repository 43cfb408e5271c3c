// SPDX-License-Identifier: MIT
// Maximum and mean of windows over time; doc/maths.md, "Windows over time".
#include "reference/rows.h"

// Returns the step of x that element k of window t reads, or -1 if this step is outside the sample, which has `length`
// steps.
static long read_step(const struct clrnn_op *op, size_t t, size_t k, size_t length)
{
    const long step = (long)(t * op->window.stride + k * op->window.dilation) - (long)op->window.padding;

    return step >= 0 && step < (long)length ? step : -1;
}

// Returns the number by which the mean of window t divides the window's sum: the number of steps in the window. Steps
// outside the sample count only with count_padding. At least 1.
static double divisor(const struct clrnn_op *op, size_t t, size_t length)
{
    double count = 0;

    for (size_t k = 0; k < op->window.kernel; k++)
        count += op->window.count_padding || read_step(op, t, k, length) >= 0;
    return count > 0 ? count : 1;
}

static bool window_fwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const size_t N = op->N, C = op->C;
    const double *x = in[WINDOW_X];
    double *y = out[WINDOW_Y];
    int32_t *argmax = out[WINDOW_ARGMAX];

    for (size_t t = 0; t < op->window.T_out; t++)
        for (size_t n = 0; n < N; n++)
            for (size_t c = 0; c < C; c++) {
                const bool valid = t < ref_steps(in[WINDOW_NEW_LENGTHS], n, op->window.T_out);
                const size_t length = ref_length(op, in[WINDOW_OLD_LENGTHS], n), at = (t * N + n) * C + c;
                double sum = 0, best = valid ? -INFINITY : 0;
                long taken = -1;

                for (size_t k = 0; valid && k < op->window.kernel; k++) {
                    const long step = read_step(op, t, k, length);
                    const double v = step < 0 ? 0 : x[((size_t)step * N + n) * C + c];

                    sum += v;
                    if (step >= 0 && (taken < 0 || v > best || isnan(v))) {
                        best = v;
                        taken = step;
                    }
                }
                y[at] = !op->window.mean ? best : valid ? sum / divisor(op, t, length) : 0;
                if (argmax)
                    argmax[at] = (int32_t)taken;
            }
    return true;
}

static bool window_bwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const size_t N = op->N, C = op->C;
    const double *dy = in[WINDOW_BWD_DY];
    const int32_t *argmax = in[WINDOW_BWD_ARGMAX];
    double *dx = out[WINDOW_DX];

    ref_zero(dx, ref_rows(op) * C);
    for (size_t n = 0; dx && n < N; n++) {
        const size_t length = ref_length(op, in[WINDOW_BWD_OLD_LENGTHS], n);

        for (size_t t = 0; t < ref_steps(in[WINDOW_BWD_NEW_LENGTHS], n, op->window.T_out); t++)
            for (size_t k = 0; k < op->window.kernel; k++) {
                const long step = read_step(op, t, k, length);

                for (size_t c = 0; step >= 0 && c < C; c++) {
                    const size_t at = (t * N + n) * C + c;

                    if (op->window.mean)
                        dx[((size_t)step * N + n) * C + c] += dy[at] / divisor(op, t, length);
                    else if (argmax[at] == step)
                        dx[((size_t)step * N + n) * C + c] += dy[at];
                }
            }
    }
    return true;
}

static bool window_lengths(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const struct clrnn_window_attributes *a = &op->window;
    const int32_t *old = in[LENGTHS_OLD];
    int32_t *new = out[LENGTHS_NEW];

    for (size_t n = 0; n < op->N; n++) {
        const int64_t room = (int64_t)old[n] + 2 * (int64_t)a->padding - (int64_t)a->dilation * (a->kernel - 1) - 1;
        const int64_t windows = room < 0 ? 0 : room / a->stride + 1;

        new[n] = (int32_t)(windows < (int64_t)a->T_out ? windows : (int64_t)a->T_out);
    }
    return true;
}

// Error bounds (reference.h) of 8 units, since both passes sum few numbers: forward the steps of a window (for a mean),
// backward the windows that contain a step. The lengths must be exact.
const struct clrnn_reference clrnn_window_fwd_reference = {window_fwd, {{ANY_SLOT, 8, TERMS_ONE, OF_TENSOR}}};
const struct clrnn_reference clrnn_window_bwd_reference = {window_bwd, {{ANY_SLOT, 8, TERMS_ONE, OF_TENSOR}}};
const struct clrnn_reference clrnn_window_lengths_reference = {window_lengths, {{ANY_SLOT, 0, TERMS_ONE, OF_ELEMENT}}};
