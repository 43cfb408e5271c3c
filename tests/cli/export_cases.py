# SPDX-License-Identifier: MIT
"""Models of every kind that can be trained, for the tests of export."""
import math
import os
import pathlib
import random
import re
import shutil

from harness import read_npy, write_npy

FEATURES, TOKENS, CLASSES = 5, 11, 3

# name: (layers, what else). Every kind of layer, stacks, both directions, and what stands before and behind a pool.
# "from:4": sequences have at least 4 steps; "out:3": the output of 6 steps has 3; "fixed": T is that of training.
CASES = {
    "rnn_final": ("[rnn: {hidden_size: 9}, pool: {over: final}, linear: {out_features: 3}]", ""),
    "rnn_relu_2": ("[rnn: {hidden_size: 8, num_layers: 2, nonlinearity: relu}, linear: {out_features: 3}]", ""),
    "lstm_last": ("[lstm: {hidden_size: 40}, dropout, relu, layernorm, pool, linear: {out_features: 3}]", "standard"),
    "lstm_steps": ("[lstm: {hidden_size: 7, num_layers: 2, bias: false}, linear: {out_features: 3, bias: false}]", ""),
    "gru_mean": ("[gru: {hidden_size: 12, num_layers: 2}, tanh, pool: {over: mean}, linear: {out_features: 3}]",
                 "standard"),
    "gru_max": ("[linear: {out_features: 6}, gru: {hidden_size: 33, bias: false}, pool: {over: max},"
                " linear: {out_features: 3}, log_softmax]", "nll"),
    "lstm_bi_final": ("[lstm: {hidden_size: 6, num_layers: 2, bidirectional: true}, pool: {over: final},"
                      " linear: {out_features: 3}]", "standard"),
    "lstm_bi_last": ("[lstm: {hidden_size: 10, bidirectional: true}, batchnorm, relu, pool: {over: last},"
                     " linear: {out_features: 3}]", ""),
    "gru_bi_mean": ("[batchnorm, gru: {hidden_size: 7, bidirectional: true}, batchnorm, dropout, sigmoid,"
                    " pool: {over: mean}, linear: {out_features: 3}]", "standard"),
    "gru_bi_max": ("[linear: {out_features: 4}, relu, gru: {hidden_size: 5, num_layers: 3, bidirectional: true},"
                   " pool: {over: max}, linear: {out_features: 3}]", ""),
    "rnn_bi_steps": ("[rnn: {hidden_size: 8, bidirectional: true, bias: false}, layernorm: {elementwise_affine: false},"
                     " linear: {out_features: 3}]", ""),
    "lstm_bi_steps": ("[lstm: {hidden_size: 4, bidirectional: true}, linear: {out_features: 9},"
                      " rnn: {hidden_size: 3, bidirectional: true}, linear: {out_features: 3}, softmax]", "standard"),
    "embedding_lstm": (f"[embedding: {{num_embeddings: {TOKENS}, embedding_dim: 6, padding_idx: 0}},"
                       " lstm: {hidden_size: 16}, pool: {over: final}, linear: {out_features: 3}]", "tokens"),
    "embedding_bi": (f"[embedding: {{num_embeddings: {TOKENS}, embedding_dim: 6}},"
                     " gru: {hidden_size: 5, bidirectional: true}, pool: {over: max}, linear: {out_features: 3}]",
                     "tokens"),
    "embedding_bag": (f"[embedding: {{num_embeddings: {TOKENS}, embedding_dim: 6}}, pool: {{over: mean}},"
                      " linear: {out_features: 3}]", "tokens"),
    "dense": ("[linear: {out_features: 20}, batchnorm: {affine: false}, relu, dropout, linear: {out_features: 3}]",
              "standard"),
    "pool_first": ("[pool: {over: last}, batchnorm, linear: {out_features: 3}]", "standard"),
    "pool_mean_alone": ("[linear: {out_features: 3}, pool: {over: mean}]", ""),
    "behind_pool": ("[gru: {hidden_size: 6}, pool: {over: mean}, lstm: {hidden_size: 4, bidirectional: true},"
                    " rnn: {hidden_size: 3}, gru: {hidden_size: 3}, pool, linear: {out_features: 3}]", ""),
    "regression": ("[gru: {hidden_size: 6, bidirectional: true}, linear: {out_features: 1}]", "mse standard"),
    "activations": ("[linear: {out_features: 8}, leaky_relu: {negative_slope: 0.2}, elu: {alpha: 0.5}, gelu,"
                    " linear: {out_features: 7}, gelu: {approximate: tanh}, silu, softplus: {beta: 2, threshold: 0.5},"
                    " gru: {hidden_size: 6}, elu, pool, softplus, linear: {out_features: 3}]", "standard"),
    "activations_bi": ("[gru: {hidden_size: 6, bidirectional: true}, elu: {alpha: 2}, silu, leaky_relu, gelu,"
                       " pool: {over: max}, linear: {out_features: 3}]", ""),
    "groupnorm": ("[gru: {hidden_size: 8}, groupnorm: {num_groups: 4}, pool, groupnorm: {num_groups: 2, affine: false},"
                  " linear: {out_features: 3}]", ""),
    "residual": ("[linear: {out_features: 6}, residual: {layers: [layernorm, lstm: {hidden_size: 6}]},"
                 " residual: {name: skip, layers: [residual: {layers: [linear: {out_features: 6}]}, tanh]}, relu,"
                 " pool, residual: {layers: [linear: {out_features: 6}]}, linear: {out_features: 3}]", "standard"),
    "residual_bi": ("[linear: {out_features: 6}, residual: {layers: [gru: {hidden_size: 3, bidirectional: true},"
                    " residual: {layers: [linear: {out_features: 6}]}]}, pool: {over: mean},"
                    " linear: {out_features: 3}]", "standard"),
    "concat": ("[linear: {out_features: 6}, concat: {branches: [[residual: {name: skip, layers: [layernorm,"
               " lstm: {hidden_size: 6}]}], [gru: {hidden_size: 4}, silu], []]}, groupnorm: {num_groups: 4},"
               " linear: {out_features: 3}]", ""),
    "concat_tokens": (f"[embedding: {{num_embeddings: {TOKENS}, embedding_dim: 6}}, concat: {{branches: ["
                      "[pool: {over: mean}], [dropout, gru: {hidden_size: 4, bidirectional: true}, pool: {over: final},"
                      " relu]]}, linear: {out_features: 3}]", "tokens"),
    "conv_same": ("[conv1d: {out_channels: 6, kernel_size: 4, padding: same}, relu, max_pool1d: {kernel_size: 2},"
                  " lstm: {hidden_size: 7}, pool: {over: last}, linear: {out_features: 3}]", "standard from:2"),
    "conv_steps": ("[conv1d: {out_channels: 5, kernel_size: 3, stride: 2, padding: 2, dilation: 2, bias: false}, elu,"
                   " gru: {hidden_size: 5}, linear: {out_features: 3}]", "out:3"),
    "pools_1d": ("[conv1d: {out_channels: 6, kernel_size: 3, padding: 1}, avg_pool1d: {kernel_size: 3, stride: 1,"
                 " padding: 1}, avg_pool1d: {kernel_size: 2, stride: 1, padding: 1, count_include_pad: false},"
                 " max_pool1d: {kernel_size: 2, stride: 1, padding: 1, dilation: 2},"
                 " gru: {hidden_size: 4, bidirectional: true}, batchnorm, pool: {over: mean},"
                 " linear: {out_features: 3}]", ""),
    "residual_conv": ("[linear: {out_features: 6}, residual: {layers: [conv1d: {out_channels: 6, kernel_size: 3,"
                      " padding: same, dilation: 2}, relu, conv1d: {out_channels: 6, kernel_size: 2, padding: same}]},"
                      " relu, linear: {out_features: 3}]", "standard"),
    "concat_convs": ("[concat: {branches: [[conv1d: {out_channels: 4, kernel_size: 1, padding: same}],"
                     " [conv1d: {out_channels: 3, kernel_size: 3, padding: 1}, tanh], [max_pool1d: {kernel_size: 3,"
                     " stride: 1, padding: 1}]]}, relu, max_pool1d: {kernel_size: 2}, gru: {hidden_size: 5}, pool,"
                     " linear: {out_features: 3}]", "standard from:2"),
    "concat_pools": ("[concat: {branches: [[gru: {hidden_size: 3, bidirectional: true}, pool: {over: final}],"
                     " [conv1d: {out_channels: 4, kernel_size: 3, padding: 1}, relu, pool: {over: max}],"
                     " [attention_pool: {attention_size: 3}], [pool: {over: mean}, linear: {out_features: 4}],"
                     " [lstm: {hidden_size: 3}, pool]]}, relu, linear: {out_features: 3}]", "standard"),
    "text_cnn": (f"[embedding: {{num_embeddings: {TOKENS}, embedding_dim: 6}}, concat: {{branches: ["
                 "[conv1d: {out_channels: 4, kernel_size: 2}, relu, pool: {over: max}],"
                 " [conv1d: {out_channels: 5, kernel_size: 3, stride: 2}, relu, pool: {over: max}],"
                 " [max_pool1d: {kernel_size: 2}, lstm: {hidden_size: 3}, pool: {over: last}]]},"
                 " linear: {out_features: 3}]", "tokens from:3"),
    "attention": ("[gru: {hidden_size: 5, bidirectional: true}, attention_pool: {attention_size: 4},"
                  " linear: {out_features: 3}]", ""),
    "attention_causal": ("[lstm: {hidden_size: 6}, tanh, attention_pool: {attention_size: 9},"
                         " linear: {out_features: 3}]", "standard"),
    "flatten": ("[gru: {hidden_size: 4}, flatten, linear: {out_features: 3}]", "standard fixed"),
    "flatten_bi": ("[gru: {hidden_size: 4, bidirectional: true}, relu, max_pool1d: {kernel_size: 2}, flatten,"
                   " linear: {out_features: 3}]", "fixed"),
    "flatten_input": ("[flatten, linear: {out_features: 8}, relu, linear: {out_features: 3}]", "fixed"),
    "proj_final": ("[lstm: {hidden_size: 9, num_layers: 2, bidirectional: true, proj_size: 4}, pool: {over: final},"
                   " linear: {out_features: 3}]", ""),
    "proj_steps": ("[lstm: {hidden_size: 9, num_layers: 2, proj_size: 4, bias: false}, linear: {out_features: 3}]",
                   "standard"),
    "ln_lstm": ("[lstm: {hidden_size: 6, layer_norm: true, bidirectional: true}, pool: {over: last},"
                " linear: {out_features: 3}]", ""),
    "ln_lstm_proj": ("[lstm: {hidden_size: 6, layer_norm: true, proj_size: 3, num_layers: 2}, pool: {over: final},"
                     " linear: {out_features: 3}]", ""),
    "ln_gru": ("[gru: {hidden_size: 7, layer_norm: true, num_layers: 2}, linear: {out_features: 3}]", ""),
    "ln_rnn": ("[rnn: {hidden_size: 7, layer_norm: true, nonlinearity: relu, bias: false}, rnn: {hidden_size: 5,"
               " layer_norm: true, bidirectional: true}, pool: {over: max}, linear: {out_features: 3}]", ""),
    "behind_pool_new": ("[gru: {hidden_size: 6}, pool: {over: mean}, lstm: {hidden_size: 4, layer_norm: true,"
                        " bidirectional: true, proj_size: 2}, concat: {branches: [[gru: {hidden_size: 3,"
                        " layer_norm: true}], []]}, linear: {out_features: 3}]", ""),
    "ctc": ("[gru: {hidden_size: 8, bidirectional: true}, linear: {out_features: 5}]", "ctc from:3"),
    "regression_scaled": ("[gru: {hidden_size: 6}, pool, linear: {out_features: 1}]", "mse standard targets"),
}


