# SPDX-License-Identifier: MIT
"""What a mount says of itself: --status as text and JSON, attributes, SIGUSR1, the line on a terminal."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

import servers
from lib import FTPFS, run, wait_for

pytestmark = pytest.mark.tsan


def status(path):
    """--status as {name: value}; the names in the order in which they come."""
    lines = run([FTPFS, "--status", path]).stdout.splitlines()
    return dict(line.split(": ", 1) for line in lines)


def status_json(path):
    return json.loads(run([FTPFS, "--status", "--json", path]).stdout)


def test_text_and_json_agree(mount, any_server, workdir):
    (workdir.local / "a").write_bytes(b"a" * 1000)
    any_server.give(workdir.local / "a")
    mounted = mount(workdir.server, workdir.remote)
    assert (mounted.path / "a").read_bytes() == b"a" * 1000
    (mounted.path / "b").write_bytes(b"b" * 500)
    text, answer = status(mounted.path), status_json(mounted.path)
    changing = {"up_seconds", "commands", "bytes_in", "listings", "cache_hits", "cache_misses"}
    for name, value in text.items():
        assert name in answer, name
        if name not in changing:
            assert str(answer[name]) == value, name
    assert answer["state"] == "connected"
    assert answer["mode"] in ("passive", "active")
    assert answer["tls"] == ("explicit" if workdir.server.tls else "no")
    assert answer["mountpoint"] == str(mounted.path)
    assert workdir.server.user in answer["source"] and workdir.server.password not in json.dumps(answer)
    assert answer["bytes_in"] >= 1000 and answer["bytes_out"] == 500 and answer["uploads"] == 1
    assert 1 <= answer["sessions_open"] <= answer["sessions_limit"]
    assert answer["pid"] == mounted.pid and answer["unsent"] == [] and answer["pending"] == []
    assert f"ftpfs {answer['version']}\n" in run([FTPFS, "-V"]).stdout


def test_unsent_file_is_named(mount, any_server, workdir_any):
    mounted = mount(any_server, workdir_any)
    with open(mounted.path / "not yet", "wb", buffering=0) as file:
        file.write(b"x" * 777)
        answer = json.loads(os.getxattr(mounted.path, "user.ftpfs.json"))  # a child would close the file, too
        assert {"bytes": 777, "path": "/not yet"} in answer["unsent"], answer
    assert status_json(mounted.path)["unsent"] == []


def test_last_error_has_the_words_of_the_server(mount, any_server, workdir_any):
    mounted = mount(any_server, workdir_any)
    (any_server.root / workdir_any).chmod(0o555)
    try:
        with pytest.raises(PermissionError):
            os.mkdir(mounted.path / "new")
    finally:
        (any_server.root / workdir_any).chmod(0o755)
    assert "550" in status(mounted.path)["last_error"]
    assert status_json(mounted.path)["last_error"] == status(mounted.path)["last_error"]


def test_server_that_is_away(mount_bg):
    with servers.start("pyftpdlib") as server:
        mounted = mount_bg(server, "", "retry=0", "timeout=5", "connect_timeout=5")
        server.stop()
        with pytest.raises(OSError):
            os.listdir(mounted.path / "x")
        answer = status_json(mounted.path)
        assert answer["state"] == "away" and answer["last_error"], answer
        mounted.unmount()


def test_attributes(mount, any_server, workdir_any):
    (any_server.root / workdir_any / "file").write_bytes(b"x")
    mounted = mount(any_server, workdir_any)
    assert json.loads(os.getxattr(mounted.path, "user.ftpfs.json"))["mode"] == \
        os.getxattr(mounted.path, "user.ftpfs.mode").decode()
    assert os.getxattr(mounted.path / "file", "user.ftpfs.tls") == b"no"
    assert os.listxattr(mounted.path / "file") == []


@pytest.mark.parametrize("arguments, words", [
    (["--status", "--json", "/"], "not the mountpoint of an ftpfs"), (["--status", "/nonexistent"], "No such file"),
    (["--status", "--json"], "needs the MOUNTPOINT"), (["--json", "ftp://127.0.0.1:1/", "/mnt"], "goes with"),
    (["--status", "/", "/tmp"], "too many")])
def test_wrong_use(arguments, words):
    done = run([FTPFS, *arguments], check=False)
    assert done.returncode in (1, 32) and words in done.stderr and not done.stdout, done


def test_signal_logs_it(mount, any_server, workdir_any):
    mounted = mount(any_server, workdir_any)
    for number in (1, 2):
        os.kill(mounted.pid, signal.SIGUSR1)
        wait_for(lambda: mounted.log_text().count("ftpfs: open_files: ") == number, what="the status in the log")
    text = mounted.log_text()
    assert "ftpfs: state: connected" in text and f"ftpfs: mountpoint: {mounted.path}" in text
    assert any_server.password not in text
    (mounted.path / "still").write_bytes(b"works")


def test_signals_while_it_works(mount, any_server, workdir_any):
    """SIGUSR1 ends nothing and interrupts nothing."""
    mounted = mount(any_server, workdir_any)
    for number in range(40):
        os.kill(mounted.pid, signal.SIGUSR1)
        data = bytes([number]) * 10_000
        (mounted.path / f"file {number}").write_bytes(data)
        assert (mounted.path / f"file {number}").read_bytes() == data


def test_line_on_the_terminal(any_server, workdir_any, tmp_path):
    """With -f on a terminal a line shows what is transferred; it is gone at the end, and messages are whole lines."""
    mountpoint = tmp_path / "mnt"
    mountpoint.mkdir()
    (any_server.root / workdir_any / "large").write_bytes(b"x" * 50_000_000)
    master, slave = pty.openpty()
    process = subprocess.Popen([FTPFS, "-f", any_server.url(workdir_any), mountpoint,
                                *(["-o", ",".join(any_server.options)] if any_server.options else [])],
                               stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    shown = b""

    def read_on(seconds):
        nonlocal shown
        limit = time.monotonic() + seconds
        while select.select([master], [], [], max(0, limit - time.monotonic()))[0]:
            try:
                shown += os.read(master, 4096)
            except OSError:
                return

    try:
        wait_for(lambda: os.path.ismount(mountpoint), timeout=60, what="the mount")
        limit = time.monotonic() + 60
        while b"sessions busy" not in shown and time.monotonic() < limit:
            with open(mountpoint / "large", "rb", buffering=0) as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                file.read(1 << 20)
            read_on(0.1)
        os.kill(process.pid, signal.SIGUSR1)
        while b"open_files: " not in shown and time.monotonic() < limit:
            read_on(0.1)
    finally:
        subprocess.run(["fusermount3", "-u", mountpoint], timeout=60, check=False)
        try:
            assert process.wait(timeout=60) == 0
        finally:
            if process.poll() is None:
                process.kill()
            read_on(0.2)
            os.close(master)
    text = shown.decode()
    assert re.search(r"\r\x1b\[Kdown [\d.]+ MiB/s, up [\d.]+ MiB/s; \d of \d sessions busy", text), text
    assert re.search(r"(\n|\r\x1b\[K)ftpfs: state: connected\r\n", text), text
    assert text.endswith(("\n", "\r\x1b[K")), text


@pytest.fixture
def workdir_any(any_server):
    name = f"status-{os.getpid()}-{time.monotonic_ns()}"
    (any_server.root / name).mkdir()
    any_server.give(any_server.root / name)
    return name
