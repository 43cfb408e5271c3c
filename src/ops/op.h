// SPDX-License-Identifier: MIT
// The ops level: what a training step computes, as descriptors over named tensors, the same on every
// device. src/ops/<stem>.c turns a descriptor into launches; src/reference/<stem>.c carries it out in
// double. Formulas: doc/maths.md.
//
// Shapes: N batch, T time steps, C features, H hidden units, D directions (1 or 2), G gates (rnn 1,
// gru 3, lstm 4), V vocabulary, S samples of a data set. All tensors are row-major. Inside a plan,
// sequences are TIME-MAJOR: [T, N, C], row r = t * N + n. "rows" below is T * N.
//
// lengths [N] I32 (1..T), where the op has it, marks padding: step t of sample n is padding if
// t >= lengths[n]. Padding takes part in nothing: outputs and gradients there are exactly 0, and what
// inputs hold there (it may be NaN) changes no bit of anything.
//
// An op overwrites its outputs (nothing accumulates), except those marked "updated". No output is also
// an input, except updated ones. An absent tensor is CLRNN_NONE: an output that nobody wants (dx of the
// first layer), an input that the config turns off (bias: false, no lengths).
#ifndef CLRNN_SRC_OPS_OP_H
#define CLRNN_SRC_OPS_OP_H

#include "device/launch.h"
#include "slots.h"

#define CLRNN_NONE (-1)
#define CLRNN_OP_MAX_IN 14
#define CLRNN_OP_MAX_OUT 10

// X(KIND, stem, name): the one list of ops; stem names cl/, src/ops/ and src/reference/ files.
#define CLRNN_OP_LIST(X) \
    X(FEED, feed, feed) \
    X(EMBEDDING_FWD, embedding, embedding_fwd) \
    X(EMBEDDING_BWD, embedding, embedding_bwd) \
    X(RNN_FWD, rnn, rnn_fwd) \
    X(RNN_BWD, rnn, rnn_bwd) \
    X(BATCHNORM_FWD, norm, batchnorm_fwd) \
    X(BATCHNORM_BWD, norm, batchnorm_bwd) \
    X(LAYERNORM_FWD, norm, layernorm_fwd) \
    X(LAYERNORM_BWD, norm, layernorm_bwd) \
    X(LINEAR_FWD, linear, linear_fwd) \
    X(LINEAR_BWD, linear, linear_bwd) \
    X(DROPOUT_FWD, dropout, dropout_fwd) \
    X(DROPOUT_BWD, dropout, dropout_bwd) \
    X(POINTWISE_FWD, pointwise, pointwise_fwd) \
    X(POINTWISE_BWD, pointwise, pointwise_bwd) \
    X(POOL_FWD, pool, pool_fwd) \
    X(POOL_BWD, pool, pool_bwd) \
    X(LOSS, loss, loss) \
    X(GRAD_NORM, optim, grad_norm) \
    X(OPTIM, optim, optim)

enum clrnn_op_kind {
#define X(kind, stem, name) CLRNN_OP_##kind,
    CLRNN_OP_LIST(X)
#undef X
        CLRNN_OP_COUNT
};

// ---------------------------------------------------------------- slots: what in[] and out[] hold

// FEED: picks a batch out of a data set that lies on the device in the order of the file, (S, T_data, C).
// x is normalised as (x - mean) / std where FEED_MEAN is there, and set to 0 in padding; tokens in
// padding become -1; targets in padding too (class: INT32_MIN "no target", real: 0).
enum {
    FEED_X,       // REAL [S, T_data, C], or I32 [S, T_data] tokens
    FEED_Y,       // I32 or REAL [S] or [S, T_data]; NONE in prediction
    FEED_LENGTHS, // I32 [S] or NONE
    FEED_INDEX,   // U32 [N]: which samples
    FEED_MEAN,
    FEED_STD
}; // REAL [C] or NONE
enum {
    FEED_OUT_X, // REAL [T, N, C] or I32 [T, N]
    FEED_OUT_Y, // [N] or [T, N], type as FEED_Y
    FEED_OUT_LENGTHS
}; // I32 [N]

