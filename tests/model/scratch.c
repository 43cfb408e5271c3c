// SPDX-License-Identifier: MIT
// Helpers of tests of models and of training.
#include "scratch.h"

#include "base/array.h"
#include "base/temporary.h"

static void listen(void *user, enum clrnn_log_level level, const char *line)
{
    struct scratch *s = user;
    const size_t used = strlen(s->info);

    if (level == CLRNN_LOG_ERROR) {
        s->errors++;
        snprintf(s->error, sizeof(s->error), "%s", line);
    } else if (level == CLRNN_LOG_WARNING) {
        snprintf(s->warning, sizeof(s->warning), "%s", line);
    }
    snprintf(s->info + used, sizeof(s->info) - used, "%s\n", line);
}

struct scratch *scratch_open(const char *select)
{
    struct clrnn_device_params params = {.select = select ? select : getenv("CLRNN_DEVICE") ? NULL : "cpu"};
    struct scratch *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    params.log = &s->log;
    s->log = (struct clrnn_log){.fn = listen, .user = s, .level = CLRNN_LOG_INFO};
    assert_int_equal(clrnn_temporary_folder(&s->log, &s->folder), CLRNN_OK);
    if ((!select || *select) && clrnn_device_open(&params, &s->device) != CLRNN_OK) {
        assert_null(select);
        print_message("# skipped: %s\n", s->error);
        scratch_close(s);
        return NULL;
    }
    return s;
}

void scratch_close(struct scratch *s)
{
    clrnn_device_destroy(&s->device);
    clrnn_remove_folder(s->folder);
    free(s->folder);
    free(s);
}

static int setup(void **state)
{
    const struct scratch_test *test = *state;
    struct scratch *s = scratch_open(test->select);

    if (s)
        s->test = test->test;
    *state = s;
    return 0;
}

static void run(void **state)
{
    struct scratch *s = *state;

    if (s)
        s->test(s);
}

static int teardown(void **state)
{
    if (*state)
        scratch_close(*state);
    return 0;
}

struct CMUnitTest scratch_unit_test(const char *name, struct scratch_test *test)
{
    return (struct CMUnitTest){name, run, setup, teardown, test};
}

const char *scratch_path(const struct scratch *s, const char *name)
{
    static char paths[8][256];
    static unsigned turn;
    char *path = paths[turn++ % ARRAY_SIZE(paths)];

    snprintf(path, sizeof(paths[0]), "%s/%s", s->folder, name);
    return path;
}

char *scratch_read(const struct scratch *s, const char *name, size_t *size)
{
    FILE *file = fopen(scratch_path(s, name), "rb");
    char *text;
    long length;

    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    length = ftell(file);
    rewind(file);
    text = calloc((size_t)length + 1, 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)length, file), length);
    fclose(file);
    if (size)
        *size = (size_t)length;
    return text;
}

void scratch_write(const struct scratch *s, const char *name, const char *text)
{
    FILE *file = fopen(scratch_path(s, name), "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void write_npy(const struct scratch *s, const char *name, enum clrnn_dtype dtype, const void *values, size_t a,
                      size_t b, size_t c)
{
    const size_t shape[3] = {a, b, c};
    const unsigned ndim = b ? c ? 3 : 2 : 1;
    struct clrnn_npy_writer *writer;

    assert_int_equal(clrnn_npy_create(&s->log, scratch_path(s, name), dtype, ndim, shape, &writer), CLRNN_OK);
    assert_int_equal(clrnn_npy_append(writer, values, a * (b ? b : 1) * (c ? c : 1)), CLRNN_OK);
    assert_int_equal(clrnn_npy_commit(&writer), CLRNN_OK);
}

void scratch_f32(const struct scratch *s, const char *name, const float *values, size_t a, size_t b, size_t c)
{
    write_npy(s, name, CLRNN_DTYPE_F32, values, a, b, c);
}

void scratch_i64(const struct scratch *s, const char *name, const int64_t *values, size_t a, size_t b)
{
    write_npy(s, name, CLRNN_DTYPE_I64, values, a, b, 0);
}

void scratch_problem(const struct scratch *s, const char *part, uint32_t N, uint32_t T, uint32_t C, uint32_t classes,
                     bool steps, uint64_t seed)
{
    const struct clrnn_random r = {seed, RANDOM_PROBE, 0, 0}, l = {seed, RANDOM_PROBE, 1, 0};
    const uint32_t width = C ? C : 1;
    float *x = malloc(sizeof(*x) * N * T * width);
    int64_t *y = malloc(sizeof(*y) * N * T), *lengths = malloc(sizeof(*lengths) * N);
    char name[64];

    assert_true(x && y && lengths);
    for (uint32_t n = 0; n < N; n++) {
        lengths[n] = 1 + clrnn_random_u32(&l, n) % T;
        for (uint32_t t = 0; t < T; t++) {
            const size_t row = (size_t)n * T + t;
            const uint32_t class = clrnn_random_u32(&l, N + (steps ? row : n)) % classes;

            if (steps || t == 0)
                y[steps ? row : n] = class;
            for (uint32_t c = 0; c < width; c++)
                x[row * width + c] =
                    C ? (float)clrnn_random_normal(&r, row * width + c) + (c % classes == class ? 1.0f : 0.0f)
                      : (float)((clrnn_random_u32(&r, row) % 4 + class) % 6);
        }
    }
    snprintf(name, sizeof(name), "X_%s.npy", part);
    scratch_f32(s, name, x, N, T, C);
    snprintf(name, sizeof(name), "y_%s.npy", part);
    scratch_i64(s, name, y, N, steps ? T : 0);
    snprintf(name, sizeof(name), "lengths_%s.npy", part);
    scratch_i64(s, name, lengths, N, 0);
    free(x);
    free(y);
    free(lengths);
}

struct clrnn_config *scratch_config(struct scratch *s, const char *text)
{
    struct clrnn_config *config = NULL;

    if (clrnn_config_parse(&s->log, text, s->folder, &config) != CLRNN_OK)
        fail_msg("%s\nin\n%s", s->error, text);
    return config;
}

void scratch_expect(const struct scratch *s, ...)
{
    va_list words;
    const char *word;

    va_start(words, s);
    while ((word = va_arg(words, const char *)))
        if (!strstr(s->error, word)) {
            va_end(words);
            fail_msg("\"%s\" is not in: %s", word, s->error);
        }
    va_end(words);
}
