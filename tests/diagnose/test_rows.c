// SPDX-License-Identifier: MIT
// Tests what the doctor finds by comparing rows: windows of the same stretch of a series in both training and
// validation set, columns that number the rows, steps stored as features, exchanged axes, padding in front, order of
// stateful rows. And how long rows are for a plain rnn.
#include <math.h>

#include "base/array.h"
#include "base/random.h"
#include "clrnn/diagnose.h"
#include "tests/model/scratch.h"

enum { ROWS = 120, STEPS = 8, MOST = ROWS * STEPS * 3 };

static double noise(uint32_t stream, uint32_t at)
{
    const struct clrnn_random r = {11, RANDOM_PROBE, stream, 0};

    return clrnn_random_normal(&r, at);
}

static void write_labels(const struct scratch *s, const char *name, uint32_t rows)
{
    int64_t y[ROWS];

    for (uint32_t n = 0; n < rows; n++)
        y[n] = noise(99, n) > 0;
    scratch_i64(s, name, y, rows, 0);
}

static struct clrnn_config *config_of(struct scratch *s, const char *layers)
{
    char text[1024];

    snprintf(text, sizeof(text),
             "model:\n  layers:\n%s  - linear: {out_features: 2}\n"
             "train:\n  loss: cross_entropy\n  optimizer: {adam: {lr: 1.0e-3}}\n  epochs: 4\n  batch_size: 16\n"
             "  shuffle: true\n"
             "data:\n  train: {x: X.npy, y: y.npy}\n  valid: {x: X_valid.npy, y: y_valid.npy}\n",
             layers);
    return scratch_config(s, text);
}

// Whether the doctor, from config and data alone, reports the error or warning `id`. Destroys the config.
static bool finds_in(struct scratch *s, struct clrnn_config *config, const char *id)
{
    struct clrnn_doctor_result r;
    bool found = false;

    assert_int_equal(clrnn_doctor(s->device, config, &(struct clrnn_doctor_params){.static_only = true}, &r), CLRNN_OK);
    for (size_t i = 0; i < r.count; i++)
        found = found || (!strcmp(r.finding[i].id, id) && r.finding[i].severity != CLRNN_SEVERITY_NOTE);
    clrnn_doctor_finish(&r);
    clrnn_config_destroy(&config);
    return found;
}

static bool finds(struct scratch *s, const char *layers, const char *id)
{
    return finds_in(s, config_of(s, layers), id);
}

#define GRU "  - gru: {hidden_size: 4}\n"
#define POOL "  - pool: {over: last}\n"

// ---------------------------------------------------------------- windows of a series

/** Returns the step of the series at which the window in row n begins. */
typedef uint32_t start_fn(uint32_t n);

static uint32_t even(uint32_t n)
{
    return 2 * n;
}

static uint32_t odd(uint32_t n)
{
    return 2 * n + 1;
}

static uint32_t far_behind(uint32_t n)
{
    return 2 * ROWS + STEPS + n;
}

static uint32_t same_place(uint32_t n)
{
    return 5 * STEPS * n;
}

// Writes windows of a series of C features, whose values change only at every `still`th step.
static void write_windows(const struct scratch *s, const char *name, uint32_t C, uint32_t still, start_fn *start)
{
    float x[MOST];

    for (uint32_t n = 0; n < ROWS; n++)
        for (uint32_t t = 0; t < STEPS; t++)
            for (uint32_t c = 0; c < C; c++)
                x[(n * STEPS + t) * C + c] = (float)noise(c, (start(n) + t) / still);
    scratch_f32(s, name, x, ROWS, STEPS, C);
}

