// SPDX-License-Identifier: MIT
// The text of the helper functions of exported C code: plain loops over arrays, which compilers vectorise.
#include "base/array.h"
#include "export/c_code.h"

struct helper {
    unsigned bit, needs;
    const char *text;
};

static const char multiply_f32[] = //
    "/* y += W x. W lies column by column. */\n"
    "static void @_multiply(float *y, const float *w, const float *x, int rows, int cols)\n"
    "{\n"
    "    int c, r;\n"
    "\n"
    "    for (c = cols / 4; c > 0; c--, w += 4 * rows, x += 4) {\n"
    "        const float *w1 = w + rows, *w2 = w1 + rows, *w3 = w2 + rows;\n"
    "        const float x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3];\n"
    "\n"
    "        for (r = 0; r < rows; r++)\n"
    "            y[r] += (w[r] * x0 + w1[r] * x1) + (w2[r] * x2 + w3[r] * x3);\n"
    "    }\n"
    "    for (c = cols % 4; c > 0; c--, w += rows, x++)\n"
    "        for (r = 0; r < rows; r++)\n"
    "            y[r] += w[r] * x[0];\n"
    "}\n\n";

static const char multiply_int8[] =
    "/* y += W x with int8 weights: x is quantised to whole numbers up to `levels`, so that sums fit int32. */\n"
    "static void @_multiply(float *y, const int8_t *w, const float *scale, const float *x, int rows, int cols,\n"
    "                       float levels)\n"
    "{\n"
    "    int16_t q[`_WIDEST];\n"
    "    float largest = 0.0f, factor;\n"
    "    int r, c;\n"
    "\n"
    "    for (c = 0; c < cols; c++) {\n"
    "        const float size = x[c] < 0.0f ? -x[c] : x[c];\n"
    "\n"
    "        largest = size > largest ? size : largest;\n"
    "    }\n"
    "    if (!(largest > 1e-30f))\n"
    "        return;\n"
    "    factor = levels / largest;\n"
    "    for (c = 0; c < cols; c++) {\n"
    "        float level = x[c] * factor;\n"
    "\n"
    "        level = level > -levels ? level : -levels;\n"
    "        level = level < levels ? level : levels;\n"
    "        q[c] = (int16_t)(level + (level < 0.0f ? -0.5f : 0.5f));\n"
    "    }\n"
    "    factor = largest / levels;\n"
    "    for (r = 0; r < rows; r++, w += cols) {\n"
    "        int32_t sum = 0;\n"
    "\n"
    "        for (c = 0; c < cols; c++)\n"
    "            sum += (int32_t)w[c] * q[c];\n"
    "        y[r] += (float)sum * (scale[r] * factor);\n"
    "    }\n"
    "}\n\n";

#define POINTWISE(name, expression) \
    "static void @_" name "(float *y, const float *x, int n)\n{\n    int i;\n\n    for (i = 0; i < n; i++)\n" \
    "        y[i] = " expression ";\n}\n\n"

#define WITH_ONE(name, argument, expression) \
    "static void @_" name "(float *y, const float *x, float " argument \
    ", int n)\n{\n    int i;\n\n    for (i = 0; i < n; i++)\n        y[i] = " expression ";\n}\n\n"

// The start of a loop over the `kernel` steps of a window of x [steps, width] that begins at step `at`. `row` points to
// the current step of x; outside the sequence it points to step 0, whose values the loop's body does not read.
#define WINDOW_ROWS \
    "    for (k = 0; k < kernel; k++, at += dilation) {\n" \
    "        const float *row = x + (size_t)(at < 0 || at >= steps ? 0 : at) * (size_t)width;\n\n"

