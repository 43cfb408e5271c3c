// SPDX-License-Identifier: MIT
// Handling of signals: Ctrl-C and the like are requests to stop.
#ifndef CLRNN_TOOLS_INTERRUPT_H
#define CLRNN_TOOLS_INTERRUPT_H

#include <signal.h>

/** Makes SIGINT, SIGTERM, SIGUSR1 and SIGHUP (unless it was ignored, as under nohup) end the program with
 * status 130 after removing its temporary files. Call it before anything else. The signals are blocked in
 * every thread and one thread waits for them, because compilers inside OpenCL drivers install handlers
 * (LLVM's removes the files of a build in progress). If that thread cannot be created, they keep their
 * default effect. SIGXFSZ is ignored, so that a file that exceeds `ulimit -f` is a failed write with an error
 * message. */
void interrupt_start(void);

/** From now on the first signal (interrupt_start) only sets the returned flag, the next one ends the program.
 * Call it after the config has been read: the config may be a pipe, and nothing checks the flag while waiting
 * for it. A process that MPI's launcher started calls it before interrupt_start(): the other ranks would wait
 * for a rank that ends before MPI is initialised.
 * */
const volatile sig_atomic_t *interrupt_flag(void);

/** From now on SIGINT, SIGTERM, SIGUSR1 and SIGHUP do nothing, even if one has come already: another process
 * decides when this one ends. */
void interrupt_ignore(void);

#endif
