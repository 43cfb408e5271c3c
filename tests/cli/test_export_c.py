#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`clrnn export --to c`: the C code against `clrnn predict`, for every kind of layer, as TAP.

    test_export_c.py CLRNN ROOT [TEST...]

CLRNN_EXPORT_ALL: every case on every target, and the recorded runs; otherwise a few of them where that takes long."""
import math
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys

import export_cases as cases
from harness import Skip, main, read_npy, write_npy

ROOT = pathlib.Path(sys.argv.pop(2))
STRICT = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
TARGETS = {"aarch64": ("aarch64-linux-gnu-gcc", "qemu-aarch64"), "armhf": ("arm-linux-gnueabihf-gcc", "qemu-arm"),
           "riscv64": ("riscv64-linux-gnu-gcc", "qemu-riscv64")}

# Reads N, T and the inputs, writes what predict gives and then, for causal models, what step gives.
DRIVER = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "net.h"
#ifdef NET_TOKENS
typedef int32_t input;
#else
typedef float input;
#endif
int main(void)
{
    int32_t head[2];
    int n, t;
    if (fread(head, 4, 2, stdin) != 2)
        return 2;
    for (n = 0; n < head[0]; n++) {
        const size_t count = (size_t)head[1] * NET_FEATURES;
#if NET_PER_STEP
        const size_t outs = (size_t)NET_OUT_STEPS(head[1]) * NET_OUTPUTS;
#else
        const size_t outs = NET_OUTPUTS;
#endif
        input *x = (input *)malloc(count * sizeof(*x));
        float *out = (float *)malloc(outs * sizeof(*out));
        if (fread(x, sizeof(*x), count, stdin) != count || net_predict(x, head[1], out))
            return 3;
        fwrite(out, sizeof(*out), outs, stdout);
#if NET_CAUSAL
        {
            net_state state;
            net_reset(&state);
            for (t = 0; t < head[1]; t++)
                net_step(&state, x + (size_t)t * NET_FEATURES, NET_PER_STEP ? out + (size_t)t * NET_OUTPUTS : out);
            fwrite(out, sizeof(*out), outs, stdout);
        }
#endif
        (void)t;
        free(x);
        free(out);
    }
    return net_predict(NULL, 0, NULL) == -1 ? 0 : 4;
}
"""


def export(c, *more, run="run", name="net", status=0):
    return c.run("export", run, "--to", "c", "--out", "c", "--name", name, *more, status=status)


def compile_c(c, compiler="gcc", program="driver", source="driver.c", more=()):
    c.write("c/driver.c", DRIVER)
    language = [] if "++" in compiler else ["-std=c99"]
    subprocess.run([compiler, *language, "-O2", *STRICT, *more, "net.c", source, "-o", program, "-lm"],
                   cwd=c.folder / "c", check=True)


def run_c(c, shape, values, tokens, runner=()):
    """(whole, step by step or None): lists of each sample's outputs, one after the other."""
    data = struct.pack(f"<2i{len(values)}{'i' if tokens else 'f'}", *shape, *values)
    out = subprocess.run([*runner, "./driver"], input=data, capture_output=True, cwd=c.folder / "c", check=True).stdout
    floats = struct.unpack(f"<{len(out) // 4}f", out)
    if "#define NET_CAUSAL 0" in (c.folder / "c/net.h").read_text():
        return floats, None
    size = len(floats) // (2 * shape[0])
    parts = [floats[i:i + size] for i in range(0, len(floats), size)]
    return sum(parts[0::2], ()), sum(parts[1::2], ())


def check(c, shape, tokens, seed, bound=1e-5, runner=()):
    values = cases.write_inputs(c.folder / "in.npy", shape, tokens, seed)
    _, expected = cases.predict(c, "run")
    whole, steps = run_c(c, shape, values, tokens, runner)
    assert len(whole) == len(expected), f"{len(whole)} outputs, expected {len(expected)}"
    error = cases.difference(whole, expected)
    assert error <= bound, f"{error} of the largest output off, expected {bound}"
    assert steps is None or cases.difference(steps, whole) <= 1e-6, "step by step is not the whole"
    return error


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


