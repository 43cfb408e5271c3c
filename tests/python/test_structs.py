# SPDX-License-Identifier: MIT
"""The package's structs have the layout that the C compiler gives those of the headers.

    test_structs.py ROOT CC...
"""
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy  # noqa: F401
except ImportError:
    print("skipped: this Python has no numpy")
    sys.exit(77)

ROOT = pathlib.Path(sys.argv[1]).resolve()
sys.path.insert(0, str(ROOT / "python"))

from clrnn import _structs  # noqa: E402


def layout_in_c(folder):
    lines = ["#include <clrnn.h>", "#include <stdio.h>", "int main(void) {"]
    for name, made in _structs.STRUCTS.items():
        lines.append(f'printf("{name} %zu\\n", sizeof(struct clrnn_{name}));')
        lines += [f'printf("{name}.{field} %zu %zu\\n", offsetof(struct clrnn_{name}, {field}), '
                  f"sizeof(((struct clrnn_{name} *)0)->{field}));" for field, _ in made._fields_]
    source, exe = folder / "layout.c", folder / "layout"
    source.write_text("\n".join([*lines, "return 0; }"]) + "\n")
    subprocess.run([*sys.argv[2:], "-I", str(ROOT / "include"), str(source), "-o", str(exe)], check=True)
    return subprocess.run([str(exe)], stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()


def layout_in_python():
    lines = []
    for name, made in _structs.STRUCTS.items():
        lines.append(f"{name} {_structs.ctypes.sizeof(made)}")
        lines += [f"{name}.{field} {getattr(made, field).offset} {getattr(made, field).size}"
                  for field, _ in made._fields_]
    return lines


def main():
    with tempfile.TemporaryDirectory() as folder:
        expected = layout_in_c(pathlib.Path(folder))
    assert len(expected) > 200
    wrong = [pair for pair in zip(layout_in_python(), expected) if pair[0] != pair[1]]
    assert not wrong, wrong[:5]
    print("ok")


main()
