// SPDX-License-Identifier: MIT
// Helpers of the model tests: models from YAML, synthetic batches.
#ifndef CLRNN_TESTS_MODEL_FIXTURE_H
#define CLRNN_TESTS_MODEL_FIXTURE_H

#include "model/checkpoint.h"
#include "model/network.h"
#include "model/plan.h"
#include "scratch.h"

/** Makes a config with `layers` (the YAML below model.layers, "- rnn: {...}\n- ...") and a train section. */
struct clrnn_config *fixture_config(struct scratch *f, const char *layers, const char *train);
/** Creates the model of such a config. The test fails if the model cannot be created. */
struct clrnn_model *fixture_model(struct scratch *f, const char *layers, const char *train,
                                  struct clrnn_data_shape shape);
/** Returns the message with which creating the model fails (CLRNN_ERR_CONFIG). */
const char *fixture_refusal(struct scratch *f, const char *layers, const char *train, struct clrnn_data_shape shape);

/** Makes a batch of random numbers that depend only on `seed`. Free it with fixture_batch_free. */
struct clrnn_batch fixture_batch(const struct clrnn_model *model, uint32_t N, uint32_t T, bool lengths, uint64_t seed);
void fixture_batch_free(struct clrnn_batch *batch);

/** Makes a data set of one batch on the device, for plans. Its index buffer is 0 to N - 1. */
struct clrnn_plan_data fixture_data(struct clrnn_model *model, const struct clrnn_batch *batch);
void fixture_data_free(struct clrnn_plan_data *data);

/** Returns the index of a parameter. The test fails if there is no such parameter. */
size_t fixture_find(const struct clrnn_model *model, const char *name);

#endif
