// SPDX-License-Identifier: MIT
// Folders that commands write into: named after the config and the time, known by a marker file, locked while
// in use, and never one that holds files of somebody else's.
#ifndef CLRNN_SRC_TRAIN_FOLDER_H
#define CLRNN_SRC_TRAIN_FOLDER_H

#include <jansson.h>
#include <limits.h>

#include "clrnn/config.h"

/** What a folder is for. */
struct clrnn_folder_kind {
    const char *noun;                        // "run"
    const char *mark;                        // the marker's name
    const char *then;                        // what becomes of an earlier one there: "replaced"
    bool (*is_unmarked)(const char *folder); // whether a folder without a marker is one; NULL: never
};

/** "<folder>/<part>/<name>", or "" where that is longer than a path may be. Without allocations: a shortage
 * of memory must neither hide a run nor interrupt its replacement. */
const char *clrnn_folder_join(char path[PATH_MAX], const char *folder, const char *part, const char *name);
/** Whether that exists, or cannot be known. */
bool clrnn_folder_has(const char *folder, const char *part, const char *name);

/** A number as JSON: null where it is not finite. */
json_t *clrnn_json_number(double value);
/** Writes the object, which it takes over, and `end` into a file of the folder; `what` names it in messages.
 * CLRNN_ERR_MEMORY, also where a part of the object lacked memory since clrnn_json_out_of_memory;
 * CLRNN_ERR_DISK. */
enum clrnn_status clrnn_folder_json(const struct clrnn_log *log, const char *folder, const char *name,
                                    json_t *object, size_t flags, const char *end, const char *what);

/** Whether a folder is of this kind. */
bool clrnn_folder_is(const struct clrnn_folder_kind *kind, const char *folder);
/** CLRNN_ERR_ARG where the folder holds files and is not of this kind; it need not exist. */
enum clrnn_status clrnn_folder_check(const struct clrnn_log *log, const struct clrnn_folder_kind *kind,
                                     const char *folder);
/** Writes the marker into an existing folder and locks it until *lock, a file descriptor, is closed.
 * CLRNN_ERR_DISK; CLRNN_ERR_ARG: another process writes there. */
enum clrnn_status clrnn_folder_lock(const struct clrnn_log *log, const struct clrnn_folder_kind *kind,
                                    const char *folder, int *lock);

/** Chooses the folder `out`, or where it is NULL "runs/<config's name>-<what>-<date>-<time>", and makes it.
 * Errors: as clrnn_folder_check; CLRNN_ERR_DISK. */
enum clrnn_status clrnn_folder_choose(const struct clrnn_log *log, const struct clrnn_folder_kind *kind,
                                      const struct clrnn_config *config, const char *what, const char *out,
                                      char folder[PATH_MAX]);

/** "runs/<config's name>-<what>-<date>-<time>", which does not exist yet; to be freed. `what`: or NULL. NULL:
 * no memory. */
char *clrnn_folder_default(const struct clrnn_config *config, const char *what);

#endif
