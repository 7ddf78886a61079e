# SPDX-License-Identifier: MIT
"""A server that dies, comes back, hangs up or keeps silent while a mount is in use. See test_hostile.py for servers
that say what is wrong."""

import errno
import hashlib
import os
import pathlib
import random
import signal
import socket
import subprocess
import threading

import pytest

from lib import run, wait_for
from servers.scripted import (ScriptedServer, break_data, close_after, reset, shaped, stall, stall_after, stall_at_end,
                              stall_in_data)

SHORT = ("timeout=3", "connect_timeout=3", "retry=4")
PATIENT = ("timeout=20", "connect_timeout=20", "retry=60")
FOR_EVER = ("timeout=600", "connect_timeout=600", "retry=600")
OUTER = 60  # seconds; what ends at all ends long before

BIG = random.Random(1).randbytes(8 << 20)
SMALL = b"0123456789" * 10


@pytest.fixture
def scripted_server(tmp_path):
    with ScriptedServer() as server:
        server.options = [f"spool={tmp_path}"]
        for name in ("one", "two", "three", "four"):
            server.tree.put(f"/{name}/file", SMALL + name.encode())
        server.tree.put("/big", BIG)
        yield server


class Background:
    """A function that runs in a thread: done, and its result or OSError."""

    def __init__(self, function, *arguments):
        self.result = self.error = None
        self.thread = threading.Thread(target=self._run, args=(function, arguments), daemon=True)
        self.thread.start()

    def _run(self, function, arguments):
        try:
            self.result = function(*arguments)
        except OSError as error:
            self.error = error

    def wait(self):
        self.thread.join(OUTER)
        assert not self.thread.is_alive(), "it does not end"
        if self.error is not None:
            raise self.error
        return self.result


def read(path):
    return pathlib.Path(path).read_bytes()


