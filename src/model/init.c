// SPDX-License-Identifier: MIT
// Initial values of the parameters: PyTorch's, Keras's, or what a layer's `init` says.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "base/random.h"
#include "model/layer.h"
#include "model/network.h"

// ---------------------------------------------------------------- choosing each parameter's initialiser

// Sets *name to the parameter's name in its layer, and returns its length without level and direction: for
// "0.weight_ih_l1_reverse" the length of "weight_ih".
static size_t local_name(const struct clrnn_entry *e, const char **name)
{
    const char *point = strrchr(e->param.name, '.'), *level;

    *name = point ? point + 1 : e->param.name;
    level = strstr(*name, "_l");
    while (level && (level[2] < '0' || level[2] > '9'))
        level = strstr(level + 2, "_l");
    return level ? (size_t)(level - *name) : strlen(*name);
}

static bool is_named(const struct clrnn_entry *e, const char *word)
{
    const char *name;
    const size_t length = local_name(e, &name);

    return strlen(word) == length && !strncmp(name, word, length);
}

static bool starts(const struct clrnn_entry *e, const char *word)
{
    const char *name;

    local_name(e, &name);
    return !strncmp(name, word, strlen(word));
}

// Whether this initialiser is defined only for matrices.
static bool needs_matrix(enum clrnn_initializer_kind kind)
{
    return kind >= CLRNN_INITIALIZER_XAVIER_UNIFORM && kind <= CLRNN_INITIALIZER_ORTHOGONAL;
}

// Sets the initialiser that is Keras's default: glorot_uniform for weights, orthogonal for weight_hh, zeros for biases,
// and for embeddings uniform from -0.05 to 0.05. Normalisations keep their default.
static void set_keras(const struct clrnn_layer *layer, struct clrnn_entry *e)
{
    if (layer->kind == CLRNN_LAYER_BATCHNORM || layer->kind == CLRNN_LAYER_LAYERNORM ||
        layer->kind == CLRNN_LAYER_GROUPNORM || starts(e, "gamma_"))
        return;
    if (layer->kind == CLRNN_LAYER_EMBEDDING)
        e->chosen = (struct clrnn_initializer){CLRNN_INITIALIZER_UNIFORM, -0.05, 0.05};
    else if (e->param.ndim < 2 && !is_named(e, "v"))
        e->chosen.kind = CLRNN_INITIALIZER_ZEROS;
    else
        e->chosen.kind = is_named(e, "weight_hh") ? CLRNN_INITIALIZER_ORTHOGONAL : CLRNN_INITIALIZER_XAVIER_UNIFORM;
}

static enum clrnn_status fail(const struct clrnn_model *m, size_t layer, const char *name, const char *what)
{
    char label[1024];

    return clrnn_error(m->log, CLRNN_ERR_CONFIG, "%s: init.%s: %s",
                       clrnn_layer_label(m->config, layer, label, sizeof(label)), name, what);
}

// Sets the initialiser of the layer's parameters with the name `name`; "bias" also means bias_ih and bias_hh. It is an
// error if the layer has no such parameter.
static enum clrnn_status set_named(struct clrnn_model *m, size_t layer, const char *name,
                                   const struct clrnn_initializer *initializer)
{
    const struct clrnn_layer_shape *s = &m->layer[layer];
    bool found = false;

    if (initializer->kind == CLRNN_INITIALIZER_DEFAULT)
        return CLRNN_OK;
    for (size_t i = s->first_entry; i < s->first_entry + s->entry_count; i++) {
        struct clrnn_entry *e = &m->entry[i];
        const bool both = !strcmp(name, "bias") && starts(e, "bias_");

        if (!e->param.trained || !(both || is_named(e, name)))
            continue;
        if (e->param.ndim < 2 && needs_matrix(initializer->kind))
            return fail(m, layer, name,
                        "is a vector, for which only a number, zeros, ones, uniform and normal "
                        "are defined");
        e->chosen = *initializer;
        found = true;
    }
    return found ? CLRNN_OK : fail(m, layer, name, "the layer has no such parameter");
}

static enum clrnn_status set_forget_bias(struct clrnn_model *m, size_t layer)
{
    const struct clrnn_layer_init *init = &m->config->layer[layer].init;
    const struct clrnn_layer_shape *s = &m->layer[layer];
    const double value = !init->forget_default ? init->forget_bias : m->config->init_keras ? 1 : 0;
    bool found = false;

