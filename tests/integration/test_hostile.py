# SPDX-License-Identifier: MIT
"""Servers that are odd, broken, or mean: what the person at the mount sees of each.

One row of a table is one server: how it is prepared, and what must hold then. The answer is always one of two: all is
as with a good server, or there is an errno that fits; never wrong bytes, never a wait without end, never a dead mount.
"""

import errno
import os
import pathlib
import re
import socket
import subprocess
import threading
import time

import pytest

from lib import FTPFS, wait_for
from servers.scripted import (ScriptedServer, bare_newlines, break_data, close, close_after, cut, endless,
                              extra_reply, half_reply, raw, reply, reset, shaped, stall, stall_after, stall_at_end,
                              stall_in_data)

# How long an operation may wait; the tests only claim that it ends.
SHORT = ("timeout=2", "connect_timeout=3", "retry=1")
NORMAL = ("timeout=10", "connect_timeout=10", "retry=20")
OUTER = 60

MEBI = bytes(range(251)) * 4178  # about 1 MiB, and no block like the one before
SMALL = b"0123456789" * 10


@pytest.fixture
def scripted(tmp_path):
    """Factory of servers: scripted(attribute=value, ...). Each has /alive/file, for assert_alive()."""
    made = []

    def make(**attributes):
        server = ScriptedServer(**attributes)
        made.append(server)
        server.options = [f"spool={tmp_path}"]
        server.tree.put("/alive/file", b"alive")
        server.start()
        return server

    yield make
    for server in made:
        server.stop()


def errno_of(function, *arguments, **named):
    """0, or the errno it fails with."""
    try:
        function(*arguments, **named)
    except OSError as error:
        return error.errno
    return 0


def error_of(function, *arguments, **named):
    """The name of the errno it fails with, for messages; "" when it does not."""
    number = errno_of(function, *arguments, **named)
    return errno.errorcode.get(number, str(number)) if number else ""


def read(path):
    return pathlib.Path(path).read_bytes()


def names(path):
    return sorted(name for name in os.listdir(os.fsencode(path)) if name != b"alive")


def write(path, data):
    pathlib.Path(path).write_bytes(data)


def assert_alive(mount, server):
    """The mount goes on: a file that nobody has looked at is read, another is written."""
    server.clear_rules()
    assert read(mount.path / "alive" / "file") == b"alive"
    write(mount.path / "alive" / "written", b"written")
    assert server.tree.content("/alive/written") == b"written"


def memory_peak(mount):
    """KiB: the most that the process has ever had in memory."""
    text = pathlib.Path(f"/proc/{mount.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s*(\d+) kB", text).group(1))


UNDER_SANITIZER = b"__asan_init" in FTPFS.read_bytes() or b"__tsan_init" in FTPFS.read_bytes()


def assert_memory_bounded(mount, mebibytes):
    if not UNDER_SANITIZER:
        assert memory_peak(mount) < mebibytes * 1024


# Listings.

UNIX = b"""total 12
drwxr-xr-x   2 ftp      ftp          4096 Jan  1  2020 dir
-rw-r--r--   1 ftp      ftp            11 Jan  1  2020 plain
-rw-r--r--   1 ftp                     12 Jan  1  2020 no group
-rw-r--r--+  1 ftp      ftp            13 Jan  1  2020 acl
-rw-r--r--.  1 ftp      ftp            14 jan  1  2020 lower month
-rw-r--r--   1 ftp      ftp            15 JAN  1 12:30 upper month
-rw-r--r--   1 ftp      ftp            16 2020-01-01 12:30 iso
crw-rw-rw-   1 root     root       1,   5 Jan  1  2020 device
lrwxrwxrwx   1 ftp      ftp             5 Jan  1  2020 link -> plain
-rw-r--r--   1 ftp      ftp            17 Jan  1  2020  leading
-rw-r--r--   1 ftp      ftp            18 Jan  1  2020 trailing 
""".replace(b"\n", b"\r\n")

UNIX_SIZES = {"plain": 11, "no group": 12, "acl": 13, "lower month": 14, "upper month": 15, "iso": 16, " leading": 17,
              "trailing ": 18}

DOS = b"""01-02-20  03:04PM       <DIR>          dir
01-02-2020  03:04PM                   11 four digits
01-02-20  15:04                       12 two digits
2020-01-02  15:04                     13 iso
""".replace(b"\n", b"\r\n")

EPLF = b"+i8388621.48594,m825718503,r,s280,\tplain\r\n+i8388621.50690,m824255907,/,\tdir\r\n"

MLSD = b"""type=cdir;modify=20200101000000; /
type=pdir;modify=20200101000000; ..
type=dir;modify=20200101000000; dir
TYPE=File;SIZE=11;MODIFY=20200101000000; upper facts
type=file;size=12;modify=20200101000000 no semicolon
Type=file;Size=13;Modify=20200101000000.123; fraction
 type=file;size=14;modify=20200101000000; one space
     type=file;size=15;modify=20200101000000; many spaces
Type=OS.unix=slink:target;modify=20200101000000; slink
type=OS.UNIX=symlink:target;modify=20200101000000; symlink
size=16;type=file;unknown=x;modify=20200101000000;  leading
""".replace(b"\n", b"\r\n")


