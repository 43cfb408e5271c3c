// SPDX-License-Identifier: MIT
// YAML trees: positions, errors, assignments from the command line, writing.
#include "base/array.h"
#include "base/yaml.h"
#include "tests/folder.h"

static struct test_log kept = {.log = {.fn = test_log_fn, .user = &kept, .level = CLRNN_LOG_DEBUG}};

static struct clrnn_node *parse(const char *text)
{
    struct clrnn_node *root;

    if (clrnn_yaml_parse(&kept.log, text, "t.yaml", &root) != CLRNN_OK)
        fail_msg("%s\nis refused: %s", text, kept.text);
    return root;
}

// Checks that parsing fails with one message that contains `message`, and sets the root to NULL.
static void refuse(const char *text, const char *message)
{
    struct clrnn_node *root = (struct clrnn_node *)1;

    kept.lines = 0;
    if (clrnn_yaml_parse(&kept.log, text, "t.yaml", &root) != CLRNN_ERR_CONFIG)
        fail_msg("%s\nis taken, expected \"%s\"", text, message);
    assert_null(root);
    assert_int_equal(kept.lines, 1);
    if (!strstr(kept.text, message))
        fail_msg("%s\ngives \"%s\", expected \"%s\"", text, kept.text, message);
}

static void test_places(void **state)
{
    struct clrnn_node *root = parse("# a comment\n"
                                    "model:\n"
                                    "  layers:\n"
                                    "  - relu\n"
                                    "  - {rnn: {hidden_size: 3}}\n"
                                    "quoted: 'null'\n"
                                    "empty:\n");
    const struct clrnn_node *layers = clrnn_node_find(clrnn_node_find(root, "model"), "layers"), *node;

    (void)state;
    assert_int_equal(layers->kind, CLRNN_NODE_LIST);
    assert_int_equal(layers->count, 2);
    assert_string_equal(layers->key, "layers");
    assert_true(layers->line == 3 && layers->column == 3);
    assert_string_equal(layers->child[0]->text, "relu");
    assert_true(layers->child[0]->line == 4 && layers->child[0]->column == 5);
    node = clrnn_node_find(clrnn_node_find(layers->child[1], "rnn"), "hidden_size");
    assert_true(node->line == 5 && node->column == 12 && !node->quoted);
    assert_string_equal(node->text, "3");
    assert_string_equal(node->file, "t.yaml");
    assert_true(clrnn_node_find(root, "quoted")->quoted);
    assert_string_equal(clrnn_node_find(root, "empty")->text, "");
    assert_null(clrnn_node_find(root, "model2"));
    assert_null(clrnn_node_find(layers, "relu"));
    assert_null(clrnn_node_find(NULL, "relu"));
    clrnn_yaml_destroy(&root);
    assert_null(root);
    clrnn_yaml_destroy(&root);
}

static void test_empty(void **state)
{
    static const char *const text[] = {"", "\n", "# nothing\n", "---\n", "null"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(text); i++) {
        struct clrnn_node *root = parse(text[i]);

        assert_int_equal(root->kind, CLRNN_NODE_SCALAR);
        assert_false(root->quoted);
        clrnn_yaml_destroy(&root);
    }
}

static void test_refused(void **state)
{
    char deep[400];

    (void)state;
    refuse("a: 1\nb: 2\na: 3\n", "t.yaml:3:1: the key \"a\" stands twice in one map (first in line 1)");
    refuse("a: {b: 1, b: 2}", "t.yaml:1:11: the key \"b\" stands twice");
    refuse("--- 1\n--- 2\n", "t.yaml:2:5: a second document");
    refuse("a: &x [1, *x]", "t.yaml:1:4: an alias refers to what it stands in");
    refuse("a: [1, 2", "t.yaml:");
    refuse("a: [1\nb: 2", "that begins in line 1");
    refuse("a:\n\tb: 1", "indented with spaces");
    refuse("? [a, b]\n: 1", "t.yaml:1:3: a key must be a plain word");
    refuse("a: !mine 3", "t.yaml:1:4: the tag");
    refuse("a: \"x\\0y\"", "t.yaml:1:4: the text holds a NUL");
    refuse("a: \xff", "is no YAML text");
    refuse("a: *nothing", "t.yaml:1:4: is no YAML: found undefined alias");
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    deep[200] = '\0';
    refuse(deep, "more than 64 levels");
}

