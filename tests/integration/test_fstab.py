# SPDX-License-Identifier: MIT
"""Lines of /etc/fstab, by mount(8) and umount(8), as root, as an ordinary user, and as systemd would.

Each test has a mount namespace of its own, in which /etc/fstab is the test's and /usr/sbin has ftpfs beside mount's
other helpers. What can't run here, units, is checked by systemd-analyze, and the mounts that they describe are made by
the same commands."""

import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time

import pytest

import servers
from lib import CHECKOUT, FTPFS, run
from test_mount import DETACH

EXAMPLES = CHECKOUT / "man" / "examples"
MOUNT_FAILED = 32
USER = 23456  # of the pretended machine: "ann", who has a home

PREPARE = DETACH + r"""
    set -u
    here=$1
    mount --bind "$here/sbin" /usr/sbin
    mount --bind "$here/fstab" /etc/fstab
    mount --bind "$here/passwd" /etc/passwd
    # A /dev/fuse that everybody may open, as udev makes it
    mkdir -p "$here/dev"
    mount -t tmpfs -o mode=755 none "$here/dev"
    mknod -m 666 "$here/dev/fuse" c 10 229
    mount --bind "$here/dev/fuse" /dev/fuse
    cd /
    clean() { env -i "$@"; }  # nothing in the environment, as early at a boot
    user() { clean setpriv --reuid=23456 --regid=23456 --clear-groups "$@"; }
    count() { grep -c " $1 " /proc/self/mountinfo; }
"""


class Machine:
    """A server, and a directory with the fstab, the credentials file and the mountpoint of a pretended machine."""

    def __init__(self, server, directory):
        self.server = server
        self.directory = directory
        directory.chmod(0o755)
        self.mountpoint = directory / "nas"
        self.mountpoint.mkdir()
        self.credentials = directory / "credentials"
        self.credentials.write_text(f"username={server.user}\npassword={server.password}\n")
        self.credentials.chmod(0o600)
        self.source = f"ftp://{server.host}:{server.port}/"
        sbin = directory / "sbin"
        sbin.mkdir()
        shutil.copy(FTPFS, directory / "ftpfs")  # where an ordinary user may go
        (directory / "ftpfs").chmod(0o755)
        for name in ("ftpfs", "mount.ftpfs", "curlftpfs"):
            (sbin / name).symlink_to(directory / "ftpfs")
        shutil.copy(shutil.which("mount.fuse3", path="/usr/sbin:/sbin"), sbin / "mount.fuse3")
        (sbin / "mount.fuse").symlink_to("mount.fuse3")
        (directory / "fstab").write_text("")
        home = directory / "home"
        home.mkdir()
        os.chown(home, USER, USER)
        accounts = pathlib.Path("/etc/passwd").read_text(encoding="utf-8")
        (directory / "passwd").write_text(accounts + f"ann:x:{USER}:{USER}::{home}:/bin/sh\n")

    def fstab(self, *lines):
        (self.directory / "fstab").write_text("".join(line + "\n" for line in lines))

    def line(self, *options, kind="ftpfs", source=None, credentials=True):
        all_options = [*options, *([f"credentials={self.credentials}"] if credentials else [])]
        return f"{source or self.source} {self.mountpoint} {kind} {','.join(all_options)} 0 0"

    def give_to_user(self):
        for path in (self.mountpoint, self.credentials):
            os.chown(path, USER, USER)

    def run(self, script, network=True, check=True, timeout=100):
        """Runs the script as root of the namespace, $1 being the directory. Its processes end with it."""
        command = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
        command += [] if network else ["--net"]
        return run([*command, "timeout", str(timeout), "sh", "-c", PREPARE + script, "sh", str(self.directory)],
                   check=check, timeout=timeout + 20)


@pytest.fixture(scope="module")
def one_server():
    with servers.start("vsftpd", user="joe", password="pass word") as started:
        (started.root / "file").write_bytes(b"content\n")
        yield started


@pytest.fixture
def machine(one_server, session_directory, request):
    directory = session_directory / re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())
    directory.mkdir()
    yield Machine(one_server, directory)
    for name in os.listdir(one_server.root):
        if name != "file":
            os.unlink(one_server.root / name)


# The kinds of lines, and what a machine does with them.

GENERIC = ("rw,_netdev,nofail,noatime,nosuid,nodev,x-systemd.automount,x-systemd.idle-timeout=60,"
           "x-systemd.requires=network.target,x-gvfs-show,x-gvfs-name=My%20NAS,comment=backup,noexec")

