# SPDX-License-Identifier: MIT
"""Measurements that are kept in a file, so that a table can be made of several runs.

What a run has measured of a row in one place (round trip time and server) replaces all that earlier ones have measured
there: numbers that are compared with each other are of one run.
"""

import datetime
import json
import os
import pathlib
import shlex
import sys

from .rows import Cell


def about(repeat, missing):
    """What is to be known of this run; to be called at its beginning."""
    hidden = ("--record", "--results", "--keep-log")  # files of this machine
    words = [word for word, before in zip(sys.argv[1:], sys.argv[:-1])
             if before not in hidden and word.partition("=")[0] not in hidden]
    now = datetime.datetime.now(datetime.timezone.utc)
    return {"command": shlex.join(["tests/bench/run", *words]), "date": now.strftime("%Y-%m-%d %H:%M UTC"),
            "repeat": repeat, "load": os.getloadavg()[0], "missing": missing}


class Record:
    """runs: what about() said of each."""

    def __init__(self, path):
        self.path = pathlib.Path(path) if path else None
        self.runs = []
        self.cells = {}
        if self.path and self.path.exists():
            kept = json.loads(self.path.read_text(encoding="utf-8"))
            self.runs = kept["runs"]
            for name, rtt, kind, peer, measurements, trouble in kept["cells"]:
                self.cells.setdefault((name, rtt, kind), {})[peer] = Cell(measurements, trouble)

    def add(self, run, cells):
        """Adds a run and returns all cells, in the order in which they came up first."""
        if cells:
            self.runs.append(run)
        for place, found in cells.items():
            self.cells[place] = found
        if self.path:
            kept = [[*place, peer, cell.measurements, cell.trouble]
                    for place, found in self.cells.items() for peer, cell in found.items()]
            partial = self.path.with_name(self.path.name + ".new")
            partial.write_text(json.dumps({"runs": self.runs, "cells": kept}), encoding="utf-8")
            os.replace(partial, self.path)
        return self.cells
