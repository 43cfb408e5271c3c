// SPDX-License-Identifier: MIT
// Ctrl-C as a request to stop after the current step.
#ifndef CLRNN_TOOLS_INTERRUPT_H
#define CLRNN_TOOLS_INTERRUPT_H

#include <signal.h>

/**
 * From now on SIGINT and SIGTERM set the flag that is returned; a second one ends the program at once with
 * status 130. Call it before a device is opened: the signals are blocked in every thread and taken by one of
 * their own, because the compilers inside OpenCL drivers install handlers (LLVM's removes the files that a
 * build is just writing). NULL where no thread can be made; then the signals keep their usual effect.
 */
const volatile sig_atomic_t *interrupt_catch(void);

#endif
