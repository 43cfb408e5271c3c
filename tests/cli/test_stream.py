#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`clrnn predict --stream`: answers come at once, pieces with --state give the bits of the whole, they agree with
`clrnn predict` over a file, and what cannot be streamed is refused, as TAP.

    test_stream.py CLRNN [TEST...]"""
import random
import signal
import subprocess
import sys

from harness import main, near, read_npy, write_npy

STEPS = 9
LAYERS = {
    "lstm": "[{lstm: {hidden_size: 6, num_layers: 2}}, {linear: {out_features: 3}}]",
    "norm": "[{gru: {hidden_size: 5, layer_norm: true}}, {layernorm: {}}, {pool: {over: last}}, "
            "{linear: {out_features: 3}}]",
    "proj": "[{batchnorm: {}}, {lstm: {hidden_size: 6, proj_size: 2}}, {dropout: {p: 0.5}}, tanh, "
            "{linear: {out_features: 3}}]",
    "nested": "[{linear: {out_features: 4}}, {residual: {layers: [{rnn: {hidden_size: 4}}]}}, "
              "{concat: {branches: [[{gru: {hidden_size: 3}}], []]}}, {linear: {out_features: 3}}]",
}
CONFIG = """\
model: {{layers: {layers}}}
train: {{loss: cross_entropy, epochs: 1, batch_size: 4, seed: 2}}
data: {{train: {{x: X_long.npy, y: y_long.npy}}, normalize: standard}}
"""


def prepare(c, name):
    """Trains a model; gives a sequence as lines."""
    draw, per_step = random.Random(5), "pool" not in LAYERS[name]
    x = [draw.gauss(1, 2) for _ in range(8 * STEPS * 3)]
    write_npy(c.folder / "X_long.npy", "<f4", (8, STEPS, 3), x)
    shape = (8, STEPS) if per_step else (8,)
    write_npy(c.folder / "y_long.npy", "<i8", shape, [draw.randrange(3) for _ in range(8 * STEPS if per_step else 8)])
    c.write(f"{name}.yaml", CONFIG.format(layers=LAYERS[name]))
    c.run("train", f"{name}.yaml", "--out", name, "--quiet")
    write_npy(c.folder / "X_one.npy", "<f4", (1, STEPS, 3), x[:STEPS * 3])
    _, x = read_npy(c.folder / "X_one.npy")
    return [",".join(repr(v) for v in x[t * 3:t * 3 + 3]) for t in range(STEPS)]


def stream(c, run, lines, *options, status=0):
    process = c.start("predict", run, "--stream", *options, stdin=subprocess.PIPE)
    out, err = process.communicate("".join(line + "\n" for line in lines), timeout=60)
    assert process.returncode == status, err
    return out.splitlines(), err


def as_over_a_file(c):
    for name in LAYERS:
        lines = prepare(c, name)
        got = [[float(v) for v in line.split(",")] for line in stream(c, name, lines)[0]]
        assert len(got) == STEPS and all(len(line) == 3 for line in got), name
        c.run("predict", name, "--x", "X_one.npy", "--out", "p.npy", "--quiet")
        want = read_npy(c.folder / "p.npy")[1]
        rows = got if len(want) == STEPS * 3 else got[-1:]
        for a, b in zip(sum(rows, []), want):
            near(a, b, 2e-5, f"{name}: a prediction")
        c.run("predict", name, "--x", "X_one.npy", "--out", "r.npy", "--quiet", "--device", "ref")
        assert tuple(sum(rows, [])) == tuple(float(f"{v:.9g}") for v in read_npy(c.folder / "r.npy")[1]), \
            f"{name}: other bits than on ref"


def pieces_as_the_whole(c):
    lines = prepare(c, "lstm")
    whole = stream(c, "lstm", ["a,b,c"] + lines)[0]
    for cut in (1, 4, 8):
        (c.folder / "s.state").unlink(missing_ok=True)
        first = stream(c, "lstm", lines[:cut], "--state", "s.state")[0]
        assert first + stream(c, "lstm", lines[cut:], "--state", "s.state")[0] == whole
    probs = [[float(v) for v in line.split(",")] for line in stream(c, "lstm", lines, "--probs")[0]]
    assert all(abs(sum(row) - 1) < 1e-6 for row in probs)
    assert stream(c, "lstm", lines, "--classes")[0] == [str(max(range(3), key=row.__getitem__)) for row in probs]


def answers_at_once(c):
    lines = prepare(c, "lstm")
    whole = stream(c, "lstm", lines)[0]
    process = c.start("predict", "lstm", "--stream", stdin=subprocess.PIPE)
    for line, want in zip(lines, whole):
        process.stdin.write(line + "\n")
        process.stdin.flush()
        assert process.stdout.readline().strip() == want  # hangs if it waits for more
    process.stdin.close()
    assert process.wait(60) == 0
    process.stdout.close()
    process.stderr.close()


def by_name(c):
    """The columns of a header go by the names of the training file, and others may stand beside them."""
    draw = random.Random(6)
    rows = [[draw.gauss(0, 1), draw.gauss(0, 5), k % 2] for k in range(24)]
    (c.folder / "a.csv").write_text("u,v w,kind\n" + "".join(f"{u:.5f},{v:.5f},{'xy'[k]}\n" for u, v, k in rows))
    layers = "[{lstm: {hidden_size: 4}}, {pool: {over: last}}, {linear: {out_features: 2}}]"
    c.write("a.yaml", CONFIG.format(layers=layers)
            .replace("x: X_long.npy, y: y_long.npy", "csv: a.csv, label: kind"))
    c.run("train", "a.yaml", "--out", "a", "--quiet")
    plain = [f"{u:.5f},{v:.5f}" for u, v, _ in rows]
    want = stream(c, "a", plain)[0]
    quoted = [",".join(f' "{cell}" ' for cell in line.split(",")) for line in plain]
    for lines in (["u,v w"] + plain, ["\ufeff\"u\", v w"] + plain, quoted):
        assert stream(c, "a", lines)[0] == want, lines[0]
    assert stream(c, "a", ["v w,time,u"] + [f"{v:.5f},noon,{u:.5f}" for u, v, _ in rows])[0] == want
    _, err = stream(c, "a", ["u,w"] + plain, status=3)
    assert "the header of the input has no column v w" in err, err


def ends_by_signal(c):
    """Ctrl-C and SIGTERM keep the state after the last answer, and leave out a line that has come in part."""
    lines = prepare(c, "lstm")
    whole = stream(c, "lstm", lines)[0]
    for number in (signal.SIGINT, signal.SIGTERM):
        (c.folder / "s.state").unlink(missing_ok=True)
        process = c.start("predict", "lstm", "--stream", "--state", "s.state", stdin=subprocess.PIPE)
        process.stdin.write("\n".join(lines[:4]) + "\n" + lines[4][:9])
        process.stdin.flush()
        assert [process.stdout.readline().strip() for _ in range(4)] == whole[:4]
        process.send_signal(number)
        assert process.wait(60) == 130
        assert process.stdout.read() == "" and process.stderr.read() == ""
        process.stdout.close()
        process.stderr.close()
        try:
            process.stdin.close()
        except BrokenPipeError:
            pass
        assert stream(c, "lstm", lines[4:], "--state", "s.state")[0] == whole[4:], number


def reader_gone(c):
    """Where nobody reads the answers any more, the state is kept, too."""
    lines = prepare(c, "lstm")
    whole = stream(c, "lstm", lines)[0]
    process = c.start("predict", "lstm", "--stream", "--state", "s.state", stdin=subprocess.PIPE)
    process.stdin.write(lines[0] + "\n")
    process.stdin.flush()
    assert process.stdout.readline().strip() == whole[0]
    process.stdout.close()
    process.stdin.write(lines[1] + "\n")
    process.stdin.close()
    assert process.wait(60) == 5
    assert process.stderr.read() == "clrnn: error: the prediction of line 2 cannot be written\n"
    process.stderr.close()
    assert stream(c, "lstm", lines[2:], "--state", "s.state")[0] == whole[2:]


def tokens(c):
    write_npy(c.folder / "tokens.npy", "<i4", (8, STEPS), [i % 5 for i in range(8 * STEPS)])
    write_npy(c.folder / "labels.npy", "<i8", (8, STEPS), [i % 3 for i in range(8 * STEPS)])
    c.write("tokens.yaml", CONFIG.format(layers="[{embedding: {num_embeddings: 5, embedding_dim: 3}}, "
                                                "{gru: {hidden_size: 3}}, {linear: {out_features: 3}}]")
            .replace("X_long", "tokens").replace("y_long", "labels").replace(", normalize: standard", ""))
    c.run("train", "tokens.yaml", "--out", "tokens", "--quiet")
    assert len(stream(c, "tokens", ["0", "4"])[0]) == 2
    for bad in ("5", "-1", "1.5"):
        answers, err = stream(c, "tokens", ["0", bad], status=3)
        assert len(answers) == 1 and f'line 2 of the input: cell 1 is "{bad}", expected a token' in err, err


def mistakes(c):
    lines = prepare(c, "lstm")

    def says(text, got, status, *options, run="lstm"):
        answers, err = stream(c, run, got, *options, status=status)
        assert text in err and err.count("clrnn: error:") == (status != 1), err
        return answers

    assert len(says("line 3 of the input has 2 cells, expected 3", lines[:2] + ["1,2"], 3)) == 2
    says("line 1 of the input has more than 3 cells", ["1,2,3,4"], 3)
    says('line 2 of the input: cell 2 is "x", expected a number', lines[:1] + ["1,x,2"], 3)
    says("line 1 of the input has more than 3 cells", ["a,b,c,d"] + lines, 3)
    says('cell 3 is "1e39", expected a number that float32 can hold', lines[:1] + ["1,2,1e39"], 3)
    for layers, text in (("{lstm: {hidden_size: 3, bidirectional: true}}", "is bidirectional"),
                         ("{rnn: {hidden_size: 3}}, {pool: {over: mean}}", "only over: last"),
                         ("{batchnorm: {track_running_stats: false}}, {rnn: {hidden_size: 3}}",
                          "statistics of its batch")):
        count = 8 if "pool" in layers else 8 * STEPS
        write_npy(c.folder / "y_long.npy", "<i8", (8,) if count == 8 else (8, STEPS), [0] * count)
        c.write("other.yaml", CONFIG.format(layers=f"[{layers}, {{linear: {{out_features: 3}}}}]"))
        c.run("train", "other.yaml", "--out", "other", "--quiet")
        says(text, lines, 2, run="other")
    stream(c, "lstm", lines, "--state", "lstm.state")
    with open("/dev/full", "w", encoding="ascii") as full:
        c.refused(5, ["the prediction of line 1 cannot be written"], "predict", "lstm", "--stream", stdout=full,
                  stdin=open(c.folder / c.write("lines.csv", "\n".join(lines)), encoding="ascii"))
    prepare(c, "norm")
    says("is no state of this model", lines, 3, "--state", "lstm.state", run="norm")


if __name__ == "__main__":
    sys.exit(main([as_over_a_file, pieces_as_the_whole, answers_at_once, by_name, tokens, ends_by_signal, reader_gone,
                   mistakes]))
