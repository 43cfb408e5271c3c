// SPDX-License-Identifier: MIT
// Describes a training step or a prediction as ops and as launches, as text and as JSON.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "base/words.h"
#include "clrnn/train.h"
#include "model/nest.h"
#include "model/network.h"
#include "train/session.h"
#include "train/speedup.h"

// Writes `word`, then name and shape of each tensor in `slots`, as in "x [32, 64, 2474]". slots [count] are tensor ids;
// a negative id means that there is no tensor.
static void write_tensors(FILE *out, const char *word, const struct clrnn_graph *graph, const int *slots, size_t count)
{
    const char *comma = "";

    fprintf(out, "    %s  ", word);
    for (size_t i = 0; i < count; i++) {
        const struct clrnn_tensor *t = slots[i] < 0 ? NULL : &graph->tensor[slots[i]];

        if (!t)
            continue;
        fprintf(out, "%s%s [", comma, t->name);
        for (unsigned d = 0; d < t->ndim; d++)
            fprintf(out, d ? ", %u" : "%u", t->dims[d]);
        fputc(']', out);
        comma = ", ";
    }
    fputc('\n', out);
}

// Writes a number with three digits, a decimal prefix and the unit: 1234567 bytes as "1.23 MB".
static const char *short_text(double value, const char *unit, char text[32])
{
    static const char *const scale[] = {"", "k", "M", "G", "T"};
    size_t at = 0;

    while (value >= 999.5 && at + 1 < ARRAY_SIZE(scale)) {
        value /= 1000;
        at++;
    }
    snprintf(text, 32, "%.3g %s%s", value, scale[at], unit);
    return text;
}

// Writes the layers of a model that has nested layers as a tree, one layer per line, with the numbers of its input and
// output features.
static void write_tree(FILE *out, const struct clrnn_model *m)
{
    for (size_t i = 0; i < m->config->layer_count; i++) {
        const struct clrnn_layer_shape *s = &m->layer[i];
        size_t parent = clrnn_layer_parent(m->config, i);
        char prefix[512];
        int depth = 0;

        if (parent != SIZE_MAX && m->config->layer[parent].kind == CLRNN_LAYER_CONCAT)
            depth++; // the branch of a concat is a level, too
        for (; parent != SIZE_MAX; parent = clrnn_layer_parent(m->config, parent))
            depth++;
        fprintf(out, "%*s%s %s  %u -> %u\n", 2 * depth, "", clrnn_layer_prefix(m->config, i, prefix, sizeof(prefix)),
                clrnn_layer_word(m->config->layer[i].kind), s->in, s->out);
    }
    fputc('\n', out);
}

static void write_text(FILE *out, const struct clrnn_plan *plan)
{
    const struct clrnn_graph *graph = plan->graph;
    const struct clrnn_plan_cost cost = clrnn_plan_cost(plan);
    char flops[32], bytes[32], arena[32], params[32], queued[64] = "";

    fprintf(out, "batch %u, %u step%s, on %s\n\n", plan->params.N, plan->params.T, plan->params.T == 1 ? "" : "s",
            clrnn_device_info(plan->model->device)->name);
    if (clrnn_config_nests(plan->model->config))
        write_tree(out, plan->model);
    for (size_t i = 0; i < graph->op_count; i++) {
        const struct clrnn_op *op = &graph->op[i];
        const struct clrnn_cost c = clrnn_op_cost(graph, op);

        fprintf(out, "%-14s %-10s %14s %10s\n", clrnn_op_name(op->kind), op->layer, short_text(c.flops, "FLOP", flops),
                short_text(c.bytes, "B", bytes));
        write_tensors(out, "from", graph, op->in, CLRNN_OP_MAX_IN);
        write_tensors(out, "to  ", graph, op->out, CLRNN_OP_MAX_OUT);
        if (plan->op_launch[i] == plan->op_launch[i + 1])
            fprintf(out, "    run   nothing%s\n",
                    op->kind == CLRNN_OP_FEED ? ": those who read the batch pick its rows up from the data" : "");
        for (size_t l = plan->op_launch[i]; l < plan->op_launch[i + 1]; l++) {
            const struct clrnn_launch_info *info = clrnn_launches_info(plan->launches, l);

            fprintf(out, "    run   %-28s %-34s %s\n", info->kernel, info->shape,
                    short_text(info->cost.flops, "FLOP", flops));
        }
    }
    if (cost.queued < cost.launches)
        snprintf(queued, sizeof(queued), " that become %zu when run often", cost.queued);
    fprintf(out, "\n%zu ops, %zu launches%s, %s, %s moved if each tensor is touched once\n", cost.ops, cost.launches,
            queued, short_text(cost.flops, "FLOP", flops), short_text(cost.bytes, "B", bytes));
    fprintf(out, "parameters %s, as much again for gradients and each moment; activations %s\n",
            short_text((double)cost.param_bytes, "B", params), short_text((double)cost.arena_bytes, "B", arena));
}

