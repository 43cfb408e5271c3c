#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Sequences from files: recordings of a file each, .ts archives, and how a bad value in them is named."""
import json
import random
import sys
import zipfile

import harness
from harness import QUIET, read_npy, tensors
from test_tables import CLASSES

RECORDINGS = """\
model: {layers: [{gru: {hidden_size: 8}}, {pool: {over: last}}, {linear: {out_features: 2}}]}
train: {loss: cross_entropy, optimizer: {adam: {lr: 0.02}}, epochs: 3, batch_size: 8}
data: {train: {csv: "rec/*.csv", columns: [x, y], label_from: labels.csv}}
"""


def recordings(c):
    """A file for each sequence and a table of labels: the model that padded arrays with lengths give."""
    draw = random.Random(5)
    kinds, lengths = [draw.choice(["walk", "run"]) for _ in range(24)], [draw.randint(3, 8) for _ in range(24)]
    lengths[0] = 8
    values, lines = [], ["file,label"]
    (c.folder / "rec").mkdir()
    for n, (kind, length) in enumerate(zip(kinds, lengths)):
        rows = [(harness.f32(draw.gauss(1 if kind == "run" else -1, 1)), harness.f32(draw.gauss(0, 1)))
                for _ in range(length)]
        text = "t,y,x\n" + "".join(f"{t},{y!r},{x!r}\n" for t, (x, y) in enumerate(rows))
        (c.folder / f"rec/r{n:02}.csv").write_text(text)
        values += [v for row in rows + [(0, 0)] * (8 - length) for v in row]
        lines.insert(1, f"r{n:02}.csv,{kind}")
    (c.folder / "labels.csv").write_text("\n".join(lines) + "\n")
    harness.write_npy(c.folder / "X.npy", "<f4", (24, 8, 2), values)
    harness.write_npy(c.folder / "y.npy", "<i8", (24,), [int(k == "walk") for k in kinds])
    harness.write_npy(c.folder / "l.npy", "<i8", (24,), lengths)
    c.write("c.yaml", RECORDINGS)
    c.run("train", "c.yaml", "--out", "files", *QUIET)
    c.run("train", "c.yaml", "--out", "arrays", *QUIET, "--set", "data.train={x: X.npy, y: y.npy, lengths: l.npy}")
    assert tensors(c, "files") == tensors(c, "arrays")
    result = json.loads(c.run("eval", "files", "--csv", "rec/*.csv", "--label-from", "labels.csv", "--json")[0])
    assert [k["name"] for k in result["classes"]] == ["run", "walk"] and result["samples"] == 24
    c.refused(2, ["has no targets", "for recordings the table of labels"], "eval", "files", "--csv", "rec/*.csv")
    c.run("predict", "files", "--csv", "rec/r0*.csv", "--out", "p.csv", "--classes", "--quiet")
    assert len((c.folder / "p.csv").read_text().splitlines()) == 11
    c.run("predict", "files", "--csv", "rec/r00.csv", "--out", "p.npy", "--quiet")  # a file is a sequence, without *
    assert read_npy(c.folder / "p.npy")[0] == (1, 2)

    def refused(*words):
        c.refused(3, words, "train", "c.yaml", "--out", "bad", *QUIET)

    (c.folder / "labels.csv").write_text("\n".join([*lines, "r99.csv,run"]) + "\n")
    refused("row 25 names the recording r99.csv", "the 24 files of")
    (c.folder / "labels.csv").write_text("\n".join(lines[:-1]) + "\n")
    refused("has no row for the recording", "r00.csv")
    (c.folder / "labels.csv").write_text("\n".join([*lines, lines[1]]) + "\n")
    refused("names the recording r23 twice, in rows 1 and 25")
    (c.folder / "labels.csv").write_text("\n".join([*lines[:-1], "r00.csv,NA"]) + "\n")
    refused('row 24: its label is missing ("NA")')
    (c.folder / "labels.csv").write_text("name,label\na,b\n")
    refused("has no column file")
    (c.folder / "labels.csv").write_text("\n".join(lines) + "\n")
    (c.folder / "rec/r07.csv").write_text("t,y,z\n0,1,2\n")
    refused("r07.csv", "no column x")
    for key in ("label", "target"):
        c.refused(2, ["rec/*.csv: each of several files is one sequence", f"not in a column that {key} names"], "data",
                  "c.yaml", "--set", f"data.train={{csv: 'rec/*.csv', {key}: y}}")
    c.refused(2, ["label_from names"], "eval", "files", "--csv", "rec/r00.csv", "--label", "y")
    c.write("c.yaml", RECORDINGS.replace("rec/", "none/"))
    refused("none/*.csv: no file has such a name")


