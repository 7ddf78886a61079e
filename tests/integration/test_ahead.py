# SPDX-License-Identifier: MIT
"""prefetch=on: directories that are listed, and small files that are fetched, before a program asks for them."""

import os
import subprocess
import time

import pytest

import lib
import netlab
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


# ---- Files ----

OLD = 1_500_000_000  # so long ago that no time of a listing is in doubt


def make_files(server, top, n, size=3000, mtime=OLD):
    """{name: bytes}"""
    top.mkdir(exist_ok=True)
    server.give(top)
    contents = {}
    for i in range(n):
        name = f"f{i:03}"
        contents[name] = os.urandom(size + i)
        put(server, top / name, contents[name], mtime)
    return contents


def put(server, path, data, mtime=OLD):
    path.write_bytes(data)
    os.utime(path, (mtime, mtime))
    server.give(path)


def retrieved(commands, name):
    """How often a file of this name was fetched."""
    return len([line for line in commands if line.split(" ")[0] == "RETR" and line.endswith("/" + name)])


def let_pass(seconds):
    """For what depends on nothing but the age of something."""
    end = time.monotonic() + seconds
    wait_for(lambda: time.monotonic() > end, what=f"{seconds} s")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def read_in_order(mounted, names, n=2):
    """Lists the directory and opens the first files of it in the order of their names."""
    os.listdir(mounted.path)
    return {name: read(mounted.path / name) for name in sorted(names)[:n]}


def wait_fetched(mounted, n):
    wait_for(lambda: counter(mounted, "prefetched_files") >= n, what=f"{n} files that were fetched ahead")


@pytest.mark.parametrize("order", ["name", "listing"])
def test_files_are_fetched_ahead(server, workdir, mount, order):
    contents = make_files(server, workdir.local, 20)
    before = len(server.commands())
    mounted = mount(server, workdir.remote)
    names = os.listdir(mounted.path)
    if order == "name":
        names.sort()
    found = {name: read(mounted.path / name) for name in names[:2]}
    if not is_single(server):
        wait_fetched(mounted, 3)
    found |= {name: read(mounted.path / name) for name in names[2:]}
    assert found == contents
    assert (counter(mounted, "prefetched_files_used") >= 3) == (not is_single(server))
    mounted.unmount()
    commands = server.commands()[before:]
    assert all(retrieved(commands, name) >= 1 for name in names)
    assert sum(retrieved(commands, name) for name in names) <= len(names) + 5  # where a busy machine makes it too late


@pytest.mark.tsan
@pytest.mark.parametrize("connections", [1, 2, 3, 10])
def test_many_readers_in_order(any_server, mount, connections):
    """Processes that share one list, and processes that have a part each; twice."""
    top = any_server.root / f"readers-{connections}"
    contents = make_files(any_server, top, 60)
    mounted = mount(any_server, top.name, f"connections={connections}")
    whole = b"".join(contents[name] for name in sorted(contents))
    for script in ("cat *", "ls | xargs -P 4 -n 1 cksum | sort", "ls | xargs -P 4 -n 15 cksum | sort", "cat *"):
        here = run(["bash", "-c", script + " | cksum"], cwd=mounted.path).stdout
        assert here == run(["bash", "-c", script + " | cksum"], cwd=top).stdout
    assert len(whole) == int(here.split()[1])


def test_copy_of_a_tree(server, workdir, mount, tmp_path):
    for i in range(4):
        make_files(server, workdir.local / f"d{i}", 10, size=20000 * i)
    (workdir.local / "d0/empty").touch()
    put(server, workdir.local / "d1/large", os.urandom(400_000))
    mounted = mount(server, workdir.remote)
    run(["cp", "-r", mounted.path, tmp_path / "copy"])
    assert lib.tree_digest(tmp_path / "copy") == lib.tree_digest(workdir.local)
    run(["grep", "-rc", "", mounted.path])
    assert lib.tree_digest(mounted.path) == lib.tree_digest(workdir.local)


def change_on_server(server, path, how):
    """Returns the new bytes."""
    if how == "other time":
        data = b"n" * path.stat().st_size
        put(server, path, data, OLD + 100_000)
    elif how == "other size":
        data = path.read_bytes() + b"more"
        put(server, path, data)
    else:
        data = bytes(255 - byte for byte in path.read_bytes())
        put(server, path, data, int(path.stat().st_mtime))
    return data


@pytest.mark.parametrize("how", ["other time", "other size", "same size and time"])
def test_changed_on_the_server_after_it_was_fetched(server, workdir, mount, how):
    """A change within the second of the last one is not to be seen in any listing. (The time lies ahead so that it is
    a recent one however long the test takes.)"""
    mtime = int(time.time()) + 600 if how == "same size and time" else OLD
    contents = make_files(server, workdir.local, 12, mtime=mtime)
    mounted = mount(server, workdir.remote)
    names = sorted(contents)
    read_in_order(mounted, names)
    if not is_single(server):
        wait_fetched(mounted, 3)
    for name in names[2:]:
        contents[name] = change_on_server(server, workdir.local / name, how)
    let_pass(1.05)
    assert {name: read(mounted.path / name) for name in names[2:]} == {name: contents[name] for name in names[2:]}


