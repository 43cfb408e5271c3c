#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What is made of the tables of options, as TAP: help, doc/config.md, man pages, completions.

    test_help.py CLRNN ROOT           check
    test_help.py CLRNN ROOT --write   put the tables of today into doc/config.md
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import harness

ROOT = pathlib.Path(sys.argv.pop(2))
CONFIG = ROOT / "doc" / "config.md"
TABLE = re.compile(r"^<!-- clrnn help --format markdown (\S+) -->\n\n((?:\|.*\n)*)\n?", re.M)


def help_text(*arguments):
    return subprocess.run([sys.argv[1], "help", *arguments], check=True, capture_output=True, text=True).stdout


def keys():
    return help_text("config").split()


def commands():
    return re.findall(r"^  (\w+) ", help_text().split("Start here")[0], re.M)


def tables():
    """doc/config.md with the tables of the binary."""
    return TABLE.sub(lambda found: f"<!-- clrnn help --format markdown {found[1]} -->\n\n"
                                   f"{help_text('--format', 'markdown', found[1])}\n",
                     CONFIG.read_text(encoding="utf-8"))


def document(_):
    """doc/config.md holds the binary's tables, and no key with more than a name is without one."""
    assert tables() == CONFIG.read_text(encoding="utf-8"), \
        "doc/config.md differs from `clrnn help`: run tests/cli/test_help.py CLRNN ROOT --write"
    shown = {found[1] for found in TABLE.finditer(CONFIG.read_text(encoding="utf-8"))}
    below = {}
    for key in keys():
        parent, _, name = key.rpartition(".")
        below.setdefault(parent, []).append(name)
    for parent, names in below.items():
        alike = re.sub(r"^data\.(valid|test)\b", "data.train", parent)  # three of one kind
        alike = re.sub(r"^model\.layers\.\w+\.init$", "model.layers.lstm.init", alike)  # the widest of its kind
        assert names == ["name"] or parent in ("", "model") or alike in shown, f"no table of {parent}"


def each_key(c):
    """Each key has its help, with layers' indices, too; names that are none are refused with the likeliest."""
    for key in keys():
        lines = help_text(key).splitlines()
        assert re.match(re.escape(key) + r"( \(.+\): .+)?$", lines[0]) or key in ("train", "data"), lines[0]
        assert key in ("train", "data") or lines[1].strip(), key
    assert len(keys()) > 150
    assert "max_lr (required): a number" in help_text("train.scheduler.one_cycle_lr")
    assert help_text("model.layers.0.lstm") == help_text("model.layers.N.lstm") == help_text("model.layers.lstm")
    train = help_text("train")
    assert "--resume" in train and "epochs (10): a whole number" in train
    for wrong, like in (("train.epohcs", "train.epochs"), ("trian", "train"), ("one_cycle_lr", "one_cycle_lr"),
                        ("model.layers.lsmt", "model.layers.lstm")):
        _, err = c.run("help", wrong, status=2)
        assert f'"{wrong}"; did you mean "' in err and like in err.split("did you mean")[1], err
    _, err = c.run("help", "qqqqqqqqqqqqqqqqqqq", status=2)
    assert "unknown" in err and "did you mean" not in err


def own_options(_):
    """The options that a command's text speaks of are its own."""
    others = {"doctor": {"--steps", "--to-config"}, "plan": {"--profile"}}  # those of its scripts, and of train
    for command in commands():
        text = help_text(command)
        named = set(re.findall(r"--[a-z][\w-]*", re.split(r"\n(?:Common o|O)ptions\n", text)[0]))
        foreign = named - set(re.findall(r"^  (--[\w-]+)", text, re.M)) - others.get(command, set())
        assert not foreign, (command, foreign)


