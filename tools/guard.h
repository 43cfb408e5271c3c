// SPDX-License-Identifier: MIT
// A process that MPI's launcher has started watches the one that trains.
#ifndef CLRNN_TOOLS_GUARD_H
#define CLRNN_TOOLS_GUARD_H

/** To be called before there are threads. Where MPI's launcher has started this process, goes on in a child,
 * and here waits for it: passes signals on, exits as it exits, and with 4 after a sentence where it is killed
 * or crashes, so that the launcher ends the other processes. Elsewhere does nothing. In the child SIGINT,
 * SIGTERM, SIGHUP and SIGUSR1 stay blocked: interrupt_start() is to follow. */
void guard_start(void);

/** To be called when this process has joined the others: from now on MPI tells them how it ends. */
void guard_joined(void);

#endif
