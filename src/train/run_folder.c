// SPDX-License-Identifier: MIT
// Writes a run's files into its folder, and reads them when the run is resumed.
#include "train/run_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "train/folder.h"
#include "train/naive.h"

enum clrnn_status clrnn_run_folder_open_metrics(struct clrnn_run_folder *f)
{
    char *path = clrnn_path_join(f->files, "metrics.jsonl");
    enum clrnn_status st = CLRNN_OK;

    if (!path)
        return clrnn_error_memory(f->log, 0, "a path");
    f->metrics = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (f->metrics < 0)
        st = clrnn_error(f->log, CLRNN_ERR_DISK, "%s: cannot be written: %s", path, strerror(errno));
    free(path);
    return st;
}

#define MAX_LINE_BYTES (1u << 20) // longest line of metrics.jsonl; 1,000 classes need up to 70,000 bytes

// ---------------------------------------------------------------- lines of metrics.jsonl

// Formats a number for JSON. A number that is not finite becomes null. Other numbers get as few digits, at least nine,
// as are needed to read back the same value.
static const char *number_text(double value, char text[32])
{
    if (!isfinite(value))
        return "null";
    for (int digits = 9; digits <= 17; digits++) {
        snprintf(text, 32, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    return text;
}

static enum clrnn_status write_line(struct clrnn_run_folder *f, const char *line)
{
    size_t left = strlen(line);

    while (left) {
        const ssize_t written = write(f->metrics, line, left);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return clrnn_error(f->log, CLRNN_ERR_DISK, "%s/metrics.jsonl: cannot be written: %s", f->path,
                               strerror(errno));
        line += written;
        left -= (size_t)written;
    }
    return CLRNN_OK;
}

static void warn_not_finite(struct clrnn_run_folder *f, const char *what, double value, uint64_t step)
{
    if (isfinite(value) || f->warned)
        return;
    f->warned = true;
    clrnn_log(f->log, CLRNN_LOG_WARNING,
              "%s is %f at step %llu: training goes on, metrics.jsonl has null there; a smaller lr or "
              "clip_grad_norm may help",
              what, value, (unsigned long long)step);
}

enum clrnn_status clrnn_run_folder_step(struct clrnn_run_folder *f, uint64_t step, double loss, bool counts, double lr)
{
    char line[128], loss_text[32], lr_text[32];

    if (counts)
        warn_not_finite(f, "the loss", loss, step);
    snprintf(line, sizeof(line), "{\"step\": %llu, \"loss\": %s, \"lr\": %s}\n", (unsigned long long)step,
             number_text(loss, loss_text), number_text(lr, lr_text));
    return write_line(f, line);
}

static enum clrnn_status keep_row(struct clrnn_run_folder *f, const struct clrnn_epoch_row *row)
{
    if (!ARRAY_GROW(f->row, f->count))
        return clrnn_error_memory(f->log, 2 * f->count * sizeof(*f->row), "the epochs' metrics");
    f->row[f->count++] = *row;
    return CLRNN_OK;
}

// The fields of an epoch's line that follow epoch and step, in order. The second list is written only for regression.
#define ROW_FIELDS(X) \
    X(train_loss) \
    X(train_accuracy) X(valid_loss) X(valid_accuracy) X(lr) X(grad_norm) X(seconds) X(samples_per_s)
#define ROW_REGRESSION_FIELDS(X) X(train_mae) X(valid_mae) X(valid_rmse) X(valid_r2)

static void warn_nothing_counts(struct clrnn_run_folder *f, uint64_t epoch)
{
    if (f->warned)
        return;
    f->warned = true;
    clrnn_log(
        f->log, CLRNN_LOG_WARNING,
        "epoch %llu has no target to learn from, all are ignored, missing or of weight 0: train_loss is nan, and null "
        "in metrics.jsonl",
        (unsigned long long)epoch);
}

enum clrnn_status clrnn_run_folder_epoch(struct clrnn_run_folder *f, const struct clrnn_epoch_row *row, bool counts,
                                         const char *more)
{
    char line[1024], text[32];
    size_t used;

    TRY(keep_row(f, row));
    if (counts)
        warn_not_finite(f, "train_loss", row->train_loss, row->step);
    else
        warn_nothing_counts(f, row->epoch);
    used = (size_t)snprintf(line, sizeof(line), "{\"epoch\": %llu, \"step\": %llu", (unsigned long long)row->epoch,
                            (unsigned long long)row->step);
#define X(field) \
    used += (size_t)snprintf(line + used, sizeof(line) - used, ", \"" #field "\": %s", number_text(row->field, text));
    ROW_FIELDS(X)
    if (f->regression) {
        ROW_REGRESSION_FIELDS(X)
    }
#undef X
    free(f->line);
    f->line = clrnn_format("%s%s}\n", line, more);
    return f->line ? write_line(f, f->line) : clrnn_error_memory(f->log, used, "an epoch's metrics");
}

enum clrnn_status clrnn_run_folder_sync(struct clrnn_run_folder *f)
{
    if (fdatasync(f->metrics) && errno != EINVAL && errno != EROFS)
        return clrnn_error(f->log, CLRNN_ERR_DISK, "%s/metrics.jsonl: cannot be written: %s", f->path, strerror(errno));
    return CLRNN_OK;
}

// ---------------------------------------------------------------- resuming a run

static double number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

// Returns the value of `key` if it is an integer from 1 to `most`, else 0.
static uint64_t counter_of(const json_t *object, const char *key, uint64_t most)
{
    const json_int_t value = json_integer_value(json_object_get(object, key));

    return value > 0 && (uint64_t)value <= most ? (uint64_t)value : 0;
}

bool clrnn_metrics_line(const char *line, size_t length, uint64_t epochs, uint64_t steps, struct clrnn_epoch_row *row)
{
    json_t *object = length <= MAX_LINE_BYTES ? json_loadb(line, length, 0, NULL) : NULL;
    bool keep;

    *row = (struct clrnn_epoch_row){.epoch = counter_of(object, "epoch", epochs),
                                    .step = counter_of(object, "step", steps)};
    keep = row->step && (row->epoch || !json_object_get(object, "epoch"));
#define X(field) row->field = number_of(object, #field);
    ROW_FIELDS(X)
    ROW_REGRESSION_FIELDS(X)
#undef X
    json_decref(object);
    return keep;
}

static bool keep_line(struct clrnn_run_folder *f, const char *line, size_t length, uint64_t epochs, uint64_t steps,
                      enum clrnn_status *st)
{
    struct clrnn_epoch_row row;
    bool keep;

    clrnn_json_out_of_memory();
    keep = clrnn_metrics_line(line, length, epochs, steps, &row);
    if (clrnn_json_out_of_memory())
        *st = clrnn_error_memory(f->log, length, "a line of metrics.jsonl");
    else if (keep && row.epoch)
        *st = keep_row(f, &row);
    return keep;
}

enum clrnn_status clrnn_run_folder_resume(struct clrnn_run_folder *f, uint64_t epochs, uint64_t steps)
{
    char *path = clrnn_path_join(f->files, "metrics.jsonl");
    struct clrnn_map map = {0};
    struct clrnn_out *out = NULL;
    enum clrnn_status st;

    if (!path)
        return clrnn_error_memory(f->log, 0, "a path");
    if (access(path, F_OK)) {
        free(path);
        return clrnn_run_folder_open_metrics(f); // no metrics were written yet
    }
    st = clrnn_map_open(f->log, path, &map);
    if (st == CLRNN_OK)
        st = clrnn_out_open(f->log, path, &out);
    for (size_t first = 0; st == CLRNN_OK && first < map.size;) {
        const char *line = (const char *)map.data + first;
        const char *end = memchr(line, '\n', map.size - first);
        const size_t length = end ? (size_t)(end - line) + 1 : map.size - first;

        if (end && keep_line(f, line, length, epochs, steps, &st))
            clrnn_out_write(out, line, length); // errors are reported by clrnn_out_commit
        first += length;
    }
    if (st == CLRNN_OK)
        st = clrnn_out_commit(&out);
    clrnn_out_abort(&out);
    clrnn_map_close(&map);
    free(path);
    return st == CLRNN_OK ? clrnn_run_folder_open_metrics(f) : st;
}

// ---------------------------------------------------------------- config, data, summary

enum clrnn_status clrnn_run_folder_config(const struct clrnn_run_folder *f, const struct clrnn_config *config)
{
    char *text = clrnn_config_text(config), *path = clrnn_path_join(f->files, "config.yaml");
    const enum clrnn_status st =
        text && path ? clrnn_write_text(f->log, path, text) : clrnn_error_memory(f->log, 0, "config.yaml");

    free(text);
    free(path);
    return st;
}

static enum clrnn_status write_json(const struct clrnn_run_folder *f, const char *name, json_t *object)
{
    return clrnn_folder_json(f->log, f->files, name, object, JSON_INDENT(2) | JSON_PRESERVE_ORDER, "\n", name);
}

enum clrnn_status clrnn_run_folder_identity(const struct clrnn_run_folder *f,
                                            const struct clrnn_data_identity *identity)
{
    json_t *object = json_pack("{s:{s:I, s:s}}", "train", "samples", (json_int_t)identity->train_samples, "fingerprint",
                               identity->train);

    if (object && identity->valid_samples)
        json_object_set_new(
            object, "valid",
            json_pack("{s:I, s:s}", "samples", (json_int_t)identity->valid_samples, "fingerprint", identity->valid));
    return write_json(f, "data.json", object);
}

static enum clrnn_status same_set(const struct clrnn_run_folder *f, const json_t *object, const char *set,
                                  uint32_t samples, const char *fingerprint)
{
    const json_t *entry = json_object_get(object, set);
    const double before = entry ? number_of(entry, "samples") : 0.0;
    const char *text = json_string_value(json_object_get(entry, "fingerprint"));

    if (before == samples && !strcmp(text ? text : "", fingerprint))
        return CLRNN_OK;
    return clrnn_error(f->log, CLRNN_ERR_CONFIG,
                       "%s: the %s data are not those that the run began with: %.0f samples then, %u now%s; "
                       "--resume needs the same data, start a new run with --init %s/last.safetensors for others",
                       f->path, set, before, samples, before == samples ? ", of other content" : "", f->path);
}

enum clrnn_status clrnn_run_folder_same_data(const struct clrnn_run_folder *f,
                                             const struct clrnn_data_identity *identity)
{
    char *path = clrnn_path_join(f->files, "data.json");
    json_t *object = NULL;
    enum clrnn_status st = path ? clrnn_json_read(NULL, path, &object) : CLRNN_ERR_MEMORY;

    if (st == CLRNN_ERR_MEMORY) {
        clrnn_error_memory(f->log, 0, "data.json");
    } else if (object) {
        st = same_set(f, object, "train", identity->train_samples, identity->train);
        if (st == CLRNN_OK)
            st = same_set(f, object, "valid", identity->valid_samples, identity->valid);
    } else {
        st = CLRNN_OK;
        clrnn_log(f->log, CLRNN_LOG_WARNING,
                  "%s/data.json: cannot be read: whether the data are the same is not "
                  "known",
                  f->path);
    }
    json_decref(object);
    free(path);
    return st;
}

enum clrnn_status clrnn_run_folder_summary(const struct clrnn_run_folder *f, const char *config,
                                           const struct clrnn_device_info *device, const struct clrnn_train_result *r)
{
    char spec[24];
    json_t *object = json_pack(
        "{s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:I}",
        "version", clrnn_version(), "config", clrnn_json_text(config), "folder", clrnn_json_text(f->path), "device",
        clrnn_device_spec(device, spec), "name", clrnn_json_text(device->name ? device->name : ""), "platform",
        clrnn_json_text(device->platform_name ? device->platform_name : ""), "driver",
        clrnn_json_text(device->driver ? device->driver : ""), "parameters", (json_int_t)r->parameters, "epochs",
        (json_int_t)r->epochs, "steps", (json_int_t)r->steps, "best_epoch", (json_int_t)r->best_epoch, "train_loss",
        clrnn_json_number(r->train_loss), "train_accuracy", clrnn_json_number(r->train_accuracy), "valid_loss",
        clrnn_json_number(r->valid_loss), "valid_accuracy", clrnn_json_number(r->valid_accuracy), "seconds",
        clrnn_json_number(r->seconds), "ms_per_step_median", clrnn_json_number(r->ms_per_step_median), "samples_per_s",
        clrnn_json_number(r->samples_per_s), "build_seconds", clrnn_json_number(r->build_seconds), "chained",
        r->chained, "peak_device_bytes", (json_int_t)r->peak_device_bytes);

    if (object && r->naive.count)
        json_object_set_new(object, "baselines", clrnn_naive_json(&r->naive));
    return write_json(f, "summary.json", object);
}

void clrnn_run_folder_former(const struct clrnn_run_folder *f, struct clrnn_train_result *r)
{
    char *path = clrnn_path_join(f->files, "summary.json");
    json_t *object = NULL;

    if (path)
        clrnn_json_read(NULL, path, &object); // if this fails, the speeds are NaN (unknown)
    r->ms_per_step_median = number_of(object, "ms_per_step_median");
    r->samples_per_s = number_of(object, "samples_per_s");
    r->chained = json_is_true(json_object_get(object, "chained"));
    json_decref(object);
    free(path);
}
