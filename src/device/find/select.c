// SPDX-License-Identifier: MIT
// Selects one device from what a user types ("0:0", "cpu", "nvidia").
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "device/find/drivers.h"
#include "device/find/find.h"
#include "device/find/list_child.h"
#include "device/core/quirks.h"

static bool usable(const struct clrnn_device_info *i)
{
    return !i->trouble && i->type != CLRNN_DEVICE_REF;
}

/** Checks whether two rows are the same physical device, as far as their drivers tell. */
static bool asked_same(const struct clrnn_device_list *list, size_t a, size_t b)
{
    const struct clrnn_handles *h = ((const struct clrnn_list_private *)list->strings_)->handles;
    const struct clrnn_device_info *x = &list->info[a], *y = &list->info[b];
    cl_uint vendor_x = 0, vendor_y = 0;

    if (x->platform == y->platform || x->type != y->type)
        return false;
    if (x->type == CLRNN_DEVICE_CPU)
        return true; // both are the host's CPU
    if (x->pci && y->pci)
        return x->pci == y->pci;
    if (clGetDeviceInfo(h[a].id, CL_DEVICE_VENDOR_ID, sizeof(vendor_x), &vendor_x, NULL) != CL_SUCCESS ||
        clGetDeviceInfo(h[b].id, CL_DEVICE_VENDOR_ID, sizeof(vendor_y), &vendor_y, NULL) != CL_SUCCESS)
        return false;
    return vendor_x == vendor_y && x->device == y->device; // a guess if the drivers report no PCI address
}

void clrnn_list_mark_same(struct clrnn_device_list *list)
{
    for (size_t i = 1; i < list->count; i++)
        for (size_t j = 0; j < i && list->info[i].same_as < 0; j++)
            if (list->info[i].device >= 0 && list->info[j].device >= 0 && list->info[j].same_as < 0 &&
                asked_same(list, i, j))
                list->info[i].same_as = (int)j;
}

/** Checks whether two rows are the same physical device on two platforms, by their `same_as`. */
static bool same_device(const struct clrnn_device_list *list, size_t a, size_t b)
{
    const size_t first_a = list->info[a].same_as < 0 ? a : (size_t)list->info[a].same_as;
    const size_t first_b = list->info[b].same_as < 0 ? b : (size_t)list->info[b].same_as;

    return first_a == first_b;
}

/** Returns a text for error messages (to be freed) with all rows of the list: a device as "P:D name (platform)", a
 * platform or driver without devices as "name: trouble". NULL: out of memory. */
static char *listing(const struct clrnn_device_list *list)
{
    size_t size;
    char *text = NULL;
    FILE *out = clrnn_text_open(&text, &size);

    if (!out)
        return NULL;
    for (size_t i = 0; i < list->count; i++) {
        const struct clrnn_device_info *d = &list->info[i];

        if (d->type == CLRNN_DEVICE_REF && d->device < 0 && !d->trouble)
            continue;
        if (d->device >= 0)
            fprintf(out, "%d:%d %s (%s)%s%s; ", d->platform, d->device, d->name, d->platform_name,
                    d->trouble ? ", " : "", d->trouble ? d->trouble : "");
        else
            fprintf(out, "%s: %s; ", d->platform_name, d->trouble);
    }
    fprintf(out, "ref");
    clrnn_text_close(out, &text);
    return text;
}

static enum clrnn_status no_match(const struct clrnn_log *log, const struct clrnn_device_list *list, const char *select,
                                  const char *why)
{
    char *there = listing(list);
    const enum clrnn_status st = clrnn_error(log, CLRNN_ERR_ARG, "device \"%s\" %s; there is: %s", select, why,
                                             there ? there : "(no memory to list them)");

    free(there);
    return st;
}

/** Roughly estimates a GPU's multiply-adds per microsecond, to compare GPUs: lanes of a compute unit (a guess by
 * vendor) times compute units times clock in MHz. */
static double speed(const struct clrnn_device_info *i)
{
    double lanes = 64;

    if (strcasestr(i->vendor, "nvidia"))
        lanes = 128;
    else if (strcasestr(i->vendor, "intel"))
        lanes = 8;
    return lanes * i->compute_units * i->max_clock_mhz;
}

