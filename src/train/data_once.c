// SPDX-License-Identifier: MIT
// Of the ranks on a host that use the same files, the first rank reads all of the data before the other ranks open the
// files.
#include "train/data_once.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "train/ranks.h"

static enum clrnn_status read_all(const struct clrnn_log *log, const struct clrnn_config *config,
                                  struct clrnn_data_sets *data, struct clrnn_data_identity *identity)
{
    TRY(clrnn_data_sets_open(log, config, CLRNN_CHECK_ALL, data));
    *identity = (struct clrnn_data_identity){.train_samples = clrnn_dataset_info(data->train)->S};
    TRY(clrnn_dataset_fingerprint(data->train, identity->train));
    if (!data->valid)
        return CLRNN_OK;
    identity->valid_samples = clrnn_dataset_info(data->valid)->S;
    return clrnn_dataset_fingerprint(data->valid, identity->valid);
}

// Makes a text that is equal for ranks that open the same files: the config, whose paths are absolute, and device and
// inode number of the training file.
static enum clrnn_status describe_files(const struct clrnn_log *log, const struct clrnn_config *config, char **text)
{
    const struct clrnn_source *s = &config->data.train;
    const char *const named = s->x ? s->x : s->csv ? s->csv : s->ts;
    char *path = named ? clrnn_path_join(config->folder, named) : NULL, *all = clrnn_config_text(config);
    struct stat info = {0};

    if (path && stat(path, &info))
        info = (struct stat){0};
    free(path);
    *text = all ? clrnn_format("%s %llu %llu", all, (unsigned long long)info.st_dev, (unsigned long long)info.st_ino)
                : NULL;
    free(all);
    return *text ? CLRNN_OK : clrnn_error_memory(log, 0, "the config's text");
}

// Sets *first: whether this rank is the first of the ranks on its host that open the same files.
static enum clrnn_status find_first(const struct clrnn_log *log, const struct clrnn_config *config,
                                    enum clrnn_status status, bool *first)
{
    uint32_t own = 0, count;
    char *text = NULL;
    enum clrnn_status st;

    if (status == CLRNN_OK)
        status = describe_files(log, config, &text);
    st = clrnn_rank_share(text, &own, &count);
    free(text);
    *first = own == 0;
    return st == CLRNN_OK ? status : st;
}

// Checks that each rank that has read all of its data has the same data as rank 0. If not, returns CLRNN_ERR_CONFIG on
// all ranks.
static enum clrnn_status compare(const struct clrnn_log *log, const struct clrnn_data_identity *identity)
{
    char sets[sizeof(identity->train) + sizeof(identity->valid) + 24];
    enum clrnn_status st = CLRNN_OK;
    bool same;

    snprintf(sets, sizeof(sets), "%u:%s,%u:%s", identity->train_samples, identity->train, identity->valid_samples,
             identity->valid);
    TRY(clrnn_ranks_same(log, sets, &same));
    if (!same && identity->train_samples)
        st = clrnn_error(log, CLRNN_ERR_CONFIG,
                         "its data are not those of rank 0: processes train together on the same data");
    return clrnn_rank_agree(st);
}

static enum clrnn_status share_moments(const struct clrnn_log *log, bool wanted, struct clrnn_data_sets *data)
{
    const size_t C = clrnn_dataset_info(data->train)->C;
    enum clrnn_status st = CLRNN_OK;

    TRY(clrnn_ranks_broadcast(log, CLRNN_CHANNEL_MAIN, &wanted, sizeof(wanted)));
    if (!wanted)
        return CLRNN_OK;
    if (!clrnn_ranks_own()) {
        st = clrnn_data_sets_moments(log, data);
    } else {
        data->mean = malloc(2 * C * sizeof(*data->mean));
        data->std = data->mean ? data->mean + C : NULL;
        st = data->mean ? CLRNN_OK : clrnn_error_memory(log, 2 * C * sizeof(*data->mean), "data.normalize");
    }
    TRY(clrnn_rank_agree(st));
    return clrnn_ranks_broadcast(log, CLRNN_CHANNEL_MAIN, data->mean, 2 * C * sizeof(*data->mean));
}

enum clrnn_status clrnn_data_once(const struct clrnn_log *log, const struct clrnn_config *config,
                                  enum clrnn_status status, bool moments, struct clrnn_data_sets *data,
                                  struct clrnn_data_identity *identity)
{
    bool first;

    if (clrnn_ranks_count() == 1) {
        TRY(status);
        return read_all(log, config, data, identity);
    }
    status = find_first(log, config, status, &first);
    if (status == CLRNN_OK && first)
        status = read_all(log, config, data, identity);
    TRY(clrnn_rank_agree(status));
    if (!first)
        status = clrnn_data_sets_open(log, config, CLRNN_CHECK_SHAPES_ONLY, data);
    TRY(clrnn_rank_agree(status));
    TRY(compare(log, identity));
    moments &= config->data.standard && !clrnn_dataset_info(data->train)->tokens;
    return share_moments(log, moments, data);
}