def config(layers, options):
    loss = next((name for name in ("nll", "mse", "ctc") if name in options.split()), "cross_entropy")
    normalize = "\n  normalize: standard" if "standard" in options else ""
    normalize += "\n  normalize_targets: standard" if "targets" in options else ""
    return f"""\
model:
  layers: {layers}
train: {{loss: {loss}, optimizer: {{adam: {{lr: 0.02}}}}, epochs: 2, batch_size: 16, seed: 3}}
data:
  train: {{x: X.npy, y: y.npy{", y_lengths: y_lengths.npy" if "ctc" in options else ""}}}{normalize}
"""


def is_per_step(layers):
    return not any(word in layers for word in ("pool:", "pool,", "pool]", "attention_pool", "flatten"))


def number(options, word, default):
    """The number behind "word:" in a case's options."""
    return next((int(o.split(":")[1]) for o in options.split() if o.startswith(word + ":")), default)


def shapes(options):
    """(N, T) that a case is tried with."""
    if "fixed" in options:
        return ((1, 6), (3, 6), (2, 6))
    return ((1, number(options, "from", 1)), (3, 6), (2, 37))


def write_inputs(path, shape, tokens, seed):
    """Random inputs (N, T, C), or tokens (N, T); gives the values."""
    draw = random.Random(seed)
    samples, steps = shape
    if tokens:
        values = [draw.randrange(TOKENS) for _ in range(samples * steps)]
        write_npy(path, "<i4", shape, values)
    else:
        values = [draw.gauss(3, 2) for _ in range(samples * steps * FEATURES)]
        write_npy(path, "<f4", (*shape, FEATURES), values)
    return values