def check_unix(mount, _server):
    for name, size in UNIX_SIZES.items():
        assert os.stat(mount.path / name).st_size == size, name
    assert os.stat(mount.path / "plain").st_mtime == 1577836800
    assert (mount.path / "dir").is_dir()
    assert os.readlink(mount.path / "link") == "plain"
    assert set(names(mount.path)) == {os.fsencode(name) for name in [*UNIX_SIZES, "dir", "device", "link"]}


def check_dos(mount, _server):
    assert set(names(mount.path)) == {b"dir", b"four digits", b"two digits", b"iso"}
    assert (mount.path / "dir").is_dir()
    for name, size in (("four digits", 11), ("two digits", 12), ("iso", 13)):
        status = os.stat(mount.path / name)
        assert status.st_size == size
        assert time.strftime("%Y-%m-%d %H:%M", time.gmtime(status.st_mtime)) == "2020-01-02 15:04"


def check_eplf(mount, _server):
    assert names(mount.path) == [b"dir", b"plain"]
    assert (mount.path / "dir").is_dir()
    assert os.stat(mount.path / "plain").st_size == 280


def check_mlsd(mount, _server):
    found = names(mount.path)
    assert set(found) == {b"dir", b"upper facts", b"no semicolon", b"fraction", b"one space", b"many spaces", b"slink",
                          b"symlink", b" leading"}
    assert (mount.path / "dir").is_dir()
    for name, size in (("upper facts", 11), ("no semicolon", 12), ("fraction", 13), ("one space", 14),
                       ("many spaces", 15), (" leading", 16)):
        assert os.stat(mount.path / name).st_size == size, name
    assert os.readlink(mount.path / "slink") == os.readlink(mount.path / "symlink") == "target"


@pytest.mark.parametrize("attributes, check", [
    pytest.param({"features": None, "list_raw": {b"/": UNIX}}, check_unix, id="unix"),
    pytest.param({"features": None, "list_raw": {b"/": UNIX.replace(b"\r\n", b"\n")}}, check_unix, id="unix-bare-lf"),
    pytest.param({"features": None, "list_raw": {b"/": DOS}}, check_dos, id="dos"),
    pytest.param({"features": None, "list_raw": {b"/": EPLF}}, check_eplf, id="eplf"),
    pytest.param({"mlsd_raw": {b"/": MLSD}}, check_mlsd, id="mlsd"),
])
def test_dialect(scripted, mount, attributes, check):
    server = scripted(**attributes)
    mounted = mount(server, "", *NORMAL)
    check(mounted, server)


@pytest.fixture
def browse_tree():
    def fill(server):
        server.tree.put("/dir/inner", SMALL)
        server.tree.put("/file", MEBI)
        server.tree.put("/.dot", b"dot")
        server.tree.mkdir("/empty")
    return fill


def full_check(mounted, server, dots=True):
    """All that people do works."""
    top = mounted.path
    expected = [b"dir", b"empty", b"file"] + ([b".dot"] if dots else [])
    assert names(top) == sorted(expected)
    assert names(top / "dir") == [b"inner"] and names(top / "empty") == []
    assert error_of(os.stat, top / "not there") == "ENOENT"
    assert error_of(os.listdir, top / "not there") == "ENOENT"
    assert error_of(os.listdir, top / "file") == "ENOTDIR"
    assert error_of(read, top / "dir") == "EISDIR"
    assert read(top / "file") == MEBI
    assert read(top / "dir" / "inner") == SMALL
    with open(top / "file", "rb") as file:
        file.seek(700000)
        assert file.read(1000) == MEBI[700000:701000]
    write(top / "new", SMALL)
    assert server.tree.content("/new") == SMALL
    write(top / "new", MEBI)
    assert server.tree.content("/new") == MEBI
    assert os.stat(top / "new").st_size == len(MEBI)
    os.mkdir(top / "made")
    assert server.tree.get("/made").is_dir
    assert error_of(os.mkdir, top / "made") == "EEXIST"
    os.rename(top / "new", top / "made" / "moved")
    assert server.tree.content("/made/moved") == MEBI
    write(top / "other", b"other")
    os.replace(top / "other", top / "made" / "moved")
    assert server.tree.content("/made/moved") == b"other" and read(top / "made" / "moved") == b"other"
    assert error_of(os.rmdir, top / "made") == "ENOTEMPTY"
    os.utime(top / "made" / "moved", (1500000000, 1500000000))
    os.chmod(top / "made" / "moved", 0o600)
    assert os.stat(top / "made" / "moved").st_mtime == 1500000000
    os.unlink(top / "made" / "moved")
    os.rmdir(top / "made")
    assert server.tree.get("/made") is None
    assert server.tree.names("/") == sorted(expected + [b"alive"] + ([] if dots else [b".dot"]))


