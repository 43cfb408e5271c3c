// SPDX-License-Identifier: MIT
// Makes the model's table (model->entry), which lists every parameter and running statistic with PyTorch's name and its
// offset in a flat buffer, and allocates the flat buffers.
#include "model/network.h"
#include "model/options.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "model/layer.h"
#include "base/file.h"
#include "base/log.h"

enum { MAX_TENSORS = 8192 }; // most entries, running statistics included; doc/config.md calls them parameter tensors

const char *clrnn_moment_word(int k)
{
    static const char *const word[3] = {"m", "v", "vmax"};

    return word[k];
}

// Whether the optimiser uses moment k: 0 is m, 1 is v, 2 is vmax.
static bool moment_used(const struct clrnn_train_config *train, int k)
{
    const struct clrnn_optimizer_config *o = &train->optimizer;

    switch (o->kind) {
    case CLRNN_OPTIMIZER_SGD:
        return k == 0 && clrnn_uses_momentum(train);
    case CLRNN_OPTIMIZER_ADAM:
    case CLRNN_OPTIMIZER_ADAMW:
        return k < 2 || o->amsgrad;
    case CLRNN_OPTIMIZER_RMSPROP:
        return k == 0 ? clrnn_uses_momentum(train) : k == 1 || o->centered;
    }
    return false;
}

// ---------------------------------------------------------------- entries

struct table {
    struct clrnn_model *m;
    size_t align_real, align_i32; // alignment of entries, in elements
    size_t state_count, batches_count;
    uint32_t layer;
    bool begins; // the next trained entry is the first of a layer, or of one of a recurrent layer's num_layers
    char prefix[512];
};

static size_t round_up(size_t count, size_t multiple)
{
    return (count + multiple - 1) / multiple * multiple;
}

// Appends an entry of shape [d0, d1]. d1 = 0: a vector of shape [d0]. d0 = 0: an integer scalar.
static enum clrnn_status add(struct table *t, const char *suffix, size_t d0, size_t d1, enum clrnn_init init,
                             double bound)
{
    struct clrnn_model *m = t->m;
    struct clrnn_entry e = {.layer = t->layer, .init = init, .bound = bound, .zero_row = -1};
    char label[1024];

    if (m->entry_count == MAX_TENSORS)
        return clrnn_error(m->log, CLRNN_ERR_CONFIG,
                           "%s: with this layer the model has more than %d parameter tensors, which is the most",
                           clrnn_layer_label(m->config, t->layer, label, sizeof(label)), MAX_TENSORS);
    if (!ARRAY_GROW(m->entry, m->entry_count))
        return clrnn_error_memory(m->log, 2 * m->entry_count * sizeof(*m->entry), "the model's table");
    e.param.ndim = d0 == 0 ? 0 : d1 == 0 ? 1 : 2;
    e.param.shape[0] = d0;
    e.param.shape[1] = d1;
    e.param.count = MAX2(d0, 1) * MAX2(d1, 1);
    e.param.integer = d0 == 0;
    e.param.trained = !e.param.integer && strncmp(suffix, "running_", 8) != 0;
    if (e.param.trained) {
        e.begins = t->begins;
        t->begins = false;
        e.first = m->flat_count;
        m->flat_count += round_up(e.param.count, t->align_real);
    } else if (e.param.integer) {
        e.first = t->batches_count;
        t->batches_count += t->align_i32;
    } else {
        e.first = t->state_count;
        t->state_count += round_up(e.param.count, t->align_real);
    }
    e.param.name = clrnn_format("%s.%s", t->prefix, suffix);
    if (!e.param.name)
        return clrnn_error_memory(m->log, sizeof(t->prefix), "a parameter's name");
    m->entry[m->entry_count++] = e;
    if (m->flat_count > UINT32_MAX)
        return clrnn_error(m->log, CLRNN_ERR_CONFIG,
                           "%s: with this layer the model has more than 2^32 - 1 parameters, which is the most",
                           clrnn_layer_label(m->config, t->layer, label, sizeof(label)));
    return CLRNN_OK;
}

