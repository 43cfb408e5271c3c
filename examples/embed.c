// SPDX-License-Identifier: MIT
// clRNN inside another program: the model of the original question, described in code, trained on batches of the
// program's own, saved, opened again and asked for predictions. Build it with
//     cc -std=c11 embed.c $(pkg-config --cflags --libs clrnn)
#include <clrnn.h>

#include <stdio.h>
#include <stdlib.h>

enum { SAMPLES = 512, BATCH = 64, FEATURES = 32, CLASSES = 2, EPOCHS = 10 };

// Where a function fails it has logged why; its status goes up to main.
#define CHECK(call) \
    do { \
        const enum clrnn_status status_ = (call); \
        if (status_ != CLRNN_OK) \
            return status_; \
    } while (0)

struct example {
    struct clrnn_log log;
    struct clrnn_device *device;
    struct clrnn_config *config;
    struct clrnn_model *model;
    float x[SAMPLES * FEATURES]; // [SAMPLES, T = 1, FEATURES]
    int32_t y[SAMPLES];
};

static void print(void *user, enum clrnn_log_level level, const char *line)
{
    static const char *const words[] = {"error", "warning", "info", "debug"};

    (void)user;
    fprintf(stderr, "%s: %s\n", words[level], line);
}

// RNN(32 -> 64, 2 layers, bidirectional) -> BatchNorm1d -> RNN(64, 2 layers) -> Dropout -> Linear(2), with cross
// entropy and Adam; a layer's width follows from the one before.
static enum clrnn_status describe(struct example *e)
{
    static const enum clrnn_layer_kind kinds[] = {CLRNN_LAYER_RNN, CLRNN_LAYER_BATCHNORM, CLRNN_LAYER_RNN,
                                                  CLRNN_LAYER_DROPOUT, CLRNN_LAYER_LINEAR};
    struct clrnn_layer *layer;

    CHECK(clrnn_config_create(&e->log, &e->config));
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (!clrnn_config_add_layer(e->config, kinds[i]))
            return CLRNN_ERR_MEMORY;
    layer = e->config->layer;
    layer[0].hidden_size = 64, layer[0].num_layers = 2, layer[0].bidirectional = true;
    layer[2].hidden_size = 64, layer[2].num_layers = 2;
    layer[4].out_features = CLASSES;
    e->config->train.seed = 1;
    e->config->train.optimizer.lr = 1e-3;
    CHECK(clrnn_config_set(&e->log, e->config, "model.layers.0.rnn.name=rnn"));
    return clrnn_config_set(&e->log, e->config, "train.scheduler={step_lr: {step_size: 5, gamma: 0.5}}");
}

// Two classes around opposite centres; in a real program they come from wherever its data come from.
static void make_data(struct example *e)
{
    srand(1);
    for (int n = 0; n < SAMPLES; n++) {
        e->y[n] = n % CLASSES;
        for (int c = 0; c < FEATURES; c++)
            e->x[n * FEATURES + c] = 4.0f * ((float)rand() / (float)RAND_MAX - 0.5f) + (e->y[n] ? 0.4f : -0.4f);
    }
}

static struct clrnn_batch batch_at(const struct example *e, int first)
{
    return (struct clrnn_batch){.N = BATCH, .T = 1, .x = e->x + first * FEATURES, .classes = e->y + first};
}

static enum clrnn_status train(struct example *e, int epochs)
{
    for (int epoch = 0; epoch < epochs; epoch++) {
        struct clrnn_step_result step;

        for (int first = 0; first < SAMPLES; first += BATCH) {
            const struct clrnn_batch batch = batch_at(e, first);

            // without a result it would not wait for the device
            CHECK(clrnn_model_step(e->model, &batch, &step));
        }
        CHECK(clrnn_model_end_epoch(e->model, step.loss));
        printf("step %llu  loss %.4f  lr %.1e\n", (unsigned long long)clrnn_model_steps(e->model), step.loss, step.lr);
    }
    return CLRNN_OK;
}

static enum clrnn_status evaluate(struct example *e, double *accuracy)
{
    *accuracy = 0;
    for (int first = 0; first < SAMPLES; first += BATCH) {
        const struct clrnn_batch batch = batch_at(e, first);
        struct clrnn_step_result result;

        CHECK(clrnn_model_evaluate(e->model, &batch, &result));
        *accuracy += result.accuracy * BATCH / SAMPLES;
    }
    printf("accuracy %.4f\n", *accuracy);
    return CLRNN_OK;
}

// Saves the model, opens the file, sees that both say the same; training then goes on with the opened one.
static enum clrnn_status save_and_open(struct example *e, const char *path, bool *same)
{
    const struct clrnn_batch batch = batch_at(e, 0);
    float before[BATCH * CLASSES], after[BATCH * CLASSES];

    CHECK(clrnn_model_predict(e->model, &batch, before));
    CHECK(clrnn_model_save(e->model, path));
    clrnn_model_destroy(&e->model);
    CHECK(clrnn_model_open(e->device, path, &e->model));
    CHECK(clrnn_model_predict(e->model, &batch, after));
    *same = true;
    for (int i = 0; i < BATCH * CLASSES; i++)
        *same = *same && before[i] == after[i];
    return CLRNN_OK;
}

static enum clrnn_status run(struct example *e, const char *path)
{
    const struct clrnn_data_shape shape = {.features = FEATURES};
    const struct clrnn_device_params device = {.log = &e->log}; // which: CLRNN_DEVICE, else the fastest
    double accuracy;
    bool same;

    make_data(e);
    CHECK(describe(e));
    CHECK(clrnn_device_open(&device, &e->device));
    printf("%s on %s\n", clrnn_device_info(e->device)->name, clrnn_device_info(e->device)->platform_name);
    CHECK(clrnn_model_create(e->device, e->config, &shape, &e->model));
    printf("%llu parameters\n", (unsigned long long)clrnn_model_size(e->model));
    CHECK(train(e, EPOCHS));
    CHECK(save_and_open(e, path, &same));
    CHECK(train(e, 1));
    CHECK(evaluate(e, &accuracy));
    return same && accuracy > 0.9 ? CLRNN_OK : CLRNN_FAILED;
}

int main(int argc, char **argv)
{
    static struct example e;
    enum clrnn_status status;

    e.log = (struct clrnn_log){.fn = print, .level = CLRNN_LOG_WARNING};
    status = run(&e, argc > 1 ? argv[1] : "embed.safetensors");
    clrnn_model_destroy(&e.model);
    clrnn_device_destroy(&e.device);
    clrnn_config_destroy(&e.config);
    if (status != CLRNN_OK)
        fprintf(stderr, "embed: %s\n", clrnn_status_text(status));
    return clrnn_status_exit(status);
}
