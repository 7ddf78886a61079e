# SPDX-License-Identifier: MIT
"""How long a program waits when the server does not answer: at most connect_timeout + timeout + retry, however many
wait at once and whatever the kernel sends one after the other; and how soon all goes on when it is back."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import lib
from lib import CHECKOUT

CONNECT, TIMEOUT, RETRY = 1, 2, 3
BOUND = CONNECT + TIMEOUT + RETRY + 1
SLACK = 5   # seconds that a busy machine may add; waits that add up come to minutes
BACK = 5    # the first answer after the return
HANG = 120  # nothing here takes so long

OPTIONS = [f"connect_timeout={CONNECT}", f"timeout={TIMEOUT}", f"retry={RETRY}"]


class Programs:
    """Programs that begin an operation each, at the same moment (ops_worker.py)."""

    def __init__(self, jobs):
        self.jobs = jobs
        self.process = subprocess.Popen([sys.executable, CHECKOUT / "tests/integration/ops_worker.py"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        start_new_session=True)
        self.process.stdin.write(json.dumps([[what, str(path)] for what, path in jobs]) + "\n")
        self.process.stdin.flush()
        self.pids = json.loads(self.process.stdout.readline())
        self.results = {}
        self.thread = threading.Thread(target=self._collect, daemon=True)

    def _collect(self):
        for line in self.process.stdout:
            index, seconds, error = json.loads(line)
            self.results[index] = (seconds, error)

    def go(self):
        self.process.stdin.write("go\n")
        self.process.stdin.close()
        self.thread.start()

    def send(self, number):
        for pid in self.pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def wait(self, limit=HANG):
        """[(operation, path, seconds, error)] of those that were not killed."""
        try:
            self.process.wait(limit)
        except subprocess.TimeoutExpired:
            report = "".join(lib.kernel_stacks(pid) for pid in self.pids)
            self.send(signal.SIGKILL)
            raise AssertionError(f"still waiting after {limit} s:\n{report}") from None
        self.thread.join(10)
        return [(*self.jobs[index], *result) for index, result in sorted(self.results.items())]


def fill(server):
    for name in ("one", "two", "after"):
        directory = server.root / name
        directory.mkdir()
        for number in range(10):
            (directory / f"file{number}").write_bytes(b"x" * 10_000)
        (directory / "sub").mkdir()
    server.give(server.root)


def jobs_in(top):
    """Operations that all need the server, most of them in one directory that nobody has looked at."""
    one, two = top / "one", top / "two"
    return [("ls", one), ("ls", one), ("ls", two), ("stat", one / "file0"), ("stat", one / "file1"),
            ("stat", one / "none"), ("read", one / "file2"), ("read", one / "file3"), ("read", two / "file4"),
            ("write", one / "new1"), ("write", one / "new2"), ("write", two / "new3"), ("append", one / "file5"),
            ("fsync", one / "new4"), ("truncate", one / "file6"), ("rename", one / "file7"), ("mkdir", one / "made1"),
            ("mkdir", one / "made2"), ("unlink", one / "file8"), ("unlink", two / "file9"), ("rmdir", one / "sub"),
            ("chmod", two / "file1"), ("utime", two / "file2"), ("ls", one / "sub")]


class Fault:
    """wire: everything vanishes. frozen: the server's programs stop, its kernel answers. dead: refused."""

    def __init__(self, kind, lab, server):
        self.begin, self.end = {"wire": (lab.wire.down, lab.wire.up), "frozen": (server.freeze, server.thaw),
                                "dead": (server.stop, server.start)}[kind]


@pytest.fixture(params=["wire", "frozen", "dead"])
def broken(request, new_lab, mount):
    """(mounted, fault) with a server that works."""
    lab = new_lab(rtt=2)
    server = lab.start()
    fill(server)

    def make(*options):
        mounted = mount(server, "", *OPTIONS, *options, wrapper=lab.client.prefix)
        assert "one" in os.listdir(mounted.path)
        return mounted, Fault(request.param, lab, server)

    return make


def seconds_until_answer(mounted, name="after"):
    began = time.monotonic()
    while True:
        try:
            os.listdir(mounted.path / name)
            return time.monotonic() - began
        except OSError:
            assert time.monotonic() - began < HANG
            time.sleep(0.1)


def with_jobs(mounted, jobs, fault):
    """The programs' results, begun when the fault is there."""
    programs = Programs(jobs)
    fault.begin()
    programs.go()
    return programs.wait()


@pytest.mark.parametrize("broken, connections", [("wire", 6), ("wire", 1), ("frozen", 6), ("dead", 6)],
                         indirect=["broken"])
def test_longest_operation(broken, connections, capsys):
    mounted, fault = broken(f"connections={connections}")
    os.listdir(mounted.path)
    results = with_jobs(mounted, jobs_in(mounted.path), fault)
    longest = max(results, key=lambda result: result[2])
    again = time.monotonic()
    with pytest.raises(OSError):
        os.listdir(mounted.path / "after")
    again = time.monotonic() - again
    fault.end()
    back = seconds_until_answer(mounted)
    with capsys.disabled():
        print(f"\n{len(results)} operations at once: longest {longest[2]:.1f} s ({longest[0]}), bound {BOUND}; "
              f"the next one {again:.1f} s; first answer {back:.1f} s after the return")
    assert all(error for *_, error in results), results
    assert longest[2] < BOUND + SLACK, results
    assert again < CONNECT + SLACK
    assert back < BACK + SLACK


def test_open_files(broken, capsys):
    """A read and a write that were under way before."""
    mounted, fault = broken()
    with open(mounted.path / "one" / "file0", "rb", buffering=0) as reading, \
            open(mounted.path / "one" / "file1", "r+b", buffering=0) as writing:
        writing.write(b"changed")
        fault.begin()
        times = []
        for operation in (lambda: reading.read(100), lambda: os.fsync(writing.fileno()),
                          lambda: os.fstat(writing.fileno())):
            began = time.monotonic()
            try:
                operation()
            except OSError:
                pass
            times.append(time.monotonic() - began)
        fault.end()
        lib.wait_for(lambda: answers(lambda: os.fsync(writing.fileno())), HANG, "fsync")
        assert reading.read(100) == b"x" * 100
    with capsys.disabled():
        print("\nread, fsync, fstat of open files: " + ", ".join(f"{seconds:.1f} s" for seconds in times))
    assert max(times) < BOUND + SLACK
    assert (mounted.path / "one" / "file1").read_bytes().startswith(b"changed")


def answers(operation):
    try:
        operation()
        return True
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["SIGINT", "SIGKILL"])
def test_signals_reach_all(broken, number, capsys):
    """Every program that waits ends at once when it is told to; and the mount can be unmounted."""
    mounted, fault = broken("timeout=600", "retry=600", "connect_timeout=600")
    programs = Programs(jobs_in(mounted.path))
    fault.begin()
    programs.go()
    time.sleep(1)  # whatever they do then
    began = time.monotonic()
    programs.send(number)
    programs.wait()
    ended = time.monotonic() - began
    with capsys.disabled():
        print(f"\n{len(programs.jobs)} programs ended {ended:.1f} s after the signal")
    assert ended < 60, "about a second, on a machine that is not busy: the kernel lets them end one after the other"
    began = time.monotonic()
    mounted.unmount()
    ended = time.monotonic() - began
    assert ended < 20
