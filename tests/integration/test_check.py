# SPDX-License-Identifier: MIT
"""ftpfs --check: its steps, its JSON, its write test, its exit code; and what it says behind a firewall."""

import json
import os
import pathlib
import re
import shlex
import socket
import urllib.parse

import pytest

import lib
import netlab
import servers
from lib import FTPFS, STRICT

PATIENCE = 250  # seconds, for a hang
SLOW = "connect_timeout=60"  # nothing here is dropped, so only a machine that is very busy needs it
STEPS = ["name", "connection", "greeting", "login", "features", "listing", "MLSD", "MDTM", "MFMT", "REST", "round trip",
         "connections", "EPSV", "PASV", "EPRT", "PORT", "data"]
WRITE_STEPS = ["mkdir", "upload", "size", "read back", "set time", "chmod", "rename", "clean up"]


def check(server, remote="", *options, arguments=(), url=None, prefix=()):
    """Runs it, and sees that the password is nowhere."""
    chosen = [*server.options, SLOW, *options]
    command = [*prefix, FTPFS, "--check", *arguments, url or server.url(remote)]
    command += ["-o", ",".join(chosen)]
    done = lib.run(command, timeout=PATIENCE, check=False)
    for secret in (server.password, urllib.parse.quote(server.password, safe="")):
        assert secret not in done.stdout + done.stderr
    return done


def steps_of_text(done):
    """step -> (result, text)"""
    found = {}
    for line in done.stdout.splitlines():
        match = re.match(r"(\S.{11}) (ok     |FAILED |no     |skipped) (.*)$", line)
        if match:
            name, result, text = match.groups()
            assert name.strip() not in found
            found[name.strip()] = (result.strip(), text)
    return found


def check_json(server, *arguments, **named):
    """The object, and step -> (result, text)."""
    done = check(server, *arguments, **{**named, "arguments": ["--json", *named.get("arguments", ())]})
    answer = json.loads(done.stdout)
    assert done.returncode == (0 if answer["ok"] else 32), done
    return answer, {step["step"]: (step["result"], step["text"]) for step in answer["steps"]}


def test_steps(server, workdir):
    (workdir.local / "a").write_bytes(b"a")
    server.give(workdir.local / "a")
    done = check(server, workdir.remote)
    assert done.returncode == 0, done
    found = steps_of_text(done)
    tls = ["tls", "key", "resumption"] if server.tls else []
    assert [name for name in found if name not in tls] == STEPS, done
    for name in ("name", "connection", "greeting", "login", "features", "listing", "round trip", "connections", "EPSV",
                 "PASV", "EPRT", "PORT", "data", *tls[:2]):
        assert found[name][0] == "ok", done
    assert f"as {server.user}; " in found["login"][1]
    assert ("NOT encrypted" in found["login"][1]) == (not server.tls)
    assert "has 1 entries" in found["listing"][1]
    assert "passive mode is used" in found["data"][1]
    assert re.fullmatch(r"[0-9]+\.[0-9] ms", found["round trip"][1])
    assert "to mount it:\n    ftpfs " in done.stdout and "in /etc/fstab:\n    ftp" in done.stdout
    if server.tls:
        assert re.fullmatch(r"tls_pin=sha256//[A-Za-z0-9+/]{43}=", found["key"][1])
        assert found["resumption"][0] in ("ok", "no"), done
        assert re.search(r"; certificate of .*, issued by .*, until .+", found["tls"][1])
    assert os.listdir(workdir.local) == ["a"], "without --write-test nothing is written"


def test_json(server, workdir):
    answer, found = check_json(server, workdir.remote)
    assert answer["ok"] is True
    assert [name for name in found if name not in ("tls", "key", "resumption")] == STEPS
    assert answer["mode"] == "passive"
    assert answer["round_trip_ms"] > 0
    assert answer["connections"] >= 1
    assert answer["command"].startswith("ftpfs ")
    assert answer["fstab"].endswith(" 0 0")
    assert ("tls_pin" in answer) == bool(server.tls)


def test_write_test(server, workdir):
    done = check(server, workdir.remote, arguments=["--write-test"])
    assert done.returncode == 0, done
    found = steps_of_text(done)
    assert [name for name in found if name not in ("tls", "key", "resumption")] == STEPS + WRITE_STEPS
    for name in ("mkdir", "upload", "size", "read back", "clean up"):
        assert found[name][0] == "ok", done
    for name in ("set time", "chmod", "rename"):
        assert found[name][0] in ("ok", "no"), done
    assert os.listdir(workdir.local) == []


def test_write_test_refused(any_server):
    """A directory that belongs to somebody else."""
    directory = any_server.root / "check-refused"
    directory.mkdir(mode=0o755, exist_ok=True)
    os.chown(directory, 0, 0)
    try:
        answer, found = check_json(any_server, "check-refused", arguments=["--write-test"])
        assert answer["ok"] is False
        assert found["data"][0] == "ok"
        assert found["mkdir"][0] == "FAILED"
        assert os.listdir(directory) == []
    finally:
        directory.rmdir()


def test_read_only_does_not_write(any_server):
    answer, found = check_json(any_server, "", "ro", arguments=["--write-test"])
    assert answer["ok"] is True
    assert found["mkdir"][0] == "skipped"
    assert "upload" not in found


