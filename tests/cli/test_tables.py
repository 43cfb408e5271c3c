#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""People's own CSV files, seen from outside: dialects, names of columns and classes, missing cells, series."""
import json
import math
import os
import random
import resource
import subprocess
import sys

import harness
from harness import QUIET, read_npy, tensors

CLASSES = """\
model: {layers: [{gru: {hidden_size: 8}}, {pool: {over: last}}, {linear: {out_features: 3}}]}
train: {loss: cross_entropy, optimizer: {adam: {lr: 0.02}}, epochs: 4, batch_size: 16}
data: {train: {csv: a.csv, label: kind}, valid: {csv: b.csv, label: kind}, normalize: standard}
"""
NAMES = ["long", "short", "wide, flat"]


def flowers(seed, rows):
    draw = random.Random(seed)
    kinds = [draw.randrange(3) for _ in range(rows)]
    return [([2 * k + draw.gauss(0, 1), draw.gauss(0, 1), draw.gauss(0, 1) - k], NAMES[k]) for k in kinds]


def write(c, name, rows, order=(0, 1, 2), sep=",", decimal=".", before="", label=True):
    lines = [before + sep.join([*("abc"[i] for i in order), *(["kind"] if label else [])])]
    for values, kind in rows:
        cells = [f"{values[i]:.6f}".replace(".", decimal) for i in order]
        lines.append(sep.join([*cells, *([f'"{kind}"'] if label else [])]))
    (c.folder / name).write_text("\n".join(lines) + "\n")


def text_labels(c):
    """Texts become classes in sorted order, and the model keeps their names."""
    rows = flowers(1, 120)
    write(c, "a.csv", rows)
    write(c, "b.csv", flowers(2, 60), order=(2, 0, 1))
    c.write("c.yaml", CLASSES)
    c.run("train", "c.yaml", "--out", "run", *QUIET)
    c.run("predict", "run", "--csv", "a.csv", "--out", "p.csv", "--classes", "--quiet")
    lines = (c.folder / "p.csv").read_text().splitlines()
    assert lines[0] == "sample,class" and len(lines) == 121
    assert {line.split(",", 1)[1] for line in lines[1:]} <= {"long", "short", '"wide, flat"'}
    c.run("predict", "run", "--csv", "a.csv", "--out", "p.npy", "--classes", "--quiet")
    classes = read_npy(c.folder / "p.npy")[1]
    assert [line.split(",", 1)[1].strip('"') for line in lines[1:]] == [NAMES[k] for k in classes]
    result = json.loads(c.run("eval", "run", "--csv", "a.csv", "--json")[0])
    assert [k["name"] for k in result["classes"]] == NAMES
    assert [k["support"] for k in result["classes"]] == [sum(kind == n for _, kind in rows) for n in NAMES]
    right = sum(NAMES[k] == kind for k, (_, kind) in zip(classes, rows))
    harness.near(result["accuracy"], right / len(rows), 1e-9, "accuracy")
    assert "wide, flat" in c.run("eval", "run", "--csv", "a.csv")[0]


def by_name(c):
    """Columns go by name after training: in another order, with others beside them, without the label."""
    rows = flowers(1, 120)
    write(c, "a.csv", rows)
    write(c, "b.csv", flowers(2, 60))
    c.write("c.yaml", CLASSES)
    c.run("train", "c.yaml", "--out", "run", *QUIET)
    want = c.run("eval", "run", "--csv", "a.csv", "--json")[0]
    c.run("predict", "run", "--csv", "a.csv", "--out", "p.npy", "--quiet")
    write(c, "t.csv", rows, order=(2, 1, 0))
    assert c.run("eval", "run", "--csv", "t.csv", "--json")[0] == want
    write(c, "t.csv", rows, order=(1, 2, 0), sep=";", label=False)
    c.run("predict", "run", "--csv", "t.csv", "--out", "q.npy", "--quiet")
    assert read_npy(c.folder / "p.npy") == read_npy(c.folder / "q.npy")
    c.refused(3, ["a.csv: has 1 column named a, expected 2 or more (columns)"], "data", "c.yaml", "--set",
              "data.train.columns=[a, b, a]")
    (c.folder / "t.csv").write_text("a,B,c,kind\n1,2,3,long\n")
    for command in (("predict", "run", "--csv", "t.csv", "--out", "q.npy"), ("eval", "run", "--csv", "t.csv")):
        c.refused(3, ["no column b (that the model was trained on)", 'did you mean "B"'], *command)
    (c.folder / "t.csv").write_text("a,b,c,kind\n1,2,3,longer\n")
    c.refused(3, ['row 1, column "kind": "longer" is none of the model\'s 3 classes'], "eval", "run", "--csv", "t.csv")


