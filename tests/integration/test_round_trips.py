# SPDX-License-Identifier: MIT
"""How many commands each operation costs, counted in the server's log. ARCHITECTURE.md has the table.

The limits are what is needed today, not what may come; the commands of a login do not count. A data connection costs
one more round trip, which no log shows.
"""

import os
import pathlib
import shutil
import subprocess

import pytest

from conftest import shared_server, target_named
from lib import run, wait_for
from servers.scripted import ScriptedServer, stall_in_data, stall_at_end

LOGIN = ("AUTH", "USER", "PASS", "PBSZ", "PROT", "PWD", "FEAT", "OPTS", "OPTS_UTF8", "SYST")
KINDS = ("vsftpd", "proftpd")


@pytest.fixture(params=KINDS)
def counted(request):
    return shared_server(target_named(request.param))


@pytest.fixture
def place(counted, request):
    """A directory of the server, with a few things in it."""
    top = counted.root / f"trips-{request.node.name.translate(str.maketrans('[]', '--'))}"
    (top / "dir").mkdir(parents=True)
    for name in ("dir/one", "dir/two", "dir/old"):
        (top / name).write_text("0123456789")
        os.utime(top / name, (1_600_000_000, 1_600_000_000))  # one of just now is read again
    for path in (top, *top.rglob("*")):
        counted.give(path)
    yield top
    shutil.rmtree(top, ignore_errors=True)


class Counter:
    def __init__(self, server):
        self.server = server
        self.seen = len(server.commands())

    def new(self, last=None):
        """The commands since the last call. `last`: the verb that is waited for, since some write their log late, with
        "*2" when it comes twice."""
        def fresh():
            return [line for line in self.server.commands()[self.seen:] if line.split(" ")[0] not in LOGIN]
        if last is not None:
            verb, _, times = last.partition("*")
            wait_for(lambda: sum(line.startswith(verb) for line in fresh()) >= int(times or 1),
                     what=f"{last} in {fresh()}")
        found = fresh()
        self.seen = len(self.server.commands())
        return found


def read(path):
    return pathlib.Path(path).read_bytes()


def exclusive(path):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))


def test_names(counted, place, mount):
    """Looking, making, renaming, removing."""
    mounted = mount(counted, place.name, "prefetch=off", "cache_ttl=3600")
    top = mounted.path
    count = Counter(counted)
    # what, the last verb (of vsftpd, ProFTPD), the most commands
    steps = [
        ("ls -l of the mount", lambda: run(["ls", "-l", top]), ("STAT", "MLSD"), (1, 3)),
        ("ls -l of a directory", lambda: run(["ls", "-l", top / "dir"]), ("STAT", "MLSD"), (1, 2)),
        ("ls -l again", lambda: run(["ls", "-l", top / "dir"]), None, (0, 0)),
        ("ls -lR", lambda: run(["ls", "-lR", top]), None, (0, 0)),
        ("stat of what is there", lambda: run(["stat", top / "dir/one"]), None, (0, 0)),
        ("stat of what is not", lambda: run(["stat", top / "dir/none"], check=False), None, (0, 0)),
        ("test -w", lambda: run(["test", "-w", top / "dir/one"]), None, (0, 0)),
        ("df", lambda: run(["df", top]), None, (0, 0)),
        ("mkdir", lambda: os.mkdir(top / "dir/new"), ("MKD", "MKD"), (1, 1)),
        ("ls of the new directory", lambda: os.listdir(top / "dir/new"), None, (0, 0)),
        ("mkdir -p", lambda: os.makedirs(top / "dir/new/a/b"), ("MKD", "MKD"), (2, 2)),
        ("rename", lambda: os.rename(top / "dir/one", top / "dir/1"), ("RNTO", "RNTO"), (2, 2)),
        ("rename over a file", lambda: os.rename(top / "dir/1", top / "dir/two"), ("RNTO", "RNTO"), (2, 2)),
        ("mv", lambda: run(["mv", top / "dir/two", top / "dir/2"]), ("RNTO", "RNTO"), (3, 3)),
        ("chmod", lambda: os.chmod(top / "dir/2", 0o600), ("SITE", "MFF"), (1, 1)),
        ("touch, at first", lambda: os.utime(top / "dir/2", (1, 1_500_000_000)), ("MDTM", "MFMT"), (2, 1)),
        ("touch", lambda: os.utime(top / "dir/2", (1, 1_400_000_000)), ("MDTM", "MFMT"), (1, 1)),
        ("ls -l after all that", lambda: run(["ls", "-lR", top]), None, (0, 0)),
        ("rm", lambda: os.unlink(top / "dir/2"), ("DELE", "DELE"), (1, 1)),
        ("rmdir", lambda: os.rmdir(top / "dir/new/a/b"), ("RMD", "RMD"), (1, 1)),
        ("rm -r", lambda: shutil.rmtree(top / "dir"), ("RMD", "RMD"), (4, 4)),
    ]
    kind = KINDS.index(counted.kind)
    for what, function, last, most in steps:
        function()
        sent = count.new(last[kind] if last else None)
        assert len(sent) <= most[kind], (what, sent)
    assert os.listdir(place) == []


