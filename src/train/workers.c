// SPDX-License-Identifier: MIT
// Exchanges messages between workers. Within a process, a sending thread offers its memory and waits until all
// receivers have copied it.
#include "train/workers.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"

// Memory that a worker offers to other workers of this process.
struct offer {
    const void *data;
    uint32_t left, copying;          // how many workers have not begun to copy it; how many are copying it
    bool wanted[CLRNN_MOST_DEVICES]; // which workers have not begun to copy it
};

struct clrnn_team {
    uint32_t count; // workers of this process
    uint32_t ranks, rank;
    uint32_t *first; // [ranks + 1] number of each rank's first worker
    struct clrnn_worker worker[CLRNN_MOST_DEVICES],
        on[CLRNN_CHANNELS][CLRNN_MOST_DEVICES]; // copies of the workers, one for each channel
    clrnn_team_work *work;
    void *const *user;
    uint32_t thread_count; // number of threads in `thread`: one for each worker except the first
    pthread_t thread[CLRNN_MOST_DEVICES];
    bool running; // between clrnn_team_start and clrnn_team_join

    pthread_mutex_t lock; // guards all members below
    pthread_cond_t changed;
    struct offer offer[CLRNN_CHANNELS][CLRNN_MOST_DEVICES];
    enum clrnn_status failed; // status of the first failure
    char error[1024];         // text of the first error, "": none
    bool reported;            // `error` has been logged
};

// ---------------------------------------------------------------- log messages

// While threads run, only the first error of the team is logged. It is logged at once, unless the team has several
// devices and this device computes: clrnn_team_join then logs it. Other messages of a further device (not the first)
// are dropped while the device computes.
static void take_message(void *user, enum clrnn_log_level level, const char *line)
{
    const struct clrnn_worker *w = user;
    struct clrnn_team *t = w->team;

    if (level == CLRNN_LOG_ERROR && t->running) {
        const struct clrnn_device_info *info = clrnn_device_info(w->device);
        const bool later = w->computes && t->count > 1;
        char spec[24];
        bool first;

        pthread_mutex_lock(&t->lock);
        first = !*t->error;
        if (first && later)
            snprintf(t->error, sizeof(t->error), "device %s (%s): %s", clrnn_device_spec(info, spec), info->name, line);
        else if (first)
            snprintf(t->error, sizeof(t->error), "%s", line);
        t->reported |= first && !later;
        pthread_mutex_unlock(&t->lock);
        if (!first || later)
            return;
    }
    if ((!w->local || !w->computes) && w->next && w->next->fn)
        w->next->fn(w->next->user, level, line);
}

static void take_progress(void *user, const char *what, double share)
{
    const struct clrnn_worker *w = user;

    if (!w->computes || !w->local)
        w->next->progress(w->next->user, what, share);
}

void clrnn_worker_begin(struct clrnn_worker *worker)
{
    worker->computes = true;
}

void clrnn_worker_end(struct clrnn_worker *worker)
{
    worker->computes = false;
}

// ---------------------------------------------------------------- making a team

enum clrnn_status clrnn_team_devices(struct clrnn_device *device, struct clrnn_device *const *further, size_t count,
                                     struct clrnn_device *all[CLRNN_MOST_DEVICES])
{
    const struct clrnn_log *log = clrnn_device_log(device);

    if (count >= CLRNN_MOST_DEVICES)
        return clrnn_error(log, CLRNN_ERR_ARG, "%zu devices, expected at most %u", count + 1, CLRNN_MOST_DEVICES);
    all[0] = device;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j <= i; j++)
            if (!further[i] || further[i] == all[j])
                return clrnn_error(log, CLRNN_ERR_ARG, "the further device %zu is %s", i,
                                   further[i] ? "one of the others, too" : "NULL");
        all[i + 1] = further[i];
    }
    return CLRNN_OK;
}

// Tells all ranks how many workers each rank has, and sets t->first: workers are numbered in order of their ranks.
static enum clrnn_status number_workers(const struct clrnn_log *log, struct clrnn_team *t)
{
    uint32_t *count = t->first + 1;

    count[t->rank] = t->count;
    if (t->rank)
        TRY(clrnn_ranks_send(log, CLRNN_CHANNEL_MAIN, 0, 0, &count[t->rank], sizeof(*count)));
    for (uint32_t rank = 1; rank < t->ranks && !t->rank; rank++)
        TRY(clrnn_ranks_receive(log, CLRNN_CHANNEL_MAIN, rank, 0, &count[rank], sizeof(*count)));
    TRY(clrnn_ranks_broadcast(log, CLRNN_CHANNEL_MAIN, count, t->ranks * sizeof(*count)));
    for (uint32_t rank = 0; rank < t->ranks; rank++)
        t->first[rank + 1] += t->first[rank];
    return CLRNN_OK;
}

enum clrnn_status clrnn_team_create(const struct clrnn_log *log, struct clrnn_device *const *devices, uint32_t count,
                                    struct clrnn_team **team)
{
    struct clrnn_team *t = *team = calloc(1, sizeof(*t));

