// SPDX-License-Identifier: MIT
// A guard process for training under MPI: it watches its child, the process that trains.
#ifndef CLRNN_TOOLS_GUARD_H
#define CLRNN_TOOLS_GUARD_H

/** Call before there are threads. If MPI's launcher started this process, forks and returns in the child; the
 * parent stays as its guard, passes signals on and exits with the child's status, or, if a signal kills the
 * child, with 4 after a message, so that the launcher ends the other ranks. Else does nothing. In the child
 * SIGINT, SIGTERM, SIGHUP and SIGUSR1 stay blocked: call interrupt_start() next. */
void guard_start(void);

/** Tells the guard that this process has joined the other ranks, to which MPI from now on reports its end. */
void guard_joined(void);

#endif
