// SPDX-License-Identifier: MIT
// Shows the progress of a run: with a bar on a terminal, with plain lines elsewhere.
#ifndef CLRNN_TOOLS_PROGRESS_H
#define CLRNN_TOOLS_PROGRESS_H

#include "tools/cli.h"

struct progress_view {
    bool terminal; // stderr is a terminal: the bar is redrawn in place
    bool quiet;
    int drawn; // number of columns of the bar that are on the terminal
};

/** Shows the progress; a clrnn_progress_fn, whose `user` is a struct progress_view. */
void progress_show(void *user, const struct clrnn_progress *progress);

/** Removes the bar before a message is printed. */
void progress_clear(struct progress_view *view);

#endif
