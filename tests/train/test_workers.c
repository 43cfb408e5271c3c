// SPDX-License-Identifier: MIT
// Workers in threads: messages, sums along the tree for any number of workers, and the failure of a worker.
#include "tests/test.h"

#include "base/array.h"
#include "train/tree.h"

enum { NUMBERS = 5, ROUNDS = 3, MOST = 7 };

struct part {
    struct clrnn_worker *worker;
    uint32_t shards, piece; // piece: numbers per message; 0: all
    float total[ROUNDS][NUMBERS];
    uint32_t fails;       // number of the worker that fails in the second round; MOST: no worker
    bool reduces;         // this is the part of an additional thread, on channel REDUCE
    struct part *further; // part of this worker's additional thread, or NULL
    enum clrnn_status status;
};

static struct test_log listening;

static void add(void *left, const void *right, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ((float *)left)[i] += ((const float *)right)[i];
}

// Fills in the values of this worker's shards and sums them up over all workers. The values are rounded floats, so that
// another order of additions would give other bits.
static enum clrnn_status sum_up(struct part *p, struct clrnn_tree *tree, uint32_t round)
{
    const struct clrnn_worker *w = p->worker;
    const uint32_t end = clrnn_tree_first(p->shards, w->number + 1, w->count);
    void *value;

    for (uint32_t shard = clrnn_tree_first(p->shards, w->number, w->count); shard < end; shard++) {
        TRY(clrnn_tree_next(tree, &value));
        for (uint32_t i = 0; i < NUMBERS; i++)
            ((float *)value)[i] = 1.0f / (float)(1 + shard * shard + i + 10 * round);
    }
    if (round == 1 && w->number == p->fails)
        return clrnn_error(clrnn_device_log(w->device), CLRNN_ERR_MEMORY, "worker %u has failed", w->number);
    TRY(clrnn_tree_total(tree, &value));
    memcpy(p->total[round], value, sizeof(p->total[round]));
    return CLRNN_OK;
}

static enum clrnn_status sum_all(struct part *p)
{
    const struct clrnn_tree_params params = {
        .shards = p->shards, .count = NUMBERS, .size = sizeof(float), .piece = p->piece, .sum = add};
    struct clrnn_tree *tree;
    enum clrnn_status st =
        clrnn_tree_create(p->reduces ? clrnn_worker_on(p->worker, CLRNN_CHANNEL_REDUCE) : p->worker, &params, &tree);

    for (uint32_t round = 0; st == CLRNN_OK && round < ROUNDS; round++)
        st = sum_up(p, tree, round);
    clrnn_tree_destroy(&tree);
    return st;
}

// The additional thread of a worker: computes the same sums as the worker's own thread, on another channel. Its error
// ends all waits.
static void *work_on(void *user)
{
    struct part *p = user;

    p->status = sum_all(p);
    if (p->status != CLRNN_OK)
        clrnn_worker_fail(p->worker, p->status);
    return NULL;
}

static enum clrnn_status work(void *user)
{
    struct part *p = user;
    enum clrnn_status st;
    pthread_t thread;

    clrnn_worker_begin(p->worker);
    if (p->further)
        assert_int_equal(clrnn_worker_thread(&thread, work_on, p->further), 0);
    st = sum_all(p);
    if (p->further) {
        if (st != CLRNN_OK)
            clrnn_worker_fail(p->worker, st);
        pthread_join(thread, NULL);
    }
    clrnn_worker_end(p->worker);
    return st;
}

// Runs `count` workers and stores their sums in `part`. Worker `fails` fails, if there is a worker of this number.
static enum clrnn_status run_team(struct clrnn_device **device, uint32_t shards, uint32_t count, uint32_t fails,
                                  struct part part[MOST])
{
    void *user[MOST];
    struct clrnn_team *team;
    enum clrnn_status st;

    assert_int_equal(clrnn_team_create(&listening.log, device, count, &team), CLRNN_OK);
    for (uint32_t i = 0; i < count; i++) {
        part[i] =
            (struct part){.worker = clrnn_team_worker(team, i), .shards = shards, .piece = count % 3, .fails = fails};
        user[i] = &part[i];
    }
    st = clrnn_team_start(team, work, user);
    if (st == CLRNN_OK)
        st = work(user[0]);
    st = clrnn_team_join(team, st);
    clrnn_team_destroy(&team);
    return st;
}

