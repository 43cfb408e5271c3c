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

/** Returns whether gnuplot is on the PATH. */
bool clrnn_picture_possible(void);

/** Checks whether pictures are to be drawn: `plot` is not 0, and gnuplot is installed. If `plot` is above 0 but gnuplot
 * is not installed, logs a warning that begins with the text `none`, such as "no pictures". */
bool clrnn_picture_wanted(const struct clrnn_log *log, int plot, const char *none);

/** Checks that a picture may be written to the file: the file does not exist, or it is a picture that gnuplot has
 * drawn. Errors: CLRNN_ERR_ARG if it may not; CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_picture_check(const struct clrnn_log *log, const char *folder, const char *name);

/** Starts a picture: the SVG file `name` in a folder or, if `name` is NULL, a PNG in memory. End an SVG with
 * clrnn_picture_end and a PNG with clrnn_picture_png. Returns false if gnuplot or memory is missing; the picture must
 * then not be ended. */
bool clrnn_picture_begin(const char *folder, const char *name, struct clrnn_picture *picture);
/** Makes the picture `height` points high instead of 500. Call it before anything is drawn. */
void clrnn_picture_height(const struct clrnn_picture *picture, unsigned height);
/** Makes the y axis go from a little below `low` to a little above `high`. If `low` equals `high`, gnuplot chooses the
 * range. */
void clrnn_picture_range(const struct clrnn_picture *picture, double low, double high);
/** Draws the picture and writes the file atomically. Returns false if gnuplot failed or the file cannot be written. */
bool clrnn_picture_end(struct clrnn_picture *picture);

/** Draws the picture into *png of *size bytes, which the caller frees. Returns false and sets *png to NULL if there is
 * no memory or gnuplot failed. A gnuplot that was built without cairo always fails. */
bool clrnn_picture_png(struct clrnn_picture *picture, uint8_t **png, size_t *size);

/** Writes a text to the script in single quotes, in which gnuplot expands no escapes. Use clrnn_picture_tics for the
 * labels of an axis, which gnuplot takes as printf formats. */
void clrnn_picture_text(const struct clrnn_picture *picture, const char *text);
/** Labels the tics 0, 1, ... of an axis, 'x' or 'y', with `names`. Longer names are shortened to `most_characters`. */
void clrnn_picture_tics(const struct clrnn_picture *picture, char axis, size_t count, char *const *names,
                        size_t most_characters);
#endif
