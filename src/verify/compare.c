// SPDX-License-Identifier: MIT
// Compares devices. Runs the training on the reference, several times on the reference with perturbed numbers, and on
// each device. Each run has a child process of its own. Then judges the results.
#include "verify/compare.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/hash.h"
#include "base/temporary.h"
#include "base/random.h"
#include "base/words.h"
#include "device/find/list_child.h"
#include "verify/selftest.h"

#define STEPS 20u
#define JUDGED 512u // maximum number of samples for the final loss: the reference is slow

// ---------------------------------------------------------------- shared blocks

static struct clrnn_compare_block *block_create(const struct clrnn_compare *c)
{
    const size_t size =
        sizeof(struct clrnn_compare_block) + (c->steps + c->logit_capacity + c->grad_count) * sizeof(double);
    struct clrnn_compare_block *b = clrnn_shared_create(size);

    if (!b)
        return NULL;
    b->size = size;
    b->curve = (double *)(void *)(b + 1);
    b->logits = b->curve + c->steps;
    b->grads = b->logits + c->logit_capacity;
    for (uint32_t i = 0; i < c->steps; i++)
        b->curve[i] = NAN;
    b->final_loss = b->final_accuracy = NAN;
    b->peak = (struct clrnn_peak){NAN, NAN};
    b->step_ms = (struct clrnn_timing){NAN, NAN, NAN, 0};
    b->samples_per_s = b->first_s = b->step_s = NAN;
    return b;
}

static void block_destroy(struct clrnn_compare_block **block)
{
    if (*block)
        clrnn_shared_destroy(*block, (*block)->size);
    *block = NULL;
}

// ---------------------------------------------------------------- children

struct job {
    const struct clrnn_compare *c;
    bool start; // run only the first two steps, to measure the time that building programs takes
    const char *spec;
    uint32_t disturb;   // as in clrnn_compare_run
    const char *caches; // folder for all kernel caches; NULL: the drivers' own caches
    struct clrnn_compare_block *block;
};

static enum clrnn_status run_device(const struct job *e, struct clrnn_device *device)
{
    struct clrnn_compare_block *b = e->block;
    const struct clrnn_compare *c = e->c;

    TRY(clrnn_compare_run(c, device, e->disturb, b));
    if (clrnn_device_is_ref(device))
        return CLRNN_OK;
    b->leaves = clrnn_compare_find_leaving(c, b);
    if (b->leaves || !clrnn_compare_first_step_agrees(c, b))
        return clrnn_compare_blame(c, device, clrnn_compare_first_step_agrees(c, b) ? b->leaves : 1, b);
    if (clrnn_compare_deviation(b->final_loss, c->ref->final_loss, COMPARE_LOSS_FLOOR) <= c->final_bound)
        return CLRNN_OK;
    return clrnn_compare_blame(c, device, 0, b);
}

static void in_child(void *user)
{
    const struct job *e = user;
    struct clrnn_child_report *report = &e->block->report;
    const struct clrnn_log log = {.fn = clrnn_child_log, .user = report, .level = CLRNN_LOG_ERROR};
    const struct clrnn_device_params open = {
        .select = e->spec, .log = &log, .gemm = e->c->params->gemm, .no_tune = e->c->params->no_tune};
    struct clrnn_device *device;
    enum clrnn_status st;

    if (e->caches)
        clrnn_caches_keep_in(e->caches);
    clrnn_selftest_take_kernel_dir(e->spec);
    clrnn_child_doing(report, "opening the device");
    if (clrnn_device_open(&open, &device) != CLRNN_OK)
        return;
    st = e->start ? clrnn_compare_run_start(e->c, device, e->block) : run_device(e, device);
    if (st == CLRNN_INTERRUPTED)
        clrnn_error(&log, st, "it was interrupted");
    clrnn_child_doing(report, "closing the device");
    clrnn_device_destroy(&device);
}

static void CLRNN_PRINTF(2, 3) progress(const struct clrnn_compare *c, const char *format, ...)
{
    char text[256];
    va_list arguments;

    if (!c->params->progress)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    c->params->progress(c->params->progress_user, text);
}

