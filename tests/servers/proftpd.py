# SPDX-License-Identifier: MIT
"""ProFTPD, with a user of its own AuthUserFile."""

import re

from .base import Server, crypt_hash, find_program, unpacked_directory
from .certs import certificates


class ProFTPD(Server):
    """More options: require_ssl_reuse=True, settings=[lines of proftpd.conf added at the end]."""

    kind = "proftpd"
    program = "proftpd"

    def __init__(self, require_ssl_reuse=False, settings=(), **options):
        super().__init__(**options)
        self.require_ssl_reuse = require_ssl_reuse
        self.settings = list(settings)
        self.users = self.directory / "users"
        self.users.write_text(f"{self.user}:{crypt_hash(self.password)}:{self.uid}:{self.gid}::{self.root}:/bin/sh\n")
        self.users.chmod(0o600)

    def prepare(self):
        modules = unpacked_directory() / "usr/lib/proftpd"
        if not modules.exists():
            modules = "/usr/lib/proftpd"
        protocol = self.directory / "log"
        lines = [
            f"ModulePath {modules}",
            "ServerType standalone",
            'ServerName "ProFTPD"',
            "UseIPv6 on" if ":" in self.address else "UseIPv6 off",
            f"DefaultAddress {self.address}",
            f"Port {self.port}",
            "SocketBindTight on",
            "User root",
            "Group root",
            "Umask 022",
            f"PidFile {self.directory}/pid",
            f"ScoreboardFile {self.directory}/scoreboard",
            f"DelayTable none",
            "DelayEngine off",
            f"MaxInstances {self.max_clients or 'none'}",
            "UseReverseDNS off",
            "TimesGMT on",
            "SetEnv TZ UTC",
            "WtmpLog off",
            f"SystemLog {self.directory}/system",
            f"TransferLog none",
            'LogFormat commands "%r"',
            f"ExtendedLog {protocol} ALL commands",
            "AuthOrder mod_auth_file.c",
            "AuthPAM off",
            f"AuthUserFile {self.users}",
            "RequireValidShell off",
            "AllowOverwrite on",
            "AllowStoreRestart on",
            "AllowRetrieveRestart on",
            "HiddenStores off",
            "MultilineRFC2228 off",
            "TimeoutIdle %d" % self.idle_timeout,
            "TimeoutNoTransfer %d" % self.idle_timeout,
            "TimeoutStalled 300",
        ]
        if self.chroot:
            lines.append("DefaultRoot ~")
        if self.passive_ports:
            lines.append("PassivePorts %d %d" % tuple(self.passive_ports))
        if self.tls:
            options = ["NoEmptyFragments"]
            if not self.require_ssl_reuse:
                options.append("NoSessionReuseRequired")
            if self.tls == "implicit":
                options.append("UseImplicitSSL")
            lines += [
                "LoadModule mod_tls.c",
                "TLSEngine on",
                "TLSRequired on",
                f"TLSLog {self.directory}/tls",
                f"TLSRSACertificateFile {certificates().certificate}",
                f"TLSRSACertificateKeyFile {certificates().key}",
                "TLSVerifyClient off",
                "TLSOptions " + " ".join(options),
                "TLSRenegotiate none",
            ]
        lines += ["<Directory />", "  AllowOverwrite on", "</Directory>"]
        lines += self.settings
        configuration = self.directory / "proftpd.conf"
        configuration.write_text("\n".join(lines) + "\n")
        return [find_program("proftpd"), "-n", "-q", "-c", str(configuration)], []

    def log_text(self):
        parts = [super().log_text()]
        for name in ("system", "tls"):
            path = self.directory / name
            if path.exists():
                parts.append(path.read_text(encoding="utf-8", errors="backslashreplace"))
        return "".join(parts)

    def commands(self):
        return [re.sub(r"^(PASS) .*", r"\1 (hidden)", line) for line in self._log_lines() if line]
