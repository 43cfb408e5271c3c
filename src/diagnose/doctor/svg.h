// SPDX-License-Identifier: MIT
// Small charts as inline SVG. Colours and fonts come from the page's style sheet, by class.
#ifndef CLRNN_SRC_DIAGNOSE_DOCTOR_SVG_H
#define CLRNN_SRC_DIAGNOSE_DOCTOR_SVG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "clrnn/train.h"

/** Series of a chart; values that are not finite (or not above 0 on a logarithmic axis) are left out. */
struct clrnn_svg_series {
    const char *name;    // in the legend
    const double *value; // [count]; NULL: none
    size_t count;
};

struct clrnn_svg_chart {
    const char *title, *x_label;
    bool log;          // whether the y axis is logarithmic
    double last_x;     // x of the last value; the first has 1
    char *const *name; // [series[0].count] labels below the values, drawn as dots; NULL: numbers
    struct clrnn_svg_series series[2]; // with CSS classes s0 and s1
    double level;                      // horizontal line at the constant answer's loss; NaN: none
};

/** Line chart. */
void clrnn_svg_lines(FILE *page, const struct clrnn_svg_chart *chart);
/** Bars of how many samples of each class, or with `labels` of each label, are answered correctly; at most
 * the first 12 are shown. */
void clrnn_svg_answers(FILE *page, const char *title, const struct clrnn_class_result *each, uint32_t classes,
                       bool labels);
/** Target (x) against prediction (y), with the diagonal. */
void clrnn_svg_pairs(FILE *page, const char *title, const float *target, const float *prediction,
                     size_t count);
/** Writes text escaped for HTML, control characters and invalid UTF-8 as \xNN. */
void clrnn_html_text(FILE *page, const char *text);

#endif
