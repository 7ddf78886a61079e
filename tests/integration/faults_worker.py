# SPDX-License-Identifier: MIT
"""Random work on files of one directory of a mount, for test_faults.py: faults_worker.py DIRECTORY STATE SEED SECONDS.

STATE is a pickle: what the directory has by what was acknowledged, {"files": {name: bytes}, "open": {name: [bytes or
None, ...]}}. "open" are the names of operations that have failed: each may have one of these contents (None: it is not
there), and they are not used any more. It is read at the beginning and written at the end: when the time is over, or
the mount is dead, or "stop" comes on the standard input. A wrong byte that is read ends it with an error."""

import errno
import os
import pickle
import random
import select
import sys
import time

DEAD = (errno.ENOTCONN, errno.ECONNABORTED)
NAMES = 8


class Dead(Exception):
    """The mount has died."""


class Worker:
    def __init__(self, directory, state, seed):
        self.directory = directory
        self.files = state["files"]
        self.open = state["open"]
        self.serial = state.setdefault("serial", 0)
        self.random = random.Random(seed)
        self.steps = [(self.write_new, 25), (self.overwrite, 15), (self.append, 15), (self.patch, 10),
                      (self.truncate, 8), (self.rename, 10), (self.unlink, 8), (self.read, 20), (self.names, 4)]

    def path(self, name):
        return os.path.join(self.directory, name)

    def data(self):
        kind = self.random.random()
        size = 0 if kind < 0.05 else self.random.randrange(1, 5000) if kind < 0.7 else \
            self.random.randrange(1, 200_000) if kind < 0.95 else self.random.randrange(1, 3_000_000)
        return self.random.randbytes(size)

    def attempt(self, name, after, action):
        """Does something that gives `name` the content `after`."""
        before = self.files.get(name)
        try:
            action()
        except OSError as error:
            self.files.pop(name, None)
            self.open[name] = [before, after]
            if error.errno in DEAD:
                raise Dead from error
            return
        if after is None:
            self.files.pop(name, None)
        else:
            self.files[name] = after

    def any_name(self):
        return self.random.choice(sorted(self.files)) if self.files else None

    def put(self, name, mode, data, offset=None):
        with open(self.path(name), mode, buffering=0) as file:
            if offset is not None:
                file.seek(offset)
            done = 0
            while done < len(data):
                done += file.write(data[done:])

    def write_new(self):
        if len(self.files) >= NAMES:
            return
        self.serial += 1
        data = self.data()
        name = f"file{self.serial}"
        self.attempt(name, data, lambda: self.put(name, "wb", data))

    def overwrite(self):
        name = self.any_name()
        if name:
            data = self.data()
            self.attempt(name, data, lambda: self.put(name, "wb", data))

    def append(self):
        name = self.any_name()
        if name:
            data = self.data()
            self.attempt(name, self.files[name] + data, lambda: self.put(name, "ab", data))

    def patch(self):
        name = self.any_name()
        if name:
            old, data = self.files[name], self.data()[:20_000]
            offset = self.random.randrange(len(old) + 1)
            new = old[:offset] + data + old[offset + len(data):]
            self.attempt(name, new, lambda: self.put(name, "r+b", data, offset))

    def truncate(self):
        name = self.any_name()
        if name:
            old = self.files[name]
            size = self.random.randrange(len(old) + 2000)
            self.attempt(name, old[:size] + b"\0" * (size - len(old)), lambda: os.truncate(self.path(name), size))

    def rename(self):
        name = self.any_name()
        if not name:
            return
        over = self.random.random() < 0.4
        if over:
            to = self.any_name()
        else:
            self.serial += 1
            to = f"file{self.serial}"
        if to == name:
            return
        data, replaced = self.files[name], self.files.get(to)
        try:
            os.rename(self.path(name), self.path(to))
        except OSError as error:
            for gone in (name, to):
                self.files.pop(gone, None)
            self.open[name] = [data, None]
            self.open[to] = [replaced, data]
            if error.errno in DEAD:
                raise Dead from error
            return
        del self.files[name]
        self.files[to] = data

    def unlink(self):
        name = self.any_name()
        if name:
            self.attempt(name, None, lambda: os.unlink(self.path(name)))

    def read(self):
        name = self.any_name()
        if not name:
            return
        try:
            with open(self.path(name), "rb") as file:
                found = file.read()
        except OSError as error:
            if error.errno in DEAD:
                raise Dead from error
            if error.errno == errno.ENOENT:
                raise AssertionError(f"{name} is not there") from error
            return
        if found != self.files[name]:
            raise AssertionError(f"{name}: {len(found)} bytes read, {len(self.files[name])} expected, the first "
                                 f"difference at {difference(found, self.files[name])}")

    def names(self):
        try:
            found = {name for name in os.listdir(self.directory) if not name.startswith(".")}
        except OSError as error:
            if error.errno in DEAD:
                raise Dead from error
            return
        missing = set(self.files) - found
        extra = found - set(self.files) - set(self.open)
        if missing or extra:
            raise AssertionError(f"missing in the listing: {sorted(missing)}, too many: {sorted(extra)}")

    def run(self, seconds):
        limit = time.monotonic() + seconds
        functions, weights = zip(*self.steps)
        try:
            while time.monotonic() < limit and not select.select([sys.stdin], [], [], 0)[0]:
                self.random.choices(functions, weights)[0]()
        except Dead:
            pass


def difference(one, other):
    for place, (a, b) in enumerate(zip(one, other)):
        if a != b:
            return place
    return min(len(one), len(other))


def main():
    directory, path, seed, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    with open(path, "rb") as file:
        state = pickle.load(file)
    worker = Worker(directory, state, seed)
    try:
        worker.run(seconds)
    finally:
        state["serial"] = worker.serial
        with open(path, "wb") as file:
            pickle.dump(state, file)


if __name__ == "__main__":
    main()
