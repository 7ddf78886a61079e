# SPDX-License-Identifier: MIT
"""What is done on a mount: python3 work.py FUNCTION < parameters.json > result.json

A process of its own, so that it can be killed. Only the work itself stands between the two looks at the clock; what it
brought is compared afterwards. "seconds" in the result is the time; wrong bytes end the process with a message.
"""

import json
import mmap
import os
import random
import signal
import subprocess
import sys
import time

BLOCK = 128 * 1024
clock = time.monotonic


class Wrong(Exception):
    """The bytes or the names are not what they should be."""


def contents(path):
    with open(path, "rb") as file:
        return file.read()


def same_file(path, other):
    with open(path, "rb") as one, open(other, "rb") as two:
        while True:
            block = one.read(1 << 20)
            if block != two.read(1 << 20):
                return False
            if not block:
                return True


def demand(condition, message):
    if not condition:
        raise Wrong(message)


def run(command, **options):
    result = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                            check=False, **options)
    if result.returncode != 0:
        lines = result.stderr.decode(errors="backslashreplace").strip().splitlines()
        raise Wrong(f"{command[0]} ended with {result.returncode}: {lines[-1] if lines else ''}")


# Reading.

def read(path, original):
    """The whole file, into memory that is there already."""
    size = os.stat(original).st_size
    memory = mmap.mmap(-1, max(size, 1) + BLOCK)
    for offset in range(0, size, mmap.PAGESIZE):
        memory[offset] = 1
    view = memoryview(memory)
    began = clock()
    descriptor = os.open(path, os.O_RDONLY)
    done = 0
    while True:
        n = os.readv(descriptor, [view[done:done + BLOCK]])
        if n == 0:
            break
        done += n
    os.close(descriptor)
    seconds = clock() - began
    demand(done == size, f"{done} bytes read of {size}")
    with open(original, "rb") as file:
        for offset in range(0, size, 1 << 20):
            block = file.read(1 << 20)
            demand(memory[offset:offset + len(block)] == block, f"wrong bytes at {offset}")
    return {"seconds": seconds, "size": size}


def read_random(path, original, count, seed):
    size = os.stat(original).st_size
    chooser = random.Random(seed)
    offsets = [chooser.randrange(0, size - 4096) for _ in range(count)]
    descriptor = os.open(path, os.O_RDONLY)
    began = clock()
    blocks = [os.pread(descriptor, 4096, offset) for offset in offsets]
    seconds = clock() - began
    os.close(descriptor)
    with open(original, "rb") as file:
        for offset, block in zip(offsets, blocks):
            file.seek(offset)
            demand(file.read(4096) == block, f"wrong bytes at {offset}")
    return {"seconds": seconds}


def cat(directory, original, out):
    """All files of a directory, in the order of the shell."""
    with open(out, "wb") as file:
        began = clock()
        run(["sh", "-c", 'cat "$1"/*', "sh", directory], stdout=file)
        seconds = clock() - began
    wanted = b"".join(contents(os.path.join(original, name)) for name in sorted(os.listdir(original)))
    demand(contents(out) == wanted, "wrong bytes")
    return {"seconds": seconds}


