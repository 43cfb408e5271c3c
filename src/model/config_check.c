// SPDX-License-Identifier: MIT
// Checks, without data, that the parts of a config fit each other.
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/text.h"
#include "model/layer.h"
#include "model/nest.h"
#include "model/network.h"
#include "model/options.h"

struct check {
    const struct clrnn_log *log;
    const struct clrnn_config *config;
    const struct clrnn_node *root;
    const char *name;
};

// Returns the node at a dotted path or, if there is none, its deepest ancestor that exists.
static const struct clrnn_node *locate(const struct clrnn_node *node, const char *path)
{
    while (node && *path) {
        char word[64];
        const size_t length = strcspn(path, ".");
        const struct clrnn_node *child = NULL;

        snprintf(word, sizeof(word), "%.*s", (int)MIN2(length, sizeof(word) - 1), path);
        if (node->kind == CLRNN_NODE_LIST) {
            const size_t index = strtoul(word, NULL, 10);

            child = index < node->count ? node->child[index] : NULL;
        } else {
            child = clrnn_node_find(node, word);
        }
        if (!child)
            break;
        node = child;
        path += length + (path[length] == '.');
    }
    return node;
}

static CLRNN_PRINTF(3, 4) enum clrnn_status fail(const struct check *c, const char *path, const char *format, ...)
{
    const struct clrnn_node *node = locate(c->root, path);
    va_list arguments;
    char *text;

    va_start(arguments, format);
    text = clrnn_format_va(format, arguments);
    va_end(arguments);
    if (node && node->line > 0)
        clrnn_error(c->log, CLRNN_ERR_CONFIG, "%s:%d:%d: %s: %s", c->name, node->line, node->column, path,
                    text ? text : "does not fit");
    else
        clrnn_error(c->log, CLRNN_ERR_CONFIG, "%s%s%s: %s",
                    node      ? node->file
                    : c->name ? c->name
                              : "",
                    node      ? " "
                    : c->name ? ": "
                              : "",
                    path, text ? text : "does not fit");
    free(text);
    return CLRNN_ERR_CONFIG;
}

enum { LAYER_PATH = CLRNN_ENTRY_SIZE + 50 };

// Prints the path of a layer or, with `key`, of its option: "model.layers.1.concat.branches.0.2.pool.over".
static const char *layer_path(const struct check *c, size_t index, const char *key, char path[LAYER_PATH])
{
    char entry[CLRNN_ENTRY_SIZE];

    snprintf(path, LAYER_PATH, "%s.%.24s%s%.24s", clrnn_layer_entry(c->config, index, entry),
             clrnn_layer_word(c->config->layer[index].kind), key ? "." : "", key ? key : "");
    return path;
}

static enum clrnn_status out_of_range(const struct check *c, const struct clrnn_option *o, const void *object,
                                      const char *key, const char *expected)
{
    struct clrnn_node *node =
        o->type == CLRNN_OPTION_CHOICE ? NULL : clrnn_option_write(o, object); // a wrong index has no word
    char *text = node ? clrnn_yaml_text(node) : NULL;
    enum clrnn_status st;

    if (text)
        text[strcspn(text, "\n")] = 0;
    st = fail(c, key, "is %.60s, expected %s", text ? text : "out of range", expected);
    free(text);
    clrnn_yaml_destroy(&node);
    return st;
}

// Checks that each option of a group has an allowed value; a config made in code may have any value.
static enum clrnn_status check_rows(const struct check *c, const struct clrnn_option_group *group, const void *object,
                                    const char *path)
{
    for (size_t i = 0; i < group->count; i++) {
        const struct clrnn_option *o = &group->option[i];
        const void *at = (const char *)object + o->offset;
        const struct clrnn_option_group *below = NULL;
        char key[300], expected[384];

        snprintf(key, sizeof(key), "%.200s%s%.48s", path, *path ? "." : "", o->key);
        if (o->type == CLRNN_OPTION_GROUP) {
            if (!clrnn_option_is_null(o, object))
                TRY(check_rows(c, o->groups[0], at, key));
            continue;
        }
        if (o->type == CLRNN_OPTION_ONE_OF) {
            below = clrnn_options_kind(o->groups, (int)*(const unsigned *)at);
            if (!below && !clrnn_option_is_null(o, object))
                return fail(c, key, "is of no known kind (%u)", *(const unsigned *)at);
            snprintf(key + strlen(key), sizeof(key) - strlen(key), ".%.48s", below ? below->word : "");
            if (below)
                TRY(check_rows(c, below, at, key));
            continue;
        }
        if (clrnn_option_fits(o, object))
            continue;
        clrnn_option_expects(o, expected, sizeof(expected));
        return out_of_range(c, o, object, key, expected);
    }
    return CLRNN_OK;
}

