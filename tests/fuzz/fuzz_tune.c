// SPDX-License-Identifier: MIT
// Fuzz target: a tune file. The input is the content that the file's hash covers, and the target puts the hash before
// it. An input that begins with '{' is the whole file.
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "device/remember/internal.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const bool whole = size && *data == '{';
    const size_t head = 44; // bytes of {"hash": "32 digits",
    char *text = malloc(head + size + 1), hex[33];
    struct clrnn_hash hash;
    const char *why;
    json_t *root;

    FUZZ_CHECK(text);
    clrnn_hash_init(&hash);
    clrnn_hash_add(&hash, data, size);
    clrnn_hash_hex(&hash, hex);
    snprintf(text, head + 1, "{\"hash\": \"%s\",", hex);
    memcpy(text + (whole ? 0 : head), data, size);
    root = clrnn_tune_parse(text, whole ? size : head + size, &why);
    FUZZ_CHECK(root || *why);
    json_decref(root);
    free(text);
    return 0;
}
