// SPDX-License-Identifier: MIT
// Names and opens the arrays of a data set, and reads lengths and weights. Computes how many time steps the model puts
// out for each number of input steps.
#include <float.h>
#include <stdio.h>

#include "base/array.h"
#include "base/file.h"
#include "base/random.h"
#include "base/words.h"
#include "model/layer.h"
#include "model/nest.h"
#include "formats/npz.h"
#include "train/dataset_private.h"

enum clrnn_status clrnn_dataset_open_array(const struct clrnn_dataset *d, const struct clrnn_array *array,
                                           const char *path, struct clrnn_npy **npy)
{
    if (array)
        return clrnn_npy_over(d->log, path, array->dtype ? array->dtype : "", array->ndim, array->shape, array->data,
                              npy);
    if (clrnn_path_is_memory(path))
        return clrnn_error(d->log, CLRNN_ERR_DATA,
                           "%s: stands for an array in memory of the process that made the config: give the "
                           "data again",
                           path);
    return clrnn_npz_member(path) ? clrnn_npz_open(d->log, path, npy) : clrnn_npy_open(d->log, path, npy);
}

char *clrnn_dataset_name_array(const struct clrnn_dataset *d, const struct clrnn_array *array, const char *folder,
                               const char *path, const char *word, enum clrnn_status *status)
{
    char *name = NULL;

    if (array ? !array->data : !path)
        return NULL;
    name = array                        ? clrnn_format("%s %s", d->name, word)
           : clrnn_path_is_memory(path) ? clrnn_format("%s", path)
                                        : clrnn_path_join(folder, path);
    if (!name)
        *status = clrnn_error_memory(d->log, 0, "paths of the data");
    return name;
}

// Reads an array of S whole numbers, each from `least` to `most`, into new memory *counts.
static enum clrnn_status open_counts(const struct clrnn_dataset *d, const struct clrnn_array *array, const char *path,
                                     int32_t least, uint32_t most, const char *what, int32_t **counts)
{
    struct clrnn_npy *npy = NULL;
    enum clrnn_status st = CLRNN_OK;
    char text[128];

    TRY(clrnn_dataset_open_array(d, array, path, &npy));
    clrnn_npy_describe(npy, text, sizeof(text));
    *counts = malloc(d->info.S * sizeof(**counts));
    if (npy->ndim < 1 || npy->shape[0] != d->info.S || npy->count != d->info.S)
        st = clrnn_error(d->log, CLRNN_ERR_DATA, "%s: holds %s, expected (%u): one length a sample of %s", path, text,
                         d->info.S, d->x_path);
    else if (!*counts)
        st = clrnn_error_memory(d->log, d->info.S * sizeof(**counts), path);
    for (uint32_t s = 0; s < d->info.S && st == CLRNN_OK; s++) {
        double value;

        clrnn_npy_read_f64(npy, s, 1, &value);
        if (value >= least && value <= most && value == (double)(int32_t)value)
            (*counts)[s] = (int32_t)value;
        else
            st = clrnn_error(d->log, CLRNN_ERR_DATA,
                             "%s: row %u (counted from 0) holds length %.9g, expected a whole number from %d to %u, "
                             "the %s",
                             path, s, clrnn_unsigned_nan(value), (int)least, most, what);
    }
    if (st == CLRNN_OK)
        st = clrnn_npy_check(d->log, npy);
    clrnn_npy_close(&npy);
    return st;
}

enum clrnn_status clrnn_dataset_open_lengths(struct clrnn_dataset *d, const struct clrnn_array *array)
{
    return open_counts(d, array, d->lengths_path, 1, d->info.T, "steps of X", &d->length);
}

enum clrnn_status clrnn_dataset_open_y_lengths(struct clrnn_dataset *d, const struct clrnn_source *source,
                                               const char *folder)
{
    const struct clrnn_array *array = source->arrays ? &source->arrays->y_lengths : NULL;
    enum clrnn_status st = CLRNN_OK;

    d->y_lengths_path = clrnn_dataset_name_array(d, array, folder, source->y_lengths, "y_lengths", &st);
    if (st == CLRNN_OK && !d->y_lengths_path)
        return clrnn_error(d->log, CLRNN_ERR_DATA,
                           "%s: with train.loss: ctc it needs y_lengths (N) beside it: how many labels each sample has",
                           d->y_path);
    TRY(st);
    d->info.has_y_lengths = true;
    return open_counts(d, array, d->y_lengths_path, 0, d->info.y_T, "columns of y", &d->y_length);
}

enum clrnn_status clrnn_dataset_make_y_lengths(struct clrnn_dataset *d)
{
    const struct clrnn_random r = {.seed = d->seed, .stream = RANDOM_SYNTH, .a = UINT32_MAX};

