// SPDX-License-Identifier: MIT
// The backward pass of a recurrent layer on GPUs; a launch computes all time steps, or those of a part. Method and
// defines: cl/rnn_group.h; formulas: doc/maths.md; padding: as in cl/rnn.cl.
#define K (GATES * HIDDEN)
#define COLUMNS 1u
#define WEIGHT(w, k, p, u) ((w)[(size_t)(k) * HIDDEN + (u)])

#include "rnn_group.h"

//   gates    [D, T, N, RESERVE*H]: as in rnn_step_bwd of cl/rnn.cl
//   y, dy    [T, N, D*H]
//   cell     [D, T, N, H] (lstm)
//   past     [D, N, H]: the initial state c0 (lstm) or h0 (gru), or NULL
//   carried  [D, N, H]: the gradient of the final cell (lstm), or NULL
//   carry    [D, N, H]: receives `pass` (below) after the last step of the launch. The next launch begins with these
//            numbers. After the last launch they are gradients of the initial state. NULL: not wanted.
//   state    in local memory: the gate gradients that are multiplied by the weights (gru: of r, z, W_hn h + b_hn)
// lengths may be NULL.
kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void
rnn_group_backward(struct rnn_args args, global const real4 *packed, global real *gates, global const real *y,
                   global const real *cell, global const real *dy, global const int *lengths,
                   global const real *past, global const real *carried, global real *carry, local real4 *state,
                   local real *sums)
{
    const uint T = args.T, N = args.N, D = args.D;
    const uint first_row = get_group_id(0) * ROWS, d = get_global_id(1) + args.direction;
    const uint pairs = min((uint)ROWS, N - first_row) * HIDDEN;
    const struct span s = span_of(&args, longest_of(lengths, first_row, N, args.whole), d ? args.first : T - args.last);
    const size_t H = HIDDEN, DH = D * HIDDEN, step_rows = N;
    const bool goes_on = args.first > 0; // an earlier launch computed step AFTER; its gradients are in `gates`
    struct weights w;
    real next[PAIRS][RESERVE], // activations of the step to be computed
        next_dy[PAIRS],        // dy of the step to be computed
        now[PAIRS],            // h (rnn) or c (lstm) of the step to be computed
        before[PAIRS],         // h (gru) or c (lstm) of the step that forward computed before that step
        pass[PAIRS];           // the gradient that is passed back to c (lstm) or, bypassing the multiply, to h (gru)
    uint steps[PAIRS];         // number of valid steps of the row

    y += d * H;
    dy += d * H;
    gates += (size_t)d * T * N * RESERVE * H;
    cell += (size_t)d * T * N * H;
#define GATE(t, n, g, unit) gates[(((t) * step_rows + (n)) * RESERVE + (g)) * H + (unit)]
#if CELL == CELL_LSTM
#define KEPT(t, n, unit) cell[((t) * step_rows + (n)) * H + (unit)]
#else
#define KEPT(t, n, unit) y[((t) * step_rows + (n)) * DH + (unit)]
#endif
// The time step that is computed as number `step` of the launch.
#define TIME(step) ((size_t)(d ? s.first + (step) : s.end - 1 - (step)))
// The time step that forward computed right after those of the launch.
#define AFTER ((size_t)(d ? args.first - 1 : T - args.first))
// Whether forward computed another step right before `step`. Only steps in the buffers and in the longest row count.
#define PRECEDED(step) (d ? TIME(step) + 1 < T && TIME(step) + 1 < s.longest : TIME(step) > 0)
#define LOAD(step_, q)                                                           \
    {                                                                            \
        const uint n_ = first_row + PAIR_ROW(q), unit_ = PAIR_UNIT(q);           \
        const size_t t_ = TIME(step_);                                           \
                                                                                 \
        next_dy[q] = dy[((t_ + args.offset) * step_rows + n_) * DH + unit_];                     \
        for (uint g_ = 0; CELL != CELL_RNN && g_ < RESERVE; g_++)                \
            next[q][g_] = GATE(t_, n_, g_, unit_);                               \
        if (CELL == CELL_RNN)                                                    \
            now[q] = KEPT(t_, n_, unit_);                                        \
        else                                                                     \
            before[q] = past && t_ + args.offset == (d ? steps[q] - 1 : 0) ? past[((size_t)d * N + n_) * H + unit_] \
                        : PRECEDED(step_) ? KEPT(TIME((step_) + 1), n_, unit_)   \
                                          : 0.0f;                                \
    }

    weights_load(&w, packed, d);
    FOR_PAIRS(q)
    {
        const size_t at = ((size_t)d * N + first_row + PAIR_ROW(q)) * H + PAIR_UNIT(q);

        steps[q] = lengths ? (uint)lengths[first_row + PAIR_ROW(q)] : args.whole;
        pass[q] = goes_on && CELL != CELL_RNN ? carry[at] : carried ? carried[at] : 0.0f;
        now[q] = 0.0f;
        if (s.first < s.end) {
            if (CELL == CELL_LSTM)
                now[q] = KEPT(TIME(0), first_row + PAIR_ROW(q), PAIR_UNIT(q));
            LOAD(0, q)
        }
    }
    group_clear(state, sums);
    if (goes_on) {
        FOR_PAIRS(q)
        {
            for (uint g = 0; g < RESERVE; g++)
                if (CELL != CELL_GRU || g != 2)
                    STATE(PAIR_ROW(q), (CELL == CELL_GRU && g == 3 ? 2 : g) * HIDDEN + PAIR_UNIT(q)) =
                        GATE(AFTER, first_row + PAIR_ROW(q), g, PAIR_UNIT(q));
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        multiply(&w, state, sums);
        barrier(CLK_LOCAL_MEM_FENCE);
    }

    for (uint step = 0; step < s.end - s.first; step++) {
        const size_t t = TIME(step), time = t + args.offset;

        FOR_PAIRS(q)
        {
            const uint row = PAIR_ROW(q), n = first_row + row, unit = PAIR_UNIT(q);
            const bool padding = time >= steps[q];
            const real dh = next_dy[q] + sum_of_parts(sums, row, 0, unit) + (CELL == CELL_GRU ? pass[q] : 0.0f);
            real da[RESERVE];
#if CELL == CELL_RNN
            da[0] = rnn_gradient(dh, now[q]);
#elif CELL == CELL_LSTM
            const real handed = lstm_gradient(dh, pass[q], tanh_vec(now[q]), before[q], next[q], da);

            pass[q] = padding ? pass[q] : handed;
            now[q] = before[q];
#else
            const real handed = gru_gradient(dh, before[q], next[q], da);

            pass[q] = padding ? pass[q] : handed;
#endif
            for (uint g = 0; g < RESERVE; g++) {
                da[g] = padding ? 0.0f : da[g];
                GATE(t, n, g, unit) = da[g];
                if (CELL != CELL_GRU || g != 2)
                    STATE(row, (CELL == CELL_GRU && g == 3 ? 2 : g) * HIDDEN + unit) = da[g];
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        if (step + 1 < s.end - s.first) {
            // these loads overlap with the multiply
            FOR_PAIRS(q)
            LOAD(step + 1, q)
            multiply(&w, state, sums);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }

    FOR_PAIRS(q)
    {
        if (carry)
            carry[((size_t)d * N + first_row + PAIR_ROW(q)) * H + PAIR_UNIT(q)] = pass[q];
    }
    for (size_t t = s.end; t < s.all; t++)
        FOR_PAIRS(q)
        {
            for (uint g = 0; g < RESERVE; g++)
                GATE(t, first_row + PAIR_ROW(q), g, PAIR_UNIT(q)) = 0.0f;
        }
}