// Ten aliases of ten aliases, and so on: 10^10 values if all were expanded. The text must be refused.
static void test_billion(void **state)
{
    char text[2000] = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";

    (void)state;
    for (int i = 1; i < 10; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text),
                 "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1, i - 1,
                 i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    refuse(text, "unfolds to more than");
}

static void test_alias(void **state)
{
    struct clrnn_node *root = parse("a: &x {lr: 1}\nb: *x\n");

    (void)state;
    assert_string_equal(clrnn_node_find(clrnn_node_find(root, "b"), "lr")->text, "1");
    clrnn_yaml_destroy(&root);
}

static void test_files(void **state)
{
    char *path = test_folder_path("c.yaml"), *big;
    struct clrnn_node *root;
    FILE *file;

    (void)state;
    assert_int_equal(clrnn_yaml_read(&kept.log, path, &root), CLRNN_ERR_CONFIG);
    assert_non_null(strstr(kept.text, path));
    assert_non_null(strstr(kept.text, "No such file"));
    assert_int_equal(clrnn_yaml_read(&kept.log, test_folder, &root), CLRNN_ERR_CONFIG);
    assert_non_null(strstr(kept.text, "is a folder"));
    assert_null(root);

    big = malloc(100000); // longer than a block in which files are read; the key is at the end
    assert_non_null(big);
    memset(big, '#', 99999);
    memcpy(big + 99990, "\na: end\n\n", 9);
    big[99999] = '\0';
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(big, 1, 99999, file), 99999);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(clrnn_yaml_read(&kept.log, path, &root), CLRNN_OK);
    assert_string_equal(clrnn_node_find(root, "a")->text, "end");
    assert_string_equal(root->file, path);
    clrnn_yaml_destroy(&root);
    free(big);
    free(path);
}

// Applies the assignments (separated by |) to `text`. The result must equal `want` or, if not `good`, the last
// assignment must be refused with the message `want`.
static void check_set(const char *text, const char *assignments, const char *want, bool good)
{
    struct clrnn_node *root = parse(text), *expected;
    char *list = strdup(assignments), *rest = list, *got_text, *want_text;
    enum clrnn_status st = CLRNN_OK;

    assert_non_null(list);
    while (rest && st == CLRNN_OK)
        st = clrnn_node_set(&kept.log, root, strsep(&rest, "|"));
    free(list);
    if (good != (st == CLRNN_OK))
        fail_msg("%s with %s: status %d %s", text, assignments, (int)st, kept.text);
    if (good) {
        expected = parse(want);
        got_text = clrnn_yaml_text(root);
        want_text = clrnn_yaml_text(expected);
        if (strcmp(got_text, want_text))
            fail_msg("%s with %s gives\n%sexpected\n%s", text, assignments, got_text, want_text);
        free(got_text);
        free(want_text);
        clrnn_yaml_destroy(&expected);
    } else if (!strstr(kept.text, want)) {
        fail_msg("%s with %s: \"%s\", expected \"%s\"", text, assignments, kept.text, want);
    }
    clrnn_yaml_destroy(&root);
}

