# SPDX-License-Identifier: MIT
"""The command line of the benchmark, and the order in which everything is measured: see run."""

import argparse
import os
import pathlib
import sys

import netlab
import servers

from . import bounded, peers, record, report
from .rows import READING, Cell, Results, Run
from .rows_size import SIZES, ScriptedSite
from .rows_write import WRITING
from .site import Sites, round_trips
from .tree import Sizes, Tree

ROWS = READING + SIZES + WRITING
SLOW = ("untar", "write4g")  # once is enough when nobody says how often
SMOKE_FAR = ("deep", "read64", "copy")  # what a smoke run also does over a wire


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="tests/bench/run", description="Measures ftpfs beside rclone mount, curlftpfs and curl.",
        epilog="rows: " + ", ".join(row.name for row in ROWS) + "; peers: " + ", ".join(peer.name for peer in peers.ALL)
        + ". FTPFS names another build, CURLFTPFS the program curlftpfs, FTPFS_BENCH_DIR a directory with room.")
    parser.add_argument("--rows", help="comma-separated; default: all")
    parser.add_argument("--rtt", help="round trip times in ms, 0 is loopback; default: those that suit the row")
    parser.add_argument("--peers", help="comma-separated; default: all that are here")
    parser.add_argument("--servers", help="vsftpd, proftpd, pureftpd, pyftpdlib; default: those that suit the row")
    parser.add_argument("--repeat", type=int, help="repetitions; default: 3")
    parser.add_argument("--limit", type=float, help="seconds for one piece of work; default: by the row")
    parser.add_argument("--options", default="", help="more options for every ftpfs, such as prefetch=on,streams=2")
    parser.add_argument("--smoke", action="store_true", help="small sizes, once: only shows that it works")
    parser.add_argument("--commands", action="store_true", help="also prints the commands that the server got")
    parser.add_argument("--keep-log", metavar="FILE", help="appends what the mounts have logged to FILE")
    parser.add_argument("--record", metavar="FILE",
                        help="keeps the measurements in FILE; the table has what earlier runs have measured, too")
    parser.add_argument("--results", metavar="FILE", help="writes the page RESULTS.md to FILE")
    parser.add_argument("--no-install", action="store_true", help="neither installs nor builds anything")
    arguments = parser.parse_args()
    for name in ("record", "results", "keep_log"):  # run has changed the directory
        value = getattr(arguments, name)
        setattr(arguments, name, value and os.path.join(os.environ.get("CALLED_FROM", ""), value))
    return arguments


