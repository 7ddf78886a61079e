# SPDX-License-Identifier: MIT
"""The fixtures of the integration tests.

    server      a running server, once for each target (below); shared by all tests of a worker process
    any_server  one server, for tests that do not depend on its kind
    workdir     a fresh directory of `server` for the test: .remote (str, from the login directory), .local (Path)
    mount       factory: mount(server, "remote path", "option", "option=value", ...) -> lib.Mount, in the foreground
    mount_bg    the same, but ftpfs goes to the background by itself, as for a user

Whatever a test does, its mounts are gone when it has ended, its ftpfs have ended with 0, and no sanitizer has said
anything; each of these is a failure otherwise. The environment variables are described in tests/README.md.
"""

import fnmatch
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import lib  # noqa: E402
import netlab  # noqa: E402
import servers  # noqa: E402
from lib import FTPFS, STRICT, Mount  # noqa: E402

# Windows are for people to look at, and their programs are large: by hand.
collect_ignore = [] if os.environ.get("FTPFS_DESKTOP") else ["test_desktop.py"]

TEST_LIMIT = int(os.environ.get("FTPFS_TEST_TIMEOUT") or "300")
SANITIZER_REPORT = re.compile(r"ERROR: AddressSanitizer|ERROR: LeakSanitizer|WARNING: ThreadSanitizer|runtime error:|"
                              r"AddressSanitizer:DEADLYSIGNAL|CRITICAL \*\*")


class Target:
    """A kind of server, plain or with TLS, and the mount options that belong to it."""

    def __init__(self, name, kind, tls=False, options=()):
        self.name = name
        self.kind = kind
        self.tls = tls
        self.options = list(options)


TARGETS = [Target(f"{kind}{suffix}", kind, tls) for kind in ("vsftpd", "proftpd", "pureftpd", "pyftpdlib")
           for suffix, tls in (("", False), ("-tls", True))]
TARGETS.append(Target("vsftpd-one", "vsftpd", options=["connections=1"]))


def chosen_targets():
    patterns = [word.strip() for word in (os.environ.get("FTPFS_TARGETS") or "*").split(",") if word.strip()]
    chosen = [target for target in TARGETS if any(fnmatch.fnmatchcase(target.name, word) for word in patterns)]
    if not chosen:
        raise pytest.UsageError(f"FTPFS_TARGETS={os.environ['FTPFS_TARGETS']} chooses none of "
                                + ", ".join(target.name for target in TARGETS))
    return chosen


def target_named(name):
    for target in TARGETS:
        if target.name == name:
            return target
    raise pytest.UsageError(f"FTPFS_ANY={name} is none of " + ", ".join(target.name for target in TARGETS))


# The session.

def unavailable():
    """Why no mount can be made here, or None."""
    if not os.path.exists("/dev/fuse"):
        return "there is no /dev/fuse"
    if os.geteuid() != 0:
        return "the tests start servers with other identities, which needs root"
    return None


def pytest_configure(config):
    config.addinivalue_line("markers", "tsan: the tests that also run on the build with ThreadSanitizer")
    config.addinivalue_line("markers", "targets: the names of those that are enough for a test that takes `server`")
    config.addinivalue_line("markers", "timeout: a limit of its own, in seconds")
    if not os.access(FTPFS, os.X_OK) and not config.option.collectonly:
        raise pytest.UsageError(f"{FTPFS} is not there: build it, or set FTPFS")
    reason = unavailable()
    if reason and STRICT:
        raise pytest.UsageError(f"{reason} (and this run is strict: CI or FTPFS_STRICT is set)")
    servers.stop_on_signals()
    lib.become_subreaper()


def pytest_collection_modifyitems(items):
    reason = unavailable()
    for item in items:
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))
        if item.config.pluginmanager.hasplugin("timeout") and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TEST_LIMIT))


def pytest_generate_tests(metafunc):
    if "server" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("targets")
        metafunc.parametrize("server", [pytest.param(target, id=target.name) for target in chosen_targets()
                                        if marker is None or target.name in marker.args], indirect=True)


@pytest.fixture(scope="session", autouse=True)
def _session():
    """At the end of a worker's session nothing of it is left."""
    yield
    left = [str(mount.path) for mount in Mount.live]
    Mount.report_and_kill_all()
    for shared in _servers.values():
        shared.forget()
    running = [server.kind for server in servers.running()]
    servers.stop_all()
    assert not left, f"mounts left: {left}"
    assert not running, f"servers left: {running}"


def _remove_directory(directory):
    """Removes a directory of a session, and before that the mounts in it, which it returns."""
    left = [path for path in lib.mounted_paths() if path.startswith(str(directory) + "/")]
    for path in left:
        subprocess.run(["fusermount3", "-uz", path], timeout=60, check=False)
    shutil.rmtree(directory, ignore_errors=True)
    return left


