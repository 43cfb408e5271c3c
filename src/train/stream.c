// SPDX-License-Identifier: MIT
// Predicts a stream: reads one line of numbers at a time and writes one line with the prediction.
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/words.h"
#include "clrnn/state.h"
#include "clrnn/train.h"
#include "model/model.h"
#include "train/outputs.h"

struct stream {
    struct clrnn_model *model;
    struct clrnn_state *state;
    enum clrnn_predict_kind kind;
    struct clrnn_outputs outputs;
    uint32_t C;
    float *x, *y, *probs;
    char **cell; // [capacity] cells of the current line
    uint32_t capacity, cells,
        columns,  // cells that each line must have
        *feature; // [columns] feature in each column, UINT32_MAX: unused; NULL: columns are features in order
    unsigned long long line;
};

// Removes double quotes around a cell, in place.
static char *without_quotes(char *cell)
{
    const size_t length = strlen(cell);

    if (length < 2 || *cell != '"' || cell[length - 1] != '"')
        return cell;
    cell[length - 1] = '\0';
    return cell + 1;
}

// Splits a line at commas, in place.
static enum clrnn_status split(struct stream *s, char *line)
{
    uint32_t count = 1;

    line[strcspn(line, "\r\n")] = '\0';
    for (const char *p = line; (p = strchr(p, ',')) != NULL; p++)
        count++;
    if (count > s->capacity) {
        char **larger = realloc(s->cell, count * sizeof(*larger));

        if (!larger)
            return clrnn_error_memory(s->model->log, count * sizeof(*larger), "a line");
        s->cell = larger;
        s->capacity = count;
    }
    for (s->cells = 0; s->cells < count; s->cells++) {
        char *end = line + strcspn(line, ","), *next = end + 1;

        line += strspn(line, " \t");
        *end = '\0';
        while (end > line && (end[-1] == ' ' || end[-1] == '\t'))
            *--end = '\0';
        s->cell[s->cells] = without_quotes(line);
        line = next;
    }
    return CLRNN_OK;
}

static enum clrnn_status too_many(const struct stream *s)
{
    return clrnn_error(s->model->log, CLRNN_ERR_DATA,
                       "line %llu of the input has more than %u cells; expected one cell for each %s", s->line,
                       s->columns, s->feature ? "column of the header" : "feature");
}

// Finds the column of each feature by its name in the header, if the model has a name for each. Other columns are
// ignored.
static enum clrnn_status take_header(struct stream *s)
{
    const struct clrnn_names *names = s->model->names;

    if (!names || names->columns.count != s->C)
        return s->cells > s->C ? too_many(s) : CLRNN_OK;
    s->feature = malloc(s->cells * sizeof(*s->feature));
    if (!s->feature)
        return clrnn_error_memory(s->model->log, s->cells * sizeof(*s->feature), "a header");
    s->columns = s->cells;
    for (uint32_t i = 0; i < s->cells; i++)
        s->feature[i] = UINT32_MAX;
    for (uint32_t c = 0; c < s->C; c++) {
        uint32_t i = 0;

        while (i < s->cells && (s->feature[i] != UINT32_MAX || strcmp(s->cell[i], names->columns.text[c]) != 0))
            i++;
        if (i == s->cells)
            return clrnn_error(s->model->log, CLRNN_ERR_DATA,
                               "the header of the input has no column %s, which the model was trained on: name the "
                               "columns in the header as in training, or leave the header out",
                               names->columns.text[c]);
        s->feature[i] = c;
    }
    return CLRNN_OK;
}

// Whether a number can be an input: a token of the embedding, or a feature that float32 can hold.
static bool fits(const struct stream *s, double value)
{
    if (s->model->shape.tokens)
        return value >= 0 && value < s->model->config->layer[0].num_embeddings && floor(value) == value;
    return fabs(value) <= (double)FLT_MAX;
}

static enum clrnn_status wrong_cell(const struct stream *s, uint32_t i)
{
    const struct clrnn_model *m = s->model;
    char expected[80] = "a number";
    double value;

    if (m->shape.tokens)
        snprintf(expected, sizeof(expected), "a token, a whole number from 0 to %u",
                 m->config->layer[0].num_embeddings - 1);
    else if (clrnn_number_parse(s->cell[i], &value))
        snprintf(expected, sizeof(expected), "a number that float32 can hold (up to 3.4e38)");
    return clrnn_error(m->log, CLRNN_ERR_DATA, "line %llu of the input: cell %u is \"%.40s\", expected %s", s->line,
                       i + 1, s->cell[i], expected);
}

// Parses a line into s->x. Sets *header if this is the first line and none of its cells is a number.
static enum clrnn_status parse(struct stream *s, char *line, bool *header)
{
    const uint32_t wanted = s->columns;
    uint32_t numbers = 0, wrong = UINT32_MAX;
    double value;

