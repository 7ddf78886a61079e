# SPDX-License-Identifier: MIT
"""Names that shells, URLs, listings and FTP commands could take for something else.

Each name must arrive at the server byte for byte, be listed byte for byte, and be usable in every operation. All names
of a group run in one test, on one mount, and every failure is listed, so that a failing target shows its whole picture.
"""

import errno
import ftplib
import os
import ssl

import pytest

from lib import wait_for

NAMES = [
    "two words", "three  blanks   apart", "100%", "50%25", "%41", "%2F", "#hash", "a#b", "what?", "a?b=c&d",
    "x;type=a", "x;type=i;", "semi;colon", "'single'", '"double"', 'two "" quotes', "back\\slash",
    "back\\\\slashes", "\\", "[brackets]", "[a-z]", "{braces}", "{a,b}", "*", "a*b", "**", "?", "-dash", "-a",
    "-la", "--", "--help", "a -> b", "-> x", "~", "~root", "~ftp", "a~", ".hidden", "..two dots", "...", ".a.",
    "a:b", "C:", "user@host", "ftp:", "$HOME", "`id`", "$(id)", "a|b", "a>b", "a<b", "&", "!", "a,b", "a=b",
    "+plus+", "^caret", "total 12", "drwxr-xr-x", "type=dir; x", "200 OK", "226", "DELE x", "gr\u00fc\u00dfe",
    "e\u0301 combining", "\u65e5\u672c\u8a9e", "\U0001f4c1 folder", "\u0416\u0443\u043a", "\u202ertl", "x" * 255,
    "\u00fc" * 127 + "x", "y" * 250 + ".text",
]
BLANK_NAMES = [" leading", "trailing ", " both ", "  two leading", "two trailing  ", " ", "   ", " -> ", " .", ". "]

# What a server itself can't do with a name, told by its own replies on the bare control connection:
# test_limits_of_servers proves each entry, so that none outlives its reason, and demands that the mount says so by an
# error and stores nothing under another name.
BACKSLASHES = ["back\\slash", "back\\\\slashes", "\\"]
NO_SUCH_NAME = {
    # 553 Prohibited file name.
    "pureftpd": BACKSLASHES,
}
NOT_TO_BE_MADE = {
    # STOR, MKD and RNTO make each blank at the end a "_".
    "pureftpd": ["trailing ", " both ", "two trailing  ", " ", "   ", " -> ", ". "],
}
NO_DIRECTORY = {
    # 550 Invalid directory name, of MKD only.
    "proftpd": ["*", "a*b", "**"],
}


def names_for(kind, names, *limits):
    """`names` without those that the server can't do."""
    out = {name for limit in limits for name in limit.get(kind, [])}
    return [name for name in names if name not in out]


@pytest.fixture
def mnt(mount, server, workdir):
    return mount(server, workdir.remote).path


def on_disk(directory):
    return sorted(os.listdir(os.fsencode(str(directory))))


def listed(directory):
    return sorted(os.listdir(os.fsencode(str(directory))))


def raw_login(server):
    """A bare control connection; the encoding carries any byte."""
    if server.tls:
        context = ssl.create_default_context(cafile=str(server.cafile))
        context.check_hostname = False
        ftp = ftplib.FTP_TLS(context=context, encoding="utf-8", timeout=60)
    else:
        ftp = ftplib.FTP(encoding="utf-8", timeout=60)
    ftp.connect(server.host, server.port)
    ftp.login(server.user, server.password)
    return ftp


