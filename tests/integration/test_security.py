# SPDX-License-Identifier: MIT
"""What a hostile server, a neighbour on the network or another user of this machine does not get."""

import os
import pathlib
import re
import stat
import subprocess

import pytest

from lib import FTPFS, run, wait_for
from servers.scripted import ScriptedServer

QUICK = ("connect_timeout=2", "timeout=3", "retry=0")
SECRET = "s3cret-passw0rd"


@pytest.fixture
def scripted(tmp_path):
    with ScriptedServer(password=SECRET) as server:
        server.options = [f"spool={tmp_path}/spool"]
        server.tree.put("/dir/file", b"content")
        yield server


# Third hosts.

@pytest.mark.parametrize("choice, works", [("auto", False), ("control", False), ("server", True)])
def test_who_connects_in_active_mode(scripted, mount, choice, works):
    """Another host than the server may have our bytes only when the user lets the server name others."""
    scripted.active_source = "127.0.0.2"
    mounted = mount(scripted, "", "mode=active", f"pasv_address={choice}", *QUICK)
    if works:
        assert (mounted.path / "dir" / "file").read_bytes() == b"content"
        (mounted.path / "dir" / "new").write_bytes(b"new")
        return
    with pytest.raises(OSError):
        (mounted.path / "dir" / "file").read_bytes()
    with pytest.raises(OSError):
        (mounted.path / "dir" / "new").write_bytes(b"new")
    assert scripted.tree.content("/dir/new") in (None, b"")
    wait_for(lambda: "127.0.0.2 has connected to the port of an active data connection" in mounted.log_text())


@pytest.mark.parametrize("choice", ["auto", "control"])
def test_pasv_to_a_third_host(scripted, mount, choice):
    """A server that sends us elsewhere (8.8.8.8) is not followed: the data comes from where the control connection
    goes."""
    scripted.unknown = {"EPSV"}
    scripted.pasv_address = "8,8,8,8"
    mounted = mount(scripted, "", "mode=passive", f"pasv_address={choice}", *QUICK)
    assert (mounted.path / "dir" / "file").read_bytes() == b"content"
    assert ("the server announces 8.8.8.8" in mounted.log_text()) == (choice == "auto")


# Secrets.

@pytest.mark.parametrize("features, options, warned", [
    (["AUTH TLS"], [], True), (["AUTH SSL;TLS-P;"], [], True), ([], [], False),
])
def test_password_in_plain_text(scripted, mount, features, options, warned):
    """One warning, where the server offers TLS."""
    scripted.features = scripted.features + features
    mounted = mount(scripted, "", *options)
    for _ in range(2):
        assert (mounted.path / "dir" / "file").read_bytes() == b"content"
        scripted.kill_sessions()
    assert mounted.log_text().count("sent in plain text") == warned


def test_weak_tls_is_told(tmp_path):
    """Each way of weakening TLS is an option and a warning."""
    for option in ("tls_verify=off", "tls_data=off", "tls=try", "no_verify_peer", "no_verify_hostname", "tls_max=1.0"):
        options = ["tls=on", option] if option != "tls=try" else [option]
        result = run([FTPFS, "ftp://127.0.0.1:1/", tmp_path, "-o", ",".join(options)], check=False)
        assert re.search(r"^(ftpfs: )?.*(plain|verif|encrypt|trust|TLS 1\.[01]|old)", result.stderr, re.I | re.M), \
            (option, result)


def test_secrets_are_nowhere(scripted, mount):
    """The password is not in the arguments, the mount table, the log (-v, too) or the status."""
    mounted = mount(scripted, "", arguments=["-v"])
    assert (mounted.path / "dir" / "file").read_bytes() == b"content"
    status = run([FTPFS, "--status", mounted.path]).stdout
    shown = os.getxattr(mounted.path, "user.ftpfs.url").decode()
    table = pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    arguments = pathlib.Path(f"/proc/{mounted.pid}/cmdline").read_bytes().decode()
    for name, text in (("status", status), ("url", shown), ("mount table", table), ("arguments", arguments),
                       ("log", mounted.log_text())):
        assert SECRET not in text, name
    assert "PASS ***" in mounted.log_text()


def test_spool_is_private(scripted, mount, tmp_path):
    """Directories 0700 and files 0600, whatever the umask is."""
    for number, write in enumerate(("sync", "back")):
        mounted = mount(scripted, "", f"write={write}", *QUICK, wrapper=["sh", "-c", 'umask 0; exec "$@"', "sh"])
        file = os.open(mounted.path / "dir" / f"unsent{number}", os.O_WRONLY | os.O_CREAT)
        os.write(file, b"unsent")
        scripted.stop()
        try:
            os.close(file)
        except OSError:
            pass
        mounted.unmount()
        scripted.start()
    found = list((tmp_path / "spool").rglob("*")) + [tmp_path / "spool"]
    assert len(found) > 2
    for path in found:
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert mode & 0o077 == 0, f"{path}: {mode:o}"


# The program.

@pytest.mark.skipif(bool(os.environ.get("FTPFS_SANITIZED")), reason="a build for tests")
def test_hardened_build():
    """PIE, RELRO, immediate binding, no executable stack, stack protector, FORTIFY."""
    header = subprocess.run(["readelf", "-W", "-h", "-l", "-d", FTPFS], capture_output=True, text=True, check=True)
    symbols = subprocess.run(["readelf", "-W", "--dyn-syms", FTPFS], capture_output=True, text=True, check=True).stdout
    text = header.stdout
    assert re.search(r"Type:\s+DYN", text)
    assert "GNU_RELRO" in text
    assert re.search(r"BIND_NOW|Flags:.*NOW", text)
    assert re.search(r"GNU_STACK\s.*\sRW\s", text)
    assert "__stack_chk_fail" in symbols
    assert re.search(r"__\w+_chk\b", symbols.replace("__stack_chk_fail", ""))
