#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""overfit, grow, doctor and the watch from outside: what they print, as text and JSON, and how they end."""
import html.parser
import json
import math
import re
import signal
import sys
import time

import harness
from harness import CONFIG

BROKEN = CONFIG.replace("head, out_features: 2}", "head, out_features: 2}\n  - softmax\n  - round")


def overfit(c):
    out, _ = c.run("overfit", "config.yaml")
    assert "learnt by heart: loss 0.00" in out and "target" in out and "*" in out, out
    result = json.loads(c.run("overfit", "config.yaml", "--json")[0])
    assert result["reached"] and result["samples"] == 16 and result["floor_reason"] is None
    assert len(result["curve"]) == result["steps"] and result["last_loss"] < result["target"] == 0.01
    assert result["curve"][0] == result["first_loss"] and min(result["curve"]) == result["lowest_loss"]
    result = json.loads(c.run("overfit", "config.yaml", "--json", "--samples", "5", "--plain")[0])
    assert result["samples"] == 5 and result["reached"]
    out, _ = c.run("overfit", "config.yaml", "--steps", "3", status=1)
    assert "in 3 steps" in out


def overfit_broken(c):
    c.write("broken.yaml", BROKEN)
    out, _ = c.run("overfit", "broken.yaml", status=1)
    assert "cannot fall under 0.3133" in out and "its own softmax" in out and "gradient is exactly 0" in out, out
    result = json.loads(c.run("overfit", "broken.yaml", "--json", status=1)[0])
    assert not result["reached"] and result["cannot"] and result["grad_norm_first"] == 0
    assert abs(result["last_loss"] - 0.31326169 - (1 - result["accuracy"])) < 1e-5, result
    assert abs(result["floor"] - 0.31326169) < 1e-8


def overfit_init(c):
    """Weights that a run ended with, as --init of train takes them."""
    c.run("train", "config.yaml", "--out", "run", "--quiet", "--set", "train.epochs=60")
    c.run("export", "run", "--to", "safetensors", "--out", "weights.safetensors")
    start = json.loads(c.run("overfit", "config.yaml", "--json", "--plain")[0])["first_loss"]
    trained = json.loads(c.run("overfit", "config.yaml", "--json", "--plain", "--init", "weights.safetensors")[0])
    assert trained["first_loss"] < 0.5 * start, (start, trained["first_loss"])
    c.run("overfit", "config.yaml", "--init", "nowhere.safetensors", status=3)


def grow(c):
    out, _ = c.run("grow", "config.yaml")
    names = ["linear alone", "rnn + linear", "+ bidirectional", "+ batchnorm", "+ dropout 0.25", "+ adam, lr 0.01"]
    at = [out.index(f"\n{name} ") for name in names]
    assert at == sorted(at) and "Nothing breaks" in out, out
    result = json.loads(c.run("grow", "config.yaml", "--json")[0])
    assert [stage["name"] for stage in result["stages"]] == names
    assert result["first_broken"] is None and result["cause"] is None and result["broken_stage"] is None
    last = result["stages"][-1]
    assert last["learns"] and last["overfits"] and last["valid_accuracy"] > 0.6
    assert last["description"] == "birnn 8, batchnorm, dropout 0.25, mean over time, linear 2"


def grow_broken(c):
    c.write("broken.yaml", BROKEN.replace(
        "epochs: 3", "epochs: 3\n  scheduler: {step_lr: {step_size: 3, gamma: 0.1, interval: batch}}"))
    out, _ = c.run("grow", "broken.yaml", status=1)
    assert "'+ softmax' (broken.yaml:" in out and out.count("<- breaks") == 3, out
    result = json.loads(c.run("grow", "broken.yaml", "--json", status=1)[0])
    broken = [stage["name"] for stage in result["stages"] if stage["breaks"]]
    assert broken == ["+ softmax", "+ round", "+ step_lr per batch"], broken
    assert result["broken_stage"] == "+ softmax" and result["stages"][result["first_broken"]]["name"] == "+ softmax"
    assert result["stages"][-1]["name"] == "the config itself" and not result["stages"][-1]["learns"]


def interrupted(c):
    for command in (["grow"], ["overfit", "--steps", "1000000000", "--target", "1e-30"]):
        process = c.start(*command, "config.yaml")
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode in (0, 130, -signal.SIGINT), (command, process.returncode, out, err)


def doctor(c):
    c.write("broken.yaml", BROKEN)
    (c.folder / "elsewhere").mkdir()
    out, _ = c.run("doctor", "broken.yaml", "--static", "--fix", "elsewhere/fixed.yaml", status=1)
    assert "error non-differentiable-op" in out and "elsewhere/fixed.yaml holds the config" in out, out
    result = json.loads(c.run("doctor", "broken.yaml", "--static", "--json", status=1)[0])
    assert set(result["findings"][0]) == {"id", "severity", "where", "evidence", "cost", "costs", "remedy", "set",
                                          "order", "follows_from", "tried"}
    assert [f["order"] for f in result["findings"]] == list(range(1, len(result["findings"]) + 1))
    assert result["first"].startswith("First mend non-differentiable-op at model.layers["), result["first"]
    out, _ = c.run("doctor", "elsewhere/fixed.yaml", "--static")  # and it finds the data from there
    assert "error " not in out, out
    c.run("train", "elsewhere/fixed.yaml", "--out", "run", "--quiet", "--set", "train.epochs=1")
    c.run("doctor", "broken.yaml", "--static", "--fix", "nowhere/fixed.yaml", status=5)