static const struct helper helpers[] = {
    {CLRNN_C_COPY, 0, POINTWISE("copy", "x[i]")},
    {CLRNN_C_ZERO, 0,
     "static void @_zero(float *y, int n)\n{\n    int i;\n\n    for (i = 0; i < n; i++)\n        y[i] = 0.0f;\n}\n\n"},
    {CLRNN_C_FILL, 0,
     "static void @_fill(float *y, float value, int n)\n{\n    int i;\n\n    for (i = 0; i < n; i++)\n"
     "        y[i] = value;\n}\n\n"},
    {CLRNN_C_ADD, 0, POINTWISE("add", "y[i] + x[i]")},
    {CLRNN_C_SUM, 0,
     "static void @_sum(float *y, const float *a, const float *b, int n)\n{\n    int i;\n\n"
     "    for (i = 0; i < n; i++)\n        y[i] = a[i] + b[i];\n}\n\n"},
    {CLRNN_C_LARGEST, 0, POINTWISE("largest", "x[i] > y[i] ? x[i] : y[i]")},
    {CLRNN_C_AFFINE, 0,
     "static void @_affine(float *y, const float *x, const float *mean, const float *factor, const float *shift,\n"
     "                     int n)\n"
     "{\n    int i;\n\n    for (i = 0; i < n; i++)\n"
     "        y[i] = (x[i] - mean[i]) * factor[i] + shift[i];\n}\n\n"},
    {CLRNN_C_LAYERNORM, 0,
     "/* factor and shift may be NULL. */\n"
     "static void @_layernorm(float *y, const float *x, const float *factor, const float *shift, float eps, int n)\n"
     "{\n    float mean = 0.0f, var = 0.0f, scale;\n    int i;\n\n"
     "    for (i = 0; i < n; i++)\n        mean += x[i];\n"
     "    mean /= (float)n;\n"
     "    for (i = 0; i < n; i++)\n        var += (x[i] - mean) * (x[i] - mean);\n"
     "    scale = 1.0f / sqrtf(var / (float)n + eps);\n"
     "    for (i = 0; i < n; i++)\n"
     "        y[i] = (x[i] - mean) * scale * (factor ? factor[i] : 1.0f) + (shift ? shift[i] : 0.0f);\n}\n\n"},
    {CLRNN_C_GROUPNORM, CLRNN_C_LAYERNORM,
     "/* layernorm of each of `groups` parts. */\n"
     "static void @_groupnorm(float *y, const float *x, const float *factor, const float *shift, float eps,\n"
     "                        int groups, int n)\n"
     "{\n    const int size = n / groups;\n    int at;\n\n"
     "    for (at = 0; at < n; at += size)\n"
     "        @_layernorm(y + at, x + at, factor ? factor + at : NULL, shift ? shift + at : NULL, eps, size);\n"
     "}\n\n"},
    {CLRNN_C_TANH1, 0,
     "/* tanh as a quotient of polynomials, without calls and branches, so that loops over it vectorise; its error\n"
     "   is below 4e-7. */\n"
     "static float @_tanh1(float x)\n"
     "{\n    float s, p, q;\n\n"
     "    x = x < -7.90531111f ? -7.90531111f : x;\n"
     "    x = x > 7.90531111f ? 7.90531111f : x;\n"
     "    s = x * x;\n"
     "    p = -2.76076847742355e-16f * s + 2.00018790482477e-13f;\n"
     "    p = p * s - 8.60467152213735e-11f;\n"
     "    p = p * s + 5.12229709037114e-08f;\n"
     "    p = p * s + 1.48572235717979e-05f;\n"
     "    p = p * s + 6.37261928875436e-04f;\n"
     "    p = p * s + 4.89352455891786e-03f;\n"
     "    q = 1.19825839466702e-06f * s + 1.18534705686654e-04f;\n"
     "    q = q * s + 2.26843463243900e-03f;\n"
     "    q = q * s + 4.89352518554385e-03f;\n"
     "    return x * p / q;\n}\n\n"},
    {CLRNN_C_SIGMOID1, CLRNN_C_TANH1,
     "static float @_sigmoid1(float x)\n{\n    return 0.5f + 0.5f * @_tanh1(0.5f * x);\n}\n\n"},
    {CLRNN_C_RELU, 0, POINTWISE("relu", "x[i] < 0.0f ? 0.0f : x[i]")},
    {CLRNN_C_TANH, CLRNN_C_TANH1, POINTWISE("tanh", "@_tanh1(x[i])")},
    {CLRNN_C_SIGMOID, CLRNN_C_SIGMOID1, POINTWISE("sigmoid", "@_sigmoid1(x[i])")},
    {CLRNN_C_ROUND, 0, POINTWISE("round", "rintf(x[i])")},
    {CLRNN_C_LEAKY_RELU, 0, WITH_ONE("leaky_relu", "slope", "x[i] > 0.0f ? x[i] : slope * x[i]")},
    {CLRNN_C_ELU, 0, WITH_ONE("elu", "alpha", "x[i] > 0.0f ? x[i] : alpha * expm1f(x[i])")},
    {CLRNN_C_GELU, 0, POINTWISE("gelu", "0.5f * x[i] * (1.0f + erff(x[i] * 0.707106781f))")},
    {CLRNN_C_GELU_TANH, 0,
     POINTWISE("gelu_tanh",
               "0.5f * x[i] *\n               (1.0f + tanhf(0.797884561f * (x[i] + 0.044715f * x[i] * x[i] * x[i])))")},
    {CLRNN_C_SILU, 0, POINTWISE("silu", "x[i] / (1.0f + expf(-x[i]))")},
    {CLRNN_C_SOFTPLUS, 0,
     "static void @_softplus(float *y, const float *x, float beta, float threshold, int n)\n"
     "{\n    int i;\n\n    for (i = 0; i < n; i++)\n"
     "        y[i] = x[i] * beta > threshold ? x[i] : log1pf(expf(x[i] * beta)) / beta;\n}\n\n"},
    {CLRNN_C_SOFTMAX, 0,
     "static void @_softmax(float *y, const float *x, int n)\n"
     "{\n    float largest = x[0], sum = 0.0f;\n    int i;\n\n"
     "    for (i = 1; i < n; i++)\n        largest = x[i] > largest ? x[i] : largest;\n"
     "    for (i = 0; i < n; i++) {\n        y[i] = expf(x[i] - largest);\n        sum += y[i];\n    }\n"
     "    for (i = 0; i < n; i++)\n        y[i] /= sum;\n}\n\n"},
    {CLRNN_C_LOG_SOFTMAX, 0,
     "static void @_log_softmax(float *y, const float *x, int n)\n"
     "{\n    float largest = x[0], sum = 0.0f;\n    int i;\n\n"
     "    for (i = 1; i < n; i++)\n        largest = x[i] > largest ? x[i] : largest;\n"
     "    for (i = 0; i < n; i++)\n        sum += expf(x[i] - largest);\n"
     "    sum = logf(sum);\n"
     "    for (i = 0; i < n; i++)\n        y[i] = x[i] - largest - sum;\n}\n\n"},
    {CLRNN_C_WINDOW, 0,
     "/* Steps at, at + dilation, ... of x [steps, width] one after the other; zeros outside the sequence. */\n"
     "static void @_window(float *y, const float *x, int steps, int at, int kernel, int dilation, int width)\n"
     "{\n    int k, i;\n\n" WINDOW_ROWS "        if (at >= 0 && at < steps)\n"
     "            for (i = 0; i < width; i++)\n                y[k * width + i] = row[i];\n"
     "        else\n"
     "            for (i = 0; i < width; i++)\n                y[k * width + i] = 0.0f;\n"
     "    }\n}\n\n"},
    {CLRNN_C_WINDOW_LARGEST, 0,
     "/* The largest value of each feature in a window of x [steps, width]. */\n"
     "static void @_window_largest(float *y, const float *x, int steps, int at, int kernel, int dilation,\n"
     "                             int width)\n"
     "{\n    int k, i;\n\n"
     "    for (i = 0; i < width; i++)\n        y[i] = -3.402823466e38f;\n" WINDOW_ROWS
     "        if (at >= 0 && at < steps)\n"
     "            for (i = 0; i < width; i++)\n                y[i] = row[i] > y[i] ? row[i] : y[i];\n"
     "    }\n}\n\n"},
    {CLRNN_C_WINDOW_MEAN, 0,
     "/* The mean of each feature over a window of x [steps, width]; `padded`: padding counts as zeros. */\n"
     "static void @_window_mean(float *y, const float *x, int steps, int at, int kernel, int padded, int width)\n"
     "{\n    const int dilation = 1;\n    int k, i, count = 0;\n\n"
     "    for (i = 0; i < width; i++)\n        y[i] = 0.0f;\n" WINDOW_ROWS
     "        if (at < 0 || at >= steps)\n            continue;\n"
     "        count++;\n"
     "        for (i = 0; i < width; i++)\n            y[i] += row[i];\n"
     "    }\n"
     "    for (i = 0; i < width; i++)\n        y[i] /= (float)(padded ? kernel : count);\n}\n\n"},
    {CLRNN_C_ATTEND, CLRNN_C_TANH1,
     "/* One more step x of a sum weighted by softmax: norm holds the largest score and the sum of weights so far,\n"
     "   both relative to it. The step's score is v . tanh(hidden). */\n"
     "static void @_attend(float *sum, float *norm, const float *hidden, const float *v, const float *x, int size,\n"
     "                     int n)\n"
     "{\n    float score = 0.0f, weight;\n    int i;\n\n"
     "    for (i = 0; i < size; i++)\n        score += v[i] * @_tanh1(hidden[i]);\n"
     "    if (score > norm[0]) {\n"
     "        weight = expf(norm[0] - score);\n"
     "        norm[0] = score;\n        norm[1] *= weight;\n"
     "        for (i = 0; i < n; i++)\n            sum[i] *= weight;\n    }\n"
     "    weight = expf(score - norm[0]);\n    norm[1] += weight;\n"
     "    for (i = 0; i < n; i++)\n        sum[i] += weight * x[i];\n}\n\n"},
};

