# SPDX-License-Identifier: MIT
"""The doctor of scripts: each script in scripts/ marks its faults by `#! id` at the culprit's line.

    test_doctor.py ROOT

Without torch the test is skipped (exit status 77).
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

try:
    import numpy as np
    import torch
except ImportError:
    print("skipped: this Python has no torch or no NumPy")
    sys.exit(77)

ROOT = pathlib.Path(sys.argv[1]).resolve()
SCRIPTS = ROOT / "tests/python/scripts"
ENV = {**os.environ, "PYTHONPATH": str(ROOT / "python"), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def doctor(script, *options, folder):
    """The doctor's exit status and result; what the script printed."""
    p = subprocess.run([sys.executable, "-m", "clrnn", "doctor", str(script), "--json", *options], cwd=folder, env=ENV,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    assert p.returncode in (0, 1), p.stderr
    return p.returncode, json.loads(p.stdout), p.stderr


def marked(script):
    """(id, file, line) of the marks in a script and in the module that it imports from beside it."""
    imported = re.findall(r"from steps\.(\w+)", script.read_text())
    return {(name, path.name, number) for path in [script, *(script.parent / f"steps/{i}.py" for i in imported)]
            for number, line in enumerate(path.read_text().splitlines(), 1)
            for name in re.findall(r"#! ([a-z-]+)", line)}


def finds_what_is_marked(script, folder):
    status, result, _ = doctor(script, folder=folder)
    want = marked(script)
    found = {f["id"]: re.findall(r"(\w+\.py):(\d+)", f["where"]) for f in result["findings"]}
    assert set(found) == {name for name, _, _ in want}, (script.name, found)
    for name, file, line in want:
        near = [at for at in found[name] if at[0] == file and abs(line - int(at[1])) <= 3]
        assert near, (script.name, name, found[name])
    assert status == bool(want)


def changes_nothing(folder):
    """The script's own numbers stay, and nothing is written."""
    script = SCRIPTS / "healthy_mixed.py"
    plain = subprocess.run([sys.executable, str(script)], cwd=folder, env=ENV, stdout=subprocess.PIPE, text=True,
                           check=True)
    assert (folder / "best.pt").exists()
    (folder / "best.pt").unlink()
    _, _, said = doctor(script, folder=folder)
    assert plain.stdout.splitlines()[0] in said.splitlines()
    assert not list(folder.iterdir())


def writes_in_an_overlay(folder):
    """Whatever way files are changed, the script sees it and the folder stays as it was."""
    sys.path.insert(0, str(ROOT / "python"))
    from clrnn.scripts.overlay import Overlay
    at = folder / "overlay"
    for name in ("kept", "old/below", "linked"):
        (at / name).parent.mkdir(parents=True, exist_ok=True)
        (at / name).write_text(f"{name} here")
    (at / "link").symlink_to("linked")
    before, here = [(p, p.lstat()) for p in sorted(at.rglob("*"))], os.getcwd()
    os.chdir(at)
    try:
        with Overlay() as overlay:
            overlay.patch_libraries()
            changes_files()
    finally:
        os.chdir(here)
    now = [(p, p.lstat()) for p in sorted(at.rglob("*"))]
    assert [p for p, _ in now] == [p for p, _ in before], now
    for (p, old), (_, new) in zip(before, now):
        assert (old.st_mtime_ns, old.st_size, old.st_mode) == (new.st_mtime_ns, new.st_size, new.st_mode), p
    shutil.rmtree(at)


def changes_files():
    """What writes_in_an_overlay runs in a folder with kept, linked, link and old/below."""
    os.truncate("kept", 4)
    assert pathlib.Path("kept").read_text() == "kept" and os.path.getsize("kept") == 4
    for flags in (os.O_WRONLY | os.O_TRUNC, os.O_WRONLY | os.O_CREAT | os.O_APPEND):
        os.close(os.open("link", flags))
    os.utime("linked", (0, 0))
    os.chmod("old", 0o700)
    pathlib.Path("touched").touch()
    assert os.path.getmtime("linked") == 0 and pathlib.Path("touched").exists()
    os.makedirs("cache/a")
    torch.save([1], "cache/a.pt")
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), "cache/jit.pt")
    assert torch.load("cache/a.pt") == [1] and torch.jit.load("cache/jit.pt") is not None
    assert sorted(os.listdir("cache")) == ["a", "a.pt", "jit.pt"] == sorted(e.name for e in os.scandir("cache"))
    assert sorted(map(str, pathlib.Path().glob("cache/*.pt"))) == ["cache/a.pt", "cache/jit.pt"]
    shutil.copy("kept", "old/copy")
    assert sorted(os.listdir("old")) == ["below", "copy"] and next(os.walk("old"))[2].sort() is None
    os.remove("old/below")
    assert os.listdir(b"old") == [b"copy"] and not os.path.exists("old/below")
    os.rename("old", "moved")
    assert os.listdir("moved") == ["copy"] and not os.path.lexists("old")
    os.makedirs("old")
    assert os.listdir("old") == []
    shutil.rmtree("moved")
    os.makedirs("moved", exist_ok=True)
    os.rmdir("moved")
    for name in ("linked", "table"):
        np.savetxt(name, np.eye(2))
        assert np.loadtxt(name).sum() == 2 == np.genfromtxt(name).sum()
    pathlib.Path("bytes").write_bytes(b"abc")
    assert np.fromfile("bytes", np.uint8).tolist() == [97, 98, 99]
    os.symlink("kept", "latest")
    pathlib.Path("latest").write_text("through the link")
    assert pathlib.Path("kept").read_text() == "through the link"
    for fails, error in ((lambda: os.mkdir("cache"), FileExistsError), (lambda: os.rmdir("cache"), OSError),
                         (lambda: shutil.rmtree("moved"), FileNotFoundError), (lambda: os.listdir("moved"), OSError),
                         (lambda: os.remove("old/below"), FileNotFoundError)):
        try:
            fails()
        except error:
            continue
        raise AssertionError("not refused")
    with tempfile.TemporaryDirectory() as name:
        pathlib.Path(name, "a").write_text("a")
        assert os.listdir(name) == ["a"]
    assert not os.path.exists(name)
    try:
        from safetensors.torch import load_file, save_file
    except ImportError:
        return
    save_file({"a": torch.ones(2)}, "cache/a.safetensors")
    assert load_file("cache/a.safetensors")["a"].sum() == 2


