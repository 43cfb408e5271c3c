// SPDX-License-Identifier: MIT
// Tables: columns by name and number, dialects of CSV, missing cells, text labels; windows of their rows.
#include "tests/model/scratch.h"

#include <math.h>
#include <stdio.h>

#include "base/array.h"
#include "train/dataset.h"

#define MODEL(outputs) \
    "model: {layers: [{rnn: {hidden_size: 4}}, {pool: {over: last}}, {linear: {out_features: " #outputs "}}]}\n"
#define CLASSES MODEL(3) "train: {loss: cross_entropy}\n"
#define BCE MODEL(1) "train: {loss: bce_with_logits}\n"
#define MSE(outputs) MODEL(outputs) "train: {loss: mse}\n"
#define QUANTILES(outputs) MODEL(outputs) "train: {loss: quantile}\n"

static struct clrnn_dataset *open_set(struct scratch *s, const char *text, const struct clrnn_open_rules *rules)
{
    struct clrnn_config *config = scratch_config(s, text);
    struct clrnn_dataset *set = NULL;

    s->errors = 0;
    clrnn_dataset_open_by(&s->log, config, &config->data.train, s->folder, "train", CLRNN_CHECK_ALL, rules, &set);
    clrnn_config_destroy(&config);
    assert_int_equal(s->errors, set == NULL);
    return set;
}

// Opens the training set of a config and the part that it holds out.
static enum clrnn_status open_parts(struct scratch *s, const char *text, struct clrnn_dataset **train,
                                    struct clrnn_dataset **valid)
{
    struct clrnn_config *config = scratch_config(s, text);
    enum clrnn_status st;

    free(config->folder);
    config->folder = strdup(s->folder);
    st = clrnn_dataset_open_named(&s->log, config, CLRNN_CHECK_ALL, true, train, valid);
    clrnn_config_destroy(&config);
    return st;
}

// Returns the samples of a set as text: "1 2:0|" is a sample with x 1, 2 and y 0. The text is static.
static const char *show(const struct clrnn_dataset *set)
{
    static char text[1024];
    const struct clrnn_dataset_info *info = clrnn_dataset_info(set);
    float x[64], y[16];
    size_t n = 0;

    for (uint32_t s = 0; s < info->S; s++) {
        clrnn_dataset_x(set, s, x);
        for (uint32_t i = 0; i < info->T * info->C; i++)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%g", i ? " " : "", (double)x[i]);
        if (info->has_y)
            clrnn_dataset_targets(set, s, y);
        for (size_t i = 0; info->has_y && i < clrnn_dataset_y_count(set); i++)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%g", i ? " " : ":", (double)y[i]);
        n += (size_t)snprintf(text + n, sizeof(text) - n, "|");
    }
    return text;
}

static void reads(struct scratch *s, const char *table, const char *config, const char *expected)
{
    struct clrnn_dataset *set;

    scratch_write(s, "d.csv", table);
    set = open_set(s, config, &(struct clrnn_open_rules){.report = true});
    if (!set)
        fail_msg("%s: %s", config, s->error);
    if (strcmp(show(set), expected) != 0)
        fail_msg("%s: %s, expected %s", config, show(set), expected);
    clrnn_dataset_close(&set);
}

static void refuses(struct scratch *s, const char *table, const char *config, const char *a, const char *b)
{
    scratch_write(s, "d.csv", table);
    assert_null(open_set(s, config, &(struct clrnn_open_rules){0}));
    scratch_expect(s, "d.csv", a, b, NULL);
}

#define DATA(keys) "data: {train: {csv: d.csv, " keys "}}\n"

