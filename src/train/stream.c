// SPDX-License-Identifier: MIT
// Predicts a stream: reads one line of numbers at a time and writes one line with the prediction.
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
    unsigned long long line;
};

// Splits a line at commas, in place. Returns false if the line has more than `most` cells.
static bool cells_of(char *line, uint32_t most, char **cell, uint32_t *count)
{
    line[strcspn(line, "\r\n")] = '\0';
    for (*count = 0;; line++) {
        char *end = line + strcspn(line, ",");
        const char last = *end;

        if (*count == most)
            return false;
        line += strspn(line, " \t");
        *end = '\0';
        for (char *p = end; p > line && (p[-1] == ' ' || p[-1] == '\t');)
            *--p = '\0';
        cell[(*count)++] = line;
        line = end;
        if (!last)
            return true;
    }
}

// Parses a line into s->x. Sets *header if this is the first line and none of its cells is a number.
static enum clrnn_status parse(const struct stream *s, char *line, char **cell, bool *header)
{
    uint32_t count, numbers = 0, wrong = UINT32_MAX;
    double value;

    *header = false;
    if (!cells_of(line, s->C, cell, &count))
        return clrnn_error(s->model->log, CLRNN_ERR_DATA,
                           "line %llu of the input has more than %u cells, one for each "
                           "feature",
                           s->line, s->C);
    for (uint32_t c = 0; c < count; c++) {
        if (clrnn_number_parse(cell[c], &value)) {
            s->x[c] = (float)value;
            numbers++;
        } else if (wrong == UINT32_MAX) {
            wrong = c;
        }
    }
    *header = s->line == 1 && !numbers;
    if (*header)
        return CLRNN_OK;
    if (wrong != UINT32_MAX)
        return clrnn_error(s->model->log, CLRNN_ERR_DATA,
                           "line %llu of the input: cell %u is \"%.40s\", expected a "
                           "number",
                           s->line, wrong + 1, cell[wrong]);
    if (count < s->C)
        return clrnn_error(s->model->log, CLRNN_ERR_DATA,
                           "line %llu of the input has %u cells, expected %u, one for each feature", s->line, count,
                           s->C);
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

static enum clrnn_status run(struct stream *s, FILE *in, FILE *out, char **cell)
{
    char *line = NULL;
    size_t capacity = 0;
    enum clrnn_status st = CLRNN_OK;

    while (st == CLRNN_OK && getline(&line, &capacity, in) >= 0) {
        bool header;

        s->line++;
        if (line[strspn(line, " \t\r\n")] == '\0')
            continue;
        st = parse(s, line, cell, &header);
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
    NEED(NULL, model);
    NEED(model->log, state);
    NEED(model->log, in);
    NEED(model->log, out);

    struct stream s = {
        .model = model, .state = state, .kind = kind, .C = model->shape.tokens ? 1 : model->shape.features};
    char **cell = malloc(s.C * sizeof(*cell));
    enum clrnn_status st = clrnn_outputs_init(&s.outputs, model, kind);

    s.x = malloc(s.C * sizeof(*s.x));
    s.y = malloc(2 * (size_t)model->outputs * sizeof(*s.y));
    s.probs = s.y + model->outputs;
    if (st == CLRNN_OK && (!cell || !s.x || !s.y))
        st = clrnn_error_memory(model->log, s.C * sizeof(*cell), "a line");
    if (st == CLRNN_OK)
        st = run(&s, in, out, cell);
    free(cell);
    free(s.x);
    free(s.y);
    return st;
}
