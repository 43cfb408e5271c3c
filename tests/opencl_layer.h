// SPDX-License-Identifier: MIT
// Common code of OpenCL layers, which the ICD loader loads by OPENCL_LAYERS. Include it before all other headers.
#ifndef CLRNN_TESTS_OPENCL_LAYER_H
#define CLRNN_TESTS_OPENCL_LAYER_H

#define CL_TARGET_OPENCL_VERSION 120
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#include <CL/cl.h>
#include <CL/cl_layer.h>

#include <string.h>

// The next layer or driver, and this layer's functions. They are global, because a layer is loaded once per process and
// OpenCL passes it no handle.
static const cl_icd_dispatch *layer_next;
static cl_icd_dispatch layer_table;

/** Each layer defines this function. It reads the layer's settings and puts the layer's functions into layer_table. */
static void layer_init(void);

CL_API_ENTRY cl_int CL_API_CALL clGetLayerInfo(cl_layer_info name, size_t size, void *value, size_t *size_ret);
CL_API_ENTRY cl_int CL_API_CALL clInitLayer(cl_uint count, const cl_icd_dispatch *target, cl_uint *count_ret,
                                            const cl_icd_dispatch **layer_ret);

CL_API_ENTRY cl_int CL_API_CALL clGetLayerInfo(cl_layer_info name, size_t size, void *value, size_t *size_ret)
{
    const cl_layer_api_version version = CL_LAYER_API_VERSION_100;

    if (name != CL_LAYER_API_VERSION || (value && size < sizeof(version)))
        return CL_INVALID_VALUE;
    if (value)
        memcpy(value, &version, sizeof(version));
    if (size_ret)
        *size_ret = sizeof(version);
    return CL_SUCCESS;
}

CL_API_ENTRY cl_int CL_API_CALL clInitLayer(cl_uint count, const cl_icd_dispatch *target, cl_uint *count_ret,
                                            const cl_icd_dispatch **layer_ret)
{
    const size_t known = sizeof(layer_table) / sizeof(void *);

    if (!target || !count_ret || !layer_ret)
        return CL_INVALID_VALUE;
    layer_next = target;
    memcpy(&layer_table, target, (count < known ? count : known) * sizeof(void *));
    layer_init();
    *count_ret = (cl_uint)known;
    *layer_ret = &layer_table;
    return CL_SUCCESS;
}

#endif