// ---------------------------------------------------------------- the reference

// Runs the training on the reference, once as it is and COMPARE_NOISE_RUNS times with perturbed numbers. Runs as many
// of these at a time as there are processors.
static enum clrnn_status run_reference(struct clrnn_compare *c)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    const uint32_t runs = 1 + COMPARE_NOISE_RUNS, lanes = processors > 1 ? (uint32_t)processors : 1;
    struct job jobs[1 + COMPARE_NOISE_RUNS];
    char ending[CLRNN_ENDING_SIZE];
    enum clrnn_status st = CLRNN_OK;

    progress(c, "%u step%s on the reference, and %u times with disturbed numbers", c->steps, c->steps == 1 ? "" : "s",
             COMPARE_NOISE_RUNS);
    for (uint32_t first = 0; first < runs && st == CLRNN_OK; first += lanes) {
        const uint32_t last = MIN2(first + lanes, runs);
        struct clrnn_child child[1 + COMPARE_NOISE_RUNS];

        for (uint32_t i = first; i < last; i++) {
            struct clrnn_compare_block *b = i ? c->noise[i - 1] : c->ref;

            jobs[i] = (struct job){.c = c, .spec = "ref", .disturb = i, .block = b};
            child[i] = (struct clrnn_child){.pid = -1, .report = &b->report};
            if (st == CLRNN_OK)
                st = clrnn_child_start(c->log, in_child, &jobs[i], &b->report, &child[i]);
        }
        for (uint32_t i = first; i < last; i++) {
            clrnn_child_wait(&child[i], c->params->timeout_s, c->params->stop, ending);
            if (st == CLRNN_OK && c->params->stop && *c->params->stop)
                st = CLRNN_INTERRUPTED;
            if (st == CLRNN_OK && (ending[0] || !jobs[i].block->finished))
                st = clrnn_error(c->log, CLRNN_ERR_CONFIG, "the run on the reference: %s",
                                 ending[0] ? ending : "it ended without a result");
        }
    }
    return st;
}

// ---------------------------------------------------------------- a device

static enum clrnn_status run_once(const struct clrnn_compare *c, struct job *job, char ending[CLRNN_ENDING_SIZE])
{
    block_destroy(&job->block);
    job->block = block_create(c);
    if (!job->block)
        return clrnn_error_memory(c->log, c->grad_count * sizeof(double), "a device's results");
    return clrnn_child_run(c->log, in_child, job, &job->block->report, c->params->timeout_s, c->params->stop, ending);
}

// Runs a job. If the driver's own kernel caches may be damaged, runs the job again with empty caches.
static enum clrnn_status run_job(const struct clrnn_compare *c, struct job *job, char ending[CLRNN_ENDING_SIZE])
{
    char *caches = NULL;
    enum clrnn_status st = run_once(c, job, ending);

    if (st == CLRNN_OK && !job->caches)
        st = clrnn_caches_suspect(c->log, job->spec, ending, &caches);
    if (st == CLRNN_OK && caches) {
        job->caches = caches;
        st = run_once(c, job, ending);
        job->caches = NULL;
    }
    clrnn_remove_folder(caches);
    free(caches);
    return st;
}

static enum clrnn_status self_test(const struct clrnn_compare *c, struct clrnn_compare_row *row)
{
    const struct clrnn_device_params open = {
        .select = row->spec, .gemm = c->params->gemm, .no_tune = c->params->no_tune};
    const struct clrnn_devices_params params = {.timeout_s = c->params->timeout_s, .stop = c->params->stop};

    return clrnn_selftest_device(c->log, &open, &params, &row->test);
}

// Measures how much longer the first step takes than the second: first with empty kernel caches, then with the caches
// that the first measurement filled.
static enum clrnn_status measure_builds(struct clrnn_compare *c, struct clrnn_compare_row *row)
{
    enum clrnn_status st = clrnn_temporary_folder(c->log, &c->caches);

