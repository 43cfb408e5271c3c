// SPDX-License-Identifier: MIT
// Fuzz target: a model file, from which a model is made on the reference device.
#include "clrnn/device.h"
#include "fuzz.h"
#include "model/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct clrnn_device *device;
    const struct clrnn_device_params params = {.log = &fuzz_log, .select = "ref"};
    struct clrnn_progress_state state;
    struct clrnn_model *model;
    enum clrnn_status st;

    if (!device)
        FUZZ_CHECK(clrnn_device_open(&params, &device) == CLRNN_OK);
    fuzz_start();
    st = clrnn_checkpoint_read(device, fuzz_safetensors(data, size), &model, size & 1 ? &state : NULL);
    fuzz_check_status(st);
    FUZZ_CHECK(!model == (st != CLRNN_OK));
    clrnn_model_destroy(&model);
    return 0;
}
