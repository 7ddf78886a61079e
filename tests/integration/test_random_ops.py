# SPDX-License-Identifier: MIT
"""Random operations on one file against a model in memory, in the manner of fsx.

A run is a sequence of steps drawn from a seeded generator: reads and writes at any place, appends, truncation up and
down, by path and by handle, mappings, fsync, rename (also over another file), a second and third handle, close and
reopen. Every read is compared with the model. Whenever no handle holds bytes that it has not flushed, the file on the
server's own disk must equal the model too: that is what `close` and `fsync` promise.

The seed is fixed by the target and the file's number, so that a run in CI can be repeated. `FTPFS_SEED=N` gives
another one (`FTPFS_SEED=random` a new one each time), `FTPFS_FSX_STEPS=N` the number of steps of a file. Seed and the
last steps are printed when something differs.
"""

import collections
import errno
import mmap
import os
import random
import zlib

import pytest

from lib import wait_for

STEPS = int(os.environ.get("FTPFS_FSX_STEPS", "500"))
MAX_SIZE = 300_000
MAX_HANDLES = 3


def names_in(directory):
    """The names in a directory, but for those under which a removed file lives on while it is still open."""
    return sorted(name for name in os.listdir(directory) if not name.startswith((".fuse_hidden", ".ftpfs-")))


def choose_seed(label):
    wanted = os.environ.get("FTPFS_SEED", "")
    if wanted == "random":
        return int.from_bytes(os.urandom(4), "big")
    return int(wanted) if wanted else zlib.crc32(label.encode())


