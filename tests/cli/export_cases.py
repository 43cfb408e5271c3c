# SPDX-License-Identifier: MIT
"""Models of every kind that can be trained, for the tests of export."""
import os
import pathlib
import random

from harness import read_npy, write_npy

FEATURES, TOKENS, CLASSES = 5, 11, 3

# name: (layers, what else). Every kind of layer, stacks, both directions, and what stands before and behind a pool.
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
    "regression_scaled": ("[gru: {hidden_size: 6}, pool, linear: {out_features: 1}]", "mse standard targets"),
}


def config(layers, options):
    loss = next((name for name in ("nll", "mse") if name in options.split()), "cross_entropy")
    normalize = "\n  normalize: standard" if "standard" in options else ""
    normalize += "\n  normalize_targets: standard" if "targets" in options else ""
    return f"""\
model:
  layers: {layers}
train: {{loss: {loss}, optimizer: {{adam: {{lr: 0.02}}}}, epochs: 2, batch_size: 16, seed: 3}}
data:
  train: {{x: X.npy, y: y.npy}}{normalize}
"""


def is_per_step(layers):
    return "pool" not in layers


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
    shape = (samples, steps) if is_per_step(layers) else (samples,)
    count = samples * (steps if is_per_step(layers) else 1)
    if "mse" in options:
        write_npy(c.folder / "y.npy", "<f4", shape, [draw.gauss(-20, 5) for _ in range(count)])
    else:
        write_npy(c.folder / "y.npy", "<i8", shape, [draw.randrange(CLASSES) for _ in range(count)])
    c.write("case.yaml", config(layers, options))
    c.run("train", "case.yaml", "--device", "ref", "--out", run, "--quiet")


def predict(c, run, x="in.npy", lengths=None):
    """(shape, values) of `clrnn predict` on the reference."""
    more = ["--lengths", lengths] if lengths else []
    c.run("predict", run, "--x", x, "--out", "out.npy", "--device", "ref", *more)
    return read_npy(c.folder / "out.npy")


def recorded_runs(root):
    """Folders of the recorded runs that lie beside the checkout, each with config, data and final weights."""
    folder = pathlib.Path(os.environ.get("CLRNN_PARITY", pathlib.Path(root).parent / "shared" / "parity")) / "open"
    return sorted(path.parent for path in folder.glob("*/expected.json"))


def train_recorded(c, case, run="run"):
    """Trains a recorded run's config for an epoch on its data."""
    c.run("train", str(case / "config.yaml"), "--device", "ref", "--set", "train.epochs=1", "--out", run, "--quiet")
    return (case / "config.yaml").read_text()


def difference(ours, theirs):
    """The largest difference over the largest value."""
    size = max((abs(v) for v in theirs), default=1.0) or 1.0
    return max((abs(a - b) for a, b in zip(ours, theirs)), default=0.0) / size
