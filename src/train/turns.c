// SPDX-License-Identifier: MIT
// Batch i goes to session i modulo the number of sessions. Each session skips the batches of other sessions.
#include "train/turns.h"

#include <stdlib.h>

#include "base/log.h"

struct clrnn_turns {
    size_t count, at; // at: index of the session that has the next batch
    bool taken;       // whether clrnn_turns_next has returned that session
    enum clrnn_mode mode;
    struct clrnn_session **session;
};

enum clrnn_status clrnn_turns_open(const struct clrnn_session_params *params, struct clrnn_turns **turns)
{
    const struct clrnn_model *model = params->model;
    struct clrnn_session_params own = *params;
    struct clrnn_turns *t = calloc(1, sizeof(*t));
    enum clrnn_status st = CLRNN_OK;

    *turns = NULL;
    if (!t)
        return clrnn_error_memory(model->log, sizeof(*t), "a pass");
    t->session = calloc(model->other_count + 1, sizeof(struct clrnn_session *));
    if (!t->session)
        st = clrnn_error_memory(model->log, model->other_count * sizeof(*t->session), "a pass");
    while (st == CLRNN_OK && t->count <= model->other_count) {
        own.model = t->count ? model->other[t->count - 1] : params->model;
        st = clrnn_session_open(own.model->device, &own, &t->session[t->count]);
        t->count += st == CLRNN_OK;
    }
    if (st != CLRNN_OK)
        clrnn_turns_close(&t);
    *turns = t;
    return st;
}

void clrnn_turns_close(struct clrnn_turns **turns)
{
    struct clrnn_turns *t = *turns;

    *turns = NULL;
    if (!t)
        return;
    while (t->count)
        clrnn_session_close(&t->session[--t->count]);
    free(t->session);
    free(t);
}

// Skips the `others` batches that belong to other sessions, and queues the session's next batch.
static enum clrnn_status queue(const struct clrnn_turns *t, struct clrnn_session *s, size_t others)
{
    clrnn_feed_skip(s->feed, (uint32_t)others);
    return clrnn_session_queue(s, t->mode, 0);
}

enum clrnn_status clrnn_turns_begin(struct clrnn_turns *t, enum clrnn_mode mode)
{
    t->mode = mode;
    t->at = 0;
    t->taken = false;
    for (size_t i = 0; i < t->count; i++) {
        TRY(clrnn_session_begin_epoch(t->session[i], 0, 0));
        TRY(queue(t, t->session[i], i));
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_turns_next(struct clrnn_turns *t, struct clrnn_session **session)
{
    struct clrnn_session *s;

    *session = NULL;
    if (t->taken) {
        TRY(queue(t, t->session[t->at], t->count - 1));
        t->at = (t->at + 1) % t->count;
    }
    t->taken = true;
    s = t->session[t->at];
    *session = s->plan ? s : NULL;
    return CLRNN_OK;
}

enum clrnn_status clrnn_model_share(struct clrnn_model *model, struct clrnn_model *const *others, size_t count)
{
    NEED(NULL, model);
    if (count)
        NEED(model->log, others);

    for (size_t i = 0; i < count; i++)
        if (!others[i] || others[i] == model || others[i]->device == model->device ||
            clrnn_model_size(others[i]) != clrnn_model_size(model) || others[i]->outputs != model->outputs)
            return clrnn_error(model->log, CLRNN_ERR_ARG, "model %zu is not the same on another device", i);
    model->other = others;
    model->other_count = count;
    return CLRNN_OK;
}
