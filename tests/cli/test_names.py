# SPDX-License-Identifier: MIT
"""Names from outside: of folders, files, tensors, layers and columns that hold what shells, gnuplot, terminals,
JSON and YAML obey. Nothing is run, no control byte is shown, JSON parses, and every name comes back whole."""
import csv
import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import xml.dom.minidom

import harness

HOSTILE = [
    b"|touch pwned;#",
    b"'; touch pwned; '",
    b'" ; system("touch pwned"); "',
    b"`touch pwned` $(touch pwned)",
    b"%s%n %d {=9 x}_{y}^z @a",
    b"a\\b\\x41\\n",
    b"nl\n!touch pwned\nclrnn: error: forged",
    b"\x1b[2J\x1b]0;title\x07 \r\x7f",
    b"csi \xc2\x9b2J bidi \xe2\x80\xaegnp. \xe2\x80\xa8",
    b"latin gr\xf6\xdfe \xff\xfe \xc0\xaf",
    "größe 数据 😀 : # - {a: b} [c]".encode(),
    b"~ null, &a *b !c %TAG",
]


def check_shown(out, err):
    """Only newlines are control bytes, and what is shown is UTF-8 without C1 and changes of direction."""
    for name, raw in (("stdout", out), ("stderr", err)):
        text = raw.decode()
        wrong = [c for c in text if (ord(c) < 32 and c != "\n") or 0x7f <= ord(c) < 0xa0 or c in "\u202e\u2028\ufeff"]
        assert not wrong, f"{name} holds {wrong!r}: {raw!r}"
        assert not any(line.startswith("clrnn: error: forged") for line in text.splitlines()), text


