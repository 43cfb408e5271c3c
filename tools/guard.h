// SPDX-License-Identifier: MIT
// A guard process for training under MPI: it watches its child, the process that trains.
#ifndef CLRNN_TOOLS_GUARD_H
#define CLRNN_TOOLS_GUARD_H

/** Starts the guard if MPI's launcher started this process; else does nothing. The call forks and returns in the child.
 * The parent becomes the guard: it passes signals on to the child and exits with the child's status. If a signal kills
 * the child, the guard prints a message and exits with status 4, so that the launcher ends the other ranks.
 * Call it before the process has threads. In the child SIGINT, SIGTERM, SIGHUP and SIGUSR1 stay blocked: call
 * interrupt_start() next. */
void guard_start(void);

/** Tells the guard that this process has joined the other ranks. From then on MPI itself notices when the process
 * ends. */
void guard_joined(void);

#endif
