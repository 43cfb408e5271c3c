// SPDX-License-Identifier: MIT
// Signals: Ctrl-C and the like as a request to stop.
#ifndef CLRNN_TOOLS_INTERRUPT_H
#define CLRNN_TOOLS_INTERRUPT_H

#include <signal.h>

/** To be called before anything else: from now on SIGINT, SIGTERM, SIGUSR1 and SIGHUP (unless it was
 * ignored, as under nohup) end the program with status 130 after removing its temporary files. They are
 * blocked in every thread and handled by one of their own, because the compilers inside OpenCL drivers
 * install handlers (LLVM's removes the files of a build in progress). If no thread can be created, they keep
 * their default effect. SIGXFSZ is ignored: a file that exceeds `ulimit -f` is then a failed write with an
 * error message.
 * */
void interrupt_start(void);

/** From now on the first of these signals only sets the returned flag; the next one ends the program. To
 * be called after the config is read: that may be a pipe, and nothing checks the flag while waiting for it.
 * A process that MPI's launcher has started calls it before interrupt_start(): if it ended before MPI is
 * initialised, the others would wait for it.
 * */
const volatile sig_atomic_t *interrupt_flag(void);

/** From now on these signals do nothing, also if there has been one: another process decides when this one
 * ends. */
void interrupt_ignore(void);

#endif