uint32_t clrnn_config_outputs(const struct clrnn_config *config)
{
    return clrnn_layers_width(config, config->layer_count, 0, 0);
}

static enum clrnn_status check_name(const struct check *c, size_t index)
{
    const struct clrnn_layer *layer = &c->config->layer[index];
    const size_t parent = clrnn_layer_parent(c->config, index);
    char path[LAYER_PATH], prefix[24];

    if (!layer->name)
        return CLRNN_OK;
    layer_path(c, index, "name", path);
    if (!clrnn_text_is_clean(layer->name, CLRNN_TEXT_BYTES))
        return fail(c, path, "\"%s\" is not UTF-8, which the names in a model file are", layer->name);
    for (const char *p = layer->name; *p; p++) {
        if (*p == '.' || isspace((unsigned char)*p) || iscntrl((unsigned char)*p))
            return fail(c, path, "\"%s\" holds a point or a space, which a state dict's prefix cannot", layer->name);
    }
    if (parent == SIZE_MAX && !strcmp(layer->name, "optim"))
        return fail(c, path, "\"optim\" is kept for the optimiser's state in model files; choose another name");
    if (parent == SIZE_MAX && c->config->train.loss.balanced && !strcmp(layer->name, "loss"))
        return fail(c, path,
                    "\"loss\" is kept for the balanced weights of train.loss in model files; choose another name");
    for (size_t i = 0; i < c->config->layer_count; i++) {
        const struct clrnn_layer *other = &c->config->layer[i];
        const size_t place = clrnn_layer_place(c->config, i);

        if (clrnn_layer_parent(c->config, i) != parent || other->branch != layer->branch)
            continue;
        snprintf(prefix, sizeof(prefix), "%zu", place);
        if (i < index && other->name && !strcmp(other->name, layer->name))
            return fail(c, path, "layer %zu is called \"%s\", too; names must differ", place, layer->name);
        if (!other->name && !strcmp(prefix, layer->name))
            return fail(c, path, "\"%s\" is already the prefix of layer %zu, which has no name", prefix, place);
    }
    return CLRNN_OK;
}

static enum clrnn_status check_windows(const struct check *c, size_t index)
{
    const struct clrnn_layer *layer = &c->config->layer[index];
    const struct clrnn_windows w = clrnn_layer_windows(layer);
    char path[LAYER_PATH];

    if (layer->kind == CLRNN_LAYER_CONV1D && layer->padding_same && w.stride != 1)
        return fail(c, layer_path(c, index, "padding", path), "is same, which needs a stride of 1, but stride is %u",
                    w.stride);
    if (layer->kind != CLRNN_LAYER_CONV1D && w.padding > w.kernel / 2)
        return fail(c, layer_path(c, index, "padding", path), "is %u, expected at most half of kernel_size = %u",
                    w.padding, w.kernel);
    if ((uint64_t)w.dilation * (w.kernel - 1) >= CLRNN_MAX_SIZE)
        return fail(c, layer_path(c, index, "kernel_size", path),
                    "spans %llu steps with its dilation, expected at most %d",
                    (unsigned long long)w.dilation * (w.kernel - 1) + 1, CLRNN_MAX_SIZE);
    return CLRNN_OK;
}

static enum clrnn_status check_layers(const struct check *c)
{
    const struct clrnn_config *config = c->config;
    size_t pooled = SIZE_MAX; // index of the pool in model.layers after which there is no time axis
    char path[LAYER_PATH];

