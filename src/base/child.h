// SPDX-License-Identifier: MIT
// Work done in a child process, so that a driver that crashes or hangs takes nothing else with it.
//
// A child is a fork: it sees the parent's memory as it was, and hands results back through shared memory,
// where what it wrote stays whatever becomes of it. A process that has loaded OpenCL drivers must not fork
// such children: the drivers' threads are not forked.
#ifndef CLRNN_SRC_BASE_CHILD_H
#define CLRNN_SRC_BASE_CHILD_H

#include <signal.h>
#include <sys/types.h>

#include "base/log.h"

/** Fresh zeroed memory that children share with this process; NULL: there is none. */
void *clrnn_shared_create(size_t bytes);
void clrnn_shared_destroy(void *memory, size_t bytes);

/** What a child is about, in shared memory: its sign of life, and the end of a sentence on how it died. */
struct clrnn_child_report {
    volatile uint32_t beats;
    char doing[120];  // "building cl/rnn.cl"
    char error[1024]; // the sentence of the first error that it logged
};
/** In the child: says what comes next. */
void clrnn_child_doing(struct clrnn_child_report *report, const char *format, ...) CLRNN_PRINTF(2, 3);
/** For a struct clrnn_log of the child, `user` being its report: keeps the first error, drops the rest. */
void clrnn_child_log(void *report, enum clrnn_log_level level, const char *line);

struct clrnn_child {
    pid_t pid;
    struct clrnn_child_report *report;
    int alive; // a pipe's end: the child holds the other
};

/** Starts `work` in a child, which ends when it returns. The child's standard streams are /dev/null; it dies
 *  with its parent. CLRNN_ERR_DEVICE: the system gives no process. */
enum clrnn_status clrnn_child_start(const struct clrnn_log *log, void (*work)(void *user), void *user,
                                    struct clrnn_child_report *report, struct clrnn_child *child);

#define CLRNN_ENDING_SIZE 320
/** How long a child may go without a sign of life where nobody says otherwise: a compiler may take its time.
 */
#define CLRNN_CHILD_PATIENCE_S 120.0
/**
 * Waits until the child ends; kills it `patience_s` seconds (0: CLRNN_CHILD_PATIENCE_S) after its last sign
 * of life, and at once where `stop` (or NULL) is set. `ending` is "" where it ended well and logged no error,
 * else how it ended: "crashed with signal 11 (Segmentation fault) while building cl/rnn.cl".
 */
void clrnn_child_wait(struct clrnn_child *child, double patience_s, const volatile sig_atomic_t *stop,
                      char ending[CLRNN_ENDING_SIZE]);

/** Starts `work` in a child and waits for it. CLRNN_INTERRUPTED: `stop` was set. */
enum clrnn_status clrnn_child_run(const struct clrnn_log *log, void (*work)(void *user), void *user,
                                  struct clrnn_child_report *report, double patience_s,
                                  const volatile sig_atomic_t *stop, char ending[CLRNN_ENDING_SIZE]);

#endif
