# SPDX-License-Identifier: MIT
"""The table of the medians, and the page that is written with it."""

import os
import pathlib
import platform
import statistics

from . import peers as peers_module
from .peers import ALL

HUNG = "hung"


def median_of(measurements):
    """One dictionary of the medians of each value."""
    names = set.intersection(*(set(values) for values in measurements))
    return {name: statistics.median(values[name] for values in measurements) for name in names}


def commit():
    """Of the sources, where git knows it."""
    checkout = pathlib.Path(__file__).resolve().parents[2]
    return peers_module.version(["git", "-C", str(checkout), "describe", "--always", "--dirty"])


def cell_of(row, cell):
    if cell is None:
        return ""
    if cell.measurements:
        return row.cell(median_of(cell.measurements)) + (f" ({cell.trouble})" if cell.trouble else "")
    return cell.trouble or ""


def ratio(number):
    return f"{number:.2f}"


def verdicts(row, results, rtt, kind):
    for place, server, sentence, met in row.target(results):
        if (place, server) == (rtt, kind):
            word = {True: "met", False: "**not met**", None: "not measured"}[met]
            yield f"{sentence}: {word}"


def table(rows, cells, results):
    """Lines of Markdown. cells: {(row name, rtt, kind): {peer: Cell}}; results: {row name: rows.Results}."""
    used = [peer for peer in ALL if any(peer.name in found for found in cells.values())]
    head = ["work", "round trip", "server", *(peer.title for peer in used), "to best peer", "to curl / lftp", "target"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        for (name, rtt, kind), found in cells.items():
            if name != row.name:
                continue
            medians = results[name]
            ours = medians.seconds("ftpfs", rtt, kind) or medians.seconds("ftpfs-one", rtt, kind)
            best = medians.best([peer.name for peer in ALL if not peer.ours and peer.name != "raw"], rtt, kind)
            raw = medians.seconds("raw", rtt, kind)
            where = "loopback" if rtt == 0 else f"{rtt} ms" + (f", {row.loss[rtt]:.1%} lost" if rtt in row.loss else "")
            line = [row.title, where, kind, *(cell_of(row, found.get(peer.name)) for peer in used),
                    ratio(ours / best) if ours and best else "", ratio(ours / raw) if ours and raw else "",
                    "; ".join(verdicts(row, medians, rtt, kind))]
            lines.append("| " + " | ".join(line) + " |")
    return lines


EXPLAINED = """\
Seconds, medians; in brackets the round trips that the work cost: commands in the server's log, one more for each data
connection, two for each control connection (see README.md). "To best peer" is the time of ftpfs divided by that of the
quickest of the others that mount; below 1 ftpfs is quicker. "hung": cut off at the limit. All bytes and names were
compared with what is on the server."""


def machine():
    model = "unknown"
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    return f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB; {system}, Linux {platform.release()}"


def page(runs, lines):
    """runs: what record.about() says of each run that the table is made of."""
    parts = ["# Results", "", "Written by tests/bench/run; not edited. The peers take turns in each repetition.", ""]
    for run in runs:
        parts.append(f"- `{run['command']}`, {run['date']}, {run['repeat']} repetition(s), load before the run "
                     f"{run['load']:.1f}")
        parts += [f"  - not measured: {name}: {reason}" for name, reason in run["missing"]]
    parts += [f"- machine: {machine()}", f"- sources: {commit()}"]
    parts += [f"- {name}: {value}" for name, value in peers_module.versions()]
    parts += ["", EXPLAINED, "", *lines, ""]
    return "\n".join(parts)
