// SPDX-License-Identifier: MIT
// Launches for initial and final states, which the recurrent ops share.
#ifndef CLRNN_SRC_OPS_RNN_STATES_H
#define CLRNN_SRC_OPS_RNN_STATES_H

#include <stdbool.h>

#include "device/list/list.h"

/** Sizes of a state [D, N, W] of a layer with T steps. */
struct clrnn_state_size {
    uint32_t T, N, W, D;
    uint32_t begin, steps, low; // clrnn_launch_final: `from` has, at its step `low`, only the `steps`
                                // steps of the sequence from `begin` on; steps 0: it has all
};

/** to [D, N, W] = the last step of each sample, in the order of the direction. `from` has rows that are ld
 * apart, and directions that are ld_direction apart. A sample without steps keeps `initial` (NULL: zero).
 * `to` NULL: does nothing. */
enum clrnn_status clrnn_launch_final(struct clrnn_launches *launches, const struct clrnn_state_size *size,
                                     struct clrnn_buffer *lengths, struct clrnn_buffer *from, size_t ld,
                                     size_t ld_direction, struct clrnn_buffer *initial,
                                     struct clrnn_buffer *to);

/** A part of a sequence in one direction. Its buffers have T steps: those that are taken, [low, low + steps),
 * and on either side, if the sequence goes on there, one more for its state. Step t of T is step t + offset
 * of the sequence. */
struct clrnn_rnn_part {
    uint32_t T, low, steps, offset;
    uint32_t before, first, last,
        after; // steps of T in the direction's order; before and after, if there are any
    bool is_first, is_last;
};
/** Part k, in the order of direction d, of a sequence of `whole` steps in parts of `part` steps. */
struct clrnn_rnn_part clrnn_rnn_part_of(uint32_t whole, uint32_t part, uint32_t d, uint32_t k);

/** Rows of a buffer, `ld` numbers apart, from element `first` on. */
struct clrnn_rows {
    struct clrnn_buffer *of;
    size_t first;
    uint32_t ld;
};
/** Copies `rows` rows of W numbers. Does nothing if from.of is NULL or `from` and `to` are the same rows. */
enum clrnn_status clrnn_launch_move(struct clrnn_launches *launches, struct clrnn_rows from,
                                    struct clrnn_rows to, uint32_t rows, uint32_t W);

/** Replaces *dy [T, N, D * W] (NULL: zero) by its sum with the final state's gradient dhn (NULL: zero). */
enum clrnn_status clrnn_launch_join_final(struct clrnn_launches *launches,
                                          const struct clrnn_state_size *size, struct clrnn_buffer *lengths,
                                          struct clrnn_buffer *dhn, struct clrnn_buffer **dy);

/** Finds each sample's row of *rows [D, T * N, W] at its first step in direction d. On return, these rows are
 * [N, W] in *rows from element *offset on. */
enum clrnn_status clrnn_launch_first(struct clrnn_launches *launches, const struct clrnn_state_size *size,
                                     uint32_t d, struct clrnn_buffer *lengths, struct clrnn_buffer **rows,
                                     size_t *offset);

#endif
