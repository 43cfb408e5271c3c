// SPDX-License-Identifier: MIT
// Reads and checks the value of one option, and describes which values it accepts.
#include "model/options.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/text.h"
#include "base/words.h"
#include "model/nest.h"

#define MAX_LIST 1000000

// Prints the range of an option's number, which follows the words "a number": " from 0 to 1", " above 0". Bounds that
// are only limits of the type are left out.
static void bounds(const struct clrnn_option *o, char *text, size_t size)
{
    const bool low = o->min > -1e300, high = o->max < 1e15;
    int n = 0;

    *text = '\0';
    if (o->type == CLRNN_OPTION_U64) {
        snprintf(text, size, " from %.0f to %" PRIu64, o->min, UINT64_MAX);
        return;
    }
    if (low)
        n = snprintf(text, size,
                     o->above            ? " above %.10g"
                     : high && !o->below ? " from %.10g"
                                         : " of at least %.10g",
                     o->min);
    if (high)
        snprintf(text + n, size - (size_t)n,
                 o->below           ? "%s below %.10g"
                 : low && !o->above ? "%s to %.10g"
                                    : "%s up to %.10g",
                 low && (o->below || o->above) ? " and" : "", o->max);
}

static void join_words(const char *const *words, char *text, size_t size)
{
    size_t n = 0;

    *text = '\0';
    for (size_t i = 0; words[i] && n < size; i++)
        n += (size_t)snprintf(text + n, size - n, "%s%s", i == 0 ? "" : words[i + 1] ? ", " : " or ", words[i]);
}

void clrnn_option_expects(const struct clrnn_option *o, char *text, size_t size)
{
    char range[96], words[256];

    bounds(o, range, sizeof(range));
    if (o->words)
        join_words(o->words, words, sizeof(words));
    switch (o->type) {
    case CLRNN_OPTION_BOOL:
        snprintf(text, size, "true or false");
        break;
    case CLRNN_OPTION_U32:
    case CLRNN_OPTION_I32:
    case CLRNN_OPTION_U64:
    case CLRNN_OPTION_I64:
    case CLRNN_OPTION_WHOLE:
        snprintf(text, size, "a whole number%s%s%s", range, o->words ? ", or " : "", o->words ? words : "");
        break;
    case CLRNN_OPTION_NUMBER:
        snprintf(text, size, "a number%s", range);
        break;
    case CLRNN_OPTION_TEXT:
        snprintf(text, size, "%s", o->words ? words : "a text");
        break;
    case CLRNN_OPTION_PATH:
        snprintf(text, size, "a file's path");
        break;
    case CLRNN_OPTION_NAMES:
        snprintf(text, size, "a name or a list of names");
        break;
    case CLRNN_OPTION_CHOICE:
    case CLRNN_OPTION_FLAG:
        snprintf(text, size, "%s", words);
        break;
    case CLRNN_OPTION_PAIR:
        snprintf(text, size, "a list of two numbers%s", range);
        break;
    case CLRNN_OPTION_LIST:
        snprintf(text, size, "a list of %snumbers%s%s%s", o->whole_list ? "whole " : "", range, o->words ? ", or " : "",
                 o->words ? o->words[0] : "");
        break;
    case CLRNN_OPTION_GROUP:
        snprintf(text, size, "a map");
        break;
    case CLRNN_OPTION_ONE_OF:
        snprintf(text, size, "a name or a map with one entry");
        break;
    case CLRNN_OPTION_INITIALIZER:
        snprintf(text, size,
                 "zeros, ones, xavier_uniform, xavier_normal, kaiming_uniform, kaiming_normal, "
                 "orthogonal, a number, {uniform: [a, b]} or {normal: [mean, std]}");
        break;
    case CLRNN_OPTION_LAYERS:
    case CLRNN_OPTION_INNER:
        snprintf(text, size, "a list of layers");
        break;
    case CLRNN_OPTION_BRANCHES:
        snprintf(text, size, "a list of up to %d branches, each a list of layers", CLRNN_MOST_BRANCHES);
        break;
    }
    if (o->null) {
        const size_t n = strlen(text);

        if (n < size)
            snprintf(text + n, size - n, strstr(text, " or ") ? ", or null" : " or null");
    }
}

