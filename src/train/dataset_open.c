// SPDX-License-Identifier: MIT
// Opens a data set: finds what the config requires, opens the files, and checks their shapes.
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/glob.h"
#include "base/words.h"
#include "clrnn/train.h"
#include "model/layer.h"
#include "train/dataset_advice.h"

#define MAX_EXTENT ((size_t)INT32_MAX) // largest number of samples, steps or features: 32 bits count them

static struct clrnn_data_goal find_goal(const struct clrnn_config *config)
{
    const enum clrnn_loss_kind loss = config->train.loss.kind;
    struct clrnn_data_goal goal = {
        .per_step = clrnn_layers_per_step(config),
        .classes = !clrnn_loss_is_real(loss),
        .ctc = loss == CLRNN_LOSS_CTC,
        .blank = config->train.loss.blank,
        .binary = loss == CLRNN_LOSS_BCE_WITH_LOGITS,
        .ignore = config->train.loss.ignore_index,
        .missing = config->data.missing_ignore,
    };

    if (config->layer_count && config->layer[0].kind == CLRNN_LAYER_EMBEDDING) {
        goal.tokens = true;
        goal.vocabulary = config->layer[0].num_embeddings;
    }
    return goal;
}

// Sets S, T and C from the shape of X: (N, T, C) or (N, C); for tokens (N, T) or (N, T, 1).
static enum clrnn_status find_shape(struct clrnn_dataset *d)
{
    const struct clrnn_npy *x = d->x;
    char text[128];

    clrnn_npy_describe(x, text, sizeof(text));
    if (d->info.tokens) {
        if (x->ndim != 2 && !(x->ndim == 3 && x->shape[2] == 1))
            return clrnn_error(d->log, CLRNN_ERR_DATA,
                               "%s: holds %s, expected integers (N, T), since the first layer is an embedding",
                               d->x_path, text);
    } else if (x->ndim != 2 && x->ndim != 3) {
        return clrnn_error(d->log, CLRNN_ERR_DATA,
                           "%s: holds %s, expected (N, T, C): samples, steps, features; or (N, C), taken as T = 1%s",
                           d->x_path, text, clrnn_x_advice(x));
    }
    for (unsigned i = 0; i < x->ndim; i++)
        if (x->shape[i] == 0 || x->shape[i] > MAX_EXTENT)
            return clrnn_error(d->log, CLRNN_ERR_DATA, "%s: holds %s, each extent must lie in 1 to %zu", d->x_path,
                               text, MAX_EXTENT);
    d->info.S = (uint32_t)x->shape[0];
    d->info.T = d->info.tokens || x->ndim == 3 ? (uint32_t)x->shape[1] : 1;
    d->info.C = d->info.tokens ? 0 : (uint32_t)x->shape[x->ndim - 1];
    return CLRNN_OK;
}

// Reports that y does not have exactly one target for each output of the last layer.
static enum clrnn_status wrong_targets(const struct clrnn_dataset *d, const char *text)
{
    const struct clrnn_dataset_info *info = &d->info;
    char shape[64];

    if (d->goal.per_step && info->y_T > 1)
        snprintf(shape, sizeof(shape), "(%u, %u, %u)", info->S, info->y_T, info->targets);
    else
        snprintf(shape, sizeof(shape), "(%u, %u)", info->S, info->targets);
    return clrnn_error(d->log, CLRNN_ERR_DATA,
                       "%s: holds %s, expected %s: a target for each of the last layer's outputs; for one "
                       "target use out_features: 1%s",
                       d->y_path, text, shape, d->goal.binary ? ", for classes the loss cross_entropy" : "");
}

// Opens y and checks its shape. `outputs`: number of outputs of the model's last layer.
static enum clrnn_status open_y(struct clrnn_dataset *d, const struct clrnn_array *array, uint32_t outputs)
{
    const struct clrnn_dataset_info *info = &d->info;
    const bool steps = d->goal.per_step;
    const struct clrnn_npy *y;
    size_t expected[3] = {info->S}, has[3] = {0};
    unsigned ndim = 1, count = 1;
    char text[128], advice[256];

