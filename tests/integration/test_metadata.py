# SPDX-License-Identifier: MIT
"""Attributes, directories, renames, permissions, and handles: what each call answers, to the errno."""

import contextlib
import ctypes
import errno
import io
import os
import stat
import time

import pytest

from lib import wait_for

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
AT_FDCWD = -100
OLD_TIME = 1_500_000_000


@pytest.fixture
def mnt(mount, server, workdir):
    return mount(server, workdir.remote).path


@contextlib.contextmanager
def fails(*numbers):
    """The body raises OSError with one of these numbers."""
    names = [errno.errorcode[number] for number in numbers]
    try:
        yield
    except OSError as error:
        assert error.errno in numbers, f"{errno.errorcode.get(error.errno, error.errno)} instead of {names}"
    else:
        pytest.fail(f"no error instead of {names}")


def open_fails(path, flags, number):
    with fails(number):
        os.close(os.open(path, flags, 0o644))


def write_file(path, content):
    """open, write, close: an error of close counts."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)


def renameat2(old, new, flags):
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.renameat2(AT_FDCWD, os.fsencode(str(old)), AT_FDCWD, os.fsencode(str(new)), flags)
    if result != 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def test_getattr(mnt, workdir):
    before = int(time.time())
    (mnt / "file").write_bytes(b"12345")
    (mnt / "directory").mkdir()
    info = os.stat(mnt / "file")
    assert stat.S_ISREG(info.st_mode)
    assert info.st_size == 5
    assert info.st_blocks >= 1
    assert info.st_nlink == 1
    assert (info.st_uid, info.st_gid) == (os.getuid(), os.getgid())
    assert before - 120 <= info.st_mtime <= time.time() + 120
    info = os.stat(mnt / "directory")
    assert stat.S_ISDIR(info.st_mode)
    assert info.st_nlink >= 1
    assert stat.S_ISDIR(os.stat(mnt).st_mode)
    assert os.stat(mnt).st_mode & 0o700 == 0o700
    assert os.path.ismount(mnt)
    for missing in ("missing", "directory/missing", "missing/missing"):
        with fails(errno.ENOENT):
            os.stat(mnt / missing)
    with fails(errno.ENOTDIR):
        os.stat(mnt / "file" / "below")
    assert (workdir.local / "file").stat().st_size == 5


def listing_step(server):
    """How exact old times are in this server's listings, in seconds: vsftpd has no MLSD, only LIST, which shows the
    day of what is older than half a year, and the minute of the rest."""
    return 86_400 if server.kind == "vsftpd" else 1


def test_attributes_of_files_made_on_the_server(mount, server, workdir):
    """Sizes over 4 GiB, times in the past, modes: from the server's listing."""
    (workdir.local / "big").touch()
    os.truncate(workdir.local / "big", 5 * 2**30 + 7)
    (workdir.local / "small").write_bytes(b"x" * 1234)
    (workdir.local / "script").write_bytes(b"#!/bin/sh\n")
    os.chmod(workdir.local / "small", 0o640)
    os.chmod(workdir.local / "script", 0o755)
    for name in ("big", "small", "script"):
        os.utime(workdir.local / name, (OLD_TIME, OLD_TIME))
    path = mount(server, workdir.remote).path
    assert (path / "big").stat().st_size == 5 * 2**30 + 7
    assert (path / "small").stat().st_size == 1234
    assert stat.S_IMODE((path / "small").stat().st_mode) == 0o640
    assert stat.S_IMODE((path / "script").stat().st_mode) == 0o755
    assert os.access(path / "script", os.X_OK) and not os.access(path / "small", os.X_OK)
    for name in ("big", "small", "script"):
        step = listing_step(server)
        assert int((path / name).stat().st_mtime) // step == OLD_TIME // step, name
    with open(path / "big", "rb") as file:
        file.seek(5 * 2**30)
        assert file.read() == bytes(7)


