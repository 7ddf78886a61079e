# SPDX-License-Identifier: MIT
"""How directories are listed: MLSD where the server has it, else STAT on the control connection where it can be
believed, else LIST. What is asked for is seen in the server's log.
"""

import errno
import os
import shutil

import pytest

from conftest import shared_server, target_named
from servers.scripted import close, endless, half_reply, raw, reply
from test_hostile import assert_alive, errno_of, scripted  # noqa: F401

NO_FACTS = ["UTF8", "SIZE", "MDTM", "REST STREAM", "EPSV", "EPRT"]


class Log:
    """What a server is asked from now on, or since the last time."""

    def __init__(self, server):
        self.server = server
        self.seen = len(server.commands())

    def new(self, *verbs):
        commands = self.server.commands()
        found = [line for line in commands[self.seen:] if not verbs or line.split(" ")[0] in verbs]
        self.seen = len(commands)
        return found


def has_mlsd(server):
    return not server.target.startswith("vsftpd")


MANY = 1500


def fill(directory):
    """So many files that their lines are more than STAT can bring (300 KiB)."""
    for number in range(MANY):
        os.mknod(directory / f"file-{number:06}-".ljust(200, "x"))


def names(path):
    return sorted(os.listdir(path))


@pytest.fixture(params=["vsftpd", "vsftpd-tls"])
def stat_server(request):
    return shared_server(target_named(request.param))


@pytest.fixture
def large(stat_server, request):
    """A directory that is too large for STAT, below another one."""
    top = stat_server.root / request.node.name.translate(str.maketrans("[]", "--"))
    (top / "big").mkdir(parents=True)
    fill(top / "big")
    stat_server.give(top / "big")
    yield top / "big"
    shutil.rmtree(top)


def test_small_directories(mount, server, workdir):
    """One round trip each where there is no MLSD: no data connection is made."""
    for name in ("plain", "with blank", "uml\u00e4ut", "-a", "~", ".hidden", "a'b\"c"):
        (workdir.local / name / "sub").mkdir(parents=True)
        (workdir.local / name / "file").write_bytes(b"12345")
        (workdir.local / name / ".dot").touch()
    mounted = mount(server, workdir.remote, "prefetch=off")
    log = Log(server)
    for name in names(workdir.local):
        assert names(mounted.path / name) == [".dot", "file", "sub"]
        assert (mounted.path / name / "file").stat().st_size == 5
    if not has_mlsd(server):
        sent = log.new()
        assert len(sent) == 8, sent
        assert all(line.startswith("STAT -a /") for line in sent), sent
    else:
        assert log.new("LIST", "STAT") == []
    status = os.getxattr(mounted.path, "user.ftpfs.status").decode()
    assert ("listing: MLSD" if has_mlsd(server) else "listing: STAT") in status


def test_names_that_look_like_patterns(mount, server, workdir):
    """Such a directory is listed as no server takes for another one."""
    for name in ("a*", "a[b]", "a?", "ab", "{ab}", "back\\slash"):
        (workdir.local / name).mkdir()
        (workdir.local / name / f"in {name}").touch()
    mounted = mount(server, workdir.remote)
    for name in names(workdir.local):
        assert names(mounted.path / name) == [f"in {name}"]


def test_what_can_not_be_listed(mount, server, workdir):
    """A directory that may not be read, one that vanished, and a link to one."""
    (workdir.local / "closed").mkdir(mode=0o700)
    (workdir.local / "gone").mkdir()
    (workdir.local / "dir" / "sub").mkdir(parents=True)
    (workdir.local / "link").symlink_to("dir")
    mounted = mount(server, workdir.remote)
    assert names(mounted.path) == ["closed", "dir", "gone", "link"]
    (workdir.local / "gone").rmdir()
    assert errno_of(os.listdir, mounted.path / "closed") == errno.EACCES
    assert errno_of(os.listdir, mounted.path / "gone") == errno.ENOENT
    assert names(mounted.path / "link") == ["sub"]


def test_large_directory(mount, stat_server, large):
    """Its size in the listing above tells that STAT is not for it; no session is lost."""
    if large.stat().st_size < 65536:
        pytest.skip("this file system does not count names in the size of a directory")
    above = large.parent.name
    mounted = mount(stat_server, above, "connections=1")
    log = Log(stat_server)
    assert len(os.listdir(mounted.path / "big")) == MANY
    assert log.new("STAT", "LIST", "USER") == [f"STAT -a /{above}", f"LIST -a /{above}/big"]


