// SPDX-License-Identifier: MIT
// Feeds copy the data set to the device. If it does not fit there, they copy each batch when it is needed (staging).
// They prepare the batches of an epoch one after the other.
#include "train/feed.h"

#include "base/array.h"
#include "base/environment.h"
#include "base/file.h"

#define STEP_SIZES 16u                  // T of batches is rounded up to at most this many different values
#define PIECE_BYTES ((size_t)64 << 20)  // most bytes of one transfer from a mapped file
#define CHUNK_BYTES ((size_t)4 << 20)   // most bytes of one transfer of converted rows
#define SHARED_BYTES ((size_t)64 << 20) // largest copy on a device that shares the host's memory
#define RELEASE_BYTES ((size_t)4 << 20) // mapped pages are released after this many bytes

struct clrnn_feed {
    struct clrnn_model *model;
    struct clrnn_device *device;
    const struct clrnn_log *log;
    const struct clrnn_dataset *dataset;
    struct clrnn_feed_params params;
    struct clrnn_plan_data data;
    struct clrnn_plan_cache *cache;
    uint32_t S, batches, batch; // batch: index of the next batch
    uint32_t steps;             // training steps of the epoch; each piece of a batch is one
    uint32_t begin,             // first step of the next piece; 0: the next piece begins a new batch
        taken;                  // steps of the current piece; 0: the current batch is not divided into pieces
    uint32_t samples;           // number of samples in the current batch
    bool first;                 // whether the current piece is its batch's first
    uint32_t *order;            // [S] order of this epoch
    const uint32_t *current;    // [samples] sample indices of the current batch
    size_t x_width, y_width;    // numbers that a sample has in x, in y

    // If staged: the host gathers x of a batch in half[turn] while the device copies the other half. The device needs
    // only one buffer for x, because it executes copies and kernels in the order of its queue. upload_rows uses the
    // halves likewise, for chunks of the set.
    bool staged;
    float *half[2];
    uint64_t token[2];
    unsigned turn;
    int32_t *words;    // scratch: tokens, classes or lengths of a batch or chunk
    float *reals;      // scratch: real targets or weights
    size_t read_bytes; // bytes read since mapped pages were released
};

// Counts the bytes read from a mapped file, and releases mapped pages at intervals. Each read counts CLRNN_FAULT_BYTES
// more than the sample has, because it also makes neighbouring pages resident.
static void count_read(struct clrnn_feed *f, size_t numbers)
{
    f->read_bytes += numbers * sizeof(float) + CLRNN_FAULT_BYTES;
    if (f->read_bytes < RELEASE_BYTES)
        return;
    clrnn_dataset_release(f->dataset);
    f->read_bytes = 0;
}

static void read_x(struct clrnn_feed *f, uint32_t sample, float *x)
{
    clrnn_dataset_x(f->dataset, sample, x);
    count_read(f, f->x_width);
}

static enum clrnn_status write_y(struct clrnn_feed *f, uint32_t first, uint32_t count, const uint32_t *samples)
{
    const size_t width = f->y_width, at = samples ? 0 : first * width;

    if (!f->data.y)
        return CLRNN_OK;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t sample = samples ? samples[i] : first + i;

        if (f->data.y_real)
            clrnn_dataset_targets(f->dataset, sample, f->reals + i * width);
        else
            clrnn_dataset_classes(f->dataset, sample, f->words + i * width);
        count_read(f, width);
    }
    if (!f->data.y_real)
        return clrnn_buffer_write_i32(f->data.y, at, count * width, f->words);
    clrnn_model_standardise_targets(f->model, count * width, f->reals);
    return clrnn_buffer_write_f32(f->data.y, at, count * width, f->reals);
}

// Writes the lengths of samples and, with ctc, the numbers of their labels to the device.
static enum clrnn_status write_lengths(struct clrnn_feed *f, uint32_t first, uint32_t count, const uint32_t *samples)
{
    const size_t at = samples ? 0 : first;

    for (uint32_t i = 0; i < count && f->data.lengths; i++)
        f->words[i] = (int32_t)clrnn_dataset_length(f->dataset, samples ? samples[i] : first + i);
    if (f->data.lengths)
        TRY(clrnn_buffer_write_i32(f->data.lengths, at, count, f->words));
    for (uint32_t i = 0; i < count && f->data.y_lengths; i++)
        f->words[i] = (int32_t)clrnn_dataset_y_valid(f->dataset, samples ? samples[i] : first + i);
    return f->data.y_lengths ? clrnn_buffer_write_i32(f->data.y_lengths, at, count, f->words) : CLRNN_OK;
}

