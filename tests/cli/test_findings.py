# SPDX-License-Identifier: MIT
"""The table of findings: `clrnn doctor --list`, `--explain ID`, doc/findings.md.

    test_findings.py CLRNN ROOT            tests
    test_findings.py CLRNN ROOT --write    writes doc/findings.md from the table
"""
import json
import pathlib
import re
import sys

import harness

ROOT = pathlib.Path(sys.argv.pop(2))


def table(clrnn):
    return json.loads(clrnn.run("doctor", "--list", "--json")[0])["findings"]


def page(rows):
    """doc/findings.md."""
    lines = ["# Findings", "",
             "What `clrnn doctor` and the watch of `clrnn train` can find, from `src/train/findings.def`:",
             "`python3 tests/cli/test_findings.py build/tools/clrnn . --write` writes this page. The severity is the",
             "gravest that a finding is reported with; `clrnn doctor --explain ID` shows the same.", ""]
    for row in rows:
        lines += [f"## {row['id']}", "",
                  f"- {row['severity']}: {row['meaning']}",
                  f"- costs: {row['cost']}",
                  f"- remedy: {row['remedy']}",
                  f"- read: [{row['page']}]({row['page']})", ""]
    return "\n".join(lines[:-1]) + "\n"


def anchors(path):
    """The anchors of a page's headings, as GitHub makes them."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M):
        found.add(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"))
    return found


def listed(clrnn):
    rows = table(clrnn)
    assert len({row["id"] for row in rows}) == len(rows) > 40
    for row in rows:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", row["id"]), row
        assert row["severity"] in ("error", "warning", "note"), row
        assert all(row[key].strip() for key in ("meaning", "cost", "remedy", "page")), row
    text = clrnn.run("doctor", "--list")[0]
    assert [line.split()[1] for line in text.splitlines() if not line.startswith(" ")] == [row["id"] for row in rows]
    assert max(map(len, text.splitlines())) < 100


def explained(clrnn):
    for row in table(clrnn):
        told = json.loads(clrnn.run("doctor", "--explain", row["id"], "--json")[0])
        assert told == {"version": told["version"], "config": None, **row}, told
    text = " ".join(clrnn.run("doctor", "--explain", row["id"])[0].split())
    for key in ("severity", "id", "meaning", "cost", "remedy", "page"):
        assert row[key] in text, (key, text)


def refused(clrnn):
    assert "did you mean dead-units?" in clrnn.run("doctor", "--explain", "dead-unit", status=2)[1]
    assert "`clrnn doctor --list` names all" in clrnn.run("doctor", "--explain", "zzz", status=2)[1]
    assert "stands by itself" in clrnn.run("doctor", "--list", "config.yaml", status=2)[1]
    assert "argument is missing" in clrnn.run("doctor", status=2)[1]


def documented(clrnn):
    rows = table(clrnn)
    assert (ROOT / "doc/findings.md").read_text(encoding="utf-8") == page(rows), "write the page anew: see its top"
    for row in rows:
        name, anchor = row["page"].split("#")
        assert anchor in anchors(ROOT / "doc" / name), row


if __name__ == "__main__":
    if "--write" in sys.argv:
        (ROOT / "doc/findings.md").write_text(page(table(harness.Command(sys.argv[1]))), encoding="utf-8")
    else:
        sys.exit(harness.main([listed, explained, refused, documented]))
