// SPDX-License-Identifier: MIT
// Makes synthetic data sets: "seed", data like those of the question that clRNN began with (README.md), and classic
// sequence tasks.
//
// Everything is computed in integers and converted to float32 by at most one multiplication, which IEEE 754 rounds the
// same everywhere. Therefore the same seed gives the same bytes on every machine.
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"
#include "base/random.h"
#include "base/words.h"
#include "clrnn/train.h"
#include "formats/npy.h"

// Noise is a sum of uniform 16-bit numbers (Irwin-Hall), either twice the sum of four or the sum of sixteen. Both have
// the same standard deviation: 2 * 65536 * sqrt(4 / 12) = 65536 * sqrt(16 / 12).
#define SIGMA 75674
// How strongly the class affects the informative features, in thousandths. Chosen by trial so that on the test part the
// accuracy is about 0.88 with logistic regression and about 0.86 with examples/seed-fixed.yaml.
#define LATENT_MEAN 1250  // how far the class shifts the latent number, in thousandths of SIGMA
#define LATENT_WEIGHT 150 // weight of the latent number in the first three quarters of the informative features
#define OWN_MEAN 40       // how far the class shifts these features directly, in thousandths of SIGMA
#define SPREAD_CHANGE 200 // how much the class widens or narrows a noise
#define SPREAD_WEIGHT 700 // weight of this noise in the last quarter of the informative features
#define INFORMATIVE 20    // one in this many features is informative

// Values of member b of struct clrnn_random, one for each use of random numbers. From DRAW_LABEL on, the part is added:
// 0 training, 1 test. Member a is the sample or, for DRAW_SIGN, the latent number.
enum { DRAW_PLACE = 0, DRAW_SIGN = 2, DRAW_LABEL = 4, DRAW_NOISE = 6, DRAW_LATENT = 8, DRAW_TASK = 10 };

struct synth {
    const struct clrnn_log *log;
    struct clrnn_synth_params p;
    uint32_t place_count, // number of informative features
        latents;          // number of latent numbers
    uint32_t *place;      // [T * C] permutation of the features, informative ones first
    signed char *sign;    // [latents, place_count] 1 or -1
    uint32_t *label;      // [samples]
    float *row;           // [T * C]
    int32_t *fixed;       // [T * C] the row before scaling, as integers
};

static int64_t noise_of_16(const struct clrnn_random *r, uint32_t index)
{
    int64_t sum = 0;
    uint32_t words[4];

    for (uint32_t i = 0; i < 2; i++) {
        clrnn_random_block(r, 2 * index + i, words);
        for (int k = 0; k < 4; k++)
            sum += (int64_t)(words[k] & 0xffff) + (int64_t)(words[k] >> 16);
    }
    return sum - 16 * 65535 / 2;
}

// ---------------------------------------------------------------- the task seed

static enum clrnn_status prepare_seed(struct synth *s)
{
    const size_t F = (size_t)s->p.steps * s->p.features;
    const struct clrnn_random places = {s->p.seed, RANDOM_SYNTH, 0, DRAW_PLACE};

    s->latents = s->p.classes == 2 ? 1 : s->p.classes;
    s->place_count = (uint32_t)MAX2(F / INFORMATIVE, 1);
    s->place = malloc(F * sizeof(*s->place));
    s->sign = malloc((size_t)s->latents * s->place_count);
    s->fixed = malloc(F * sizeof(*s->fixed));
    if (!s->place || !s->sign || !s->fixed)
        return clrnn_error_memory(s->log, F * 8, "synthetic data");
    clrnn_random_permutation(&places, (uint32_t)F, s->place);
    for (uint32_t k = 0; k < s->latents; k++) {
        const struct clrnn_random signs = {s->p.seed, RANDOM_SYNTH, k, DRAW_SIGN};

        for (uint32_t i = 0; i < s->place_count; i++)
            s->sign[(size_t)k * s->place_count + i] = clrnn_random_u32(&signs, i) & 1 ? 1 : -1;
    }
    return CLRNN_OK;
}