def test_contents(counted, place, mount, tmp_path):
    """Reading and writing small files."""
    mounted = mount(counted, place.name, "prefetch=off", "cache_ttl=3600")
    top = mounted.path
    source = tmp_path / "source"
    source.write_text("abc")
    source.chmod(0o644)
    run(["ls", "-l", top / "dir"])
    count = Counter(counted)
    count.new()
    steps = [
        ("open and read", lambda: read(top / "dir/one"), ("RETR", "RETR"), (5, 4)),
        ("open and read again", lambda: read(top / "dir/one"), None, (2, 1)),
        ("cp of a new file", lambda: run(["cp", source, top / "dir/new"]), ("MDTM", "MLST*2"), (5, 4)),
        ("an exclusive new file", lambda: exclusive(top / "dir/lock"), ("MDTM", "MLST*2"), (5, 4)),
        ("it is there already", lambda: pytest.raises(FileExistsError, exclusive, top / "dir/lock"), None, (0, 0)),
        ("a new file", lambda: (top / "dir/more").write_text("abc"), ("MDTM", "MLST"), (4, 3)),
        ("an old one is replaced", lambda: (top / "dir/old").write_text("abcd"), ("RNTO", "RNTO"), (11, 8)),
    ]
    kind = KINDS.index(counted.kind)
    for what, function, last, most in steps:
        function()
        sent = count.new(last[kind] if last else None)
        assert len(sent) <= most[kind], (what, sent)
    assert {path.name for path in (place / "dir").iterdir()} == {"one", "two", "old", "new", "lock", "more"}


def test_deep(counted, mount):
    """A file 8 levels down, at a cold mount: 14 round trips where there is MLST, that of the data connection among
    them."""
    top = counted.root / "deep"
    shutil.rmtree(top, ignore_errors=True)
    directory = top.joinpath(*"abcdefgh")
    directory.mkdir(parents=True)
    (directory / "file").write_text("found")
    for path in (top, *top.rglob("*")):
        counted.give(path)
    mounted = mount(counted, "deep")
    count = Counter(counted)
    assert read(mounted.path.joinpath(*"abcdefgh", "file")) == b"found"
    sent = count.new("RETR")
    assert len(sent) + 1 <= (14 if counted.kind == "proftpd" else 15), sent


def test_find_costs_one_listing_a_directory(counted, mount):
    """STAT: one round trip each; MLSD: EPSV and MLSD, and the data connection between them."""
    top = counted.root / "walk"
    shutil.rmtree(top, ignore_errors=True)
    for number in range(30):
        (top / f"d{number}").mkdir(parents=True)
        (top / f"d{number}" / "file").touch()
    mounted = mount(counted, "walk", "connections=1")
    count = Counter(counted)
    found = run(["find", mounted.path, "-type", "f"]).stdout
    assert found.count("\n") == 30
    sent = count.new()
    wait_for(lambda: len(sent) >= 31 or sent.extend(count.new()), what=f"31 listings in {sent}")
    assert len(sent) <= (31 if counted.kind == "vsftpd" else 31 * 2 + 1), sent
    count.new()
    run(["find", mounted.path, "-ls"])
    assert count.new() == []


@pytest.mark.parametrize("facts", [True, False], ids=["MLSD", "STAT"])
def test_ls_does_not_wait_for_transfers(mount, tmp_path, facts):
    """While a download and an upload stand still, another directory is listed, on a session that no transfer has."""
    with ScriptedServer(list_self=True) as server:
        server.options = [f"spool={tmp_path}"]
        if not facts:
            server.features = ["UTF8", "SIZE", "MDTM", "REST STREAM", "EPSV", "EPRT"]
        server.tree.put("/down", bytes(5_000_000))
        server.tree.put("/dir/file", b"x")
        mounted = mount(server, "", "timeout=120", "retry=120", "connections=3", "prefetch=off", "streams=1")
        os.listdir(mounted.path)
        down = server.on("RETR", stall_in_data(100_000))
        up = server.on("STOR", stall_at_end())
        script = f"cat '{mounted.path}/down' >/dev/null & head -c 1000000 /dev/zero > '{mounted.path}/up' & wait"
        busy = subprocess.Popen(["bash", "-c", script], start_new_session=True)
        try:
            assert down.holding.wait(60) and up.holding.wait(60)
            assert os.listdir(mounted.path / "dir") == ["file"]
            (mounted.path / "dir" / "made").mkdir()
            assert os.listdir(mounted.path / "dir" / "made") == []
            assert not down.released.is_set() and not up.released.is_set()
        finally:
            down.release()
            up.release()
            assert busy.wait(60) == 0
        assert server.tree.content("/up") == bytes(1_000_000)
