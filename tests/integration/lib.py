# SPDX-License-Identifier: MIT
"""What the tests and conftest.py share: running programs with a limit, waiting, comparing trees, and Mount."""

import ctypes
import hashlib
import os
import pathlib
import signal
import stat
import subprocess
import time

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
FTPFS = pathlib.Path(os.environ.get("FTPFS") or CHECKOUT / "build/ftpfs").absolute()
STRICT = bool(os.environ.get("CI") or os.environ.get("FTPFS_STRICT"))

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper():
    """Makes this process the parent of daemons that its children leave, so that it can ask for their exit status."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


class Result:
    """What a program did: returncode, stdout, stderr (text)."""

    def __init__(self, command, returncode, stdout, stderr):
        self.command = command
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr

    def __repr__(self):
        return (f"{' '.join(map(str, self.command))}\nexit {self.returncode}\n"
                f"--- stdout\n{self.stdout[-20000:]}\n--- stderr\n{self.stderr[-20000:]}")


def run(command, cwd=None, timeout=120, check=True, env=None, input=None):
    """Runs a program and returns its Result. Fails when it does not end within `timeout` seconds, and, with check,
    when its exit code is not 0; the failure shows its output."""
    process = subprocess.Popen([str(word) for word in command], cwd=cwd, env=env,
                               stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    late = False
    try:
        out, err = process.communicate(input.encode() if isinstance(input, str) else input, timeout=timeout)
    except subprocess.TimeoutExpired:
        late = True
        stacks = kernel_stacks(process.pid)
        _kill_group(process.pid)
        try:
            out, err = process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            # It sleeps in the kernel, waiting for a mount: only the end of the mount's ftpfs wakes it.
            stacks += Mount.report_and_kill_all()
            try:
                out, err = process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                out, err = b"", b""
    except BaseException:
        _kill_group(process.pid)
        raise
    result = Result(command, process.returncode, out.decode(errors="backslashreplace"),
                    err.decode(errors="backslashreplace"))
    if late:
        raise AssertionError(f"did not end within {timeout} s: {result!r}\n{stacks}")
    if check and result.returncode != 0:
        raise AssertionError(repr(result))
    return result


def _kill_group(pid):
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def wait_for(condition, timeout=30, what="the condition"):
    """Waits until condition() is true and returns its value; fails with `what` after `timeout` seconds."""
    limit = time.monotonic() + timeout
    pause = 0.01
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > limit:
            raise AssertionError(f"waited {timeout} s for {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)


def tree_digest(top, mode=False, mtime=False):
    """{relative path: (type, size, sha256 of the content or target of the link, ...)} of all below top; with mode also
    the permission bits, with mtime also the time of modification in whole seconds (of files only: a directory's
    changes with what is put into it)."""
    top = pathlib.Path(top)
    found = {}
    for directory, directories, files in os.walk(top):
        for name in directories + files:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            entry = [stat.S_IFMT(status.st_mode)]
            if stat.S_ISREG(status.st_mode):
                digest = hashlib.sha256()
                with open(path, "rb") as file:
                    for block in iter(lambda: file.read(1 << 20), b""):
                        digest.update(block)
                entry += [status.st_size, digest.hexdigest()]
            elif stat.S_ISLNK(status.st_mode):
                entry += [0, os.readlink(path)]
            else:
                entry += [0, ""]
            if mode:
                entry.append(stat.S_IMODE(status.st_mode))
            if mtime and stat.S_ISREG(status.st_mode):
                entry.append(int(status.st_mtime))
            found[os.path.relpath(path, top)] = tuple(entry)
    return found


def mounted_paths(kind_prefix="fuse"):
    """The mountpoints of all FUSE mounts of this mount namespace, as str."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            left, _, right = line.partition(" - ")
            kind = right.split(" ")[0]
            if kind.startswith(kind_prefix) and kind != "fusectl":
                name = left.split(" ")[4].encode("utf-8", "surrogateescape")
                found.append(os.fsdecode(name.decode("unicode_escape").encode("latin-1")))
    return found


def kernel_stacks(pid):
    """Where each thread of a process waits, for a failure report."""
    lines = []
    try:
        for task in sorted(os.listdir(f"/proc/{pid}/task"), key=int):
            words = []
            for name in ("comm", "wchan", "syscall", "stack"):
                try:
                    with open(f"/proc/{pid}/task/{task}/{name}", encoding="utf-8", errors="replace") as file:
                        words.append(f"{name}: {file.read().strip()}")
                except OSError as error:
                    words.append(f"{name}: {error.strerror}")
            lines.append(f"thread {task}: " + "\n    ".join(words))
    except OSError as error:
        lines.append(f"process {pid}: {error.strerror}")
    return "\n".join(lines) + "\n"


def ftpfs_processes(mountpoint):
    """The pids of the ftpfs processes that have this mountpoint on their command line."""
    wanted = os.fsencode(str(mountpoint))
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                words = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if wanted in words and any(b"ftpfs" in os.path.basename(word) for word in words[:3]):
                found.append(int(entry))
    return found