static void test_columns(struct scratch *s)
{
    static const char table[] = "a,b,c,d\n1,2,3,0\n4,5,6,1\n";

    reads(s, table, CLASSES DATA("label: d"), "1 2 3:0|4 5 6:1|");
    reads(s, table, CLASSES DATA("label: d, columns: [c, a]"), "3 1:0|6 4:1|");
    reads(s, table, CLASSES DATA("label: 3, columns: [2, b]"), "3 2:0|6 5:1|");
    reads(s, table, MSE(2) DATA("target: [b, a]"), "3 0:2 1|6 1:5 4|");
    reads(s, table, MSE(1) DATA("target: a, columns: b"), "2:1|5:4|");
    assert_non_null(strstr(s->info, "2 columns are not used: c, d"));
    refuses(s, table, CLASSES DATA("label: d, columns: [a, bb]"), "no column bb (columns)", "did you mean \"b\"");
    refuses(s, table, MSE(3) DATA("target: [b, a]"), "2 target columns", "set its out_features to 2");
    refuses(s, table, QUANTILES(3) DATA("target: [b, a]"), "2 numbers a sample, 3 quantiles each",
            "puts out 3: set its out_features to 6");
    refuses(s, "a,b\n1,2\n", QUANTILES(6) DATA("label: b"), "one label a row", "out_features: 3,");
    refuses(s, "y,a,y\n1,2,0\n", CLASSES DATA("label: y"), "2 columns have the name \"y\" of the label",
            "another name");
    refuses(s, "y,a,y\n1,2,0\n", MSE(1) DATA("target: 2, columns: a"), "the name \"y\"", "of the target");
    refuses(s, "t,a,t\n1,2,0\n", MSE(1) DATA("target: a, time: t, window: 1"), "the name \"t\"", "of the time");
    reads(s, "y,a,y\n1,2,3\n", MSE(2) DATA("target: [y, y]"), "2:1 3|");
    reads(s, "a,b,a\n1,2,3\n", MSE(1) DATA("target: b, columns: [a, a]"), "1 3:2|");
    refuses(s, "a,b\n1,x\n", MSE(1) DATA("target: a"), "row 1, column \"b\": \"x\" is no number", "`columns`");
    refuses(s, "a;b\n1;2,5\n", MSE(1) DATA("target: a"), "row 1, column \"b\"", "decimal: \",\"");
    reads(s, "a;b\n1;2,5\n", MSE(1) DATA("target: a, decimal: \",\""), "2.5:1|");
}

static void test_row_counts(struct scratch *s)
{
    *s->warning = 0;
    reads(s, ",a,y\n0,7,1\n1,8,2\n", MSE(1) DATA("target: y"), "7:1|8:2|");
    assert_non_null(strstr(s->warning, "counts the rows: left out"));
    reads(s, "Unnamed: 0,a,y\n5,7,1\n6,8,2\n", MSE(1) DATA("target: y"), "7:1|8:2|");
    reads(s, ",a,y\n0,7,1\n2,8,2\n", MSE(1) DATA("target: y"), "0 7:1|2 8:2|");
    reads(s, ",a,y\n0,7,1\n1,8,2\n", MSE(1) DATA("target: y, columns: [0, a]"), "0 7:1|1 8:2|");
}

