#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Drivers that do not load, seen from outside: each is listed with the reason, and no driver at all is said."""
import json
import sys

import harness


def vendors(command, name="vendors", **files):
    """A folder of .icd files, as the loader takes it: the environment, and the folder."""
    folder = command.folder / name
    folder.mkdir()
    for stem, text in files.items():
        (folder / f"{stem}.icd").write_text(text)
    return {"OCL_ICD_VENDORS": f"{folder}/", "CLRNN_DEVICE": ""}, folder


def troubles(command, env):
    """What `devices` says is wrong, by the platform's name."""
    rows = json.loads(command.run("devices", "--no-test", "--json", env=env)[0])
    assert rows[-1]["device"] == "ref" and rows[-1]["trouble"] is None
    return {row["platform"]: row["trouble"] for row in rows[:-1]}


def test_reasons(command):
    """Every .icd file that gave no platform is a row, in text and JSON, with what dlopen says."""
    env, folder = vendors(command, missing="/nowhere/libnothing.so\n", other="libm.so.6\n", empty="",
                          odd="/nowhere/\x1b[2Jclear.so")
    found = troubles(command, env)
    for stem, words in {"missing": ("/nowhere/libnothing.so", "cannot open shared object file"),
                        "other": ("libm.so.6", "no OpenCL driver"), "empty": ("names no library",),
                        "odd": ("clear.so", "cannot open shared object file")}.items():
        for word in words:
            assert word in found[f"{folder}/{stem}.icd"], (stem, found)
    out, err = command.run("devices", "--no-test", env=env)
    assert all(f"{folder}/{stem}.icd" in out for stem in ("missing", "other", "empty", "odd")), out
    assert "\x1b" not in out + err
    assert "install" in err, err
    for spec in ("gpu", "cpu", "missing"):
        _, err = command.run("train", "config.yaml", "--device", spec, "--out", "run", status=4, env=env)
        assert "shared object" in err or "OpenCL driver" in err or "no library" in err, err
    assert not (command.folder / "run").exists()


def test_forms(command):
    """OCL_ICD_VENDORS may name a folder, a file or a library; each is looked into."""
    _, folder = vendors(command, missing="/nowhere/libnothing.so\n")
    for form, name in ((folder, f"{folder}/missing.icd"), (f"{folder}/missing.icd", f"{folder}/missing.icd"),
                       ("libnothing-at-all.so", "libnothing-at-all.so")):
        found = troubles(command, {"OCL_ICD_VENDORS": str(form), "CLRNN_DEVICE": ""})
        assert list(found) == [name] and "cannot open shared object file" in found[name], (form, found)


def test_none(command):
    """Without a driver: one sentence that says what to install, from every command that needs a device."""
    env, folder = vendors(command)
    out, err = command.run("devices", env=env)
    assert "ref" in out and err.count("\n") == 1 and str(folder) in err and "install a driver" in err, err
    out, err = command.run("devices", "--json", env=env)
    assert [row["device"] for row in json.loads(out)] == ["ref"] and "install a driver" in err
    for arguments in (("train", "config.yaml"), ("doctor", "config.yaml"), ("tune",), ("bench", "config.yaml")):
        command.refused(4, ["install a driver", str(folder)], *arguments, env=env)
    command.refused(4, ["nothing to compare"], "compare", "config.yaml", env=env)


def test_no_library(command):
    """Where OpenCL's loader or CLBlast does not load, devices says why, ref works, and the others end with status 4."""
    for library, package in (("libOpenCL.so.1", "ocl-icd-libopencl1"), ("libclblast.so.1", "libclblast1")):
        folder = command.folder / library.partition(".")[0]
        folder.mkdir()
        (folder / library).write_text("no library")
        env = {"LD_LIBRARY_PATH": str(folder), "CLRNN_DEVICE": ""}
        command.run("--version", env=env)
        found = troubles(command, env)
        assert list(found) == ["OpenCL"] and str(folder / library) in found["OpenCL"], found
        assert package in found["OpenCL"], found
        for spec in ("gpu", "0:0", "pocl"):
            _, err = command.run("train", "config.yaml", "--device", spec, "--out", "none", status=4, env=env)
            assert str(folder / library) in err and "--device ref" in err and err.count("\n") == 1, err
        assert not (command.folder / "none").exists()
        command.run("train", "config.yaml", "--device", "ref", "--out", library, "--no-plot", "--set", "train.epochs=1",
                    env=env)


def test_says_device(command):
    """Training says in one line where it runs, on the standard error output, and not with --quiet."""
    options = ("--device", "ref", "--no-plot", "--set", "train.epochs=1")
    _, err = command.run("train", "config.yaml", "--out", "said", *options)
    assert err.startswith("on ref"), err
    _, err = command.run("train", "config.yaml", "--out", "quiet", "--quiet", *options)
    assert "on ref" not in err, err


def test_pocl_cache(command):
    """PoCL's own cache damaged, or no folder: exit status 4, and what to delete; builds print nothing."""
    folder = command.folder / "kernels"
    env = {"POCL_CACHE_DIR": str(folder), "CLRNN_CHAIN_AFTER": "0", "CLRNN_DEVICE": "pocl"}
    rows = json.loads(command.run("devices", "--no-test", "--json", env=env)[0])
    if not any("Portable Computing Language" in row["platform"] and not row["trouble"] for row in rows):
        raise harness.Skip("PoCL is not there")
    options = ("--set", "train.epochs=1", "--no-plot", "--no-watch", "--quiet")
    _, err = command.run("train", "config.yaml", "--out", "good", *options, env=env)
    assert err == "", err
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for text in (b"", b"\x8b" * 100):
        for path in folder.rglob("*"):
            if path.is_file():
                path.write_bytes(text)
        command.refused(4, [str(folder), "POCL_CACHE_DIR", "delete"],
                        "train", "config.yaml", "--out", "damaged", *options, env=env)
    for path in (command.folder / "config.yaml", "/proc/none", command.folder / "config.yaml" / "below"):
        _, err = command.run("train", "config.yaml", "--out", "none", *options, status=4,
                             env={**env, "POCL_CACHE_DIR": str(path)})
        assert str(path) in err and "POCL_CACHE_DIR" in err and "install" not in err, err


def test_warm(command):
    """cache warm builds what training and prediction need, whatever compiled it."""
    out, _ = command.run("cache", "warm", "config.yaml", "--device", "ref", "--quiet")
    assert out == "", out
    for wrong in (("warm",), ("warm", "a", "b"), ("info", "config.yaml"), ("heat", "config.yaml")):
        command.run("cache", *wrong, status=2)
    folder = command.folder / "warm"
    env = {"POCL_CACHE_DIR": str(folder), "CLRNN_DEVICE": "pocl"}
    rows = json.loads(command.run("devices", "--no-test", "--json", env=env)[0])
    if not any("Portable Computing Language" in row["platform"] and not row["trouble"] for row in rows):
        raise harness.Skip("PoCL is not there")
    assert json.loads(command.run("cache", "warm", "config.yaml", "--json", env=env)[0])["seconds"] > 0
    kernels = set(folder.rglob("*.so"))
    assert kernels
    command.run("train", "config.yaml", "--out", "warmed", "--set", "train.epochs=1", "--no-plot",
                env={**env, "CLRNN_BUILDERS": "0"})
    assert set(folder.rglob("*.so")) == kernels, set(folder.rglob("*.so")) - kernels


if __name__ == "__main__":
    sys.exit(harness.main([test_reasons, test_forms, test_none, test_no_library, test_says_device, test_pocl_cache,
                           test_warm]))