    d->info.y_T = MAX2(d->info.y_T / 4, 1u);
    d->info.has_y_lengths = true;
    d->y_length = malloc(d->info.S * sizeof(*d->y_length));
    if (!d->y_length)
        return clrnn_error_memory(d->log, d->info.S * sizeof(*d->y_length), d->y_path);
    for (uint32_t s = 0; s < d->info.S; s++)
        d->y_length[s] = 1 + (int32_t)(clrnn_random_u32(&r, s) % d->info.y_T);
    return CLRNN_OK;
}

enum clrnn_status clrnn_dataset_open_weights(struct clrnn_dataset *d, const struct clrnn_source *source,
                                             const char *folder)
{
    const struct clrnn_array *array = source->arrays ? &source->arrays->weights : NULL;
    struct clrnn_npy *npy = NULL;
    enum clrnn_status st = CLRNN_OK;
    char text[128];

    d->weights_path = clrnn_dataset_name_array(d, array, folder, source->weights, "weights", &st);
    if (!d->weights_path)
        return st;
    d->info.has_weights = true;
    TRY(clrnn_dataset_open_array(d, array, d->weights_path, &npy));
    clrnn_npy_describe(npy, text, sizeof(text));
    d->weight = malloc(d->info.S * sizeof(*d->weight));
    if (npy->ndim < 1 || npy->shape[0] != d->info.S || npy->count != d->info.S)
        st = clrnn_error(d->log, CLRNN_ERR_DATA, "%s: holds %s, expected (%u): one weight a sample of %s",
                         d->weights_path, text, d->info.S, d->x_path);
    else
        st = d->weight ? CLRNN_OK : clrnn_error_memory(d->log, d->info.S * sizeof(*d->weight), d->weights_path);
    for (uint32_t s = 0; s < d->info.S && st == CLRNN_OK; s++) {
        clrnn_npy_read_f64(npy, s, 1, &d->weight[s]);
        if (!(d->weight[s] >= 0.0 && d->weight[s] <= (double)FLT_MAX))
            st = clrnn_error(d->log, CLRNN_ERR_DATA,
                             "%s: row %u (counted from 0) holds the weight %.9g, expected a finite number of at "
                             "least 0",
                             d->weights_path, s, clrnn_unsigned_nan(d->weight[s]));
    }
    if (st == CLRNN_OK)
        st = clrnn_npy_check(d->log, npy);
    clrnn_npy_close(&npy);
    return st;
}

static uint32_t windows_left(const struct clrnn_config *config, size_t layer, uint32_t length)
{
    const struct clrnn_windows w = clrnn_layer_windows(&config->layer[layer]);

    return clrnn_windows_count(&w, clrnn_layers_steps(config, layer, length));
}

static enum clrnn_status too_short(const struct clrnn_dataset *d, const struct clrnn_config *config, uint32_t sample,
                                   uint32_t length)
{
    char row[64] = "", entry[CLRNN_ENTRY_SIZE];
    size_t i = 0;

    while (i + 1 < config->layer_count &&
           !(clrnn_layer_has_windows(&config->layer[i]) && !windows_left(config, i, length)))
        i++;
    if (d->length)
        snprintf(row, sizeof(row), "row %u (counted from 0) ", sample);
    return clrnn_error(d->log, CLRNN_ERR_DATA,
                       "%s: %shas %u step%s, too few for the windows of the %s, %s: leave such sequences "
                       "out, or give the layer a smaller kernel_size or padding",
                       d->x_path, row, length, length == 1 ? "" : "s", clrnn_layer_word(config->layer[i].kind),
                       clrnn_layer_entry(config, i, entry));
}

enum clrnn_status clrnn_dataset_find_steps(struct clrnn_dataset *d, const struct clrnn_config *config)
{
    const uint32_t T = d->info.T;
    bool windows = false;

    for (size_t i = 0; i < config->layer_count; i++)
        windows |= clrnn_layer_has_windows(&config->layer[i]);
    d->info.y_T = d->info.y_steps ? T : 1;
    if (!windows)
        return CLRNN_OK;
    d->steps = malloc(((size_t)T + 1) * sizeof(*d->steps));
    if (!d->steps)
        return clrnn_error_memory(d->log, ((size_t)T + 1) * sizeof(*d->steps), d->x_path);
    for (uint32_t t = 0; t <= T; t++)
        d->steps[t] = clrnn_layers_steps(config, config->layer_count, t);
    for (uint32_t s = 0; s < (d->length ? d->info.S : 1); s++)
        if (!d->steps[clrnn_dataset_length(d, s)])
            return too_short(d, config, s, clrnn_dataset_length(d, s));
    if (d->info.y_steps)
        d->info.y_T = d->steps[T];
    return CLRNN_OK;
}
