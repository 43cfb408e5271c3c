// SPDX-License-Identifier: MIT
// Makes the table for `clrnn train --profile`.
#include "train/profile.h"

#include <string.h>

void clrnn_profile_add(struct clrnn_profile *profile, struct clrnn_plan *plan)
{
    size_t at = 0;

    if (!profile->on)
        return;
    while (at < profile->count && profile->plan[at] != plan)
        at++;
    if (at == profile->count && profile->count < PROFILE_PLANS)
        profile->count++;
    else if (at == profile->count)
        at = profile->count - 1; // replaces the least recently used plan
    memmove(profile->plan + 1, profile->plan, at * sizeof(*profile->plan));
    profile->plan[0] = plan;
}

enum clrnn_status clrnn_profile_fetch(struct clrnn_profile *profile)
{
    for (size_t i = 0; i < profile->count; i++)
        TRY(clrnn_launches_profile(profile->plan[i]->launches));
    return CLRNN_OK;
}

// Sums up *seconds and *runs of the launches that have the same op and kernel as `of`, over all plans. If the kernel of
// `of` is NULL, launches of all kernels are counted.
static void add_up(const struct clrnn_profile *profile, const struct clrnn_launch_info *of, double *seconds,
                   uint64_t *runs)
{
    *seconds = 0.0;
    *runs = 0;
    for (size_t p = 0; p < profile->count; p++) {
        const struct clrnn_launches *launches = profile->plan[p]->launches;

        for (size_t l = 0; l < clrnn_launches_count(launches); l++) {
            const struct clrnn_launch_info *info = clrnn_launches_info(launches, l);

            if (strcmp(info->op, of->op) || (of->kernel && strcmp(info->kernel, of->kernel)))
                continue;
            *seconds += info->seconds;
            *runs += info->runs;
        }
    }
}

static bool seen_before(const struct clrnn_launches *launches, size_t index, bool by_kernel)
{
    const struct clrnn_launch_info *info = clrnn_launches_info(launches, index);

    for (size_t l = 0; l < index; l++) {
        const struct clrnn_launch_info *other = clrnn_launches_info(launches, l);

        if (!strcmp(other->op, info->op) && (!by_kernel || !strcmp(other->kernel, info->kernel)))
            return true;
    }
    return false;
}

enum clrnn_status clrnn_profile_print(struct clrnn_profile *profile, const struct clrnn_log *log)
{
    const struct clrnn_launches *launches;
    double total = 0.0, seconds;
    uint64_t runs;

    if (!profile->on || !profile->count)
        return CLRNN_OK;
    TRY(clrnn_profile_fetch(profile));
    for (size_t p = 0; p < profile->count; p++)
        for (size_t l = 0; l < clrnn_launches_count(profile->plan[p]->launches); l++)
            total += clrnn_launches_info(profile->plan[p]->launches, l)->seconds;
    if (total <= 0.0) {
        clrnn_log(log, CLRNN_LOG_INFO, "profile: the device was not opened for profiling, or tells no times");
        return CLRNN_OK;
    }
    clrnn_log(log, CLRNN_LOG_INFO, "profile of %.3f s in training launches:", total);
    clrnn_log(log, CLRNN_LOG_INFO, "%-44s %10s %10s %9s %6s", "op / launch", "runs", "total ms", "us a run", "share");
    launches = profile->plan[0]->launches;
    for (size_t l = 0; l < clrnn_launches_count(launches); l++) {
        const struct clrnn_launch_info *info = clrnn_launches_info(launches, l);
        struct clrnn_launch_info op = {.op = info->op};

        if (seen_before(launches, l, false))
            continue;
        add_up(profile, &op, &seconds, &runs);
        clrnn_log(log, CLRNN_LOG_INFO, "%-44s %10s %10.3f %9s %5.1f%%", info->op, "", seconds * 1e3, "",
                  100.0 * seconds / total);
        for (size_t k = l; k < clrnn_launches_count(launches); k++) {
            const struct clrnn_launch_info *launch = clrnn_launches_info(launches, k);

            if (strcmp(launch->op, info->op) || seen_before(launches, k, true))
                continue;
            add_up(profile, launch, &seconds, &runs);
            clrnn_log(log, CLRNN_LOG_INFO, "    %-40s %10llu %10.3f %9.2f", launch->kernel, (unsigned long long)runs,
                      seconds * 1e3, runs ? seconds * 1e6 / (double)runs : 0.0);
        }
    }
    return CLRNN_OK;
}