static void test_missing(struct scratch *s)
{
    static const char table[] = "a,b,y\n1,2,1\n,4,2\n7,NA,3\n";
    static const char *const ignoring[] = {
        BCE "data: {missing_targets: ignore, train: {csv: d.csv, target: [y]}}\n",
        BCE "data: {missing_targets: ignore, train: {csv: d.csv, label: y, missing: forward}}\n",
        BCE "data: {missing_targets: ignore, train: {csv: d.csv, label: y, missing: mean}}\n"};
    struct clrnn_dataset *set;
    uint64_t counts[2];

    refuses(s, table, MSE(1) DATA("target: y"), "row 2, column \"a\": missing value", "forward");
    reads(s, table, MSE(1) DATA("target: y, missing: zero"), "1 2:1|0 4:2|7 0:3|");
    reads(s, table, MSE(1) DATA("target: y, missing: mean"), "1 2:1|4 4:2|7 3:3|");
    reads(s, table, MSE(1) DATA("target: y, missing: forward"), "1 2:1|1 4:2|7 4:3|");
    refuses(s, "a,y\n,1\n2,3\n", MSE(1) DATA("target: y, missing: forward"), "row 1, column \"a\"", "none before it");
    refuses(s, "a,y\n1,\n2,3\n", MSE(1) DATA("target: y"), "row 1, column \"y\"", "missing_targets: ignore");
    reads(s, "a,y\n1,\n2,3\n", MSE(1) "data: {missing_targets: ignore, train: {csv: d.csv, target: y}}\n",
          "1:nan|2:3|");
    for (size_t i = 0; i < ARRAY_SIZE(ignoring); i++) {
        reads(s, "a,y\n1,\n2,1\n3,0\n", ignoring[i], "1:nan|2:1|3:0|");
        reads(s, "a,y\n1,sick\n2,NA\n3,ill\n", ignoring[i], "1:1|2:nan|3:0|");
    }
    set = open_set(s, ignoring[0], &(struct clrnn_open_rules){0});
    assert_int_equal(clrnn_dataset_class_counts(set, counts), CLRNN_OK);
    assert_true(counts[0] == 1 && counts[1] == 1);
    clrnn_dataset_close(&set);
    refuses(s, "a,y\n1,\n2,3\n", CLASSES DATA("label: y, missing: zero"), "row 1, column \"y\"", "fill the label in");
    refuses(s, "a,y\n1,0\n2,nan\n", CLASSES DATA("label: y, missing: forward"), "row 2, column \"y\"",
            "missing value \"nan\"; fill the label in");
    refuses(s, "a,y\n1,NA\n2,0\n", BCE DATA("label: y, missing: mean"), "row 1, column \"y\"", "missing value \"NA\"");
    refuses(s, "a,y\n1,cat\n2,None\n", CLASSES DATA("label: y"), "missing value \"None\"", "call the class otherwise");
}

static void test_text_labels(struct scratch *s)
{
    struct clrnn_names *names = NULL;
    struct clrnn_dataset *set;

    reads(s, "a,k\n1,pear\n2,apple\n3,fig\n4,apple\n", CLASSES DATA("label: k"), "1:2|2:0|3:1|4:0|");
    reads(s, "a,k\n1,1\n2,10\n3,x\n", CLASSES DATA("label: k"), "1:0|2:1|3:2|");
    assert_non_null(strstr(s->warning, "numbers and texts"));
    refuses(s, "a,k\n1,a\n2,b\n3,c\n4,d\n", CLASSES DATA("label: k"), "class 3", "3 outputs");

    scratch_write(s, "d.csv", "b,a,k\n5,1,pear\n6,2,apple\n7,3,fig\n");
    set = open_set(s, CLASSES DATA("label: k"), &(struct clrnn_open_rules){0});
    assert_int_equal(clrnn_dataset_names(set, &names), CLRNN_OK);
    clrnn_dataset_close(&set);
    assert_string_equal(names->columns.text[0], "b");
    assert_string_equal(names->targets.text[0], "k");
    assert_string_equal(names->classes.text[2], "pear");
    { // names are written and read, then used for a table with other columns, in another order
        char *text = clrnn_names_text(names);

        clrnn_names_destroy(&names);
        assert_int_equal(clrnn_names_parse(&s->log, "m", text, &names), CLRNN_OK);
        free(text);
    }
    scratch_write(s, "d.csv", "k,a,new,b\npear,1,9,5\n");
    set = open_set(s, CLASSES DATA("label: k"), &(struct clrnn_open_rules){.names = names});
    assert_string_equal(show(set), "5 1:2|");
    clrnn_dataset_close(&set);
    scratch_write(s, "d.csv", "k,a,B\npear,1,9\n");
    assert_null(open_set(s, CLASSES DATA("label: k"), &(struct clrnn_open_rules){.names = names}));
    scratch_expect(s, "no column b (that the model was trained on)", "did you mean \"B\"", NULL);
    scratch_write(s, "d.csv", "k,a,b\nplum,1,9\n");
    assert_null(open_set(s, CLASSES DATA("label: k"), &(struct clrnn_open_rules){.names = names}));
    scratch_expect(s, "row 1, column \"k\": \"plum\" is none of the model's 3 classes", NULL);
    set = open_set(s, CLASSES DATA("label: k"), &(struct clrnn_open_rules){.names = names, .no_targets = true});
    assert_string_equal(show(set), "9 1|");
    clrnn_dataset_close(&set);
    clrnn_names_destroy(&names);
}