    if (config->layer_count == 0)
        return fail(c, "model.layers", "is empty, expected at least one layer");
    if (config->layer_count > CLRNN_MAX_LAYERS)
        return fail(c, "model.layers", "holds %zu layers, expected at most %d", config->layer_count, CLRNN_MAX_LAYERS);
    for (size_t i = 0; i < config->layer_count; i++)
        if ((unsigned)config->layer[i].kind >= CLRNN_LAYER_KINDS)
            return fail(c, "model.layers", "layer %zu is of no known kind (%u)", i, (unsigned)config->layer[i].kind);
    if (!clrnn_config_tree_fits(config))
        return fail(c, "model.layers", "inner, branches and branch of the layers do not describe a tree");
    for (size_t i = 0; i < config->layer_count; i++) {
        const struct clrnn_layer *layer = &config->layer[i];
        const size_t before = clrnn_layer_before(config, i);
        const bool inside = clrnn_layer_parent(config, i) != SIZE_MAX;

        TRY(check_rows(c, clrnn_options_kind(clrnn_options_layers, (int)layer->kind), layer,
                       layer_path(c, i, NULL, path)));
        TRY(check_name(c, i));
        if (layer->kind == CLRNN_LAYER_EMBEDDING && i > 0)
            return fail(c, layer_path(c, i, NULL, path),
                        "must be the first layer, because it reads the tokens of X; here it is layer %zu", i);
        if (layer->kind == CLRNN_LAYER_EMBEDDING &&
            (layer->padding_idx < -1 || layer->padding_idx >= (int64_t)layer->num_embeddings))
            return fail(c, layer_path(c, i, "padding_idx", path), "does not lie among the num_embeddings = %u tokens",
                        layer->num_embeddings);
        if (clrnn_layer_has_windows(layer))
            TRY(check_windows(c, i));
        if (clrnn_layer_is_recurrent(layer) && layer->kind != CLRNN_LAYER_LSTM && layer->proj_size)
            return fail(c, layer_path(c, i, "proj_size", path), "is %u, but only an lstm has a projection",
                        layer->proj_size);
        if (layer->kind == CLRNN_LAYER_LSTM && layer->proj_size >= layer->hidden_size)
            return fail(c, layer_path(c, i, "proj_size", path), "is %u, expected less than hidden_size = %u",
                        layer->proj_size, layer->hidden_size);
        if (clrnn_layer_is_recurrent(layer) || clrnn_layer_nests(layer))
            // A recurrent layer reads what is pooled as one step; clrnn_network_shapes checks residual and concat.
            pooled = SIZE_MAX;
        if ((clrnn_layer_pools(layer) || clrnn_layer_has_windows(layer)) && pooled != SIZE_MAX && !inside)
            return fail(c, layer_path(c, i, NULL, path), "needs time steps, but the %s in layer %zu leaves none",
                        clrnn_layer_word(config->layer[pooled].kind), clrnn_layer_place(config, pooled));
        if (clrnn_layer_pools(layer))
            pooled = inside ? pooled : i;
        if (layer->kind == CLRNN_LAYER_POOL && layer->over == CLRNN_POOL_FINAL &&
            (before == SIZE_MAX || !clrnn_layer_is_recurrent(&config->layer[before])))
            return fail(c, layer_path(c, i, "over", path),
                        "final is h_n and must directly follow an rnn, lstm or gru, but follows %s; "
                        "move it up or use last",
                        before == SIZE_MAX ? "nothing" : clrnn_layer_word(config->layer[before].kind));
    }
    return CLRNN_OK;
}

static enum clrnn_status check_real_loss(const struct check *c, const struct clrnn_loss_config *loss, uint32_t outputs)
{
    size_t quantiles;

    if (loss->weight && loss->weight_count != (outputs ? outputs : loss->weight_count))
        return fail(c, "train.loss.bce_with_logits.pos_weight",
                    "holds %zu numbers, expected one for each of the last layer's %u outputs%s", loss->weight_count,
                    outputs, outputs == 1 ? ", such as [2.5]" : "");
    if (loss->label_weight && loss->label_weight_count != (outputs ? outputs : loss->label_weight_count))
        return fail(c, "train.loss.bce_with_logits.weight",
                    "holds %zu numbers, expected one for each of the last layer's %u outputs", loss->label_weight_count,
                    outputs);
    if (clrnn_loss_quantiles(loss, &quantiles) && (!quantiles || outputs % quantiles))
        return fail(c, "train.loss.quantile.quantiles",
                    "holds %zu numbers, but the last layer puts out %u, expected a multiple: one output for "
                    "each quantile of each target",
                    quantiles, outputs);
    return CLRNN_OK;
}

