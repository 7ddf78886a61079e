# SPDX-License-Identifier: MIT
"""Appending sends the new end of a file only, and never twice."""

import os
import random

import pytest

from lib import run
from servers.scripted import ScriptedServer, break_data, close_after, reply, shaped

DATA = random.Random(5).randbytes(3 << 20)


def append(path, data):
    with open(path, "ab", buffering=0) as file:
        file.write(data)


def transferred(server, since):
    """The commands that moved contents."""
    return [line.split(" ")[0] for line in server.commands()[since:] if line.split(" ")[0] in ("RETR", "STOR", "APPE")]


def test_append(server, workdir, mount, tmp_path):
    (workdir.local / "file").write_bytes(DATA)
    server.give(workdir.local / "file")
    m = mount(server, workdir.remote, f"spool={tmp_path}")
    since = len(server.commands())
    for i in range(3):
        append(m.path / "file", b"%d" % i * 1000)
    with open(m.path / "file", "ab", buffering=0) as file:
        for i in range(3, 6):
            file.write(b"%d" % i * 1000)
            os.fsync(file.fileno())
    expected = DATA + b"".join(b"%d" % i * 1000 for i in range(6))
    assert (workdir.local / "file").read_bytes() == expected
    assert transferred(server, since) == ["APPE"] * 6
    assert (m.path / "file").read_bytes() == expected
    assert os.listdir(workdir.local) == ["file"]


def test_append_is_whole_where_asked_for(any_server, mount, tmp_path):
    """upload=atomic: nobody sees it grow."""
    m = mount(any_server, "", f"spool={tmp_path}", "upload=atomic")
    (m.path / "atomic-append").write_bytes(b"begin")
    since = len(any_server.commands())
    append(m.path / "atomic-append", b"end")
    assert (any_server.root / "atomic-append").read_bytes() == b"beginend"
    assert "APPE" not in transferred(any_server, since)
    os.unlink(m.path / "atomic-append")


@pytest.fixture
def scripted(tmp_path):
    with ScriptedServer() as server:
        server.options = [f"spool={tmp_path}"]
        server.tree.put("/file", DATA)
        yield server


FAULTS = {
    "breaks": break_data(1000),
    "loses the reply": close_after(),
    "refuses": reply("550 no"),
    "has none": reply("502 no"),
    "loses bytes": shaped(keep=1000),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults(scripted, mount, fault):
    rule = scripted.on("APPE", FAULTS[fault])
    m = mount(scripted)
    append(m.path / "file", b"end" * 1000)
    assert rule.reached.is_set()
    assert scripted.tree.content("/file") == DATA + b"end" * 1000
    assert scripted.count("APPE") == 1
    assert scripted.tree.names("/") == [b"file"]


def test_changed_by_somebody_else(scripted, mount):
    """What another client has put in its place is not appended to blindly: what the program saw, and added to, wins."""
    m = mount(scripted)
    with open(m.path / "file", "ab", buffering=0) as file:
        file.write(b"end")
        scripted.tree.put("/file", DATA[:-1] + b"x" + b"other", mtime=1700000000)
    assert scripted.count("APPE") == 0
    assert len(scripted.tree.content("/file")) == len(DATA) + 3
    run(["ls", m.path])
