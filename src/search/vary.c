// SPDX-License-Identifier: MIT
// Parses ranges and lists of values, and draws values from them.
#include "search/vary.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/log.h"
#include "base/random.h"
#include "base/words.h"

#define MOST_COMBINATIONS (1u << 20) // combinations are counted up to this number

// ---------------------------------------------------------------- parsing

// Parses the first `length` bytes of `text` as a number. Returns false if they are no finite number.
static bool number(const char *text, size_t length, double *value)
{
    char part[64];

    if (length >= sizeof(part))
        return false;
    snprintf(part, sizeof(part), "%.*s", (int)length, text);
    return clrnn_number_parse(part, value) && isfinite(*value);
}

static enum clrnn_status parse_range(const struct clrnn_log *log, const char *text, const char *value, const char *dots,
                                     struct clrnn_vary *v)
{
    const char *colon = strchr(dots, ':');
    const size_t length = colon ? (size_t)(colon - dots - 2) : strlen(dots + 2);

    if (colon && strcmp(colon, ":log") != 0 && strcmp(colon, ":linear") != 0)
        return clrnn_error(log, CLRNN_ERR_ARG, "--vary %s: ends in \"%s\", expected :log or :linear", text, colon);
    v->log = colon && !strcmp(colon, ":log");
    if (!number(value, (size_t)(dots - value), &v->low) || !number(dots + 2, length, &v->high))
        return clrnn_error(log, CLRNN_ERR_ARG, "--vary %s: is no range: expected two numbers, as KEY=1e-4..1e-2:log",
                           text);
    if (v->low >= v->high)
        return clrnn_error(log, CLRNN_ERR_ARG,
                           "--vary %s: the range from %g to %g is empty: expected the smaller end first", text, v->low,
                           v->high);
    if (v->log && v->low <= 0)
        return clrnn_error(log, CLRNN_ERR_ARG, "--vary %s: a logarithmic range begins above 0, not at %g", text,
                           v->low);
    return CLRNN_OK;
}

// Returns the end of the list item at `text`: a comma outside of brackets and quotes, or the end of the text.
static const char *item_end(const char *text)
{
    int depth = 0;
    char quote = '\0';

    for (; *text; text++) {
        if (quote)
            quote = *text == quote ? '\0' : quote;
        else if (*text == '"' || *text == '\'')
            quote = *text;
        else if (strchr("[{", *text))
            depth++;
        else if (strchr("]}", *text))
            depth--;
        else if (*text == ',' && depth <= 0)
            break;
    }
    return text;
}

static enum clrnn_status parse_list(const struct clrnn_log *log, const char *text, const char *value,
                                    struct clrnn_vary *v)
{
    for (;;) {
        const char *end = item_end(value);

        value += strspn(value, " ");
        if (end <= value)
            return clrnn_error(log, CLRNN_ERR_ARG, "--vary %s: a value is missing: expected KEY=A,B,C", text);
        if (!ARRAY_GROW(v->item, v->count))
            return clrnn_error_memory(log, 0, "the values of a sweep");
        v->item[v->count] = strndup(value, (size_t)(end - value));
        if (!v->item[v->count++])
            return clrnn_error_memory(log, 0, "the values of a sweep");
        if (!*end)
            return CLRNN_OK;
        value = end + 1;
    }
}

enum clrnn_status clrnn_vary_parse(const struct clrnn_log *log, const char *text, struct clrnn_vary *v)
{
    const char *equals = strchr(text, '='), *dots = equals ? strstr(equals, "..") : NULL;
    double end;

    *v = (struct clrnn_vary){0};
    if (!equals || equals == text)
        return clrnn_error(log, CLRNN_ERR_ARG, "--vary %s: expected KEY=LOW..HIGH, KEY=LOW..HIGH:log or KEY=A,B,C",
                           text);
    v->key = strndup(text, (size_t)(equals - text));
    if (!v->key)
        return clrnn_error_memory(log, 0, "the values of a sweep");
    if (!strcmp(v->key, "train.epochs"))
        return clrnn_error(log, CLRNN_ERR_ARG, "--vary %s: the epochs are those of the rungs (--budget)", text);
    // a range has a number on at least one side of ".."; a path such as ../data/x.npy has none
    if (dots &&
        (number(equals + 1, (size_t)(dots - equals - 1), &end) || number(dots + 2, strcspn(dots + 2, ":"), &end)))
        return parse_range(log, text, equals + 1, dots, v);
    return parse_list(log, text, equals + 1, v);
}

