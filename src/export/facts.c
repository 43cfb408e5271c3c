// SPDX-License-Identifier: MIT
#include "export/facts.h"

#include "base/array.h"
#include "model/layer.h"

static size_t add_names(struct clrnn_export_fact *fact, const char *key, const char *macro,
                        const struct clrnn_texts *names)
{
    *fact = (struct clrnn_export_fact){.key = key, .macro = macro, .names = names};
    return names->count > 0;
}

size_t clrnn_export_facts(const struct clrnn_model *model, struct clrnn_export_fact facts[CLRNN_EXPORT_FACTS])
{
    const struct clrnn_loss_config *loss = &model->config->train.loss;
    const struct clrnn_source *train = &model->config->data.train;
    const struct clrnn_names *names = model->names;
    size_t n = 0, quantiles;
    const double *quantile = clrnn_loss_quantiles(loss, &quantiles);

    facts[n++] = (struct clrnn_export_fact){.key = "loss", .macro = "LOSS", .text = clrnn_loss_word(loss->kind)};
    if (quantile)
        facts[n++] = (struct clrnn_export_fact){
            .key = "quantiles", .macro = "QUANTILES", .numbers = quantile, .count = quantiles};
    if (loss->kind == CLRNN_LOSS_CTC)
        facts[n++] = (struct clrnn_export_fact){.key = "blank", .macro = "BLANK", .whole = loss->blank};
    if (train->window) {
        facts[n++] = (struct clrnn_export_fact){.key = "window", .macro = "WINDOW", .whole = train->window};
        facts[n++] =
            (struct clrnn_export_fact){.key = "horizon", .macro = "HORIZON", .whole = clrnn_source_horizon(train)};
    }
    if (!names)
        return n;
    n += add_names(&facts[n], "columns", "COLUMN_NAMES", &names->columns);
    n += add_names(&facts[n], "targets", "TARGET_NAMES", &names->targets);
    n += add_names(&facts[n], "classes", "CLASS_NAMES", &names->classes);
    if (names->fill && names->columns.count)
        facts[n++] = (struct clrnn_export_fact){
            .key = "fill", .macro = "COLUMN_FILL", .numbers = names->fill, .count = names->columns.count};
    return n;
}
