// SPDX-License-Identifier: MIT
// A device's speed: the time of one fixed training step (CLRNN_STEP_MODEL). It is the part "speed" of the device's file
// of measurements: {"model": ..., "step_ms": ...}.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "device/remember/internal.h"

double clrnn_device_step_ms(const struct clrnn_device_info *info)
{
    char *path = info && info->type != CLRNN_DEVICE_REF ? clrnn_tune_path(info) : NULL;
    json_t *root = NULL;
    const json_t *speed;
    const char *model;
    double ms;

    if (path)
        clrnn_tune_load_file(NULL, path, &root); // no warning: opening the device warns of a bad file
    speed = json_object_get(root, "speed");
    model = json_string_value(json_object_get(speed, "model"));
    ms = json_number_value(json_object_get(speed, "step_ms"));
    if (!model || strcmp(model, CLRNN_STEP_MODEL) != 0 || !isfinite(ms) || ms <= 0)
        ms = NAN;
    json_decref(root);
    free(path);
    return ms;
}

enum clrnn_status clrnn_device_keep_step_ms(const struct clrnn_log *log, const struct clrnn_device_info *info,
                                            double step_ms)
{
    NEED(log, info);

    json_t *changes, *root = NULL;
    enum clrnn_status st;

    if (info->type == CLRNN_DEVICE_REF)
        return clrnn_error(log, CLRNN_ERR_ARG, "ref's speed is not kept; name a device");
    if (!isnan(step_ms) && (!isfinite(step_ms) || step_ms <= 0))
        return clrnn_error(log, CLRNN_ERR_ARG, "a step of %g ms cannot be", step_ms);
    changes = isnan(step_ms) ? json_pack("{s:{}}", "speed")
                             : json_pack("{s:{s:s, s:f}}", "speed", "model", CLRNN_STEP_MODEL, "step_ms", step_ms);
    st =
        changes ? clrnn_tune_update(log, info, false, changes, &root) : clrnn_error_memory(log, 0, "what was measured");
    json_decref(changes);
    json_decref(root);
    return st;
}