// Writes y, lengths and weights of `count` samples to the device, that is everything except x. The samples are those in
// `samples` or, if that is NULL, samples first to first + count - 1.
static enum clrnn_status write_rest(struct clrnn_feed *f, uint32_t first, uint32_t count, const uint32_t *samples)
{
    TRY(write_y(f, first, count, samples));
    TRY(write_lengths(f, first, count, samples));
    if (!f->data.weights)
        return CLRNN_OK;
    for (uint32_t i = 0; i < count; i++)
        f->reals[i] = (float)clrnn_dataset_weight(f->dataset, samples ? samples[i] : first + i);
    return clrnn_buffer_write_f32(f->data.weights, samples ? 0 : first, count, f->reals);
}

static enum clrnn_status write_tokens(struct clrnn_feed *f, uint32_t first, uint32_t count, const uint32_t *samples)
{
    for (uint32_t i = 0; i < count; i++) {
        clrnn_dataset_tokens(f->dataset, samples ? samples[i] : first + i, f->words + i * f->x_width);
        count_read(f, f->x_width);
    }
    return clrnn_buffer_write_i32(f->data.x, samples ? 0 : first * f->x_width, count * f->x_width, f->words);
}

// ---------------------------------------------------------------- a copy on the device

// Uploads x straight from the mapped file, in which all samples are contiguous (clrnn_dataset_in_order).
static enum clrnn_status upload_mapped(struct clrnn_feed *f)
{
    const uint32_t piece = (uint32_t)MIN2(MAX2(PIECE_BYTES / (f->x_width * sizeof(float)), 1), f->S);
    uint64_t token;

    for (uint32_t s = 0; s < f->S; s += piece) {
        const size_t count = MIN2(piece, f->S - s);

        TRY(clrnn_buffer_write_async(f->data.x, s * f->x_width, count * f->x_width,
                                     clrnn_dataset_x_mapped(f->dataset, s), &token));
        TRY(clrnn_device_wait(f->device, token));
        clrnn_dataset_release(f->dataset);
    }
    return CLRNN_OK;
}

static enum clrnn_status upload_rows(struct clrnn_feed *f, uint32_t chunk)
{
    for (uint32_t s = 0; s < f->S; s += chunk) {
        const uint32_t count = MIN2(chunk, f->S - s);

        if (clrnn_dataset_info(f->dataset)->tokens) {
            TRY(write_tokens(f, s, count, NULL));
            continue;
        }
        for (uint32_t i = 0; i < count; i++)
            read_x(f, s + i, f->half[f->turn] + i * f->x_width);
        TRY(clrnn_buffer_write_async(f->data.x, s * f->x_width, count * f->x_width, f->half[f->turn],
                                     &f->token[f->turn]));
        TRY(clrnn_device_flush(f->device));
        f->turn ^= 1;
        TRY(clrnn_device_wait(f->device, f->token[f->turn]));
        f->token[f->turn] = 0;
    }
    return CLRNN_OK;
}

static enum clrnn_status upload(struct clrnn_feed *f, uint32_t chunk)
{
    if (clrnn_dataset_in_order(f->dataset))
        TRY(upload_mapped(f));
    else
        TRY(upload_rows(f, chunk));
    for (uint32_t s = 0; s < f->S; s += chunk)
        TRY(write_rest(f, s, MIN2(chunk, f->S - s), NULL));
    clrnn_dataset_release(f->dataset);
    f->read_bytes = 0;
    TRY(clrnn_device_finish(f->device));
    return clrnn_dataset_whole(f->dataset);
}

// ---------------------------------------------------------------- making a feed

// Whether a copy of the set, `needed` bytes, fits on the device. The limit is params.resident_bytes if set, else the
// environment variable CLRNN_RESIDENT_BYTES if set. Otherwise the copy and all memory in use may take half of the
// device's memory. A device that shares the host's memory gets at most SHARED_BYTES, because the host keeps the file's
// pages in memory anyway. No buffer may exceed the device's largest allocation.
static bool fits_device(const struct clrnn_feed *f, size_t needed)
{
    const struct clrnn_device_info *device = clrnn_device_info(f->device);
    const uint64_t fixed = clrnn_environment_bytes("CLRNN_RESIDENT_BYTES", UINT64_MAX);
    uint64_t now, peak;

    if (device->max_alloc_bytes && needed > device->max_alloc_bytes)
        return false;
    if (f->params.resident_bytes || fixed != UINT64_MAX)
        return needed <= (f->params.resident_bytes ? f->params.resident_bytes : fixed);
    if (device->unified_memory && needed > SHARED_BYTES)
        return false;
    clrnn_device_memory(f->device, &now, &peak);
    return !device->global_bytes || now + needed <= device->global_bytes / 2;
}

