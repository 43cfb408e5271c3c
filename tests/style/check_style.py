#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Rules that a reader of the source relies on, as TAP: layers, licence lines, widths, words.

    check_style.py ROOT
"""
import pathlib
import re
import shutil
import subprocess
import sys

# A folder includes from itself and from these.
BELOW = {
    "base": [],
    "formats": ["base"],
    "device": ["base"],
    "ops": ["base", "device"],
    "reference": ["base", "device", "ops"],
    "model": ["base", "formats", "device", "ops", "reference"],
    "export": ["base", "formats", "device", "ops", "reference", "model"],
    "train": ["base", "formats", "device", "ops", "reference", "model"],
    "diagnose": ["base", "formats", "device", "ops", "reference", "model", "train"],
    "verify": ["base", "formats", "device", "ops", "reference", "model", "train"],
    "search": ["base", "formats", "device", "ops", "reference", "model", "train"],
}
SOURCE = {".c", ".h", ".def", ".cl", ".py", ".build", ""}
WIDEST = 120
LONGEST_FILE, LONGEST_FUNCTION = 500, 80
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def sources(root):
    """Every file of ours that is code, by path from the root."""
    for folder in ("include", "cl", "src", "tools", "tests", "examples"):
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and path.suffix in SOURCE and not {"golden", "corpus"} & set(path.parts):
                yield path.relative_to(root), path.read_text(encoding="utf-8")


def includes(text):
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', text, re.M)


def layers(root):
    for path, text in sources(root):
        if path.parts[0] != "src" or path.suffix not in (".c", ".h") or len(path.parts) < 3:
            continue
        layer = path.parts[1]
        for name in includes(text):
            other = name.split("/")[0]
            if "/" in name and other in BELOW and other != layer and other not in BELOW[layer]:
                yield f"{path} includes {name}: {layer} stands below {other}"


def tools(root):
    """The command is a program over the public API, with the helpers of src/base."""
    for path, text in sources(root):
        if path.parts[0] == "tools" and path.suffix in (".c", ".h"):
            for name in includes(text):
                if (root / "src" / name).exists() and not name.startswith("base/"):
                    yield f"{path} includes {name}: of src/ only base/ may be"


def opencl(root):
    for path, text in sources(root):
        if path.parts[:2] == ("src", "device") or path.parts[0] == "tests":
            continue
        for name in includes(text):
            if name.startswith("CL/") or "clblast" in name:
                yield f"{path} includes {name}: only src/device may"


def public(root):
    for path, text in sources(root):
        if path.parts[0] == "include":
            for name in includes(text):
                if "/" in name and not name.startswith("clrnn/"):
                    yield f"{path} includes {name}, which is not installed"


def licences(root):
    for path, text in sources(root):
        if "SPDX-License-Identifier: MIT" not in "\n".join(text.splitlines()[:3]):
            yield f"{path} lacks its SPDX line"


def widths(root):
    for path, text in sources(root):
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) > WIDEST or line != line.rstrip() or "\t" in line:
                yield f"{path}:{number} is wider than {WIDEST} columns, ends in blanks or holds a tab"


def lengths(root):
    """No file over 500 lines and no function over 80. Kernels may be longer: compilers keep one's sums in registers."""
    for path, text in sources(root):
        lines = text.splitlines()
        if len(lines) > LONGEST_FILE:
            yield f"{path} has {len(lines)} lines: split it by what it holds"
        start = 0
        for number, line in enumerate(lines, 1):
            if path.suffix in (".c", ".h") and path.parts[0] != "cl":
                start = number if line == "{" else start
                if line == "}" and start and number - start > LONGEST_FUNCTION - 2:
                    yield f"{path}:{start}: a function of {number - start + 2} lines"


def unfinished(root):
    for path, text in sources(root):
        if path.name != pathlib.Path(__file__).name:
            for number, line in enumerate(text.splitlines(), 1):
                if UNFINISHED.search(line):
                    yield f"{path}:{number} is unfinished by its own words"


def tags(root):
    """A struct, enum or union with our prefix is defined once."""
    found = {}
    for path, text in sources(root):
        if path.parts[0] in ("include", "src", "tools") and path.suffix in (".c", ".h"):
            for tag in re.findall(r"^(?:struct|enum|union) (clrnn_\w+)\s*\{", text, re.M):
                if tag in found:
                    yield f"{path} defines {tag}, as {found[tag]} does"
                found[tag] = path


def design(root):
    """Files and functions that doc/design.md names exist; paths are from the root or from src/."""
    text = (root / "doc/design.md").read_text(encoding="utf-8")
    words = {word for path, code in sources(root) if path.parts[0] != "tests" for word in re.findall(r"\w+", code)}
    for name in sorted(set(re.findall(r"\b(?:[a-z_]+/)+[a-z_-]+\.(?:c|h|cl|def|py)\b", text))):
        if not (root / name).is_file() and not (root / "src" / name).is_file():
            yield f"doc/design.md names {name}, which is not there"
    for name in sorted(set(re.findall(r"\b[a-z]+_[a-z_]+\b(?!\.)", " ".join(re.findall(r"`([^`]*)`", text)))) - words):
        yield f"doc/design.md names {name}, which is not in the code"


def formatted(root):
    """clang-format with the project's .clang-format changes nothing. Version 14 only: others break lines elsewhere."""
    tool = shutil.which("clang-format-14") or shutil.which("clang-format")
    version = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout if tool else ""
    if "version 14." not in version:
        return
    files = [path for path, _ in sources(root) if path.suffix in (".c", ".h") and path.parts[0] != "cl"]
    reports = subprocess.run([tool, "--dry-run", *map(str, files)], cwd=root, capture_output=True, text=True,
                             check=True).stderr
    wrong = sorted({line.split(":")[0] for line in reports.splitlines() if "-Wclang-format-violations" in line})
    yield from (f"{path}: run clang-format -i on it" for path in wrong)


def main():
    root = pathlib.Path(sys.argv[1])
    checks = (layers, tools, opencl, public, licences, widths, lengths, unfinished, tags, design, formatted)
    print(f"1..{len(checks)}")
    failed = 0
    for number, check in enumerate(checks, 1):
        wrong = list(check(root))
        failed += bool(wrong)
        for text in wrong:
            print(f"# {text}")
        print(f"{'not ok' if wrong else 'ok'} {number} - {check.__name__}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
