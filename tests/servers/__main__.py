# SPDX-License-Identifier: MIT
"""Starts one server by hand, from the tests directory:

    python3 -m servers KIND [--tls|--implicit] [--root DIR] [--user NAME] [--password TEXT] [--no-chroot]
                       [--info FILE]

It prints how to log in, and serves until it is interrupted or its standard input (when that is a pipe) ends.
--info writes the same as shell assignments, once the server has greeted.
"""

import argparse
import os
import shlex
import stat
import sys
import time

import servers


def main():
    parser = argparse.ArgumentParser(prog="python3 -m servers", description="Starts an FTP server on loopback.")
    parser.add_argument("kind", choices=sorted(servers.KINDS))
    parser.add_argument("--tls", action="store_const", const=True, default=False, help="explicit TLS, demanded")
    parser.add_argument("--implicit", action="store_const", const="implicit", dest="tls", help="implicit TLS")
    parser.add_argument("--root", help="the directory to serve (default: a new one, removed at the end)")
    parser.add_argument("--user", help="the name to log in with")
    parser.add_argument("--password", help="its password")
    parser.add_argument("--no-chroot", action="store_false", dest="chroot", help="show the whole machine")
    parser.add_argument("--info", help="write URL, SERVER_ROOT, OPTIONS as shell assignments to this file")
    arguments = parser.parse_args()
    servers.stop_on_signals()
    options = {name: getattr(arguments, name) for name in ("root", "user", "password") if getattr(arguments, name)}
    try:
        server = servers.start(arguments.kind, tls=arguments.tls, chroot=arguments.chroot, **options)
    except servers.ServerError as error:
        print(error, file=sys.stderr)
        return 1
    values = {"URL": server.url(), "SERVER_ROOT": str(server.root), "OPTIONS": ",".join(server.options),
              "SERVER_LOG": str(server.log_path)}
    for name, value in values.items():
        print(f"{name}={shlex.quote(value)}", flush=True)
    if arguments.info:
        with open(arguments.info + ".new", "w", encoding="utf-8") as file:
            file.writelines(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
        os.rename(arguments.info + ".new", arguments.info)
    try:
        if stat.S_ISFIFO(os.fstat(0).st_mode):
            sys.stdin.read()
        else:
            while server.running:
                time.sleep(1)
    except KeyboardInterrupt:
        pass
    finally:
        server.forget()
    return 0


if __name__ == "__main__":
    sys.exit(main())
