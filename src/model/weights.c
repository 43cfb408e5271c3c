// SPDX-License-Identifier: MIT
// State dicts: compares the tensors of a file with the model's table (model->entry), loads them, and collects the
// table's tensors for a file.
#include "model/weights.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/log.h"
#include "base/words.h"
#include "model/layer.h"

bool clrnn_weights_fits(const struct clrnn_safetensor *t, unsigned ndim, const size_t *shape)
{
    if (t->ndim != ndim)
        return false;
    for (unsigned i = 0; i < ndim; i++)
        if (t->shape[i] != shape[i])
            return false;
    return true;
}

// Whether all values are finite. If not, *first and *value are index and value of the first one that is not.
static bool all_finite(const void *values, bool wide, size_t count, size_t *first, double *value)
{
    for (size_t i = 0; i < count; i++) {
        *first = i;
        *value = wide ? ((const double *)values)[i] : (double)((const float *)values)[i];
        if (!isfinite(*value))
            return false;
    }
    return true;
}

enum clrnn_status clrnn_weights_load(struct clrnn_model *model, const struct clrnn_safetensors *file,
                                     const struct clrnn_safetensor *t, struct clrnn_buffer *buffer, size_t first)
{
    const bool ref = clrnn_type_bytes(model->device, CLRNN_REAL) == sizeof(double);
    const size_t bytes = MAX2(t->count, 1) * (ref ? sizeof(double) : sizeof(float));
    void *values = malloc(bytes);
    enum clrnn_status st;
    double value;
    size_t bad;

    if (!values)
        return clrnn_error_memory(model->log, bytes, t->name);
    if (ref)
        clrnn_dtype_to_f64(t->dtype, t->data, t->count, values);
    else
        clrnn_dtype_to_f32(t->dtype, t->data, t->count, values);
    st = clrnn_safetensors_check(model->log, file);
    if (st != CLRNN_OK)
        ;
    else if (!all_finite(values, ref, t->count, &bad, &value))
        st = clrnn_error(model->log, CLRNN_ERR_DATA,
                         "%s: the tensor %s holds %g at element %zu (counted from 0), expected finite numbers: the "
                         "run that wrote it diverged; take an earlier checkpoint",
                         file->path, t->name, clrnn_unsigned_nan(value), bad);
    else if (ref)
        st = clrnn_buffer_write_f64(buffer, first, t->count, values);
    else
        st = clrnn_buffer_write_f32(buffer, first, t->count, values);
    free(values);
    return st;
}

static enum clrnn_status load_count(struct clrnn_model *m, const struct clrnn_safetensors *file,
                                    const struct clrnn_safetensor *t, struct clrnn_entry *e)
{
    int64_t value;
    int32_t batches;

    clrnn_dtype_to_i64(t->dtype, t->data, 1, &value);
    if (value < 0 || value > INT32_MAX)
        return clrnn_error(m->log, CLRNN_ERR_DATA, "%s: %s is %lld, expected 0 to %d", file->path, t->name,
                           (long long)value, INT32_MAX);
    batches = (int32_t)value;
    return clrnn_buffer_write_i32(e->value, 0, 1, &batches);
}

// ---------------------------------------------------------------- comparing a file with the model

// Lists of the names of missing, extra and wrongly shaped tensors, which are joined to one sentence.
struct lists {
    char *text[3];
    size_t size[3], count[3];
    FILE *stream[3];
};
enum { MISSING, EXTRA, MISSHAPEN, MOST_NAMED = 50 };

static bool lists_init(struct lists *l)
{
    memset(l, 0, sizeof(*l));
    for (int i = 0; i < 3; i++) {
        l->stream[i] = clrnn_text_open(&l->text[i], &l->size[i]);
        if (!l->stream[i])
            return false;
    }
    return true;
}

static void lists_finish(struct lists *l)
{
    for (int i = 0; i < 3; i++) {
        if (l->stream[i])
            fclose(l->stream[i]);
        free(l->text[i]);
    }
}

static void list_name(struct lists *l, int which, const char *name)
{
    if (l->count[which]++ < MOST_NAMED)
        fprintf(l->stream[which], "%s%s", l->count[which] > 1 ? ", " : "", name);
}

static void list_shape(FILE *stream, unsigned ndim, const size_t *shape)
{
    fputc('[', stream);
    for (unsigned i = 0; i < ndim; i++)
        fprintf(stream, "%s%zu", i ? ", " : "", shape[i]);
    fputc(']', stream);
}