    TRY(clrnn_dataset_open_array(d, array, d->y_path, &d->y));
    y = d->y;
    clrnn_npy_describe(y, text, sizeof(text));
    if (y->ndim < 1 || y->shape[0] != info->S)
        return clrnn_error(
            d->log, CLRNN_ERR_DATA, "%s: holds %s, but %s has %u samples: both must have the same number%s", d->y_path,
            text, d->x_path, info->S, clrnn_samples_advice(d->x, y->ndim ? y->shape[0] : 0, advice, sizeof(advice)));
    if (d->goal.ctc) {
        if (y->ndim != 2 || y->shape[1] < 1 || y->shape[1] > MAX_EXTENT)
            return clrnn_error(
                d->log, CLRNN_ERR_DATA,
                "%s: holds %s, expected (%u, L): with train.loss: ctc the labels of each sample, of which "
                "the first y_lengths count",
                d->y_path, text, info->S);
        d->info.y_T = (uint32_t)y->shape[1];
        return CLRNN_OK;
    }
    if (steps && info->y_T > 1)
        expected[ndim++] = info->y_T;
    if (info->targets > 1)
        expected[ndim++] = info->targets;
    for (unsigned i = 1; i < y->ndim; i++) // (N, 1) counts as (N), (N, T, 1) as (N, T), (N, 1, O) as (N, O)
        if (y->shape[i] != 1 && count++ < 3)
            has[count - 1] = y->shape[i];
    if (count == ndim && has[1] == expected[1] && has[2] == expected[2])
        return CLRNN_OK;
    if (info->targets > 1)
        return wrong_targets(d, text);
    if (steps && info->y_T > 1)
        return clrnn_error(d->log, CLRNN_ERR_DATA,
                           "%s: holds %s, expected (%u, %u): without a pool layer there is a prediction for every "
                           "step%s, and y needs one for each; for one prediction a sample add `- pool: {over: last}`",
                           d->y_path, text, info->S, info->y_T, d->steps ? " that the windows over time leave" : "");
    return clrnn_error(d->log, CLRNN_ERR_DATA, "%s: holds %s, expected one value a sample: (%u) or (%u, 1)%s",
                       d->y_path, text, info->S, info->S,
                       clrnn_y_advice(y, info->T, d->goal.classes ? 0 : outputs, advice, sizeof(advice)));
}

static enum clrnn_status open_npy(struct clrnn_dataset *d, const struct clrnn_config *config,
                                  const struct clrnn_source *source, const char *folder)
{
    const struct clrnn_arrays *a = source->arrays;
    enum clrnn_status st = CLRNN_OK;

    d->x_path = clrnn_dataset_name_array(d, a ? &a->x : NULL, folder, source->x, "X", &st);
    d->y_path = clrnn_dataset_name_array(d, a ? &a->y : NULL, folder, source->y, "y", &st);
    d->lengths_path = clrnn_dataset_name_array(d, a ? &a->lengths : NULL, folder, source->lengths, "lengths", &st);
    TRY(st);
    if (!d->x_path)
        return clrnn_error(d->log, CLRNN_ERR_DATA, "%s data: there is no array X", d->name);
    TRY(clrnn_dataset_open_array(d, a ? &a->x : NULL, d->x_path, &d->x));
    TRY(find_shape(d));
    if (d->lengths_path)
        TRY(clrnn_dataset_open_lengths(d, a ? &a->lengths : NULL));
    d->info.has_lengths = d->length;
    d->info.y_steps = d->goal.per_step;
    TRY(clrnn_dataset_find_steps(d, config));
    d->info.targets = clrnn_dataset_count_targets(config, d);
    if (d->y_path)
        TRY(open_y(d, a ? &a->y : NULL, clrnn_layers_width(config, config->layer_count, d->info.C, d->info.T)));
    if (d->y_path && d->goal.ctc)
        TRY(clrnn_dataset_open_y_lengths(d, source, folder));
    d->info.has_y = d->y;
    return CLRNN_OK;
}

static enum clrnn_status open_synthetic(struct clrnn_dataset *d, const struct clrnn_config *config,
                                        const struct clrnn_source *source)
{
    d->synthetic = true;
    d->seed = source->seed;
    d->info.S = MAX2(source->samples, 1u);
    d->info.T = MAX2(source->steps, 1u);
    d->info.C = d->info.tokens ? 0 : MAX2(source->features, 1u);
    d->info.has_y = true;
    d->info.y_steps = d->goal.per_step;
    d->info.targets = clrnn_dataset_count_targets(config, d);
    TRY(clrnn_dataset_find_steps(d, config));
    return d->goal.ctc ? clrnn_dataset_make_y_lengths(d) : CLRNN_OK;
}

