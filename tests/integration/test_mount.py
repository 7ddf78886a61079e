# SPDX-License-Identifier: MIT
"""The command: the forms of SOURCE, where the password comes from, what a failed mount says, the mount table, how
other programs call it, and how a mount ends.

Most of it does not depend on the kind of server, and runs on one (`any_server`).
"""

import errno
import fcntl
import os
import pathlib
import pwd
import select
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import termios
import threading
import time
import types
import urllib.parse

import pytest

import servers
from lib import FTPFS, Mount, ftpfs_processes, run, wait_for

USAGE = 1
MOUNT_FAILED = 32
LIMIT = 120


def quote(text):
    return urllib.parse.quote(text, safe="")


def mount_entry(path):
    """(file system type, source, options) of a mountpoint in the mount table, or None."""
    wanted = os.fsencode(str(path))
    with open("/proc/self/mountinfo", "rb") as table:
        for line in reversed(table.read().splitlines()):
            left, _, right = line.partition(b" - ")
            if left.split(b" ")[4].decode("unicode_escape").encode("latin-1") == wanted:
                kind, source, options = right.split(b" ", 2)
                mount_options = left.split(b" ")[5] + b"," + options
                return (kind.decode(), source.decode("unicode_escape").encode("latin-1").decode(),
                        mount_options.decode(errors="replace"))
    return None


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __repr__(self):
        return f"exit {self.code}, stdout {self.out!r}, stderr {self.err!r}"


