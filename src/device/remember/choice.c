// SPDX-License-Identifier: MIT
// Choices between variants: looks them up in the device's file of measurements, and stores new measurements there.
#include "device/remember/choice.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/environment.h"
#include "base/hash.h"
#include "base/json.h"
#include "device/list/internal.h"
#include "device/remember/internal.h"

void clrnn_launches_class(struct clrnn_launches *launches, const char *text)
{
    snprintf(launches->class, sizeof(launches->class), "%s", text);
}

// ---------------------------------------------------------------- asking

static unsigned find_option(const struct clrnn_choice *c, const char *name)
{
    unsigned i = 0;

    while (i < c->count && (!name || strcmp(name, c->option[i])))
        i++;
    return i;
}

// Returns the index of the alternative that was forced, else of the one measured as best; c->count: there is neither.
static unsigned look_up(const struct clrnn_device *d, const struct clrnn_choice *c)
{
    unsigned found = find_option(c, json_string_value(json_object_get(d->forced, c->key)));

    if (found == c->count)
        found = find_option(c, json_string_value(json_object_get(d->forced, strrchr(c->key, ' ') + 1)));
    return found < c->count ? found : find_option(c, clrnn_tune_option(d->tune, c->key));
}

// Records a choice, so that it can be measured; each key once. If memory is short, the choice is not measured, which
// costs only speed.
static void remember(struct clrnn_launches *l, const struct clrnn_choice *c)
{
    for (size_t i = 0; i < l->choice_count; i++)
        if (strcmp(l->choice[i].key, c->key) == 0)
            return;
    if (!ARRAY_GROW(l->choice, l->choice_count))
        return;
    l->choice[l->choice_count++] = *c;
}

unsigned clrnn_choose(struct clrnn_launches *launches, const char *name, unsigned standard, unsigned count,
                      const char *const *option)
{
    const struct clrnn_device *d = launches->device;
    const char *form = d->cpu_form == (d->info.type == CLRNN_DEVICE_CPU) ? "" : d->cpu_form ? "CPU form " : "GPU form ";
    struct clrnn_choice c = {.count = count, .standard = standard, .taken = standard};

    if (!launches->class[0] || count < 2 || count > CLRNN_CHOICE_MOST ||
        snprintf(c.key, sizeof(c.key), "%s%s %s", form, launches->class, name) >= (int)sizeof(c.key))
        return standard;
    for (unsigned i = 0; i < count; i++)
        snprintf(c.option[i], sizeof(c.option[i]), "%s", option[i]);
    c.taken = look_up(d, &c);
    if (c.taken == count)
        c.taken = standard;
    remember(launches, &c);
    return c.taken;
}

const struct clrnn_choice *clrnn_launches_choice(const struct clrnn_launches *launches, size_t index)
{
    return index < launches->choice_count ? &launches->choice[index] : NULL;
}

enum clrnn_status clrnn_device_force(struct clrnn_device *device, const char *key, const char *option)
{
    if (!device->forced)
        device->forced = json_object();
    if (!option)
        json_object_del(device->forced, key);
    else if (json_object_set_new(device->forced, key, json_string(option)))
        return clrnn_error_memory(device->log, strlen(key) + strlen(option), "a choice");
    return CLRNN_OK;
}

enum clrnn_status clrnn_device_force_environment(struct clrnn_device *device)
{
    const char *rest = clrnn_environment("CLRNN_CHOICES");
    char name[32], option[CLRNN_CHOICE_OPTION];
    int used = 0;

    while (rest && sscanf(rest, "%31[a-z]=%23[a-z0-9]%n", name, option, &used) == 2) { // syntax checked
        TRY(clrnn_device_force(device, name, option));
        rest += used + (rest[used] == ',');
    }
    return CLRNN_OK;
}

// ---------------------------------------------------------------- the file

struct clrnn_choice_file {
    const struct clrnn_log *log;
    const struct clrnn_device_info *info;
    json_t *root;
    char use[17]; // hexadecimal hash of the parameters that CLBlast uses now
};

enum clrnn_status clrnn_choice_file_open(struct clrnn_device *device, struct clrnn_choice_file **file)
{
    struct clrnn_choice_file *f = *file = calloc(1, sizeof(*f));
    char *use = NULL, hex[33];
    struct clrnn_hash h;
    enum clrnn_status st;

    if (!f)
        return clrnn_error_memory(device->log, sizeof(*f), "tuning");
    f->log = device->log;
    f->info = &device->info;
    st = clrnn_tune_update(device->log, &device->info, false, NULL, &f->root); // also tests writing the file
    use = clrnn_json_dumps(json_object_get(f->root, "use"), JSON_SORT_KEYS | JSON_COMPACT);
    if (st == CLRNN_OK && !use)
        st = clrnn_error(device->log, CLRNN_ERR_MEMORY, "out of memory for what was measured");
    if (st != CLRNN_OK) {
        clrnn_choice_file_close(file);
        return st;
    }
    clrnn_hash_init(&h);
    clrnn_hash_add_text(&h, use);
    clrnn_hash_hex(&h, hex);
    snprintf(f->use, sizeof(f->use), "%.16s", hex);
    free(use);
    return CLRNN_OK;
}

void clrnn_choice_file_close(struct clrnn_choice_file **file)
{
    if (!*file)
        return;
    json_decref((*file)->root);
    free(*file);
    *file = NULL;
}

bool clrnn_choice_file_get(const struct clrnn_choice_file *file, const struct clrnn_choice *choice, bool multiplies,
                           struct clrnn_choice_ms *ms)
{
    const json_t *entry = json_object_get(json_object_get(file->root, "choices"), choice->key);
    const json_t *times = json_object_get(entry, "ms");
    const char *with = json_string_value(json_object_get(entry, "multiplies"));
    const bool holds = !multiplies || (with && strcmp(with, file->use) == 0);
    bool whole = true;

    for (unsigned i = 0; i < choice->count; i++) {
        const json_t *one = json_object_get(times, choice->option[i]);

        ms->ms[i] = json_is_null(one) ? INFINITY : holds && json_is_number(one) ? json_number_value(one) : NAN;
        whole = whole && !isnan(ms->ms[i]);
    }
    return whole && find_option(choice, json_string_value(json_object_get(entry, "use"))) < choice->count;
}

enum clrnn_status clrnn_choice_file_put(struct clrnn_choice_file *file, const struct clrnn_choice *choice,
                                        bool multiplies, const struct clrnn_choice_ms *ms, unsigned use)
{
    json_t *times = json_object();
    json_t *entry = json_pack("{s:s, s:s, s:o}", "use", choice->option[use], "standard",
                              choice->option[choice->standard], "ms", times),
           *changes;
    enum clrnn_status st;
    bool whole = entry != NULL;

    for (unsigned i = 0; whole && i < choice->count; i++)
        if (!isnan(ms->ms[i]))
            whole = json_object_set_new(times, choice->option[i],
                                        isinf(ms->ms[i]) ? json_null() : json_real(ms->ms[i])) == 0;
    if (whole && multiplies)
        whole = json_object_set_new(entry, "multiplies", json_string(file->use)) == 0;
    changes = whole ? json_pack("{s:{s:O}}", "choices", choice->key, entry) : NULL;
    json_decref(entry);
    if (!changes)
        return clrnn_error(file->log, CLRNN_ERR_MEMORY, "out of memory for what was measured");
    st = clrnn_tune_update(file->log, file->info, false, changes, &file->root);
    json_decref(changes);
    return st;
}