def weights_alone(c):
    """--init with --config takes names of columns and classes, and balanced weights, from the config's training set."""
    write(c, "a.csv", flowers(1, 120))
    write(c, "b.csv", [(values, kind) for values, kind in flowers(2, 60) if kind != "long"], order=(1, 2, 0))
    c.write("c.yaml", CLASSES.replace("normalize: standard", "normalize: none")
            .replace("loss: cross_entropy", "loss: {cross_entropy: {weight: balanced}}"))
    c.run("train", "c.yaml", "--out", "run", *QUIET)
    weights = ("--init", "run/last.safetensors", "--config", "c.yaml")
    for data in ((), ("--csv", "b.csv")):
        one, other = (json.loads(c.run("eval", *model, *data, "--json")[0]) for model in (("run",), weights))
        assert [other[k] for k in ("loss", "accuracy", "classes")] == [one[k] for k in ("loss", "accuracy", "classes")]
    write(c, "b.csv", flowers(2, 60), order=(2, 1, 0), label=False)
    for model, out in ((("run",), "p.csv"), (weights, "q.csv")):
        c.run("predict", *model, "--csv", "b.csv", "--classes", "--out", out, "--quiet")
    assert (c.folder / "p.csv").read_text() == (c.folder / "q.csv").read_text()
    (c.folder / "a.csv").unlink()
    _, err = c.run("predict", *weights, "--csv", "b.csv", "--classes", "--out", "q.csv")
    assert err.count("a.csv: the training data are not there") == 1, err


def dialects(c):
    """The same numbers in another dialect give the same model."""
    rows = flowers(1, 120)
    write(c, "a.csv", rows)
    write(c, "b.csv", rows)
    c.write("c.yaml", CLASSES)
    c.run("train", "c.yaml", "--out", "run", *QUIET)
    for number, (keys, arguments) in enumerate((
            ("", {"sep": ";"}), ("", {"sep": "\t", "before": "\ufeff"}), ("delimiter: '|'", {"sep": "|"}),
            ("decimal: ','", {"sep": ";", "decimal": ","}), ("comment: '#'", {"before": "# made, by; hand\n\n"}))):
        write(c, "t.csv", rows, **arguments)
        c.run("train", "c.yaml", "--out", f"run{number}", *QUIET, "--set",
              f"data.train={{csv: t.csv, label: kind, {keys}}}")
        assert tensors(c, f"run{number}") == tensors(c, "run"), keys
        assert c.run("eval", f"run{number}", "--csv", "t.csv")[0] == c.run("eval", "run", "--csv", "a.csv")[0]


def decimal_commas(c):
    """A decimal comma separates no cells, in a file of one column as in one whose names have commas."""
    c.write("c.yaml", SERIES_OF_ONE.replace("csv: s.csv", 'csv: s.csv, decimal: ","'))
    for names, cells, target in (("u", "{0},5", "u"), ("Temp, C;Hum, %", "{0},5;2,5", "Temp, C"),
                                 ('u,"Hum, %"', '"{0},5","2,5"', "u")):
        c.write("s.csv", names + "\n" + "".join(cells.format(i) + "\n" for i in range(30)))
        out, _ = c.run("data", "c.yaml", "--json", "--set", f"data.train.target=['{target}']")
        column = json.loads(out)["train"]["columns"][0]
        assert (column["name"], column["min"], column["max"]) == (target, 0.5, 29.5), column
    c.write("s.csv", "t;u\n" + "".join(f"{i / 2:.1f};{i},5\n".replace(".", ",") for i in range(30)))
    out, _ = c.run("data", "c.yaml", "--json", "--set", "data.train.time=t", "--set", "data.train.target=u")
    assert json.loads(out)["train"]["samples"] == 26


