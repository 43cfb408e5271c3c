// SPDX-License-Identifier: MIT
// Fuzz target: assignments as --set takes them, one a line, on a config.
#include <string.h>

#include "clrnn/config.h"
#include "fuzz.h"

static const char base[] =
    "model: {layers: [{embedding: {num_embeddings: 9, embedding_dim: 4}}, {lstm: {hidden_size: 4}}, "
    "{pool: {over: last}}, batchnorm, {dropout: {p: 0.5}}, {linear: {out_features: 2}}]}\n"
    "train: {loss: cross_entropy, optimizer: adam, scheduler: {step_lr: {step_size: 3}}}\n"
    "data: {train: {x: x.npy, y: y.npy}, valid_fraction: 0.1}\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size), *rest = text, *line;
    struct clrnn_config *config;

    FUZZ_CHECK(clrnn_config_parse(NULL, base, NULL, &config) == CLRNN_OK);
    for (int i = 0; i < 2 && (line = strsep(&rest, "\n")); i++) {
        fuzz_start();
        fuzz_check_status(clrnn_config_set(&fuzz_log, config, line));
    }
    clrnn_config_destroy(&config);
    free(text);
    return 0;
}
