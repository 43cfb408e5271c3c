// SPDX-License-Identifier: MIT
// A pass over a data set, batch by batch, in which copies of a model on several devices take the batches in turn. Each
// device has a batch queued while the results of another device are read.
#ifndef CLRNN_SRC_TRAIN_TURNS_H
#define CLRNN_SRC_TRAIN_TURNS_H

#include "train/session.h"

struct clrnn_turns;

/** Opens a session for params->model and for each of its copies (clrnn_model_share). Errors: as clrnn_session_open. */
enum clrnn_status clrnn_turns_open(const struct clrnn_session_params *params, struct clrnn_turns **turns);
void clrnn_turns_close(struct clrnn_turns **turns);

/** Starts a pass in `mode` and queues the first batch of each device. */
enum clrnn_status clrnn_turns_begin(struct clrnn_turns *turns, enum clrnn_mode mode);
/** Sets *session to the session that has the next batch queued, valid until the next call. Batches come in the order of
 * the set. *session becomes NULL after the last batch. */
enum clrnn_status clrnn_turns_next(struct clrnn_turns *turns, struct clrnn_session **session);

#endif