    if (m->config->layer[layer].kind != CLRNN_LAYER_LSTM)
        return CLRNN_OK;
    for (size_t i = s->first_entry; i < s->first_entry + s->entry_count; i++)
        if (is_named(&m->entry[i], "bias_ih")) {
            m->entry[i].forget_bias = value;
            found = true;
        }
    return found || init->forget_default ? CLRNN_OK
                                         : fail(m, layer, "forget_bias", "the layer has no bias_ih (bias: false)");
}

enum clrnn_status clrnn_model_choose_init(struct clrnn_model *m, size_t layer)
{
    const struct clrnn_layer *l = &m->config->layer[layer];
    const struct clrnn_layer_init *init = &l->init;
    const struct clrnn_layer_shape *s = &m->layer[layer];
    const struct {
        const char *name;
        const struct clrnn_initializer *initializer;
    } named[] = {{"weight", &init->weight},       {"weight_ih", &init->weight_ih}, {"weight_hh", &init->weight_hh},
                 {"weight_hr", &init->weight_hr}, {"bias", &init->bias},           {"bias_ih", &init->bias_ih},
                 {"bias_hh", &init->bias_hh},     {"gamma_ih", &init->gamma_ih},   {"gamma_hh", &init->gamma_hh},
                 {"gamma_c", &init->gamma_c},     {"beta_c", &init->beta_c},       {"v", &init->v}};

    for (size_t i = s->first_entry; i < s->first_entry + s->entry_count; i++) {
        struct clrnn_entry *e = &m->entry[i];
        // The gains and the shift of a layer-normalised cell take only an initialiser under their own name, not `all`.
        const bool gain = starts(e, "gamma_") || is_named(e, "beta_c");

        if (e->param.trained && m->config->init_keras)
            set_keras(l, e);
        if (e->param.trained && init->on && init->all.kind && !gain &&
            (e->param.ndim > 1 || !needs_matrix(init->all.kind)))
            e->chosen = init->all;
    }
    for (size_t i = 0; init->on && i < ARRAY_SIZE(named); i++)
        TRY(set_named(m, layer, named[i].name, named[i].initializer));
    return set_forget_bias(m, layer);
}

// ---------------------------------------------------------------- drawing

// Draws out[i], uniformly from `first` up to `second`, from word i of the random-number stream.
static void draw_uniform(const struct clrnn_random *r, double first, double second, size_t count, float *out)
{
    const double half = (second - first) / 2, middle = (second + first) / 2;
    uint32_t words[4];

    for (size_t i = 0; i < count; i++) {
        if (i % 4 == 0)
            clrnn_random_block(r, (uint32_t)(i / 4), words);
        out[i] = (float)((2 * ((double)(words[i % 4] >> 8) * 0x1p-24) - 1) * half + middle);
    }
}

static void draw_normal(const struct clrnn_random *r, double mean, double std, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (float)(mean + std * clrnn_random_normal(r, i));
}

static void fill(double value, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (float)value;
}

static double dot(const double *a, const double *b, size_t count)
{
    double part[8] = {0};
    size_t i = 0;

    for (; i + 8 <= count; i += 8)
        for (size_t k = 0; k < 8; k++)
            part[k] += a[i + k] * b[i + k];
    for (; i < count; i++)
        part[0] += a[i] * b[i];
    return ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
}

// Makes the rows [count, width], count <= width, orthonormal by the Gram-Schmidt process, which is done twice for
// accuracy. The matrix R of this QR decomposition has a positive diagonal, as in torch.nn.init.orthogonal_.
static void orthonormalise(double *row, size_t count, size_t width)
{
    for (size_t i = 0; i < count; i++) {
        double *now = row + i * width, length;

        for (size_t j = 0; j < 2 * i; j++) {
            const double *before = row + j % i * width;
            const double part = dot(now, before, width);

            for (size_t k = 0; k < width; k++)
                now[k] -= part * before[k];
        }
        length = sqrt(dot(now, now, width));
        for (size_t k = 0; k < width; k++)
            now[k] /= length;
    }
}

// Draws a matrix [rows, columns] with orthonormal rows or, if it has fewer columns than rows, with orthonormal columns.
// Returns false if memory runs out.
static bool draw_orthogonal(const struct clrnn_random *r, size_t rows, size_t columns, float *out)
{
    const bool tall = rows > columns;
    const size_t count = tall ? columns : rows, width = tall ? rows : columns;
    double *row = malloc(rows * columns * sizeof(*row));

    if (!row)
        return false;
    for (size_t i = 0; i < count * width; i++)
        row[i] = clrnn_random_normal(r, i);
    orthonormalise(row, count, width);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            out[i * columns + j] = (float)(tall ? row[j * width + i] : row[i * width + j]);
    free(row);
    return true;
}