static void windows_on_both_sides(struct scratch *s)
{
    static const struct {
        uint32_t features, still;
        start_fn *train, *valid;
        bool shared;
    } cases[] = {
        {1, 1, even, odd, true},
        {3, 1, even, odd, true},
        {1, 1, even, far_behind, false},
        {3, 1, even, far_behind, false},
        {1, 1, same_place, same_place, false}, // equal rows without a time shift: must not be reported
        {1, 1000000, even, odd, false},        // a constant series: equal steps prove nothing
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        print_message("# case %zu\n", i);
        write_windows(s, "X.npy", cases[i].features, cases[i].still, cases[i].train);
        write_windows(s, "X_valid.npy", cases[i].features, cases[i].still, cases[i].valid);
        write_labels(s, "y.npy", ROWS);
        write_labels(s, "y_valid.npy", ROWS);
        assert_int_equal(finds(s, GRU POOL, "train-valid-overlap"), cases[i].shared);
    }
}

// Each step of a long window is in so many other windows that not all of them can be compared. Windows behind the
// stretch of the training set must not be reported.
static void long_windows(struct scratch *s)
{
    enum { LONG = 300, MANY = 300 };
    float *x = malloc(sizeof(*x) * MANY * LONG);
    const uint32_t offset[] = {MANY + 1, 2 * MANY + LONG};
    int64_t y[MANY];

    assert_non_null(x);
    for (uint32_t n = 0; n < MANY; n++)
        y[n] = noise(99, n) > 0;
    scratch_i64(s, "y.npy", y, MANY, 0);
    write_labels(s, "y_valid.npy", ROWS);
    for (uint32_t apart = 0; apart < 2; apart++) {
        for (uint32_t set = 0; set < 2; set++) {
            for (uint32_t n = 0; n < MANY; n++)
                for (uint32_t t = 0; t < LONG; t++)
                    x[n * LONG + t] = (float)noise(0, 2 * n + t + (set ? offset[apart] : 0));
            scratch_f32(s, set ? "X_valid.npy" : "X.npy", x, set ? ROWS : MANY, LONG, 1);
        }
        assert_int_equal(finds(s, GRU POOL, "train-valid-overlap"), !apart);
    }
    free(x);
}

// Rows of tokens with only 4 different values have steps in common by chance. This must not be reported as overlap of
// the training and validation set.
static void words(struct scratch *s)
{
    int64_t x[ROWS * STEPS];

    for (uint32_t set = 0; set < 2; set++) {
        for (uint32_t i = 0; i < ROWS * STEPS; i++)
            x[i] = (int64_t)(fabs(noise(80 + set, i)) * 4) % 4;
        scratch_i64(s, set ? "X_valid.npy" : "X.npy", x, ROWS, STEPS);
        write_labels(s, set ? "y_valid.npy" : "y.npy", ROWS);
    }
    assert_false(finds(s, "  - embedding: {num_embeddings: 60, embedding_dim: 3}\n" GRU POOL, "train-valid-overlap"));
}

// ---------------------------------------------------------------- columns

/** Returns the value of feature 1 in row n. */
typedef double column_fn(uint32_t n);

static double row_number(uint32_t n)
{
    return n;
}

static double shuffled_number(uint32_t n)
{
    return n * 7 % ROWS; // 7 and ROWS have no common factor
}

static double time_stamp(uint32_t n)
{
    return 1e5 + 60.0 * n;
}

static double part_of_numbers(uint32_t n)
{
    return 3.0 * (n / 2) + n % 2; // 0, 1, 3, 4, 6, 7, ...
}

static double evenly_drawn(uint32_t n)
{
    return erfc(noise(5, n) / sqrt(2)); // uniform
}

static double of_ten_values(uint32_t n)
{
    return n % 10;
}

static void write_column(const struct scratch *s, const char *name, uint32_t stream, column_fn *column)
{
    float x[MOST];

    for (uint32_t n = 0; n < ROWS; n++)
        for (uint32_t c = 0; c < 3; c++)
            x[n * 3 + c] = (float)(c == 1 ? column(n) : noise(stream + c, n));
    scratch_f32(s, name, x, ROWS, 1, 3);
}

