#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A new op is the files of its stem and one name in a list: adds the op `square` to a copy of the tree, as TAP.

    test_new_op.py ROOT

The copy must build, pass the op's own test on the device at hand, and self-test the op in `clrnn devices`.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

LIST = "op_stems = ['feed', "
STEM = {
    "src/ops/square.h": """\
#ifndef CLRNN_SRC_OPS_SQUARE_H
#define CLRNN_SRC_OPS_SQUARE_H
#define CLRNN_SQUARE_OPS(X) X(SQUARE_FWD, square, square_fwd) X(SQUARE_BWD, square, square_bwd)
enum { SQUARE_X };
enum { SQUARE_Y };
enum { SQUARE_BWD_X, SQUARE_BWD_DY };
enum { SQUARE_DX };
struct clrnn_square_attributes {
    double factor;
};
#endif
""",
    "src/ops/square.c": """\
#include "ops/graph.h"

enum clrnn_status clrnn_square_fwd(struct clrnn_launches *l, const struct clrnn_graph *g, const struct clrnn_op *op)
{
    return clrnn_launch_kernel(l, "square", "square_fwd", DEFINES({"UNUSED", 0}), RANGE1((size_t)op->T * op->N * op->C),
                               clrnn_class_cost(&clrnn_square_fwd_class, g, op),
                               ARGS(BUF(clrnn_in(g, op, SQUARE_X)), BUF(clrnn_out(g, op, SQUARE_Y)),
                                    UINT((size_t)op->T * op->N * op->C), REAL(op->square.factor)));
}

enum clrnn_status clrnn_square_bwd(struct clrnn_launches *l, const struct clrnn_graph *g, const struct clrnn_op *op)
{
    return clrnn_launch_kernel(l, "square", "square_bwd", DEFINES({"UNUSED", 0}), RANGE1((size_t)op->T * op->N * op->C),
                               clrnn_class_cost(&clrnn_square_bwd_class, g, op),
                               ARGS(BUF(clrnn_in(g, op, SQUARE_BWD_X)), BUF(clrnn_in(g, op, SQUARE_BWD_DY)),
                                    BUF(clrnn_out(g, op, SQUARE_DX)), UINT((size_t)op->T * op->N * op->C),
                                    REAL(op->square.factor)));
}

static const struct clrnn_op_backward backward = {
    .kind = CLRNN_OP_SQUARE_BWD, .dy = SQUARE_BWD_DY, .dx = SQUARE_DX, .in_count = 1, .in = {{SQUARE_BWD_X, SQUARE_X}}};
const struct clrnn_op_class clrnn_square_fwd_class = {.backward = &backward};
const struct clrnn_op_class clrnn_square_bwd_class = {0};
""",
    "cl/square.cl": """\
#include "common.h"

kernel void square_fwd(global const real *x, global real *y, uint count, real factor)
{
    const size_t e = get_global_id(0);

    if (e < count)
        y[e] = factor * x[e] * x[e];
}

kernel void square_bwd(global const real *x, global const real *dy, global real *dx, uint count, real factor)
{
    const size_t e = get_global_id(0);

    if (e < count)
        dx[e] = 2 * factor * x[e] * dy[e];
}
""",
    "src/reference/square.c": """\
#include "reference/rows.h"

static bool square_fwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const double *x = in[SQUARE_X];
    double *y = out[SQUARE_Y];

    for (size_t e = 0; e < ref_rows(op) * op->C; e++)
        y[e] = op->square.factor * x[e] * x[e];
    return true;
}

static bool square_bwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const double *x = in[SQUARE_BWD_X], *dy = in[SQUARE_BWD_DY];
    double *dx = out[SQUARE_DX];

    for (size_t e = 0; e < ref_rows(op) * op->C; e++)
        dx[e] = 2 * op->square.factor * x[e] * dy[e];
    return true;
}

const struct clrnn_reference clrnn_square_fwd_reference = {square_fwd, {{ANY_SLOT, 4, TERMS_ONE, OF_ELEMENT}}};
const struct clrnn_reference clrnn_square_bwd_reference = {square_bwd, {{ANY_SLOT, 4, TERMS_ONE, OF_ELEMENT}}};
""",
    "src/reference/square_cases.c": """\
#include "base/log.h"
#include "reference/cases.h"

enum clrnn_status clrnn_square_cases(struct clrnn_cases *s, const struct clrnn_case_size *z)
{
    clrnn_case_begin(s, CLRNN_OP_SQUARE_FWD, z, z->C);
    s->check->op.square.factor = 0.5;
    clrnn_check_real(s->check, SQUARE_X, clrnn_case_rows(z) * z->C);
    clrnn_case_out(s, SQUARE_Y, clrnn_case_rows(z) * z->C);
    TRY(clrnn_case_run(s));
    clrnn_case_begin(s, CLRNN_OP_SQUARE_BWD, z, z->C);
    s->check->op.square.factor = 0.5;
    clrnn_check_real(s->check, SQUARE_BWD_X, clrnn_case_rows(z) * z->C);
    clrnn_check_real(s->check, SQUARE_BWD_DY, clrnn_case_rows(z) * z->C);
    clrnn_case_out(s, SQUARE_DX, clrnn_case_rows(z) * z->C);
    return clrnn_case_run(s);
}
""",
    "tests/ops/test_square.c": """\
#include "op_test.h"

static void shapes(void **state)
{
    struct clrnn_check *t = *state;

    clrnn_check_begin(t, CLRNN_OP_SQUARE_FWD, 2, 3, 5, 1);
    t->op.square.factor = 3;
    clrnn_check_real(t, SQUARE_X, 30);
    clrnn_check_out(t, SQUARE_Y, CLRNN_REAL, 30, 1e-6);
    op_test_run(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes)};

    return cmocka_run_group_tests_name("ops/square", tests, op_test_open, op_test_close);
}
""",
}