QUIRKS = {
    "none": {},
    "no FEAT": {"features": None},
    "no MLST": {"features": ["UTF8", "SIZE", "MDTM", "REST STREAM"]},
    "MLSD announced and unknown": {"unknown": {"MLSD", "MLST"}},
    "MLST 501 for a missing path": {"missing_by": {"MLST": "501 no such name", "MLSD": "501 no such name"}},
    "450 for a missing path": {"missing": "450 no such name"},
    "550 for all, LIST": {"features": None, "missing": "550 no such name"},
    "450 for an empty listing": {"features": None, "list_empty": "450 no files found"},
    "550 for an empty listing": {"features": None, "list_empty": "550 no files found"},
    "450 for an empty MLSD": {"list_empty": "450 no files found"},
    "LIST of nothing succeeds": {"features": None, "list_missing_empty": True},
    "226 empty for LIST -a as a name": {"features": None, "list_a": "name", "list_missing_empty": True, "dots": False},
    "LIST -a as a name": {"features": None, "list_a": "name", "dots": False},
    "LIST -a refused": {"features": None, "list_a": "refuse", "dots": False},
    "transfers end with 250": {"transfer_done": "250 done"},
    "transfers end with 221": {"transfer_done": "221 done"},
    "MKD 250 and 521": {"mkd_done": "250 made", "mkd_exists": "521 it exists"},
    "OPTS UTF8 202": {"opts_utf8": "202 always on"},
    "OPTS UTF8 501": {"opts_utf8": "501 always on"},
    "PWD of DOS": {"pwd": '257 "C:\\ftp" is the current directory'},
    "PWD of VMS": {"pwd": '257 "DKA0:[ANONYMOUS]" is the current directory'},
    "PWD without quotes": {"pwd": "257 / is the current directory"},
    "PWD refused": {"pwd": "550 you need not know"},
    "SIZE refused in ASCII": {"features": ["SIZE", "MDTM", "REST STREAM"], "size_in_ascii": False},
    "no SIZE": {"features": [], "unknown": {"SIZE", "FEAT"}},
    "no SIZE, MDTM, MFMT, CHMOD": {"features": None, "unknown": {"SIZE", "MDTM", "MFMT", "SITE CHMOD", "SITE UTIME"}},
    "no REST": {"unknown": {"REST"}},
    "no EPSV": {"unknown": {"EPSV"}},
    "no EPSV, one session": {"unknown": {"EPSV"}, "max_sessions": 1},
    "RNTO over a file refused": {"rename_replaces": False},
    "RNTO over a file refused, LIST": {"rename_replaces": False, "features": None},
    "hidden names refused": {"stor_refuse": rb"^\."},
    "PASV 0.0.0.0": {"unknown": {"EPSV"}, "pasv_address": "0,0,0,0"},
    "PASV of an inner network": {"unknown": {"EPSV"}, "pasv_address": "192,168,77,77"},
    "one session, 421": {"max_sessions": 1},
    "two sessions, 421": {"max_sessions": 2},
    "three sessions, 530 at the greeting": {"max_sessions": 3, "too_many": "530 too many users, try again later"},
    "one session, 530 after PASS": {"max_sessions": 1, "too_many_at": "PASS",
                                    "too_many": "530 sorry, the maximum number of clients has been reached"},
    "two sessions, 421 after PASS": {"max_sessions": 2, "too_many_at": "PASS", "too_many": "421 too many"},
}


@pytest.mark.parametrize("name", QUIRKS)
def test_quirk(scripted, mount, browse_tree, name):
    attributes = dict(QUIRKS[name])
    dots = attributes.pop("dots", True)
    server = scripted(**attributes)
    browse_tree(server)
    mounted = mount(server, "", *NORMAL)
    full_check(mounted, server, dots)


def test_active(scripted, mount, browse_tree):
    server = scripted()
    browse_tree(server)
    full_check(mount(server, "", *NORMAL, "active"), server)


def test_pwd_with_quotes(scripted, mount):
    server = scripted(pwd='257 "/a ""b"" c" is the current directory')
    server.tree.put('/a "b" c/file', SMALL)
    mounted = mount(server, "", *NORMAL)
    assert names(mounted.path) == [b"file"]
    assert read(mounted.path / "file") == SMALL


# Single moments that are wrong, and do no harm.

