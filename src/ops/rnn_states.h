// SPDX-License-Identifier: MIT
// Launches for initial and final states, which the recurrent ops share.
#ifndef CLRNN_SRC_OPS_RNN_STATES_H
#define CLRNN_SRC_OPS_RNN_STATES_H

#include <stdbool.h>

#include "device/list/list.h"

/** Sizes of a state [D, N, W] of T steps. */
struct clrnn_state_size {
    uint32_t T, N, W, D;
    uint32_t begin, steps, low; // _final: rows are there of `steps` steps from `begin` on, from step `low` of
                                // the buffer on; steps 0: of all
};

/** to [D, N, W] = the last step of each sample in the order of the direction, from rows that are ld apart,
 * and directions ld_direction; nothing where `to` is NULL. A sample without steps keeps `initial`, NULL:
 * zero. */
enum clrnn_status clrnn_launch_final(struct clrnn_launches *launches, const struct clrnn_state_size *size,
                                     struct clrnn_buffer *lengths, struct clrnn_buffer *from, size_t ld,
                                     size_t ld_direction, struct clrnn_buffer *initial,
                                     struct clrnn_buffer *to);

/** A part of a sequence of one direction, of which buffers have T steps: those that are taken, [low, low +
 * steps), and one on either side, if there is one, for its state. Step t of them is step t + offset of the
 * sequence. */
struct clrnn_rnn_part {
    uint32_t T, low, steps, offset;
    uint32_t before, first, last,
        after; // steps of T in the direction's order; before and after where they are
    bool is_first, is_last;
};
/** Part k, counted in the order of direction d, of `steps` each (`part`) of a sequence of `whole`. */
struct clrnn_rnn_part clrnn_rnn_part_of(uint32_t whole, uint32_t part, uint32_t d, uint32_t k);

/** Rows of a buffer, `ld` numbers apart, from element `first` on. */
struct clrnn_rows {
    struct clrnn_buffer *of;
    size_t first;
    uint32_t ld;
};
/** Copies `rows` rows of W numbers; nothing where `from` has no buffer or is the same place. */
enum clrnn_status clrnn_launch_move(struct clrnn_launches *launches, struct clrnn_rows from,
                                    struct clrnn_rows to, uint32_t rows, uint32_t W);

/** *dy [T, N, D * W] becomes dy, NULL: zero, with the final state's gradient dhn added, NULL: zero. */
enum clrnn_status clrnn_launch_join_final(struct clrnn_launches *launches,
                                          const struct clrnn_state_size *size, struct clrnn_buffer *lengths,
                                          struct clrnn_buffer *dhn, struct clrnn_buffer **dy);

/** The rows [N, W] that direction d takes first, of *rows [D, T * N, W]: in *rows from *offset on. */
enum clrnn_status clrnn_launch_first(struct clrnn_launches *launches, const struct clrnn_state_size *size,
                                     uint32_t d, struct clrnn_buffer *lengths, struct clrnn_buffer **rows,
                                     size_t *offset);

#endif
