// SPDX-License-Identifier: MIT
// Runs functions in child processes, so that a driver that crashes or hangs ends only the child.
// A child is made by fork(): it has a copy of the parent's memory. It returns results through shared memory, whose
// contents stay valid even if the child crashes. A process that has loaded OpenCL drivers must not start such children,
// because fork() does not copy the drivers' threads.
#ifndef CLRNN_SRC_BASE_CHILD_H
#define CLRNN_SRC_BASE_CHILD_H

#include <signal.h>
#include <sys/types.h>

#include "base/log.h"

/** Allocates zeroed memory that this process shares with its children. Returns NULL if memory runs out. */
void *clrnn_shared_create(size_t bytes);
void clrnn_shared_destroy(void *memory, size_t bytes);

/** A child's progress and first error, in shared memory. */
struct clrnn_child_report {
    volatile uint32_t beats; // heartbeat: counts calls of clrnn_child_doing
    char doing[120];         // the current action: "building cl/rnn.cl"
    char error[1024];        // the first error that the child logged
};
/** In the child: sets the current action, printf style, and counts a heartbeat. */
void clrnn_child_doing(struct clrnn_child_report *report, const char *format, ...) CLRNN_PRINTF(2, 3);
/** A clrnn_log_fn for the child, with the report as its user data: keeps only the first error. */
void clrnn_child_log(void *report, enum clrnn_log_level level, const char *line);

struct clrnn_child {
    pid_t pid;
    struct clrnn_child_report *report;
    int alive; // read end of a pipe; the write end is open in the child, and is closed when the child ends
};

/** Starts a child that runs `work` and exits when `work` returns. The child's standard streams are /dev/null, if that
 * file exists. The child is killed when its parent ends. CLRNN_ERR_DEVICE: the pipe or the child cannot be created. */
enum clrnn_status clrnn_child_start(const struct clrnn_log *log, void (*work)(void *user), void *user,
                                    struct clrnn_child_report *report, struct clrnn_child *child);

#define CLRNN_ENDING_SIZE 320
/** The default time limit between two heartbeats; it is long because compiling a kernel can be slow. */
#define CLRNN_CHILD_PATIENCE_S 120.0
/** Waits until the child ends. Kills it `patience_s` seconds (0: CLRNN_CHILD_PATIENCE_S) after its last heartbeat, or
 * at once when *stop is set (`stop` may be NULL). Sets `ending` to "" if the child exited normally without logging an
 * error, otherwise to a phrase that says how the child ended: "crashed with signal 11 (Segmentation fault) while
 * building cl/rnn.cl".
 */
void clrnn_child_wait(struct clrnn_child *child, double patience_s, const volatile sig_atomic_t *stop,
                      char ending[CLRNN_ENDING_SIZE]);

/** Calls clrnn_child_start, then clrnn_child_wait. CLRNN_INTERRUPTED: *stop was set. */
enum clrnn_status clrnn_child_run(const struct clrnn_log *log, void (*work)(void *user), void *user,
                                  struct clrnn_child_report *report, double patience_s,
                                  const volatile sig_atomic_t *stop, char ending[CLRNN_ENDING_SIZE]);

#endif