    for (int warm = 0; warm < 2 && st == CLRNN_OK; warm++) {
        struct job e = {.c = c, .start = true, .spec = row->spec, .caches = c->caches};
        char ending[CLRNN_ENDING_SIZE];

        st = run_job(c, &e, ending);
        if (st == CLRNN_OK && e.block->finished)
            *(warm ? &row->build_warm_s : &row->build_cold_s) = fmax(e.block->first_s - e.block->step_s, 0);
        block_destroy(&e.block);
    }
    clrnn_remove_folder(c->caches);
    free(c->caches);
    c->caches = NULL;
    return st;
}

static enum clrnn_status run_row(struct clrnn_compare *c, struct clrnn_compare_row *row)
{
    struct job e = {.c = c, .spec = row->spec};
    char ending[CLRNN_ENDING_SIZE];
    enum clrnn_status st;

    if (row->is_ref) {
        row->verdict = CLRNN_VERDICT_OK;
        clrnn_compare_take(c, c->ref, row);
        return CLRNN_OK;
    }
    if (!c->params->no_test) {
        progress(c, "%s %s: self-test", row->spec, row->name);
        TRY(self_test(c, row));
    }
    progress(c, "%s %s: %u step%s", row->spec, row->name, c->steps, c->steps == 1 ? "" : "s");
    st = run_job(c, &e, ending);
    if (st == CLRNN_OK) {
        clrnn_compare_take(c, e.block, row);
        clrnn_compare_judge(c, e.block, ending, row);
    }
    block_destroy(&e.block);
    if (st == CLRNN_OK && row->verdict != CLRNN_VERDICT_BROKEN && !c->params->no_speed) {
        progress(c, "%s %s: building with empty caches", row->spec, row->name);
        st = measure_builds(c, row);
    }
    return st;
}

// ---------------------------------------------------------------- which devices

static void fill_row(const struct clrnn_device_info *info, struct clrnn_compare_row *row)
{
    clrnn_device_spec(info, row->spec);
    snprintf(row->name, sizeof(row->name), "%s", info->name);
    snprintf(row->platform, sizeof(row->platform), "%s", info->platform_name);
    snprintf(row->driver, sizeof(row->driver), "%s", info->driver);
    snprintf(row->opencl, sizeof(row->opencl), "%s", info->version);
    row->is_ref = info->type == CLRNN_DEVICE_REF;
    row->build_cold_s = row->build_warm_s = NAN;
}

static bool usable(const struct clrnn_device_info *info)
{
    return !info->trouble && info->device >= 0;
}

static enum clrnn_status choose_rows(struct clrnn_compare *c, const struct clrnn_device_list *list)
{
    struct clrnn_compare_result *r = c->result;
    bool *chosen = calloc(list->count, sizeof(*chosen));
    enum clrnn_status st = chosen ? CLRNN_OK : clrnn_error_memory(c->log, list->count, "the list of devices");
    size_t at;

    for (size_t i = 0; st == CLRNN_OK && i < c->params->device_count; i++) {
        st = clrnn_device_list_find(c->log, list, c->params->device[i], &at);
        if (st == CLRNN_OK)
            chosen[at] = true;
    }
    for (size_t i = 0; st == CLRNN_OK && i < list->count; i++) {
        const struct clrnn_device_info *info = &list->info[i];

        chosen[i] = info->type == CLRNN_DEVICE_REF || (c->params->device_count ? chosen[i] : usable(info));
        r->row_count += chosen[i];
    }
    if (st == CLRNN_OK && !c->params->device_count && r->row_count < 2)
        st = clrnn_error(c->log, CLRNN_ERR_DEVICE,
                         "nothing to compare: no OpenCL device can be used beside the reference; `clrnn "
                         "devices` says why, and what to install");
    r->row = st == CLRNN_OK ? calloc(MAX2(r->row_count, 1), sizeof(*r->row)) : NULL;
    if (st == CLRNN_OK && !r->row)
        st = clrnn_error_memory(c->log, r->row_count * sizeof(*r->row), "the comparison");
    for (size_t i = 0, row = 0; st == CLRNN_OK && i < list->count; i++)
        if (chosen[i])
            fill_row(&list->info[i], &r->row[row++]);
    free(chosen);
    return st;
}