def write(path, data):
    pathlib.Path(path).write_bytes(data)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def error_of(function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    return ""


def assert_works(mounted, server, name):
    """A directory that was not looked at before is listed, its file read, another written."""
    assert os.listdir(mounted.path / name) == ["file"]
    assert read(mounted.path / name / "file") == SMALL + name.encode()
    write(mounted.path / name / "new", SMALL)
    assert server.tree.content(f"/{name}/new") == SMALL


# The server goes and comes.

def test_restart_between_operations(scripted_server, mount):
    server = scripted_server
    mounted = mount(server, "", *PATIENT)
    assert_works(mounted, server, "one")
    server.restart()
    assert_works(mounted, server, "two")


def test_server_away(scripted_server, mount):
    """While it is away an operation ends with an error; when it is back all goes on, without a new mount."""
    server = scripted_server
    mounted = mount(server, "", "timeout=3", "connect_timeout=3", "retry=1")
    assert_works(mounted, server, "one")
    server.stop()
    assert error_of(os.listdir, mounted.path / "two") in ("ECONNREFUSED", "EIO", "ETIMEDOUT")
    assert error_of(read, mounted.path / "two" / "file") in ("ECONNREFUSED", "EIO", "ETIMEDOUT")
    assert error_of(write, mounted.path / "one" / "other", SMALL) in ("ECONNREFUSED", "EIO", "ETIMEDOUT")
    server.start()
    assert_works(mounted, server, "three")


def test_operation_waits_for_the_server(scripted_server, mount):
    """An operation that begins while the server is away succeeds when it is back in time."""
    server = scripted_server
    mounted = mount(server, "", *PATIENT)
    server.stop()
    listing = Background(os.listdir, mounted.path / "one")
    reading = Background(read, mounted.path / "two" / "file")
    server.start()
    assert listing.wait() == ["file"]
    assert reading.wait() == SMALL + b"two"


@pytest.mark.parametrize("goodbye", [None, "421 idle for too long", "421-idle\r\n421 for too long"],
                         ids=["silent", "421", "421 of two lines"])
def test_idle_disconnect(scripted_server, mount, goodbye):
    """Nobody notices, even with retry=0."""
    server = scripted_server
    mounted = mount(server, "", "retry=0", "connect_timeout=20")
    assert_works(mounted, server, "one")
    for name in ("two", "three"):
        server.kill_sessions(goodbye)
        assert server.wait_for_sessions(0)
        assert_works(mounted, server, name)


@pytest.mark.parametrize("verb, use", [
    ("MLSD", lambda top: os.listdir(top / "one")),
    ("MLST", lambda top: os.stat(top / "one")),
    ("RETR", lambda top: read(top / "one" / "file")),
    ("MKD", lambda top: os.mkdir(top / "made")),
    ("DELE", lambda top: os.unlink(top / "one" / "file")),
    ("RNFR", lambda top: os.rename(top / "one" / "file", top / "one" / "renamed")),
    ("STOR", lambda top: write(top / "one" / "new", SMALL)),
], ids=lambda value: value if isinstance(value, str) else "")
def test_disconnect_at_a_command(scripted_server, mount, verb, use):
    """A session that is reset just when it is used: the work is done on another."""
    server = scripted_server
    mounted = mount(server, "", *PATIENT)
    rule = server.on(verb, reset())
    use(mounted.path)
    assert rule.reached.is_set()
    assert_works(mounted, server, "two")


# Requests that may have been carried out.

CHANGES = {
    "MKD": (lambda top: os.mkdir(top / "made"), lambda tree: tree.get("/made").is_dir),
    "DELE": (lambda top: os.unlink(top / "one" / "file"), lambda tree: tree.names("/one") == []),
    "RMD": (lambda top: os.rmdir(top / "empty"), lambda tree: tree.get("/empty") is None),
    "RNTO": (lambda top: os.rename(top / "one" / "file", top / "two" / "moved"),
             lambda tree: tree.names("/one") == [] and tree.content("/two/moved") == SMALL + b"one"),
}


@pytest.mark.parametrize("verb", CHANGES)
@pytest.mark.parametrize("way", [close_after, stall_after], ids=["closed", "silent"])
def test_done_and_no_reply(scripted_server, mount, verb, way):
    """The server did it, and nobody heard: it is found to be done, and not sent again."""
    server = scripted_server
    server.tree.mkdir("/empty")
    mounted = mount(server, "", "timeout=2", "connect_timeout=20", "retry=60")
    use, done = CHANGES[verb]
    rule = server.on(verb, way())
    use(mounted.path)
    assert rule.reached.is_set()
    assert done(server.tree)
    assert server.count(verb) == 1, server.commands()


@pytest.mark.parametrize("verb", CHANGES)
def test_not_done_and_no_reply(scripted_server, mount, verb):
    """The server did not do it, and nobody heard that either: it is sent again."""
    server = scripted_server
    server.tree.mkdir("/empty")
    mounted = mount(server, "", *PATIENT)
    use, done = CHANGES[verb]
    rule = server.on(verb, reset())
    use(mounted.path)
    assert rule.reached.is_set()
    assert done(server.tree)
    assert server.count(verb) == 2, server.commands()


# Transfers that break.

@pytest.mark.parametrize("where", [0, 1, 300_000, 4 << 20, (8 << 20) - 1])
@pytest.mark.parametrize("way", ["reset", "close", "data"])
def test_read_resumes(scripted_server, mount, where, way):
    """A reader gets all bytes, from the place where they stopped coming."""
    server = scripted_server
    action = {"reset": break_data(where), "close": break_data(where, reset_it=False),
              "data": shaped(cut=where, end="426 broken")}[way]
    rules = [server.on("RETR", action, nth=1), server.on("RETR", action, nth=2)]
    mounted = mount(server, "", *PATIENT)
    assert digest(read(mounted.path / "big")) == digest(BIG)
    assert rules[0].reached.is_set()
    assert_works(mounted, server, "one")


def test_read_goes_on_after_a_restart(scripted_server, mount):
    server = scripted_server
    rule = server.on("RETR", stall_in_data(3 << 20))
    mounted = mount(server, "", *PATIENT)
    reading = Background(read, mounted.path / "big")
    assert rule.holding.wait(OUTER)
    server.restart()
    assert digest(reading.wait()) == digest(BIG)
    assert any(line.startswith("REST ") for line in server.commands()), "it has begun anew"


def test_random_faults_while_reading(scripted_server, mount):
    """Reads at many places, with a fault every few transfers: no byte is wrong and none is missing."""
    server = scripted_server
    chooser = random.Random(6)
    mounted = mount(server, "", *PATIENT)
    for nth in range(1, 200, 3):
        server.on("RETR", chooser.choice([break_data(chooser.randrange(200_000)), reset(),
                                          shaped(cut=chooser.randrange(200_000), end="426 broken"),
                                          shaped(cut=chooser.randrange(200_000))]), nth=nth)
    wrong = 0
    with open(mounted.path / "big", "rb", buffering=0) as file:
        for _ in range(60):
            offset = chooser.randrange(len(BIG))
            size = chooser.choice([100, 4096, 70_000, 500_000])
            got = b""
            while len(got) < min(size, len(BIG) - offset):
                block = os.pread(file.fileno(), size - len(got), offset + len(got))
                assert block, "the file ends too early"
                got += block
            wrong += got != BIG[offset:offset + size]
    assert wrong == 0
    print(f"wrong reads: {wrong} of 60")


@pytest.mark.parametrize("old", [False, True], ids=["new", "existing"])
@pytest.mark.parametrize("where", [0, 300_000, 4 << 20])
def test_upload_is_sent_again(scripted_server, mount, where, old):
    server = scripted_server
    if old:
        server.tree.put("/one/target", SMALL)
    rules = [server.on("STOR", break_data(where)), server.on("STOR", break_data(where, reset_it=False), nth=2)]
    mounted = mount(server, "", *PATIENT)
    write(mounted.path / "one" / "target", BIG)
    assert all(rule.reached.is_set() for rule in rules)
    assert digest(server.tree.content("/one/target")) == digest(BIG)
    assert server.tree.names("/one") == [b"file", b"target"]


def test_upload_goes_on_after_a_restart(scripted_server, mount):
    server = scripted_server
    rule = server.on("STOR", stall_in_data(3 << 20))
    mounted = mount(server, "", *PATIENT)
    writing = Background(write, mounted.path / "one" / "target", BIG)
    assert rule.holding.wait(OUTER)
    server.restart()
    writing.wait()
    assert digest(server.tree.content("/one/target")) == digest(BIG)


def test_bytes_that_could_not_be_sent_are_kept(scripted_server, mount, tmp_path):
    """close(2) fails, and what was written is found in lost+found of the spool, which the log names."""
    server = scripted_server
    mounted = mount(server, "", "timeout=3", "connect_timeout=3", "retry=1")
    assert os.listdir(mounted.path / "one") == ["file"]
    server.stop()
    assert error_of(write, mounted.path / "one" / "kept", BIG) in ("ECONNREFUSED", "EIO", "ETIMEDOUT")
    kept = wait_for(lambda: [path for path in tmp_path.rglob("*") if path.is_file() and
                             path.parent.name == "lost+found" and path.stat().st_size == len(BIG)],
                    OUTER, "a file in lost+found")
    assert digest(read(kept[0])) == digest(BIG)
    assert kept[0].stat().st_mode & 0o077 == 0 and kept[0].parent.stat().st_mode & 0o077 == 0
    wait_for(lambda: "kept in" in mounted.log_text(), OUTER, "the log to say where")
    server.start()
    assert_works(mounted, server, "two")


# Silence.

def test_silent_server(scripted_server, mount):
    """`ls` of a server that keeps silent ends with an error."""
    server = scripted_server
    mounted = mount(server, "", *SHORT)
    rules = [server.on(verb, stall(), times=None) for verb in ("MLSD", "MLST", "EPSV", "GREETING")]
    result = run(["ls", mounted.path / "one"], timeout=OUTER, check=False)
    assert result.returncode != 0
    assert any(rule.reached.is_set() for rule in rules)
    server.clear_rules()
    assert_works(mounted, server, "two")


def test_nobody_answers(scripted_server, mount):
    """Connections that are accepted by the kernel and by nobody else."""
    server = scripted_server
    mounted = mount(server, "", *SHORT)
    server.stop()
    with socket.socket() as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        wait_for(lambda: not error_of(silent.bind, (server.host, server.port)), OUTER, "the port")
        silent.listen(64)
        assert error_of(os.listdir, mounted.path / "one") in ("ETIMEDOUT", "EIO")
    server.start()
    wait_for(lambda: error_of(os.listdir, mounted.path / "four") == "", OUTER, "the server to be found")
    assert_works(mounted, server, "two")


def test_mountpoint_needs_no_network(scripted_server, mount):
    """Its attributes and statfs(2) are there while the server is silent, or away."""
    server = scripted_server
    mounted = mount(server, "", *FOR_EVER)
    rules = [server.on(verb, stall(), times=None) for verb in ("MLSD", "MLST", "EPSV", "TYPE", "AVBL", "GREETING")]
    waiting = subprocess.Popen(["ls", mounted.path / "one"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: any(rule.holding.is_set() for rule in rules), OUTER, "the stall")
        run(["stat", mounted.path], timeout=OUTER)
        run(["stat", "-f", mounted.path], timeout=OUTER)
        server.stop()
        run(["stat", mounted.path], timeout=OUTER)
        run(["stat", "-f", mounted.path], timeout=OUTER)
    finally:
        waiting.kill()
        waiting.wait(OUTER)


WAITING = {
    "ls at MLSD": ("MLSD", stall, ["ls", "one"]),
    "ls in its listing": ("MLSD", lambda: stall_in_data(10), ["ls", "one"]),
    "stat": ("MLST", stall, ["stat", "one"]),
    "cat at RETR": ("RETR", stall, ["cat", "big"]),
    "cat in its data": ("RETR", lambda: stall_in_data(3 << 20), ["cat", "big"]),
    "cp at STOR": ("STOR", stall, ["cp", "/bin/sh", "two/sh"]),
    "cp in its data": ("STOR", lambda: stall_in_data(10_000), ["cp", "/bin/sh", "two/sh"]),
    "cp at the last reply": ("STOR", stall_at_end, ["cp", "/bin/sh", "two/sh"]),
    "mkdir": ("MKD", stall, ["mkdir", "made"]),
    "rm": ("DELE", stall, ["rm", "one/file"]),
    "mv": ("RNTO", stall, ["mv", "one/file", "two/x"]),
    "login": ("GREETING", stall, ["ls", "one"]),
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["SIGINT", "SIGKILL"])
@pytest.mark.parametrize("what", WAITING)
def test_signals(scripted_server, mount, what, number):
    """A program that waits for a silent server ends when it is told to; the mount can be used by others, and unmounted.
    """
    server = scripted_server
    verb, action, command = WAITING[what]
    mounted = mount(server, "", *FOR_EVER)
    if verb == "GREETING":
        server.kill_sessions()
        assert server.wait_for_sessions(0)
    rule = server.on(verb, action())
    with open(os.devnull, "wb") as nothing:
        words = [word if word.startswith("/") else mounted.path / word for word in command[1:]]
        process = subprocess.Popen([command[0], *words], stdout=nothing, stderr=nothing)
        try:
            assert rule.holding.wait(OUTER)
            process.send_signal(number)
            assert process.wait(OUTER) in (-number, 1, 130)
        finally:
            process.kill()
    rule.release()
    assert_works(mounted, server, "four")


def test_unmount_while_silent(scripted_server, mount):
    """fusermount3 -uz works while somebody waits; so does -u when nobody does; ftpfs ends."""
    server = scripted_server
    for lazy in (True, False):
        mounted = mount(server, "", *FOR_EVER)
        rule = server.on("MLSD", stall(), match=rb"one", times=None)
        process = subprocess.Popen(["ls", mounted.path / "one"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            assert rule.holding.wait(OUTER)
            if not lazy:
                process.kill()
                process.wait(OUTER)
            run(["fusermount3", "-uz" if lazy else "-u", mounted.path], timeout=OUTER)
            if lazy:
                process.kill()
            process.wait(OUTER)
            mounted.wait_end(OUTER)
        finally:
            process.kill()
        server.clear_rules()