void clrnn_vary_finish(struct clrnn_vary *v)
{
    for (size_t i = 0; i < v->count; i++)
        free(v->item[i]);
    free(v->item);
    free(v->key);
    *v = (struct clrnn_vary){0};
}

// ---------------------------------------------------------------- checking values against the config

enum clrnn_status clrnn_vary_config(const struct clrnn_log *log, const struct clrnn_sweep_params *p, size_t count,
                                    char *const *set, struct clrnn_config **config)
{
    const char **all = malloc((p->set_count + count + 1) * sizeof(*all));
    enum clrnn_status st;

    *config = NULL;
    if (!all)
        return clrnn_error_memory(log, 0, "the values of a sweep");
    for (size_t i = 0; i < p->set_count; i++)
        all[i] = p->set[i];
    for (size_t i = 0; i < count; i++)
        all[p->set_count + i] = set[i];
    st = clrnn_config_read(log, p->config, p->set_count + count, all, config);
    free(all);
    return st;
}

// Returns a value of a range as text, which the caller frees. The text is a whole number if the range has only whole
// numbers. Otherwise it has four significant digits, so that tables can show it in full, or as many more as are needed:
// it is from `low` to below `high`, the interval of `value`, and off by a tenth of this interval at most. If both ends
// are equal, it is exact.
static char *value_text(const struct clrnn_vary *v, double low, double value, double high)
{
    char text[32];
    double shown;

    if (v->whole)
        return clrnn_format("%.0f", round(value));
    for (int digits = 4; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (number(text, strlen(text), &shown) && shown >= low && (shown < high || low == high) &&
            fabs(shown - value) <= 0.1 * (high - low))
            break;
    }
    return strdup(text);
}

static enum clrnn_status check_value(const struct clrnn_log *log, const struct clrnn_sweep_params *p,
                                     const struct clrnn_vary *v, const char *value)
{
    struct clrnn_config *config = NULL;
    char *set = value ? clrnn_format("%s=%s", v->key, value) : NULL;
    enum clrnn_status st =
        set ? clrnn_vary_config(log, p, 1, &set, &config) : clrnn_error_memory(log, 0, "the values of a sweep");

    clrnn_config_destroy(&config);
    free(set);
    return st;
}

enum clrnn_status clrnn_vary_check(const struct clrnn_log *log, const struct clrnn_sweep_params *p,
                                   struct clrnn_vary *v)
{
    char *text;
    enum clrnn_status st;

    for (size_t i = 0; i < v->count; i++)
        TRY(check_value(log, p, v, v->item[i]));
    if (v->count)
        return CLRNN_OK;
    if (v->low == floor(v->low) && v->high == floor(v->high)) {
        text = clrnn_format("%.1f", floor(v->low) + 0.5); // tests whether the key takes fractions like 16.5
        st = check_value(NULL, p, v, text);
        free(text);
        if (st == CLRNN_ERR_MEMORY)
            return clrnn_error_memory(log, 0, "the values of a sweep");
        v->whole = st != CLRNN_OK;
    }
    st = CLRNN_OK;
    for (int end = 0; end < 2 && st == CLRNN_OK; end++) {
        const double value = end ? v->high : v->low;

        text = value_text(v, value, value, value);
        st = check_value(log, p, v, text);
        free(text);
    }
    return st;
}

// ---------------------------------------------------------------- drawing

// Returns the number of combinations of the lists of the first `count` keys, at most MOST_COMBINATIONS. A key with a
// range counts as a list of one value.
static uint32_t combinations(const struct clrnn_vary *v, size_t count)
{
    uint64_t all = 1;

    for (size_t i = 0; i < count; i++)
        all = MIN2(all * MAX2(v[i].count, 1), MOST_COMBINATIONS);
    return (uint32_t)all;
}

