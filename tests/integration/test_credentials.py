# SPDX-License-Identifier: MIT
"""Where user and password come from, and which source wins. `mount.ftpfs -f` does all but the mount: it logs in.
(tests/integration/test_mount.py has the terminal, and a mount by each of the usual sources.)"""

import os
import shutil
import stat
import textwrap
import urllib.parse

import pytest

from lib import FTPFS, run

LOGGED_IN, USAGE, REFUSED = 0, 1, 32
WRONG = "wrong-secret"

# In the order in which they are believed.
SOURCES = ["url", "option", "credentials", "stdin", "netrc", "askpass"]


class Login:
    """A command line for mount.ftpfs -f, from which the sources are taken."""

    def __init__(self, server, directory):
        self.server = server
        self.directory = directory
        self.helper = directory / "mount.ftpfs"
        self.helper.symlink_to(FTPFS)
        (directory / "mountpoint").mkdir()
        (directory / "home").mkdir()
        self.user = True  # SOURCE names the user
        self.password_in_url = None
        self.options = list(server.options)
        self.input = ""
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(directory / "home")}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
            self.environment[name] = os.environ[name]

    def file(self, name, text, mode=0o600):
        path = self.directory / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def add(self, source, password):
        user = self.server.user
        if source == "url":
            self.password_in_url = password
        elif source == "option":
            self.options.append(f"user={user}:" + password.replace(",", "\\,"))
        elif source == "credentials":
            path = self.file("credentials", f"username={user}\npassword={password}\n")
            self.options.append(f"credentials={path}")
        elif source == "stdin":
            self.input = password + "\n"
            self.options.append("password_stdin")
        elif source == "netrc":
            path = self.file("netrc", f'machine {self.server.host} login {user} password "{password}"\n')
            self.options.append(f"netrc={path}")
        elif source == "askpass":
            self.environment["FTPFS_ASKPASS"] = str(self.askpass(password))

    def askpass(self, password, code=0):
        answer = self.file("answer", password + "\n")
        return self.file("askpass", textwrap.dedent(f"""\
            #!/bin/sh
            printf '%s' "$1" > {self.directory}/question
            cat {answer}
            exit {code}
            """), 0o700)

    def question(self):
        path = self.directory / "question"
        return path.read_text() if path.exists() else None

    def try_it(self):
        quote = urllib.parse.quote
        who = quote(self.server.user) if self.user else ""
        if self.password_in_url is not None:
            who += ":" + quote(self.password_in_url, safe="")
        source = f"ftp://{who}{'@' if who else ''}{self.server.host}:{self.server.port}/"
        done = run([self.helper, source, self.directory / "mountpoint", "-f", "-o", ",".join(["rw", *self.options])],
                   env=self.environment, input=self.input, check=False)
        for secret in (self.server.password, WRONG):
            assert secret not in done.stdout + done.stderr, done
        return done


@pytest.fixture
def login(any_server, tmp_path):
    return Login(any_server, tmp_path)


@pytest.mark.parametrize("number", range(len(SOURCES)), ids=SOURCES)
def test_precedence(login, number):
    """The first source that is there counts, also when a later one would have known better."""
    if SOURCES[number] == "option":
        login.user = False
    login.add(SOURCES[number], login.server.password)
    for later in SOURCES[number + 1:]:
        if (SOURCES[number], later) not in (("url", "option"), ("option", "credentials")):
            login.add(later, WRONG)
    done = login.try_it()
    assert done.returncode == LOGGED_IN, done


@pytest.mark.parametrize("number", range(len(SOURCES)), ids=SOURCES)
def test_first_source_is_wrong(login, number):
    login.add(SOURCES[number], WRONG)
    for later in SOURCES[number + 1:]:
        if later != "option":
            login.add(later, login.server.password)
    done = login.try_it()
    assert done.returncode == REFUSED and "530" in done.stderr, done


def test_user_option_wins_over_the_url(login):
    """Also over its password, which is another person's then."""
    login.options.append(f"user={login.server.user}")
    login.add("stdin", login.server.password)
    done = run([login.helper, f"ftp://somebody:{WRONG}@{login.server.host}:{login.server.port}/",
                login.directory / "mountpoint", "-f", "-o", ",".join(login.options)], input=login.input, check=False)
    assert done.returncode == LOGGED_IN, done


# credentials=FILE

@pytest.mark.parametrize("mode, fine", [(0o600, True), (0o400, True), (0o700, True), (0o640, False), (0o604, False),
                                        (0o620, False), (0o602, False), (0o644, False)])