// Adds the gains and the shift of a layer-normalised cell. They have the names that the library haste gives them.
static enum clrnn_status add_cell_norm(struct table *t, const struct clrnn_layer *layer, uint32_t level,
                                       const char *reverse)
{
    static const char *const word[] = {"gamma_ih", "gamma_hh", "gamma_c", "beta_c"};
    const size_t H = layer->hidden_size, GH = clrnn_cell_gates(clrnn_layer_cell(layer->kind)) * H;
    const int count = layer->kind == CLRNN_LAYER_LSTM ? 4 : 2;
    char suffix[64];

    for (int i = 0; i < count; i++) {
        snprintf(suffix, sizeof(suffix), "%s_l%" PRIu32 "%s", word[i], level, reverse);
        TRY(add(t, suffix, i < 2 ? GH : H, 0, i < 3 ? CLRNN_INIT_ONE : CLRNN_INIT_ZERO, 0));
    }
    return CLRNN_OK;
}

static enum clrnn_status add_recurrent(struct table *t, const struct clrnn_layer *layer,
                                       const struct clrnn_layer_shape *s)
{
    const size_t H = layer->hidden_size, P = clrnn_layer_state(layer),
                 GH = clrnn_cell_gates(clrnn_layer_cell(layer->kind)) * H;
    const double bound = 1 / sqrt((double)H);
    char suffix[64];

    for (uint32_t l = 0; l < layer->num_layers; l++)
        for (uint32_t d = 0; d < s->D; d++) {
            const char *reverse = d ? "_reverse" : "";

            t->begins |= !d;
            snprintf(suffix, sizeof(suffix), "weight_ih_l%" PRIu32 "%s", l, reverse);
            TRY(add(t, suffix, GH, l ? P * s->D : s->in, CLRNN_INIT_UNIFORM, bound));
            t->m->entry[t->m->entry_count - 1].late = true;
            snprintf(suffix, sizeof(suffix), "weight_hh_l%" PRIu32 "%s", l, reverse);
            TRY(add(t, suffix, GH, P, CLRNN_INIT_UNIFORM, bound));
            if (layer->bias) {
                snprintf(suffix, sizeof(suffix), "bias_ih_l%" PRIu32 "%s", l, reverse);
                TRY(add(t, suffix, GH, 0, CLRNN_INIT_UNIFORM, bound));
                snprintf(suffix, sizeof(suffix), "bias_hh_l%" PRIu32 "%s", l, reverse);
                TRY(add(t, suffix, GH, 0, CLRNN_INIT_UNIFORM, bound));
            }
            if (layer->proj_size) {
                snprintf(suffix, sizeof(suffix), "weight_hr_l%" PRIu32 "%s", l, reverse);
                TRY(add(t, suffix, P, H, CLRNN_INIT_UNIFORM, bound));
            }
            if (layer->layer_norm)
                TRY(add_cell_norm(t, layer, l, reverse));
        }
    return CLRNN_OK;
}

static enum clrnn_status add_norm(struct table *t, const struct clrnn_layer *layer, size_t C)
{
    if (layer->affine) {
        TRY(add(t, "weight", C, 0, CLRNN_INIT_ONE, 0));
        TRY(add(t, "bias", C, 0, CLRNN_INIT_ZERO, 0));
    }
    if (layer->kind == CLRNN_LAYER_BATCHNORM && layer->track_running_stats) {
        TRY(add(t, "running_mean", C, 0, CLRNN_INIT_ZERO, 0));
        TRY(add(t, "running_var", C, 0, CLRNN_INIT_ONE, 0));
        TRY(add(t, "num_batches_tracked", 0, 0, CLRNN_INIT_ZERO, 0));
    }
    return CLRNN_OK;
}

// Adds weight and bias of a convolution. Initial values are Kaiming-uniform with a = sqrt(5) and a fan-in of C * K,
// that is, uniform from -1 / sqrt(C * K) to 1 / sqrt(C * K).
static enum clrnn_status add_conv(struct table *t, const struct clrnn_layer *layer, size_t C)
{
    const size_t O = layer->out_channels, K = layer->kernel_size;
    const double bound = 1 / sqrt((double)C * (double)K);
    struct clrnn_param *weight;

    TRY(add(t, "weight", O, C * K, CLRNN_INIT_UNIFORM, bound));
    weight = &t->m->entry[t->m->entry_count - 1].param;
    weight->ndim = 3;
    weight->shape[1] = C;
    weight->shape[2] = K;
    return layer->bias ? add(t, "bias", O, 0, CLRNN_INIT_UNIFORM, bound) : CLRNN_OK;
}