static void test_windows(struct scratch *s)
{
    static const char table[] = "t,a,y\n0,1,10\n1,2,20\n2,3,30\n3,4,40\n4,5,50\n";
    static const char gap[] = "t,a,y\n0,1,10\n1,2,20\n2,3,30\n7,4,40\n8,5,50\n";
    static const char groups[] = "t,g,a\n0,u,1\n0,v,11\n1,u,2\n1,v,12\n2,u,3\n2,v,13\n";

    reads(s, table, MSE(1) DATA("target: y, columns: a, window: 3"), "1 2 3:40|2 3 4:50|");
    reads(s, table, MSE(2) DATA("target: y, columns: a, window: 3, horizon: 2"), "1 2 3:40 50|");
    reads(s, table, MSE(4) DATA("target: [y, a], columns: a, window: 3, horizon: 2"), "1 2 3:40 4 50 5|");
    reads(s, table, MSE(1) DATA("target: y, columns: a, window: 2, horizon: 0, stride: 2"), "1 2:20|3 4:40|");
    reads(s, table, MSE(1) DATA("target: y, window: 3, time: t"), "1 10 2 20 3 30:40|2 20 3 30 4 40:50|");
    *s->info = 0;
    reads(s, gap, MSE(1) DATA("target: y, columns: a, window: 2, horizon: 0, time: t"), "1 2:20|2 3:30|4 5:50|");
    reads(s, groups, MSE(1) DATA("target: a, group: g, time: t, window: 2"), "1 2:3|11 12:13|");
    reads(s, "a,k\n1,x\n2,y\n3,z\n", CLASSES DATA("label: k, window: 2"), "1 2:1|2 3:2|");
    assert_non_null(strstr(s->info, "d.csv: no window crosses gaps in time: there is 1, after row 3"));
    reads(s, "t,a\n20240228,1\n20240229,2\n20240301,3\n20240302,4\n", MSE(1) DATA("target: a, window: 2, time: t"),
          "1 2:3|2 3:4|");
    reads(s, "t,a\n202310,1\n202311,2\n202312,3\n202401,4\n", MSE(1) DATA("target: a, window: 2, time: t"),
          "1 2:3|2 3:4|");
    reads(s, "t,a\n20240229,1\n20240230,2\n20240231,3\n20240301,4\n20240302,5\n", // no dates: the numbers count
          MSE(1) DATA("target: a, window: 1, time: t"), "1:2|2:3|4:5|");
    refuses(s, table, MSE(1) DATA("target: y, window: 6"), "at most 5 rows", "choose a smaller window");
    refuses(s, gap, MSE(1) DATA("target: y, window: 4, horizon: 0, time: t"), "at most 3 rows", "1 gaps");
    refuses(s, "t,y\n1,2\n0,2\n", MSE(1) DATA("target: y, window: 1, time: t"), "row 2, column \"t\": earlier",
            "sort the rows");
    refuses(s, "t,y\n1,2\n1,2\n", MSE(1) DATA("target: y, window: 1, time: t"), "the same time as in row 1", "`group`");
    refuses(s, "t,y\n1,2\nmonday,2\n", MSE(1) DATA("target: y, window: 1, time: t"), "row 2, column \"t\"",
            "\"monday\" is no time");
    refuses(s, "g,y\nu,1\nu,2\nv,1\n", MSE(1) DATA("target: y, group: g, window: 1"), "the group \"v\" has 1 row",
            "smaller window");
}

