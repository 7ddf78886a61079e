# SPDX-License-Identifier: MIT
"""Many processes at once on one mount: each (load_worker.py) compares everything it sees with what it must be."""

import hashlib
import os
import pathlib
import random
import subprocess
import sys

import pytest

import servers

WORKER = pathlib.Path(__file__).resolve().parent / "load_worker.py"
PROCESSES = 8
STEPS = int(os.environ.get("FTPFS_LOAD_STEPS", "50"))
LIMIT = 240


@pytest.mark.tsan
@pytest.mark.parametrize("kind,options", [("vsftpd", []), ("pyftpdlib", []), ("vsftpd", ["connections=1"])],
                         ids=["vsftpd", "pyftpdlib", "vsftpd-one"])
def test_parallel_load(mount, kind, options, tmp_path):
    with servers.start(kind) as server:
        (server.root / "top").mkdir()
        (server.root / "top/shared").mkdir()
        server.give(server.root / "top")
        mounted = mount(server, "top", *options)
        processes = []
        try:
            for number in range(PROCESSES):
                output = open(tmp_path / f"output-{number}", "w+", encoding="utf-8")
                processes.append((subprocess.Popen(
                    [sys.executable, str(WORKER), str(mounted.path), str(number), str(STEPS)],
                    stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT), output))
            failures = []
            for number, (process, output) in enumerate(processes):
                code = process.wait(timeout=LIMIT)
                output.seek(0)
                if code != 0:
                    failures.append(f"process {number}: exit {code}\n{output.read()}")
            assert not failures, "\n".join(failures)
        finally:
            for process, _ in processes:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        mounted.unmount()
        # What the processes saw is what lies on the server.
        for number, (_, output) in enumerate(processes):
            output.seek(0)
            lines = output.read().splitlines()
            for line in lines:
                digest, name = line.split(" ", 1)
                path = server.root / "top" / ("shared" if name.startswith("public-") else f"own-{number}") / name
                assert hashlib.sha256(path.read_bytes()).hexdigest() == digest, path
            assert sorted(os.listdir(server.root / f"top/own-{number}")) == \
                sorted(line.split(" ", 1)[1] for line in lines if " public-" not in line)
            output.close()
        left = [name for name in os.listdir(server.root / "top/shared") if not name.startswith("public-")]
        assert left == [], "nothing temporary is left after the unmount"


@pytest.mark.tsan
def test_parallel_access_to_one_file(mount, any_server):
    """Threads of one process read one file at many places while others open, stat and list."""
    content = random.Random(1).randbytes(3_000_000)
    directory = any_server.root / "one-file"
    directory.mkdir()
    try:
        (directory / "file").write_bytes(content)
        any_server.give(directory)
        mounted = mount(any_server, "one-file")
        script = (
            "import hashlib, os, sys, random, threading\n"
            "path, seed = sys.argv[1], int(sys.argv[2])\n"
            "content = random.Random(1).randbytes(3_000_000)\n"
            "failures = []\n"
            "def use(number):\n"
            "    draw = random.Random(seed * 100 + number)\n"
            "    try:\n"
            "        for _ in range(10):\n"
            "            with open(path, 'rb', buffering=0) as file:\n"
            "                offset = draw.randrange(len(content))\n"
            "                for _ in range(4):\n"
            "                    length = draw.choice([1, 4096, 100_000])\n"
            "                    got = os.pread(file.fileno(), length, offset)\n"
            "                    assert got == content[offset:offset + length], (offset, length, len(got))\n"
            "                    offset += len(got)\n"
            "                assert os.fstat(file.fileno()).st_size == len(content)\n"
            "            assert os.listdir(os.path.dirname(path)) == ['file']\n"
            "    except BaseException as error:\n"
            "        failures.append(repr(error))\n"
            "threads = [threading.Thread(target=use, args=(n,)) for n in range(4)]\n"
            "[t.start() for t in threads]\n"
            "[t.join() for t in threads]\n"
            "sys.exit('\\n'.join(failures) or 0)\n")
        processes = [subprocess.Popen([sys.executable, "-c", script, str(mounted.path / "file"), str(number)],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      text=True) for number in range(3)]
        try:
            for process in processes:
                output, _ = process.communicate(timeout=LIMIT)
                assert process.returncode == 0, output
        finally:
            for process in processes:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        mounted.unmount()
    finally:
        for path in directory.iterdir():
            path.unlink()
        directory.rmdir()