static enum clrnn_status is_wrong(const struct clrnn_option *o, const struct clrnn_node *value, char *wrong,
                                  size_t size)
{
    char expected[384];

    clrnn_option_expects(o, expected, sizeof(expected));
    switch (value->kind) {
    case CLRNN_NODE_SCALAR:
        if (!value->quoted && clrnn_null_word(value->text))
            snprintf(wrong, size, "is empty, expected %s", expected);
        else
            snprintf(wrong, size, value->quoted ? "is the text \"%.60s\", expected %s" : "is %.60s, expected %s",
                     value->text, expected);
        break;
    case CLRNN_NODE_LIST:
        snprintf(wrong, size, "is a list of %zu, expected %s", value->count, expected);
        break;
    case CLRNN_NODE_MAP:
        snprintf(wrong, size, "is a map, expected %s", expected);
        break;
    }
    return CLRNN_ERR_CONFIG;
}

// Like is_wrong, for one number of a list or a pair: "entry 1 is x, expected a number".
static enum clrnn_status is_wrong_entry(const struct clrnn_option *o, size_t index, const struct clrnn_node *value,
                                        char *wrong, size_t size)
{
    struct clrnn_option entry = *o;
    const int n = snprintf(wrong, size, "entry %zu ", index);

    entry.type = o->whole_list ? CLRNN_OPTION_WHOLE : CLRNN_OPTION_NUMBER;
    entry.null = NULL;
    return is_wrong(&entry, value, wrong + n, size - (size_t)n);
}

static bool in_bounds(const struct clrnn_option *o, double value)
{
    return (o->above ? value > o->min : value >= o->min) && (o->below ? value < o->max : value <= o->max);
}

static bool read_integer(const struct clrnn_option *o, const char *text, void *at)
{
    uint64_t magnitude;
    bool negative;
    double value;

    if (!clrnn_integer_parse(text, &negative, &magnitude))
        return false;
    value = negative ? -(double)magnitude : (double)magnitude;
    if (!in_bounds(o, value))
        return false;
    switch (o->type) {
    case CLRNN_OPTION_U32:
        *(uint32_t *)at = (uint32_t)magnitude;
        break;
    case CLRNN_OPTION_I32:
        *(int32_t *)at = (int32_t)value;
        break;
    case CLRNN_OPTION_U64:
        *(uint64_t *)at = magnitude;
        break;
    case CLRNN_OPTION_I64:
        *(int64_t *)at = negative ? -(int64_t)magnitude : (int64_t)magnitude;
        break;
    default:
        *(double *)at = value;
        break;
    }
    return true;
}

static bool read_number(const struct clrnn_option *o, const struct clrnn_node *value, bool whole, double *at)
{
    bool negative;
    uint64_t magnitude;

    if (value->kind != CLRNN_NODE_SCALAR || value->quoted)
        return false;
    if (whole && !clrnn_integer_parse(value->text, &negative, &magnitude))
        return false;
    return clrnn_number_parse(value->text, at) && in_bounds(o, *at);
}

static bool read_word(const struct clrnn_option *o, const char *text, size_t *index)
{
    for (*index = 0; o->words[*index]; ++*index) {
        if (!strcmp(o->words[*index], text))
            return true;
    }
    return false;
}

static void set_null(const struct clrnn_option *o, void *object)
{
    switch (o->type) {
    case CLRNN_OPTION_TEXT:
    case CLRNN_OPTION_PATH:
    case CLRNN_OPTION_NAMES:
        free(*(char **)clrnn_option_field(object, o->offset));
        *(char **)clrnn_option_field(object, o->offset) = NULL;
        break;
    case CLRNN_OPTION_LIST:
        free(*(double **)clrnn_option_field(object, o->offset));
        *(double **)clrnn_option_field(object, o->offset) = NULL;
        *(size_t *)clrnn_option_field(object, o->second) = 0;
        if (o->words)
            *(bool *)clrnn_option_field(object, o->third) = false;
        break;
    case CLRNN_OPTION_INITIALIZER:
        *(struct clrnn_initializer *)clrnn_option_field(object, o->offset) = (struct clrnn_initializer){0};
        break;
    case CLRNN_OPTION_NUMBER:
        if (o->null_flag)
            *(bool *)clrnn_option_field(object, o->second) = true;
        else
            *(double *)clrnn_option_field(object, o->offset) = strtod(o->null, NULL);
        break;
    default: {
        const struct clrnn_option wide = {.type = o->type, .min = -INFINITY, .max = INFINITY};

        read_integer(&wide, o->null, clrnn_option_field(object, o->offset));
        break;
    }
    }
}

