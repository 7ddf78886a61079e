# SPDX-License-Identifier: MIT
"""pyftpdlib, run by pyftpd_program.py. It is the only one that needs no root."""

import importlib.util
import json
import sys

from .base import HERE, Server
from .certs import certificates

PYTHON = "/usr/bin/python3"  # Debian's pyftpdlib belongs to this one


class PyFtpd(Server):
    """More options: settings={"attribute of the handler class": value}; refuse=[commands that it shall not know];
    epsv_ports=(LOW, HIGH), other ones than for PASV; early_tls=False for pyftpdlib 1.5.7 as it is.

    As it is, it takes the first bytes of a data connection's TLS handshake, when they come before the command of the
    transfer, for the end of the connection and closes it. libcurl (7.87 and later) shakes hands as soon as the data
    connection stands, so it can't transfer anything over TLS with that server: curl fails in the same way. It also
    sets no session id context, without which OpenSSL refuses to resume a session. Both are put right here."""

    kind = "pyftpdlib"
    program = "python3"
    needs_root = False

    def __init__(self, settings=None, refuse=(), epsv_ports=None, early_tls=True, **options):
        super().__init__(**options)
        self.early_tls = early_tls
        self.refuse = list(refuse)
        self.epsv_ports = epsv_ports
        self.settings = settings or {}

    @classmethod
    def missing(cls):
        if sys.executable == PYTHON or sys.prefix == "/usr":
            for name in ("pyftpdlib", "OpenSSL"):
                if importlib.util.find_spec(name) is None:
                    return f"python3 module {name} is not installed (tests/deps build installs it)"
        return None

    def prepare(self):
        settings = {
            "host": self.address, "port": self.port, "user": self.user, "password": self.password,
            "root": str(self.root), "chroot": self.chroot, "uid": self.uid, "gid": self.gid,
            "tls": self.tls, "early_tls": self.early_tls, "refuse": self.refuse, "epsv_ports": self.epsv_ports,
            "log": str(self.log_path),
            "handler": dict(self.settings, timeout=self.idle_timeout),
            "max_clients": self.max_clients or 512, "passive_ports": self.passive_ports,
        }
        if self.tls:
            settings["certificate"] = str(certificates().combined)
        configuration = self.directory / "settings.json"
        configuration.write_text(json.dumps(settings))
        return [PYTHON, str(HERE / "pyftpd_program.py"), str(configuration)], []

    def commands(self):
        return [line[2:] for line in self._log_lines() if line.startswith("> ")]
