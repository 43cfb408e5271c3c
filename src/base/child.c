// SPDX-License-Identifier: MIT
// Starting, monitoring and killing child processes.
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

#define LOOK_MS 100 // milliseconds between checks of the heartbeat and of *stop

void *clrnn_shared_create(size_t bytes)
{
    void *memory = mmap(NULL, bytes ? bytes : 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

void clrnn_shared_destroy(void *memory, size_t bytes)
{
    if (memory)
        munmap(memory, bytes ? bytes : 1);
}

// ---------------------------------------------------------------- functions that the child calls

void clrnn_child_doing(struct clrnn_child_report *report, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(report->doing, sizeof(report->doing), format, arguments);
    va_end(arguments);
    report->beats++;
}

void clrnn_child_log(void *user, enum clrnn_log_level level, const char *line)
{
    struct clrnn_child_report *report = user;

    if (level == CLRNN_LOG_ERROR && !report->error[0])
        snprintf(report->error, sizeof(report->error), "%s", line);
}

// Prepares a new child process: its signals, and its standard streams.
static void be_child(pid_t parent)
{
    static const int deadly[] = {SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE, SIGTERM, SIGINT};
    sigset_t none;
    int null;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1); // the parent has already ended
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (size_t i = 0; i < sizeof(deadly) / sizeof(*deadly); i++)
        signal(deadly[i], SIG_DFL);
    clrnn_map_catch();       // files that the parent has mapped may shrink while the child reads them
    signal(SIGINT, SIG_IGN); // the parent decides when to stop
    signal(SIGHUP, SIG_IGN);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++) // drivers may print
        dup2(null, fd);
}

// ---------------------------------------------------------------- functions that the parent calls

enum clrnn_status clrnn_child_start(const struct clrnn_log *log, void (*work)(void *user), void *user,
                                    struct clrnn_child_report *report, struct clrnn_child *child)
{
    const pid_t parent = getpid();
    pid_t pid;
    int fd[2];

    *child = (struct clrnn_child){.pid = -1, .report = report, .alive = -1};
    if (pipe2(fd, O_CLOEXEC)) // O_CLOEXEC: compilers that a driver starts must not keep the pipe open
        return clrnn_error(log, CLRNN_ERR_DEVICE, "a pipe to a child process cannot be made: %s", strerror(errno));
    fflush(NULL); // otherwise the child would have, and might write, the same buffered output
    pid = fork();
    if (pid < 0) {
        close(fd[0]);
        close(fd[1]);
        return clrnn_error(log, CLRNN_ERR_DEVICE, "a child process cannot be started: %s", strerror(errno));
    }
    if (pid == 0) {
        close(fd[0]);
        be_child(parent);
        work(user);
        _exit(0); // does not run the exit handlers, which belong to the parent
    }
    close(fd[1]);
    child->pid = pid; // set only in the parent: `child` may be in memory that parent and child share
    child->alive = fd[0];
    return CLRNN_OK;
}

static int64_t now_ms(void)
{
    return (int64_t)(1e3 * clrnn_clock());
}

// Waits until the child ends, and returns true. Returns false if the child must be killed: no heartbeat came for
// `patience_ms`, or *stop is set. In the second case, sets *stopped to true.
static bool watch(const struct clrnn_child *child, int64_t patience_ms, const volatile sig_atomic_t *stop,
                  bool *stopped)
{
    struct pollfd end = {.fd = child->alive, .events = POLLIN};
    int64_t deadline = now_ms() + patience_ms;
    uint32_t beats = child->report->beats;

    for (;;) {
        const int ready = poll(&end, 1, LOOK_MS);

        if (ready > 0 || (ready < 0 && errno != EINTR))
            return true; // the child has closed its end of the pipe
        if (child->report->beats != beats) {
            beats = child->report->beats;
            deadline = now_ms() + patience_ms;
        }
        *stopped = stop && *stop;
        if (*stopped || now_ms() > deadline)
            return false;
    }
}

void clrnn_child_wait(struct clrnn_child *child, double patience_s, const volatile sig_atomic_t *stop,
                      char ending[CLRNN_ENDING_SIZE])
{
    struct clrnn_child_report *r = child->report;
    bool stopped = false, ended;
    char doing[sizeof(r->doing)] = "";
    int status = 0;

    ending[0] = 0;
    if (child->pid < 0)
        return;
    if (patience_s <= 0)
        patience_s = CLRNN_CHILD_PATIENCE_S;
    ended = watch(child, (int64_t)(patience_s * 1e3), stop, &stopped);
    if (!ended)
        kill(child->pid, SIGKILL);
    close(child->alive);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        ;
    child->pid = child->alive = -1;
    r->error[sizeof(r->error) - 1] = 0; // a faulty driver may have overwritten the final NUL
    if (r->doing[0])
        snprintf(doing, sizeof(doing), " while %.100s", r->doing);
    if (stopped)
        snprintf(ending, CLRNN_ENDING_SIZE, "stopped%s", doing);
    else if (!ended)
        snprintf(ending, CLRNN_ENDING_SIZE, "hung for %.3g s%s", patience_s, doing);
    else if (WIFSIGNALED(status))
        snprintf(ending, CLRNN_ENDING_SIZE, "crashed with signal %d (%s)%s", WTERMSIG(status),
                 strsignal(WTERMSIG(status)), doing);
    else if (WEXITSTATUS(status))
        snprintf(ending, CLRNN_ENDING_SIZE, "ended the process with status %d%s", WEXITSTATUS(status), doing);
    else if (r->error[0])
        snprintf(ending, CLRNN_ENDING_SIZE, "%.300s", r->error);
}

enum clrnn_status clrnn_child_run(const struct clrnn_log *log, void (*work)(void *user), void *user,
                                  struct clrnn_child_report *report, double patience_s,
                                  const volatile sig_atomic_t *stop, char ending[CLRNN_ENDING_SIZE])
{
    struct clrnn_child child;

    TRY(clrnn_child_start(log, work, user, report, &child));
    clrnn_child_wait(&child, patience_s, stop, ending);
    return stop && *stop ? CLRNN_INTERRUPTED : CLRNN_OK;
}