def test_pin_is_right(mount):
    """The pin of the report, in place of the authority, mounts; another one does not."""
    with servers.start("vsftpd", tls=True) as server:
        answer, _ = check_json(server)
        server.give(server.root)
        (server.root / "seen").write_bytes(b"")
        made = mount(None, "", "tls=on", "tls_verify=off", f"tls_pin={answer['tls_pin']}", source=server.url())
        assert os.listdir(made.path) == ["seen"]
        made.unmount()
        done = lib.run([FTPFS, "--check", server.url(), "-o", "tls=on"], timeout=PATIENCE, check=False)
        assert done.returncode == 32
        found = steps_of_text(done)
        assert found["key"] == ("ok", f"tls_pin={answer['tls_pin']}"), "also shown when it is not trusted"
        assert found["login"][0] == "FAILED"
        assert server.password not in done.stdout + done.stderr


def test_wrong_password(server):
    wrong = "wr0ngW0rd"
    url = server.url(password=False).replace("@", f":{wrong}@")
    done = check(server, url=url)
    assert done.returncode == 32
    found = steps_of_text(done)
    assert found["connection"][0] == "ok"
    assert found["login"][0] == "FAILED"
    assert "listing" not in found and "to mount it" not in done.stdout
    assert wrong not in done.stdout + done.stderr
    answer, found = check_json(server, url=url)
    assert answer["ok"] is False and found["login"][0] == "FAILED"
    assert "command" not in answer


def test_refused_port(any_server):
    # On a port that is bound and not listened on connections are refused, and nobody else can take it.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"ftp://joe:secretword@127.0.0.1:{taken.getsockname()[1]}/"
        done = check(any_server, url=url)
    assert done.returncode == 32
    found = steps_of_text(done)
    assert found["name"][0] == "ok"
    assert found["connection"][0] == "FAILED" and "refused" in found["connection"][1]
    assert list(found) == ["name", "connection"]
    assert "secretword" not in done.stdout + done.stderr


def test_limited_server():
    """A server that allows two sessions: it is told how many, and every step still gets its session."""
    with servers.start("pyftpdlib", max_clients=2) as server:
        answer, found = check_json(server)
        assert answer["ok"] is True
        assert found["connections"][0] == "no"
        assert 1 <= answer["connections"] <= 2
        for verb in ("EPSV", "PASV", "EPRT", "PORT"):
            assert found[verb][0] == "ok", found


@pytest.mark.parametrize("flag", ["--json", "--write-test"])
def test_flags_belong_to_check(flag, tmp_path):
    done = lib.run([FTPFS, flag, "ftp://127.0.0.1:1/", tmp_path], check=False)
    assert done.returncode == 1
    assert f"{flag} goes with --check" in done.stderr


# Behind a firewall that lets in the control connection only.

@pytest.fixture
def lab():
    for reason in (netlab.missing(), servers.missing("vsftpd")):
        if reason and STRICT:
            pytest.fail(reason)
        if reason:
            pytest.skip(reason)
    made = netlab.Lab()
    yield made
    made.end()


@pytest.fixture
def behind_firewall(lab):
    """(server, prefix): the server, and words before a command that runs it on the client's side."""
    server = servers.start("vsftpd", netns=lab.server.path, port=21, address=lab.server.address,
                           seen_as=lab.reachable, settings={"connect_from_port_20": "YES"})
    try:
        (server.root / "here").write_bytes(b"here")
        server.give(server.root / "here")
        lab.server.firewall("tcp dport { 20, 21 } accept", "reject with tcp reset")
        yield server, lab.client.prefix
    finally:
        server.forget()


def test_firewall(behind_firewall):
    server, prefix = behind_firewall
    answer, found = check_json(server, prefix=prefix)
    assert answer["ok"] is True
    assert found["listing"][0] == "ok"
    for verb, result in (("EPSV", "FAILED"), ("PASV", "FAILED"), ("EPRT", "ok"), ("PORT", "ok")):
        assert found[verb][0] == result, found
    assert "was refused" in found["EPSV"][1]
    assert answer["mode"] == "active"
    assert "using active mode (mode=active forces it)" in answer["note"]
    assert answer["note"] in found["data"][1]
    words = shlex.split(answer["command"])
    assert "mode=active" in words[words.index("-o") + 1].split(",")
    assert "mode=active" in answer["fstab"].split()[3].split(",")

    answer, found = check_json(server, "", "mode=passive", prefix=prefix)
    assert answer["ok"] is False
    assert found["listing"][0] == "FAILED"
    assert found["data"][0] == "FAILED" and found["data"][1].endswith("mode=active works")
    assert "command" not in answer


def test_ipv6(lab):
    if lab.client.address6 is None:
        pytest.skip("this kernel has no IPv6")
    server = servers.start("vsftpd", netns=lab.server.path, port=21, address=lab.server.address6)
    try:
        answer, found = check_json(server, prefix=lab.client.prefix)
    finally:
        server.forget()
    assert answer["ok"] is True
    for verb, result in (("EPSV", "ok"), ("PASV", "skipped"), ("EPRT", "ok"), ("PORT", "skipped")):
        assert found[verb][0] == result, found


def test_suggested_line_works(behind_firewall, mount):
    server, prefix = behind_firewall
    answer, _ = check_json(server, prefix=prefix)
    words = shlex.split(answer["command"])
    options = words[words.index("-o") + 1].split(",")
    made = mount(None, "", *options, source=server.url(), wrapper=prefix)
    assert os.listdir(made.path) == ["here"]
    assert pathlib.Path(made.path / "here").read_bytes() == b"here"