// EMBEDDING: y[r] = weight[x[r]]; a negative token (padding) gives zeros. backward: padding_idx (>= 0)
// gets gradient 0.
enum { EMBEDDING_X /* I32 [rows] */, EMBEDDING_WEIGHT /* [V, C] */ };
enum { EMBEDDING_Y /* [rows, C] */ };
enum { EMBEDDING_BWD_X, EMBEDDING_BWD_DY };
enum { EMBEDDING_DWEIGHT };

// RNN: one recurrent layer, both directions. The weights of direction d stand at slot + 4 * d.
// y [T, N, D*H], forward half first. gates [D, rows, R*H], R = 1 (rnn), 4 (lstm i f g o; gru r z n and
// W_hn h + b_hn): what backward needs, activations; cell [D, rows, H], lstm only. Both are the device's
// own business (NONE in inference; not compared between devices).
enum {
    RNN_X /* [T, N, C] */,
    RNN_LENGTHS,
    RNN_WEIGHT_IH /* [G*H, C] */,
    RNN_WEIGHT_HH /* [G*H, H] */,
    RNN_BIAS_IH,
    RNN_BIAS_HH /* [G*H] or NONE */,
    RNN_REVERSE_ /* 4 more */
};
enum { RNN_Y, RNN_GATES, RNN_CELL };
enum {
    RNN_BWD_X,
    RNN_BWD_LENGTHS,
    RNN_BWD_WEIGHT_IH,
    RNN_BWD_WEIGHT_HH,
    RNN_BWD_BIAS_IH,
    RNN_BWD_BIAS_HH, // 4 more at slot + 4; the reference recomputes from these, kernels read GATES
    RNN_BWD_Y = 10,
    RNN_BWD_GATES,
    RNN_BWD_CELL,
    RNN_BWD_DY
};
enum {
    RNN_DX,
    RNN_DWEIGHT_IH,
    RNN_DWEIGHT_HH,
    RNN_DBIAS_IH,
    RNN_DBIAS_HH, // 4 more at slot + 4
    RNN_DREVERSE_
};

// BATCHNORM over rows. Training (batch_stats): mean and biased variance of the valid rows; running ones
// updated: running = (1 - momentum) running + momentum batch (variance unbiased there), momentum
// 1 / (batches + 1) when cumulative. Otherwise the running ones normalise. mean, invstd are saved for
// backward (batch statistics even where they are used in eval mode: track_running_stats false).
enum {
    BATCHNORM_X /* [rows, C] */,
    BATCHNORM_LENGTHS,
    BATCHNORM_WEIGHT,
    BATCHNORM_BIAS /* [C] or NONE */,
    BATCHNORM_RUNNING_MEAN,
    BATCHNORM_RUNNING_VAR /* [C] or NONE */
};
enum {
    BATCHNORM_Y,
    BATCHNORM_MEAN,
    BATCHNORM_INVSTD /* [C]; NONE unless batch_stats */,
    BATCHNORM_NEW_MEAN,
    BATCHNORM_NEW_VAR, // updated: the same tensors as the running ones, or NONE
    BATCHNORM_BATCHES
}; // updated: I32 [1] num_batches_tracked, or NONE
enum {
    BATCHNORM_BWD_X,
    BATCHNORM_BWD_LENGTHS,
    BATCHNORM_BWD_WEIGHT,
    BATCHNORM_BWD_MEAN,
    BATCHNORM_BWD_INVSTD,
    BATCHNORM_BWD_DY
};
enum { BATCHNORM_DX, BATCHNORM_DWEIGHT, BATCHNORM_DBIAS };

// LAYERNORM over the C features of each row.
enum { LAYERNORM_X, LAYERNORM_LENGTHS, LAYERNORM_WEIGHT, LAYERNORM_BIAS };
enum { LAYERNORM_Y, LAYERNORM_MEAN, LAYERNORM_INVSTD /* [rows]; NONE in inference */ };
enum {
    LAYERNORM_BWD_X,
    LAYERNORM_BWD_LENGTHS,
    LAYERNORM_BWD_WEIGHT,
    LAYERNORM_BWD_MEAN,
    LAYERNORM_BWD_INVSTD,
    LAYERNORM_BWD_DY
};
enum { LAYERNORM_DX, LAYERNORM_DWEIGHT, LAYERNORM_DBIAS };