static const char embed_f32[] =
    "/* Copies a token's row of the table [size, n]; zeros if the table has no such token. */\n"
    "static void @_embed(float *y, const float *table, int32_t token, int32_t size, int n)\n"
    "{\n    const int known = token >= 0 && token < size;\n    int i;\n\n"
    "    for (i = 0; i < n; i++)\n"
    "        y[i] = known ? table[(size_t)token * (size_t)n + (size_t)i] : 0.0f;\n}\n\n";
static const char embed_int8[] =
    "/* Copies a token's row of the table [size, n]; zeros if the table has no such token. */\n"
    "static void @_embed(float *y, const int8_t *table, const float *scale, int32_t token, int32_t size, int n)\n"
    "{\n    const int known = token >= 0 && token < size;\n    int i;\n\n"
    "    for (i = 0; i < n; i++)\n"
    "        y[i] = known ? (float)table[(size_t)token * (size_t)n + (size_t)i] * scale[token] : 0.0f;\n}\n\n";

void clrnn_c_helpers(struct clrnn_c_code *code)
{
    struct clrnn_c_text *t = &code->text;
    unsigned wanted = code->helpers;

    for (size_t i = ARRAY_SIZE(helpers); i-- > 0;) // a helper calls only helpers that precede it in the table
        if (wanted & helpers[i].bit)
            wanted |= helpers[i].needs;
    for (size_t i = 0; i < ARRAY_SIZE(helpers); i++)
        if (wanted & helpers[i].bit)
            clrnn_c_template(t, helpers[i].text);
    if (wanted & CLRNN_C_EMBED)
        clrnn_c_template(t, code->int8 ? embed_int8 : embed_f32);
    if (wanted & CLRNN_C_MULTIPLY) {
        if (code->int8)
            clrnn_c_put(t, "#define `_WIDEST %u /* columns of a matrix */\n\n", code->widest);
        clrnn_c_template(t, code->int8 ? multiply_int8 : multiply_f32);
    }
}
