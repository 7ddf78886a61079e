# SPDX-License-Identifier: MIT
"""Runs one server program so that it can't leave anything behind.

    sandbox.py [--bind FROM TO]... [--syslog FILE] -- PROGRAM ARGUMENT...

Most FTP servers fork a process for each session, and those outlive the server when it is killed. So the program runs
in a PID namespace of its own: when its first process ends (and that one dies with whoever started this script), the
kernel kills the rest. It also gets a private mount namespace, in which a server may find its own /etc/passwd or
/etc/pam.d while the machine's stay as they are (--bind), and a /dev/log whose messages go to a file (--syslog).

The FUSE mounts that the new mount namespace inherits are detached at once: a copy kept here would keep a mount that a
test unmounts alive, and its ftpfs with it.
"""

import ctypes
import os
import signal
import socket
import sys
import threading

CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1

libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        sys.exit(f"sandbox: {what}: {os.strerror(number)}")


def mount(source, target, kind, flags, what):
    arguments = [value.encode() if value is not None else None for value in (source, target, kind)]
    check(libc.mount(*arguments, ctypes.c_ulong(flags), None), what)


def unescape(text):
    """A path of mountinfo, in which blanks and backslashes are octal."""
    return text.encode().decode("unicode_escape").encode("latin-1")


def detach_fuse_mounts():
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        lines = table.read().splitlines()
    for line in reversed(lines):
        left, _, right = line.partition(" - ")
        if right.split(" ")[0].startswith("fuse") and not right.startswith("fusectl"):
            libc.umount2(unescape(left.split(" ")[4]), MNT_DETACH)


def serve_syslog(path):
    """Puts a /dev/log in place, on a small private /dev, and copies what arrives to the file."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    stage = path + ".dev"
    os.makedirs(stage, exist_ok=True)
    mount("tmpfs", stage, "tmpfs", 0, "mount a tmpfs")
    for name in ("null", "zero", "full", "random", "urandom"):
        with open(os.path.join(stage, name), "w", encoding="ascii"):
            pass
        mount("/dev/" + name, os.path.join(stage, name), None, MS_BIND, "bind a device")
    listener.bind(os.path.join(stage, "log"))
    os.chmod(os.path.join(stage, "log"), 0o666)
    mount(stage, "/dev", None, MS_BIND | MS_REC, "bind /dev")

    def copy():
        with open(path, "ab", buffering=0) as log:
            while True:
                message = listener.recv(65536)
                log.write(message.rstrip(b"\0\n") + b"\n")

    return copy


def main():
    arguments = sys.argv[1:]
    binds = []
    syslog = None
    while arguments and arguments[0] != "--":
        if arguments[0] == "--bind":
            binds.append((arguments[1], arguments[2]))
            del arguments[:3]
        elif arguments[0] == "--syslog":
            syslog = arguments[1]
            del arguments[:2]
        else:
            sys.exit(f"sandbox: unknown option {arguments[0]}")
    command = arguments[1:]

    parent = os.getppid()
    check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    if os.getppid() != parent:
        return 1
    check(libc.unshare(CLONE_NEWNS | CLONE_NEWPID), "unshare (are you root?)")
    first = os.fork()
    if first != 0:
        _, status = os.waitpid(first, 0)
        return os.waitstatus_to_exitcode(status) & 0xFF

    # Process 1 of the namespace: it outlives the server only to reap what the server leaves.
    check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
    mount(None, "/", None, MS_REC | MS_PRIVATE, "make mounts private")
    detach_fuse_mounts()
    for source, target in binds:
        mount(source, target, None, MS_BIND, f"bind {target}")
    copy_syslog = serve_syslog(syslog) if syslog else None
    server = os.fork()
    if server == 0:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        try:
            os.execvp(command[0], command)
        except OSError as error:
            sys.stderr.write(f"sandbox: {command[0]}: {error.strerror}\n")
        os._exit(127)
    if copy_syslog:
        threading.Thread(target=copy_syslog, daemon=True).start()
    while True:
        pid, status = os.wait()
        if pid == server:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    sys.exit(main())