def cat_parallel(directory, original, out, processes):
    """The files of a directory, each process its share of them."""
    names = sorted(os.listdir(original))
    share = (len(names) + processes - 1) // processes
    shares = [names[first:first + share] for first in range(0, len(names), share)]
    files = [open(f"{out}.{number}", "wb") for number in range(len(shares))]
    began = clock()
    running = [subprocess.Popen(["cat", *(os.path.join(directory, name) for name in part)], stdout=file,
                                stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
               for part, file in zip(shares, files)]
    codes = [process.wait() for process in running]
    seconds = clock() - began
    demand(not any(codes), f"cat ended with {codes}")
    for number, part in enumerate(shares):
        wanted = b"".join(contents(os.path.join(original, name)) for name in part)
        demand(contents(f"{out}.{number}") == wanted, "wrong bytes")
    return {"seconds": seconds}


# Listing.

def parse_ls(path):
    """{name: size} of the output of ls -l."""
    found = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            words = line.split()
            if len(words) >= 9:
                found[words[-1]] = int(words[4])
    return found


def ls(directory, original, out):
    with open(out, "wb") as file:
        began = clock()
        run(["ls", "-l", directory], stdout=file)
        seconds = clock() - began
    wanted = {entry.name: entry.stat().st_size for entry in os.scandir(original) if entry.is_file()}
    found = parse_ls(out)
    demand(set(found) >= set(wanted), f"{len(wanted) - len(set(found) & set(wanted))} names are missing")
    demand(all(found[name] == size for name, size in wanted.items()), "wrong sizes")
    return {"seconds": seconds}


def ls_numbered(directory, count, out):
    """ls -lU of entries entryNNNNNNN whose size is their number."""
    with open(out, "wb") as file:
        began = clock()
        run(["ls", "-lU", directory], stdout=file)
        seconds = clock() - began
    seen = 0
    total = 0
    with open(out, "rb") as file:
        for line in file:
            words = line.split(None, 5)
            if len(words) == 6:
                seen += 1
                total += int(words[4])
    demand(seen == count, f"{seen} names of {count}")
    demand(total == count * (count - 1) // 2, "wrong sizes")
    return {"seconds": seconds}


def find(directory, original, out):
    with open(out, "wb") as file:
        began = clock()
        run(["find", ".", "-type", "f"], stdout=file, cwd=directory)
        seconds = clock() - began
    wanted = sorted(os.path.join(os.path.relpath(top, original), name).removeprefix("./")
                    for top, _, names in os.walk(original) for name in names)
    found = sorted(line.removeprefix("./") for line in contents(out).decode().splitlines())
    demand(found == wanted, f"{len(found)} names, {len(wanted)} there are")
    return {"seconds": seconds}


def ls_each(directories):
    """ls -l of each, none of which was looked at before: the time of each."""
    times = []
    for directory in directories:
        began = clock()
        run(["ls", "-l", directory], stdout=subprocess.DEVNULL)
        times.append(clock() - began)
    times.sort()
    return {"seconds": times[len(times) // 2], "worst": times[-1]}


# Writing.

def wait_for_files(pairs):
    """Until each file of the server has the size of its original."""
    pending = [(original, served, os.stat(original).st_size) for original, served in pairs]
    while pending:
        _original, served, size = pending[-1]
        try:
            there = os.stat(served).st_size
        except FileNotFoundError:
            there = -1
        if there == size:
            pending.pop()
        else:
            time.sleep(0.004)


def check_files(pairs):
    for original, served in pairs:
        demand(same_file(original, served), f"wrong bytes in {os.path.basename(served)}")


def copy_in(command, pairs, out=None, stdin=None):
    """A program that writes, until all of it is on the server. pairs: (original, file of the server)."""
    began = clock()
    run(command, stdout=subprocess.DEVNULL)
    returned = clock() - began
    wait_for_files(pairs)
    seconds = clock() - began
    check_files(pairs)
    return {"seconds": seconds, "returned": returned}


def remove(path, served):
    began = clock()
    run(["rm", "-r", path])
    while os.path.exists(served):
        time.sleep(0.004)
    return {"seconds": clock() - began}


def write_blocks(path, served, blocks):
    """So many MiB from memory, forward."""
    block = bytes(range(256)) * 4096
    began = clock()
    with open(path, "wb", buffering=0) as file:
        for _ in range(blocks):
            demand(file.write(block) == len(block), "a short write")
    while os.stat(served).st_size != blocks * len(block):
        time.sleep(0.01)
    seconds = clock() - began
    with open(served, "rb") as file:
        for _ in range(blocks):
            demand(file.read(len(block)) == block, "wrong bytes")
    return {"seconds": seconds}


# Others.

def command(argv, size=None, same=(), cwd=None, out=None):
    """A raw program. size: of what it has written to `out`, or what it prints; same: pairs that are alike then."""
    began = clock()
    with open(out or os.devnull, "wb") as file:
        run(argv, stdout=file, cwd=cwd)
    seconds = clock() - began
    if size is not None:
        printed = int(contents(out).split()[-1])
        demand(printed == size, f"{printed} bytes instead of {size}")
    check_files(same)
    return {"seconds": seconds}


FUNCTIONS = {function.__name__: function for function in (
    read, read_random, cat, cat_parallel, ls, ls_numbered, find, ls_each, copy_in, remove, write_blocks, command)}


def main():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        result = FUNCTIONS[sys.argv[1]](**json.load(sys.stdin))
    except (Wrong, OSError) as error:
        sys.stderr.write(f"{sys.argv[1]}: {error}\n")
        return 1
    json.dump(result, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