def ftpfs(*arguments, program=FTPFS, stdin=None, env=None, cwd=None):
    """Runs ftpfs until it ends or has gone to the background. Its output goes to files: a daemon that keeps them open
    would hold a pipe."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as given:
        given.write(stdin or b"")
        given.seek(0)
        process = subprocess.Popen([str(program), *map(str, arguments)], stdin=given, stdout=out, stderr=err, env=env,
                                   cwd=cwd, start_new_session=True)
        try:
            code = process.wait(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            err.seek(0)
            pytest.fail(f"ftpfs {arguments} did not return within {LIMIT} s: {err.read()!r}")
        out.seek(0)
        err.seek(0)
        return Result(code, out.read().decode(), err.read().decode())


@pytest.fixture
def place():
    """A directory for mountpoints that an ordinary user can reach (pytest's own can't be entered by others)."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="ftpfs-test-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def background_mount(path, command, log_path, stdin=None, env=None):
    """Runs a command that leaves a mount behind it, as for a user; returns its Mount."""
    mounted = Mount(path, log_path)
    with open(log_path, "wb") as log, tempfile.TemporaryFile() as given:
        given.write(stdin or b"")
        given.seek(0)
        process = subprocess.Popen([str(word) for word in command], stdin=given, stdout=log, stderr=log, env=env,
                                   start_new_session=True)
        try:
            code = process.wait(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            code = None
    pids = ftpfs_processes(path)
    mounted.pid = pids[0] if pids else 0
    assert code == 0, f"{command} ended with {code}\n{mounted.log_text()}"
    assert mount_entry(path) is not None, "the command returned 0 before the mount was there"
    assert len(pids) == 1, pids
    return mounted


@pytest.fixture
def background(place):
    """Factory: background(SOURCE, OPTION...) mounts with `-o OPTION,...`, and checks that the mount is there when the
    command returns 0. Unmounts at the end and waits for the process, which must end with 0."""
    count = [0]

    def mount(source, *options, arguments=None, stdin=None, env=None, program=FTPFS):
        path = place / f"mount {count[0]}"
        path.mkdir()
        count[0] += 1
        words = option_words(options) if arguments is None else arguments
        return background_mount(path, [program, source, path, *words], place / f"log {count[0]}", stdin, env)

    yield mount
    end_mounts(place)


def end_mounts(place):
    """Ends what a test has left below `place`; fails when one does not end with 0."""
    failures = []
    for mounted in list(Mount.live):
        if place in mounted.path.parents:
            if not mounted.pid and not mounted.is_mounted:
                mounted.forget()
                continue
            try:
                mounted.unmount()
            except AssertionError as error:
                failures.append(f"{mounted.path}: {error}")
            if mounted in Mount.live:
                failures.append(mounted.report_and_kill())
    assert not failures, "\n".join(failures)


def option_words(options):
    return ["-o", ",".join(options)] if options else []


@pytest.fixture
def workdir_any(any_server):
    """A fresh directory of any_server: `local` on this machine, `remote` from the login directory."""
    local = pathlib.Path(tempfile.mkdtemp(prefix="w-", dir=any_server.root))
    local.chmod(0o755)
    any_server.give(local)
    yield types.SimpleNamespace(local=local, remote=local.name)
    shutil.rmtree(local, ignore_errors=True)


@pytest.fixture
def address(any_server):
    return f"{any_server.host}:{any_server.port}"


def tls(server):
    return list(server.options)


def assert_works(mounted, workdir):
    """Reading and writing through the mount of workdir."""
    (workdir.local / "from server").write_bytes(b"from server")
    assert (mounted.path / "from server").read_bytes() == b"from server"
    (mounted.path / "from client").write_bytes(b"from client")
    assert (workdir.local / "from client").read_bytes() == b"from client"
    os.unlink(mounted.path / "from client")


def assert_refused(result, *words, code=MOUNT_FAILED, password=None):
    """One clear message: an exit code, one or two lines, the words that say what and where."""
    assert result.code == code, result
    lines = [line for line in result.err.strip().splitlines() if "the password was sent in plain text" not in line]
    assert 1 <= len(lines) <= 2, result
    assert "\\012" not in result.err and "\\n" not in result.err, result
    for word in words:
        assert word.lower() in result.err.lower(), f"{word!r} is not in: {result}"
    if password:
        assert password not in result.err and quote(password) not in result.err


# The forms of SOURCE.

@pytest.fixture(scope="module")
def open_server():
    """A server whose login is not confined: its root is the machine's."""
    with servers.start("vsftpd", chroot=False) as server:
        yield server


SOURCES = {
    "url": "ftp://{user}:{password}@{address}/{path}",
    "url with a slash at the end": "ftp://{user}:{password}@{address}/{path}/",
    "absolute by two slashes": "ftp://{user}:{password}@{address}/{absolute}",
    "absolute by %2F": "ftp://{user}:{password}@{address}/%2F{absolute_rest}",
    "curlftpfs": "curlftpfs#ftp://{user}:{password}@{address}/{path}",
    "bare with user and password": "{user}:{password}@{address}/{path}",
    "scheme in capitals": "FTP://{user}:{password}@{address}/{path}",
    "name of the host": "ftp://{user}:{password}@localhost:{port}/{path}",
}


@pytest.mark.parametrize("form", SOURCES)
def test_source_forms(background, open_server, form):
    server = open_server
    top = server.root / "two words 100%"
    top.mkdir(exist_ok=True)
    (top / "file").write_bytes(b"content")
    server.give(top)
    absolute = str(top)
    source = SOURCES[form].format(
        user=quote(server.user), password=quote(server.password), address=f"{server.host}:{server.port}",
        port=server.port, path=quote("two words 100%"), absolute=urllib.parse.quote(absolute),
        absolute_rest=urllib.parse.quote(absolute[1:]))
    mounted = background(source, "ipv4")
    assert os.listdir(mounted.path) == ["file"]
    assert (mounted.path / "file").read_bytes() == b"content"
    (mounted.path / "new").write_bytes(b"new")
    assert (top / "new").read_bytes() == b"new"
    os.unlink(mounted.path / "new")
    wait_for(lambda: os.listdir(top) == ["file"], timeout=60, what="the removed file to be gone")


def test_source_without_a_path(background, open_server):
    """The login directory, and the server's root."""
    (open_server.root / "in login directory").write_bytes(b"x")
    mounted = background(open_server.url(), "ro")
    assert "in login directory" in os.listdir(mounted.path)
    root = background(open_server.url() + "/", "ro")
    assert "etc" in os.listdir(root.path) and "usr" in os.listdir(root.path)


def test_implicit_tls(background):
    with servers.start("vsftpd", tls="implicit") as server:
        (server.root / "file").write_bytes(b"content")
        mounted = background(server.url(), f"cacert={server.cafile}")
        assert (mounted.path / "file").read_bytes() == b"content"
        other = background(server.url().replace("ftps://", "ftp://"), f"cacert={server.cafile}", "tls=implicit")
        assert (other.path / "file").read_bytes() == b"content"
        mounted.unmount()
        other.unmount()


# Who.

def test_user_and_password_options(background, any_server, workdir_any, address):
    server, workdir = any_server, workdir_any
    for source in (f"{address}/{workdir.remote}", f"ftp://{address}/{workdir.remote}"):
        mounted = background(source, f"user={server.user}:{server.password}", *tls(server))
        assert_works(mounted, workdir)
        mounted.unmount()
    mounted = background(f"ftp://{server.host}/{workdir.remote}", f"port={server.port}",
                         f"user={server.user}:{server.password}", *tls(server))
    assert_works(mounted, workdir)


def test_credentials_file(background, any_server, workdir_any, address, tmp_path):
    server = any_server
    file = tmp_path / "credentials"
    file.write_text(f"# a comment\n\nusername={server.user}\npassword={server.password}\n")
    file.chmod(0o600)
    source = f"ftp://{address}/{workdir_any.remote}"
    mounted = background(source, f"credentials={file}", *tls(server))
    assert_works(mounted, workdir_any)
    mounted.unmount()

    mountpoint = tmp_path / "mountpoint"
    mountpoint.mkdir()
    file.chmod(0o644)
    result = ftpfs(source, mountpoint, "-o", ",".join([f"credentials={file}", *tls(server)]))
    assert result.code in (USAGE, MOUNT_FAILED), result
    assert_refused(result, str(file), code=result.code, password=server.password)
    result = ftpfs(source, mountpoint, "-o", ",".join([f"credentials={tmp_path}/missing", *tls(server)]))
    assert result.code in (USAGE, MOUNT_FAILED), result
    assert_refused(result, f"{tmp_path}/missing", code=result.code)
    assert mount_entry(mountpoint) is None


def test_password_from_stdin(background, any_server, workdir_any, address):
    server = any_server
    mounted = background(f"ftp://{quote(server.user)}@{address}/{workdir_any.remote}", "password_stdin", *tls(server),
                         stdin=server.password.encode() + b"\n")
    assert_works(mounted, workdir_any)


@pytest.mark.parametrize("named", [True, False])
def test_netrc(background, any_server, workdir_any, address, tmp_path, named):
    server = any_server
    file = tmp_path / ".netrc"
    file.write_text(f'machine {server.host}\nlogin {server.user}\npassword "{server.password}"\n')
    file.chmod(0o600)
    environment = dict(os.environ, HOME=str(tmp_path))
    mounted = background(f"ftp://{address}/{workdir_any.remote}", f"netrc={file}" if named else "netrc", *tls(server),
                         env=environment)
    assert_works(mounted, workdir_any)


def test_password_from_the_terminal(any_server, workdir_any, address, place):
    """With a terminal and no password the command asks, without echo."""
    server = any_server
    path = place / "asked"
    path.mkdir()
    (place / "log").touch()
    master, slave = os.openpty()
    process = subprocess.Popen(
        [FTPFS, f"ftp://{quote(server.user)}@{address}/{workdir_any.remote}", str(path), *option_words(tls(server))],
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    os.close(slave)
    shown = b""
    asked = False
    limit = time.monotonic() + LIMIT
    try:
        while time.monotonic() < limit and process.poll() is None:
            if select.select([master], [], [], 0.2)[0]:
                try:
                    shown += os.read(master, 4096)
                except OSError:  # the last holder of the terminal is gone
                    break
            if not asked and b"assword" in shown:
                asked = True
                os.write(master, server.password.encode() + b"\n")
        assert asked, shown
        assert process.wait(timeout=LIMIT) == 0, shown
        assert server.password.encode() not in shown
        assert mount_entry(path) is not None
        mounted = Mount(path, place / "log")
        mounted.pid, = ftpfs_processes(path)
        assert_works(mounted, workdir_any)
        mounted.unmount()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(master)
        end_mounts(place)


# What a failed mount says.

def test_wrong_password(server, tmp_path):
    source = f"ftp://{quote(server.user)}:wrong-secret@{server.host}:{server.port}/"
    result = ftpfs(source, tmp_path, *option_words(tls(server)))
    assert_refused(result, f"{server.host}:{server.port}", password="wrong-secret")
    assert any(word in result.err.lower() for word in ("password", "login", "530")), result
    assert mount_entry(tmp_path) is None
    assert ftpfs_processes(tmp_path) == []


def test_wrong_password_in_the_foreground(any_server, address, tmp_path):
    result = ftpfs(f"ftp://nobody-here:wrong-secret@{address}/", tmp_path, "-f", *option_words(tls(any_server)))
    assert_refused(result, address, password="wrong-secret")


def test_anonymous_is_refused(any_server, address, tmp_path):
    """No user, no terminal: the login is anonymous, and this server has no such user."""
    result = ftpfs(f"ftp://{address}/", tmp_path, *option_words(tls(any_server)))
    assert_refused(result, address)


def test_unknown_host(tmp_path):
    result = ftpfs("ftp://u:secret@nonexistent.invalid/", tmp_path, "-o", "connect_timeout=10,retry=0")
    assert_refused(result, "nonexistent.invalid", password="secret")


def test_refused_port(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can get it meanwhile
        port = taken.getsockname()[1]
        result = ftpfs(f"ftp://u:secret@127.0.0.1:{port}/", tmp_path, "-o", "retry=0")
        assert_refused(result, f"127.0.0.1:{port}", "connect", password="secret")


class Talker:
    """A TCP server that greets with some bytes (or with none) and then only listens."""

    def __init__(self, greeting):
        self.greeting = greeting
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections = []
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
                self.connections.append(connection)
                connection.sendall(self.greeting)
            except OSError:
                return

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(timeout=60)
        for connection in self.connections:
            connection.close()


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n",
                                      b"\x16\x03\x01\x02\x00\x01\x00\xfc\x03\x03", b"421 too busy\r\n",
                                      b"554 go away\r\n"])
def test_no_ftp_server(tmp_path, greeting):
    with Talker(greeting) as talker:
        result = ftpfs(f"ftp://u:secret@127.0.0.1:{talker.port}/", tmp_path, "-o",
                       "connect_timeout=2,timeout=2,retry=0")
        assert_refused(result, f"127.0.0.1:{talker.port}", password="secret")


def test_silent_server(tmp_path):
    with Talker(b"") as talker:
        result = ftpfs(f"ftp://u:secret@127.0.0.1:{talker.port}/", tmp_path, "-o",
                       "connect_timeout=2,timeout=2,retry=0")
        assert_refused(result, f"127.0.0.1:{talker.port}", password="secret")


def test_missing_remote_directory(server, workdir, tmp_path):
    (workdir.local / "file").write_bytes(b"x")
    for path in (f"{workdir.remote}/missing", f"{workdir.remote}/file"):
        result = ftpfs(server.url(path), tmp_path, *option_words(tls(server)))
        assert_refused(result, path.rsplit("/", 1)[1], password=server.password)
        assert mount_entry(tmp_path) is None


@pytest.fixture(scope="module")
def tls_server():
    with servers.start("vsftpd", tls=True) as server:
        yield server


def test_certificate_of_an_unknown_authority(tls_server, tmp_path):
    result = ftpfs(tls_server.url(), tmp_path, "-o", "tls=on")
    assert_refused(result, f"{tls_server.host}:{tls_server.port}", "certificate", password=tls_server.password)


def test_certificate_of_an_unknown_authority_is_accepted_when_asked(tls_server, background):
    (tls_server.root / "file").write_bytes(b"content")
    for options in (["tls=on", "tls_verify=off"], ["ssl", "no_verify_peer", "no_verify_hostname"]):
        mounted = background(tls_server.url(), *options)
        assert (mounted.path / "file").read_bytes() == b"content"
        mounted.unmount()


def test_server_that_demands_tls(tls_server, tmp_path):
    result = ftpfs(tls_server.url(), tmp_path, "-o", "tls=off")
    assert_refused(result, f"{tls_server.host}:{tls_server.port}", password=tls_server.password)


def test_tls_demanded_of_a_server_without(tmp_path):
    with servers.start("pyftpdlib") as server:
        result = ftpfs(server.url(), tmp_path, "-o", "tls=on")
        assert_refused(result, f"{server.host}:{server.port}", "tls", password=server.password)
        assert not [line for line in server.commands() if line.startswith(("USER", "PASS"))], \
            "the login went over the wire unencrypted"


def test_tls_try(background):
    with servers.start("pyftpdlib") as server:
        (server.root / "file").write_bytes(b"content")
        mounted = background(server.url(), "tls=try")
        assert (mounted.path / "file").read_bytes() == b"content"
        mounted.unmount()


# Usage.

@pytest.mark.parametrize("option", [
    "mode=sideways", "epsv=maybe", "eprt=2", "pasv_address=none", "port=0", "port=65536", "port=x", "connections=0",
    "connections=x", "connections=-1", "active_ports=x-y", "active_ports=9-3", "active_ports=1-70000",
    "connect_timeout=x", "timeout=-1", "retry=1h", "keepalive=x", "tls=yes please", "tls_data=x",
    "tls_verify=perhaps", "tls_max=9", "umask=9", "fmask=88", "dmask=x", "uid=nobody-of-this-name",
    "gid=nobody-of-this-name", "charset=NO-SUCH-CHARSET", "listing=xml", "symlinks=x", "hidden=x", "cache_ttl=x",
    "negative_ttl=-5", "cache=x", "read_ahead=lots", "streams=0", "prefetch=x", "write=never", "upload=x",
    "spool=relative/path", "spool_max=x", "timezone=Moon/Sea",
])
def test_wrong_value(tmp_path, option):
    """The command ends before it connects: nobody listens at this address."""
    result = ftpfs("ftp://u:secret@127.0.0.1:1/", tmp_path, "-o", option)
    assert_refused(result, option.split("=")[0], code=USAGE, password="secret")


@pytest.mark.parametrize("option", ["no_such_option", "no_such_option=1", "connection=3", "krb4=private"])
def test_unknown_option(tmp_path, option):
    result = ftpfs("ftp://u:secret@127.0.0.1:1/", tmp_path, "-o", option)
    assert_refused(result, option.split("=")[0], code=USAGE, password="secret")


def test_usage(tmp_path):
    for arguments in ([], ["ftp://127.0.0.1:1/"], ["--no-such-switch"], ["gopher://127.0.0.1/", tmp_path],
                      ["ftp://127.0.0.1:1/", tmp_path, "third"], ["", tmp_path], ["ftp://:1/", tmp_path],
                      ["ftp://127.0.0.1:99999/", tmp_path], ["ftp://127.0.0.1/a%0D%0ADELE%20b", tmp_path]):
        result = ftpfs(*arguments)
        assert result.code == USAGE, (arguments, result)
        assert result.err.strip(), arguments
        assert result.out == "", arguments


def test_mountpoint_that_can_not_be_used(any_server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for name in ("missing", "file", "file/below"):
        result = ftpfs(any_server.url(), tmp_path / name, *option_words(tls(any_server)))
        assert result.code in (USAGE, MOUNT_FAILED), (name, result)
        assert str(tmp_path / name) in result.err, (name, result)
        assert any_server.password not in result.err


def test_help_and_version():
    result = ftpfs("-h")
    assert result.code == 0, result
    for word in ("ftpfs", "mode=", "connections=", "credentials=", "cache_ttl=", "-o", "-f"):
        assert word in result.out, word
    assert ftpfs("--help").out == result.out
    result = ftpfs("-V")
    assert result.code == 0, result
    assert "libcurl" in result.out and "libfuse" in result.out.replace("FUSE library", "libfuse"), result
    assert ftpfs("--version").code == 0


# The mount table, the command line, the log.

def test_mount_table(background, any_server, workdir_any, address):
    server = any_server
    mounted = background(server.url(workdir_any.remote), *tls(server))
    kind, source, _ = mount_entry(mounted.path)
    assert kind == "fuse.ftpfs"
    assert address in source and workdir_any.remote in source
    assert server.password not in source and quote(server.password) not in source
    command = pathlib.Path(f"/proc/{mounted.pid}/cmdline").read_bytes()
    assert server.password.encode() not in command and quote(server.password).encode() not in command
    assert str(mounted.path).encode() in command
    mounted.unmount()

    mounted = background(f"{address}/{workdir_any.remote}", f"user={server.user}:{server.password}", *tls(server))
    command = pathlib.Path(f"/proc/{mounted.pid}/cmdline").read_bytes()
    assert server.password.encode() not in command
    table = pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    assert server.password not in table.replace("\\040", " ")


def test_protocol_log_hides_the_password(mount, any_server, workdir_any):
    mounted = mount(any_server, workdir_any.remote, "-v")
    (mounted.path / "file").write_bytes(b"x")
    mounted.unmount()
    text = mounted.log_text()
    assert "STOR" in text and "USER" in text, "no protocol log"
    assert any_server.password not in text and quote(any_server.password) not in text


def test_daemon_leaves_the_terminal_alone(background, any_server, workdir_any):
    """In the background: the root as its directory, no open descriptor of its caller, a session of its own."""
    mounted = background(any_server.url(workdir_any.remote), *tls(any_server))
    pid = mounted.pid
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    for descriptor in (0, 1, 2):
        assert os.readlink(f"/proc/{pid}/fd/{descriptor}") == "/dev/null"
    assert os.getsid(pid) != os.getsid(0)


# How other programs mount.

FSTAB_OPTIONS = ("rw,_netdev,nofail,noauto,nosuid,nodev,noatime,x-systemd.automount,x-systemd.requires=network.target,"
                 "x-gvfs-show,comment=backup")


def test_fstab_options(background, any_server, workdir_any):
    mounted = background(any_server.url(workdir_any.remote), FSTAB_OPTIONS, "user", *tls(any_server))
    assert_works(mounted, workdir_any)
    options = mount_entry(mounted.path)[2].split(",")
    assert "nosuid" in options and "nodev" in options
    mounted.unmount()
    mounted = background(any_server.url(workdir_any.remote), "defaults,noexec,exec,suid,dev,users", *tls(any_server))
    assert_works(mounted, workdir_any)


def test_curlftpfs_options(background, any_server, workdir_any):
    mounted = background(any_server.url(workdir_any.remote), "disable_eprt", "enable_epsv", "skip_pasv_ip",
                         "tcp_nodelay", "ftp_method=nocwd", "cache_timeout=5", "utf8", "transform_symlinks",
                         "connect_timeout=20", *tls(any_server))
    assert_works(mounted, workdir_any)


def test_mount_helper(background, any_server, workdir_any, tmp_path):
    """As mount(8) calls it for `mount -t ftpfs` and a line in fstab."""
    helper = tmp_path / "mount.ftpfs"
    helper.symlink_to(FTPFS)
    source = any_server.url(workdir_any.remote)
    for switches, options in (([], "rw"), (["-n"], FSTAB_OPTIONS), (["-s", "-v"], "rw")):
        arguments = [*switches, "-o", ",".join([options, *tls(any_server)])]
        mounted = background(source, arguments=arguments, program=helper)
        assert mount_entry(mounted.path)[0] == "fuse.ftpfs"
        assert_works(mounted, workdir_any)
        run(["umount", str(mounted.path)], timeout=60)
        mounted.wait_end()
    (tmp_path / "mountpoint").mkdir()
    result = ftpfs("ftp://u:secret@127.0.0.1:1/", tmp_path / "mountpoint", "-o", "rw,retry=0", program=helper)
    assert_refused(result, "127.0.0.1:1", password="secret")


# A new mount namespace starts with copies of all mounts: those of other tests would be kept from ending by them.
DETACH = r"""
    awk '/ - fuse\.ftpfs /{gsub(/\\040/, " ", $5); print $5}' /proc/self/mountinfo |
        while read -r path; do umount -l "$path"; done
"""


MOUNT_8 = """
    set -eu
    mount --bind "$1/sbin" /usr/sbin
    mount -t "$4" "$2" "$1/mountpoint" -o "$3"
    awk '/mountpoint/{print $(NF - 2)}' /proc/self/mountinfo
    cat "$1/mountpoint/file"
    echo new > "$1/mountpoint/new"
    umount "$1/mountpoint"
    cat "$1/mountpoint/file" 2>/dev/null || echo gone
"""


@pytest.mark.parametrize("kind", ["ftpfs", "fuse.ftpfs"])
def test_mount_8(any_server, workdir_any, place, kind):
    """mount(8) and umount(8), in a mount namespace whose /usr/sbin has ftpfs and mount.ftpfs."""
    sbin = place / "sbin"
    sbin.mkdir()
    for name in ("ftpfs", "mount.ftpfs"):
        (sbin / name).symlink_to(FTPFS)
    shutil.copy(shutil.which("mount.fuse3", path="/usr/sbin:/sbin"), sbin / "mount.fuse3")
    (sbin / "mount.fuse").symlink_to("mount.fuse3")
    (place / "mountpoint").mkdir()
    (workdir_any.local / "file").write_bytes(b"content\n")
    options = ",".join(["rw", "_netdev", "nofail", "cache_ttl=7", *tls(any_server)])
    result = run(["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "timeout", "100", "sh", "-c",
                  DETACH + MOUNT_8, "sh", str(place), any_server.url(workdir_any.remote), options, kind])
    assert result.stdout.splitlines() == ["fuse.ftpfs", "content", "gone"], result
    assert (workdir_any.local / "new").read_bytes() == b"new\n"


def test_installed(tmp_path):
    """`meson install` puts the program, mount.ftpfs and the man pages in place."""
    build = pathlib.Path(FTPFS).parent
    if build.name == "src":
        build = build.parent
    assert (build / "build.ninja").exists(), f"{FTPFS} does not lie in a build directory"
    run(["meson", "install", "-C", str(build), "--no-rebuild", "--destdir", str(tmp_path)])
    found = {path.name: path for path in tmp_path.rglob("*")
             if (not path.is_dir() or path.is_symlink()) and "completions" not in path.parts}
    assert os.access(found["ftpfs"], os.X_OK)
    assert os.path.basename(os.readlink(found["mount.ftpfs"])) == "ftpfs"
    assert found["mount.ftpfs"].parent.name == "sbin"
    assert [name for name in found if name.startswith("ftpfs.1")] and \
        [name for name in found if name.startswith("mount.ftpfs.8")]
    assert "ftpfs" in run([str(found["ftpfs"]), "-V"]).stdout


# Many, other users, what they see.

def test_many_mounts_at_once(any_server, workdir_any, place):
    server = any_server
    paths = []
    for number in range(10):
        (workdir_any.local / str(number)).mkdir()
        (workdir_any.local / str(number) / "file").write_text(str(number))
        paths.append(place / f"many {number}")
        paths[-1].mkdir()
    server.give(workdir_any.local)
    mounts = [Mount(path, place / f"log {number}") for number, path in enumerate(paths)]
    started = []
    try:
        for number, mounted in enumerate(mounts):
            with open(mounted.log_path, "wb") as log:
                started.append(subprocess.Popen(
                    [FTPFS, server.url(f"{workdir_any.remote}/{number}"), mounted.path, *option_words(tls(server))],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True))
        for process, mounted in zip(started, mounts):
            assert process.wait(timeout=LIMIT) == 0, mounted.log_text()
        for number, path in enumerate(paths):
            assert (path / "file").read_text() == str(number)
            (path / "new").write_text(f"new {number}")
        for number in range(10):
            assert (workdir_any.local / str(number) / "new").read_text() == f"new {number}"
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
                process.wait()
        for mounted in mounts:
            mounted.pid = next(iter(ftpfs_processes(mounted.path)), 0)
        end_mounts(place)


def test_mount_over_another(background, any_server, workdir_any, place):
    """Two mounts of one directory of the server, each sees what the other did."""
    one = background(any_server.url(workdir_any.remote), "cache_ttl=1", *tls(any_server))
    two = background(any_server.url(workdir_any.remote), "cache_ttl=1", *tls(any_server))
    (one.path / "file").write_bytes(b"from one")
    wait_for(lambda: os.listdir(two.path) == ["file"], timeout=60, what="the other mount's file")
    assert (two.path / "file").read_bytes() == b"from one"
    os.unlink(two.path / "file")
    wait_for(lambda: os.listdir(one.path) == [], timeout=60, what="the file to vanish")


ORDINARY_USER = """
    set -eu
    # A /dev/fuse that everybody may open, as udev makes it; only this mount namespace sees it.
    mkdir "$1/dev"
    mount -t tmpfs -o mode=755 none "$1/dev"
    mknod -m 666 "$1/dev/fuse" c 10 229
    mount --bind "$1/dev/fuse" /dev/fuse
    user() { HOME="$home" setpriv --reuid="$uid" --regid="$gid" --clear-groups "$@"; }
    home=$1/home uid=$4 gid=$5
    cd /
    user "$1/ftpfs" "$2" "$1/mountpoint" -o "$3"
    user cat "$1/mountpoint/file"
    user sh -c 'echo new > "$1/mountpoint/new"' sh "$1"
    user stat -c '%u %g' "$1/mountpoint/new"
    if cat "$1/mountpoint/file" 2>/dev/null; then echo "root could read a mount without allow_other"; fi
    user fusermount3 -u "$1/mountpoint"
    if user ls "$1/mountpoint" | grep .; then echo "still mounted"; fi
    echo done
"""


def test_ordinary_user(any_server, workdir_any, place):
    """Through the set-uid fusermount3, as somebody who is not root."""
    if os.geteuid() != 0:
        pytest.skip("the other tests run as an ordinary user already")
    nobody = pwd.getpwnam("nobody")
    helper = shutil.which("fusermount3")
    assert helper and os.stat(helper).st_mode & stat.S_ISUID, "fusermount3 is not there, or not set-uid"
    shutil.copy(FTPFS, place / "ftpfs")
    (place / "ftpfs").chmod(0o755)
    for name in ("home", "mountpoint"):
        (place / name).mkdir()
        os.chown(place / name, nobody.pw_uid, nobody.pw_gid)
    files = list(tls(any_server))
    if any_server.cafile:
        shutil.copy(any_server.cafile, place / "ca.pem")
        (place / "ca.pem").chmod(0o644)
        files = [f"cacert={place}/ca.pem" if option.startswith("cacert=") else option for option in files]
    (workdir_any.local / "file").write_bytes(b"content\n")
    result = run(["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "timeout", "100", "sh", "-c",
                  DETACH + ORDINARY_USER, "sh", str(place), any_server.url(workdir_any.remote),
                  ",".join(["nosuid", *files]),
                  str(nobody.pw_uid), str(nobody.pw_gid)])
    assert result.stdout.splitlines() == ["content", f"{nobody.pw_uid} {nobody.pw_gid}", "done"], result
    assert (workdir_any.local / "new").read_bytes() == b"new\n"


def as_nobody(*command):
    return run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *map(str, command)], check=False,
               timeout=60)


