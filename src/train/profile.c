// SPDX-License-Identifier: MIT
// Makes the table for `clrnn train --profile`.
#include "train/profile.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"

enum clrnn_status clrnn_profile_add(struct clrnn_profile *profile, struct clrnn_plan *plan)
{
    if (!profile->on || !plan)
        return CLRNN_OK;
    for (size_t i = 0; i < profile->plan_count; i++)
        if (profile->plan[i] == plan)
            return CLRNN_OK;
    if (profile->plan_count == PROFILE_PLANS)
        TRY(clrnn_profile_fetch(profile));
    profile->plan[profile->plan_count++] = plan;
    return CLRNN_OK;
}

static enum clrnn_status add_launch(struct clrnn_profile *profile, const struct clrnn_launch_info *info,
                                    const struct clrnn_log *log)
{
    struct clrnn_profile_sum *sum;
    size_t at = 0;

    while (at < profile->sum_count &&
           (strcmp(profile->sum[at].op, info->op) != 0 || strcmp(profile->sum[at].kernel, info->kernel) != 0))
        at++;
    if (at == profile->sum_count) {
        if (!ARRAY_GROW(profile->sum, profile->sum_count))
            return clrnn_error_memory(log, 0, "the profile");
        sum = &profile->sum[profile->sum_count++];
        *sum = (struct clrnn_profile_sum){.op = strdup(info->op), .kernel = strdup(info->kernel)};
        if (!sum->op || !sum->kernel)
            return clrnn_error_memory(log, 0, "the profile");
    }
    profile->sum[at].seconds += info->seconds;
    profile->sum[at].runs += info->runs;
    return CLRNN_OK;
}

enum clrnn_status clrnn_profile_fetch(struct clrnn_profile *profile)
{
    for (size_t i = 0; i < profile->plan_count; i++) {
        struct clrnn_launches *launches = profile->plan[i]->launches;

        TRY(clrnn_launches_profile(launches));
        for (size_t l = 0; l < clrnn_launches_count(launches); l++)
            TRY(add_launch(profile, clrnn_launches_info(launches, l), profile->plan[i]->model->log));
        clrnn_launches_forget(launches);
    }
    profile->plan_count = 0;
    return CLRNN_OK;
}

// Logs the sum of an op, which begins at entry `first`, and then its launches.
static void print_op(const struct clrnn_profile *profile, size_t first, double total, const struct clrnn_log *log)
{
    const char *op = profile->sum[first].op;
    double seconds = 0.0;

    for (size_t i = first; i < profile->sum_count; i++)
        seconds += strcmp(profile->sum[i].op, op) ? 0.0 : profile->sum[i].seconds;
    clrnn_log(log, CLRNN_LOG_INFO, "%-44s %10s %10.3f %9s %5.1f%%", op, "", seconds * 1e3, "", 100.0 * seconds / total);
    for (size_t i = first; i < profile->sum_count; i++) {
        const struct clrnn_profile_sum *sum = &profile->sum[i];

        if (!strcmp(sum->op, op))
            clrnn_log(log, CLRNN_LOG_INFO, "    %-40s %10llu %10.3f %9.2f", sum->kernel, (unsigned long long)sum->runs,
                      sum->seconds * 1e3, sum->runs ? sum->seconds * 1e6 / (double)sum->runs : 0.0);
    }
}

enum clrnn_status clrnn_profile_print(struct clrnn_profile *profile, const struct clrnn_log *log)
{
    double total = 0.0;

    if (!profile->on)
        return CLRNN_OK;
    TRY(clrnn_profile_fetch(profile));
    if (!profile->sum_count)
        return CLRNN_OK;
    for (size_t i = 0; i < profile->sum_count; i++)
        total += profile->sum[i].seconds;
    if (total <= 0.0) {
        clrnn_log(log, CLRNN_LOG_INFO, "profile: the device was not opened for profiling, or tells no times");
        return CLRNN_OK;
    }
    clrnn_log(log, CLRNN_LOG_INFO, "profile of %.3f s in training launches:", total);
    clrnn_log(log, CLRNN_LOG_INFO, "%-44s %10s %10s %9s %6s", "op / launch", "runs", "total ms", "us a run", "share");
    for (size_t i = 0; i < profile->sum_count; i++) {
        size_t first = 0;

        while (strcmp(profile->sum[first].op, profile->sum[i].op) != 0)
            first++;
        if (first == i)
            print_op(profile, i, total, log);
    }
    return CLRNN_OK;
}

void clrnn_profile_finish(struct clrnn_profile *profile)
{
    for (size_t i = 0; i < profile->sum_count; i++) {
        free(profile->sum[i].op);
        free(profile->sum[i].kernel);
    }
    free(profile->sum);
    *profile = (struct clrnn_profile){0};
}
