// SPDX-License-Identifier: MIT
// Computes metrics, accumulated row by row; see doc/maths.md, "Figures of an evaluation".
#include "train/metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/words.h"
#include "model/layer.h"
#include "train/decode.h"
#include "train/ranking.h"

#define MOST_SCORES ((size_t)1 << 24) // most scores that are kept for the areas under curves
#define MOST_LISTED 1000u             // most classes, labels or outputs in metrics.jsonl and in a confusion matrix

// Columns of `sum`: the first enum is for classes and labels, the second for real targets. ORIGIN holds the first
// target. SHIFTED sums target - ORIGIN, and SHIFTED_SQUARES its square, so that rounding errors of the variance are
// small.
enum { HITS, GUESSED, SUPPORT };
enum { ABSOLUTE, SQUARED, SHIFTED, SHIFTED_SQUARES, SEEN, COLUMNS, ORIGIN = COLUMNS };
enum { WIDTH = COLUMNS + 1 };

static const char *const words[] = {
#define X(name) #name,
    CLRNN_METRICS(X)
#undef X
};

static bool of_classes(const struct clrnn_metrics *m)
{
    return !clrnn_loss_is_real(m->model->config->train.loss.kind);
}

static bool of_labels(const struct clrnn_metrics *m)
{
    return m->model->config->train.loss.kind == CLRNN_LOSS_CTC;
}

static bool of_values(const struct clrnn_metrics *m)
{
    return clrnn_loss_is_regression(m->model->config->train.loss.kind);
}

enum clrnn_metric clrnn_metric_monitored(const char *monitor)
{
    unsigned i = 0;

    while (i < CLRNN_METRIC_COUNT && (strncmp(monitor, "valid_", 6) != 0 || strcmp(monitor + 6, words[i]) != 0))
        i++;
    return (enum clrnn_metric)i;
}

bool clrnn_metrics_has_areas(const struct clrnn_metrics *m)
{
    return m->score;
}

bool clrnn_metrics_has_confusion(const struct clrnn_metrics *m)
{
    return m->groups && m->groups <= MOST_LISTED && !of_values(m) && !of_labels(m) &&
           (of_classes(m) || m->targets == 1);
}

// ---------------------------------------------------------------- opening and closing

enum clrnn_status clrnn_metrics_open(struct clrnn_metrics *m, const struct clrnn_model *model,
                                     const struct clrnn_dataset *set)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(set);
    const size_t batch = MIN2(MAX2(model->config->train.batch_size, 1u), info->S);
    const size_t steps = model->per_step ? clrnn_model_output_steps(model, info->T) : 1, rows = steps * info->S;
    size_t numbers;

    *m = (struct clrnn_metrics){.model = model, .set = set, .outputs = model->outputs, .targets = model->targets};
    if (model->config->train.loss.kind != CLRNN_LOSS_QUANTILE && !of_labels(m))
        m->groups = of_classes(m) || of_values(m) || m->targets > 1 ? m->outputs : 2;
    if (!of_values(m) && !of_labels(m)) // two classes, or a single label, need only one score
        m->scores = of_classes(m) && m->outputs == 2 ? 1 : m->outputs;
    numbers = batch * steps * m->outputs;
    m->out = malloc(numbers * sizeof(*m->out));
    m->real = malloc(clrnn_dataset_y_count(set) * sizeof(*m->real));
    m->class = malloc(clrnn_dataset_y_count(set) * sizeof(*m->class));
    m->labels = malloc(steps * sizeof(*m->labels));
    m->row = malloc((clrnn_dataset_y_count(set) + 1) * sizeof(*m->row));
    m->sum = calloc(MAX2(m->groups, 1u), WIDTH * sizeof(*m->sum));
    for (int i = 0; i < 3; i++)
        m->group[i] = malloc(MAX2(m->groups, 1u) * sizeof(double));
    if (m->scores && rows > MOST_SCORES / m->scores) {
        clrnn_log(model->log, CLRNN_LOG_INFO,
                  "%s: roc_auc and pr_auc are left out: %zu predictions of %zu scores each are more than %zu scores",
                  info->name, rows, m->scores, MOST_SCORES);
        m->scores = 0;
    }
    if (m->scores)
        m->score = malloc(rows * m->scores * sizeof(*m->score));
    if (m->out && m->real && m->class && m->labels && m->row && m->sum && m->group[0] && m->group[1] && m->group[2] &&
        (m->score || !m->scores))
        return CLRNN_OK;
    clrnn_metrics_close(m);
    return clrnn_error_memory(model->log, numbers * sizeof(*m->out), "the metrics");
}

