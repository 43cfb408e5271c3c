#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`clrnn export --to c`: the C code against `clrnn predict`, for every kind of layer, as TAP.

    test_export_c.py CLRNN ROOT [TEST...]

CLRNN_EXPORT_ALL: every case on every target, and the recorded runs; otherwise a few of them where that takes long."""
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys

import export_cases as cases
from c_code import STRICT, check, compile_c, export, read_npy_as, run_c
from harness import Skip, main, write_npy

ROOT = pathlib.Path(sys.argv.pop(2))
TARGETS = {"aarch64": ("aarch64-linux-gnu-gcc", "qemu-aarch64"), "armhf": ("arm-linux-gnueabihf-gcc", "qemu-arm"),
           "riscv64": ("riscv64-linux-gnu-gcc", "qemu-riscv64")}

def every_layer(c):
    worst = 0
    for name, (layers, options) in cases.CASES.items():
        shutil.rmtree(c.folder / "run", ignore_errors=True)
        shutil.rmtree(c.folder / "c", ignore_errors=True)
        cases.train(c, layers, options)
        export(c)
        compile_c(c)
        for shape in cases.shapes(options):
            error = check(c, shape, "tokens" in options, shape[1])
            worst = max(worst, error)
        compile_c(c, program="example", source="net_main.c")
        subprocess.run(["./example"], cwd=c.folder / "c", check=True, capture_output=True)
        causal = "#define NET_CAUSAL 1" in (c.folder / "c/net.h").read_text()
        whole = any(word in layers for word in ("bidirectional", "1d", "flatten"))
        assert causal == (not whole or name.startswith("behind_pool")), name
    print(f"# largest error {worst:.2g} of the largest output")


def random_models(c):
    """Layers in any order, nested, with several pools."""
    for seed in cases.random_seeds():
        layers, options = cases.random_case(seed)
        shutil.rmtree(c.folder / "run", ignore_errors=True)
        cases.train(c, layers, options)
        export(c)
        compile_c(c)
        try:
            for shape in cases.shapes(options):
                check(c, shape, False, shape[1])
        except AssertionError as error:
            raise AssertionError(f"{layers}: {error}") from error


def cpp(c):
    if not shutil.which("g++"):
        raise Skip("no g++")
    for name in ("lstm_last", "gru_bi_max", "embedding_bi", "dense", "activations", "concat_pools", "residual_conv",
                 "flatten", "ln_lstm_proj", "ln_gru"):
        cases.train(c, *cases.CASES[name], run=name)
        for kind in ("f32", "int8"):
            export(c, "--type", kind, run=name)
            subprocess.run(["g++", "-x", "c++", *STRICT, "net.c", "net_main.c", "-o", "cpp", "-lm"],
                           cwd=c.folder / "c", check=True)
            subprocess.run(["./cpp"], cwd=c.folder / "c", check=True, capture_output=True)


def other_machines(c):
    found = {name: pair for name, pair in TARGETS.items() if all(map(shutil.which, pair))}
    if not found:
        raise Skip("no cross compiler with qemu-user")
    chosen = cases.CASES if "CLRNN_EXPORT_ALL" in os.environ else ("lstm_last", "gru_bi_max", "embedding_bi",
                                                                            "concat_pools")
    worst = dict.fromkeys(found, 0)
    for name in chosen:
        layers, options = cases.CASES[name]
        shutil.rmtree(c.folder / "run", ignore_errors=True)
        cases.train(c, layers, options)
        export(c)
        for target, (compiler, emulator) in found.items():
            compile_c(c, compiler, more=["-static"])
            shape = (2, 6 if "fixed" in options else 9)
            worst[target] = max(worst[target], check(c, shape, "tokens" in options, 4, runner=[emulator]))
    print(f"# {', '.join(f'{target}: {error:.2g}' for target, error in worst.items())}")


def examples(c):
    """Every example's model, on made-up data of its shape."""
    for path, tokens in cases.examples(c, ROOT):
        export(c)
        compile_c(c)
        check(c, (3, 12), tokens, 2)
        print(f"# {path.name}")


def own_data(c):
    """(name, config's text, data, their lengths or None) of the recorded runs and the reference sets beside the
    checkout, each trained for an epoch as `run`."""
    for case in cases.recorded_runs(ROOT):
        text = cases.train_recorded(c, case)
        yield case.name, text, case / "X_valid.npy", case / "lengths_valid.npy" if "lengths_valid" in text else None
    for path in sorted((ROOT.parent / "shared" / "refs").glob("*.yaml")):
        c.run("train", str(path), "--device", "ref", "--set", "train.epochs=1", "--out", "run", "--quiet")
        text = path.read_text()
        x, lengths = (re.search(rf"valid:.*?{key}: ([^,}}]+)", text, re.S) for key in ("x", "lengths"))
        yield path.stem, text, path.parent / x[1], path.parent / lengths[1] if lengths else None


