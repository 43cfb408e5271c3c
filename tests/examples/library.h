// SPDX-License-Identifier: MIT
// Helpers for tests that use only the public headers: a device, a log, batches of random numbers.
#ifndef CLRNN_TESTS_EXAMPLES_LIBRARY_H
#define CLRNN_TESTS_EXAMPLES_LIBRARY_H

#include <clrnn.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 12, T = 5, C = 3, CLASSES = 3 };

struct fixture {
    struct clrnn_log log;
    unsigned errors, warnings;
    char last[1024]; // the last error or warning
    char folder[64];
    struct clrnn_device *device;
    float x[N * T * C], targets[N * T];
    int32_t tokens[N * T], lengths[N], classes[N * T];
};

static inline void keep(void *user, enum clrnn_log_level level, const char *line)
{
    struct fixture *f = user;

    f->errors += level == CLRNN_LOG_ERROR;
    f->warnings += level == CLRNN_LOG_WARNING;
    if (level <= CLRNN_LOG_WARNING)
        snprintf(f->last, sizeof(f->last), "%s", line);
}

static inline int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct clrnn_device_params params = {0};

    assert_non_null(f);
    f->log = (struct clrnn_log){.fn = keep, .user = f, .level = CLRNN_LOG_INFO};
    params.log = &f->log;
    strcpy(f->folder, "/tmp/clrnn-library-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    // without an OpenCL device, ref is used, which is always there
    if (clrnn_device_open(&params, &f->device) != CLRNN_OK) {
        params.select = "ref";
        assert_int_equal(clrnn_device_open(&params, &f->device), CLRNN_OK);
    }
    f->errors = 0;
    srand(3);
    for (int i = 0; i < N * T * C; i++)
        f->x[i] = (float)rand() / (float)RAND_MAX - 0.5f;
    for (int i = 0; i < N * T; i++) {
        f->tokens[i] = rand() % 7;
        f->classes[i] = rand() % CLASSES;
        f->targets[i] = (float)(rand() % 2);
    }
    for (int n = 0; n < N; n++)
        f->lengths[n] = 1 + rand() % T;
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];

    clrnn_device_destroy(&f->device);
    clrnn_device_destroy(&f->device);
    snprintf(command, sizeof(command), "rm -r %s", f->folder);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

// Makes a config with these layers and train section, and defaults for the rest.
static inline struct clrnn_config *make_config(struct fixture *f, const char *layers, const char *train)
{
    struct clrnn_config *config = NULL;
    char text[1024];

    snprintf(text, sizeof(text), "{model: {layers: [%s]}, train: {%s}}", layers, train);
    if (clrnn_config_parse(&f->log, text, NULL, &config) != CLRNN_OK)
        fail_msg("%s", f->last);
    return config;
}

static inline struct clrnn_model *make_model(struct fixture *f, const char *layers, const char *train, bool tokens)
{
    const struct clrnn_data_shape shape = {.features = tokens ? 0 : C, .tokens = tokens};
    struct clrnn_config *config = make_config(f, layers, train);
    struct clrnn_model *model = NULL;

    if (clrnn_model_create(f->device, config, &shape, &model) != CLRNN_OK)
        fail_msg("%s", f->last);
    clrnn_config_destroy(&config); // the model has its own copy
    return model;
}

static inline struct clrnn_batch all_of(const struct fixture *f)
{
    return (struct clrnn_batch){.N = N,
                                .T = T,
                                .x = f->x,
                                .tokens = f->tokens,
                                .lengths = f->lengths,
                                .classes = f->classes,
                                .targets = f->targets};
}

static inline bool near(double a, double b, double tolerance)
{
    const double off = a > b ? a - b : b - a, size = b > 0 ? b : -b;

    return off <= tolerance * (size > 1 ? size : 1);
}

#define assert_ok(call) assert_int_equal(call, CLRNN_OK)

// Expects that a call fails with this status and one message that contains `word`.
#define assert_refused(f, call, status, word) \
    do { \
        (f)->errors = 0; \
        assert_int_equal(call, status); \
        assert_int_equal((f)->errors, 1); \
        if (!strstr((f)->last, word)) \
            fail_msg("\"%s\" is not in: %s", word, (f)->last); \
    } while (0)

#endif