def shows_no_control_characters(folder):
    name = os.fsencode(folder) + b"/nl\nerror forged \x1b[2J \xc2\x9b2J \xff.py"
    missing = subprocess.run([sys.executable, "-m", "clrnn", "doctor", name], env=ENV, capture_output=True, check=False)
    assert missing.returncode == 2 and b"nl\\x0aerror forged" in missing.stderr, missing.stderr
    shutil.copy(SCRIPTS / "wrong_target.py", name)
    found = subprocess.run([sys.executable, "-m", "clrnn", "doctor", name, "--to-config", name + b".d"], cwd=folder,
                           env=ENV, capture_output=True, check=False)
    assert found.returncode == 1 and b"error forged" in found.stdout, found
    for text in (missing.stderr, found.stdout, found.stderr):
        assert not any(line.lstrip().startswith("error forged") for line in text.decode().splitlines()), text
        assert not [c for c in text.decode() if (ord(c) < 32 and c != "\n") or 0x7f <= ord(c) < 0xa0], text


def converts(folder):
    doctor(SCRIPTS / "shuffled_arrays.py", "--to-config", str(folder / "out"), folder=folder)
    assert sorted(p.name for p in (folder / "out").iterdir()) == ["X.npy", "config.yaml", "init.safetensors", "y.npy"]
    text = (folder / "out/config.yaml").read_text()
    assert "lstm: {name: rnn, hidden_size: 16}" in text and "pool: {over: mean}" in text, text
    _, again, _ = doctor(SCRIPTS / "shuffled_arrays.py", "--to-config", str(folder / "out"), folder=folder)
    assert again["converted"], again


PLATEAU = """
import torch
from torch import nn
net, x, y = nn.Linear(4, 3), torch.randn(8, 4), torch.arange(8) % 3
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=2, threshold_mode="abs", min_lr=0.01, eps=0)
for epoch in range(4):
    for i in range(0, 8, 4):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x[i:i + 4]), y[i:i + 4])
        loss.backward()
        optimizer.step()
"""