// ---------------------------------------------------------------- the run

// Creates the model on ref, which needs no driver, to find the names and sizes of its parameters.
static enum clrnn_status learn_shapes(struct clrnn_compare *c)
{
    const struct clrnn_device_params open = {.select = "ref", .log = c->log};
    const struct clrnn_dataset_info *info = clrnn_dataset_info(c->data.train);
    const struct clrnn_data_shape shape = {.features = info->C, .tokens = info->tokens};
    struct clrnn_compare_result *r = c->result;
    struct clrnn_device *device;
    struct clrnn_model *m = NULL;
    enum clrnn_status st;

    TRY(clrnn_device_open(&open, &device));
    st = clrnn_model_create(device, c->config, &shape, &m);
    if (st == CLRNN_OK && c->params->init) // reports errors of the file once, before any child
        st = clrnn_model_init(m, c->params->init, c->config->train.init_partial);
    if (st == CLRNN_OK) {
        r->param = calloc(MAX2(m->entry_count, 1), sizeof(*r->param));
        c->grad_first = calloc(MAX2(m->entry_count, 1), sizeof(*c->grad_first));
        c->logit_capacity = (size_t)c->data.batch * info->T * m->outputs;
        if (!r->param || !c->grad_first)
            st = clrnn_error_memory(c->log, m->entry_count * sizeof(*r->param), "the comparison");
    }
    for (size_t i = 0; st == CLRNN_OK && i < m->entry_count; i++) {
        if (!m->entry[i].param.trained)
            continue;
        snprintf(r->param[r->param_count], sizeof(*r->param), "%s", m->entry[i].param.name);
        c->grad_first[r->param_count++] = c->grad_count;
        c->grad_count += m->entry[i].param.count;
    }
    clrnn_model_destroy(&m);
    clrnn_device_destroy(&device);
    return st;
}

// Sets c->judged to random samples of `from`, since files are often sorted by class. The choice depends only on the
// seed.
static enum clrnn_status choose_judged(struct clrnn_compare *c, struct clrnn_dataset *from)
{
    const struct clrnn_random r = {c->config->train.seed, RANDOM_PROBE, 0, 0};
    const uint32_t S = clrnn_dataset_info(from)->S;
    uint32_t *order = malloc(S * sizeof(*order));
    enum clrnn_status st;

    if (!order)
        return clrnn_error_memory(c->log, S * sizeof(*order), "the comparison");
    c->result->judged = MIN2(S, JUDGED);
    clrnn_random_permutation(&r, S, order);
    st = clrnn_dataset_view(from, &(struct clrnn_view){.row = order, .count = c->result->judged}, "judged", &c->judged);
    free(order);
    return st;
}

static enum clrnn_status open_data(struct clrnn_compare *c)
{
    const struct clrnn_dataset_info *info;

    TRY(clrnn_data_sets_open(c->log, c->config, CLRNN_CHECK_ALL, &c->data));
    info = clrnn_dataset_info(c->data.train);
    if (c->config->data.standard && !info->tokens)
        TRY(clrnn_data_sets_moments(c->log, &c->data));
    for (uint32_t k = 0; c->data.mean && k < info->C; k++) { // devices store both as float32
        c->data.mean[k] = (float)c->data.mean[k];
        c->data.std[k] = (float)c->data.std[k];
    }
    c->result->judged_valid = c->data.valid;
    return choose_judged(c, c->data.valid ? c->data.valid : c->data.train);
}

static enum clrnn_status allocate_rows(struct clrnn_compare *c)
{
    struct clrnn_compare_result *r = c->result;