def test_allow_other(background, any_server, workdir_any):
    (workdir_any.local / "file").write_bytes(b"content\n")
    os.chmod(workdir_any.local / "file", 0o644)
    private = background(any_server.url(workdir_any.remote), *tls(any_server))
    shared = background(any_server.url(workdir_any.remote), "allow_other", *tls(any_server))
    strict = background(any_server.url(workdir_any.remote), "allow_other", "default_permissions", "fmask=077",
                        *tls(any_server))
    assert as_nobody("cat", shared.path / "file").stdout == "content\n"
    for mounted in (private, strict):
        result = as_nobody("cat", mounted.path / "file")
        assert result.returncode != 0 and "Permission denied" in result.stderr, result
    assert (private.path / "file").read_bytes() == (strict.path / "file").read_bytes() == b"content\n"


def test_view_options(background, any_server, workdir_any):
    (workdir_any.local / "file").write_bytes(b"x")
    os.chmod(workdir_any.local / "file", 0o666)
    (workdir_any.local / "directory").mkdir()
    os.chmod(workdir_any.local / "directory", 0o777)
    cases = [
        (["uid=1234", "gid=2345"], 1234, 2345, 0o666, 0o777),
        (["fmask=0137", "dmask=027"], os.getuid(), os.getgid(), 0o640, 0o750),
        (["uid=nobody", "fmask=0133", "dmask=0022"], 65534, os.getgid(), 0o644, 0o755),
    ]
    for options, uid, gid, file_mode, directory_mode in cases:
        mounted = background(any_server.url(workdir_any.remote), *options, *tls(any_server))
        info = os.stat(mounted.path / "file")
        assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (uid, gid, file_mode), options
        info = os.stat(mounted.path / "directory")
        assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (uid, gid, directory_mode), options
        info = os.stat(mounted.path)
        assert (info.st_uid, info.st_gid) == (uid, gid), options
        mounted.unmount()


