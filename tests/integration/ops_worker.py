# SPDX-License-Identifier: MIT
"""Many programs at once, for tests of how long each waits.

Reads a JSON list of [operation, path] from its standard input, forks a child for each, says their pids, and lets all
begin when a line comes. Each child that ends is told in a line of JSON: [index, seconds, errno name or ""]. The first
line of the output has their pids."""

import errno
import json
import os
import select
import sys
import time


def listing(path):
    os.listdir(path)


def stat(path):
    os.stat(path)


def read(path):
    with open(path, "rb") as file:
        file.read()


def write(path):
    with open(path, "wb", buffering=0) as file:
        file.write(b"written" * 1000)


def append(path):
    with open(path, "ab", buffering=0) as file:
        file.write(b"more" * 1000)


def fsync(path):
    with open(path, "wb", buffering=0) as file:
        file.write(b"written" * 1000)
        os.fsync(file.fileno())


def truncate(path):
    os.truncate(path, 10)


def rename(path):
    os.rename(path, path + ".renamed")


def chmod(path):
    os.chmod(path, 0o640)


def utime(path):
    os.utime(path, (1000000000, 1000000000))


def getxattr(path):
    os.getxattr(path, "user.ftpfs.status")


def statfs(path):
    os.statvfs(path)


OPERATIONS = {"ls": listing, "stat": stat, "read": read, "write": write, "append": append, "fsync": fsync,
              "truncate": truncate, "rename": rename, "chmod": chmod, "utime": utime, "mkdir": os.mkdir,
              "rmdir": os.rmdir, "unlink": os.unlink, "getxattr": getxattr, "statfs": statfs}


def child(index, operation, path, go, results):
    select.select([go], [], [])  # the end of the pipe's other end is the sign for all
    began = time.monotonic()
    try:
        OPERATIONS[operation](path)
        name = ""
    except OSError as error:
        name = errno.errorcode.get(error.errno, str(error.errno))
    os.write(results, json.dumps([index, time.monotonic() - began, name]).encode() + b"\n")
    os._exit(0)


def main():
    jobs = json.loads(sys.stdin.readline())
    go, start = os.pipe()
    pids = []
    for index, (operation, path) in enumerate(jobs):
        pid = os.fork()
        if pid == 0:
            os.close(start)
            os.setpgid(0, 0)
            child(index, operation, path, go, 1)
        pids.append(pid)
    print(json.dumps(pids), flush=True)
    sys.stdin.readline()
    os.close(start)
    for pid in pids:
        os.waitpid(pid, 0)


main()
