// SPDX-License-Identifier: MIT
#include "tools/guard.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/array.h"
#include "clrnn/train.h"
#include "tools/cli.h"

static void report(int number)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"};
    const char *rank = NULL;
    char host[256] = "its host";

    for (size_t i = 0; i < ARRAY_SIZE(names) && !rank; i++)
        rank = getenv(names[i]);
    gethostname(host, sizeof(host) - 1);
    fprintf(
        stderr,
        "clrnn: error: rank %s on %s was ended by signal %d (%s), and the others end with it: `clrnn train "
        "--resume RUN` goes on from the last checkpoint, with any number of processes\n",
        rank ? rank : "?", host, number, strsignal(number));
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
        if (WIFEXITED(status))
            _exit(WEXITSTATUS(status));
        if (WIFSIGNALED(status)) {
            report(WTERMSIG(status));
            _exit(clrnn_status_exit(CLRNN_ERR_DEVICE));
        }
    }
}

void guard_start(void)
{
    static const int passed[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};
    const pid_t own = getpid();
    sigset_t awaited, before;
    pid_t child;

    if (!clrnn_rank_launched())
        return;
    sigemptyset(&awaited);
    for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
        sigaddset(&awaited, passed[i]);
    if (sigprocmask(SIG_BLOCK, &awaited, &before))
        return;
    child = fork();
    if (child > 0)
        watch(child, &awaited);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (child < 0)
        return;    // then nobody watches
    setpgid(0, 0); // the launcher signals the group: what it sends comes once, from the parent
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != own)
        _exit(clrnn_status_exit(CLRNN_ERR_DEVICE));
}