@pytest.fixture(scope="session")
def session_directory():
    """A directory of this worker that every user may enter. It vanishes at the end, or, when the session is killed,
    at the begin of another."""
    for old in pathlib.Path("/tmp").glob("ftpfs-tests.*"):
        pid = old.name.split(".")[1]
        if pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
            _remove_directory(old)
    directory = pathlib.Path(tempfile.mkdtemp(prefix=f"ftpfs-tests.{os.getpid()}.", dir="/tmp"))
    directory.chmod(0o755)
    yield directory
    left = _remove_directory(directory)
    assert not left, f"mounts left: {left}"


@pytest.fixture(scope="session", autouse=True)
def sanitizer_directory(session_directory):
    """Where the sanitizers of all the ftpfs that a worker starts write their reports, also of those in the background
    and of those that a test starts by itself."""
    directory = session_directory / "sanitizers"
    directory.mkdir(mode=0o777)
    directory.chmod(0o1777)
    defaults = {
        "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:abort_on_error=0",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=0",
        "TSAN_OPTIONS": "halt_on_error=0:second_deadlock_stack=1",
    }
    for name, value in defaults.items():
        os.environ[name] = ":".join(filter(None, [value, os.environ.get(name), f"log_path={directory}/report"]))
    return directory


@pytest.fixture(autouse=True)
def _no_sanitizer_report(sanitizer_directory):
    """A report that appears during a test is that test's failure."""
    yield
    text = taken_reports(sanitizer_directory)
    assert not text, text


def taken_reports(directory):
    """What the sanitizers have reported since the last time, or "" (the reports are removed)."""
    reports = []
    for path in sorted(directory.glob("report*")):
        reports.append(path.read_text(encoding="utf-8", errors="replace"))
        path.unlink()
    text = "\n".join(filter(None, reports))
    return "a sanitizer has reported:\n" + text[:30000] if text else ""


@pytest.fixture(autouse=True)
def _watchdog(request):
    """A test that waits in the kernel for a mount can't be interrupted by a signal handler: some seconds before its
    time is over the mounts are killed, which ends the waiting with an error."""
    marker = request.node.get_closest_marker("timeout")
    limit = marker.args[0] if marker and marker.args else TEST_LIMIT
    reports = []
    timer = threading.Timer(max(1, limit - 20), lambda: reports.append(Mount.report_and_kill_all()))
    timer.daemon = True
    timer.start()
    yield
    timer.cancel()
    assert not reports, "the test took too long, and its mounts were killed:\n" + "\n".join(reports)


# Servers.

_servers = {}


def shared_server(target):
    """The server of a target, started when it is first asked for, and again when a test has left it stopped."""
    reason = servers.missing(target.kind)
    if reason:
        if STRICT:
            pytest.fail(f"{target.name}: {reason}")
        pytest.skip(f"{target.name}: {reason}")
    server = _servers.get(target.name)
    if server is None:
        server = TargetServer(servers.start(target.kind, tls=target.tls), target)
        _servers[target.name] = server
    server.start()
    return server


class TargetServer:
    """A server together with its target: `target` (its name) and `options` with the target's mount options."""

    def __init__(self, server, target):
        self._server = server
        self.target = target.name
        self.options = server.options + target.options

    def __getattr__(self, name):
        return getattr(self._server, name)

    def __repr__(self):
        return f"<{self.target} on port {self.port}>"


@pytest.fixture
def server(request):
    return shared_server(request.param)


@pytest.fixture
def any_server():
    return shared_server(target_named(os.environ.get("FTPFS_ANY") or "vsftpd"))


class WorkDirectory:
    def __init__(self, server, name):
        self.server = server
        self.remote = name
        self.local = server.root / name


_counter = [0]


@pytest.fixture
def workdir(server, request):
    """A fresh directory of the server that belongs to the user of its sessions."""
    _counter[0] += 1
    name = re.sub(r"[^A-Za-z0-9]+", "-", request.node.name).strip("-")[:60] + f"-{_counter[0]}"
    directory = WorkDirectory(server, name)
    directory.local.mkdir()
    server.give(directory.local)
    yield directory
    shutil.rmtree(directory.local, ignore_errors=True)


# Networks.