static enum clrnn_status make_buffers(struct clrnn_feed *f, uint32_t samples, uint32_t batch)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(f->dataset);
    struct clrnn_plan_data *d = &f->data;
    size_t count;

    d->S = samples;
    d->T_data = info->T;
    d->y_real = info->y_real;
    d->y_steps = info->y_steps;
    d->y_T = info->y_T;
    if (!clrnn_mul_size(samples, f->x_width, &count))
        return clrnn_error_memory(f->log, 0, info->name);
    TRY(clrnn_buffer_create(f->device, info->tokens ? CLRNN_I32 : CLRNN_REAL, count, "X", &d->x));
    if (info->has_y)
        TRY(clrnn_buffer_create(f->device, info->y_real ? CLRNN_REAL : CLRNN_I32, samples * f->y_width, "y", &d->y));
    if (info->has_lengths)
        TRY(clrnn_buffer_create(f->device, CLRNN_I32, samples, "lengths", &d->lengths));
    if (info->has_y_lengths)
        TRY(clrnn_buffer_create(f->device, CLRNN_I32, samples, "lengths of targets", &d->y_lengths));
    if (info->has_weights && info->has_y)
        TRY(clrnn_buffer_create(f->device, CLRNN_REAL, samples, "weights", &d->weights));
    return clrnn_buffer_create(f->device, CLRNN_U32, batch, "the batch's samples", &d->index);
}

static enum clrnn_status make_host_memory(struct clrnn_feed *f, uint32_t chunk, bool halves)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(f->dataset);
    const size_t words = chunk * MAX2(info->tokens ? f->x_width : 1, f->y_width);
    const size_t x_bytes = (size_t)chunk * f->x_width * sizeof(float);

    f->order = malloc(f->S * sizeof(*f->order));
    f->words = malloc(words * sizeof(*f->words));
    f->reals = malloc(chunk * f->y_width * sizeof(*f->reals));
    if (!f->order || !f->words || !f->reals)
        return clrnn_error_memory(f->log, f->S * sizeof(*f->order) + words * 8, info->name);
    for (int i = 0; i < 2 && halves && !info->tokens; i++) {
        f->half[i] = malloc(x_bytes);
        if (!f->half[i])
            return clrnn_error_memory(f->log, x_bytes, "a batch on its way to the device");
    }
    return CLRNN_OK;
}

static enum clrnn_status fill(struct clrnn_feed *f, uint32_t batch)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(f->dataset);
    const size_t sample_bytes = f->x_width * sizeof(float);
    const uint32_t chunk = MAX2(batch, (uint32_t)MIN2(MAX2(CHUNK_BYTES / sample_bytes, 1), f->S));
    const size_t real_bytes = info->tokens ? 4 : clrnn_type_bytes(f->device, CLRNN_REAL);

    f->staged = !fits_device(f, (size_t)f->S * f->x_width * real_bytes);
    TRY(make_buffers(f, f->staged ? batch : f->S, batch));
    TRY(make_host_memory(f, f->staged ? batch : chunk, f->staged || !clrnn_dataset_in_order(f->dataset)));
    if (!f->staged) {
        TRY(upload(f, chunk));
        for (int i = 0; i < 2; i++) { // the uploads have finished
            free(f->half[i]);
            f->half[i] = NULL;
            f->token[i] = 0;
        }
        return CLRNN_OK;
    }
    for (uint32_t i = 0; i < batch; i++)
        f->order[i] = i;
    TRY(clrnn_buffer_write_i32(f->data.index, 0, batch, (const int32_t *)(const void *)f->order));
    clrnn_log(f->log, CLRNN_LOG_DEBUG, "%s: %.1f MB are not copied to the device: staged batch by batch", info->name,
              (double)info->bytes * 1e-6);
    return CLRNN_OK;
}

