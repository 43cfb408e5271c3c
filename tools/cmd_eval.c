// SPDX-License-Identifier: MIT
// clrnn eval: evaluates a model on a data set.
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/text.h"
#include "tools/source.h"

// Prints a class's name, or its number if it has no name, in a column of `width` characters; a negative `width` aligns
// to the left, as in printf.
static void print_class(const struct clrnn_model *model, uint32_t k, int width)
{
    const char *name = clrnn_model_class_name(model, k);
    char number[16], *fitted;

    snprintf(number, sizeof(number), "%u", k);
    if ((fitted = clrnn_text_fit(name ? name : number, width)) != NULL)
        printf("%s", fitted);
    free(fitted);
}

// Returns the width of the column of class names: the length of the longest name plus 1, from 10 to 28.
static int name_width(const struct clrnn_model *model, uint32_t classes)
{
    size_t width = 10;

    for (uint32_t k = 0; k < classes; k++) {
        const char *name = clrnn_model_class_name(model, k);

        width = MAX2(width, name ? strlen(name) + 1 : 0);
    }
    return (int)MIN2(width, 28);
}

static enum clrnn_status print_json(const struct cli *cli, const struct clrnn_model *model,
                                    const struct clrnn_eval_result *r)
{
    json_t *rows = r->confusion ? json_array() : json_null(), *classes = json_array(), *outputs = json_array();
    json_t *naive = json_array(), *all;

    for (uint32_t k = 0; k < r->classes; k++) {
        const struct clrnn_class_result *c = &r->per_class[k];
        const char *class = clrnn_model_class_name(model, k);
        char *name = class ? clrnn_text_escape(class, CLRNN_TEXT_SHOWN) : NULL;

        if (r->confusion) {
            json_t *row = json_array();

            for (uint32_t j = 0; j < r->classes; j++)
                cli_json_append(&row, json_integer((json_int_t)r->confusion[(size_t)k * r->classes + j]));
            cli_json_append(&rows, row);
        }
        cli_json_append(&classes, json_pack("{s:i, s:s*, s:I, s:o, s:o, s:o}", "class", (int)k, "name", name, "support",
                                            (json_int_t)c->support, "precision", cli_json_number(c->precision),
                                            "recall", cli_json_number(c->recall), "f1", cli_json_number(c->f1)));
        free(name);
    }
    for (uint32_t o = 0; o < r->outputs; o++)
        cli_json_append(&outputs,
                        json_pack("{s:i, s:o, s:o, s:o}", "output", (int)o, "mae",
                                  cli_json_number(r->per_output[o].mae), "rmse", cli_json_number(r->per_output[o].rmse),
                                  "r2", cli_json_number(r->per_output[o].r2)));
    all = json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "samples",
                    (json_int_t)r->samples, "counted", (json_int_t)r->counted, "loss", cli_json_number(r->loss),
                    "accuracy", cli_json_number(r->accuracy), "mae", cli_json_number(r->mae), "rmse",
                    cli_json_number(r->rmse), "r2", cli_json_number(r->r2), "roc_auc", cli_json_number(r->roc_auc),
                    "pr_auc", cli_json_number(r->pr_auc), "balanced_accuracy", cli_json_number(r->balanced_accuracy),
                    "macro_f1", cli_json_number(r->macro_f1), "cer", cli_json_number(r->cer), "wer",
                    cli_json_number(r->wer), "confusion", rows, "classes", classes, "outputs", outputs);
    for (uint32_t i = 0; i < r->naive.count; i++)
        cli_json_append(&naive, json_pack("{s:s, s:o, s:o, s:o}", "name", r->naive.result[i].name, "mae",
                                          cli_json_number(r->naive.result[i].mae), "rmse",
                                          cli_json_number(r->naive.result[i].rmse), "accuracy",
                                          cli_json_number(r->naive.result[i].accuracy)));
    if (all && r->naive.count)
        json_object_set_new(all, "baselines", naive);
    else
        json_decref(naive);
    return cli_print_json(cli, all);
}

static void print_share(double value)
{
    if (isnan(value))
        printf("  %9s", "-");
    else
        printf("  %9.4f", value);
}

// Prints the accuracy or error of each naive prediction (a baseline without a model), one on each line.
static void print_naive(const struct clrnn_naive *naive)
{
    for (uint32_t i = 0; i < naive->count; i++) {
        const struct clrnn_naive_result *r = &naive->result[i];

        printf("baseline %s: ", r->name);
        if (isnan(r->accuracy))
            printf("MAE %.6g  RMSE %.6g\n", r->mae, r->rmse);
        else
            printf("accuracy %.4f\n", r->accuracy);
    }
}