    *header = false;
    TRY(split(s, line));
    for (uint32_t i = 0; i < s->cells; i++) {
        const uint32_t c = s->feature && i < wanted ? s->feature[i] : i;
        const bool number = clrnn_number_parse(s->cell[i], &value);

        numbers += number;
        if (c >= s->C)
            continue;
        if (number && fits(s, value))
            s->x[c] = (float)value;
        else if (wrong == UINT32_MAX)
            wrong = i;
    }
    *header = s->line == 1 && !numbers;
    if (*header)
        return take_header(s);
    if (s->cells > wanted)
        return too_many(s);
    if (wrong != UINT32_MAX)
        return wrong_cell(s, wrong);
    if (s->cells < wanted)
        return clrnn_error(s->model->log, CLRNN_ERR_DATA,
                           "line %llu of the input has %u cells, expected %u, one for each %s", s->line, s->cells,
                           wanted, s->feature ? "column of the header" : "feature");
    return CLRNN_OK;
}

// Writes a class: its name if the model has class names, quoted as in CSV, else its index.
static bool write_class(const struct stream *s, int64_t index, bool comma, FILE *out)
{
    const char *name = s->outputs.labels == 1 ? clrnn_model_class_name(s->model, (uint32_t)index) : NULL;
    bool whole = !comma || fputc(',', out) != EOF;

    if (!name)
        return fprintf(out, "%lld", (long long)index) > 0 && whole;
    if (!name[strcspn(name, ",;\t\"\r\n")])
        return fputs(name, out) != EOF && whole;
    whole &= fputc('"', out) != EOF;
    for (; *name; name++)
        whole &= (*name != '"' || fputc('"', out) != EOF) && fputc(*name, out) != EOF;
    return fputc('"', out) != EOF && whole;
}

static enum clrnn_status write_line(const struct stream *s, FILE *out)
{
    const struct clrnn_outputs *o = &s->outputs;
    const float *values = s->y;
    bool whole = true;

    if (s->kind == CLRNN_PREDICT_PROBS) {
        clrnn_outputs_probs(o, s->y, s->probs);
        values = s->probs;
    }
    if (s->kind == CLRNN_PREDICT_CLASSES)
        for (uint32_t k = 0; k < o->labels; k++)
            whole &= write_class(s, clrnn_outputs_class(o, s->y, k), k > 0, out);
    else
        for (uint32_t k = 0; k < o->count; k++)
            whole &= fprintf(out, "%s%.9g", k ? "," : "", clrnn_unsigned_nan((double)values[k])) > 0;
    if (!whole || fputc('\n', out) == EOF || fflush(out) == EOF)
        return clrnn_error(s->model->log, CLRNN_ERR_DISK, "the prediction of line %llu cannot be written", s->line);
    return CLRNN_OK;
}

static enum clrnn_status run(struct stream *s, FILE *in, FILE *out)
{
    char *line = NULL;
    size_t capacity = 0;
    enum clrnn_status st = CLRNN_OK;

    while (st == CLRNN_OK && getline(&line, &capacity, in) >= 0 && !ferror(in)) {
        bool header, marked;

        marked = !s->line++ && !strncmp(line, "\xef\xbb\xbf", 3); // UTF-8 byte order mark
        if (line[strspn(line, " \t\r\n")] == '\0')
            continue;
        st = parse(s, line + (marked ? 3 : 0), &header);
        if (st != CLRNN_OK || header)
            continue;
        st = clrnn_model_predict_step(s->model, s->state, s->x, s->y);
        if (st == CLRNN_OK)
            st = write_line(s, out);
    }
    if (st == CLRNN_OK && ferror(in))
        st = clrnn_error(s->model->log, CLRNN_ERR_DATA, "the input cannot be read after line %llu", s->line);
    free(line);
    return st;
}

enum clrnn_status clrnn_predict_stream(struct clrnn_model *model, struct clrnn_state *state,
                                       enum clrnn_predict_kind kind, FILE *in, FILE *out)
{
    CLRNN_C_LOCALE;
    NEED(NULL, model);
    NEED(model->log, state);
    NEED(model->log, in);
    NEED(model->log, out);

    struct stream s = {
        .model = model, .state = state, .kind = kind, .C = model->shape.tokens ? 1 : model->shape.features};
    enum clrnn_status st = clrnn_outputs_init(&s.outputs, model, kind);

    s.x = malloc(s.C * sizeof(*s.x));
    s.y = malloc(2 * (size_t)model->outputs * sizeof(*s.y));
    s.probs = s.y + model->outputs;
    s.columns = s.C;
    if (st == CLRNN_OK && (!s.x || !s.y))
        st = clrnn_error_memory(model->log, s.C * sizeof(*s.x), "a line");
    if (st == CLRNN_OK)
        st = run(&s, in, out);
    free(s.cell);
    free(s.feature);
    free(s.x);
    free(s.y);
    return st;
}
