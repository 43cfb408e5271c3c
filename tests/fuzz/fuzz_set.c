// SPDX-License-Identifier: MIT
// Fuzz target: one or two assignments to a config as --set takes them, one on each line.
#include <stdbool.h>
#include <string.h>

#include "clrnn/config.h"
#include "fuzz.h"

// The config is small, since every assignment writes and reads all of it. It has a list, nested maps and paths.
static const char base[] = "{model: {layers: [{linear: {out_features: 1}}]}, train: {loss: mse, optimizer: adam}, "
                           "data: {train: {x: x.npy, y: y.npy}}}";

// The config is parsed again only after an input has changed it. A refused assignment leaves the config unchanged.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct clrnn_config *config;
    char *text = fuzz_text(data, size), *rest = text, *line;
    bool changed = false;

    if (!config)
        FUZZ_CHECK(clrnn_config_parse(NULL, base, NULL, &config) == CLRNN_OK);
    for (int i = 0; i < 2 && (line = strsep(&rest, "\n")); i++) {
        enum clrnn_status st;

        fuzz_start();
        st = clrnn_config_set(&fuzz_log, config, line);
        fuzz_check_status(st);
        changed |= st == CLRNN_OK;
    }
    if (changed)
        clrnn_config_destroy(&config);
    free(text);
    return 0;
}
