// SPDX-License-Identifier: MIT
// Compares the config of a checkpoint with the config given for resuming.
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/yaml.h"
#include "train/run_folder.h"

struct comparison {
    const struct clrnn_log *log;
    char *refused; // changes not allowed: "train.batch_size (was 64, is 32), ..."
    bool no_memory;
    bool epochs_shape_lr; // the schedule depends on train.epochs
};

// Checks whether a key names files. These may have moved, so data sets are compared by content, not by path.
static bool is_file(const char *key)
{
    return !strncmp(key, "data.train", 10) || !strncmp(key, "data.valid.", 11) || !strcmp(key, "data.valid") ||
           !strncmp(key, "data.test", 9) ||
           !strncmp(key, "train.init", 10); // the checkpoint has the parameters from this file
}

static bool may_change(const struct comparison *c, const char *key)
{
    return (!strcmp(key, "train.epochs") && !c->epochs_shape_lr) || !strcmp(key, "train.log_every") ||
           !strcmp(key, "train.tensorboard") || !strcmp(key, "train.checkpoint_minutes") ||
           !strcmp(key, "train.recompute") || !strncmp(key, "train.early_stopping", 20);
}

static void report(struct comparison *c, const char *key, const struct clrnn_node *before, const struct clrnn_node *now)
{
    char *a = before ? clrnn_yaml_text(before) : clrnn_format("none"),
         *b = now ? clrnn_yaml_text(now) : clrnn_format("none");
    char *longer;

    if (!a || !b) {
        c->no_memory = true;
        goto done;
    }
    a[strcspn(a, "\n")] = 0; // shows only the first line of a list or map
    b[strcspn(b, "\n")] = 0;
    if (may_change(c, key)) {
        clrnn_log(c->log, CLRNN_LOG_INFO, "%s was %s, goes on as %s", key, a, b);
        goto done;
    }
    longer = clrnn_format("%s%s%s (was %s, is %s)", c->refused ? c->refused : "", c->refused ? ", " : "", key, a, b);
    if (!longer) {
        c->no_memory = true;
        goto done;
    }
    free(c->refused);
    c->refused = longer;

done:
    free(a);
    free(b);
}

static void compare(struct comparison *c, const char *key, const struct clrnn_node *before,
                    const struct clrnn_node *now);

static void compare_child(struct comparison *c, const char *key, const char *name, size_t index,
                          const struct clrnn_node *before, const struct clrnn_node *now)
{
    char *path = name ? clrnn_format("%s%s%s", key, *key ? "." : "", name) : clrnn_format("%s.%zu", key, index);

    if (path)
        compare(c, path, before, now);
    else
        c->no_memory = true;
    free(path);
}

static void compare(struct comparison *c, const char *key, const struct clrnn_node *before,
                    const struct clrnn_node *now)
{
    if (c->no_memory || is_file(key))
        return;
    if (!before || !now || before->kind != now->kind) {
        report(c, key, before, now);
    } else if (before->kind == CLRNN_NODE_SCALAR) {
        if (strcmp(before->text, now->text))
            report(c, key, before, now);
    } else if (before->kind == CLRNN_NODE_LIST) {
        for (size_t i = 0; i < MAX2(before->count, now->count); i++)
            compare_child(c, key, NULL, i, i < before->count ? before->child[i] : NULL,
                          i < now->count ? now->child[i] : NULL);
    } else {
        for (size_t i = 0; i < before->count; i++)
            compare_child(c, key, before->child[i]->key, 0, before->child[i],
                          clrnn_node_find(now, before->child[i]->key));
        for (size_t i = 0; i < now->count; i++)
            if (!clrnn_node_find(before, now->child[i]->key))
                compare_child(c, key, now->child[i]->key, 0, NULL, now->child[i]);
    }
}

static enum clrnn_status tree_of(const struct clrnn_log *log, const struct clrnn_config *config,
                                 struct clrnn_node **tree)
{
    char *text = clrnn_config_text(config);
    enum clrnn_status st;

    *tree = NULL;
    if (!text)
        return clrnn_error_memory(log, 0, "a config's text");
    st = clrnn_yaml_parse(log, text, "config", tree);
    free(text);
    return st;
}

bool clrnn_epochs_shape_lr(const struct clrnn_config *config)
{
    const struct clrnn_scheduler_config *c = &config->train.scheduler;

    return c->kind == CLRNN_SCHEDULER_ONE_CYCLE_LR && !c->total_steps && !c->epochs;
}

enum clrnn_status clrnn_resume_check(const struct clrnn_log *log, const char *folder, const struct clrnn_config *before,
                                     const struct clrnn_config *now)
{
    struct comparison c = {.log = log, .epochs_shape_lr = clrnn_epochs_shape_lr(before)};
    struct clrnn_node *a = NULL, *b = NULL;
    enum clrnn_status st = tree_of(log, before, &a);

    if (st == CLRNN_OK)
        st = tree_of(log, now, &b);
    if (st == CLRNN_OK)
        compare(&c, "", a, b);
    if (st == CLRNN_OK && c.no_memory)
        st = clrnn_error_memory(log, 0, "comparing configs");
    if (st == CLRNN_OK && c.refused)
        st = clrnn_error(
            log, CLRNN_ERR_CONFIG,
            "%s: cannot be resumed with another config: %s; only train.epochs%s, train.log_every, "
            "train.checkpoint_minutes, train.recompute, train.tensorboard and train.early_stopping may change",
            folder, c.refused, c.epochs_shape_lr ? " (not with one_cycle_lr, whose schedule it sets)" : "");
    free(c.refused);
    clrnn_yaml_destroy(&a);
    clrnn_yaml_destroy(&b);
    return st;
}