static void fill_noise(const struct synth *s, const struct clrnn_random *r)
{
    const size_t F = (size_t)s->p.steps * s->p.features;
    uint32_t words[4];

    for (size_t i = 0; i < F; i++) { // each number takes two of a block's four words
        if (i % 2 == 0)
            clrnn_random_block(r, (uint32_t)(i / 2), words);
        const uint32_t a = words[i % 2 * 2], b = words[i % 2 * 2 + 1];

        s->fixed[i] = 2 * (int32_t)((a & 0xffff) + (a >> 16) + (b & 0xffff) + (b >> 16)) - 4 * 65535;
    }
}

// Adds the signal of the class to the informative features: a latent number, in the last quarter a noise whose spread
// depends on the class. Two classes share one latent number, which is high in class 1 and low in class 0. With more
// classes each class has its own latent number, which is high in that class.
static void add_signal(const struct synth *s, const struct clrnn_random *r, uint32_t label)
{
    const uint32_t linear = s->place_count - s->place_count / 4;

    for (uint32_t k = 0; k < s->latents; k++) {
        const int64_t side = s->latents == 1 ? (label ? 1 : -1) : (label == k ? 2 : 0);
        const int64_t latent = side * SIGMA * LATENT_MEAN / 1000 + noise_of_16(r, 2 * k);
        const int64_t shown = latent * LATENT_WEIGHT / 1000 + side * SIGMA * OWN_MEAN / 1000;
        const int64_t spread = noise_of_16(r, 2 * k + 1) * (1000 + side * SPREAD_CHANGE) / 1000 * SPREAD_WEIGHT / 1000;
        const signed char *sign = s->sign + (size_t)k * s->place_count;

        for (uint32_t i = 0; i < s->place_count; i++)
            s->fixed[s->place[i]] += (int32_t)(sign[i] * (i < linear ? shown : spread));
    }
}

static void seed_row(const struct synth *s, uint32_t part, uint32_t sample)
{
    const struct clrnn_random noise = {s->p.seed, RANDOM_SYNTH, sample, DRAW_NOISE + part};
    const struct clrnn_random latent = {s->p.seed, RANDOM_SYNTH, sample, DRAW_LATENT + part};
    const size_t F = (size_t)s->p.steps * s->p.features;
    const float unit = 1.0f / SIGMA;

    fill_noise(s, &noise);
    add_signal(s, &latent, s->label[sample]);
    for (size_t i = 0; i < F; i++)
        s->row[i] = (float)s->fixed[i] * unit;
}

// ---------------------------------------------------------------- tasks over time

// Fills s->row for the adding problem: T numbers in [0, 1), of which two are marked, one in each half. Returns the
// target, the sum of the marked numbers. Hochreiter and Schmidhuber, Long Short-Term Memory, 1997, section 5.4.
static float adding_row(const struct synth *s, const struct clrnn_random *r)
{
    const uint32_t T = s->p.steps, half = T / 2;
    const uint32_t first = clrnn_random_u32(r, T) % half, second = half + clrnn_random_u32(r, T + 1) % (T - half);

    for (uint32_t t = 0; t < T; t++) {
        s->row[2 * t] = clrnn_random_uniform(r, t);
        s->row[2 * t + 1] = t == first || t == second ? 1.0f : 0.0f;
    }
    return s->row[2 * first] + s->row[2 * second];
}

// Fills s->row for parity: T bits. Returns the class, 1 if the number of ones is odd.
static int64_t parity_row(const struct synth *s, const struct clrnn_random *r)
{
    int64_t odd = 0;

    for (uint32_t t = 0; t < s->p.steps; t++) {
        const uint32_t bit = clrnn_random_u32(r, t) >> 31;

        s->row[t] = (float)bit;
        odd ^= bit;
    }
    return odd;
}

// Fills s->row for copy-first: a sequence of one-hot symbols. Returns the class, the first symbol.
static int64_t copy_first_row(const struct synth *s, const struct clrnn_random *r)
{
    const uint32_t K = s->p.classes;

    memset(s->row, 0, (size_t)s->p.steps * K * sizeof(*s->row));
    for (uint32_t t = 0; t < s->p.steps; t++)
        s->row[(size_t)t * K + clrnn_random_u32(r, t) % K] = 1.0f;
    return clrnn_random_u32(r, 0) % K;
}