def test_read_only(background, any_server, workdir_any):
    (workdir_any.local / "file").write_bytes(b"content")
    mounted = background(any_server.url(workdir_any.remote), "ro", *tls(any_server))
    assert (mounted.path / "file").read_bytes() == b"content"
    operations = [
        lambda: (mounted.path / "new").write_bytes(b"x"), lambda: os.open(mounted.path / "file", os.O_WRONLY),
        lambda: os.mkdir(mounted.path / "new"), lambda: os.unlink(mounted.path / "file"),
        lambda: os.rename(mounted.path / "file", mounted.path / "new"), lambda: os.chmod(mounted.path / "file", 0o600),
        lambda: os.utime(mounted.path / "file"), lambda: os.truncate(mounted.path / "file", 0),
    ]
    for number, operation in enumerate(operations):
        with pytest.raises(OSError) as caught:
            operation()
        assert caught.value.errno == errno.EROFS, number
    assert os.listdir(workdir_any.local) == ["file"]
    assert "ro" in mount_entry(mounted.path)[2].split(",")


def test_hidden_files(background, any_server, workdir_any):
    (workdir_any.local / ".hidden").write_bytes(b"x")
    (workdir_any.local / "shown").write_bytes(b"x")
    everything = background(any_server.url(workdir_any.remote), *tls(any_server))
    assert sorted(os.listdir(everything.path)) == [".hidden", "shown"]
    without = background(any_server.url(workdir_any.remote), "hidden=off", *tls(any_server))
    assert os.listdir(without.path) == ["shown"]


