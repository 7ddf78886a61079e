# SPDX-License-Identifier: MIT
"""Real FTP servers for tests: each is started on a free loopback port, with its own files, and stopped again.

    with servers.start("proftpd", tls=True) as server:
        print(server.url("a file"), server.root)

Kinds: vsftpd, proftpd, pureftpd, pyftpdlib. Only pyftpdlib runs without root. See base.Server for what a started
server offers, and each class for the options that it takes.
"""

import atexit
import signal
import weakref

from .base import Server, ServerError, ServerMissing  # noqa: F401
from .proftpd import ProFTPD
from .pureftpd import PureFTPd
from .pyftpd import PyFtpd
from .vsftpd import Vsftpd

KINDS = {"vsftpd": Vsftpd, "proftpd": ProFTPD, "pureftpd": PureFTPd, "pyftpdlib": PyFtpd}

_started = weakref.WeakSet()


def start(kind, tls=False, **options):
    """Starts a server and returns it once it has greeted.

    tls: False (none), True (explicit, demanded for control and data connections) or "implicit" (not pureftpd).
    Raises ServerMissing when the program is not installed, ServerError when it does not start.
    """
    server = KINDS[kind](tls=tls, **options)
    _started.add(server)
    server.start()
    return server


def missing(kind):
    """Why a server of this kind can't run here, or None when it can."""
    return KINDS[kind].missing()


def running():
    """The servers that are running now."""
    return [server for server in _started if server.running]


def stop_all():
    """Stops every server that is still running."""
    for server in list(_started):
        server.stop()


def stop_on_signals():
    """Makes SIGTERM and SIGHUP end the process in order, so that the atexit handlers run, as SIGINT does by itself."""
    def leave(number, _frame):
        raise SystemExit(128 + number)
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)


atexit.register(stop_all)
