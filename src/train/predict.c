// SPDX-License-Identifier: MIT
// Writes predictions batch by batch into a .npy or .csv file or an array, with memory for one batch.
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/words.h"
#include "clrnn/train.h"
#include "formats/npy.h"
#include "train/decode.h"
#include "train/evaluate.h"
#include "train/outputs.h"
#include "train/turns.h"

// The labels decoded from a sample.
struct clrnn_labels {
    uint32_t count;
    int32_t *label;
};

struct prediction {
    struct clrnn_model *model;
    struct clrnn_dataset *dataset;
    enum clrnn_predict_kind kind;
    bool decode; // predict label sequences (ctc): greedily or, if `beam` is not 0, by beam search
    uint32_t beam;
    struct clrnn_labels *found; // [samples] if `decode`, else NULL
    struct clrnn_outputs to;
    bool per_step;
    uint32_t T,  // output steps per sample; 1 unless `per_step`
        outputs; // outputs per step
    struct clrnn_npy_writer *npy;
    struct clrnn_out *csv;
    void *array;     // destination instead of a file
    size_t capacity; // number of elements of `array`
    float *out, *row;
    int64_t *classes;
};

static bool ends_in(const char *text, const char *end)
{
    const size_t length = strlen(text), tail = strlen(end);

    return length >= tail && !strcmp(text + length - tail, end);
}

// ---------------------------------------------------------------- destinations

static enum clrnn_status open_npy(struct prediction *p, uint32_t samples, const char *path)
{
    const bool classes = p->kind == CLRNN_PREDICT_CLASSES;
    size_t shape[3] = {samples};
    unsigned ndim = 1;

    if (p->per_step)
        shape[ndim++] = p->T;
    if (!classes || p->to.labels > 1)
        shape[ndim++] = p->outputs;
    return clrnn_npy_create(p->model->log, path, classes ? CLRNN_DTYPE_I64 : CLRNN_DTYPE_F32, ndim, shape, &p->npy);
}

static enum clrnn_status open_csv(struct prediction *p, const char *path)
{
    const char *word = p->kind == CLRNN_PREDICT_PROBS ? "prob" : p->kind == CLRNN_PREDICT_LOGITS ? "logit" : "label";

    TRY(clrnn_out_open(p->model->log, path, &p->csv));
    clrnn_out_printf(p->csv, p->per_step ? "sample,step" : "sample");
    if (p->kind == CLRNN_PREDICT_CLASSES && p->to.labels == 1)
        clrnn_out_printf(p->csv, ",class");
    else
        for (uint32_t k = 0; k < p->outputs; k++)
            clrnn_out_printf(p->csv, ",%s_%u", word, k);
    return clrnn_out_printf(p->csv, "\n");
}

static enum clrnn_status open_array(const struct prediction *p, uint32_t samples)
{
    const size_t count = (size_t)samples * p->T * (p->kind == CLRNN_PREDICT_CLASSES ? p->to.labels : p->outputs);

    return count == p->capacity ? CLRNN_OK
                                : clrnn_error(p->model->log, CLRNN_ERR_ARG,
                                              "there is room for %zu numbers, expected %zu: the predictions of %u "
                                              "samples",
                                              p->capacity, count, samples);
}

// Writes a comma and a class: its name if it has one, else its index. The name is quoted if CSV requires it.
static void write_class(struct prediction *p, int64_t index)
{
    const char *name = p->to.labels == 1 && index >= 0 ? clrnn_model_class_name(p->model, (uint32_t)index) : NULL;

    if (!name) {
        clrnn_out_printf(p->csv, ",%lld", (long long)index);
        return;
    }
    if (!name[strcspn(name, ",;\t\"\r\n")]) {
        clrnn_out_printf(p->csv, ",%s", name);
        return;
    }
    clrnn_out_printf(p->csv, ",\"");
    for (; *name; name++)
        clrnn_out_printf(p->csv, *name == '"' ? "\"\"" : "%c", *name);
    clrnn_out_printf(p->csv, "\"");
}

// Writes a sample's predictions. Steps beyond the sample's length become zeros, or class -1; CSV has no rows for these
// steps.
static enum clrnn_status write_sample(struct prediction *p, uint32_t sample, const float *x, uint32_t steps)
{
    const uint32_t length = p->per_step ? MIN2(clrnn_dataset_output_length(p->dataset, sample), steps) : 1;
    const bool classes = p->kind == CLRNN_PREDICT_CLASSES;
    const size_t count = (size_t)p->T * (classes ? p->to.labels : p->outputs);
    const size_t bytes = count * (classes ? sizeof(*p->classes) : sizeof(*p->row));
    const void *all = classes ? (const void *)p->classes : p->row;

