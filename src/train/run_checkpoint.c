// SPDX-License-Identifier: MIT
// Chooses between the checkpoints of a run folder: last.safetensors and best.safetensors.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "train/run_folder.h"

// The best and the last epoch, from metrics.jsonl. A row whose `epoch` is 0 is missing.
struct rows {
    struct clrnn_epoch_row best, last;
};

// Returns the loss by which best.safetensors was chosen: the validation loss, else the training loss.
static double judged(const struct clrnn_epoch_row *row)
{
    return isfinite(row->valid_loss) ? row->valid_loss : row->train_loss;
}

// Reads the rows of the best and of the last epoch.
static void read_rows(const char *run, struct rows *rows)
{
    char *path = clrnn_path_join(run, "metrics.jsonl");
    struct clrnn_map map = {0};

    if (path && clrnn_map_open(NULL, path, &map) == CLRNN_OK) {
        const char *line = map.size ? (const char *)map.data : "", *const after = line + map.size, *end;

        for (; line < after && (end = memchr(line, '\n', (size_t)(after - line))); line = end + 1) {
            struct clrnn_epoch_row row;

            if (!clrnn_metrics_line(line, (size_t)(end - line), UINT64_MAX, UINT64_MAX, &row) || !row.epoch)
                continue;
            rows->last = row;
            if (isfinite(judged(&row)) && (!rows->best.epoch || judged(&row) < judged(&rows->best)))
                rows->best = row;
        }
        clrnn_map_close(&map);
    }
    free(path);
}

// Writes a text such as "best.safetensors (epoch 3, valid loss 0.3)".
static void describe(char *text, size_t size, const char *name, const struct clrnn_epoch_row *row)
{
    const int used = snprintf(text, size, "%s", name);

    if (row->epoch)
        snprintf(text + used, size - (size_t)used, " (epoch %llu, %s loss %.4g)", (unsigned long long)row->epoch,
                 isfinite(row->valid_loss) ? "valid" : "train", judged(row));
}

// Checks whether the run's config has early stopping. If it has, the best epoch is the one to use.
static bool stops_early(const char *run)
{
    char *path = clrnn_path_join(run, "config.yaml");
    struct clrnn_config *config = NULL;
    const bool stops =
        path && clrnn_config_read(NULL, path, 0, NULL, &config) == CLRNN_OK && config->train.early_stopping.on;

    clrnn_config_destroy(&config);
    free(path);
    return stops;
}

enum clrnn_status clrnn_run_checkpoint(const struct clrnn_log *log, const char *path,
                                       enum clrnn_checkpoint_choice choice, char **file)
{
    NEED(log, file);
    *file = NULL;
    NEED(log, path);

    static const char *const name[] = {"last.safetensors", "best.safetensors"};
    struct rows rows = {0};
    struct stat info;
    char taken[120], other[120];
    bool there[2], best;

    if (stat(path, &info) || !S_ISDIR(info.st_mode)) {
        if (choice != CLRNN_CHECKPOINT_USUAL)
            return clrnn_error(log, CLRNN_ERR_ARG, "%s: is no run folder, of which --best or --last could choose",
                               path);
        *file = strdup(path);
        return *file ? CLRNN_OK : clrnn_error_memory(log, strlen(path) + 1, "a path");
    }
    for (int i = 0; i < 2; i++) {
        char *inside = clrnn_path_join(path, name[i]);

        if (!inside)
            return clrnn_error_memory(log, 0, "a path");
        there[i] = !stat(inside, &info);
        free(inside);
    }
    if (!there[0] && !there[1])
        return clrnn_error(log, CLRNN_ERR_DATA,
                           "%s: is no run folder, for it has neither last.safetensors nor best.safetensors", path);
    if (choice != CLRNN_CHECKPOINT_USUAL && !there[choice == CLRNN_CHECKPOINT_BEST])
        return clrnn_error(log, CLRNN_ERR_DATA, "%s: has no %s", path, name[choice == CLRNN_CHECKPOINT_BEST]);
    best = choice == CLRNN_CHECKPOINT_BEST || !there[0] ||
           (choice == CLRNN_CHECKPOINT_USUAL && there[1] && stops_early(path));
    *file = clrnn_path_join(path, name[best]);
    if (!*file)
        return clrnn_error_memory(log, 0, "a path");
    read_rows(path, &rows);
    if (there[0] && there[1] && rows.best.epoch != rows.last.epoch) {
        describe(taken, sizeof(taken), name[best], best ? &rows.best : &rows.last);
        describe(other, sizeof(other), name[!best], best ? &rows.last : &rows.best);
        clrnn_log(log, CLRNN_LOG_INFO, "%s: takes %s; --%s takes %s", path, taken, best ? "last" : "best", other);
    }
    return CLRNN_OK;
}