def same_names(c):
    """Recordings of one name in several folders go by their folders."""
    c.write("c.yaml", RECORDINGS.replace("rec/*", "rec/*/*"))
    for n, path in enumerate(("s1/walk", "s2/walk", "s3/run")):
        (c.folder / f"rec/{path}.csv").parent.mkdir(parents=True)
        (c.folder / f"rec/{path}.csv").write_text(f"x,y\n{n},{n}\n")

    def labels(*rows):
        (c.folder / "labels.csv").write_text("\n".join(["file,label", *rows]) + "\n")
        return "data", "c.yaml", "--json"

    for rows in (("s2/walk.csv,1", "s1/walk,0", "run,1"),
                 (f"{c.folder}/rec/s2/walk.csv,1", "./rec/s1/walk,0", "s3/run,1")):
        first = json.loads(c.run(*labels(*rows))[0])["train"]
        assert [k["samples"] for k in first["classes"]] == [1, 2], first
    c.refused(3, ["no row for the recording ./rec/s2/walk.csv, row 1 is of s1/walk in another folder"],
              *labels("s1/walk,0", "run,1"))
    c.refused(3, ["row 2 names the recording walk, which can be ./rec/s1/walk.csv or ./rec/s2/walk.csv"],
              *labels("run,1", "walk,0"))
    c.refused(3, ["names the recording rec/s1/walk twice, in rows 1 and 3"],
              *labels("walk,0", "s2/walk,1", "s1/walk,0", "run,1"))
    c.refused(3, ["names the recording s2/walk twice, in rows 1 and 3"],
              *labels("s2/walk,0", "s1/walk,1", "../s2/walk.csv,0", "run,1"))
    c.refused(3, ["row 4 names the recording s4/walk, which is not among the 3 files"],
              *labels("s2/walk,0", "s1/walk,1", "run,1", "s4/walk,0"))


def decimal_commas(c):
    """The labels of recordings with decimal commas may have commas as well, or points."""
    (c.folder / "rec").mkdir()
    for name in "ab":
        (c.folder / f"rec/{name}.csv").write_text("x;y\n1,5;2\n3;4,5\n")
    c.write("c.yaml", RECORDINGS.replace("cross_entropy", "mse").replace("out_features: 2", "out_features: 1")
            .replace("columns", 'decimal: ",", columns'))
    for labels in ("file;label\na;0,25\nb;-1,5\n", "file,label\na,0.25\nb,-1.5\n"):
        (c.folder / "labels.csv").write_text(labels)
        first = json.loads(c.run("data", "c.yaml", "--json")[0])["train"]["first"]
        assert [s["y"] for s in first] == [[0.25], [-1.5]] and first[0]["x"] == [[1.5, 2], [3, 4.5]], first


def literal_names(c):
    """A file whose very name has wildcards is that file; those of the config's folder are none."""
    folder = c.folder / "x[2]"
    (folder / "rec").mkdir(parents=True)
    c.write("x[2]/a[1].csv", "a,b,kind\n" + "".join(f"{n},{n % 3},{n % 2}\n" for n in range(8)))
    c.write("x[2]/c.yaml", CLASSES.replace("a.csv", "'a[1].csv'").replace(", valid: {csv: b.csv, label: kind}", ""))
    c.run("train", "x[2]/c.yaml", "--out", "run", *QUIET)
    c.run("predict", "run", "--csv", "x[2]/a[1].csv", "--out", "p.npy", "--quiet")
    assert read_npy(c.folder / "p.npy")[0] == (8, 3)
    for name in ("1", "2", "[1]", "*"):
        c.write(f"x[2]/rec/{name}.csv", "x,y\n1,2\n")
    c.write("x[2]/labels.csv", "file,label\n1,0\n2,1\n[1],0\n*,1\n")
    c.write("x[2]/c.yaml", RECORDINGS.replace("*.csv", "?.csv"))
    c.refused(3, ["row 3 names the recording [1], which is not among the 3 files"], "data", "x[2]/c.yaml")
    for pattern, rows in (("?*", ("1,0", "2,1", "[1],0", "*,1")), ("[[]*", ("[1],0",)), ("*", ("*,0",))):
        c.write("x[2]/labels.csv", "\n".join(["file,label", *rows]) + "\n")
        found = c.run("data", "x[2]/c.yaml", "--json", "--set", f"data.train.csv=rec/{pattern}.csv")[0]
        assert json.loads(found)["train"]["samples"] == len(rows), pattern
    (folder / "a[1].csv").unlink()
    c.refused(3, ["a[1].csv: no file has such a name"], "data", "x[2]/c.yaml", "--set", "data.train.csv=a[1].csv")