static enum clrnn_status read_list(const struct clrnn_option *o, const struct clrnn_node *value, void *object,
                                   char *wrong, size_t size)
{
    double **list = clrnn_option_field(object, o->offset), *fresh;
    size_t *count = clrnn_option_field(object, o->second);

    if (o->words && value->kind == CLRNN_NODE_SCALAR && !strcmp(value->text, o->words[0])) {
        set_null(o, object);
        *(bool *)clrnn_option_field(object, o->third) = true;
        return CLRNN_OK;
    }
    if (value->kind != CLRNN_NODE_LIST || value->count > MAX_LIST)
        return is_wrong(o, value, wrong, size);
    fresh = malloc((value->count ? value->count : 1) * sizeof(double));
    if (!fresh)
        return CLRNN_ERR_MEMORY;
    for (size_t i = 0; i < value->count; i++) {
        if (!read_number(o, value->child[i], o->whole_list, &fresh[i])) {
            free(fresh);
            return is_wrong_entry(o, i, value->child[i], wrong, size);
        }
    }
    free(*list);
    *list = fresh;
    *count = value->count;
    if (o->words)
        *(bool *)clrnn_option_field(object, o->third) = false;
    return CLRNN_OK;
}

static enum clrnn_status read_text(const struct clrnn_option *o, const struct clrnn_node *value, void *object,
                                   char *wrong, size_t size)
{
    char **at = clrnn_option_field(object, o->offset), *fresh;
    size_t index;

    if (!*value->text || (o->words && !read_word(o, value->text, &index)))
        return is_wrong(o, value, wrong, size);
    fresh = strdup(value->text);
    if (!fresh)
        return CLRNN_ERR_MEMORY;
    clrnn_text_unescape(fresh);
    free(*at);
    *at = fresh;
    return CLRNN_OK;
}

// Reads a name or a list of names into one string, with one name per line.
static enum clrnn_status read_names(const struct clrnn_option *o, const struct clrnn_node *value, void *object,
                                    char *wrong, size_t size)
{
    const bool one = value->kind == CLRNN_NODE_SCALAR;
    char **at = clrnn_option_field(object, o->offset), *joined;
    size_t bytes = 1, used = 0;

    if (value->kind == CLRNN_NODE_MAP || (!one && (value->count == 0 || value->count > MAX_LIST)))
        return is_wrong(o, value, wrong, size);
    for (size_t i = 0; i < (one ? 1 : value->count); i++) {
        const struct clrnn_node *name = one ? value : value->child[i];

        if (name->kind != CLRNN_NODE_SCALAR || !*name->text || strchr(name->text, '\n'))
            return is_wrong(o, value, wrong, size);
        bytes += strlen(name->text) + 1;
    }
    joined = malloc(bytes);
    if (!joined)
        return CLRNN_ERR_MEMORY;
    for (size_t i = 0; i < (one ? 1 : value->count); i++)
        used +=
            (size_t)snprintf(joined + used, bytes - used, "%s%s", i ? "\n" : "", (one ? value : value->child[i])->text);
    clrnn_text_unescape(joined);
    free(*at);
    *at = joined;
    return CLRNN_OK;
}

enum clrnn_status clrnn_option_read(const struct clrnn_option *o, const struct clrnn_node *value, void *object,
                                    char *wrong, size_t size)
{
    void *at = clrnn_option_field(object, o->offset);
    const bool plain = value->kind == CLRNN_NODE_SCALAR && !value->quoted;
    bool good = false;
    size_t index;

    if (plain && clrnn_null_word(value->text) && o->null) {
        set_null(o, object);
        return CLRNN_OK;
    }
    switch (o->type) {
    case CLRNN_OPTION_BOOL:
        good = plain && clrnn_bool_parse(value->text, at);
        break;
    case CLRNN_OPTION_U32:
        if (o->words && value->kind == CLRNN_NODE_SCALAR && read_word(o, value->text, &index)) {
            *(uint32_t *)at = 0;
            *(bool *)clrnn_option_field(object, o->third) = index == 0;
            return CLRNN_OK;
        }
        good = plain && read_integer(o, value->text, at);
        if (good && o->words)
            *(bool *)clrnn_option_field(object, o->third) = false;
        break;
    case CLRNN_OPTION_I32:
    case CLRNN_OPTION_U64:
    case CLRNN_OPTION_I64:
    case CLRNN_OPTION_WHOLE:
        good = plain && read_integer(o, value->text, at);
        break;
    case CLRNN_OPTION_NUMBER:
        good = read_number(o, value, false, at);
        if (good && o->null_flag)
            *(bool *)clrnn_option_field(object, o->second) = false;
        break;
    case CLRNN_OPTION_TEXT:
    case CLRNN_OPTION_PATH:
        if (value->kind == CLRNN_NODE_SCALAR && (value->quoted || !clrnn_null_word(value->text)))
            return read_text(o, value, object, wrong, size);
        break;
    case CLRNN_OPTION_CHOICE:
        good = value->kind == CLRNN_NODE_SCALAR && read_word(o, value->text, &index);
        if (good)
            *(unsigned *)at = (unsigned)index; // every enum here is an unsigned int
        break;
    case CLRNN_OPTION_FLAG:
        good = value->kind == CLRNN_NODE_SCALAR && read_word(o, value->text, &index);
        if (good)
            *(bool *)at = index == 1;
        break;
    case CLRNN_OPTION_PAIR:
        good = value->kind == CLRNN_NODE_LIST && value->count == 2 && read_number(o, value->child[0], false, at) &&
               read_number(o, value->child[1], false, clrnn_option_field(object, o->second));
        if (!good && value->kind == CLRNN_NODE_LIST && value->count == 2) {
            double first;
            const bool second = read_number(o, value->child[0], false, &first);

            return is_wrong_entry(o, second, value->child[second], wrong, size);
        }
        break;
    case CLRNN_OPTION_LIST:
        return read_list(o, value, object, wrong, size);
    case CLRNN_OPTION_NAMES:
        return read_names(o, value, object, wrong, size);
    case CLRNN_OPTION_INITIALIZER:
        good = clrnn_initializer_read(value, at);
        break;
    case CLRNN_OPTION_GROUP:
    case CLRNN_OPTION_ONE_OF:
    case CLRNN_OPTION_LAYERS:
    case CLRNN_OPTION_INNER:
    case CLRNN_OPTION_BRANCHES:
        break;
    }
    return good ? CLRNN_OK : is_wrong(o, value, wrong, size);
}