enum clrnn_status clrnn_feed_create(struct clrnn_model *model, const struct clrnn_dataset *dataset,
                                    const struct clrnn_feed_params *params, struct clrnn_feed **feed)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(dataset);
    struct clrnn_feed *f = calloc(1, sizeof(*f));
    const uint32_t batch = MIN2(MAX2(params->batch_size, 1u), info->S);
    enum clrnn_status st;

    *feed = NULL;
    if (!f)
        return clrnn_error_memory(model->log, sizeof(*f), "a feed");
    f->model = model;
    f->device = model->device;
    f->log = model->log;
    f->dataset = dataset;
    f->params = *params;
    f->params.batch_size = MAX2(params->batch_size, 1u);
    f->S = info->S;
    f->batches = clrnn_batch_count(f->S, f->params.batch_size, params->drop_last);
    f->x_width = (size_t)info->T * (info->tokens ? 1 : info->C);
    f->y_width = clrnn_dataset_y_count(dataset);
    st = fill(f, batch);
    if (st == CLRNN_OK)
        st = clrnn_plan_cache_create(model, 2 * params->parts, &f->cache);
    if (st == CLRNN_OK)
        st = clrnn_feed_start(f, 0, 0);
    if (st != CLRNN_OK) {
        clrnn_feed_destroy(&f);
        return st;
    }
    *feed = f;
    return CLRNN_OK;
}

void clrnn_feed_destroy(struct clrnn_feed **feed)
{
    struct clrnn_feed *f = *feed;

    *feed = NULL;
    if (!f)
        return;
    for (int i = 0; i < 2; i++) {
        if (f->token[i])
            clrnn_device_wait(f->device, f->token[i]);
        free(f->half[i]);
    }
    clrnn_plan_cache_destroy(&f->cache);
    clrnn_buffer_destroy(&f->data.x);
    clrnn_buffer_destroy(&f->data.y);
    clrnn_buffer_destroy(&f->data.lengths);
    clrnn_buffer_destroy(&f->data.weights);
    clrnn_buffer_destroy(&f->data.y_lengths);
    clrnn_buffer_destroy(&f->data.index);
    free(f->order);
    free(f->words);
    free(f->reals);
    free(f);
}

uint32_t clrnn_feed_steps(const struct clrnn_feed *feed)
{
    return feed->steps;
}

double clrnn_feed_batches_per_step(const struct clrnn_feed *feed)
{
    return (double)feed->batches / feed->steps;
}

double clrnn_feed_share(const struct clrnn_feed *f, bool *first)
{
    *first = f->first;
    return f->taken ? (double)f->taken / f->data.T_data : 1;
}

const uint32_t *clrnn_feed_samples(const struct clrnn_feed *feed)
{
    return feed->current;
}

// ---------------------------------------------------------------- batches

// Returns T of a batch: the length of its longest sample, rounded up to one of STEP_SIZES values, because each T needs
// its own plan. Without lengths, or with params.whole_steps, it is T of the set.
static uint32_t batch_steps(const struct clrnn_feed *f, const uint32_t *sample, uint32_t N)
{
    const uint32_t T = f->data.T_data, grain = (T + STEP_SIZES - 1) / STEP_SIZES;

    if (!f->data.lengths || f->params.whole_steps)
        return T;
    return MIN2(clrnn_feed_pieces(f->dataset, grain, sample, N) * grain, T);
}

static enum clrnn_status stage(struct clrnn_feed *f, const uint32_t *sample, uint32_t N)
{
    if (clrnn_dataset_info(f->dataset)->tokens) {
        TRY(write_tokens(f, 0, N, sample));
    } else {
        float *half = f->half[f->turn];

        TRY(clrnn_device_wait(f->device, f->token[f->turn]));
        f->token[f->turn] = 0;
        for (uint32_t i = 0; i < N; i++)
            read_x(f, sample[i], half + i * f->x_width);
        TRY(clrnn_buffer_write_async(f->data.x, 0, N * f->x_width, half, &f->token[f->turn]));
        f->turn ^= 1;
    }
    TRY(write_rest(f, 0, N, sample));
    return clrnn_dataset_whole(f->dataset);
}

// Makes N samples of the current batch, from sample `first` on, readable for plans: stages the samples or, if the
// device has a copy of the set, writes the samples' indices.
static enum clrnn_status make_ready(struct clrnn_feed *f, uint32_t first, uint32_t N)
{
    const uint32_t *sample = f->current + first;

    return f->staged ? stage(f, sample, N)
                     : clrnn_buffer_write_i32(f->data.index, 0, N, (const int32_t *)(const void *)sample);
}

static uint32_t samples_of(const struct clrnn_feed *f, uint32_t batch)
{
    return (uint32_t)MIN2(f->params.batch_size, f->S - (size_t)batch * f->params.batch_size);
}

