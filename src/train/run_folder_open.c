// SPDX-License-Identifier: MIT
// Opens a folder for a run: decides whether a folder is a run's, locks it, and replaces an earlier run.
//
// A run's folder contains the file MARK. It is locked (flock) while a process writes there, and is never renamed. A run
// that is to replace an earlier run first writes into the folder NEW, inside the run's folder. When its training loop
// has written a checkpoint, NEW is renamed to READY. The earlier run's files that the new run does not have are then
// removed. READY is renamed to MOVING, and its files are moved into the run's folder. If a replacement is interrupted,
// the next process that opens the folder completes it.
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"
#include "base/json.h"
#include "base/temporary.h"
#include "base/words.h"
#include "formats/safetensors.h"
#include "model/weights.h"
#include "train/folder.h"
#include "train/tensorboard.h"

#define MARK ".clrnn-run"
#define NEW ".clrnn-new"
#define READY ".clrnn-ready"
#define MOVING ".clrnn-moving"

// The names of a run's files. No other file in the folder is touched.
static const char *const run_files[] = {
    "config.yaml", "metrics.jsonl", "data.json",   "last.safetensors", "best.safetensors",    "summary.json",
    "loss.svg",    "classes.svg",   "metrics.svg", "confusion.svg",    CLRNN_TENSORBOARD_FILE};

// ---------------------------------------------------------------- runs of old versions, without a marker

// Checks whether a JSON text is an object with the key `key`. Unless `inner` is NULL, the value of `key` must itself be
// an object with the key `inner`.
static bool has_key(const void *text, size_t size, const char *key, const char *inner)
{
    json_t *object, *value;
    bool found;

    clrnn_json_parse(NULL, key, text, size, 0, NULL, &object);
    value = json_object_get(object, key);
    found = inner ? json_object_get(value, inner) != NULL : value != NULL;
    json_decref(object);
    return found;
}

// Checks whether config.yaml has exactly the text that a run writes for this config. If it has, it was not written by
// hand. `kept`: the config inside last.safetensors.
static bool is_resolved(const char *path, const struct clrnn_map *map, const char *kept)
{
    struct clrnn_config *config = NULL;
    char *text = NULL;
    bool same = kept && strlen(kept) == map->size && !memcmp(kept, map->data, map->size);

    if (!same && clrnn_config_read(NULL, path, 0, NULL, &config) == CLRNN_OK) {
        text = clrnn_config_text(config);
        same = text && strlen(text) == map->size && !memcmp(text, map->data, map->size);
    }
    clrnn_config_destroy(&config);
    free(text);
    return same;
}

// Checks whether a file's content looks like what a run writes under the name `name`. `kept`: the config inside
// last.safetensors.
static bool is_of_a_run(const char *path, const char *name, const char *kept)
{
    const char *line_end;
    struct clrnn_map map;
    bool is = true;

    if (clrnn_map_open(NULL, path, &map) != CLRNN_OK)
        return false;
    line_end = map.size ? memchr(map.data, '\n', map.size) : NULL;
    if (!strcmp(name, "config.yaml"))
        is = is_resolved(path, &map, kept);
    else if (!strcmp(name, "metrics.jsonl"))
        is = !map.size || (line_end && has_key(map.data, (size_t)(line_end - (const char *)map.data), "step", NULL));
    else if (!strcmp(name, "data.json"))
        is = has_key(map.data, map.size, "train", "fingerprint");
    else if (!strcmp(name, "summary.json"))
        is = has_key(map.data, map.size, "ms_per_step_median", NULL);
    else if (strstr(name, ".svg"))
        is = map.size && memmem(map.data, map.size, "GNUPLOT", 7);
    clrnn_map_close(&map);
    return is;
}

static bool is_unmarked_run(const char *folder)
{
    char *path = clrnn_path_join(folder, "last.safetensors");
    struct clrnn_safetensors *model = NULL;
    const char *kept;
    bool is = path && clrnn_safetensors_open(NULL, path, &model) == CLRNN_OK &&
              clrnn_safetensors_metadata(model, CLRNN_FORMAT_KEY);

    free(path);
    kept = is ? clrnn_safetensors_metadata(model, "clrnn.config") : NULL;
    for (size_t i = 0; is && i < ARRAY_SIZE(run_files); i++) {
        if (!clrnn_folder_has(folder, "", run_files[i]))
            continue;
        path = clrnn_path_join(folder, run_files[i]);
        is = path && is_of_a_run(path, run_files[i], kept);
        free(path);
    }
    clrnn_safetensors_close(&model);
    return is;
}

static const struct clrnn_folder_kind run_kind = {
    .noun = "run", .mark = MARK, .then = "replaced", .is_unmarked = is_unmarked_run};

