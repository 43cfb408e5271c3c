// SPDX-License-Identifier: MIT
// Fuzz target: a safetensors file; converts every tensor.
#include "formats/safetensors.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct clrnn_safetensors *file;
    enum clrnn_status st;

    fuzz_start();
    st = clrnn_safetensors_open(&fuzz_log, fuzz_safetensors(data, size), &file);
    fuzz_check_status(st);
    if (st != CLRNN_OK)
        return 0;
    for (size_t i = 0; i < file->count; i++) {
        const struct clrnn_safetensor *t = &file->tensor[i];
        double *values = malloc(t->count * sizeof(*values) + 1);

        FUZZ_CHECK(values && clrnn_safetensors_find(file, t->name) == t);
        clrnn_dtype_to_f64(t->dtype, t->data, t->count, values);
        clrnn_dtype_to_f32(t->dtype, t->data, t->count, (float *)(void *)values);
        free(values);
    }
    for (size_t i = 0; i < file->metadata_count; i++)
        FUZZ_CHECK(clrnn_safetensors_metadata(file, file->metadata[i].key) == file->metadata[i].value);
    clrnn_safetensors_close(&file);
    return 0;
}
