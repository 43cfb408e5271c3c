// SPDX-License-Identifier: MIT
// What a search tells its caller while it runs.
#ifndef CLRNN_SRC_SEARCH_SAY_H
#define CLRNN_SRC_SEARCH_SAY_H

#include "clrnn/base.h"

/** Calls `progress`, unless it is NULL, with a text; printf style. */
void clrnn_search_say(void (*progress)(void *user, const char *what), void *user, const char *format, ...)
    CLRNN_PRINTF(3, 4);

#endif