    r->bound = calloc(c->steps, sizeof(*r->bound));
    r->deviation = calloc(r->row_count * c->steps, sizeof(*r->deviation));
    c->ref = block_create(c);
    for (uint32_t i = 0; i < COMPARE_NOISE_RUNS; i++)
        c->noise[i] = block_create(c);
    for (size_t i = 0; i < r->row_count; i++) {
        r->row[i].gradient = calloc(MAX2(r->param_count, 1), sizeof(*r->row[i].gradient));
        r->row[i].curve = calloc(c->steps, sizeof(*r->row[i].curve));
        if (!r->row[i].gradient || !r->row[i].curve)
            return clrnn_error_memory(c->log, c->steps * sizeof(double), "the comparison");
    }
    for (uint32_t i = 0; i < COMPARE_NOISE_RUNS; i++)
        if (!c->noise[i])
            return clrnn_error_memory(c->log, c->grad_count * sizeof(double), "the comparison");
    return r->bound && r->deviation && c->ref
               ? CLRNN_OK
               : clrnn_error_memory(c->log, c->grad_count * sizeof(double), "the comparison");
}

static void conclude(struct clrnn_compare *c)
{
    struct clrnn_compare_result *r = c->result;

    r->agree = true;
    for (size_t i = 0; i < r->row_count; i++) {
        r->agree = r->agree && r->row[i].verdict == CLRNN_VERDICT_OK;
        for (uint32_t s = 0; s < c->steps; s++)
            r->deviation[i * c->steps + s] =
                s < r->row[i].steps ? clrnn_compare_deviation(r->row[i].curve[s], c->ref->curve[s], COMPARE_LOSS_FLOOR)
                                    : NAN;
    }
}

// Sets the result's config_key to a hash of the config's text.
static enum clrnn_status find_config_key(const struct clrnn_compare *c)
{
    char *text = clrnn_config_text(c->config);
    struct clrnn_hash h;

    if (!text)
        return clrnn_error_memory(c->log, 0, "the config as text");
    clrnn_hash_init(&h);
    clrnn_hash_add_text(&h, text);
    clrnn_hash_hex(&h, c->result->config_key);
    free(text);
    return CLRNN_OK;
}

static enum clrnn_status compare_all(struct clrnn_compare *c)
{
    struct clrnn_device_list *list = NULL;
    enum clrnn_status st;

    TRY(find_config_key(c));
    TRY(open_data(c));
    TRY(learn_shapes(c));
    TRY(clrnn_device_list_in_child(c->log, &list));
    st = choose_rows(c, list);
    clrnn_device_list_destroy(&list);
    TRY(st);
    TRY(allocate_rows(c));
    TRY(run_reference(c));
    clrnn_compare_find_bounds(c);
    for (size_t i = 0; i < c->result->row_count; i++)
        TRY(run_row(c, &c->result->row[i]));
    conclude(c);
    return CLRNN_OK;
}

enum clrnn_status clrnn_compare(const struct clrnn_log *log, const struct clrnn_config *config,
                                const struct clrnn_compare_params *params, struct clrnn_compare_result *result)
{
    CLRNN_C_LOCALE;
    NEED(log, config);
    NEED(log, result);
    for (size_t i = 0; params && i < params->device_count; i++) {
        NEED(log, params->device);
        NEED(log, params->device[i]);
    }

    static const struct clrnn_compare_params defaults = {0};
    struct clrnn_compare c = {.log = log, .config = config, .params = params ? params : &defaults, .result = result};
    enum clrnn_status st;

    c.steps = c.params->steps ? c.params->steps : STEPS;
    *result = (struct clrnn_compare_result){.steps = c.steps,
                                            .batch = config->train.batch_size,
                                            .noise_runs = COMPARE_NOISE_RUNS,
                                            .speed = !c.params->no_speed};
    st = compare_all(&c);
    block_destroy(&c.ref);
    for (uint32_t i = 0; i < COMPARE_NOISE_RUNS; i++)
        block_destroy(&c.noise[i]);
    free(c.grad_first);
    clrnn_dataset_close(&c.judged);
    clrnn_data_sets_close(&c.data);
    if (st != CLRNN_OK)
        clrnn_compare_finish(result);
    return st;
}

void clrnn_compare_finish(struct clrnn_compare_result *r)
{
    if (!r)
        return;

    for (size_t i = 0; r->row && i < r->row_count; i++) {
        free(r->row[i].gradient);
        free(r->row[i].curve);
    }
    free(r->row);
    free(r->param);
    free(r->bound);
    free(r->deviation);
    *r = (struct clrnn_compare_result){0};
}