LINES = {
    "ftpfs": lambda m: m.line("defaults"),
    "fuse.ftpfs": lambda m: m.line("defaults", kind="fuse.ftpfs"),
    "generic options": lambda m: m.line(GENERIC),
    "generic options by mount.fuse": lambda m: m.line(GENERIC, kind="fuse.ftpfs"),
    "bare host": lambda m: m.line("ro", source=m.source.removeprefix("ftp://")),
    "user option": lambda m: m.line("user=joe:pass\\040word", credentials=False),
    "curlftpfs of type ftpfs": lambda m: m.line("rw", source=f"curlftpfs#{m.source}"),
    "fuse.curlftpfs": lambda m: m.line("rw", kind="fuse.curlftpfs"),
}


@pytest.mark.parametrize("name", LINES)
def test_line(machine, name):
    """mount -a mounts it once, mount MOUNTPOINT finds it, umount ends it; with nothing in the environment."""
    machine.fstab("# a comment", LINES[name](machine))
    done = machine.run("""
        clean mount -a && count "$here/nas" && cat "$here/nas/file"
        clean mount -a && count "$here/nas"
        clean umount "$here/nas" && count "$here/nas"
        clean mount "$here/nas" && cat "$here/nas/file"
        echo new > "$here/nas/new"
        sed -n "s|.* $here/nas ||p" /proc/self/mountinfo
        clean umount "$here/nas" && count "$here/nas"
    """, check=False)
    read_only = "ro," in machine.directory.joinpath("fstab").read_text()
    lines = done.stdout.splitlines()
    assert lines[:5] == ["1", "content", "1", "0", "content"], done
    assert " - fuse.ftpfs " in lines[5] or " - fuse.curlftpfs " in lines[5], done
    assert "nosuid" in lines[5] and "nodev" in lines[5] and ("noexec" in lines[5]) == ("generic" in name), done
    assert "pass" not in lines[5], done
    assert lines[6:] == ["0"], done
    assert ("Read-only" in done.stderr) == read_only, done
    assert (machine.server.root / "new").exists() != read_only


@pytest.mark.parametrize("program", ["curlftpfs", "ftpfs"])
def test_program_in_the_source(machine, program):
    """The form of curlftpfs's time. mount.fuse takes the program off the source, so mount -a does not find the mount in
    the mount table afterwards; it does no harm."""
    machine.fstab(machine.line("rw,uid=0,allow_other", kind="fuse", source=f"{program}#{machine.source}"))
    done = machine.run("""
        clean mount -a && cat "$here/nas/file"
        clean mount -a; count "$here/nas"
        clean umount "$here/nas" && count "$here/nas"
    """, check=False)
    assert done.stdout.splitlines() == ["content", "1", "0"], done
    assert done.stderr.count("already") == 1, done


def test_mount_all_of_several(machine):
    other = machine.directory / "other"
    other.mkdir()
    machine.fstab(machine.line("defaults"), machine.line("ro", kind="fuse.ftpfs").replace("/nas ", "/other "),
                  machine.line("noauto").replace("/nas ", "/never "))
    done = machine.run('clean mount -a && cat "$here/nas/file" "$here/other/file" && umount "$here/nas" "$here/other"')
    assert done.stdout == "content\ncontent\n", done


def test_same_mount_twice(machine):
    """A password in the source is not in the mount table, so mount -a can't tell that it is mounted: we do."""
    machine.fstab(machine.line("rw", credentials=False, source=machine.source.replace("//", "//joe:pass%20word@")))
    done = machine.run("""
        clean mount -a; echo $? && count "$here/nas"
        clean mount -a; echo $? && count "$here/nas" && cat "$here/nas/file" && umount "$here/nas"
    """, check=False)
    lines = done.stdout.splitlines()
    assert lines[:2] == ["0", "1"] and lines[2] != "0" and lines[3:] == ["1", "content"], done
    assert "is mounted at" in done.stderr and "pass" not in done.stderr, done


@pytest.mark.parametrize("kind", ["ftpfs", "fuse.ftpfs"])
def test_remount_is_refused(machine, kind):
    """Clearly, and without harm to the mount."""
    machine.fstab(machine.line("rw", kind=kind))
    done = machine.run("""
        clean mount "$here/nas"
        clean mount -o remount,uid=33 "$here/nas"; echo $?
        count "$here/nas"; cat "$here/nas/file"; umount "$here/nas"
    """, check=False)
    lines = done.stdout.splitlines()
    assert lines[0] != "0" and lines[1:] == ["1", "content"], done
    assert "unmount it and mount it again" in done.stderr, done