static void columns_that_count(struct scratch *s)
{
    static const struct {
        column_fn *column;
        bool counts;
    } cases[] = {{row_number, true},      {shuffled_number, true}, {time_stamp, true},
                 {part_of_numbers, true}, {evenly_drawn, false},   {of_ten_values, false}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        print_message("# case %zu\n", i);
        write_column(s, "X.npy", 20, cases[i].column);
        write_column(s, "X_valid.npy", 30, cases[i].column);
        write_labels(s, "y.npy", ROWS);
        write_labels(s, "y_valid.npy", ROWS);
        assert_int_equal(finds(s, "  - linear: {out_features: 4}\n  - tanh\n", "row-number-feature"), cases[i].counts);
    }
}

// The last of many columns numbers the rows. The others are uniform, or whole numbers in no order.
static void last_column_counts(struct scratch *s)
{
    enum { COLUMNS = 40 };
    float *x = malloc(sizeof(*x) * ROWS * COLUMNS);

    assert_non_null(x);
    write_labels(s, "y.npy", ROWS);
    write_labels(s, "y_valid.npy", ROWS);
    for (int counts = 0; counts < 2; counts++) {
        for (uint32_t n = 0; n < ROWS; n++)
            for (uint32_t c = 0; c < COLUMNS; c++) {
                const double uniform = erfc(noise(300 + c, n) / sqrt(2)) / 2;

                x[n * COLUMNS + c] = (float)(c % 2 ? uniform : floor(4 * ROWS * uniform));
            }
        for (uint32_t n = 0; n < ROWS && counts; n++)
            x[n * COLUMNS + COLUMNS - 1] = (float)shuffled_number(n);
        scratch_f32(s, "X.npy", x, ROWS, 1, COLUMNS);
        scratch_f32(s, "X_valid.npy", x, ROWS, 1, COLUMNS);
        assert_int_equal(finds(s, "  - linear: {out_features: 4}\n  - tanh\n", "row-number-feature"), counts);
    }
    free(x);
}

// ---------------------------------------------------------------- windows in the features

static void steps_as_features(struct scratch *s)
{
    float x[ROWS * 4];

    write_labels(s, "y.npy", ROWS);
    write_labels(s, "y_valid.npy", ROWS);
    for (int moved = 0; moved < 2; moved++) {
        for (uint32_t n = 0; n < ROWS; n++)
            for (uint32_t c = 0; c < 4; c++)
                x[n * 4 + c] = (float)noise(40, moved ? n + c : 4 * n + c);
        scratch_f32(s, "X.npy", x, ROWS, 1, 4);
        scratch_f32(s, "X_valid.npy", x, ROWS, 1, 4);
        assert_int_equal(finds(s, GRU POOL, "axes-swapped"), moved);
        assert_false(finds(s, "  - linear: {out_features: 4}\n",
                           "axes-swapped")); // steps as features are usual without a recurrent layer
    }
}

// Sine waves with a random phase in each row must be reported if they are stored as (T, N). If they are stored as
// (N, T), they must not be reported. Noise must not be reported either.
static void reshaped_rows(struct scratch *s)
{
    float x[ROWS * STEPS];

    write_labels(s, "y.npy", ROWS);
    write_labels(s, "y_valid.npy", ROWS);
    for (int kind = 0; kind < 3; kind++) {
        for (uint32_t n = 0; n < ROWS; n++)
            for (uint32_t t = 0; t < STEPS; t++)
                x[kind == 0 ? t * ROWS + n : n * STEPS + t] =
                    (float)(kind == 2 ? noise(70, n * STEPS + t) : sin(0.4 * t + 40 * noise(60, n)));
        scratch_f32(s, "X.npy", x, ROWS, STEPS, 1);
        scratch_f32(s, "X_valid.npy", x, ROWS, STEPS, 1);
        assert_int_equal(finds(s, GRU POOL, "axes-swapped"), kind == 0);
    }
}

// ---------------------------------------------------------------- padding