    if (!t)
        return clrnn_error_memory(log, sizeof(*t), "the devices that train together");
    t->count = count;
    t->ranks = clrnn_ranks_count();
    t->rank = clrnn_ranks_own();
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    t->first = calloc(t->ranks + 1, sizeof(*t->first));
    if (!t->first)
        return clrnn_error_memory(log, t->ranks * sizeof(*t->first), "the devices that train together");
    if (count > 1)
        TRY(clrnn_ranks_check_threads(log));
    TRY(number_workers(log, t));
    for (uint32_t i = 0; i < count; i++) {
        struct clrnn_worker *w = &t->worker[i];

        *w = (struct clrnn_worker){.team = t,
                                   .device = devices[i],
                                   .number = t->first[t->rank] + i,
                                   .count = t->first[t->ranks],
                                   .local = i,
                                   .next = clrnn_device_log(devices[i])};
        w->log = (struct clrnn_log){.fn = take_message,
                                    .user = w,
                                    .level = w->next ? w->next->level : CLRNN_LOG_ERROR,
                                    .progress = w->next && w->next->progress ? take_progress : NULL};
        clrnn_device_set_log(w->device, &w->log);
        for (int channel = 0; channel < CLRNN_CHANNELS; channel++) {
            t->on[channel][i] = *w;
            t->on[channel][i].channel = (enum clrnn_channel)channel;
        }
    }
    return CLRNN_OK;
}

void clrnn_team_destroy(struct clrnn_team **team)
{
    struct clrnn_team *t = *team;

    *team = NULL;
    if (!t)
        return;
    for (uint32_t i = 0; i < t->count; i++)
        if (t->worker[i].log.fn)
            clrnn_device_set_log(t->worker[i].device, t->worker[i].next);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t->first);
    free(t);
}

uint32_t clrnn_team_count(const struct clrnn_team *team)
{
    return team->count;
}

struct clrnn_worker *clrnn_team_worker(struct clrnn_team *team, uint32_t local)
{
    return &team->worker[local];
}

const struct clrnn_worker *clrnn_worker_on(const struct clrnn_worker *worker, enum clrnn_channel channel)
{
    return &worker->team->on[channel][worker->local];
}

// ---------------------------------------------------------------- threads

static bool is_error(enum clrnn_status status)
{
    return status != CLRNN_OK && status != CLRNN_INTERRUPTED;
}