# The side bar of file managers: gvfs shows what has x-gvfs-show in the options that GLib tells of a mount. GLib has
# them from libmount, which keeps what the kernel does not know in /run/mount/utab.

OPTIONS_BY_GLIB = """
import ctypes, sys
gio = ctypes.CDLL("libgio-2.0.so.0")
gio.g_unix_mount_at.restype = ctypes.c_void_p
gio.g_unix_mount_get_options.argtypes = [ctypes.c_void_p]
gio.g_unix_mount_get_options.restype = ctypes.c_char_p
print(gio.g_unix_mount_get_options(gio.g_unix_mount_at(sys.argv[1].encode(), None)).decode())
"""


@pytest.mark.parametrize("kind", ["ftpfs", "fuse.ftpfs"])
def test_side_bar(machine, kind):
    """x-gvfs-show and x-gvfs-name of the line are there as long as the mount is, and not after it."""
    machine.fstab(machine.line("rw,x-gvfs-show,x-gvfs-name=My%20NAS", kind=kind))
    (machine.directory / "options.py").write_text(OPTIONS_BY_GLIB)
    done = machine.run(f"""
        mkdir -p /run/mount && mount -t tmpfs none /run/mount
        clean mount "$here/nas" && {sys.executable} "$here/options.py" "$here/nas"
        clean umount "$here/nas" && grep -c "$here/nas" /run/mount/utab
    """, check=False)
    options, left = done.stdout.splitlines()
    assert {"x-gvfs-show", "x-gvfs-name=My%20NAS"} <= set(options.split(",")), done
    assert left == "0", done


# An ordinary user.

@pytest.mark.parametrize("kind", ["ftpfs", "fuse.ftpfs"])
def test_user(machine, kind):
    """With "user" in the line everybody may mount, and who mounted may unmount. The mount is that user's."""
    machine.fstab(machine.line("user,noauto,x-systemd.automount", kind=kind))
    machine.give_to_user()
    done = machine.run("""
        user mount "$here/nas" && count "$here/nas"
        user cat "$here/nas/file"
        user sh -c 'echo new > "$1/nas/new" && stat -c "%U" "$1/nas/new"' sh "$here"
        cat "$here/nas/file" 2> /dev/null || echo "not even root"
        clean setpriv --reuid=33 --regid=33 --clear-groups umount "$here/nas" 2> /dev/null || echo "not by others"
        user umount "$here/nas" && count "$here/nas"
    """, check=False)
    assert done.stdout.splitlines() == ["1", "content", "ann", "not even root", "not by others", "0"], done
    assert (machine.server.root / "new").read_text() == "new\n"


# A boot without network, or without the server.

@pytest.mark.parametrize("network, source", [
    (False, "ftp://192.0.2.1/"), (False, "ftp://nas.example.com/"), (True, "ftp://127.0.0.1:1/"),
    (True, "ftp://nas.invalid/")])
def test_server_that_is_not_there(machine, network, source):
    """An error, and soon, also with `retry`: it is for mounts that stand."""
    machine.fstab(machine.line("_netdev,nofail", source=source))
    began = time.monotonic()
    done = machine.run('clean mount "$here/nas"; echo $?; count "$here/nas"', network=network, check=False)
    assert time.monotonic() - began < 60
    assert done.stdout.splitlines() == [str(MOUNT_FAILED), "0"], done
    assert source.split("/")[2].split(":")[0] in done.stderr, done


# systemd.

def systemd_analyze(directory, *units):
    done = run(["systemd-analyze", "verify", "--man=no", *units], check=False, timeout=60,
               env=dict(os.environ, SYSTEMD_UNIT_PATH=f"{directory}:/lib/systemd/system", SYSTEMD_LOG_LEVEL="warning"))
    names = [pathlib.Path(unit).name for unit in units]
    ours = [line for line in done.stderr.splitlines() if any(name in line for name in [*names, "nas"])]
    return done.returncode, ours


