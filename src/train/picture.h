// SPDX-License-Identifier: MIT
// Pictures drawn by gnuplot in a common style, as SVG files or as PNG in memory.
#ifndef CLRNN_SRC_TRAIN_PICTURE_H
#define CLRNN_SRC_TRAIN_PICTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/log.h"

struct clrnn_picture {
    FILE *script;         // gnuplot's commands
    char *gnuplot, *path; // path NULL: the picture is a PNG in memory
};

/** Whether gnuplot is on the PATH. */
bool clrnn_picture_possible(void);

/** Whether pictures are to be drawn: `plot` is not 0, and gnuplot is installed. If `plot` is above 0 and
 * gnuplot is not, logs a warning that begins with `none`, such as "no pictures". */
bool clrnn_picture_wanted(const struct clrnn_log *log, int plot, const char *none);

/** CLRNN_ERR_ARG if the file exists and was not drawn by gnuplot, as all pictures of clRNN are. */
enum clrnn_status clrnn_picture_check(const struct clrnn_log *log, const char *folder, const char *name);

/** Starts an SVG picture in a folder or, if `name` is NULL, a PNG, to be ended by clrnn_picture_png. False:
 * no gnuplot or no memory; clrnn_picture_end must then not be called. */
bool clrnn_picture_begin(const char *folder, const char *name, struct clrnn_picture *picture);
/** Makes the picture `height` points high instead of 500. Call it before anything is drawn. */
void clrnn_picture_height(const struct clrnn_picture *picture, unsigned height);
/** Makes the y axis go from a little below `low` to a little above `high`. If they are equal, gnuplot chooses
 * the range. */
void clrnn_picture_range(const struct clrnn_picture *picture, double low, double high);
/** Draws the picture and writes the file atomically. False: gnuplot failed. */
bool clrnn_picture_end(struct clrnn_picture *picture);

/** Draws the picture into *png of *size bytes, to be freed. False, and *png is NULL: no memory, or gnuplot
 * failed, as it does if built without cairo. */
bool clrnn_picture_png(struct clrnn_picture *picture, uint8_t **png, size_t *size);

/** Writes a text to the script in gnuplot's single quotes, which expand nothing. Not for the labels of `set
 * xtics`, which are formats. */
void clrnn_picture_text(const struct clrnn_picture *picture, const char *text);
/** Names the tics 0, 1, ... of an axis, 'x' or 'y'; names are cut to `most_characters`. */
void clrnn_picture_tics(const struct clrnn_picture *picture, char axis, size_t count, char *const *names,
                        size_t most_characters);
#endif