def train(c, layers, options, run="run"):
    """Trains a case for a few steps on the reference, in the command's folder."""
    draw = random.Random(5)
    samples, steps = 40, 6
    write_inputs(c.folder / "X.npy", (samples, steps), "tokens" in options, 1)
    out_steps = number(options, "out", steps)
    shape = (samples, out_steps) if is_per_step(layers) else (samples,)
    count = samples * (out_steps if is_per_step(layers) else 1)
    if "ctc" in options:
        write_npy(c.folder / "y.npy", "<i8", (samples, 2), [draw.randrange(1, 5) for _ in range(samples * 2)])
        write_npy(c.folder / "y_lengths.npy", "<i8", (samples,), [1 + n % 2 for n in range(samples)])
    elif "mse" in options:
        write_npy(c.folder / "y.npy", "<f4", shape, [draw.gauss(-20, 5) for _ in range(count)])
    else:
        write_npy(c.folder / "y.npy", "<i8", shape, [draw.randrange(CLASSES) for _ in range(count)])
    c.write("case.yaml", config(layers, options))
    c.run("train", "case.yaml", "--device", "ref", "--out", run, "--quiet")


ACTIVATIONS = ("relu", "tanh", "sigmoid", "leaky_relu", "elu", "gelu", "gelu: {approximate: tanh}", "silu", "softplus",
               "softmax", "dropout", "batchnorm", "layernorm: {eps: 0.1}", "groupnorm: {num_groups: 2, eps: 0.1}")