def test_mode_of_the_credentials_file(login, mode, fine):
    login.add("credentials", login.server.password)
    (login.directory / "credentials").chmod(mode)
    done = login.try_it()
    assert done.returncode == (LOGGED_IN if fine else USAGE), done
    assert fine or f"chmod 600 {login.directory}/credentials" in done.stderr, done


def test_owner_of_the_credentials_file(login):
    login.add("credentials", login.server.password)
    os.chown(login.directory / "credentials", 12345, -1)
    done = login.try_it()
    assert done.returncode == USAGE and "belongs to another user" in done.stderr, done


def test_credentials_file_that_is_none(login):
    for name in ("missing", "fifo", "mountpoint"):
        path = login.directory / name
        if name == "fifo":
            os.mkfifo(path, 0o600)
        login.options = [*login.server.options, f"credentials={path}"]
        done = login.try_it()
        assert done.returncode == USAGE and str(path) in done.stderr, done


def test_credentials_of_systemd(login):
    """LoadCredential= makes files that belong to root and have an access list for the service's user, which looks like
    a right of the group."""
    login.add("credentials", login.server.password)
    path = login.directory / "credentials"
    path.chmod(0o440)
    assert login.try_it().returncode == USAGE
    login.environment["CREDENTIALS_DIRECTORY"] = str(login.directory)
    done = login.try_it()
    assert done.returncode == LOGGED_IN, done
    path.chmod(0o444)
    assert login.try_it().returncode == USAGE
    path.chmod(0o440)
    login.environment["CREDENTIALS_DIRECTORY"] = str(login.directory.parent)
    assert login.try_it().returncode == USAGE


# netrc

@pytest.mark.parametrize("where", ["home", "path", "default"])
def test_netrc(login, where):
    user, password = login.server.user, login.server.password
    text = f'machine elsewhere.invalid login {user} password {WRONG}\n'
    host = "default" if where == "default" else f"machine {login.server.host}"
    text += f'{host}\n\tlogin {user}\n\tpassword "{password}"\n'
    path = login.file("home/.netrc" if where == "home" else "netrc", text)
    login.user = False
    login.options.append("netrc" if where == "home" else f"netrc={path}")
    done = login.try_it()
    assert done.returncode == LOGGED_IN, done


def test_netrc_of_the_named_user(login):
    """SOURCE names the user, netrc has the password, also where another user of the host stands first."""
    server = login.server
    path = login.file("netrc", f'machine {server.host} login somebody password {WRONG}\n'
                               f'machine {server.host} login {server.user} password "{server.password}"\n')
    login.options.append(f"netrc={path}")
    done = login.try_it()
    assert done.returncode == LOGGED_IN, done


def test_netrc_without_the_host(login):
    """No entry: nobody was named, so it is anonymous, which this server refuses."""
    path = login.file("netrc", f"machine elsewhere.invalid login {login.server.user} password x\n")
    login.user = False
    login.options.append(f"netrc={path}")
    done = login.try_it()
    assert done.returncode == REFUSED and "530" in done.stderr, done


# An askpass program

@pytest.mark.parametrize("environment, asked", [
    ({"FTPFS_ASKPASS": "P"}, True),
    ({"SSH_ASKPASS": "P", "DISPLAY": ":7"}, True),
    ({"SSH_ASKPASS": "P", "WAYLAND_DISPLAY": "wayland-0"}, True),
    ({"SSH_ASKPASS": "P", "SSH_ASKPASS_REQUIRE": "force"}, True),
    ({"SSH_ASKPASS": "P", "SSH_ASKPASS_REQUIRE": "prefer"}, True),
    ({"SSH_ASKPASS": "P"}, False),
    ({"SSH_ASKPASS": "P", "DISPLAY": ":7", "SSH_ASKPASS_REQUIRE": "never"}, False),
    ({"SSH_ASKPASS": "P", "DISPLAY": ""}, False),
    ({"FTPFS_ASKPASS": "", "DISPLAY": ":7"}, False),
])
def test_askpass(login, environment, asked):
    program = str(login.askpass(login.server.password))
    login.environment.update({name: program if value == "P" else value for name, value in environment.items()})
    done = login.try_it()
    assert done.returncode == (LOGGED_IN if asked else USAGE), done
    assert login.question() == (f"Password of {login.server.user} at {login.server.host}: " if asked else None)
    assert asked or "no terminal to ask on" in done.stderr, done