class Exerciser:
    """One file, its handles and its model. Each `do_...` method is one kind of step."""

    def __init__(self, directory, server_directory, seed):
        self.random = random.Random(seed)
        self.directory = directory
        self.server_directory = server_directory
        self.name = "file-0"
        self.model = bytearray()
        self.handles = []  # (descriptor, flags)
        self.dirty = set()  # descriptors whose last writes may not be on the server yet
        self.renames = 0
        self.history = collections.deque(maxlen=40)
        self.counts = collections.Counter()
        with open(self.path, "wb"):
            pass
        self.steps = [
            (self.do_read, 22), (self.do_write, 22), (self.do_append, 5), (self.do_truncate_path, 4),
            (self.do_truncate_handle, 5), (self.do_map_read, 5), (self.do_map_write, 4), (self.do_open, 10),
            (self.do_close, 9), (self.do_close_all, 3), (self.do_fsync, 4), (self.do_rename, 3),
            (self.do_rename_over, 2), (self.do_stat, 6), (self.do_seek_data, 3), (self.do_read_whole, 3),
            (self.do_open_truncating, 2), (self.do_exclusive, 2),
        ]

    @property
    def path(self):
        return self.directory / self.name

    def say(self, text):
        self.history.append(text)

    def compare(self, got, want, what):
        if got == want:
            return
        where = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
        raise AssertionError(f"{what}: {len(got)} bytes instead of {len(want)}, first difference at {where}: "
                             f"{bytes(got[where:where + 16])!r} instead of {bytes(want[where:where + 16])!r}")

    def compare_server(self, what):
        """The promise of close and fsync.

        An empty file is the exception while the process has it open for writing once more: `sh -c 'cmd > file'` closes
        such a handle before cmd writes anything, and others are not to see an empty file for that.
        """
        about_to_be_written = not self.model and any(flags & os.O_ACCMODE != os.O_RDONLY for _, flags in self.handles)
        if not self.dirty and not about_to_be_written:
            self.compare((self.server_directory / self.name).read_bytes(), self.model, f"the server's file {what}")

    # Choosing.

    def any_handle(self, writable=False):
        able = [handle for handle in self.handles if not writable or handle[1] & os.O_ACCMODE != os.O_RDONLY]
        return self.random.choice(able) if able else None

    def readable_handle(self):
        able = [handle for handle in self.handles if handle[1] & os.O_ACCMODE != os.O_WRONLY]
        return self.random.choice(able) if able else None

    def span(self):
        """An offset and a length, often at borders of blocks and at the end of the file."""
        kind = self.random.random()
        size = len(self.model)
        if kind < 0.25:
            offset = self.random.randrange(0, MAX_SIZE, 4096)
        elif kind < 0.5:
            offset = max(0, size - self.random.randrange(0, 5000))
        else:
            offset = self.random.randrange(0, size + 1)
        offset = min(offset, MAX_SIZE - 1)
        length = self.random.choice([1, 100, 4095, 4096, 4097, self.random.randrange(1, 70_000)])
        return offset, min(length, MAX_SIZE - offset)

    def data(self, length):
        return self.random.randbytes(length)

    def changed(self, descriptor):
        self.dirty.add(descriptor)

    # Steps.

    def do_open(self, flags=None):
        if len(self.handles) >= MAX_HANDLES and flags is None:
            return
        if flags is None:
            flags = self.random.choice([os.O_RDWR, os.O_RDWR, os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_APPEND])
        descriptor = os.open(self.path, flags)
        self.say(f"open flags={flags:#o} -> {descriptor}")
        self.handles.append((descriptor, flags))

    def do_open_truncating(self):
        if len(self.handles) >= MAX_HANDLES:
            return
        descriptor = os.open(self.path, os.O_RDWR | os.O_TRUNC | os.O_CREAT, 0o644)
        self.say(f"open O_TRUNC -> {descriptor}")
        self.handles.append((descriptor, os.O_RDWR))
        del self.model[:]
        self.changed(descriptor)

    def do_exclusive(self):
        self.say("open O_CREAT|O_EXCL")
        with pytest.raises(FileExistsError):
            os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)

    def do_close(self, handle=None):
        handle = handle or self.any_handle()
        if handle is None:
            return self.do_open()
        self.handles.remove(handle)
        self.say(f"close {handle[0]}")
        os.close(handle[0])
        self.dirty.discard(handle[0])
        return self.compare_server("after close")

    def do_close_all(self):
        while self.handles:
            self.do_close(self.handles[0])
        self.dirty.clear()
        self.compare_server("after the last close")
        self.do_read_whole()

    def do_read(self):
        handle = self.readable_handle()
        if handle is None:
            return self.do_open()
        offset, length = self.span()
        self.say(f"pread {handle[0]} {offset}+{length}")
        self.compare(os.pread(handle[0], length, offset), self.model[offset:offset + length],
                     f"pread at {offset} for {length}")
        return None

    def do_read_whole(self):
        self.say("read the whole file by a new handle")
        with open(self.path, "rb") as file:
            self.compare(file.read(), self.model, "the whole file")

    def do_write(self):
        handle = self.any_handle(writable=True)
        if handle is None:
            return self.do_open(os.O_RDWR) if len(self.handles) < MAX_HANDLES else self.do_close()
        offset, length = self.span()
        data = self.data(length)
        if handle[1] & os.O_APPEND:  # Linux: pwrite on an O_APPEND handle appends, wherever it was aimed
            offset = len(self.model)
            length = min(length, MAX_SIZE - offset)
            data = data[:length]
            if length <= 0:
                return None
        self.say(f"pwrite {handle[0]} {offset}+{length} (size {len(self.model)})")
        assert os.pwrite(handle[0], data, offset) == length
        if offset > len(self.model):
            self.model.extend(bytes(offset - len(self.model)))
        self.model[offset:offset + length] = data
        self.changed(handle[0])
        return None

    def do_append(self):
        length = min(self.random.randrange(1, 10_000), MAX_SIZE - len(self.model))
        if length <= 0:
            return
        data = self.data(length)
        self.say(f"open O_APPEND, write {length} (size {len(self.model)}), close")
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            assert os.write(descriptor, data) == length
        finally:
            os.close(descriptor)
        self.model.extend(data)
        self.compare_server("after an append")

    def new_size(self):
        kind = self.random.random()
        if kind < 0.1:
            return 0
        if kind < 0.2:
            return len(self.model)
        return self.random.randrange(0, MAX_SIZE)

    def resize(self, size):
        del self.model[size:]
        self.model.extend(bytes(size - len(self.model)))

    def do_truncate_path(self):
        size = self.new_size()
        self.say(f"truncate {len(self.model)} -> {size}")
        os.truncate(self.path, size)
        self.resize(size)
        for descriptor, flags in self.handles:
            if flags & os.O_ACCMODE != os.O_RDONLY:
                self.changed(descriptor)
        self.compare_server("after truncate")

    def do_truncate_handle(self):
        handle = self.any_handle(writable=True)
        if handle is None:
            return
        size = self.new_size()
        self.say(f"ftruncate {handle[0]} {len(self.model)} -> {size}")
        os.ftruncate(handle[0], size)
        self.resize(size)
        self.changed(handle[0])

    def do_map_read(self):
        handle = self.readable_handle()
        if handle is None or not self.model:
            return
        self.say(f"mmap {handle[0]} for reading")
        with mmap.mmap(handle[0], len(self.model), access=mmap.ACCESS_READ) as mapped:
            offset, length = self.span()
            self.compare(mapped[offset:offset + length], self.model[offset:offset + length],
                         f"mapping at {offset} for {length}")

    def do_map_write(self):
        able = [handle for handle in self.handles if handle[1] & os.O_ACCMODE == os.O_RDWR]
        if not able or not self.model:
            return
        handle = self.random.choice(able)
        offset = self.random.randrange(0, len(self.model))
        length = min(self.random.randrange(1, 9000), len(self.model) - offset)
        data = self.data(length)
        self.say(f"mmap {handle[0]}, store {offset}+{length} (size {len(self.model)}), msync")
        with mmap.mmap(handle[0], len(self.model)) as mapped:
            mapped[offset:offset + length] = data
            mapped.flush()
        self.model[offset:offset + length] = data
        # The kernel may hand a mapping's pages to the file system through any handle that can write.
        for descriptor, flags in self.handles:
            if flags & os.O_ACCMODE != os.O_RDONLY:
                self.changed(descriptor)

    def do_fsync(self):
        handle = self.any_handle(writable=True)
        if handle is None:
            return
        self.say(f"fsync {handle[0]}")
        os.fsync(handle[0])
        self.dirty.discard(handle[0])
        self.compare_server("after fsync")

    def do_rename(self):
        self.renames += 1
        name = f"file-{self.renames}"
        self.say(f"rename to {name}")
        os.rename(self.path, self.directory / name)
        self.name = name
        assert names_in(self.directory) == [name]
        self.compare_server("after rename")

    def do_rename_over(self):
        self.renames += 1
        name = f"file-{self.renames}"
        self.say(f"rename over an existing {name}")
        (self.directory / name).write_bytes(self.data(self.random.randrange(0, 3000)))
        os.rename(self.path, self.directory / name)
        self.name = name
        assert names_in(self.directory) == [name]
        self.compare_server("after rename over a file")

    def do_stat(self):
        self.say("stat")
        sizes = [os.stat(self.path).st_size] + [os.fstat(descriptor).st_size for descriptor, _ in self.handles]
        assert set(sizes) == {len(self.model)}, f"stat and fstat say {sizes}, the size is {len(self.model)}"

    def do_seek_data(self):
        handle = self.any_handle()
        if handle is None or not self.model:
            return
        offset = self.random.randrange(0, len(self.model))
        self.say(f"lseek {handle[0]} SEEK_DATA and SEEK_HOLE from {offset}, SEEK_END")
        try:
            start = os.lseek(handle[0], offset, os.SEEK_DATA)
            assert offset <= start < len(self.model)
        except OSError as error:
            assert error.errno == errno.ENXIO
            start = len(self.model)
        assert not any(self.model[offset:start]), f"SEEK_DATA from {offset} skipped data before {start}"
        hole = os.lseek(handle[0], offset, os.SEEK_HOLE)
        assert offset <= hole <= len(self.model)
        assert os.lseek(handle[0], 0, os.SEEK_END) == len(self.model)

    def run(self, steps):
        kinds = [kind for kind, _ in self.steps]
        weights = [weight for _, weight in self.steps]
        try:
            for number in range(steps):
                kind = self.random.choices(kinds, weights)[0]
                self.say(f"-- {number}: {kind.__name__}")
                kind()
                self.counts[kind.__name__] += 1
            self.say("-- the end")
            self.do_close_all()
        finally:
            for descriptor, _ in self.handles:
                try:
                    os.close(descriptor)
                except OSError as error:
                    self.say(f"close at the end: {error}")