static void tokens_behind_padding(struct scratch *s)
{
    int64_t x[ROWS * STEPS];

    write_labels(s, "y.npy", ROWS);
    write_labels(s, "y_valid.npy", ROWS);
    for (int front = 0; front < 2; front++) {
        for (uint32_t n = 0; n < ROWS; n++)
            for (uint32_t t = 0; t < STEPS; t++) {
                const uint32_t length = 3 + n % 5, at = front ? t + length - STEPS : t;

                x[n * STEPS + t] = at < length ? 1 + (int64_t)(fabs(noise(50 + n, t)) * 4) % 9 : 0;
            }
        scratch_i64(s, "X.npy", x, ROWS, STEPS);
        scratch_i64(s, "X_valid.npy", x, ROWS, STEPS);
        assert_int_equal(finds(s, "  - embedding: {num_embeddings: 10, embedding_dim: 3, padding_idx: 0}\n" GRU POOL,
                               "padding-in-front"),
                         front);
        assert_false(finds(s, "  - embedding: {num_embeddings: 10, embedding_dim: 3}\n" GRU POOL,
                           "padding-in-front")); // without padding_idx, 0 is a token like any other
    }
}

// One series divided into rows, with train.stateful and batches of 8: row n + 8 starts from the final state of row n.
// If the rows are in the order of the series, row n + 8 does not continue row n. The doctor must report that. If the
// series is first divided into 8 strips and row n is from strip n % 8, row n + 8 continues row n. Then the doctor must
// report nothing.
static void rows_that_carry_states(struct scratch *s)
{
    enum { BATCH = 8, PARTS = ROWS / BATCH };
    float series[ROWS * STEPS], x[ROWS * STEPS];
    struct clrnn_config *config;
    struct clrnn_doctor_result r;

    for (uint32_t i = 0; i < ROWS * STEPS; i++)
        series[i] = (float)(noise(7, i) + (i ? series[i - 1] : 0));
    write_labels(s, "y.npy", ROWS);
    for (int strips = 0; strips < 2; strips++) {
        for (uint32_t n = 0; n < ROWS; n++) {
            const uint32_t from = strips ? n % BATCH * PARTS + n / BATCH : n;

            memcpy(x + (size_t)n * STEPS, series + (size_t)from * STEPS, STEPS * sizeof(*x));
        }
        scratch_f32(s, "X.npy", x, ROWS, STEPS, 1);
        config = scratch_config(s, "{model: {layers: [gru: {hidden_size: 4}, pool, linear: {out_features: 2}]}, "
                                   "train: {loss: cross_entropy, batch_size: 8, stateful: true}, "
                                   "data: {train: {x: X.npy, y: y.npy}, normalize: standard}}");
        assert_int_equal(clrnn_doctor(s->device, config, &(struct clrnn_doctor_params){.static_only = true}, &r),
                         CLRNN_OK);
        assert_int_equal(r.count, !strips);
        if (!strips)
            assert_string_equal(r.finding[0].id, "stateful-order");
        clrnn_doctor_finish(&r);
        clrnn_config_destroy(&config);
    }
}

// ---------------------------------------------------------------- length

// Rows of 200 steps are too long for a plain rnn, unless their lengths are all small or train.bptt cuts them.
static void long_rows(struct scratch *s)
{
    enum { LONG = 200 };
    static const struct {
        const char *layers, *train, *data;
        bool finds;
    } cases[] = {
        {"", "", "", true},
        {"", "", ", lengths: short.npy", false},
        {"", "", ", lengths: long.npy", true},
        {"", "bptt: 20, ", "", false},
        {"", "bptt: 160, ", "", true},
        {"", "bptt: 160, ", ", lengths: short.npy", false},
        {"max_pool1d: {kernel_size: 4}, ", "", "", false},
    };
    int64_t length[2][ROWS];
    float *x = malloc(sizeof(*x) * ROWS * LONG), *y = malloc(sizeof(*y) * ROWS * LONG);

    assert_true(x && y);
    for (uint32_t i = 0; i < ROWS * LONG; i++) {
        x[i] = (float)noise(220, i);
        y[i] = x[i] > 0;
    }
    for (uint32_t n = 0; n < ROWS; n++) {
        length[0][n] = 5 + n % 20;
        length[1][n] = 5 + n % 2 * 190;
    }
    scratch_f32(s, "X.npy", x, ROWS, LONG, 1);
    scratch_f32(s, "y_steps.npy", y, ROWS, LONG, 0);
    scratch_f32(s, "y_quarters.npy", y, ROWS, LONG / 4, 0);
    scratch_i64(s, "short.npy", length[0], ROWS, 0);
    scratch_i64(s, "long.npy", length[1], ROWS, 0);
    free(x);
    free(y);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[512];

        print_message("# case %zu\n", i);
        snprintf(text, sizeof(text),
                 "{model: {layers: [%srnn: {hidden_size: 4}, linear: {out_features: 1}]}, train: {loss: "
                 "bce_with_logits, %sshuffle: true}, data: {train: {x: X.npy, y: %s%s}}}",
                 cases[i].layers, cases[i].train, *cases[i].layers ? "y_quarters.npy" : "y_steps.npy", cases[i].data);
        assert_int_equal(finds_in(s, scratch_config(s, text), "sequence-too-long"), cases[i].finds);
    }
}

