# SPDX-License-Identifier: MIT
"""Files that are sent while they are written. What arrived is read from the server's own disk."""

import os
import random
import subprocess
import sys

import pytest

from lib import run, wait_for
from servers.scripted import ScriptedServer, break_data, close_after, reply, shaped, stall_in_data

MIB = 1 << 20
DATA = random.Random(4).randbytes(6 * MIB)


def private_names(workdir):
    return [name for name in os.listdir(workdir.local) if name.startswith(".ftpfs-")]


def wait_for_ahead(workdir, size):
    """Until the server has some of what is being written, under a private name."""
    def there():
        names = private_names(workdir)
        return names and (workdir.local / names[0]).stat().st_size >= size
    wait_for(there, timeout=60, what="an upload to begin before the close")


def test_forward(server, workdir, mount, tmp_path):
    """Half a file is at the server before its close, under a private name only; then it is whole."""
    m = mount(server, workdir.remote, f"spool={tmp_path}")
    (m.path / "over").write_bytes(b"old")
    for name in ("new", "over"):
        with open(m.path / name, "wb", buffering=0) as file:
            file.write(DATA[:3 * MIB])
            file.write(DATA[3 * MIB:-10])
            wait_for_ahead(workdir, MIB)
            assert not (workdir.local / "new").exists() or name == "over"
            if name == "over":
                assert (workdir.local / name).read_bytes() == b"old"
            assert os.listdir(m.path).count(name) == 1
            assert os.stat(m.path / name).st_size == len(DATA) - 10
            file.write(DATA[-10:])
        assert (workdir.local / name).read_bytes() == DATA
        assert private_names(workdir) == []
        assert (m.path / name).read_bytes() == DATA


def change_behind(file):
    file.seek(100)
    file.write(b"behind")
    return DATA[:100] + b"behind" + DATA[106:]


def cut_short(file):
    file.truncate(MIB)
    return DATA[:MIB]


def cut_and_grow(file):
    file.truncate(MIB + 5)
    file.truncate(2 * MIB)
    return DATA[:MIB + 5] + bytes(MIB - 5)


def leave_hole(file):
    file.seek(8 * MIB)
    file.write(b"end")
    return DATA + bytes(2 * MIB) + b"end"


def start_again(file):
    file.truncate(0)
    file.seek(0)
    file.write(DATA[:2 * MIB])
    file.write(b"x")
    return DATA[:2 * MIB] + b"x"


def sync_and_go_on(file):
    os.fsync(file.fileno())
    file.write(DATA[:3 * MIB])
    os.fsync(file.fileno())
    file.write(b"end")
    return DATA + DATA[:3 * MIB] + b"end"


@pytest.mark.parametrize("change", [change_behind, cut_short, cut_and_grow, leave_hole, start_again, sync_and_go_on])
def test_change(server, workdir, mount, tmp_path, change):
    """What was sent already is changed before the close."""
    m = mount(server, workdir.remote, f"spool={tmp_path}")
    with open(m.path / "file", "wb", buffering=0) as file:
        for offset in range(0, len(DATA), MIB):
            file.write(DATA[offset:offset + MIB])
        wait_for_ahead(workdir, MIB)
        expected = change(file)
    assert (workdir.local / "file").read_bytes() == expected
    assert (m.path / "file").read_bytes() == expected
    assert os.listdir(workdir.local) == ["file"]


def test_names_change_meanwhile(server, workdir, mount, tmp_path):
    """The file, or the directory above it, is renamed or removed while it is sent."""
    m = mount(server, workdir.remote, f"spool={tmp_path}")
    os.mkdir(m.path / "d")
    with open(m.path / "d/file", "wb", buffering=0) as file:
        file.write(DATA)
        wait_for(lambda: len(os.listdir(workdir.local / "d")) == 1, what="the upload to begin")
        os.rename(m.path / "d/file", m.path / "d/other")
        file.write(b"1")
        os.rename(m.path / "d", m.path / "e")
        file.write(b"2")
    assert os.listdir(workdir.local) == ["e"]
    assert os.listdir(workdir.local / "e") == ["other"]
    assert (workdir.local / "e/other").read_bytes() == DATA + b"12"
    with open(m.path / "e/gone", "wb", buffering=0) as file:
        file.write(DATA)
        wait_for(lambda: len(os.listdir(workdir.local / "e")) == 2, what="the upload to begin")
        os.unlink(m.path / "e/gone")
    wait_for(lambda: os.listdir(workdir.local / "e") == ["other"], timeout=60, what="nothing to be left")
    assert os.listdir(m.path / "e") == ["other"]


