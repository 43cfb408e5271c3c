// SPDX-License-Identifier: MIT
// Stage 2: compares the gradients that the device computes with those that the reference computes in double. If they
// differ, also computes finite differences of the loss on the reference.
#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/log.h"
#include "diagnose/doctor/run.h"

#define CHECK_ROWS 8u
#define CHECK_STEPS 24u
#define CHECK_FLOPS 1e9 // maximum number of operations of the check: about 2 s on the reference

struct check {
    struct clrnn_examination *v;
    struct clrnn_device *ref;
    struct clrnn_session *here,        // on the device
        *there;                        // on ref
    size_t worst;                      // model entry whose gradients differ most
    struct clrnn_gradient_error error; // error of the entry `worst`
    double most;                       // largest gradient norm of any parameter
};

static enum clrnn_status compare_entry(struct check *c, size_t i, bool find_most)
{
    const struct clrnn_param *p = &c->here->model->entry[i].param;
    double *a = malloc(2 * p->count * sizeof(*a)), *b = a ? a + p->count : NULL;
    double norm = 0, error = 0, largest = -1;
    size_t at = 0;
    enum clrnn_status st;

    if (!a)
        return clrnn_error_memory(c->here->model->log, 2 * p->count * sizeof(*a), p->name);
    st = clrnn_model_read_grad(c->here->model, i, a);
    if (st == CLRNN_OK)
        st = clrnn_model_read_grad(c->there->model, i, b);
    for (size_t k = 0; st == CLRNN_OK && k < p->count; k++) {
        const double off = isnan(a[k] - b[k]) ? INFINITY : fabs(a[k] - b[k]);

        norm += b[k] * b[k];
        error += off * off;
        if (off > largest) {
            largest = off;
            at = k;
        }
    }
    if (st == CLRNN_OK && find_most) {
        c->most = fmax(c->most, sqrt(norm));
    } else if (st == CLRNN_OK) {
        // The divisor is at least 1e-3 of the largest norm, since gradients far smaller than that are only rounding
        // errors.
        error = sqrt(error) / (fmax(sqrt(norm), 1e-3 * c->most) + 1e-30);
        if (error > c->error.error) {
            c->worst = i;
            c->error.error = error;
            c->error.device_value = a[at];
            c->error.ref_value = b[at];
        }
    }
    free(a);
    return st;
}

static enum clrnn_status compare(struct check *c)
{
    struct clrnn_session_record near, far;

    TRY(clrnn_doctor_again(c->here, CLRNN_MODE_GRADIENT, &near));
    TRY(clrnn_doctor_again(c->there, CLRNN_MODE_GRADIENT, &far));
    if (!isfinite(far.loss) || !isfinite(far.grad_norm) || far.grad_norm > 1e6)
        return CLRNN_OK; // other findings report such gradients, which float32 cannot compute accurately
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < c->here->model->entry_count; i++)
            if (c->here->model->entry[i].param.trained)
                TRY(compare_entry(c, i, pass == 0));
    return CLRNN_OK;
}

// Sets *slope to (L(w + h) - L(w - h)) / 2h in double, where L is the loss and h is 1e-5. w is an element of the
// parameter c->worst: the element whose gradients on the device and on ref differ most.
static enum clrnn_status difference(struct check *c, double *slope)
{
    struct clrnn_model *m = c->there->model;
    const struct clrnn_param *p = &m->entry[c->worst].param;
    double *values = malloc(p->count * sizeof(*values)), *grad = malloc(p->count * sizeof(*grad)), kept, loss[2];
    size_t at = 0;
    enum clrnn_status st = values && grad ? CLRNN_OK : clrnn_error_memory(m->log, p->count * 16, p->name);