static bool is_parameter(const struct clrnn_safetensors *file, const char *name)
{
    if (!strcmp(name, CLRNN_INPUT_MEAN) || !strcmp(name, CLRNN_INPUT_STD) || !strcmp(name, CLRNN_TARGET_MEAN) ||
        !strcmp(name, CLRNN_TARGET_STD) || !strcmp(name, CLRNN_LOSS_WEIGHT))
        return false;
    return !clrnn_safetensors_metadata(file, CLRNN_FORMAT_KEY) ||
           strncmp(name, CLRNN_OPTIM_PREFIX, strlen(CLRNN_OPTIM_PREFIX)) != 0;
}

// Compares the tensors of a file with the model's table (model->entry). Adds the missing, extra and wrongly shaped
// tensors to the lists, and returns how many tensors fit.
static size_t compare(const struct clrnn_model *m, const struct clrnn_safetensors *file, struct lists *l)
{
    size_t fit = 0;

    for (size_t i = 0; i < m->entry_count; i++) {
        const struct clrnn_param *p = &m->entry[i].param;
        const struct clrnn_safetensor *t = clrnn_safetensors_find(file, p->name);

        if (!t && p->integer)
            // As PyTorch does: older state dicts have no num_batches_tracked, which then starts from 0.
            continue;
        if (!t) {
            list_name(l, MISSING, p->name);
        } else if (!clrnn_weights_fits(t, p->ndim, p->shape)) {
            list_name(l, MISSHAPEN, p->name);
            if (l->count[MISSHAPEN] > MOST_NAMED)
                continue;
            fputc(' ', l->stream[MISSHAPEN]);
            list_shape(l->stream[MISSHAPEN], t->ndim, t->shape);
            fputs(" (expected ", l->stream[MISSHAPEN]);
            list_shape(l->stream[MISSHAPEN], p->ndim, p->shape);
            fputc(')', l->stream[MISSHAPEN]);
        } else {
            fit++;
        }
    }
    for (size_t i = 0; i < file->count; i++)
        if (is_parameter(file, file->tensor[i].name) && !clrnn_model_find(m, file->tensor[i].name))
            list_name(l, EXTRA, file->tensor[i].name);
    return fit;
}

// Returns a text such as "missing a, b; extra c; wrongly shaped d [3] (expected [4])", which the caller frees. NULL:
// out of memory.
static char *describe(struct lists *l)
{
    static const char *const word[3] = {"missing ", "extra ", "wrongly shaped "};
    char *text = NULL;
    size_t size;
    FILE *stream = clrnn_text_open(&text, &size);
    bool any = false;

    if (!stream)
        return NULL;
    for (int i = 0; i < 3; i++) {
        fflush(l->stream[i]);
        if (!l->count[i])
            continue;
        fprintf(stream, "%s%s%s", any ? "; " : "", word[i], l->text[i] ? l->text[i] : "");
        if (l->count[i] > MOST_NAMED)
            fprintf(stream, " and %zu more", l->count[i] - MOST_NAMED);
        any = true;
    }
    clrnn_text_close(stream, &text);
    return text;
}

static enum clrnn_status judge(const struct clrnn_model *m, const struct clrnn_safetensors *file, bool partial,
                               size_t fit, struct lists *l)
{
    enum clrnn_status st = CLRNN_OK;
    char *text;

    if (!l->count[MISSING] && !l->count[EXTRA] && !l->count[MISSHAPEN])
        return CLRNN_OK;
    text = describe(l);
    if (!text)
        return clrnn_error_memory(m->log, 0, "a list of tensors");
    if (!partial)
        st = clrnn_error(m->log, CLRNN_ERR_DATA, "%s does not fit the model: %s", file->path, text);
    else if (!fit)
        st = clrnn_error(m->log, CLRNN_ERR_DATA, "%s: nothing in it fits the model: %s", file->path, text);
    else
        clrnn_log(m->log, CLRNN_LOG_WARNING, "%s fits in part, %zu tensors were loaded: %s", file->path, fit, text);
    free(text);
    return st;
}

enum clrnn_status clrnn_weights_load_all(struct clrnn_model *model, const struct clrnn_safetensors *file, bool partial)
{
    enum clrnn_status st;
    struct lists l;

