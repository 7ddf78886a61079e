# SPDX-License-Identifier: MIT
"""For tests/run: what failed is run a second time, alone.

A test that fails beside others on a busy machine and passes alone is unstable: it is counted as passed, and is named in
the output and in the results, so that nobody takes it for a good one. Not so where it would hide something: a report
of a sanitizer stays a failure, and so do all when more than MOST tests have failed.

    again.py list RESULTS.junit.xml            the tests to be run again, as pytest names them, each ended by a NUL
    again.py merge RESULTS.junit.xml SECOND    puts the outcome of the second run into the first one's results
"""

import sys
import xml.etree.ElementTree

MOST = 5
NOT_FORGIVEN = ("Sanitizer", "runtime error:", "definitely lost")
BAD = ("failure", "error")


def name_of(case):
    return case.get("classname", ""), case.get("name", "")


def failed(tree):
    """The failed tests, by name: TRUE when a second run may speak for them."""
    found = {}
    for case in tree.iter("testcase"):
        bad = [child for child in case if child.tag in BAD]
        if bad:
            text = "".join("".join(child.itertext()) + child.get("message", "") for child in bad)
            found[name_of(case)] = found.get(name_of(case), True) and not any(word in text for word in NOT_FORGIVEN)
    return found


def node_id(name):
    classname, test = name
    return classname.replace(".", "/") + ".py::" + test


def list_again(path):
    found = failed(xml.etree.ElementTree.parse(path))
    if len(found) <= MOST:
        sys.stdout.write("".join(node_id(name) + "\0" for name, again in found.items() if again))


def merge(path, second):
    tree = xml.etree.ElementTree.parse(path)
    again = xml.etree.ElementTree.parse(second)
    still = failed(again)
    good = {name_of(case) for case in again.iter("testcase")} - set(still)
    for name, forgiven in failed(tree).items():
        if not forgiven or name not in good:
            continue
        print(f"unstable: {node_id(name)} failed beside others and passed alone")
        for case in tree.iter("testcase"):
            if name_of(case) == name:
                for child in [child for child in case if child.tag in BAD]:
                    case.remove(child)
                xml.etree.ElementTree.SubElement(case, "system-out").text = "unstable: passed in the second run"
    # A failure in setup, call and teardown of one test is told as several cases: one is enough.
    seen = set()
    for suite in tree.iter("testsuite"):
        for case in list(suite):
            if case.tag == "testcase" and name_of(case) in good:
                if name_of(case) in seen:
                    suite.remove(case)
                seen.add(name_of(case))
    tree.write(path, encoding="utf-8", xml_declaration=True)


if __name__ == "__main__":
    {"list": list_again, "merge": merge}[sys.argv[1]](*sys.argv[2:])
