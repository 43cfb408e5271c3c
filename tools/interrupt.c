// SPDX-License-Identifier: MIT
// A thread that waits for SIGINT and SIGTERM.
#include "tools/interrupt.h"

#include <pthread.h>
#include <stddef.h>
#include <unistd.h>

#include "clrnn/base.h"

static volatile sig_atomic_t asked;

static void *wait_for_signals(void *unused)
{
    sigset_t set;
    int number;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    while (sigwait(&set, &number) == 0) {
        if (asked)
            _exit(clrnn_status_exit(CLRNN_INTERRUPTED));
        asked = 1;
    }
    return unused;
}

const volatile sig_atomic_t *interrupt_catch(void)
{
    pthread_t thread;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL))
        return NULL;
    if (pthread_create(&thread, NULL, wait_for_signals, NULL)) {
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
        return NULL;
    }
    pthread_detach(thread);
    return &asked;
}
