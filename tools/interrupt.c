// SPDX-License-Identifier: MIT
// A thread that waits for SIGINT, SIGTERM, SIGUSR1 and SIGHUP.
#include "tools/interrupt.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include "base/temporary.h"
#include "clrnn/base.h"

static sigset_t awaited;
static sem_t started;
static volatile sig_atomic_t asked, is_watched, is_ignored_now; // is_watched: the program checks `asked`

// Tells the user that the program ends only after the current step, which may take long.
static void say_that_it_waits(void)
{
    static const char text[] = "clrnn: asked to stop, but still waiting for the device, or for data that are "
                               "being read; interrupt again to end at once\n";

    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
        return; // stderr is closed
}

static void *wait_for_signals(void *unused)
{
    const struct timespec patience = {.tv_sec = 3};
    int number;

    sem_post(&started);
    do
        sigwait(&awaited, &number);
    while (is_ignored_now);
    if (is_watched) {
        asked = 1;
        number = sigtimedwait(&awaited, NULL, &patience);
        if (number < 0 && !is_ignored_now)
            say_that_it_waits();
        while (number < 0 || is_ignored_now)
            sigwait(&awaited, &number);
    }
    clrnn_temporary_remove_all();
    _exit(clrnn_status_exit(CLRNN_INTERRUPTED));
    return unused;
}

static bool is_ignored(int number)
{
    struct sigaction action;

    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

void interrupt_start(void)
{
    pthread_t thread;
    sigset_t blocked;

    signal(SIGXFSZ, SIG_IGN);
    sigemptyset(&awaited);
    sigaddset(&awaited, SIGINT);
    sigaddset(&awaited, SIGTERM);
    sigaddset(&awaited, SIGUSR1);
    if (!is_ignored(SIGHUP))
        sigaddset(&awaited, SIGHUP);
    blocked = awaited;
    sigaddset(&blocked, SIGXFSZ); // LLVM installs a handler for SIGXFSZ that ends the process
    if (pthread_sigmask(SIG_BLOCK, &blocked, NULL))
        return;
    if (sem_init(&started, 0, 0) || pthread_create(&thread, NULL, wait_for_signals, NULL)) {
        pthread_sigmask(SIG_UNBLOCK, &awaited, NULL);
        return;
    }
    pthread_detach(thread);
    // Wait until the thread runs: a process forked earlier would inherit locks that a starting thread holds, such as
    // AddressSanitizer's.
    while (sem_wait(&started))
        continue;
}

const volatile sig_atomic_t *interrupt_flag(void)
{
    is_watched = 1;
    return &asked;
}

void interrupt_ignore(void)
{
    is_ignored_now = 1;
}
