// SPDX-License-Identifier: MIT
// Fuzz target: the lines of a metrics.jsonl, as a resumed run reads them.
#include <string.h>

#include "fuzz.h"
#include "train/run_folder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint64_t epochs = 1000, steps = UINT32_MAX;

    while (size) {
        const uint8_t *end = memchr(data, '\n', size);
        const size_t length = end ? (size_t)(end - data) + 1 : size;
        struct clrnn_epoch_row row;

        if (clrnn_metrics_line((const char *)data, length, epochs, steps, &row))
            FUZZ_CHECK(row.epoch <= epochs && row.step <= steps);
        data += length;
        size -= length;
    }
    return 0;
}