def places(c):
    """A bad value is named by its place in the file: the recording and its row, the row and not the window."""
    (c.folder / "rec").mkdir()
    for n in range(3):
        (c.folder / f"rec/r{n}.csv").write_text("u\n" + "".join(f"{9 if (n, t) == (2, 3) else t}\n" for t in range(5)))
    c.write("labels.csv", "file,label\nr2.csv,0\nr1.csv,1\nr0.csv,7\n")
    c.write("c.yaml", RECORDINGS.replace("[x, y]", "[u]"))
    c.refused(3, ["recording ./rec/r0.csv holds class 7"], "data", "c.yaml")
    c.write("labels.csv", "file,label\nr2.csv,0\nr1.csv,1\nr0.csv,1\n")
    tokens = ("--set", "model.layers=[embedding: {num_embeddings: 5, embedding_dim: 2}, pool: {over: last}, "
              "linear: {out_features: 2}]")
    c.refused(3, ["recording ./rec/r2.csv, data row 4 (counted from 1) holds token 9"], "data", "c.yaml", *tokens)
    (c.folder / "rec/r1.csv").write_text("u\n1\ninf\n")
    c.refused(3, ["recording ./rec/r1.csv, data row 2 (counted from 1), column \"u\" holds inf"], "data", "c.yaml")
    c.write("s.csv", "u,y\n" + "".join(f"{9 if i == 17 else i % 5},{i % 2}\n" for i in range(30)))
    c.refused(3, ["s.csv: data row 18 (counted from 1) holds token 9"], "data", "c.yaml", *tokens, "--set",
              "data={train: {csv: s.csv, columns: [u], label: y, window: 4}}")
    c.write("h.ts", ARCHIVE + "1,2:a\n3,inf:b\n")
    c.refused(3, ["sequence 1 (counted from 0), step 1", "holds inf"], "data", "c.yaml", "--set",
              "data={train: {ts: h.ts}}")


ARCHIVE = """\
# made by hand
@problemName Made
@timeStamps false
@classLabel true b a
@data
"""