// LINEAR: y [rows, O] = x [rows, C] weight [O, C]^T + bias [O]. Padding rows of y are 0.
enum { LINEAR_X, LINEAR_LENGTHS, LINEAR_WEIGHT, LINEAR_BIAS };
enum { LINEAR_Y };
enum { LINEAR_BWD_X, LINEAR_BWD_LENGTHS, LINEAR_BWD_WEIGHT, LINEAR_BWD_DY };
enum { LINEAR_DX, LINEAR_DWEIGHT, LINEAR_DBIAS };

// DROPOUT: element e = r * C + c is kept where u(e) >= p and then divided by 1 - p; u from Philox,
// stream RANDOM_DROPOUT, a = step (COUNTER_STEP), b = the op's `stream`. Backward draws again.
enum { DROPOUT_X /* [rows, C]; backward: dy */, DROPOUT_COUNTER /* U32 [4] */ };
enum { DROPOUT_Y /* backward: dx */ };

// POINTWISE and row-wise functions. Backward reads x and y of the forward. ROUND is to nearest even and
// its gradient is 0. SOFTMAX and LOG_SOFTMAX run over the C of each row. Padding rows are 0.
enum { POINTWISE_X, POINTWISE_LENGTHS };
enum { POINTWISE_Y };
enum { POINTWISE_BWD_X, POINTWISE_BWD_LENGTHS, POINTWISE_BWD_Y, POINTWISE_BWD_DY };
enum { POINTWISE_DX };

// POOL over time, [T, N, C] to [N, C]. LAST: step lengths[n] - 1 (T - 1). FINAL: the first C/D features
// from there, the reverse direction's from step 0. MEAN over valid steps; MAX: the first maximum.
enum { POOL_X, POOL_LENGTHS };
enum { POOL_Y, POOL_ARGMAX /* I32 [N, C] step taken, MAX only */ };
enum { POOL_BWD_LENGTHS, POOL_BWD_ARGMAX, POOL_BWD_DY };
enum { POOL_DX };

// LOSS with its gradient, over `rows` predictions (after a pool T is 1). Targets: I32 classes for
// cross_entropy and nll, REAL for bce_with_logits and mse (C = 1). Writes one record.
enum {
    LOSS_X /* [rows, C] */,
    LOSS_LENGTHS,
    LOSS_TARGET /* [rows] */,
    LOSS_WEIGHT, // REAL [C] class weights, or [1] pos_weight, or NONE
    LOSS_COUNTER
}; // COUNTER_SLOT says which record
enum { LOSS_DX /* NONE in evaluation */, LOSS_RECORD /* updated: REAL [slots, RECORD_FIELDS] */ };

// GRAD_NORM: Euclidean norm of all gradients together, for a plan without OPTIM or one whose OPTIM clips by
// it.
enum { GRAD_NORM_GRADS /* flat */, GRAD_NORM_COUNTER };
enum { GRAD_NORM_NORM /* REAL [1] */, GRAD_NORM_RECORD /* updated */ };

// OPTIM over the flat parameters. Before it, gradients are scaled by min(1, max_norm / (norm + 1e-6)) where
// clip_max_norm > 0. Where it need not know their norm before, it finds it on the way, as GRAD_NORM would.
enum {
    OPTIM_GRADS,
    OPTIM_HYPER /* REAL [HYPER_FIELDS] */,
    OPTIM_NORM /* to clip by, or NONE */,
    OPTIM_COUNTER
};
enum {
    OPTIM_PARAMS,
    OPTIM_M,
    OPTIM_V,
    OPTIM_VMAX, // updated; moments that the kind lacks: NONE
    OPTIM_NORM_OUT,
    OPTIM_RECORD
}; // as GRAD_NORM's, or NONE
// sgd: M momentum buffer. adam(w): M, V, VMAX (amsgrad). rmsprop: V square average, M momentum buffer
// (momentum > 0), VMAX gradient average (centered).