def chosen(text, known, what):
    """The members of `known` that the comma-separated text names."""
    if text is None:
        return list(known)
    by_name = {item.name: item for item in known}
    names = [word for word in text.split(",") if word]
    for name in names:
        if name not in by_name:
            sys.exit(f"tests/bench/run: no such {what}: {name} (there are {', '.join(by_name)})")
    return [item for item in known if item.name in names]


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.rows = chosen(arguments.rows, ROWS, "row")
        everyone = chosen(arguments.peers, peers.ALL, "peer")
        self.missing = [(peer.title, peer.missing()) for peer in everyone if peer.missing()]
        self.peers = [peer for peer in everyone if not peer.missing()]
        more = [word for word in arguments.options.split(",") if word]
        for peer in self.peers:
            if peer.ours:
                peer.options += more
        base = bounded.scratch_directory("tree")
        root = base / "served"
        local = base / "local"
        root.mkdir()
        local.mkdir()
        self.sites = Sites(root)
        self.tree = Tree(root, local, Sizes(arguments.smoke), self.give)
        self.cells = {}  # (row, rtt, server): {peer: Cell}

    def give(self, path):
        self.sites.get("vsftpd", False).server.give(path)

    def peers_of(self, row):
        for peer in self.peers:
            if peer.ours and peer.name != "ftpfs" and peer.name not in row.variants and \
                    (self.arguments.peers is None or (peer.only_writes and not row.writes)):
                continue
            if peer.name == "raw" and row.raw is None:
                continue
            if row.only_ours and not peer.ours and self.arguments.peers is None:
                continue
            yield peer

    def rtts_of(self, row):
        if row.kinds == ("scripted",):
            return [0]
        if self.arguments.rtt is None:
            if self.arguments.smoke:
                return [0, 5] if row.name in SMOKE_FAR else [0]
            return row.rtts
        return [float(word) if "." in word else int(word) for word in self.arguments.rtt.split(",") if word]

    def kinds_of(self, row):
        if self.arguments.servers is None or row.kinds == ("scripted",):
            return row.kinds[:1] if self.arguments.smoke else row.kinds
        return [word for word in self.arguments.servers.split(",") if word]

    def repetitions(self, row):
        return self.arguments.repeat or (1 if self.arguments.smoke or row.name in SLOW else 3)

    def site(self, kind, rtt):
        return ScriptedSite(self.tree.sizes.growth) if kind == "scripted" else self.sites.get(kind, rtt != 0)

    def run(self):
        for row in self.rows:
            self.tree.need(*row.needs)
            for rtt in self.rtts_of(row):
                for kind in self.kinds_of(row):
                    self.run_place(row, rtt, kind)

    def run_place(self, row, rtt, kind):
        cells = self.cells.setdefault((row.name, rtt, kind), {})
        site = self.site(kind, rtt)
        try:
            for number in range(self.repetitions(row)):
                for peer in self.peers_of(row):
                    cell = cells.setdefault(peer.name, Cell())
                    if cell.trouble is None:  # what has hung once would hang again
                        site.set_wire(rtt, row.loss.get(rtt, 0), number + 1)
                        self.measure(row, site, peer, cell, number)
                        self.say(row, rtt, kind, peer, cell)
        finally:
            if kind == "scripted":
                site.server.stop()

    def measure(self, row, site, peer, cell, number):
        directory = bounded.scratch_directory(peer.name)
        mount = None
        try:
            if peer.name != "raw":
                mount = peer.mount(site, directory, row.options)
            run = Run(site, self.tree, mount, directory, self.arguments.limit or row.limit, number)
            site.forget_commands()
            before = mount.processor_time() if mount else None
            result = row.measure(run) if mount else row.raw(run)
            commands = site.commands()
            result["rounds"] = round_trips(commands)
            result["transfers"] = sum(line.split(" ")[0].upper() in ("RETR", "STOR", "APPE") for line in commands)
            if mount:
                result["processor"] = mount.processor_time() - before
            cell.measurements.append(result)
            if self.arguments.commands:
                print("\n".join(f"    {line}" for line in commands), file=sys.stderr)
        except bounded.Overtime:
            cell.trouble = report.HUNG
        except (bounded.Failed, RuntimeError) as error:
            cell.trouble = f"failed: {str(error).replace('|', '/')[-200:]}"
        finally:
            if mount is not None:
                mount.end()
                if self.arguments.keep_log:
                    with open(self.arguments.keep_log, "a", encoding="utf-8") as log:
                        log.write(f"--- {row.name} {peer.name}\n{mount.log_text()}")
            self.tree_tidy(directory)

    def tree_tidy(self, directory):
        """What a row that writes has put on the server is removed."""
        for path in (self.tree.root / "in").glob("*"):
            bounded.remove(path)
            path.unlink(missing_ok=True)
        bounded.remove(directory)

    @staticmethod
    def say(row, rtt, kind, peer, cell):
        text = cell.trouble or row.cell(cell.measurements[-1])
        if not cell.trouble and "processor" in cell.measurements[-1]:
            text += f", processor {cell.measurements[-1]['processor']:.2f}"
        print(f"{row.name:9} {rtt:>4} ms  {kind:8} {peer.name:14} {text}", file=sys.stderr, flush=True)

    def results(self):
        found = {row.name: {} for row in ROWS}
        for (name, rtt, kind), cells in self.cells.items():
            for peer, cell in cells.items():
                if cell.measurements:
                    found[name][peer, rtt, kind] = report.median_of(cell.measurements)
        return {name: Results(medians) for name, medians in found.items()}

    def failed(self):
        """Whether ftpfs or a raw program has failed: the others may."""
        return any(cell.trouble for cells in self.cells.values() for name, cell in cells.items()
                   if name.startswith("ftpfs") or name == "raw")


def main():
    arguments = parse_arguments()
    servers.stop_on_signals()
    if os.geteuid() != 0:
        print("tests/bench/run: it mounts, and makes network namespaces: it needs root", file=sys.stderr)
        return 1
    reason = netlab.missing()
    if reason and arguments.rtt != "0":
        print(f"tests/bench/run: {reason} (--rtt 0 does without)", file=sys.stderr)
        return 1
    bench = Bench(arguments)
    runs = record.Record(arguments.record)
    this_run = record.about(arguments.repeat or (1 if arguments.smoke else 3), bench.missing)
    code = 0
    try:
        bench.run()
    except (KeyboardInterrupt, SystemExit) as error:
        code = error.code if isinstance(error, SystemExit) else 130
        print("tests/bench/run: interrupted; this is what there is", file=sys.stderr)
    finally:
        bounded.end_mounts()
        bench.sites.end()
    failed = bench.failed()
    bench.cells = runs.add(this_run, bench.cells)
    lines = report.table([row for row in ROWS if any(row.name == name for name, _, _ in bench.cells)], bench.cells,
                         bench.results())
    if arguments.results and code == 0:
        pathlib.Path(arguments.results).write_text(report.page(runs.runs, lines), encoding="utf-8")
    print("\n".join(lines))
    return code or int(failed)


if __name__ == "__main__":
    sys.exit(main())
