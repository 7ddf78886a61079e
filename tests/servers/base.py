# SPDX-License-Identifier: MIT
"""What all servers have in common: files, ports, start, readiness, stop."""

import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.parse

from netlab import inside

from . import scratch
from .certs import certificates

USER = "tester"
PASSWORD = "p@ss word:/#1%"  # every character that a URL, a credentials file or a shell may stumble over
HERE = pathlib.Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent

START_TIMEOUT = 30
STOP_TIMEOUT = 30


class ServerError(Exception):
    """The server did not do what was asked; the message has its log."""


class ServerMissing(ServerError):
    """The server's program is not here, or may not be started by this user."""


def unpacked_directory():
    """Where tests/deps unpacks the servers that Debian does not let one install side by side."""
    return pathlib.Path(os.environ.get("FTPFS_SERVERS") or CHECKOUT / "build" / "servers")


def find_program(name):
    """The path of a server's program: installed, or unpacked by tests/deps; None when there is none."""
    for directory in (unpacked_directory() / "usr/sbin", unpacked_directory() / "usr/bin"):
        if (directory / name).exists():
            return str(directory / name)
    return shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin")


def library_path():
    """LD_LIBRARY_PATH for unpacked servers."""
    found = [str(path) for path in (unpacked_directory() / "usr/lib").glob("*-linux-gnu*")]
    return ":".join(found)


def crypt_hash(password):
    """A crypt(3) hash as /etc/shadow has it."""
    result = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=password.encode(), stdout=subprocess.PIPE,
                            timeout=60, check=True)
    return result.stdout.decode().strip()


