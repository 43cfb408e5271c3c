// SPDX-License-Identifier: MIT
// The forward pass of a recurrent layer on GPUs; a launch computes all time steps, or those of a part. Method and
// defines: cl/rnn_group.h; formulas: doc/maths.md; padding: as in cl/rnn.cl.
#define K HIDDEN
#define COLUMNS GATES
#define WEIGHT(w, k, p, u) ((w)[((size_t)(p) * HIDDEN + (u)) * HIDDEN + (k)])

#include "rnn_group.h"

//   pre   [D, T, N, 4H] (rnn: pre is y): on entry the input's part of the pre-activations (gru: column blocks 0 to 2);
//         on return, if `save`, the activations
//   cell  [D, T, N, H] (lstm), only if `save`
//   y     [T, N, D*H]
// Biases, lengths, start and past may be NULL; start and past are for initial states, as in cl/rnn.cl.
kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void
rnn_group_forward(struct rnn_args args, global const real4 *packed, global const real *bias_ih0,
                  global const real *bias_hh0, global const real *bias_ih1, global const real *bias_hh1,
                  global real *pre, global real *cell, global real *y, global const int *lengths,
                  global const real *start, global const real *past, local real4 *state, local real *sums)
{
    const uint T = args.T, N = args.N, D = args.D, save = args.save;
    const uint first_row = get_group_id(0) * ROWS, d = get_global_id(1) + args.direction;
    const uint pairs = min((uint)ROWS, N - first_row) * HIDDEN;
    const struct span s = span_of(&args, longest_of(lengths, first_row, N, args.whole), d ? T - args.last : args.first);
    const size_t H = HIDDEN, DH = D * HIDDEN, step_rows = N;
    const bool goes_on = args.first > 0; // an earlier launch computed step BEFORE; its state is in y and cell
    global const real *ih = d ? bias_ih1 : bias_ih0, *hh = d ? bias_hh1 : bias_hh0;
    struct weights w;
    // next: pre-activations, without the hidden state's part, of the step to be computed.
    // now: c (lstm) or h (gru) of the step before it.
    // steps: number of valid steps of the row.
    real bias[PAIRS][RESERVE], next[PAIRS][RESERVE], now[PAIRS];
    uint steps[PAIRS];

    y += d * H;
    pre += CELL == CELL_RNN ? d * H : (size_t)d * T * N * 4 * H;
    cell += (size_t)d * T * N * H;
#if CELL == CELL_RNN
#define PRE(t, n, g, unit) pre[((t) * step_rows + (n)) * DH + (unit)]
#else
#define PRE(t, n, g, unit) pre[(((t) * step_rows + (n)) * 4 + (g)) * H + (unit)]
#endif
// The time step that is computed as number `step` of the launch.
#define TIME(step) ((size_t)(d ? s.end - 1 - (step) : s.first + (step)))
// The time step that the direction visits right before those of the launch.
#define BEFORE ((size_t)(d ? T - args.first : args.first - 1))
#define INPUTS (CELL == CELL_GRU ? 3u : RESERVE) // column blocks of pre that are read

    weights_load(&w, packed, d);
    FOR_PAIRS(q)
    {
        const uint n = first_row + PAIR_ROW(q), unit = PAIR_UNIT(q);

        steps[q] = lengths ? (uint)lengths[n] : args.whole;
        now[q] = past ? past[((size_t)d * N + n) * H + unit] : 0.0f;
        if (goes_on && (!d || BEFORE + args.offset < steps[q]))
            now[q] = CELL == CELL_LSTM ? cell[(BEFORE * step_rows + n) * H + unit]
                                       : y[(BEFORE * step_rows + n) * DH + unit];
        for (uint g = 0; g < RESERVE; g++) {
            // gru: the input bias and the hidden bias of n stay separate
            bias[q][g] = !ih                  ? 0.0f
                         : CELL != CELL_GRU || g < 2 ? ih[g * H + unit] + hh[g * H + unit]
                         : g == 2             ? ih[2 * H + unit]
                                              : hh[2 * H + unit];
            next[q][g] = g < INPUTS && s.first < s.end ? PRE(TIME(0), n, g, unit) : 0.0f;
        }
    }
    group_clear(state, sums);
    if (goes_on) {
        FOR_PAIRS(q)
        STATE(PAIR_ROW(q), PAIR_UNIT(q)) = y[(BEFORE * step_rows + first_row + PAIR_ROW(q)) * DH + PAIR_UNIT(q)];
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
            real a[RESERVE], h;

            for (uint g = 0; g < RESERVE; g++) {
                a[g] = next[q][g] + bias[q][g];
                if (CELL != CELL_GRU || g != 2)
                    a[g] += sum_of_parts(sums, row, CELL == CELL_GRU && g == 3 ? 2 : g, unit);
                if (start && time == (d ? steps[q] - 1 : 0) && (CELL != CELL_GRU || g != 2))
                    a[g] += start[(((size_t)d * N + n) * GATES + min(g, GATES - 1)) * H + unit];
            }
#if CELL == CELL_RNN
            h = rnn_activation(a[0]);
#elif CELL == CELL_LSTM
            const real c = lstm_cell(a, now[q]);

            h = a[3] * tanh_vec(c);
            now[q] = padding ? now[q] : c;
            if (save)
                cell[(t * step_rows + n) * H + unit] = padding ? 0.0f : c;
#else
            h = gru_cell(a, now[q]);
            now[q] = padding ? now[q] : h;
#endif
            h = padding ? 0.0f : h;
            STATE(row, unit) = h;
            y[(t * step_rows + n) * DH + unit] = h;
#if CELL != CELL_RNN
            for (uint g = 0; save && g < RESERVE; g++)
                PRE(t, n, g, unit) = a[g];
#endif
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        if (step + 1 < s.end - s.first) {
            // these loads overlap with the multiply
            FOR_PAIRS(q)
            {
                for (uint g = 0; g < INPUTS; g++)
                    next[q][g] = PRE(TIME(step + 1), first_row + PAIR_ROW(q), g, PAIR_UNIT(q));
            }
            multiply(&w, state, sums);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }

    for (size_t t = s.end; t < s.all; t++)
        FOR_PAIRS(q)
        {
            const size_t r = t * step_rows + first_row + PAIR_ROW(q);

            y[r * DH + PAIR_UNIT(q)] = 0.0f;
            if (CELL == CELL_LSTM && save)
                cell[r * H + PAIR_UNIT(q)] = 0.0f;
        }
}
