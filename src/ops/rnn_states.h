// SPDX-License-Identifier: MIT
// Launches for initial and final states, which the recurrent ops share.
#ifndef CLRNN_SRC_OPS_RNN_STATES_H
#define CLRNN_SRC_OPS_RNN_STATES_H

#include "device/list/list.h"

/** Sizes of a state [D, N, W] of T steps. */
struct clrnn_state_size {
    uint32_t T, N, W, D;
};

/** to [D, N, W] = the last step of each sample in the order of the direction, from rows that are ld apart,
 * and directions ld_direction; nothing where `to` is NULL. A sample without steps keeps `initial`, NULL:
 * zero. */
enum clrnn_status clrnn_launch_final(struct clrnn_launches *launches, const struct clrnn_state_size *size,
                                     struct clrnn_buffer *lengths, struct clrnn_buffer *from, size_t ld,
                                     size_t ld_direction, struct clrnn_buffer *initial,
                                     struct clrnn_buffer *to);

/** *dy [T, N, D * W] becomes dy, NULL: zero, with the final state's gradient dhn added, NULL: zero. */
enum clrnn_status clrnn_launch_join_final(struct clrnn_launches *launches,
                                          const struct clrnn_state_size *size, struct clrnn_buffer *lengths,
                                          struct clrnn_buffer *dhn, struct clrnn_buffer **dy);

/** The rows [N, W] that direction d takes first, of *rows [D, T * N, W]: in *rows from *offset on. */
enum clrnn_status clrnn_launch_first(struct clrnn_launches *launches, const struct clrnn_state_size *size,
                                     uint32_t d, struct clrnn_buffer *lengths, struct clrnn_buffer **rows,
                                     size_t *offset);

#endif
