// SPDX-License-Identifier: MIT
// How a run's progress is shown: a bar on a terminal, plain lines elsewhere.
#ifndef CLRNN_TOOLS_PROGRESS_H
#define CLRNN_TOOLS_PROGRESS_H

#include "tools/cli.h"

struct progress_view {
    bool terminal; // stderr is a terminal: the bar is redrawn in place
    bool quiet;
    int drawn; // columns of the bar that are on the terminal
};

/** A clrnn_progress_fn; `user` is a struct progress_view. */
void progress_show(void *user, const struct clrnn_progress *progress);

/** Removes the bar before a message is printed. */
void progress_clear(struct progress_view *view);

#endif
