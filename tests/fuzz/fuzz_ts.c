// SPDX-License-Identifier: MIT
// Fuzz target: a .ts file.
#include "formats/ts.h"
#include "fuzz.h"

static enum clrnn_status take(void *user, const struct clrnn_ts_case *c)
{
    size_t *cases = user;
    double sum = 0;

    FUZZ_CHECK(c->number == ++*cases && c->dimensions && c->steps);
    for (size_t i = 0; i < c->dimensions * c->steps; i++)
        sum += c->values[i];
    (void)sum;
    FUZZ_CHECK(!c->label || *c->label);
    return CLRNN_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t cases = 0;
    const struct clrnn_ts_sink sink = {&cases, take};
    enum clrnn_status st;

    fuzz_start();
    st = clrnn_ts_stream(&fuzz_log, fuzz_file(data, size), &sink);
    fuzz_check_status(st);
    FUZZ_CHECK(st != CLRNN_OK || cases);
    return 0;
}