enum clrnn_status clrnn_run_check_output(const struct clrnn_log *log, const char *path)
{
    char file[PATH_MAX], *name;

    NEED(log, path);
    if (!realpath(path, file))
        return CLRNN_OK; // there is no such file, so none of a run's files is replaced
    name = strrchr(file, '/');
    *name++ = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(run_files); i++)
        if (!strcmp(name, run_files[i]) && clrnn_folder_is(&run_kind, file))
            return clrnn_error(log, CLRNN_ERR_ARG, "%s: belongs to a run: name another file to write", path);
    return CLRNN_OK;
}

// ---------------------------------------------------------------- input files in the folder

// Fails if `input` is one of the run's files. `input` may be NULL; `what` describes it in the message.
static enum clrnn_status check_input(const struct clrnn_log *log, const char *folder, const char *base,
                                     const char *input, const char *what)
{
    char *from = input ? clrnn_path_join(base, input) : NULL;
    enum clrnn_status st = input && !from ? clrnn_error_memory(log, 0, "a path") : CLRNN_OK;

    for (size_t i = 0; from && st == CLRNN_OK && i < ARRAY_SIZE(run_files); i++) {
        char *to = clrnn_path_join(folder, run_files[i]);

        if (!to)
            st = clrnn_error_memory(log, 0, "a path");
        else if (clrnn_same_file(to, from))
            st = clrnn_error(log, CLRNN_ERR_ARG,
                             "%s: is %s that is read, and a run would replace it: name another folder (--out)", to,
                             what);
        free(to);
    }
    free(from);
    return st;
}

enum clrnn_status clrnn_run_folder_check(const struct clrnn_log *log, const char *folder,
                                         const struct clrnn_config *config)
{
    const struct clrnn_source *const sets[] = {&config->data.train, &config->data.valid, &config->data.test};

    TRY(check_input(log, folder, NULL, config->path, "the config"));
    TRY(check_input(log, folder, config->folder, config->train.init, "the model (--init)"));
    for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
        const char *const files[] = {sets[i]->x,         sets[i]->y,   sets[i]->lengths,    sets[i]->weights,
                                     sets[i]->y_lengths, sets[i]->csv, sets[i]->label_from, sets[i]->ts};

        for (size_t k = 0; k < ARRAY_SIZE(files); k++)
            TRY(check_input(log, folder, config->folder, files[k], "a data file"));
    }
    return clrnn_folder_check(log, &run_kind, folder);
}

// ---------------------------------------------------------------- replacing an earlier run

// Moves "<folder>/<part>/<name>" to "<folder>/<name>" or, if `part` is NULL, removes "<folder>/<name>". A missing file
// is no error.
static enum clrnn_status move(const struct clrnn_run_folder *f, const char *part, const char *name)
{
    char to[PATH_MAX], from[PATH_MAX];

    clrnn_folder_join(to, f->path, "", name);
    if ((part ? rename(clrnn_folder_join(from, f->path, part, name), to) : unlink(to)) && errno != ENOENT)
        return clrnn_error(f->log, CLRNN_ERR_DISK, "%s: cannot be replaced: %s", to, strerror(errno));
    return CLRNN_OK;
}

static enum clrnn_status rename_part(const struct clrnn_run_folder *f, const char *from, const char *to)
{
    char a[PATH_MAX], b[PATH_MAX];

    if (rename(clrnn_folder_join(a, f->path, "", from), clrnn_folder_join(b, f->path, "", to)))
        return clrnn_error(f->log, CLRNN_ERR_DISK, "%s: cannot be renamed: %s", a, strerror(errno));
    return CLRNN_OK;
}

static void remove_part(const struct clrnn_run_folder *f, const char *part)
{
    char path[PATH_MAX];

    clrnn_remove_folder(clrnn_folder_join(path, f->path, "", part));
}

// Completes a replacement from the stage that it has reached, READY or MOVING. Does nothing if neither of these folders
// exists.
static enum clrnn_status replace(const struct clrnn_run_folder *f)
{
    if (clrnn_folder_has(f->path, "", READY)) {
        for (size_t i = 0; i < ARRAY_SIZE(run_files); i++)
            if (!clrnn_folder_has(f->path, READY, run_files[i]))
                TRY(move(f, NULL, run_files[i]));
        TRY(rename_part(f, READY, MOVING));
    }
    if (!clrnn_folder_has(f->path, "", MOVING))
        return CLRNN_OK;
    for (size_t i = 0; i < ARRAY_SIZE(run_files); i++)
        TRY(move(f, MOVING, run_files[i]));
    remove_part(f, MOVING);
    return CLRNN_OK;
}