void clrnn_metrics_close(struct clrnn_metrics *m)
{
    free(m->out);
    free(m->real);
    free(m->class);
    free(m->labels);
    free(m->row);
    free(m->sum);
    free(m->score);
    for (int i = 0; i < 3; i++)
        free(m->group[i]);
    *m = (struct clrnn_metrics){0};
}

// Sets all sums and counts to 0.
static void reset(struct clrnn_metrics *m)
{
    m->items = m->correct = 0;
    m->edits = m->truth = m->wrong = 0;
    m->scored = 0;
    if (m->confusion)
        memset(m->confusion, 0, (size_t)m->groups * m->groups * sizeof(*m->confusion));
    memset(m->sum, 0, MAX2(m->groups, 1u) * WIDTH * sizeof(*m->sum));
}

// ---------------------------------------------------------------- adding rows

static void count_guess(struct clrnn_metrics *m, uint32_t truth, uint32_t guess)
{
    m->items++;
    m->correct += truth == guess;
    m->sum[(size_t)truth * WIDTH + SUPPORT]++;
    m->sum[(size_t)guess * WIDTH + GUESSED]++;
    m->sum[(size_t)truth * WIDTH + HITS] += truth == guess;
    if (m->confusion)
        m->confusion[(size_t)truth * m->groups + guess]++;
}

static void add_classes(struct clrnn_metrics *m, const float *x, int32_t truth)
{
    const struct clrnn_loss_config *loss = &m->model->config->train.loss;
    struct clrnn_score *score = m->score ? m->score + m->scored * m->scores : NULL;
    double largest = x[0], total = 0;
    uint32_t best = 0;

    if (truth == loss->ignore_index || truth < 0 || (uint32_t)truth >= m->outputs)
        return;
    for (uint32_t k = 1; k < m->outputs; k++) {
        largest = fmax(largest, x[k]);
        if (x[k] > x[best] || (isnan(x[k]) && !isnan(x[best]))) // NaN is the largest, as in PyTorch
            best = k;
    }
    count_guess(m, (uint32_t)truth, best);
    if (m->scores == 1 && m->outputs == 2)
        score[0] = (struct clrnn_score){(double)x[1] - x[0], truth == 1};
    for (uint32_t k = 0; k < m->outputs && m->scores > 1; k++)
        total += exp(x[k] - largest);
    for (uint32_t k = 0; k < m->outputs && m->scores > 1; k++)
        score[k] = (struct clrnn_score){exp(x[k] - largest) / total, (uint32_t)truth == k};
    m->scored++;
}

// Adds the true value y and the score x of label `o`. If there is a single label, its values 0 and 1 are the two
// groups. If there are several labels, each label is a group.
static void add_label(struct clrnn_metrics *m, uint32_t o, float x, float y)
{
    const bool truth = y > 0.5f, guess = x > 0.0f;
    double *sum = m->sum + (size_t)o * WIDTH;

    if (m->targets == 1) {
        count_guess(m, truth, guess);
        return;
    }
    m->items++;
    m->correct += truth == guess;
    sum[SUPPORT] += truth;
    sum[GUESSED] += guess;
    sum[HITS] += truth && guess;
}

static void add_value(struct clrnn_metrics *m, uint32_t o, double x, double y)
{
    double *sum = m->sum + (size_t)o * WIDTH;

    if (!sum[SEEN]++)
        sum[ORIGIN] = y;
    sum[ABSOLUTE] += fabs(x - y);
    sum[SQUARED] += (x - y) * (x - y);
    sum[SHIFTED] += y - sum[ORIGIN];
    sum[SHIFTED_SQUARES] += (y - sum[ORIGIN]) * (y - sum[ORIGIN]);
}

// Adds a row's real targets or labels. A missing label gets the score NaN, which compute_areas leaves out.
static void add_reals(struct clrnn_metrics *m, const float *x, const float *y)
{
    struct clrnn_score *score = m->score ? m->score + m->scored * m->scores : NULL;

    for (uint32_t o = 0; o < m->targets; o++) {
        const bool missing = isnan(y[o]);

        if (!missing && of_values(m))
            add_value(m, o, x[o], y[o]);
        else if (!missing)
            add_label(m, o, x[o], y[o]);
        if (m->scores)
            score[o] = (struct clrnn_score){missing ? NAN : (double)x[o], y[o] > 0.5f};
    }
    m->scored++;
}

