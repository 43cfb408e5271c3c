// SPDX-License-Identifier: MIT
// The clock for measurements and time limits.
#ifndef CLRNN_SRC_BASE_CLOCK_H
#define CLRNN_SRC_BASE_CLOCK_H

/** Returns the seconds on the monotonic clock since an arbitrary start. */
double clrnn_clock(void);

#endif