// Groups that have no window somewhere are named.
static void test_empty_groups(struct scratch *s)
{
    struct clrnn_dataset *train, *valid;

    *s->warning = 0;
    reads(s, "t,g,a\n0,u,1\n1,u,2\n2,u,3\n0,v,4\n1,v,5\n9,v,6\n",
          MSE(1) DATA("target: a, group: g, time: t, window: 2"), "1 2:3|");
    assert_non_null(strstr(s->warning, "d.csv: the group \"v\" has no window of 2 and horizon 1 between two gaps"));
    reads(s, "t,g,a\n0,u,1\n1,u,2\n5,u,3\n0,v,4\n1,v,5\n2,v,6\n0,w,7\n6,w,8\n7,w,9\n",
          MSE(1) DATA("target: a, group: g, time: t, window: 2"), "4 5:6|");
    assert_non_null(strstr(s->warning, "2 of 3 groups, the first of them \"u\", have no window"));
    *s->warning = 0;
    reads(s, "g,a\nu,1\nu,2\nv,3\nv,4\n", MSE(1) DATA("target: a, group: g, window: 1"), "1:2|3:4|");
    assert_string_equal(s->warning, "");
    scratch_write(s, "d.csv", "g,a\nu,1\nu,2\nu,3\nu,4\nv,5\nv,6\nv,7\n");
    assert_int_equal(open_parts(s, MSE(1) DATA("target: a, group: g, window: 1, split: {valid: 0.6}"), &train, &valid),
                     CLRNN_OK);
    assert_non_null(strstr(s->warning, "the group \"v\" has no window of 1 and horizon 1 in the training part"));
    assert_string_equal(show(train), "1:2|");
    assert_string_equal(show(valid), "3:4|6:7|");
    clrnn_dataset_close(&train);
    clrnn_dataset_close(&valid);
}

// Columns that the config names by number are found by number in files that go by a model's names as well.
static void test_numbers_beside_names(struct scratch *s)
{
    static const char config[] = MSE(1) DATA("target: 2, time: 0, group: 1, window: 2");
    struct clrnn_names *names = NULL;
    struct clrnn_dataset *set;

    scratch_write(s, "d.csv", "t,g,a\n0,u,1\n0,v,11\n1,u,2\n1,v,12\n2,u,3\n2,v,13\n");
    set = open_set(s, config, &(struct clrnn_open_rules){0});
    assert_int_equal(clrnn_dataset_names(set, &names), CLRNN_OK);
    clrnn_dataset_close(&set);
    set = open_set(s, config, &(struct clrnn_open_rules){.names = names});
    assert_non_null(set);
    assert_string_equal(show(set), "1 2:3|11 12:13|");
    clrnn_dataset_close(&set);
    scratch_write(s, "d.csv", "t,g,b\n0,u,1\n0,v,11\n");
    assert_null(open_set(s, config, &(struct clrnn_open_rules){.names = names}));
    scratch_expect(s, "no column a (that the model was trained on)", NULL);
    clrnn_names_destroy(&names);
}

// ---------------------------------------------------------------- windows by counters

enum { MOST_ROWS = 400, GROUPS = 3, STEP = 1000000, JUMP = 100 };

struct planted {
    uint32_t rows[GROUPS], window, horizon, stride;
    bool interleaved;
    // for each row, group * STEP + a counter, which grows by 1 from row to row and by more at a gap
    double counter[GROUPS][MOST_ROWS];
    // row_of[g][c]: the row of group g whose counter is c, without group * STEP
    uint32_t row_of[GROUPS][4 * MOST_ROWS + JUMP * 20];
};

static uint32_t below(struct clrnn_random *r, uint32_t *at, uint32_t limit)
{
    return clrnn_random_u32(r, (*at)++) % limit;
}

static void plant(struct scratch *s, struct planted *p, uint64_t seed)
{
    struct clrnn_random r = {seed, RANDOM_SYNTH, 7, 7};
    uint32_t next[GROUPS] = {0}, at = 0, left = 0;
    char *text = malloc((size_t)GROUPS * MOST_ROWS * 48 + 64);
    size_t n = (size_t)sprintf(text, "noise,when,which,counter\n");

    p->window = 1 + below(&r, &at, 12);
    p->horizon = below(&r, &at, 5);
    p->stride = 1 + below(&r, &at, 4);
    p->interleaved = below(&r, &at, 2);
    for (uint32_t g = 0; g < GROUPS; g++) {
        uint32_t counter = 0;

        p->rows[g] = 150 + below(&r, &at, 200);
        left += p->rows[g];
        for (uint32_t i = 0; i < p->rows[g]; i++) {
            counter += i && below(&r, &at, 40) == 0 ? 2 + below(&r, &at, JUMP - 2) : 1;
            p->counter[g][i] = (double)g * STEP + counter;
            p->row_of[g][counter] = i;
        }
    }
    for (; left; left--) {
        uint32_t g = p->interleaved ? below(&r, &at, GROUPS) : 0;

        while (next[g] == p->rows[g])
            g = (g + 1) % GROUPS;
        n += (size_t)sprintf(text + n, "0.5,%.0f,g%u,%.0f\n", fmod(p->counter[g][next[g]], STEP), g,
                             p->counter[g][next[g]]);
        next[g]++;
    }
    scratch_write(s, "d.csv", text);
    free(text);
}