HARMLESS = {
    "bare LF in every reply": [("RETR", bare_newlines()), ("MLST", bare_newlines()), ("EPSV", bare_newlines()),
                               ("MLSD", bare_newlines())],
    "a greeting of many lines": [("GREETING", raw("220-hello\r\n220-421 is no code here\r\n there\r\n220 ready\r\n"))],
    "a 226 before the data": [("RETR", shaped(end_first=True))],
    "a 226 before the listing": [("MLSD", shaped(end_first=True))],
    "150 with a size too large": [("RETR", shaped(preliminary="150 opening for file (999999999 bytes)"))],
    "150 with a size too small": [("RETR", shaped(preliminary="150 opening for file (10 bytes)"))],
    "150 with a size that is none": [("RETR", shaped(preliminary="150 opening (99999999999999999999999 bytes)"))],
    "125 instead of 150": [("MLSD", shaped(preliminary="125 go on"))],
    "data cut and called complete": [("RETR", cut(300000))],
    "data cut and 426": [("RETR", cut(300000, end="426 broken"))],
    "data cut and 451": [("RETR", cut(300000, end="451 local error"))],
    "data cut at once": [("RETR", cut(0))],
    "data reset": [("RETR", cut(300000, end="426 broken", abort=True))],
    "all reset": [("RETR", break_data(300000))],
    "all closed": [("RETR", break_data(300000, reset_it=False))],
    "425 once": [("RETR", reply("425 can't open the data connection"))],
    "a listing cut and 426": [("MLSD", cut(10, end="426 broken"))],
    "a listing and a reset": [("MLSD", break_data(10))],
    "closed at MLST": [("MLST", close())],
    "reset at MLST": [("MLST", reset())],
    "421 at RETR": [("RETR", reply("421 shutting down"))],
    "421 at MLST": [("MLST", reply("421 shutting down"))],
    "421 at the greeting of the second": [("GREETING", reply("421 busy"), 2)],
    "half of a reply to MLST": [("MLST", half_reply("250-he"))],
    "half of a number": [("EPSV", half_reply("22"))],
    "a second reply to MLST": [("MLST", extra_reply("250 once more"))],
    "a second reply to RETR": [("RETR", extra_reply("226 once more"))],
    "a second reply to MLSD": [("MLSD", extra_reply("226 once more"))],
    "a second reply to TYPE": [("TYPE", extra_reply("200 once more"))],
    "8-bit garbage for MLST": [("MLST", raw(bytes(range(128, 256)) + b"\r\n250 end\r\n"))],
    "8-bit garbage in a 150": [("RETR", shaped(preliminary=b"150 \xff\xfe\x80 (\xe9 bytes)"))],
    "an EPSV reply without a port": [("EPSV", reply("229 entering (|||0|)"))],
    "an EPSV reply of another kind": [("EPSV", reply("229 entering"))],
    "an EPSV port nobody listens on": [("EPSV", reply("229 entering (|||1|)"))],
}


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless(scripted, mount, browse_tree, name):
    """Once there is such a moment; reading and listing are as if it had not been."""
    server = scripted()
    browse_tree(server)
    rules = [server.on(verb, action, nth=nth[0] if nth else 1) for verb, action, *nth in HARMLESS[name]]
    mounted = mount(server, "", *NORMAL)
    assert os.stat(mounted.path / "file").st_size == len(MEBI)
    assert names(mounted.path) == [b".dot", b"dir", b"empty", b"file"]
    assert read(mounted.path / "file") == MEBI
    for rule in rules:
        if rule.nth == 1:
            assert rule.reached.is_set(), f"{rule.verb} has not come: {server.commands()}"
    assert_alive(mounted, server)


def test_stray_reply_is_not_believed(scripted, mount):
    """A second reply is not taken for that of the next command: a refusal stays a refusal, success is success."""
    server = scripted()
    server.tree.put("/file", SMALL)
    mounted = mount(server, "", *NORMAL, "connections=1")
    assert os.stat(mounted.path / "file").st_size == len(SMALL)
    server.on("MLST", extra_reply("257 made"), times=None)
    server.on("MKD", reply("550 no"), match=rb"refused", times=None)
    assert error_of(os.mkdir, mounted.path / "refused") == "EACCES"
    assert error_of(os.stat, mounted.path / "refused") == "ENOENT"
    server.clear_rules()
    server.on("MLST", extra_reply("550 no"), times=None)
    os.mkdir(mounted.path / "made")
    assert server.tree.get("/made").is_dir
    assert_alive(mounted, server)


# What can't be made good is an error.

def cut_at(position, end=None):
    """The data ends at that place of the file, wherever the transfer began."""
    return lambda moment: moment.proceed(cut=max(0, position - moment.session.rest), end=end)


def stall_at(position):
    """The data stops at that place of the file, wherever the transfer began."""
    return lambda moment: moment.proceed(hold_at=(moment.rule, max(0, position - moment.session.rest)))


@pytest.mark.parametrize("name, actions, options", [
    ("always cut at the same place, and complete", [("RETR", cut_at(300000))], ()),
    ("always cut at the same place, and 426", [("RETR", cut_at(300000, "426 broken"))], ()),
    ("always cut at once, and complete", [("RETR", cut(0))], ()),
    ("always cut with 426", [("RETR", cut(0, end="426 broken"))], ()),
    ("always reset", [("RETR", break_data(0))], ()),
    ("150 is missing", [("RETR", shaped(preliminary=""))], ()),
    ("451 for ever", [("RETR", reply("451 local error"))], ()),
    ("425 for ever", [("RETR", reply("425 no"))], ()),
    ("426 for ever", [("RETR", reply("426 no"))], ()),
    ("a number that is no reply", [("RETR", raw("999 what\r\n"))], ()),
    ("an endless reply line", [("RETR", endless())], ()),
    ("an endless reply of many lines", [("RETR", endless(b"550-no\r\n", b"550-and no\r\n" * 500))], ()),
    ("garbage", [("RETR", raw(b"\xff\x00\x1b[2J\r\n" * 10))], ()),
    ("only closes", [("RETR", close())], ()),
], ids=lambda value: value if isinstance(value, str) else "")
def test_unreadable(scripted, mount, name, actions, options):
    """EIO or ETIMEDOUT, no short read, and the mount lives."""
    server = scripted()
    server.tree.put("/file", MEBI)
    for verb, action in actions:
        server.on(verb, action, times=None)
    mounted = mount(server, "", *SHORT, *options)
    with open(mounted.path / "file", "rb") as file:
        got = b""
        with pytest.raises(OSError) as caught:
            while block := file.read(131072):
                got += block
        assert caught.value.errno in (errno.EIO, errno.ETIMEDOUT, errno.ENETUNREACH), caught.value
    assert got == MEBI[:len(got)]
    assert_memory_bounded(mounted, 200)
    assert_alive(mounted, server)