static void open_devices(struct clrnn_device *device[MOST])
{
    const struct clrnn_device_params params = {.select = "ref", .log = &listening.log};

    test_log_init(&listening);
    for (int i = 0; i < MOST; i++)
        assert_int_equal(clrnn_device_open(&params, &device[i]), CLRNN_OK);
}

static void close_devices(struct clrnn_device *device[MOST])
{
    for (int i = 0; i < MOST; i++) {
        assert_ptr_equal(clrnn_device_log(device[i]), &listening.log); // its own log again
        clrnn_device_destroy(&device[i]);
    }
}

static void test_same_sums(void **state)
{
    static const uint32_t shards[] = {1, 2, 5, 7, 8, 16, 23};
    struct part alone[MOST], part[MOST];
    struct clrnn_device *device[MOST];

    (void)state;
    open_devices(device);
    for (size_t s = 0; s < ARRAY_SIZE(shards); s++) {
        assert_int_equal(run_team(device, shards[s], 1, MOST, alone), CLRNN_OK);
        for (uint32_t count = 2; count <= MIN2(shards[s], MOST); count++) {
            assert_int_equal(run_team(device, shards[s], count, MOST, part), CLRNN_OK);
            for (uint32_t i = 0; i < count; i++)
                assert_memory_equal(part[i].total, alone[0].total, sizeof(part[i].total));
        }
    }
    assert_int_equal(listening.lines, 0);
    close_devices(device);
}

static void test_failure(void **state)
{
    struct clrnn_device *device[MOST];
    struct part part[MOST];

    (void)state;
    open_devices(device);
    for (uint32_t fails = 0; fails < MOST; fails++) {
        char expected[64];

        test_log_init(&listening);
        snprintf(expected, sizeof(expected), "device ref (ref): worker %u has failed", fails);
        assert_int_equal(run_team(device, 16, MOST, fails, part), CLRNN_ERR_MEMORY);
        assert_int_equal(listening.lines, 1);
        assert_string_equal(listening.text, expected);
    }
    close_devices(device);
}

// Each worker has two threads that exchange messages at once, on two channels. Neither may receive the messages of the
// other.
static void test_channels(void **state)
{
    enum { COUNT = 5, SHARDS = 11 };
    struct clrnn_device *device[MOST];
    struct part alone[MOST], part[COUNT], further[COUNT];
    struct clrnn_team *team;
    void *user[COUNT];
    enum clrnn_status st;

    (void)state;
    open_devices(device);
    assert_int_equal(run_team(device, SHARDS, 1, MOST, alone), CLRNN_OK);
    for (uint32_t fails = 3; fails <= MOST; fails += MOST - 3) { // worker 3's second thread fails; then none
        test_log_init(&listening);
        assert_int_equal(clrnn_team_create(&listening.log, device, COUNT, &team), CLRNN_OK);
        for (uint32_t i = 0; i < COUNT; i++) {
            struct clrnn_worker *w = clrnn_team_worker(team, i);

            further[i] = (struct part){.worker = w, .shards = SHARDS, .fails = fails, .reduces = true};
            part[i] = (struct part){.worker = w, .shards = SHARDS, .fails = MOST, .further = &further[i]};
            user[i] = &part[i];
        }
        st = clrnn_team_start(team, work, user);
        if (st == CLRNN_OK)
            st = work(user[0]);
        st = clrnn_team_join(team, st);
        clrnn_team_destroy(&team);
        assert_int_equal(st, fails == MOST ? CLRNN_OK : CLRNN_ERR_MEMORY);
        assert_int_equal(listening.lines, fails != MOST);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_memory_equal(part[i].total, alone[0].total, sizeof(part[i].total));
        assert_memory_equal(further[i].total, alone[0].total, sizeof(part[i].total));
    }
    close_devices(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_sums),
        cmocka_unit_test(test_failure),
        cmocka_unit_test(test_channels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