// Returns how many windows the rows [first, end) of a group have.
static uint32_t count_windows(const struct planted *p, uint32_t g, uint32_t first, uint32_t end)
{
    uint32_t count = 0, start = first;

    for (uint32_t i = first; i < end; i++) {
        const bool last = i + 1 == end || p->counter[g][i + 1] != p->counter[g][i] + 1;

        if (!last)
            continue;
        for (uint32_t at = start; at + p->window + p->horizon <= i + 1; at += p->stride)
            count++;
        start = i + 1;
    }
    return count;
}

// Checks that in every sample each value is the previous value + 1. Sets the bit `mark` in `seen` for each row of each
// sample.
static void check_samples(const struct clrnn_dataset *set, const struct planted *p,
                          unsigned char seen[GROUPS][MOST_ROWS], unsigned char mark)
{
    float x[2 * 16], y[8];

    for (uint32_t s = 0; s < clrnn_dataset_info(set)->S; s++) {
        uint32_t g;

        clrnn_dataset_x(set, s, x);
        clrnn_dataset_targets(set, s, y);
        g = (uint32_t)(x[0] / STEP);
        assert_true(g < GROUPS);
        for (uint32_t t = 0; t < p->window + p->horizon; t++) {
            const double value = t < p->window ? (double)x[t] : (double)y[t - p->window];

            assert_true(value == (double)x[0] + t);
            seen[g][p->row_of[g][(uint32_t)value - g * STEP]] |= mark;
        }
        if (!p->horizon)
            assert_true(y[0] == x[p->window - 1]);
    }
}

static void test_planted_counters(struct scratch *s)
{
    static struct planted p;
    static unsigned char seen[GROUPS][MOST_ROWS];
    struct clrnn_dataset *train, *valid;
    char text[512];

    for (uint64_t seed = 0; seed < 60; seed++) {
        uint32_t before = 0, behind = 0;

        plant(s, &p, seed);
        snprintf(text, sizeof(text),
                 "model: {layers: [{rnn: {hidden_size: 2}}, {pool: {over: last}}, {linear: {out_features: %u}}]}\n"
                 "train: {loss: mse}\n"
                 "data: {train: {csv: d.csv, columns: counter, target: counter, time: when, group: which, "
                 "window: %u, horizon: %u, stride: %u, split: {valid: 0.3}}}\n",
                 MAX2(p.horizon, 1u), p.window, p.horizon, p.stride);
        if (open_parts(s, text, &train, &valid) != CLRNN_OK)
            fail_msg("seed %u: %s", (unsigned)seed, s->error);
        for (uint32_t g = 0; g < GROUPS; g++) {
            const uint32_t cut = p.rows[g] - (uint32_t)llround(0.3 * p.rows[g]);

            before += count_windows(&p, g, 0, cut);
            behind += count_windows(&p, g, cut, p.rows[g]);
        }
        assert_int_equal(clrnn_dataset_info(train)->S, before);
        assert_int_equal(clrnn_dataset_info(valid)->S, behind);
        memset(seen, 0, sizeof(seen));
        check_samples(train, &p, seen, 1);
        check_samples(valid, &p, seen, 2);
        for (uint32_t i = 0; i < GROUPS * MOST_ROWS; i++)
            assert_true(seen[i / MOST_ROWS][i % MOST_ROWS] != 3); // no row may belong to both sets
        clrnn_dataset_close(&train);
        clrnn_dataset_close(&valid);
    }
}