# The end of a mount.

def test_unmount_at_rest(background, server, workdir):
    mounted = background(server.url(workdir.remote), *tls(server))
    assert_works(mounted, workdir)
    mounted.unmount()
    assert os.listdir(mounted.path) == []


def test_unmount_while_a_file_is_open(background, any_server, workdir_any):
    """Busy for fusermount3 -u; with -z the name goes at once and the process ends with the last handle."""
    mounted = background(any_server.url(workdir_any.remote), *tls(any_server))
    with open(mounted.path / "file", "wb") as file:
        file.write(b"written before")
        file.flush()
        result = run(["fusermount3", "-u", str(mounted.path)], check=False, timeout=60)
        assert result.returncode != 0 and "busy" in result.stderr.lower(), result
        assert mount_entry(mounted.path) is not None
        run(["fusermount3", "-uz", str(mounted.path)], timeout=60)
        assert mount_entry(mounted.path) is None
        file.write(b", written after")
    mounted.wait_end()
    assert (workdir_any.local / "file").read_bytes() == b"written before, written after"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal(background, any_server, workdir_any, number):
    mounted = background(any_server.url(workdir_any.remote), *tls(any_server))
    (mounted.path / "file").write_bytes(b"content")
    os.kill(mounted.pid, number)
    mounted.wait_end()
    assert (workdir_any.local / "file").read_bytes() == b"content"