static enum clrnn_status check_loss(const struct check *c)
{
    const struct clrnn_loss_config *loss = &c->config->train.loss;
    const uint32_t outputs = clrnn_config_outputs(c->config);
    const bool classes = clrnn_loss_is_classes(loss->kind);
    char path[96];
    double sum = 0;

    if (loss->kind == CLRNN_LOSS_CTC && !clrnn_layers_per_step(c->config))
        return fail(c, "train.loss.ctc",
                    "finds labels in a sequence of predictions, but the layers leave one a sample: "
                    "take the pool out");
    if (loss->kind == CLRNN_LOSS_CTC && outputs && loss->blank >= outputs)
        return fail(c, "train.loss.ctc.blank", "is %u, but the last layer puts out classes 0 to %u", loss->blank,
                    outputs - 1);
    snprintf(path, sizeof(path), "train.loss.%s.weight", clrnn_loss_word(loss->kind));
    for (size_t i = 0; i < loss->weight_count; i++)
        sum += loss->weight[i];
    if (!classes)
        return check_real_loss(c, loss, outputs);
    if (loss->weight && outputs && loss->weight_count != outputs)
        return fail(c, path, "holds %zu numbers, but the last layer puts out %u classes", loss->weight_count, outputs);
    if (loss->weight && !(sum > 0))
        return fail(c, path, "sums up to 0: no class would count");
    return CLRNN_OK;
}

static enum clrnn_status check_one_cycle(const struct check *c)
{
    const struct clrnn_scheduler_config *s = &c->config->train.scheduler;

    if (!s->total_steps && !s->epochs != !s->steps_per_epoch)
        return fail(c, "train.scheduler.one_cycle_lr",
                    "has %s without %s; give both, or total_steps, or none (then the run's own are taken)",
                    s->epochs ? "epochs" : "steps_per_epoch", s->epochs ? "steps_per_epoch" : "epochs");
    return CLRNN_OK;
}

// Checks train.bptt and train.stateful, which carry states from run to run.
static enum clrnn_status check_states(const struct check *c)
{
    const struct clrnn_train_config *t = &c->config->train;
    const char *key = t->bptt ? "train.bptt" : "train.stateful";
    char path[64];

    if (!t->bptt && !t->stateful)
        return CLRNN_OK;
    if (t->bptt && t->loss.kind == CLRNN_LOSS_CTC)
        return fail(c, key, "cuts sequences, but train.loss: ctc is over whole ones; take one of them out");
    for (size_t i = 0; i < c->config->layer_count; i++) {
        const struct clrnn_layer *layer = &c->config->layer[i];

        if (clrnn_layer_pools(layer) && t->bptt)
            return fail(c, key,
                        "trains on each piece, but the %s in layer %s predicts once a sequence; take "
                        "one of them out",
                        clrnn_layer_word(layer->kind), clrnn_layer_path(c->config, i, path, sizeof(path)));
        // stateful alone does not divide sequences: pools and windows see all steps. Only bidirectional does not fit.
        if (t->bptt ? !clrnn_layer_is_causal(layer) : layer->bidirectional)
            return fail(c, key,
                        "carries states from one piece to the next, but layer %s (%s%s) reads steps that "
                        "come later",
                        clrnn_layer_path(c->config, i, path, sizeof(path)),
                        layer->bidirectional ? "bidirectional " : "", clrnn_layer_word(layer->kind));
    }
    if (t->stateful && (t->shuffle || c->config->data.bucket))
        return fail(c, "train.stateful",
                    "goes on where the batch before ended, but %s changes the order; set it "
                    "to false",
                    t->shuffle ? "train.shuffle" : "data.bucket");
    return CLRNN_OK;
}

static enum clrnn_status check_training(const struct check *c)
{
    const struct clrnn_train_config *t = &c->config->train;
    const struct clrnn_data_config *d = &c->config->data;
    const bool no_valid = d->train.there && !d->valid.there && !(d->valid_fraction > 0) && !d->train.split;