static void test_set(void **state)
{
    (void)state;
    check_set("{a: 1, b: 2}", "a=3", "{a: 3, b: 2}", true);
    check_set("{a: {b: 1}}", "a.b=[1, 2]|a.c={d: 1}", "{a: {b: [1, 2], c: {d: 1}}}", true);
    check_set("", "train.epochs=3", "{train: {epochs: 3}}", true);
    check_set("{a: }", "a.b.c=3", "{a: {b: {c: 3}}}", true);
    check_set("{a: [1, {b: 2}]}", "a.0=5|a.1.b=6", "{a: [5, {b: 6}]}", true);
    check_set("{a: 1}", "a=x=y", "{a: x=y}", true);
    check_set("{a: 1}", "a=", "{a: }", true);
    // A bare name becomes a map. Assigning to another name replaces the only entry of such a map.
    check_set("{train: {optimizer: adam}}", "train.optimizer.adam.lr=1", "{train: {optimizer: {adam: {lr: 1}}}}", true);
    check_set("{train: {optimizer: adam}}", "train.optimizer.sgd.lr=1", "{train: {optimizer: {sgd: {lr: 1}}}}", true);
    check_set("{train: {optimizer: {adam: {lr: 1}}}}", "train.optimizer.sgd={lr: 2}|train.optimizer.sgd.momentum=3",
              "{train: {optimizer: {sgd: {lr: 2, momentum: 3}}}}", true);
    check_set("{train: {scheduler: {step_lr: {step_size: 1}}}}", "train.scheduler.step_lr.gamma=1",
              "{train: {scheduler: {step_lr: {step_size: 1, gamma: 1}}}}", true);
    check_set("{train: {scheduler: {step_lr: {step_size: 1}}}}", "train.scheduler=null", "{train: {scheduler: null}}",
              true);
    check_set("{model: {layers: [{residual: {layers: [lstm: {hidden_size: 1}]}}]}}",
              "model.layers.0.residual.layers.0.gru.hidden_size=2",
              "{model: {layers: [{residual: {layers: [{gru: {hidden_size: 2}}]}}]}}", true);
    check_set("{model: {layers: [{concat: {branches: [[relu, residual: {layers: [relu: {}]}]]}}]}}",
              "model.layers.0.concat.branches.0.1.residual.layers.0.gru.hidden_size=2",
              "{model: {layers: [{concat: {branches: [[relu, {residual: {layers: [{gru: {hidden_size: 2}}]}}]]}}]}}",
              true);
    check_set("{model: {layers: [relu, lstm: {hidden_size: 1}]}}", "model.layers.1.gru.hidden_size=2",
              "{model: {layers: [relu, gru: {hidden_size: 2}]}}", true);
    check_set("{data: {train: {x: a}}}", "data.valid.x=b", "{data: {train: {x: a}, valid: {x: b}}}", true);

    check_set("{a: 1}", "a", "--set a: expected KEY=VALUE", false);
    check_set("{a: 1}", "=1", "expected KEY=VALUE", false);
    check_set("{a: 1}", "a..b=1", "empty part", false);
    check_set("{a: 1}", ".a=1", "empty part", false);
    check_set("{a: [1, 2]}", "a.2=1", "\"2\" is no entry of the list, which has 2", false);
    check_set("{a: [1, 2]}", "a.-1=1", "is no entry", false);
    check_set("{a: [1, 2]}", "a.x.b=1", "is no entry", false);
    check_set("{a: 1}", "a=[1", "--set a:", false);
}

static void test_set_place(void **state)
{
    struct clrnn_node *root = parse("{a: {b: 1}}");
    const struct clrnn_node *node;

    (void)state;
    assert_int_equal(clrnn_node_set(&kept.log, root, "a.c=[7]"), CLRNN_OK);
    node = clrnn_node_find(clrnn_node_find(root, "a"), "c");
    assert_string_equal(node->file, "--set");
    assert_int_equal(node->line, 0);
    assert_string_equal(node->child[0]->file, "--set");
    assert_string_equal(clrnn_node_find(clrnn_node_find(root, "a"), "b")->file, "t.yaml");
    clrnn_yaml_destroy(&root);
}

static void test_text(void **state)
{
    static const char *const awkward[] = {
        "",  "null", "a: b", "- x", "# no", "true", "  two  ", "line\nline", "quote\" ' \\", "\xc3\xa4\xe2\x82\xac",
        "{", "*a",   "!x",   "1e3", "%",    "@"};
    struct clrnn_node *root = clrnn_node_map(), *list, *again;
    char *text;

    (void)state;
    assert_non_null(root);
    list = clrnn_node_add(root, "texts", clrnn_node_list());
    for (size_t i = 0; i < ARRAY_SIZE(awkward); i++)
        assert_non_null(clrnn_node_add(list, NULL, clrnn_node_scalar("%s", awkward[i])));
    assert_non_null(clrnn_node_add(root, "a key: odd", clrnn_node_map()));
    assert_non_null(clrnn_node_add(root, "number", clrnn_node_scalar("%d", 7)));
    text = clrnn_yaml_text(root);
    assert_non_null(text);
    again = parse(text);
    assert_int_equal(clrnn_node_find(again, "texts")->count, ARRAY_SIZE(awkward));
    for (size_t i = 0; i < ARRAY_SIZE(awkward); i++)
        assert_string_equal(clrnn_node_find(again, "texts")->child[i]->text, awkward[i]);
    assert_int_equal(clrnn_node_find(again, "a key: odd")->kind, CLRNN_NODE_MAP);
    clrnn_yaml_destroy(&again);
    clrnn_yaml_destroy(&root);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),  cmocka_unit_test(test_empty),     cmocka_unit_test(test_refused),
        cmocka_unit_test(test_billion), cmocka_unit_test(test_alias),     cmocka_unit_test(test_files),
        cmocka_unit_test(test_set),     cmocka_unit_test(test_set_place), cmocka_unit_test(test_text),
    };

    return cmocka_run_group_tests(tests, test_folder_make, test_folder_remove);
}
