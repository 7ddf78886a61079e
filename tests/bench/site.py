# SPDX-License-Identifier: MIT
"""A server at the end of a wire.

Round trips are counted from the server's own log of commands: one for each command, one more for each data connection
(EPSV, PASV, EPRT or PORT stands before it), two for each control connection (the TCP handshake, and the greeting, which
comes before USER). QUIT does not count, nobody waits for it. The sum tells what an operation has cost altogether;
what goes on at the same time on several connections is counted each.
"""

import os
import time

import netlab
import servers

USER = PASSWORD = "bench"
DATA = ("EPSV", "PASV", "EPRT", "PORT")
PORTS = {"vsftpd": 21, "proftpd": 2121, "pureftpd": 2122, "pyftpdlib": 2123}


class Site:
    """One server, on loopback (lab None) or at the far end of a lab's wire. prefix: words that enter the client's
    network."""

    def __init__(self, kind, root, lab):
        place = {} if lab is None else {"netns": lab.server.path, "address": lab.server.address,
                                        "seen_as": lab.reachable, "port": PORTS[kind]}
        self.kind = kind
        self.lab = lab
        self.prefix = [] if lab is None else lab.client.prefix
        self.server = servers.start(kind, root=root, user=USER, password=PASSWORD, **place)
        self.rtt = 0

    def url(self, path=""):
        return self.server.url(str(path))

    def set_wire(self, rtt, loss, seed):
        if self.lab is not None:
            self.lab.wire.set(rtt=rtt, loss=loss, seed=seed)
        self.rtt = rtt

    def forget_commands(self):
        self.settle()
        os.truncate(self.server.log_path, 0)

    def settle(self):
        """Waits until nothing more comes (work behind the reader's back)."""
        pause = 0.05 + 2.5 * self.rtt / 1000
        size = -1
        limit = time.monotonic() + 5
        while time.monotonic() < limit:
            now = os.stat(self.server.log_path).st_size
            if now == size:
                return
            size = now
            time.sleep(pause)

    def commands(self):
        self.settle()
        return [line for line in self.server.commands() if line.upper() != "QUIT"]


def round_trips(commands):
    verbs = [line.split(" ")[0].upper() for line in commands]
    return len(verbs) + sum(verb in DATA for verb in verbs) + 2 * verbs.count("USER")


class Sites:
    """All sites of one run; each is started when it is first asked for."""

    def __init__(self, root):
        self.root = root
        self.lab = None
        self.found = {}

    def get(self, kind, far):
        if far and self.lab is None:
            self.lab = netlab.Lab()
            for namespace in (self.lab.client, self.lab.server):
                # A connection shall not begin with what an earlier one has learned of the wire.
                namespace.sysctl("net.ipv4.tcp_no_metrics_save", 1)
        if (kind, far) not in self.found:
            self.found[kind, far] = Site(kind, self.root, self.lab if far else None)
        return self.found[kind, far]

    def end(self):
        for site in self.found.values():
            site.server.forget()
        if self.lab is not None:
            self.lab.end()