def for_each(names, check):
    """Run `check` for each name; collect what fails."""
    failures = []
    for name in names:
        try:
            check(name)
        except (OSError, AssertionError) as error:
            failures.append(f"{name!r}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
    assert not failures, f"{len(failures)} of {len(names)} names failed:\n" + "\n".join(failures)


@pytest.mark.parametrize("group", ["plain", "blanks"])
def test_files(mnt, server, workdir, group):
    names = names_for(server.kind, NAMES if group == "plain" else BLANK_NAMES, NO_SUCH_NAME, NOT_TO_BE_MADE)

    def create(name):
        (mnt / name).write_bytes(name.encode())
        assert (workdir.local / name).read_bytes() == name.encode(), "content on the server's disk"

    for_each(names, create)
    want = sorted(os.fsencode(name) for name in names)
    assert on_disk(workdir.local) == want
    assert listed(mnt) == want

    def use(name):
        path = mnt / name
        assert path.read_bytes() == name.encode(), "read"
        assert path.stat().st_size == len(name.encode()), "stat"
        os.chmod(path, 0o600)
        assert (workdir.local / name).stat().st_mode & 0o777 == 0o600, "chmod"
        os.utime(path, (1_500_000_000, 1_500_000_000))
        assert int((workdir.local / name).stat().st_mtime) == 1_500_000_000, "utime"
        with open(path, "ab") as file:
            file.write(b"+more")
        assert (workdir.local / name).read_bytes() == name.encode() + b"+more", "append"
        os.rename(path, mnt / "plain")
        assert (workdir.local / "plain").exists() and not (workdir.local / name).exists(), "rename away"
        os.rename(mnt / "plain", path)
        assert not (workdir.local / "plain").exists() and (workdir.local / name).exists(), "rename back"

    for_each(names, use)
    assert on_disk(workdir.local) == want
    for_each(names, lambda name: os.unlink(mnt / name))
    wait_for(lambda: on_disk(workdir.local) == [], timeout=60, what="the removed files to be gone from the server")
    wait_for(lambda: listed(mnt) == [], timeout=60, what="the removed files to be gone from the mount")


@pytest.mark.parametrize("group", ["plain", "blanks"])
def test_directories(mnt, server, workdir, group):
    names = names_for(server.kind, NAMES if group == "plain" else BLANK_NAMES, NO_SUCH_NAME, NOT_TO_BE_MADE,
                      NO_DIRECTORY)

    def create(name):
        os.mkdir(mnt / name)
        assert (workdir.local / name).is_dir()

    for_each(names, create)
    want = sorted(os.fsencode(name) for name in names)
    assert on_disk(workdir.local) == want
    assert listed(mnt) == want

    def use(name):
        path = mnt / name
        assert listed(path) == []
        (path / "inner file").write_bytes(b"inner")
        assert (workdir.local / name / "inner file").read_bytes() == b"inner"
        assert listed(path) == [b"inner file"]
        with pytest.raises(OSError) as caught:
            os.rmdir(path)
        assert caught.value.errno == errno.ENOTEMPTY
        os.mkdir(path / name)
        assert sorted(listed(path)) == sorted([b"inner file", os.fsencode(name)])
        (path / name / "leaf").write_bytes(b"leaf")
        assert (workdir.local / name / name / "leaf").read_bytes() == b"leaf"
        os.unlink(path / name / "leaf")
        os.rmdir(path / name)
        os.rename(path, mnt / "plain")
        assert (mnt / "plain/inner file").read_bytes() == b"inner"
        os.unlink(mnt / "plain/inner file")
        os.rename(mnt / "plain", path)
        os.rmdir(path)
        assert not (workdir.local / name).exists()

    for_each(names, use)
    assert on_disk(workdir.local) == []


def test_names_made_on_the_server(mount, server, workdir):
    """Names that this client did not make itself: the listing alone tells them."""
    names = names_for(server.kind, NAMES + BLANK_NAMES, NO_SUCH_NAME)
    for number, name in enumerate(names):
        if number % 2:
            (workdir.local / name).write_bytes(name.encode())
        else:
            (workdir.local / name).mkdir()
            (workdir.local / name / "inner").write_bytes(b"inner")
    server.give(workdir.local)
    path = mount(server, workdir.remote).path
    assert listed(path) == on_disk(workdir.local)

    def use(name):
        if (workdir.local / name).is_dir():
            assert listed(path / name) == [b"inner"]
            assert (path / name / "inner").read_bytes() == b"inner"
        else:
            assert (path / name).read_bytes() == name.encode()

    for_each(names, use)


def test_names_made_on_the_server_straight_access(mount, server, workdir):
    """The same without a listing before: the first thing that the mount hears is the name."""
    names = names_for(server.kind, NAMES[::3] + BLANK_NAMES[::3], NO_SUCH_NAME)
    for name in names:
        (workdir.local / name).mkdir()
        (workdir.local / name / name).write_bytes(name.encode())
    path = mount(server, workdir.remote).path

    def use(name):
        assert (path / name / name).read_bytes() == name.encode()
        with pytest.raises(FileNotFoundError):
            os.stat(path / name / (name[:200] + "x"))

    for_each(names, use)


def test_root_of_the_mount(mount, server, workdir):
    """SOURCE's own path holds such names."""
    for name in ["two words", "100% #1?", "~root", "[a]*", "x;type=a", "gr\u00fc\u00dfe", "-la"]:
        (workdir.local / name).mkdir()
        (workdir.local / name / "file").write_bytes(name.encode())
        server.give(workdir.local / name)
        mounted = mount(server, f"{workdir.remote}/{name}")
        assert os.listdir(mounted.path) == ["file"], name
        assert (mounted.path / "file").read_bytes() == name.encode(), name
        (mounted.path / "new").write_bytes(b"new")
        assert (workdir.local / name / "new").read_bytes() == b"new", name
        mounted.unmount()


def test_line_ends_in_names(mnt, server, workdir):
    """CR and LF would end a command: EINVAL, and nothing reaches the server."""
    (mnt / "victim").write_bytes(b"victim")
    (mnt / "directory").mkdir()
    for name in ["a\rb", "a\nb", "a\r\nDELE victim", "x\nDELE victim\n", "\r", "\n", "\r\n", "victim\r", "victim\n",
                 "x\r\nMKD EVIL", "x\nSITE CHMOD 000 victim"]:
        refused = [
            lambda path: os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)),
            os.mkdir,
            lambda path: os.rename(mnt / "victim", path),
            lambda path: os.rename(mnt / "directory", path),
        ]
        for number, operation in enumerate(refused):
            with pytest.raises(OSError) as caught:
                operation(mnt / name)
            assert caught.value.errno == errno.EINVAL, (name, number)
        for operation in (os.stat, os.unlink, os.rmdir, os.listdir, lambda path: os.chmod(path, 0o600)):
            with pytest.raises(OSError) as caught:
                operation(mnt / name)
            assert caught.value.errno in (errno.EINVAL, errno.ENOENT), name
        with pytest.raises(OSError) as caught:
            os.stat(mnt / name / "below")
        assert caught.value.errno in (errno.EINVAL, errno.ENOENT), name
    assert on_disk(workdir.local) == [b"directory", b"victim"]
    assert (workdir.local / "victim").read_bytes() == b"victim"
    assert (workdir.local / "victim").stat().st_mode & 0o400
    assert sorted(os.listdir(mnt)) == ["directory", "victim"]
    # No fragment of these names was sent, as a command or in one.
    assert not [line for line in server.commands()
                if any(part in line for part in ("DELE victim", "EVIL", "CHMOD 000 victim"))]


