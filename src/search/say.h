// SPDX-License-Identifier: MIT
// Progress messages of a search (lr-find, sweep) to its caller.
#ifndef CLRNN_SRC_SEARCH_SAY_H
#define CLRNN_SRC_SEARCH_SAY_H

#include "clrnn/base.h"

/** Formats a text like printf and calls progress(user, text). Does nothing if `progress` is NULL. */
void clrnn_search_say(void (*progress)(void *user, const char *what), void *user, const char *format, ...)
    CLRNN_PRINTF(3, 4);

#endif