def archives(c):
    """A .ts file is a set with the names of its classes; an array of an .npz file goes for a .npy file."""
    draw = random.Random(6)
    kinds = [draw.choice("ba") for _ in range(20)]
    samples = [[[harness.f32(draw.gauss(k == "a", 1)) for _ in range(4)] for _ in range(2)] for k in kinds]
    (c.folder / "m.ts").write_text(ARCHIVE + "".join(
        ":".join([*(",".join(map(repr, d)) for d in s), k]) + "\n" for s, k in zip(samples, kinds)))
    harness.write_npy(c.folder / "X.npy", "<f4", (20, 4, 2),
                      [s[d][t] for s in samples for t in range(4) for d in (0, 1)])
    harness.write_npy(c.folder / "y.npy", "<i8", (20,), [int(k == "b") for k in kinds])
    harness.write_npy(c.folder / "l.npy", "<i8", (20,), [4] * 20)
    with zipfile.ZipFile(c.folder / "d.npz", "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("X", "y"):
            file.write(c.folder / f"{name}.npy", f"{name}.npy")
    c.write("c.yaml", RECORDINGS)
    for out, keys in (("ts", "ts: m.ts"), ("x", "x: m.ts"), ("npy", "x: X.npy, y: y.npy, lengths: l.npy")):
        c.run("train", "c.yaml", "--out", out, *QUIET, "--set", f"data.train={{{keys}}}")
    assert tensors(c, "ts") == tensors(c, "npy") == tensors(c, "x")
    result = json.loads(c.run("eval", "ts", "--x", "m.ts", "--json")[0])
    assert [(k["name"], k["support"]) for k in result["classes"]] == [(k, kinds.count(k)) for k in "ab"]
    (c.folder / "marked.ts").write_text("\ufeff" + (c.folder / "m.ts").read_text())
    assert c.run("eval", "ts", "--x", "marked.ts", "--json")[0] == c.run("eval", "ts", "--x", "m.ts", "--json")[0]
    (c.folder / "bad.ts").write_text(ARCHIVE.replace("@classLabel true", "@classLabel false") + "1,2:3,4\n")
    c.refused(2, ["no targets", "says @classLabel"], "data", "c.yaml", "--set", "data.train={ts: bad.ts}")
    for text, words in ((ARCHIVE + "1,2:3:a\n", "line 6: dimension 1 has 1 steps, those before have 2"),
                        (ARCHIVE + "1,x:3,4:a\n", 'dimension 0, step 1: "x" is no number'),
                        (ARCHIVE + "1,?:3,4:a\n", "case 1, dimension 0, step 1: missing value"),
                        (ARCHIVE.replace("Stamps false", "Stamps true"), "time stamps"),
                        ("1,2\n", "stands before @data"), (ARCHIVE, "no case below @data")):
        (c.folder / "bad.ts").write_text(text)
        c.refused(3, [words], "data", "c.yaml", "--set", "data.train={ts: bad.ts}")
    process = c.start("data", "c.yaml", "--set", "data.train={x: 'd.npz:X', y: 'd.npz:y'}")
    if "no libzip" in process.communicate(timeout=300)[1]:
        raise harness.Skip("built without libzip")
    c.run("train", "c.yaml", "--out", "npz", *QUIET, "--set", "data.train={x: 'd.npz:X', y: 'd.npz:y', lengths: l.npy}")
    assert tensors(c, "npz") == tensors(c, "npy")
    c.refused(3, ["no array of that name, it holds X, y"],
              "data", "c.yaml", "--set", "data.train={x: 'd.npz:Z', y: 'd.npz:y'}")
    (c.folder / "d.npz").write_bytes(b"PK and then nothing")
    assert "d.npz" in c.run("data", "c.yaml", "--set", "data.train={x: 'd.npz:X', y: 'd.npz:y'}", status=3)[1]


def archive_cells(c):
    """Missing values of a .ts file get the means of the training set, whichever key or option names the file."""
    (c.folder / "m.ts").write_text(ARCHIVE + "1,?,3:a\n1,2,3:b\n")
    (c.folder / "v.ts").write_text(ARCHIVE + "9,?,9:b\n7,6,?:a\n")
    (c.folder / "filled.ts").write_text(ARCHIVE + "9,2,9:b\n7,6,2:a\n")
    c.write("c.yaml", RECORDINGS)
    for key in ("ts", "x"):
        sets = ("--set", f"data.train={{{key}: m.ts, missing: mean}}", "--set", f"data.valid={{{key}: v.ts}}")
        found = json.loads(c.run("data", "c.yaml", "--json", *sets)[0])
        assert [s["x"] for s in found["valid"]["first"]] == [[[9], [2], [9]], [[7], [6], [2]]], key
        c.run("train", "c.yaml", "--out", key, *QUIET, *sets)
        filled, own, named = (json.loads(c.run("eval", key, "--json", *source)[0])["loss"]
                              for source in (("--x", "filled.ts"), (), ("--x", "v.ts")))
        assert filled == own == named, key
        for name in ("v", "filled"):
            c.run("predict", key, "--x", f"{name}.ts", "--out", f"{name}.npy", "--quiet")
        assert read_npy(c.folder / "v.npy") == read_npy(c.folder / "filled.npy"), key


if __name__ == "__main__":
    sys.exit(harness.main([recordings, places, same_names, decimal_commas, literal_names, archives, archive_cells]))
