# SPDX-License-Identifier: MIT
"""prefetch=on: directories that are listed, and small files that are fetched, before a program asks for them."""

import os

import pytest

import lib
import servers
from lib import run, wait_for


def status(mounted):
    """{"sessions": "2 open, ...", "prefetched_listings": "3", ...}"""
    text = os.getxattr(mounted.path, "user.ftpfs.status").decode()
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def counter(mounted, name):
    return int(status(mounted)[name])


def is_single(server):
    return "connections=1" in server.options


def make_directories(server, top, n, files=2):
    for i in range(n):
        directory = top / f"d{i:03}"
        directory.mkdir()
        for j in range(files):
            (directory / f"f{j}").write_text(f"{i} {j}\n")
    server.give(top)
    for path, directories, names in os.walk(top):
        for name in directories + names:
            server.give(os.path.join(path, name))


def listings(commands, directory):
    """The commands that listed a directory with this name."""
    return [line for line in commands if line.split(" ")[0] in ("MLSD", "LIST", "STAT", "NLST")
            and line.rstrip("/").endswith("/" + directory)]


# ---- Directories ----

def test_directories_are_listed_ahead(server, workdir, mount):
    make_directories(server, workdir.local, 20)
    before = len(server.commands())
    mounted = mount(server, workdir.remote)
    assert len(os.listdir(mounted.path)) == 20
    for name in ("d003", "d004"):
        assert sorted(os.listdir(mounted.path / name)) == ["f0", "f1"]
    if not is_single(server):
        wait_for(lambda: listings(server.commands()[before:], "d005") and counter(mounted, "prefetched_listings") >= 3,
                 what="listings ahead")
    for i in range(5, 20):
        assert sorted(os.listdir(mounted.path / f"d{i:03}")) == ["f0", "f1"]
    assert (counter(mounted, "prefetched_listings_used") >= 3) == (not is_single(server))
    mounted.unmount()
    commands = server.commands()[before:]
    for i in range(5, 20):  # none was asked for twice (an option that is tried out is no second time)
        assert len({line.split(" ")[0] for line in listings(commands, f"d{i:03}")}) == 1
        assert len(listings(commands, f"d{i:03}")) == len(set(listings(commands, f"d{i:03}")))


def test_one_directory_alone_is_nothing_ahead(server, workdir, mount):
    make_directories(server, workdir.local, 6)
    before = len(server.commands())
    mounted = mount(server, workdir.remote)
    names = os.listdir(mounted.path)
    one = next(name for name in names[1:] if name != min(names))  # first in no order
    for _ in range(3):
        os.listdir(mounted.path / one)
    assert counter(mounted, "prefetched_listings") == 0
    mounted.unmount()
    for name in names:
        assert bool(listings(server.commands()[before:], name)) == (name == one)


@pytest.mark.parametrize("option", ["prefetch=off", "connections=1", "cache=off", "cache_ttl=0"])
def test_nothing_ahead_when_it_is_off(any_server, mount, option):
    top = any_server.root / f"off-{option}"
    top.mkdir()
    make_directories(any_server, top, 8)
    mounted = mount(any_server, top.name, option)
    run(["find", "."], cwd=mounted.path)
    run(["bash", "-c", "cat */*"], cwd=mounted.path)
    found = status(mounted)
    assert found["prefetched_listings"] == "0"
    assert found["prefetched_files"] == "0"
    if option == "connections=1":
        assert found["logins"] == "1"


def test_a_walk_that_stops_leaves_little(any_server, mount):
    top = any_server.root / "stops"
    top.mkdir()
    make_directories(any_server, top, 200, files=0)
    before = len(any_server.commands())
    mounted = mount(any_server, top.name, "connections=4")
    os.listdir(mounted.path)
    for i in range(3):
        os.listdir(mounted.path / f"d{i:03}")
    wait_for(lambda: counter(mounted, "prefetched_listings") >= 3, what="listings ahead")
    mounted.unmount()
    commands = any_server.commands()[before:]
    asked = sum(bool(listings(commands, f"d{i:03}")) for i in range(3, 200))
    assert asked <= 3 * 2 + 3


@pytest.mark.tsan
@pytest.mark.parametrize("connections", [2, 3, 10])
def test_walks_see_all(any_server, mount, connections):
    """Several at once, in both orders, down and across; nothing is missing, twice or invented."""
    top = any_server.root / f"walks-{connections}"
    top.mkdir()
    make_directories(any_server, top, 8)
    for i in range(8):
        make_directories(any_server, top / f"d{i:03}", 5)
    mounted = mount(any_server, top.name, f"connections={connections}")
    script = "for i in 1 2 3; do find . -type f > /dev/null & ls -lR > /dev/null & done; find . | sort; wait"
    found = run(["bash", "-c", script], cwd=mounted.path).stdout
    assert found == run(["bash", "-c", "find . | sort"], cwd=top).stdout


def test_few_clients_allowed(mount):
    """The sessions that are opened ahead are refused: nobody else notices."""
    with servers.start("vsftpd", max_clients=2) as server:
        make_directories(server, server.root, 20)
        mounted = mount(server)
        found = run(["bash", "-c", "ls -R . | sort"], cwd=mounted.path).stdout
        assert found == run(["bash", "-c", "ls -R . | sort"], cwd=server.root).stdout
        assert lib.tree_digest(mounted.path) == lib.tree_digest(server.root)
        mounted.unmount()
