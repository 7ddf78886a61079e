# SPDX-License-Identifier: MIT
"""The programs that are measured beside each other.

A peer that mounts has mount(site, directory) -> bounded.Mount; the raw programs are called by the rows themselves.
"""

import functools
import os
import shutil
import subprocess

from .bounded import Mount
from .site import PASSWORD, USER


def environment(**more):
    values = dict(os.environ, **more)
    for name in ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "ALL_PROXY"):
        values.pop(name, None)
    return values


def version(command, line=0):
    try:
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20, check=False)
    except OSError:
        return None
    lines = result.stdout.decode(errors="replace").splitlines()
    return lines[line].strip() if len(lines) > line else None


class Ftpfs:
    ours = True

    def __init__(self, name, title, *options, only_writes=False):
        self.name = name
        self.title = title
        self.options = list(options)
        self.only_writes = only_writes

    def missing(self):
        return None if os.access(os.environ["FTPFS"], os.X_OK) else f"{os.environ['FTPFS']} is not there"

    def mount(self, site, directory, more=()):
        spool = directory / "spool"
        spool.mkdir()
        options = ["user=" + USER, f"spool={spool}", *site.server.options, *self.options, *more]
        command = [*site.prefix, os.environ["FTPFS"], "-f", site.url(), directory / "mnt", "-o", ",".join(options)]
        return Mount(command, environment(), directory)


class Rclone:
    ours = False
    only_writes = False

    def __init__(self, mode):
        self.mode = mode
        self.name = f"rclone-{mode}"
        self.title = f"rclone {mode}"

    def missing(self):
        return None if shutil.which("rclone") else "rclone is not installed"

    @staticmethod
    @functools.lru_cache
    def _obscured():
        return subprocess.run(["rclone", "obscure", PASSWORD], stdout=subprocess.PIPE, timeout=20,
                              check=True).stdout.decode().strip()

    def mount(self, site, directory, more=()):
        server = site.server
        values = environment(RCLONE_CONFIG=str(directory / "rclone.conf"), RCLONE_CONFIG_S_TYPE="ftp",
                             RCLONE_CONFIG_S_HOST=server.host, RCLONE_CONFIG_S_PORT=str(server.port),
                             RCLONE_CONFIG_S_USER=USER, RCLONE_CONFIG_S_PASS=self._obscured())
        (directory / "rclone.conf").touch()
        command = [*site.prefix, "rclone", "mount", "s:", directory / "mnt", "--vfs-cache-mode", self.mode,
                   "--cache-dir", directory / "cache"]
        return Mount(command, values, directory)


class Curlftpfs:
    ours = False
    only_writes = False
    name = title = "curlftpfs"

    def missing(self):
        program = os.environ.get("CURLFTPFS")
        if not program:
            return "CURLFTPFS names no program"
        return None if os.access(program, os.X_OK) else f"{program} is not there"

    def mount(self, site, directory, more=()):
        server = site.server
        command = [*site.prefix, os.environ["CURLFTPFS"], "-f", f"ftp://{server.host}:{server.port}/",
                   directory / "mnt", "-o", f"user={USER}:{PASSWORD}"]
        return Mount(command, environment(), directory)


class Raw:
    """curl or lftp itself, without a mount."""

    ours = False
    only_writes = False
    name = "raw"
    title = "curl / lftp"

    def missing(self):
        for program in ("curl", "lftp"):
            if not shutil.which(program):
                return f"{program} is not installed"
        return None


ALL = [
    Ftpfs("ftpfs", "ftpfs"),
    Ftpfs("ftpfs-one", "ftpfs connections=1", "connections=1"),
    Ftpfs("ftpfs-back", "ftpfs write=back", "write=back", only_writes=True),
    Rclone("off"), Rclone("writes"), Rclone("full"),
    Curlftpfs(),
    Raw(),
]


def versions():
    """(what, which version) of all that took part."""
    def package(name):
        return version(["dpkg-query", "-W", "-f", "${Version}", name])

    found = [
        ("ftpfs", version([os.environ["FTPFS"], "-V"])),
        ("rclone", version(["rclone", "version"])),
        ("curl", version(["curl", "--version"])),
        ("lftp", version(["lftp", "--version"])),
        ("vsftpd", package("vsftpd")),
    ]
    if os.environ.get("CURLFTPFS"):
        found.append(("curlftpfs", version([os.environ["CURLFTPFS"], "-V"])))
    return [(name, value) for name, value in found if value]
