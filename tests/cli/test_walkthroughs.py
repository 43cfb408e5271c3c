#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The walk-throughs of doc/: their commands, run in an empty folder, print what stands below them.

    test_walkthroughs.py CLRNN ROOT [--write]    --write puts what they print into the documents
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

COMMAND, ROOT = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]\d+)?")


def steps(lines):
    """(first line, line after the command, line after what it prints, command) of each command of a document."""
    at = 0
    while at < len(lines):
        if not lines[at].startswith("    $ "):
            at += 1
            continue
        first, words = at, [lines[at][6:]]
        at += 1
        if "<<'END'" in words[0]:
            while words[-1] != "END":
                words.append(lines[at][4:])
                at += 1
        output = end = at
        while at < len(lines) and (not lines[at] or re.match("    (?!\\$ )", lines[at])):
            end = at + 1 if lines[at] else end  # blank lines within, not behind it
            at += 1
        at = end
        yield first, output, at, "\n".join(words)


def run(words, folder):
    env = {**os.environ, "CLRNN_DEVICE": "ref", "PATH": f"{folder}/bin:{os.environ['PATH']}"}
    text = subprocess.run(["bash", "-c", words], cwd=f"{folder}/work", env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=200).stdout
    return ["    " + line if line else "    " for line in text.splitlines()]


def same(got, wanted):
    """Words alike, numbers near: another libm rounds another way, and training carries that on."""
    if len(got) != len(wanted):
        return False
    for a, b in zip(got, wanted):
        if NUMBER.sub("#", " ".join(a.split())) != NUMBER.sub("#", " ".join(b.split())):
            return False
        for x, y in zip(NUMBER.findall(a), NUMBER.findall(b)):
            if abs(float(x) - float(y)) > 0.02 * max(1, abs(float(y))):
                return False
    return True


def walk(path, write):
    """Runs a document's commands; returns the first that prints something else, or None."""
    lines = path.read_text(encoding="utf-8").split("\n")
    found, fresh, last = None, [], 0
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(f"{folder}/bin")
        os.makedirs(f"{folder}/work")
        os.symlink(COMMAND, f"{folder}/bin/clrnn")
        for first, output, end, words in steps(lines):
            got = run(words, folder)
            wanted = [line.rstrip() for line in lines[output:end]]
            if not same([line.rstrip() for line in got], wanted) and not found:
                found = f"{words}\nprints\n" + "\n".join(got) + "\nand the document has\n" + "\n".join(wanted)
            fresh += lines[last:output] + [line.rstrip() or "" for line in got]
            last = end
    if write:
        path.write_text("\n".join(fresh + lines[last:]), encoding="utf-8")
    return None if write else found


def main():
    documents = sorted((ROOT / "doc").glob("walk-*.md"))
    print(f"1..{len(documents)}")
    failed = len(documents) != 4
    for number, path in enumerate(documents, 1):
        found = walk(path, "--write" in sys.argv)
        failed = failed or bool(found)
        for line in (found or "").splitlines():
            print("#", line)
        print("not ok" if found else "ok", number, "-", path.name, flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
