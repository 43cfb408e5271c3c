#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`clrnn export --to onnx`: the file's structure, and where onnx and onnxruntime are installed, its numbers against
`clrnn predict`, as TAP.

    test_export_onnx.py CLRNN ROOT [TEST...]

CLRNN_ONNX_PYTHON names a Python that has both. CLRNN_EXPORT_ALL: the recorded runs, too."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

import export_cases as cases
from harness import Skip, main, read_npy, write_npy
from protobuf import fields

ROOT = pathlib.Path(sys.argv.pop(2))
LENGTHS = ("gru_mean", "gru_max", "lstm_bi_final", "lstm_bi_last", "gru_bi_mean", "rnn_bi_steps", "lstm_steps",
           "embedding_lstm", "embedding_bag", "lstm_last", "activations", "groupnorm", "residual", "residual_bi",
           "concat", "concat_tokens", "conv_same", "conv_steps", "pools_1d", "residual_conv", "concat_convs",
           "concat_pools", "attention", "attention_causal", "proj_final", "proj_steps", "ln_lstm", "ln_lstm_proj",
           "ln_gru", "ln_rnn", "behind_pool_new", "ctc", "text_cnn")
CAUSAL = ("rnn_final", "rnn_relu_2", "lstm_last", "lstm_steps", "embedding_lstm", "regression_scaled", "activations",
          "groupnorm", "residual", "concat", "proj_steps", "ln_lstm_proj", "ln_gru")


def value_info(data):
    """(name, type, dims) of a graph's input or output."""
    entry = fields(data)
    tensor = fields(fields(entry[2][0])[1][0])
    dims = [fields(dim) for dim in fields(tensor[2][0])[1]]
    return entry[1][0].decode(), tensor[1][0], [dim[1][0] if 1 in dim else dim[2][0].decode() for dim in dims]


def structure(path):
    """What the file says of itself."""
    model = fields(path.read_bytes())
    graph = fields(model[7][0])
    return {
        "ir": model[1][0],
        "opset": fields(model[8][0])[2][0],
        "producer": model[2][0],
        "ops": [fields(node)[4][0].decode() for node in graph[1]],
        "inputs": [value_info(value) for value in graph[11]],
        "outputs": [value_info(value) for value in graph[12]],
        "metadata": {fields(entry)[1][0].decode(): fields(entry)[2][0].decode() for entry in model.get(14, [])},
    }


# ---------------------------------------------------------------- ONNX Runtime

class Runtime:
    """A Python with onnx and onnxruntime that answers jobs."""

    process = None

    @classmethod
    def python(cls):
        for python in (os.environ.get("CLRNN_ONNX_PYTHON"), sys.executable, "/usr/bin/python3"):
            if python and subprocess.run([python, "-c", "import onnx, onnxruntime, numpy"], capture_output=True,
                                         check=False).returncode == 0:
                return python
        raise Skip("no Python with onnx and onnxruntime")

    @classmethod
    def run(cls, folder, inputs, stepwise=False):
        if not cls.process:
            command = [cls.python(), pathlib.Path(__file__).with_name("onnx_run.py")]
            cls.process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        job = {"model": f"{folder}/m.onnx", "inputs": {name: f"{folder}/{path}" for name, path in inputs.items()},
               "out": f"{folder}/ort.npy", "stepwise": stepwise}
        cls.process.stdin.write(json.dumps(job) + "\n")
        cls.process.stdin.flush()
        answer = cls.process.stdout.readline().strip()
        if not answer:
            code, cls.process = cls.process.wait(), None
            raise AssertionError(f"ONNX Runtime ended with {code}")
        assert answer == "ok", answer
        return read_npy(folder / "ort.npy")


def export(c, *more, run="run", status=0):
    return c.run("export", run, "--to", "onnx", "--out", "m.onnx", *more, status=status)


