// SPDX-License-Identifier: MIT
// A pass over a data set in whole batches, which the same model on several devices takes in turn: each has a
// batch in its queue while the results of another are read.
#ifndef CLRNN_SRC_TRAIN_TURNS_H
#define CLRNN_SRC_TRAIN_TURNS_H

#include "train/session.h"

struct clrnn_turns;

/** For params->model and those it shares with (clrnn_model_share). Errors: as clrnn_session_open. */
enum clrnn_status clrnn_turns_open(const struct clrnn_session_params *params, struct clrnn_turns **turns);
void clrnn_turns_close(struct clrnn_turns **turns);

/** Starts a pass, and queues the first batches. */
enum clrnn_status clrnn_turns_begin(struct clrnn_turns *turns, enum clrnn_mode mode);
/** The session that was queued with the next batch, valid until the next call; batches come in the order of
 * the set. NULL after the last. */
enum clrnn_status clrnn_turns_next(struct clrnn_turns *turns, struct clrnn_session **session);

#endif
