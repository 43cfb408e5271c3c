// SPDX-License-Identifier: MIT
// What a program that runs an exported model must know to make its inputs and to read its outputs.
#ifndef CLRNN_SRC_EXPORT_FACTS_H
#define CLRNN_SRC_EXPORT_FACTS_H

#include "model/model.h"
#include "model/names.h"

enum { CLRNN_EXPORT_FACTS = 9 };

/** A fact: a text, names, numbers, or a whole number where all of these are NULL. It points into the model.
 */
struct clrnn_export_fact {
    const char *key;   // in ONNX's metadata: "quantiles"
    const char *macro; // in C, behind NAME_: "QUANTILES"
    const char *text;
    const struct clrnn_texts *names;
    const double *numbers;
    size_t count; // of numbers
    uint32_t whole;
};

/** Writes the facts that a model has to `facts`, and returns how many they are. */
size_t clrnn_export_facts(const struct clrnn_model *model,
                          struct clrnn_export_fact facts[CLRNN_EXPORT_FACTS]);

#endif
