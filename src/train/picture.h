// SPDX-License-Identifier: MIT
// Pictures drawn by gnuplot, all in one style.
#ifndef CLRNN_SRC_TRAIN_PICTURE_H
#define CLRNN_SRC_TRAIN_PICTURE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/log.h"

struct clrnn_picture {
    FILE *script; // takes gnuplot's commands
    char *gnuplot, *path;
};

/** Whether gnuplot is on the PATH. */
bool clrnn_picture_possible(void);

/** CLRNN_ERR_ARG where the file is there and not drawn by gnuplot, as ours are: somebody's own. */
enum clrnn_status clrnn_picture_check(const struct clrnn_log *log, const char *folder, const char *name);

/** Starts an SVG picture; false: no gnuplot or no memory, and nothing to end. */
bool clrnn_picture_begin(const char *path, struct clrnn_picture *picture);
/** Draws it. The file takes its place only when it is whole; false: gnuplot could not. */
bool clrnn_picture_end(struct clrnn_picture *picture);

/** Text of any bytes in gnuplot's single quotes, where nothing is expanded. Not for labels of set xtics,
 * which are formats. */
void clrnn_picture_text(const struct clrnn_picture *picture, const char *text);
#endif
