#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The public headers are documented, as TAP: every function, type and enum stands below a comment of its own,
and Doxygen builds the reference without a warning.

    test_documented.py ROOT [DOXYGEN DOXYFILE]
"""
import pathlib
import re
import subprocess
import sys
import traceback

ROOT = pathlib.Path(sys.argv[1])
PUBLIC = re.compile(r"^(CLRNN_API|typedef|struct \w+ \{|struct \w+;|enum \w+ \{)")


class Skip(Exception):
    """Raised by a test that lacks something; shows as skipped."""


def comments():
    """Each public declaration follows a /** comment."""
    bare, count = [], 0
    for header in sorted((ROOT / "include").rglob("*.h")):
        lines = header.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            if PUBLIC.match(line):
                count += 1
                before = lines[number - 1].rstrip() if number else ""
                top = number - 1
                while top > 0 and before.endswith("*/") and "/*" not in lines[top]:
                    top -= 1
                if not before.endswith("*/") or not lines[top].lstrip().startswith("/**"):
                    bare.append(f"{header.relative_to(ROOT)}:{number + 1}: {line}")
    assert count > 100, f"only {count} declarations were found"
    assert not bare, "without a comment of its own:\n" + "\n".join(bare)


def doxygen():
    if len(sys.argv) < 4:
        raise Skip("doxygen is not installed")
    result = subprocess.run(sys.argv[2:4], capture_output=True, text=True, check=False)
    assert result.returncode == 0 and "warning" not in result.stderr, result.stderr


def main():
    tests = (comments, doxygen)
    failed = 0
    print(f"1..{len(tests)}")
    for number, test in enumerate(tests, 1):
        try:
            test()
            print(f"ok {number} - {test.__name__}")
        except Skip as reason:
            print(f"ok {number} - {test.__name__} # SKIP {reason}")
        except Exception:
            failed += 1
            print("\n".join(f"# {line}" for line in traceback.format_exc().splitlines()))
            print(f"not ok {number} - {test.__name__}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