// Draws the values of a parameter with the initialiser that the config chooses. They are float32 even on the device
// ref, so that all devices start from the same values. Returns false if memory runs out.
static bool draw_chosen(const struct clrnn_entry *e, const struct clrnn_random *r, float *out)
{
    const struct clrnn_initializer *c = &e->chosen;
    const size_t count = e->param.count, rows = MAX2(e->param.shape[0], 1);
    const bool matrix = e->param.ndim > 1; // a vector is treated as one row
    const double in = (double)(matrix ? count / rows : count);
    const double both = in + (matrix ? (double)(count / e->param.shape[1]) : 1), xavier = sqrt(2 / both),
                 kaiming = sqrt(2 / in);

    switch (c->kind) {
    case CLRNN_INITIALIZER_DEFAULT:
        break;
    case CLRNN_INITIALIZER_ZEROS:
    case CLRNN_INITIALIZER_ONES:
        fill(c->kind == CLRNN_INITIALIZER_ONES, count, out);
        break;
    case CLRNN_INITIALIZER_CONSTANT:
        fill(c->first, count, out);
        break;
    case CLRNN_INITIALIZER_XAVIER_UNIFORM:
        draw_uniform(r, -sqrt(3) * xavier, sqrt(3) * xavier, count, out);
        break;
    case CLRNN_INITIALIZER_XAVIER_NORMAL:
        draw_normal(r, 0, xavier, count, out);
        break;
    case CLRNN_INITIALIZER_KAIMING_UNIFORM:
        draw_uniform(r, -sqrt(3) * kaiming, sqrt(3) * kaiming, count, out);
        break;
    case CLRNN_INITIALIZER_KAIMING_NORMAL:
        draw_normal(r, 0, kaiming, count, out);
        break;
    case CLRNN_INITIALIZER_ORTHOGONAL:
        return draw_orthogonal(r, rows, count / rows, out);
    case CLRNN_INITIALIZER_UNIFORM:
        draw_uniform(r, c->first, c->second, count, out);
        break;
    case CLRNN_INITIALIZER_NORMAL:
        draw_normal(r, c->first, c->second, count, out);
        break;
    }
    return true;
}

static void draw_own(const struct clrnn_entry *e, const struct clrnn_random *r, float *out)
{
    switch (e->init) {
    case CLRNN_INIT_UNIFORM:
        draw_uniform(r, -e->bound, e->bound, e->param.count, out);
        break;
    case CLRNN_INIT_NORMAL:
        draw_normal(r, 0, e->bound, e->param.count, out);
        break;
    case CLRNN_INIT_ONE:
    case CLRNN_INIT_ZERO:
        fill(e->init == CLRNN_INIT_ONE, e->param.count, out);
        break;
    }
}

static bool draw(const struct clrnn_model *m, size_t index, float *out)
{
    const struct clrnn_entry *e = &m->entry[index];
    const struct clrnn_random r = {.seed = m->config->train.seed, .stream = RANDOM_INIT, .a = (uint32_t)index};
    const size_t H = e->param.count / 4;

    if (e->chosen.kind == CLRNN_INITIALIZER_DEFAULT)
        draw_own(e, &r, out);
    else if (!draw_chosen(e, &r, out))
        return false;
    if (e->zero_row >= 0)
        memset(out + (size_t)e->zero_row * e->param.shape[1], 0, e->param.shape[1] * sizeof(*out));
    for (size_t i = H; e->forget_bias != 0 && i < 2 * H; i++) // the second quarter: f of gates i, f, g, o
        out[i] = (float)((double)out[i] + e->forget_bias);
    return true;
}

enum clrnn_status clrnn_model_draw(struct clrnn_model *m)
{
    enum clrnn_status st = CLRNN_OK;
    size_t most = 1;
    float *values;

    for (size_t i = 0; i < m->entry_count; i++)
        most = MAX2(most, m->entry[i].param.count);
    values = malloc(most * sizeof(*values));
    if (!values)
        return clrnn_error_memory(m->log, most * sizeof(*values), "drawing parameters");
    for (size_t i = 0; i < m->entry_count && st == CLRNN_OK; i++) {
        if (m->entry[i].param.integer)
            continue; // num_batches_tracked, which is already 0
        st = draw(m, i, values) ? clrnn_buffer_write_f32(m->entry[i].value, 0, m->entry[i].param.count, values)
                                : clrnn_error_memory(m->log, most * sizeof(double), "drawing parameters");
    }
    free(values);
    return st;
}
