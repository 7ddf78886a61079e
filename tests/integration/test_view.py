# SPDX-License-Identifier: MIT
"""How what the server tells is shown: names in its charset, times in its zone, owners and modes, symbolic links, free
space, and the URL of a file.
"""

import os
import shutil
import stat
import time
import urllib.parse

import pytest

import servers
from lib import run
from servers.scripted import ScriptedServer, reply
from test_mount import workdir_any  # noqa: F401

# Letters of the charset, and bytes that stand for nothing in it or are no UTF-8.
CHARSETS = {
    "ISO-8859-1": [("gr\u00fc\u00dfe", b"gr\xfc\xdfe"), ("caf\u00e9", b"caf\xe9")],
    "CP1251": [("\u0416\u0443\u043a", b"\xc6\xf3\xea"), (None, b"hole \x98 in it")],
    "SHIFT_JIS": [("\u65e5\u672c", b"\x93\xfa\x96\x7b"), (None, b"half \x93"), (None, b"\xff\xfe")],
    "UTF-8": [("gr\u00fc\u00dfe", "gr\u00fc\u00dfe".encode()), (None, b"latin \xfc\xdf"), (None, b"\xff\xfe\x80")],
}


def listed(path):
    return sorted(os.listdir(os.fsencode(path)))


@pytest.mark.targets("proftpd", "pureftpd")
@pytest.mark.parametrize("charset", CHARSETS)
def test_charset(mount, server, workdir, charset):
    """Letters are shown as such; a name that is none in this charset is shown in some way, by which it can be used, and
    keeps its bytes. Both when the server has made the name and when we send it back."""
    # To ProFTPD the byte 255 is telnet's IAC, which no client doubles as RFC 854 has it.
    names = [pair for pair in CHARSETS[charset] if server.kind != "proftpd" or b"\xff" not in pair[1]]
    disk = os.fsencode(workdir.local)
    for _, raw in names:
        with open(os.path.join(disk, raw), "wb") as file:
            file.write(raw)
        os.mkdir(os.path.join(disk, b"dir " + raw))
    server.give(workdir.local)
    mounted = mount(server, workdir.remote, f"charset={charset}")
    top = os.fsencode(mounted.path)
    shown = listed(mounted.path)
    assert len(shown) == 2 * len(names)
    for local, _ in names:
        assert local is None or local.encode() in shown, (local, shown)
    content = {}
    for name in shown:
        path = os.path.join(top, name)
        if os.path.isdir(path):
            with open(os.path.join(path, b"inner"), "wb") as file:
                file.write(b"inner")
        else:
            with open(path, "rb") as file:
                content[name] = file.read()
            with open(path, "ab") as file:
                file.write(b"+")
    assert sorted(content.values()) == sorted(raw for _, raw in names)
    for _, raw in names:
        with open(os.path.join(disk, raw), "rb") as file:
            assert file.read() == raw + b"+"
        assert os.listdir(os.path.join(disk, b"dir " + raw)) == [b"inner"]
    # Away and back again: the bytes on the server are the same.
    for name in content:
        os.rename(os.path.join(top, name), os.path.join(top, b"plain"))
        os.rename(os.path.join(top, b"plain"), os.path.join(top, name))
    assert sorted(os.listdir(disk)) == sorted([raw for _, raw in names] + [b"dir " + raw for _, raw in names])
    # A new name: the letters are sent in the charset, and a letter that is not in it is refused or kept, never lost.
    for local, raw in names:
        if local:
            with open(os.path.join(top, f"new {local}".encode()), "wb"):
                pass
            assert os.path.exists(os.path.join(disk, b"new " + raw))
    for name in content:
        os.unlink(os.path.join(top, name))
    assert not set(os.listdir(disk)) & {raw for _, raw in names}


# Times.

@pytest.fixture
def far_server():
    """pyftpdlib whose listings are in the time of a zone nine hours ahead."""
    with servers.start("pyftpdlib", time_zone="JST-9", settings={"use_gmt_times": False}) as started:
        yield started


@pytest.mark.parametrize("zone, ahead", [("+09:00", 9), ("UTC", 0), (None, 0)])
def test_times_of_listings(mount, far_server, zone, ahead):
    """LIST has minutes, in the server's zone: timezone= makes of them the time that it was."""
    when = int(time.time()) // 60 * 60 - 40 * 86400
    (far_server.root / "file").touch()
    os.utime(far_server.root / "file", (when, when))
    mounted = mount(far_server, "", "listing=list", *([f"timezone={zone}"] if zone else []))
    assert int((mounted.path / "file").stat().st_mtime) == when + (9 - ahead) * 3600


# Owners and modes.

@pytest.mark.targets("vsftpd", "proftpd", "pureftpd", "pyftpdlib")
def test_owners_of_the_server(mount, server, workdir):
    """Numbers of MLSD's UNIX facts, or of LIST; the mode is the server's, too."""
    for name, mode in (("file", 0o640), ("program", 0o755)):
        (workdir.local / name).write_bytes(b"x")
        (workdir.local / name).chmod(mode)
        os.chown(workdir.local / name, 4321, 5432)
    ours = mount(server, workdir.remote)
    info = (ours.path / "file").stat()
    assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (os.getuid(), os.getgid(), 0o640)
    theirs = mount(server, workdir.remote, "uid=server", "gid=server", "fmask=04")
    info = (theirs.path / "file").stat()
    assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (4321, 5432, 0o640)
    info = (theirs.path / "program").stat()
    assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (4321, 5432, 0o751)
    mixed = mount(server, workdir.remote, "uid=server", "gid=7")
    info = (mixed.path / "file").stat()
    assert (info.st_uid, info.st_gid) == (4321, 7)


