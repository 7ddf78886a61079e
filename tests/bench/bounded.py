# SPDX-License-Identifier: MIT
"""Processes with a limit of time, and mounts that are undone whatever happens.

A program that waits in the kernel for a mount may be deaf to SIGKILL until the mount's daemon is dead. So what does not
end in time is killed in this order: the program, the daemon, the connection of the kernel to it.
"""

import atexit
import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PR_SET_PDEATHSIG = 1
UNMOUNT_LIMIT = 30  # seconds
MOUNT_LIMIT = 30

_libc = ctypes.CDLL(None, use_errno=True)
_mounts = []
_processes = []


class Overtime(Exception):
    """It did not end within its limit."""


class Failed(Exception):
    """It ended, with an error or with wrong bytes; the message says which."""


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def start(command, **options):
    """A process in a session of its own that dies with this one."""
    process = subprocess.Popen([str(word) for word in command], start_new_session=True,
                               preexec_fn=_die_with_parent, **options)
    _processes.append(process)
    return process


def kill(process):
    """Ends a process and its group; returns whether it is gone."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        return False
    if process in _processes:
        _processes.remove(process)
    return True


def is_mounted(path):
    """Looks into the table: a look at the path itself may hang."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        return any(line.split(" ")[4] == str(path) for line in table)


class Mount:
    """A mount by a command that stays in the foreground. path, pid, log_text()."""

    def __init__(self, command, environment, directory):
        self.path = pathlib.Path(directory) / "mnt"
        self.path.mkdir()
        self.log_path = pathlib.Path(directory) / "log"
        with open(self.log_path, "wb") as log:
            self.process = start(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        self.pid = self.process.pid
        _mounts.append(self)
        limit = time.monotonic() + MOUNT_LIMIT
        while not is_mounted(self.path):
            if self.process.poll() is not None or time.monotonic() > limit:
                self.end()
                raise Failed(f"does not mount: {self.log_text()[-500:]}")
            time.sleep(0.005)

    def log_text(self):
        return self.log_path.read_text(encoding="utf-8", errors="backslashreplace")

    def memory(self):
        """Resident memory of the daemon, in bytes: (now, at most so far)."""
        found = {}
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(":")
            if name in ("VmRSS", "VmHWM"):
                found[name] = int(value.split()[0]) * 1024
        return found["VmRSS"], found["VmHWM"]

    def processor_time(self):
        """Seconds that the daemon has spent on a processor so far."""
        words = pathlib.Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def end(self):
        """Unmounts it; a daemon that does not let go is killed."""
        if self not in _mounts:
            return
        limit = time.monotonic() + UNMOUNT_LIMIT
        while is_mounted(self.path) and self.process.poll() is None and time.monotonic() < limit:
            if subprocess.run(["timeout", "-s", "KILL", "20", "fusermount3", "-u", str(self.path)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode != 0:
                time.sleep(0.1)  # somebody has a file open for a moment
        try:
            self.process.wait(timeout=max(1, limit - time.monotonic()))
        except subprocess.TimeoutExpired:
            pass
        self.destroy()

    def destroy(self):
        """Ends it at once, also when the daemon hangs."""
        kill(self.process)
        if is_mounted(self.path):
            subprocess.run(["timeout", "-s", "KILL", "20", "fusermount3", "-uz", str(self.path)],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        if is_mounted(self.path):
            _libc.umount2(os.fsencode(self.path), 2)  # MNT_DETACH
        if self in _mounts:
            _mounts.remove(self)


class Child:
    """A function of work.py that runs in a process of its own, in the network of `prefix`."""

    def __init__(self, function, parameters, prefix=()):
        self.function = function
        program = pathlib.Path(__file__).with_name("work.py")
        self.process = start([*prefix, sys.executable, "-I", program, function], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.process.stdin.write(json.dumps(parameters).encode())
        self.process.stdin.close()
        self.process.stdin = None

    def result(self, limit, mount=None):
        """Its result, a dictionary. Overtime when it takes longer; then the mount is destroyed."""
        try:
            out, err = self.process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            self.stop(mount)
            raise Overtime(f"{self.function} did not end within {limit:.0f} s") from None
        if self.process in _processes:
            _processes.remove(self.process)
        if self.process.returncode != 0:
            lines = err.decode(errors="backslashreplace").strip().splitlines()
            raise Failed(lines[-1] if lines else f"{self.function} ended with {self.process.returncode}")
        return json.loads(out)

    def stop(self, mount=None):
        if not kill(self.process) and mount is not None:
            mount.destroy()
            kill(self.process)
        elif mount is not None and not mount_answers(mount):
            mount.destroy()


def mount_answers(mount):
    """Whether a look at the top of the mount comes back."""
    probe = start(["stat", "-f", "-c", "%t", mount.path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        probe.wait(timeout=5)
    except subprocess.TimeoutExpired:
        kill(probe)
        return False
    _processes.remove(probe)
    return True


_scratch = None


def scratch_directory(prefix):
    """A new directory below the one of this process, which is removed at the end."""
    global _scratch
    if _scratch is None:
        place = os.environ.get("FTPFS_BENCH_DIR") or "/tmp"
        for stale in pathlib.Path(place).glob("ftpfs-bench.*"):  # of processes that were killed
            if not os.path.exists(f"/proc/{stale.name.split('.')[1]}"):
                remove(stale)
        _scratch = tempfile.mkdtemp(prefix=f"ftpfs-bench.{os.getpid()}.", dir=place)
        os.chmod(_scratch, 0o755)
    path = tempfile.mkdtemp(prefix=prefix + ".", dir=_scratch)
    os.chmod(path, 0o755)
    return pathlib.Path(path)


def remove(path):
    """Removes a tree in which nothing is mounted."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        if any(line.split(" ")[4].startswith(str(path) + "/") for line in table):
            return
    shutil.rmtree(path, ignore_errors=True)


def end_mounts():
    for mount in list(_mounts):
        mount.destroy()


@atexit.register
def end_all():
    end_mounts()
    for process in list(_processes):
        kill(process)
    if _scratch is not None:
        remove(_scratch)