// Sets x_path and y_path, the names of X and y in messages, if X and y are in one file or are synthetic.
static enum clrnn_status name_paths(struct clrnn_dataset *d, const struct clrnn_source *source, const char *folder)
{
    const char *ts = clrnn_source_ts(source), *file = ts ? ts : source->csv;

    if (!source->synthetic && !file)
        return CLRNN_OK;
    d->x_path = source->synthetic ? clrnn_format("synthetic data") : clrnn_path_join(folder, file);
    d->y_path = d->x_path ? clrnn_format("%s", d->x_path) : NULL;
    return d->y_path ? CLRNN_OK : clrnn_error_memory(d->log, 0, "paths of the data");
}

enum clrnn_status clrnn_dataset_open(const struct clrnn_log *log, const struct clrnn_config *config,
                                     const struct clrnn_source *source, const char *folder, const char *name,
                                     enum clrnn_dataset_check check, struct clrnn_dataset **dataset)
{
    return clrnn_dataset_open_by(log, config, source, folder, name, check, &(struct clrnn_open_rules){0}, dataset);
}

static enum clrnn_status open_kind(struct clrnn_dataset *d, const struct clrnn_config *config,
                                   const struct clrnn_source *source, const char *folder,
                                   const struct clrnn_open_rules *rules)
{
    bool files;

    if (source->synthetic)
        return open_synthetic(d, config, source);
    if (clrnn_source_ts(source))
        return clrnn_dataset_open_ts(d, config, source, rules);
    if (source->csv) {
        TRY(clrnn_source_is_files(d, config, source, folder, &files));
        return files ? clrnn_dataset_open_files(d, config, source, folder, rules)
                     : clrnn_dataset_open_csv(d, config, source, rules);
    }
    if (source->x || source->arrays)
        return open_npy(d, config, source, folder);
    return clrnn_error(d->log, CLRNN_ERR_CONFIG,
                       "%s data: none are named, expected {x, y}, {csv, label} or "
                       "{synthetic}",
                       d->name);
}

enum clrnn_status clrnn_dataset_open_by(const struct clrnn_log *log, const struct clrnn_config *config,
                                        const struct clrnn_source *source, const char *folder, const char *name,
                                        enum clrnn_dataset_check check, const struct clrnn_open_rules *rules,
                                        struct clrnn_dataset **dataset)
{
    struct clrnn_dataset *d = calloc(1, sizeof(*d));
    enum clrnn_status st;

    *dataset = NULL;
    if (!d)
        return clrnn_error_memory(log, sizeof(*d), name);
    d->log = log;
    d->references = 1;
    d->goal = find_goal(config);
    d->info.tokens = d->goal.tokens;
    d->info.y_real = !d->goal.classes;
    d->info.name = d->name = clrnn_format("%s", name);
    if (!d->name) {
        st = clrnn_error_memory(log, strlen(name) + 1, name);
        goto fail;
    }
    st = name_paths(d, source, folder);
    if (st != CLRNN_OK)
        goto fail;
    st = open_kind(d, config, source, folder, rules);
    if (st == CLRNN_OK)
        st = clrnn_dataset_open_weights(d, source, folder);
    if (st != CLRNN_OK)
        goto fail;
    d->goal.outputs = clrnn_layers_width(config, config->layer_count, d->info.C, d->info.T);
    d->synthetic_classes = d->goal.binary ? 2 : source->classes ? source->classes : MAX2(d->goal.outputs, 1u);
    if (d->goal.tokens && !d->goal.vocabulary)
        d->goal.vocabulary = 1;
    d->info.bytes = (uint64_t)d->info.S * d->info.T * MAX2(d->info.C, 1u) * sizeof(float);
    st = clrnn_dataset_check(d, check);
    if (st != CLRNN_OK)
        goto fail;
    *dataset = d;
    return CLRNN_OK;

fail:
    clrnn_dataset_close(&d);
    return st;
}

// ---------------------------------------------------------------- the sets of a config