def test_large_root(mount, stat_server, large):
    """Nothing tells that the mount's root is too large for STAT: that is found out once."""
    mounted = mount(stat_server, f"{large.parent.name}/big", "cache=off")
    log = Log(stat_server)
    for _ in range(2):
        assert len(os.listdir(mounted.path)) == MANY
    assert len(log.new("STAT")) == 1


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_name_that_ends_the_reply(mount, server, workdir, end):
    """A name with a line end and a reply code in it: the listing is whole all the same, and what is left of it is not
    taken for the replies to what comes next."""
    for name in ("before", f"m{end}213 End of status{end}213 5", f"n{end}213 End{end}200 ok{end}226 done", "zz"):
        (workdir.local / name).write_bytes(b"12345")
    (workdir.local / "dir").mkdir()
    (workdir.local / "dir" / "file").write_bytes(b"0123456789")
    mounted = mount(server, workdir.remote, "connections=1", "cache=off")
    for _ in range(2):
        found = names(mounted.path)
        assert {"before", "dir", "zz"} <= set(found)
        assert (mounted.path / "dir" / "file").stat().st_size == 10
        assert (mounted.path / "dir" / "file").read_bytes() == b"0123456789"
    assert errno_of(os.stat, mounted.path / "nothing") == errno.ENOENT


# Servers without MLSD that are odd.

def odd_server(scripted, **attributes):  # noqa: F811
    server = scripted(features=NO_FACTS, list_self=True, **attributes)
    for name in ("one", "two", ".dot"):
        server.tree.put(f"/dir/{name}", b"x" * 11)
    server.tree.mkdir("/empty")
    return server


def look(mounted):
    """All is there, whatever STAT says."""
    for _ in range(2):
        assert names(mounted.path / "dir") == [".dot", "one", "two"]
        assert (mounted.path / "dir" / "one").stat().st_size == 11
        assert names(mounted.path / "empty") == []
        assert errno_of(os.listdir, mounted.path / "nothing") == errno.ENOENT


def test_stat_lists(scripted, mount):  # noqa: F811
    server = odd_server(scripted)
    mounted = mount(server, "", "cache=off")
    look(mounted)
    assert server.count("STAT") > 0 and server.count("LIST") == 0
    assert_alive(mounted, server)


ODD = {
    "unknown": reply("502 not implemented"),
    "refused": reply("550 no"),
    "busy": reply("450 not now"),
    "the server's status": reply("211-FTP server status:\r\n     Connected to you\r\n211 End of status"),
    "nothing": reply("213-Status follows:\r\n213 End of status"),
    "the directory's own line": reply("213-Status follows:\r\ndrwxr-xr-x 2 ftp ftp 4096 Jan 01 2020 dir\r\n213 End"),
    "a file's line": reply("213-Status follows:\r\n-rw-r--r-- 1 ftp ftp 11 Jan 01 2020 one\r\n213 End"),
    "one line": reply("213 ok"),
}


@pytest.mark.parametrize("name", ODD)
def test_stat_that_is_no_listing(scripted, mount, name):  # noqa: F811
    """LIST is asked, and STAT then no more."""
    server = odd_server(scripted)
    server.on("STAT", ODD[name], times=None)
    mounted = mount(server, "", "cache=off", "timeout=10")
    look(mounted)
    assert server.count("STAT") == 1, server.commands()
    assert_alive(mounted, server)


BROKEN = {
    "closes": close(),
    "cut in half": half_reply("213-status\r\ndrwxr-xr-x 2 ftp ftp 4096 Jan 01 2020 .\r\n-rw-r--r-- 1 ftp ftp 11 Jan"),
    "endless lines": endless(b"213-status\r\n", b"-rw-r--r-- 1 ftp ftp 11 Jan 01 2020 x\r\n" * 100),
    "an endless line": endless(b"213-status\r\n"),
    "a second end": raw("213-status\r\ndrwxr-xr-x 2 ftp ftp 4096 Jan 01 2020 .\r\n213 end\r\n213 end\r\n"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_stat_that_breaks(scripted, mount, name):  # noqa: F811
    """Once, for one directory: all of it is listed all the same."""
    server = odd_server(scripted)
    mounted = mount(server, "", "timeout=10", "connect_timeout=10", "retry=30", "prefetch=off")
    assert names(mounted.path) == ["alive", "dir", "empty"]
    rule = server.on("STAT", BROKEN[name], match=rb"/dir")
    assert names(mounted.path / "dir") == [".dot", "one", "two"]
    assert rule.reached.is_set()
    assert names(mounted.path / "empty") == []
    assert_alive(mounted, server)


def test_list_command(scripted, mount):  # noqa: F811
    """Who says how to list is obeyed."""
    server = odd_server(scripted)
    mounted = mount(server, "", "list_command=LIST -al")
    os.listdir(mounted.path)
    assert server.commands("STAT") == []
    assert server.commands("LIST")[0].startswith("LIST -al")


def test_stat_of_one_name(mount, stat_server, large):
    """Whether a name is there is asked without listing a directory, however large it is."""
    mounted = mount(stat_server, f"{large.parent.name}/big", "connections=1")
    assert len(os.listdir(mounted.path)) == MANY
    log = Log(stat_server)
    for number in range(3):
        descriptor = os.open(mounted.path / f"new{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        os.close(descriptor)
    assert log.new("LIST", "USER") == []
    assert (large / "new2").exists()
    (large / "made there").touch()
    with pytest.raises(FileExistsError):
        os.open(mounted.path / "made there", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    assert log.new("LIST", "USER") == []