def random_list(draw, depth, steps, same):
    """A random list of layers in YAML, each of 4 features at the end. `same`: it must keep the number of steps."""
    layers = []
    for _ in range(draw.randrange(1, 4)):
        kind = draw.randrange(9 if depth else 6)
        if kind < 2:
            layers.append(draw.choice(ACTIVATIONS))
        elif kind == 2:
            layers.append("linear: {out_features: 4}")
        elif kind == 3 or not steps:
            bi, norm = draw.random() < 0.4, str(draw.random() < 0.3).lower()
            cell = draw.choice(("rnn", "lstm", "gru"))
            proj = cell == "lstm" and draw.random() < 0.4
            layers.append(f"{cell}: {{hidden_size: {5 if proj else 2 if bi else 4}, bidirectional: {str(bi).lower()},"
                          f" layer_norm: {norm}{f', proj_size: {2 if bi else 4}' if proj else ''}"
                          f"{', num_layers: 2' if draw.random() < 0.2 else ''}}}")
        elif kind == 4:
            dilation = draw.randrange(1, 3)
            layers.append(f"conv1d: {{out_channels: 4, kernel_size: {draw.randrange(1, 5)}, padding: same,"
                          f" dilation: {dilation}, bias: {str(draw.random() < 0.5).lower()}}}")
        elif kind == 5:
            pool = draw.choice(("max_pool1d: {kernel_size: 3, stride: 1, padding: 1}",
                                "avg_pool1d: {kernel_size: 3, stride: 1, padding: 1, count_include_pad: false}",
                                "conv1d: {out_channels: 4, kernel_size: 3, stride: 2, padding: 2}",
                                "max_pool1d: {kernel_size: 2, stride: 2, padding: 1}"))
            layers.append(pool if not same or "stride: 1" in pool else "tanh")
        elif kind == 6:
            layers.append(f"residual: {{layers: {random_list(draw, depth - 1, steps, True)}}}")
        else:
            branches = [draw.choice(("[]", random_list(draw, depth - 1, steps, True)))
                        for _ in range(draw.randrange(1, 4))]
            layers += [f"concat: {{branches: [{', '.join(branches)}]}}", "linear: {out_features: 4}"]
    return "[" + ", ".join(layers) + "]"