def test_askpass_that_is_cancelled(login):
    login.environment["FTPFS_ASKPASS"] = str(login.askpass(login.server.password, code=1))
    done = login.try_it()
    assert done.returncode == USAGE and "gave no password" in done.stderr, done
    login.environment["FTPFS_ASKPASS"] = str(login.directory / "missing")
    done = login.try_it()
    assert done.returncode == USAGE and f"{login.directory}/missing can't be started" in done.stderr, done


# The desktop's keyring: gnome-keyring, on a session bus of its own, that secret-tool has put a password into

KEYRING = r"""
set -eu
export XDG_RUNTIME_DIR="$HOME/run"
mkdir -m 700 -p "$XDG_RUNTIME_DIR"
printf 'key of the ring' | gnome-keyring-daemon --unlock --components=secrets --daemonize > /dev/null 2>&1
while [ "$1" != -- ]; do
    printf '%s' "$2" | secret-tool store --label="$1" $1
    shift 2
done
shift
exec "$@"
"""


@pytest.fixture
def with_keyring(login):
    """Words before a command that run it with a keyring: {attributes: password}."""
    if "+libsecret" not in run([FTPFS, "-V"]).stdout:
        pytest.skip("built without libsecret")
    for program in ("gnome-keyring-daemon", "secret-tool", "dbus-run-session"):
        assert shutil.which(program), f"{program} is not installed (tests/deps test installs it)"

    def words(items):
        pairs = [word for item in items.items() for word in item]
        return ["dbus-run-session", "--", "sh", "-c", KEYRING, "sh", *pairs, "--"]

    return words


@pytest.mark.parametrize("named", [True, False])
def test_keyring(login, with_keyring, mount_bg, workdir_any, named):
    server = login.server
    (workdir_any / "file").write_bytes(b"content")
    items = {  # the keyring replaces one that has all the attributes of a new one: the general first
        f"server {server.host} protocol ftp": WRONG,
        f"server elsewhere.invalid user {server.user} protocol ftp": WRONG,
        f"server {server.host} user {server.user} protocol ssh": WRONG,
        f"server {server.host} user {server.user} protocol ftp port {server.port + 1}": WRONG,
        f"server {server.host} user {server.user} protocol ftp port {server.port}": server.password,
        f"server {server.host} user {server.user} protocol smb port {server.port}": WRONG,
    }
    who = f"{urllib.parse.quote(server.user)}@" if named else ""
    mounted = mount_bg(server, "", "keyring", source=f"ftp://{who}{server.host}:{server.port}/{workdir_any.name}",
                       wrapper=with_keyring(items), env=dict(os.environ, HOME=login.environment["HOME"]))
    assert (mounted.path / "file").read_bytes() == b"content"
    assert len(os.listdir(f"/proc/{mounted.pid}/task")) < 20, "no thread of libsecret is left"


def test_keyring_without_an_entry(login, with_keyring):
    """It is said, and the next source is asked."""
    login.options.append("keyring")
    login.add("askpass", login.server.password)
    source = f"ftp://{login.server.user}@{login.server.host}:{login.server.port}/"
    words = [*with_keyring({"server elsewhere.invalid user u": "x"}), login.helper, source,
             login.directory / "mountpoint", "-f", "-o", ",".join(login.options)]
    done = run(words, env=login.environment)
    assert "option 'keyring': it has no password for this server" in done.stderr, done
    assert login.question(), "the askpass program was asked"


def test_keyring_that_does_not_run(login):
    login.options.append("keyring")
    login.add("askpass", login.server.password)
    login.environment["DBUS_SESSION_BUS_ADDRESS"] = "unix:path=/nonexistent"
    done = login.try_it()
    assert done.returncode == LOGGED_IN, done
    assert "option 'keyring': " in done.stderr, done


@pytest.fixture
def workdir_any(login):
    path = login.server.root / f"credentials-{os.getpid()}"
    path.mkdir(exist_ok=True)
    login.server.give(path)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def test_nothing_is_left_in_the_environment_of_the_daemon(login, mount_bg, workdir_any):
    """What a mount shows of itself has no password, whatever source it came from."""
    login.add("askpass", login.server.password)
    server = login.server
    mounted = mount_bg(server, "", source=f"ftp://{urllib.parse.quote(server.user)}@{server.host}:{server.port}/"
                       f"{workdir_any.name}", env=dict(os.environ, **login.environment))
    for name in ("cmdline", "environ"):
        with open(f"/proc/{mounted.pid}/{name}", "rb") as file:
            assert server.password.encode() not in file.read()
    assert stat.S_ISDIR(os.stat(mounted.path).st_mode)