    if (lists_init(&l))
        st = judge(model, file, partial, compare(model, file, &l), &l);
    else
        st = clrnn_error_memory(model->log, 0, "a list of tensors");
    lists_finish(&l);
    TRY(st);
    model->writes++;
    for (size_t i = 0; i < model->entry_count; i++) {
        struct clrnn_entry *e = &model->entry[i];
        const struct clrnn_safetensor *t = clrnn_safetensors_find(file, e->param.name);

        if (!t || !clrnn_weights_fits(t, e->param.ndim, e->param.shape))
            continue;
        if (e->param.integer)
            TRY(load_count(model, file, t, e));
        else
            TRY(clrnn_weights_load(model, file, t, e->value, 0));
    }
    return CLRNN_OK;
}

// Checks `values`, which has C means and then C standard deviations.
static enum clrnn_status check_moments(const struct clrnn_model *model, const struct clrnn_safetensors *file,
                                       const struct clrnn_safetensor *const tensor[2], const double *values, size_t C)
{
    for (size_t i = 0; i < 2 * C; i++)
        if (!(fabs(values[i]) <= (double)FLT_MAX) || (i >= C && values[i] < 0))
            return clrnn_error(model->log, CLRNN_ERR_DATA,
                               "%s: the tensor %s holds %g at element %zu (counted from 0), expected %s", file->path,
                               tensor[i / C]->name, clrnn_unsigned_nan(values[i]), i % C,
                               i < C ? "finite numbers" : "deviations, finite and not negative");
    return CLRNN_OK;
}

enum clrnn_status clrnn_weights_load_moments(struct clrnn_model *model, const struct clrnn_safetensors *file,
                                             bool target, bool *found)
{
    const struct clrnn_safetensor *const tensor[2] = {
        clrnn_safetensors_find(file, target ? CLRNN_TARGET_MEAN : CLRNN_INPUT_MEAN),
        clrnn_safetensors_find(file, target ? CLRNN_TARGET_STD : CLRNN_INPUT_STD)};
    const size_t C = target ? model->targets : model->shape.features;
    const bool wanted = target ? clrnn_model_wants_target_normalization(model) : !model->shape.tokens;
    enum clrnn_status st;
    double *values;

    *found = wanted && tensor[0] && tensor[1] && clrnn_weights_fits(tensor[0], 1, &C) &&
             clrnn_weights_fits(tensor[1], 1, &C);
    if (!*found)
        return CLRNN_OK;
    values = malloc(2 * C * sizeof(*values));
    if (!values)
        return clrnn_error_memory(model->log, 2 * C * sizeof(*values), tensor[0]->name);
    for (size_t i = 0; i < 2; i++)
        clrnn_dtype_to_f64(tensor[i]->dtype, tensor[i]->data, C, values + i * C);
    st = check_moments(model, file, tensor, values, C);
    if (st == CLRNN_OK)
        st = (target ? clrnn_model_set_target_normalization : clrnn_model_set_normalization)(model, values, values + C);
    free(values);
    return st;
}

// Warns if a file has moments that the model does not use. mean, std: names of the moments in the file. what: what they
// normalise. key: the config's key for this normalisation. used: whether the model uses the moments.
static void warn_of_moments(const struct clrnn_model *model, const struct clrnn_safetensors *file, const char *mean,
                            const char *std, const char *what, const char *key, bool used)
{
    if (!used && clrnn_safetensors_find(file, mean))
        clrnn_log(model->log, CLRNN_LOG_WARNING,
                  "%s was trained on normalised %s, but the config has no '%s: standard': its %s and %s are not loaded",
                  file->path, what, key, mean, std);
}

enum clrnn_status clrnn_model_init(struct clrnn_model *model, const char *path, bool partial)
{
    NEED(NULL, model);
    NEED(model->log, path);

    struct clrnn_safetensors *file;
    enum clrnn_status st;
    bool found = false;

    TRY(clrnn_safetensors_open(model->log, path, &file));
    st = clrnn_weights_load_all(model, file, partial);
    if (st == CLRNN_OK)
        st = clrnn_weights_load_moments(model, file, true, &found);
    if (st == CLRNN_OK && model->config->data.standard)
        st = clrnn_weights_load_moments(model, file, false, &found);
    if (st == CLRNN_OK) {
        warn_of_moments(model, file, CLRNN_INPUT_MEAN, CLRNN_INPUT_STD, "data", "normalize",
                        model->config->data.standard);
        if (clrnn_loss_is_regression(model->config->train.loss.kind)) // other losses have no use for the targets' units
            warn_of_moments(model, file, CLRNN_TARGET_MEAN, CLRNN_TARGET_STD, "targets", "normalize_targets",
                            clrnn_model_wants_target_normalization(model));
    }
    clrnn_safetensors_close(&file);
    return st;
}