def recorded(c):
    """The recorded runs beside the checkout: their models and data."""
    runs = cases.recorded_runs(ROOT)
    if not runs:
        raise Skip("no recorded runs beside this checkout")
    if "CLRNN_EXPORT_ALL" not in os.environ:
        raise Skip("CLRNN_EXPORT_ALL is not set")
    worst, tried = 0, 0
    for case in runs:
        shutil.rmtree(c.folder / "run", ignore_errors=True)
        shutil.rmtree(c.folder / "c", ignore_errors=True)
        text = cases.train_recorded(c, case)
        if "track_running_stats: false" in text:
            export(c, status=2)
            continue
        export(c)
        compile_c(c)
        tokens = "embedding" in text
        shape, values = read_npy_as(case / "X_valid.npy", tokens)
        shape = (shape[0], 1, shape[1]) if len(shape) == 2 and not tokens else shape
        lengths = case / "lengths_valid.npy" if "lengths_valid" in text else None
        _, expected = cases.predict(c, "run", str(case / "X_valid.npy"), lengths and str(lengths))
        steps_of = read_npy_as(lengths, True)[1] if lengths else [shape[1]] * shape[0]
        size, outs = len(values) // shape[0], len(expected) // shape[0]
        width, error = size // shape[1], 0
        for n in range(shape[0]):  # each sample with its own length
            sample = values[n * size:n * size + steps_of[n] * width]
            whole, steps = run_c(c, (1, steps_of[n]), sample, tokens)
            wanted = expected[n * outs:n * outs + len(whole)]
            error = max(error, max(abs(a - b) for a, b in zip(whole, wanted)))
            assert steps is None or cases.difference(steps, whole) <= 1e-6, case.name
        error /= max(map(abs, expected))
        if "round" not in text:
            assert error <= 1e-5, f"{case.name}: {error}"
            worst = max(worst, error)
        tried += 1
    print(f"# {tried} models, largest error {worst:.2g}")


def read_npy_as(path, tokens):
    """(shape, values) of any .npy of integers or reals, by the system's numpy where there is none here."""
    code = "import sys, numpy; x = numpy.load(sys.argv[1]); print(*x.shape); " \
           f"sys.stdout.flush(); sys.stdout.buffer.write(x.astype('{'<i4' if tokens else '<f4'}').tobytes())"
    out = subprocess.run(["/usr/bin/python3", "-c", code, path], capture_output=True, check=True).stdout
    line, data = out.split(b"\n", 1)
    return tuple(map(int, line.split())), struct.unpack(f"<{len(data) // 4}{'i' if tokens else 'f'}", data)


def int8(c):
    """int8 weights keep the classes; every kind of layer compiles and steps like the whole."""
    for name in ("rnn_relu_2", "lstm_bi_last", "gru_max", "embedding_lstm", "embedding_bag", "behind_pool",
                 "concat_pools", "residual_conv", "flatten_bi", "ln_lstm_proj", "ln_gru", "attention_causal"):
        layers, options = cases.CASES[name]
        shutil.rmtree(c.folder / "run", ignore_errors=True)
        cases.train(c, layers, options)
        export(c, "--type", "int8")
        compile_c(c)
        check(c, (3, 6), "tokens" in options, 1, bound=0.05)
        compile_c(c, program="example", source="net_main.c")
        subprocess.run(["./example"], cwd=c.folder / "c", check=True, capture_output=True)
    c.write("learned.yaml", (c.folder / "config.yaml").read_text().replace("epochs: 3", "epochs: 12"))
    c.run("train", "learned.yaml", "--device", "ref", "--out", "learned", "--quiet")
    export(c, "--type", "int8", run="learned")
    compile_c(c)
    shape, values = read_npy(c.folder / "X_valid.npy")
    _, labels = read_npy(c.folder / "y_valid.npy")
    _, expected = cases.predict(c, "learned", "X_valid.npy")
    outputs, _ = run_c(c, shape[:2], values, False)
    rights = [sum((v[2 * n + 1] > v[2 * n]) == label for n, label in enumerate(labels)) for v in (outputs, expected)]
    assert rights[1] > 0.8 * len(labels), "the float model has learned nothing: this test says nothing"
    assert rights[0] >= rights[1] - 0.01 * len(labels), f"{rights} of {len(labels)} right"