def test_names_that_are_too_long(mnt, workdir):
    for length in (256, 300):
        for operation in (os.mkdir, os.stat, lambda path: os.open(path, os.O_WRONLY | os.O_CREAT)):
            with pytest.raises(OSError) as caught:
                operation(mnt / ("x" * length))
            assert caught.value.errno == errno.ENAMETOOLONG
    assert on_disk(workdir.local) == []


def test_limits_of_servers(mnt, server, workdir):
    """The server really can't, and the mount says so instead of storing under another name."""
    kind = server.kind
    files = NO_SUCH_NAME.get(kind, []) + NOT_TO_BE_MADE.get(kind, [])
    directories = files + NO_DIRECTORY.get(kind, [])
    failures = []

    def clear():
        for left in workdir.local.iterdir():
            if left.name != "victim_":
                left.rmdir()

    ftp = raw_login(server)
    try:
        for name in directories:
            try:
                ftp.voidcmd(f"MKD {workdir.remote}/{name}")
            except ftplib.Error:
                pass
            if os.fsencode(name) in on_disk(workdir.local):
                failures.append(f"{kind} carries {name!r} after all")
            clear()
    finally:
        ftp.close()
    # A file that a trailing blank made "_" would overwrite.
    (mnt / "victim_").write_bytes(b"victim")
    for number, name in enumerate(directories + ["victim "] * bool(files)):
        try:
            os.mkdir(mnt / name)
            failures.append(f"mkdir {name!r} succeeded")
        except OSError:
            pass
        if name in files or name == "victim ":
            try:
                (mnt / name).write_bytes(b"content")
                failures.append(f"writing {name!r} succeeded")
            except OSError:
                pass
            (mnt / f"source {number}").write_bytes(b"source")
            try:
                os.rename(mnt / f"source {number}", mnt / name)
                failures.append(f"renaming to {name!r} succeeded")
            except OSError:
                pass
            assert (workdir.local / f"source {number}").read_bytes() == b"source", f"renaming to {name!r}"
            os.unlink(mnt / f"source {number}")
    # An upload that failed is given up when its handle is released, which close(2) does not wait for.
    wait_for(lambda: on_disk(workdir.local) == [b"victim_"], timeout=60,
             what="nothing but the victim to be left on the server")
    assert (workdir.local / "victim_").read_bytes() == b"victim"
    assert not failures, "\n".join(failures)