static void print_text(const struct clrnn_model *model, const struct clrnn_eval_result *r)
{
    char samples[32];
    const bool labels = clrnn_model_config(model)->train.loss.kind == CLRNN_LOSS_BCE_WITH_LOGITS && !r->confusion;
    int width;

    printf("%s  loss %.6f", cli_count(r->samples, "sample", samples), r->loss);
    if (!isnan(r->accuracy))
        printf("  accuracy %.4f", r->accuracy);
    else if (!isnan(r->mae))
        printf("  MAE %.6g  RMSE %.6g  R2 %.4f", r->mae, r->rmse, r->r2);
    if (!isnan(r->cer))
        printf("  CER %.4f  WER %.4f", r->cer, r->wer);
    if (!isnan(r->roc_auc))
        printf("  ROC AUC %.4f", r->roc_auc);
    printf("\n");
    print_naive(&r->naive);
    if (r->outputs > 1)
        printf("\n%-10s%12s  %12s  %9s\n", "output", "MAE", "RMSE", "R2");
    for (uint32_t o = 0; o < r->outputs && r->outputs > 1; o++) {
        printf("%-10u%12.6g  %12.6g", o, r->per_output[o].mae, r->per_output[o].rmse);
        print_share(r->per_output[o].r2);
        printf("\n");
    }
    if (!r->classes)
        return;
    width = name_width(model, r->classes);
    printf("\n%-*s%9s  %9s  %9s  %9s\n", width, labels ? "label" : "class", "samples", "precision", "recall", "F1");
    for (uint32_t k = 0; k < r->classes; k++) {
        print_class(model, k, -width);
        printf("%9llu", (unsigned long long)r->per_class[k].support);
        print_share(r->per_class[k].precision);
        print_share(r->per_class[k].recall);
        print_share(r->per_class[k].f1);
        printf("\n");
    }
    if (r->classes > 20 || !r->confusion)
        return; // --json has the whole matrix
    printf("\nconfusion: a row for each true class, a column for each predicted one\n%-*s", width, "");
    for (uint32_t k = 0; k < r->classes; k++) {
        printf("  ");
        print_class(model, k, 5);
    }
    for (uint32_t k = 0; k < r->classes; k++) {
        printf("\n");
        print_class(model, k, -width);
        for (uint32_t j = 0; j < r->classes; j++)
            printf("%7llu", (unsigned long long)r->confusion[(size_t)k * r->classes + j]);
    }
    printf("\n");
}

int cmd_eval(int argc, char **argv)
{
    struct source_options source = {0};
    const struct cli_option options[] = {SOURCE_X_OPTION(source), SOURCE_Y_OPTION(source),
                                         SOURCE_Y_LENGTHS_OPTION(source), SOURCE_OPTIONS(source)};
    const struct cli_spec spec = {
        .usage = "RUN|MODEL [--x FILE --y FILE] [options]",
        .text = "Evaluates a model in eval mode: loss, accuracy, confusion matrix, precision, recall and F1 of\n"
                "each class, ROC AUC for two classes; MAE, RMSE and R2 for a regression.\n" SOURCE_RUN,
        .least = 0,
        .most = 1,
        .takes_json = true,
        .option_count = ARRAY_SIZE(options),
        .option = options,
        .examples = "  clrnn eval runs/first\n"
                    "  clrnn eval runs/first --x data/seed/X_test.npy --y data/seed/y_test.npy\n",
    };
    struct clrnn_eval_result result = {0};
    struct cli cli;
    enum clrnn_status st;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status) || !source_check(&cli, &source, &status))
        return status;
    if (source.x && !source.y && !source_is_ts(source.x))
        return cli_usage(&cli, "name the targets: --y FILE.npy");
    st = source_open_models(&cli, &source);
    if (st == CLRNN_OK)
        st = clrnn_eval(source.model[0], &source.data, &result);
    if (st == CLRNN_OK && cli.json)
        st = print_json(&cli, source.model[0], &result);
    if (st == CLRNN_OK && cli.text)
        print_text(source.model[0], &result);
    clrnn_eval_finish(&result);
    source_close(&source);
    return cli_finish(&cli, st);
}