def test_directories(mnt, workdir):
    os.mkdir(mnt / "a")
    os.mkdir(mnt / "a/b")
    write_file(mnt / "file", b"x")
    with fails(errno.EEXIST):
        os.mkdir(mnt / "a")
    with fails(errno.EEXIST):
        os.mkdir(mnt / "file")
    with fails(errno.ENOENT):
        os.mkdir(mnt / "missing/x")
    with fails(errno.ENOTDIR):
        os.mkdir(mnt / "file/x")
    with fails(errno.ENOTEMPTY):
        os.rmdir(mnt / "a")
    with fails(errno.ENOENT):
        os.rmdir(mnt / "missing")
    with fails(errno.ENOTDIR):
        os.rmdir(mnt / "file")
    with fails(errno.EISDIR):
        os.unlink(mnt / "a")
    with fails(errno.ENOENT):
        os.listdir(mnt / "missing")
    with fails(errno.ENOTDIR):
        os.listdir(mnt / "file")
    assert sorted(os.listdir(workdir.local)) == ["a", "file"]
    os.rmdir(mnt / "a/b")
    os.rmdir(mnt / "a")
    assert os.listdir(workdir.local) == ["file"]
    assert os.listdir(mnt) == ["file"]


def test_directory_that_became_full_on_the_server(mnt, workdir):
    """The cache believes it empty; the server decides."""
    os.mkdir(mnt / "directory")
    assert os.listdir(mnt / "directory") == []
    (workdir.local / "directory/file").write_bytes(b"x")
    with fails(errno.ENOTEMPTY):
        os.rmdir(mnt / "directory")
    assert (workdir.local / "directory/file").exists()


def test_unlink(mnt, workdir):
    write_file(mnt / "file", b"x")
    os.unlink(mnt / "file")
    wait_for(lambda: os.listdir(workdir.local) == [], timeout=60, what="the file to be gone from the server")
    with fails(errno.ENOENT):
        os.unlink(mnt / "file")
    with fails(errno.ENOENT):
        os.stat(mnt / "file")
    write_file(mnt / "file", b"again")
    assert (workdir.local / "file").read_bytes() == b"again"


def test_rename(mnt, workdir):
    write_file(mnt / "a", b"a")
    write_file(mnt / "b", b"b")
    os.mkdir(mnt / "d1")
    os.mkdir(mnt / "d2")
    write_file(mnt / "d1/inner", b"inner")

    os.rename(mnt / "a", mnt / "b")
    assert (mnt / "b").read_bytes() == b"a"
    assert not (mnt / "a").exists()
    assert (workdir.local / "b").read_bytes() == b"a"
    os.rename(mnt / "b", mnt / "b")
    assert (workdir.local / "b").read_bytes() == b"a"
    os.rename(mnt / "b", mnt / "d1/c")
    assert (workdir.local / "d1/c").read_bytes() == b"a"
    assert (mnt / "d1/inner").read_bytes() == b"inner"

    with fails(errno.ENOENT):
        os.rename(mnt / "missing", mnt / "x")
    with fails(errno.ENOENT):
        os.rename(mnt / "d1/c", mnt / "missing/x")
    with fails(errno.ENOTEMPTY, errno.EEXIST):
        os.rename(mnt / "d2", mnt / "d1")
    with fails(errno.EISDIR):
        os.rename(mnt / "d1/c", mnt / "d2")
    with fails(errno.ENOTDIR):
        os.rename(mnt / "d2", mnt / "d1/c")
    with fails(errno.EINVAL):
        os.rename(mnt / "d1", mnt / "d1/below")

    os.rename(mnt / "d1", mnt / "d2")
    assert sorted(os.listdir(mnt / "d2")) == ["c", "inner"]
    assert (mnt / "d2/inner").read_bytes() == b"inner"
    with fails(errno.ENOENT):
        os.stat(mnt / "d1/inner")
    assert os.listdir(workdir.local) == ["d2"]
    os.rename(mnt / "d2", mnt / "d3")
    assert (mnt / "d3/c").read_bytes() == b"a"
    assert os.listdir(mnt) == ["d3"]