def train(c, name, lengths=False):
    layers, options = cases.CASES[name]
    shutil.rmtree(c.folder / "run", ignore_errors=True)
    cases.train(c, layers, options)
    if not lengths:
        return options
    least = cases.number(options, "from", 1)
    write_npy(c.folder / "lengths.npy", "<i8", (40,), [least + n % (7 - least) for n in range(40)])
    text = (c.folder / "case.yaml").read_text().replace("y: y.npy", "y: y.npy, lengths: lengths.npy")
    c.write("case.yaml", text)
    c.run("train", "case.yaml", "--device", "ref", "--out", "run", "--quiet")
    return options


def compare(c, shape, options, lengths=None, stepwise=False):
    cases.write_inputs(c.folder / "in.npy", shape, "tokens" in options, shape[1])
    inputs = {"x": "in.npy"}
    if lengths:
        write_npy(c.folder / "in_lengths.npy", "<i8", (shape[0],), lengths)
        inputs["lengths"] = "in_lengths.npy"
    expected_shape, expected = cases.predict(c, "run", lengths="in_lengths.npy" if lengths else None)
    got_shape, got = Runtime.run(c.folder, inputs, stepwise)
    assert got_shape == expected_shape, f"{got_shape}, expected {expected_shape}"
    error = cases.difference(got, expected)
    assert error <= 1e-5, f"{error} of the largest output off"
    return error


# ---------------------------------------------------------------- tests

def files(c):
    """What a file says of itself, read without ONNX's own libraries."""
    train(c, "lstm_bi_last")
    export(c)
    whole = structure(c.folder / "m.onnx")
    assert (whole["ir"], whole["opset"], whole["producer"]) == (8, 17, b"clRNN")
    assert whole["inputs"] == [("x", 1, ["N", "T", cases.FEATURES])]
    assert whole["outputs"] == [("out", 1, ["N", 3])]
    assert whole["ops"].count("LSTM") == 1
    train(c, "embedding_lstm", lengths=True)
    export(c, "--states")
    whole = structure(c.folder / "m.onnx")
    assert whole["inputs"] == [("x", 7, ["N", "T"]), ("lengths", 7, ["N"]), ("h", 1, [1, "N", 16]),
                               ("c", 1, [1, "N", 16])]
    assert whole["outputs"] == [("h_out", 1, [1, "N", 16]), ("c_out", 1, [1, "N", 16]), ("out", 1, ["N", 3])]
    train(c, "rnn_relu_2")
    export(c)
    whole = structure(c.folder / "m.onnx")
    assert whole["outputs"] == [("out", 1, ["N", "T", 3])] and whole["ops"].count("RNN") == 2
    assert whole["metadata"]["loss"] == "cross_entropy"
    first = (c.folder / "m.onnx").read_bytes()
    export(c)
    assert (c.folder / "m.onnx").read_bytes() == first, "the same model gives other bytes"


def every_layer(c):
    worst = 0
    for name in cases.CASES:
        options = train(c, name)
        export(c)
        for shape in cases.shapes(options):
            worst = max(worst, compare(c, shape, options))
    print(f"# largest error {worst:.2g} of the largest output")


def lengths(c):
    worst = 0
    for name in LENGTHS:
        options = train(c, name, lengths=True)
        export(c)
        least = cases.number(options, "from", 1)
        for shape, counts in (((1, least), [least]), ((4, 6), [6, least, 3, 5]), ((2, 37), [20, 36])):
            worst = max(worst, compare(c, shape, options, counts))
    print(f"# largest error {worst:.2g} of the largest output")


def random_models(c):
    """Layers in any order, nested, with several pools; every other model with lengths."""
    for seed in cases.random_seeds():
        cases.CASES["random"] = layers, options = cases.random_case(seed)
        train(c, "random", lengths=seed % 2)
        export(c)
        try:
            for samples, steps in cases.shapes(options):
                counts = [1 + (n * 5 + seed) % steps for n in range(samples)]
                compare(c, (samples, steps), options, counts if seed % 2 else None)
        except AssertionError as error:
            raise AssertionError(f"{layers}: {error}") from error