// Computes the means of the columns over the rows of `train` alone. Makes these means the replacements for missing
// cells in the tables of `whole` and `valid`.
static enum clrnn_status refill(struct clrnn_dataset *whole, const struct clrnn_dataset *train,
                                struct clrnn_dataset *valid)
{
    if (!whole->table || !whole->table->fill)
        return CLRNN_OK;
    TRY(clrnn_dataset_fill(train, whole->table));
    return valid && valid->table != whole->table ? clrnn_dataset_fill(train, valid->table) : CLRNN_OK;
}

enum clrnn_status clrnn_dataset_open_beside(const struct clrnn_log *log, const struct clrnn_config *config,
                                            const struct clrnn_source *source, const char *name,
                                            enum clrnn_dataset_check check, const struct clrnn_open_rules *rules,
                                            struct clrnn_dataset **dataset)
{
    struct clrnn_source whole = clrnn_source_as_trained(config, rules->names, source);

    whole.delimiter = source->delimiter; // this file may have another format than the training file
    whole.comment = source->comment;
    whole.decimal = source->decimal;
    if (whole.csv && !whole.label && !whole.target && !whole.label_from)
        whole.label_from = config->data.train.label_from;
    return clrnn_dataset_open_by(log, config, &whole, config->folder, name, check, rules, dataset);
}

// Opens data.valid with the training set's names of columns and classes, if the training set has names.
static enum clrnn_status open_data_valid(const struct clrnn_log *log, const struct clrnn_config *config,
                                         enum clrnn_dataset_check check, const struct clrnn_dataset *train,
                                         struct clrnn_dataset **valid)
{
    struct clrnn_names *names;
    enum clrnn_status st;

    TRY(clrnn_dataset_names(train, &names));
    st = clrnn_dataset_open_beside(log, config, &config->data.valid, "valid", check,
                                   &(struct clrnn_open_rules){.names = names}, valid);
    clrnn_names_destroy(&names);
    return st;
}

static enum clrnn_status open_valid(const struct clrnn_log *log, const struct clrnn_config *config,
                                    enum clrnn_dataset_check check, struct clrnn_dataset **train,
                                    struct clrnn_dataset **valid)
{
    const struct clrnn_data_config *data = &config->data;
    struct clrnn_dataset *whole = *train;
    enum clrnn_status st;

    if (data->valid.there)
        return open_data_valid(log, config, check, whole, valid);
    if (whole->windows && data->train.split) {
        TRY(clrnn_dataset_split_time(whole, &data->train, valid));
        return refill(whole, whole, *valid);
    }
    if (data->valid_fraction <= 0.0)
        return CLRNN_OK;
    st = clrnn_dataset_split(whole, data->valid_fraction, config->train.seed, train, valid);
    if (st == CLRNN_OK)
        st = refill(whole, *train, NULL);
    clrnn_dataset_close(&whole); // the views *train and *valid keep the set open
    return st;
}

// Checks that the validation data suit each flatten layer, which needs the T of the training data. Without this check,
// training would fail only at the first validation, after an epoch.
static enum clrnn_status check_flatten(const struct clrnn_log *log, const struct clrnn_config *config,
                                       const struct clrnn_dataset *train, const struct clrnn_dataset *valid)
{
    for (size_t i = 0; i < config->layer_count; i++) {
        if (config->layer[i].kind != CLRNN_LAYER_FLATTEN)
            continue;
        if (clrnn_layers_steps(config, i, valid->info.T) != clrnn_layers_steps(config, i, train->info.T))
            return clrnn_error(log, CLRNN_ERR_DATA,
                               "the validation data have %u steps, the training data %u: flatten takes all steps of a "
                               "sample, so both must have the same",
                               valid->info.T, train->info.T);
        if (valid->info.has_lengths && !train->info.has_lengths)
            return clrnn_error(log, CLRNN_ERR_CONFIG,
                               "data.valid has lengths, but flatten takes all steps of a sample: use a pool or "
                               "attention_pool, or take lengths out");
    }
    return CLRNN_OK;
}

static enum clrnn_status check_together(const struct clrnn_log *log, const struct clrnn_config *config,
                                        const struct clrnn_dataset *train, const struct clrnn_dataset *valid)
{
    if (!train->info.has_y || (valid && !valid->info.has_y))
        return clrnn_error(
            log, CLRNN_ERR_CONFIG,
            "data.%s has no targets: name them by `y:`, for CSV by `label:` or `label_from:`; a .ts file has "
            "targets only if its header says @classLabel or @targetLabel",
            train->info.has_y ? "valid" : "train");
    if (valid && valid->info.C != train->info.C)
        return clrnn_error(log, CLRNN_ERR_DATA,
                           "the validation data have %u features, the training data %u: both must have the same",
                           valid->info.C, train->info.C);
    return valid ? check_flatten(log, config, train, valid) : CLRNN_OK;
}