SERIES_OF_ONE = """\
model: {layers: [{pool: {over: last}}, {linear: {out_features: 1}}]}
train: {loss: mse, optimizer: {adam: {lr: 0.01}}, epochs: 2, batch_size: 16}
data: {train: {csv: s.csv, target: u, window: 4}}
"""
def empty_lines(c):
    """In a file of one column an empty line is a missing cell, which keeps its place in the series."""
    c.write("c.yaml", SERIES_OF_ONE)
    c.write("s.csv", "u\n" + "".join(f"{i}\n" if i != 10 else "\n" for i in range(30)) + "\n")
    c.refused(3, ["row 11", "missing"], "data", "c.yaml")
    out, _ = c.run("data", "c.yaml", "--json", "--set", "data.train.missing=forward")
    train = json.loads(out)["train"]
    assert train["rows"] == 30 and train["columns"][0]["missing"] == 1, train


def changed_weights(c):
    """A run is not resumed with other weights of its windows."""
    c.write("c.yaml", SERIES_OF_ONE.replace("window: 4", "window: 4, weights: w.npy"))
    c.write("s.csv", "u\n" + "".join(f"{i}\n" for i in range(30)))
    harness.write_npy(c.folder / "w.npy", "<f4", (26,), [1] * 26)
    c.run("train", "c.yaml", "--out", "run", *QUIET)
    c.run("train", "--resume", "run", "--set", "train.epochs=3", *QUIET)
    harness.write_npy(c.folder / "w.npy", "<f4", (26,), [1] * 25 + [2])
    c.refused(2, ["the train data are not those", "other content"], "train", "--resume", "run", "--set",
              "train.epochs=4", *QUIET)


SERIES = """\
model: {layers: [{gru: {hidden_size: 8}}, {pool: {over: last}}, {linear: {out_features: 3}}]}
train: {loss: mse, optimizer: {adam: {lr: 0.01}}, epochs: 2, batch_size: 16}
data: {train: {csv: s.csv, columns: [v, w], target: v, time: day, window: 10, horizon: 3, split: {valid: 0.25}},
       normalize: standard}
"""


def series(c):
    """A series trains with the bits that windows cut by hand give; predictions need no rows behind the window."""
    draw = random.Random(3)
    rows = [(harness.f32(math.sin(i / 5)), harness.f32(draw.gauss(0, 1))) for i in range(120)]
    days = [f"2024-{m:02d}-{d:02d}" for m in range(1, 5) for d in range(1, (31, 29, 31, 30)[m - 1] + 1)]
    (c.folder / "s.csv").write_text("day,v,w\n" + "".join(f"{d},{v!r},{w!r}\n" for d, (v, w) in zip(days, rows)))
    c.write("s.yaml", SERIES.replace(", normalize: standard", "").replace(",\n       normalize: standard", ""))
    for part, first, end in (("train", 0, 90), ("valid", 90, 120)):
        starts = range(first, end - 12)
        harness.write_npy(c.folder / f"X_{part}.npy", "<f4", (len(starts), 10, 2),
                          [n for s in starts for row in rows[s:s + 10] for n in row])
        harness.write_npy(c.folder / f"y_{part}.npy", "<f4", (len(starts), 3),
                          [rows[s + 10 + h][0] for s in starts for h in range(3)])
    c.run("train", "s.yaml", "--out", "csv", *QUIET)
    c.run("train", "s.yaml", "--out", "npy", *QUIET, "--set", "data.train={x: X_train.npy, y: y_train.npy}",
          "--set", "data.valid={x: X_valid.npy, y: y_valid.npy}")
    assert tensors(c, "csv") == tensors(c, "npy")
    assert [e["valid_loss"] for e in c.epochs("csv")] == [e["valid_loss"] for e in c.epochs("npy")]
    c.write("s.yaml", SERIES)
    c.run("train", "s.yaml", "--out", "run", *QUIET)
    values = harness.numbers(tensors(c, "run")["input.mean"])
    harness.near(values[0], sum(v for v, _ in rows[:90]) / 90, 1e-6, "mean over the rows before the cut")
    c.run("predict", "run", "--csv", "s.csv", "--out", "p.npy", "--quiet")
    assert read_npy(c.folder / "p.npy")[0] == (111, 3)
    lines = [f"{w!r},{v!r},{d}\n" for d, (v, w) in zip(days[108:], rows[108:])]
    (c.folder / "new.csv").write_text("w,v,day\n" + "".join(lines))
    c.run("predict", "run", "--csv", "new.csv", "--out", "q.npy", "--quiet")
    assert read_npy(c.folder / "q.npy")[1] == read_npy(c.folder / "p.npy")[1][-9:]
    c.refused(2, ["s*.csv: a pattern", "on windows of one table"], "predict", "run", "--csv", "s*.csv", "--out",
              "o.npy")
    c.refused(2, ["label_from takes each file", "by label"], "eval", "run", "--csv", "s.csv", "--label-from", "l.csv")