def states(c):
    """Step by step with states is the whole."""
    worst = 0
    for name in CAUSAL:
        options = train(c, name)
        export(c, "--states")
        for shape in ((1, 1), (3, 6), (2, 21)):
            worst = max(worst, compare(c, shape, options, stepwise=True))
    print(f"# largest error {worst:.2g} of the largest output")


def long_names(c):
    """Names of states differ however long the layers' names are."""
    long = 300 * "m"
    cases.CASES["long"] = (f"[lstm: {{name: {long}a, hidden_size: 4}}, gru: {{name: {long}b, hidden_size: 3}}, pool,"
                           " linear: {out_features: 3}]", "")
    train(c, "long")
    export(c, "--states")
    whole = structure(c.folder / "m.onnx")
    assert [name for name, _, _ in whole["inputs"]] == ["x", f"{long}a.h", f"{long}a.c", f"{long}b.h"]
    assert {name for name, _, _ in whole["outputs"]} == {"out", f"{long}a.h_out", f"{long}a.c_out", f"{long}b.h_out"}


def batch_statistics(c):
    """Batchnorm without running statistics takes those of the batch at hand."""
    layers = "[gru: {hidden_size: 4}, batchnorm: {track_running_stats: false}, pool, linear: {out_features: 3}]"
    for more in (False, True):
        cases.CASES["untracked"] = (layers, "standard")
        options = train(c, "untracked", lengths=more)
        _, err = export(c, "--states", status=2)
        assert "layers[1] (batchnorm)" in err, err
        export(c)
        compare(c, (7, 6), options, [6, 1, 2, 3, 4, 5, 6] if more else None)


