# SPDX-License-Identifier: MIT
"""Pure-FTPd, with a user of its own PureDB. Its commands are logged by syslog only: see sandbox.py."""

import re
import subprocess

from .base import Server, ServerError, crypt_hash, find_program, library_path
from .certs import certificates


class PureFTPd(Server):
    """More option: arguments=[more words for the command line]."""

    kind = "pureftpd"
    program = "pure-ftpd"
    uses_syslog = True

    def __init__(self, arguments=(), **options):
        super().__init__(**options)
        if self.tls == "implicit":
            raise ValueError("Pure-FTPd has no implicit TLS")
        self.arguments = list(arguments)
        users = self.directory / "users"
        home = f"{self.root}/./" if self.chroot else str(self.root)
        users.write_text(f"{self.user}:{crypt_hash(self.password)}:{self.uid}:{self.gid}::{home}::::::::::::\n")
        users.chmod(0o600)
        self.database = self.directory / "users.pdb"
        result = subprocess.run([find_program("pure-pw"), "mkdb", str(self.database), "-f", str(users)],
                                env={"LD_LIBRARY_PATH": library_path()}, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
        if result.returncode != 0:
            raise ServerError("pure-pw: " + result.stdout.decode(errors="replace"))

    def prepare(self):
        command = [
            find_program("pure-ftpd"), "--verboselog", "--login", f"puredb:{self.database}",
            "--bind", f"{self.address},{self.port}", "--ipv6only" if ":" in self.address else "--ipv4only",
            "--dontresolve", "--noanonymous",
            "--pidfile", str(self.directory / "pid"), "--maxidletime", str(max(1, self.idle_timeout // 60)),
            "--maxclientsnumber", str(self.max_clients or 100), "--limitrecursion", "200000:20",
            "--umask", "133:022", "--minuid", "1",
        ]
        if self.chroot:
            command.append("--chrooteveryone")
        if self.passive_ports:
            command += ["--passiveportrange", "%d:%d" % tuple(self.passive_ports)]
        if self.tls:
            # 3: control and data connections must be encrypted.
            command += ["--tls", "3", "--certfile", f"{certificates().certificate},{certificates().key}"]
        return command + self.arguments, []

    def commands(self):
        found = []
        for line in self._log_lines():
            match = re.search(r"\[DEBUG\] Command \[(\S*)\] \[(.*)\]$", line)
            if match:
                verb, argument = match.group(1).upper(), match.group(2)
                found.append(f"{verb} {argument}" if argument else verb)
        return found
