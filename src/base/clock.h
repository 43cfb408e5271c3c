// SPDX-License-Identifier: MIT
// The clock that measurements and time limits go by.
#ifndef CLRNN_SRC_BASE_CLOCK_H
#define CLRNN_SRC_BASE_CLOCK_H

/** Seconds of the monotonic clock, from some point in the past. */
double clrnn_clock(void);

#endif