// For ctc: decodes a sample greedily, and adds the edit distance between decoded labels and the sample's labels.
static void add_labels(struct clrnn_metrics *m, const float *x, uint32_t steps, uint32_t sample)
{
    const uint32_t truth = (uint32_t)clrnn_dataset_y_valid(m->set, sample);
    const uint32_t found = clrnn_decode_greedy(x, steps, m->outputs, m->model->config->train.loss.blank, m->labels);
    const uint32_t edits = clrnn_edit_distance(m->labels, found, m->class, truth, m->row);

    m->items++;
    m->edits += edits;
    m->truth += truth;
    m->wrong += edits > 0;
}

static enum clrnn_status add_batch(struct clrnn_metrics *m, const struct clrnn_session *s)
{
    const uint32_t steps = s->plan->output_steps;

    if (!m->groups && !of_labels(m))
        return CLRNN_OK;
    TRY(clrnn_plan_read_output(s->plan, m->out));
    for (uint32_t n = 0; n < s->samples; n++) {
        const uint32_t sample = clrnn_feed_samples(s->feed)[n];
        const uint32_t length = m->model->per_step ? clrnn_dataset_output_length(m->set, sample) : 1;
        const float *x = m->out + (size_t)n * steps * m->outputs;

        if (of_classes(m))
            clrnn_dataset_classes(m->set, sample, m->class);
        else
            clrnn_dataset_targets(m->set, sample, m->real);
        if (of_labels(m)) {
            add_labels(m, x, MIN2(length, steps), sample);
            continue;
        }
        for (uint32_t t = 0; t < MIN2(length, steps); t++)
            if (of_classes(m))
                add_classes(m, x + (size_t)t * m->outputs, m->class[t]);
            else
                add_reals(m, x + (size_t)t * m->outputs, m->real + (size_t)t * m->targets);
    }
    return clrnn_dataset_whole(m->set);
}

// ---------------------------------------------------------------- computing the metrics

// The means leave out outputs for which a metric is undefined: those without targets and, for r2, those whose targets
// are all equal.
static void compute_values(struct clrnn_metrics *m)
{
    double total[3] = {0}, defined[3] = {0};

    for (uint32_t o = 0; o < m->groups; o++) {
        const double *sum = m->sum + (size_t)o * WIDTH, count = sum[SEEN];
        const double variation = sum[SHIFTED_SQUARES] - sum[SHIFTED] * sum[SHIFTED] / count;

        m->group[0][o] = sum[ABSOLUTE] / count;
        m->group[1][o] = sqrt(sum[SQUARED] / count);
        m->group[2][o] = variation > 0 ? 1 - sum[SQUARED] / variation : NAN;
        for (int i = 0; i < 3; i++)
            if (i < 2 ? count > 0 : variation > 0) {
                total[i] += m->group[i][o];
                defined[i]++;
            }
    }
    for (int i = 0; i < 3; i++)
        m->value[CLRNN_METRIC_mae + i] = clrnn_unsigned_nan(total[i] / defined[i]);
}

static enum clrnn_status compute_areas(struct clrnn_metrics *m)
{
    struct clrnn_score *column = malloc(MAX2(m->scored, 1) * sizeof(*column));
    double roc_sum = 0, pr_sum = 0, used = 0;

    if (!column)
        return clrnn_error_memory(m->model->log, m->scored * sizeof(*column), "the areas under curves");
    for (size_t k = 0; k < m->scores; k++) {
        const bool missing = m->model->config->data.missing_ignore;
        size_t count = 0;
        double roc, pr;

        for (size_t i = 0; i < m->scored; i++)
            if (!missing || !isnan(m->score[i * m->scores + k].value))
                column[count++] = m->score[i * m->scores + k];
        clrnn_ranking(column, count, &roc, &pr);
        if (isnan(roc))
            continue;
        roc_sum += roc;
        pr_sum += pr;
        used++;
    }
    free(column);
    m->value[CLRNN_METRIC_roc_auc] = clrnn_unsigned_nan(roc_sum / used);
    m->value[CLRNN_METRIC_pr_auc] = clrnn_unsigned_nan(pr_sum / used);
    return CLRNN_OK;
}

static enum clrnn_status compute_guesses(struct clrnn_metrics *m)
{
    const bool labels = !of_classes(m) && m->targets > 1;
    double recalls = 0, truths = 0, f1 = 0, present = 0;