@pytest.fixture
def new_lab():
    """Makes labs: new_lab(rtt=20) -> netlab.Lab. lab.start(kind, ...) starts a server in it, on port 21. They end after
    the mounts, which a test must ask for later; a mount is made in it by wrapper=lab.client.prefix."""
    reason = netlab.missing()
    if reason:
        if STRICT:
            pytest.fail(reason)
        pytest.skip(reason)
    labs, started = [], []

    def make(**options):
        lab = netlab.Lab(**options)
        labs.append(lab)

        def start(kind="vsftpd", **settings):
            why = servers.missing(kind)
            if why:
                if STRICT:
                    pytest.fail(why)
                pytest.skip(why)
            started.append(servers.start(kind, netns=lab.server.path, port=21,
                                         **{"address": lab.server.address, "seen_as": lab.reachable, **settings}))
            return started[-1]

        lab.start = start
        return lab

    yield make
    for server in started:
        server.forget()
    for lab in labs:
        lab.end()


# Mounts.

class MountFactory:
    """Makes mounts below one directory, and ends them all."""

    def __init__(self, directory):
        self.directory = directory
        self.mounts = []

    def _prepare(self, server, remote, options, source, arguments, wrapper):
        number = len(self.mounts)
        path = self.directory / f"mnt{number}"
        path.mkdir()
        log_path = self.directory / f"log{number}"
        all_options = list(server.options if server is not None else []) + [str(option) for option in options]
        if source is None:
            source = server.url(remote)
        command = [*wrapper, FTPFS, source, path, *arguments]
        if all_options:
            command += ["-o", ",".join(all_options)]
        return path, log_path, [str(word) for word in command]

    def foreground(self, server, remote="", *options, source=None, arguments=(), wrapper=(), input=None, env=None,
                   timeout=60):
        """Mounts with -f and waits until it stands. source: instead of the server's URL. wrapper: words before ftpfs.
        input: bytes for its standard input. With FTPFS_VERBOSE the log has the protocol."""
        arguments = ["-f", *(["-v"] if os.environ.get("FTPFS_VERBOSE") else []), *arguments]
        path, log_path, command = self._prepare(server, remote, options, source, arguments, wrapper)
        with open(log_path, "wb") as log, tempfile.TemporaryFile() as given:
            given.write(input or b"")
            given.seek(0)
            process = subprocess.Popen(command, stdin=given, stdout=log, stderr=log, env=env, start_new_session=True)
        mount = Mount(path, log_path, process)
        self.mounts.append(mount)
        mount.wait_mounted(timeout)
        return mount

    def background(self, server, remote="", *options, source=None, arguments=(), wrapper=(), input=None, env=None,
                   timeout=60):
        """Mounts as a user does: the command must return 0, and the mount then stand."""
        path, log_path, command = self._prepare(server, remote, options, source, arguments, wrapper)
        mount = Mount(path, log_path)
        self.mounts.append(mount)
        with open(log_path, "wb") as log, tempfile.TemporaryFile() as given:
            given.write(input or b"")
            given.seek(0)
            try:
                code = subprocess.run(command, stdin=given, stdout=log, stderr=log, env=env, timeout=timeout,
                                      check=False).returncode
            finally:
                pids = lib.ftpfs_processes(path)
                mount.pid = pids[0] if pids else 0
        if code != 0:
            mount.returncode = code
            mount.forget()
            raise AssertionError(f"ftpfs ended with {code} instead of mounting\n{mount.log_text()}")
        assert mount.is_mounted, f"ftpfs has returned 0, and nothing is mounted\n{mount.log_text()}"
        assert len(pids) == 1, f"one ftpfs should serve {path}: {pids}"
        return mount

    def finish(self):
        failures = []
        for mount in reversed(self.mounts):
            try:
                mount.unmount()
            except AssertionError as error:
                failures.append(str(error))
            if mount in Mount.live:
                failures.append(mount.report_and_kill())
            text = mount.log_text()
            if SANITIZER_REPORT.search(text):
                failures.append(f"the log has a report:\n{text[-30000:]}")
        return failures


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for factory in item.funcargs.get("_mounts"), :
            for mount in factory.mounts if factory else ():
                if mount.log_path.exists():
                    report.sections.append((f"log of {mount.path}", mount.log_text()[-20000:]))


@pytest.fixture
def _mounts(session_directory, sanitizer_directory):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="m", dir=session_directory))
    directory.chmod(0o755)
    factory = MountFactory(directory)
    yield factory
    failures = factory.finish()
    # Only what is certainly not mounted may be removed.
    if not any(path.startswith(str(directory) + "/") for path in lib.mounted_paths()):
        shutil.rmtree(directory, ignore_errors=True)
    if failures:
        pytest.fail("\n".join([*failures, taken_reports(sanitizer_directory)]))


@pytest.fixture
def mount(_mounts):
    return _mounts.foreground


@pytest.fixture
def mount_bg(_mounts):
    return _mounts.background
