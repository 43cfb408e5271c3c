// SPDX-License-Identifier: MIT
// Pictures drawn by gnuplot in a common style, SVG files or PNG in memory.
#ifndef CLRNN_SRC_TRAIN_PICTURE_H
#define CLRNN_SRC_TRAIN_PICTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/log.h"

struct clrnn_picture {
    FILE *script;         // takes gnuplot's commands
    char *gnuplot, *path; // path NULL: a PNG in memory
};

/** Whether gnuplot is on the PATH. */
bool clrnn_picture_possible(void);

/** Whether pictures are to be drawn: `plot` is not 0, and gnuplot is there. Where `plot` is above 0, warns
 * that there are none, which `none` says, without it. */
bool clrnn_picture_wanted(const struct clrnn_log *log, int plot, const char *none);

/** CLRNN_ERR_ARG if the file exists and was not drawn by gnuplot, as clRNN's pictures are. */
enum clrnn_status clrnn_picture_check(const struct clrnn_log *log, const char *folder, const char *name);

/** Starts a picture in a folder; where `name` is NULL a PNG, which clrnn_picture_png ends. False: no gnuplot
 * or no memory; clrnn_picture_end must then not be called. */
bool clrnn_picture_begin(const char *folder, const char *name, struct clrnn_picture *picture);
/** Makes it `height` points high instead of 500; to be called before anything is drawn. */
void clrnn_picture_height(const struct clrnn_picture *picture, unsigned height);
/** Makes the y axis go from a little below `low` to a little above `high`; where they are equal, as gnuplot
 * likes. */
void clrnn_picture_range(const struct clrnn_picture *picture, double low, double high);
/** Draws the picture and writes the file atomically. False: gnuplot failed. */
bool clrnn_picture_end(struct clrnn_picture *picture);

/** Draws the picture into *png, *size bytes, to be freed. False: gnuplot failed, as it does where it is built
 * without cairo, or no memory; *png is then NULL. */
bool clrnn_picture_png(struct clrnn_picture *picture, uint8_t **png, size_t *size);

/** Writes a text to the script in gnuplot's single quotes, in which nothing is expanded. Not for labels of
 * set xtics, which are formats. */
void clrnn_picture_text(const struct clrnn_picture *picture, const char *text);
/** Names the marks 0, 1, ... of an axis, 'x' or 'y'; names are cut to so many characters. */
void clrnn_picture_tics(const struct clrnn_picture *picture, char axis, size_t count, char *const *names,
                        size_t most_characters);
#endif