@pytest.mark.parametrize("code, expected", [
    ("550 no", {"EIO", "EACCES", "ENOENT"}), ("553 no", {"EACCES"}), ("532 need an account", {"EACCES"}),
    ("450 busy", {"EBUSY", "EIO"}), ("530 not logged in", {"EACCES"}),
])
def test_refused_to_read(scripted, mount, code, expected):
    server = scripted()
    server.tree.put("/file", SMALL)
    server.on("RETR", reply(code), times=None)
    mounted = mount(server, "", *SHORT)
    assert error_of(read, mounted.path / "file") in expected
    assert_alive(mounted, server)


def test_data_longer_than_announced(scripted, mount):
    """What lies beyond the size is not invented, and what lies before is right."""
    server = scripted()
    server.tree.put("/file", SMALL)
    server.on("RETR", shaped(extra=b"more" * 100000), times=None)
    mounted = mount(server, "", *NORMAL)
    content = read(mounted.path / "file")
    assert content[:len(SMALL)] == SMALL
    assert content == SMALL or content == SMALL + b"more" * 100000
    assert_alive(mounted, server)


def test_endless_file(scripted, mount):
    """A file whose data has no end can be read as far as its size says, and closed."""
    def forever():
        while True:
            yield SMALL * 100
    server = scripted()
    server.tree.put("/file", SMALL * 100)
    server.on("RETR", lambda moment: moment.proceed(source=forever()), times=None)
    mounted = mount(server, "", *NORMAL)
    assert read(mounted.path / "file") == SMALL * 100
    assert_memory_bounded(mounted, 200)
    assert_alive(mounted, server)


def test_226_long_after_the_data(scripted, mount):
    """The bytes are there before the server says so."""
    server = scripted()
    server.tree.put("/file", MEBI)
    rule = server.on("RETR", stall_at_end())
    mounted = mount(server, "", *NORMAL)
    assert read(mounted.path / "file") == MEBI
    assert rule.holding.wait(OUTER)
    rule.release()
    assert_alive(mounted, server)


def test_226_long_after_an_upload(scripted, mount):
    """close(2) waits for the server's word."""
    server = scripted()
    rule = server.on("STOR", stall_at_end())
    mounted = mount(server, "", "timeout=60", "retry=60")
    results = []
    writer = threading.Thread(target=lambda: results.append(error_of(write, mounted.path / "file", MEBI)), daemon=True)
    writer.start()
    assert rule.holding.wait(OUTER)
    assert not results
    rule.release()
    writer.join(OUTER)
    assert results == [""]
    assert server.tree.content("/file") == MEBI
    assert server.count("STOR") == 1


# Stalls: whatever is waited for, there is an end.

STALLS = {
    "greeting": ("GREETING", stall), "user": ("USER", stall), "password": ("PASS", stall), "pwd": ("PWD", stall),
    "type": ("TYPE", stall), "epsv": ("EPSV", stall), "mlst": ("MLST", stall),
    "mlsd": ("MLSD", stall), "listing under way": ("MLSD", lambda: stall_in_data(20)),
    "end of the listing": ("MLSD", stall_at_end),
    "retr": ("RETR", stall), "data under way": ("RETR", lambda: stall_at(300000)),
    "no data": ("RETR", lambda: stall_in_data(0)),
    "half a reply": ("MLST", lambda: half_reply("250-x", "stall")),
    "half a line": ("MLSD", lambda: half_reply("15", "stall")),
}


@pytest.mark.parametrize("where", STALLS)
def test_stall(scripted, mount, where):
    """Each operation ends with an error that tells of time, none returns short data, and all heals."""
    verb, action = STALLS[where]
    server = scripted()
    server.tree.put("/dir/file", MEBI)
    mounted = mount(server, "", *SHORT, "connections=2")
    if verb in ("GREETING", "USER", "PASS", "PWD"):
        server.kill_sessions()
        assert server.wait_for_sessions(0)
    rule = server.on(verb, action(), times=None)
    got = []

    def use():
        os.stat(mounted.path / "dir" / "file")
        os.listdir(mounted.path / "dir")
        with open(mounted.path / "dir" / "file", "rb") as file:
            while block := file.read(131072):
                got.append(block)

    failed = error_of(use)
    assert rule.reached.is_set(), server.commands()
    content = b"".join(got)
    assert content == MEBI[:len(content)]
    if where == "end of the listing":  # a stream of data that has ended may be believed
        assert failed in ("", "ETIMEDOUT", "EIO")
    else:
        assert failed in ("ETIMEDOUT", "EIO"), (failed, server.commands())
    server.clear_rules()
    wait_for(lambda: error_of(os.listdir, mounted.path / "alive") == "", OUTER, "the server to be found alive again")
    assert_alive(mounted, server)


