# SPDX-License-Identifier: MIT
"""A pyftpdlib server that reads its settings from a JSON file (written by pyftpd.py) and logs every command."""

import ctypes
import json
import logging
import os
import signal
import sys
import warnings

warnings.simplefilter("ignore")

from pyftpdlib.authorizers import DummyAuthorizer  # noqa: E402
from pyftpdlib.filesystems import AbstractedFS, UnixFilesystem  # noqa: E402
from pyftpdlib.handlers import FTPHandler, TLS_DTPHandler, TLS_FTPHandler  # noqa: E402
from pyftpdlib.servers import FTPServer  # noqa: E402

PR_SET_PDEATHSIG = 1


class EarlyTLS(TLS_DTPHandler):
    """Takes a TLS handshake that arrives before the command of the transfer."""

    def readable(self):
        if self._ssl_accepting and not self._initialized:
            return True
        return super().readable()


def make_handler(settings, log):
    base = TLS_FTPHandler if settings["tls"] else FTPHandler

    class Handler(base):
        """Logs each command as "> COMMAND argument" before it is carried out."""

        def pre_process_command(self, line, cmd, arg):
            shown = "PASS (hidden)" if cmd == "PASS" else line
            log.write(f"> {shown}\n")
            super().pre_process_command(line, cmd, arg)

        def handle(self):
            if settings["tls"] == "implicit":
                self.secure_connection(self.ssl_context)
            super().handle()

        def _make_epasv(self, extmode=False):
            low, high = settings["epsv_ports" if extmode and settings["epsv_ports"] else "passive_ports"] or (0, 0)
            self.passive_ports = range(low, high + 1) if low else None
            super()._make_epasv(extmode=extmode)

    Handler.authorizer = DummyAuthorizer()
    home = settings["root"] if settings["chroot"] else "/"
    Handler.authorizer.add_user(settings["user"], settings["password"], home, perm="elradfmwMT")
    Handler.abstracted_fs = AbstractedFS if settings["chroot"] else UnixFilesystem
    Handler.banner = "pyftpdlib ready."
    Handler.use_gmt_times = True
    Handler.unicode_errors = "surrogateescape"
    Handler.auth_failed_timeout = 0
    Handler.proto_cmds = {name: value for name, value in Handler.proto_cmds.items() if name not in settings["refuse"]}
    if settings["tls"]:
        Handler.certfile = settings["certificate"]
        Handler.tls_control_required = settings["tls"] is True
        Handler.tls_data_required = settings["tls"] is True
        # Made now: the private key can't be read once this process is no longer root.
        Handler.ssl_context = Handler.get_ssl_context()
        if settings["early_tls"]:
            Handler.dtp_handler = EarlyTLS
            Handler.ssl_context.set_session_id(b"ftpfs")
    for name, value in settings["handler"].items():
        setattr(Handler, name, value)
    if not settings["chroot"]:
        class LoginElsewhere(Handler):
            """The login directory is settings["root"], the file system is the machine's."""

            def handle_auth_success(self, home, password, msg_login):
                super().handle_auth_success(home, password, msg_login)
                self.fs.cwd = settings["root"]

        return LoginElsewhere
    return Handler


def main():
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        return 1
    with open(sys.argv[1], encoding="utf-8") as file:
        settings = json.load(file)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    log = open(settings["log"], "a", encoding="utf-8", errors="surrogateescape", buffering=1)
    server = FTPServer((settings["host"], settings["port"]), make_handler(settings, log), backlog=200)
    server.max_cons = settings["max_clients"]
    os.umask(0o022)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(settings["gid"])
        os.setuid(settings["uid"])
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # setuid has cleared it
    server.serve_forever(handle_exit=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
