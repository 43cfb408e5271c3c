# SPDX-License-Identifier: MIT
"""The library from Python: the same bits as the command, arrays read where they lie, errors as exceptions.

    test_library.py ROOT LIBRARY CLRNN
"""
import ctypes
import json
import locale
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError:
    print("skipped: this Python has no numpy")
    sys.exit(77)

ROOT, COMMAND = pathlib.Path(sys.argv[1]).resolve(), sys.argv[3]
os.environ["CLRNN_LIBRARY"] = sys.argv[2]
sys.path.insert(0, str(ROOT / "python"))

import clrnn  # noqa: E402

DEVICE = os.environ.get("CLRNN_DEVICE") or None
RANDOM = np.random.default_rng(0)
SEQUENCES = [RANDOM.normal(size=(int(n), 3)).astype(np.float32) for n in RANDOM.integers(2, 9, 120)]
X, LENGTHS = clrnn.pad(SEQUENCES)
Y = (X[:, :, 0].sum(1) > 0).astype(np.int64)
VALID = (X[:40] * 0.9).astype(np.float32), Y[:40], LENGTHS[:40]
CONFIG = {
    "model": {"layers": [{"lstm": {"hidden_size": 8, "name": "rnn"}}, {"pool": {"over": "last"}},
                         {"linear": {"out_features": 2}}]},
    "train": {"epochs": 3, "batch_size": 16, "shuffle": True, "optimizer": {"adam": {"lr": 0.01}}},
    "data": {"normalize": "standard"},
}