def recorded(c):
    """Models and data of recorded runs and reference sets: 40 sequences here, three on the other machines."""
    if "CLRNN_EXPORT_ALL" not in os.environ:
        raise Skip("CLRNN_EXPORT_ALL is not set")
    found = {name: pair for name, pair in TARGETS.items() if all(map(shutil.which, pair))}
    worst, tried = dict.fromkeys(("here", *found), 0), 0
    for name, text, x, lengths in own_data(c):
        shutil.rmtree(c.folder / "c", ignore_errors=True)
        if "track_running_stats: false" in text:
            export(c, status=2)
            continue
        export(c)
        tokens = "embedding" in text
        shape, values = read_npy_as(x, tokens)
        shape = (shape[0], 1, shape[1]) if len(shape) == 2 and not tokens else shape
        _, expected = cases.predict(c, "run", str(x), lengths and str(lengths))
        steps_of = read_npy_as(lengths, True)[1] if lengths else [shape[1]] * shape[0]
        size, outs = len(values) // shape[0], len(expected) // shape[0]
        width, largest = size // shape[1], max(map(abs, expected))
        for machine, (compiler, *runner) in (("here", ("gcc",)), *found.items()):
            compile_c(c, compiler, more=["-static"] if runner else [])
            for n in range(min(shape[0], 3 if runner else 40)):  # each sample with its own length
                sample = values[n * size:n * size + steps_of[n] * width]
                whole, steps = run_c(c, (1, steps_of[n]), sample, tokens, runner)
                wanted = expected[n * outs:n * outs + len(whole)]
                error = max(abs(a - b) for a, b in zip(whole, wanted)) / largest
                assert steps is None or cases.difference(steps, whole) <= 1e-6, (name, machine)
                assert error <= 1e-5 or "round" in text, f"{name}, {machine}: {error}"
                worst[machine] = max(worst[machine], 0 if "round" in text else error)
        tried += 1
    if not tried:
        raise Skip("no recorded runs beside this checkout")
    print(f"# {tried} models, {', '.join(f'{machine}: {error:.2g}' for machine, error in worst.items())}")


def small(c):
    """An LSTM 16 -> 64 has under 4 kB of RAM besides its input: stack frames of all functions, and no static data."""
    c.write("small.yaml", """\
model: {layers: [lstm: {hidden_size: 64}, pool, linear: {out_features: 6}]}
train: {loss: cross_entropy, optimizer: {adam: {}}, epochs: 1}
data:
  train: {synthetic: {samples: 8, steps: 10, features: 16, classes: 6, seed: 1}}
  normalize: standard
""")
    c.run("train", "small.yaml", "--device", "ref", "--out", "run", "--quiet")
    for kind in ("f32", "int8"):
        export(c, "--type", kind)
        subprocess.run(["gcc", "-std=c99", "-Os", "-fstack-usage", "-c", "net.c"], cwd=c.folder / "c", check=True)
        stack = sum(int(line.split("\t")[1]) for line in (c.folder / "c/net.su").read_text().splitlines())
        sizes = subprocess.run(["size", "net.o"], cwd=c.folder / "c", check=True, capture_output=True, text=True).stdout
        text, data, bss = map(int, sizes.splitlines()[1].split()[:3])
        print(f"# {kind}: flash {text}, stack {stack}, static {data + bss} bytes")
        assert data + bss == 0 and stack < 4096, f"stack {stack}, static {data + bss}"
        claimed = int(re.search(r"RAM: (\d+) bytes", (c.folder / "c/net.h").read_text())[1])
        assert claimed <= stack <= claimed + 1024, f"the header says {claimed}, the compiler {stack}"


def refuses(c, steps):
    """Whether predict returns -1 for a sequence of that many steps."""
    data = struct.pack("<2i", 1, steps) + bytes(4 * steps * cases.FEATURES)
    code = subprocess.run(["./driver"], input=data, cwd=c.folder / "c", check=False, capture_output=True).returncode
    assert code in (0, 3), code
    return code == 3


def long_sequences(c):
    """Sequences longer than NAME_MAX_T, or too short for a window, are refused."""
    cases.train(c, *cases.CASES["gru_bi_max"])
    export(c)
    compile_c(c, more=["-DNET_MAX_T=6"])
    check(c, (1, 6), False, 1)
    assert refuses(c, 7) and not refuses(c, 6)
    for name, bad, good in (("conv_same", 1, 2), ("flatten", 5, 6), ("flatten_bi", 7, 6)):
        cases.train(c, *cases.CASES[name])
        export(c)
        compile_c(c)
        assert refuses(c, bad) and not refuses(c, good), name