def converts_plateaus(folder):
    """ReduceLROnPlateau by batches is written with all that it was given; by epochs it lacks data to follow."""
    (folder / "by_batch.py").write_text(PLATEAU + " " * 8 + "scheduler.step(loss.item())\n")
    (folder / "by_epoch.py").write_text(PLATEAU + " " * 4 + "scheduler.step(loss.item())\n")
    for name, words in (("by_batch", "patience: 2, threshold: 0.0001, threshold_mode: abs, cooldown: 0, min_lr: 0.01, "
                                     "eps: 0, interval: batch"),
                        ("by_epoch", "# by_epoch.py:13: ReduceLROnPlateau needs data.valid")):
        _, result, _ = doctor(folder / f"{name}.py", "--to-config", str(folder / name), folder=folder)
        text = (folder / name / "config.yaml").read_text() if result["converted"] else result["not_converted"]
        assert words in text, text


TRAINING = """
import torch
from torch import nn
torch.manual_seed(0)
{model}
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.2, total_steps=12, pct_start=0.25,
                                                anneal_strategy="linear")
for epoch in range(3):
    for i in range(0, 16, 4):
        loss = nn.functional.cross_entropy(net(x[i:i + 4]), y[i:i + 4])
        loss.backward()
        {step}
        scheduler.step()
"""
LINEAR = ("net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)); x, y = torch.randn(16, 4), "
          "torch.arange(16) % 4")
CONVOLUTION = "net, x, y = nn.Conv1d(3, 4, 2, stride=2), torch.randn(16, 3, 8), torch.arange(64).reshape(16, 4) % 4"
STEP = "optimizer.step(); optimizer.zero_grad()"
CONVERSIONS = {     # model, step, and what the config holds or the refusal says
    "schedule": (LINEAR, STEP, "one_cycle_lr: {max_lr: 0.2, total_steps: 12, pct_start: 0.25, anneal_strategy: linear, "
                               "cycle_momentum: true, base_momentum: 0.85, max_momentum: 0.95, div_factor: 25.0, "
                               "final_div_factor: 10000.0, interval: batch}"),
    "shared": (LINEAR + "; net[2].weight = net[0].weight", STEP, "0.weight and 2.weight are one tensor, and"),
    "frozen": (LINEAR + "; net[0].weight.requires_grad = False", STEP, "# the script does not train 0.weight"),
    "added": (LINEAR, "if not i % 8: " + STEP, "# added.py:12: gradients of several backward() make one step"),
    "values": (LINEAR, "nn.utils.clip_grad_value_(net.parameters(), 0.1); " + STEP, "values.py:13: clipping by value"),
    "norms": (LINEAR, "nn.utils.clip_grad_norm_(net.parameters(), 0.1, float('inf')); " + STEP, "clipping by norm inf"),
    "steps": (CONVOLUTION, STEP, "conv1d: {name: layer, out_channels: 4, kernel_size: 2, stride: 2"),
}


def converts_what_trains_the_same(folder):
    sys.path.insert(0, str(ROOT / "python"))
    from clrnn.scripts.run import examine
    for name, (model, step, words) in CONVERSIONS.items():
        at = folder / f"{name}.py"
        at.write_text(TRAINING.format(model=model, step=step))
        result = examine(str(at), to_config=str(folder / name))
        text = (folder / name / "config.yaml").read_text() if result.converted else result.not_converted
        assert words in text, (name, text)
    assert np.load(folder / "steps/y.npy").shape == (16, 4)


def keeps_files_of_others(folder):
    """A conversion replaces only files that a conversion has written."""
    for name in ("X.npy", "config.yaml"):
        at = folder / f"has {name}"
        at.mkdir()
        (at / name).write_text("the user's\n")
        _, result, _ = doctor(SCRIPTS / "shuffled_arrays.py", "--to-config", str(at), folder=folder)
        assert not result["converted"] and name in result["not_converted"], result
        assert [p.name for p in at.iterdir()] == [name] and (at / name).read_text() == "the user's\n"


def main():
    print(f"torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        scripts = sorted(SCRIPTS.glob("*.py"))
        with ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as pool:
            for script, _ in zip(scripts, pool.map(lambda script: finds_what_is_marked(script, folder), scripts)):
                print(f"ok {script.name}", flush=True)
        changes_nothing(folder)
        print("ok changes nothing")
        writes_in_an_overlay(folder)
        print("ok writes in an overlay")
        converts(folder)
        print("ok converts")
        converts_plateaus(folder)
        print("ok converts plateaus")
        converts_what_trains_the_same(folder)
        print("ok converts what trains the same")
        keeps_files_of_others(folder)
        print("ok keeps files of others")
        shows_no_control_characters(folder)
        print("ok shows no control characters")


main()
