// SPDX-License-Identifier: MIT
// Handles signals: Ctrl-C and similar signals are requests to stop.
#ifndef CLRNN_TOOLS_INTERRUPT_H
#define CLRNN_TOOLS_INTERRUPT_H

#include <signal.h>

/** Makes SIGINT, SIGTERM, SIGUSR1 and SIGHUP (unless SIGHUP was ignored, as under nohup) end the program with status
 * 130, after its temporary files are removed. Call it before anything else.
 * The signals are blocked in every thread, and one thread waits for them: compilers inside OpenCL drivers install
 * signal handlers (LLVM's handler removes the files of a build in progress). If that thread cannot be created, the
 * signals keep their default effect.
 * SIGXFSZ is ignored. A write beyond the limit of `ulimit -f` then fails with an error message. */
void interrupt_start(void);

/** After this call, the first signal (see interrupt_start) only sets the returned flag. The next signal ends the
 * program. Call it after the config has been read: the config may be a pipe, and nothing checks the flag while the
 * program waits for the pipe. A process that MPI's launcher started calls it earlier, before interrupt_start(): if such
 * a process ended before MPI is initialised, the other ranks would wait for it. */
const volatile sig_atomic_t *interrupt_flag(void);

/** From this call on, SIGINT, SIGTERM, SIGUSR1 and SIGHUP have no effect, even if one has arrived already. Used where
 * another process decides when this one ends. */
void interrupt_ignore(void);

#endif