def names(c):
    """Names of columns and classes are macros, whatever characters they hold."""
    cases.train_table(c)
    export(c)
    c.write("c/names.c", """\
#include <stdio.h>
#include "net.h"
int main(void)
{
    static const char *const names[] = NET_COLUMN_NAMES, *const classes[] = NET_CLASS_NAMES;
    int i;
    for (i = 0; i < NET_FEATURES; i++)
        puts(names[i]);
    for (i = 0; i < NET_OUTPUTS; i++)
        puts(classes[i]);
    return 0;
}
""")
    subprocess.run(["gcc", "-std=c99", "-trigraphs", *STRICT, "names.c", "-o", "names"], cwd=c.folder / "c", check=True)
    out = subprocess.run(["./names"], cwd=c.folder / "c", check=True, capture_output=True).stdout.decode()
    assert out.splitlines() == cases.COLUMNS + cases.CLASS_NAMES, out


def facts(c):
    """What is needed to read the outputs is macros: quantiles, the blank, how far a forecast reaches."""
    cases.train_forecast(c)
    export(c)
    c.write("c/facts.c", """\
#include <stdio.h>
#include "net.h"
int main(void)
{
    static const float quantiles[] = NET_QUANTILES, fill[] = NET_COLUMN_FILL;
    int i;
    for (i = 0; i < 3; i++)
        printf("%.7g ", (double)quantiles[i]);
    printf("%s %d %d %d %d", NET_LOSS, NET_WINDOW, NET_HORIZON, NET_OUTPUTS, (int)(sizeof(fill) / sizeof(*fill)));
    return 0;
}
""")
    for compiler in (["gcc", "-std=c99"], ["g++", "-x", "c++"]):
        if shutil.which(compiler[0]):
            subprocess.run([*compiler, *STRICT, "facts.c", "-o", "facts"], cwd=c.folder / "c", check=True)
            out = subprocess.run(["./facts"], cwd=c.folder / "c", check=True, capture_output=True, text=True).stdout
            assert out == f"{' '.join(map(str, cases.QUANTILES))} quantile 6 3 18 2", out
    cases.train(c, *cases.CASES["ctc"])
    export(c)
    assert "#define NET_BLANK 0\n" in (c.folder / "c/net.h").read_text()


def refusals(c):
    layers = "[gru: {hidden_size: 4}, batchnorm: {track_running_stats: false}, pool, linear: {out_features: 3}]"
    cases.train(c, layers, "")
    _, err = export(c, status=2)
    assert all(word in err for word in ("layers[1] (batchnorm)", "track_running_stats", "cannot be exported to C")), err
    assert not (c.folder / "c").exists(), "a refused export leaves a folder"
    cases.train(c, *cases.CASES["dense"], run="good")
    for name in ("1st", "a-b", "while", "", "a/b", "é", "x" * 70):
        export(c, run="good", name=name, status=2)
    assert not (c.folder / "c").exists(), "a refused name leaves a folder"
    c.run("export", "good", "--to", "c", status=2)
    c.run("export", "good", "--to", "c", "--out", "c", "--type", "int4", status=2)
    c.run("export", "good", "--to", "safetensors", "--name", "net", "--out", "w", status=2)
    export(c, run="good")
    export(c, run="good")
    c.write("c/net.h", "mine\n")
    before = (c.folder / "c/net.c").read_bytes()
    export(c, run="good", status=2)
    assert (c.folder / "c/net.h").read_text() == "mine\n" and (c.folder / "c/net.c").read_bytes() == before
    assert sorted(os.listdir(c.folder / "c")) == ["net.c", "net.h", "net_main.c", "net_test.h"]


def short_disk(c):
    """A file that does not fit leaves all four as they were, and one sentence."""
    write_npy(c.folder / "X.npy", "<f4", (8, 2, 200), [n % 7 / 7 for n in range(8 * 400)])
    write_npy(c.folder / "y.npy", "<i8", (8,), [n % 2 for n in range(8)])
    c.write("case.yaml", cases.config("[pool, linear: {out_features: 2}]", ""))
    c.run("train", "case.yaml", "--device", "ref", "--out", "run", "--quiet")
    export(c)
    before = {path.name: path.read_bytes() for path in (c.folder / "c").iterdir()}
    sizes = {name: len(data) for name, data in before.items()}
    c.run("train", "case.yaml", "--device", "ref", "--out", "run", "--quiet", "--set", "train.seed=9")
    assert max(sizes, key=sizes.get) == "net_test.h", sizes
    for limit in (100, sizes["net.c"] - 100, sizes["net_test.h"] - 100):
        _, err = export(c, status=5, limit=limit)
        assert err.count("\n") == 1 and "cannot be written" in err, err
        assert {path.name: path.read_bytes() for path in (c.folder / "c").iterdir()} == before, limit


def same_bytes(c):
    cases.train(c, *cases.CASES["lstm_last"])
    export(c)
    first = {path.name: path.read_bytes() for path in (c.folder / "c").iterdir()}
    export(c)
    assert first == {path.name: path.read_bytes() for path in (c.folder / "c").iterdir()}


sys.exit(main([every_layer, random_models, cpp, other_machines, examples, recorded, small, long_sequences, names,
               facts, refusals, short_disk, same_bytes]))