# name: (layers, options): sets that are made here. Labels stand for a rhythm in noise, or for the commonest token.
LEARNED = {
    "rhythm_lstm": ("[lstm: {hidden_size: 16}, pool: {over: last}, linear: {out_features: 3}]", "standard"),
    "rhythm_gru_bi": ("[gru: {hidden_size: 12, num_layers: 2, bidirectional: true}, batchnorm, pool: {over: mean},"
                      " linear: {out_features: 3}]", "standard lengths"),
    "rhythm_conv": ("[conv1d: {out_channels: 12, kernel_size: 5, padding: same}, relu, gru: {hidden_size: 12,"
                    " layer_norm: true}, attention_pool: {attention_size: 6}, linear: {out_features: 3}]", ""),
    "tokens_lstm": (f"[embedding: {{num_embeddings: {cases.TOKENS}, embedding_dim: 8}}, lstm: {{hidden_size: 16,"
                    " proj_size: 8}, pool: {over: max}, linear: {out_features: 3}]", "tokens lengths"),
    "steps_rnn": ("[rnn: {hidden_size: 24, bidirectional: true}, layernorm, linear: {out_features: 3}]", "steps"),
}


def made_set(c, part, options, seed):
    """Writes 400 samples of up to 20 steps with noise, of which about one in ten cannot be told."""
    draw, samples, steps = random.Random(seed), 400, 20
    x, y, lengths = [], [], []
    for _ in range(samples):
        label, phase = draw.randrange(3), draw.random() * 6
        lengths.append(draw.randrange(8, steps + 1) if "lengths" in options else steps)
        for t in range(steps):
            now = draw.randrange(3) if "steps" in options and draw.random() < 0.15 else label
            label = now if "steps" in options else label
            if "tokens" in options:
                x.append(3 * draw.randrange(3) + label if draw.random() < 0.25 else draw.randrange(9))
            else:
                x += [math.sin((0.4, 0.9, 1.5)[label] * t + phase) + draw.gauss(0, 0.8),
                      math.cos((0.4, 0.9, 1.5)[label] * t + phase) + draw.gauss(0, 0.8)]
            if "steps" in options:
                y.append(label)
        if "steps" not in options:
            y.append(label)
    tokens = "tokens" in options
    write_npy(c.folder / f"mX_{part}.npy", "<i4" if tokens else "<f4",
              (samples, steps) if tokens else (samples, steps, 2), x)
    write_npy(c.folder / f"my_{part}.npy", "<i8", (samples, steps) if "steps" in options else (samples,), y)
    write_npy(c.folder / f"ml_{part}.npy", "<i8", (samples,), lengths)
    return f"{{x: mX_{part}.npy, y: my_{part}.npy{', lengths: ml_' + part + '.npy' if 'lengths' in options else ''}}}"