def test_unmount_without_the_server(background):
    """The server is gone: the mountpoint still answers, and unmounting works."""
    with servers.start("pyftpdlib") as server:
        (server.root / "file").write_bytes(b"content")
        mounted = background(server.url(), "retry=0", "timeout=5", "connect_timeout=5")
        assert (mounted.path / "file").read_bytes() == b"content"
        server.stop()
        assert stat.S_ISDIR(os.stat(mounted.path).st_mode)
        assert os.statvfs(mounted.path).f_bsize > 0
        with pytest.raises(OSError) as caught:
            os.listdir(mounted.path / "another")
        assert caught.value.errno in (errno.EIO, errno.ETIMEDOUT, errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENOENT)
        mounted.unmount()


def test_server_comes_back(background):
    """The mount heals when its server is started again."""
    with servers.start("pyftpdlib") as server:
        (server.root / "file").write_bytes(b"content")
        mounted = background(server.url(), "cache_ttl=1")
        assert (mounted.path / "file").read_bytes() == b"content"
        server.restart()
        (server.root / "later").write_bytes(b"later")

        def works():
            try:
                return (mounted.path / "later").read_bytes() == b"later"
            except OSError:
                return False

        wait_for(works, timeout=60, what="the mount to work again")
        (mounted.path / "new").write_bytes(b"new")
        assert (server.root / "new").read_bytes() == b"new"
        mounted.unmount()