    if (t->optimizer.kind == CLRNN_OPTIMIZER_SGD && t->optimizer.nesterov &&
        (!(t->optimizer.momentum > 0) || t->optimizer.dampening != 0))
        return fail(c, "train.optimizer.sgd.nesterov", "needs a momentum above 0 and dampening 0");
    if (t->scheduler.kind == CLRNN_SCHEDULER_ONE_CYCLE_LR)
        TRY(check_one_cycle(c));
    if (t->scheduler.kind == CLRNN_SCHEDULER_REDUCE_LR_ON_PLATEAU && !t->scheduler.per_batch && no_valid)
        return fail(c, "train.scheduler.reduce_lr_on_plateau",
                    "follows valid_loss, but there is neither data.valid nor data.valid_fraction");
    if (t->early_stopping.on && !strncmp(t->early_stopping.monitor, "valid", 5) && no_valid)
        return fail(c, "train.early_stopping.monitor", "is %s, but there is neither data.valid nor data.valid_fraction",
                    t->early_stopping.monitor);
    if (t->early_stopping.on && !clrnn_loss_has_metric(c->config, strchr(t->early_stopping.monitor, '_') + 1))
        return fail(c, "train.early_stopping.monitor", "is %s, but %s has no %s", t->early_stopping.monitor,
                    clrnn_loss_word(t->loss.kind), strchr(t->early_stopping.monitor, '_') + 1);
    return CLRNN_OK;
}

// Checks that keys for tables are used only together with `csv`, and some of them only with `window`.
static enum clrnn_status check_table(const struct check *c, const char *path, const struct clrnn_source *s)
{
    const struct {
        const char *key;
        bool there, window;
    } row[] = {{"label", s->label, false},
               {"label_from", s->label_from, false},
               {"target", s->target, false},
               {"columns", s->columns, false},
               {"delimiter", s->delimiter, false},
               {"comment", s->comment, false},
               {"decimal", s->decimal, false},
               {"missing", s->missing && !clrnn_source_ts(s), false},
               {"window", s->window, false},
               {"time", s->time, true},
               {"group", s->group, true},
               {"stride", s->stride, true},
               {"horizon", s->csv && s->horizon != CLRNN_HORIZON_OF_TARGET, true},
               {"split", s->split, true},
               {"season", s->season, true}};
    const struct clrnn_source *train = &c->config->data.train;
    const bool beside = s != train && train->csv && s->csv; // s takes the settings that it leaves out from train
    const uint32_t window = s->window || !beside ? s->window : train->window;
    const uint32_t horizon = beside && train->window ? clrnn_source_horizon(train) : s->horizon;
    static const char *const sign_key[] = {"delimiter", "comment", "decimal"};
    const char *const sign[] = {s->delimiter, s->comment, s->decimal};

    for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
        if (row[i].there && !s->csv)
            return fail(c, path, "has %s without csv", row[i].key);
        if (row[i].there && row[i].window && !window)
            return fail(c, path, "has %s without window, the steps of a sample", row[i].key);
    }
    for (size_t i = 0; i < ARRAY_SIZE(sign); i++)
        if (sign[i] && sign[i][1] && (i > 0 || (strcmp(sign[i], "tab") != 0 && strcmp(sign[i], "\\t") != 0)))
            return fail(c, path, "has the %s \"%.20s\", expected one character%s", sign_key[i], sign[i],
                        i ? "" : " or tab");
    if (s->decimal && *s->decimal != '.' && *s->decimal != ',')
        return fail(c, path, "has the decimal \"%s\", expected . or ,", s->decimal);
    if (s->decimal && s->delimiter && *s->decimal == *s->delimiter && *s->decimal == ',')
        return fail(c, path, "has a comma as delimiter and as decimal point");
    if (window && s->season > window)
        return fail(c, path, "has a season of %u rows, expected at most the %u of the window", s->season, window);
    if (s->horizon != CLRNN_HORIZON_OF_TARGET && s->horizon != horizon)
        return fail(c, path, "has the horizon %u, expected the %u of data.train, which the model predicts", s->horizon,
                    horizon);
    if (window && s->csv_steps)
        return fail(c, path, "has steps and window; keep one of them");
    return CLRNN_OK;
}

