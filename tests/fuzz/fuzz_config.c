// SPDX-License-Identifier: MIT
// Fuzz target: a text, read as a YAML tree and as a config. Writing a config and reading it back must
// not change it.
#include <string.h>

#include "base/yaml.h"
#include "clrnn/config.h"
#include "fuzz.h"
#include "model/options.h"

static void check_tree(const char *text)
{
    struct clrnn_node *root;
    enum clrnn_status st;
    char *written;

    fuzz_start();
    st = clrnn_yaml_parse(&fuzz_log, text, "fuzz", &root);
    fuzz_check_status(st);
    if (st != CLRNN_OK)
        return;
    written = clrnn_yaml_text(root);
    FUZZ_CHECK(written);
    free(written);
    clrnn_yaml_destroy(&root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size), *written, *twice;
    struct clrnn_config *config, *again;
    enum clrnn_status st;

    check_tree(text);
    fuzz_start();
    st = clrnn_config_parse(&fuzz_log, text, NULL, &config);
    fuzz_check_status(st);
    free(text);
    if (st != CLRNN_OK)
        return 0;
    written = clrnn_config_text(config);
    FUZZ_CHECK(written);
    fuzz_start();
    st = clrnn_config_parse(&fuzz_log, written, NULL, &again);
    fuzz_check_status(st);
    FUZZ_CHECK(st == CLRNN_OK);
    twice = clrnn_config_text(again);
    FUZZ_CHECK(twice && !strcmp(written, twice));
    free(twice);
    free(written);
    clrnn_config_destroy(&again);
    clrnn_config_destroy(&config);
    return 0;
}
