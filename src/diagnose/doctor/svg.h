// SPDX-License-Identifier: MIT
// Small charts as inline SVG. Colours and fonts come from the page's style sheet, by class.
#ifndef CLRNN_SRC_DIAGNOSE_DOCTOR_SVG_H
#define CLRNN_SRC_DIAGNOSE_DOCTOR_SVG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "clrnn/train.h"

/** A series of a chart. Values that are not finite are left out; on a logarithmic axis, also values of 0 or less. */
struct clrnn_svg_series {
    const char *name;    // in the legend
    const double *value; // [count]; NULL: none
    size_t count;
};

struct clrnn_svg_chart {
    const char *title, *x_label;
    bool log;          // whether the y axis is logarithmic
    double last_x;     // x of the last value; the x of the first value is 1
    char *const *name; // [series[0].count] labels on the x axis, with a dot at each value; NULL: only 1 and last_x
    struct clrnn_svg_series series[2]; // with CSS classes s0 and s1
    double level;                      // a horizontal line at the loss of the best constant answer; NaN: none
};

/** Draws a line chart. */
void clrnn_svg_lines(FILE *page, const struct clrnn_svg_chart *chart);
/** Draws bars that show how many samples of each class are predicted correctly. If `labels`: how many samples with each
 * label are found. Shows at most the first 12 classes or labels. */
void clrnn_svg_answers(FILE *page, const char *title, const struct clrnn_class_result *each, uint32_t classes,
                       bool labels);
/** Draws a scatter plot of target (x axis) and prediction (y axis), with the line where they are equal. */
void clrnn_svg_pairs(FILE *page, const char *title, const float *target, const float *prediction, size_t count);
/** Writes text with HTML escapes. Control characters and invalid UTF-8 become \xNN. */
void clrnn_html_text(FILE *page, const char *text);

#endif
