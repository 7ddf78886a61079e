# SPDX-License-Identifier: MIT
"""Directories with very many names: whole, in bounded memory, in time that grows with them. The listing is made up by
the scripted server. FTPFS_MILLION=1 takes a million, too (some minutes)."""

import os
import pathlib
import re

import pytest

from lib import run
from servers.scripted import ScriptedServer
from test_hostile import UNDER_SANITIZER

BLOCK = 1000  # lines that are sent at once
COUNTS = (1_000, 10_000, 100_000, 1_000_000) if os.environ.get("FTPFS_MILLION") else (1_000, 20_000)


def name_of(number):
    return f"a-file-with-a-name-{number:07}.txt"


def lines(count, facts):
    """The listing of `count` files, in blocks; not in the order of names."""
    for begin in range(0, count, BLOCK):
        numbers = (number * 7919 % count for number in range(begin, min(begin + BLOCK, count)))
        if facts:
            yield b"".join(b"type=file;size=%d;modify=20200101000000;UNIX.mode=0644; %s\r\n"
                           % (number, name_of(number).encode()) for number in numbers)
        else:
            yield b"".join(b"-rw-r--r--   1 ftp      ftp      %10d Jan 01  2020 %s\r\n"
                           % (number, name_of(number).encode()) for number in numbers)


@pytest.fixture
def large(tmp_path):
    with ScriptedServer() as server:
        server.options = [f"spool={tmp_path}"]
        server.tree.put("/stream", bytes(64 << 20))
        yield server


def prepare(server, count, facts=True):
    path = f"/n{count}"
    server.tree.mkdir(path)
    (server.mlsd_raw if facts else server.list_raw)[path.encode()] = lambda: lines(count, facts)


def resident(mount):
    """MiB"""
    status = pathlib.Path(f"/proc/{mount.pid}/status").read_text("ascii")
    return int(re.search(r"VmRSS:\s*(\d+) kB", status).group(1)) / 1024


def cached_bytes(mount):
    return int(re.search(r"cache_bytes: (\d+)", os.getxattr(mount.path, "user.ftpfs.status").decode()).group(1))


def cpu(mount):
    """Seconds of the processor that ftpfs has used."""
    words = pathlib.Path(f"/proc/{mount.pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("facts", [True, False], ids=["MLSD", "LIST"])
def test_a_hundred_thousand(large, mount, facts):
    count = 100_000
    if not facts:
        large.features = ["UTF8", "SIZE", "MDTM", "REST STREAM", "EPSV"]
    prepare(large, count, facts)
    mounted = mount(large, "", "cache_ttl=3600")
    top = mounted.path / f"n{count}"
    before = cached_bytes(mounted)
    found = os.listdir(top)
    assert len(found) == count and set(found) == {name_of(number) for number in range(count)}
    assert cached_bytes(mounted) - before <= 200 * count
    large.clear_log()
    listed = run(["ls", "-l", top]).stdout.splitlines()
    assert len(listed) == count + 1
    assert listed[-1].split()[4] == str(count - 1) and listed[-1].endswith(name_of(count - 1))
    assert large.commands() == []
    assert run(["wc", "-c", mounted.path / "stream"]).stdout.split()[0] == str(64 << 20)
    if not UNDER_SANITIZER:
        assert resident(mounted) < 64


def test_many_changes_in_a_large_directory(large, mount):
    """Each costs what it costs, and not another listing, nor a copy of the old one."""
    count = 100_000
    prepare(large, count)
    mounted = mount(large, "", "cache_ttl=3600", "prefetch=off")
    top = mounted.path / f"n{count}"
    assert len(os.listdir(top)) == count
    large.clear_log()
    used = cpu(mounted)
    for number in range(300):
        (top / f"made{number}").mkdir()
        assert (top / f"made{number}").is_dir()
        assert not (top / f"none{number}").exists()
    assert large.count("MLSD") == 0
    assert len(large.commands()) == 300
    if not UNDER_SANITIZER:
        assert cpu(mounted) - used < 6  # a copy of the listing for each would be some 15 s
    assert len(os.listdir(top)) == count + 300


@pytest.mark.timeout(1200)
def test_growth(large, mount):
    """From a thousand names on: what one costs in time and memory stays the same."""
    costs = []
    for count in COUNTS:
        prepare(large, count)
        mounted = mount(large, "", "cache_ttl=3600")
        used, memory = cpu(mounted), resident(mounted)
        script = f"ls -lU '{mounted.path}/n{count}' | wc -l"
        assert run(["sh", "-c", script], timeout=600).stdout.strip() == str(count + 1)
        costs.append(((cpu(mounted) - used) / count * 1e6, (resident(mounted) - memory) * (1 << 20) / count))
        print(f"{count:8} names: {costs[-1][0]:.1f} us and {costs[-1][1]:.0f} bytes each, {resident(mounted):.0f} MiB")
        mounted.unmount()
    if not UNDER_SANITIZER:
        assert costs[-1][0] < 2 * costs[-2][0] + 10
        assert costs[-1][1] < 1.5 * costs[-2][1] + 100