def line_through(past, step):
    """Least squares through the window, `step` rows behind its last."""
    middle, mean = (len(past) - 1) / 2, sum(past) / len(past)
    squares = sum((t - middle) ** 2 for t in range(len(past)))
    slope = sum((t - middle) * (v - mean) for t, v in enumerate(past)) / squares
    return mean + slope * (len(past) - 1 + step - middle)


def by_hand(values, predict):
    """MAE and RMSE of windows of 10 and horizon 3, means over the outputs."""
    errors = [[predict(values[s:s + 10], h) - values[s + 10 + h] for s in range(len(values) - 12)] for h in range(3)]
    return (sum(sum(map(abs, e)) / len(e) for e in errors) / 3,
            sum(math.sqrt(sum(v * v for v in e) / len(e)) for e in errors) / 3)


def baselines(c):
    """What a result stands beside: the last value, the season before, a straight line; of classes the commonest."""
    draw = random.Random(4)
    values = [math.sin(i / 3) * 5 + draw.gauss(0, 1) + 100 for i in range(80)]
    kinds = [draw.choice("aab") for _ in values]
    (c.folder / "s.csv").write_text("v,w,k\n" + "".join(f"{v!r},1,{k}\n" for v, k in zip(values, kinds)))
    c.write("s.yaml", SERIES.replace("time: day, ", "season: 7, "))
    wanted = {"last value": lambda past, h: past[-1], "seasonal": lambda past, h: past[3 + h],
              "linear": lambda past, h: line_through(past, h + 1)}
    _, err = c.run("train", "s.yaml", "--out", "run", "--no-plot", "--no-watch")
    assert "valid, baselines: last value MAE" in err
    summary = json.loads((c.folder / "run/summary.json").read_text())
    evaluated = json.loads(c.run("eval", "run", "--csv", "s.csv", "--json")[0])
    described = json.loads(c.run("data", "s.yaml", "--json")[0])
    for rows, found in ((values[60:], summary["baselines"]), (values, evaluated["baselines"]),
                        (values[:60], described["train"]["baselines"]), (values[60:], described["valid"]["baselines"])):
        assert [r["name"] for r in found] == list(wanted)
        for r in found:
            mae, rmse = by_hand(rows, wanted[r["name"]])
            harness.near(r["mae"], mae, 1e-6, r["name"])
            harness.near(r["rmse"], rmse, 1e-6, r["name"])
    assert "baseline seasonal: MAE" in c.run("eval", "run", "--csv", "s.csv")[0]
    c.write("s.yaml", CLASSES[:CLASSES.index("data:")] + "data: {train: {csv: s.csv, label: k, window: 4}}\n")
    found = json.loads(c.run("data", "s.yaml", "--json")[0])["train"]
    harness.near(found["baselines"][0]["accuracy"], kinds[3:].count("a") / 77, 1e-9, "commonest class")
    assert [(k["name"], k["samples"]) for k in found["classes"]] == [(k, kinds[3:].count(k)) for k in "ab"]