def test_own_changes(server, workdir, mount):
    """Files that were fetched ahead and are then written, removed, renamed, here."""
    contents = make_files(server, workdir.local, 14)
    mounted = mount(server, workdir.remote)
    names = sorted(contents)
    read_in_order(mounted, names)
    if not is_single(server):
        wait_fetched(mounted, 8)
    written, removed, renamed, target, cut = names[2:7]
    data = os.urandom(len(contents[written]))
    with open(mounted.path / written, "r+b") as file:
        file.write(data)
    os.truncate(mounted.path / cut, 10)
    os.unlink(mounted.path / removed)
    os.rename(mounted.path / renamed, mounted.path / target)
    assert read(mounted.path / written) == data
    assert read(mounted.path / cut) == contents[cut][:10]
    assert read(mounted.path / target) == contents[renamed]
    for name in (removed, renamed):
        with pytest.raises(FileNotFoundError):
            open(mounted.path / name, "rb")
    for name in names[7:]:
        assert read(mounted.path / name) == contents[name]
    mounted.unmount()
    assert (workdir.local / written).read_bytes() == data


def test_renamed_directory(any_server, mount):
    top = any_server.root / "moves"
    top.mkdir()
    contents = make_files(any_server, top / "a", 8)
    other = make_files(any_server, top / "b", 8)
    any_server.give(top)
    mounted = mount(any_server, top.name)
    names = sorted(contents)
    os.listdir(mounted.path / "a")
    for name in names[:2]:
        read(mounted.path / "a" / name)
    wait_fetched(mounted, 3)
    os.rename(mounted.path / "a", mounted.path / "c")
    os.rename(mounted.path / "b", mounted.path / "a")
    for name in names:
        assert read(mounted.path / "a" / name) == other[name]
        assert read(mounted.path / "c" / name) == contents[name]


def test_bounded(any_server, mount):
    """A sequence that stops leaves a few files in memory, and large ones are not fetched at all."""
    top = any_server.root / "bounded"
    contents = make_files(any_server, top, 100, size=200_000)
    put(any_server, top / "f002", os.urandom(300_000))
    before = len(any_server.commands())
    mounted = mount(any_server, top.name, "connections=4")
    read_in_order(mounted, contents)
    wait_fetched(mounted, 5)
    found = status(mounted)
    assert int(found["prefetched_files"]) <= 3 * 2
    assert int(found["prefetched_bytes"]) <= 3 * 2 * 256 * 1024
    mounted.unmount()
    assert retrieved(any_server.commands()[before:], "f002") == 0


def test_files_read_again(server, workdir, mount):
    """The kernel has them: their bytes are not sent again, and one listing tells of all that they have not changed. (A
    machine that is short of memory drops some pages.)"""
    contents = make_files(server, workdir.local, 20)
    mounted = mount(server, workdir.remote)
    assert {name: read(mounted.path / name) for name in sorted(os.listdir(mounted.path))} == contents
    wait_for(lambda: all(retrieved(server.commands(), workdir.remote + "/" + name) for name in contents),
             what="the server's log to have it all")
    before = len(server.commands())
    let_pass(1.1)
    assert {name: read(mounted.path / name) for name in sorted(contents)} == contents
    mounted.unmount()
    commands = server.commands()[before:]
    assert len([line for line in commands if line.split(" ")[0] == "RETR"]) <= len(contents) // 4
    # the first names may be looked at alone
    assert len([line for line in commands if line.split(" ")[0] in ("MLST", "SIZE", "MDTM")]) <= len(contents) // 2


def test_unmount_while_files_are_fetched(mount):
    """Work that nobody asked for holds nothing up, also when the wire is dead."""
    if netlab.missing():
        pytest.skip(netlab.missing())
    with netlab.Lab(rtt=20, rate=2_500_000) as lab, \
            servers.start("vsftpd", netns=lab.server.path, address=lab.server.address, port=21) as server:
        contents = make_files(server, server.root / "many", 60, size=200_000)
        mounted = mount(server, "many", "connections=8", wrapper=lab.client.prefix)
        read_in_order(mounted, contents)
        wait_for(lambda: len([line for line in server.commands() if line.startswith("RETR")]) >= 4, what="transfers")
        lab.wire.down()
        subprocess.run(["timeout", "60", "fusermount3", "-u", str(mounted.path)], check=True)
        mounted.wait_end(timeout=15)


def test_server_gone_and_back(mount):
    with servers.start("vsftpd") as server:
        contents = make_files(server, server.root / "many", 60, size=50_000)
        mounted = mount(server, "many")
        read_in_order(mounted, contents)
        wait_fetched(mounted, 2)
        server.stop()
        server.start()
        assert {name: read(mounted.path / name) for name in sorted(contents)} == contents
        mounted.unmount()


@pytest.mark.parametrize("clients", [1, 2, 3])
def test_files_with_few_clients_allowed(mount, clients):
    with servers.start("vsftpd", max_clients=clients) as server:
        contents = make_files(server, server.root / "many", 40)
        mounted = mount(server, "many")
        assert {name: read(mounted.path / name) for name in sorted(contents)} == contents
        mounted.unmount()
