# SPDX-License-Identifier: MIT
"""Reading: large files by several connections at once, small ones whole, files that grow while they are open."""

import hashlib
import os
import random
import time

import pytest

MIB = 1 << 20
PATIENCE = 60  # seconds


def put(path, size, seed):
    content = random.Random(seed).randbytes(size)
    path.write_bytes(content)
    path.chmod(0o644)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return content


def digest(path):
    found = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(MIB):
            found.update(piece)
    return found.hexdigest()


def retrievals(server):
    return sum(1 for line in server.commands() if line.upper().startswith("RETR"))


def test_forward(mount, workdir, server):
    content = put(workdir.local / "large", 20 * MIB + 321, "large")
    mounted = mount(server, workdir.remote)
    assert digest(mounted.path / "large") == hashlib.sha256(content).hexdigest()


def test_here_and_there(mount, workdir, server):
    content = put(workdir.local / "large", 20 * MIB, "there")
    mounted = mount(server, workdir.remote)
    draw = random.Random("offsets")
    descriptor = os.open(mounted.path / "large", os.O_RDONLY)
    try:
        for _ in range(40):
            offset = draw.randrange(len(content))
            assert os.pread(descriptor, 5000, offset) == content[offset:offset + 5000]
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("trouble", [False, True], ids=["good", "broken"])
def test_segments(mount, new_lab, trouble):
    """On a long wire a large file is fetched by several connections, also when the wire goes down in between."""
    lab = new_lab(rtt=70, rate=6e6)
    server = lab.start("vsftpd")
    content = put(server.root / "large", 16 * MIB + 99, "segments")
    mounted = mount(server, "", "read_ahead=1M", wrapper=lab.client.prefix)
    found = hashlib.sha256()
    with open(mounted.path / "large", "rb", buffering=0) as file:
        done = 0
        while piece := file.read(MIB // 2):
            found.update(piece)
            done += len(piece)
            if trouble and done == 6 * MIB:
                trouble = False
                lab.wire.down()
                time.sleep(0.5)
                lab.wire.up()
    assert found.hexdigest() == hashlib.sha256(content).hexdigest()
    assert retrievals(server) > 1


def test_whole(mount, any_server):
    """A small file that is read here and there is soon here whole, and read without a command."""
    path = any_server.root / "whole"
    content = put(path, 2 * MIB, "whole")
    try:
        mounted = mount(any_server, "")
        descriptor = os.open(mounted.path / "whole", os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
            draw = random.Random("whole")
            before, same = -1, 0
            limit = time.monotonic() + PATIENCE
            while same < 20:
                offset = draw.randrange(len(content))
                assert os.pread(descriptor, 4096, offset) == content[offset:offset + 4096]
                now = retrievals(any_server)
                same = same + 1 if now == before else 0
                before = now
                assert time.monotonic() < limit
        finally:
            os.close(descriptor)
    finally:
        path.unlink()


def test_growth(mount, workdir, server):
    """Who follows a file sees what others append to it, as with tail -f."""
    path = workdir.local / "log"
    path.write_bytes(b"one\n")
    path.chmod(0o644)
    mounted = mount(server, workdir.remote, "cache_ttl=3")
    with open(mounted.path / "log", "rb", buffering=0) as file:
        assert file.read() == b"one\n"
        for word in (b"two\n", b"three" * 10000 + b"\n"):
            with open(path, "ab") as there:
                there.write(word)
            got = b""
            limit = time.monotonic() + PATIENCE
            while len(got) < len(word):
                os.fstat(file.fileno())
                got += file.read()
                assert time.monotonic() < limit, f"{len(got)} of {len(word)} bytes came"
                time.sleep(0.1)
            assert got == word