    memset(p->row, 0, (size_t)p->T * p->outputs * sizeof(*p->row));
    for (size_t i = 0; i < (size_t)p->T * p->to.labels; i++)
        p->classes[i] = -1;
    for (uint32_t t = 0; t < length; t++) {
        const float *from = x + (size_t)t * p->outputs;
        float *to = p->row + (size_t)t * p->outputs;

        if (p->kind == CLRNN_PREDICT_PROBS)
            clrnn_outputs_probs(&p->to, from, to);
        else
            memcpy(to, from, p->outputs * sizeof(*to));
        for (uint32_t o = 0; o < p->to.labels; o++)
            p->classes[(size_t)t * p->to.labels + o] = clrnn_outputs_class(&p->to, from, o);
    }
    if (p->array)
        memcpy((char *)p->array + sample * bytes, all, bytes);
    if (p->array || p->npy)
        return p->npy ? clrnn_npy_append(p->npy, all, count) : CLRNN_OK;
    for (uint32_t t = 0; t < length; t++) {
        clrnn_out_printf(p->csv, p->per_step ? "%u,%u" : "%u", sample, t);
        if (classes)
            for (uint32_t o = 0; o < p->to.labels; o++)
                write_class(p, p->classes[(size_t)t * p->to.labels + o]);
        else
            for (uint32_t k = 0; k < p->outputs; k++)
                clrnn_out_printf(p->csv, ",%.9g", clrnn_unsigned_nan(p->row[(size_t)t * p->outputs + k]));
        TRY(clrnn_out_printf(p->csv, "\n"));
    }
    return CLRNN_OK;
}

// ---------------------------------------------------------------- decoding

static enum clrnn_status decode_sample(struct prediction *p, uint32_t sample, const float *x, uint32_t steps)
{
    const uint32_t length = MIN2(clrnn_dataset_output_length(p->dataset, sample), steps);
    const uint32_t blank = p->model->config->train.loss.blank;
    struct clrnn_labels *found = &p->found[sample];

    found->label = malloc(length * sizeof(*found->label));
    if (!found->label)
        return clrnn_error_memory(p->model->log, length * sizeof(*found->label), "a decoding");
    if (p->beam)
        return clrnn_decode_beam(p->model->log, x, length, p->outputs, blank, p->beam, found->label, &found->count);
    found->count = clrnn_decode_greedy(x, length, p->outputs, blank, found->label);
    return CLRNN_OK;
}

static enum clrnn_status write_labels_npy(struct prediction *p, uint32_t samples, const char *path)
{
    enum clrnn_status st;
    uint32_t longest = 0;
    int64_t *row;

    for (uint32_t s = 0; s < samples; s++)
        longest = MAX2(longest, p->found[s].count);
    row = malloc(MAX2(longest, 1u) * sizeof(*row));
    if (!row)
        return clrnn_error_memory(p->model->log, longest * sizeof(*row), "a decoding");
    st = clrnn_npy_create(p->model->log, path, CLRNN_DTYPE_I64, 2, (size_t[]){samples, longest}, &p->npy);
    for (uint32_t s = 0; s < samples && st == CLRNN_OK; s++) {
        for (uint32_t i = 0; i < longest; i++)
            row[i] = i < p->found[s].count ? p->found[s].label[i] : -1;
        st = clrnn_npy_append(p->npy, row, longest);
    }
    if (st == CLRNN_OK)
        st = clrnn_npy_commit(&p->npy);
    clrnn_npy_abort(&p->npy);
    free(row);
    return st;
}

static enum clrnn_status write_labels_csv(struct prediction *p, uint32_t samples, const char *path)
{
    enum clrnn_status st = clrnn_out_open(p->model->log, path, &p->csv);

    if (st == CLRNN_OK)
        st = clrnn_out_printf(p->csv, "sample,position,class\n");
    for (uint32_t s = 0; s < samples; s++)
        for (uint32_t i = 0; i < p->found[s].count && st == CLRNN_OK; i++)
            st = clrnn_out_printf(p->csv, "%u,%u,%d\n", s, i, (int)p->found[s].label[i]);
    if (st == CLRNN_OK)
        st = clrnn_out_commit(&p->csv);
    clrnn_out_abort(&p->csv);
    return st;
}

// ---------------------------------------------------------------- running

static enum clrnn_status write_batches(struct prediction *p, struct clrnn_turns *turns)
{
    struct clrnn_session *s;

    TRY(clrnn_turns_begin(turns, CLRNN_MODE_PREDICT));
    for (;;) {
        TRY(clrnn_turns_next(turns, &s));
        if (!s)
            return CLRNN_OK;
        TRY(clrnn_plan_read_output(s->plan, p->out));
        for (uint32_t n = 0; n < s->samples; n++)
            TRY((p->decode ? decode_sample : write_sample)(p, clrnn_feed_samples(s->feed)[n],
                                                           p->out + (size_t)n * s->plan->output_steps * p->outputs,
                                                           s->plan->output_steps));
    }
}

