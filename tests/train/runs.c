// SPDX-License-Identifier: MIT
// Helpers for tests of whole training runs.
#include "runs.h"

#include <math.h>

void runs_data(const struct scratch *s)
{
    scratch_problem(s, "a", S, 5, 3, 3, false, 1);
    scratch_problem(s, "b", 21, 5, 3, 3, false, 2);
}

static void count_progress(void *user, const struct clrnn_progress *p)
{
    struct told *told = user;

    told->epochs += p->epoch_end;
    told->best += p->best;
    told->step = p->step;
}

enum clrnn_status runs_train(struct scratch *s, const char *text, const char *out, bool resume, struct told *told,
                             struct clrnn_train_result *result)
{
    struct clrnn_config *config = scratch_config(s, text);
    struct told nothing = {0};
    struct clrnn_train_result own;
    struct clrnn_train_params params = {
        .config = config, .progress = count_progress, .progress_user = told ? told : &nothing};
    enum clrnn_status st;

    *(resume ? &params.resume : &params.out) = scratch_path(s, out);
    s->errors = 0;
    *s->error = *s->warning = *s->info = 0;
    st = clrnn_train(s->device, &params, result ? result : &own);
    assert_int_equal(s->errors, st != CLRNN_OK && st != CLRNN_FAILED);
    clrnn_config_destroy(&config);
    return st;
}

void runs_must_train(struct scratch *s, const char *text, const char *out)
{
    if (runs_train(s, text, out, false, NULL, NULL) != CLRNN_OK)
        fail_msg("%s", s->error);
}

json_t *runs_metrics_line(const struct scratch *s, const char *run, const char *key, size_t n)
{
    char name[64], *text, *rest, *line;
    json_t *found = NULL;

    snprintf(name, sizeof(name), "%s/metrics.jsonl", run);
    text = scratch_read(s, name, NULL);
    assert_non_null(text);
    for (line = strtok_r(text, "\n", &rest); line && !found; line = strtok_r(NULL, "\n", &rest)) {
        json_t *object = json_loads(line, 0, NULL);

        if (!object)
            fail_msg("no JSON: %s", line);
        if (json_object_get(object, key) && n-- == 0)
            found = json_incref(object);
        json_decref(object);
    }
    free(text);
    return found;
}

double runs_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

void runs_same_files(const struct scratch *s, const char *a, const char *b)
{
    size_t a_size = 0, b_size = 0;
    char *x = scratch_read(s, a, &a_size), *y = scratch_read(s, b, &b_size);

    assert_non_null(x);
    assert_non_null(y);
    if (a_size != b_size || memcmp(x, y, a_size))
        fail_msg("%s (%zu bytes) and %s (%zu) differ", a, a_size, b, b_size);
    free(x);
    free(y);
}

// Compares the lines of steps, then the lines of epochs, without their times.
void runs_same_metrics(const struct scratch *s, const char *a, const char *b)
{
    for (int kind = 0; kind < 2; kind++)
        for (size_t n = 0;; n++) {
            json_t *x = runs_metrics_line(s, a, kind ? "epoch" : "loss", n);
            json_t *y = runs_metrics_line(s, b, kind ? "epoch" : "loss", n);
            const bool end = !x && !y;

            if (!end) {
                assert_true(x && y);
                json_object_del(x, "seconds");
                json_object_del(y, "seconds");
                json_object_del(x, "samples_per_s");
                json_object_del(y, "samples_per_s");
                if (!json_equal(x, y))
                    fail_msg("%s %zu differs: %s, %s", kind ? "epoch" : "step", n, json_dumps(x, 0), json_dumps(y, 0));
            }
            json_decref(x);
            json_decref(y);
            if (end)
                break;
        }
}
