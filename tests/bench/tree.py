# SPDX-License-Identifier: MIT
"""The tree that is served, as DESIGN section 5 has it, and where its parts lie. Parts are made when a row first asks.

    big, medium          files of random bytes
    small/               files of 4 KiB
    dirs/NNN/NN          directories with a few files each
    many/                a directory with many entries of different sizes
    huge/                one with ten times as many
    l1/l2/.../file       a small file, each directory on the way with a few others in it
    in/                  where the rows that write put their files
"""

import os
import random
import tarfile
import time

MIB = 1 << 20
SMALL = 4096
OLD = int(time.time()) - 30 * 86400  # times of files, as most files are: not of this minute, which ftpfs would doubt


class Sizes:
    def __init__(self, smoke):
        self.big = MIB + 12345 if smoke else 256 * MIB
        self.medium = 300001 if smoke else 64 * MIB
        self.small = 8 if smoke else 200
        self.dirs = 4 if smoke else 100
        self.dir_files = 3 if smoke else 10
        self.many = 60 if smoke else 10000
        self.huge = 300 if smoke else 100000
        self.copied = 5 if smoke else 100
        self.untarred = 12 if smoke else 1000
        self.reads = 10 if smoke else 100
        self.growth = [50, 500] if smoke else [1000, 10000, 100000, 1000000]
        self.enormous = 2 * MIB if smoke else 4096 * MIB


class Tree:
    """root: the served directory. local: a directory that nobody serves, for what is to be copied in."""

    def __init__(self, root, local, sizes, give):
        self.root = root
        self.local = local
        self.sizes = sizes
        self.give = give
        self.made = set()

    def need(self, *parts):
        for part in parts:
            if part not in self.made:
                getattr(self, "make_" + part)()
                self.made.add(part)

    def _file(self, path, size, seed):
        path.parent.mkdir(parents=True, exist_ok=True)
        chooser = random.Random(seed)
        with open(path, "wb") as file:
            for offset in range(0, size, MIB):
                file.write(chooser.randbytes(min(MIB, size - offset)))
        os.utime(path, (OLD, OLD))

    def make_big(self):
        self._file(self.root / "big", self.sizes.big, 1)

    def make_medium(self):
        self._file(self.root / "medium", self.sizes.medium, 2)

    def make_small(self):
        for path in self.small_files():
            self._file(path, SMALL, str(path.name))

    def small_files(self):
        return [self.root / "small" / f"file{number:04}" for number in range(self.sizes.small)]

    def make_dirs(self):
        for number in range(self.sizes.dirs):
            for other in range(self.sizes.dir_files):
                self._file(self.root / "dirs" / f"d{number:03}" / f"f{other:02}", 100 + other, other)

    def directories(self):
        return [self.root / "dirs" / f"d{number:03}" for number in range(self.sizes.dirs)]

    def _entries(self, name, count):
        (self.root / name).mkdir()
        for number in range(count):
            descriptor = os.open(self.root / name / f"entry{number:06}", os.O_WRONLY | os.O_CREAT, 0o644)
            os.ftruncate(descriptor, number % 5000)
            os.utime(descriptor, (OLD - number, OLD - number))
            os.close(descriptor)

    def make_many(self):
        self._entries("many", self.sizes.many)

    def make_huge(self):
        self._entries("huge", self.sizes.huge)

    def deep_file(self):
        """Eight names: seven directories and the file."""
        return self.root.joinpath(*(f"l{level}" for level in range(1, 8)), "file")

    def make_deep(self):
        path = self.deep_file()
        self._file(path, SMALL, 8)
        for parent in list(path.parents)[:7]:
            for number in range(5):
                self._file(parent / f"other{number}", 10, number)

    def make_in(self):
        (self.root / "in").mkdir()
        self.give(self.root / "in")

    def make_local_medium(self):
        self._file(self.local / "medium", self.sizes.medium, 3)

    def make_local_big(self):
        self._file(self.local / "big", self.sizes.big, 4)

    def make_local_small(self):
        for number in range(self.sizes.copied):
            self._file(self.local / "small" / f"file{number:04}", SMALL, number)

    def make_tar(self):
        """Files of some KiB, 20 in a directory, and a tar file of them."""
        for number in range(self.sizes.untarred):
            self._file(self.local / "source" / f"d{number // 20:02}" / f"f{number:04}.c", 500 + number * 37 % 7000,
                       number)
        with tarfile.open(self.local / "source.tar", "w") as archive:
            archive.add(self.local / "source", "source")
