// SPDX-License-Identifier: MIT
// Helpers of the model tests: models from YAML, synthetic batches.
#ifndef CLRNN_TESTS_MODEL_FIXTURE_H
#define CLRNN_TESTS_MODEL_FIXTURE_H

#include "model/checkpoint.h"
#include "model/network.h"
#include "model/plan.h"
#include "scratch.h"

/** A config of `layers` (the YAML below model.layers, "- rnn: {...}\n- ...") and a train section. */
struct clrnn_config *fixture_config(struct scratch *f, const char *layers, const char *train);
/** The model of such a config; the test fails where it cannot be made. */
struct clrnn_model *fixture_model(struct scratch *f, const char *layers, const char *train,
                                  struct clrnn_data_shape shape);
/** The message with which creating the model fails (CLRNN_ERR_CONFIG). */
const char *fixture_refusal(struct scratch *f, const char *layers, const char *train,
                            struct clrnn_data_shape shape);

/** A batch of made-up numbers that the seed determines; free with fixture_batch_free. */
struct clrnn_batch fixture_batch(const struct clrnn_model *model, uint32_t N, uint32_t T, bool lengths,
                                 uint64_t seed);
void fixture_batch_free(struct clrnn_batch *batch);

/** A data set of one batch on the device, for plans: index 0..N-1. */
struct clrnn_plan_data fixture_data(struct clrnn_model *model, const struct clrnn_batch *batch);
void fixture_data_free(struct clrnn_plan_data *data);

/** The row of a parameter; the test fails where there is none. */
size_t fixture_find(const struct clrnn_model *model, const char *name);

#endif