def test_rename_noreplace(mnt, workdir):
    write_file(mnt / "a", b"a")
    write_file(mnt / "b", b"b")
    os.mkdir(mnt / "d")
    with fails(errno.EEXIST):
        renameat2(mnt / "a", mnt / "b", RENAME_NOREPLACE)
    with fails(errno.EEXIST):
        renameat2(mnt / "a", mnt / "d", RENAME_NOREPLACE)
    with fails(errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        renameat2(mnt / "a", mnt / "b", RENAME_EXCHANGE)
    assert (workdir.local / "a").read_bytes() == b"a"
    assert (workdir.local / "b").read_bytes() == b"b"
    renameat2(mnt / "a", mnt / "c", RENAME_NOREPLACE)
    assert (workdir.local / "c").read_bytes() == b"a"
    # The file that stands in the way was made by another client.
    (workdir.local / "other").write_bytes(b"other")
    with fails(errno.EEXIST):
        renameat2(mnt / "c", mnt / "other", RENAME_NOREPLACE)
    assert (workdir.local / "other").read_bytes() == b"other"
    assert (workdir.local / "c").read_bytes() == b"a"


def test_times(mount, server, workdir):
    first = mount(server, workdir.remote)
    times = {"past": 1_000_000_000, "leap": 1_709_210_096, "recent": int(time.time()) - 3600, "even": OLD_TIME}
    for name, moment in times.items():
        write_file(first.path / name, b"x")
        os.utime(first.path / name, (moment, moment))
        assert int((first.path / name).stat().st_mtime) == moment, name
        assert int((workdir.local / name).stat().st_mtime) == moment, name
    os.utime(first.path / "past")
    assert abs((workdir.local / "past").stat().st_mtime - time.time()) < 300
    with fails(errno.ENOENT):
        os.utime(first.path / "missing", (1, 1))
    # A handle that is still open for writing: the time set last is the time that stays.
    descriptor = os.open(first.path / "open", os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, b"data")
    os.utime(descriptor, (OLD_TIME, OLD_TIME))
    os.close(descriptor)
    assert int((workdir.local / "open").stat().st_mtime) == OLD_TIME
    assert int((first.path / "open").stat().st_mtime) == OLD_TIME
    first.unmount()
    second = mount(server, workdir.remote)
    for name, moment in times.items():
        if name != "past":
            step = listing_step(server)
            seen = int((second.path / name).stat().st_mtime)
            assert seen // step == moment // step, f"{name}, seen by a second mount"


def test_modes(mount, server, workdir):
    first = mount(server, workdir.remote)
    modes = [0o600, 0o644, 0o640, 0o755, 0o700, 0o444]
    for mode in modes:
        write_file(first.path / f"{mode:o}", b"x")
        os.chmod(first.path / f"{mode:o}", mode)
        assert stat.S_IMODE((first.path / f"{mode:o}").stat().st_mode) == mode
        assert stat.S_IMODE((workdir.local / f"{mode:o}").stat().st_mode) == mode
    os.mkdir(first.path / "directory")
    os.chmod(first.path / "directory", 0o750)
    assert stat.S_IMODE((workdir.local / "directory").stat().st_mode) == 0o750
    with fails(errno.ENOENT):
        os.chmod(first.path / "missing", 0o600)
    # An overwritten file keeps its mode.
    write_file(first.path / "755", b"new content")
    assert stat.S_IMODE((workdir.local / "755").stat().st_mode) == 0o755
    # A handle that is still open for writing.
    descriptor = os.open(first.path / "open", os.O_WRONLY | os.O_CREAT, 0o644)
    os.write(descriptor, b"data")
    os.fchmod(descriptor, 0o600)
    os.close(descriptor)
    assert stat.S_IMODE((workdir.local / "open").stat().st_mode) == 0o600
    first.unmount()
    second = mount(server, workdir.remote)
    for mode in modes:
        assert stat.S_IMODE((second.path / f"{mode:o}").stat().st_mode) == mode, "seen by a second mount"


def test_chown(mnt):
    write_file(mnt / "file", b"x")
    info = os.stat(mnt / "file")
    os.chown(mnt / "file", info.st_uid, info.st_gid)
    os.chown(mnt / "file", -1, -1)
    os.chown(mnt / "file", info.st_uid, -1)
    with fails(errno.EPERM):
        os.chown(mnt / "file", info.st_uid + 1, -1)
    with fails(errno.EPERM):
        os.chown(mnt / "file", -1, info.st_gid + 1)


def test_statvfs(mnt):
    answer = os.statvfs(mnt)
    assert answer.f_bsize > 0
    assert answer.f_blocks > 0
    assert answer.f_bfree <= answer.f_blocks
    assert answer.f_bavail > 0
    assert answer.f_namemax >= 255


def test_access(mnt):
    write_file(mnt / "file", b"x")
    os.chmod(mnt / "file", 0o644)
    assert os.access(mnt / "file", os.R_OK | os.W_OK)
    assert not os.access(mnt / "file", os.X_OK)
    os.chmod(mnt / "file", 0o755)
    assert os.access(mnt / "file", os.X_OK)
    assert not os.access(mnt / "missing", os.F_OK)


def test_truncate(mnt, workdir):
    write_file(mnt / "file", b"0123456789")
    for size, want in [(5, b"01234"), (8, b"01234\0\0\0"), (8, b"01234\0\0\0"), (0, b""), (3, b"\0\0\0")]:
        os.truncate(mnt / "file", size)
        assert (mnt / "file").stat().st_size == size
        assert (workdir.local / "file").read_bytes() == want
        assert (mnt / "file").read_bytes() == want
    os.truncate(mnt / "file", 1_000_003)
    assert (workdir.local / "file").read_bytes() == bytes(1_000_003)
    with fails(errno.ENOENT):
        os.truncate(mnt / "missing", 0)
    os.mkdir(mnt / "directory")
    with fails(errno.EISDIR):
        os.truncate(mnt / "directory", 0)


def test_open_flags(mnt, workdir):
    descriptor = os.open(mnt / "new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    os.write(descriptor, b"first")
    os.close(descriptor)
    open_fails(mnt / "new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, errno.EEXIST)
    assert (workdir.local / "new").read_bytes() == b"first"
    open_fails(mnt / "missing", os.O_RDONLY, errno.ENOENT)
    open_fails(mnt / "missing", os.O_WRONLY, errno.ENOENT)
    open_fails(mnt / "missing/file", os.O_WRONLY | os.O_CREAT, errno.ENOENT)
    open_fails(mnt, os.O_WRONLY, errno.EISDIR)
    open_fails(mnt / "new", os.O_RDONLY | os.O_DIRECTORY, errno.ENOTDIR)

    one = os.open(mnt / "new", os.O_WRONLY | os.O_APPEND)
    two = os.open(mnt / "new", os.O_WRONLY | os.O_APPEND)
    for number in range(5):
        os.write(one if number % 2 else two, f"-{number}".encode())
    os.close(one)
    os.close(two)
    assert (workdir.local / "new").read_bytes() == b"first-0-1-2-3-4"


def test_exclusive_create_of_a_file_that_another_client_made(mnt, server, workdir):
    """The directory was listed before that file was made: O_EXCL asks the server, not the cache."""
    assert os.listdir(mnt) == []
    (workdir.local / "theirs").write_bytes(b"theirs")
    server.give(workdir.local / "theirs")
    open_fails(mnt / "theirs", os.O_WRONLY | os.O_CREAT | os.O_EXCL, errno.EEXIST)
    assert (workdir.local / "theirs").read_bytes() == b"theirs"


def test_created_and_not_written(mnt, workdir):
    os.close(os.open(mnt / "empty", os.O_WRONLY | os.O_CREAT, 0o600))
    assert (workdir.local / "empty").read_bytes() == b""
    assert stat.S_IMODE((mnt / "empty").stat().st_mode) == 0o600
    write_file(mnt / "full", b"content")
    os.close(os.open(mnt / "full", os.O_WRONLY | os.O_TRUNC))
    assert (workdir.local / "full").read_bytes() == b""


def test_unlink_while_open(mnt, workdir):
    """The name is gone at once; the handle reads and writes on; nothing is left at the end."""
    write_file(mnt / "file", b"0123456789" * 1000)
    handles = [os.open(mnt / "file", os.O_RDWR), os.open(mnt / "file", os.O_RDONLY)]
    try:
        os.unlink(mnt / "file")
        with fails(errno.ENOENT):
            os.stat(mnt / "file")
        assert "file" not in os.listdir(mnt)
        assert os.pread(handles[0], 10, 5000) == b"0123456789"
        assert os.pread(handles[1], 10, 9990) == b"0123456789"
        assert os.pwrite(handles[0], b"abc", 20_000) == 3
        assert os.pread(handles[1], 5, 19_998) == b"\0\0abc"
        assert os.fstat(handles[0]).st_size == 20_003
        write_file(mnt / "file", b"a new file of this name")
        assert os.pread(handles[1], 10, 0) == b"0123456789"
    finally:
        for handle in handles:
            os.close(handle)
    assert (mnt / "file").read_bytes() == b"a new file of this name"
    wait_for(lambda: os.listdir(workdir.local) == ["file"], timeout=60, what="the unlinked file to be gone")
    wait_for(lambda: os.listdir(mnt) == ["file"], timeout=60, what="the unlinked file to be gone from the mount")
    assert (workdir.local / "file").read_bytes() == b"a new file of this name"


def test_renamed_over_while_open(mnt, workdir):
    write_file(mnt / "old", b"old" * 1000)
    write_file(mnt / "new", b"new")
    descriptor = os.open(mnt / "old", os.O_RDONLY)
    try:
        assert os.pread(descriptor, 3, 0) == b"old"
        os.rename(mnt / "new", mnt / "old")
        assert os.pread(descriptor, 3000, 0) == b"old" * 1000
        assert (mnt / "old").read_bytes() == b"new"
    finally:
        os.close(descriptor)
    assert (mnt / "old").read_bytes() == b"new"
    wait_for(lambda: os.listdir(workdir.local) == ["old"], timeout=60, what="only the new file to be left")


def test_renamed_while_open(mnt, workdir):
    """A handle follows its file, also when a directory above it is renamed."""
    os.mkdir(mnt / "d1")
    descriptor = os.open(mnt / "d1/a", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, b"one")
        os.rename(mnt / "d1/a", mnt / "d1/b")
        os.write(descriptor, b"two")
        os.fsync(descriptor)
        assert (workdir.local / "d1/b").read_bytes() == b"onetwo"
        os.rename(mnt / "d1", mnt / "d2")
        os.write(descriptor, b"three")
    finally:
        os.close(descriptor)
    assert (workdir.local / "d2/b").read_bytes() == b"onetwothree"
    assert (mnt / "d2/b").read_bytes() == b"onetwothree"
    assert os.listdir(workdir.local) == ["d2"]
    assert os.listdir(workdir.local / "d2") == ["b"]


def test_two_handles(mnt, workdir):
    """What one handle writes, the other reads, before anything is closed."""
    one = os.open(mnt / "file", os.O_RDWR | os.O_CREAT, 0o644)
    two = os.open(mnt / "file", os.O_RDWR)
    reader = os.open(mnt / "file", os.O_RDONLY)
    try:
        os.pwrite(one, b"from one", 0)
        assert os.pread(two, 100, 0) == b"from one"
        assert os.pread(reader, 100, 0) == b"from one"
        os.pwrite(two, b"two ", 5)
        assert os.pread(one, 100, 0) == b"from two "
        assert os.fstat(reader).st_size == 9
        os.ftruncate(one, 4)
        assert os.pread(reader, 100, 0) == b"from"
        os.fsync(two)
        os.fsync(one)
        assert (workdir.local / "file").read_bytes() == b"from"
        os.pwrite(two, b"!", 4)
    finally:
        os.close(one)
        os.close(two)
    try:
        assert os.pread(reader, 100, 0) == b"from!"
    finally:
        os.close(reader)
    assert (workdir.local / "file").read_bytes() == b"from!"


def test_reader_of_a_file_that_is_then_written(mnt, workdir):
    """A stream that was open before the first write gives the new bytes, not its old ones."""
    (workdir.local / "file").write_bytes(b"a" * 1_000_000)
    reader = os.open(mnt / "file", os.O_RDONLY)
    try:
        assert os.pread(reader, 10, 0) == b"a" * 10
        writer = os.open(mnt / "file", os.O_RDWR)
        try:
            os.pwrite(writer, b"b" * 10, 900_000)
            assert os.pread(reader, 20, 899_995) == b"a" * 5 + b"b" * 10 + b"a" * 5
        finally:
            os.close(writer)
        assert os.pread(reader, 20, 899_995) == b"a" * 5 + b"b" * 10 + b"a" * 5
    finally:
        os.close(reader)
    assert (workdir.local / "file").read_bytes() == b"a" * 900_000 + b"b" * 10 + b"a" * 99_990


def test_changes_on_the_server_appear(mount, server, workdir):
    """cache_ttl=1: names and attributes that another client changes are seen soon, without a remount."""
    path = mount(server, workdir.remote, "cache_ttl=1,negative_ttl=1").path
    (workdir.local / "stays").write_bytes(b"stays")
    wait_for(lambda: os.listdir(path) == ["stays"], timeout=60, what="a new file")
    with fails(errno.ENOENT):
        os.stat(path / "later")
    (workdir.local / "later").write_bytes(b"12345")
    wait_for(lambda: sorted(os.listdir(path)) == ["later", "stays"], timeout=60, what="a second file")
    wait_for(lambda: os.path.exists(path / "later"), timeout=60, what="the name that was missing before")
    assert (path / "later").stat().st_size == 5
    (workdir.local / "later").write_bytes(b"1234567")
    wait_for(lambda: (path / "later").stat().st_size == 7, timeout=60, what="the new size")
    (workdir.local / "later").unlink()
    wait_for(lambda: os.listdir(path) == ["stays"], timeout=60, what="a file to vanish")
    wait_for(lambda: not os.path.exists(path / "later"), timeout=60, what="its name to vanish")
    (workdir.local / "stays").rename(workdir.local / "moved")
    wait_for(lambda: os.listdir(path) == ["moved"], timeout=60, what="a rename")


@pytest.mark.parametrize("before,after", [(1000, 5000), (5000, 1000), (300_000, 200_000), (200_000, 300_000),
                                          (100_000, 100_000), (1000, 0), (0, 1000)])
def test_replaced_on_the_server(mount, server, workdir, before, after):
    """Close-to-open: an open after another client replaced the file reads the new one, whole, and none of the old."""
    old, new = b"o" * before, b"n" * after
    (workdir.local / "file").write_bytes(old)
    os.utime(workdir.local / "file", (OLD_TIME, OLD_TIME))
    path = mount(server, workdir.remote, "cache_ttl=1").path / "file"
    assert path.read_bytes() == old
    assert path.read_bytes() == old
    temporary = workdir.local / "temporary"
    temporary.write_bytes(new)
    os.replace(temporary, workdir.local / "file")
    replaced = time.monotonic()
    # Attributes may be a second old. After that the open alone must notice, without a look at the name before it.
    wait_for(lambda: time.monotonic() > replaced + 2, what="two seconds to pass")
    assert path.read_bytes() == new
    assert path.stat().st_size == after
    assert path.read_bytes() == new


def test_readdir(mnt, workdir):
    """A directory whose listing needs several replies to the kernel; entries are complete and unique."""
    names = [f"entry with a rather long name, number {number:04}" for number in range(1500)]
    (workdir.local / "many").mkdir()
    for number, name in enumerate(names):
        (workdir.local / "many" / name).write_bytes(b"x" * (number % 7))
    assert sorted(os.listdir(mnt / "many")) == names
    with os.scandir(mnt / "many") as entries:
        sizes = {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
    assert sizes == {name: number % 7 for number, name in enumerate(names)}
    descriptor = os.open(mnt / "many", os.O_RDONLY)
    try:
        assert sorted(os.listdir(descriptor)) == names
        assert sorted(os.listdir(descriptor)) == names, "rewinddir"
    finally:
        os.close(descriptor)


def test_directory_without_write_permission(mnt, server, workdir):
    """A directory that the server's user may not change: EACCES, and the rest of the mount goes on."""
    closed = workdir.local / "closed"
    closed.mkdir()
    (closed / "file").write_bytes(b"old")
    (closed / "open").write_bytes(b"old")
    server.give(closed)
    os.chmod(closed / "file", 0o444)
    os.chmod(closed, 0o555)
    try:
        with fails(errno.EACCES):
            os.mkdir(mnt / "closed/new")
        with fails(errno.EACCES):
            write_file(mnt / "closed/new", b"x")
        with fails(errno.EACCES):
            os.rename(mnt / "closed/file", mnt / "moved")
        with fails(errno.EACCES):
            os.unlink(mnt / "closed/file")
        with fails(errno.EACCES):
            write_file(mnt / "closed/file", b"new")
        # A file that may be written in a directory where no other name may be made: in place.
        write_file(mnt / "closed/open", b"new content")
        assert (closed / "open").read_bytes() == b"new content"
        assert (mnt / "closed/open").read_bytes() == b"new content"
        # What could not be uploaded is given up when the last handle is released, which close(2) does not wait for.
        wait_for(lambda: sorted(os.listdir(mnt / "closed")) == ["file", "open"], what="the refused new file to vanish")
        wait_for(lambda: (mnt / "closed/file").read_bytes() == b"old", what="the refused new content to vanish")
        assert (closed / "file").read_bytes() == b"old"
        assert sorted(os.listdir(closed)) == ["file", "open"]
        write_file(mnt / "elsewhere", b"x")
        assert (workdir.local / "elsewhere").read_bytes() == b"x"
    finally:
        os.chmod(closed, 0o755)


def test_directory_without_read_permission(mnt, server, workdir):
    closed = workdir.local / "closed"
    closed.mkdir()
    (closed / "file").write_bytes(b"x")
    (workdir.local / "secret").write_bytes(b"secret")
    server.give(workdir.local)
    os.chmod(closed, 0o000)
    os.chmod(workdir.local / "secret", 0o000)
    try:
        with fails(errno.EACCES):
            (mnt / "secret").read_bytes()
        assert sorted(os.listdir(mnt)) == ["closed", "secret"]
        with fails(errno.EACCES):
            write_file(mnt / "closed/new", b"x")
    finally:
        os.chmod(closed, 0o755)
        os.chmod(workdir.local / "secret", 0o644)


def test_status_attributes(mnt):
    assert os.getxattr(mnt, "user.ftpfs.status")
    # None of them is listed, so that no copying program takes them along.
    assert os.listxattr(mnt) == []
    with fails(errno.ENODATA, errno.ENOTSUP):
        os.getxattr(mnt, "user.ftpfs.no_such_attribute")
    with fails(errno.ENODATA, errno.ENOTSUP):
        os.getxattr(mnt, "user.other")
    for name in ("security.selinux", "system.posix_acl_access", "security.capability", "trusted.x"):
        with fails(errno.ENOTSUP):  # ls asks once for a mount then, and not once for a file
            os.getxattr(mnt, name)


def test_text_files_are_not_converted(mnt, workdir):
    """TYPE I: line ends and bytes above 127 pass both ways as they are."""
    content = bytes(range(256)) * 20 + b"\r\n\n\r\xff\xfe\r\n"
    (workdir.local / "in").write_bytes(content)
    assert (mnt / "in").read_bytes() == content
    write_file(mnt / "out", content)
    assert (workdir.local / "out").read_bytes() == content


def test_sizes_at_borders(mnt, workdir):
    sizes = (0, 1, 2, 4095, 4096, 4097, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073, 1_048_576, 3_000_001)
    contents = {size: os.urandom(size) for size in sizes}
    for size, content in contents.items():
        (workdir.local / f"in-{size}").write_bytes(content)
    for size, content in contents.items():
        with open(mnt / f"in-{size}", "rb") as file:
            assert file.read() == content, size
            assert file.read() == b""
        write_file(mnt / f"out-{size}", content)
        assert (workdir.local / f"out-{size}").read_bytes() == content, size


def test_random_reads(mnt, workdir):
    """Reads in every direction of one large file: no byte from another place."""
    content = os.urandom(4_000_000)
    (workdir.local / "file").write_bytes(content)
    with io.FileIO(mnt / "file") as file:
        size = len(content)
        places = [0, size - 10, size // 2, 5000, size - 70_000, 131_072, 131_071, size // 3, 1, size - 1, size,
                  size + 9]
        for offset in places + places[::-1]:
            for length in (1, 4096, 100_000):
                assert os.pread(file.fileno(), length, offset) == content[offset:offset + length], (offset, length)
        for offset in range(size - 65_536, 0, -400_000):
            assert os.pread(file.fileno(), 65_536, offset) == content[offset:offset + 65_536], offset
    assert (mnt / "file").read_bytes() == content