def other_series(c):
    """data.valid and data.test take each setting of windows that they leave out from data.train, one by one."""
    draw = random.Random(5)
    values = [draw.gauss(0, 1) for _ in range(60)]
    (c.folder / "s.csv").write_text("v\n" + "".join(f"{v}\n" for v in values))
    (c.folder / "v.csv").write_text("v\n" + "".join(f"{v}\n" for v in values[30:]))
    base = SERIES[:SERIES.index("data:")].replace("3}", "1}")
    train = "data: {train: {csv: s.csv, target: v, window: 6}, "
    found = []
    for keys, samples in (("", 24), (", window: 6", 24), (", horizon: 1", 24), (", target: v, window: 6", 24),
                          (", label: v, window: 6", 24), (", window: 8", 22), (", stride: 6", 4), (", season: 3", 24)):
        c.write("s.yaml", base + train + f"valid: {{csv: v.csv{keys}}}}}\n")
        found.append(json.loads(c.run("data", "s.yaml", "--json")[0])["valid"])
        assert found[-1]["samples"] == samples, keys
        harness.near(found[-1]["first"][0]["y"][0], values[38 if "8" in keys else 36], 1e-6, keys)
    assert [("seasonal" in [b["name"] for b in f["baselines"]]) for f in found] == [False] * 7 + [True]
    c.write("s.yaml", base + train.replace("6}", "6, stride: 3, season: 6}") + "valid: {csv: v.csv, window: 4}}\n")
    valid = json.loads(c.run("data", "s.yaml", "--json")[0])["valid"]  # a season does not fit into a window of 4
    assert valid["samples"] == 9 and [b["name"] for b in valid["baselines"]] == ["last value", "linear"]
    c.write("s.yaml", base + train + "test: {csv: v.csv, window: 6}}\n")
    c.run("train", "s.yaml", "--out", "run", *QUIET)
    own, named = (json.loads(c.run("eval", "run", "--json", *source)[0]) for source in ((), ("--csv", "v.csv")))
    assert own["loss"] == named["loss"] and own["baselines"] == named["baselines"]
    for keys, words in (("season: 7", "season of 7 rows, expected at most the 6"), ("steps: 2", "steps and window"),
                        ("horizon: 0", "has the horizon 0, expected the 1 of data.train")):
        c.write("s.yaml", base + train + f"valid: {{csv: v.csv, {keys}}}}}\n")
        c.refused(2, ["data.valid", words], "data", "s.yaml")
    c.write("s.yaml", base + train.replace(", window: 6", "") + "valid: {csv: v.csv, stride: 2}}\n")
    c.refused(2, ["data.valid: has stride without window"], "data", "s.yaml")


def description(c):
    """What `clrnn data` says of a table and of arrays."""
    (c.folder / "a.csv").write_text("a,b,kind\n1,,x\n2,4,y\n6,8,x\n")
    c.write("c.yaml", CLASSES.replace("valid: {csv: b.csv, label: kind}, ", "")
            .replace("label: kind}", "label: kind, missing: forward}").replace("forward", "mean"))
    found = json.loads(c.run("data", "c.yaml", "--json")[0])["train"]
    assert found["rows"] == 3 and found["samples"] == 3 and found["features"] == 2
    assert found["columns"][1] == {"name": "b", "role": "feature", "min": 4, "mean": 6, "max": 8, "missing": 1}
    assert found["first"][0] == {"x": [[1, 6]], "y": [0]}
    text = c.run("data", "c.yaml")[0]
    for words in ("3 rows, 3 samples of 1 steps, 2 features", "class 1     y", "sample 1: 2 4 -> 1"):
        assert words in text, text
    (c.folder / "a.csv").write_text("a,b,kind\n1,2,3\n4,,\n")
    targets = CLASSES.replace("cross_entropy", "mse").replace("out_features: 3", "out_features: 2")
    c.write("t.yaml", targets[:targets.index("data:")] +
            "data: {train: {csv: a.csv, target: [b, kind], columns: a}, missing_targets: ignore}\n")
    assert "sample 1: 4 -> - -" in c.run("data", "t.yaml")[0]
    harness.write_npy(c.folder / "X.npy", "<f4", (2, 3, 2), [0, 1, 2, 3, 9, 9, 4, 5, 6, 7, 8, 9])
    harness.write_npy(c.folder / "y.npy", "<i8", (2,), [0, 2])
    harness.write_npy(c.folder / "l.npy", "<i8", (2,), [2, 3])
    found = json.loads(c.run("data", "c.yaml", "--json", "--set",
                             "data.train={x: X.npy, y: y.npy, lengths: l.npy}")[0])["train"]
    assert found["lengths"] == {"min": 2, "mean": 2.5, "max": 3}
    assert [col["max"] for col in found["columns"]] == [8, 9]  # padding does not count