    *slope = NAN;
    if (st == CLRNN_OK)
        st = clrnn_model_read_grad(m, c->worst, grad);
    while (st == CLRNN_OK && at + 1 < p->count && grad[at] != c->error.ref_value)
        at++;
    if (st == CLRNN_OK)
        st = clrnn_model_read(m, c->worst, values);
    kept = st == CLRNN_OK ? values[at] : 0;
    for (int side = 0; st == CLRNN_OK && side < 2; side++) {
        struct clrnn_session_record r;

        values[at] = kept + (side ? -1e-5 : 1e-5);
        st = clrnn_model_write(m, c->worst, values);
        if (st == CLRNN_OK)
            st = clrnn_doctor_again(c->there, CLRNN_MODE_GRADIENT, &r);
        loss[side] = st == CLRNN_OK ? r.loss : 0;
    }
    if (st == CLRNN_OK)
        *slope = (loss[0] - loss[1]) / 2e-5;
    free(values);
    free(grad);
    return st;
}

// Whether the error exceeds its limit. The limit is higher if many units are saturated: float32 represents 1 - y and
// y (1 - y) with little accuracy, where y is the output of such a unit.
static bool is_off(const struct clrnn_examination *v, double error)
{
    const struct clrnn_activity *a = &v->start;
    const bool at_ends = a->worst_saturated && a->worst_saturated->saturated > 0.2;

    return error > (at_ends ? 5 : 1) * clrnn_threshold.gradient_error;
}

void clrnn_doctor_check_gradient_error(struct clrnn_examination *v, const struct clrnn_gradient_error *e)
{
    struct clrnn_doctor *d = v->d;

    if (!is_off(v, e->error))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_GRADIENT_CHECK_FAILED, CLRNN_SEVERITY_ERROR);
    clrnn_doctor_where(d, "%s", e->param);
    clrnn_doctor_evidence(d,
                          "on %s its gradient differs from the reference in double by %.2g of its norm, most "
                          "%.9g against %.9g; finite differences of the loss give %.9g (%u samples, %u steps)",
                          e->device, e->error, e->device_value, e->ref_value, e->slope, e->N, e->T);
}

static enum clrnn_status report(struct check *c)
{
    struct clrnn_gradient_error *e = &c->error;

    e->param = c->here->model->entry[c->worst].param.name;
    e->device = clrnn_device_info(c->v->d->device)->name;
    e->slope = NAN;
    e->N = c->here->samples;
    e->T = clrnn_dataset_info(c->here->set)->T;
    if (is_off(c->v, e->error))
        TRY(difference(c, &e->slope));
    clrnn_doctor_check_gradient_error(c->v, e);
    return CLRNN_OK;
}

static enum clrnn_status prepare(struct check *c)
{
    const struct clrnn_device_params params = {.select = "ref", .log = c->v->d->log};
    const uint32_t rows = MIN2(CHECK_ROWS, c->v->train_rows), steps = MIN2(CHECK_STEPS, c->v->d->T);
    // Limits the time steps of the batch, since the reference is slow: each weight takes 6 operations per step and
    // sample (a multiply and an add in each of three passes).
    const double scale = 6.0 * (double)clrnn_model_size(c->v->session->model) * rows * steps / CHECK_FLOPS;
    const struct clrnn_session_params session = {
        .view = {.row = c->v->rows,
                 .count = rows,
                 .steps = scale > 1 ? (uint32_t)MAX2((double)steps / scale, 1.0) : steps},
        .feed = {.batch_size = rows, .keep_tensors = true},
    };

    TRY(clrnn_device_open(&params, &c->ref));
    TRY(clrnn_doctor_session(c->v, c->v->d->device, session, &c->here));
    TRY(clrnn_doctor_session(c->v, c->ref, session, &c->there));
    return clrnn_model_copy_values(c->there->model, c->here->model);
}

enum clrnn_status clrnn_doctor_check_gradient(struct clrnn_examination *v)
{
    struct check c = {.v = v};
    enum clrnn_status st;

    if (clrnn_device_info(v->d->device)->type == CLRNN_DEVICE_REF)
        return CLRNN_OK; // the examined device is the reference itself
    st = prepare(&c);
    if (st == CLRNN_OK)
        st = compare(&c);
    if (st == CLRNN_OK)
        st = report(&c);
    clrnn_session_close(&c.here);
    clrnn_session_close(&c.there);
    clrnn_device_destroy(&c.ref);
    return st;
}