def test_units_of_fstab(machine):
    """systemd's own generator understands the lines."""
    generator = pathlib.Path("/lib/systemd/system-generators/systemd-fstab-generator")
    assert generator.exists(), "systemd is not installed (tests/deps test installs it)"
    fstab = machine.directory / "fstab"
    fstab.write_text(f"{machine.source} /mnt/nas ftpfs _netdev,nofail,credentials=/etc/ftpfs/nas,allow_other 0 0\n"
                     f"{machine.source} /mnt/auto fuse.ftpfs _netdev,noauto,x-systemd.automount,"
                     "x-systemd.idle-timeout=1h 0 0\n")
    units = machine.directory / "units"
    units.mkdir()
    run([generator, units, units, units], timeout=60, env=dict(os.environ, SYSTEMD_FSTAB=str(fstab)))
    nas = (units / "mnt-nas.mount").read_text()
    assert f"What={machine.source}" in nas and "Type=ftpfs" in nas and "Options=_netdev,nofail," in nas
    assert (units / "remote-fs.target.wants" / "mnt-nas.mount").is_symlink()
    assert "TimeoutIdleSec=1h" in (units / "mnt-auto.automount").read_text()
    code, said = systemd_analyze(units, units / "mnt-nas.mount", units / "mnt-auto.automount")
    assert code == 0 and not said, said


def test_example_units(machine):
    units = machine.directory / "units"
    units.mkdir()
    for path in EXAMPLES.iterdir():
        text = path.read_text().replace("/usr/bin/ftpfs", str(machine.directory / "ftpfs"))
        (units / path.name).write_text(text)
    code, said = systemd_analyze(units, *sorted(units.iterdir()))
    assert code == 0 and not said, said


def test_example_mount_unit(machine):
    """As systemd runs it: mount WHAT WHERE -t TYPE -o OPTIONS, with hardly an environment."""
    unit = dict(line.split("=", 1) for line in (EXAMPLES / "mnt-nas.mount").read_text().splitlines()
                if re.match(r"[A-Z]\w+=", line))
    options = unit["Options"].replace("/etc/ftpfs/nas", str(machine.credentials))
    done = machine.run(f"""
        env -i LANG=C.UTF-8 PATH=/usr/bin:/usr/sbin INVOCATION_ID=1 \
            mount {unit['What'].replace('nas.example.com', machine.source.split('/')[2])} "$here/nas" \
            -t {unit['Type']} -o {options}
        cat "$here/nas/file" && env -i umount "$here/nas" -c
    """)
    assert done.stdout == "content\n", done


@pytest.mark.parametrize("abstract", [False, True])
def test_example_service(machine, mount, abstract):
    """Its command, with the credentials where LoadCredential puts them; it tells when it is ready and when it stops."""
    unit = (EXAMPLES / "ftpfs-nas.service").read_text()
    command = re.search(r"^ExecStart=/usr/bin/ftpfs (.*)$", unit, re.MULTILINE).group(1).split(" ")
    assert "LoadCredential=nas:" in unit and "Type=notify" in unit
    loaded = machine.directory / "loaded"
    loaded.mkdir(mode=0o700)
    machine.credentials.rename(loaded / "nas")
    (loaded / "nas").chmod(0o440)
    name = f"@ftpfs-test-{os.getpid()}" if abstract else str(machine.directory / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0"))
        manager.settimeout(60)
        assert command[0] == "-f" and command[1] == "-o" and command[3:] == ["ftp://nas.example.com/", "/mnt/nas"]
        mounted = mount(None, source=machine.source,
                        arguments=["-o", command[2].replace("%d", str(loaded))],
                        env={"NOTIFY_SOCKET": name, "CREDENTIALS_DIRECTORY": str(loaded), "PATH": "/usr/bin",
                             **{key: os.environ[key] for key in os.environ if key.endswith("SAN_OPTIONS")}})
        assert manager.recv(1000) == b"READY=1"
        assert (mounted.path / "file").read_bytes() == b"content\n"
        mounted.unmount()
        assert manager.recv(1000) == b"STOPPING=1"


def test_background_mount_is_ready(machine):
    """When the command returns, the mount answers: Type=forking, or a script."""
    script = f"""
        for i in 1 2 3 4 5; do
            clean "$here/ftpfs" -o credentials="$here/credentials" {machine.source} "$here/nas"
            cat "$here/nas/file" && umount "$here/nas"
        done
    """
    assert machine.run(script).stdout == "content\n" * 5


def test_nobody_listens_for_the_notification(machine, mount):
    mounted = mount(None, "", f"credentials={machine.credentials}", source=machine.source,
                    env=dict(os.environ, NOTIFY_SOCKET=str(machine.directory / "nobody")))
    assert (mounted.path / "file").read_bytes() == b"content\n"


def test_examples_are_installed(tmp_path):
    subprocess.run(["meson", "install", "-C", str(FTPFS.parent), "--no-rebuild", "--destdir", str(tmp_path)],
                   stdout=subprocess.DEVNULL, timeout=120, check=True)
    found = {path.name for path in tmp_path.rglob("*") if "examples" in path.parts}
    assert {path.name for path in EXAMPLES.iterdir()} <= found