// ---------------------------------------------------------------- files

enum task { TASK_SEED, TASK_ADDING, TASK_PARITY, TASK_COPY_FIRST };

static enum clrnn_status write_rows(struct synth *s, enum task task, uint32_t part, uint32_t samples,
                                    struct clrnn_npy_writer *x, struct clrnn_npy_writer *y)
{
    for (uint32_t i = 0; i < samples; i++) {
        const struct clrnn_random r = {s->p.seed, RANDOM_SYNTH, i, DRAW_TASK + part};
        int64_t label = 0;
        float target = 0.0f;

        if (task == TASK_SEED)
            seed_row(s, part, i);
        label = task == TASK_SEED         ? s->label[i]
                : task == TASK_PARITY     ? parity_row(s, &r)
                : task == TASK_COPY_FIRST ? copy_first_row(s, &r)
                                          : 0;
        if (task == TASK_ADDING)
            target = adding_row(s, &r);
        TRY(clrnn_npy_append(x, s->row, (size_t)s->p.steps * s->p.features));
        TRY(clrnn_npy_append(y, task == TASK_ADDING ? (const void *)&target : &label, 1));
    }
    return CLRNN_OK;
}

static enum clrnn_status write_part(struct synth *s, enum task task, uint32_t part, uint32_t samples,
                                    const char *folder)
{
    const size_t x_shape[] = {samples, s->p.steps, s->p.features}, y_shape[] = {samples, 1};
    const struct clrnn_random labels = {s->p.seed, RANDOM_SYNTH, 0, DRAW_LABEL + part};
    char *x_path = clrnn_path_join(folder, part ? "X_test.npy" : "X_train.npy");
    char *y_path = clrnn_path_join(folder, part ? "y_test.npy" : "y_train.npy");
    struct clrnn_npy_writer *x = NULL, *y = NULL;
    enum clrnn_status st = CLRNN_OK;

    s->label = malloc(samples * sizeof(*s->label));
    if (!x_path || !y_path || !s->label) {
        st = clrnn_error_memory(s->log, samples * sizeof(*s->label), "synthetic data");
        goto done;
    }
    clrnn_random_permutation(&labels, samples, s->label);
    for (uint32_t i = 0; i < samples; i++)
        s->label[i] %= s->p.classes;
    st = clrnn_npy_create(s->log, x_path, CLRNN_DTYPE_F32, 3, x_shape, &x);
    if (st == CLRNN_OK)
        st = clrnn_npy_create(s->log, y_path, task == TASK_ADDING ? CLRNN_DTYPE_F32 : CLRNN_DTYPE_I64, 2, y_shape, &y);
    if (st == CLRNN_OK)
        st = write_rows(s, task, part, samples, x, y);
    if (st == CLRNN_OK)
        st = clrnn_npy_commit(&x);
    if (st == CLRNN_OK)
        st = clrnn_npy_commit(&y);

done:
    clrnn_npy_abort(&x);
    clrnn_npy_abort(&y);
    free(s->label);
    s->label = NULL;
    free(x_path);
    free(y_path);
    return st;
}

#define MARK ".clrnn-synth" // marks a folder in which the files that claim() names may be replaced

// Refuses a folder that has a non-empty file of these names but no mark, since clrnn synth did not write that file.
// Otherwise marks the folder. Links are judged by their targets, because the writer replaces the target.
static enum clrnn_status claim(const struct clrnn_log *log, const char *folder)
{
    static const char *const names[] = {"X_train.npy", "y_train.npy", "X_test.npy", "y_test.npy"};
    char *mark = clrnn_path_join(folder, MARK);
    enum clrnn_status st = mark ? CLRNN_OK : clrnn_error_memory(log, 0, folder);

