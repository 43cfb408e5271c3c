// SPDX-License-Identifier: MIT
// Matrix multiplies by CLBlast, queued without waiting.
#include "device/gemm/internal.h"
#include "device/list/internal.h"

#include <stdlib.h>

/** Returns the name of a CLBlast error code; codes above -1000 are OpenCL error codes. */
static const char *clblast_error_name(int status)
{
    switch (status) {
#define X(name) \
    case name: \
        return #name;
        X(CLBlastNotImplemented)
        X(CLBlastInvalidMatrixA)
        X(CLBlastInvalidMatrixB)
        X(CLBlastInvalidMatrixC)
        X(CLBlastInvalidVectorX)
        X(CLBlastInvalidVectorY)
        X(CLBlastInvalidDimension)
        X(CLBlastInvalidLeadDimA)
        X(CLBlastInvalidLeadDimB)
        X(CLBlastInvalidLeadDimC)
        X(CLBlastInvalidIncrementX)
        X(CLBlastInvalidIncrementY)
        X(CLBlastInsufficientMemoryA)
        X(CLBlastInsufficientMemoryB)
        X(CLBlastInsufficientMemoryC)
        X(CLBlastInsufficientMemoryX)
        X(CLBlastInsufficientMemoryY)
        X(CLBlastInsufficientMemoryTemp)
        X(CLBlastInvalidBatchCount)
        X(CLBlastInvalidOverrideKernel)
        X(CLBlastMissingOverrideParameter)
        X(CLBlastInvalidLocalMemUsage)
        X(CLBlastNoHalfPrecision)
        X(CLBlastNoDoublePrecision)
        X(CLBlastInvalidVectorScalar)
        X(CLBlastInsufficientMemoryScalar)
        X(CLBlastDatabaseError)
        X(CLBlastUnknownError)
        X(CLBlastUnexpectedError)
#undef X
    default:
        return clrnn_cl_error_name(status);
    }
}

static enum clrnn_status run_clblast(struct clrnn_launches *launches, struct clrnn_launch *l, cl_event *event)
{
    struct clrnn_device *d = launches->device;
    const struct clrnn_gemm *g = l->gemm;
    const CLBlastStatusCode status = CLBlastSgemm(
        CLBlastLayoutRowMajor, g->transpose_a ? CLBlastTransposeYes : CLBlastTransposeNo,
        g->transpose_b ? CLBlastTransposeYes : CLBlastTransposeNo, g->M, g->N, g->K, g->alpha, g->a->mem, g->a_offset,
        g->a_ld, g->b->mem, g->b_offset, g->b_ld, g->beta, g->c->mem, g->c_offset, g->c_ld, &d->queue, event);

    if (status == CLBlastSuccess)
        return CLRNN_OK;
    return clrnn_error(d->log,
                       status == CLBlastTempBufferAllocFailure || status == CLBlastOpenCLOutOfHostMemory
                           ? CLRNN_ERR_MEMORY
                       : status == CLBlastOpenCLBuildProgramFailure ? CLRNN_ERR_BUILD
                                                                    : CLRNN_ERR_DEVICE,
                       "%s: multiply %s, on %s: CLBlastSgemm failed with %s (%d)", l->info.op, l->info.shape,
                       d->info.name, clblast_error_name(status), (int)status);
}

enum clrnn_status clrnn_gemm_clblast_append(struct clrnn_launches *launches, const struct clrnn_gemm *gemm)
{
    struct clrnn_gemm *kept = malloc(sizeof(*kept));
    struct clrnn_launch *l;
    enum clrnn_status st;

    if (!kept)
        return clrnn_error_memory(launches->device->log, sizeof(*kept), "a launch");
    *kept = *gemm;
    st = clrnn_launches_add(launches, run_clblast, "gemm", clrnn_gemm_cost(gemm), &l);
    if (st != CLRNN_OK) {
        free(kept);
        return st;
    }
    l->gemm = l->owned = kept;
    l->operand[0] = gemm->a;
    l->operand[1] = gemm->b;
    l->operand[2] = gemm->c;
    clrnn_gemm_shape(gemm, l->info.shape);
    return CLRNN_OK;
}