def random_pool(draw):
    return draw.choice(("pool: {over: last}", "pool: {over: mean}", "pool: {over: max}",
                        "attention_pool: {attention_size: 3}"))


def random_seeds():
    """With CLRNN_EXPORT_ALL many."""
    return range(60 if "CLRNN_EXPORT_ALL" in os.environ else 6)


def random_case(seed):
    """(layers, what else) of a random model: layers, nested ones among them, with or without a pool or several."""
    draw = random.Random(seed)
    end = draw.randrange(3)
    layers = ["linear: {out_features: 4}", random_list(draw, 2, True, end == 0)[1:-1]]
    if end == 1:
        layers.append(random_pool(draw))
    elif end == 2:
        branches = [f"[{random_list(draw, 1, True, True)[1:-1]}, {random_pool(draw)}]" for _ in range(2)]
        layers += [f"concat: {{branches: [{', '.join(branches)}]}}", "linear: {out_features: 4}"]
    if end:
        layers.append(random_list(draw, 1, False, True)[1:-1])
    return "[" + ", ".join([*layers, "linear: {out_features: 3}"]) + "]", "standard" if draw.random() < 0.5 else ""


COLUMNS = ["width", 'a "b" @', "gr\u00fcn`??/"]
CLASS_NAMES = ["ja", "ne\u00edn\\"]


def train_table(c):
    """Trains on a table whose columns and classes have names, odd ones among them."""
    draw = random.Random(2)
    rows = [",".join([*(f"{draw.random():.3f}" for _ in COLUMNS), CLASS_NAMES[n % 2]]) for n in range(20)]
    quoted = ",".join('"' + name.replace('"', '""') + '"' for name in COLUMNS)
    c.write("table.csv", f"{quoted},y\n" + "\n".join(rows) + "\n")
    c.write("table.yaml", """\
model: {layers: [linear: {out_features: 2}]}
train: {loss: cross_entropy, optimizer: {adam: {}}, epochs: 1}
data: {train: {csv: table.csv, label: y}}
""")
    c.run("train", "table.yaml", "--device", "ref", "--out", "run", "--quiet")


QUANTILES = [0.05, 0.5, 0.9]