def test_larger_than_the_spool(server, workdir, mount, tmp_path):
    """A forward write needs no more than spool_max; what the spool has forgotten can still be read; a write behind it
    is refused, and nothing is lost."""
    m = mount(server, workdir.remote, f"spool={tmp_path}", "spool_max=3M")
    with open(m.path / "file", "w+b", buffering=0) as file:
        for _ in range(2):
            for offset in range(0, len(DATA), MIB):
                file.write(DATA[offset:offset + MIB])
        assert os.pread(file.fileno(), 1000, 5000) == DATA[5000:6000]
        file.write(b"end")
        os.fsync(file.fileno())
        file.write(b"more")
    assert (workdir.local / "file").read_bytes() == DATA + DATA + b"endmore"
    assert os.listdir(workdir.local) == ["file"]
    with open(m.path / "other", "wb", buffering=0) as file:
        file.write(DATA)
        file.write(DATA)
        os.unlink(m.path / "other")
    wait_for(lambda: os.listdir(workdir.local) == ["file"], timeout=60, what="nothing to be left")


class Writer:
    """A program that writes what it is told to. The test itself must not: a child that it starts closes the file, too,
    and what serves the mount are threads of the test."""

    PROGRAM = """
import random, sys
data = random.Random(4).randbytes(6 << 20)
file = open(sys.argv[1], "wb", buffering=0)
for line in sys.stdin:
    start, end = map(int, line.split())
    while start < end:
        start += file.write(data[start:min(end, start + (1 << 20))])
    print("done", flush=True)
file.close()
"""

    def __init__(self, path):
        self.process = subprocess.Popen([sys.executable, "-c", self.PROGRAM, path], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def write(self, start, end):
        self.process.stdin.write(f"{start} {end}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def close(self):
        """The exit code."""
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(120)


@pytest.fixture
def scripted(tmp_path):
    with ScriptedServer() as server:
        server.options = [f"spool={tmp_path}"]
        yield server


def test_a_stalled_writer_holds_no_session(scripted, mount):
    """connections=1: a program that writes nothing for a while does not keep others from the server."""
    scripted.tree.put("/d/file", b"content")
    m = mount(scripted, "", "connections=1")
    writer = Writer(m.path / "slow")
    writer.write(0, 2 * MIB)
    wait_for(lambda: scripted.count("STOR") == 1, what="the upload to begin")
    run(["cat", m.path / "d/file"], timeout=60)
    writer.write(2 * MIB, 4 * MIB)
    run(["ls", "-l", m.path / "d"], timeout=60)
    writer.write(4 * MIB, 6 * MIB)
    assert writer.close() == 0
    assert scripted.tree.content("/slow") == DATA
    assert scripted.count("STOR") == 1
    assert scripted.count("APPE") >= 1
    assert scripted.tree.names("/") == [b"d", b"slow"]


FAULTS = {
    "breaks": ("STOR", break_data(MIB)),
    "loses bytes": ("STOR", shaped(keep=MIB)),
    "is full": ("STOR", shaped(cut=MIB, end="452 no space left")),
    "breaks in the append": ("APPE", break_data(1000)),
    "loses the reply of the append": ("APPE", close_after()),
    "refuses to append": ("APPE", reply("550 no")),
    "has no append": ("APPE", reply("502 no")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults(scripted, mount, fault):
    """What goes wrong once while it is written is made good by the close, or told there."""
    verb, action = FAULTS[fault]
    rule = scripted.on(verb, action)
    m = mount(scripted, "", "connections=1")
    scripted.tree.put("/d/file", b"content")
    writer = Writer(m.path / "file")
    writer.write(0, 3 * MIB)
    wait_for(lambda: scripted.count("STOR") >= 1, what="the upload to begin")
    if verb == "APPE":
        run(["cat", m.path / "d/file"], timeout=60)
    writer.write(3 * MIB, 6 * MIB)
    code = writer.close()
    assert rule.reached.is_set()
    assert (code == 0) == (fault != "is full")
    wait_for(lambda: scripted.tree.content("/file") == DATA, timeout=60, what="all of the file to be there")
    wait_for(lambda: scripted.tree.names("/") == [b"d", b"file"], timeout=60, what="nothing else to be left")


def test_a_dead_server_in_mid_file(scripted, mount):
    """The server is gone for a moment while half of the file is there."""
    rule = scripted.on("STOR", stall_in_data(MIB))
    m = mount(scripted)
    writer = Writer(m.path / "file")
    writer.write(0, 6 * MIB)
    assert rule.holding.wait(60)
    scripted.restart()
    assert writer.close() == 0
    assert scripted.tree.content("/file") == DATA
    assert scripted.tree.names("/") == [b"file"]
