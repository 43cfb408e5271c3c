// SPDX-License-Identifier: MIT
// Folders that commands write into. They are named after the config and the time, marked by a marker file and locked
// while in use. A folder that holds other files is refused.
#ifndef CLRNN_SRC_TRAIN_FOLDER_H
#define CLRNN_SRC_TRAIN_FOLDER_H

#include <jansson.h>
#include <limits.h>

#include "clrnn/config.h"

/** A kind of folder, such as the folders of training runs. */
struct clrnn_folder_kind {
    const char *noun;                        // in messages: "run"
    const char *mark;                        // name of the marker file
    const char *then;                        // in messages: an earlier run is "replaced", an earlier sweep "continued"
    bool (*is_unmarked)(const char *folder); // recognises folders of this kind without a marker, or NULL
};

/** Writes the path "<folder>/<part>/<name>" or, if `part` is "", "<folder>/<name>". Writes "" if the path does not fit
 * in PATH_MAX. Does not allocate, because a lack of memory must neither hide a run nor interrupt its replacement. */
const char *clrnn_folder_join(char path[PATH_MAX], const char *folder, const char *part, const char *name);
/** Whether "<folder>/<part>/<name>" exists; true also if that cannot be determined. */
bool clrnn_folder_has(const char *folder, const char *part, const char *name);

/** Returns a number as JSON, or null if the number is not finite. */
json_t *clrnn_json_number(double value);
/** Writes `object` as JSON text, followed by the text `end`, to the file `name` in the folder, and releases `object`.
 * `flags`: of jansson's json_dumps; `what`: name of the object in messages. Errors: CLRNN_ERR_DISK; CLRNN_ERR_MEMORY,
 * also if memory ran out while the caller built `object` (see clrnn_json_out_of_memory). */
enum clrnn_status clrnn_folder_json(const struct clrnn_log *log, const char *folder, const char *name, json_t *object,
                                    size_t flags, const char *end, const char *what);

/** Whether a folder is of this kind. */
bool clrnn_folder_is(const struct clrnn_folder_kind *kind, const char *folder);
/** Checks that a command may write into a folder: a folder that does not exist, is empty or is of this kind.
 * CLRNN_ERR_ARG: the folder holds other files; CLRNN_ERR_DISK: the folder cannot be read. */
enum clrnn_status clrnn_folder_check(const struct clrnn_log *log, const struct clrnn_folder_kind *kind,
                                     const char *folder);
/** Creates the marker file in an existing folder and locks it until the caller closes its file descriptor, *lock. *lock
 * is open after CLRNN_ERR_ARG, too, and below 0 after CLRNN_ERR_DISK. Errors: CLRNN_ERR_DISK; CLRNN_ERR_ARG: another
 * process has locked the folder; CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_folder_lock(const struct clrnn_log *log, const struct clrnn_folder_kind *kind,
                                    const char *folder, int *lock);

/** Creates the folder `out` or, if that is NULL, "runs/<config's name>-<what>-<date>-<time>". Errors: as
 * clrnn_folder_check; CLRNN_ERR_DISK. */
enum clrnn_status clrnn_folder_choose(const struct clrnn_log *log, const struct clrnn_folder_kind *kind,
                                      const struct clrnn_config *config, const char *what, const char *out,
                                      char folder[PATH_MAX]);

/** Returns a path "runs/<config's name>-<what>-<date>-<time>" that does not exist yet; the caller
 * frees it. `what` may be NULL. Returns NULL if there is no memory. */
char *clrnn_folder_default(const struct clrnn_config *config, const char *what);

#endif