// ---------------------------------------------------------------- collecting

enum clrnn_status clrnn_bundle_init(struct clrnn_bundle *bundle, struct clrnn_model *model)
{
    *bundle = (struct clrnn_bundle){.model = model};
    return clrnn_safetensors_writer_create(model->log, &bundle->writer);
}

void clrnn_bundle_finish(struct clrnn_bundle *bundle)
{
    clrnn_safetensors_writer_destroy(&bundle->writer);
    for (size_t i = 0; i < bundle->count; i++)
        free(bundle->data[i]);
    free(bundle->data);
    *bundle = (struct clrnn_bundle){0};
}

// Allocates memory that the bundle owns and frees.
static enum clrnn_status hold(struct clrnn_bundle *b, size_t bytes, const char *name, void **data)
{
    if (!ARRAY_GROW(b->data, b->count))
        return clrnn_error_memory(b->model->log, 2 * b->count * sizeof(*b->data), name);
    *data = malloc(MAX2(bytes, 1));
    if (!*data)
        return clrnn_error_memory(b->model->log, bytes, name);
    b->data[b->count++] = *data;
    return CLRNN_OK;
}

enum clrnn_status clrnn_bundle_real(struct clrnn_bundle *bundle, const char *name, unsigned ndim, const size_t *shape,
                                    struct clrnn_buffer *buffer, size_t first)
{
    const bool wide = !bundle->single && clrnn_type_bytes(bundle->model->device, CLRNN_REAL) == sizeof(double);
    size_t count = 1;
    void *data;

    for (unsigned i = 0; i < ndim; i++)
        count *= shape[i];
    TRY(hold(bundle, count * (wide ? sizeof(double) : sizeof(float)), name, &data));
    if (wide)
        TRY(clrnn_buffer_read_f64(buffer, first, count, data));
    else
        TRY(clrnn_buffer_read_f32(buffer, first, count, data));
    return clrnn_safetensors_add(bundle->writer, name, wide ? CLRNN_DTYPE_F64 : CLRNN_DTYPE_F32, ndim, shape, data);
}

enum clrnn_status clrnn_bundle_doubles(struct clrnn_bundle *bundle, const char *name, size_t count,
                                       const double *values)
{
    void *data;

    TRY(hold(bundle, count * sizeof(*values), name, &data));
    memcpy(data, values, count * sizeof(*values));
    return clrnn_safetensors_add(bundle->writer, name, CLRNN_DTYPE_F64, 1, &count, data);
}

enum clrnn_status clrnn_bundle_weights(struct clrnn_bundle *bundle)
{
    for (size_t i = 0; i < bundle->model->entry_count; i++) {
        const struct clrnn_entry *e = &bundle->model->entry[i];
        int32_t batches;
        void *data;

        if (!e->param.integer) {
            TRY(clrnn_bundle_real(bundle, e->param.name, e->param.ndim, e->param.shape, e->value, 0));
            continue;
        }
        TRY(hold(bundle, sizeof(int64_t), e->param.name, &data));
        TRY(clrnn_buffer_read_i32(e->value, 0, 1, &batches));
        *(int64_t *)data = batches;
        TRY(clrnn_safetensors_add(bundle->writer, e->param.name, CLRNN_DTYPE_I64, 0, NULL, data));
    }
    return CLRNN_OK;
}

static enum clrnn_status export_weights(struct clrnn_bundle *bundle, const char *path)
{
    bundle->single = true; // float32 on any device, like the parameters of PyTorch's modules
    TRY(clrnn_bundle_weights(bundle));
    TRY(clrnn_safetensors_add_metadata(bundle->writer, "format", "pt"));
    return clrnn_safetensors_write(bundle->writer, path);
}

enum clrnn_status clrnn_model_export(struct clrnn_model *model, const char *path)
{
    NEED(NULL, model);
    NEED(model->log, path);

    struct clrnn_bundle bundle;
    enum clrnn_status st = clrnn_bundle_init(&bundle, model);

    if (st == CLRNN_OK)
        st = export_weights(&bundle, path);
    clrnn_bundle_finish(&bundle);
    return st;
}