def kept_tables(c):
    """The table of a large file is kept in the cache folder, and made anew where it or the file is another."""
    draw = random.Random(7)
    lines = ["g,a,b,k"]
    lines += [f"{n % 3},{draw.gauss(0, 1)!r},{draw.gauss(0, 1)!r},{draw.choice('xyz')}" for n in range(220000)]
    (c.folder / "big.csv").write_text("\n".join(lines) + "\n")
    assert (c.folder / "big.csv").stat().st_size > 8 << 20
    c.write("c.yaml", CLASSES[:CLASSES.index("data:")] +
            "data: {train: {csv: big.csv, label: k, group: g, window: 5, stride: 100, missing: forward}}\n")

    def described(cache):
        return c.run("data", "c.yaml", "--json", env={"XDG_CACHE_HOME": str(cache)})[0]

    def kept():
        return list((c.folder / "cache/clrnn/tables").glob("*.table"))

    (c.folder / "no").write_text("is no folder")
    want = described(c.folder / "no")
    assert [described(c.folder / "cache") for _ in range(2)] == [want, want] and len(kept()) == 1
    whole = kept()[0].read_bytes()
    for at in (20, len(whole) // 2, len(whole) - 3):
        kept()[0].write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
        assert described(c.folder / "cache") == want and kept()[0].read_bytes() == whole
    kept()[0].write_bytes(whole[:5000])
    assert described(c.folder / "cache") == want and kept()[0].read_bytes() == whole
    lines[1] = "0,7.5,7.5,x"
    (c.folder / "big.csv").write_text("\n".join(lines) + "\n")
    other = described(c.folder / "cache")
    assert other != want and other == described(c.folder / "no") and len(kept()) == 1
    size = kept()[0].stat().st_size
    cache = {"XDG_CACHE_HOME": str(c.folder / "cache")}
    found = json.loads(c.run("cache", "info", "--json", env=cache)[0])
    assert (found["tables"], found["table_bytes"]) == (1, size), found
    (c.folder / "cache/clrnn/tables").chmod(0o777)  # all may write to it: neither used nor written
    kept()[0].unlink()
    assert described(c.folder / "cache") == other and not kept()
    (c.folder / "cache/clrnn/tables").chmod(0o755)
    assert described(c.folder / "cache") == other and len(kept()) == 1
    found = json.loads(c.run("cache", "clear", "--json", env=cache)[0])
    full = subprocess.run([c.executable, "data", "c.yaml", "--json"], cwd=c.folder, env={**os.environ, **cache},
                          capture_output=True, text=True, check=False,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)))
    assert full.returncode == 0 and full.stdout == other and "held in memory" in full.stderr, full
    assert not list((c.folder / "cache/clrnn/tables").iterdir())  # no half table is left
    assert (found["tables"], found["table_bytes"]) == (1, size) and not kept(), found


def odd_cells(c):
    """What stands in a cell that holds no number is recognised, and the remedy is one that the command can take."""
    head = "n,a,k\n" + "".join(f"{n},{n % 7},{n % 2}\n" for n in range(30))
    config = CLASSES[:CLASSES.index("data:")].replace("out_features: 3", "out_features: 2")
    c.write("c.yaml", config + "data: {train: {csv: t.csv, label: k}}\n")
    (c.folder / "t.csv").write_text(head)
    c.run("train", "c.yaml", "--out", "run", *QUIET)
    for cell, words in (("?", "leave the cell empty, and {} missing: zero, mean or forward"),
                        ("", "drop the row, or {} missing: zero"), ('"1,234.5"', "without marks between thousands"),
                        ("1'234.5", "without marks between thousands"), ("12%", "without its unit"),
                        ('"0,5"', '{} decimal: ","'), ("red", "column of text"), ("2024-05-31", "is a date"),
                        ("inf", "repair or remove that row")):
        (c.folder / "t.csv").write_text(head + f"30,{cell},1\n")
        for verb, command in (("set", ("data", "c.yaml")), ("train with", ("predict", "run", "--csv", "t.csv", "--out",
                                                                          "p.npy")),
                              ("train with", ("eval", "run", "--csv", "t.csv"))):
            err = c.run(*command, status=3)[1]
            assert "row 31" in err and words.format(verb) in err, f"{cell}: {err}"
            assert cell != "inf" or "missing" not in err, err
    for key in ("label: k", "label: k, group: g, window: 1"):
        for texts in (("\xe9".encode("latin-1"), "\xe9".encode()), ("\xe9".encode(), "\xe9".encode("latin-1"))):
            rows = [b"1,%s,x" % text if "group" not in key else b"1,x,%s" % text for text in texts]
            (c.folder / "t.csv").write_bytes(b"a,k,g\n" + b"\n".join(rows) + b"\n")
            c.refused(3, ["row 2, column", "mixes encodings"],
                      "data", "c.yaml", "--set", f"data.train={{csv: t.csv, columns: [a], {key}}}")
    (c.folder / "t.csv").write_text("")
    assert "t.csv: is empty" in c.run("data", "c.yaml", status=3)[1]
    for step, words in ((1, "counts the rows: left out"), (2, "growing whole numbers"), (-1, None)):
        (c.folder / "t.csv").write_text(",a,k\n" + "".join(f"{n * step},{n % 7},{n % 2}\n" for n in range(30)))
        err = c.run("train", "c.yaml", "--out", "run", *QUIET)[1]
        assert words in err if words else "no name" not in err, err