static json_t *slots_json(const struct clrnn_graph *graph, const int *slots, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++) {
        const struct clrnn_tensor *t = slots[i] < 0 ? NULL : &graph->tensor[slots[i]];
        json_t *dims;

        if (!t)
            continue;
        dims = json_array();
        for (unsigned d = 0; d < t->ndim; d++)
            json_array_append_new(dims, json_integer(t->dims[d]));
        json_array_append_new(array, json_pack("{s:o, s:o}", "name", clrnn_json_text(t->name), "shape", dims));
    }
    return array;
}

// Writes a plan as JSON. `shards` is NULL if batches are not divided into shards.
static enum clrnn_status write_json(FILE *out, const struct clrnn_plan *plan, const struct clrnn_speedup *shards)
{
    const struct clrnn_graph *graph = plan->graph;
    const struct clrnn_plan_cost cost = clrnn_plan_cost(plan);
    json_t *ops = json_array(), *all;
    char *text;

    for (size_t i = 0; i < graph->op_count; i++) {
        const struct clrnn_op *op = &graph->op[i];
        const struct clrnn_cost c = clrnn_op_cost(graph, op);
        json_t *launches = json_array();

        for (size_t l = plan->op_launch[i]; l < plan->op_launch[i + 1]; l++) {
            const struct clrnn_launch_info *info = clrnn_launches_info(plan->launches, l);

            json_array_append_new(launches,
                                  json_pack("{s:s, s:s, s:f, s:f}", "kernel", info->kernel, "shape", info->shape,
                                            "flops", info->cost.flops, "bytes", info->cost.bytes));
        }
        json_array_append_new(ops, json_pack("{s:s, s:o, s:f, s:f, s:o, s:o, s:o}", "op", clrnn_op_name(op->kind),
                                             "layer", clrnn_json_text(op->layer), "flops", c.flops, "bytes", c.bytes,
                                             "in", slots_json(graph, op->in, CLRNN_OP_MAX_IN), "out",
                                             slots_json(graph, op->out, CLRNN_OP_MAX_OUT), "launches", launches));
    }
    all = json_pack("{s:o, s:i, s:i, s:f, s:f, s:I, s:I, s:I, s:I, s:o}", "device",
                    clrnn_json_text(clrnn_device_info(plan->model->device)->name), "batch", (int)plan->params.N,
                    "steps", (int)plan->params.T, "flops", cost.flops, "bytes", cost.bytes, "launches",
                    (json_int_t)cost.launches, "queued", (json_int_t)cost.queued, "arena_bytes",
                    (json_int_t)cost.arena_bytes, "param_bytes", (json_int_t)cost.param_bytes, "ops", ops);
    if (shards)
        json_object_set_new(all, "shards", clrnn_speedup_json(shards));
    text = clrnn_json_dump(all, JSON_INDENT(1));
    json_decref(all);
    if (!text)
        return clrnn_error_memory(plan->model->log, 0, "a plan as JSON");
    fprintf(out, "%s\n", text);
    free(text);
    return CLRNN_OK;
}

static enum clrnn_status write_plan(FILE *out, const struct clrnn_plan *plan, const struct clrnn_speedup *shards,
                                    bool json)
{
    if (json)
        return write_json(out, plan, shards);
    write_text(out, plan);
    if (shards)
        clrnn_speedup_text(shards, out);
    return CLRNN_OK;
}

static enum clrnn_status in_memory(const struct clrnn_plan *plan, const struct clrnn_speedup *shards, bool json,
                                   char **text)
{
    size_t size;
    FILE *out = clrnn_text_open(text, &size);
    enum clrnn_status st;

    if (!out)
        return clrnn_error_memory(plan->model->log, 0, "a plan's text");
    st = write_plan(out, plan, shards, json);
    if (!clrnn_text_close(out, text) && st == CLRNN_OK)
        st = clrnn_error_memory(plan->model->log, 0, "a plan's text");
    if (st != CLRNN_OK) {
        free(*text);
        *text = NULL;
    }
    return st;
}

enum clrnn_status clrnn_plan_text(struct clrnn_device *device, const struct clrnn_config *config,
                                  const struct clrnn_plan_text_params *params, char **text)
{
    CLRNN_C_LOCALE;
    NEED(clrnn_device_log(device), text);
    *text = NULL;
    NEED(clrnn_device_log(device), device);
    NEED(clrnn_device_log(device), config);
    NEED(clrnn_device_log(device), params);

    const enum clrnn_mode mode = params->predict ? CLRNN_MODE_PREDICT : CLRNN_MODE_TRAIN;
    struct clrnn_session *whole, *part = NULL;
    struct clrnn_speedup *shards = NULL;
    enum clrnn_status st;

    if (!params->predict)
        TRY(clrnn_shards_check(clrnn_device_log(device), config, 1));
    TRY(clrnn_session_of_one_batch(device, config, mode, &whole));
    st = CLRNN_OK;
    if (!params->predict && config->train.shards > 1)
        st = clrnn_session_of_one_batch(device, config, CLRNN_MODE_SHARD, &part);
    if (st == CLRNN_OK && part)
        st = clrnn_speedup_create(part->plan, &params->network, &shards);
    if (st == CLRNN_OK)
        st = in_memory(whole->plan, shards, params->json, text);
    clrnn_speedup_destroy(&shards);
    clrnn_session_close(&part);
    clrnn_session_close(&whole);
    return st;
}