class Mount:
    """A mount made by a test. Use the fixtures `mount` and `mount_bg`.

    path: the mountpoint (pathlib.Path). pid: the ftpfs that serves it. process: its Popen, for one in the foreground.
    """

    live = []

    def __init__(self, path, log_path, process=None):
        self.path = path
        self.log_path = log_path
        self.process = process
        self.pid = process.pid if process else 0
        self.returncode = None
        self.unmounted = False
        Mount.live.append(self)

    def log_text(self):
        """What ftpfs has written to its standard error."""
        return self.log_path.read_text(encoding="utf-8", errors="backslashreplace")

    @property
    def is_mounted(self):
        return str(self.path) in mounted_paths()

    def poll(self):
        """The exit code of ftpfs, or None while it runs."""
        if self.returncode is None:
            if self.process is not None:
                self.returncode = self.process.poll()
            elif self.pid:
                try:
                    pid, status = os.waitpid(self.pid, os.WNOHANG)
                    if pid:
                        self.returncode = os.waitstatus_to_exitcode(status)
                except ChildProcessError:  # not left to us: all that can be seen is that it is gone
                    if not os.path.exists(f"/proc/{self.pid}"):
                        self.returncode = 0
        return self.returncode

    def wait_mounted(self, timeout=60):
        """Waits for a foreground ftpfs to mount."""
        limit = time.monotonic() + timeout
        while not self.is_mounted:
            if self.poll() is not None:
                self.forget()
                raise AssertionError(f"ftpfs ended with {self.returncode} instead of mounting\n{self.log_text()}")
            if time.monotonic() > limit:
                raise AssertionError(f"not mounted after {timeout} s\n{self.log_text()}\n{self.report_and_kill()}")
            time.sleep(0.02)

    def unmount(self, timeout=60):
        """Unmounts as a user does; ftpfs must then end with 0."""
        if self.unmounted:
            return
        began = time.monotonic()
        limit = began + timeout
        # The kernel does not wait when it tells of the last close of a directory, and an unmount drops what it has not
        # told yet; libfuse then loses the memory of that handle, which LeakSanitizer would report. An answer that comes
        # after it shows that it was told.
        subprocess.run(["timeout", "10", "stat", "-f", str(self.path)], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=False)
        while self.is_mounted:
            result = subprocess.run(["fusermount3", "-u", str(self.path)], stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, timeout=timeout, check=False)
            if result.returncode == 0 or not self.is_mounted:
                break
            # Something still has a file open. Waiting helps, unless it is the test itself (one that has failed, whose
            # variables are kept for the report).
            now = time.monotonic()
            if now > limit or (now > began + 5 and self.used_only_by_this_process()):
                raise AssertionError(f"can't unmount: {result.stdout.decode(errors='replace')}"
                                     f"{self.users()}\n{self.log_text()}\n{self.report_and_kill()}")
            time.sleep(0.05)
        self.wait_end(max(1, limit - time.monotonic()))

    def wait_end(self, timeout=60):
        """Waits for ftpfs to end after somebody has unmounted or terminated it; it must end with 0."""
        limit = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > limit:
                raise AssertionError(f"ftpfs has not ended {timeout:.0f} s after the unmount\n{self.log_text()}\n"
                                     f"{self.report_and_kill()}")
            time.sleep(0.02)
        self.forget()
        assert self.returncode == 0, f"ftpfs ended with {self.returncode}\n{self.log_text()}"
        assert not self.is_mounted, f"ftpfs has ended, and {self.path} is still in the mount table"

    def forget(self):
        self.unmounted = True
        if self in Mount.live:
            Mount.live.remove(self)

    def users(self):
        """The processes that have something of the mount open."""
        found = []
        top = str(self.path)
        for pid in filter(str.isdigit, os.listdir("/proc")):
            for name in ("cwd", "root", "exe", "fd"):
                try:
                    links = [f"/proc/{pid}/{name}"] if name != "fd" else \
                        [f"/proc/{pid}/fd/{number}" for number in os.listdir(f"/proc/{pid}/fd")]
                except OSError:
                    continue
                for link in links:
                    try:
                        target = os.readlink(link)
                    except OSError:
                        continue
                    if target == top or target.startswith(top + "/"):
                        found.append(f"{link} -> {target}")
        return "\n".join(found)

    def used_only_by_this_process(self):
        users = self.users().splitlines()
        return bool(users) and all(line.startswith(f"/proc/{os.getpid()}/") for line in users)

    def report_and_kill(self):
        """Ends a mount that does not end by itself; returns what its threads were waiting for."""
        report = f"{self.path}, process {self.pid}:\n" + kernel_stacks(self.pid)
        if self.poll() is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        subprocess.run(["fusermount3", "-uz", str(self.path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       timeout=60, check=False)
        limit = time.monotonic() + 30
        while self.poll() is None and time.monotonic() < limit:
            time.sleep(0.05)
        self.forget()
        return report

    @staticmethod
    def report_and_kill_all():
        return "".join(mount.report_and_kill() for mount in list(Mount.live))
