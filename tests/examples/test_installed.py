#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The installed library, as TAP: what it exports, and a program built against it by pkg-config alone.

    test_installed.py BUILD ROOT
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "cli"))
import harness  # noqa: E402

BUILD, ROOT = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
# Written by sanitizers, coverage and the compiler's own start-up code where they are on.
NOT_OURS = re.compile(r"^(__|_init$|_fini$|_end$|_edata$|mangled|llvm)")


def run(*command, **options):
    result = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert result.returncode == 0, f"{' '.join(map(str, command))}: exit {result.returncode}\n" \
                                   f"{result.stdout}{result.stderr}"
    return result.stdout


def declared():
    """Functions that the public headers declare."""
    names = set()
    for header in sorted((ROOT / "include").rglob("*.h")):
        text = re.sub(r"/\*.*?\*/|//[^\n]*", "", header.read_text(encoding="utf-8"), flags=re.S)
        text = re.sub(r"^\s*#.*(?:\\\n.*)*$", "", text, flags=re.M)
        for declaration in re.findall(r"CLRNN_API\b([^;]*);", text):
            names.add(re.search(r"(\w+)\s*\(", declaration).group(1))
    return names


def exports(folder):
    """Each function that the headers declare, and nothing else."""
    if not shutil.which("nm"):
        raise harness.Skip("nm is not installed")
    libraries = [path for path in folder.rglob("libclrnn.so*") if not path.is_symlink()]
    assert len(libraries) == 1, libraries
    lines = run("nm", "-D", "--defined-only", libraries[0]).splitlines()
    exported = {line.split()[-1].split("@")[0] for line in lines}
    exported = {name for name in exported if not NOT_OURS.match(name)}
    stray = sorted(name for name in exported if not name.startswith("clrnn_"))
    assert not stray, f"exported without our prefix: {stray}"
    assert exported == declared(), f"exported but in no public header: {sorted(exported - declared())}; " \
                                   f"declared but not exported: {sorted(declared() - exported)}"
    listed = re.findall(r"^    (\w+);$", (ROOT / "src" / "clrnn.syms").read_text(encoding="utf-8"), re.M)
    assert listed == sorted(declared()), f"src/clrnn.syms lacks {sorted(declared() - set(listed))}, " \
                                         f"has too many {sorted(set(listed) - declared())}, or is not sorted"
    api = re.search(r"CLRNN_API_VERSION (\d+)", (ROOT / "include/clrnn/version.h").read_text(encoding="utf-8"))[1]
    assert f"libclrnn.so.{api}" in run("readelf", "-d", libraries[0]), "the soname is not the API's number"


def archive(folder):
    """The static library has our prefix everywhere, too: it must not collide with what a program calls linear_fit."""
    if not shutil.which("nm"):
        raise harness.Skip("nm is not installed")
    lines = run("nm", "-g", "--defined-only", next(folder.rglob("libclrnn.a"))).splitlines()
    names = {line.split()[2] for line in lines if len(line.split()) == 3}
    stray = sorted(name for name in names if not name.startswith("clrnn_") and not NOT_OURS.match(name))
    assert len(names) > 300 and not stray, f"external symbols without clrnn_: {stray}"


def uninstalled(_):
    """pkg-config finds headers and library in the build folder."""
    if not shutil.which("pkg-config"):
        raise harness.Skip("pkg-config is not installed")
    environment = {**os.environ, "PKG_CONFIG_PATH": str(BUILD / "meson-uninstalled")}
    flags = run("pkg-config", "--cflags", "clrnn", env=environment).split()
    assert any((pathlib.Path(flag[2:]) / "clrnn.h").is_file() for flag in flags if flag.startswith("-I")), flags


def program(folder):
    """examples/embed.c, built by what pkg-config says and run."""
    compiler = os.environ.get("CC", "cc").split()
    if not shutil.which("pkg-config") or not shutil.which(compiler[0]):
        raise harness.Skip("pkg-config and a C compiler are needed")
    pc = list(folder.rglob("clrnn.pc"))
    assert len(pc) == 1, pc
    environment = {**os.environ, "PKG_CONFIG_PATH": str(pc[0].parent), "PKG_CONFIG_SYSROOT_DIR": str(folder)}
    flags = run("pkg-config", "--cflags", "--libs", "clrnn", env=environment).split()
    options = json.loads(run("meson", "introspect", "--buildoptions", BUILD))
    sanitize = next(option["value"] for option in options if option["name"] == "b_sanitize")
    if sanitize and sanitize != "none":
        flags.append(f"-fsanitize={sanitize}")
    embed = folder / "embed"
    run(*compiler, "-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror", ROOT / "examples" / "embed.c", "-o", embed,
        *flags)
    libraries = next(path.parent for path in folder.rglob("libclrnn.so*"))
    out = run(embed, folder / "embed.safetensors", env={**os.environ, "LD_LIBRARY_PATH": str(libraries)})
    assert "accuracy" in out and (folder / "embed.safetensors").stat().st_size > 0, out
    version = run("pkg-config", "--modversion", "clrnn", env=environment).strip()
    command = next(folder.rglob("bin/clrnn"))
    assert run(command, "--version").split()[1] == version


def headers(folder):
    """The public headers and no others are installed."""
    installed = {path.relative_to(include) for include in folder.rglob("include") for path in include.rglob("*.h")}
    assert installed == {path.relative_to(ROOT / "include") for path in (ROOT / "include").rglob("*.h")}, installed


def main():
    with tempfile.TemporaryDirectory(prefix="clrnn-installed-") as name:
        folder = pathlib.Path(name)
        run("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--tags", "devel,runtime", "--destdir", folder)
        return harness.tap((exports, archive, headers, program, uninstalled), lambda test: test(folder))


if __name__ == "__main__":
    sys.exit(main())