static void test_split_means(struct scratch *s)
{
    struct clrnn_dataset *train, *valid;
    double mean, std;

    scratch_write(s, "d.csv", "a,y\n1,0\n2,0\n,0\n6,0\n100,0\n,0\n100,0\n100,0\n");
    assert_int_equal(open_parts(s,
                                MSE(1) DATA("columns: a, target: y, window: 2, horizon: 0, missing: mean, "
                                            "split: {valid: 0.5}"),
                                &train, &valid),
                     CLRNN_OK);
    assert_string_equal(show(train), "1 2:0|2 3:0|3 6:0|"); // missing: the mean of the training rows
    assert_string_equal(show(valid), "100 3:0|3 100:0|100 100:0|");
    assert_int_equal(clrnn_dataset_moments(train, &mean, &std), CLRNN_OK);
    assert_true(mean == 3 && fabs(std - sqrt(3.5)) < 1e-12); // each row must count once
    clrnn_dataset_close(&train);
    clrnn_dataset_close(&valid);
}

// Returns a config of the planted series. `weights`: "weights: FILE, " or "". The text is static.
static const char *split_config(const struct planted *p, const char *weights)
{
    static char text[512];

    snprintf(text, sizeof(text),
             MSE(1) DATA("columns: counter, target: counter, time: when, group: which, window: %u, horizon: 1, "
                         "stride: %u, %ssplit: {valid: 0.3}"),
             p->window, p->stride, weights);
    return text;
}

// Windows keep their weights when the series is split. Here the weight of a window is its first counter + 1.
static void test_split_weights(struct scratch *s)
{
    static struct planted p;
    static float x[16], weight[GROUPS * MOST_ROWS];
    struct clrnn_dataset *set, *part[2];
    unsigned refused = 0;

    for (uint64_t seed = 0; seed < 20; seed++) {
        uint32_t S;

        plant(s, &p, seed);
        set = open_set(s, split_config(&p, ""), &(struct clrnn_open_rules){0});
        assert_non_null(set);
        S = clrnn_dataset_info(set)->S;
        for (uint32_t i = 0; i < S; i++) {
            clrnn_dataset_x(set, i, x);
            weight[i] = x[0] + 1;
        }
        clrnn_dataset_close(&set);
        scratch_f32(s, "w.npy", weight, S, 0, 0);
        if (open_parts(s, split_config(&p, "weights: w.npy, "), &part[0], &part[1]) != CLRNN_OK) {
            assert_true(p.stride > 1); // the split point lies between two windows
            scratch_expect(s, "w.npy: has no weights for the windows behind split.valid", "stride", NULL);
            refused++;
            continue;
        }
        for (unsigned k = 0; k < 2; k++) {
            for (uint32_t i = 0; i < clrnn_dataset_info(part[k])->S; i++) {
                clrnn_dataset_x(part[k], i, x);
                assert_true(clrnn_dataset_weight(part[k], i) == (double)x[0] + 1);
            }
            clrnn_dataset_close(&part[k]);
        }
    }
    assert_true(refused > 0 && refused < 16);
    scratch_write(s, "d.csv", "a\n1\n2\n3\n4\n");
    scratch_f32(s, "w.npy", (const float[]){1, 0, 0}, 3, 0, 0);
    assert_int_equal(
        open_parts(s, MSE(1) DATA("target: a, window: 1, weights: w.npy, split: {valid: 0.5}"), &part[0], &part[1]),
        CLRNN_ERR_DATA);
    scratch_expect(s, "w.npy: all weights of the valid part are 0", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_columns, ""),       SCRATCH_TEST(test_row_counts, ""),
        SCRATCH_TEST(test_missing, ""),       SCRATCH_TEST(test_text_labels, ""),
        SCRATCH_TEST(test_windows, ""),       SCRATCH_TEST(test_planted_counters, ""),
        SCRATCH_TEST(test_empty_groups, ""),  SCRATCH_TEST(test_split_means, ""),
        SCRATCH_TEST(test_split_weights, ""), SCRATCH_TEST(test_numbers_beside_names, ""),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
