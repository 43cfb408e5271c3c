// SPDX-License-Identifier: MIT
#include "tools/guard.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/child.h"
#include "clrnn/train.h"
#include "tools/cli.h"

static bool *joined; // in memory that guard and child share; see guard_joined

static void report(int number)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"};
    const char *rank = NULL;
    char host[256] = "its host";

    for (size_t i = 0; i < ARRAY_SIZE(names) && !rank; i++)
        rank = getenv(names[i]);
    gethostname(host, sizeof(host) - 1);
    fprintf(stderr,
            "clrnn: error: rank %s on %s was ended by signal %d (%s), and the others end with it: `clrnn train "
            "--resume RUN` goes on from the last checkpoint, with any number of processes\n",
            rank ? rank : "?", host, number, strsignal(number));
}

// Waits, for a second at most, until the launcher has read this process's stderr. When the launcher ends all processes,
// it loses output that it has not read.
static void wait_for_reader(void)
{
    const struct timespec moment = {.tv_nsec = 10000000};
    int unread;

    for (int i = 0; i < 100 && !ioctl(STDERR_FILENO, FIONREAD, &unread) && unread > 0; i++)
        nanosleep(&moment, NULL);
}

// Asks MPICH's launcher, by its protocol PMI, to end all processes, as MPI_Abort does. MPICH's launcher does not notice
// that a process ends before MPI_Init, so the other ranks would wait. Other launchers need no request: they see the
// nonzero status.
static void end_all(int status)
{
    const char *fd = getenv("PMI_FD");
    char line[64];

    if (!fd)
        return;
    wait_for_reader();
    snprintf(line, sizeof(line), "cmd=abort exitcode=%d\n", status);
    if (send(atoi(fd), line, strlen(line), MSG_NOSIGNAL) < 0)
        return; // the launcher has ended
}

static void watch(pid_t child, const sigset_t *awaited)
{
    siginfo_t info;
    int status;

    for (;;) {
        if (sigwaitinfo(awaited, &info) < 0)
            continue;
        if (info.si_signo != SIGCHLD) {
            kill(child, info.si_signo);
            continue;
        }
        if (waitpid(child, &status, WNOHANG) != child)
            continue;
        if (WIFEXITED(status)) {
            if (WEXITSTATUS(status) && !(joined && *joined))
                end_all(WEXITSTATUS(status));
            _exit(WEXITSTATUS(status));
        }
        if (WIFSIGNALED(status)) {
            report(WTERMSIG(status));
            end_all(clrnn_status_exit(CLRNN_ERR_DEVICE));
            _exit(clrnn_status_exit(CLRNN_ERR_DEVICE));
        }
    }
}

void guard_start(void)
{
    static const int passed[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};
    const pid_t own = getpid();
    sigset_t awaited, own_alone;
    pid_t child;

    if (!clrnn_rank_launched())
        return;
    sigemptyset(&awaited);
    for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
        sigaddset(&awaited, passed[i]);
    if (sigprocmask(SIG_BLOCK, &awaited, NULL))
        return;
    joined = clrnn_shared_create(sizeof(*joined));
    child = fork();
    if (child > 0)
        watch(child, &awaited);
    sigemptyset(&own_alone);
    sigaddset(&own_alone, SIGUSR2);
    sigaddset(&own_alone, SIGCHLD);
    sigprocmask(SIG_UNBLOCK, &own_alone, NULL);
    if (child < 0)
        return; // fork failed: go on without a guard
    // the launcher signals the guard's group; the child is in another, so each signal comes once
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != own)
        _exit(clrnn_status_exit(CLRNN_ERR_DEVICE));
}

void guard_joined(void)
{
    if (joined)
        *joined = true;
}
