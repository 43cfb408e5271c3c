// SPDX-License-Identifier: MIT
// Facts that a program needs to make the inputs of an exported model and to interpret its outputs.
#ifndef CLRNN_SRC_EXPORT_FACTS_H
#define CLRNN_SRC_EXPORT_FACTS_H

#include "model/model.h"
#include "model/names.h"

enum { CLRNN_EXPORT_FACTS = 9 };

/** A fact: whichever of `text`, `names` and `numbers` is not NULL; if all three are NULL, the number `whole`. The
 * pointers point into the model, which must outlive the fact. */
struct clrnn_export_fact {
    const char *key;   // the fact's key in ONNX's metadata: "quantiles"
    const char *macro; // the fact's macro in C, without the prefix NAME_: "QUANTILES"
    const char *text;
    const struct clrnn_texts *names;
    const double *numbers;
    size_t count; // of `numbers`
    uint32_t whole;
};

/** Writes the facts about a model to `facts`. Returns how many it wrote. */
size_t clrnn_export_facts(const struct clrnn_model *model, struct clrnn_export_fact facts[CLRNN_EXPORT_FACTS]);

#endif