// ---------------------------------------------------------------- attributes

enum clrnn_cell { CLRNN_CELL_RNN, CLRNN_CELL_LSTM, CLRNN_CELL_GRU };
enum clrnn_function { CLRNN_RELU, CLRNN_TANH, CLRNN_SIGMOID, CLRNN_ROUND, CLRNN_SOFTMAX, CLRNN_LOG_SOFTMAX };
enum clrnn_pool { CLRNN_POOL_LAST, CLRNN_POOL_FINAL, CLRNN_POOL_MEAN, CLRNN_POOL_MAX };
enum clrnn_loss { CLRNN_LOSS_CROSS_ENTROPY, CLRNN_LOSS_NLL, CLRNN_LOSS_BCE_WITH_LOGITS, CLRNN_LOSS_MSE };
enum clrnn_optim { CLRNN_SGD, CLRNN_ADAM, CLRNN_ADAMW, CLRNN_RMSPROP };

struct clrnn_op {
    enum clrnn_op_kind kind;
    char layer[48];                                 // "rnn", "rnn.l1", "norm", "5": for listings
    uint32_t T, N;                                  // of the op's input; rows = T * N
    uint32_t C;                                     // features of the op's input
    int in[CLRNN_OP_MAX_IN], out[CLRNN_OP_MAX_OUT]; // tensors of the graph, or CLRNN_NONE
    union {
        struct {
            uint32_t S, T_data;
            bool tokens, target_real, target_steps, target;
        } feed;
        struct {
            uint32_t V;
            int32_t padding_idx; /* -1: none */
        } embedding;             // C = embedding_dim
        struct {
            enum clrnn_cell cell;
            bool relu, bias;
            uint32_t H, D;
        } rnn;
        struct {
            double eps, momentum;
            bool cumulative, batch_stats;
        } norm;
        struct {
            uint32_t O;
        } linear;
        struct {
            double p;
            uint32_t stream;
        } dropout;
        struct {
            enum clrnn_function function;
        } pointwise;
        struct {
            enum clrnn_pool over;
            uint32_t D;
        } pool;
        struct {
            enum clrnn_loss kind;
            double label_smoothing;
            int32_t ignore_index;
            uint32_t slots;
        } loss;
        struct {
            enum clrnn_optim kind;
            size_t count;
            double beta2, eps, weight_decay, dampening, alpha, clip_max_norm;
            bool nesterov, amsgrad, centered, momentum;
        } optim; // GRAD_NORM: count
    };
};

uint32_t clrnn_cell_gates(enum clrnn_cell cell);   // G: 1, 4, 3
uint32_t clrnn_cell_reserve(enum clrnn_cell cell); // R: 1, 4, 4

/** "rnn_fwd". */
const char *clrnn_op_name(enum clrnn_op_kind kind);

/** Whether an output is the table of records, of which an op writes some numbers of one row. */
bool clrnn_op_is_record(const struct clrnn_op *op, int slot);

/** FLOPs (a multiply-add is two) and bytes (each tensor touched once) of an op, for any device. */
struct clrnn_graph;
struct clrnn_cost clrnn_op_cost(const struct clrnn_graph *graph, const struct clrnn_op *op);

/**
 * Appends the launches that carry out an op on an OpenCL device. The tensors of the graph have their
 * buffers. Errors: as clrnn_launch_kernel.
 */
enum clrnn_status clrnn_op_launch(struct clrnn_launches *launches, const struct clrnn_graph *graph,
                                  const struct clrnn_op *op);

// One launcher a kind, in src/ops/<stem>.c.
#define X(kind, stem, name) \
    enum clrnn_status clrnn_##name(struct clrnn_launches *launches, const struct clrnn_graph *graph, \
                                   const struct clrnn_op *op);
CLRNN_OP_LIST(X)
#undef X

#endif
