# SPDX-License-Identifier: MIT
"""One of the processes of test_load.py: load_worker.py DIRECTORY NUMBER STEPS

Works at random in a directory of its own, comparing everything with what it must be, and in one that it shares with
the others. Prints digest and name of each file that is there at its end.
"""

import errno
import hashlib
import os
import pathlib
import random
import sys


def sealed(number, version, size):
    """Content that proves itself: the digest of the rest in front."""
    body = f"{number} {version} ".encode() + random.Random(number * 1000 + version).randbytes(size)
    return hashlib.sha256(body).hexdigest().encode() + body


def is_sealed(content):
    return hashlib.sha256(content[64:]).hexdigest().encode() == content[:64]


def worker(top, number, steps):
    draw = random.Random(number)
    own = top / f"own-{number}"
    shared = top / "shared"
    own.mkdir()
    model = {}
    version = 0
    for step in range(steps):
        name = f"file-{draw.randrange(6)}"
        what = f"process {number}, step {step}, {name}"
        kind = draw.choice(["write", "write", "append", "read", "read", "stat", "list", "rename", "unlink", "publish",
                            "look", "look", "directory"])
        if kind == "write":
            model[name] = draw.randbytes(draw.choice([0, 1, 5000, 70_000, 200_000]))
            (own / name).write_bytes(model[name])
        elif kind == "append":
            more = draw.randbytes(1000)
            with open(own / name, "ab") as file:
                file.write(more)
            model[name] = model.get(name, b"") + more
        elif kind == "read" and name in model:
            assert (own / name).read_bytes() == model[name], what
            if model[name]:
                offset = draw.randrange(len(model[name]))
                with open(own / name, "rb") as file:
                    assert os.pread(file.fileno(), 4096, offset) == model[name][offset:offset + 4096], what
        elif kind == "stat":
            if name in model:
                assert (own / name).stat().st_size == len(model[name]), what
            else:
                assert not (own / name).exists(), what
        elif kind == "list":
            names = {entry for entry in os.listdir(own) if not entry.startswith(".fuse_hidden")}
            assert names == set(model), f"{what}: {sorted(names)} instead of {sorted(model)}"
        elif kind == "rename" and name in model:
            target = f"file-{draw.randrange(6)}"
            os.rename(own / name, own / target)
            model[target] = model.pop(name)
        elif kind == "unlink" and name in model:
            os.unlink(own / name)
            del model[name]
        elif kind == "publish":
            # A whole file under a private name, then put in place of the last one.
            version += 1
            (shared / f"new-{number}").write_bytes(sealed(number, version, draw.choice([10, 40_000])))
            os.rename(shared / f"new-{number}", shared / f"public-{number}")
            assert (shared / f"public-{number}").read_bytes()[64:].startswith(f"{number} {version} ".encode()), what
        elif kind == "look":
            for entry in sorted(os.listdir(shared)):
                if entry.startswith("public-"):
                    try:
                        content = (shared / entry).read_bytes()
                    except OSError as error:
                        # Its owner replaces it at this moment.
                        assert error.errno in (errno.ENOENT, errno.ESTALE), (what, entry, error)
                        continue
                    assert is_sealed(content), f"{what}: {entry} of {len(content)} bytes is not whole"
        elif kind == "directory":
            (own / "d").mkdir()
            (own / "d" / "inner").write_bytes(b"inner")
            assert os.listdir(own / "d") == ["inner"], what
            os.rename(own / "d", own / "e")
            assert (own / "e/inner").read_bytes() == b"inner", what
            os.unlink(own / "e/inner")
            os.rmdir(own / "e")
    for name, content in model.items():
        assert (own / name).read_bytes() == content, name
        print(hashlib.sha256(content).hexdigest(), name)
    if version:
        print(hashlib.sha256((shared / f"public-{number}").read_bytes()).hexdigest(), f"public-{number}")


if __name__ == "__main__":
    worker(pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