def suggestions(c):
    """Misspelt commands, options and --set paths."""
    c.write("small.yaml", "model: {layers: [{linear: {out_features: 2}}]}\n"
                          "data: {train: {synthetic: {samples: 4, features: 2}}}\n")
    for words, like in ((["trian"], '"train"'), (["train", "--resmue", "x"], "--resume"),
                        (["doctor", "--qiuet"], "--quiet"),
                        (["plan", "small.yaml", "--set", "train.epohcs=3"], '"epochs"'),
                        (["plan", "small.yaml", "--set", "trian.epochs=3"], '"train"'),
                        (["plan", "small.yaml", "--set", "model.layers.0.linera.out_features=3"], '"linear"'),
                        (["plan", "small.yaml", "--set", "train.optimizer.adma.lr=3"], '"adam"'),
                        (["plan", "small.yaml", "--set", "data.train.synthetic.sampels=3"], '"samples"')):
        c.refused(2, ["did you mean " + like], *words)


def man_pages(_):
    """Man pages: one of each command, no warning, and nothing of the text lost."""
    pages = {"clrnn.1": help_text("--format", "man"), "clrnn-config.5": help_text("--format", "man", "config")}
    pages.update((f"clrnn-{name}.1", help_text("--format", "man", name)) for name in commands())
    assert len(pages) > 14
    for option in re.findall(r"^  (--\S+)", help_text("bench"), re.M):
        assert r"\fB" + option.replace("-", r"\-") + r"\fR" in pages["clrnn-bench.1"], option
    for key in keys():
        name = key.rpartition(".")[2]
        assert f".SS {key}\n" in pages["clrnn-config.5"] or rf"\fB{name}\fR" in pages["clrnn-config.5"], key
    man, lint = shutil.which("man"), shutil.which("mandoc")
    if not man and not lint:
        raise harness.Skip("neither man nor mandoc is installed")
    with tempfile.TemporaryDirectory() as folder:
        for name, text in pages.items():
            path = pathlib.Path(folder) / name
            path.write_text(text, encoding="utf-8")
            command = [lint, "-Tlint", "-Wwarning", path] if lint else [man, "--warnings", "-E", "UTF-8", "-l", path]
            result = subprocess.run(command, capture_output=True, text=True, check=False,
                                    env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "80"})
            said = result.stdout if lint else result.stderr
            said = "\n".join(line for line in said.splitlines() if "missing date" not in line)
            assert result.returncode in (0, 2) and not said.strip(), f"{name}: {said}"


def complete(script, *words):
    """What bash offers for the last word."""
    line = " ".join(f"'{word}'" for word in words)
    program = f'. "{script}"; PATH="{pathlib.Path(sys.argv[1]).parent}:$PATH"; COMP_WORDS=({line}); ' \
              f"COMP_CWORD={len(words) - 1}; _clrnn; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    return subprocess.run(["bash", "-c", program], check=True, capture_output=True, text=True).stdout.split()


def completions(_):
    """The shells parse their completions; bash, which is everywhere, offers the right words."""
    with tempfile.TemporaryDirectory() as folder:
        for shell in ("bash", "zsh", "fish"):
            path = pathlib.Path(folder) / shell
            path.write_text(help_text("--format", shell), encoding="utf-8")
            for name in commands():
                assert name in path.read_text(encoding="utf-8")
            if shutil.which(shell):
                subprocess.run([shell, "-n", path], check=True)
        if not shutil.which("bash"):
            raise harness.Skip("bash is not installed")
        script = pathlib.Path(folder) / "bash"
        assert complete(script, "clrnn", "tr") == ["train"]
        assert complete(script, "clrnn", "train", "--res") == ["--resume"]
        assert complete(script, "clrnn", "train", "--set", "train.optimizer.sgd.l") == ["train.optimizer.sgd.lr"]
        assert complete(script, "clrnn", "train", "--gemm", "c") == ["clblast"]
        assert complete(script, "clrnn", "help", "train.ep") == ["train.epochs"]
        assert complete(script, "clrnn", "train", "conf") == []  # a file's name: bash's own


if __name__ == "__main__":
    if "--write" in sys.argv:
        CONFIG.write_text(tables(), encoding="utf-8")
        sys.exit()
    sys.exit(harness.main([document, each_key, own_options, suggestions, man_pages, completions]))