static enum clrnn_status run(struct prediction *p, const char *path)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(p->dataset);
    const struct clrnn_session_params params = {
        .model = p->model,
        .set = p->dataset,
        .feed = {.resident_bytes = 1}, // stage batch by batch: each sample is read once
    };
    const size_t batch = MIN2(MAX2(p->model->config->train.batch_size, 1u), info->S);
    const bool csv = path && !ends_in(path, ".npy");
    struct clrnn_turns *turns = NULL;
    enum clrnn_status st;

    p->per_step = p->model->per_step;
    p->outputs = p->model->outputs;
    p->T = p->per_step ? clrnn_model_output_steps(p->model, info->T) : 1;
    p->out = malloc(batch * p->T * p->outputs * sizeof(*p->out));
    p->row = malloc((size_t)p->T * p->outputs * sizeof(*p->row));
    p->classes = malloc((size_t)p->T * p->to.labels * sizeof(*p->classes));
    if (p->decode)
        p->found = calloc(info->S, sizeof(*p->found));
    if (!p->out || !p->row || !p->classes || (p->decode && !p->found))
        return clrnn_error_memory(p->model->log, batch * p->T * p->outputs * sizeof(*p->out), "predictions");
    TRY(clrnn_turns_open(&params, &turns));
    if (p->decode)
        st = CLRNN_OK; // the file is written when the longest label sequence is known
    else
        st = csv ? open_csv(p, path) : path ? open_npy(p, info->S, path) : open_array(p, info->S);
    if (st == CLRNN_OK)
        st = write_batches(p, turns);
    if (st == CLRNN_OK && p->decode)
        st = (csv ? write_labels_csv : write_labels_npy)(p, info->S, path);
    else if (st == CLRNN_OK && path)
        st = csv ? clrnn_out_commit(&p->csv) : clrnn_npy_commit(&p->npy);
    clrnn_npy_abort(&p->npy);
    clrnn_out_abort(&p->csv);
    clrnn_turns_close(&turns);
    return st;
}

// Predicts into the file `path` or, if `path` is NULL, into p.array.
static enum clrnn_status predict(struct prediction p, const struct clrnn_source *source, const char *path)
{
    struct clrnn_source inputs = *source;
    struct clrnn_arrays arrays;
    struct clrnn_dataset *dataset = NULL;
    enum clrnn_status st;

    TRY(clrnn_outputs_init(&p.to, p.model, p.kind));
    inputs.y = inputs.y_lengths = NULL; // targets are not needed, so they may be wrong or missing
    if (source->arrays) {
        arrays = *source->arrays;
        arrays.y.data = arrays.y_lengths.data = NULL;
        inputs.arrays = &arrays;
    }
    TRY(clrnn_open_for(p.model, &inputs, false, &dataset));
    p.dataset = dataset;
    st = run(&p, path);
    free(p.out);
    free(p.row);
    free(p.classes);
    for (uint32_t s = 0; p.found && s < clrnn_dataset_info(dataset)->S; s++)
        free(p.found[s].label);
    free(p.found);
    clrnn_dataset_close(&dataset);
    return st;
}

static enum clrnn_status check_name(const struct clrnn_log *log, const char *out)
{
    if (!ends_in(out, ".npy") && !ends_in(out, ".csv") && !clrnn_is_stream(out))
        return clrnn_error(log, CLRNN_ERR_ARG,
                           "%s: predictions are written as .npy or .csv, onto pipes and devices as CSV", out);
    return CLRNN_OK;
}

enum clrnn_status clrnn_predict(struct clrnn_model *model, const struct clrnn_source *source,
                                enum clrnn_predict_kind kind, const char *out)
{
    CLRNN_C_LOCALE;
    NEED(NULL, model);
    NEED(model->log, source);
    NEED(model->log, out);

    TRY(check_name(model->log, out));
    return predict((struct prediction){.model = model, .kind = kind}, source, out);
}

enum clrnn_status clrnn_predict_labels(struct clrnn_model *model, const struct clrnn_source *source, uint32_t beam,
                                       const char *out)
{
    CLRNN_C_LOCALE;
    NEED(NULL, model);
    NEED(model->log, source);
    NEED(model->log, out);

    if (model->config->train.loss.kind != CLRNN_LOSS_CTC)
        return clrnn_error(model->log, CLRNN_ERR_ARG,
                           "a model trained with %s has nothing to decode: only ctc leaves labels without their steps",
                           clrnn_loss_word(model->config->train.loss.kind));
    TRY(check_name(model->log, out));
    return predict((struct prediction){.model = model, .decode = true, .beam = beam}, source, out);
}

enum clrnn_status clrnn_predict_array(struct clrnn_model *model, const struct clrnn_source *source,
                                      enum clrnn_predict_kind kind, void *out, size_t count)
{
    CLRNN_C_LOCALE;
    NEED(NULL, model);
    NEED(model->log, source);
    NEED(model->log, out);

    return predict((struct prediction){.model = model, .kind = kind, .array = out, .capacity = count}, source, NULL);
}