class Page(html.parser.HTMLParser):
    """Tags that close, text, marked lines, and all that names something outside the page."""
    VOID = ("meta", "line", "path", "circle", "rect")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.outside, self.marked, self.words = [], [], [], [], ""
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        attributes = dict(attributes)
        self.outside += [v for k, v in attributes.items() if k in ("src", "href", "xlink:href") and v[0] != "#"]
        if attributes.get("class") == "marked":
            self.marked.append("")

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, (tag, self.open)

    def handle_data(self, data):
        self.words += data
        if self.marked and "span" in self.open:
            self.marked[-1] += data


def report(c):
    """One page that needs nothing else: every finding, pictures, the marked config; names are escaped."""
    (c.folder / "a & <b>").mkdir()
    for name in ("X_train.npy", "y_train.npy", "X_valid.npy", "y_valid.npy"):
        (c.folder / "a & <b>" / name).write_bytes((c.folder / name).read_bytes())
    slow = BROKEN.replace("lr: 0.01", "lr: 1.0e-9").replace("  - softmax\n  - round", "")
    for text, words in ((BROKEN, ("Gradient of each layer", "Training loss")),
                        (slow, ("Training loss", "Answers on validation rows", "with the changes", "by time step"))):
        c.write("a & <b>/<script>.yaml", text)
        out, _ = c.run("doctor", "a & <b>/<script>.yaml", "--device", "ref", "--report", "page.html", "--json",
                       status=1)
        result = json.loads(out)
        text = (c.folder / "page.html").read_text(encoding="utf-8")
        page = Page(text)
        assert not page.outside and "script" not in page.tags and "http" not in text, page.outside
        assert "<script>.yaml" in page.words and result["verdict"] in page.words and result["first"] in page.words
        for finding in result["findings"]:
            for key in ("id", "where", "evidence", "cost", "remedy", "tried"):
                assert finding[key] in page.words, (key, finding[key])
        assert "svg" in page.tags and page.marked
        for word in words:
            assert word in page.words, word
    assert any("lr: 1.0e-9" in line and "lr-out-of-range" in line for line in page.marked), page.marked
    found = {f["id"]: f for f in result["findings"]}
    assert found["lr-out-of-range"]["follows_from"] is None and found["lr-out-of-range"]["order"] == 1, result
    assert " -> " in found["lr-out-of-range"]["tried"] and "in the same " in found["lr-out-of-range"]["tried"], result
    assert found["update-too-small"]["follows_from"] == "lr-out-of-range", result
    c.run("doctor", "config.yaml", "--static", "--report", "config.yaml", status=2)
    c.run("doctor", "config.yaml", "--static", "--report", "nowhere/page.html", status=5)


def watch(c):
    c.write("broken.yaml", BROKEN)
    _, err = c.run("train", "broken.yaml", "--out", "a", "--quiet", "--set", "train.epochs=8")
    lines = err.splitlines()
    assert len(lines) == 1 and "zero-gradient: " in lines[0] and "`clrnn doctor broken.yaml` explains" in lines[0], err
    _, err = c.run("train", "broken.yaml", "--out", "b", "--quiet", "--no-watch", "--set", "train.epochs=8")
    assert err == "", err
    assert c.bytes("a") == c.bytes("b"), "watching changes a run"
    _, err = c.run("train", "config.yaml", "--out", "c", "--quiet", "--set", "train.epochs=12")
    assert err == "", err


def validated_to_the_end(c):
    """The doctor's last validation is that of a training by the config, also with 100 epochs."""
    epochs = "--device", "ref", "--set", "train.epochs=100"
    c.run("train", "config.yaml", *epochs, "--out", "run", "--quiet", "--no-plot")
    _, err = c.run("doctor", "config.yaml", *epochs, "--verbose")
    last = float(re.search(r"valid loss ([0-9.e+-]+)", err).group(1))
    assert math.isclose(last, c.epochs("run")[-1]["valid_loss"], rel_tol=1e-5), (last, c.epochs("run")[-1])


def usage(c):
    c.run("overfit", status=2)
    c.run("grow", "config.yaml", "more", status=2)
    c.run("overfit", "config.yaml", "--steps", "-1", status=2)
    c.run("grow", "nowhere.yaml", status=2)
    c.run("overfit", "config.yaml", "--set", "data.train.x=nowhere.npy", status=3)


if __name__ == "__main__":
    sys.exit(harness.main([overfit, overfit_broken, overfit_init, grow, grow_broken, interrupted, doctor, report,
                           watch, validated_to_the_end, usage]))