def test_owners_that_are_not_told(mount):
    """The caller's, or what else was said."""
    with ScriptedServer() as server:
        server.tree.put("/file", b"x")
        info = (mount(server, "", "uid=server", "gid=server").path / "file").stat()
        assert (info.st_uid, info.st_gid) == (os.getuid(), os.getgid())
        info = (mount(server, "", "uid=3", "uid=server").path / "file").stat()
        assert (info.st_uid, info.st_gid) == (3, os.getgid())


# Symbolic links.

@pytest.mark.targets("vsftpd", "proftpd", "pureftpd")
def test_symbolic_links(mount, server, workdir):
    """Shown as they are; their absolute targets made to stay inside the mount; or followed."""
    (workdir.local / "dir" / "sub").mkdir(parents=True)
    (workdir.local / "dir" / "file").write_bytes(b"content")
    top = f"/{workdir.remote}"
    links = {"relative": "dir/file", "to dir": "dir", "absolute": f"{top}/dir/file", "dir/sub/up": f"{top}/dir",
             "outside": "/elsewhere"}
    for name, target in links.items():
        (workdir.local / name).symlink_to(target)

    shown = mount(server, workdir.remote, "listing=list")  # of MLSD only some servers tell links
    assert {name: os.readlink(shown.path / name) for name in links} == links

    inside = mount(server, workdir.remote, "listing=list", "transform_symlinks")
    assert {name: os.readlink(inside.path / name) for name in links} == {
        **links, "absolute": "dir/file", "dir/sub/up": "../../dir"}
    for name in ("relative", "absolute", "to dir/file", "dir/sub/up/file"):
        assert (inside.path / name).read_bytes() == b"content", name

    followed = mount(server, workdir.remote, "listing=list", "symlinks=off")
    for name in ("relative", "absolute"):
        assert stat.S_ISREG(os.lstat(followed.path / name).st_mode), name
        assert (followed.path / name).read_bytes() == b"content", name
    for name in ("to dir", "dir/sub/up"):
        assert stat.S_ISDIR(os.lstat(followed.path / name).st_mode), name
        assert sorted(os.listdir(followed.path / name)) == ["file", "sub"], name


# Free space.

@pytest.mark.parametrize("answer, free", [
    ("213 123456789", 123456789 // 4096), ("213 0", 0), ("213 3298534883328", 3 << 28),
    ("213 much", 1 << 28), ("550 no", 1 << 28), (None, 1 << 28),
])
def test_free_space(mount, answer, free):
    """What AVBL tells; else, as documented, a fixed TiB that is free."""
    with ScriptedServer() as server:
        if answer:
            server.features = [*server.features, "AVBL"]
            server.on("AVBL", reply(answer), times=None)
        found = os.statvfs(mount(server).path)
        assert found.f_bavail == found.f_bfree == free
        assert (found.f_bsize, found.f_blocks) == (4096, max(free, 1 << 28))
        assert server.count("AVBL") == bool(answer)


# The URL of a file.

@pytest.mark.targets("vsftpd", "proftpd-tls", "pureftpd", "pyftpdlib")
def test_url(mount, server, workdir):
    """Each name has its own, which leads to it; no password is in it."""
    names = ["file", "two words", "100% #1?;type=i", "gr\u00fc\u00dfe", "a'b\"c", "~x"]
    (workdir.local / "d 1").mkdir()
    for name in names:
        (workdir.local / "d 1" / name).write_bytes(name.encode())
    server.give(workdir.local / "d 1")
    mounted = mount(server, workdir.remote)

    def url(name):
        return os.getxattr(mounted.path / name, "user.ftpfs.url").decode()

    base = f"ftp://{server.user}@{server.host}:{server.port}/%2F{workdir.remote}"
    assert url("") == base
    assert url("d 1") == f"{base}/d%201"
    for name in names:
        assert url(f"d 1/{name}") == f"{base}/d%201/" + urllib.parse.quote(name, safe="~")
    login = url("d 1").replace("@", f":{urllib.parse.quote(server.password, safe='')}@", 1)
    there = mount(server, source=login)
    assert {name: (there.path / name).read_bytes().decode() for name in os.listdir(there.path)} == \
        {name: name for name in names}
    if not server.tls and shutil.which("curl"):
        for name in names:
            got = run(["curl", "-sS", "--globoff", "-u", f"{server.user}:{server.password}", url(f"d 1/{name}")])
            assert got.stdout == name


def test_url_in_the_charset_of_the_server(mount, any_server, workdir_any):  # noqa: F811
    with open(os.fsencode(workdir_any.local) + b"/gr\xfc\xdfe", "wb"):
        pass
    mounted = mount(any_server, workdir_any.remote, "charset=ISO-8859-1")
    shown = os.getxattr(mounted.path / "gr\u00fc\u00dfe", "user.ftpfs.url").decode()
    assert shown.endswith("/gr%FC%DFe")