def run(*command, folder, wanted=(0,)):
    result = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            check=False)
    assert result.returncode in wanted, f"{' '.join(command)}: exit {result.returncode}\n{result.stdout[-4000:]}"
    return result.stdout


def builds(tree):
    """The tree with the stem's files and one word more."""
    recipe = (tree / "meson.build").read_text(encoding="utf-8")
    assert recipe.count(LIST) == 1, "meson.build has no longer " + LIST
    (tree / "meson.build").write_text(recipe.replace(LIST, LIST + "'square', "), encoding="utf-8")
    for name, text in STEM.items():
        assert not (tree / name).exists()
        (tree / name).write_text("// SPDX-License-Identifier: MIT\n" + text, encoding="utf-8")
    run("meson", "setup", "build", "--buildtype=plain", "-Ddefault_library=static", "-Ddocs=disabled", "-Dman=disabled",
        "-Dcompletions=disabled", "-Dtests=enabled", folder=tree)
    run("ninja", "-C", "build", "tools/clrnn", "tests/ops/test_ops_square", folder=tree)


def passes(tree):
    """The op's test: the margins of its tensors, the reference, the same bits twice."""
    run("build/tests/ops/test_ops_square", folder=tree)


def self_tested(tree):
    """`clrnn devices` lists both ops and finds nothing wrong with them."""
    report = json.loads(run("build/tools/clrnn", "devices", "--quiet", "--json", folder=tree, wanted=(0, 1)))
    found = [op for row in report for op in (row["self_test"] or {"ops": []})["ops"]
             if op["op"] in ("square_fwd", "square_bwd")]
    assert len(found) >= 2 and not any(op["wrong"] for op in found), found


def main():
    root = pathlib.Path(sys.argv[1]).resolve()
    tests = (builds, passes, self_tested)
    failed = 0
    print(f"1..{len(tests)}")
    with tempfile.TemporaryDirectory(prefix="clrnn-new-op-") as folder:
        tree = pathlib.Path(folder)
        for name in ("cl", "doc", "examples", "include", "python", "src", "tests", "third_party", "tools"):
            shutil.copytree(root / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("meson.build", "meson_options.txt"):
            shutil.copy(root / name, tree)
        for number, test in enumerate(tests, 1):
            try:
                test(tree)
                print(f"ok {number} - {test.__name__}", flush=True)
            except AssertionError as error:
                failed += 1
                for line in str(error).splitlines():
                    print(f"# {line}")
                print(f"not ok {number} - {test.__name__}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