def run(c, folder, *arguments, status=(0,)):
    """Runs clrnn on ref in `folder` (bytes); the arguments may be bytes."""
    done = subprocess.run([c.executable, *arguments, *([] if b"--device" in arguments else ["--device", "ref"])],
                          cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    assert done.returncode in status, f"{arguments}: exit {done.returncode}\n{done.stdout!r}\n{done.stderr!r}"
    check_shown(done.stdout, done.stderr)
    return done.stdout, done.stderr


def folders(c):
    """A folder of each name with the data set and the config in it; gives (folder, name)."""
    for name in HOSTILE:
        folder = os.path.join(os.fsencode(c.folder), name)
        os.mkdir(folder)
        for file in c.folder.iterdir():
            if file.suffix in (".npy", ".yaml"):
                shutil.copy(file, os.path.join(folder, os.fsencode(file.name)))
        yield folder, name


def in_yaml(path):
    """A path as a person would write it for --set; bytes that are not UTF-8 as they are, which YAML could not."""
    try:
        text = json.dumps(path.decode().replace("\\x", "\\x5cx"))
        return text.replace("\\ud83d\\ude00", "😀").encode()  # YAML knows no surrogates
    except UnicodeDecodeError:
        return b"'" + path.replace(b"'", b"''") + b"'"


def check_nothing_run(c):
    pwned = [path for path, _, files in os.walk(os.fsencode(c.folder)) if b"pwned" in files]
    assert not pwned, pwned


def test_folders_and_files(c):
    for folder, name in folders(c):
        x = b"X " + name + b".npy"
        shutil.copy(os.path.join(folder, b"X_train.npy"), os.path.join(folder, x))
        assignment = b"data.train.x=" + in_yaml(b"X " + name + b".npy")
        where = os.path.join(folder, b"config.yaml")
        run(c, c.folder, "train", where, "--out", os.path.join(folder, name), "--set", assignment,
            "--set", "train.epochs=1")
        out = os.path.join(folder, name)
        for file in ("last.safetensors", "summary.json", "loss.svg"):
            if file != "loss.svg" or shutil.which("gnuplot"):
                assert os.path.exists(os.path.join(out, os.fsencode(file))), (name, file)
        json.loads(pathlib.Path(os.fsdecode(out), "summary.json").read_text())
        _, metadata = harness.read_safetensors(os.fsdecode(out) + "/last.safetensors")
        assert "clrnn.config" in metadata

        # the data are found again from the model file and from config.yaml alone
        run(c, "/", "train", "--resume", out, "--set", "train.epochs=2", "--no-plot")
        run(c, "/", "train", os.path.join(out, b"config.yaml"), "--out", os.path.join(folder, b"again"), "--no-plot",
            "--set", "train.epochs=2")
        again = [pathlib.Path(os.fsdecode(run_), "last.safetensors") for run_ in (out, os.path.join(folder, b"again"))]
        tensors = [{k: v for k, v in harness.read_safetensors(p)[0].items()} for p in again]
        assert tensors[0] == tensors[1], name
        figures, _ = run(c, "/", "eval", out, "--x", os.path.join(folder, x), "--y",
                         os.path.join(folder, b"y_train.npy"), "--json")
        assert json.loads(figures)["samples"] == 70
        run(c, folder, "predict", out, "--x", x, "--out", b"p " + name + b".csv")
        assert os.path.exists(os.path.join(folder, b"p " + name + b".csv"))
        check_nothing_run(c)


def test_every_command(c):
    for folder, name in folders(c):
        config = os.path.join(folder, b"config.yaml")
        broken = os.path.join(folder, name + b".yaml")
        pathlib.Path(os.fsdecode(broken)).write_text((c.folder / "config.yaml").read_text().replace(
            "loss: cross_entropy", "loss: cross_entropy\n  clip_grad_norm: 1.0e-9").replace(
            "\ntrain:", "\n  - softmax\n  - round\ntrain:"))
        fixed = os.path.join(folder, b"fixed " + name + b".yaml")
        for more in ((), ("--json",)):
            for command in (("plan", config), ("doctor", broken, "--static", "--fix", fixed),
                            ("overfit", config, "--steps", "3")):
                out, _ = run(c, c.folder, *command, *more, status=(0, 1))
                assert not more or json.loads(out)
        report = os.path.join(folder, b"report " + name + b".html")
        out, _ = run(c, c.folder, "doctor", broken, "--static", "--report", report, status=(1,))
        lines = [line.strip() for line in out.splitlines()]
        assert not any(line.startswith((b"!touch", b"clrnn: error: forged")) for line in lines), out
        page = pathlib.Path(os.fsdecode(report)).read_text()
        assert "(round)" in page, page
        assert "\n!touch" not in page, page
        if b"\n" in name:
            run(c, c.folder, "grow", broken, "--steps", "2", "--train-steps", "2", status=(0, 1))
        if os.path.exists(fixed):
            run(c, "/", "plan", fixed)
        run(c, folder, "synth", name + b".d", "--samples", "8", "--test-samples", "8", "--features", "3")
        run(c, folder, "export", name, "--out", b"e", status=(2, 3))
        run(c, folder, "train", name, status=(2, 3))
        run(c, folder, "train", config, "--set", name, status=(2,))
        run(c, folder, "train", config, "--set", b"data.train.x=" + name, status=(2, 3))
        run(c, folder, "train", config, "--set", b"train." + name + b"=1", status=(2,))
        run(c, folder, "plan", config, b"--device", name, status=(2,))
        run(c, folder, b"--" + name, status=(2,))
        run(c, folder, name, status=(2,))
        run(c, folder, "cache", name, b"--device", status=(2,))
        check_nothing_run(c)


def test_tensors_and_layers(c):
    run(c, c.folder, "train", "config.yaml", "--out", "run", "--no-plot")
    tensors, _ = harness.read_safetensors(c.folder / "run/last.safetensors")
    for name in HOSTILE:
        text = name.decode(errors="replace")
        odd = {("X" + text if key.startswith("head") else key): value for key, value in tensors.items()
               if not key.startswith("optim") and key != "head.bias"}
        harness.write_safetensors(c.folder / "odd.safetensors", odd, {text: text})
        _, err = run(c, c.folder, "train", "config.yaml", "--init", "odd.safetensors", "--out", "r", status=(3,))
        assert b"head.weight" in err and err.count(b"\nclrnn: error:") == 1, err
        run(c, c.folder, "train", "config.yaml", "--init", "odd.safetensors", "--init-partial", "--out", "r",
            "--no-plot", "--set", "train.epochs=1")
        run(c, c.folder, "eval", "odd.safetensors", "--x", "X_valid.npy", "--y", "y_valid.npy", status=(3,))
        layer = os.fsdecode(in_yaml(text.encode()))
        for command in ("plan", "doctor"):
            out, _ = run(c, c.folder, command, "config.yaml", "--json", "--set", f"model.layers.0.rnn.name={layer}",
                         *(["--static"] if command == "doctor" else []), status=(0, 1, 2))
            assert not out or json.loads(out)


def test_columns(c):
    for name in HOSTILE:
        quoted = b'"' + name.replace(b'"', b'""') + b'"'
        rows = b"".join(b"%d,%d,%d\n" % (i % 3, i % 5, i % 2) for i in range(20))
        (c.folder / "d.csv").write_bytes(b"a," + quoted + b",label\n" + rows + b"1,oops,0\n")
        run(c, c.folder, "train", "config.yaml", "--set", "data={train: {csv: d.csv, label: label}}", "--out", "r",
            "--no-plot", status=(3,))
        (c.folder / "d.csv").write_bytes(b"a,b," + quoted + b"\n" + rows)
        run(c, c.folder, "train", "config.yaml", "--set", "data={train: {csv: d.csv, label: label}}", "--out", "r",
            "--no-plot", status=(2, 3))


def test_classes(c):
    """Texts in a table's label column are the classes' names, which the model keeps and every command shows."""
    names = [name.decode(errors="replace") for name in HOSTILE]
    with open(c.folder / "d.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["a", "b", "label"])
        table.writerows([i % len(names), i % 5, names[i % len(names)]] for i in range(8 * len(names)))
    config = (c.folder / "config.yaml").read_text()
    head, _ = config.split("\ndata:")
    (c.folder / "classes.yaml").write_text(
        re.sub(r"out_features: \d+", f"out_features: {len(names)}", head) +
        "\ndata:\n  train: {csv: d.csv, label: label}\n  valid_fraction: 0.25\n")
    run(c, c.folder, "train", "classes.yaml", "--out", "run")
    for picture in (c.folder / "run").glob("*.svg"):
        xml.dom.minidom.parse(str(picture))
    for command in (("data", "classes.yaml"), ("overfit", "classes.yaml", "--steps", "3"), ("plan", "classes.yaml"),
                    ("doctor", "classes.yaml", "--seconds", "2", "--report", "report.html"),
                    ("eval", "run", "--csv", "d.csv")):
        for more in ((), ("--json",)):
            out, _ = run(c, c.folder, *command, *more, status=(0, 1))
            assert not more or json.loads(out)
    page = (c.folder / "report.html").read_text()
    assert "\x1b" not in page and "\n!touch" not in page, page
    run(c, c.folder, "predict", "run", "--csv", "d.csv", "--out", "p.csv", "--classes")
    with open(c.folder / "p.csv", newline="") as file:
        shown = {row["class"] for row in csv.DictReader(file)}
    assert shown <= set(names), shown - set(names)
    for kind in (("onnx", "m.onnx"), ("c", "code")):
        run(c, c.folder, "export", "run", "--to", kind[0], "--out", kind[1])
    check_nothing_run(c)


def test_pictures(c):
    if not shutil.which("gnuplot"):
        raise harness.Skip("no gnuplot")
    for folder, name in folders(c):
        out = os.path.join(folder, b"pictures " + name)
        run(c, c.folder, "doctor", os.path.join(folder, b"config.yaml"), "--plot", out, "--seconds", "2",
            status=(0, 1))
        drawn = [os.path.join(out, file) for file in os.listdir(out)]
        assert drawn, name
        for file in drawn:
            with open(file, "rb") as svg:
                xml.dom.minidom.parse(svg)
        check_nothing_run(c)


def test_closed_descriptors(c):
    for closed in ("0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"):
        shutil.rmtree(c.folder / "run", ignore_errors=True)
        subprocess.run(["sh", "-c", f'"$0" train config.yaml --device ref --out run --no-plot {closed}', c.executable],
                       cwd=c.folder, capture_output=True, timeout=300, check=True)
        assert len(c.epochs("run")) == 3 and not c.steps("run")
        json.loads((c.folder / "run/summary.json").read_text())


def test_full_disk(c):
    for arguments in (["--help"], ["--version"], ["help"], ["train", "--help"], ["devices", "--version"],
                      ["plan", "config.yaml", "--device", "ref"], ["cache", "info"], ["cache", "info", "--json"],
                      ["doctor", "config.yaml", "--device", "ref", "--static"],
                      ["overfit", "config.yaml", "--device", "ref", "--steps", "3"],
                      ["bench", "config.yaml", "--device", "ref", "--seconds", "0.05", "--json"]):
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([c.executable, *arguments], cwd=c.folder, stdout=full, stderr=subprocess.PIPE,
                                  text=True, timeout=300)
        assert done.returncode == 5, f"{arguments}: exit {done.returncode}\n{done.stderr}"
        assert "No space left" in done.stderr, done.stderr


def test_nan(c):
    """A training of NaN has failed, and NaN has no sign."""
    _, err = c.run("train", "config.yaml", "--device", "ref", "--out", "run", "--no-plot",
                   "--set", "train.optimizer={sgd: {lr: 1.0e+300}}", status=1)
    assert "nan" in err and "-nan" not in err and "CONFIG.yaml" not in err, err
    _, err = c.run("predict", "run", "--x", "X_valid.npy", "--out", "p.csv", "--device", "ref", status=3)
    assert "nan" in err and "-nan" not in err, err
    for bad in ("X", "y"):  # what is read holds NaN with its sign
        x = [-math.nan if bad == "X" else 0.5] * 12
        harness.write_npy(c.folder / "X_nan.npy", "<f4", (4, 1, 3), x)
        harness.write_npy(c.folder / "y_nan.npy", "<f4", (4,), [-math.nan if bad == "y" else 1.0] * 4)
        _, err = c.run("train", "config.yaml", "--device", "ref", "--out", "r", "--set",
                       "data={train: {x: X_nan.npy, y: y_nan.npy}}", status=3)
        assert "nan" in err and "-nan" not in err, err


if __name__ == "__main__":
    sys.exit(harness.main([test_folders_and_files, test_every_command, test_tensors_and_layers, test_columns,
                           test_classes, test_pictures, test_closed_descriptors, test_full_disk, test_nan]))