def train_forecast(c):
    """Trains quantiles of two targets, three rows ahead, on a series with missing cells."""
    draw = random.Random(4)
    rows = [f"{n},{'' if n % 9 == 4 else n % 5},{draw.random():.3f},{n / 8}" for n in range(60)]
    c.write("series.csv", "t,a,b,c\n" + "\n".join(rows) + "\n")
    c.write("forecast.yaml", f"""\
model: {{layers: [gru: {{hidden_size: 4}}, pool, linear: {{out_features: {2 * 3 * len(QUANTILES)}}}]}}
train: {{loss: {{quantile: {{quantiles: {QUANTILES}}}}}, optimizer: {{adam: {{}}}}, epochs: 1}}
data:
  train: {{csv: series.csv, target: [b, c], columns: [a, b], time: t, window: 6, horizon: 3, missing: mean}}
  normalize_targets: standard
""")
    c.run("train", "forecast.yaml", "--device", "ref", "--out", "run", "--quiet")


def predict(c, run, x="in.npy", lengths=None):
    """(shape, values) of `clrnn predict` on the reference."""
    more = ["--lengths", lengths] if lengths else []
    c.run("predict", run, "--x", x, "--out", "out.npy", "--device", "ref", *more)
    return read_npy(c.folder / "out.npy")


def examples(c, root):
    """Trains each example on made-up data, 32 samples of 12 steps; gives its file, and whether it reads tokens."""
    N, T = 32, 12
    for path in sorted((pathlib.Path(root) / "examples").glob("*.yaml")):
        text = re.sub(r"#.*", "", path.read_text())
        shutil.rmtree(c.folder / "run", ignore_errors=True)
        tokens, real, ctc = "embedding" in text, "loss: mse" in text, "loss: ctc" in text
        outputs = int(re.findall(r"out_features: (\d+)", text)[-1])
        if tokens:
            write_npy(c.folder / "X.npy", "<i4", (N, T), [i % 50 for i in range(N * T)])
        else:
            write_npy(c.folder / "X.npy", "<f4", (N, T, 5), [(i * 37 % 100) / 50 - 1 for i in range(N * T * 5)])
        if real or "bce_with_logits" in text:
            write_npy(c.folder / "y.npy", "<f4", (N, outputs), [float(i % 3 % 2) for i in range(N * outputs)])
        else:
            shape = (N, 3) if ctc else (N,) if "pool:" in text else (N, T)
            write_npy(c.folder / "y.npy", "<i8", shape, [ctc + i % 2 for i in range(math.prod(shape))])
        write_npy(c.folder / "L.npy", "<i8", (N,), [1 + i % 3 for i in range(N)])
        made = f"{{x: {c.folder}/X.npy, y: {c.folder}/y.npy" + (f", y_lengths: {c.folder}/L.npy}}" if ctc else "}")
        c.run("train", str(path), "--device", "ref", "--out", "run", "--quiet", "--set", "train.epochs=1",
              "--set", "train.batch_size=16", "--set", f"data.train={made}", "--set", f"data.valid={made}")
        yield path, tokens


def recorded_runs(root):
    """Folders of the recorded runs that lie beside the checkout, each with config, data and final weights."""
    folder = pathlib.Path(os.environ.get("CLRNN_PARITY", pathlib.Path(root).parent / "shared" / "parity"))
    return sorted(path.parent for path in folder.glob("open*/*/expected.json"))


def train_recorded(c, case, run="run"):
    """Trains a recorded run's config for an epoch on its data."""
    c.run("train", str(case / "config.yaml"), "--device", "ref", "--set", "train.epochs=1", "--out", run, "--quiet")
    return (case / "config.yaml").read_text()


def difference(ours, theirs):
    """The largest difference over the largest value."""
    size = max((abs(v) for v in theirs), default=1.0) or 1.0
    return max((abs(a - b) for a, b in zip(ours, theirs)), default=0.0) / size