static bool better(const struct clrnn_device_list *list, size_t a, size_t b)
{
    static const int order[] = {[CLRNN_DEVICE_GPU] = 0, [CLRNN_DEVICE_CPU] = 1, [CLRNN_DEVICE_ACCELERATOR] = 2};
    const struct clrnn_device_info *x = &list->info[a], *y = &list->info[b];

    if (x->type != y->type)
        return order[x->type] < order[y->type];
    if (x->type != CLRNN_DEVICE_CPU && !same_device(list, a, b))
        return speed(x) > speed(y);
    return clrnn_quirks_of(x).rank < clrnn_quirks_of(y).rank;
}

/** Whether a row, usable or not, matches `select`: "cpu", "gpu", or a part of the name of a device or platform. "cpu"
 * and "gpu" also match every platform without devices: a platform that has failed may have such a device. */
static bool named(const struct clrnn_device_info *i, const char *select)
{
    if (strcasecmp(select, "cpu") == 0 || strcasecmp(select, "gpu") == 0)
        return i->device < 0 || i->type == (strcasecmp(select, "cpu") == 0 ? CLRNN_DEVICE_CPU : CLRNN_DEVICE_GPU);
    return (i->name && strcasestr(i->name, select)) || (i->platform_name && strcasestr(i->platform_name, select)) ||
           (i->is_pocl && strcasestr("pocl", select));
}

/** Whether a row can be used and matches `select` (NULL: any row). */
static bool fits(const struct clrnn_device_info *i, const char *select)
{
    return usable(i) && (!select || named(i, select));
}

/** Returns the best row that fits `select`; list->count: no row fits. The best row is the first in the order of
 * `better`. But if the training step of that row was measured (clrnn_device_step_ms), the best row is the one with the
 * fastest measured step. *second becomes the row with the second fastest measured step; list->count: there is none. */
static size_t best_of(const struct clrnn_device_list *list, const char *select, size_t *second)
{
    size_t best = list->count, count = 0, first;
    double best_ms, second_ms = INFINITY;

    for (size_t i = 0; i < list->count; i++)
        if (fits(&list->info[i], select) && (!count++ || better(list, i, best)))
            best = i;
    first = best;
    *second = list->count;
    best_ms = count > 1 ? clrnn_device_step_ms(&list->info[best]) : NAN;
    for (size_t i = 0; !isnan(best_ms) && i < list->count; i++) {
        const double ms = i != first && fits(&list->info[i], select) ? clrnn_device_step_ms(&list->info[i]) : NAN;

        if (ms < best_ms) {
            *second = best;
            second_ms = best_ms;
            best = i;
            best_ms = ms;
        } else if (ms < second_ms) {
            *second = i;
            second_ms = ms;
        }
    }
    return best;
}

/** Checks whether the list has no row but ref: no driver was found, not even one that failed. */
static bool is_empty(const struct clrnn_device_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->info[i].type != CLRNN_DEVICE_REF)
            return false;
    return true;
}

/** Returns the row which reports that OpenCL or CLBlast cannot be loaded; NULL: there is no such row. */
static const struct clrnn_device_info *no_opencl(const struct clrnn_device_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->info[i].trouble && list->info[i].platform < 0 &&
            strcmp(list->info[i].platform_name, CLRNN_NO_OPENCL) == 0)
            return &list->info[i];
    return NULL;
}

static enum clrnn_status select_default(const struct clrnn_log *log, const struct clrnn_device_list *list, size_t *row)
{
    size_t second;
    const size_t best = best_of(list, NULL, &second);
    char *there;
    enum clrnn_status st;

    if (best < list->count) {
        *row = best;
        return CLRNN_OK;
    }
    if (no_opencl(list))
        return clrnn_error(log, CLRNN_ERR_DEVICE, "OpenCL cannot be used: %s, or use --device ref",
                           no_opencl(list)->trouble);
    there = listing(list);
    if (is_empty(list))
        st = clrnn_error(log, CLRNN_ERR_DEVICE,
                         "no OpenCL driver is found in %s: " CLRNN_INSTALL_DRIVER ", or use --device ref",
                         clrnn_drivers_place());
    else
        st = clrnn_error(log, CLRNN_ERR_DEVICE,
                         "no OpenCL device can be used (there is: %s): " CLRNN_INSTALL_DRIVER ", or use --device ref",
                         there ? there : "?");
    free(there);
    return st;
}

const char *clrnn_device_spec(const struct clrnn_device_info *info, char text[24])
{
    if (!text)
        return NULL;
    if (info && info->type == CLRNN_DEVICE_REF)
        snprintf(text, 24, "ref");
    else if (!info || info->platform < 0)
        snprintf(text, 24, "-");
    else if (info->device < 0)
        snprintf(text, 24, "%d:-", info->platform);
    else
        snprintf(text, 24, "%d:%d", info->platform, info->device);
    return text;
}