uint32_t clrnn_vary_trials(const struct clrnn_vary *v, size_t count, uint32_t most, uint32_t *all)
{
    *all = 0;
    for (size_t i = 0; i < count; i++)
        if (!v[i].count)
            return most;
    *all = combinations(v, count);
    return MIN2(most, *all);
}

static double range_value(const struct clrnn_vary *v, double x)
{
    const double value = v->log ? v->low * pow(v->high / v->low, x) : v->low + (v->high - v->low) * x;

    return fmin(fmax(value, v->low), v->high);
}

static enum clrnn_status draw_range(const struct clrnn_log *log, const struct clrnn_vary *v, size_t at, uint64_t seed,
                                    uint32_t trials, char **const *value)
{
    const struct clrnn_random parts = {.seed = seed, .stream = RANDOM_SWEEP, .a = (uint32_t)at + 1},
                              within = {.seed = seed, .stream = RANDOM_SWEEP, .a = (uint32_t)at + 1, .b = 1};
    uint32_t *part = malloc(trials * sizeof(*part));
    bool whole = part;

    if (part)
        clrnn_random_permutation(&parts, trials, part);
    for (uint32_t i = 0; whole && i < trials; i++) {
        const double x = part[i] + (double)clrnn_random_uniform(&within, i);

        value[i][at] = value_text(v, range_value(v, (double)part[i] / trials), range_value(v, x / trials),
                                  range_value(v, (part[i] + 1.0) / trials));
        whole = value[i][at];
    }
    free(part);
    return whole ? CLRNN_OK : clrnn_error_memory(log, 0, "the values of a sweep");
}

static uint64_t common_multiple(uint64_t a, uint64_t b)
{
    uint64_t x = a, y = b;

    while (y) {
        const uint64_t rest = x % y;

        x = y;
        y = rest;
    }
    return a / x * b;
}

// Sets pick[k] to the index of the value that list v[k] contributes to combination `number`. Numbers run along
// diagonals of the grid of all combinations. Each combination thus has one number, and the combinations with the lowest
// numbers use the values of each list about equally often.
static void number_combination(const struct clrnn_vary *v, size_t count, uint64_t number, uint64_t *pick)
{
    for (size_t k = count; k-- > 0;) {
        const uint64_t before = combinations(v, k);

        if (!v[k].count)
            continue;
        pick[k] = (number + (before > 1 ? number / common_multiple(before, v[k].count) : 0)) % v[k].count;
        number %= before > 1 ? before : v[k].count;
    }
}

// Draws the values of key v[at], which has a list, for all trials. `count`: number of all keys.
static enum clrnn_status draw_list(const struct clrnn_log *log, const struct clrnn_vary *v, size_t at, size_t count,
                                   uint64_t seed, uint32_t trials, char **const *value)
{
    const struct clrnn_random random = {.seed = seed, .stream = RANDOM_SWEEP, .a = (uint32_t)at + 1};
    uint32_t *order = malloc(v[at].count * sizeof(*order));
    uint64_t *pick = calloc(count, sizeof(*pick));
    bool whole = order && pick;

    if (whole)
        clrnn_random_permutation(&random, (uint32_t)v[at].count, order);
    for (uint32_t i = 0; whole && i < trials; i++) {
        number_combination(v, count, i, pick);
        value[i][at] = strdup(v[at].item[order[pick[at]]]);
        whole = value[i][at];
    }
    free(order);
    free(pick);
    return whole ? CLRNN_OK : clrnn_error_memory(log, 0, "the values of a sweep");
}

enum clrnn_status clrnn_vary_draw(const struct clrnn_log *log, const struct clrnn_vary *v, size_t count, uint64_t seed,
                                  uint32_t trials, char **const *value)
{
    for (size_t i = 0; i < count; i++)
        TRY(v[i].count ? draw_list(log, v, i, count, seed, trials, value)
                       : draw_range(log, &v[i], i, seed, trials, value));
    return CLRNN_OK;
}