def command(*words, folder):
    done = subprocess.run([COMMAND, *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def on_disk(folder, config, **sets):
    """The config with its sets as files, for the command; JSON is YAML."""
    data = dict(config.get("data", {}))
    for name, arrays in sets.items():
        for key, array in arrays.items():
            np.save(folder / f"{name}_{key}.npy", array)
        data[name] = {key: f"{name}_{key}.npy" for key in arrays}
    (folder / "c.yaml").write_text(json.dumps({**config, "data": data}))


def numbers(metrics):
    return [{k: v for k, v in row.items() if k not in ("seconds", "samples_per_s")} for row in metrics]


def bits_are_those_of_the_command(folder):
    kinds = {
        "classes": (CONFIG, X, Y, VALID, None),
        "weights": (CONFIG, X, Y, VALID, RANDOM.uniform(0, 1, len(X)).astype(np.float32)),
        "real": ({**CONFIG, "train": {**CONFIG["train"], "loss": "mse"}}, X.astype(np.float64),
                 X.sum(1)[:, :2].astype(np.float32), (VALID[0], VALID[0].sum(1)[:, :2], VALID[2]), None),
    }
    for name, (config, x, y, valid, weights) in kinds.items():
        at = folder / name
        at.mkdir()
        extra = {} if weights is None else {"weights": weights}
        on_disk(at, config, train={"x": x, "y": y, "lengths": LENGTHS, **extra},
                valid=dict(zip(("x", "y", "lengths"), valid)))
        command("train", "c.yaml", "--out", "run", "--quiet", folder=at)
        expected = [json.loads(line) for line in (at / "run/metrics.jsonl").read_text().splitlines()]
        heard = []
        run = clrnn.train(config, x, y, valid=valid, lengths=LENGTHS, weights=weights, device=DEVICE,
                          callback=lambda row: heard.append(row))
        assert numbers(run.metrics) == numbers(expected) == numbers(heard) and len(heard) == 3, name
        command("predict", "run", "--x", "train_x.npy", "--lengths", "train_lengths.npy", "--out", "p.npy", folder=at)
        assert (np.load(at / "p.npy") == run.model.predict(x, LENGTHS)).all()
        other = clrnn.load(at / "run", device=DEVICE).state_dict()
        for key, values in run.model.state_dict().items():
            assert values.dtype == np.float32 and (values == other[key]).all(), key


def labels_of_ctc(folder):
    config = {"model": {"layers": [{"lstm": {"hidden_size": 6}}, {"linear": {"out_features": 4}}]},
              "train": {"epochs": 2, "batch_size": 16, "loss": "ctc"}}
    counts = np.minimum(LENGTHS // 2, 3)
    y = RANDOM.integers(1, 4, (len(X), 3))
    on_disk(folder, config, train={"x": X, "y": y, "lengths": LENGTHS, "y_lengths": counts},
            valid={"x": X[:40], "y": y[:40], "lengths": LENGTHS[:40], "y_lengths": counts[:40]})
    command("train", "c.yaml", "--out", "ctc", "--quiet", folder=folder)
    wanted = [json.loads(line) for line in (folder / "ctc" / "metrics.jsonl").read_text().splitlines()]
    run = clrnn.train(config, X, y, lengths=LENGTHS, y_lengths=counts, device=DEVICE,
                      valid=(X[:40], y[:40], LENGTHS[:40], None, counts[:40]))
    assert numbers(run.metrics) == numbers(wanted), (run.metrics, wanted)
    found = run.model.evaluate(X[:40], y[:40], LENGTHS[:40], y_lengths=counts[:40])
    assert found.loss == run.metrics[-1].valid_loss and 0 <= found.cer == run.metrics[-1].valid_cer, found
    refused(clrnn.ConfigError, "y_lengths", clrnn.train, config, X, y, lengths=LENGTHS, device=DEVICE)


def saves_and_loads(folder):
    run = clrnn.train(CONFIG, SEQUENCES, Y, valid=VALID, device=DEVICE, out=folder / "kept")
    assert (folder / "kept/summary.json").exists() and run.folder == str(folder / "kept")
    run.save(folder / "m.safetensors")
    model = clrnn.load(folder / "m.safetensors", device=DEVICE)
    assert (model.predict(SEQUENCES) == run.model.predict(X, LENGTHS)).all()
    assert (model.predict(X, LENGTHS, kind="probs").argmax(1) == model.predict(X, LENGTHS, kind="classes")).all()
    evaluated = model.evaluate(X, Y, LENGTHS)
    assert evaluated.confusion.sum() == 120 and 0 <= evaluated.accuracy <= 1
    assert run.metrics[-1].valid_loss == run.model.evaluate(*VALID).loss
    state = model.state_dict()
    state["rnn.weight_ih_l0"] = state["rnn.weight_ih_l0"] * 2
    model.load_state_dict(state)
    assert (model.state_dict()["rnn.weight_ih_l0"] == state["rnn.weight_ih_l0"]).all()
    wrong = {**{name: values + 1 for name, values in state.items()}, list(state)[-1]: np.zeros(7)}
    refused(ValueError, "has the shape (7,)", model.load_state_dict, wrong)
    assert all((values == state[name]).all() for name, values in model.state_dict().items())
    for config_text in ((folder / "kept/config.yaml").read_text(), run.model.config):
        assert "x: 'memory:x'" in config_text
    refused(clrnn.DataError, "memory:x", clrnn.train, folder / "kept/config.yaml")


def names_beyond_ascii(folder):
    """A config's texts reach the library whatever their characters, and paths may be pathlib's."""
    at = folder / "d\u00e9j\u00e0 \U0001f600"
    at.mkdir()
    np.save(at / "X.npy", X)
    np.save(at / "y.npy", Y)
    config = {**CONFIG, "data": {**CONFIG.get("data", {}), "train": {"x": at / "X.npy", "y": str(at / "y.npy")}}}
    wanted = clrnn.train(CONFIG, X, Y, device=DEVICE)
    assert numbers(clrnn.train(config, device=DEVICE).metrics) == numbers(wanted.metrics)


def shapes_of_predictions():
    tokens = RANDOM.integers(0, 5, (30, 4))
    steps = {"model": {"layers": [{"embedding": {"num_embeddings": 5, "embedding_dim": 3}},
                                  {"gru": {"hidden_size": 4}}, {"linear": {"out_features": 3}}]},
             "train": {"epochs": 1}}
    model = clrnn.train(steps, tokens, tokens % 3, device=DEVICE).model
    assert model.per_step and model.predict(tokens).shape == (30, 4, 3)
    assert model.predict(tokens, kind="classes").shape == (30, 4)
    windows = {"model": {"layers": [{"conv1d": {"out_channels": 4, "kernel_size": 2, "stride": 2}},
                                    {"gru": {"hidden_size": 3}}, {"linear": {"out_features": 2}}]},
               "train": {"epochs": 1, "batch_size": 4}}
    x = RANDOM.normal(size=(8, 9, 2))
    model = clrnn.train(windows, x, RANDOM.integers(0, 2, (8, 4)), device=DEVICE).model
    assert model.predict(x).shape == (8, 4, 2) and model.predict(x, kind="classes").shape == (8, 4)
    refused(clrnn.DataError, "", model.predict, x[:, :1])
    labels = {"model": {"layers": [{"pool": {"over": "last"}}, {"linear": {"out_features": 3}}]},
              "train": {"epochs": 1, "loss": "bce_with_logits"}}
    flat = RANDOM.normal(size=(30, 6))
    model = clrnn.train(labels, flat, (flat[:, :3] > 0).astype(np.float32), device=DEVICE).model
    assert model.predict(flat).shape == (30, 3) == model.predict(flat, kind="classes").shape


def arrays_are_read_where_they_lie():
    """Float32 in C order is not copied; what is strided, big-endian or of another type is taken too."""
    from clrnn._data import Set
    assert Set(X, Y).arrays.x.data == X.ctypes.data and Set(X, Y).arrays.y.data == Y.ctypes.data
    model = clrnn.train(CONFIG, X, Y, lengths=LENGTHS, device=DEVICE).model
    expected = model.predict(X)
    for other in (np.asfortranarray(X), X.astype(">f4"), X.astype(np.float64), np.repeat(X, 2, 0)[::2], X.tolist()):
        assert (model.predict(other) == expected).all()


def refused(error, words, function, *arguments, **named):
    try:
        function(*arguments, **named)
    except error as e:
        assert words in str(e), str(e)
    else:
        raise AssertionError(f"not refused: {words}")


def errors():
    def train(*arguments, **named):
        clrnn.train(*arguments, device=DEVICE, **named)
    refused(clrnn.DataError, "train y: holds int64 (10,)", train, CONFIG, X, Y[:10])
    refused(clrnn.DataError, "valid X: holds", train, CONFIG, X, Y, valid=(X[0, 0], Y))
    refused(clrnn.DataError, "Python objects", train, CONFIG, X, np.array(["a", 3], object))
    refused(clrnn.ConfigError, "lstmm", train, {"model": {"layers": [{"lstmm": {}}]}}, X, Y)
    refused(ValueError, "without y", train, CONFIG, X)
    refused(clrnn.ArgumentError, "nowhere", clrnn.load, "x", device="nowhere")
    refused(clrnn.DataError, "no such file", clrnn.load, "/no such file", device=DEVICE)
    refused(ValueError, "one C", clrnn.pad, [np.zeros((2, 3)), np.zeros((2, 4))])


def callbacks():
    run = clrnn.train(CONFIG, X, Y, device=DEVICE, callback=lambda row: row.epoch == 2)
    assert run.stopped and len(run.metrics) == 2

    def fails(_row):
        raise ZeroDivisionError("in the callback")
    refused(ZeroDivisionError, "in the callback", clrnn.train, CONFIG, X, Y, device=DEVICE, callback=fails)


def diagnoses():
    broken = {**CONFIG, "model": {"layers": [*CONFIG["model"]["layers"], {"softmax": {}}]}}
    found = clrnn.doctor(broken, X, Y, lengths=LENGTHS, device=DEVICE, seconds=5)
    assert "softmax-before-cross-entropy" in [f.id for f in found.findings] and "softmax" not in found.fixed
    assert found.findings[0].severity == "error" and found.findings[0]["remedy"]
    result = clrnn.overfit(CONFIG, X, Y, device=DEVICE, steps=30)
    assert len(result.curve) == result.steps and result.last_loss < result.first_loss
    grown = clrnn.grow(CONFIG, X, Y, device=DEVICE, steps=20, train_steps=20)
    assert grown.stages[0].name == "linear alone" and grown.first_broken == -1
    compared = clrnn.compare(CONFIG, X, Y, devices=["ref"], steps=3, speed=False, test=False)
    assert compared.agree and len(compared.devices[0].loss) == 3
    refused(clrnn.ArgumentError, "nowhere", clrnn.compare, CONFIG, X, Y, devices=["nowhere"])
    listed = json.loads(command("devices", "--no-test", "--json", folder="."))
    assert listed == clrnn.devices()


def locale_with_a_decimal_comma(folder):
    """A program's locale changes no file and no number that is read."""
    made = folder / "de_DE.UTF-8"
    subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", made], check=False, capture_output=True)
    os.environ["LOCPATH"] = str(folder)
    if not made.exists():
        print("# no locale with a decimal comma can be made here")
        return
    (folder / "t.csv").write_text("a,b,y\n" + "".join(f"{i * 7 % 40 / 8}e-3,{i % 3},{i % 2}\n" for i in range(40)))
    config = {"model": {"layers": [{"linear": {"out_features": 4}}, {"layernorm": {"eps": 0.5}},
                                   {"elu": {"alpha": 0.25}}, {"linear": {"out_features": 2}}]},
              "train": {"epochs": 2, "scheduler": {"exponential_lr": {"gamma": 0.7}}},
              "data": {"train": {"csv": str(folder / "t.csv"), "label": "y"}, "normalize": "standard"}}
    written = []
    for name in ("C", "de_DE.UTF-8"):
        locale.setlocale(locale.LC_ALL, name)
        run = clrnn.train(config, device=DEVICE, out=folder / f"run-{name}")
        out = folder / f"c-{name}"
        for kind in (0, 1):
            assert clrnn._library.library().clrnn_model_export_c(run.model.handle, os.fsencode(out), b"net",
                                                                 ctypes.c_int(kind)) == 0
            written.append([(out / f"net{end}").read_text() for end in (".c", ".h", "_test.h", "_main.c")])
        written[-1] += [numbers(run.metrics), (folder / f"run-{name}/config.yaml").read_text()]
    before = locale.localeconv()["decimal_point"]
    locale.setlocale(locale.LC_ALL, "C")
    assert before == ",", "the library has changed the program's locale"
    assert written[:2] == written[2:], "the locale changes what is written"


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        bits_are_those_of_the_command(folder)
        saves_and_loads(folder)
        names_beyond_ascii(folder)
        labels_of_ctc(folder)
        locale_with_a_decimal_comma(folder)
    shapes_of_predictions()
    arrays_are_read_where_they_lie()
    errors()
    callbacks()
    diagnoses()
    print("ok")


main()
