// SPDX-License-Identifier: MIT
// Signals: Ctrl-C and the like as a request to stop.
#ifndef CLRNN_TOOLS_INTERRUPT_H
#define CLRNN_TOOLS_INTERRUPT_H

#include <signal.h>

/**
 * To be called before anything else: from now on SIGINT, SIGTERM and SIGHUP (unless it was ignored, as under
 * nohup) end the program with status 130, without its temporary files. They are blocked in every thread and
 * taken by one of their own, because the compilers inside OpenCL drivers install handlers (LLVM's removes the
 * files that a build is just writing). Where no thread can be made, they keep their usual effect. SIGXFSZ is
 * ignored: a file that grows beyond `ulimit -f` is then a failed write, with a sentence that says so.
 */
void interrupt_start(void);

/** From now on the first of these signals only sets the flag that is returned; the next one ends the program.
 *  To be called once the config is read: that may be a pipe, and nobody looks at the flag while it waits. */
const volatile sig_atomic_t *interrupt_flag(void);

#endif