# Data connections.

def commands_of(server, action):
    """The verbs that the server logs from now until `action` is done, with their arguments."""
    before = len(server.commands())
    action()
    # A log may be written a little later than the reply. The mark is a command that comes after all of them.
    wait_for(lambda: any(line.startswith(("STOR", "stor")) for line in server.commands()[before:]), timeout=60,
             what="the server's log to have the upload")
    return server.commands()[before:]


MODES = {
    "default": ([], {"EPSV"}, {"PORT", "EPRT"}),
    "passive": (["mode=passive"], {"EPSV"}, {"PORT", "EPRT"}),
    "passive, short": (["passive"], {"EPSV"}, {"PORT", "EPRT"}),
    "epsv=off": (["mode=passive", "epsv=off"], {"PASV"}, {"EPSV", "PORT", "EPRT"}),
    "disable_epsv": (["disable_epsv"], {"PASV"}, {"EPSV", "PORT", "EPRT"}),
    "active": (["mode=active"], {"EPRT"}, {"EPSV", "PASV"}),
    "active, short": (["active"], {"EPRT"}, {"EPSV", "PASV"}),
    "eprt=off": (["mode=active", "eprt=off"], {"PORT"}, {"EPSV", "PASV", "EPRT"}),
    "ftp_port=-": (["ftp_port=-"], {"EPRT"}, {"EPSV", "PASV"}),
}