static enum clrnn_status check_source(const struct check *c, const char *key, const struct clrnn_source *s)
{
    const struct clrnn_source *train = &c->config->data.train;
    const int kinds = (s->x != NULL) + (s->csv != NULL) + (s->ts != NULL) + s->synthetic;
    char path[32];

    if (!s->there)
        return CLRNN_OK;
    snprintf(path, sizeof(path), "data.%s", key);
    if (kinds != 1)
        return fail(c, path, "has %s, expected exactly one of x, csv, ts and synthetic",
                    kinds == 0 ? "no data" : "several kinds of data");
    if (s->x && !s->y && !clrnn_source_ts(s))
        return fail(c, path, "y is missing beside x");
    if (s->y && !s->x)
        return fail(c, path, "has y without x");
    if (s->label_from && (s->label || s->target))
        return fail(c, path, "has label_from and %s; keep one of them", s->label ? "label" : "target");
    if (s->label_from && (s->window || s->csv_steps))
        return fail(c, path, "has label_from, one label a file, and %s, which cuts files",
                    s->window ? "window" : "steps");
    if (s->csv && !s->label && !s->target && !s->label_from && (s == train || !train->csv))
        return fail(c, path, "%s",
                    strpbrk(s->csv, "*?[") ? "label_from is missing beside csv of several files: a table with "
                                             "the columns file and label"
                                           : "label is missing beside csv: the name of the column that holds "
                                             "y; or target, a list of columns of numbers");
    if (s->csv && s->label && s->target)
        return fail(c, path, "has label and target; keep one of them");
    if (s->lengths && !s->x)
        return fail(c, path, "has lengths without x");
    if (s->y_lengths && !s->x)
        return fail(c, path, "has y_lengths without x");
    if (s->y_lengths && c->config->train.loss.kind != CLRNN_LOSS_CTC)
        return fail(c, path, "has y_lengths, which only train.loss: ctc reads");
    if (!s->y_lengths && s->y && c->config->train.loss.kind == CLRNN_LOSS_CTC)
        return fail(c, path, "y_lengths is missing beside y: with train.loss: ctc, how many labels each sample has");
    if (!s->x && !s->synthetic && c->config->train.loss.kind == CLRNN_LOSS_CTC)
        return fail(c, path, "has no x: train.loss: ctc needs x, y and y_lengths as .npy");
    if (s->weights && s->synthetic)
        return fail(c, path, "has weights beside synthetic data");
    if (s->csv_steps && !s->csv)
        return fail(c, path, "has steps without csv; for synthetic data they stand below synthetic");
    return check_table(c, path, s);
}

static enum clrnn_status check_data(const struct check *c)
{
    const struct clrnn_data_config *d = &c->config->data;

    TRY(check_source(c, "train", &d->train));
    TRY(check_source(c, "valid", &d->valid));
    TRY(check_source(c, "test", &d->test));
    if (d->valid.split || d->test.split)
        return fail(c, d->valid.split ? "data.valid" : "data.test", "has split, which stands in data.train");
    if (d->train.split && (d->valid.there || d->valid_fraction > 0))
        return fail(c, "data.train.split", "stands beside data.valid%s; keep one of them",
                    d->valid.there ? "" : "_fraction");
    if (d->train.window && d->valid_fraction > 0)
        return fail(c, "data.valid_fraction",
                    "stands beside window, whose samples share rows: write split: {valid: %g} in data.train",
                    d->valid_fraction);
    if (d->valid.there && d->valid_fraction > 0)
        return fail(c, "data.valid_fraction", "stands beside data.valid; keep one of them");
    return CLRNN_OK;
}

enum clrnn_status clrnn_config_check(const struct clrnn_log *log, const struct clrnn_config *config,
                                     const struct clrnn_node *root, const char *name)
{
    const struct check c = {log, config, root, name};

    TRY(check_rows(&c, &clrnn_options_root, config, ""));
    TRY(check_layers(&c));
    TRY(check_loss(&c));
    TRY(check_training(&c));
    TRY(check_states(&c));
    return check_data(&c);
}
