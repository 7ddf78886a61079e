# SPDX-License-Identifier: MIT
"""How a mount ends by a signal: soon, whatever it waits for, and without losing what was written."""

import errno
import os
import signal
import subprocess
import threading
import time

import pytest

from lib import wait_for
from servers.scripted import ScriptedServer, stall, stall_in_data

FOR_EVER = ("timeout=600", "connect_timeout=600", "retry=600")
GRACE = 10   # seconds that operations have, as ending.c says
SOON = 8     # for what should take about a second
OUTER = 60
CONTENT = b"0123456789" * 50_000


@pytest.fixture
def scripted(tmp_path):
    with ScriptedServer() as server:
        server.options = [f"spool={tmp_path}"]
        server.tree.put("/dir/file", CONTENT)
        server.tree.put("/other/file", CONTENT)
        server.tree.mkdir("/third")
        yield server


def end(mounted, number=signal.SIGTERM):
    """Sends the signal; returns how long it took. The exit code must be 0 and nothing be mounted any more."""
    began = time.monotonic()
    os.kill(mounted.pid, number)
    mounted.wait_end(OUTER)
    return time.monotonic() - began


def kept(tmp_path):
    return [path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name == "lost+found"
            and not path.name.endswith(".info")]


def waits_at(mounted, rule, *command):
    process = subprocess.Popen([command[0], *(mounted.path / word for word in command[1:])],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert rule.holding.wait(OUTER)
    return process


@pytest.mark.tsan
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize("arguments", [(), ("-s",)], ids=["", "-s"])
def test_idle(scripted, mount, number, arguments):
    mounted = mount(scripted, "", arguments=arguments)
    assert (mounted.path / "dir" / "file").read_bytes() == CONTENT
    assert end(mounted, number) < SOON


def test_ignored_signal(scripted, mount):
    """nohup(1) means it."""
    mounted = mount(scripted, wrapper=["nohup"])
    os.kill(mounted.pid, signal.SIGHUP)
    assert (mounted.path / "dir" / "file").read_bytes() == CONTENT
    assert end(mounted) < SOON


@pytest.mark.tsan
def test_silent_server(scripted, mount):
    """What waits ends with an error when its time is over, and the mount with it."""
    mounted = mount(scripted, "", *FOR_EVER)
    processes = [waits_at(mounted, scripted.on("MLSD", stall(), match=b"dir"), "ls", "dir"),
                 waits_at(mounted, scripted.on("RETR", stall_in_data(1000)), "cat", "other/file"),
                 waits_at(mounted, scripted.on("MKD", stall()), "mkdir", "third/made")]
    took = end(mounted)
    assert GRACE - 1 < took < GRACE + SOON
    assert [process.wait(OUTER) != 0 for process in processes] == [True] * 3


def test_second_signal(scripted, mount):
    mounted = mount(scripted, "", *FOR_EVER)
    process = waits_at(mounted, scripted.on("MLSD", stall(), match=b"dir"), "ls", "dir")
    began = time.monotonic()
    os.kill(mounted.pid, signal.SIGTERM)
    wait_for(lambda: "ending" in mounted.log_text(), SOON, "the log to tell that something is under way")
    assert end(mounted) < SOON
    assert time.monotonic() - began < GRACE
    assert process.wait(OUTER) != 0


@pytest.mark.tsan
def test_server_away(scripted, mount, tmp_path):
    """Nothing is waited for, and nothing is lost."""
    mounted = mount(scripted, "", *FOR_EVER)
    file = os.open(mounted.path / "dir" / "unsent", os.O_WRONLY | os.O_CREAT)
    os.write(file, CONTENT)
    scripted.stop()
    # No child is started from here on: it would close its copy of the file, which sends it.
    with pytest.raises(OSError) as failure:
        waiting = threading.Timer(2, os.kill, (mounted.pid, signal.SIGTERM))
        waiting.start()
        os.listdir(mounted.path / "other")
    waiting.join()
    assert failure.value.errno in (errno.EIO, errno.ENOTCONN, errno.ECONNABORTED)
    mounted.wait_end(SOON)
    with pytest.raises(OSError):
        os.close(file)
    assert [path.read_bytes() for path in kept(tmp_path)] == [CONTENT]


def test_open_file_is_sent(scripted, mount, tmp_path):
    """What was written and not closed is on the server afterwards."""
    mounted = mount(scripted, "")
    file = os.open(mounted.path / "dir" / "unsent", os.O_WRONLY | os.O_CREAT)
    os.write(file, CONTENT)
    assert end(mounted) < SOON
    with pytest.raises(OSError) as failure:
        os.close(file)
    assert failure.value.errno in (errno.ENOTCONN, errno.ECONNABORTED)
    assert scripted.tree.content("/dir/unsent") == CONTENT
    assert kept(tmp_path) == []


def test_upload_under_way(scripted, mount, tmp_path):
    """It has some seconds to come to its end."""
    mounted = mount(scripted, "", *FOR_EVER)
    rule = scripted.on("STOR", stall_in_data(100_000))
    (tmp_path / "source").write_bytes(CONTENT)
    process = subprocess.Popen(["cp", tmp_path / "source", mounted.path / "new"])
    assert rule.holding.wait(OUTER)
    os.kill(mounted.pid, signal.SIGTERM)
    scripted.clear_rules()
    mounted.wait_end(OUTER)
    assert process.wait(OUTER) == 0
    assert scripted.tree.content("/new") == CONTENT


def test_removed_file_that_is_open(scripted, mount):
    """Its hidden name does not stay on the server."""
    mounted = mount(scripted, "")
    file = os.open(mounted.path / "dir" / "file", os.O_RDONLY)
    assert os.read(file, 10) == CONTENT[:10]
    os.unlink(mounted.path / "dir" / "file")
    assert end(mounted) < SOON
    try:
        os.close(file)
    except OSError:
        pass
    assert scripted.tree.names("/dir") == []