bool clrnn_run_folder_has_earlier(const struct clrnn_run_folder *f)
{
    return f->path && f->files && strcmp(f->files, f->path) != 0;
}

enum clrnn_status clrnn_run_folder_publish(struct clrnn_run_folder *f)
{
    char *files;

    if (!clrnn_run_folder_has_earlier(f))
        return CLRNN_OK;
    files = clrnn_format("%s", f->path);
    if (!files)
        return clrnn_error_memory(f->log, strlen(f->path) + 1, "a path");
    TRY(rename_part(f, NEW, READY));
    free(f->files);
    f->files = files;
    return replace(f);
}

// ---------------------------------------------------------------- taking a folder

// Marks and locks the folder. If a process was killed there, completes a replacement that it began, and removes a run
// that it did not publish.
static enum clrnn_status take(struct clrnn_run_folder *f)
{
    f->files = clrnn_format("%s", f->path);
    if (!f->files)
        return clrnn_error_memory(f->log, 0, "a path");
    TRY(clrnn_folder_lock(f->log, &run_kind, f->path, &f->lock));
    remove_part(f, NEW);
    return replace(f);
}

enum clrnn_status clrnn_run_folder_create(const struct clrnn_log *log, const char *path,
                                          const struct clrnn_config *config, struct clrnn_run_folder *f)
{
    *f = (struct clrnn_run_folder){.log = log, .metrics = -1, .lock = -1};
    f->path = path ? clrnn_format("%s", path) : clrnn_folder_default(config, NULL);
    if (!f->path)
        return clrnn_error_memory(log, 0, "a path");
    TRY(clrnn_make_folder(log, f->path));
    TRY(clrnn_folder_check(log, &run_kind, f->path));
    return take(f);
}

enum clrnn_status clrnn_run_folder_open(const struct clrnn_log *log, const char *path, struct clrnn_run_folder *f)
{
    struct stat info;

    *f = (struct clrnn_run_folder){.log = log, .metrics = -1, .lock = -1};
    if (stat(path, &info))
        return clrnn_error(log, CLRNN_ERR_DATA, "%s: cannot be opened: %s", path, strerror(errno));
    if (!clrnn_folder_is(&run_kind, path))
        return clrnn_error(log, CLRNN_ERR_DATA,
                           "%s: is no run folder: it was not written by `clrnn train`, or holds other files under "
                           "the names of a run's",
                           path);
    f->path = clrnn_format("%s", path);
    return f->path ? take(f) : clrnn_error_memory(log, strlen(path) + 1, "a path");
}

enum clrnn_status clrnn_run_config(const struct clrnn_log *log, const char *run, size_t set_count,
                                   const char *const *set, struct clrnn_config **config)
{
    CLRNN_C_LOCALE;
    NEED(log, config);
    *config = NULL;
    NEED(log, run);

    char *path = clrnn_path_join(run, "config.yaml");
    struct clrnn_run_folder f;
    enum clrnn_status st = path ? clrnn_run_folder_open(log, run, &f) : clrnn_error_memory(log, 0, "a path");

    if (st == CLRNN_OK)
        st = clrnn_config_read(log, path, set_count, set, config);
    if (path)
        clrnn_run_folder_finish(&f);
    free(path);
    return st;
}

enum clrnn_status clrnn_run_folder_begin(struct clrnn_run_folder *f)
{
    char *files;

    if (!clrnn_folder_has(f->path, "", "last.safetensors")) { // no run, or a run without a checkpoint
        for (size_t i = 0; i < ARRAY_SIZE(run_files); i++)
            TRY(move(f, NULL, run_files[i]));
        return clrnn_run_folder_open_metrics(f);
    }
    files = clrnn_path_join(f->path, NEW);
    if (!files)
        return clrnn_error_memory(f->log, 0, "a path");
    free(f->files);
    f->files = files;
    clrnn_log(f->log, CLRNN_LOG_WARNING, "%s: holds a run, which is replaced when this one has its first checkpoint",
              f->path);
    TRY(clrnn_make_folder(f->log, f->files));
    return clrnn_run_folder_open_metrics(f);
}

void clrnn_run_folder_finish(struct clrnn_run_folder *f)
{
    if (clrnn_run_folder_has_earlier(f))
        clrnn_remove_folder(f->files); // not published: the earlier run stays
    if (f->metrics >= 0)
        close(f->metrics);
    if (f->lock >= 0)
        close(f->lock);
    free(f->files);
    free(f->path);
    free(f->row);
    free(f->line);
    *f = (struct clrnn_run_folder){.metrics = -1, .lock = -1};
}