enum clrnn_status clrnn_dataset_open_named(const struct clrnn_log *log, const struct clrnn_config *config,
                                           enum clrnn_dataset_check check, bool report, struct clrnn_dataset **train,
                                           struct clrnn_dataset **valid)
{
    enum clrnn_status st;

    *train = *valid = NULL;
    if (!config->data.train.there)
        return clrnn_error(log, CLRNN_ERR_CONFIG,
                           "%s: data.train is missing: expected {x, y}, {csv, label} or {synthetic}",
                           config->path ? config->path : "config");
    TRY(clrnn_dataset_open_by(log, config, &config->data.train, config->folder, "train", check,
                              &(struct clrnn_open_rules){.report = report}, train));
    st = open_valid(log, config, check, train, valid);
    if (st == CLRNN_OK)
        st = check_together(log, config, *train, *valid);
    if (st != CLRNN_OK) {
        clrnn_dataset_close(train);
        clrnn_dataset_close(valid);
    }
    return st;
}

enum clrnn_status clrnn_dataset_open_train(const struct clrnn_log *log, const struct clrnn_config *config,
                                           struct clrnn_dataset **train)
{
    struct clrnn_dataset *valid = NULL;
    enum clrnn_status st;

    if (config->data.valid.there) // not a part of the training set; its file may be missing
        return clrnn_dataset_open(log, config, &config->data.train, config->folder, "train", CLRNN_CHECK_SHAPES_ONLY,
                                  train);
    st = clrnn_dataset_open_named(log, config, CLRNN_CHECK_SHAPES_ONLY, false, train, &valid);
    clrnn_dataset_close(&valid);
    return st;
}

enum clrnn_status clrnn_config_names(const struct clrnn_log *log, const struct clrnn_config *config,
                                     struct clrnn_names **names)
{
    const struct clrnn_source *s = &config->data.train;
    const char *ts = clrnn_source_ts(s), *file = ts ? ts : s->csv;
    struct clrnn_dataset *train;
    glob_t files;
    int failed;
    enum clrnn_status st;

    *names = NULL;
    if (!s->there || !file)
        return CLRNN_OK;
    failed = clrnn_glob(config->folder, file, &files);
    if (failed)
        return failed == GLOB_NOSPACE ? clrnn_error_memory(log, 0, file) : CLRNN_OK;
    globfree(&files);
    TRY(clrnn_dataset_open_train(log, config, &train));
    st = clrnn_dataset_names(train, names);
    clrnn_dataset_close(&train);
    return st;
}

enum clrnn_status clrnn_source_shape(const struct clrnn_log *log, const struct clrnn_config *config,
                                     const struct clrnn_source *source, struct clrnn_data_shape *shape)
{
    CLRNN_C_LOCALE;
    NEED(log, config);
    NEED(log, source);
    NEED(log, shape);

    const struct clrnn_data_config *data = &config->data;
    const struct clrnn_source *named = !source->own        ? source
                                       : data->test.there  ? &data->test
                                       : data->valid.there ? &data->valid
                                                           : &data->train;
    struct clrnn_open_rules rules;
    const struct clrnn_dataset_info *info;
    struct clrnn_source whole;
    struct clrnn_names *names = NULL;
    struct clrnn_dataset *dataset;
    enum clrnn_status st;

    if (named != &data->train && (named->csv || clrnn_source_ts(named)))
        TRY(clrnn_config_names(log, config, &names));
    rules = (struct clrnn_open_rules){.names = names, .no_targets = true};
    whole = clrnn_source_as_trained(config, names, named);
    st = clrnn_dataset_open_by(log, config, &whole, source->own ? config->folder : NULL, "data",
                               CLRNN_CHECK_SHAPES_ONLY, &rules, &dataset);
    clrnn_names_destroy(&names);
    TRY(st);
    info = clrnn_dataset_info(dataset);
    *shape = (struct clrnn_data_shape){.features = info->C, .tokens = info->tokens, .steps = info->T};
    clrnn_dataset_close(&dataset);
    return CLRNN_OK;
}
