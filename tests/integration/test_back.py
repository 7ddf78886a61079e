# SPDX-License-Identifier: MIT
"""write=back: close returns at once, the server gets everything, and nothing that was acknowledged is lost, whatever
ends the program. What the server has is looked at on its own disk."""

import errno
import os
import pathlib
import re
import signal
import subprocess

import pytest

from lib import FTPFS, run, wait_for
from servers.scripted import ScriptedServer, stall, stall_after

BACK = ("write=back", "timeout=20", "connect_timeout=20", "retry=60")


class Frozen:
    """A server that does not answer, in a with statement."""

    def __init__(self, server):
        self.server = server

    def __enter__(self):
        self.server.freeze()

    def __exit__(self, *_exception):
        self.server.thaw()


def content(path):
    try:
        return pathlib.Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def wait_content(path, expected):
    wait_for(lambda: content(path) == expected, 60, f"{path} to have its {len(expected)} bytes")


def crash(mounted):
    """kill -9, as the kernel's OOM killer would."""
    os.kill(mounted.pid, signal.SIGKILL)
    mounted.process.wait(timeout=30)
    subprocess.run(["fusermount3", "-uz", str(mounted.path)], timeout=30, check=False, stderr=subprocess.DEVNULL)
    mounted.forget()


def status(mounted):
    text = run([FTPFS, "--status", mounted.path], timeout=30).stdout
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def wait_sent(mounted):
    wait_for(lambda: status(mounted)["pending_files"] == "0", 60, "all to be sent")


def journal_files(spool):
    return sorted(path.name for path in pathlib.Path(spool).glob("journal/*/*"))