LARGE = """\
model: {layers: [{pool: {over: last}}, {linear: {out_features: 4}}]}
train: {loss: mse, optimizer: adam, epochs: 1, batch_size: 256, shuffle: true}
data: {train: {csv: t.csv, columns: [0, 1, 2, 3, 4, 5, 6], target: [v], window: 24, horizon: 4, stride: 50,
               split: {valid: 0.2}}, normalize: standard}
"""


def constant_memory(c):
    """Training takes no more memory with twenty times as many rows, whether its table is made or found, and in
    whatever order rows and windows are read."""
    draw = random.Random(8)
    block = "".join(f"{','.join(f'{draw.gauss(0, 1):.3f}' for _ in range(8))},{n % 5}\n" for n in range(1000))
    c.write("c.yaml", LARGE)
    env = {"XDG_CACHE_HOME": str(c.folder / "cache"), "CLRNN_RESIDENT_BYTES": "65536"}
    command = ("train", "c.yaml", "--out", "run", *QUIET, "--set")
    few = {}
    for rows in (60000, 1200000):  # tables of 4 and 86 MB
        # in pieces: the peak of a child begins with the memory of this process
        with open(c.folder / "t.csv", "w", encoding="utf-8") as file:
            file.write("a,b,c,d,e,f,g,v,shop\n")
            for _ in range(rows // 1000):
                file.write(block)
        if not few:
            c.run(*command, "train.seed=1", env=env)  # compilers need memory: built now
        for key in ("train.seed=1", "train.seed=2", "data.train.group=shop"):
            peak = c.peak_kib(*command, key, env=env)
            assert peak - few.setdefault(key, peak) < 48 << 10, f"{key}: {few[key]} kB, {rows} rows: {peak} kB"
    assert any(path.stat().st_size > 70 << 20 for path in (c.folder / "cache/clrnn/tables").iterdir())


def wrong_configs(c):
    """Keys that do not fit each other: the config's status, and which."""
    c.write("s.yaml", SERIES)
    for change, words in ((("window: 10, ", ""), "without window"),
                          (("csv: s.csv", "x: x.npy, y: y.npy"), "without csv"),
                          (("target: v", "target: v, label: w"), "label and target"),
                          (("time: day", "delimiter: ab"), "one character or tab"),
                          (("time: day", "decimal: x"), "expected . or ,"),
                          (("time: day", "missing: guess"), "error, zero, mean or forward"),
                          (("normalize", "valid_fraction: 0.2, normalize"), "keep one of them"),
                          (("split: {valid: 0.25}", "steps: 2"), "steps and window"),
                          (("time: day", "season: 12"), "season of 12 rows, expected at most the 10")):
        c.write("s.yaml", SERIES.replace(*change))
        c.refused(2, [words], "train", "s.yaml", "--out", "run", *QUIET)


if __name__ == "__main__":
    sys.exit(harness.main([text_labels, by_name, weights_alone, dialects, decimal_commas, empty_lines,
                           changed_weights, series, baselines, other_series, description, kept_tables, odd_cells,
                           constant_memory, wrong_configs]))