def points(c, x, y, lengths, tokens):
    """Accuracies in per cent on a set of the float model and of the exported one."""
    shape, values = read_npy_as(x, tokens)
    shape = (shape[0], 1, shape[1]) if len(shape) == 2 and not tokens else shape
    labels = read_npy_as(y, True)[1]
    steps_of = read_npy_as(lengths, True)[1] if lengths else [shape[1]] * shape[0]
    _, expected = cases.predict(c, "run", str(x), lengths and str(lengths))
    size, outs, each = len(values) // shape[0], len(expected) // shape[0], len(labels) // shape[0]
    width, classes, right, count = size // shape[1], outs // each, [0, 0], 0
    for steps in sorted(set(steps_of)):  # sequences of one length at a time
        chosen = [n for n in range(shape[0]) if steps_of[n] == steps]
        inputs = [v for n in chosen for v in values[n * size:n * size + steps * width]]
        got, _ = run_c(c, (len(chosen), steps), inputs, tokens)
        wanted = min(each, steps)
        for i, n in enumerate(chosen):
            for t in range(wanted):
                truth = labels[n * each + t]
                for which, outputs, at in ((0, expected, n * outs + t * classes),
                                           (1, got, (i * wanted + t) * classes)):
                    scores = outputs[at:at + classes]
                    right[which] += scores.index(max(scores)) == truth
                count += 1
    return [100 * r / count for r in right]


def int8_learned(c):
    """int8 loses at most 1 point of accuracy on five sets of different kinds that are made here."""
    for name, (layers, options) in LEARNED.items():
        sets = [made_set(c, part, options, seed) for part, seed in (("train", 1), ("valid", 2))]
        c.write("learned.yaml", f"""\
model: {{layers: {layers}}}
train: {{loss: cross_entropy, optimizer: {{adam: {{lr: 0.01}}}}, epochs: 8, batch_size: 16, shuffle: true, seed: 1}}
data:
  train: {sets[0]}
  valid: {sets[1]}
  normalize: {"standard" if "standard" in options else "none"}
""")
        shutil.rmtree(c.folder / "run", ignore_errors=True)
        c.run("train", "learned.yaml", "--device", "ref", "--out", "run", "--quiet")
        export(c, "--type", "int8")
        compile_c(c)
        real, whole = points(c, c.folder / "mX_valid.npy", c.folder / "my_valid.npy",
                             c.folder / "ml_valid.npy" if "lengths" in options else None, "tokens" in options)
        print(f"# {name}: {real:.2f}, int8 {whole:.2f}")
        assert real > 60, f"{name}: {real}: the float model has learned nothing: this test says nothing"
        assert whole >= real - 1, f"{name}: {whole}, as floats {real}"


REFERENCES = ("BreastCancerWDBC", "ItalyPowerDemand", "SyntheticControl", "Spambase", "JapaneseVowels")


def int8_references(c):
    """int8 loses at most 1 point of accuracy on the reference sets beside the checkout, five of them, or all."""
    folder = ROOT.resolve().parent / "shared" / "refs"
    names = sorted(path.stem for path in folder.glob("*.yaml")
                   if "CLRNN_EXPORT_ALL" in os.environ or path.stem in REFERENCES)
    if not names:
        raise Skip("no reference sets beside this checkout")
    for name in names:
        text = (folder / f"{name}.yaml").read_text()
        paths = [folder / path for path in re.findall(r"\S+\.npy", text[text.index("valid:"):])]
        shutil.rmtree(c.folder / "run", ignore_errors=True)
        c.run("train", str(folder / f"{name}.yaml"), "--device", "cpu", "--out", "run", "--quiet", "--no-plot")
        export(c, "--type", "int8")
        compile_c(c)
        real, whole = points(c, paths[0], paths[1], paths[2] if len(paths) > 2 else None, "embedding" in text)
        print(f"# {name}: {real:.2f}, int8 {whole:.2f}")
        assert whole >= real - 1, f"{name}: {whole}, as floats {real}"


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


def same_bytes(c):
    cases.train(c, *cases.CASES["lstm_last"])
    export(c)
    first = {path.name: path.read_bytes() for path in (c.folder / "c").iterdir()}
    export(c)
    assert first == {path.name: path.read_bytes() for path in (c.folder / "c").iterdir()}


sys.exit(main([every_layer, random_models, cpp, other_machines, examples, recorded, int8, int8_learned, int8_references,
               small, long_sequences, names, facts, refusals, same_bytes]))