def error_of(function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    return ""


@pytest.fixture
def spool(tmp_path):
    """A spool of its own, in which at the end nothing is left."""
    directory = tmp_path / "spool"
    yield directory
    assert journal_files(directory) == []


@pytest.fixture
def back(mount, server, workdir, spool):
    """Makes a mount of the work directory with write=back; its listing is known."""
    def make(*options):
        mounted = mount(server, workdir.remote, *BACK, f"spool={spool}", *options)
        os.listdir(mounted.path)
        return mounted
    return make


# What the mount shows, and what arrives.

@pytest.mark.parametrize("end", ["goes on", "killed"])
def test_server_frozen(back, server, workdir, spool, end):
    """Everything that a close has acknowledged while the server did not answer is seen at once, and arrives; also when
    the program is killed before, by way of the next mount."""
    old = workdir.local / "old"
    for name in ("old", "edited", "log", "replaced"):
        (workdir.local / name).write_bytes(b"0123456789" * 1000)
        server.give(workdir.local / name)
    mounted = back()
    top = mounted.path
    edited, log = open(top / "edited", "r+b", buffering=0), open(top / "log", "ab", buffering=0)
    replaced = open(top / "replaced", "r+b", buffering=0)
    (top / "gone").write_bytes(b"x")
    (top / "gone").unlink()
    (top / "before").write_bytes(b"renamed")
    (top / "before").rename(top / "after")
    with Frozen(server):
        (top / "new").write_bytes(b"first")
        (top / "new").write_bytes(b"second, and longer")
        (top / "empty").write_bytes(b"")
        with open(top / "new", "ab") as file:
            file.write(b", appended")
        with open(top / "cut", "wb") as file:
            file.write(b"x" * 5000)
        os.truncate(top / "cut", 3000)
        with open(top / "cut", "r+b") as file:
            file.seek(1000)
            file.write(b"y" * 100)
        os.utime(top / "cut", (1_500_000_000, 1_500_000_000))
        replaced.truncate(0)
        replaced.write(b"replaced")
        replaced.close()
        edited.seek(5000)
        edited.write(b"EDITED")
        edited.close()
        log.write(b"one more line")
        log.close()
        expected = {
            "new": b"second, and longer, appended", "empty": b"", "after": b"renamed", "replaced": b"replaced",
            "cut": b"x" * 1000 + b"y" * 100 + b"x" * 1900,
        }
        later = {"edited": b"0123456789" * 500 + b"EDITED" + (b"0123456789" * 1000)[5006:],
                 "log": b"0123456789" * 1000 + b"one more line"}
        for name, data in expected.items():
            if name != "after":
                assert content(top / name) == data
        for name, data in {**expected, **later}.items():
            assert os.stat(top / name).st_size == len(data)
        assert os.stat(top / "cut").st_mtime == 1_500_000_000
        assert sorted(os.listdir(top)) == sorted([*expected, *later, "old"])
        assert status(mounted)["pending_files"] in ("6", "7")  # "after" may have been sent before
        if end == "killed":
            crash(mounted)
    expected.update(later)
    if end == "killed":
        mounted = back()
        top = mounted.path
        assert sorted(os.listdir(top)) == sorted([*expected, "old"])
        for name, data in expected.items():
            assert content(top / name) == data, name
        assert os.stat(top / "cut").st_mtime == 1_500_000_000
    for name, data in expected.items():
        wait_content(workdir.local / name, data)
    wait_sent(mounted)
    assert old.read_bytes() == b"0123456789" * 1000
    assert sorted(os.listdir(workdir.local)) == sorted([*expected, "old"])
    assert int(os.stat(workdir.local / "cut").st_mtime) == 1_500_000_000
    for name, data in expected.items():
        assert content(top / name) == data
    assert journal_files(spool) == []


@pytest.mark.tsan
def test_many_files(back, workdir):
    """Written side by side, renamed and removed while they are being sent."""
    mounted = back()
    top = mounted.path
    expected = {}
    for number in range(40):
        name, data = f"file{number}", bytes([number]) * (number * 997)
        (top / name).write_bytes(data)
        if number % 5 == 1:
            (top / name).rename(top / f"renamed{number}")
            name = f"renamed{number}"
        if number % 5 == 2:
            (top / name).unlink()
            continue
        if number % 5 == 3:
            data += b"appended"
            with open(top / name, "ab") as file:
                file.write(b"appended")
        if number % 5 == 4:
            (top / f"dir{number}").mkdir()
            (top / name).rename(top / f"dir{number}" / "moved")
            (top / f"dir{number}").rename(top / f"other{number}")
            name = f"other{number}/moved"
        expected[name] = data
    for name, data in expected.items():
        assert content(top / name) == data
    wait_sent(mounted)
    found = {str(path.relative_to(workdir.local)): path.read_bytes()
             for path in workdir.local.rglob("*") if path.is_file()}
    assert found == expected


@pytest.mark.targets("vsftpd", "proftpd")
def test_unmount_drains(back, workdir, spool):
    """What is pending at the unmount is sent before ftpfs ends."""
    mounted = back()
    for number in range(20):
        (mounted.path / f"file{number}").write_bytes(b"x" * 10000)
    with open(mounted.path / "large", "wb") as file:
        file.write(b"y" * 3_000_000)
    mounted.unmount()
    assert len(os.listdir(workdir.local)) == 21
    assert content(workdir.local / "file19") == b"x" * 10000
    assert content(workdir.local / "large") == b"y" * 3_000_000
    assert journal_files(spool) == []


@pytest.mark.targets("vsftpd", "proftpd")
def test_fsync(back, server, workdir):
    """fsync of a file and of a directory wait for the server."""
    mounted = back()
    with open(mounted.path / "file", "wb") as file:
        file.write(b"data")
        file.flush()
        os.fsync(file.fileno())
        assert content(workdir.local / "file") == b"data"
        file.write(b", more")
    os.mkdir(mounted.path / "dir")
    for number in range(5):
        (mounted.path / "dir" / str(number)).write_bytes(b"in it")
    directory = os.open(mounted.path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    assert content(workdir.local / "file") == b"data, more"
    assert [content(workdir.local / "dir" / str(number)) for number in range(5)] == [b"in it"] * 5
    assert status(mounted)["pending_files"] == "0"


# What the next mount finds.

def make_pending(back, server, workdir, name, data, before=None):
    """A mount that was killed while `data` was to be sent as `name`."""
    if before is not None:
        (workdir.local / name).write_bytes(before)
        server.give(workdir.local / name)
    mounted = back()
    file = open(mounted.path / name, "wb", buffering=0) if before is None else open(mounted.path / name, "r+b",
                                                                                    buffering=0)
    with Frozen(server):
        file.truncate(0)
        file.write(data)
        file.close()
        crash(mounted)


@pytest.mark.targets("vsftpd", "proftpd")
@pytest.mark.parametrize("before", [None, b"what was there"], ids=["new", "old"])
def test_conflict(back, server, workdir, before):
    """Somebody else has written the file meanwhile: both are kept."""
    make_pending(back, server, workdir, "file", b"ours, and of another length", before)
    (workdir.local / "file").write_bytes(b"theirs")
    server.give(workdir.local / "file")
    mounted = back()
    wait_sent(mounted)
    names = sorted(os.listdir(workdir.local))
    assert len(names) == 2 and re.fullmatch(r"file\.ftpfs-conflict-[\d-]+", names[1]), names
    assert content(workdir.local / "file") == b"theirs"
    assert content(workdir.local / names[1]) == b"ours, and of another length"
    assert content(mounted.path / "file") == b"theirs"
    assert content(mounted.path / names[1]) == b"ours, and of another length"
    assert "was changed on the server by somebody else" in mounted.log_text()


@pytest.mark.targets("vsftpd", "proftpd")
@pytest.mark.parametrize("there", [b"", b"ours, and", b"ours, and all"], ids=["nothing", "half", "all"])
def test_upload_was_under_way(back, server, workdir, there):
    """What the server has is the beginning of ours, or all of it: no conflict."""
    make_pending(back, server, workdir, "file", b"ours, and all")
    (workdir.local / "file").write_bytes(there)
    server.give(workdir.local / "file")
    os.utime(workdir.local / "file", (1_400_000_000, 1_400_000_000))
    mounted = back()
    wait_sent(mounted)
    assert os.listdir(workdir.local) == ["file"]
    assert content(workdir.local / "file") == b"ours, and all"
    sent_again = int(os.stat(workdir.local / "file").st_mtime) != 1_400_000_000
    assert sent_again == (there != b"ours, and all")


@pytest.mark.targets("vsftpd", "proftpd")
def test_part_of_a_file_that_was_changed(back, server, workdir, spool):
    """Only the end was written, and the beginning is another one on the server now: it can't be put together, and what
    was written is kept."""
    (workdir.local / "file").write_bytes(b"0123456789")
    server.give(workdir.local / "file")
    mounted = back()
    file = open(mounted.path / "file", "ab", buffering=0)
    with Frozen(server):
        file.write(b"appended")
        file.close()
        crash(mounted)
    (workdir.local / "file").write_bytes(b"something else")
    server.give(workdir.local / "file")
    mounted = back()
    wait_sent(mounted)
    assert content(workdir.local / "file") == b"something else"
    assert content(mounted.path / "file") == b"something else"
    kept = [path.read_bytes() for path in (spool / "lost+found").iterdir() if path.suffix != ".info"]
    assert kept == [b"\0" * 10 + b"appended"]
    assert "kept in" in mounted.log_text()


@pytest.mark.targets("vsftpd", "proftpd")
def test_sync_mount_takes_over(back, mount, server, workdir, spool):
    """A mount with write=sync sends what one with write=back has left."""
    make_pending(back, server, workdir, "file", b"left")
    mounted = mount(server, workdir.remote, f"spool={spool}")
    assert content(mounted.path / "file") == b"left"
    wait_content(workdir.local / "file", b"left")
    wait_sent(mounted)
    mounted.unmount()


@pytest.mark.targets("vsftpd", "proftpd")
def test_two_mounts(back, server, workdir):
    """Two mounts of the same source have a journal each; one that comes later takes both over."""
    first, second = back(), back()
    with Frozen(server):
        (first.path / "one").write_bytes(b"1")
        (second.path / "two").write_bytes(b"2")
        (first.path / "both").write_bytes(b"of the first")
        (second.path / "both").write_bytes(b"of the second one")
        crash(first)
        crash(second)
    mounted = back()
    wait_sent(mounted)
    found = {name: content(workdir.local / name) for name in os.listdir(workdir.local)}
    assert found.pop("one") == b"1" and found.pop("two") == b"2"
    assert sorted(found.values()) == [b"of the first", b"of the second one"]
    assert "both" in found


# Kinds of ends.

def test_away_at_unmount(mount, any_server, workdir_of_any, spool):
    """The server is away: the unmount ends after `retry`, and the next mount sends what is left."""
    mounted = mount(any_server, workdir_of_any.remote, "write=back", f"spool={spool}", "timeout=3", "connect_timeout=3",
                    "retry=2")
    os.listdir(mounted.path)
    any_server.stop()
    try:
        (mounted.path / "file").write_bytes(b"left behind")
        mounted.unmount(timeout=50)
        assert "1 files could not be sent yet" in mounted.log_text()
        assert len(journal_files(spool)) == 2
    finally:
        any_server.start()
    mounted = mount(any_server, workdir_of_any.remote, *BACK, f"spool={spool}")
    wait_content(workdir_of_any.local / "file", b"left behind")
    mounted.unmount()


def test_sigterm(mount_bg, any_server, workdir_of_any, spool):
    """SIGTERM waits for what is pending."""
    mounted = mount_bg(any_server, workdir_of_any.remote, *BACK, f"spool={spool}")
    for number in range(20):
        (mounted.path / f"file{number}").write_bytes(b"x" * 10000)
    os.kill(mounted.pid, signal.SIGTERM)
    mounted.wait_end(60)
    assert [content(workdir_of_any.local / f"file{number}") for number in range(20)] == [b"x" * 10000] * 20


def test_server_comes_back(mount, any_server, workdir_of_any, spool):
    """Away for a while, longer than `retry`: nobody is told of an error, and all arrives."""
    mounted = mount(any_server, workdir_of_any.remote, "write=back", f"spool={spool}", "timeout=3", "connect_timeout=3",
                    "retry=0")
    os.listdir(mounted.path)
    any_server.stop()
    try:
        for number in range(3):
            (mounted.path / f"file{number}").write_bytes(b"waits")
        wait_for(lambda: status(mounted)["state"] == "away", 30, "a failed try")
    finally:
        any_server.start()
    for number in range(3):
        wait_content(workdir_of_any.local / f"file{number}", b"waits")
    wait_sent(mounted)
    mounted.unmount()


@pytest.fixture
def workdir_of_any(any_server, request):
    class Directory:
        remote = re.sub(r"[^A-Za-z0-9]+", "-", request.node.name)[:60]
        local = any_server.root / remote
    Directory.local.mkdir()
    any_server.give(Directory.local)
    yield Directory
    any_server.start()


def test_private(mount, any_server, workdir_of_any, spool):
    """Nobody else may look into the journal."""
    mounted = mount(any_server, workdir_of_any.remote, *BACK, f"spool={spool}")
    os.listdir(mounted.path)
    with Frozen(any_server):
        (mounted.path / "secret").write_bytes(b"secret")
        found = [*spool.glob("journal"), *spool.glob("journal/*"), *spool.glob("journal/*/*")]
        assert len(found) == 4
        for path in found:
            assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    wait_sent(mounted)
    mounted.unmount()


def test_spool_full(mount, any_server, workdir_of_any, spool):
    """With spool_max a write waits until others have been sent; what can't ever fit is ENOSPC."""
    mounted = mount(any_server, workdir_of_any.remote, *BACK, f"spool={spool}", "spool_max=100K")
    for number in range(12):
        (mounted.path / f"file{number}").write_bytes(bytes([number]) * 40_000)
    wait_sent(mounted)
    for number in range(12):
        assert content(workdir_of_any.local / f"file{number}") == bytes([number]) * 40_000
    mounted.unmount()


def test_refused(mount, any_server, workdir_of_any, spool):
    """A directory that can't be written to: the contents are kept, and the name vanishes."""
    (workdir_of_any.local / "dir").mkdir()
    mounted = mount(any_server, workdir_of_any.remote, *BACK, f"spool={spool}")
    os.listdir(mounted.path / "dir")
    (mounted.path / "dir" / "file").write_bytes(b"not wanted")
    wait_for(lambda: (spool / "lost+found").is_dir(), 60, "lost+found")
    wait_sent(mounted)
    kept = [path for path in (spool / "lost+found").iterdir() if path.suffix != ".info"]
    assert [path.read_bytes() for path in kept] == [b"not wanted"]
    assert str(kept[0]) in mounted.log_text()
    assert os.listdir(mounted.path / "dir") == []
    mounted.unmount()


def test_directory_with_pending_files(mount, any_server, workdir_of_any, spool):
    """rmdir knows of files that the server has not."""
    mounted = mount(any_server, workdir_of_any.remote, *BACK, f"spool={spool}")
    os.mkdir(mounted.path / "dir")
    os.listdir(mounted.path / "dir")
    with Frozen(any_server):
        (mounted.path / "dir" / "file").write_bytes(b"data")
        assert error_of(os.rmdir, mounted.path / "dir") == "ENOTEMPTY"
        assert os.getxattr(mounted.path / "dir" / "file", "user.ftpfs.pending") == b"4"
        assert os.getxattr(mounted.path / "dir" / "file", "user.ftpfs.percent") == b"0"
    wait_sent(mounted)
    assert os.getxattr(mounted.path / "dir" / "file", "user.ftpfs.pending") == b"0"
    assert os.getxattr(mounted.path / "dir" / "file", "user.ftpfs.percent") == b"100"
    os.unlink(mounted.path / "dir" / "file")
    os.rmdir(mounted.path / "dir")
    assert os.listdir(workdir_of_any.local) == []
    mounted.unmount()


# A server that stops at the command that matters.

@pytest.fixture
def scripted(tmp_path):
    with ScriptedServer() as server:
        server.options = []
        server.tree.put("/file", b"old content")
        server.tree.put("/dir/inside", b"old inside")
        yield server


def test_renamed_and_nobody_was_told(scripted, mount, spool):
    """The server has renamed a file with unsent changes when the program is killed: the changes follow it."""
    server = scripted
    mounted = mount(server, "", *BACK, f"spool={spool}")
    os.listdir(mounted.path)
    stored = server.on("STOR", stall(), times=100)
    for path, data in (("file", b"new content"), ("dir/inside", b"new inside")):
        with open(mounted.path / path, "r+b", buffering=0) as file:
            file.write(data)
    assert stored.holding.wait(60)
    renamed = server.on("RNTO", stall_after(), match=b"moved")
    move = subprocess.Popen(["mv", mounted.path / "dir", mounted.path / "moved"], stderr=subprocess.DEVNULL)
    assert renamed.holding.wait(60)
    crash(mounted)
    move.wait(timeout=60)
    stored.release()
    renamed.release()
    server.clear_rules()
    mounted = mount(server, "", *BACK, f"spool={spool}")
    wait_sent(mounted)
    assert server.tree.content("/file") == b"new content"
    assert server.tree.content("/moved/inside") == b"new inside"
    assert sorted(server.tree.names("/")) == [b"file", b"moved"]
    assert server.tree.names("/moved") == [b"inside"]
    mounted.unmount()


def test_removed_while_it_is_sent(scripted, mount, spool):
    """An unlink gives up an upload that hangs; the name does not come back."""
    server = scripted
    mounted = mount(server, "", *BACK, f"spool={spool}")
    os.listdir(mounted.path)
    stored = server.on("STOR", stall_after(), times=1)
    (mounted.path / "new").write_bytes(b"x" * 1000)
    assert stored.holding.wait(60)
    os.unlink(mounted.path / "new")
    stored.release()
    assert not (mounted.path / "new").exists()
    assert server.tree.content("/new") is None
    wait_sent(mounted)
    mounted.unmount()
    assert sorted(server.tree.names("/")) == [b"dir", b"file"]