static enum clrnn_status add_layer(struct table *t, const struct clrnn_layer *layer, const struct clrnn_layer_shape *s)
{
    const double bound = 1 / sqrt((double)MAX2(s->in, 1)); // Kaiming-uniform with a = sqrt(5)

    switch (layer->kind) {
    case CLRNN_LAYER_RNN:
    case CLRNN_LAYER_LSTM:
    case CLRNN_LAYER_GRU:
        return add_recurrent(t, layer, s);
    case CLRNN_LAYER_BATCHNORM:
    case CLRNN_LAYER_LAYERNORM:
    case CLRNN_LAYER_GROUPNORM:
        return add_norm(t, layer, s->in);
    case CLRNN_LAYER_LINEAR:
        TRY(add(t, "weight", layer->out_features, s->in, CLRNN_INIT_UNIFORM, bound));
        return layer->bias ? add(t, "bias", layer->out_features, 0, CLRNN_INIT_UNIFORM, bound) : CLRNN_OK;
    case CLRNN_LAYER_CONV1D:
        return add_conv(t, layer, s->in);
    case CLRNN_LAYER_ATTENTION_POOL:
        TRY(add(t, "weight", layer->attention_size, s->in, CLRNN_INIT_UNIFORM, bound));
        TRY(add(t, "bias", layer->attention_size, 0, CLRNN_INIT_UNIFORM, bound));
        return add(t, "v", layer->attention_size, 0, CLRNN_INIT_UNIFORM, 1 / sqrt((double)layer->attention_size));
    case CLRNN_LAYER_EMBEDDING:
        TRY(add(t, "weight", layer->num_embeddings, layer->embedding_dim, CLRNN_INIT_NORMAL, 1));
        t->m->entry[t->m->entry_count - 1].zero_row = layer->padding_idx;
        return CLRNN_OK;
    default:
        return CLRNN_OK;
    }
}

static int by_name(const void *a, const void *b)
{
    const struct clrnn_entry *const *x = a, *const *y = b;
    const int order = strcmp((*x)->param.name, (*y)->param.name);

    return order ? order : *x < *y ? -1 : *x > *y;
}

static int names_entry(const void *name, const void *entry)
{
    return strcmp(name, (*(const struct clrnn_entry *const *)entry)->param.name);
}

const struct clrnn_entry *clrnn_model_find(const struct clrnn_model *model, const char *name)
{
    const struct clrnn_entry **found = bsearch(name, model->by_name, model->entry_count, sizeof(*found), names_entry);

    return found ? *found : NULL;
}

// Sorts the entries by name in m->by_name. Reports a model without parameters, and two layers that have a parameter of
// the same name.
static enum clrnn_status sort_names(struct clrnn_model *m)
{
    char a[1024], b[1024];

