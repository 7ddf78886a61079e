# SPDX-License-Identifier: MIT
"""A lab for people, from the tests directory:

    python3 -m netlab [--rtt MS] [--rate BYTES] [--loss P] [--nat client|server] [--server KIND] [--tls] [-- COMMAND...]

Starts a server at one end of the wire, and the command (a shell, without one) at the other, as root of this machine.
The environment of the command has URL, OPTIONS, SERVER_ROOT and SERVER_LOG, and SERVER and ROUTER with the words that
enter these namespaces: $SERVER nft -f rules, for instance.
"""

import argparse
import os
import subprocess
import sys

import netlab
import servers


def main():
    parser = argparse.ArgumentParser(prog="python3 -m netlab", description="A client, a wire and an FTP server.")
    parser.add_argument("--rtt", type=float, default=0, help="round trip time in milliseconds")
    parser.add_argument("--rate", type=float, default=0, help="bytes a second in each direction; 0: no limit")
    parser.add_argument("--loss", type=float, default=0, help="the probability that a packet is lost")
    parser.add_argument("--seed", type=int, default=1, help="of the losses")
    parser.add_argument("--nat", choices=["client", "server"], help="who is behind a router with NAT")
    parser.add_argument("--server", choices=sorted(servers.KINDS), default="vsftpd")
    parser.add_argument("--tls", action="store_true", help="explicit TLS, demanded")
    parser.add_argument("--root", help="the directory to serve (default: a new one, removed at the end)")
    parser.add_argument("command", nargs="*", help="what to run at the client's end (default: a shell)")
    arguments = parser.parse_args()
    reason = netlab.missing()
    if reason:
        print(reason, file=sys.stderr)
        return 1
    servers.stop_on_signals()
    with netlab.Lab(rtt=arguments.rtt, rate=arguments.rate, loss=arguments.loss, seed=arguments.seed,
                    nat=arguments.nat) as lab:
        if arguments.nat == "server":
            lab.forward("21, 40000-40099")
        try:
            server = servers.start(arguments.server, tls=arguments.tls, root=arguments.root, netns=lab.server.path,
                                   address=lab.server.address, seen_as=lab.reachable, port=21,
                                   passive_ports=(40000, 40099))
        except servers.ServerError as error:
            print(error, file=sys.stderr)
            return 1
        with server:
            environment = dict(os.environ, URL=server.url(), OPTIONS=",".join(server.options),
                               SERVER_ROOT=str(server.root), SERVER_LOG=str(server.log_path),
                               SERVER=" ".join(lab.server.prefix))
            if lab.router:
                environment["ROUTER"] = " ".join(lab.router.prefix)
            command = arguments.command or [os.environ.get("SHELL") or "/bin/sh"]
            if not arguments.command:
                print(f"the server: {server.url()}\nits files: {server.root}\n(exit ends it all)", flush=True)
            return subprocess.call(lab.client.prefix + command, env=environment)


if __name__ == "__main__":
    sys.exit(main())