@pytest.mark.parametrize("mode", MODES)
def test_data_connection(background, any_server, workdir_any, mode):
    options, wanted, unwanted = MODES[mode]

    def use():
        mounted = background(any_server.url(workdir_any.remote), *options, *tls(any_server))
        (workdir_any.local / "in").write_bytes(b"in" * 50_000)
        assert (mounted.path / "in").read_bytes() == b"in" * 50_000
        (mounted.path / "out").write_bytes(b"out" * 50_000)
        assert (workdir_any.local / "out").read_bytes() == b"out" * 50_000
        mounted.unmount()

    verbs = {line.split(" ")[0].upper() for line in commands_of(any_server, use)}
    assert wanted <= verbs, verbs
    assert not unwanted & verbs, verbs


def test_active_mode(background, server, workdir, place):
    """On every server, plain and over TLS, with ports from a range."""
    low, high = 61000, 61999
    before = len(server.commands())
    for number in range(3):
        (workdir.local / f"in-{number}").write_bytes(bytes([number]) * 100_000)
    mounted = background(server.url(workdir.remote), "mode=active", f"active_ports={low}-{high}", *server.options)
    for number in range(3):
        assert (mounted.path / f"in-{number}").read_bytes() == bytes([number]) * 100_000
        (mounted.path / f"out-{number}").write_bytes(bytes([number]) * 100_000)
        assert (workdir.local / f"out-{number}").read_bytes() == bytes([number]) * 100_000
    assert len(os.listdir(mounted.path)) == 6
    mounted.unmount()

    def ports():
        found = []
        for line in server.commands()[before:]:
            words = line.split(" ")
            if words[0].upper() == "EPRT":
                found.append(int(words[1].split("|")[3]))
            elif words[0].upper() == "PORT":
                numbers = words[1].split(",")
                found.append(int(numbers[4]) * 256 + int(numbers[5]))
        return found

    wait_for(lambda: len(ports()) >= 6, timeout=60, what="the server's log to have the data connections")
    assert all(low <= port <= high for port in ports()), ports()
    assert not [line for line in server.commands()[before:] if line.upper().startswith(("EPSV", "PASV"))]


def test_log_in_once_for_many_operations(background, any_server, workdir_any):
    """Sessions are kept: the number of logins stays within `connections`, whatever is done."""
    before = len(any_server.commands())
    mounted = background(any_server.url(workdir_any.remote), "connections=3", *tls(any_server))
    for number in range(20):
        (mounted.path / f"file-{number}").write_bytes(b"x" * number)
        assert (mounted.path / f"file-{number}").read_bytes() == b"x" * number
    assert len(os.listdir(mounted.path)) == 20
    mounted.unmount()
    logins = [line for line in any_server.commands()[before:] if line.upper().startswith("USER")]
    assert 1 <= len(logins) <= 4, logins  # the probe before the background may have had one of its own