def padding(c):
    """What padding holds changes nothing, NaN neither."""
    train(c, "gru_bi_mean", lengths=True)
    export(c)
    cases.write_inputs(c.folder / "in.npy", (2, 6), False, 1)
    _, values = read_npy(c.folder / "in.npy")
    poisoned = [float("nan") if n // cases.FEATURES % 6 >= 3 else v for n, v in enumerate(values)]
    write_npy(c.folder / "poisoned.npy", "<f4", (2, 6, cases.FEATURES), poisoned)
    write_npy(c.folder / "three.npy", "<i8", (2,), [3, 3])
    outs = [Runtime.run(c.folder, {"x": x, "lengths": "three.npy"}) for x in ("in.npy", "poisoned.npy")]
    assert outs[0] == outs[1]


def examples(c):
    """Every example's model, on made-up data of its shape."""
    for _, tokens in cases.examples(c, ROOT):
        export(c)
        compare(c, (3, 12), "tokens" if tokens else "")


def recorded(c):
    """The recorded runs beside the checkout: their models and data."""
    if "CLRNN_EXPORT_ALL" not in os.environ:
        raise Skip("CLRNN_EXPORT_ALL is not set")
    runs = cases.recorded_runs(ROOT)
    if not runs:
        raise Skip("no recorded runs beside this checkout")
    worst = 0
    for case in runs:
        shutil.rmtree(c.folder / "run", ignore_errors=True)
        text = cases.train_recorded(c, case)
        if "track_running_stats: false" in text:
            continue  # batch_statistics: there the batch must be that of predict
        export(c)
        inputs = {"x": str(case / "X_valid.npy")}
        if "lengths_valid" in text:
            inputs["lengths"] = str(case / "lengths_valid.npy")
        _, expected = cases.predict(c, "run", inputs["x"], inputs.get("lengths"))
        _, got = Runtime.run(pathlib.Path(c.folder), {name: os.path.relpath(path, c.folder)
                                                      for name, path in inputs.items()})
        error = cases.difference(got, expected)
        assert error <= 1e-5 or "round" in text, f"{case.name}: {error}"
        worst = max(worst, 0 if "round" in text else error)
    print(f"# {len(runs)} models, largest error {worst:.2g}")


def sequences(c):
    """A model trained on files of one sequence each, which are of unequal lengths, has lengths as an input."""
    rows = [[f"{(n * 7 + t) % 5},{t}" for t in range(2 + n % 3)] for n in range(8)]
    for n, lines in enumerate(rows):
        c.write(f"s{n}.csv", "\n".join(["a,b", *lines]) + "\n")
    c.write("labels.csv", "file,label\n" + "".join(f"s{n}.csv,{n % 2}\n" for n in range(8)))
    c.write("case.yaml", """\
model: {layers: [gru: {hidden_size: 4}, pool: {over: mean}, linear: {out_features: 2}]}
train: {loss: cross_entropy, optimizer: {adam: {}}, epochs: 1}
data: {train: {csv: "s*.csv", label_from: labels.csv}}
""")
    c.run("train", "case.yaml", "--device", "ref", "--out", "run", "--quiet")
    export(c)
    whole = structure(c.folder / "m.onnx")
    assert whole["inputs"] == [("x", 1, ["N", "T", 2]), ("lengths", 7, ["N"])], whole["inputs"]
    assert json.loads(whole["metadata"]["columns"]) == ["a", "b"], whole["metadata"]
    write_npy(c.folder / "in.npy", "<f4", (2, 3, 2), [float(n % 4) for n in range(12)])
    write_npy(c.folder / "in_lengths.npy", "<i8", (2,), [2, 3])
    _, expected = cases.predict(c, "run", lengths="in_lengths.npy")
    _, got = Runtime.run(c.folder, {"x": "in.npy", "lengths": "in_lengths.npy"})
    assert cases.difference(got, expected) <= 1e-5


def names(c):
    """Names of columns, targets and classes are metadata."""
    cases.train_table(c)
    export(c)
    metadata = structure(c.folder / "m.onnx")["metadata"]
    assert json.loads(metadata["columns"]) == cases.COLUMNS, metadata
    assert json.loads(metadata["classes"]) == cases.CLASS_NAMES, metadata


def facts(c):
    """What a consumer needs to read the outputs: quantiles, the blank, how far a forecast reaches."""
    cases.train_forecast(c)
    export(c)
    metadata = structure(c.folder / "m.onnx")["metadata"]
    fill = json.loads(metadata.pop("fill"))
    assert metadata == {"loss": "quantile", "quantiles": json.dumps(cases.QUANTILES).replace(" ", ""), "window": "6",
                        "horizon": "3", "columns": '["a","b"]', "targets": '["b","c"]'}, metadata
    present = [n % 5 for n in range(60) if n % 9 != 4]
    assert len(fill) == 2 and abs(fill[0] - sum(present) / len(present)) < 1e-6, fill
    train(c, "ctc")
    export(c)
    assert structure(c.folder / "m.onnx")["metadata"] == {"loss": "ctc", "blank": "0"}
    c.write("case.yaml", (c.folder / "case.yaml").read_text().replace("loss: ctc", "loss: {ctc: {blank: 4}}"))
    write_npy(c.folder / "y.npy", "<i8", (40, 2), [n % 4 for n in range(80)])
    c.run("train", "case.yaml", "--device", "ref", "--out", "run", "--quiet")
    export(c)
    assert structure(c.folder / "m.onnx")["metadata"] == {"loss": "ctc", "blank": "4"}


def refusals(c):
    for name, word in (("lstm_bi_final", "bidirectional"), ("gru_mean", "pool"), ("dense", "recurrent"),
                       ("conv_same", "layers[0] (conv1d)"), ("attention_causal", "attention_pool"),
                       ("flatten", "flatten"), ("residual_bi", "layers[1.0] (gru)")):
        train(c, name)
        _, err = export(c, "--states", status=2)
        assert word in err, err
        assert not (c.folder / "m.onnx").exists()
    c.run("export", "run", "--to", "c", "--states", "--out", "c", status=2)
    c.run("export", "run", "--to", "onnx", "--out", "run/last.safetensors", status=2)


sys.exit(main([files, every_layer, lengths, random_models, states, long_names, batch_statistics, padding, examples,
               recorded, sequences, names, facts, refusals]))
