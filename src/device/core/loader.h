// SPDX-License-Identifier: MIT
// The functions of OpenCL and CLBlast that clRNN calls. Both libraries are loaded at run time (dlopen): the reference
// device works without them, and a message can name a missing library. Macros replace each function's name by a pointer
// in the table clrnn_loaded.
#ifndef CLRNN_SRC_DEVICE_LOADER_H
#define CLRNN_SRC_DEVICE_LOADER_H

#define CL_TARGET_OPENCL_VERSION 200
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS // for clCreateCommandQueue: devices with OpenCL 1.2 lack its successor
#include <CL/cl.h>
#include <CL/cl_ext.h>
#include <clblast_c.h>

// clang-format off
#define CLRNN_LOADED_FUNCTIONS(X) \
    X(clBuildProgram) X(clCreateBuffer) X(clCreateCommandQueue) X(clCreateContext) X(clCreateKernel) \
    X(clCreateProgramWithBinary) X(clCreateProgramWithSource) X(clCreateSubBuffer) X(clEnqueueCopyBuffer) \
    X(clEnqueueFillBuffer) X(clEnqueueMapBuffer) X(clEnqueueMarkerWithWaitList) X(clEnqueueNDRangeKernel) \
    X(clEnqueueReadBuffer) X(clEnqueueUnmapMemObject) X(clEnqueueWriteBuffer) X(clFinish) X(clFlush) \
    X(clGetDeviceIDs) X(clGetDeviceInfo) X(clGetEventInfo) X(clGetEventProfilingInfo) X(clGetKernelArgInfo) \
    X(clGetKernelInfo) X(clGetKernelWorkGroupInfo) X(clGetPlatformIDs) X(clGetPlatformInfo) \
    X(clGetProgramBuildInfo) X(clGetProgramInfo) X(clReleaseCommandQueue) X(clReleaseContext) \
    X(clReleaseEvent) X(clReleaseKernel) X(clReleaseMemObject) X(clReleaseProgram) X(clSetKernelArg) \
    X(clWaitForEvents) X(CLBlastOverrideParameters) X(CLBlastSgemm)
// OpenCL 2.0 functions; their pointers are NULL if the ICD loader is older
#define CLRNN_OPTIONAL_FUNCTIONS(X) X(clSVMAlloc) X(clSVMFree)
// clang-format on

/** Pointers to the functions of both lists, all NULL until clrnn_opencl_load has succeeded. */
struct clrnn_loaded_functions {
#define X(name) __typeof__(name) *name;
    CLRNN_LOADED_FUNCTIONS(X)
    CLRNN_OPTIONAL_FUNCTIONS(X)
#undef X
};
extern struct clrnn_loaded_functions clrnn_loaded;

/**
 * Loads the ICD loader (not yet its drivers) and CLBlast. Does nothing if an earlier call has succeeded. Any thread may
 * call this function. Returns NULL on success, otherwise text with the reason (to be freed); "" if memory is short.
 */
char *clrnn_opencl_load(void);

// loader.c needs the original names and defines CLRNN_LOADER_C
#ifndef CLRNN_LOADER_C
#define clBuildProgram clrnn_loaded.clBuildProgram
#define clCreateBuffer clrnn_loaded.clCreateBuffer
#define clCreateCommandQueue clrnn_loaded.clCreateCommandQueue
#define clCreateContext clrnn_loaded.clCreateContext
#define clCreateKernel clrnn_loaded.clCreateKernel
#define clCreateProgramWithBinary clrnn_loaded.clCreateProgramWithBinary
#define clCreateProgramWithSource clrnn_loaded.clCreateProgramWithSource
#define clCreateSubBuffer clrnn_loaded.clCreateSubBuffer
#define clEnqueueCopyBuffer clrnn_loaded.clEnqueueCopyBuffer
#define clEnqueueFillBuffer clrnn_loaded.clEnqueueFillBuffer
#define clEnqueueMapBuffer clrnn_loaded.clEnqueueMapBuffer
#define clEnqueueMarkerWithWaitList clrnn_loaded.clEnqueueMarkerWithWaitList
#define clEnqueueNDRangeKernel clrnn_loaded.clEnqueueNDRangeKernel
#define clEnqueueReadBuffer clrnn_loaded.clEnqueueReadBuffer
#define clEnqueueUnmapMemObject clrnn_loaded.clEnqueueUnmapMemObject
#define clEnqueueWriteBuffer clrnn_loaded.clEnqueueWriteBuffer
#define clFinish clrnn_loaded.clFinish
#define clFlush clrnn_loaded.clFlush
#define clGetDeviceIDs clrnn_loaded.clGetDeviceIDs
#define clGetDeviceInfo clrnn_loaded.clGetDeviceInfo
#define clGetEventInfo clrnn_loaded.clGetEventInfo
#define clGetEventProfilingInfo clrnn_loaded.clGetEventProfilingInfo
#define clGetKernelArgInfo clrnn_loaded.clGetKernelArgInfo
#define clGetKernelInfo clrnn_loaded.clGetKernelInfo
#define clGetKernelWorkGroupInfo clrnn_loaded.clGetKernelWorkGroupInfo
#define clGetPlatformIDs clrnn_loaded.clGetPlatformIDs
#define clGetPlatformInfo clrnn_loaded.clGetPlatformInfo
#define clGetProgramBuildInfo clrnn_loaded.clGetProgramBuildInfo
#define clGetProgramInfo clrnn_loaded.clGetProgramInfo
#define clReleaseCommandQueue clrnn_loaded.clReleaseCommandQueue
#define clReleaseContext clrnn_loaded.clReleaseContext
#define clReleaseEvent clrnn_loaded.clReleaseEvent
#define clReleaseKernel clrnn_loaded.clReleaseKernel
#define clReleaseMemObject clrnn_loaded.clReleaseMemObject
#define clReleaseProgram clrnn_loaded.clReleaseProgram
#define clSetKernelArg clrnn_loaded.clSetKernelArg
#define clSVMAlloc clrnn_loaded.clSVMAlloc
#define clSVMFree clrnn_loaded.clSVMFree
#define clWaitForEvents clrnn_loaded.clWaitForEvents
#define CLBlastOverrideParameters clrnn_loaded.CLBlastOverrideParameters
#define CLBlastSgemm clrnn_loaded.CLBlastSgemm
#endif

#endif
