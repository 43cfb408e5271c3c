// SPDX-License-Identifier: MIT
// Functions that append launches for the initial and final states of recurrent layers. The ops of rnn.h and recurrent.h
// share them.
#ifndef CLRNN_SRC_OPS_RNN_STATES_H
#define CLRNN_SRC_OPS_RNN_STATES_H

#include <stdbool.h>

#include "device/list/list.h"

/** Sizes of a state [D, N, W] of a recurrent layer with T time steps: D directions, N samples, W numbers a sample. */
struct clrnn_state_size {
    uint32_t T, N, W, D;
    // These fields are for clrnn_launch_final. If `from` has only a part of the sequence, steps [low, low + steps) of
    // `from` are steps [begin, begin + steps) of the sequence. steps 0: `from` has the whole sequence.
    uint32_t begin, steps, low;
};

/** Appends a launch that copies the final states to `to` [D, N, W]. The final state of a sample is its row of `from` at
 * its last valid step in the order of the direction. In `from`, rows are ld numbers apart and directions ld_direction
 * numbers apart. The launch skips samples whose last step is not in `from`. A sample without steps gets its row of
 * `initial`, or zeros if `initial` is NULL. `to` NULL: does nothing. */
enum clrnn_status clrnn_launch_final(struct clrnn_launches *launches, const struct clrnn_state_size *size,
                                     struct clrnn_buffer *lengths, struct clrnn_buffer *from, size_t ld,
                                     size_t ld_direction, struct clrnn_buffer *initial, struct clrnn_buffer *to);

/** A part of a sequence in one direction. Its buffers have T time steps, of which [low, low + steps) are the part
 * itself. If the sequence continues before or after the part, the buffers have one more step on that side, for the
 * state there. Step t of the buffers is step t + offset of the sequence. */
struct clrnn_rnn_part {
    uint32_t T, low, steps, offset;
    // Steps of the buffers, in the order of the direction: the last step before the part (undefined in the first part),
    // the part's first and last step, and the first step after it (undefined in the last part).
    uint32_t before, first, last, after;
    bool is_first, is_last;
};
/** Returns part k, counted in the order of direction d, of a sequence of `whole` steps that is divided into parts of
 * `part` steps. */
struct clrnn_rnn_part clrnn_rnn_part_of(uint32_t whole, uint32_t part, uint32_t d, uint32_t k);

/** Rows of the buffer `of`: the first begins at element `first`, and each begins `ld` numbers after the one before. */
struct clrnn_rows {
    struct clrnn_buffer *of;
    size_t first;
    uint32_t ld;
};
/** Appends a launch that copies `rows` rows of W numbers. Does nothing if from.of is NULL, or if `from` and `to` are
 * the same rows. */
enum clrnn_status clrnn_launch_move(struct clrnn_launches *launches, struct clrnn_rows from, struct clrnn_rows to,
                                    uint32_t rows, uint32_t W);

/** Appends a launch that adds to *dy [T, N, D * W], at each sample's last step, the gradient dhn [D, N, W] of the
 * sample's final state. The sum is in scratch memory, and *dy is set to it. A NULL *dy or dhn stands for zeros. If dhn
 * is NULL and *dy is not, does nothing. */
enum clrnn_status clrnn_launch_join_final(struct clrnn_launches *launches, const struct clrnn_state_size *size,
                                          struct clrnn_buffer *lengths, struct clrnn_buffer *dhn,
                                          struct clrnn_buffer **dy);

/** Finds the rows of *rows [D, T * N, W] that belong to the samples' first steps in direction d. If these N rows are
 * not contiguous, appends a launch that copies them to scratch memory. On return, they begin at element *offset of
 * *rows. */
enum clrnn_status clrnn_launch_first(struct clrnn_launches *launches, const struct clrnn_state_size *size, uint32_t d,
                                     struct clrnn_buffer *lengths, struct clrnn_buffer **rows, size_t *offset);

#endif
