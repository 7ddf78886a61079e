# SPDX-License-Identifier: MIT
"""No memory is lost, and none is misused, by a mount that is used and unmounted: under valgrind.

The builds with sanitizers find the same with their own means, and can't run under valgrind: where tests/run says that
the program is one of those (FTPFS_SANITIZED), there are no tests here.
"""

import os
import signal
import subprocess

import pytest

import servers
from lib import FTPFS, run, wait_for

SUPPRESSIONS = "/usr/share/glib-2.0/valgrind/glib.supp"
LIMIT = 200


def is_mounted(path):
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        return any(line.split(" ")[4] == str(path) for line in table)


def use(top, local):
    """A little of everything."""
    (local / "given").write_bytes(b"given" * 100_000)
    (top / "file").write_bytes(b"content" * 50_000)
    assert (top / "file").read_bytes() == b"content" * 50_000
    assert (top / "given").read_bytes() == b"given" * 100_000
    with open(top / "given", "rb") as file:
        for offset in (400_000, 10, 200_000):
            assert os.pread(file.fileno(), 5, offset) == b"given"
    with open(top / "file", "r+b") as file:
        file.seek(1000)
        file.write(b"changed")
    os.truncate(top / "file", 2000)
    os.chmod(top / "file", 0o600)
    os.utime(top / "file", (1_500_000_000, 1_500_000_000))
    os.mkdir(top / "directory")
    os.rename(top / "file", top / "directory/renamed")
    assert os.listdir(top / "directory") == ["renamed"]
    assert not (top / "missing").exists()
    for name in os.listxattr(top):
        os.getxattr(top, name)
    os.statvfs(top)
    try:
        os.rmdir(top / "directory")
    except OSError:
        pass
    handle = os.open(top / "directory/renamed", os.O_RDWR)
    os.unlink(top / "directory/renamed")
    os.write(handle, b"to nobody")
    os.close(handle)
    wait_for(lambda: os.listdir(top / "directory") == [], timeout=60, what="the open file to be gone")
    os.rmdir(top / "directory")
    assert os.listdir(top) == ["given"]


def valgrind(log, *arguments):
    command = ["valgrind", "--quiet", "--leak-check=full", "--show-leak-kinds=definite",
               "--errors-for-leak-kinds=definite", "--error-exitcode=99", f"--log-file={log}", "--num-callers=30"]
    if os.path.exists(SUPPRESSIONS):
        command.append(f"--suppressions={SUPPRESSIONS}")
    return [*command, str(FTPFS), *map(str, arguments)]


def check_mount(server, tmp_path, *options):
    path = tmp_path / "mountpoint"
    path.mkdir()
    log = tmp_path / "valgrind.log"
    output_path = tmp_path / "output"
    arguments = ["-f", server.url(), path]
    if server.options or options:
        arguments += ["-o", ",".join([*server.options, *options])]
    environment = dict(os.environ, G_SLICE="always-malloc", G_DEBUG="gc-friendly")
    with open(output_path, "wb") as output:
        process = subprocess.Popen(valgrind(log, *arguments), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                   env=environment, start_new_session=True)
    try:
        wait_for(lambda: is_mounted(path) or process.poll() is not None, timeout=LIMIT, what="the mount")
        assert is_mounted(path), output_path.read_text() + log.read_text()
        use(path, server.root)
        # The kernel sends the release of a closed directory without waiting for it, and drops it at an unmount; libfuse
        # then loses what belongs to the handle. An answer to a later request means that the release has arrived.
        os.statvfs(path)
        run(["fusermount3", "-u", str(path)], timeout=60)
        code = process.wait(timeout=LIMIT)
        assert code == 0, f"exit {code}\n{output_path.read_text()}\n{log.read_text()}"
        assert log.read_text().strip() == "", log.read_text()
    finally:
        if is_mounted(path):
            subprocess.run(["fusermount3", "-uz", str(path)], timeout=60, check=False)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()


if not os.environ.get("FTPFS_SANITIZED"):

    @pytest.mark.parametrize("kind,tls", [("vsftpd", False), ("pyftpdlib", True)], ids=["vsftpd", "pyftpdlib-tls"])
    def test_mount_use_unmount(tmp_path, kind, tls):
        with servers.start(kind, tls=tls) as server:
            check_mount(server, tmp_path, "timeout=100", "connect_timeout=100")

    def test_failed_mount(tmp_path):
        with servers.start("pyftpdlib") as server:
            log = tmp_path / "valgrind.log"
            source = f"ftp://u:wrong@{server.host}:{server.port}/"
            result = run(valgrind(log, "-f", source, tmp_path), check=False, timeout=LIMIT)
            assert result.returncode == 32, (result, log.read_text())
            assert log.read_text().strip() == "", log.read_text()

    def test_usage(tmp_path):
        for number, arguments in enumerate([["-h"], ["-V"], ["ftp://h/", tmp_path, "-o", "mode=x"], []]):
            log = tmp_path / f"valgrind-{number}.log"
            result = run(valgrind(log, *arguments), check=False, timeout=LIMIT)
            assert result.returncode in (0, 1), (result, log.read_text())
            assert log.read_text().strip() == "", log.read_text()
