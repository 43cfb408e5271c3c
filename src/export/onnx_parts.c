// SPDX-License-Identifier: MIT
// Constants and small groups of ONNX nodes that the operations use.
#include "base/array.h"
#include "base/log.h"
#include "export/onnx_layers.h"

const char *clrnn_onnx_size_of(struct clrnn_onnx *onnx, const char *x, int64_t axis)
{
    return CLRNN_ONNX_NODE(onnx, "Gather", CLRNN_ONNX_NODE(onnx, "Shape", x), clrnn_onnx_integers(onnx, 1, &axis));
}

const char *clrnn_onnx_count_up(struct clrnn_onnx *onnx, const char *x, int64_t axis)
{
    const char *shape = CLRNN_ONNX_NODE(onnx, "Shape", x);
    const char *size = CLRNN_ONNX_NODE(onnx, "Gather", shape, clrnn_onnx_integer(onnx, axis));

    return CLRNN_ONNX_NODE(onnx, "Range", clrnn_onnx_integer(onnx, 0), size, clrnn_onnx_integer(onnx, 1));
}

const char *clrnn_onnx_cast(struct clrnn_onnx *onnx, const char *x, enum clrnn_onnx_type type)
{
    x = CLRNN_ONNX_NODE(onnx, "Cast", x);
    clrnn_onnx_set_integer(onnx, "to", type);
    return x;
}

const char *clrnn_onnx_sum_over(struct clrnn_onnx *onnx, const char *x, unsigned axes, bool keep)
{
    x = CLRNN_ONNX_NODE(onnx, "ReduceSum", x, clrnn_onnx_integers(onnx, axes, (int64_t[]){0, 1}));
    clrnn_onnx_set_integer(onnx, "keepdims", keep);
    return x;
}

const char *clrnn_onnx_reduce(struct clrnn_onnx *onnx, const char *op, const char *x, unsigned axes, bool keep)
{
    x = CLRNN_ONNX_NODE(onnx, op, x);
    clrnn_onnx_set_integers(onnx, "axes", axes, (int64_t[]){0, 1});
    clrnn_onnx_set_integer(onnx, "keepdims", keep);
    return x;
}

const char *clrnn_onnx_concat(struct clrnn_onnx *onnx, const char *a, const char *b, int64_t axis)
{
    a = CLRNN_ONNX_NODE(onnx, "Concat", a, b);
    clrnn_onnx_set_integer(onnx, "axis", axis);
    return a;
}

const char *clrnn_onnx_normalise(struct clrnn_onnx *onnx, const char *x, const char *weight, const char *bias,
                                 double eps)
{
    x = CLRNN_ONNX_NODE(onnx, "LayerNormalization", x, weight, bias);
    clrnn_onnx_set_integer(onnx, "axis", -1);
    clrnn_onnx_set_float(onnx, "epsilon", eps);
    return x;
}

const char *clrnn_onnx_transpose(struct clrnn_onnx *onnx, const char *x, unsigned ndim, const int64_t *perm)
{
    x = CLRNN_ONNX_NODE(onnx, "Transpose", x);
    clrnn_onnx_set_integers(onnx, "perm", ndim, perm);
    return x;
}

const char *clrnn_onnx_fill(struct clrnn_onnx_build *b, const char *x, double fill)
{
    return b->now.mask ? CLRNN_ONNX_NODE(b->onnx, "Where", b->now.mask, x, clrnn_onnx_scalar(b->onnx, fill)) : x;
}

const char *clrnn_onnx_mask(struct clrnn_onnx *onnx, const char *x, const char *lengths)
{
    const char *step = clrnn_onnx_unsqueeze(onnx, clrnn_onnx_count_up(onnx, x, 0), 1);

    return clrnn_onnx_unsqueeze(onnx, CLRNN_ONNX_NODE(onnx, "Less", step, clrnn_onnx_unsqueeze(onnx, lengths, 0)), 2);
}

// ---------------------------------------------------------------- constants

enum clrnn_status clrnn_onnx_add_parameter(struct clrnn_onnx_build *b, size_t entry, bool transposed, const char **name)
{
    const struct clrnn_param *p = &b->program.model->entry[entry].param;
    const size_t rows = p->shape[0], cols = p->ndim == 2 ? p->shape[1] : 1;
    const int64_t plain[] = {(int64_t)rows, (int64_t)p->shape[1], (int64_t)p->shape[2]};
    enum clrnn_status st;
    double *values = clrnn_export_read(b->program.model, entry, &st), *turned = NULL;

    *name = NULL;
    if (values && transposed) {
        turned = malloc(rows * cols * sizeof(*turned));
        if (!turned)
            st = clrnn_error_memory(b->program.model->log, rows * cols * sizeof(*turned), p->name);
        for (size_t i = 0; turned && i < rows * cols; i++)
            turned[i % cols * rows + i / cols] = values[i];
    }
    if (st == CLRNN_OK)
        *name = clrnn_onnx_floats(b->onnx, p->name, transposed ? 2 : p->ndim,
                                  transposed ? (int64_t[]){(int64_t)cols, (int64_t)rows} : plain,
                                  transposed ? turned : values);
    free(values);
    free(turned);
    return st;
}

enum clrnn_status clrnn_onnx_add_ones(struct clrnn_onnx_build *b, int64_t C, const char **name)
{
    double *ones = malloc((size_t)C * sizeof(*ones));

    if (!ones)
        return clrnn_error_memory(b->program.model->log, (size_t)C * sizeof(*ones), "layernorm");
    for (int64_t i = 0; i < C; i++)
        ones[i] = 1;
    *name = clrnn_onnx_floats(b->onnx, NULL, 1, &C, ones);
    free(ones);
    return CLRNN_OK;
}