// Makes batch f->batch - 1 the current batch.
static enum clrnn_status take_batch(struct clrnn_feed *f)
{
    f->samples = samples_of(f, f->batch - 1);
    f->current = f->order + (size_t)(f->batch - 1) * f->params.batch_size;
    return f->params.parts ? CLRNN_OK : make_ready(f, 0, f->samples);
}

enum clrnn_status clrnn_feed_start(struct clrnn_feed *f, uint64_t epoch, uint32_t step)
{
    const uint32_t bptt = f->model->config->train.bptt;

    TRY(clrnn_feed_order(f->log, f->dataset, &f->params, epoch, f->order));
    f->current = f->order;
    f->begin = f->taken = f->steps = 0;
    f->batch = f->batches;
    for (uint32_t b = 0; b < f->batches; b++) {
        const uint32_t pieces =
            clrnn_feed_pieces(f->dataset, bptt, f->order + (size_t)b * f->params.batch_size, samples_of(f, b));

        if (step >= f->steps && step - f->steps < pieces) {
            f->batch = b;
            f->begin = (step - f->steps) * bptt;
        }
        f->steps += pieces;
    }
    if (!f->begin)
        return CLRNN_OK;
    f->batch++; // the epoch resumes in the middle of a batch
    return take_batch(f);
}

void clrnn_feed_skip(struct clrnn_feed *f, uint32_t batches)
{
    f->batch += MIN2(batches, f->batches - f->batch);
}

// With train.bptt: makes the batch's next piece the current one. After the last piece, f->begin is 0.
static void next_piece(struct clrnn_feed *f, uint32_t bptt)
{
    const uint32_t pieces = clrnn_feed_pieces(f->dataset, bptt, f->current, f->samples);

    f->model->first_step = f->begin;
    f->taken = MIN2(bptt, f->data.T_data - f->begin);
    f->begin = f->begin / bptt + 1 < pieces ? f->begin + bptt : 0;
}

enum clrnn_status clrnn_feed_next_batch(struct clrnn_feed *f, enum clrnn_mode mode, uint32_t *samples)
{
    const struct clrnn_train_config *train = &f->model->config->train;
    const uint32_t bptt = clrnn_mode_trains(mode) ? train->bptt : 0;

    *samples = 0;
    f->model->first_step = f->taken = 0;
    f->model->carry = clrnn_mode_trains(mode) && (f->begin > 0 || (train->stateful && f->batch > 0));
    f->first = !f->begin || !bptt;
    if (f->first) {
        f->begin = 0;
        if (f->batch >= f->batches)
            return CLRNN_OK;
        f->batch++;
        TRY(take_batch(f));
    }
    *samples = f->samples;
    if (bptt)
        next_piece(f, bptt);
    return CLRNN_OK;
}

static enum clrnn_status get_plan(struct clrnn_feed *f, enum clrnn_mode mode, const struct clrnn_feed_part *part,
                                  struct clrnn_plan **plan)
{
    const struct clrnn_train_config *train = &f->model->config->train;
    const uint32_t carried = train->bptt || train->stateful ? MIN2(f->params.batch_size, f->S) : 0;
    const struct clrnn_plan_params params = {
        .mode = mode,
        .N = part->count,
        .T = f->taken ? f->taken : batch_steps(f, f->current + part->first, part->count),
        .data = f->data,
        .carried = clrnn_mode_trains(mode) ? carried : 0,
        .separate = f->params.keep_tensors,
        .arena = part->arena,
        .statistics = part->statistics,
        .input_grad = f->params.keep_tensors && mode == CLRNN_MODE_GRADIENT,
    };

    return clrnn_plan_cache_get(f->cache, &params, plan);
}

enum clrnn_status clrnn_feed_part(struct clrnn_feed *f, const struct clrnn_feed_part *part, struct clrnn_plan **plan)
{
    f->model->first_sample = part->first;
    f->model->samples = f->samples;
    TRY(make_ready(f, part->first, part->count));
    return get_plan(f, CLRNN_MODE_SHARD, part, plan);
}

enum clrnn_status clrnn_feed_next(struct clrnn_feed *f, enum clrnn_mode mode, struct clrnn_plan **plan,
                                  uint32_t *samples)
{
    *plan = NULL;
    f->model->first_sample = f->model->samples = 0;
    TRY(clrnn_feed_next_batch(f, mode, samples));
    return *samples ? get_plan(f, mode, &(struct clrnn_feed_part){.count = *samples}, plan) : CLRNN_OK;
}