    if (m->flat_count == 0)
        return clrnn_error(m->log, CLRNN_ERR_CONFIG,
                           "%s%smodel.layers has nothing to train; add a recurrent, "
                           "linear, embedding or normalising layer",
                           m->config->path ? m->config->path : "", m->config->path ? ": " : "");
    m->by_name = malloc(m->entry_count * sizeof(*m->by_name));
    if (!m->by_name)
        return clrnn_error_memory(m->log, m->entry_count * sizeof(*m->by_name), "the model's table");
    for (size_t i = 0; i < m->entry_count; i++)
        m->by_name[i] = &m->entry[i];
    qsort(m->by_name, m->entry_count, sizeof(*m->by_name), by_name);
    for (size_t i = 1; i < m->entry_count; i++) {
        const struct clrnn_entry *first = m->by_name[i - 1], *second = m->by_name[i];

        if (first->layer != second->layer && !strcmp(first->param.name, second->param.name))
            return clrnn_error(m->log, CLRNN_ERR_CONFIG,
                               "%s: %s is already a parameter of %s; give one of the two layers another name",
                               clrnn_layer_label(m->config, second->layer, a, sizeof(a)), second->param.name,
                               clrnn_layer_label(m->config, first->layer, b, sizeof(b)));
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_model_make_table(struct clrnn_model *m)
{
    const size_t align = clrnn_buffer_align(m->device);
    struct table t = {.m = m,
                      .align_real = align / clrnn_type_bytes(m->device, CLRNN_REAL),
                      .align_i32 = align / clrnn_type_bytes(m->device, CLRNN_I32)};

    for (size_t i = 0; i < m->config->layer_count; i++) {
        t.layer = (uint32_t)i;
        t.begins = true;
        clrnn_layer_prefix(m->config, i, t.prefix, sizeof(t.prefix));
        m->layer[i].first_entry = m->entry_count;
        TRY(add_layer(&t, &m->config->layer[i], &m->layer[i]));
        m->layer[i].entry_count = m->entry_count - m->layer[i].first_entry;
        TRY(clrnn_model_choose_init(m, i));
    }
    m->state_count = t.state_count;
    m->batches_count = t.batches_count;
    return sort_names(m);
}

// ---------------------------------------------------------------- buffers

static enum clrnn_status bind_entry(struct clrnn_model *m, struct clrnn_entry *e)
{
    const enum clrnn_type type = e->param.integer ? CLRNN_I32 : CLRNN_REAL;
    struct clrnn_buffer *parent = e->param.trained ? m->params : e->param.integer ? m->batches : m->state;
    const size_t first_byte = e->first * clrnn_type_bytes(m->device, type);

    TRY(clrnn_buffer_sub(parent, first_byte, type, e->param.count, &e->value));
    if (e->param.trained)
        TRY(clrnn_buffer_sub(m->grads, first_byte, type, e->param.count, &e->grad));
    return CLRNN_OK;
}

static enum clrnn_status upload(struct clrnn_device *d, const char *what, const double *value, size_t count,
                                struct clrnn_buffer **buffer)
{
    if (!count)
        return CLRNN_OK;
    TRY(clrnn_buffer_create(d, CLRNN_REAL, count, what, buffer));
    return clrnn_buffer_write_f64(*buffer, 0, count, value);
}

enum clrnn_status clrnn_model_allocate(struct clrnn_model *m)
{
    static const char *const moment[3] = {"the optimiser's first moments", "the optimiser's second moments",
                                          "the optimiser's third moments"};
    const struct clrnn_loss_config *loss = &m->config->train.loss;
    struct clrnn_device *d = m->device;
    const double *quantile;
    size_t quantiles;

    TRY(clrnn_buffer_create(d, CLRNN_REAL, m->flat_count, "parameters", &m->params));
    TRY(clrnn_buffer_create_shared(d, CLRNN_REAL, m->flat_count, "gradients", &m->grads));
    for (int k = 0; k < 3; k++)
        if (moment_used(&m->config->train, k))
            TRY(clrnn_buffer_create(d, CLRNN_REAL, m->flat_count, moment[k], &m->moment[k]));
    if (m->state_count)
        TRY(clrnn_buffer_create(d, CLRNN_REAL, m->state_count, "running statistics", &m->state));
    if (m->batches_count)
        TRY(clrnn_buffer_create(d, CLRNN_I32, m->batches_count, "batch counts", &m->batches));
    TRY(clrnn_buffer_create(d, CLRNN_REAL, HYPER_FIELDS, "step sizes", &m->hyper));
    TRY(clrnn_buffer_create(d, CLRNN_U32, COUNTER_FIELDS, "counters", &m->counter));
    TRY(clrnn_buffer_create_shared(d, CLRNN_REAL, (size_t)CLRNN_RECORD_SLOTS * RECORD_FIELDS, "records", &m->records));
    quantile = clrnn_loss_quantiles(loss, &quantiles);
    TRY(upload(d, "loss weights", loss->weight, loss->weight_count, &m->loss_weight));
    TRY(upload(d, "quantiles", quantile, quantiles, &m->loss_weight));
    TRY(upload(d, "weights of labels", loss->label_weight, loss->label_weight_count, &m->label_weight));
    for (size_t i = 0; i < m->entry_count; i++)
        TRY(bind_entry(m, &m->entry[i]));
    return CLRNN_OK;
}

enum clrnn_status clrnn_model_set_loss_weight(struct clrnn_model *m, const double *weight, size_t count)
{
    struct clrnn_loss_config *loss = &m->config->train.loss;

    loss->weight = malloc(count * sizeof(*loss->weight));
    if (!loss->weight)
        return clrnn_error_memory(m->log, count * sizeof(*loss->weight), "class weights");
    memcpy(loss->weight, weight, count * sizeof(*loss->weight));
    loss->weight_count = count;
    return upload(m->device, "loss weights", weight, count, &m->loss_weight);
}
