// SPDX-License-Identifier: MIT
// Measures the connection between rank 0 and the last rank (processes), by the functions that training sends with.
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "clrnn/train.h"
#include "train/ranks.h"

#define BYTES ((size_t)8 << 20)
#define ROUNDS 5

// Sends `bytes` bytes from rank 0 to the last rank and back. Lowers *seconds to the time in one direction, half of the
// time taken, if it is less than *seconds.
static enum clrnn_status there_and_back(const struct clrnn_log *log, void *data, size_t bytes, double *seconds)
{
    const uint32_t last = clrnn_ranks_count() - 1;
    const double start = clrnn_clock();

    if (!clrnn_ranks_own()) {
        TRY(clrnn_ranks_send(log, CLRNN_CHANNEL_MAIN, last, 0, data, bytes));
        TRY(clrnn_ranks_receive(log, CLRNN_CHANNEL_MAIN, last, 0, data, bytes));
    } else if (clrnn_ranks_own() == last) {
        TRY(clrnn_ranks_receive(log, CLRNN_CHANNEL_MAIN, 0, 0, data, bytes));
        TRY(clrnn_ranks_send(log, CLRNN_CHANNEL_MAIN, 0, 0, data, bytes));
    }
    *seconds = fmin(*seconds, (clrnn_clock() - start) / 2);
    return CLRNN_OK;
}

enum clrnn_status clrnn_rank_network(const struct clrnn_log *log, struct clrnn_network *network)
{
    NEED(log, network);

    double small = INFINITY, large = INFINITY;
    enum clrnn_status st = CLRNN_OK;
    char *data;

    *network = (struct clrnn_network){0};
    if (clrnn_ranks_count() == 1)
        return CLRNN_OK;
    data = calloc(1, BYTES);
    if (!data)
        return clrnn_error_memory(log, BYTES, "measuring the network");
    for (int round = 0; round < ROUNDS && st == CLRNN_OK; round++) {
        st = there_and_back(log, data, 1, &small);
        if (st == CLRNN_OK)
            st = there_and_back(log, data, BYTES, &large);
    }
    free(data);
    network->latency_s = small;
    network->bytes_per_s = (double)BYTES / fmax(large - small, 1e-9);
    return st;
}