size_t clrnn_device_list_default(const struct clrnn_device_list *list, char why[160])
{
    const struct clrnn_device_info *d;
    size_t row, second, same_type = 0, others = 0;
    char spec[24];

    if (why)
        *why = 0;
    row = list && why ? best_of(list, NULL, &second) : 0;
    if (!list || !why || row == list->count)
        return SIZE_MAX;
    d = &list->info[row];
    for (size_t i = 0; i < list->count; i++)
        if (i != row && usable(&list->info[i])) {
            same_type += list->info[i].type == d->type;
            others++;
        }
    if (second < list->count)
        snprintf(why, 160, "the fastest measured, %.3g ms a step (%s takes %.3g ms)", clrnn_device_step_ms(d),
                 clrnn_device_spec(&list->info[second], spec), clrnn_device_step_ms(&list->info[second]));
    else if (!others)
        snprintf(why, 160, "the only device");
    else if (!same_type)
        snprintf(why, 160, d->type == CLRNN_DEVICE_GPU ? "the only GPU" : "no GPU can be used");
    else if (d->type == CLRNN_DEVICE_GPU)
        snprintf(why, 160, "of the GPUs the one with the most cores times clock");
    else
        snprintf(why, 160, "of the CPU's drivers the one that runs kernels best");
    return row;
}

enum clrnn_status clrnn_device_list_check(const struct clrnn_log *log, const struct clrnn_device_list *list)
{
    NEED(log, list);

    size_t row;

    for (size_t i = 0; i < list->count; i++)
        if (usable(&list->info[i]))
            return CLRNN_OK;
    return select_default(log, list, &row);
}

/** Parses a device SPEC like "3:1" as two numbers. False: `select` has another form. */
static bool numbers(const char *select, int *platform, int *device)
{
    int used = 0;

    return strspn(select, "0123456789:") == strlen(select) &&
           sscanf(select, "%4d:%4d%n", platform, device, &used) == 2 && !select[used];
}

/** Logs why no usable device matches `select`, and returns the status. If a device or platform matches but cannot be
 * used, the message gives the trouble of the first one. If nothing matches, the message lists all devices. */
static enum clrnn_status nothing_fits(const struct clrnn_log *log, const struct clrnn_device_list *list,
                                      const char *select)
{
    if (is_empty(list) || no_opencl(list))
        return select_default(log, list, NULL); // its error says what to install
    for (size_t i = 0; i < list->count; i++) {
        const struct clrnn_device_info *d = &list->info[i];

        if (d->trouble && strcmp(d->trouble, CLRNN_NO_DEVICES) != 0 && named(d, select))
            return clrnn_error(log, CLRNN_ERR_DEVICE, "device \"%s\" (%s) cannot be used: %s", select, d->platform_name,
                               d->trouble);
    }
    return no_match(log, list, select, "fits nothing");
}

enum clrnn_status clrnn_list_select(const struct clrnn_log *log, const struct clrnn_device_list *list,
                                    const char *select, size_t *row)
{
    size_t best, second, others = 0;
    int platform, device;

    if (!select || !*select)
        return select_default(log, list, row);
    if (numbers(select, &platform, &device)) {
        for (size_t i = 0; i < list->count; i++) {
            const struct clrnn_device_info *d = &list->info[i];

            if (d->platform != platform || (d->device >= 0 && d->device != device))
                continue;
            if (d->device < 0 && strcmp(d->trouble, CLRNN_NO_DEVICES) == 0)
                break;
            if (d->trouble)
                return clrnn_error(log, CLRNN_ERR_DEVICE, "device %s (%s) cannot be used: %s", select, d->platform_name,
                                   d->trouble);
            *row = i;
            return CLRNN_OK;
        }
        return is_empty(list) || no_opencl(list) ? select_default(log, list, row)
                                                 : no_match(log, list, select, "is not there");
    }
    best = best_of(list, select, &second);
    if (best == list->count)
        return nothing_fits(log, list, select);
    for (size_t i = 0; i < list->count; i++)
        others += i != best && fits(&list->info[i], select) && !same_device(list, i, best);
    if (others)
        return no_match(log, list, select, "fits several");
    *row = best;
    return CLRNN_OK;
}
