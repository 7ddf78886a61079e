# SPDX-License-Identifier: MIT
"""vsftpd, with a local user that exists only in the server's own mount namespace."""

import pathlib
import re

from .base import Server, crypt_hash, find_program
from .certs import certificates


class Vsftpd(Server):
    """More options: require_ssl_reuse=True (a data connection must resume the control connection's TLS session),
    settings={"name": "value"} (lines of vsftpd.conf that replace the defaults)."""

    kind = "vsftpd"
    program = "vsftpd"

    def __init__(self, require_ssl_reuse=False, settings=None, **options):
        super().__init__(**options)
        self.require_ssl_reuse = require_ssl_reuse
        self.settings = settings or {}
        self._write_accounts()

    def _write_accounts(self):
        users = pathlib.Path("/etc/passwd").read_text(encoding="utf-8", errors="surrogateescape")
        self.passwd = self.directory / "passwd"
        self.passwd.write_text(users + f"{self.user}:x:{self.uid}:{self.gid}::{self.root}:/bin/sh\n",
                               encoding="utf-8", errors="surrogateescape")
        self.shadow = self.directory / "shadow"
        self.shadow.write_text(f"{self.user}:{crypt_hash(self.password)}:19000:0:99999:7:::\n")
        self.shadow.chmod(0o600)
        self.pam = self.directory / "pam.d"
        self.pam.mkdir()
        (self.pam / "vsftpd").write_text("auth required pam_unix.so nodelay\naccount required pam_unix.so\n"
                                         "session required pam_permit.so\n")
        self.empty = self.directory / "empty"
        self.empty.mkdir()

    def prepare(self):
        low, high = self.passive_ports or (32768, 60999)
        six = ":" in self.address
        settings = {
            "listen": "NO" if six else "YES", "listen_ipv6": "YES" if six else "NO",
            "listen_address6" if six else "listen_address": self.address, "listen_port": self.port,
            "background": "NO", "anonymous_enable": "NO", "local_enable": "YES", "pam_service_name": "vsftpd",
            "check_shell": "NO", "write_enable": "YES", "chmod_enable": "YES", "mdtm_write": "YES",
            "local_umask": "022", "file_open_mode": "0666", "utf8_filesystem": "YES", "use_localtime": "NO",
            "pasv_enable": "YES", "port_enable": "YES", "connect_from_port_20": "NO",
            "pasv_min_port": low, "pasv_max_port": high,
            "chroot_local_user": "YES" if self.chroot else "NO", "allow_writeable_chroot": "YES",
            "secure_chroot_dir": self.empty, "nopriv_user": "nobody", "seccomp_sandbox": "NO", "isolate": "NO",
            "idle_session_timeout": self.idle_timeout, "data_connection_timeout": 300,
            "max_clients": self.max_clients or 0, "max_per_ip": 0,
            "delay_failed_login": 0, "delay_successful_login": 0,
            "xferlog_enable": "YES", "xferlog_std_format": "NO", "log_ftp_protocol": "YES", "syslog_enable": "NO",
            "vsftpd_log_file": self.log_path,
        }
        if self.tls:
            settings.update({
                "ssl_enable": "YES", "force_local_logins_ssl": "YES", "force_local_data_ssl": "YES",
                "ssl_tlsv1": "YES", "rsa_cert_file": certificates().certificate,
                "rsa_private_key_file": certificates().key, "ssl_ciphers": "HIGH",
                "require_ssl_reuse": "YES" if self.require_ssl_reuse else "NO",
                "implicit_ssl": "YES" if self.tls == "implicit" else "NO",
            })
        settings.update(self.settings)
        configuration = self.directory / "vsftpd.conf"
        configuration.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        binds = [(self.passwd, "/etc/passwd"), (self.shadow, "/etc/shadow"), (self.pam, "/etc/pam.d")]
        return [find_program("vsftpd"), str(configuration)], binds

    def commands(self):
        found = []
        for line in self._log_lines():
            match = re.search(r'FTP command: Client "[^"]*", "(.*)"$', line)
            if match:
                found.append(match.group(1))
        return found
