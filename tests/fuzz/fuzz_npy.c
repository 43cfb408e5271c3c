// SPDX-License-Identifier: MIT
// Fuzz target: an .npy file; reads every element as every type.
#include "formats/npy.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct clrnn_npy *npy;
    enum clrnn_status st;
    char text[160];

    fuzz_start();
    st = clrnn_npy_open(&fuzz_log, fuzz_file(data, size), &npy);
    fuzz_check_status(st);
    if (st != CLRNN_OK)
        return 0;
    for (size_t first = 0; first < npy->count; first += 512) {
        const size_t count = npy->count - first < 512 ? npy->count - first : 512;
        double f64[512];
        float f32[512];
        int64_t i64[512];

        clrnn_npy_read_f32(npy, first, count, f32);
        clrnn_npy_read_f64(npy, first, count, f64);
        clrnn_npy_read_i64(npy, first, count, i64);
    }
    clrnn_npy_describe(npy, text, sizeof(text));
    fuzz_check_status(clrnn_npy_check(&fuzz_log, npy));
    clrnn_npy_close(&npy);
    return 0;
}