@pytest.mark.parametrize("where", ["stor", "no data taken", "data under way", "last reply", "rename"])
def test_stall_of_an_upload(scripted, mount, where):
    """write(2) or close(2) tells, and what was there is not harmed."""
    verb, action = {"stor": ("STOR", stall()), "no data taken": ("STOR", stall_in_data(0)),
                    "data under way": ("STOR", stall_in_data(100000)), "last reply": ("STOR", stall_at_end()),
                    "rename": ("RNTO", stall())}[where]
    server = scripted()
    server.tree.put("/file", SMALL)
    mounted = mount(server, "", *SHORT)
    assert read(mounted.path / "file") == SMALL
    server.on(verb, action, times=None)
    assert error_of(write, mounted.path / "file", MEBI * 8) in ("ETIMEDOUT", "EIO")
    assert server.tree.content("/file") == SMALL
    assert_alive(mounted, server)


@pytest.mark.parametrize("attributes, words", [
    ({"greeting": "SSH-2.0-OpenSSH_9.2"}, ["no FTP server"]),
    ({"greeting": "421 closed today"}, ["421 closed today"]),
    ({"password": "another"}, ["530", "password"]),
    ({"greeting": b"\x1b]0;owned\x07\xff\xfe"}, []),
    ({"max_sessions": 0}, ["421"]),
    ({"too_many_at": "PASS", "max_sessions": 0, "too_many": "530 no\x1b[31mred"}, ["530"]),
], ids=["ssh", "421", "password", "escapes", "none allowed", "escapes after PASS"])
def test_no_login(scripted, tmp_path, attributes, words):
    """The command says in one or two lines what is the matter, without the server's control characters."""
    server = scripted(**attributes)
    url = server.url().replace(":another@", ":secret@")
    result = subprocess.run([FTPFS, url, tmp_path, "-f", "-o", ",".join(SHORT)], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=OUTER, check=False)
    text = result.stdout.decode("utf-8", "surrogateescape")
    assert result.returncode == 32, text
    assert len(text.strip().split("\n")) <= 2, text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\udc80-\udcff]", text), repr(text)
    for word in words:
        assert word.lower() in text.lower(), text


def test_late_greeting(scripted, mount):
    """A greeting that takes its time is waited for."""
    server = scripted()
    rule = server.on("GREETING", stall())

    def release():
        rule.holding.wait(OUTER)
        rule.release()
    threading.Thread(target=release, daemon=True).start()
    mounted = mount(server, "", "connect_timeout=60")
    assert_alive(mounted, server)


def test_greeting_that_never_comes(scripted, tmp_path):
    server = scripted()
    rule = server.on("GREETING", stall(), times=None)
    result = subprocess.run([FTPFS, server.url(), tmp_path, "-f", "-o", ",".join(SHORT)], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=OUTER, check=False)
    assert rule.reached.is_set()
    assert result.returncode == 32, result.stdout


# Changes that fail, or only seem to.

