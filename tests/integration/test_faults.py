# SPDX-License-Identifier: MIT
"""Random work while the server, the network and ftpfs itself die at random moments; afterwards the server has every
byte that was acknowledged, and nothing that is half.

    FTPFS_ROUNDS=20 FTPFS_SEED=7 FTPFS_TARGETS=vsftpd /usr/bin/python3 -m pytest -s tests/integration/test_faults.py

Without FTPFS_ROUNDS there is no test here. Each round prints its seed; FTPFS_SEED=N begins with that one.
"""

import os
import pathlib
import pickle
import random
import signal
import subprocess
import sys
import time

import pytest

import servers
from conftest import TARGETS
from faults_worker import difference
from lib import FTPFS, run, wait_for

ROUNDS = int(os.environ.get("FTPFS_ROUNDS") or "0")
WORKER = pathlib.Path(__file__).with_name("faults_worker.py")
OPTIONS = ("timeout=3", "connect_timeout=3", "retry=8")
HOMES = 2


class Round:
    def __init__(self, server, mount, directory, spool, mode, seed):
        self.server, self.make_mount, self.mode, self.seed = server, mount, mode, seed
        self.random = random.Random(seed)
        self.directory, self.spool = directory, spool
        self.remote = f"faults{seed}"
        self.local = server.root / self.remote
        self.local.mkdir()
        server.give(self.local)
        self.states = []
        for number in range(HOMES):
            (self.local / f"home{number}").mkdir()
            server.give(self.local / f"home{number}")
            path = directory / f"state{seed}.{number}"
            path.write_bytes(pickle.dumps({"files": {}, "open": {}}))
            self.states.append(path)
        self.mounted = None
        self.log = []

    def mount(self):
        self.mounted = self.make_mount(self.server, self.remote, *OPTIONS, f"write={self.mode}", f"spool={self.spool}")

    def crash(self):
        os.kill(self.mounted.pid, signal.SIGKILL)
        self.mounted.process.wait(timeout=30)

    def bury(self):
        subprocess.run(["fusermount3", "-uz", str(self.mounted.path)], timeout=30, check=False)
        self.mounted.forget()

    def phase(self):
        """Work, with one fault in it. TRUE when the mount has survived."""
        workers = [subprocess.Popen([sys.executable, WORKER, self.mounted.path / f"home{number}", path,
                                     str(self.random.getrandbits(32)), "60"], stdin=subprocess.PIPE,
                                    stderr=subprocess.PIPE)
                   for number, path in enumerate(self.states)]
        time.sleep(self.random.uniform(0.2, 2))
        fault = self.random.choice(["restart", "away", "frozen", "crash", "crash", "crash while away", "none"])
        self.log.append(fault)
        if fault == "restart":
            self.server.restart()
        elif fault == "away":
            self.server.stop()
            time.sleep(self.random.uniform(0.1, 3))
            self.server.start()
        elif fault == "frozen":
            self.server.freeze()
            time.sleep(self.random.uniform(0.1, 5))
            self.server.thaw()
        elif fault == "crash":
            self.crash()
        elif fault == "crash while away":
            self.server.stop()
            time.sleep(self.random.uniform(0.1, 1))
            self.crash()
            self.server.start()
        if not fault.startswith("crash"):
            time.sleep(self.random.uniform(0.1, 1))
        try:
            for worker in workers:
                try:
                    worker.stdin.write(b"stop\n")
                    worker.stdin.flush()
                except BrokenPipeError:
                    pass
            for worker in workers:
                _, text = worker.communicate(timeout=120)
                assert worker.returncode == 0, text.decode(errors="replace")
        finally:
            for worker in workers:
                worker.kill()
        if fault.startswith("crash"):
            self.bury()
            return False
        return True

    def status(self):
        text = run([FTPFS, "--status", self.mounted.path], timeout=30).stdout
        return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)

    def play(self):
        self.mount()
        for _ in range(self.random.randrange(1, 5)):
            if not self.phase():
                self.mount()
        wait_for(lambda: self.status()["pending_files"] == "0", 120, "all to be sent")
        self.mounted.unmount(timeout=120)
        self.mount()  # tidies up what killed ones have left
        wait_for(lambda: not list(self.local.rglob(".ftpfs-*")), 60, "the private names to be gone")
        self.mounted.unmount(timeout=120)
        self.check()

    def check(self):
        problems = []
        for number, path in enumerate(self.states):
            state = pickle.loads(path.read_bytes())
            home = self.local / f"home{number}"
            found = {entry.name: entry.read_bytes() for entry in home.iterdir()
                     if not entry.name.startswith(".fuse_hidden")}
            for name, data in state["files"].items():
                there = found.pop(name, None)
                if there is None:
                    problems.append(f"home{number}/{name} is not there")
                elif there != data:
                    problems.append(f"home{number}/{name}: {len(there)} bytes, {len(data)} expected, the first "
                                    f"difference at {difference(there, data)}")
            for name, allowed in state["open"].items():
                there = found.pop(name, None)
                if there not in allowed:
                    problems.append(f"home{number}/{name}: {None if there is None else len(there)} bytes, one of "
                                    f"{[None if data is None else len(data) for data in allowed]} expected"
                                    f"{self.describe(there, allowed)}")
            problems += [f"home{number}/{name} ({len(data)} bytes) should not be there" for name, data in found.items()]
        left = [str(path) for path in self.spool.glob("journal/*/*")]
        if left:
            problems.append(f"left in the journal: {left}")
        assert not problems, "\n".join([f"seed {self.seed}, {self.mode}, {self.server.kind}: {self.log}", *problems])

    @staticmethod
    def describe(there, allowed):
        if there is None:
            return ""
        return "".join(f"; differs at {difference(there, data)}" for data in allowed if data is not None)


if ROUNDS:
    @pytest.mark.timeout(86400)
    @pytest.mark.parametrize("mode", ["back", "sync"])
    @pytest.mark.parametrize("target", [target for target in TARGETS
                                        if target.name in os.environ.get("FTPFS_TARGETS", "vsftpd").split(",")],
                             ids=lambda target: target.name)
    def test_faults(target, mode, mount, tmp_path):
        first = int(os.environ.get("FTPFS_SEED") or random.randrange(1_000_000))
        failures = []
        with servers.start(target.kind, tls=target.tls) as server:
            for seed in range(first, first + ROUNDS):
                spool = tmp_path / f"spool{seed}"
                one = Round(server, lambda remote_server, remote, *options: mount(
                    remote_server, remote, *target.options, *options), tmp_path, spool, mode, seed)
                try:
                    one.play()
                    print(f"{target.name} {mode} seed {seed}: good, {one.log}", flush=True)
                except AssertionError as error:
                    failures.append(str(error))
                    print(f"{target.name} {mode} seed {seed}: FAILED, {one.log}\n{error}", flush=True)
                    server.start()
                    server.thaw()
                    if one.mounted and not one.mounted.unmounted:
                        one.mounted.report_and_kill()
        assert not failures, "\n".join(failures)