    for (size_t i = 0; st == CLRNN_OK && access(mark, F_OK) && i < ARRAY_SIZE(names); i++) {
        char *path = clrnn_path_join(folder, names[i]);
        struct stat file;

        if (path && !stat(path, &file) && S_ISREG(file.st_mode) && file.st_size)
            st = clrnn_error(log, CLRNN_ERR_ARG,
                             "%s: is there and was not made by `clrnn synth`: remove it or name another folder", path);
        free(path);
    }
    if (st == CLRNN_OK)
        st = clrnn_write_text(log, mark, "");
    free(mark);
    return st;
}

// ---------------------------------------------------------------- parameters and defaults

static enum clrnn_status resolve(struct synth *s, const struct clrnn_synth_params *params, enum task *task)
{
    static const char *const words[] = {"seed", "adding", "parity", "copy-first"};
    struct clrnn_synth_params *p = &s->p;
    const char *word = params->task ? params->task : "seed";
    size_t numbers;

    *p = *params;
    for (size_t i = 0; i <= ARRAY_SIZE(words); i++) {
        if (i == ARRAY_SIZE(words))
            return clrnn_error(s->log, CLRNN_ERR_ARG,
                               "there is no task '%s', expected seed, adding, parity or "
                               "copy-first",
                               word);
        *task = (enum task)i;
        if (!strcmp(word, words[i]))
            break;
    }
    p->samples = p->samples ? p->samples : 22644;
    p->test_samples = p->test_samples ? p->test_samples : 5661;
    p->classes = p->classes ? p->classes : 2;
    p->steps = p->steps ? p->steps : *task == TASK_SEED ? 1 : 50;
    if (*task == TASK_SEED) {
        p->features = p->features ? p->features : 2474;
    } else {
        const uint32_t features = *task == TASK_ADDING ? 2 : *task == TASK_PARITY ? 1 : p->classes;

        if (p->features && p->features != features)
            return clrnn_error(s->log, CLRNN_ERR_ARG, "the task %s has %u features, not %u", word, features,
                               p->features);
        p->features = features;
    }
    if (*task == TASK_PARITY && p->classes != 2)
        return clrnn_error(s->log, CLRNN_ERR_ARG, "the task parity has 2 classes, not %u", p->classes);
    if (*task == TASK_ADDING && p->steps < 2)
        return clrnn_error(s->log, CLRNN_ERR_ARG, "the task adding needs at least 2 steps, not %u", p->steps);
    if (p->classes < 2)
        return clrnn_error(s->log, CLRNN_ERR_ARG, "%u class cannot be told apart, expected 2 or more", p->classes);
    if (!clrnn_mul_size(p->steps, p->features, &numbers) || numbers > INT32_MAX || p->samples > INT32_MAX ||
        p->test_samples > INT32_MAX)
        return clrnn_error(s->log, CLRNN_ERR_ARG, "%u samples of %u steps of %u features are too many", p->samples,
                           p->steps, p->features);
    return CLRNN_OK;
}

enum clrnn_status clrnn_synth(const struct clrnn_log *log, const struct clrnn_synth_params *params, const char *folder)
{
    CLRNN_C_LOCALE;
    NEED(log, params);
    NEED(log, folder);

    struct synth s = {.log = log};
    enum clrnn_status st;
    enum task task;
    size_t numbers;

    TRY(resolve(&s, params, &task));
    numbers = (size_t)s.p.steps * s.p.features;
    s.row = malloc(numbers * sizeof(*s.row));
    st = s.row ? CLRNN_OK : clrnn_error_memory(log, numbers * sizeof(*s.row), "synthetic data");
    if (st == CLRNN_OK && task == TASK_SEED)
        st = prepare_seed(&s);
    if (st == CLRNN_OK)
        st = clrnn_make_folder(log, folder);
    if (st == CLRNN_OK)
        st = claim(log, folder);
    for (uint32_t part = 0; part < 2 && st == CLRNN_OK; part++)
        st = write_part(&s, task, part, part ? s.p.test_samples : s.p.samples, folder);
    free(s.row);
    free(s.place);
    free(s.sign);
    free(s.fixed);
    return st;
}