@pytest.mark.parametrize("name, action, expected", [
    ("452 at once", reply("452 disk full"), {"ENOSPC"}),
    ("552 at once", reply("552 over quota"), {"EDQUOT"}),
    ("452 after some", cut(50000, end="452 disk full"), {"ENOSPC"}),
    ("552 after some", cut(50000, end="552 over quota"), {"EDQUOT"}),
    ("553", reply("553 not this name"), {"EACCES"}),
    ("550", reply("550 not this name"), {"EACCES"}),
    ("532", reply("532 need an account"), {"EACCES"}),
    ("451 for ever", reply("451 local error"), {"EIO"}),
    ("a lying 226", shaped(keep=1000), {"EIO"}),
    ("a 226 for less", cut(50000), {"EIO"}),
    ("thrown away", shaped(discard=True), {"EIO"}),
    ("closes", close(), {"EIO"}),
    ("resets", reset(), {"EIO"}),
    ("breaks", break_data(50000), {"EIO", "ETIMEDOUT"}),
], ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("old", [None, SMALL], ids=["new", "existing"])
def test_upload_that_fails(scripted, mount, name, action, expected, old):
    """close(2) or write(2) tells the true reason, and the old file is whole."""
    server = scripted()
    server.tree.put("/dir/other", SMALL)
    if old is not None:
        server.tree.put("/dir/file", old)
    mounted = mount(server, "", *SHORT)
    server.on("STOR", action, times=None)
    assert error_of(write, mounted.path / "dir" / "file", MEBI * 4) in expected
    if old is not None:
        assert server.tree.content("/dir/file") == old
    assert_alive(mounted, server)


@pytest.mark.parametrize("name, action", [
    ("a lying 226 once", shaped(keep=1000)),
    ("thrown away once", shaped(discard=True)),
    ("cut once", cut(50000)),
    ("426 once", cut(50000, end="426 broken")),
    ("451 at once", reply("451 local error")),
    ("425 at once", reply("425 no data connection")),
    ("421", reply("421 shutting down")),
    ("closed at the command", close()),
    ("reset at the command", reset()),
    ("all reset", break_data(50000)),
    ("all closed after the data", close_after()),
    ("no last reply", stall_after()),
], ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("old", [None, SMALL], ids=["new", "existing"])
def test_upload_that_is_made_good(scripted, mount, name, action, old):
    server = scripted()
    server.tree.put("/dir/other", SMALL)
    if old is not None:
        server.tree.put("/dir/file", old)
    mounted = mount(server, "", "timeout=2", "connect_timeout=10", "retry=30")
    rule = server.on("STOR", action)
    write(mounted.path / "dir" / "file", MEBI)
    assert rule.reached.is_set()
    assert server.tree.content("/dir/file") == MEBI
    assert server.tree.names("/dir") == [b"file", b"other"]


def test_mkd_of_what_has_just_appeared(scripted, mount):
    for exists in ("521 it exists", "550 it exists"):
        server = scripted(mkd_exists=exists)
        mounted = mount(server, "", *NORMAL)

        def appear(moment):
            moment.tree.mkdir("/new")
            moment.proceed()
        server.on("MKD", appear)
        assert error_of(os.mkdir, mounted.path / "new") == "EEXIST"


def test_drop_box(scripted, mount):
    """A directory that hides what was uploaded is believed: the server's 226 is all there is."""
    server = scripted(missing="550 permission denied")
    server.tree.mkdir("/box")
    mounted = mount(server, "", *NORMAL)
    server.on("MLST", reply("550 permission denied"), match=rb"/box/", times=None)
    server.on("SIZE", reply("550 permission denied"), times=None)
    server.on("MLSD", reply("550 permission denied"), times=None)
    write(mounted.path / "box" / "file", SMALL)
    assert server.tree.content("/box/file") == SMALL


def test_removed_behind_our_back(scripted, mount):
    """What the cache believes in and the server has lost is ENOENT, also where LIST of nothing succeeds."""
    server = scripted(features=None, list_missing_empty=True)
    for name in ("one", "two", "three"):
        server.tree.put(f"/{name}/file", SMALL)
    mounted = mount(server, "", *NORMAL)
    assert names(mounted.path) == [b"one", b"three", b"two"]
    for name in ("one", "two", "three"):
        server.tree.remove(f"/{name}")
    assert error_of(os.listdir, mounted.path / "one") == "ENOENT"
    assert error_of(os.rmdir, mounted.path / "two") in ("ENOENT",)
    assert error_of(os.stat, mounted.path / "three" / "file") == "ENOENT"


@pytest.mark.parametrize("pwd", ['257 "/" is it', "550 no"], ids=["absolute", "relative"])
def test_tilde(scripted, mount, pwd):
    """A name that a server would take for a home directory is sent with its path."""
    server = scripted(pwd=pwd)
    server.tree.put("/~/file", SMALL)
    server.tree.put("/~root", SMALL)
    mounted = mount(server, "", *NORMAL)
    assert read(mounted.path / "~root") == SMALL and read(mounted.path / "~" / "file") == SMALL
    os.chmod(mounted.path / "~", 0o700)
    os.chmod(mounted.path / "~root", 0o600)
    os.mkdir(mounted.path / "~new")
    os.rmdir(mounted.path / "~new")
    os.rename(mounted.path / "~root", mounted.path / "~x")
    write(mounted.path / "~y", SMALL)
    os.unlink(mounted.path / "~y")
    bad = [line for line in server.commands() if re.search(r"(^| )~", line)]
    assert not bad


# Names made to attack.

ATTACKS = [b"..", b".", b"../up", b"/etc/passwd", b"a/b", b"nul\0byte", b"\0", b"carriage\rreturn", b""]
STRANGE = [b"esc\x1b[2J\x1b]0;t\x07", b"\xff\xfe", b"\xc3\x28", b"tab\there", b"-rf", b"%2e%2e", b"a;type=d", b"*?[x]",
           b" ", b"~", b"$(id)", b"`id`", b"\\..\\..", b"\x7f", b"x" * 255]
TOO_LONG = [b"y" * 256, b"z" * 5000, b"w" * 65536]


@pytest.mark.parametrize("kind", ["mlsd", "list"])
def test_attacking_names(scripted, mount, kind):
    """Names that can't be are left out, which is logged once; strange ones are names like others."""
    everything = ATTACKS + STRANGE + TOO_LONG
    strange = STRANGE
    if kind == "mlsd":
        lines = [b"type=file;size=5;modify=20200101000000; " + name for name in everything]
        server = scripted(mlsd_raw={b"/": b"\r\n".join(lines) + b"\r\n"})
    else:
        lines = [b"-rw-r--r--   1 ftp      ftp      5 Jan  1  2020 " + name for name in everything]
        server = scripted(features=None, list_raw={b"/": b"\r\n".join(lines) + b"\r\n"})
        strange = [name for name in STRANGE if name != b" "]
    for name in STRANGE:
        server.tree.put(b"/" + name, b"12345")
    mounted = mount(server, "", *NORMAL)
    found = names(mounted.path)
    assert set(strange) <= set(found)
    # In a listing libcurl takes a CR alone for the end of a line, so that the first half looks like a name.
    left = set(found) - set(STRANGE) - {b"carriage"}
    assert not left, left
    for name in strange:
        path = os.fsencode(mounted.path) + b"/" + name
        assert os.stat(path).st_size == 5, name
        assert read(os.fsdecode(path)) == b"12345", name
    log = mounted.log_text()
    assert "\x1b" not in log
    assert log.count("left out") == 1, log


def test_attacking_links(scripted, mount):
    """A link's target is text for the one who follows it; it never makes ftpfs look elsewhere."""
    targets = [b"/etc/passwd", b"../../../../etc/passwd", b"x" * 4000]
    lines = [b"type=OS.unix=symlink:%s;modify=20200101000000; l%d" % (target, i) for i, target in enumerate(targets)]
    server = scripted(mlsd_raw={b"/": b"\r\n".join(lines) + b"\r\n"})
    mounted = mount(server, "", *NORMAL)
    found = names(mounted.path)
    for i, target in enumerate(targets):
        if b"l%d" % i in found:
            assert os.readlink(os.fsencode(mounted.path) + b"/l%d" % i) == target


@pytest.mark.parametrize("lines", [300_000])
def test_huge_listing(scripted, mount, lines):
    """Hundreds of thousands of names are shown, in memory that fits."""
    def listing():
        for start in range(0, lines, 1000):
            yield b"".join(b"type=file;size=5;modify=20200101000000; name-%07d\r\n" % i
                           for i in range(start, start + 1000))
    server = scripted(mlsd_raw={b"/big": listing})
    server.tree.mkdir("/big")
    mounted = mount(server, "", "timeout=60", "retry=60")
    count = 0
    with os.scandir(mounted.path / "big") as entries:
        for _entry in entries:
            count += 1
    assert count == lines
    assert_memory_bounded(mounted, 400)
    assert_alive(mounted, server)


@pytest.mark.parametrize("kind", ["names", "one line", "garbage"])
def test_endless_listing(scripted, mount, kind):
    """A listing without an end is given up; memory stays within bounds, and the mount lives."""
    def forever():
        i = 0
        while True:
            if kind == "names":
                yield b"".join(b"type=file;size=5;modify=20200101000000; %s-%09d\r\n" % (b"n" * 200, k)
                               for k in range(i, i + 500))
                i += 500
            elif kind == "one line":
                yield b"x" * 65536
            else:
                yield b"\xff\x00 garbage\r\n" * 5000
    server = scripted(mlsd_raw={b"/big": forever})
    server.tree.mkdir("/big")
    mounted = mount(server, "", *SHORT)
    assert error_of(os.listdir, mounted.path / "big") == "EFBIG"
    assert_memory_bounded(mounted, 600)
    assert_alive(mounted, server)


@pytest.mark.parametrize("name", ["FEAT", "PWD", "MLST"])
@pytest.mark.parametrize("block", [b"x" * 8192, b"211-y\r\n 250 z\r\n" * 500], ids=["line", "lines"])
def test_endless_reply(scripted, tmp_path, mount, name, block):
    """A reply without an end is given up, in bounded memory: at the login the command says so."""
    server = scripted()
    server.tree.put("/file", SMALL)
    if name != "MLST":
        server.on(name, endless(b"250-x\r\n", block), times=None)
        result = subprocess.run([FTPFS, server.url(), tmp_path, "-f", "-o", ",".join(SHORT)], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=OUTER, check=False)
        assert result.returncode == 32, result.stdout
        return
    mounted = mount(server, "", *SHORT)
    server.on(name, endless(b"250-x\r\n", block), times=None)
    assert error_of(os.stat, mounted.path / "file") in ("EIO", "ETIMEDOUT", "EPROTO")
    assert_memory_bounded(mounted, 200)
    assert_alive(mounted, server)


# The data connection goes where the control connection goes.

def test_no_third_host(scripted, mount):
    """A PASV reply that names another host does not make us connect there."""
    with socket.socket() as other:
        other.bind(("127.0.0.2", 0))
        other.listen(8)
        other.setblocking(False)
        port = other.getsockname()[1]
        server = scripted(unknown={"EPSV"})
        server.tree.put("/dir/file", SMALL)
        rule = server.on("PASV", reply(f"227 entering (127,0,0,2,{port >> 8},{port & 255})"), times=None)
        mounted = mount(server, "", *SHORT, "passive")
        assert errno_of(os.listdir, mounted.path / "dir") != 0
        assert rule.reached.is_set()
        with pytest.raises(BlockingIOError):
            other.accept()
        assert_alive(mounted, server)


# Sessions are few.

@pytest.mark.parametrize("limit", [1, 2, 3])
@pytest.mark.parametrize("where, text", [("GREETING", "421 too many connections"), ("PASS", "530 too many users")])
def test_few_sessions(scripted, mount, limit, where, text):
    """Eight readers at once all get their files, from a server that has fewer sessions than they would like."""
    server = scripted(max_sessions=limit, too_many_at=where, too_many=text)
    for i in range(8):
        server.tree.put(f"/file{i}", MEBI[i:])
    mounted = mount(server, "", *NORMAL)
    results = {}

    def reader(i):
        try:
            results[i] = read(mounted.path / f"file{i}") == MEBI[i:]
        except OSError as error:
            results[i] = error
    threads = [threading.Thread(target=reader, args=(i,), daemon=True) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert results == {i: True for i in range(8)}
    assert server.most_sessions <= limit


def test_server_busy_for_a_while(scripted, mount):
    """530 busy is waited out."""
    server = scripted(too_many_at="PASS", too_many="530 too many users, try again later")
    server.tree.put("/file", SMALL)
    mounted = mount(server, "", *NORMAL)
    server.max_sessions = 0
    server.kill_sessions("421 make room")
    assert server.wait_for_sessions(0)
    result = []
    reader = threading.Thread(target=lambda: result.append(read(mounted.path / "file")), daemon=True)
    reader.start()
    wait_for(lambda: server.count("PASS") >= 3, OUTER, "two more tries to log in")
    server.max_sessions = None
    reader.join(OUTER)
    assert result == [SMALL]