def free_port():
    """A TCP port of 127.0.0.1 that nobody listens on. It lies below the range from which the kernel takes the local
    ports of connections, so that it stays free until the server binds it; where two tests pick the same, start() tries
    again with another."""
    chooser = random.SystemRandom()
    for _ in range(1000):
        port = chooser.randrange(10240, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerError("no free port on 127.0.0.1")


class Server:
    """A server of one kind. Made by servers.start().

    kind, tls, host, port, user, password: as the login needs them.
    root: the directory of this machine in which the login lands. The sessions run as user `uid`, group `gid` (nobody,
        when the tests run as root), so what a test creates below root and what the client is to change must be
        given away: give().
    login_dir: what the server answers to PWD after login: "/" where the login is confined to root (chroot=True).
    cafile: the authority of the server's certificate.
    options: the list of ftpfs options that this server needs (tls=on, cacert=...).
    directory: the server's own files (configuration, logs).

    Options of all kinds: chroot=True, idle_timeout=SECONDS, max_clients=N, passive_ports=(LOW, HIGH), root=PATH,
    user=NAME, password=TEXT, time_zone="as TZ has it".
    With netns=PATH it runs in that network namespace (netlab's Namespace.path) and listens there at address=ADDRESS,
    port=N; seen_as=ADDRESS is where its clients find it, when that is another.
    Not thread-safe; a server must be started by a thread that lives as long as the server shall.
    """

    kind = None
    program = None
    needs_root = True
    uses_syslog = False

    def __init__(self, tls=False, chroot=True, idle_timeout=3600, max_clients=None, passive_ports=None, root=None,
                 user=USER, password=PASSWORD, time_zone="UTC",
                 netns=None, address="127.0.0.1", port=0, seen_as=None):
        if tls not in (False, True, "implicit"):
            raise ValueError(f"tls={tls!r}")
        reason = self.missing()
        if reason:
            raise ServerMissing(reason)
        self.tls = tls
        self.chroot = chroot
        self.idle_timeout = idle_timeout
        self.max_clients = max_clients
        self.passive_ports = passive_ports
        self.netns = netns
        self.address = address
        self.host = seen_as or address
        self.port = port
        self.user = user
        self.password = password
        self.time_zone = time_zone
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self.uid, self.gid = nobody.pw_uid, nobody.pw_gid
        else:
            self.uid, self.gid = os.geteuid(), os.getegid()
        self.directory = pathlib.Path(scratch.new_directory(self.kind))
        if root is None:
            self.root = self.directory / "root"
            self.root.mkdir()
            self.give(self.root)
        else:
            self.root = pathlib.Path(root)
        self.login_dir = "/" if chroot else str(self.root)
        self.cafile = certificates().cafile if tls else None
        self.output_path = self.directory / "output"
        self.log_path = self.directory / "log"
        self.log_path.touch()
        self.process = None

    # What a kind fills in.

    @classmethod
    def missing(cls):
        """Why this server can't run here, or None."""
        if cls.needs_root and os.geteuid() != 0:
            return f"{cls.kind} needs root"
        if find_program(cls.program) is None:
            return f"{cls.program} is not installed (tests/deps test installs it)"
        return None

    def prepare(self):
        """Writes the configuration for self.port; returns (command, binds for the sandbox)."""
        raise NotImplementedError

    def commands(self):
        """The command lines that the server has logged, oldest first, such as "RETR a b"; passwords are hidden."""
        raise NotImplementedError

    # What all share.

    def url(self, path="", password=True):
        """A URL with user and password; path is a str or bytes relative to the login directory."""
        scheme = "ftps" if self.tls == "implicit" else "ftp"
        who = urllib.parse.quote(self.user, safe="")
        if password:
            who += ":" + urllib.parse.quote(self.password, safe="")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{who}@{host}:{self.port}/{urllib.parse.quote(path, safe='/')}"

    @property
    def options(self):
        if self.tls is True:
            return ["tls=on", f"cacert={self.cafile}"]
        if self.tls == "implicit":
            return [f"cacert={self.cafile}"]
        return []

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def give(self, path):
        """Makes a file or a tree belong to the user that the server's sessions run as."""
        if os.geteuid() != 0:
            return
        os.chown(path, self.uid, self.gid, follow_symlinks=False)
        if os.path.isdir(path) and not os.path.islink(path):
            for directory, directories, files in os.walk(os.fsencode(path)):
                for name in directories + files:
                    os.chown(os.path.join(directory, name), self.uid, self.gid, follow_symlinks=False)

    def log_text(self):
        """Everything that the server has said so far."""
        parts = []
        for path in (self.output_path, self.log_path):
            if path.exists():
                parts.append(path.read_text(encoding="utf-8", errors="backslashreplace"))
        return "".join(parts)

    def start(self):
        """Starts the server and waits for its greeting. A first start finds a free port, a later one keeps it."""
        if self.running:
            return
        attempts = 10
        fixed = self.port != 0
        for attempt in range(attempts):
            if not fixed:
                self.port = free_port()
            self._spawn()
            if self._wait_until_ready():
                return
            self._kill()
            if fixed and attempt + 1 < attempts:
                time.sleep(0.2)  # the port is still held by the one before
        raise ServerError(f"{self.kind} does not start on port {self.port}:\n{self.log_text()}")

    def stop(self):
        """Ends the server and all its sessions at once. Its files stay until this process ends."""
        self._kill()

    def freeze(self, number=signal.SIGSTOP):
        """Stops all of its processes where they are; their kernel goes on to answer. thaw() lets them run again."""
        seen = set()
        while True:  # one may have been made by another meanwhile
            new = set(self._family()) - {self.process.pid} - seen  # not the sandbox itself, which waits for them
            if not new:
                return
            seen |= new
            for pid in new:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass

    def thaw(self):
        self.freeze(signal.SIGCONT)

    def restart(self):
        """Stops the server and starts it again on the same port."""
        self.stop()
        self.start()

    def forget(self):
        """Stops the server and removes its files."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.forget()

    def _spawn(self):
        command, binds = self.prepare()
        if os.geteuid() == 0:
            wrapper = [sys.executable, str(HERE / "sandbox.py")]
            for source, target in binds:
                wrapper += ["--bind", str(source), str(target)]
            if self.uses_syslog:
                wrapper += ["--syslog", str(self.log_path)]
            command = wrapper + ["--"] + command
        if self.netns:
            command = [shutil.which("nsenter"), f"--net={self.netns}", "--"] + command
        environment = dict(os.environ, LC_ALL="C.UTF-8", TZ=self.time_zone)
        for name in ("LD_PRELOAD", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"):
            environment.pop(name, None)
        if (find_program(self.program) or "").startswith(str(unpacked_directory())):
            environment["LD_LIBRARY_PATH"] = library_path()
        with open(self.output_path, "ab") as output:
            # vsftpd says what is wrong with its configuration on descriptor 0.
            self.process = subprocess.Popen([str(word) for word in command], stdin=output, stdout=output,
                                            stderr=output, cwd="/", env=environment, start_new_session=True)

    def _kill(self):
        process = self.process
        if process is None:
            return
        self.process = None
        if process.poll() is None:
            # Process 1 of the sandbox first: with it the kernel ends all of the server, and the sandbox has waited
            # for that when it ends itself.
            children = []
            if os.geteuid() == 0:
                try:
                    text = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
                    children = [int(word) for word in text.split()]
                except OSError:
                    pass
            for pid in children or [process.pid]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        try:
            process.wait(timeout=STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=STOP_TIMEOUT)
        try:
            os.killpg(process.pid, signal.SIGKILL)  # sessions of a server that ran without a sandbox
        except (ProcessLookupError, PermissionError):
            pass

    def _wait_until_ready(self):
        """True once the server greets with 220; False when it has ended or the time is over."""
        limit = time.monotonic() + START_TIMEOUT
        while time.monotonic() < limit and self.process.poll() is None:
            if self._greets():
                # Somebody else may have the port, and our server be about to give up.
                return self.process.poll() is None and self._owns_port()
            time.sleep(0.02)
        return False

    def _greets(self):
        try:
            with inside(self.netns):
                connection = socket.create_connection((self.address, self.port), timeout=10)
            with connection:
                if self.tls == "implicit":
                    context = ssl.create_default_context(cafile=str(self.cafile))
                    connection = context.wrap_socket(connection, server_hostname="localhost")
                with connection:
                    return connection.recv(3) == b"220"
        except OSError:
            return False

    def _owns_port(self):
        """Whether the listening socket of our port belongs to a descendant of the process we started."""
        if self.netns:
            return True  # nobody else is there
        wanted = f"0100007F:{self.port:04X}"
        inodes = set()
        with open("/proc/net/tcp", encoding="ascii") as table:
            for line in table:
                words = line.split()
                if words[1] == wanted and words[3] == "0A":
                    inodes.add(f"socket:[{words[9]}]")
        for pid in self._family():
            try:
                for entry in os.listdir(f"/proc/{pid}/fd"):
                    try:
                        if os.readlink(f"/proc/{pid}/fd/{entry}") in inodes:
                            return True
                    except OSError:
                        continue
            except OSError:
                continue
        return False

    def _family(self):
        pending = [self.process.pid]
        while pending:
            pid = pending.pop()
            yield pid
            try:
                text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
            except OSError:
                continue
            pending += [int(word) for word in text.split()]

    def _log_lines(self):
        return self.log_path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