// Ends all waits for messages in this process with `status`, or with the status of an earlier failure.
static void fail(struct clrnn_team *t, enum clrnn_status status)
{
    pthread_mutex_lock(&t->lock);
    if (t->failed == CLRNN_OK) {
        t->failed = status;
        clrnn_ranks_give_up(status);
    }
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

void clrnn_worker_fail(const struct clrnn_worker *worker, enum clrnn_status status)
{
    fail(worker->team, status);
}

static void *run_thread(void *user)
{
    const struct clrnn_worker *w = user;
    const enum clrnn_status st = w->team->work(w->team->user[w->local]);

    if (is_error(st))
        fail(w->team, st);
    return NULL;
}

int clrnn_worker_thread(pthread_t *thread, void *(*work)(void *), void *user)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    sigset_t blocked, before;
    int error;

    sigfillset(&blocked); // the caller's threads are to receive signals sent to the process
    for (size_t i = 0; i < ARRAY_SIZE(own); i++)
        sigdelset(&blocked, own[i]);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    error = pthread_create(thread, NULL, work, user);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

enum clrnn_status clrnn_team_start(struct clrnn_team *t, clrnn_team_work *work, void *const *user)
{
    int error = 0;

    t->work = work;
    t->user = user;
    t->running = true;
    while (!error && t->thread_count + 1 < t->count) {
        error = clrnn_worker_thread(&t->thread[t->thread_count], run_thread, &t->worker[t->thread_count + 1]);
        t->thread_count += !error;
    }
    return error ? clrnn_error(clrnn_device_log(t->worker[0].device), CLRNN_ERR_MEMORY,
                               "a thread for device %u of %u cannot be started: %s", t->thread_count + 2, t->count,
                               strerror(error))
                 : CLRNN_OK;
}

enum clrnn_status clrnn_team_join(struct clrnn_team *t, enum clrnn_status status)
{
    if (is_error(status))
        fail(t, status);
    while (t->thread_count)
        pthread_join(t->thread[--t->thread_count], NULL);
    t->running = false;
    if (*t->error && !t->reported)
        clrnn_log(t->worker[0].next, CLRNN_LOG_ERROR, "%s", t->error);
    return t->failed == CLRNN_OK ? status : t->failed;
}

// ---------------------------------------------------------------- within a process

// Offers `data` to the workers [begin, end) of this process except the worker itself, and waits until they have copied
// it.
static enum clrnn_status offer(const struct clrnn_worker *w, uint32_t begin, uint32_t end, const void *data)
{
    struct clrnn_team *t = w->team;
    struct offer *o = &t->offer[w->channel][w->local];
    enum clrnn_status st;

    pthread_mutex_lock(&t->lock);
    o->data = data;
    for (uint32_t i = begin; i < end; i++)
        if (i != w->local) {
            o->wanted[i] = true;
            o->left++;
        }
    pthread_cond_broadcast(&t->changed);
    while (o->copying || (o->left && t->failed == CLRNN_OK))
        pthread_cond_wait(&t->changed, &t->lock);
    st = t->failed;
    pthread_mutex_unlock(&t->lock);
    return st;
}

static enum clrnn_status take(const struct clrnn_worker *w, uint32_t from, void *data, size_t bytes)
{
    struct clrnn_team *t = w->team;
    struct offer *o = &t->offer[w->channel][from];
    enum clrnn_status st;

    pthread_mutex_lock(&t->lock);
    while (!o->wanted[w->local] && t->failed == CLRNN_OK)
        pthread_cond_wait(&t->changed, &t->lock);
    st = t->failed;
    if (st == CLRNN_OK) {
        o->wanted[w->local] = false;
        o->left--;
        o->copying++;
    }
    pthread_mutex_unlock(&t->lock);
    TRY(st);
    memcpy(data, o->data, bytes);
    pthread_mutex_lock(&t->lock);
    if (!--o->copying)
        pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    return CLRNN_OK;
}

// ---------------------------------------------------------------- between any two workers

static uint32_t rank_of(const struct clrnn_team *t, uint32_t number)
{
    uint32_t rank = 0;

    while (t->first[rank + 1] <= number)
        rank++;
    return rank;
}

static const struct clrnn_log *log_of(const struct clrnn_worker *w)
{
    return &w->team->worker[w->local].log;
}

static uint32_t tag_of(uint32_t from, uint32_t to)
{
    return from * CLRNN_MOST_DEVICES + to;
}

enum clrnn_status clrnn_transfer_begin(const struct clrnn_worker *w, enum clrnn_message_kind kind, uint32_t other,
                                       void *data, size_t bytes, struct clrnn_transfer *transfer)
{
    const struct clrnn_team *t = w->team;
    const bool is_broadcast = kind == CLRNN_MESSAGE_BROADCAST;
    const uint32_t rank = is_broadcast ? 0 : rank_of(t, other), local = other - t->first[rank];

    *transfer = (struct clrnn_transfer){
        .worker = w,
        .other = local,
        .remote = is_broadcast ? !w->local && t->ranks > 1 : rank != t->rank,
        .message = {.kind = kind, .channel = w->channel, .other = rank, .data = data, .bytes = bytes}};
    if (kind == CLRNN_MESSAGE_SEND)
        transfer->message.tag = tag_of(w->local, local);
    else if (kind == CLRNN_MESSAGE_RECEIVE)
        transfer->message.tag = tag_of(local, w->local);
    if (transfer->remote)
        return clrnn_message_begin(log_of(w), &transfer->message);
    return kind == CLRNN_MESSAGE_SEND ? offer(w, local, local + 1, data) : CLRNN_OK;
}

enum clrnn_status clrnn_transfer_test(struct clrnn_transfer *transfer, bool *done)
{
    *done = true;
    return transfer->remote ? clrnn_message_test(log_of(transfer->worker), &transfer->message, done) : CLRNN_OK;
}

enum clrnn_status clrnn_transfer_finish(struct clrnn_transfer *transfer)
{
    const struct clrnn_worker *w = transfer->worker;
    struct clrnn_message *m = &transfer->message;

    if (transfer->remote)
        TRY(clrnn_message_wait(log_of(w), m));
    if (m->kind == CLRNN_MESSAGE_BROADCAST)
        return w->local             ? take(w, 0, m->data, m->bytes)
               : w->team->count > 1 ? offer(w, 0, w->team->count, m->data)
                                    : CLRNN_OK;
    return m->kind == CLRNN_MESSAGE_RECEIVE && !transfer->remote ? take(w, transfer->other, m->data, m->bytes)
                                                                 : CLRNN_OK;
}

static enum clrnn_status transfer(const struct clrnn_worker *w, enum clrnn_message_kind kind, uint32_t other,
                                  void *data, size_t bytes)
{
    struct clrnn_transfer transfer;

    TRY(clrnn_transfer_begin(w, kind, other, data, bytes, &transfer));
    return clrnn_transfer_finish(&transfer);
}

enum clrnn_status clrnn_worker_send(const struct clrnn_worker *w, uint32_t to, void *data, size_t bytes)
{
    return transfer(w, CLRNN_MESSAGE_SEND, to, data, bytes);
}

enum clrnn_status clrnn_worker_receive(const struct clrnn_worker *w, uint32_t from, void *data, size_t bytes)
{
    return transfer(w, CLRNN_MESSAGE_RECEIVE, from, data, bytes);
}

enum clrnn_status clrnn_worker_broadcast(const struct clrnn_worker *w, void *data, size_t bytes)
{
    return transfer(w, CLRNN_MESSAGE_BROADCAST, 0, data, bytes);
}