@pytest.mark.parametrize("number", [0, 1])
def test_random_operations(mount, server, workdir, request, number):
    seed = choose_seed(request.node.name)
    print(f"FTPFS_SEED={seed} FTPFS_FSX_STEPS={STEPS}")
    exerciser = Exerciser(mount(server, workdir.remote).path, workdir.local, seed)
    try:
        exerciser.run(STEPS)
    except Exception as error:
        history = "\n".join(exerciser.history)
        raise AssertionError(f"{error!r}\nFTPFS_SEED={seed} FTPFS_FSX_STEPS={STEPS}, the last steps:\n{history}") \
            from error
    print(dict(exerciser.counts))
    if STEPS >= 2000:
        assert len(exerciser.counts) == len(exerciser.steps), "a kind of step never ran"


def test_many_files_at_random(mount, server, workdir, request):
    """Whole files created, replaced, appended to, renamed and removed in a few directories, against a dictionary."""
    seed = choose_seed(request.node.name)
    steps = max(60, STEPS // 4)
    print(f"FTPFS_SEED={seed} steps={steps}")
    top = mount(server, workdir.remote).path
    draw = random.Random(seed)
    model = {}
    directories = ["", "a/", "a/b/", "c/"]
    for directory in directories[1:]:
        os.mkdir(top / directory)
    for number in range(steps):
        kind = draw.random()
        name = draw.choice(directories) + f"f{draw.randrange(8)}"
        what = f"FTPFS_SEED={seed} step {number}: {name}"
        if kind < 0.35:
            model[name] = draw.randbytes(draw.randrange(0, 20_000))
            (top / name).write_bytes(model[name])
        elif kind < 0.5 and name in model:
            more = draw.randbytes(draw.randrange(1, 2000))
            with open(top / name, "ab") as file:
                file.write(more)
            model[name] += more
        elif kind < 0.65 and name in model:
            target = draw.choice(directories) + f"f{draw.randrange(8)}"
            os.rename(top / name, top / target)
            model[target] = model.pop(name)
        elif kind < 0.75 and name in model:
            os.unlink(top / name)
            del model[name]
        elif name in model:
            assert (top / name).read_bytes() == model[name], what
        else:
            with pytest.raises(FileNotFoundError):
                os.stat(top / name)
        directory = os.path.dirname(name)
        want = {os.path.basename(known) for known in model if os.path.dirname(known) == directory}
        want |= {os.path.basename(known[:-1]) for known in directories[1:] if os.path.dirname(known[:-1]) == directory}
        assert set(names_in(top / directory)) == want, what
    # Nothing else is left on the server, once the last handle of a removed file was released.
    wait_for(lambda: {str(path.relative_to(workdir.local)) for path in workdir.local.rglob("*") if path.is_file()}
             == set(model), timeout=60, what="only the model's files to be on the server")
    assert {name: (workdir.local / name).read_bytes() for name in model} == model