// ---------------------------------------------------------------- samples of both sets

// Both sets are random walks from 0. The number of time steps between samples at equal distances would be a multiple of
// T, so these would all be of step 0.
static void walks_from_0(struct scratch *s)
{
    enum { MANY = 4096, FEW = 200, T = 4 };
    const uint32_t rows[] = {MANY, FEW};
    float *x = malloc(sizeof(*x) * MANY * T);
    int64_t *y = malloc(sizeof(*y) * MANY);

    assert_true(x && y);
    for (uint32_t set = 0; set < 2; set++) {
        for (uint32_t i = 0; i < rows[set] * T; i++)
            x[i] = i % T ? x[i - 1] + (float)noise(200 + set, i) : 0;
        for (uint32_t n = 0; n < rows[set]; n++)
            y[n] = x[n * T + T - 1] > 0;
        scratch_f32(s, set ? "X_valid.npy" : "X.npy", x, rows[set], T, 1);
        scratch_i64(s, set ? "y_valid.npy" : "y.npy", y, rows[set], 0);
    }
    free(x);
    free(y);
    assert_false(finds(s, GRU POOL, "train-valid-shift"));
}

// Real targets of the training set in ascending order, of the validation set in any order: they are distributed alike.
static void sorted_targets(struct scratch *s)
{
    enum { MANY = 8192, FEW = 200 };
    const uint32_t rows[] = {MANY, FEW};
    float *x = malloc(sizeof(*x) * MANY), *y = malloc(sizeof(*y) * MANY);

    assert_true(x && y);
    for (uint32_t set = 0; set < 2; set++) {
        for (uint32_t n = 0; n < rows[set]; n++) {
            x[n] = (float)noise(210 + set, n);
            y[n] = (float)(set ? 37 * n % FEW : n) / (float)rows[set];
        }
        scratch_f32(s, set ? "X_valid.npy" : "X.npy", x, rows[set], 1, 1);
        scratch_f32(s, set ? "y_valid.npy" : "y.npy", y, rows[set], 0, 0);
    }
    free(x);
    free(y);
    assert_false(finds_in(s,
                          scratch_config(s, "{model: {layers: [linear: {out_features: 1}]}, "
                                            "train: {loss: mse, shuffle: true}, data: {train: {x: X.npy, y: y.npy}, "
                                            "valid: {x: X_valid.npy, y: y_valid.npy}}}"),
                          "train-valid-shift"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(windows_on_both_sides, "ref"),  SCRATCH_TEST(words, "ref"),
        SCRATCH_TEST(columns_that_count, "ref"),     SCRATCH_TEST(steps_as_features, "ref"),
        SCRATCH_TEST(reshaped_rows, "ref"),          SCRATCH_TEST(tokens_behind_padding, "ref"),
        SCRATCH_TEST(rows_that_carry_states, "ref"), SCRATCH_TEST(walks_from_0, "ref"),
        SCRATCH_TEST(sorted_targets, "ref"),         SCRATCH_TEST(long_rows, "ref"),
        SCRATCH_TEST(last_column_counts, "ref"),     SCRATCH_TEST(long_windows, "ref"),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