    for (uint32_t k = 0; k < m->groups; k++) {
        const double *sum = m->sum + (size_t)k * WIDTH, both = sum[GUESSED] + sum[SUPPORT];

        m->group[0][k] = sum[GUESSED] > 0 ? sum[HITS] / sum[GUESSED] : NAN;
        m->group[1][k] = sum[SUPPORT] > 0 ? sum[HITS] / sum[SUPPORT] : NAN;
        m->group[2][k] = both > 0 ? 2 * sum[HITS] / both : NAN;
        recalls += sum[SUPPORT] > 0 ? m->group[1][k] : 0;
        truths += sum[SUPPORT] > 0;
        f1 += both > 0 ? m->group[2][k] : 0; // 0 for a label that neither occurs nor is predicted
        present += both > 0 || labels;
    }
    m->value[CLRNN_METRIC_accuracy] = clrnn_unsigned_nan((double)m->correct / (double)m->items);
    if (!labels)
        m->value[CLRNN_METRIC_balanced_accuracy] = clrnn_unsigned_nan(recalls / truths);
    m->value[CLRNN_METRIC_macro_f1] = clrnn_unsigned_nan(f1 / present);
    return compute_areas(m);
}

// Computes the members `value` and `group` from the rows that were added.
static enum clrnn_status compute(struct clrnn_metrics *m)
{
    for (int i = 0; i < CLRNN_METRIC_COUNT; i++)
        m->value[i] = NAN;
    if (of_labels(m)) {
        m->value[CLRNN_METRIC_cer] = clrnn_unsigned_nan((double)m->edits / (double)m->truth);
        m->value[CLRNN_METRIC_wer] = clrnn_unsigned_nan((double)m->wrong / (double)m->items);
        m->value[CLRNN_METRIC_accuracy] = 1 - m->value[CLRNN_METRIC_wer];
        return CLRNN_OK;
    }
    if (m->groups && of_values(m))
        compute_values(m);
    else if (m->groups)
        return compute_guesses(m);
    return CLRNN_OK;
}

uint64_t clrnn_metrics_support(const struct clrnn_metrics *m, uint32_t group)
{
    return (uint64_t)m->sum[(size_t)group * WIDTH + SUPPORT];
}

enum clrnn_status clrnn_metrics_pass(struct clrnn_metrics *m, struct clrnn_turns *turns,
                                     const volatile sig_atomic_t *stop, struct clrnn_session_record *record)
{
    double batch[RECORD_FIELDS], *sum = record->sum;
    struct clrnn_session *s;

    reset(m);
    *record = (struct clrnn_session_record){.lr = m->model->schedule.lr};
    TRY(clrnn_turns_begin(turns, CLRNN_MODE_EVAL));
    while (!stop || !*stop) {
        TRY(clrnn_turns_next(turns, &s));
        if (!s)
            break;
        TRY(clrnn_model_read_records(s->model, 0, 1, batch));
        for (uint32_t field = 0; field < RECORD_FIELDS; field++)
            sum[field] += batch[field];
        TRY(add_batch(m, s));
    }
    record->loss = clrnn_unsigned_nan(sum[RECORD_LOSS] / sum[RECORD_WEIGHT]);
    TRY(compute(m));
    record->accuracy = m->value[CLRNN_METRIC_accuracy];
    record->grad_norm = NAN;
    return CLRNN_OK;
}

// ---------------------------------------------------------------- JSON

static size_t number(char *at, double value)
{
    char text[CLRNN_NUMBER_SIZE];

    clrnn_number_text(value, text);
    return (size_t)sprintf(at, "%s", isfinite(value) ? text : "null");
}

char *clrnn_metrics_json(const struct clrnn_metrics *m)
{
    static const char *const lists[2][3] = {{"precision_per_class", "recall_per_class", "f1_per_class"},
                                            {"mae_per_output", "rmse_per_output", "r2_per_output"}};
    const bool values = of_values(m), listed = m->groups && m->groups <= MOST_LISTED && (!values || m->groups > 1);
    char *text = malloc(64 * CLRNN_METRIC_COUNT + 3 * (64 + (listed ? (size_t)m->groups : 0) * 32)), *at = text;

    if (!text)
        return NULL;
    *at = 0;
    for (unsigned i = CLRNN_METRIC_balanced_accuracy; i < CLRNN_METRIC_COUNT; i++)
        if ((i < CLRNN_METRIC_mae || i >= CLRNN_METRIC_cer) && clrnn_loss_has_metric(m->model->config, words[i])) {
            at += sprintf(at, ", \"valid_%s\": ", words[i]);
            at += number(at, m->value[i]);
        }
    for (int i = 0; i < 3 && listed; i++) {
        at += sprintf(at, ", \"valid_%s\": [", lists[values][i]);
        for (uint32_t k = 0; k < m->groups; k++) {
            at += sprintf(at, "%s", k ? ", " : "");
            at += number(at, m->group[i][k]);
        }
        at += sprintf(at, "]");
    }
    return text;
}
