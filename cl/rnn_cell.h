// SPDX-License-Identifier: MIT
// The cells of recurrent layers and their gradients, on vectors of hidden units. Kernels that compute a whole sequence
// and kernels that compute one step use them. Formulas: doc/maths.md.
//
// Defines: CELL, one of CELL_RNN, CELL_LSTM and CELL_GRU; RELU (only for CELL_RNN), whether the activation is relu and
// not tanh; WIDTH as in vector.h.
#ifndef CLRNN_CL_RNN_CELL_H
#define CLRNN_CL_RNN_CELL_H

#include "enums.h"
#include "rnn_args.h"
#include "vector.h"

// GATES: number of blocks of H rows in the weights. RESERVE: number of blocks of H columns in `gates`. Forward stores
// activations there, and backward replaces them by gradients. The column blocks are: lstm i, f, g, o; gru r, z, n and
// W_hn h + b_hn.
#if CELL == CELL_RNN
#define GATES 1u
#define RESERVE 1u
#elif CELL == CELL_LSTM
#define GATES 4u
#define RESERVE 4u
#else
#define GATES 3u
#define RESERVE 4u
#endif

static inline realv rnn_activation(realv s)
{
#if RELU
    return s < 0.0f ? (realv)(0.0f) : s; // NaN stays NaN
#else
    return tanh_vec(s);
#endif
}

static inline realv rnn_gradient(realv dh, realv h)
{
#if RELU
    return h > 0.0f ? dh : (realv)(0.0f);
#else
    return dh * (1.0f - h * h);
#endif
}

// Computes an LSTM cell. a: on entry the pre-activations of i, f, g, o, on return their activations. before: c of the
// previous step. Returns c; the caller computes h = o tanh(c).
static inline realv lstm_cell(realv a[4], realv before)
{
    a[0] = sigmoid_vec(a[0]);
    a[1] = sigmoid_vec(a[1]);
    a[2] = tanh_vec(a[2]);
    a[3] = sigmoid_vec(a[3]);
    return FMA(a[1], before, a[0] * a[2]);
}

// Computes h of a GRU from the activations of r and z. a: on entry r, z, the input's part of n before activation, and
// W_hn h + b_hn; on return r, z, n and W_hn h + b_hn. before: h of the previous step. Returns h.
static inline realv gru_output(realv a[4], realv before)
{
    a[2] = tanh_vec(FMA(a[0], a[3], a[2]));
    return FMA(a[1], before - a[2], a[2]);
}

// Does the same as gru_output, but a has on entry the pre-activations of r and z.
static inline realv gru_cell(realv a[4], realv before)
{
    a[0] = sigmoid_vec(a[0]);
    a[1] = sigmoid_vec(a[1]);
    return gru_output(a, before);
}

// Computes da, the gradients of the pre-activations of i, f, g, o. Returns the gradient of `before`.
//   dh      gradient of h
//   dc      gradient of c that the next step passes back
//   t       tanh(c)
//   before  c of the previous step
//   a       activations of i, f, g, o
static inline realv lstm_gradient(realv dh, realv dc, realv t, realv before, const realv a[4], realv da[4])
{
    const realv i = a[0], f = a[1], g = a[2], o = a[3];

    dc += dh * o * (1.0f - t * t);
    da[0] = dc * g * i * (1.0f - i);
    da[1] = dc * before * f * (1.0f - f);
    da[2] = dc * i * (1.0f - g * g);
    da[3] = dh * t * o * (1.0f - o);
    return dc * f;
}

// Computes da, the gradients of the pre-activations of r, z, n and of W_hn h + b_hn. Returns the part of the gradient
// of `before` that does not go through the multiply by the recurrent weights.
//   dh      gradient of h
//   before  h of the previous step
//   a       r, z, n and W_hn h + b_hn
static inline realv gru_gradient(realv dh, realv before, const realv a[4], realv da[4])
{
    const realv q = a[0], z = a[1], m = a[2], hn = a[3];

    da[2] = dh * (1.0f - z) * (1.0f - m * m);
    da[3] = da[2] * q;
    da[0] = da[3] * hn * (1.0f - q);
    da[1] = dh * (before - m) * z * (1.0f - z);
    return dh * z;
}

#endif