bool clrnn_option_is_null(const struct clrnn_option *o, const void *object)
{
    const void *at = clrnn_option_const_field(object, o->offset);

    if (!o->null)
        return false;
    switch (o->type) {
    case CLRNN_OPTION_TEXT:
    case CLRNN_OPTION_PATH:
    case CLRNN_OPTION_NAMES:
        return !*(char *const *)at;
    case CLRNN_OPTION_LIST:
        return !*(double *const *)at && !(o->words && *(const bool *)clrnn_option_const_field(object, o->third));
    case CLRNN_OPTION_NUMBER:
        return o->null_flag ? *(const bool *)clrnn_option_const_field(object, o->second)
                            : *(const double *)at == strtod(o->null, NULL);
    case CLRNN_OPTION_U32:
        return *(const uint32_t *)at == (uint32_t)strtoul(o->null, NULL, 10);
    case CLRNN_OPTION_I32:
        return *(const int32_t *)at == (int32_t)strtol(o->null, NULL, 10);
    case CLRNN_OPTION_I64:
        return *(const int64_t *)at == strtoll(o->null, NULL, 10);
    case CLRNN_OPTION_GROUP:
        return o->second != SIZE_MAX && !*(const bool *)clrnn_option_const_field(object, o->second);
    case CLRNN_OPTION_ONE_OF:
    case CLRNN_OPTION_INITIALIZER: // the kind is the first member of the struct
        return *(const unsigned *)at == 0;
    default:
        return false;
    }
}

bool clrnn_option_fits(const struct clrnn_option *o, const void *object)
{
    const void *at = clrnn_option_const_field(object, o->offset);
    size_t words = 0;

    if (clrnn_option_is_null(o, object))
        return true;
    while (o->words && o->words[words])
        words++;
    switch (o->type) {
    case CLRNN_OPTION_U32:
        return in_bounds(o, *(const uint32_t *)at);
    case CLRNN_OPTION_I32:
        return in_bounds(o, *(const int32_t *)at);
    case CLRNN_OPTION_I64:
        return in_bounds(o, (double)*(const int64_t *)at);
    case CLRNN_OPTION_WHOLE:
        return in_bounds(o, *(const double *)at) && floor(*(const double *)at) == *(const double *)at;
    case CLRNN_OPTION_NUMBER:
        return in_bounds(o, *(const double *)at);
    case CLRNN_OPTION_PAIR:
        return in_bounds(o, *(const double *)at) &&
               in_bounds(o, *(const double *)clrnn_option_const_field(object, o->second));
    case CLRNN_OPTION_LIST:
        for (size_t i = 0; i < *(const size_t *)clrnn_option_const_field(object, o->second); i++) {
            if (!*(double *const *)at || !in_bounds(o, (*(double *const *)at)[i]))
                return false;
        }
        return *(double *const *)at || o->words;
    case CLRNN_OPTION_TEXT:
        for (size_t i = 0; i < words; i++) {
            if (*(char *const *)at && !strcmp(*(char *const *)at, o->words[i]))
                return true;
        }
        return !words;
    case CLRNN_OPTION_CHOICE:
        return *(const unsigned *)at < words;
    case CLRNN_OPTION_INITIALIZER:
        return clrnn_initializer_fits(at);
    default:
        return true;
    }
}
