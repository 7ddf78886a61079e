# SPDX-License-Identifier: MIT
"""Adds up the results that tests/run has left in a directory, and prints "N passed, N failed, N skipped".

    *.junit.xml   of pytest: a test case each
    *.meson.json  meson's testlog.json: a TAP line each, and a program that failed without one saying so
    *.results     lines "passed|failed|skipped NAME"

Lists what failed and what was skipped first. Exits with 1 when anything failed or nothing ran.
"""

import json
import pathlib
import re
import sys
import xml.etree.ElementTree

BAD = ("FAIL", "TIMEOUT", "ERROR", "INTERRUPT", "UNEXPECTEDPASS")
TAP_LINE = re.compile(r"^(not )?ok\b\s*\d*\s*-?\s*([^#]*)(?:#\s*(\w+).*)?$", re.MULTILINE)


def junit(path):
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname', '')}::{case.get('name', '')}"
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            yield "failed", name
        elif "skipped" in kinds:
            reason = case.find("skipped").get("message", "")
            yield "skipped", f"{name}: {reason}"
        else:
            yield "passed", name


def meson(path):
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        test = json.loads(line)
        lines = TAP_LINE.findall(test.get("stdout") or "")
        failed = False
        for bad, name, directive in lines:
            full_name = f"{test['name']} {name.strip()}"
            if directive.upper() == "SKIP":
                yield "skipped", full_name
            elif bad and directive.upper() != "TODO":
                failed = True
                yield "failed", full_name
            else:
                yield "passed", full_name
        if test["result"] in BAD:
            if not failed:
                yield "failed", f"{test['name']}: {test['result']}"
        elif not lines:
            yield ("skipped" if test["result"] == "SKIP" else "passed"), test["name"]


def results(path):
    for line in path.read_text(encoding="utf-8").splitlines():
        outcome, _, name = line.partition(" ")
        yield outcome, name


READERS = {".junit.xml": junit, ".meson.json": meson, ".results": results}


def main():
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
        for suffix, reader in READERS.items():
            if not path.name.endswith(suffix):
                continue
            label = path.name[:-len(suffix)]
            try:
                found = list(reader(path))
            except (ValueError, KeyError, xml.etree.ElementTree.ParseError) as error:
                found = [("failed", f"{path.name} can't be read: {error}")]
            for outcome, name in found:
                counts[outcome] += 1
                if outcome != "passed":
                    print(f"{outcome}: [{label}] {name}")
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**counts))
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
